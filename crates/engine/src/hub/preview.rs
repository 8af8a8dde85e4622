//! What a statement would have given over the last minutes, without creating anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use springhouse_log::Reader;
use springhouse_model::{Clock, SystemClock, TenantId, Timestamp};

use super::feed::{self, Taken};
use super::sample::Sample;
use super::task::Rows;
use super::{Engine, EngineError, Shared};
use crate::probe::{LastRows, Probe, SeenStep};
use crate::statement::{self, Select, Statement};
use crate::{Emitted, Pipeline, Plan, PlanError, RunError};

/// A preview that takes longer shows what it has.
const TIME_MAX: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 4 << 20;
/// Rows shown of each step.
pub(super) const STEP_ROWS_MAX: usize = 100;

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
    /// Rows that an expression has no value for.
    pub broken: u64,
    /// What it says of the first of them.
    pub why_broken: Option<String>,
    /// What each step has handed on; empty unless asked for.
    pub steps: Vec<SeenStep>,
}

/// What a preview is to show.
#[derive(Clone, Debug)]
pub struct PreviewWish {
    /// How far back in the log it begins.
    pub minutes: u32,
    /// Rows in the place of those in the log. What is not in it has none.
    pub sample: Option<Vec<Sample>>,
    /// Rows at most, the last ones.
    pub limit: usize,
    /// Whether to show what each step hands on, too.
    pub steps: bool,
}

impl Engine {
    /// Runs a CREATE PIPELINE, CREATE ALERT or SELECT over the last minutes of the log and closes the windows.
    pub async fn preview(
        &self,
        tenant: &TenantId,
        sql: &str,
        wish: PreviewWish,
    ) -> Result<Preview, EngineError> {
        let select = select_of(sql, "preview")?;
        let _place = self.shared.previews.acquire().await.map_err(|_| EngineError::Closed)?;
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        let since = SystemClock.now().plus_micros(-60_000_000 * i64::from(wish.minutes));
        let work = async move { shared.preview(&tenant, &select, since, wish).await };
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
        wish: PreviewWish,
    ) -> Result<Preview, EngineError> {
        let plan = Arc::new(crate::plan::plan(select, &self.catalog(tenant))?);
        let sources = self.sources(tenant, &plan)?;
        let mut run = Run::new(&plan, wish.limit, wish.steps);
        // What somebody has just loaded is what he wants to see used.
        self.tables.bring_newest(&mut run.pipeline)?;
        if let Some(sample) = &wish.sample {
            for sample in sample {
                let hint = "the sample holds rows of the streams that the statement reads";
                let at = plan.source_at(&sample.stream).ok_or_else(|| {
                    PlanError::new(format!("the statement does not read `{}`", sample.stream)).with_hint(hint)
                })?;
                let emitted = run.pipeline.push(at, &sample.read_as(&plan.sources[at])?)?;
                run.keep(emitted);
            }
            return run.end();
        }
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
                if started.elapsed() >= TIME_MAX {
                    break;
                }
                let taken = feed::take(&mut run.pipeline, &sources, &mut Rows::of(&record))?;
                if let Some(Taken { emitted, .. }) = taken {
                    run.keep(emitted);
                    tokio::task::yield_now().await;
                }
            }
        }
        run.end()
    }
}

/// A preview on the way.
struct Run {
    pipeline: Pipeline,
    last: LastRows,
    why_broken: Option<String>,
    probe: Option<Arc<Mutex<Probe>>>,
}

impl Run {
    fn new(plan: &Arc<Plan>, limit: usize, steps: bool) -> Run {
        let mut pipeline = plan.start();
        let probe = steps.then(|| Arc::new(Mutex::new(Probe::new(plan, limit.min(STEP_ROWS_MAX)))));
        pipeline.look(probe.iter().cloned().collect());
        Run { pipeline, last: LastRows::new(limit), why_broken: None, probe }
    }

    fn keep(&mut self, emitted: Emitted) {
        emitted.rows.into_iter().for_each(|batch| self.last.keep(batch));
        self.why_broken =
            self.why_broken.take().or(emitted.broken.into_iter().next().map(|broken| broken.why));
    }

    /// The windows close.
    fn end(mut self) -> Result<Preview, EngineError> {
        let emitted = self.pipeline.finish()?;
        self.keep(emitted);
        let plan = Arc::clone(self.pipeline.plan());
        let selected = plan.selected_columns();
        let schema = plan.output_schema().arrow().project(selected).map_err(RunError::from)?;
        let batches = self.last.into_batches().into_iter().map(|batch| batch.project(selected));
        Ok(Preview {
            schema: Arc::new(schema),
            batches: batches.collect::<Result<_, _>>().map_err(RunError::from)?,
            scanned: self.pipeline.rows_in(),
            late: self.pipeline.late(),
            broken: self.pipeline.broken(),
            why_broken: self.why_broken,
            steps: self.probe.map(|probe| probe.lock().clone().into_steps(&plan)).unwrap_or_default(),
        })
    }
}
