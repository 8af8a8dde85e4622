//! Functions in a hub: what becomes of those who call one when it changes, and that no row shows it.

use springhouse_engine::{PipelineStatus, RunState, UsedFunction};
use springhouse_model::TenantId;

use crate::hub::{Hub, row};

const HOMES: &str = "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE NEVER);";
const SCALED: &str = "CREATE FUNCTION scaled(x BIGINT) RETURNS BIGINT RETURN x * 10";
const SCALED_AGAIN: &str = "CREATE OR REPLACE FUNCTION scaled(x BIGINT) RETURNS BIGINT RETURN x * 100";
const ROWS: &str = "CREATE PIPELINE p INTO p_rows AS SELECT device, ts, scaled(n) AS n FROM homes";

/// The last column of each row.
fn numbers(hub: &Hub) -> Vec<String> {
    hub.rows("p_rows").iter().map(|row| row.rsplit(':').next().unwrap().replace('}', "")).collect()
}

async fn send(hub: &Hub, second: f64, n: i64) {
    hub.send("homes", "a", &[row(second, n)]).await;
    hub.settled().await;
}

fn used(name: &str, version: u32, newer: Option<u32>) -> Vec<UsedFunction> {
    vec![UsedFunction { name: name.to_owned(), version, newer }]
}

async fn started() -> Hub {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    assert_eq!(hub.sql(SCALED).await.to_string(), "function `scaled` is there");
    hub.sql(ROWS).await;
    hub
}

#[tokio::test]
async fn a_pipeline_goes_on_by_the_definition_that_it_was_created_with() {
    let mut hub = started().await;
    send(&hub, 1.0, 1).await;
    assert_eq!(
        hub.sql(SCALED_AGAIN).await.to_string(),
        "function `scaled` has version 2; `p` goes on by the version that it was created with, until CREATE OR REPLACE \
         takes this one"
    );
    send(&hub, 2.0, 2).await;
    assert_eq!(numbers(&hub), ["10", "20"]);
    assert_eq!(hub.status_of("p").await.functions, used("scaled", 1, Some(2)));
    // Also over a restart, a crash and a pause.
    hub.stop().await;
    hub.start().await;
    send(&hub, 3.0, 3).await;
    hub.crash().await;
    hub.start().await;
    send(&hub, 4.0, 4).await;
    hub.sql("PAUSE PIPELINE p; RESUME PIPELINE p").await;
    send(&hub, 5.0, 5).await;
    assert_eq!(numbers(&hub), ["10", "20", "30", "40", "50"]);
    // One that is created meanwhile goes by the present one.
    hub.sql(&ROWS.replace("PIPELINE p INTO p_rows", "PIPELINE q INTO q_rows")).await;
    assert_eq!(hub.status_of("q").await.functions, used("scaled", 2, None));
}

#[tokio::test]
async fn the_same_statement_again_takes_the_present_definition_and_a_rollback_the_one_before() {
    let hub = started().await;
    send(&hub, 1.0, 1).await;
    hub.sql(SCALED_AGAIN).await;
    let again = ROWS.replace("CREATE", "CREATE OR REPLACE");
    assert_eq!(
        hub.sql(&again).await.to_string(),
        "pipeline `p` runs as version 2 and fills `p_rows`; takes `scaled` version 2; no operator has a state"
    );
    assert_eq!(hub.sql(&again).await.to_string(), "pipeline `p` is unchanged: version 2 runs");
    send(&hub, 2.0, 2).await;
    assert_eq!(hub.status_of("p").await.functions, used("scaled", 2, None));
    assert_eq!(
        hub.sql("ROLLBACK PIPELINE p TO VERSION 1").await.to_string(),
        "pipeline `p` runs as version 3 and fills `p_rows`; takes `scaled` version 1; no operator has a state"
    );
    send(&hub, 3.0, 3).await;
    assert_eq!(numbers(&hub), ["10", "200", "30"]);
    assert_eq!(hub.status_of("p").await.functions, used("scaled", 1, Some(2)));
}

#[tokio::test]
async fn an_operator_keeps_its_state_when_another_definition_computes_the_same_before_it() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(SCALED).await;
    hub.sql("CREATE FUNCTION shown(x BIGINT) RETURNS TEXT RETURN 'n = ' || x").await;
    let statement =
        "CREATE OR REPLACE PIPELINE p INTO p_rows AS SELECT device, window_start, shown(sum(scaled(n))) AS n
                     FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";
    hub.sql(statement).await;
    send(&hub, 1.0, 1).await;
    hub.sql("CREATE OR REPLACE FUNCTION shown(x BIGINT) RETURNS TEXT RETURN 'total ' || x").await;
    assert_eq!(
        hub.sql(statement).await.to_string(),
        "pipeline `p` runs as version 2 and fills `p_rows`; takes `shown` version 2; keeps the state of: aggregate \
         device, window_start"
    );
    hub.sql(SCALED_AGAIN).await;
    assert_eq!(
        hub.sql(statement).await.to_string(),
        "pipeline `p` runs as version 3 and fills `p_rows`; takes `scaled` version 2; reads the log again: aggregate \
         device, window_start"
    );
    send(&hub, 2.0, 2).await;
    send(&hub, 11.0, 0).await;
    assert_eq!(hub.rows("p_rows").len(), 1);
    assert!(hub.rows("p_rows")[0].ends_with(r#""n":"total 300"}"#), "{:?}", hub.rows("p_rows"));
}

#[tokio::test]
async fn what_somebody_calls_is_not_dropped_nor_changed_into_what_cannot_be_called() {
    let hub = started().await;
    hub.sql("CREATE FUNCTION twice_scaled(x BIGINT) RETURNS BIGINT RETURN scaled(x) * 2").await;
    assert_eq!(
        hub.refusal("DROP FUNCTION scaled").await,
        "function `scaled` is in use by `twice_scaled`, `p`; hint: drop or replace what uses it first"
    );
    let refusal = hub
        .refusal("CREATE OR REPLACE FUNCTION scaled(x BIGINT, y BIGINT) RETURNS BIGINT RETURN x * y")
        .await;
    assert!(
        refusal.starts_with(
            "function `twice_scaled`, which calls `scaled`, could not be any more: scaled() takes 2 arguments, here are 1"
        ),
        "{refusal}"
    );
    let refusal = hub
        .refusal("CREATE OR REPLACE FUNCTION scaled(x BIGINT) RETURNS BIGINT RETURN twice_scaled(x)")
        .await;
    assert!(refusal.contains("function `scaled` calls itself through `twice_scaled`"), "{refusal}");
    let refusal = hub.refusal(SCALED).await;
    assert_eq!(
        refusal,
        "function `scaled` exists already; hint: CREATE OR REPLACE changes it; pipelines go on by the definition that they have"
    );
    assert_eq!(
        hub.sql(&SCALED.replace("FUNCTION", "FUNCTION IF NOT EXISTS")).await.to_string(),
        "function `scaled` exists already"
    );
    assert_eq!(
        hub.sql("create or replace function scaled (x bigint) returns bigint return x*10").await.to_string(),
        "function `scaled` is unchanged: version 1"
    );
    assert_eq!(
        hub.sql("SHOW FUNCTIONS").await.to_string(),
        "scaled(x BIGINT) RETURNS BIGINT\tversion 1\ntwice_scaled(x BIGINT) RETURNS BIGINT\tversion 1"
    );
    assert_eq!(hub.sql("DESCRIBE scaled").await.to_string(), SCALED);
    let explained = hub.sql("EXPLAIN PIPELINE p").await.to_string();
    assert!(explained.contains("function\tscaled version 1\n"), "{explained}");
    hub.sql("DROP FUNCTION twice_scaled; DROP PIPELINE p; DROP FUNCTION scaled").await;
    assert_eq!(
        hub.sql("DROP FUNCTION IF EXISTS scaled").await.to_string(),
        "function `scaled` does not exist"
    );
    assert_eq!(hub.refusal("DROP FUNCTION scaled").await, "function `scaled` does not exist");
    assert!(hub.refusal(ROWS).await.contains("Invalid function 'scaled'"));
}

#[tokio::test]
async fn functions_are_there_again_after_a_restart() {
    let mut hub = started().await;
    hub.sql("CREATE FUNCTION twice_scaled(x BIGINT) RETURNS BIGINT RETURN scaled(x) * 2").await;
    hub.stop().await;
    hub.start().await;
    let functions = hub.engine().function_status(&TenantId::main()).await.unwrap();
    let told: Vec<(&str, u32, usize)> = functions
        .iter()
        .map(|function| (function.name.as_str(), function.version, function.used_by.len()))
        .collect();
    assert_eq!(told, [("scaled", 1, 1), ("twice_scaled", 1, 0)]);
    assert_eq!(functions[0].called_by, ["twice_scaled"]);
    assert!(functions.iter().all(|function| function.error.is_none()));
    let PipelineStatus { state, functions, .. } = hub.status_of("p").await;
    assert_eq!((state, functions), (RunState::Running, used("scaled", 1, None)));
}

#[tokio::test]
async fn a_folder_makes_functions_before_what_calls_them() {
    let hub = started().await;
    let folder = [
        ROWS,
        "\n\n  CREATE FUNCTION twice_scaled(x BIGINT) RETURNS BIGINT RETURN scaled(x) * 2",
        SCALED_AGAIN,
        "CREATE PIPELINE q INTO q_rows AS SELECT device, twice_scaled(n) AS n FROM homes",
        "CREATE FUNCTION same(x BIGINT) RETURNS BIGINT RETURN x",
    ];
    let propose = async |statements: &[&str]| {
        let statements = statements.iter().map(|text| (*text).to_owned()).collect();
        hub.engine().propose(&TenantId::main(), statements).await.unwrap()
    };
    let proposal = propose(&folder).await;
    assert!(proposal.errors.is_empty(), "{:?}", proposal.errors);
    let steps: Vec<String> = proposal
        .steps
        .iter()
        .map(|step| format!("{} {} {} {:?}", step.kind.as_str(), step.what, step.name, step.functions))
        .collect();
    assert_eq!(
        steps,
        [
            "replace function scaled []",
            "create function same []",
            "create function twice_scaled []",
            "replace pipeline p [\"`scaled` version 2\"]",
            "create pipeline q []",
        ]
    );
    let wrong = propose(&[
        ROWS,
        "\n  CREATE FUNCTION f(x BIGINT) RETURNS BIGINT\n  RETURN x + y",
        "CREATE OR REPLACE FUNCTION scaled() RETURNS BIGINT RETURN 1",
        "CREATE FUNCTION abs(x BIGINT) RETURNS BIGINT RETURN x",
    ])
    .await;
    let errors: Vec<String> = wrong
        .errors
        .iter()
        .map(|error| format!("{} {}: {}", error.statement, error.at, error.message))
        .collect();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(errors[0].contains("scaled() takes 0 arguments, here are 1"), "{errors:#?}");
    assert!(errors[1].starts_with("1 line 3, column 14: `y` is no parameter of function `f`"), "{errors:#?}");
    assert!(errors[2].contains("abs() is a function of the language"), "{errors:#?}");
}
