//! Every aggregate function that a query may use goes on after a restart.

use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use serde_json::Value;
use springhouse_engine::plan::plan;
use springhouse_engine::statement::Select;
use springhouse_engine::{Catalog, Plan, RunError, StreamTable, with_functions};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema};

use crate::case::decode;
use crate::dice::Dice;
use crate::hub::{at, lines};

fn table() -> StreamTable {
    let fields = [
        ("x", ValueType::Float),
        ("n", ValueType::Int),
        ("t", ValueType::Text),
        ("b", ValueType::Bool),
        ("at", ValueType::Time),
    ];
    StreamTable {
        name: "s".parse().unwrap(),
        schema: Schema::new(fields.map(|(name, ty)| Field::new(name, ty)).into()),
        watermark_delay_us: 60_000_000,
    }
}

fn input() -> Vec<String> {
    let mut dice = Dice::new(7);
    let line = |number: u64| {
        let second = number as f64 + 0.25;
        let mut or_null = |text: String| if dice.below(7) == 0 { "null".to_owned() } else { text };
        let (x, n) = (or_null(format!("{}.5", number * 37 % 101)), or_null((number * 13 % 17).to_string()));
        let (t, b) =
            (or_null(format!("\"w{}\"", number * 5 % 11)), or_null(number.is_multiple_of(3).to_string()));
        format!(
            r#"{{"ts":{},"device":"d{}","x":{x},"n":{n},"t":{t},"b":{b},"at":{}}}"#,
            at(second),
            number % 2,
            at(second * 2.0)
        )
    };
    (0..90).map(line).collect()
}

/// The rows of a plan over the input in pieces of five, with a restart after each or none.
fn rows(plan: &Arc<Plan>, restarts: bool) -> Result<Vec<Value>, String> {
    // A panic of a function counts as its failure, so that one does not hide the others.
    let run = std::panic::AssertUnwindSafe(|| run(plan, restarts));
    match std::panic::catch_unwind(run) {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err("it panics".to_owned()),
    }
}

fn run(plan: &Arc<Plan>, restarts: bool) -> Result<Vec<Value>, RunError> {
    let batch = decode(Arc::new(table().schema), &input());
    let mut pipeline = plan.start();
    let mut found = Vec::new();
    for from in (0..batch.num_rows()).step_by(5) {
        found.extend(pipeline.push(0, &batch.slice(from, 5))?.rows);
        if restarts {
            let state = pipeline.snapshot()?;
            pipeline = plan.start();
            pipeline.restore(&state)?;
        }
    }
    found.extend(pipeline.finish()?.rows);
    if restarts {
        // Nothing is open any more, which is a state too.
        let state = pipeline.snapshot()?;
        plan.start().restore(&state)?;
    }
    let texts = found.iter().flat_map(|batch| lines(batch, &[]));
    Ok(texts.map(|line| serde_json::from_str(&line).unwrap()).collect())
}

/// Equal, numbers up to the rounding of their last digits: sums of squares and sketches are merged in another order.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(1.0)
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| is_same(value, &b[name]))
        }
        _ => a == b,
    }
}

/// The rows of a device are two seconds apart, but for those that `b` leaves out.
const FROM: [&str; 3] = [
    "TUMBLE(s, ts, INTERVAL '20' SECOND)",
    "HOP(s, ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND)",
    "SESSION((SELECT * FROM s WHERE b), ts, INTERVAL '5' SECOND, device)",
];

#[test]
fn every_aggregate_that_is_accepted_survives_restarts() {
    let catalog = Catalog::new([table()]);
    let mut names: Vec<String> =
        with_functions(SessionContext::new().state()).aggregate_functions().keys().cloned().collect();
    names.sort_unstable();
    let arguments = [
        "x",
        "n",
        "t",
        "b",
        "at",
        "x, n",
        "x, 0.5",
        "t, '+'",
        "x, ts",
        "t, x",
        "x, 0, 100, 10",
        "x, 2",
        "x, n, 0.5",
        "DISTINCT n",
        "x ORDER BY ts",
        "t, '+' ORDER BY ts",
        "x, 2 ORDER BY ts",
    ];
    let (mut checked, mut wrong) = (Vec::new(), Vec::new());
    for name in &names {
        for arguments in arguments {
            for from in FROM {
                let call = format!("{name}({arguments})");
                let sql = format!(
                    "SELECT device, window_start, {call} AS v FROM {from} GROUP BY device, window_start"
                );
                let Ok(plan) = plan(&Select::bare(sql), &catalog) else { continue };
                let plan = Arc::new(plan);
                match (rows(&plan, false), rows(&plan, true)) {
                    (Ok(expected), Ok(found)) => {
                        let all_same = found.len() == expected.len()
                            && found.iter().zip(&expected).all(|(found, expected)| is_same(found, expected));
                        if !all_same {
                            wrong.push(format!("{call}\nfound    {found:?}\nexpected {expected:?}"));
                        }
                    }
                    (Err(error), _) => wrong.push(format!("{call} is accepted and fails: {error}")),
                    (_, Err(error)) => wrong.push(format!("{call} fails after a restart: {error}")),
                }
                checked.push(call);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    for known in [
        "avg(x)",
        "count(t)",
        "max(at)",
        "stddev(x)",
        "median(n)",
        "first_value(x ORDER BY ts)",
        "count(DISTINCT n)",
        "rate(x, ts)",
        "max_by(t, x)",
        "histogram(x, 0, 100, 10)",
    ] {
        assert!(checked.iter().any(|call| call == known), "{known} is not among {checked:?}");
    }
}
