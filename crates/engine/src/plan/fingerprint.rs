//! What each station that remembers something computes, written out from the sources on.
//!
//! Two stations with the same text give the same results for the same rows, so that one can go on with the state of the
//! other. What comes behind a station is not in its text, nor are the places of columns, which move when a stream grows.
//! All sources are: what operators are told of time comes from all of them. The text is kept and compared whole:
//! nothing that differs can be taken for the same.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::compile::{AggregateCall, AggregateStep, Group, Step};
use super::episode::EpisodeStep;
use super::explain::short_name;
use super::join::{JoinStep, Pairing, Reach};
use super::lookup::LookupStep;
use super::over::{OverFunction, OverStep};
use super::pattern::{Condition, PatternStep};
use super::placement::{Bound, Placement};
use super::signal::SignalStep;
use super::{Plan, Port, Station};
use crate::functions::ComponentCall;
use crate::operators::Side;

/// A station with state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatefulStep {
    /// For people: `aggregate device, window_start`.
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    /// Unless its state is kept, it has none: it says what has been given, which rows that are read again do not bring
    /// back, since what they give is thrown away.
    pub(crate) begins_empty: bool,
}

/// What comes into a station by one way, or out of it.
#[derive(Clone)]
struct Flow {
    text: String,
    schema: SchemaRef,
}

impl Plan {
    /// The stations with state, in the order in which a pipeline gives their states.
    pub(crate) fn stateful_steps(&self) -> Result<Vec<StatefulStep>> {
        let mut sources: Vec<String> = self
            .sources
            .iter()
            .map(|source| format!("source {} {}", source.name, source.watermark_delay_us))
            .collect();
        sources.sort_unstable();
        let time = format!("{} late {}\n", sources.join(" "), self.allowed_lateness_us);
        // By station and side, in the order of the plan.
        let mut inputs: Vec<Vec<(Side, Flow)>> = vec![Vec::new(); self.stations.len()];
        for scan in &self.scans {
            let Some(Port { station, side }) = scan.to else { continue };
            let source = &self.sources[scan.source];
            let flow = Flow { text: format!("read {}\n", source.name), schema: source.schema.arrow() };
            inputs[station].push((side, flow));
        }
        let mut found = Vec::new();
        for (at, Station { step, to }) in self.stations.iter().enumerate() {
            let given = given(step, &std::mem::take(&mut inputs[at]))?;
            if step.has_state() {
                let fingerprint = format!("{time}{}", given.text);
                let begins_empty = matches!(step, Step::Episode(_));
                found.push(StatefulStep { name: short_name(step), fingerprint, begins_empty });
            }
            if let Some(Port { station, side }) = to {
                inputs[*station].push((*side, given));
            }
        }
        Ok(found)
    }
}

/// What a step makes of its inputs.
fn given(step: &Step, inputs: &[(Side, Flow)]) -> Result<Flow> {
    let mut text = String::new();
    for (side, flow) in inputs {
        // Writing into a String does not fail.
        let _ = writeln!(text, "{side:?} {{\n{}}}", flow.text);
    }
    let of = |wanted: Side| {
        let found = inputs.iter().find(|(side, _)| *side == wanted);
        found.map_or_else(|| Arc::new(Schema::empty()), |(_, flow)| Arc::clone(&flow.schema))
    };
    let input = of(Side::Left);
    let (line, schema) = match step {
        Step::Select { columns } => {
            let kept: SchemaRef = Arc::new(input.project(columns)?);
            (format!("select {}", names(&kept)), kept)
        }
        Step::Filter { predicate } => (format!("filter {}", written(predicate, &input)?), input),
        Step::Project { exprs, schema } => {
            (format!("project {} as {}", all_written(exprs, &input)?, names(schema)), Arc::clone(schema))
        }
        Step::Order { schema, behind_us: 0 } => (format!("order {}", names(schema)), Arc::clone(schema)),
        Step::Order { schema, behind_us } => {
            (format!("order {behind_us} behind {}", names(schema)), Arc::clone(schema))
        }
        Step::Window(step) => {
            let ts = input.field(step.ts).name();
            let line = format!("window {ts} {:?} keeps {}", step.bounds, names(&step.schema));
            (line, Arc::clone(&step.schema))
        }
        Step::Spread(step) => {
            let list = input.field(step.column).name();
            (format!("spread {list} gives {}", names(&step.schema)), Arc::clone(&step.schema))
        }
        Step::Join(step) => (join(step)?, Arc::clone(&step.schema)),
        Step::Lookup(step) => (lookup(step, &input)?, Arc::clone(&step.schema)),
        Step::Over(step) => (over(step, &input)?, Arc::clone(&step.schema)),
        Step::Signal(step) => (signals(step, &input)?, Arc::clone(&step.schema)),
        Step::Pattern(step) => (pattern(step, &input)?, Arc::clone(&step.schema)),
        Step::Aggregate(step) => (aggregate(step, &input)?, Arc::clone(&step.schema)),
        Step::Episode(step) => (episode(step, &input)?, Arc::clone(&step.schema)),
    };
    let _ = writeln!(text, "{line}");
    Ok(Flow { text, schema })
}

fn aggregate(step: &AggregateStep, input: &Schema) -> Result<String> {
    let placement = match &step.placement {
        Placement::Aligned { window, shared, .. } => format!("{window:?} {shared}"),
        Placement::Session { gap_us, keys, .. } => format!("session {gap_us} {keys:?}"),
        Placement::Count { size, keys } => format!("count {size} {keys:?}"),
    };
    let mut line = format!("aggregate {placement} {}", names(&step.key_schema));
    for group in &step.groups {
        let group = match group {
            Group::WindowStart => "start".to_owned(),
            Group::WindowEnd => "end".to_owned(),
            Group::Key(expr) => written(expr, input)?,
        };
        let _ = write!(line, "; by {group}");
    }
    for aggregate in &step.aggregates {
        let _ = write!(line, "; {}", call(aggregate, input)?);
    }
    if let Some(early) = &step.early {
        let _ = write!(line, "; early every {}", early.every_us);
    }
    Ok(line)
}

fn call(call: &AggregateCall, input: &Schema) -> Result<String> {
    let function = &call.function;
    let arguments = all_written(&call.arguments, input)?;
    let filter = match &call.filter {
        Some(filter) => written(filter, input)?,
        None => String::new(),
    };
    let mut orders = String::new();
    for order in function.order_bys() {
        let _ = write!(orders, "{} {:?}, ", written(&order.expr, input)?, order.options);
    }
    Ok(format!(
        "call {} {} {} {} ({arguments}) order {orders} filter {filter} gives {}",
        function.fun().name(),
        function.is_distinct(),
        function.ignore_nulls(),
        function.is_reversed(),
        function.field().data_type(),
    ))
}

fn join(step: &JoinStep) -> Result<String> {
    let [left, right] = &step.inputs;
    let keys = [all_written(step.keys[0].exprs(), left)?, all_written(step.keys[1].exprs(), right)?];
    let condition = match &step.condition {
        Some(condition) => written(condition, &step.pair)?,
        None => String::new(),
    };
    let reach = |reach: Reach, input: &Schema| match reach {
        Reach::After(after_us) => format!("after {after_us}"),
        Reach::Window { end: Bound { column, is_start }, size_us } => {
            format!("window {} {is_start} {size_us}", input.field(column).name())
        }
    };
    let pairing = match step.pairing {
        Pairing::Near([near_left, near_right]) => {
            format!("near {} {}", reach(near_left, left), reach(near_right, right))
        }
        Pairing::AsOf => "as of".to_owned(),
    };
    let inputs = format!("{} with {}", names(left), names(right));
    Ok(format!("join {keys:?} on {condition}; {pairing}; keeps {:?}; {inputs}", step.keeps))
}

fn lookup(step: &LookupStep, input: &Schema) -> Result<String> {
    let condition = match &step.condition {
        Some(condition) => written(condition, &step.pair)?,
        None => String::new(),
    };
    let keys = all_written(step.keys.exprs(), input)?;
    let (name, id, keeps) = (&step.table.name, step.table.id, step.keeps_alone);
    Ok(format!("look up {name} {id} by {keys} on {condition}; keeps {keeps}; {}", names(&step.schema)))
}

fn over(step: &OverStep, input: &Schema) -> Result<String> {
    let mut line = format!("over {} of {}", all_written(step.keys.exprs(), input)?, names(input));
    for over in &step.calls {
        let function = match &over.function {
            OverFunction::Aggregate(aggregate) => call(aggregate, input)?,
            OverFunction::Pick { argument, which, default } => {
                format!("{which:?} {} or {default:?}", written(argument, input)?)
            }
        };
        let _ = write!(line, "; {function} {:?}", over.frame);
    }
    let _ = write!(line, "; gives {}", names(&step.schema));
    Ok(line)
}

fn signals(step: &SignalStep, input: &Schema) -> Result<String> {
    let mut line = format!("signals {} of {}", all_written(step.keys.exprs(), input)?, names(input));
    for call in &step.calls {
        let _ = write!(line, "; {:?} {}", call.signal, all_written(&call.arguments, input)?);
    }
    let _ = write!(line, "; gives {}", names(&step.schema));
    Ok(line)
}

/// What is kept of open matches; the measures are computed from that when a match is complete.
fn pattern(step: &PatternStep, input: &Schema) -> Result<String> {
    let partition: Vec<&String> = step.partition.iter().map(|key| input.field(*key).name()).collect();
    let mut line = format!(
        "match {} {:?} {} {:?} by {partition:?} of {}",
        step.pattern,
        step.skip,
        step.until_time_is_over,
        step.within_us,
        names(input)
    );
    for previous in &step.previous {
        let _ = write!(line, "; before {} {}", written(&previous.expr, input)?, previous.rows);
    }
    let _ = write!(line, "; keeps {}; terms {:?}", all_written(&step.kept, &step.row_schema)?, step.terms);
    for condition in &step.conditions {
        let condition = match condition {
            Condition::Always => String::new(),
            Condition::OfRow(expr) => written(expr, &step.row_schema)?,
            Condition::OfMatch(expr) => written(expr, &step.condition_schema)?,
        };
        let _ = write!(line, "; when {condition}");
    }
    Ok(line)
}

/// A condition that fires is part of what comes in.
fn episode(step: &EpisodeStep, input: &Schema) -> Result<String> {
    let keys = all_written(step.keys.exprs(), &step.rows)?;
    let fires = step.fires.map(|fires| input.field(fires).name());
    Ok(format!("episodes of {keys} while {fires:?} for {:?} of {}", step.after_us, names(&step.rows)))
}

fn names(schema: &Schema) -> String {
    let fields = schema.fields().iter().map(|field| format!("{:?} {}", field.name(), field.data_type()));
    fields.collect::<Vec<_>>().join(", ")
}

fn all_written(exprs: &[Arc<dyn PhysicalExpr>], input: &Schema) -> Result<String> {
    let texts: Result<Vec<String>> = exprs.iter().map(|expr| written(expr, input)).collect();
    Ok(texts?.join("; "))
}

/// An expression with the names of its columns and the type of each of its parts: `5` may be a whole number or not. The same name
/// may come to run another component, which is told beside it.
fn written(expr: &Arc<dyn PhysicalExpr>, input: &Schema) -> Result<String> {
    let mut types: Vec<DataType> = Vec::new();
    let mut brought = String::new();
    expr.apply(|part| {
        types.push(part.data_type(input)?);
        if let Some(call) = part.downcast_ref::<ScalarFunctionExpr>()
            && let Some((digest, export)) = ComponentCall::identity(call.fun())
        {
            let _ = write!(brought, " by {digest} {export:?}");
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let without_places = Arc::clone(expr).transform(|part| {
        Ok(match part.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as _),
            None => Transformed::no(part),
        })
    })?;
    let types = types.iter().map(DataType::to_string).collect::<Vec<_>>().join(" ");
    Ok(format!("{} [{types}]{brought}", without_places.data))
}
