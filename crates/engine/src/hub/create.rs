//! Creating a pipeline or an alert rule, or finding what a statement would change about one.

use std::sync::Arc;

use springhouse_log::Offset;
use springhouse_meta::{FunctionDefinition, NewPipeline, PipelineEntry, PipelineKind, PipelineState};
use springhouse_model::TenantId;

use super::change::{Change, ChangeKind, StateChange};
use super::draft::{Draft, kind_name};
use super::snapshot::{Folder, Header, Snapshot};
use super::targets::target_streams;
use super::task::{Trail, broken_producer, late_producer, row_producer};
use super::{EngineError, Outcome, Shared};
use crate::Plan;

impl Shared {
    pub(super) async fn create(
        self: &Arc<Self>,
        tenant: &TenantId,
        draft: Draft,
    ) -> Result<Outcome, EngineError> {
        let existing = self.meta.pipeline(tenant, draft.name.as_str()).await?;
        if let Some(existing) = &existing {
            if draft.if_not_exists && kind_name(&existing.kind) == draft.kind_name() {
                return Ok(Outcome::Unchanged(format!(
                    "{} `{}` exists already",
                    draft.kind_name(),
                    draft.name
                )));
            }
            check_replaceable(existing, &draft)?;
        }
        let plan = Arc::new(draft.plan(self.catalog(tenant))?);
        self.check_flow(tenant, &draft, &plan)?;
        let Some(existing) = existing else {
            self.prepare_target(tenant, &draft, &plan).await?;
            return self.create_first(tenant, draft, plan).await.map(Outcome::Changed);
        };
        let old = self.planned(&existing).await.ok();
        let change = self.difference(&existing, old.as_deref(), &draft, &plan)?;
        if change.kind == ChangeKind::Unchanged {
            if !self.roster.is_running(existing.id) {
                self.resume(tenant, &draft.name).await?;
            }
            return Ok(Outcome::Changed(change));
        }
        self.prepare_target(tenant, &draft, &plan).await?;
        self.replace(existing, old, draft, plan).await.map(Outcome::Changed)
    }

    /// The first version. A pipeline reads what the log still holds; an alert rule begins with the next row, because old
    /// ones would fire.
    async fn create_first(
        self: &Arc<Self>,
        tenant: &TenantId,
        draft: Draft,
        plan: Arc<Plan>,
    ) -> Result<Change, EngineError> {
        let from = match draft.kind {
            PipelineKind::Pipeline => self.log.head(),
            PipelineKind::Alert { .. } => self.log.end(),
        };
        let change = first_change(&draft, &plan)?;
        let new = NewPipeline {
            tenant: tenant.clone(),
            name: draft.name.to_string(),
            kind: draft.kind,
            into: draft.into,
            sql: draft.sql,
            functions: definitions(&plan),
            state: PipelineState::Running,
            by: draft.by,
        };
        let entry = self.meta.create_pipeline(new).await?;
        self.begin(&entry, &plan, from).await?;
        self.start(entry, plan).await?;
        Ok(change)
    }

    pub(super) async fn foresee(&self, tenant: &TenantId, draft: &Draft) -> Result<Change, EngineError> {
        let existing = self.meta.pipeline(tenant, draft.name.as_str()).await?;
        let plan = draft.plan(self.catalog(tenant))?;
        self.check_flow(tenant, draft, &plan)?;
        for (key, schema) in target_streams(tenant, draft, &plan)? {
            self.check_target(&key, draft, &schema)?;
        }
        let Some(existing) = existing else { return first_change(draft, &plan) };
        check_replaceable(&existing, draft)?;
        let old = self.planned(&existing).await.ok();
        self.difference(&existing, old.as_deref(), draft, &plan)
    }

    /// Notes where a version of a pipeline begins, so that it can be replayed from there.
    async fn begin(&self, entry: &PipelineEntry, plan: &Plan, from: Offset) -> Result<(), EngineError> {
        let numbers = |producer| self.log.last_producer(producer).map_or(0, |last| last.seq);
        let header = Header {
            pipeline_version: entry.version,
            schema_versions: plan.schema_versions(),
            offset: from.0,
            event_times: vec![i64::MIN; plan.sources.len()],
            rows_in: 0,
            rows_out: numbers(row_producer(entry.id)),
            late: numbers(late_producer(entry.id)),
            broken: numbers(broken_producer(entry.id)),
            fingerprints: Vec::new(),
            trail: Trail::default(),
        };
        self.hold(entry.id, from.0);
        let folder = Folder::new(&self.options.data_dir, entry.id);
        let snapshot = Snapshot { header, operators: Vec::new() };
        tokio::task::spawn_blocking(move || folder.begin(&snapshot)).await.map_err(|_| EngineError::Closed)?
    }
}

/// By which definitions of functions a plan goes.
pub(super) fn definitions(plan: &Plan) -> Vec<FunctionDefinition> {
    plan.functions.iter().map(|function| function.definition()).collect()
}

fn check_replaceable(existing: &PipelineEntry, draft: &Draft) -> Result<(), EngineError> {
    match draft.or_replace && kind_name(&existing.kind) == draft.kind_name() {
        true => Ok(()),
        false => Err(EngineError::Exists { kind: kind_name(&existing.kind), name: draft.name.clone() }),
    }
}

pub(super) fn first_change(draft: &Draft, plan: &Plan) -> Result<Change, EngineError> {
    let (state, _) = StateChange::between(None, plan)?;
    Ok(Change {
        kind: ChangeKind::Create,
        what: draft.kind_name(),
        name: draft.name.clone(),
        into: draft.into.clone(),
        version: 1,
        functions: Vec::new(),
        state,
    })
}
