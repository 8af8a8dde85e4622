//! Carrying out statements.

use std::fmt;
use std::sync::Arc;

use springhouse_log::Offset;
use springhouse_meta::{
    Approval, DEFAULT_IDLE_US, DEFAULT_WATERMARK_DELAY_US, NewPipeline, NewStream, Origin, PipelineEntry,
    PipelineKind, PipelineState, StreamEntry,
};
use springhouse_model::{StreamKey, StreamName, TenantId};
use springhouse_schema::Schema;

use super::snapshot::{Folder, Header, Snapshot};
use super::task::{late_producer, row_producer};
use super::{Engine, EngineError, Shared};
use crate::statement::{self, CreateStream, Select, Statement};
use crate::{Catalog, Plan, PlanError, StreamTable, alert_stream, declared_schema, target};

/// What a statement did, in words for the person who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(String),
    /// Nothing had to be done.
    Unchanged(String),
    /// What SHOW and DESCRIBE found, one line each.
    Listing(Vec<String>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done(text) | Outcome::Unchanged(text) => f.write_str(text),
            Outcome::Listing(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

/// A pipeline or an alert rule that is to be.
struct Draft {
    kind: PipelineKind,
    name: StreamName,
    into: StreamName,
    select: Select,
    or_replace: bool,
    if_not_exists: bool,
    sql: String,
}

impl Draft {
    fn of(statement: &Statement) -> Result<Option<Draft>, EngineError> {
        Ok(match statement {
            Statement::CreatePipeline(pipeline) => Some(Draft {
                kind: PipelineKind::Pipeline,
                name: pipeline.name.clone(),
                into: pipeline.into.clone(),
                select: pipeline.select.clone(),
                or_replace: pipeline.or_replace,
                if_not_exists: pipeline.if_not_exists,
                sql: pipeline.text.clone(),
            }),
            Statement::CreateAlert(alert) => Some(Draft {
                kind: PipelineKind::Alert { severity: alert.severity },
                name: alert.name.clone(),
                into: alert_stream(&alert.name)?,
                select: alert.select.clone(),
                or_replace: alert.or_replace,
                if_not_exists: alert.if_not_exists,
                sql: alert.text.clone(),
            }),
            _ => None,
        })
    }

    fn kind_name(&self) -> &'static str {
        kind_name(&self.kind)
    }
}

fn kind_name(kind: &PipelineKind) -> &'static str {
    match kind {
        PipelineKind::Pipeline => "pipeline",
        PipelineKind::Alert { .. } => "alert",
    }
}

impl Engine {
    /// Carries out a statement of a tenant. Queries are not for the engine: [`EngineError::IsQuery`].
    ///
    /// What has begun is carried out, also when whoever asked for it goes away.
    pub async fn execute(&self, tenant: &TenantId, statement: &Statement) -> Result<Outcome, EngineError> {
        let (engine, tenant, statement) = (self.clone(), tenant.clone(), statement.clone());
        let work = async move { engine.carry_out(&tenant, &statement).await };
        self.shared.threads.complete(work).await?
    }

    async fn carry_out(&self, tenant: &TenantId, statement: &Statement) -> Result<Outcome, EngineError> {
        let shared = &self.shared;
        let _turn = match statement.is_change() {
            true => Some(shared.turn.lock().await),
            false => None,
        };
        if let Some(draft) = Draft::of(statement)? {
            return shared.create(tenant, draft).await;
        }
        match statement {
            Statement::CreateStream(stream) => shared.create_stream(tenant, stream).await,
            Statement::DropStream { name, if_exists } => shared.drop_stream(tenant, name, *if_exists).await,
            Statement::DropPipeline { name, if_exists } => {
                shared.drop_pipeline(tenant, name, *if_exists, "pipeline").await
            }
            Statement::DropAlert { name, if_exists } => {
                shared.drop_pipeline(tenant, name, *if_exists, "alert").await
            }
            Statement::PausePipeline { name } => shared.pause(tenant, name).await,
            Statement::ResumePipeline { name } => shared.resume(tenant, name).await,
            Statement::ShowStreams => {
                // Those of the hub itself are no tables.
                let streams = shared.streams.entries(tenant).into_iter();
                let names = streams.map(|stream| stream.key.name.to_string());
                Ok(Outcome::Listing(names.filter(|name| !name.starts_with('_')).collect()))
            }
            Statement::ShowPipelines => self.listing(tenant, false).await,
            Statement::ShowAlerts => self.listing(tenant, true).await,
            Statement::Describe { name } => shared.describe(tenant, name).await,
            Statement::Explain { name } => shared.explain(tenant, name).await,
            _ => Err(EngineError::IsQuery),
        }
    }

    async fn listing(&self, tenant: &TenantId, alerts: bool) -> Result<Outcome, EngineError> {
        let status = self.status(tenant).await.into_iter();
        let wanted = status.filter(|status| matches!(status.kind, PipelineKind::Alert { .. }) == alerts);
        let line = |status: super::PipelineStatus| {
            format!("{}\t{}\tINTO {}", status.name, status.state.as_str(), status.into)
        };
        Ok(Outcome::Listing(wanted.map(line).collect()))
    }
}

impl Shared {
    async fn create_stream(&self, tenant: &TenantId, stream: &CreateStream) -> Result<Outcome, EngineError> {
        let key = StreamKey::new(tenant.clone(), stream.name.clone());
        if self.streams.entry(&key).is_some() {
            return match stream.if_not_exists {
                true => Ok(Outcome::Unchanged(format!("stream `{}` exists already", stream.name))),
                false => Err(EngineError::Exists { kind: "stream", name: stream.name.clone() }),
            };
        }
        let delay = stream.watermark_delay_us.unwrap_or(DEFAULT_WATERMARK_DELAY_US);
        let schema = declared_schema(&stream.columns);
        let sql = Some(stream.text.clone());
        let new = NewStream { idle_us: stream.idle_us, ..new_stream(key, Origin::Declared, schema, delay) };
        self.streams.create(NewStream { sql, ..new }).await?;
        Ok(Outcome::Done(format!("stream `{}` is there", stream.name)))
    }

    async fn drop_stream(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        if_exists: bool,
    ) -> Result<Outcome, EngineError> {
        let users = self.roster.users(tenant, name);
        if !users.is_empty() {
            return Err(EngineError::InUse { stream: name.clone(), users: users.join(", ") });
        }
        match (self.streams.remove(&StreamKey::new(tenant.clone(), name.clone())).await?, if_exists) {
            (true, _) => Ok(Outcome::Done(format!("stream `{name}` is gone"))),
            (false, true) => Ok(Outcome::Unchanged(format!("stream `{name}` does not exist"))),
            (false, false) => Err(EngineError::NotFound { kind: "stream", name: name.clone() }),
        }
    }

    /// The streams of a tenant as the planner sees them.
    pub(super) fn catalog(&self, tenant: &TenantId) -> Catalog {
        let approved = |entry: &Arc<StreamEntry>| entry.state != Approval::Refused;
        Catalog::new(self.streams.entries(tenant).into_iter().filter(approved).map(|entry| StreamTable {
            name: entry.key.name.clone(),
            schema: entry.schema.clone(),
            watermark_delay_us: entry.watermark_delay_us,
        }))
    }

    async fn create(self: &Arc<Self>, tenant: &TenantId, draft: Draft) -> Result<Outcome, EngineError> {
        let existing = self.meta.pipeline(tenant, draft.name.as_str()).await?;
        if let Some(existing) = &existing {
            let is_same_kind = kind_name(&existing.kind) == draft.kind_name();
            if draft.if_not_exists && is_same_kind {
                return Ok(Outcome::Unchanged(format!(
                    "{} `{}` exists already",
                    draft.kind_name(),
                    draft.name
                )));
            }
            if !draft.or_replace || !is_same_kind {
                return Err(EngineError::Exists { kind: kind_name(&existing.kind), name: draft.name });
            }
        }
        let plan = Arc::new(crate::plan::plan(&draft.select, &self.catalog(tenant))?);
        self.check_flow(tenant, &draft, &plan)?;
        self.prepare_target(tenant, &draft, &plan).await?;
        let new = NewPipeline {
            tenant: tenant.clone(),
            name: draft.name.to_string(),
            kind: draft.kind,
            into: draft.into.clone(),
            sql: draft.sql.clone(),
            state: PipelineState::Running,
        };
        // A new pipeline reads what the log still holds; an alert rule and a changed statement begin now, because old
        // rows would fire again or be written twice.
        let is_new = existing.is_none();
        let from = match (is_new, draft.kind) {
            (true, PipelineKind::Pipeline) => self.log.head(),
            _ => self.log.end(),
        };
        if let Some(running) = existing.as_ref().and_then(|existing| self.roster.stop(existing.id)) {
            running.ended().await;
        }
        let entry = match is_new {
            true => self.meta.create_pipeline(new).await?,
            false => self.meta.put_pipeline(new).await?,
        };
        self.begin(&entry, &plan, from).await?;
        self.start(entry, plan).await?;
        let verb = if is_new { "runs" } else { "runs in its new version" };
        Ok(Outcome::Done(format!("{} `{}` {verb} and fills `{}`", draft.kind_name(), draft.name, draft.into)))
    }

    /// Rows must not come back to where they came from.
    fn check_flow(&self, tenant: &TenantId, draft: &Draft, plan: &Plan) -> Result<(), EngineError> {
        let is_pipeline = matches!(draft.kind, PipelineKind::Pipeline);
        if let Some(why) = target::reserved(&draft.into).filter(|_| is_pipeline) {
            let why = why.to_owned();
            return Err(EngineError::Target { name: draft.name.clone(), stream: draft.into.clone(), why });
        }
        for source in plan.source_names() {
            if self.roster.reaches(tenant, &draft.into, &source, draft.name.as_str()) {
                let why = target::comes_back(&source);
                return Err(EngineError::Target {
                    name: draft.name.clone(),
                    stream: draft.into.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// Makes sure that the stream for the rows, and the one for late rows, can take them.
    async fn prepare_target(&self, tenant: &TenantId, draft: &Draft, plan: &Plan) -> Result<(), EngineError> {
        let key = StreamKey::new(tenant.clone(), draft.into.clone());
        self.prepare_stream(&key, draft, plan.output_schema(), plan.output_delay_us).await?;
        if plan.judges_lateness {
            let late = StreamKey::new(tenant.clone(), crate::late_stream(&draft.name)?);
            self.prepare_stream(&late, draft, plan.late_schema(), plan.late_delay_us()).await?;
        }
        Ok(())
    }

    async fn prepare_stream(
        &self,
        key: &StreamKey,
        draft: &Draft,
        schema: &Schema,
        delay: i64,
    ) -> Result<(), EngineError> {
        let refuse =
            |why: String| EngineError::Target { name: draft.name.clone(), stream: key.name.clone(), why };
        let pipeline = draft.name.to_string();
        let Some(entry) = self.streams.entry(key) else {
            let new = new_stream(key.clone(), Origin::Derived { pipeline }, schema.clone(), delay);
            self.streams.create(new).await?;
            return Ok(());
        };
        match &entry.origin {
            Origin::Derived { pipeline: owner } if *owner != pipeline => {
                return Err(refuse(format!("pipeline `{owner}` fills it")));
            }
            Origin::Inferred => return Err(refuse("devices fill it".to_owned())),
            Origin::Derived { .. } | Origin::Declared => {}
        }
        let is_declared = entry.origin == Origin::Declared;
        let wider = target::widened(&entry.schema, is_declared, schema).map_err(refuse)?;
        if wider.fields.len() > entry.schema.fields.len() {
            self.streams.put_schema(key, wider).await?;
        }
        Ok(())
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
        };
        self.hold(entry.id, from.0);
        let folder = Folder::new(&self.options.data_dir, entry.id);
        let snapshot = Snapshot { header, operators: Vec::new() };
        tokio::task::spawn_blocking(move || folder.begin(&snapshot)).await.map_err(|_| EngineError::Closed)?
    }

    async fn drop_pipeline(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        if_exists: bool,
        kind: &'static str,
    ) -> Result<Outcome, EngineError> {
        let found = self.meta.pipeline(tenant, name.as_str()).await?;
        let Some(entry) = found.filter(|entry| kind_name(&entry.kind) == kind) else {
            return match if_exists {
                true => Ok(Outcome::Unchanged(format!("{kind} `{name}` does not exist"))),
                false => Err(EngineError::NotFound { kind, name: name.clone() }),
            };
        };
        if let Some(running) = self.roster.stop(entry.id) {
            running.ended().await;
        }
        self.meta.drop_pipeline(tenant, name.as_str()).await?;
        self.roster.remove(entry.id);
        self.release(entry.id);
        let folder = Folder::new(&self.options.data_dir, entry.id);
        tokio::task::spawn_blocking(move || folder.remove()).await.map_err(|_| EngineError::Closed)??;
        Ok(Outcome::Done(format!("{kind} `{name}` is gone; its stream `{}` stays", entry.into)))
    }

    async fn pause(&self, tenant: &TenantId, name: &StreamName) -> Result<Outcome, EngineError> {
        let entry = self.known(tenant, name).await?;
        if let Some(running) = self.roster.stop(entry.id) {
            running.ended().await;
        }
        let entry = self.meta.set_pipeline_state(tenant, name.as_str(), PipelineState::Paused).await?;
        let from = self.planned(&entry).await.map(|plan| plan.source_names()).unwrap_or_default();
        self.roster.put_idle(entry, from, None);
        Ok(Outcome::Done(format!("`{name}` is paused; the log is kept for it from here on")))
    }

    async fn resume(self: &Arc<Self>, tenant: &TenantId, name: &StreamName) -> Result<Outcome, EngineError> {
        let entry = self.known(tenant, name).await?;
        let plan = self.planned(&entry).await?;
        if let Some(running) = self.roster.stop(entry.id) {
            running.ended().await;
        }
        let entry = self.meta.set_pipeline_state(tenant, name.as_str(), PipelineState::Running).await?;
        self.start(entry, plan).await?;
        Ok(Outcome::Done(format!("`{name}` runs")))
    }

    pub(super) async fn known(
        &self,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<PipelineEntry, EngineError> {
        let entry = self.meta.pipeline(tenant, name.as_str()).await?;
        entry.ok_or_else(|| EngineError::NotFound { kind: "pipeline", name: name.clone() })
    }

    async fn describe(&self, tenant: &TenantId, name: &StreamName) -> Result<Outcome, EngineError> {
        if let Some(entry) = self.streams.entry(&StreamKey::new(tenant.clone(), name.clone())) {
            let columns = entry.schema.arrow();
            let lines = columns.fields().iter().map(|field| {
                let null = if field.is_nullable() { "" } else { "\tNOT NULL" };
                let unit = entry.schema.field(field.name()).and_then(|own| own.unit.as_deref());
                let unit = unit.map(|unit| format!("\tUNIT '{unit}'")).unwrap_or_default();
                format!("{}\t{}{null}{unit}", field.name(), field.data_type())
            });
            return Ok(Outcome::Listing(lines.collect()));
        }
        Ok(Outcome::Listing(vec![self.known(tenant, name).await?.sql]))
    }

    /// Takes over a pipeline that meta knows, at a start.
    pub(super) async fn adopt(self: &Arc<Self>, entry: PipelineEntry) {
        let folder = Folder::new(&self.options.data_dir, entry.id);
        let kept = tokio::task::spawn_blocking(move || folder.oldest_needed()).await;
        if let Ok(Ok(Some(offset))) = kept {
            self.hold(entry.id, offset);
        }
        let planned = self.planned(&entry).await;
        let from = planned.as_ref().map(|plan| plan.source_names()).unwrap_or_default();
        let failure = match planned {
            Ok(plan) if entry.state == PipelineState::Running => self.start(entry.clone(), plan).await.err(),
            Ok(_) => return self.roster.put_idle(entry, from, None),
            Err(error) => Some(error),
        };
        if let Some(error) = failure {
            tracing::error!(
                pipeline = entry.name,
                error = &error as &dyn std::error::Error,
                "a pipeline cannot be started; others run on"
            );
            self.roster.put_idle(entry, from, Some(error.full_text()));
        }
    }

    /// Plans the statement of a pipeline for the schema version with which it began.
    pub(super) async fn planned(&self, entry: &PipelineEntry) -> Result<Arc<Plan>, EngineError> {
        let statement = statement::parse_one(&entry.sql).map_err(PlanError::from)?;
        let draft = Draft::of(&statement)?.ok_or_else(|| PlanError::new("the statement is no pipeline"))?;
        let mut catalog = self.catalog(&entry.tenant);
        let plan = crate::plan::plan(&draft.select, &catalog)?;
        let folder = Folder::new(&self.options.data_dir, entry.id);
        let version = entry.version;
        let found = tokio::task::spawn_blocking(move || folder.candidates(version)).await;
        let (candidates, _) = found.map_err(|_| EngineError::Closed)??;
        let began_with = candidates.first().map(|snapshot| snapshot.header.schema_versions.clone());
        let began_with = began_with.unwrap_or_default();
        let mut is_other = false;
        for (source, version) in plan.sources.iter().zip(began_with) {
            if source.schema.version == version {
                continue;
            }
            let key = StreamKey::new(entry.tenant.clone(), source.name.clone());
            let versions = self.meta.schemas(&key).await?;
            if let Some(schema) = versions.into_iter().find(|schema| schema.version == version) {
                catalog.insert(StreamTable { schema, ..source.clone() });
                is_other = true;
            }
        }
        match is_other {
            true => Ok(Arc::new(crate::plan::plan(&draft.select, &catalog)?)),
            false => Ok(Arc::new(plan)),
        }
    }
}

fn new_stream(key: StreamKey, origin: Origin, schema: Schema, delay: i64) -> NewStream {
    NewStream {
        key,
        state: Approval::Approved,
        origin,
        schema,
        watermark_delay_us: delay,
        idle_us: Some(DEFAULT_IDLE_US),
        retention_us: None,
        sql: None,
    }
}
