//! Functions that people write or bring, and what their calls become.
//!
//! ```text
//!  CREATE FUNCTION ─▶ read, typed, written out itself ─▶ a set of functions
//!  query ─sqlparser─▶ syntax ─calls are written out─▶ syntax without them ─▶ the planner, as if nobody had given it a name
//! ```
//! `fahrenheit(t)` becomes `CAST(CAST(t AS DOUBLE) * 1.8 + 32 AS DOUBLE)` before anything is planned. What is refused in pipelines, the
//! bounds of what is computed and the fingerprints by which operators keep their state therefore see the expression. A set never changes;
//! whoever plans holds the one that counts. Nothing here knows tenants or stores anything.
//!
//! What a component exports is called in its own name, with the same casts around: `dew_point(t, rh)` becomes
//! `CAST("dew_point"(CAST(t AS DOUBLE), CAST(rh AS DOUBLE)) AS DOUBLE)`, and the planner finds that function in the set. It is the same
//! function to whoever compares only as long as the component has the same bytes.

mod body;
mod brought;
mod call;
mod expand;
mod function;
mod names;
mod program;
mod set;
mod size;
mod types;

pub use brought::Brought;
pub use function::Function;
pub use set::FunctionSet;
pub use types::{type_name, type_planner};

pub(crate) use brought::check_export;
pub(crate) use call::ComponentCall;
pub(crate) use function::are_same;
pub(crate) use names::check_name;
pub(crate) use program::{Program, Programs};
pub(crate) use set::Refusal;
