//! Ends a query whose time is over or whose asker is gone, also where it computes without ever waiting.
//!
//! A task can be ended where it waits. A join of everything with everything does not wait for minutes: it goes through
//! pairs of rows in one step. So the limit is looked at in the plan itself, at every batch that a scan or a join hands
//! on and every time that a join's condition is computed.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use springhouse_engine::Deadline;

/// How long a query may run.
#[derive(Clone, Debug)]
pub(super) struct TimeLimit(Deadline);

/// Whoever waits for the rows; when it is dropped nobody does.
pub(super) struct Asker(Deadline);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl TimeLimit {
    pub fn starting(limit: Duration) -> (TimeLimit, Asker) {
        let deadline = Deadline::within(limit);
        (TimeLimit(deadline.clone()), Asker(deadline))
    }

    /// Functions look at it while they compute.
    pub fn put_into(&self, session: &SessionContext) {
        self.0.put_into(session.state_ref().write().config_mut().options_mut());
    }

    fn check(&self) -> Result<()> {
        Ok(self.0.check()?)
    }

    /// The plan under this limit. What has one input does a bounded amount of work for each of its batches.
    pub fn put_on(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let limited = plan.transform_up(|node| {
            let node = self.put_on_condition(node)?;
            Ok(match node.children().len() {
                1 => Transformed::yes(node),
                _ => Transformed::yes(Arc::new(TimeLimitExec { input: node, limit: self.clone() })),
            })
        });
        limited.data()
    }

    fn put_on_condition(&self, node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            let projection = join.projection().as_ref().map(|columns| columns.to_vec());
            let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
            let filter = join.filter().map(|filter| self.limited(filter));
            return Ok(Arc::new(NestedLoopJoinExec::try_new(
                left,
                right,
                filter,
                join.join_type(),
                projection,
            )?));
        }
        match node.downcast_ref::<HashJoinExec>() {
            Some(join) => match join.filter() {
                Some(filter) => join.builder().with_filter(Some(self.limited(filter))).build_exec(),
                None => Ok(node),
            },
            None => Ok(node),
        }
    }

    fn limited(&self, filter: &JoinFilter) -> JoinFilter {
        let condition = Arc::clone(filter.expression());
        let expression = TimeLimitExpr { condition, limit: self.clone() };
        let columns = filter.column_indices().to_vec();
        JoinFilter::new(Arc::new(expression), columns, Arc::clone(filter.schema()))
    }
}

/// Hands on the batches of its input while there is time.
#[derive(Debug)]
struct TimeLimitExec {
    input: Arc<dyn ExecutionPlan>,
    limit: TimeLimit,
}

impl DisplayAs for TimeLimitExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeLimitExec")
    }
}

impl ExecutionPlan for TimeLimitExec {
    fn name(&self) -> &str {
        "TimeLimitExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(TimeLimitExec { input, limit: self.limit.clone() })),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let limit = self.limit.clone();
        let batches = self.input.execute(partition, context)?;
        let batches = batches.map(move |batch| limit.check().and(batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), batches)))
    }
}

/// A join's condition that is computed while there is time.
#[derive(Debug)]
struct TimeLimitExpr {
    condition: Arc<dyn PhysicalExpr>,
    limit: TimeLimit,
}

impl PartialEq for TimeLimitExpr {
    fn eq(&self, other: &TimeLimitExpr) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for TimeLimitExpr {}

impl Hash for TimeLimitExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for TimeLimitExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for TimeLimitExpr {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.limit.check()?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) => Ok(Arc::new(TimeLimitExpr { condition, limit: self.limit.clone() })),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
