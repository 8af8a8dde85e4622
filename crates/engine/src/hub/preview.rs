//! What a statement would have given over the last minutes, without creating anything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, Reader};
use springhouse_model::{Clock, SystemClock, TenantId, Timestamp};

use super::task::Rows;
use super::{Engine, EngineError, Shared, silence};
use crate::statement::{self, Select, Statement};
use crate::{Emitted, Pipeline, PlanError, RunError};

/// A preview that takes longer shows what it has.
const TIME_MAX: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 4 << 20;

/// The rows of a preview.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The columns that the SELECT names.
    pub schema: SchemaRef,
    /// The last rows, oldest first.
    pub batches: Vec<RecordBatch>,
    /// Rows of the source that were read.
    pub scanned: u64,
    /// Rows that would have come too late.
    pub late: u64,
}

impl Engine {
    /// Runs a CREATE PIPELINE, CREATE ALERT or SELECT over the last `minutes` of the log and closes the windows. Returns
    /// at most the last `limit` rows.
    pub async fn preview(
        &self,
        tenant: &TenantId,
        sql: &str,
        minutes: u32,
        limit: usize,
    ) -> Result<Preview, EngineError> {
        let select = select_of(sql, "preview")?;
        let _place = self.shared.previews.acquire().await.map_err(|_| EngineError::Closed)?;
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        let since = SystemClock.now().plus_micros(-60_000_000 * i64::from(minutes));
        let work = async move { shared.preview(&tenant, &select, since, limit).await };
        // Ends when whoever asked goes away.
        self.shared.threads.run(work).await?
    }
}

/// The query of a statement that makes a pipeline, or the one that a text is.
pub(super) fn select_of(sql: &str, to_do: &str) -> Result<Select, EngineError> {
    match statement::parse_one(sql).map_err(PlanError::from)? {
        Statement::CreatePipeline(pipeline) => Ok(pipeline.select),
        Statement::CreateAlert(alert) => Ok(alert.select),
        Statement::Query(text) => Ok(Select::bare(text)),
        other => {
            let error = PlanError::new(format!("{} has no rows to {to_do}", other.verb()));
            Err(error.with_hint("SELECT, CREATE PIPELINE and CREATE ALERT have").into())
        }
    }
}

impl Shared {
    async fn preview(
        &self,
        tenant: &TenantId,
        select: &Select,
        since: Timestamp,
        limit: usize,
    ) -> Result<Preview, EngineError> {
        let plan = Arc::new(crate::plan::plan(select, &self.catalog(tenant))?);
        let sources = self.sources(tenant, &plan)?;
        let mut last = LastRows::new(plan.start(), limit);
        let end = self.log.end();
        let mut reader = Reader::new(Arc::clone(&self.log), self.log.offset_at(since)?);
        let started = Instant::now();
        while reader.position() < end && started.elapsed() < TIME_MAX {
            let records = reader.next_ready(READ_BYTES).await?;
            if records.is_empty() {
                break;
            }
            // One by one, and each given back before the next: what is decoded can be far larger than what was read.
            for record in records {
                let Some(at) = sources.iter().position(|source| source.id == record.stream) else { continue };
                if started.elapsed() >= TIME_MAX {
                    break;
                }
                let emitted = match (record.kind, silence::marked(&record.payload)) {
                    (Kind::Readings, _) => {
                        let schema = &plan.sources[at].schema;
                        last.pipeline.push(at, &Rows::of(&record).read_as(&sources[at], schema)?)?
                    }
                    (Kind::Marks, Some(event_time)) => last.pipeline.advance_to(at, event_time)?,
                    _ => continue,
                };
                last.keep(emitted);
                tokio::task::yield_now().await;
            }
        }
        last.end()
    }
}

struct LastRows {
    pipeline: Pipeline,
    limit: usize,
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

impl LastRows {
    fn new(pipeline: Pipeline, limit: usize) -> LastRows {
        LastRows { pipeline, limit, batches: VecDeque::new(), rows: 0 }
    }

    /// Keeps the newest batches that are needed for the limit.
    fn keep(&mut self, emitted: Emitted) {
        for batch in emitted.rows {
            self.rows += batch.num_rows();
            self.batches.push_back(batch);
        }
        while let Some(oldest) = self.batches.front() {
            if self.rows - oldest.num_rows() < self.limit {
                break;
            }
            self.rows -= oldest.num_rows();
            self.batches.pop_front();
        }
    }

    fn end(mut self) -> Result<Preview, EngineError> {
        let emitted = self.pipeline.finish()?;
        self.keep(emitted);
        let plan = Arc::clone(self.pipeline.plan());
        let schema = plan.output_schema().arrow().project(plan.selected_columns()).map_err(RunError::from)?;
        let surplus = self.rows.saturating_sub(self.limit);
        let mut batches = Vec::new();
        for (at, batch) in self.batches.iter().enumerate() {
            let skip = if at == 0 { surplus.min(batch.num_rows()) } else { 0 };
            let batch = batch.project(plan.selected_columns()).map_err(RunError::from)?;
            batches.push(batch.slice(skip, batch.num_rows() - skip));
        }
        Ok(Preview {
            schema: Arc::new(schema),
            batches,
            scanned: self.pipeline.rows_in(),
            late: self.pipeline.late(),
        })
    }
}
