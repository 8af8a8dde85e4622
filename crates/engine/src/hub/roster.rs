//! Which pipelines there are and which of them run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use springhouse_log::Offset;
use springhouse_meta::{PipelineEntry, PipelineState, StreamEntry};
use springhouse_model::{Clock, StreamKey, StreamName, SystemClock, TenantId, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::functions::UsedFunction;
use super::scan::Scan;
use super::status::{Gauges, PipelineStatus, RunState};
use super::task::{Task, Work, hold_name};
use super::{EngineError, Shared, late_key};
use crate::{Plan, target};

/// The pipelines by number.
#[derive(Default)]
pub(crate) struct Roster {
    members: Mutex<BTreeMap<u64, Member>>,
}

struct Member {
    entry: PipelineEntry,
    /// The streams it reads, as far as its statement can be planned.
    from: Vec<StreamName>,
    state: RunState,
    error: Option<String>,
    gauges: Arc<Gauges>,
    running: Option<Running>,
}

/// An engine that is dropped stops at once, as a killed one does.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: crate::Task<()>,
}

impl Running {
    /// Waits until the task has left its snapshot.
    pub(crate) async fn ended(self) {
        let _ = self.stop.send(true);
        // A task that panicked has told so already.
        let _ = self.task.ended().await;
    }
}

impl Roster {
    /// Those of a tenant; `functions` tells by which definitions a pipeline goes.
    pub(crate) fn status(
        &self,
        tenant: &TenantId,
        end: Offset,
        functions: impl Fn(&PipelineEntry) -> Vec<UsedFunction>,
    ) -> Vec<PipelineStatus> {
        let members = self.members.lock();
        let own = members.values().filter(|member| member.entry.tenant == *tenant);
        own.map(|member| PipelineStatus { functions: functions(&member.entry), ..member.status(end) })
            .collect()
    }

    /// Those of all tenants.
    pub(crate) fn all(&self, end: Offset) -> Vec<PipelineStatus> {
        self.members.lock().values().map(|member| member.status(end)).collect()
    }

    /// Tells all tasks to stop and hands them out to be waited for.
    pub(crate) fn stop_all(&self) -> Vec<Running> {
        let mut members = self.members.lock();
        let running: Vec<Running> = members.values_mut().filter_map(|member| member.running.take()).collect();
        for running in &running {
            let _ = running.stop.send(true);
        }
        running
    }

    pub(crate) fn stop(&self, id: u64) -> Option<Running> {
        self.members.lock().get_mut(&id).and_then(|member| member.running.take())
    }

    pub(crate) fn remove(&self, id: u64) {
        self.members.lock().remove(&id);
    }

    pub(crate) fn put_idle(&self, entry: PipelineEntry, from: Vec<StreamName>, error: Option<String>) {
        let state = match entry.state {
            PipelineState::Paused => RunState::Paused,
            _ if error.is_some() => RunState::Failed,
            PipelineState::Failed { .. } => RunState::Failed,
            PipelineState::Running => RunState::Running,
        };
        let error = error.or(match &entry.state {
            PipelineState::Failed { reason } => Some(reason.clone()),
            _ => None,
        });
        let mut members = self.members.lock();
        let gauges =
            members.get(&entry.id).map_or_else(|| Arc::new(Gauges::new()), |old| Arc::clone(&old.gauges));
        members.insert(entry.id, Member { entry, from, state, error, gauges, running: None });
    }

    /// Pipelines of a tenant that read or write a stream.
    pub(crate) fn users(&self, tenant: &TenantId, stream: &StreamName) -> Vec<String> {
        let members = self.members.lock();
        let uses = |member: &&Member| {
            let late = late_key(&member.entry).is_ok_and(|late| late.name == *stream);
            member.entry.tenant == *tenant
                && (member.from.contains(stream) || member.entry.into == *stream || late)
        };
        members.values().filter(uses).map(|member| format!("`{}`", member.entry.name)).collect()
    }

    /// Whether rows of `from` reach `stream` through the tenant's pipelines, leaving out the one named `except`.
    pub(crate) fn reaches(
        &self,
        tenant: &TenantId,
        from: &StreamName,
        stream: &StreamName,
        except: &str,
    ) -> bool {
        let members = self.members.lock();
        let edges: Vec<(&StreamName, &StreamName)> = members
            .values()
            .filter(|member| member.entry.tenant == *tenant && member.entry.name != except)
            .flat_map(|member| member.from.iter().map(|from| (from, &member.entry.into)))
            .collect();
        target::reaches(&edges, from, stream)
    }

    pub(crate) fn is_running(&self, id: u64) -> bool {
        let members = self.members.lock();
        members.get(&id).is_some_and(|member| member.running.is_some() && member.state == RunState::Running)
    }

    /// What a pipeline that runs tells of itself.
    pub(crate) fn running(&self, id: u64) -> Option<Arc<Gauges>> {
        let members = self.members.lock();
        let member = members.get(&id).filter(|member| member.state == RunState::Running)?;
        Some(Arc::clone(&member.gauges))
    }

    pub(crate) fn fail(&self, id: u64, reason: String) {
        if let Some(member) = self.members.lock().get_mut(&id) {
            member.state = RunState::Failed;
            member.error = Some(reason);
        }
    }
}

impl Member {
    fn status(&self, end: Offset) -> PipelineStatus {
        let gauges = &self.gauges;
        let watermark = gauges.watermark.load(Ordering::Relaxed);
        let lag_records = end.0.saturating_sub(gauges.position());
        let seen_at = gauges.seen_at();
        let lag_us = match lag_records > 0 && seen_at > 0 {
            true => SystemClock.now().micros().saturating_sub(seen_at).max(0),
            false => 0,
        };
        PipelineStatus {
            name: self.entry.name.clone(),
            kind: self.entry.kind.clone(),
            from: self.from.clone(),
            into: self.entry.into.clone(),
            sql: self.entry.sql.clone(),
            functions: Vec::new(),
            state: self.state,
            error: self.error.clone(),
            rows_in: gauges.rows_in.load(Ordering::Relaxed),
            rows_out: gauges.rows_out.load(Ordering::Relaxed),
            late: gauges.late.load(Ordering::Relaxed),
            broken: gauges.broken.load(Ordering::Relaxed),
            rate_in: if self.state == RunState::Running { gauges.rate_in() } else { 0.0 },
            lag_records,
            lag_us,
            watermark: (watermark > i64::MIN).then_some(Timestamp(watermark)),
            state_bytes: gauges.state_bytes.load(Ordering::Relaxed),
            snapshot_bytes: gauges.snapshot_bytes.load(Ordering::Relaxed),
            busy: Duration::from_micros(gauges.busy.load(Ordering::Relaxed)),
        }
    }
}

impl Shared {
    /// How the pipelines of a tenant are doing.
    pub(crate) fn status(&self, tenant: &TenantId) -> Vec<PipelineStatus> {
        self.roster.status(tenant, self.log.end(), |entry| self.used_functions(entry))
    }

    /// Starts the task of a pipeline whose plan is made.
    pub(crate) async fn start(
        self: &Arc<Self>,
        entry: PipelineEntry,
        plan: Arc<Plan>,
    ) -> Result<(), EngineError> {
        let sources = self.sources(&entry.tenant, &plan)?;
        let id = entry.id;
        let gauges = Arc::new(Gauges::new());
        let (stop, stopped) = watch::channel(false);
        let folder = super::snapshot::Folder::new(&self.options.data_dir, id);
        let work = Work {
            entry: entry.clone(),
            plan: Arc::clone(&plan),
            sources,
            log: Arc::clone(&self.log),
            streams: Arc::clone(&self.streams),
            tables: self.tables.clone(),
            folder,
            gauges: Arc::clone(&gauges),
            share: self.budgets.share(&entry.tenant),
            stop: stopped,
            writers: Arc::clone(&self.writers),
        };
        let task = Task::restore(work).await?;
        let from = plan.source_names();
        // Entered before it runs, so that a failure at the first row finds its member.
        let error = task.note().map(str::to_owned);
        if error.is_some() {
            self.end_episodes(&entry, "the state of its alert was lost").await?;
        }
        let member = Member { entry, from, state: RunState::Running, error, gauges, running: None };
        self.roster.members.lock().insert(id, member);
        let task = self.threads.start(supervise(Arc::downgrade(self), id, task, self.scans.of(id)))?;
        if let Some(member) = self.roster.members.lock().get_mut(&id) {
            member.running = Some(Running { stop, task });
        }
        Ok(())
    }

    /// The streams that a plan reads, in its order.
    pub(super) fn sources(
        &self,
        tenant: &TenantId,
        plan: &Plan,
    ) -> Result<Vec<Arc<StreamEntry>>, EngineError> {
        let entry = |name: StreamName| {
            let key = StreamKey::new(tenant.clone(), name);
            self.streams.entry(&key).ok_or(EngineError::NotFound { kind: "stream", name: key.name })
        };
        plan.source_names().into_iter().map(entry).collect()
    }

    async fn failed(&self, id: u64, reason: String) {
        let entry = self.roster.members.lock().get(&id).map(|member| member.entry.clone());
        let Some(entry) = entry else { return };
        tracing::error!(pipeline = entry.name, reason, "a pipeline has failed; others run on");
        self.roster.fail(id, reason.clone());
        let state = PipelineState::Failed { reason };
        if let Err(error) = self.meta.set_pipeline_state(&entry.tenant, &entry.name, state).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot note the failure");
        }
    }

    /// Lets the log go on without a pipeline that is gone.
    pub(crate) fn release(&self, id: u64) {
        self.log.release(&hold_name(id));
    }

    pub(crate) fn hold(&self, id: u64, from: u64) {
        self.log.hold(&hold_name(id), Offset(from));
    }
}

/// Runs a task and notes how it ended; a panic is a failure of this pipeline alone.
async fn supervise(engine: std::sync::Weak<Shared>, id: u64, task: Box<Task>, scan: Scan) {
    // On a task of its own that ends with this one: a panic inside must not take the note-taker with it.
    let mut inner = AbortOnDrop(tokio::spawn(task.run(scan)));
    let reason = match (&mut inner.0).await {
        Ok(Ok(())) | Ok(Err(EngineError::Closed)) => return,
        Ok(Err(EngineError::Log(springhouse_log::LogError::Closed))) => return,
        Ok(Err(error)) => error.full_text(),
        Err(error) if error.is_cancelled() => return,
        Err(_) => EngineError::Fault.full_text(),
    };
    if let Some(engine) = engine.upgrade() {
        engine.failed(id, reason).await;
    }
}

struct AbortOnDrop(JoinHandle<Result<(), EngineError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
