//! Functions that people bring as WebAssembly components: what they see is their arguments, and nothing else.
//!
//! ```text
//!  bytes ─▶ Component: compiled once, its exports with their types
//!              └─▶ Sandbox: instances that wait for a call ◀── columns of arguments
//!                                                          ──▶ a column of values, or the first row that has none
//! ```
//! Nothing is given to an instance: no files, no clock, no network, no randomness, no threads. Whatever it imports is there and ends the
//! call. Steps, memory and stack of a call have bounds, floating point is the same on every machine. What a row gives therefore follows from
//! its arguments, as long as the component keeps nothing between calls; an instance may be thrown away at any time.
//!
//! Nothing here knows SQL, streams or pipelines.

mod column;
mod component;
mod digest;
mod export;
mod instance;
mod sandbox;

pub use component::{COMPONENT_BYTES_MAX, Component, ComponentError};
pub use digest::{Digest, NotADigest};
pub use export::{Export, Gives, Parameter, Scalar, Unsuitable};
pub use sandbox::{Failure, Sandbox, Stopped};
