//! What a plan does, in words for people: `EXPLAIN PIPELINE`.

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::compile::{AggregateStep, Group, Step};
use super::episode::EpisodeStep;
use super::join::{JoinStep, Pairing, Reach};
use super::lookup::LookupStep;
use super::over::{Frame, OverStep};
use super::pattern::PatternStep;
use super::placement::{Bounds, Placement};
use super::signal::SignalStep;
use super::window::{Aligned, WINDOW_END, WINDOW_START};
use super::{Plan, Scan, Station};
use crate::operators::{Keys, Side};
use crate::signals::Signal;

/// One step and what it works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedStep {
    pub step: &'static str,
    pub detail: String,
    pub(crate) edge: Edge,
}

/// What hands rows on, counted as in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Scan(usize),
    Station(usize),
}

impl Plan {
    /// The steps from the sources to the last columns, each behind those that feed it.
    pub fn explain(&self) -> Vec<ExplainedStep> {
        let mut all = Vec::new();
        // The columns that each station is given, and what feeds it on its left and right.
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); self.stations.len()];
        for (at, Station { step, to }) in self.stations.iter().enumerate() {
            let scans = self.scans.iter().enumerate();
            for (number, scan) in scans.filter(|(_, scan)| scan.to.is_some_and(|to| to.station == at)) {
                all.push(self.explained_scan(number, scan));
                if scan.to.is_some_and(|to| to.side == Side::Left) {
                    columns[at] = names(&self.sources[scan.source].schema.arrow());
                }
            }
            let (step, detail, given) = explained(step, &columns[at]);
            if let Some(to) = to.filter(|to| to.side == Side::Left) {
                columns[to.station] = given;
            }
            all.push(ExplainedStep { step, detail, edge: Edge::Station(at) });
        }
        let to_output = self.scans.iter().enumerate().filter(|(_, scan)| scan.to.is_none());
        all.extend(to_output.map(|(number, scan)| self.explained_scan(number, scan)));
        all
    }

    fn explained_scan(&self, number: usize, scan: &Scan) -> ExplainedStep {
        let source = &self.sources[scan.source];
        let delay = span(source.watermark_delay_us);
        let patience = match self.allowed_lateness_us {
            0 => String::new(),
            lateness => format!(", and {} that rows may be late", span(lateness)),
        };
        let detail = format!("{}; watermark {delay} behind the largest ts{patience}", source.name);
        ExplainedStep { step: "read", detail, edge: Edge::Scan(number) }
    }
}

/// The word for a step, what it does, and the columns that it gives.
fn explained(step: &Step, columns: &[String]) -> (&'static str, String, Vec<String>) {
    match step {
        Step::Select { columns: kept } => {
            let kept: Vec<String> = kept.iter().filter_map(|column| columns.get(*column).cloned()).collect();
            ("select", kept.join(", "), kept)
        }
        Step::Filter { predicate } => ("filter", text(predicate.as_ref()), columns.to_vec()),
        Step::Project { exprs, schema } => {
            let given = names(schema);
            let named = exprs.iter().zip(&given).map(|(expr, name)| match text(expr.as_ref()) {
                expr if expr == *name => expr,
                expr => format!("{expr} AS {name}"),
            });
            ("project", named.collect::<Vec<_>>().join(", "), given)
        }
        Step::Order { .. } => {
            let detail = "by ts; each row waits until the watermark has passed it".to_owned();
            ("order", detail, columns.to_vec())
        }
        Step::Over(step) => ("over", looked_back(step), names(&step.schema)),
        Step::Signal(step) => ("over", remembered(step), names(&step.schema)),
        Step::Join(step) => ("join", joined(step), names(&step.schema)),
        Step::Lookup(step) => ("look up", looked_up(step), names(&step.schema)),
        Step::Window(step) => ("window", bounds(step.bounds), names(&step.schema)),
        Step::Spread(step) => {
            let detail = format!(
                "a row every {} between two rows that are at most {} apart",
                span(step.step_us),
                span(step.gap_us)
            );
            ("resample", detail, names(&step.schema))
        }
        Step::Aggregate(step) => ("aggregate", aggregation(step), names(&step.schema)),
        Step::Pattern(step) => ("match", pattern(step, columns), names(&step.schema)),
        Step::Episode(step) => ("episodes", episodes(step), names(&step.schema)),
    }
}

fn looked_back(step: &OverStep) -> String {
    let frame = |frame| match frame {
        Frame::Rows { from, to } if from == to => format!("{from} rows back"),
        Frame::Rows { from, to: 0 } => format!("of the last {} rows", from + 1),
        Frame::Rows { from, to } => format!("from {from} to {to} rows back"),
        Frame::Time { from_us, to_us: 0 } => format!("of the last {}", span(from_us)),
        Frame::Time { from_us, to_us } => format!("from {} to {} back", span(from_us), span(to_us)),
    };
    let calls = step.calls.iter().map(|call| format!("{} {}", call.text, frame(call.frame)));
    format!("{}{}", calls.collect::<Vec<_>>().join(", "), by(&step.keys))
}

fn remembered(step: &SignalStep) -> String {
    let calls = step.calls.iter().map(|call| {
        let arguments: Vec<String> = call.arguments.iter().map(|argument| text(argument.as_ref())).collect();
        match call.signal {
            Signal::Hysteresis => format!("hysteresis({})", arguments.join(", ")),
            Signal::Debounce { for_us } => format!("debounce({} for {})", arguments[0], span(for_us)),
        }
    });
    format!("{}{}", calls.collect::<Vec<_>>().join(", "), by(&step.keys))
}

/// Whose rows are looked at together.
fn by(keys: &Keys) -> String {
    let names = key_names(keys);
    if names.is_empty() { names } else { format!("; by {names}") }
}

fn key_names(keys: &Keys) -> String {
    let keys: Vec<String> = keys.exprs().iter().map(|key| text(key.as_ref())).collect();
    keys.join(", ")
}

fn joined(step: &JoinStep) -> String {
    let kind = match step.keeps {
        [false, false] => "pairs",
        [true, false] => "pairs, and left rows alone",
        [false, true] => "pairs, and right rows alone",
        [true, true] => "pairs, and rows of both sides alone",
    };
    let keys = step.keys[0].exprs().iter().zip(step.keys[1].exprs());
    let mut on: Vec<String> =
        keys.map(|(left, right)| format!("{} = {}", text(left.as_ref()), text(right.as_ref()))).collect();
    on.extend(step.condition.as_ref().map(|condition| text(condition.as_ref())));
    let on = if on.is_empty() { "any".to_owned() } else { on.join(" AND ") };
    let reach = |reach| match reach {
        Reach::After(after_us) => format!("for {}", span(after_us)),
        Reach::Window { .. } => "until its window ends".to_owned(),
    };
    match step.pairing {
        Pairing::AsOf => format!("{kind}: each with the newest of the right side where {on}"),
        Pairing::Near([left, right]) if reach(left) == reach(right) => {
            format!("{kind} where {on}; each row is kept {}", reach(left))
        }
        Pairing::Near([left, right]) => {
            format!(
                "{kind} where {on}; rows are kept {} on the left, {} on the right",
                reach(left),
                reach(right)
            )
        }
    }
}

fn looked_up(step: &LookupStep) -> String {
    let definition = &step.table.definition;
    let columns = definition.key.iter().map(|at| &definition.columns[*at].name);
    let keys =
        columns.zip(step.keys.exprs()).map(|(column, key)| format!("{column} = {}", text(key.as_ref())));
    let condition = step.condition.as_ref().map(|condition| text(condition.as_ref()));
    let on: Vec<String> = keys.chain(condition).collect();
    let when = match definition.valid_from_name() {
        Some(since) => format!("the last row with {since} up to the row's time"),
        None => "the row of the version that holds there".to_owned(),
    };
    let alone = if step.keeps_alone { "; rows without one stay" } else { "; rows without one are left out" };
    format!("{}: {when} where {}{alone}", step.table.name, on.join(" AND "))
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
        Bounds::Alone { gap_us: 0 } => "each row at its own time".to_owned(),
        Bounds::Alone { gap_us } => format!("each row until {} behind it", span(gap_us)),
    }
}

fn windows(window: Aligned) -> String {
    match window.slide_us == window.size_us {
        true => format!("windows of {}", span(window.size_us)),
        false => format!("windows of {} every {}", span(window.size_us), span(window.slide_us)),
    }
}

/// A step with state in a few words: `aggregate device, window_start`.
pub(super) fn short_name(step: &Step) -> String {
    match step {
        Step::Aggregate(step) => format!("aggregate {}", group_names(step).join(", ")),
        Step::Join(step) => format!("join {}", key_names(&step.keys[0])).trim_end().to_owned(),
        Step::Over(step) => format!("over {}", key_names(&step.keys)).trim_end().to_owned(),
        Step::Signal(step) => format!("over {}", key_names(&step.keys)).trim_end().to_owned(),
        Step::Episode(step) => format!("episodes {}", step.key_names.join(", ")).trim_end().to_owned(),
        other => explained(other, &[]).0.to_owned(),
    }
}

/// What an aggregation groups by.
fn group_names(step: &AggregateStep) -> Vec<String> {
    let names = step.groups.iter().map(|group| match group {
        Group::WindowStart => WINDOW_START.to_owned(),
        Group::WindowEnd => WINDOW_END.to_owned(),
        Group::Key(expr) => text(expr.as_ref()),
    });
    names.collect()
}

fn aggregation(step: &AggregateStep) -> String {
    let keys = group_names(step);
    let calls: Vec<String> = step.aggregates.iter().map(|call| as_written(call.function.name())).collect();
    let state = match &step.placement {
        Placement::Aligned { window, shared: true, .. } => {
            format!("{} from slices of {}", windows(*window), span(window.slice_us()))
        }
        Placement::Aligned { window, .. } => windows(*window),
        Placement::Session { gap_us, .. } => format!("sessions with a gap of {}", span(*gap_us)),
        Placement::Count { size, .. } => format!("windows of {size} rows"),
    };
    let state = match &step.early {
        Some(early) => format!("{state}; every {} what there is so far", span(early.every_us)),
        None => state,
    };
    let calls = if calls.is_empty() { "nothing but the keys".to_owned() } else { calls.join(", ") };
    format!("{calls} by {}; {state}", keys.join(", "))
}

/// The pattern, how long a match may take, whose rows they are and where the search goes on.
fn pattern(step: &PatternStep, columns: &[String]) -> String {
    let within = step.within_us.map(|within| format!(" within {}", span(within))).unwrap_or_default();
    let keys: Vec<&str> =
        step.partition.iter().filter_map(|key| columns.get(*key)).map(String::as_str).collect();
    let keys =
        if keys.is_empty() { "all rows".to_owned() } else { format!("rows of one {}", keys.join(", ")) };
    format!("({}){within} in {keys}; after a match {}", step.pattern, step.skip)
}

/// Whose episodes they are, and what ends one.
fn episodes(step: &EpisodeStep) -> String {
    let by = match step.key_names.as_slice() {
        [] => "of all rows".to_owned(),
        names => format!("by {}", names.join(", ")),
    };
    let ends = [
        step.fires.map(|_| "a row of the key meets the condition that resolves".to_owned()),
        step.after_us.map(|after_us| format!("none has fired for {}", span(after_us))),
    ];
    format!("{by}; over when {}", ends.into_iter().flatten().collect::<Vec<_>>().join(", or "))
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
