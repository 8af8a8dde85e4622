//! Streaming SQL: statements in, derived streams out.
//!
//! A statement ([`statement`]) is planned by DataFusion ([`plan`]) into a tree of operators of our own, which a
//! [`Pipeline`] drives over batches of one stream. [`files::run`] does that over files, an
//! [`Engine`] over the log of a hub.
//!
//! What comes out depends on the rows alone: not on batch sizes, restarts or the clock.

mod aggregates;
mod bounded;
mod depth;
mod error;
mod expansion;
pub mod files;
pub mod filter;
mod functions;
pub mod history;
mod hub;
mod ipc;
mod operators;
pub mod pipeline;
pub mod plan;
mod probe;
mod signals;
pub mod statement;
pub mod tables;
mod target;
mod threads;

use springhouse_model::StreamName;
use springhouse_schema::{Field, Schema};

pub use bounded::{BoundFunctions, Deadline, TimeOver};
pub use depth::nesting;
pub use error::RunError;
pub use expansion::check_expansion;
pub use functions::{Brought, Function, FunctionSet, type_name, type_planner};
pub use hub::{
    BacktestOf, BacktestPlan, Change, ChangeKind, Engine, EngineError, FunctionStatus, FunctionUser,
    Functions, History, Options, Outcome, PipelineStatus, Preview, PreviewWish, Proposal, ProposedDrop,
    ProposedError, ProposedStep, RunState, Sample, StateChange, Streams, TableOptions, TableStatus, Tables,
    Tap, UsedFunction,
};
pub use pipeline::{Broken, Emitted, Pipeline};
pub use plan::{Catalog, LookupTable, Plan, PlanError, StreamTable, with_functions, write_out_changes};
pub use probe::SeenStep;
pub use threads::{Interrupted, Task, Threads};

/// The stream that takes the rows of an alert rule: `alerts.<name>`.
pub fn alert_stream(name: &StreamName) -> Result<StreamName, PlanError> {
    format!("alerts.{name}").parse().map_err(|error| PlanError::new(format!("{error}")))
}

/// The stream that takes the late rows of a pipeline: `<name>.late`.
pub fn late_stream(name: &StreamName) -> Result<StreamName, PlanError> {
    format!("{name}.late").parse().map_err(|error| PlanError::new(format!("{error}")))
}

/// The schema that `CREATE STREAM` declares.
pub fn declared_schema(columns: &[statement::Column]) -> Schema {
    let fields = columns.iter().map(|column| {
        let mut field = Field::new(column.name.clone(), column.ty);
        (field.required, field.unit) = (column.required, column.unit.clone());
        field
    });
    Schema::new(fields.collect())
}
