//! The components of a hub's tenants that are in use: read out of meta when a definition names them, shared, and let go of with the last
//! set of functions that holds them.

use std::sync::{Arc, Weak};

use springhouse_meta::{FunctionDefinition, Meta};
use springhouse_model::TenantId;
use springhouse_wasm::Digest;

use super::Functions;
use crate::functions::{Program, Programs};
use crate::hub::EngineError;
use crate::statement::{self, CreateFunction, FunctionBody, Statement};
use crate::{FunctionSet, PlanError};

impl Functions {
    /// The functions that stand beside a version of a pipeline.
    pub(in crate::hub) async fn kept(
        &self,
        meta: &dyn Meta,
        tenant: &TenantId,
        definitions: &[FunctionDefinition],
    ) -> Result<FunctionSet, EngineError> {
        let programs = self.programs(meta, tenant, named(definitions)).await?;
        let (functions, refused) = FunctionSet::of(definitions, &programs);
        match refused.into_iter().next() {
            None => Ok(functions),
            Some((name, error)) => {
                let message = format!("function `{name}`: {}", error.message);
                Err(PlanError { message, ..error }.into())
            }
        }
    }

    /// The components of these that meta keeps; those that are in use are not read again.
    pub(in crate::hub) async fn programs(
        &self,
        meta: &dyn Meta,
        tenant: &TenantId,
        digests: Vec<Digest>,
    ) -> Result<Programs, EngineError> {
        let mut found = Programs::default();
        for digest in digests {
            if found.get(&digest).is_some() {
                continue;
            }
            let known = self.programs.lock().get(&(tenant.clone(), digest)).and_then(Weak::upgrade);
            if let Some(program) = known {
                found.insert(program);
            } else if let Some(bytes) = meta.component(tenant, &digest.to_string()).await? {
                found.insert(self.share(tenant, Arc::new(Program::new(digest, bytes))));
            }
        }
        Ok(found)
    }

    /// The one that all use: this one, unless there is one of its digest.
    pub(super) fn share(&self, tenant: &TenantId, program: Arc<Program>) -> Arc<Program> {
        let mut programs = self.programs.lock();
        programs.retain(|_, program| program.strong_count() > 0);
        let known = programs.entry((tenant.clone(), program.digest())).or_default();
        match known.upgrade() {
            Some(known) => known,
            None => {
                *known = Arc::downgrade(&program);
                program
            }
        }
    }

    /// All that are in use.
    pub(in crate::hub) fn shared_programs(&self) -> Vec<Arc<Program>> {
        self.programs.lock().values().filter_map(Weak::upgrade).collect()
    }
}

/// The components that definitions name.
pub(super) fn named(definitions: &[FunctionDefinition]) -> Vec<Digest> {
    definitions.iter().filter_map(|definition| digest_of(&definition.sql)).collect()
}

/// The component that a definition names.
pub(super) fn digest_of(sql: &str) -> Option<Digest> {
    match statement::parse_one(sql) {
        Ok(Statement::CreateFunction(function)) => component_of(&function),
        _ => None,
    }
}

/// The component that a function is to be made of.
pub(in crate::hub) fn component_of(function: &CreateFunction) -> Option<Digest> {
    match function.body {
        FunctionBody::Component { digest, .. } => Some(digest),
        FunctionBody::Sql { .. } => None,
    }
}
