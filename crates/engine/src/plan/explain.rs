//! What a plan does, in words for people: `EXPLAIN PIPELINE`.

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::Plan;
use super::compile::{AggregateStep, Group, Step};
use super::placement::{Bounds, Placement};
use super::window::{Aligned, WINDOW_END, WINDOW_START};

/// One step and what it works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedStep {
    pub step: &'static str,
    pub detail: String,
}

impl Plan {
    /// The steps from the source to the last columns, in their order.
    pub fn explain(&self) -> Vec<ExplainedStep> {
        let delay = span(self.source.watermark_delay_us);
        let mut all = vec![ExplainedStep {
            step: "read",
            detail: format!("{}; watermark {delay} behind the largest ts", self.source.name),
        }];
        let mut columns: Vec<String> = names(&self.source.schema.arrow());
        for step in &self.steps {
            let (step, detail) = match step {
                Step::Select { columns: kept } => {
                    columns = kept.iter().filter_map(|column| columns.get(*column).cloned()).collect();
                    ("select", columns.join(", "))
                }
                Step::Filter { predicate } => ("filter", text(predicate.as_ref())),
                Step::Project { exprs, schema } => {
                    columns = names(schema);
                    let named = exprs.iter().zip(&columns).map(|(expr, name)| match text(expr.as_ref()) {
                        expr if expr == *name => expr,
                        expr => format!("{expr} AS {name}"),
                    });
                    ("project", named.collect::<Vec<_>>().join(", "))
                }
                Step::Window(step) => {
                    columns = names(&step.schema);
                    ("window", bounds(step.bounds))
                }
                Step::Aggregate(step) => {
                    columns = names(&step.schema);
                    ("aggregate", aggregation(step))
                }
            };
            all.push(ExplainedStep { step, detail });
        }
        all
    }
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// An expression without the positions of its columns, which the physical one shows behind their names: `temp@3`.
fn text(expr: &dyn PhysicalExpr) -> String {
    let shown = as_written(&expr.to_string());
    let mut parts = shown.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == part.len() {
            text.push('@');
        }
        text.push_str(rest);
    }
    text
}

/// `count(*)` is planned as the count of a constant.
fn as_written(call: &str) -> String {
    call.replace("count(Int64(1))", "count(*)")
}

fn bounds(bounds: Bounds) -> String {
    match bounds {
        Bounds::Slice { slice_us } => format!("each row into its {}", span(slice_us)),
        Bounds::Each(window) => format!("a row for each of its windows: {}", windows(window)),
        Bounds::Alone { gap_us } => format!("each row until {} behind it", span(gap_us)),
    }
}

fn windows(window: Aligned) -> String {
    match window.slide_us == window.size_us {
        true => format!("windows of {}", span(window.size_us)),
        false => format!("windows of {} every {}", span(window.size_us), span(window.slide_us)),
    }
}

fn aggregation(step: &AggregateStep) -> String {
    let keys = step.groups.iter().map(|group| match group {
        Group::WindowStart => WINDOW_START.to_owned(),
        Group::WindowEnd => WINDOW_END.to_owned(),
        Group::Key(expr) => text(expr.as_ref()),
    });
    let keys: Vec<String> = keys.collect();
    let calls: Vec<String> = step.aggregates.iter().map(|call| as_written(call.function.name())).collect();
    let state = match &step.placement {
        Placement::Aligned { window, shared: true, .. } => {
            format!("{} from slices of {}", windows(*window), span(window.slice_us()))
        }
        Placement::Aligned { window, .. } => windows(*window),
        Placement::Session { gap_us, .. } => format!("sessions with a gap of {}", span(*gap_us)),
    };
    let patience = match step.allowed_lateness_us {
        0 => String::new(),
        lateness => format!(", open {} longer", span(lateness)),
    };
    let calls = if calls.is_empty() { "nothing but the keys".to_owned() } else { calls.join(", ") };
    format!("{calls} by {}; {state}{patience}", keys.join(", "))
}

/// A length of time in the largest unit that gives a whole number.
fn span(micros: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "µs"),
    ];
    let unit = UNITS.iter().find(|(length, _)| micros != 0 && micros % length == 0);
    unit.map_or_else(|| "0 s".to_owned(), |(length, name)| format!("{} {name}", micros / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_whole_numbers_of_their_largest_unit() {
        let cases = [
            (0, "0 s"),
            (1, "1 µs"),
            (250_000, "250 ms"),
            (10_000_000, "10 s"),
            (90_000_000, "90 s"),
            (3_600_000_000, "1 h"),
            (172_800_000_000, "2 d"),
        ];
        for (micros, expected) in cases {
            assert_eq!(span(micros), expected);
        }
    }
}
