//! The text of a tail's frames.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use springhouse_schema::{ID_COLUMN, RECEIVED_COLUMN, SITE_COLUMN};

use crate::rows::{Rows, json_keys, write_text};

/// Rows of one frame; a page draws them between two of its pictures.
const ROWS_MAX: usize = 2_000;
/// A frame that has reached this is sent.
const FRAME_BYTES: usize = 256 * 1024;

/// The frames of one stream and read, in order.
pub(super) fn frames(stream: &str, batches: &[RecordBatch], dropped: u64) -> Result<Vec<String>, ArrowError> {
    let mut frames = Vec::new();
    let mut open = Open::new(stream);
    for batch in batches {
        let schema = batch.schema();
        let keys = json_keys(&schema);
        // System columns that have nothing to say are left out; properties say that they are null.
        let quiet: Vec<bool> = schema
            .fields()
            .iter()
            .map(|field| matches!(field.name().as_str(), SITE_COLUMN | RECEIVED_COLUMN | ID_COLUMN))
            .collect();
        let rows = Rows::new(batch)?;
        for row in 0..rows.len() {
            open.begin_row();
            let mut first = true;
            for (column, key) in keys.iter().enumerate() {
                if quiet[column] && rows.is_null(column, row) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    open.text.push(b',');
                }
                open.text.extend_from_slice(key);
                rows.write_cell(column, row, &mut open.text);
            }
            open.text.push(b'}');
            if open.rows >= ROWS_MAX || open.text.len() >= FRAME_BYTES {
                frames.push(std::mem::replace(&mut open, Open::new(stream)).close(0));
            }
        }
    }
    if open.rows > 0 || dropped > 0 {
        frames.push(open.close(dropped));
    }
    Ok(frames)
}

struct Open {
    text: Vec<u8>,
    rows: usize,
}

impl Open {
    fn new(stream: &str) -> Open {
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(b"{\"stream\":");
        write_text(stream, &mut text);
        text.extend_from_slice(b",\"rows\":[");
        Open { text, rows: 0 }
    }

    fn begin_row(&mut self) {
        self.text.extend_from_slice(if self.rows == 0 { b"{".as_slice() } else { b",{" });
        self.rows += 1;
    }

    fn close(mut self, dropped: u64) -> String {
        self.text.extend_from_slice(format!("],\"dropped\":{dropped}}}").as_bytes());
        // Every piece was written as UTF-8.
        String::from_utf8(self.text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use serde_json::{Value, json};

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("device", Arc::new(StringArray::from(vec!["a"; rows])), true),
            ("site", Arc::new(StringArray::from(vec![None::<&str>; rows])), true),
            ("power", Arc::new(Float64Array::from(vec![f64::NAN; rows])), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn a_frame_has_every_row_of_its_batches() {
        let frames = frames("meter", &[batch(1), batch(1)], 3).unwrap();
        let frame: Value = serde_json::from_str(&frames[0]).unwrap();
        let row = json!({"device": "a", "power": null});
        assert_eq!(frame, json!({"stream": "meter", "rows": [row, row], "dropped": 3}));
    }

    #[test]
    fn many_rows_are_several_frames() {
        let frames = frames("meter", &[batch(5_000)], 0).unwrap();
        let rows =
            |frame: &String| serde_json::from_str::<Value>(frame).unwrap()["rows"].as_array().unwrap().len();
        assert_eq!(frames.iter().map(rows).collect::<Vec<_>>(), [2_000, 2_000, 1_000]);
    }

    #[test]
    fn no_rows_are_no_frame_unless_some_were_dropped() {
        assert!(frames("meter", &[], 0).unwrap().is_empty());
        assert_eq!(frames("meter", &[], 7).unwrap(), [r#"{"stream":"meter","rows":[],"dropped":7}"#]);
    }
}
