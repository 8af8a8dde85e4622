//! Whether a row of an alert's stream is the beginning or the end of an episode. The row says so itself: what its rule is by
//! the time it is read may be another than the one that wrote it.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use springhouse_model::Timestamp;

const EVENT: &str = "event";
const FIRED_AT: &str = "fired_at";
const TIMES: &str = "times";

/// What an alert with RESOLVE adds to the columns of its query.
pub(crate) const EPISODE_COLUMNS: [&str; 3] = [EVENT, FIRED_AT, TIMES];

/// The columns of episodes, in a batch that has them.
pub(crate) struct Episodes<'a> {
    event: &'a StringArray,
    fired_at: &'a TimestampMicrosecondArray,
    times: &'a Int64Array,
}

/// One row of an episode.
pub(crate) struct Part {
    pub(crate) is_over: bool,
    pub(crate) fired_at: Timestamp,
    pub(crate) times: u64,
}

impl Episodes<'_> {
    pub(crate) fn of(batch: &RecordBatch) -> Option<Episodes<'_>> {
        Some(Episodes {
            event: batch.column_by_name(EVENT)?.as_string_opt::<i32>()?,
            fired_at: batch.column_by_name(FIRED_AT)?.as_primitive_opt::<TimestampMicrosecondType>()?,
            times: batch.column_by_name(TIMES)?.as_primitive_opt::<Int64Type>()?,
        })
    }

    /// `None` for a row that is an event of its own.
    pub(crate) fn at(&self, row: usize) -> Option<Part> {
        let is_whole = self.event.is_valid(row) && self.fired_at.is_valid(row) && self.times.is_valid(row);
        let is_over = match is_whole.then(|| self.event.value(row))? {
            "fired" => false,
            "resolved" => true,
            _ => return None,
        };
        let times = u64::try_from(self.times.value(row)).unwrap_or_default();
        Some(Part { is_over, fired_at: Timestamp(self.fired_at.value(row)), times })
    }
}
