//! `TUMBLE(stream, ts, size)`: the table function that puts rows into windows.
//!
//! In a plan it is a node that adds `window_start` and `window_end` to its input. On an endless stream the
//! compiler turns it into an operator, on history into a projection with the same arithmetic, so that one text
//! means the same on both. `HOP` and `SESSION` will be further kinds of this node.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{
    Column, DFSchema, DFSchemaRef, Result, ScalarValue, TableReference, plan_datafusion_err,
};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableFactor,
};

use super::PlanError;

pub const WINDOW_START: &str = "window_start";
pub const WINDOW_END: &str = "window_end";

/// How rows are put into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// Windows of one size, side by side, aligned to the Unix epoch: `[start, start + size)`.
    Tumble { size_us: i64 },
}

impl Window {
    /// The start of the window that `ts` falls into.
    pub fn start_of(self, ts: i64) -> i64 {
        let Window::Tumble { size_us } = self;
        ts.saturating_sub(ts.rem_euclid(size_us))
    }

    pub fn size_us(self) -> i64 {
        let Window::Tumble { size_us } = self;
        size_us
    }
}

/// The node: its input's columns (without window columns of an earlier window) and the two of this one.
#[derive(Clone)]
pub struct WindowNode {
    pub input: LogicalPlan,
    pub ts: Expr,
    pub window: Window,
    schema: DFSchemaRef,
}

impl WindowNode {
    fn new(input: LogicalPlan, ts: Expr, window: Window) -> Result<WindowNode> {
        let qualifier = match &ts {
            Expr::Column(column) => column.relation.clone(),
            _ => None,
        };
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> = kept_columns(input.schema())
            .map(|index| {
                let (qualifier, field) = input.schema().qualified_field(index);
                (qualifier.cloned(), Arc::clone(field))
            })
            .collect();
        for name in [WINDOW_START, WINDOW_END] {
            fields.push((qualifier.clone(), Arc::new(Field::new(name, time_type(), false))));
        }
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(WindowNode { input, ts, window, schema: Arc::new(schema) })
    }
}

/// Columns of the input that the node hands on: a window over windows shows only its own window columns.
pub(crate) fn kept_columns(input: &DFSchema) -> impl Iterator<Item = usize> + '_ {
    let is_window = |name: &str| name == WINDOW_START || name == WINDOW_END;
    (0..input.fields().len()).filter(move |index| !is_window(input.field(*index).name()))
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl fmt::Debug for WindowNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.window, self.ts)
    }
}

impl PartialEq for WindowNode {
    fn eq(&self, other: &WindowNode) -> bool {
        self.input == other.input && self.ts == other.ts && self.window == other.window
    }
}

impl Eq for WindowNode {}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &WindowNode) -> Option<Ordering> {
        match self.window.size_us().cmp(&other.window.size_us()) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            order => Some(order),
        }
    }
}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.ts.hash(state);
        self.window.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.ts.clone()]
    }

    /// Filters on other columns may go below: they do not change which window a row belongs to.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::from([WINDOW_START.to_owned(), WINDOW_END.to_owned()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Window: {:?} of {}", self.window, self.ts)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<WindowNode> {
        let wrong = || plan_datafusion_err!("a window has one input and one time");
        let ts = exprs.into_iter().next().ok_or_else(wrong)?;
        let input = inputs.into_iter().next().ok_or_else(wrong)?;
        WindowNode::new(input, ts, self.window)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let kept: Vec<usize> = kept_columns(self.input.schema()).collect();
        let mut needed: Vec<usize> =
            output_columns.iter().filter_map(|column| kept.get(*column).copied()).collect();
        if let Expr::Column(ts) = &self.ts {
            needed.extend(self.input.schema().maybe_index_of_column(ts));
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Recognizes window functions in FROM.
#[derive(Debug)]
pub struct WindowFunctions;

impl RelationPlanner for WindowFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, args: Some(args), alias, .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        match function_name(name).as_str() {
            "tumble" => {}
            "hop" | "session" => {
                let name = function_name(name).to_uppercase();
                let error = PlanError::new(format!("{name} windows are not available in this version"));
                return Err(error.with_hint("TUMBLE(stream, ts, INTERVAL '10' SECOND) is").into());
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        }
        let [table, ts, size] = arguments(&args.args)?;
        let input = context.plan(as_relation(table)?)?;
        let ts = context.sql_to_expr(ts.clone(), input.schema())?;
        let Expr::Column(column) = &ts else {
            return Err(usage("the second argument is a column").into());
        };
        let ts = Expr::Column(Column::new(column.relation.clone(), column.name.clone()));
        check_time(&ts, input.schema())?;
        let size = context.sql_to_expr(size.clone(), &DFSchema::empty())?;
        let window = Window::Tumble { size_us: length_us(&size)? };
        let node = WindowNode::new(input, ts, window)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

fn function_name(name: &ObjectName) -> String {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.to_ascii_lowercase()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn usage(problem: &str) -> PlanError {
    PlanError::new(format!("TUMBLE: {problem}")).with_hint("TUMBLE(stream, ts, INTERVAL '10' SECOND)")
}

/// The three arguments, by position or by the names of SQL:2016.
fn arguments(args: &[FunctionArg]) -> Result<[&SqlExpr; 3], PlanError> {
    const NAMES: [&[&str]; 3] = [&["data"], &["timecol"], &["size"]];
    let mut found: [Option<&SqlExpr>; 3] = [None; 3];
    for (position, arg) in args.iter().enumerate() {
        let (slot, value) = match arg {
            FunctionArg::Unnamed(value) => (Some(position), value),
            FunctionArg::Named { name, arg, .. } => {
                let name = name.value.to_ascii_lowercase();
                (NAMES.iter().position(|names| names.contains(&name.as_str())), arg)
            }
            FunctionArg::ExprNamed { .. } => return Err(usage("an argument has no plain name")),
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(usage("`*` is not an argument"));
        };
        match slot.and_then(|slot| found.get_mut(slot)) {
            Some(place) => *place = Some(value),
            None => return Err(usage("three arguments are expected")),
        }
    }
    match found {
        [Some(table), Some(ts), Some(size)] => Ok([table, ts, size]),
        _ => Err(usage("three arguments are expected")),
    }
}

/// A name or a subquery that stands as an argument, as a relation.
pub(crate) fn as_relation(argument: &SqlExpr) -> Result<TableFactor, PlanError> {
    match argument {
        SqlExpr::Identifier(name) => Ok(table(vec![name.clone()])),
        SqlExpr::CompoundIdentifier(parts) => Ok(table(parts.clone())),
        SqlExpr::Subquery(query) => {
            Ok(TableFactor::Derived { lateral: false, subquery: query.clone(), alias: None, sample: None })
        }
        _ => Err(usage("the first argument is a stream or a subquery in parentheses")),
    }
}

fn table(parts: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(parts),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

fn check_time(ts: &Expr, schema: &DFSchema) -> Result<(), PlanError> {
    use datafusion::logical_expr::ExprSchemable;
    match ts.get_type(schema) {
        Ok(ty) if ty == time_type() => Ok(()),
        Ok(_) => Err(usage(&format!("`{ts}` is not a timestamp"))),
        Err(error) => Err(error.into()),
    }
}

/// An interval of fixed length, in microseconds, above zero.
fn length_us(size: &Expr) -> Result<i64, PlanError> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = size else {
        return Err(usage("the size is an interval"));
    };
    if interval.months != 0 {
        return Err(PlanError::new("TUMBLE: months have no fixed length").with_hint("use days"));
    }
    if interval.nanoseconds % 1_000 != 0 {
        return Err(usage("event time has microseconds, no finer"));
    }
    let size = i64::from(interval.days) * 86_400_000_000 + interval.nanoseconds / 1_000;
    match size > 0 {
        true => Ok(size),
        false => Err(usage("the size must be above zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch_also_before_it() {
        let window = Window::Tumble { size_us: 10 };
        for (ts, start) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
            assert_eq!(window.start_of(ts), start, "{ts}");
        }
        assert_eq!(window.start_of(i64::MIN), i64::MIN);
    }
}
