//! Running one SELECT: read it, plan it over the tenant's tables, hand its batches on as they come.
//!
//! A query works on threads of its own and gives each batch away through a queue of few places: a client who reads
//! slowly slows it down, one who goes away ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::{Stream, StreamExt};
use metrics::histogram;
use springhouse_engine::{Task, Threads};
use springhouse_model::TenantId;
use tokio::sync::{mpsc, oneshot};

use super::statement::{check_size, planned};
use super::time_limit::{Asker, TimeLimit};
use crate::LakeError;
use crate::keeper::Shared;
use crate::twin::Twin;

/// Batches that wait for a client.
const QUEUE: usize = 2;
/// Size of a batch as it is handed on.
const PIECE_BYTES: usize = 1 << 20;
/// What the constants of a query may take in one batch.
const CONSTANTS_BYTES_MAX: usize = 64 << 20;

/// The rows of a query, as they come.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: RowStream,
}

/// Batches of a running query; dropping it ends the query.
pub struct RowStream {
    receiver: mpsc::Receiver<Result<RecordBatch, LakeError>>,
    outcome: Arc<RunOutcome>,
    _task: Task<()>,
    _asker: Asker,
}

/// How a run ended; set before its queue closes.
#[derive(Default)]
struct RunOutcome {
    /// All rows that were to be sent were sent, or an error in their place.
    complete: AtomicBool,
    truncated: AtomicBool,
}

/// All rows of a query.
#[derive(Clone, Debug)]
pub struct QueryRows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub row_count: usize,
    /// There were more rows than may be returned.
    pub truncated: bool,
}

impl RowStream {
    /// Whether rows were cut off at the limit; known when the stream has ended.
    pub fn truncated(&self) -> bool {
        self.outcome.truncated.load(Ordering::Acquire)
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, LakeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.receiver.poll_recv(context);
        // A queue that just closes would make a part look like the whole.
        match &next {
            Poll::Ready(None) if !self.outcome.complete.swap(true, Ordering::AcqRel) => {
                Poll::Ready(Some(Err(LakeError::Interrupted)))
            }
            _ => next,
        }
    }
}

impl QueryResult {
    /// Waits for all rows.
    pub async fn collect(mut self) -> Result<QueryRows, LakeError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.batches.next().await {
            batches.push(batch?);
        }
        let row_count = batches.iter().map(RecordBatch::num_rows).sum();
        Ok(QueryRows { schema: self.schema, batches, row_count, truncated: self.batches.truncated() })
    }
}

/// Plans the query and starts it; returns when its columns are known.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    twin: &Twin,
    tenant: &TenantId,
    sql: &str,
) -> Result<QueryResult, LakeError> {
    check_size(sql)?;
    let (shared, twin, tenant, sql) = (Arc::clone(shared), twin.clone(), tenant.clone(), sql.to_owned());
    let limits = Limits { time: shared.options.query_time, rows: shared.options.query_rows_max };
    let session = SessionContext::new_with_state(shared.session.clone());
    let threads = Arc::clone(&shared.threads);
    run(&threads, limits, move |time| async move {
        time.put_into(&session);
        let plan = planned(&shared, &twin, &tenant, &session, &sql)?;
        begun(session.execute_logical_plan(plan).await.map_err(LakeError::query)?, &time).await
    })
    .await
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub time: Duration,
    pub rows: usize,
}

/// Rows on their way. The plan holds the tables and these their files, which must not be deleted before the last row;
/// the rows alone hold nothing but names of objects.
pub(super) struct Begun {
    rows: SendableRecordBatchStream,
    _plan: LogicalPlan,
}

pub(super) async fn begun(frame: DataFrame, limit: &TimeLimit) -> Result<Begun, LakeError> {
    let plan = frame.logical_plan().clone();
    let context = frame.task_ctx();
    let work = frame.create_physical_plan().await.map_err(LakeError::query)?;
    let context = Arc::new(with_batches_for(&work, context)?);
    let rows = limit.put_on(work).and_then(|work| execute_stream(work, context)).map_err(LakeError::query)?;
    Ok(Begun { rows, _plan: plan })
}

/// A constant is written into every row where it is used: with long ones, fewer rows are computed at a time.
fn with_batches_for(plan: &Arc<dyn ExecutionPlan>, context: TaskContext) -> Result<TaskContext, LakeError> {
    let mut bytes = 0;
    plan.apply(|node| {
        node.apply_expressions(&mut |expr| {
            expr.apply(|expr| {
                bytes += expr.downcast_ref::<Literal>().map_or(0, |literal| long_text_bytes(literal.value()));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(LakeError::query)?;
    let rows = context.session_config().batch_size().min(CONSTANTS_BYTES_MAX / bytes.max(1)).max(1);
    let config = context.session_config().clone().with_batch_size(rows);
    Ok(context.with_session_config(config))
}

/// Short ones, as in a list of a thousand names, are not worth counting.
fn long_text_bytes(value: &ScalarValue) -> usize {
    value.try_as_str().flatten().map_or(0, str::len) / 1_024 * 1_024
}

/// Runs what `begin` starts on the lake's threads.
pub(super) async fn run<F: Future<Output = Result<Begun, LakeError>> + Send + 'static>(
    threads: &Threads,
    limits: Limits,
    begin: impl FnOnce(TimeLimit) -> F,
) -> Result<QueryResult, LakeError> {
    let (limit, asker) = TimeLimit::starting(limits.time);
    let begin = begin(limit);
    let (schema_sender, schema) = oneshot::channel();
    let (rows, receiver) = mpsc::channel(QUEUE);
    let outcome = Arc::new(RunOutcome::default());
    let reported = Arc::clone(&outcome);
    let task = threads.start(async move {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + limits.time;
        let begun = tokio::time::timeout_at(deadline, begin).await;
        match begun.unwrap_or(Err(LakeError::TimeLimit { limit: limits.time })) {
            Ok(mut begun) => {
                let _ = schema_sender.send(Ok(begun.rows.schema()));
                if let Err(error) = forward(&mut begun.rows, limits, deadline, &rows, &reported).await {
                    let _ = rows.send(Err(error)).await;
                }
                reported.complete.store(true, Ordering::Release);
            }
            Err(error) => {
                let _ = schema_sender.send(Err(error));
            }
        }
        histogram!("springhouse_query_seconds").record(started.elapsed().as_secs_f64());
    })?;
    let schema = schema.await.map_err(|_| LakeError::Interrupted)??;
    Ok(QueryResult { schema, batches: RowStream { receiver, outcome, _task: task, _asker: asker } })
}

async fn forward(
    stream: &mut SendableRecordBatchStream,
    limits: Limits,
    deadline: tokio::time::Instant,
    rows: &mpsc::Sender<Result<RecordBatch, LakeError>>,
    outcome: &RunOutcome,
) -> Result<(), LakeError> {
    let mut left = limits.rows;
    loop {
        let next = tokio::time::timeout_at(deadline, stream.next()).await;
        let Some(batch) = next.map_err(|_| LakeError::TimeLimit { limit: limits.time })? else {
            return Ok(());
        };
        let mut batch = batch.map_err(LakeError::query)?;
        let is_cut = batch.num_rows() > left;
        if is_cut {
            outcome.truncated.store(true, Ordering::Release);
            batch = batch.slice(0, left);
        }
        left -= batch.num_rows();
        for piece in pieces(&batch) {
            if rows.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        if is_cut {
            return Ok(());
        }
    }
}

/// A batch in pieces of about [`PIECE_BYTES`]: whoever writes them out does so for a short time each.
fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let bytes: usize = batch.columns().iter().map(own_bytes).sum();
    let rows = (batch.num_rows() * PIECE_BYTES / bytes.max(1)).max(1);
    let starts = (0..batch.num_rows()).step_by(rows);
    starts.map(move |start| batch.slice(start, rows.min(batch.num_rows() - start)))
}

/// Bytes of the rows that an array shows, not of all the memory that it shares.
fn own_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    #[test]
    fn large_rows_are_handed_on_in_small_pieces() {
        let texts: StringArray = (0..100).map(|_| Some("x".repeat(100_000))).collect();
        let batch = RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap();
        let rows: Vec<usize> = pieces(&batch).map(|piece| piece.num_rows()).collect();
        assert_eq!(rows, [vec![10; 10]].concat());
        let numbers: Int64Array = (0..8_192).map(Some).collect();
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
        assert_eq!(pieces(&batch).count(), 1);
        assert_eq!(pieces(&batch.slice(0, 0)).count(), 0);
    }

    #[tokio::test]
    async fn rows_of_a_run_that_breaks_off_are_not_taken_for_all() {
        let values: Int64Array = [1, 2, 3].into_iter().map(Some).collect();
        let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as _)]).unwrap();
        let schema = batch.schema();
        let fault = stream::once(async { panic!("a fault of the engine") });
        let rows = stream::iter([Ok(batch)]).chain(fault);
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let threads = Threads::new("test", 1).unwrap();
        let limits = Limits { time: Duration::from_secs(60), rows: 100 };
        let begun = Begun { rows, _plan: LogicalPlan::default() };
        let mut result = run(&threads, limits, |_| async move { Ok(begun) }).await.unwrap();
        assert_eq!(result.batches.next().await.unwrap().unwrap().num_rows(), 3);
        let end = result.batches.next().await.unwrap();
        assert!(matches!(end, Err(LakeError::Interrupted)), "{end:?}");
        assert!(result.batches.next().await.is_none());
    }
}
