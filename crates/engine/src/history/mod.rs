//! The window functions of pipelines, and joins with versions, over bounded tables, so that one text means the same live and on history.
//!
//! On history `TUMBLE` and `HOP` are projections that compute `window_start` and `window_end` with the very function that the
//! live operators use, `HOP` with a row for each window; `SESSION` and `COUNT_WINDOW` look at the rows of a key in the order of time. GROUP BY,
//! HAVING and everything else is DataFusion's own.

mod count;
mod pattern;
mod versions;

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use datafusion::common::{Column, Result, ScalarValue, TableReference, exec_err};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::functions_window::lead_lag::lag_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, cast, ident, lit,
};
use datafusion::sql::sqlparser::ast::TableFactor;

use crate::plan::pattern::MatchRecognize;
use crate::plan::versions::Versions;
use crate::plan::window::{
    Aligned, WINDOW_END, WINDOW_START, Window, WindowFunctions, WindowNode, kept_columns, time_type,
};

pub use pattern::with_patterns;
pub use versions::lower_versions;

/// What recognizes window functions and MATCH_RECOGNIZE in FROM; the latter needs a session of [`with_patterns`]. A planner
/// whose catalog does not find names inside arguments, such as `SessionContext`, needs a subquery there:
/// `TUMBLE((SELECT * FROM meter), ts, …)`.
pub fn relation_planners() -> Vec<Arc<dyn RelationPlanner>> {
    vec![Arc::new(BoundedWindows), Arc::new(Versions), Arc::new(MatchRecognize)]
}

#[derive(Debug)]
struct BoundedWindows;

impl RelationPlanner for BoundedWindows {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match WindowFunctions.plan_relation(relation, context)? {
            RelationPlanning::Planned(planned) => {
                let plan = lower(planned.plan)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, planned.alias))))
            }
            original => Ok(original),
        }
    }
}

/// The node in DataFusion's own.
fn lower(plan: LogicalPlan) -> Result<LogicalPlan> {
    let node = match &plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<WindowNode>(),
        _ => None,
    };
    match node.map(|node| (node, node.window)) {
        None => Ok(plan),
        Some((node, Window::Aligned(window))) => aligned(node, window),
        Some((node, Window::Session { gap_us })) => session(node, gap_us),
        Some((node, Window::Count { size })) => count::windows(node, size),
    }
}

/// The columns that the node hands on, and the qualifier of those that it adds.
fn kept(node: &WindowNode) -> (Vec<Expr>, Option<TableReference>) {
    let schema = node.input.schema();
    let kept = kept_columns(schema).map(|index| Expr::from(schema.qualified_field(index))).collect();
    let qualifier = match &node.ts {
        Expr::Column(column) => column.relation.clone(),
        _ => None,
    };
    (kept, qualifier)
}

/// One start where windows stand side by side, otherwise a row for each of the starts.
fn aligned(node: &WindowNode, window: Aligned) -> Result<LogicalPlan> {
    let (mut columns, qualifier) = kept(node);
    let mut all = columns.clone();
    let is_tumbling = window.slide_us == window.size_us;
    let starts = ScalarUDF::from(WindowStarts::new(is_tumbling));
    let starts = starts.call(vec![node.ts.clone(), lit(window.slide_us), lit(window.size_us)]);
    columns.push(starts.alias(WINDOW_START));
    let start = ident(WINDOW_START);
    let end = start.clone() + lit(ScalarValue::DurationMicrosecond(Some(window.size_us)));
    all.push(start.alias_qualified(qualifier.clone(), WINDOW_START));
    all.push(end.alias_qualified(qualifier, WINDOW_END));
    let rows = LogicalPlanBuilder::from(node.input.clone()).project(columns)?;
    let rows = if is_tumbling { rows } else { rows.unnest_column(WINDOW_START)? };
    rows.project(all)?.build()
}

/// A row begins a session when it is the first of its key or at least the gap behind the one before.
fn session(node: &WindowNode, gap_us: i64) -> Result<LogicalPlan> {
    const BEGUN: &str = "_session";
    let (columns, qualifier) = kept(node);
    let keys: Vec<Expr> =
        node.keys.iter().map(|key| without_negative_zero(key, &node.input)).collect::<Result<_>>()?;
    let over = |function: WindowFunctionDefinition, argument: Expr, keys: Vec<Expr>| {
        Expr::from(WindowFunction::new(function, vec![argument])).partition_by(keys)
    };
    let in_order = || vec![node.ts.clone().sort(true, false)];
    let until_here = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    );
    let before = over(WindowFunctionDefinition::WindowUDF(lag_udwf()), node.ts.clone(), keys.clone());
    let before = before.order_by(in_order()).build()?;
    let gap = lit(ScalarValue::DurationMicrosecond(Some(gap_us)));
    let name = |expr: &Expr| expr.schema_name().to_string();
    let rows = LogicalPlanBuilder::from(node.input.clone()).window([before.clone()])?;
    let before = Expr::Column(Column::new_unqualified(name(&before)));
    let begins = before.clone().is_null().or((node.ts.clone() - before).gt_eq(gap.clone()));
    let mut with_begins = columns.clone();
    with_begins.push(cast(begins, DataType::Int64).alias(BEGUN));
    let rows = rows.project(with_begins)?;
    let count = over(WindowFunctionDefinition::AggregateUDF(sum_udaf()), ident(BEGUN), keys.clone());
    let count = count.order_by(in_order()).window_frame(until_here).build()?;
    let rows = rows.window([count.clone()])?;
    let mut keys = keys;
    keys.push(Expr::Column(Column::new_unqualified(name(&count))));
    let first =
        over(WindowFunctionDefinition::AggregateUDF(min_udaf()), node.ts.clone(), keys.clone()).build()?;
    let last = over(WindowFunctionDefinition::AggregateUDF(max_udaf()), node.ts.clone(), keys).build()?;
    let rows = rows.window([first.clone(), last.clone()])?;
    let column = |expr: &Expr| Expr::Column(Column::new_unqualified(name(expr)));
    let mut all = columns;
    all.push(column(&first).alias_qualified(qualifier.clone(), WINDOW_START));
    all.push((column(&last) + gap).alias_qualified(qualifier, WINDOW_END));
    rows.project(all)?.build()
}

/// As the live operator compares keys.
fn without_negative_zero(key: &Expr, input: &LogicalPlan) -> Result<Expr> {
    Ok(match key.get_type(input.schema())? {
        DataType::Float64 => key.clone() + lit(0.0),
        _ => key.clone(),
    })
}

/// The starts of the windows that hold a time, as a list, or the only one; the other arguments are slide and size in
/// microseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowStarts {
    is_one: bool,
    signature: Signature,
}

impl WindowStarts {
    fn new(is_one: bool) -> WindowStarts {
        WindowStarts { is_one, signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WindowStarts {
    fn name(&self) -> &str {
        if self.is_one { "window_start_of" } else { "window_starts_of" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(if self.is_one { time_type() } else { DataType::new_list(time_type(), false) })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, ColumnarValue::Scalar(slide), ColumnarValue::Scalar(size)] = arguments.args.as_slice()
        else {
            return exec_err!("{} takes a time, a slide and a size", self.name());
        };
        let (ScalarValue::Int64(Some(slide_us)), ScalarValue::Int64(Some(size_us))) = (slide, size) else {
            return exec_err!("{}: slide and size are numbers", self.name());
        };
        let window = Aligned { slide_us: *slide_us, size_us: *size_us };
        let times = times.to_array(arguments.number_rows)?;
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return exec_err!("{}: {} is not a time", self.name(), times.data_type());
        };
        if self.is_one {
            let starts: TimestampMicrosecondArray = times.unary(|ts| window.last_start(ts));
            return Ok(ColumnarValue::Array(Arc::new(starts.with_timezone("UTC"))));
        }
        let mut starts = Vec::new();
        let mut lengths = Vec::with_capacity(times.len());
        for ts in times.values() {
            let before = starts.len();
            starts.extend(window.starts_of(*ts));
            lengths.push(starts.len() - before);
        }
        let field = Arc::new(Field::new_list_field(time_type(), false));
        let starts = TimestampMicrosecondArray::from(starts).with_timezone("UTC");
        let lists = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(starts), None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}
