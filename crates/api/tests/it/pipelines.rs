//! Pipelines and alert rules over the API.

use serde_json::{Value, json};
use springhouse_policy::Scope;

use crate::client::Answer;
use crate::house::{House, in_time, until};

const PIPELINES: &str = "/api/v1/pipelines";
const PREVIEW: &str = "/api/v1/pipelines/preview";
const PEAKS: &str = "CREATE PIPELINE peaks INTO peak AS SELECT ts, device, power FROM meter WHERE power > 10";
const HOT: &str = "CREATE ALERT hot SEVERITY critical AS SELECT ts, device, temperature FROM climate \
     WHERE temperature > 30";

async fn furnished() -> House {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house.sql("CREATE STREAM climate (temperature DOUBLE)").await;
    house
}

async fn create(house: &House, sql: &str) -> Answer {
    house.admin().post(PIPELINES, json!({ "sql": sql })).await
}

async fn powers_in(house: &House, stream: &str, rows: usize) -> Value {
    let query = format!("SELECT power FROM {stream} ORDER BY power");
    until(async || {
        let found = house.rows(&query).await;
        (found.as_array().unwrap().len() >= rows).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_pipeline_is_created_from_its_statement_and_runs() {
    let house = furnished().await;
    let made = create(&house, PEAKS).await.expect(201);
    assert_eq!(
        (made["name"].clone(), made["kind"].clone(), made["into"].clone(), made["state"].clone()),
        (json!("peaks"), json!("pipeline"), json!("peak"), json!("running"))
    );
    assert_eq!((made["sql"].clone(), made["version"].clone()), (json!(PEAKS), json!(1)));
    house.say("a", "meter", json!([{ "power": 5 }, { "power": 50 }, { "power": 60 }])).await;
    assert_eq!(powers_in(&house, "peak", 2).await, json!([[50.0], [60.0]]));
    let admin = house.admin();
    let status = until(async || {
        let status = admin.get("/api/v1/pipelines/peaks/status").await.expect(200);
        (status["rows_out"] == 2).then_some(status)
    })
    .await;
    assert_eq!((status["rows_in"].clone(), status["error"].clone()), (json!(3), Value::Null));
    let listed = admin.get(PIPELINES).await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["name"], "peaks");
    let stream = admin.get("/api/v1/streams/peak").await.expect(200);
    assert_eq!((stream["origin"].as_str(), stream["pipeline"].as_str()), (Some("derived"), Some("peaks")));
}

#[tokio::test]
async fn a_pipeline_is_paused_and_goes_on_where_it_was() {
    let house = furnished().await;
    create(&house, PEAKS).await.expect(201);
    house.say("a", "meter", json!({ "power": 20 })).await;
    powers_in(&house, "peak", 1).await;
    let admin = house.admin();
    let act = async |verb: &str| admin.post(&format!("/api/v1/pipelines/peaks/{verb}"), Value::Null).await;
    assert_eq!(act("pause").await.expect(200)["state"], "paused");
    house.say("a", "meter", json!({ "power": 30 })).await;
    assert_eq!(house.rows("SELECT count(*) FROM peak").await, json!([[1]]));
    assert_eq!(act("resume").await.expect(200)["state"], "running");
    assert_eq!(powers_in(&house, "peak", 2).await, json!([[20.0], [30.0]]));
    admin.post("/api/v1/pipelines/nowhere/pause", Value::Null).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_dropped_pipeline_leaves_its_stream_behind() {
    let house = furnished().await;
    create(&house, PEAKS).await.expect(201);
    house.say("a", "meter", json!({ "power": 20 })).await;
    powers_in(&house, "peak", 1).await;
    let admin = house.admin();
    admin.delete("/api/v1/pipelines/peaks").await.expect(204);
    admin.get("/api/v1/pipelines/peaks").await.problem(404, "not_found");
    admin.get("/api/v1/pipelines/peaks/status").await.problem(404, "not_found");
    admin.delete("/api/v1/pipelines/peaks").await.problem(404, "not_found");
    assert_eq!(house.rows("SELECT count(*) FROM peak").await, json!([[1]]));
}

#[tokio::test]
async fn a_statement_that_makes_no_pipeline_is_refused() {
    let house = furnished().await;
    for sql in ["SELECT 1", "DROP STREAM meter", "CREATE STREAM x (a DOUBLE)", ""] {
        create(&house, sql).await.problem(400, "invalid_sql");
    }
    create(&house, "CREATE PIPELINE p INTO q AS SELECT ts, device, pwer FROM meter")
        .await
        .problem(400, "invalid_sql");
    create(&house, "CREATE PIPELINE p INTO q AS SELECT ts, device FROM nowhere")
        .await
        .problem(400, "invalid_sql");
    create(&house, "CREATE PIPELINE p INTO meter AS SELECT ts, device, power FROM meter")
        .await
        .problem(409, "conflict");
    create(&house, PEAKS).await.expect(201);
    let twice = create(&house, PEAKS).await.problem(409, "conflict");
    assert!(twice["hint"].as_str().unwrap().contains("OR REPLACE"), "{twice}");
    assert_eq!(house.admin().get(PIPELINES).await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_mistake_is_pointed_at() {
    let house = furnished().await;
    let sql = "CREATE PIPELINE p INTO q AS\nSELECT ts, device,\n  pwer FROM meter";
    let problem = create(&house, sql).await.problem(400, "invalid_sql");
    assert!(problem["detail"].as_str().unwrap().contains("line 3, column 3"), "{problem}");
    let preview = house.admin().post(PREVIEW, json!({ "sql": sql })).await.problem(400, "invalid_sql");
    assert_eq!(preview["detail"], problem["detail"]);
}

#[tokio::test]
async fn a_change_says_what_keeps_its_state_and_can_be_taken_back() {
    let house = furnished().await;
    let tens = |select: &str| {
        format!(
            "CREATE OR REPLACE PIPELINE tens INTO ten AS SELECT device, window_start, {select} AS watts
             FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) GROUP BY device, window_start"
        )
    };
    let made = create(&house, &tens("avg(power)")).await.expect(201);
    assert_eq!(made["change"]["change"], "create");
    let reader = house.with_scopes(&[Scope::Read, Scope::Write]).await;
    let body = json!({ "sql": tens("avg(power) * 1000"), "dry_run": true });
    let foreseen = reader.post(PIPELINES, body).await.expect(200);
    let kept = json!(["aggregate device, window_start"]);
    assert_eq!(
        (&foreseen["change"], &foreseen["keeps"], &foreseen["begins_empty"]),
        (&json!("replace"), &kept, &json!([]))
    );
    assert_eq!(house.admin().get("/api/v1/pipelines/tens").await.expect(200)["version"], 1);
    let changed = create(&house, &tens("avg(power) * 1000")).await.expect(201);
    assert_eq!((&changed["version"], &changed["change"]["keeps"]), (&json!(2), &kept));
    let again = create(&house, &tens("avg(power)  *  1000")).await.expect(201);
    assert_eq!((&again["version"], &again["change"]["change"]), (&json!(2), &json!("unchanged")));

    let admin = house.admin();
    let back = admin.post("/api/v1/pipelines/tens/rollback", json!({})).await.expect(200);
    assert_eq!((&back["version"], &back["sql"]), (&json!(3), &json!(tens("avg(power)"))));
    assert_eq!(
        back["change"]["message"],
        "pipeline `tens` runs as version 3 and fills `ten`; keeps the state of: aggregate device, window_start"
    );
    let versions = admin.get("/api/v1/pipelines/tens/versions?limit=2").await.expect(200);
    let shown: Vec<_> =
        versions.as_array().unwrap().iter().map(|one| (&one["version"], &one["by"])).collect();
    assert_eq!(shown, [(&json!(3), &json!("test")), (&json!(2), &json!("test"))]);
    admin.post("/api/v1/pipelines/tens/rollback", json!({ "version": 9 })).await.problem(404, "not_found");
    admin.get("/api/v1/pipelines/nothing/versions").await.problem(404, "not_found");
    let only_reads = house.with_scopes(&[Scope::Read]).await;
    only_reads.post("/api/v1/pipelines/tens/rollback", json!({})).await.problem(403, "missing_scope");
}

#[tokio::test]
async fn a_preview_takes_a_sample_and_shows_the_steps() {
    let house = furnished().await;
    house.say("a", "meter", json!([{ "power": 50 }])).await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    let sample = json!({ "meter": [{ "ts": "2026-01-01T00:00:01Z", "device": "x", "power": 3.5 },
        { "ts": "2026-01-01T00:00:02Z", "device": "y", "power": 0.5 }] });
    let body =
        json!({ "sql": "SELECT device, power FROM meter WHERE power > 1", "sample": sample, "steps": true });
    let preview = reader.post(PREVIEW, body).await.expect(200);
    assert_eq!(preview["rows"], json!([["x", 3.5]]));
    let steps = preview["steps"].as_array().unwrap();
    let told: Vec<_> = steps.iter().map(|step| (step["step"].clone(), step["handed_on"].clone())).collect();
    assert_eq!(told[..2], [(json!("read"), json!(2)), (json!("filter"), json!(1))], "{preview}");
    let body =
        json!({ "sql": "SELECT power FROM meter", "sample": { "meter": [{ "ts": 1, "power": "much" }] } });
    let problem = reader.post(PREVIEW, body).await.problem(400, "invalid_sql");
    assert!(problem["detail"].as_str().unwrap().contains("row 1 of the sample of `meter`"), "{problem}");
}

#[tokio::test]
async fn a_tap_is_for_readers_and_for_pipelines_that_run() {
    let house = furnished().await;
    house.say("a", "meter", json!([{ "power": 50 }])).await;
    create(&house, "CREATE PIPELINE copy INTO copied AS SELECT device, power FROM meter").await.expect(201);
    let reader = house.with_scopes(&[Scope::Read]).await;
    let tap = reader.get("/api/v1/pipelines/copy/tap?seconds=0").await.expect(200);
    assert_eq!((&tap["seconds"], &tap["steps"][0]["step"]), (&json!(0.0), &json!("read")), "{tap}");
    house.stranger().get("/api/v1/pipelines/copy/tap").await.problem(401, "unauthenticated");
    reader.get("/api/v1/pipelines/none/tap").await.problem(404, "not_found");
    house.admin().post("/api/v1/pipelines/copy/pause", json!({})).await.expect(200);
    reader.get("/api/v1/pipelines/copy/tap?seconds=0").await.problem(409, "conflict");
}

#[tokio::test]
async fn a_preview_shows_the_last_minutes_and_creates_nothing() {
    let house = furnished().await;
    house.say("a", "meter", json!([{ "power": 5 }, { "power": 50 }])).await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    for sql in [PEAKS, "SELECT ts, device, power FROM meter WHERE power > 10"] {
        let preview = reader.post(PREVIEW, json!({ "sql": sql })).await.expect(200);
        let names: Vec<_> =
            preview["columns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
        assert_eq!(names, ["ts", "device", "power"]);
        let row = &preview["rows"][0];
        assert_eq!((row[1].clone(), row[2].clone()), (json!("a"), json!(50.0)), "{preview}");
        assert_eq!((preview["scanned"].clone(), preview["late"].clone()), (json!(2), json!(0)));
    }
    let windowed = "SELECT window_start, device, max(power) AS peak FROM \
         TUMBLE(TABLE meter, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, device";
    let preview =
        reader.post(PREVIEW, json!({ "sql": windowed, "minutes": 60, "limit": 5 })).await.expect(200);
    assert_eq!(preview["rows"][0][2], 50.0, "windows that are open are shown too: {preview}");
    assert!(house.entry("peak").is_none());
    assert_eq!(house.admin().get(PIPELINES).await.expect(200), json!([]));
}

#[tokio::test]
async fn an_alert_fires_once_and_is_acknowledged_by_name() {
    let house = furnished().await;
    let made = create(&house, HOT).await.expect(201);
    assert_eq!((made["kind"].as_str(), made["severity"].as_str()), (Some("alert"), Some("critical")));
    let mut recorded = house.recorder.recorded();
    house.say("attic", "climate", json!([{ "temperature": 25 }, { "temperature": 35 }])).await;
    in_time(recorded.recv()).await.unwrap();

    let admin = house.admin();
    let alerts = admin.get("/api/v1/alerts").await.expect(200);
    let rule = &alerts["rules"][0];
    assert_eq!(
        (rule["name"].as_str(), rule["severity"].as_str(), rule["state"].as_str()),
        (Some("hot"), Some("critical"), Some("running"))
    );
    assert_eq!((rule["fired"].clone(), rule["open"].clone()), (json!(1), json!(1)));
    let events = alerts["events"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0]["key"].as_str(), events[0]["row"]["temperature"].clone()),
        (Some("attic"), json!(35.0))
    );
    assert_eq!(events[0]["acknowledged_at"], Value::Null);

    let path = format!("/api/v1/alerts/{}/acknowledge", events[0]["id"].as_str().unwrap());
    let seen = admin.post(&path, Value::Null).await.expect(200);
    assert_eq!((seen["by"].clone(), seen["acknowledged_at"].clone()), (json!("test"), json!(house.now())));
    house.clock.advance_micros(1_000_000);
    assert_eq!(admin.post(&path, Value::Null).await.expect(200), seen, "the first one stays on record");
    let open = admin.get("/api/v1/alerts?open=true").await.expect(200);
    assert_eq!((open["events"].clone(), open["rules"][0]["open"].clone()), (json!([]), json!(0)));
    assert_eq!(admin.get("/api/v1/alerts?alert=cold").await.expect(200)["events"], json!([]));
    admin.post("/api/v1/alerts/nothing/acknowledge", Value::Null).await.problem(404, "not_found");
    admin.delete("/api/v1/pipelines/hot").await.expect(204);
    let after = admin.get("/api/v1/alerts").await.expect(200);
    assert_eq!((after["rules"].clone(), after["events"].as_array().unwrap().len()), (json!([]), 1));
}

#[tokio::test]
async fn an_alert_fires_until_it_is_resolved_or_dropped() {
    let house = furnished().await;
    let sql = "CREATE ALERT hot SEVERITY critical KEY (device) RESOLVE WHEN temperature < 24 AS \
         SELECT ts, device, temperature FROM climate WHERE temperature > 27";
    create(&house, sql).await.expect(201);
    let mut recorded = house.recorder.recorded();
    let warm = |minute: u32, celsius: u32| json!({ "ts": format!("2026-01-01T12:{minute:02}:00Z"), "temperature": celsius });
    // The last row of each message moves time on, so that those before it are taken.
    house.say("attic", "climate", json!([warm(0, 28), warm(1, 29), warm(2, 26), warm(3, 26)])).await;
    in_time(recorded.recv()).await.unwrap();
    let admin = house.admin();
    let alerts = admin.get("/api/v1/alerts?firing=true").await.expect(200);
    let event = alerts["events"][0].clone();
    assert_eq!(
        (event["firing"].clone(), event["times"].clone(), event["resolved_at"].clone()),
        (json!(true), json!(1), Value::Null)
    );
    assert_eq!(
        event["row"],
        json!({ "ts": "2026-01-01T12:00:00Z", "device": "attic", "site": null, "temperature": 28.0 })
    );
    assert_eq!(alerts["rules"][0]["firing"], 1);
    assert_eq!(admin.get("/api/v1/overview").await.expect(200)["alerts_firing"], 1);
    let metrics = admin.get("/metrics").await.text().to_owned();
    for line in [
        "springhouse_alerts_firing{severity=\"critical\"} 1",
        "springhouse_alerts_firing{severity=\"info\"} 0",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }

    house.say("attic", "climate", json!([warm(12, 23), warm(13, 30), warm(14, 25), warm(15, 25)])).await;
    in_time(recorded.recv()).await.unwrap();
    in_time(recorded.recv()).await.unwrap();
    let events = admin.get("/api/v1/alerts").await.expect(200)["events"].clone();
    let told = |event: &Value| {
        (event["at"].clone(), event["resolved_at"].clone(), event["times"].clone(), event["firing"].clone())
    };
    assert_eq!(told(&events[0]), (json!("2026-01-01T12:13:00Z"), Value::Null, json!(1), json!(true)));
    assert_eq!(
        told(&events[1]),
        (json!("2026-01-01T12:00:00Z"), json!("2026-01-01T12:12:00Z"), json!(2), json!(false))
    );
    assert_eq!(events[1]["id"], event["id"]);

    admin.delete("/api/v1/pipelines/hot").await.expect(204);
    assert_eq!(admin.get("/api/v1/alerts?firing=true").await.expect(200)["events"], json!([]));
    let events = admin.get("/api/v1/alerts").await.expect(200)["events"].clone();
    assert_eq!(
        (events[0]["note"].clone(), events[1]["note"].clone()),
        (json!("its alert was dropped"), Value::Null)
    );
}
