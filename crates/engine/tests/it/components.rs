//! Functions of components: in every kind of statement beside the same expression in SQL, and in a hub over everything that happens to one.

use std::sync::OnceLock;

use bytes::Bytes;
use proptest::prelude::*;
use springhouse_engine::filter::RowFilter;
use springhouse_engine::{Brought, EngineError, FunctionSet, RunState, UsedFunction};
use springhouse_model::TenantId;

use crate::broken::{STATEMENTS, quarantined, run_with, settings, written};
use crate::hub::{Hub, row};
use crate::readings::{Reading, batch};

/// A component of one core module without memory.
fn component(core: &str, functions: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("(component (core module $m {core}) (core instance $i (instantiate $m))");
    for (name, ty) in functions {
        text += &format!(r#"(func (export "{name}") {ty} (canon lift (core func $i "{name}")))"#);
    }
    wat::parse_str(text + ")").unwrap()
}

/// `scaled(x)`, `x` times a factor, and `same(x)`, which is the same whatever the factor is.
fn scaled(factor: i64) -> Vec<u8> {
    let core = format!(
        r#"(func (export "scaled") (param i64) (result i64) (i64.mul (local.get 0) (i64.const {factor})))
           (func (export "same") (param i64) (result i64) (local.get 0))"#
    );
    let ty = r#"(param "x" s64) (result s64)"#;
    component(&core, &[("scaled", ty), ("same", ty)])
}

/// `quotient(a, b)`, which fails where SQL's division does.
const QUOTIENT: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (data (i32.const 64) "nothing divides by zero")
        (func (export "quotient") (param i64 i64) (result i32)
            (if (i64.eqz (local.get 1)) (then
                (i32.store8 (i32.const 16) (i32.const 1))
                (i32.store (i32.const 24) (i32.const 64)) (i32.store (i32.const 28) (i32.const 23))
                (return (i32.const 16))))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i64.store (i32.const 24) (i64.div_s (local.get 0) (local.get 1)))
            (i32.const 16)))
    (core instance $i (instantiate $m))
    (func (export "quotient") (param "a" s64) (param "b" s64) (result (result s64 (error string)))
        (canon lift (core func $i "quotient") (memory (core memory $i "memory")))))"#;

fn quotient() -> FunctionSet {
    static SET: OnceLock<FunctionSet> = OnceLock::new();
    let made = || {
        let brought = Brought::read(&wat::parse_str(QUOTIENT).unwrap()).unwrap();
        FunctionSet::declared(&[], vec![brought]).unwrap()
    };
    SET.get_or_init(made).clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_component_gives_what_the_same_expression_gives_in_every_kind_of_statement(setting in settings()) {
        let sql = written(STATEMENTS[setting.statement], false);
        let mut calls = sql.clone();
        for n in ["n", "a.n", "b.n"] {
            calls = calls.replace(&format!("100 / {n}"), &format!("quotient(100, {n})"));
        }
        prop_assert_ne!(&calls, &sql);
        let expected = run_with(&sql, &setting, FunctionSet::default());
        let found = run_with(&calls, &setting, quotient());
        prop_assert_eq!(found.rows, expected.rows);
        prop_assert_eq!(found.late, expected.late);
        prop_assert_eq!(found.late_zeros, expected.late_zeros);
        prop_assert_eq!(found.broken.len(), expected.broken.len());
        for (found, expected) in found.broken.iter().zip(&expected.broken) {
            prop_assert_eq!((found.time, &found.row), (expected.time, &expected.row));
            prop_assert_eq!(&found.why, "quotient(): nothing divides by zero");
        }
    }
}

const HOMES: &str = "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE NEVER);";
const ROWS: &str = "CREATE PIPELINE p INTO p_rows AS SELECT device, ts, scaled(n) AS n FROM homes";

async fn bring(hub: &Hub, bytes: Vec<u8>) -> Result<Vec<String>, EngineError> {
    let names = hub.engine().add_component(&TenantId::main(), Some("ada"), Bytes::from(bytes)).await?;
    Ok(names.iter().map(ToString::to_string).collect())
}

async fn send(hub: &Hub, second: f64, n: i64) {
    hub.send("homes", "a", &[row(second, n)]).await;
    hub.settled().await;
}

/// The last column of each row.
fn numbers(hub: &Hub) -> Vec<String> {
    hub.rows("p_rows").iter().map(|row| row.rsplit(':').next().unwrap().replace('}', "")).collect()
}

fn digest(bytes: &[u8]) -> String {
    springhouse_wasm::Digest::of(bytes).to_string()
}

async fn started() -> Hub {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    assert_eq!(bring(&hub, scaled(10)).await.unwrap(), ["scaled", "same"]);
    hub.sql(ROWS).await;
    hub
}

#[tokio::test]
async fn a_pipeline_goes_on_by_the_component_that_it_was_created_with() {
    let mut hub = started().await;
    send(&hub, 1.0, 1).await;
    bring(&hub, scaled(100)).await.unwrap();
    send(&hub, 2.0, 2).await;
    let used = |version, newer| vec![UsedFunction { name: "scaled".to_owned(), version, newer }];
    assert_eq!(hub.status_of("p").await.functions, used(1, Some(2)));
    hub.stop().await;
    hub.start().await;
    send(&hub, 3.0, 3).await;
    hub.crash().await;
    hub.start().await;
    send(&hub, 4.0, 4).await;
    assert_eq!(numbers(&hub), ["10", "20", "30", "40"]);
    let again = ROWS.replace("CREATE", "CREATE OR REPLACE");
    assert_eq!(
        hub.sql(&again).await.to_string(),
        "pipeline `p` runs as version 2 and fills `p_rows`; takes `scaled` version 2; no operator has a state"
    );
    send(&hub, 5.0, 5).await;
    hub.sql("ROLLBACK PIPELINE p TO VERSION 1").await;
    send(&hub, 6.0, 6).await;
    assert_eq!(numbers(&hub), ["10", "20", "30", "40", "500", "60"]);
}

#[tokio::test]
async fn the_same_bytes_again_change_nothing_and_other_bytes_change_all_exports() {
    let hub = started().await;
    bring(&hub, scaled(10)).await.unwrap();
    assert_eq!(hub.status_of("p").await.functions[0].newer, None);
    let listed = |version: u32, factor: i64| {
        let digest = digest(&scaled(factor));
        format!(
            "same(x BIGINT) RETURNS BIGINT\tversion {version}\twasm {digest}\n\
             scaled(x BIGINT) RETURNS BIGINT\tversion {version}\twasm {digest}"
        )
    };
    assert_eq!(hub.sql("SHOW FUNCTIONS").await.to_string(), listed(1, 10));
    bring(&hub, scaled(100)).await.unwrap();
    assert_eq!(hub.sql("SHOW FUNCTIONS").await.to_string(), listed(2, 100));
    let described = format!(
        "CREATE FUNCTION scaled(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS '{}', 'scaled'",
        digest(&scaled(100))
    );
    assert_eq!(hub.sql("DESCRIBE scaled").await.to_string(), described);
}

#[tokio::test]
async fn an_operator_keeps_its_state_as_long_as_the_same_code_is_before_it() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    bring(&hub, scaled(10)).await.unwrap();
    let statement =
        "CREATE OR REPLACE PIPELINE p INTO p_rows AS SELECT device, window_start, sum(scaled(n)) AS n
                     FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";
    hub.sql(statement).await;
    send(&hub, 1.0, 1).await;
    let later = statement.replace("sum(scaled(n))", "sum(scaled(n)) + 0");
    assert_eq!(
        hub.sql(&later).await.to_string(),
        "pipeline `p` runs as version 2 and fills `p_rows`; keeps the state of: aggregate device, window_start"
    );
    bring(&hub, scaled(100)).await.unwrap();
    assert_eq!(
        hub.sql(&later).await.to_string(),
        "pipeline `p` runs as version 3 and fills `p_rows`; takes `scaled` version 2; reads the log again: aggregate \
         device, window_start"
    );
    send(&hub, 2.0, 2).await;
    send(&hub, 11.0, 0).await;
    assert_eq!(numbers(&hub), ["300"]);
}

#[tokio::test]
async fn functions_of_sql_call_those_of_components_and_keep_them() {
    let hub = started().await;
    hub.sql("CREATE FUNCTION more(x BIGINT) RETURNS BIGINT RETURN scaled(x) + scaled(1)").await;
    hub.sql(
        "CREATE PIPELINE q INTO q_rows AS SELECT device, ts, more(n) AS n FROM homes WHERE scaled(n) > 10",
    )
    .await;
    send(&hub, 1.0, 1).await;
    send(&hub, 2.0, 2).await;
    assert_eq!(hub.rows("q_rows").len(), 1);
    assert!(hub.rows("q_rows")[0].ends_with(r#""n":30}"#), "{:?}", hub.rows("q_rows"));
    assert_eq!(
        hub.refusal("DROP FUNCTION scaled").await,
        "function `scaled` is in use by `more`, `p`, `q`; hint: drop or replace what uses it first"
    );
    // A component that has another `scaled` takes the one that SQL calls along.
    let two = component(
        r#"(func (export "scaled") (param i64 i64) (result i64) (local.get 0))"#,
        &[("scaled", r#"(param "x" s64) (param "y" s64) (result s64)"#)],
    );
    let refused = bring(&hub, two).await.unwrap_err().to_string();
    assert!(
        refused.starts_with(
            "function `more`, which calls `scaled`, could not be any more: scaled() takes 2 arguments"
        ),
        "{refused}"
    );
    hub.sql("DROP PIPELINE q; DROP FUNCTION more; DROP PIPELINE p; DROP FUNCTION scaled").await;
    let kept = hub.meta.component(&TenantId::main(), &digest(&scaled(10))).await.unwrap();
    assert!(kept.is_some(), "`same` is made of it");
    hub.sql("DROP FUNCTION same").await;
    assert!(hub.meta.component(&TenantId::main(), &digest(&scaled(10))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_row_that_loops_is_put_aside_and_nothing_else_notices() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let core = r#"(func (export "until-zero") (param i64) (result i64)
        (loop $again
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if $again (i64.ne (local.get 0) (i64.const 0))))
        (local.get 0))"#;
    bring(&hub, component(core, &[("until-zero", r#"(param "n" s64) (result s64)"#)])).await.unwrap();
    hub.sql("CREATE PIPELINE p INTO p_rows AS SELECT device, ts, until_zero(n) AS n FROM homes").await;
    hub.sql("CREATE PIPELINE other INTO other_rows AS SELECT device, n FROM homes").await;
    let rows: Vec<String> =
        [3, 0, 5, -1, 7].into_iter().zip(0..).map(|(n, at)| row(f64::from(at), n)).collect();
    hub.send("homes", "a", &rows).await;
    hub.settled().await;
    assert_eq!(numbers(&hub), ["0", "0", "0"]);
    assert_eq!(hub.rows("other_rows").len(), 5);
    hub.until("both are in quarantine", async || quarantined(&hub).await.len() == 2).await;
    for held in quarantined(&hub).await {
        assert!(held.detail.starts_with("until_zero(): it computes longer than "), "{}", held.detail);
    }
    assert_eq!(hub.status_of("p").await.state, RunState::Running);
}

#[test]
fn a_filter_of_a_live_view_calls_a_component() {
    let readings = batch(&[2, 0, 50, 200].map(|n| Reading { at_ms: 0, device: 0, n: Some(n) }));
    let filtered = |text: &str| {
        let filter = RowFilter::compile(readings.schema_ref(), text, &quotient()).unwrap();
        filter.apply(&readings).map(|rows| rows.num_rows())
    };
    assert_eq!(filtered("quotient(100, nullif(n, 0)) > 1").unwrap(), 2);
    let failed = filtered("quotient(100, n) > 1").unwrap_err().to_string();
    assert!(failed.contains("quotient(): nothing divides by zero"), "{failed}");
}

#[tokio::test]
async fn what_cannot_be_a_function_is_refused_whole() {
    let hub = started().await;
    let id = r#"(param "x" f64) (result f64)"#;
    let two = |name: &str| {
        let core = format!(
            r#"(func (export "{name}") (param f64) (result f64) (local.get 0))
               (func (export "good") (param f64) (result f64) (local.get 0))"#
        );
        component(&core, &[("good", id), (name, id)])
    };
    for (name, expected) in [
        ("round", "round() is a function of the language; hint: choose another one, such as `my_round`"),
        ("select", "`select` is a word of SQL; hint: choose another one, such as `my_select`"),
    ] {
        assert_eq!(bring(&hub, two(name)).await.unwrap_err().to_string(), expected);
    }
    assert_eq!(
        bring(&hub, b"\0asm\x01\0\0\0".to_vec()).await.unwrap_err().to_string(),
        "this is a core module, expected a component; hint: build for wasm32-wasip2, or `wasm-tools component new`"
    );
    // The name is free, and the statement says which export it means.
    let round = digest(&two("round"));
    let by_hand =
        format!("CREATE FUNCTION rounded(x DOUBLE) RETURNS DOUBLE LANGUAGE wasm AS '{round}', 'round'");
    assert_eq!(
        hub.refusal(&by_hand).await,
        format!(
            "there is no component with the SHA-256 {round}; hint: springhouse function add FILE.wasm brings one, with all that \
             it exports"
        )
    );
    let known = digest(&scaled(10));
    let refused = hub
        .refusal(&format!("CREATE FUNCTION f(x DOUBLE) RETURNS BIGINT LANGUAGE wasm AS '{known}', 'scaled'"))
        .await;
    assert_eq!(refused, "the export `scaled` has other types than `f`; hint: (BIGINT) RETURNS BIGINT");
    let refused = hub
        .refusal(&format!("CREATE FUNCTION f(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS '{known}', 'scale'"))
        .await;
    assert_eq!(refused, "the component does not export `scale`; hint: it exports `scaled`, `same`");
    let names: Vec<String> = hub
        .engine()
        .function_status(&TenantId::main())
        .await
        .unwrap()
        .into_iter()
        .map(|of| of.name)
        .collect();
    assert_eq!(names, ["same", "scaled"]);
}
