//! The functions of a hub's tenants.
//!
//! Meta keeps the definitions; here they are read, so that whoever plans, also the lake, finds them without waiting. A pipeline goes by the
//! definitions that stand beside its version in meta, not by these: what it gives must not change under it.

mod bring;
mod components;
mod statements;
mod status;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use springhouse_meta::{FunctionDefinition, FunctionEntry, Meta};
use springhouse_model::TenantId;
use springhouse_wasm::Digest;

use super::EngineError;
use crate::FunctionSet;
use crate::functions::{Program, Programs, Refusal};
use crate::statement::CreateFunction;

pub(super) use components::component_of;
pub(super) use statements::refusal;
pub use status::{FunctionStatus, FunctionUser, UsedFunction};

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Functions {
    tenants: Arc<RwLock<HashMap<TenantId, Members>>>,
    /// Components in use, so that all pipelines of a tenant run one. Those of two tenants are two, even with the same bytes: what
    /// one leaves behind in an instance is not seen by the other.
    programs: Arc<Mutex<ProgramsInUse>>,
}

type ProgramsInUse = HashMap<(TenantId, Digest), Weak<Program>>;

/// The functions of one tenant.
#[derive(Default)]
struct Members {
    entries: Vec<FunctionEntry>,
    set: FunctionSet,
    refused: Vec<Refusal>,
}

impl Functions {
    /// Reads what meta knows.
    pub(crate) async fn open(meta: &dyn Meta) -> Result<Functions, EngineError> {
        let mut entries: HashMap<TenantId, Vec<FunctionEntry>> = HashMap::new();
        for entry in meta.functions(None).await? {
            entries.entry(entry.tenant.clone()).or_default().push(entry);
        }
        let functions = Functions::default();
        for (tenant, entries) in entries {
            functions.put(meta, tenant, entries).await?;
        }
        Ok(functions)
    }

    /// The functions that a statement of a tenant may call.
    pub fn set(&self, tenant: &TenantId) -> FunctionSet {
        self.tenants.read().get(tenant).map(|members| members.set.clone()).unwrap_or_default()
    }

    fn definitions(&self, tenant: &TenantId) -> Vec<FunctionDefinition> {
        let tenants = self.tenants.read();
        let entries = tenants.get(tenant).map(|members| members.entries.as_slice()).unwrap_or_default();
        entries.iter().map(definition).collect()
    }

    fn entry(&self, tenant: &TenantId, name: &str) -> Option<FunctionEntry> {
        let tenants = self.tenants.read();
        tenants.get(tenant)?.entries.iter().find(|entry| entry.name == name).cloned()
    }

    /// The set that there would be with others, and why some of it could not be; what cannot be as it is does not count.
    pub(super) fn with(
        &self,
        tenant: &TenantId,
        others: &[CreateFunction],
        brought: &Programs,
    ) -> (FunctionSet, Vec<Refusal>) {
        let mut programs = self.set(tenant).programs();
        programs.extend(brought.iter().cloned());
        let (set, mut refused) = FunctionSet::with(&self.definitions(tenant), others, &programs);
        let tenants = self.tenants.read();
        let known = tenants.get(tenant).map(|members| members.refused.as_slice()).unwrap_or_default();
        let is_other = |name: &str| others.iter().any(|other| other.name.as_str() == name);
        refused.retain(|(name, _)| is_other(name) || !known.iter().any(|(known, _)| known == name));
        (set, refused)
    }

    async fn put(
        &self,
        meta: &dyn Meta,
        tenant: TenantId,
        entries: Vec<FunctionEntry>,
    ) -> Result<(), EngineError> {
        let definitions: Vec<FunctionDefinition> = entries.iter().map(definition).collect();
        let programs = self.programs(meta, &tenant, components::named(&definitions)).await?;
        let (set, refused) = FunctionSet::of(&definitions, &programs);
        for (name, error) in &refused {
            tracing::error!(function = name, %error, "a function cannot be called; others can");
        }
        self.tenants.write().insert(tenant, Members { entries, set, refused });
        Ok(())
    }
}

fn definition(entry: &FunctionEntry) -> FunctionDefinition {
    FunctionDefinition { name: entry.name.clone(), version: entry.version, sql: entry.sql.clone() }
}
