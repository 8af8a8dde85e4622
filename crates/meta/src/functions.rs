//! Functions that people write: their definitions. What they mean is the engine's.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use springhouse_model::{TenantId, Timestamp};

use crate::Result;

/// A function to be created or replaced.
#[derive(Clone, Debug)]
pub struct NewFunction {
    pub tenant: TenantId,
    pub name: String,
    pub sql: String,
    /// Who wrote it, if known.
    pub by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionEntry {
    pub tenant: TenantId,
    pub name: String,
    /// Counts the definitions, from 1.
    pub version: u32,
    pub sql: String,
    pub created_at: Timestamp,
    /// When it got the definition that it has.
    pub changed_at: Timestamp,
    /// Who wrote that, if known.
    pub by: Option<String>,
}

/// What a function means to whoever keeps it, whatever becomes of the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDefinition {
    pub name: String,
    pub version: u32,
    pub sql: String,
}

/// What functions are made of, brought by somebody.
#[derive(Clone)]
pub struct NewComponent {
    pub tenant: TenantId,
    /// Of the bytes, in hexadecimal digits. Definitions name the component by it.
    pub sha256: String,
    pub bytes: Vec<u8>,
}

#[async_trait]
pub trait Functions: Send + Sync {
    /// The functions of a tenant, or with `None` of all, by name.
    async fn functions(&self, tenant: Option<&TenantId>) -> Result<Vec<FunctionEntry>>;
    /// Creates the function or gives the one of this name another definition, which is another version.
    async fn put_function(&self, function: NewFunction) -> Result<FunctionEntry>;
    /// The same for several of one tenant, together with the component that they name: all or none.
    async fn put_component(
        &self,
        component: NewComponent,
        functions: Vec<NewFunction>,
    ) -> Result<Vec<FunctionEntry>>;
    /// The bytes of a component, as long as a function or a version of a pipeline names it.
    async fn component(&self, tenant: &TenantId, sha256: &str) -> Result<Option<Vec<u8>>>;
    async fn drop_function(&self, tenant: &TenantId, name: &str) -> Result<bool>;
}
