//! Bringing a component: all that it exports becomes functions, or nothing does.

use std::sync::Arc;

use bytes::Bytes;
use springhouse_meta::{NewComponent, NewFunction};
use springhouse_model::{StreamName, TenantId};

use super::statements::refusal;
use crate::Brought;
use crate::functions::Programs;
use crate::hub::{Engine, EngineError, Shared};
use crate::statement::{CreateFunction, is_same};

impl Engine {
    /// Makes functions of what a component exports, each in the place of the one of its name. Returns their names.
    pub async fn add_component(
        &self,
        tenant: &TenantId,
        by: Option<&str>,
        bytes: Bytes,
    ) -> Result<Vec<StreamName>, EngineError> {
        let (shared, tenant, by) = (Arc::clone(&self.shared), tenant.clone(), by.map(str::to_owned));
        let work = async move { shared.add_component(&tenant, by, bytes).await };
        self.shared.threads.complete(work).await?
    }
}

impl Shared {
    async fn add_component(
        &self,
        tenant: &TenantId,
        by: Option<String>,
        bytes: Bytes,
    ) -> Result<Vec<StreamName>, EngineError> {
        let read = bytes.clone();
        // Compiling takes its time, and needs no turn.
        let Brought { program, functions } =
            self.threads.spawn_blocking(move || Brought::read(&read)).await??;
        let names = functions.iter().map(|function| function.name.clone()).collect();
        let _turn = self.turn.lock().await;
        let changed = self.changed(tenant, functions)?;
        if changed.is_empty() {
            return Ok(names);
        }
        let program = self.functions.share(tenant, program);
        let mut programs = Programs::default();
        programs.insert(Arc::clone(&program));
        let (_, refused) = self.functions.with(tenant, &changed, &programs);
        if let Some((refused, error)) = refused.into_iter().next() {
            let present = self.functions.set(tenant);
            let is_meant = |name: &&str| present.callers_of(name).contains(&refused.as_str());
            let name =
                changed.iter().map(|function| function.name.as_str()).find(is_meant).unwrap_or(&refused);
            return Err(refusal(name, &refused, error).into());
        }
        let new = |function: CreateFunction| NewFunction {
            tenant: tenant.clone(),
            name: function.name.to_string(),
            sql: function.text,
            by: by.clone(),
        };
        let component = NewComponent {
            tenant: tenant.clone(),
            sha256: program.digest().to_string(),
            bytes: bytes.to_vec(),
        };
        self.meta.put_component(component, changed.into_iter().map(new).collect()).await?;
        self.read_functions(tenant).await?;
        Ok(names)
    }

    /// Those that are not there as they are.
    fn changed(
        &self,
        tenant: &TenantId,
        functions: Vec<CreateFunction>,
    ) -> Result<Vec<CreateFunction>, EngineError> {
        let (mut changed, mut more) = (Vec::new(), 0);
        for function in functions {
            match self.functions.entry(tenant, function.name.as_str()) {
                Some(existing) if is_same(&existing.sql, &function.text) => continue,
                Some(_) => {}
                None => {
                    self.check_new_function(tenant, &function.name, more)?;
                    more += 1;
                }
            }
            changed.push(function);
        }
        Ok(changed)
    }
}
