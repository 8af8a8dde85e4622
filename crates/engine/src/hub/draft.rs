//! A pipeline or an alert rule that is to be.

use springhouse_meta::PipelineKind;
use springhouse_model::StreamName;

use super::EngineError;
use crate::statement::{Firing, Select, Statement};
use crate::{Catalog, FunctionSet, Plan, PlanError, alert_stream};

/// What a CREATE PIPELINE or CREATE ALERT asks for.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(super) kind: PipelineKind,
    pub(super) name: StreamName,
    pub(super) into: StreamName,
    pub(super) select: Select,
    pub(super) or_replace: bool,
    pub(super) if_not_exists: bool,
    pub(super) sql: String,
    /// The functions that it calls, when they are not those that there are.
    pub(super) functions: Option<FunctionSet>,
    /// Who asks, if known.
    pub(super) by: Option<String>,
}

impl Draft {
    /// `None` for other statements.
    pub(super) fn of(statement: &Statement) -> Result<Option<Draft>, EngineError> {
        Ok(match statement {
            Statement::CreatePipeline(pipeline) => Some(Draft {
                kind: PipelineKind::Pipeline,
                name: pipeline.name.clone(),
                into: pipeline.into.clone(),
                select: pipeline.select.clone(),
                or_replace: pipeline.or_replace,
                if_not_exists: pipeline.if_not_exists,
                sql: pipeline.text.clone(),
                functions: None,
                by: None,
            }),
            Statement::CreateAlert(alert) => Some(Draft {
                kind: PipelineKind::Alert { severity: alert.severity, key: key_of(&alert.select.firing) },
                name: alert.name.clone(),
                into: alert_stream(&alert.name)?,
                select: alert.select.clone(),
                or_replace: alert.or_replace,
                if_not_exists: alert.if_not_exists,
                sql: alert.text.clone(),
                functions: None,
                by: None,
            }),
            _ => None,
        })
    }

    /// Plans it over what a tenant has.
    pub(super) fn plan(&self, mut catalog: Catalog) -> Result<Plan, PlanError> {
        if let Some(functions) = &self.functions {
            catalog.put_functions(functions.clone());
        }
        crate::plan::plan(&self.select, &catalog)
    }

    pub(super) fn kind_name(&self) -> &'static str {
        kind_name(&self.kind)
    }
}

fn key_of(firing: &Firing) -> Vec<String> {
    firing.key.iter().map(|column| column.name.clone()).collect()
}

pub(super) fn kind_name(kind: &PipelineKind) -> &'static str {
    match kind {
        PipelineKind::Pipeline => "pipeline",
        PipelineKind::Alert { .. } => "alert",
    }
}
