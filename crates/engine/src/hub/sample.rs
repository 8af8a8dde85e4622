//! Rows that somebody gives to try a statement, in the place of those in the log.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use springhouse_model::StreamName;
use springhouse_schema::{Decoder, Limits, Mode, Origin};

use super::EngineError;
use crate::{PlanError, RunError, StreamTable};

/// The rows of one stream, as lines of JSON with `ts`, `device` and `site` beside the properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub stream: StreamName,
    pub lines: String,
}

impl Sample {
    /// In the columns of the stream. All rows must fit: whoever tries something wants to know.
    pub(super) fn read_as(&self, table: &StreamTable) -> Result<RecordBatch, EngineError> {
        let mut decoder = Decoder::new(Arc::new(table.schema.clone()), Mode::File, Limits::default());
        let mut refused = None;
        decoder.decode_lines(&Origin::default(), self.lines.as_bytes(), |line, _, rejection| {
            refused.get_or_insert((line + 1, rejection));
        });
        if let Some((line, rejection)) = refused {
            let error = format!("row {line} of the sample of `{}`: {rejection}", table.name);
            return Err(PlanError::new(error).into());
        }
        Ok(decoder.finish().map_err(RunError::from)?)
    }
}
