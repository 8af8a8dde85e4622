//! A set of statements is compared with what there is, whatever their order.

use serde_json::{Value, json};
use springhouse_policy::Scope;

use crate::house::House;

const PLAN: &str = "/api/v1/pipelines/plan";
const METER: &str = "CREATE STREAM meter (power DOUBLE)";
const TENS: &str = "CREATE PIPELINE tens INTO ten AS SELECT device, window_start, avg(power) AS watts
     FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";
const PEAKS: &str = "CREATE PIPELINE peaks INTO peak AS SELECT ts, device, watts FROM ten WHERE watts > 10";
const HOT: &str = "CREATE ALERT hot AS SELECT ts, device, watts FROM peak WHERE watts > 100";

async fn plan(house: &House, statements: &[&str]) -> Value {
    let reader = house.with_scopes(&[Scope::Read]).await;
    reader.post(PLAN, json!({ "statements": statements })).await.expect(200)
}

/// `change kind name` of each step.
fn steps(plan: &Value) -> Vec<String> {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.map(|step| ["change", "kind", "name"].map(|key| word(step, key)).join(" ")).collect()
}

fn errors(plan: &Value) -> Vec<(u64, u64, u64, String)> {
    let errors = plan["errors"].as_array().unwrap().iter();
    let number = |error: &Value, key: &str| error[key].as_u64().unwrap();
    errors
        .map(|error| {
            let message = error["message"].as_str().unwrap().to_owned();
            (number(error, "statement"), number(error, "line"), number(error, "column"), message)
        })
        .collect()
}

#[tokio::test]
async fn what_reads_a_stream_comes_after_what_fills_it() {
    let house = House::new().await;
    let made = plan(&house, &[HOT, PEAKS, METER, TENS]).await;
    assert_eq!(
        steps(&made),
        ["create stream meter", "create pipeline tens", "create pipeline peaks", "create alert hot"]
    );
    assert_eq!((&made["errors"], &made["drops"]), (&json!([]), &json!([])));
    assert!(house.entry("meter").is_none(), "nothing was done");
}

#[tokio::test]
async fn what_is_there_is_compared_and_what_is_not_named_goes() {
    let house = House::new().await;
    for sql in [METER, TENS, PEAKS, HOT] {
        house.sql(sql).await;
    }
    let again = plan(&house, &[HOT, PEAKS, METER, TENS]).await;
    assert!(steps(&again).iter().all(|step| step.starts_with("unchanged")), "{again}");
    let tens = TENS.replace("avg(power) AS watts", "avg(power) * 2 AS watts, 'W' AS unit");
    let peaks =
        PEAKS.replace("ts, device, watts", "ts, device, watts, unit").replace("CREATE", "/* … */ create");
    let changed = plan(&house, &[&peaks, &tens]).await;
    assert_eq!(steps(&changed), ["replace pipeline tens", "replace pipeline peaks"], "{changed}");
    assert_eq!(changed["steps"][0]["keeps"], json!(["aggregate device, window_start"]));
    assert_eq!(changed["drops"], json!([{ "kind": "alert", "name": "hot" }]), "streams are never dropped");
}

/// What is there when the plan is made has not the columns that it will have when it is carried out.
#[tokio::test]
async fn a_pipeline_is_compared_over_the_columns_that_its_source_will_have() {
    let house = House::new().await;
    let all = "CREATE PIPELINE all_of_it INTO copy AS SELECT * FROM ten";
    for sql in [METER, TENS, all] {
        house.sql(sql).await;
    }
    let tens = TENS.replace("AS watts", "AS watts, 'W' AS unit");
    let changed = plan(&house, &[all, &tens]).await;
    assert_eq!(steps(&changed), ["replace pipeline tens", "replace pipeline all_of_it"], "{changed}");
    assert_eq!(
        steps(&plan(&house, &[all, TENS]).await),
        ["unchanged pipeline tens", "unchanged pipeline all_of_it"]
    );
}

#[tokio::test]
async fn each_wrong_statement_is_told_with_its_place() {
    let house = House::new().await;
    house.sql(METER).await;
    let wrong = plan(
        &house,
        &[
            "\n\n  CREATE PIPELINE a INTO b AS\nSELECT ts,\n  pwer FROM meter",
            "\n CREATE PIPELINE c INTO d AS SELECT ts, power FROM nowhere",
            "   DROP PIPELINE a",
            "CREATE STREAM meter (power TEXT)",
            "CREATE PIPELINE x INTO y AS SELECT ts, power FROM z",
            "CREATE PIPELINE w INTO z AS SELECT ts, power FROM y",
            TENS,
            "CREATE ALERT tens AS SELECT ts FROM meter",
            "CREATE PIPELINE other INTO ten AS SELECT ts FROM meter",
            "CREATE PIPELINE",
        ],
    )
    .await;
    let found = errors(&wrong);
    let expected = [
        (0, 5, 3, "pwer"),
        (1, 2, 2, "stream `nowhere` does not exist"),
        (2, 1, 4, "DROP PIPELINE cannot stand in a folder"),
        (3, 1, 1, "stream `meter` is there and is another one; hint: `springhouse schema set meter`"),
        (4, 1, 1, "it reads `z`, which `w` is to fill, and that cannot run before"),
        (5, 1, 1, "it reads `y`, which `x` is to fill, and that cannot run before"),
        (7, 1, 1, "`tens` is made by another statement too"),
        (8, 1, 1, "`other` cannot fill `ten`: `tens` is to fill it"),
        (9, 1, 16, "expected the pipeline's name"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((statement, line, column, message), wanted) in found.iter().zip(expected) {
        assert_eq!((*statement, *line, *column), (wanted.0, wanted.1, wanted.2), "{message}");
        assert!(message.contains(wanted.3), "{message}");
    }
}
