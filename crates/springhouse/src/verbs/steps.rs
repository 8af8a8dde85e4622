//! The steps of a pipeline with what they hand on, for a person.

use serde_json::Value;

use super::sql::print_rows;

/// Each step, how many rows it has handed on, and the last of them.
pub fn print(steps: &Value) -> anyhow::Result<()> {
    for step in steps.as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
        let rows = step.get("handed_on").and_then(Value::as_u64).unwrap_or_default();
        let noun = if rows == 1 { "row" } else { "rows" };
        println!("{:<10} {}  →  {rows} {noun}", text("step"), text("detail"));
        if rows > 0 {
            print_rows(step)?;
        }
        println!();
    }
    Ok(())
}
