//! The query engine as the lake uses it: which options, and why they are not the defaults.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionConfig;
use springhouse_engine::history::with_patterns;
use springhouse_engine::{BoundFunctions, with_functions};

use crate::Options;

/// Functions and options, built once; each query clones it.
pub(crate) fn session(options: &Options, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads.max(1))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let engine = config.options_mut();
    // Rows of other devices are dropped while their pages are decoded: five times faster for one device of many.
    engine.execution.parquet.pushdown_filters = true;
    engine.execution.parquet.reorder_filters = true;
    // One text type in files, in memory and in pipelines.
    engine.execution.parquet.schema_force_view_types = false;
    engine.sql_parser.map_string_types_to_utf8view = false;
    engine.sql_parser.collect_spans = true;
    let builder = with_patterns(SessionStateBuilder::new());
    let state = builder
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rule(Arc::new(BoundFunctions))
        .build();
    with_functions(state)
}
