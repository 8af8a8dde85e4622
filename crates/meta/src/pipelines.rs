//! Pipelines and alert rules: versioned statements. Their state and snapshots are the engine's.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use springhouse_model::{Severity, StreamName, TenantId, Timestamp};

use crate::{FunctionDefinition, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PipelineKind {
    Pipeline,
    Alert {
        severity: Severity,
        /// The columns that say what a row is about; none when nothing was said.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        key: Vec<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PipelineState {
    Running,
    Paused,
    Failed { reason: String },
}

/// A pipeline to be created or replaced.
#[derive(Clone, Debug)]
pub struct NewPipeline {
    pub tenant: TenantId,
    pub name: String,
    pub kind: PipelineKind,
    pub into: StreamName,
    pub sql: String,
    /// The functions that the statement calls, as they are: it goes by these definitions whatever becomes of them.
    pub functions: Vec<FunctionDefinition>,
    pub state: PipelineState,
    /// Who wrote this version, if known.
    pub by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PipelineEntry {
    /// Names the pipeline as a producer in the log; from 1, unique over tenants, never given twice.
    pub id: u64,
    pub tenant: TenantId,
    pub name: String,
    pub kind: PipelineKind,
    /// Counts the versions, from 1.
    pub version: u32,
    pub into: StreamName,
    pub sql: String,
    /// The definitions of functions by which this version goes.
    pub functions: Vec<FunctionDefinition>,
    pub state: PipelineState,
    pub created_at: Timestamp,
}

/// A statement that a pipeline has or had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PipelineVersion {
    pub version: u32,
    pub sql: String,
    /// The definitions of functions by which it went.
    pub functions: Vec<FunctionDefinition>,
    pub created_at: Timestamp,
    /// Who wrote it, if known.
    pub by: Option<String>,
}

#[async_trait]
pub trait Pipelines: Send + Sync {
    /// The pipelines of a tenant, or with `None` of all (for the engine's start), by id.
    async fn pipelines(&self, tenant: Option<&TenantId>) -> Result<Vec<PipelineEntry>>;
    async fn pipeline(&self, tenant: &TenantId, name: &str) -> Result<Option<PipelineEntry>>;
    /// Creates the pipeline; `Conflict` when the name is taken.
    async fn create_pipeline(&self, pipeline: NewPipeline) -> Result<PipelineEntry>;
    /// Creates the pipeline or gives the one of this name another version; it keeps its id.
    async fn put_pipeline(&self, pipeline: NewPipeline) -> Result<PipelineEntry>;
    /// The versions of a pipeline, the newest first, at most `limit`; none when it does not exist.
    async fn pipeline_versions(
        &self,
        tenant: &TenantId,
        name: &str,
        limit: u32,
    ) -> Result<Vec<PipelineVersion>>;
    async fn pipeline_version(
        &self,
        tenant: &TenantId,
        name: &str,
        version: u32,
    ) -> Result<Option<PipelineVersion>>;
    async fn set_pipeline_state(
        &self,
        tenant: &TenantId,
        name: &str,
        state: PipelineState,
    ) -> Result<PipelineEntry>;
    async fn drop_pipeline(&self, tenant: &TenantId, name: &str) -> Result<bool>;
}
