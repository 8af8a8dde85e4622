//! MATCH_RECOGNIZE over bounded tables: the operator of pipelines, given all rows in the order of time.
//!
//! The rows end where history ends, and time has come as far as the clock, or as the last row if that is later: a match
//! that waits until the time of WITHIN is over (`$`) is complete if it is over by then. A pipeline, whose watermark
//! stays behind the clock, has given each of its matches no sooner.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::distribution_requirements::InputDistributionRequirements;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::{StreamExt, TryStreamExt, stream};

use crate::RunError;
use crate::operators::{Chunk, Operator, Outbox, PatternMatch, Side};
use crate::plan::pattern::{PatternNode, PatternStep};

/// Lets a session carry out plans with patterns in them.
pub fn with_patterns(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.with_query_planner(Arc::new(HistoryPlanner))
}

/// DataFusion's own, which knows patterns too.
#[derive(Debug)]
struct HistoryPlanner;

#[async_trait]
impl QueryPlanner for HistoryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(PatternPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct PatternPlanner;

#[async_trait]
impl ExtensionPlanner for PatternPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [input]) = (node.as_any().downcast_ref::<PatternNode>(), physical_inputs) else {
            return Ok(None);
        };
        let Expr::Column(ts) = &node.ts else { return plan_err!("MATCH_RECOGNIZE orders by a column") };
        let ts = node.input.schema().index_of_column(ts)?;
        let step = PatternStep::compile(node, session.execution_props())?;
        crate::operators::check_pattern(&step)?;
        Ok(Some(Arc::new(PatternExec::new(Arc::new(step), ts, Arc::clone(input))?)))
    }
}

/// Gives the matches among all rows of its input.
#[derive(Debug)]
struct PatternExec {
    step: Arc<PatternStep>,
    ts: usize,
    input: Arc<dyn ExecutionPlan>,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl PatternExec {
    fn new(step: Arc<PatternStep>, ts: usize, input: Arc<dyn ExecutionPlan>) -> Result<PatternExec> {
        let column = Column::new(input.schema().field(ts).name(), ts);
        let order = PhysicalSortExpr::new(Arc::new(column), SortOptions::new(false, true));
        let Some(order) = LexOrdering::new([order]) else { return plan_err!("an order has a column") };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&step.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(PatternExec { step, ts, input, order, properties: Arc::new(properties) })
    }
}

impl DisplayAs for PatternExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatternExec: {}", self.step.pattern)
    }
}

impl ExecutionPlan for PatternExec {
    fn name(&self) -> &str {
        "PatternExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::from(self.order.clone()))]
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
            Some(input) => Ok(Arc::new(PatternExec::new(Arc::clone(&self.step), self.ts, input)?)),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let run = Run {
            rows: self.input.execute(partition, Arc::clone(&context))?,
            matching: PatternMatch::new(Arc::clone(&self.step)),
            ts: self.ts,
            time: now(),
            memory: MemoryConsumer::new("MATCH_RECOGNIZE").register(context.memory_pool()),
            has_ended: false,
        };
        let batches = stream::try_unfold(run, Run::next).map_ok(|chunks| {
            stream::iter(chunks.into_iter().map(|chunk| Ok::<RecordBatch, DataFusionError>(chunk.batch)))
        });
        let schema: SchemaRef = Arc::clone(&self.step.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten().boxed())))
    }
}

/// Microseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

struct Run {
    rows: SendableRecordBatchStream,
    matching: PatternMatch,
    ts: usize,
    /// How far time has come.
    time: i64,
    memory: MemoryReservation,
    has_ended: bool,
}

impl Run {
    async fn next(mut self) -> Result<Option<(Vec<Chunk>, Run)>> {
        let mut out = Outbox::default();
        match self.rows.try_next().await? {
            Some(batch) => self.take(batch, &mut out)?,
            None if self.has_ended => return Ok(None),
            None => {
                self.has_ended = true;
                self.matching.on_watermark(self.time, &mut out).and_then(|()| self.matching.end(&mut out))?;
            }
        }
        match out.broken.first() {
            // A query tells what is wrong with a row, where a pipeline goes on without it.
            Some(broken) => exec_err!("cannot evaluate the query: {}", broken.why),
            None => Ok(Some((out.chunks, self))),
        }
    }

    fn take(&mut self, batch: RecordBatch, out: &mut Outbox) -> Result<()> {
        let Some(times) = batch.column(self.ts).as_primitive_opt::<TimestampMicrosecondType>() else {
            return plan_err!("MATCH_RECOGNIZE: {} is not a time", batch.column(self.ts).data_type());
        };
        let times = times.clone();
        self.time = self.time.max(times.values().last().copied().unwrap_or(i64::MIN));
        self.matching.on_batch(Side::Left, Chunk { batch, times, lineage: None }, out)?;
        self.memory.try_resize(self.matching.state_bytes())
    }
}

impl From<RunError> for DataFusionError {
    fn from(error: RunError) -> DataFusionError {
        match error {
            RunError::Evaluate(error) | RunError::Row(error) => error,
            other => DataFusionError::External(Box::new(other)),
        }
    }
}
