//! Functions over the API: called in pipelines, queries, tables and filters, replaced beside those who call them, dropped by nobody's loss.

use serde_json::json;
use springhouse_policy::Scope;

use crate::house::{House, until};

const SCALED: &str = "CREATE FUNCTION scaled(x DOUBLE) RETURNS DOUBLE RETURN x * 10";
const SCALED_AGAIN: &str = "CREATE FUNCTION scaled(x DOUBLE) RETURNS DOUBLE RETURN x * 100";

#[tokio::test]
async fn one_function_means_the_same_in_pipelines_previews_queries_and_tables() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE, since TIMESTAMP)").await;
    let told = house.sql(SCALED).await;
    assert_eq!(told["message"], "function `scaled` is there");
    house.sql("CREATE FUNCTION later(t TIMESTAMP) RETURNS TIMESTAMP RETURN t + INTERVAL '1' HOUR").await;
    house
        .sql(
            "CREATE PIPELINE p INTO p_rows AS SELECT device, scaled(power), later(since) AS later FROM meter",
        )
        .await;
    let row = json!({ "ts": "2026-01-01T00:00:09Z", "power": 2.5, "since": "2026-01-01T00:00:00Z" });
    house.say("a", "meter", row).await;
    let live = until(async || {
        let rows = house.rows("SELECT scaled_power, later FROM p_rows").await;
        (rows.as_array().unwrap().len() == 1).then_some(rows)
    })
    .await;
    let expected = json!([[25.0, "2026-01-01T01:00:00Z"]]);
    assert_eq!(live, expected);
    let query =
        "SELECT scaled(power), later(since) FROM meter WHERE scaled(power) > 20 ORDER BY scaled(power)";
    let asked = house.admin().post("/api/v1/sql", json!({ "query": query })).await.expect(200);
    assert_eq!(asked["rows"], expected);
    assert_eq!(asked["columns"][0]["name"], "scaled(power)", "a column is called as it was written");
    let preview = json!({ "sql": "SELECT device, scaled(power) AS scaled FROM meter" });
    let preview = house.admin().post("/api/v1/pipelines/preview", preview).await.expect(200);
    assert_eq!(preview["rows"], json!([["a", 25.0]]));
    house
        .sql(
            "CREATE TABLE usual (device TEXT, most DOUBLE, PRIMARY KEY (device)) AS
              SELECT device, max(scaled(power)) AS most FROM meter GROUP BY device",
        )
        .await;
    assert_eq!(house.rows("SELECT most FROM usual").await, json!([[25.0]]));
    let problem = house.admin().delete("/api/v1/functions/scaled").await.problem(409, "conflict");
    assert_eq!(
        problem["detail"], "function `scaled` is in use by `p`, `usual`",
        "a pipeline and the query of a table"
    );
}

#[tokio::test]
async fn a_function_is_told_with_those_who_go_by_it_and_by_which_of_its_versions() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    let admin = house.admin();
    let made = admin.post("/api/v1/functions", json!({ "sql": SCALED })).await.expect(201);
    assert_eq!(made["signature"], "scaled(x DOUBLE) RETURNS DOUBLE");
    assert_eq!(made["parameters"], json!([{ "name": "x", "type": "float" }]));
    assert_eq!(made["returns"], "float");
    house.sql("CREATE PIPELINE p INTO p_rows AS SELECT device, scaled(power) AS power FROM meter").await;
    admin.post("/api/v1/functions", json!({ "sql": SCALED_AGAIN })).await.problem(409, "conflict");
    let made =
        admin.post("/api/v1/functions", json!({ "sql": SCALED_AGAIN, "replace": true })).await.expect(201);
    assert_eq!(made["version"], 2);
    assert_eq!(made["used_by"], json!([{ "pipeline": "p", "version": 1, "is_present": false }]));
    let listed = admin.get("/api/v1/functions").await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["version"], 2);
    let pipeline = admin.get("/api/v1/pipelines/p").await.expect(200);
    assert_eq!(pipeline["functions"], json!([{ "name": "scaled", "version": 1, "newer": 2 }]));
    let versions = admin.get("/api/v1/pipelines/p/versions").await.expect(200);
    assert_eq!(versions[0]["functions"], json!([{ "name": "scaled", "version": 1, "sql": SCALED }]));
    let again = json!({ "sql": pipeline["sql"], "replace": true });
    let changed = admin.post("/api/v1/pipelines", again).await.expect(201);
    assert_eq!(changed["functions"], json!([{ "name": "scaled", "version": 2, "newer": null }]));
    admin.delete("/api/v1/pipelines/p").await.expect(204);
    admin.delete("/api/v1/functions/scaled").await.expect(204);
    admin.get("/api/v1/functions/scaled").await.problem(404, "not_found");
}

#[tokio::test]
async fn who_may_only_read_sees_functions_and_makes_none() {
    let house = House::new().await;
    house.sql(SCALED).await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    assert_eq!(reader.get("/api/v1/functions/scaled").await.expect(200)["sql"], SCALED);
    reader
        .post("/api/v1/functions", json!({ "sql": SCALED, "replace": true }))
        .await
        .problem(403, "missing_scope");
    reader.delete("/api/v1/functions/scaled").await.problem(403, "missing_scope");
    let query = json!({ "query": "DROP FUNCTION scaled" });
    reader.post("/api/v1/sql", query).await.problem(403, "missing_scope");
    let wrong = json!({ "sql": "CREATE FUNCTION f(x DOUBLE) RETURNS DOUBLE RETURN x + y" });
    let problem = house.admin().post("/api/v1/functions", wrong).await.problem(400, "invalid_sql");
    assert_eq!(problem["detail"], "line 1, column 55: `y` is no parameter of function `f`");
}
