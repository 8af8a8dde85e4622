//! Another version of a pipeline takes the place of the one that runs.
//!
//! ```text
//!  version 1 ──stops──▶ snapshot ──states that fit──▶ prepared for version 2 ──meta names version 2──▶ begins
//!                          └────────────── when any of this fails, version 1 goes on ──────┘
//! ```
//! The successor reads on at the offset at which its predecessor has stopped and numbers its rows on from there: no row
//! is written twice. What an operator that begins empty still needs of the rows before, it is given again. What counts is the version that meta names; until then, also for a hub that is
//! killed in between, it is the old one with its own snapshots.

use std::sync::Arc;

use springhouse_meta::{FunctionDefinition, NewPipeline, PipelineEntry, PipelineState};
use tokio::sync::watch;

use super::change::{Change, ChangeKind, StateChange};
use super::create::definitions;
use super::draft::Draft;
use super::snapshot::{Folder, Header, Snapshot};
use super::status::Gauges;
use super::task::{Task, Trail, Work, broken_producer, late_producer, restored, row_producer};
use super::{EngineError, Shared};
use crate::functions::are_same;
use crate::statement::is_same;
use crate::{Plan, RunError, StreamTable};

impl Shared {
    /// What a draft would change about a pipeline that exists.
    pub(super) fn difference(
        &self,
        existing: &PipelineEntry,
        old: Option<&Plan>,
        draft: &Draft,
        new: &Plan,
    ) -> Result<Change, EngineError> {
        let gives_the_same = |old: &Plan| {
            old.output_schema().fields == new.output_schema().fields
                && old.late_schema().fields == new.late_schema().fields
        };
        let functions = other_functions(&existing.functions, &definitions(new));
        let is_unchanged =
            is_same(&existing.sql, &draft.sql) && functions.is_empty() && old.is_some_and(gives_the_same);
        let known = old.filter(|old| old.shares_source(new));
        let operators = known.map(StateChange::operators).transpose()?;
        let (state, _) = StateChange::between(operators.as_deref(), new)?;
        let (kind, version) = match is_unchanged {
            true => (ChangeKind::Unchanged, existing.version),
            false => (ChangeKind::Replace, existing.version.saturating_add(1)),
        };
        let (name, into) = (draft.name.clone(), draft.into.clone());
        Ok(Change { kind, what: draft.kind_name(), name, into, version, functions, state })
    }

    /// Puts a draft into the place of a pipeline. Its target has been prepared.
    pub(super) async fn replace(
        self: &Arc<Self>,
        existing: PipelineEntry,
        old: Option<Arc<Plan>>,
        draft: Draft,
        plan: Arc<Plan>,
    ) -> Result<Change, EngineError> {
        if let Some(running) = self.roster.stop(existing.id) {
            running.ended().await;
        }
        let (id, tenant, name) = (existing.id, existing.tenant.clone(), existing.name.clone());
        let replaced = self.succeed(existing, old, draft, plan).await;
        if replaced.is_err() {
            // Meta knows which version it is, whatever has failed.
            match self.meta.pipeline(&tenant, &name).await {
                Ok(Some(entry)) => self.adopt(entry).await,
                _ => self.roster.fail(id, "it was stopped to be replaced; hint: RESUME PIPELINE".to_owned()),
            }
        }
        replaced
    }

    async fn succeed(
        self: &Arc<Self>,
        existing: PipelineEntry,
        old: Option<Arc<Plan>>,
        draft: Draft,
        plan: Arc<Plan>,
    ) -> Result<Change, EngineError> {
        let mut change = self.difference(&existing, old.as_deref(), &draft, &plan)?;
        let (snapshot, state) = self.inheritance(&existing, old, &plan).await?;
        // What does not fit is noticed here, while the old version can still go on.
        restored(&plan, &snapshot)?;
        let folder = Folder::new(&self.options.data_dir, existing.id);
        let present = existing.version;
        let (folder, snapshot) = blocking(move || {
            folder.prepare(&snapshot, present)?;
            Ok((folder, snapshot))
        })
        .await?;
        let new = NewPipeline {
            tenant: existing.tenant.clone(),
            name: existing.name.clone(),
            kind: draft.kind,
            into: draft.into,
            sql: draft.sql,
            functions: definitions(&plan),
            state: PipelineState::Running,
            by: draft.by,
        };
        if !keeps_episodes(&plan, &state) {
            self.end_episodes(&existing, "its alert was replaced").await?;
        }
        let entry = self.meta.put_pipeline(new).await?;
        (change.version, change.state) = (entry.version, state);
        self.hold(entry.id, snapshot.header.offset);
        let header = Header { pipeline_version: entry.version, ..snapshot.header };
        let snapshot = Snapshot { header, ..snapshot };
        blocking(move || folder.begin(&snapshot)).await?;
        self.start(entry, plan).await?;
        Ok(change)
    }

    /// With what the successor of a stopped pipeline begins.
    async fn inheritance(
        &self,
        existing: &PipelineEntry,
        old: Option<Arc<Plan>>,
        plan: &Arc<Plan>,
    ) -> Result<(Snapshot, StateChange), EngineError> {
        let left = match old {
            None => None,
            Some(old) => match self.left_by(existing, &old).await {
                Ok(snapshot) => Some((old, snapshot)),
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        pipeline = existing.name,
                        error = &error as &dyn std::error::Error,
                        "the state of a replaced pipeline is lost"
                    );
                    None
                }
            },
        };
        let fresh = plan.start().snapshot()?;
        let steps = plan.stateful_steps().map_err(RunError::from)?;
        let begins_empty: Vec<bool> = steps.iter().map(|step| step.begins_empty).collect();
        let mut header = Header {
            pipeline_version: existing.version.saturating_add(1),
            schema_versions: plan.schema_versions(),
            offset: self.log.end().0,
            event_times: vec![i64::MIN; plan.sources.len()],
            rows_in: 0,
            rows_out: self.log.last_producer(row_producer(existing.id)).map_or(0, |last| last.seq),
            late: self.log.last_producer(late_producer(existing.id)).map_or(0, |last| last.seq),
            broken: self.log.last_producer(broken_producer(existing.id)).map_or(0, |last| last.seq),
            fingerprints: steps.into_iter().map(|step| step.fingerprint).collect(),
            trail: Trail::default(),
        };
        let Some((old, left)) = left else {
            let (change, _) = StateChange::between(None, plan)?;
            return Ok((Snapshot { header, operators: fresh.operators }, change));
        };
        let told = restored(&old, &left)?.told();
        header = Header {
            offset: left.header.offset,
            event_times: event_times(&old, &left, told, plan),
            rows_in: left.header.rows_in,
            rows_out: left.header.rows_out,
            late: left.header.late,
            broken: left.header.broken,
            trail: left.header.trail.clone(),
            ..header
        };
        let names = old.stateful_steps().map_err(RunError::from)?.into_iter().map(|step| step.name);
        let known: Vec<(String, String)> = names.zip(left.header.fingerprints.clone()).collect();
        let known = old.shares_source(plan).then_some(known.as_slice());
        let (change, from) = StateChange::between(known, plan)?;
        let read = match change.reads_again.is_empty() {
            true => fresh.clone(),
            false => self.read_again(&existing.tenant, plan, &left.header, told).await?.snapshot()?,
        };
        let others = read.operators.into_iter().zip(fresh.operators).zip(begins_empty);
        let operators = from.iter().zip(others).map(|(from, ((read, fresh), begins_empty))| {
            let kept = from.and_then(|at| left.operators.get(at).cloned());
            kept.unwrap_or(if begins_empty { fresh } else { read })
        });
        Ok((Snapshot { header, operators: operators.collect() }, change))
    }

    /// What a stopped pipeline leaves, with all rows that it has written accounted for.
    async fn left_by(&self, existing: &PipelineEntry, old: &Arc<Plan>) -> Result<Snapshot, EngineError> {
        let sources = self.sources(&existing.tenant, old)?;
        // Nobody tells it to stop; with the sender gone it does not wait for a full disk either.
        let (_, stop) = watch::channel(false);
        let work = Work {
            entry: existing.clone(),
            plan: Arc::clone(old),
            sources,
            log: Arc::clone(&self.log),
            streams: Arc::clone(&self.streams),
            tables: self.tables.clone(),
            folder: Folder::new(&self.options.data_dir, existing.id),
            gauges: Arc::new(Gauges::new()),
            share: self.budgets.share(&existing.tenant),
            stop,
            writers: Arc::clone(&self.writers),
        };
        Task::restore(work).await?.settle().await
    }
}

/// The functions that both call and that are not defined in the same way, as the later ones are called: `f version 2`.
fn other_functions(before: &[FunctionDefinition], after: &[FunctionDefinition]) -> Vec<String> {
    let is_other = |after: &&FunctionDefinition| {
        before.iter().any(|before| before.name == after.name && !are_same(before, after))
    };
    after.iter().filter(is_other).map(|after| format!("`{}` version {}", after.name, after.version)).collect()
}

/// Whether a successor knows which episodes of an alert are open.
fn keeps_episodes(plan: &Plan, state: &StateChange) -> bool {
    plan.episodes().is_some_and(|name| state.keeps.contains(&name))
}

/// Where time stands for the sources of a successor. That of a source is its own, whoever looks at it; and what operators
/// are told never goes back, whatever sources and patience the successor has: what has been given is not given again. With
/// other sources altogether, time begins anew.
fn event_times(old: &Plan, left: &Snapshot, told: i64, plan: &Plan) -> Vec<i64> {
    let known = |source: &StreamTable| {
        let at = old.source_at(&source.name)?;
        left.header.event_times.get(at).copied()
    };
    if told == i64::MIN || !old.shares_source(plan) {
        return plan.sources.iter().map(|source| known(source).unwrap_or(i64::MIN)).collect();
    }
    let times = plan.sources.iter().map(|source| {
        let needed = told.saturating_add(plan.allowed_lateness_us).saturating_add(source.watermark_delay_us);
        known(source).unwrap_or(needed).max(needed)
    });
    times.collect()
}

/// Files are written beside those who wait for the log.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EngineError::Closed)?
}
