//! What is needed to run a pipeline over history: its plan, and the bounds that it has when it runs live.

use std::sync::Arc;

use springhouse_model::{StreamName, TenantId};

use super::preview::select_of;
use super::{Engine, EngineError};
use crate::tables::TableRows;
use crate::{LookupTable, Pipeline, Plan};

/// Which pipeline.
#[derive(Clone, Debug)]
pub enum BacktestOf {
    /// One that there is, with the columns for which it was planned.
    Pipeline(StreamName),
    /// A CREATE PIPELINE, a CREATE ALERT or a SELECT.
    Statement(String),
}

/// A pipeline that can be run over rows of its source.
#[derive(Clone, Debug)]
pub struct BacktestPlan {
    pub plan: Arc<Plan>,
    /// Of each table of the plan the rows of its newest version: history does not know where versions began.
    pub tables: Vec<Option<Arc<TableRows>>>,
    /// What its open windows may hold.
    pub state_bytes_max: usize,
}

impl BacktestPlan {
    /// A run from the beginning.
    pub fn start(&self) -> Pipeline {
        let mut pipeline = self.plan.start();
        for (at, rows) in self.tables.iter().enumerate() {
            rows.iter().for_each(|rows| pipeline.put_table(at, rows));
        }
        pipeline
    }
}

impl Engine {
    pub async fn backtest_plan(
        &self,
        tenant: &TenantId,
        of: BacktestOf,
    ) -> Result<BacktestPlan, EngineError> {
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        let state_bytes_max = shared.options.pipeline_bytes_max;
        let work = async move {
            let plan = match of {
                BacktestOf::Pipeline(name) => shared.planned(&shared.known(&tenant, &name).await?).await?,
                BacktestOf::Statement(sql) => Arc::new(crate::plan::plan(
                    &select_of(&sql, "run over history")?,
                    &shared.catalog(&tenant),
                )?),
            };
            let newest = shared.tables.newest(&tenant);
            let rows = |wanted: &Arc<LookupTable>| {
                newest.iter().find(|(table, _)| table.id == wanted.id).and_then(|(_, rows)| rows.clone())
            };
            let tables = plan.tables.iter().map(rows).collect();
            Ok(BacktestPlan { plan, tables, state_bytes_max })
        };
        self.shared.threads.run(work).await?
    }
}
