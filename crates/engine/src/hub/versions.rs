//! The versions that a pipeline's statement has had, and the way back to one of them.

use std::sync::Arc;

use springhouse_model::{StreamName, TenantId};

use super::draft::{Draft, kind_name};
use super::{EngineError, Outcome, Shared};
use crate::PlanError;
use crate::statement;

/// Versions that SHOW VERSIONS lists.
const SHOWN_MAX: u32 = 100;

impl Shared {
    /// A line for each version, the newest first.
    pub(super) async fn show_versions(
        &self,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<Outcome, EngineError> {
        self.known(tenant, name).await?;
        let versions = self.meta.pipeline_versions(tenant, name.as_str(), SHOWN_MAX).await?;
        let lines = versions.into_iter().map(|version| {
            let by = version.by.unwrap_or_default();
            let sql = version.sql.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{}\t{}\t{by}\t{sql}", version.version, version.created_at)
        });
        Ok(Outcome::Listing(lines.collect()))
    }

    /// Makes the statement of an older version the present one, which is another version.
    pub(super) async fn roll_back(
        self: &Arc<Self>,
        tenant: &TenantId,
        name: &StreamName,
        version: Option<u32>,
        by: Option<String>,
    ) -> Result<Outcome, EngineError> {
        let draft = self.older(tenant, name, version).await?;
        self.create(tenant, Draft { by, ..draft }).await
    }

    /// The statement of an older version, or of the version before, as one that takes the place of the present one.
    pub(super) async fn older(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        version: Option<u32>,
    ) -> Result<Draft, EngineError> {
        let entry = self.known(tenant, name).await?;
        let wanted = version.unwrap_or(entry.version.saturating_sub(1));
        let kind = kind_name(&entry.kind);
        let found = self.meta.pipeline_version(tenant, name.as_str(), wanted).await?;
        let found = found.ok_or(EngineError::NoVersion { kind, name: name.clone(), version: wanted })?;
        let statement = statement::parse_one(&found.sql).map_err(PlanError::from)?;
        let draft = Draft::of(&statement)?.ok_or_else(|| PlanError::new("the statement is no pipeline"))?;
        // An older version means what it meant.
        let functions = Some(self.kept_functions(tenant, &found.functions).await?);
        Ok(Draft { or_replace: true, if_not_exists: false, functions, ..draft })
    }
}
