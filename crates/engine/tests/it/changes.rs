//! `DISTINCT ON CHANGE` on random streams, against a model that compares neighbors, and against history.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use proptest::prelude::*;
use springhouse_engine::plan::plan;
use springhouse_engine::statement::{self, Select, Statement};
use springhouse_engine::{Catalog, write_out_changes};

use crate::case::{driven, selected};
use crate::hub::lines;
use crate::readings::{Reading, batch, cuts, homes, readings, time};

/// Later than all the readings are disordered, so that none is late.
const DELAY_MS: i64 = 100_000;

/// A query with what it compares of a reading.
#[derive(Clone, Copy, Debug)]
struct Question {
    sql: &'static str,
    compared: fn(&Reading) -> [Option<i64>; 2],
}

const QUESTIONS: [Question; 3] = [
    Question {
        sql: "SELECT DISTINCT ON CHANGE (n) ts, device, n FROM homes",
        compared: |reading| [reading.n, None],
    },
    Question {
        sql: "SELECT DISTINCT ON CHANGE (n > 0, n % 2 = 0) ts, device, n FROM homes",
        compared: |reading| [reading.n.map(|n| i64::from(n > 0)), reading.n.map(|n| i64::from(n % 2 == 0))],
    },
    Question {
        sql: "SELECT DISTINCT\n ON change ts, homes.device, n FROM homes",
        compared: |reading| [reading.n, None],
    },
];

/// The text as a hub reads it.
fn text(sql: &str) -> String {
    match statement::parse(sql).unwrap().as_slice() {
        [Statement::Query(text)] => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn model(question: Question, readings: &[Reading]) -> Vec<String> {
    let mut readings: Vec<&Reading> = readings.iter().collect();
    readings.sort_by_key(|reading| reading.at_ms);
    let mut before: HashMap<u8, [Option<i64>; 2]> = HashMap::new();
    let changes = readings.into_iter().filter(|reading| {
        let compared = (question.compared)(reading);
        before.insert(reading.device, compared) != Some(compared)
    });
    let shown = |reading: &Reading| {
        let n = reading.n.map_or("null".to_owned(), |n| n.to_string());
        format!(r#"{{"ts":{},"device":"d{}","n":{n}}}"#, time(reading.at_ms), reading.device)
    };
    changes.map(shown).collect()
}

fn engine(question: Question, readings: &[Reading], cuts: &[usize], restart_every: usize) -> Vec<String> {
    let select = Select::bare(text(question.sql));
    let plan = Arc::new(plan(&select, &Catalog::new([homes(DELAY_MS)])).unwrap());
    let (emitted, _) = driven(&plan, &batch(readings), cuts, restart_every);
    selected(&plan, &emitted.rows)
}

async fn on_history(question: Question, readings: &[Reading]) -> Vec<String> {
    let context = SessionContext::new();
    context.register_batch("homes", batch(readings)).unwrap();
    let state = context.state();
    let mut parsed =
        state.sql_to_statement(&text(question.sql), &state.config_options().sql_parser.dialect).unwrap();
    let Parsed::Statement(syntax) = &mut parsed else { panic!("{parsed:?}") };
    assert!(write_out_changes(syntax.as_mut()).unwrap());
    let plan = state.statement_to_plan(parsed).await.unwrap();
    let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

fn few() -> impl Strategy<Value = Vec<Reading>> {
    readings(300, -2..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_has_changed_is_given_however_the_stream_is_cut(readings in few(), cuts in cuts(), restart_every in 0..4_usize) {
        for question in QUESTIONS {
            prop_assert_eq!(engine(question, &readings, &cuts, restart_every), model(question, &readings));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_gives_the_changes_of_the_pipeline(readings in few()) {
        // Without two of one time, whose order a table does not know.
        let mut times = std::collections::HashSet::new();
        let readings: Vec<Reading> = readings.into_iter().filter(|reading| times.insert(reading.at_ms)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for question in QUESTIONS {
            let mut history = runtime.block_on(on_history(question, &readings));
            let mut rows = engine(question, &readings, &[usize::MAX], 0);
            history.sort();
            rows.sort();
            prop_assert_eq!(history, rows);
        }
    }
}
