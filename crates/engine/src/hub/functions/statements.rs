//! Creating, replacing and dropping functions.

use springhouse_meta::{FunctionDefinition, NewFunction, PipelineEntry};
use springhouse_model::{StreamName, TenantId};

use crate::functions::{Programs, are_same, check_export, check_name};
use crate::hub::{EngineError, Outcome, Shared};
use crate::statement::{CreateFunction, FunctionBody, RowSource, is_same};
use crate::{Function, FunctionSet, PlanError};

/// Functions of one tenant: all are read again when one of them changes.
const FUNCTIONS_MAX: usize = 1_000;
/// Pipelines that an answer names.
const NAMED_MAX: usize = 10;

impl Shared {
    /// Functions that call the one that is replaced must still make sense.
    pub(in crate::hub) async fn create_function(
        &self,
        tenant: &TenantId,
        function: &CreateFunction,
        by: Option<String>,
    ) -> Result<Outcome, EngineError> {
        let name = &function.name;
        match self.functions.entry(tenant, name.as_str()) {
            Some(_) if function.if_not_exists => {
                return Ok(Outcome::Unchanged(format!("function `{name}` exists already")));
            }
            Some(existing) if function.or_replace && is_same(&existing.sql, &function.text) => {
                let version = existing.version;
                return Ok(Outcome::Unchanged(format!("function `{name}` is unchanged: version {version}")));
            }
            Some(_) if !function.or_replace => {
                return Err(EngineError::Exists { kind: "function", name: name.clone() });
            }
            Some(_) => {}
            None => self.check_new_function(tenant, name, 0)?,
        }
        let programs = self.programs_for(tenant, function).await?;
        let (_, refused) = self.functions.with(tenant, std::slice::from_ref(function), &programs);
        if let Some((refused, error)) = first_of(refused, name.as_str()) {
            return Err(refusal(name.as_str(), &refused, error).into());
        }
        let new =
            NewFunction { tenant: tenant.clone(), name: name.to_string(), sql: function.text.clone(), by };
        let entry = self.meta.put_function(new).await?;
        self.read_functions(tenant).await?;
        let present = super::definition(&entry);
        let behind: Vec<String> = self
            .meta
            .pipelines(Some(tenant))
            .await?
            .iter()
            .filter(|pipeline| goes_by_another(pipeline, &present))
            .map(|pipeline| format!("`{}`", pipeline.name))
            .collect();
        Ok(Outcome::Done(match (entry.version, behind.is_empty()) {
            (1, _) => format!("function `{name}` is there"),
            (version, true) => format!("function `{name}` has version {version}"),
            (version, false) => format!(
                "function `{name}` has version {version}; {}, until CREATE OR REPLACE takes this one",
                go_on(&behind)
            ),
        }))
    }

    /// Reads again what meta knows.
    pub(super) async fn read_functions(&self, tenant: &TenantId) -> Result<(), EngineError> {
        let entries = self.meta.functions(Some(tenant)).await?;
        self.functions.put(self.meta.as_ref(), tenant.clone(), entries).await
    }

    /// The component that a statement names, if it says the same of the export as the component does.
    async fn programs_for(
        &self,
        tenant: &TenantId,
        function: &CreateFunction,
    ) -> Result<Programs, EngineError> {
        let FunctionBody::Component { digest, export } = &function.body else {
            return Ok(Programs::default());
        };
        let programs = self.functions.programs(self.meta.as_ref(), tenant, vec![*digest]).await?;
        if let Some(program) = programs.get(digest).cloned() {
            let (function, export) = (function.clone(), export.clone());
            self.threads.spawn_blocking(move || check_export(&function, &export, &program)).await??;
        }
        Ok(programs)
    }

    pub(super) fn check_new_function(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        more: usize,
    ) -> Result<(), EngineError> {
        check_name(name.as_str())?;
        match self.functions.definitions(tenant).len() + more >= FUNCTIONS_MAX {
            true => {
                let message = format!("there are {FUNCTIONS_MAX} functions, and no more are allowed");
                Err(PlanError::new(message).with_hint("drop those that nothing calls").into())
            }
            false => Ok(()),
        }
    }

    pub(in crate::hub) async fn drop_function(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        if_exists: bool,
    ) -> Result<Outcome, EngineError> {
        if self.functions.entry(tenant, name.as_str()).is_none() {
            return match if_exists {
                true => Ok(Outcome::Unchanged(format!("function `{name}` does not exist"))),
                false => Err(EngineError::NotFound { kind: "function", name: name.clone() }),
            };
        }
        let users = self.users_of_function(tenant, name.as_str()).await?;
        if !users.is_empty() {
            return Err(EngineError::FunctionInUse { function: name.clone(), users: users.join(", ") });
        }
        self.meta.drop_function(tenant, name.as_str()).await?;
        self.read_functions(tenant).await?;
        Ok(Outcome::Done(format!("function `{name}` is gone")))
    }

    /// Functions that call it, pipelines that go by it, and tables whose query does.
    async fn users_of_function(&self, tenant: &TenantId, name: &str) -> Result<Vec<String>, EngineError> {
        let set = self.functions.set(tenant);
        let mut users: Vec<String> =
            set.callers_of(name).iter().map(|caller| format!("`{caller}`")).collect();
        let pipelines = self.meta.pipelines(Some(tenant)).await?;
        let goes_by = |pipeline: &&PipelineEntry| pipeline.functions.iter().any(|used| used.name == name);
        users.extend(pipelines.iter().filter(goes_by).map(|pipeline| format!("`{}`", pipeline.name)));
        for (table, source) in self.tables.sources(tenant) {
            if let RowSource::Query(sql) = source
                && calls(&set, &sql).iter().any(|function| function.name == name)
            {
                users.push(format!("`{table}`"));
            }
        }
        Ok(users)
    }

    pub(in crate::hub) fn show_functions(&self, tenant: &TenantId) -> Outcome {
        let line = |status: super::FunctionStatus| {
            let state = match (status.error, status.component) {
                (Some(error), _) => format!("failing: {error}"),
                (None, None) => format!("version {}", status.version),
                (None, Some(digest)) => format!("version {}\twasm {digest}", status.version),
            };
            format!("{}\t{state}", status.signature.unwrap_or(status.name))
        };
        Outcome::Listing(self.function_status(tenant, &[]).into_iter().map(line).collect())
    }

    /// The statement of a function.
    pub(in crate::hub) fn describe_function(&self, tenant: &TenantId, name: &StreamName) -> Option<Outcome> {
        let entry = self.functions.entry(tenant, name.as_str())?;
        Some(Outcome::Listing(vec![entry.sql]))
    }
}

/// The refusal to tell: its own before that of one that calls it.
fn first_of(mut refused: Vec<(String, PlanError)>, name: &str) -> Option<(String, PlanError)> {
    let own = refused.iter().position(|(refused, _)| refused == name).unwrap_or_default();
    (!refused.is_empty()).then(|| refused.swap_remove(own))
}

/// Why `name` cannot be, when it or one that calls it is refused.
pub(in crate::hub) fn refusal(name: &str, refused: &str, error: PlanError) -> PlanError {
    match refused == name {
        true => error,
        false => PlanError {
            at: None,
            message: format!(
                "function `{refused}`, which calls `{name}`, could not be any more: {}",
                error.message
            ),
            hint: error.hint,
        },
    }
}

fn goes_by_another(pipeline: &PipelineEntry, present: &FunctionDefinition) -> bool {
    pipeline.functions.iter().any(|used| used.name == present.name && !are_same(used, present))
}

fn go_on(pipelines: &[String]) -> String {
    let named = pipelines[..pipelines.len().min(NAMED_MAX)].join(", ");
    match (pipelines.len(), pipelines.len().saturating_sub(NAMED_MAX)) {
        (1, _) => format!("{named} goes on by the version that it was created with"),
        (_, 0) => format!("{named} go on by the versions that they were created with"),
        (_, more) => format!("{named} and {more} more go on by the versions that they were created with"),
    }
}

/// The functions that a query depends on; none when it cannot be read.
fn calls(set: &FunctionSet, sql: &str) -> Vec<std::sync::Arc<Function>> {
    let mut statements = crate::plan::parsed(sql).unwrap_or_default();
    set.expand(&mut statements).unwrap_or_default()
}
