//! Carrying out statements.

use std::fmt;
use std::sync::Arc;

use springhouse_meta::{
    Approval, DEFAULT_IDLE_US, DEFAULT_WATERMARK_DELAY_US, FunctionDefinition, NewStream, Origin,
    PipelineEntry, PipelineKind, PipelineState, StreamEntry,
};
use springhouse_model::{StreamKey, StreamName, TenantId};
use springhouse_schema::Schema;

use super::change::Change;
use super::draft::{Draft, kind_name};
use super::snapshot::Folder;
use super::{Engine, EngineError, Shared};
use crate::statement::{self, CreateStream, Statement};
use crate::{Catalog, FunctionSet, Plan, PlanError, StreamTable, declared_schema};

/// What a statement did, in words for the person who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(String),
    /// A pipeline or an alert rule runs as its statement says.
    Changed(Change),
    /// Nothing had to be done.
    Unchanged(String),
    /// What SHOW and DESCRIBE found, one line each.
    Listing(Vec<String>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done(text) | Outcome::Unchanged(text) => f.write_str(text),
            Outcome::Changed(change) => change.fmt(f),
            Outcome::Listing(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

impl Engine {
    /// Carries out a statement of a tenant. Queries are not for the engine: [`EngineError::IsQuery`].
    ///
    /// What has begun is carried out, also when whoever asked for it goes away.
    pub async fn execute(&self, tenant: &TenantId, statement: &Statement) -> Result<Outcome, EngineError> {
        self.execute_for(tenant, None, statement).await
    }

    /// As [`Engine::execute`]; versions of pipelines remember by whom they are.
    pub async fn execute_for(
        &self,
        tenant: &TenantId,
        by: Option<&str>,
        statement: &Statement,
    ) -> Result<Outcome, EngineError> {
        let (engine, tenant, statement) = (self.clone(), tenant.clone(), statement.clone());
        let by = by.map(str::to_owned);
        let work = async move { engine.carry_out(&tenant, by, &statement).await };
        self.shared.threads.complete(work).await?
    }

    /// What a CREATE PIPELINE, CREATE ALERT or ROLLBACK would do, without doing it.
    pub async fn foresee(&self, tenant: &TenantId, statement: &Statement) -> Result<Change, EngineError> {
        let (shared, tenant, statement) = (Arc::clone(&self.shared), tenant.clone(), statement.clone());
        let work = async move {
            let draft = match &statement {
                Statement::RollbackPipeline { name, version } => {
                    shared.older(&tenant, name, *version).await?
                }
                other => Draft::of(other)?
                    .ok_or_else(|| PlanError::new(format!("{} makes no pipeline", other.verb())))?,
            };
            shared.foresee(&tenant, &draft).await
        };
        self.shared.threads.run(work).await?
    }

    async fn carry_out(
        &self,
        tenant: &TenantId,
        by: Option<String>,
        statement: &Statement,
    ) -> Result<Outcome, EngineError> {
        let shared = &self.shared;
        // Sources are read before it is this statement's turn: they may take their time.
        match statement {
            Statement::CreateTable(table) => return shared.create_table(tenant, table).await,
            Statement::RefreshTable { name } => return shared.refresh_table(tenant, name).await,
            _ => {}
        }
        let _turn = match statement.is_change() {
            true => Some(shared.turn.lock().await),
            false => None,
        };
        if let Some(draft) = Draft::of(statement)? {
            return shared.create(tenant, Draft { by, ..draft }).await;
        }
        match statement {
            Statement::CreateFunction(function) => shared.create_function(tenant, function, by).await,
            Statement::DropFunction { name, if_exists } => {
                shared.drop_function(tenant, name, *if_exists).await
            }
            Statement::ShowFunctions => Ok(shared.show_functions(tenant)),
            Statement::CreateStream(stream) => shared.create_stream(tenant, stream).await,
            Statement::DropStream { name, if_exists } => shared.drop_stream(tenant, name, *if_exists).await,
            Statement::DropTable { name, if_exists } => shared.drop_table(tenant, name, *if_exists).await,
            Statement::ShowTables => Ok(shared.show_tables(tenant)),
            Statement::DropPipeline { name, if_exists } => {
                shared.drop_pipeline(tenant, name, *if_exists, "pipeline").await
            }
            Statement::DropAlert { name, if_exists } => {
                shared.drop_pipeline(tenant, name, *if_exists, "alert").await
            }
            Statement::PausePipeline { name } => shared.pause(tenant, name).await,
            Statement::ResumePipeline { name } => shared.resume(tenant, name).await,
            Statement::RollbackPipeline { name, version } => {
                shared.roll_back(tenant, name, *version, by).await
            }
            Statement::ShowVersions { name } => shared.show_versions(tenant, name).await,
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
        if self.tables.entry(tenant, &stream.name).is_some() {
            return Err(EngineError::Exists { kind: "table", name: stream.name.clone() });
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

    /// The streams, tables and functions of a tenant as the planner sees them.
    pub(super) fn catalog(&self, tenant: &TenantId) -> Catalog {
        let approved = |entry: &Arc<StreamEntry>| entry.state != Approval::Refused;
        let streams = self.streams.entries(tenant).into_iter().filter(approved);
        let mut catalog = Catalog::new(streams.map(|entry| StreamTable {
            name: entry.key.name.clone(),
            schema: entry.schema.clone(),
            watermark_delay_us: entry.watermark_delay_us,
        }));
        self.tables.for_planner(tenant).into_iter().for_each(|table| catalog.insert_table(table));
        catalog.put_functions(self.functions.set(tenant));
        catalog
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
        let over = self.end_episodes(&entry, "its alert was dropped").await?;
        self.meta.drop_pipeline(tenant, name.as_str()).await?;
        self.roster.remove(entry.id);
        self.release(entry.id);
        let folder = Folder::new(&self.options.data_dir, entry.id);
        tokio::task::spawn_blocking(move || folder.remove()).await.map_err(|_| EngineError::Closed)??;
        let over = match over {
            0 => String::new(),
            over => format!("; {over} that it had fired and not resolved are over"),
        };
        Ok(Outcome::Done(format!("{kind} `{name}` is gone; its stream `{}` stays{over}", entry.into)))
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

    pub(super) async fn resume(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<Outcome, EngineError> {
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
        if let Some(columns) = self.describe_table(tenant, name) {
            return Ok(columns);
        }
        match (self.known(tenant, name).await, self.describe_function(tenant, name)) {
            (Err(EngineError::NotFound { .. }), Some(function)) => Ok(function),
            (known, _) => Ok(Outcome::Listing(vec![known?.sql])),
        }
    }

    /// Takes over a pipeline that meta knows, at a start.
    pub(super) async fn adopt(self: &Arc<Self>, entry: PipelineEntry) {
        let folder = Folder::new(&self.options.data_dir, entry.id);
        let version = entry.version;
        let kept = tokio::task::spawn_blocking(move || {
            if let Err(error) = folder.keep_only(version) {
                tracing::warn!(error = &error as &dyn std::error::Error, "an old snapshot stays behind");
            }
            folder.oldest_needed()
        });
        let kept = kept.await;
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

    /// The functions that stand beside a version of a pipeline.
    pub(super) async fn kept_functions(
        &self,
        tenant: &TenantId,
        definitions: &[FunctionDefinition],
    ) -> Result<FunctionSet, EngineError> {
        self.functions.kept(self.meta.as_ref(), tenant, definitions).await
    }

    /// Plans the statement of a pipeline for the schema version with which it began, and by the definitions of functions
    /// that it was created with.
    pub(super) async fn planned(&self, entry: &PipelineEntry) -> Result<Arc<Plan>, EngineError> {
        let statement = statement::parse_one(&entry.sql).map_err(PlanError::from)?;
        let draft = Draft::of(&statement)?.ok_or_else(|| PlanError::new("the statement is no pipeline"))?;
        let mut catalog = self.catalog(&entry.tenant);
        catalog.put_functions(self.kept_functions(&entry.tenant, &entry.functions).await?);
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

pub(super) fn new_stream(key: StreamKey, origin: Origin, schema: Schema, delay: i64) -> NewStream {
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
