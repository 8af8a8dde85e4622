//! From bytes to the rows of a table, whatever they are written in.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use super::columns::Columns;
use super::{Definition, LoadError, TableRows, csv, ndjson, parquet};
use crate::statement::RowFormat;

/// How large a table may be: it is held in memory whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub rows_max: usize,
    /// Of what is read, and of the rows in memory.
    pub bytes_max: usize,
}

impl Default for Bounds {
    /// A million keys; with 64 bytes for each row of a version.
    fn default() -> Bounds {
        Bounds { rows_max: 1_000_000, bytes_max: 64 << 20 }
    }
}

/// Reads a file whole.
pub fn read_file(
    definition: &Definition,
    path: &Path,
    format: RowFormat,
    bounds: Bounds,
) -> Result<TableRows, LoadError> {
    let failed = |doing: &'static str| {
        move |source| LoadError::File { doing, path: path.display().to_string(), source }
    };
    let file = File::open(path).map_err(failed("open"))?;
    // A pipe or a device would never end.
    if !file.metadata().map_err(failed("open"))?.is_file() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a file");
        return Err(failed("open")(source));
    }
    let mut bytes = Vec::new();
    let most = bounds.bytes_max as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(failed("read"))?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
    read_bytes(definition, &name, Bytes::from(bytes), format, bounds)
}

/// Takes batches of a query, whose columns are found by name.
pub fn read_batches(
    definition: &Definition,
    from: &str,
    batches: &[RecordBatch],
    bounds: Bounds,
) -> Result<TableRows, LoadError> {
    let batch = parquet::gathered(definition, from, batches.iter().cloned().map(Ok), bounds)?;
    let lines: Vec<u64> = (1..=batch.num_rows() as u64).collect();
    TableRows::new(definition, from, &batch, &lines, bounds)
}

/// Reads rows that are there already; `from` names them in errors.
pub fn read_bytes(
    definition: &Definition,
    from: &str,
    bytes: Bytes,
    format: RowFormat,
    bounds: Bounds,
) -> Result<TableRows, LoadError> {
    if bytes.len() > bounds.bytes_max {
        return Err(LoadError::TooLarge { from: from.to_owned(), bytes_max: bounds.bytes_max });
    }
    let (batch, lines) = match format {
        RowFormat::Parquet => {
            let batch = parquet::read(definition, from, bytes, bounds)?;
            let lines = (1..=batch.num_rows() as u64).collect();
            (batch, lines)
        }
        RowFormat::Csv | RowFormat::Ndjson => {
            let text = std::str::from_utf8(&bytes).map_err(|error| {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
                let why = "it is not UTF-8; hint: save the file as UTF-8".to_owned();
                LoadError::Line { from: from.to_owned(), line: line as u64 + 1, why }
            })?;
            let mut columns = Columns::new(definition, from, bounds);
            match format {
                RowFormat::Csv => csv::read(definition, from, text, &mut columns)?,
                _ => ndjson::read(definition, from, text, &mut columns)?,
            }
            columns.finish()?
        }
    };
    TableRows::new(definition, from, &batch, &lines, bounds)
}
