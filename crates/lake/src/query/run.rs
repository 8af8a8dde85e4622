//! Running one SELECT: read it, plan it over the tenant's tables, hand its batches on as they come.
//!
//! A query works on threads of its own and gives each batch away through a queue of few places: a client who reads
//! slowly slows it down, one who goes away ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::{Stream, StreamExt};
use metrics::histogram;
use springhouse_model::TenantId;
use tokio::sync::{mpsc, oneshot};

use super::statement::{check_size, planned};
use super::time_limit::{Asker, TimeLimit};
use crate::LakeError;
use crate::keeper::Shared;
use crate::lake::{Task, Threads};
use crate::twin::Twin;

/// Batches that wait for a client.
const QUEUE: usize = 2;

/// The rows of a query, as they come.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: RowStream,
}

/// Batches of a running query; dropping it ends the query.
pub struct RowStream {
    receiver: mpsc::Receiver<Result<RecordBatch, LakeError>>,
    outcome: Arc<RunOutcome>,
    _task: Option<Task<()>>,
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

pub(super) async fn begun(frame: DataFrame, limit: &Arc<TimeLimit>) -> Result<Begun, LakeError> {
    let plan = frame.logical_plan().clone();
    let context = Arc::new(frame.task_ctx());
    let work = frame.create_physical_plan().await.map_err(LakeError::query)?;
    let rows = limit.put_on(work).and_then(|work| execute_stream(work, context)).map_err(LakeError::query)?;
    Ok(Begun { rows, _plan: plan })
}

/// Runs what `begin` starts on the lake's threads.
pub(super) async fn run<F: Future<Output = Result<Begun, LakeError>> + Send + 'static>(
    threads: &Threads,
    limits: Limits,
    begin: impl FnOnce(Arc<TimeLimit>) -> F,
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
    });
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
        if batch.num_rows() > 0 && rows.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
        if is_cut {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    #[tokio::test]
    async fn rows_of_a_run_that_breaks_off_are_not_taken_for_all() {
        let values: Int64Array = [1, 2, 3].into_iter().map(Some).collect();
        let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as _)]).unwrap();
        let schema = batch.schema();
        let fault = stream::once(async { panic!("a fault of the engine") });
        let rows = stream::iter([Ok(batch)]).chain(fault);
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let threads = Threads::new(1).unwrap();
        let limits = Limits { time: Duration::from_secs(60), rows: 100 };
        let begun = Begun { rows, _plan: LogicalPlan::default() };
        let mut result = run(&threads, limits, |_| async move { Ok(begun) }).await.unwrap();
        assert_eq!(result.batches.next().await.unwrap().unwrap().num_rows(), 3);
        let end = result.batches.next().await.unwrap();
        assert!(matches!(end, Err(LakeError::Interrupted)), "{end:?}");
        assert!(result.batches.next().await.is_none());
    }
}
