//! What the planner can see: the streams and tables of one tenant and DataFusion's functions.
//!
//! A table outside the catalog does not exist, which is how a tenant's queries stay with the tenant's streams.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, TableReference};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, HigherOrderUDF, LogicalTableSource, ScalarUDF, TableSource, WindowUDF,
};
use springhouse_model::StreamName;
use springhouse_schema::Schema;

use super::PlanError;
use super::pattern::MatchRecognize;
use super::versions::Versions;
use super::window::WindowFunctions;
use crate::aggregates::aggregates;
use crate::signals::{self, SignalFunctions};
use crate::tables::Definition;
use crate::{FunctionSet, type_planner};

/// A stream as the planner needs it.
#[derive(Clone, Debug)]
pub struct StreamTable {
    pub name: StreamName,
    pub schema: Schema,
    /// How far its watermark stays behind the largest event time.
    pub watermark_delay_us: i64,
}

/// A reference table as the planner needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct LookupTable {
    pub name: StreamName,
    /// Names it in the log; 0 outside of a hub.
    pub id: u32,
    pub definition: Definition,
}

/// The streams, tables and functions that a query may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    streams: HashMap<StreamName, StreamTable>,
    tables: HashMap<StreamName, Arc<LookupTable>>,
    functions: FunctionSet,
}

impl Catalog {
    pub fn new(streams: impl IntoIterator<Item = StreamTable>) -> Catalog {
        let streams = streams.into_iter().map(|table| (table.name.clone(), table)).collect();
        Catalog { streams, ..Catalog::default() }
    }

    /// The functions that a query may call, in the place of those before.
    pub fn put_functions(&mut self, functions: FunctionSet) {
        self.functions = functions;
    }

    pub fn functions(&self) -> &FunctionSet {
        &self.functions
    }

    pub fn insert_table(&mut self, table: LookupTable) {
        self.tables.insert(table.name.clone(), Arc::new(table));
    }

    pub fn table(&self, name: &str) -> Option<&Arc<LookupTable>> {
        self.tables.get(name)
    }

    pub fn insert(&mut self, table: StreamTable) {
        self.streams.insert(table.name.clone(), table);
    }

    pub(crate) fn remove(&mut self, name: &StreamName) {
        self.streams.remove(name);
    }

    pub fn stream(&self, name: &str) -> Option<&StreamTable> {
        self.streams.get(name)
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            self.streams.keys().chain(self.tables.keys()).map(StreamName::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// The dotted name of a stream: `alerts.hot` arrives as schema and table.
pub(crate) fn stream_name(reference: &TableReference) -> String {
    match reference {
        TableReference::Bare { table } => table.to_string(),
        TableReference::Partial { schema, table } => format!("{schema}.{table}"),
        TableReference::Full { catalog, schema, table } => format!("{catalog}.{schema}.{table}"),
    }
}

/// Functions, their planners and options of DataFusion, built once for all queries.
pub(crate) fn session() -> &'static SessionState {
    static SESSION: OnceLock<SessionState> = OnceLock::new();
    SESSION.get_or_init(|| {
        let mut state = with_functions(SessionStateBuilder::new().with_default_features().build());
        let options = state.config_mut().options_mut();
        // One text type for live and history, and errors that know their place.
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        state
    })
}

/// Adds the functions for measurements to those of DataFusion.
pub fn with_functions(mut state: SessionState) -> SessionState {
    // Nothing of their names is there; if it were, it would be given back.
    for aggregate in aggregates() {
        let _ = state.register_udaf(aggregate);
    }
    for signal in signals::functions() {
        let _ = state.register_udwf(signal);
    }
    let _ = state.register_expr_planner(Arc::new(SignalFunctions));
    state
}

/// The catalog in the shape that DataFusion's planner asks for.
pub(crate) struct Provider<'a> {
    catalog: &'a Catalog,
    relation_planners: [Arc<dyn RelationPlanner>; 3],
}

impl<'a> Provider<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Provider<'a> {
        Provider {
            catalog,
            relation_planners: [Arc::new(WindowFunctions), Arc::new(Versions), Arc::new(MatchRecognize)],
        }
    }
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = stream_name(&name);
        match self.catalog.stream(&name) {
            Some(table) => Ok(Arc::new(LogicalTableSource::new(table.schema.arrow()))),
            None if let Some(table) = self.catalog.table(&name) => {
                Ok(Arc::new(LogicalTableSource::new(Arc::clone(table.definition.schema()))))
            }
            None => Err(unknown_stream(&name, &self.catalog.names()).into()),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        session().expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(type_planner())
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let brought = self.catalog.functions.exported(name);
        brought.or_else(|| session().scalar_functions().get(name).cloned())
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        session().higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        session().aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        session().window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        session().config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        session().udfs().into_iter().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        session().higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        session().udafs().into_iter().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        session().udwfs().into_iter().collect()
    }
}

fn unknown_stream(name: &str, known: &[&str]) -> PlanError {
    let error = PlanError::new(format!("stream `{name}` does not exist"));
    let nearest = known.iter().min_by_key(|other| distance(name, other));
    match nearest {
        Some(nearest) if distance(name, nearest) <= name.len() / 3 + 1 => {
            error.with_hint(format!("did you mean `{nearest}`?"))
        }
        Some(_) => error.with_hint("SHOW STREAMS lists those that do"),
        None => error.with_hint("no stream exists yet; publish a message or CREATE STREAM"),
    }
}

/// Edits between two words (Levenshtein); the names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_stream_is_answered_with_the_nearest_name() {
        let error = unknown_stream("meter", &["meters", "homes"]).to_string();
        assert_eq!(error, "stream `meter` does not exist; hint: did you mean `meters`?");
        assert!(unknown_stream("x", &[]).to_string().contains("no stream exists yet"));
    }
}
