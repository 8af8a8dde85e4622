//! Which functions there are, and who goes by them.

use springhouse_meta::{FunctionDefinition, PipelineEntry};
use springhouse_model::{TenantId, Timestamp, ValueType};
use springhouse_wasm::Digest;

use super::components::digest_of;

use crate::functions::are_same;
use crate::hub::{Engine, EngineError, Shared};
use crate::statement::Parameter;

/// One function at one moment.
#[derive(Clone, Debug)]
pub struct FunctionStatus {
    pub name: String,
    pub version: u32,
    pub sql: String,
    /// `fahrenheit(celsius DOUBLE) RETURNS DOUBLE`; `None` when it cannot be called.
    pub signature: Option<String>,
    pub parameters: Vec<Parameter>,
    pub returns: Option<ValueType>,
    /// The functions that it calls, and those that call it.
    pub calls: Vec<String>,
    pub called_by: Vec<String>,
    pub used_by: Vec<FunctionUser>,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub by: Option<String>,
    /// The component that it is made of; `None` for an expression.
    pub component: Option<Digest>,
    /// Why it cannot be called.
    pub error: Option<String>,
}

/// A pipeline or an alert that goes by a definition of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUser {
    pub pipeline: String,
    /// Of the definition.
    pub version: u32,
    /// Whether that is the one that the function has.
    pub is_present: bool,
}

/// A function by whose definition a pipeline goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFunction {
    pub name: String,
    pub version: u32,
    /// The version that the function has, when its definition is another one.
    pub newer: Option<u32>,
}

impl Engine {
    /// The functions, for those who ask about what is there.
    pub fn functions(&self) -> &super::Functions {
        &self.shared.functions
    }

    /// The functions of a tenant, by name.
    pub async fn function_status(&self, tenant: &TenantId) -> Result<Vec<FunctionStatus>, EngineError> {
        let pipelines = self.shared.meta.pipelines(Some(tenant)).await?;
        Ok(self.shared.function_status(tenant, &pipelines))
    }
}

impl Shared {
    pub(super) fn function_status(
        &self,
        tenant: &TenantId,
        pipelines: &[PipelineEntry],
    ) -> Vec<FunctionStatus> {
        let tenants = self.functions.tenants.read();
        let Some(members) = tenants.get(tenant) else { return Vec::new() };
        let status = members.entries.iter().map(|entry| {
            let function = members.set.get(&entry.name);
            let error = members.refused.iter().find(|(name, _)| *name == entry.name);
            FunctionStatus {
                name: entry.name.clone(),
                version: entry.version,
                sql: entry.sql.clone(),
                signature: function.map(|function| function.signature()),
                parameters: function.map(|function| function.parameters.clone()).unwrap_or_default(),
                returns: function.map(|function| function.returns),
                calls: function.map(|function| function.calls.iter().cloned().collect()).unwrap_or_default(),
                called_by: members.set.callers_of(&entry.name).into_iter().map(str::to_owned).collect(),
                used_by: users(pipelines, &super::definition(entry)),
                created_at: entry.created_at,
                changed_at: entry.changed_at,
                by: entry.by.clone(),
                component: digest_of(&entry.sql),
                error: error.map(|(_, error)| error.to_string()),
            }
        });
        status.collect()
    }

    /// By which definitions a pipeline goes, and whether the functions have others.
    pub(in crate::hub) fn used_functions(&self, entry: &PipelineEntry) -> Vec<UsedFunction> {
        let of = |used: &FunctionDefinition| {
            let present = self.functions.entry(&entry.tenant, &used.name);
            let other = present.filter(|present| !are_same(used, &super::definition(present)));
            let newer = other.map(|present| present.version);
            UsedFunction { name: used.name.clone(), version: used.version, newer }
        };
        entry.functions.iter().map(of).collect()
    }
}

fn users(pipelines: &[PipelineEntry], present: &FunctionDefinition) -> Vec<FunctionUser> {
    let of = |pipeline: &PipelineEntry| {
        let used = pipeline.functions.iter().find(|used| used.name == present.name)?;
        let is_present = are_same(used, present);
        Some(FunctionUser { pipeline: pipeline.name.clone(), version: used.version, is_present })
    };
    pipelines.iter().filter_map(of).collect()
}
