//! What a pipeline would have written over a span of history.
//!
//! ```text
//!  files and tail ──ORDER BY _received, ts──▶ the pipeline ──rows and late rows with ts in the span──▶ who asked
//! ```
//! The rows go through the same operators as those of the log, in the order in which they were received: lateness is
//! judged as it was. Rows before the span are read as far back as its first windows reach, and some behind it, because
//! the time in them closed windows of the span. What is left of a difference stands in the guide to pipelines.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::logical_expr::{SortExpr, col};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use springhouse_engine::{BacktestPlan, Broken, Emitted, Pipeline, Plan, RunError, StreamTable, Task};
use springhouse_model::{TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN, TS_COLUMN, adapt};
use tokio::sync::mpsc;

use super::run::{Limits, RowStream, begun, run};
use super::series::{rows_between, scan_of, stream_of};
use crate::LakeError;
use crate::keeper::Shared;

/// What waits for a client, in batches.
const QUEUE: usize = 2;
/// How far behind the span rows are read beyond what its windows need: clocks that run ahead by less have closed windows.
const CLOCKS_AHEAD_US: i64 = 3_600_000_000;

/// Which pipeline, over which span of event time.
#[derive(Clone, Debug)]
pub struct BacktestRequest {
    pub tenant: TenantId,
    pub plan: BacktestPlan,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// Some of what a backtest gives.
#[derive(Clone, Debug)]
pub enum BacktestPart {
    /// Rows of the pipeline's stream.
    Rows(RecordBatch),
    /// Rows of its stream of late rows.
    Late(RecordBatch),
    /// A row that it has no value for.
    Broken(Broken),
    /// Everything has been given; this many rows of the source were read.
    End { scanned: u64 },
}

/// A backtest at work; dropping it ends it.
pub struct Backtest {
    pub schema: SchemaRef,
    pub late_schema: SchemaRef,
    parts: mpsc::Receiver<Result<BacktestPart, LakeError>>,
    _task: Task<()>,
}

impl Backtest {
    /// The next part; [`BacktestPart::End`] is the last. Without it something has broken off.
    pub async fn next(&mut self) -> Option<Result<BacktestPart, LakeError>> {
        self.parts.recv().await
    }
}

pub(crate) async fn backtest(shared: &Arc<Shared>, request: BacktestRequest) -> Result<Backtest, LakeError> {
    let place = Arc::clone(&shared.backtests).acquire_owned().await.map_err(|_| LakeError::Interrupted)?;
    let rows = received(shared, &request).await?;
    let (schema, late_schema) =
        (request.plan.plan.output_schema().arrow(), request.plan.plan.late_schema().arrow());
    let (sender, parts) = mpsc::channel(QUEUE);
    let task = shared.threads.start(async move {
        let _place = place;
        let work = Work { pipeline: request.plan.start(), request, parts: sender };
        work.carry_out(rows).await;
    })?;
    Ok(Backtest { schema, late_schema, parts, _task: task })
}

/// The rows of the source in the order in which they came.
async fn received(shared: &Arc<Shared>, request: &BacktestRequest) -> Result<RowStream, LakeError> {
    let plan = &request.plan.plan;
    let source = only_source(plan)?;
    let entry = stream_of(shared, &request.tenant, &source.name)?;
    let behind = plan.patience_us().saturating_add(CLOCKS_AHEAD_US);
    let from = request.from.micros().saturating_sub(plan.reach_us());
    let filter = rows_between(Timestamp(from), Timestamp(request.to.micros().saturating_add(behind)));
    let scan = scan_of(shared, &entry);
    let session = SessionContext::new_with_state(shared.session.clone());
    // The last two only make the order of equals the same each time.
    let order: Vec<SortExpr> = [RECEIVED_COLUMN, TS_COLUMN, DEVICE_COLUMN, ID_COLUMN]
        .into_iter()
        .map(|column| col(column).sort(true, true))
        .collect();
    let limits = Limits { time: shared.options.backtest_time, rows: usize::MAX };
    let result = run(&shared.threads, limits, move |time| async move {
        let frame = session.read_table(Arc::new(scan)).and_then(|frame| frame.filter(filter)?.sort(order));
        begun(frame.map_err(LakeError::query)?, &time).await
    });
    Ok(result.await?.batches)
}

/// How far one stream was when a row of another came is not in history.
fn only_source(plan: &Plan) -> Result<&StreamTable, LakeError> {
    match plan.sources.as_slice() {
        [source] => Ok(source),
        sources => {
            let names: Vec<String> = sources.iter().map(|source| format!("`{}`", source.name)).collect();
            let message = format!(
                "it reads {}; hint: a backtest runs over the history of one stream, a query joins that of several",
                names.join(" and ")
            );
            Err(LakeError::Query { message })
        }
    }
}

struct Work {
    pipeline: Pipeline,
    request: BacktestRequest,
    parts: mpsc::Sender<Result<BacktestPart, LakeError>>,
}

impl Work {
    async fn carry_out(mut self, mut rows: RowStream) {
        while let Some(batch) = rows.next().await {
            let emitted = batch.and_then(|batch| self.push(&batch));
            if !self.give(emitted).await {
                return;
            }
            tokio::task::yield_now().await;
        }
        let rest = self.pipeline.finish().map_err(failed);
        if self.give(rest).await {
            let scanned = self.pipeline.rows_in();
            let _ = self.parts.send(Ok(BacktestPart::End { scanned })).await;
        }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<Emitted, LakeError> {
        let batch = adapt(batch, &only_source(&self.request.plan.plan)?.schema)
            .map_err(|error| LakeError::Query { message: error.to_string() })?;
        let emitted = self.pipeline.push(0, &batch).map_err(failed)?;
        let (bytes, bytes_max) = (self.pipeline.state_bytes(), self.request.plan.state_bytes_max);
        match bytes > bytes_max {
            true => Err(LakeError::Query {
                message: format!(
                    "its open windows hold {bytes} bytes, at most {bytes_max} are allowed; hint: shorter windows \
                     or fewer keys"
                ),
            }),
            false => Ok(emitted),
        }
    }

    /// Hands on what lies in the span; false when it is over, by an error or because whoever asked has gone.
    async fn give(&mut self, emitted: Result<Emitted, LakeError>) -> bool {
        let emitted = match emitted {
            Ok(emitted) => emitted,
            Err(error) => {
                let _ = self.parts.send(Err(error)).await;
                return false;
            }
        };
        let rows = emitted.rows.iter().map(|batch| (batch, BacktestPart::Rows as fn(_) -> _));
        let late = emitted.late.iter().map(|batch| (batch, BacktestPart::Late as fn(_) -> _));
        for (batch, part) in rows.chain(late) {
            let inside = self.inside(batch).map_err(LakeError::arrow("cut rows to the span"));
            if inside.as_ref().is_ok_and(|rows| rows.num_rows() == 0) {
                continue;
            }
            let is_broken = inside.is_err();
            if self.parts.send(inside.map(part)).await.is_err() || is_broken {
                return false;
            }
        }
        let span = self.request.from.micros()..self.request.to.micros();
        for broken in emitted.broken.into_iter().filter(|broken| span.contains(&broken.time)) {
            if self.parts.send(Ok(BacktestPart::Broken(broken))).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The rows whose `ts`, which stands first, is in the span.
    fn inside(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let span = self.request.from.micros()..self.request.to.micros();
        let inside: BooleanArray = times.values().iter().map(|ts| Some(span.contains(ts))).collect();
        filter_record_batch(batch, &inside)
    }
}

/// What an expression cannot deal with is for the person who wrote it.
fn failed(error: RunError) -> LakeError {
    LakeError::Query { message: error.to_string() }
}
