//! What follows from results: an alert's rows become events that a person sees and acknowledges.
//!
//! An alert is a pipeline that writes the derived stream `alerts.<name>`. [`AlertRecorder`] follows the log behind
//! the engine, turns each row of such a stream into an [`AlertEvent`] with an id computed from the row, and records it in
//! `meta` in one transaction with its place in the log: a firing that is read twice is one event. Of an alert that has an
//! end, the row that ends an episode completes the event of the one that began it. It decides nothing; when an alert fires and when it is
//! over is the business of its query.

mod episode;
mod event;
mod recorder;

pub use event::{ALERT_STREAM_PREFIX, EventError, Rule, alert_name, events_of};
pub use recorder::{AlertRecorder, CONSUMER, RecorderError};
pub use springhouse_meta::AlertEvent;
