//! The window functions of pipelines over bounded tables, so that one text means the same live and on history.
//!
//! On history `TUMBLE(stream, ts, size)` is a projection that computes `window_start` and `window_end` with the very
//! function that the live operator uses; GROUP BY, HAVING and everything else is DataFusion's own.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use datafusion::sql::sqlparser::ast::TableFactor;

use crate::plan::window::{WINDOW_END, WINDOW_START, Window, WindowFunctions, WindowNode, kept_columns};

/// What recognizes window functions in FROM. A planner whose catalog does not find names inside arguments, such as
/// `SessionContext`, needs a subquery there: `TUMBLE((SELECT * FROM meter), ts, …)`.
pub fn relation_planners() -> Vec<Arc<dyn RelationPlanner>> {
    vec![Arc::new(BoundedWindows)]
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

/// The node as a projection.
fn lower(plan: LogicalPlan) -> Result<LogicalPlan> {
    let node = match &plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<WindowNode>(),
        _ => None,
    };
    let Some(node) = node else { return Ok(plan) };
    let qualifier = match &node.ts {
        Expr::Column(column) => column.relation.clone(),
        _ => None,
    };
    let schema = node.input.schema();
    let mut columns: Vec<Expr> =
        kept_columns(schema).map(|index| Expr::from(schema.qualified_field(index))).collect();
    for (name, is_end) in [(WINDOW_START, false), (WINDOW_END, true)] {
        let bound = ScalarUDF::from(WindowBound::new(is_end));
        let call = bound.call(vec![node.ts.clone(), lit(node.window.size_us())]);
        columns.push(call.alias_qualified(qualifier.clone(), name));
    }
    LogicalPlanBuilder::from(node.input.clone()).project(columns)?.build()
}

/// Start or end of the tumbling window of a time; the second argument is the size in microseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowBound {
    is_end: bool,
    signature: Signature,
}

impl WindowBound {
    fn new(is_end: bool) -> WindowBound {
        WindowBound { is_end, signature: Signature::any(2, Volatility::Immutable) }
    }
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl ScalarUDFImpl for WindowBound {
    fn name(&self) -> &str {
        if self.is_end { "tumble_end" } else { "tumble_start" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, size] = arguments.args.as_slice() else {
            return exec_err!("{} takes a time and a size", self.name());
        };
        let ColumnarValue::Scalar(ScalarValue::Int64(Some(size_us))) = size else {
            return exec_err!("{}: the size is not a number", self.name());
        };
        let window = Window::Tumble { size_us: *size_us };
        let offset = if self.is_end { *size_us } else { 0 };
        let times = times.to_array(arguments.number_rows)?;
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return exec_err!("{}: {} is not a time", self.name(), times.data_type());
        };
        let bounds: TimestampMicrosecondArray = times.unary(|ts| window.start_of(ts).saturating_add(offset));
        Ok(ColumnarValue::Array(Arc::new(bounds.with_timezone("UTC"))))
    }
}
