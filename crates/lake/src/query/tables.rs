//! Which tables exist for a tenant: its streams, its reference tables, `devices` and `twin`. Nothing else can be named, so nothing else can
//! be read; no permission is checked per row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::datasource::{MemTable, TableProvider, provider_as_source};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use springhouse_engine::FunctionSet;
use springhouse_model::TenantId;

use super::devices::Devices;
use super::kept::KeptTable;
use super::scan::StreamScan;
use crate::catalog::is_internal;
use crate::keeper::Shared;
use crate::sorted::lake_schema;
use crate::twin::{LastValues, Twin};

/// The tables of one tenant at one moment: every query sees all of them as they were when it began.
pub(super) struct Tables<'a> {
    tables: HashMap<String, Arc<dyn TableProvider>>,
    session: &'a SessionState,
    /// Those that the tenant has brought; calls of others that people write have been written out.
    functions: FunctionSet,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl<'a> Tables<'a> {
    pub fn of(shared: &Shared, twin: &Twin, tenant: &TenantId, session: &'a SessionState) -> Tables<'a> {
        let streams = shared.catalog.streams_of(tenant);
        let mut tables: HashMap<String, Arc<dyn TableProvider>> = HashMap::new();
        {
            let state = shared.state.lock();
            for entry in streams.iter().filter(|entry| !is_internal(entry)) {
                let scan = StreamScan {
                    schema: lake_schema(&entry.schema),
                    view: state.view(entry.id),
                    store: Arc::clone(&shared.storage.store),
                };
                tables.insert(entry.key.name.to_string(), Arc::new(scan));
            }
        }
        let reference = shared.catalog.tables().map(|tables| tables.batches(tenant)).unwrap_or_default();
        for (name, rows) in reference {
            // Rows of one batch have its schema, so that this does not fail.
            if let Ok(table) = MemTable::try_new(rows.schema(), vec![vec![rows]]) {
                tables.insert(name.to_string(), Arc::new(table));
            }
        }
        let devices = Devices::new(Arc::clone(&shared.meta), tenant.clone());
        tables.insert("devices".to_owned(), Arc::new(KeptTable(devices)));
        let values = LastValues::new(twin.clone(), tenant.clone());
        tables.insert("twin".to_owned(), Arc::new(KeptTable(values)));
        let functions = shared.catalog.functions(tenant);
        let relation_planners = springhouse_engine::history::relation_planners();
        Tables { tables, session, functions, relation_planners }
    }

    pub fn functions(&self) -> &FunctionSet {
        &self.functions
    }
}

impl ContextProvider for Tables<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        // A stream's name may have dots; to the planner they separate a schema.
        let name = match &name {
            TableReference::Bare { table } => table.to_string(),
            TableReference::Partial { schema, table } => format!("{schema}.{table}"),
            TableReference::Full { catalog, schema, table } => format!("{catalog}.{schema}.{table}"),
        };
        match self.tables.get(&name) {
            Some(table) => Ok(provider_as_source(Arc::clone(table))),
            None => plan_err!("stream `{name}` does not exist; hint: SHOW STREAMS lists those that do"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.session.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(springhouse_engine::type_planner())
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let brought = self.functions.exported(name);
        brought.or_else(|| self.session.scalar_functions().get(name).cloned())
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.session.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.session.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.session.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.session.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.session.udfs().into_iter().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.session.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.session.udafs().into_iter().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.session.udwfs().into_iter().collect()
    }
}
