//! Parquet: files of others, whose columns are found by name and brought to the declared types, and versions of tables.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use bytes::Bytes;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

use super::columns::{TEXT, TEXT_BYTES_MAX};
use super::reading::Bounds;
use super::{Definition, LoadError};

pub(super) fn read(
    definition: &Definition,
    from: &str,
    bytes: Bytes,
    bounds: Bounds,
) -> Result<RecordBatch, LoadError> {
    let failed = |why: String| LoadError::Format { from: from.to_owned(), format: "Parquet", why };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    let reader = reader.map_err(|error| failed(error.to_string()))?;
    let batches = reader.map(|batch| batch.map_err(|error| failed(error.to_string())));
    gathered(definition, from, batches, bounds)
}

/// Batches of others as one, in the declared columns.
pub(super) fn gathered(
    definition: &Definition,
    from: &str,
    batches: impl IntoIterator<Item = Result<RecordBatch, LoadError>>,
    bounds: Bounds,
) -> Result<RecordBatch, LoadError> {
    let (mut taken, mut rows, mut size) = (Vec::new(), 0, 0);
    for batch in batches {
        let batch = declared(definition, from, rows as u64, &batch?)?;
        rows += batch.num_rows();
        size += batch.get_array_memory_size();
        if rows > bounds.rows_max {
            return Err(LoadError::TooManyRows { from: from.to_owned(), rows_max: bounds.rows_max });
        }
        // Buffers have room to spare; what is held in the end is counted again.
        if size > bounds.bytes_max.saturating_mul(4) {
            return Err(LoadError::TooLarge { from: from.to_owned(), bytes_max: bounds.bytes_max });
        }
        taken.push(batch);
    }
    concat_batches(definition.schema(), &taken)
        .map_err(|source| LoadError::Order { from: from.to_owned(), source })
}

/// The declared columns of a batch, in their types; `before` rows have come before it. A row counts as a line.
fn declared(
    definition: &Definition,
    from: &str,
    before: u64,
    batch: &RecordBatch,
) -> Result<RecordBatch, LoadError> {
    let found = batch.schema();
    let column = |column: &crate::statement::Column| -> Result<ArrayRef, LoadError> {
        let at = found.index_of(&column.name).map_err(|_| {
            let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
            LoadError::NoColumn {
                from: from.to_owned(),
                column: column.name.clone(),
                found: names.join(", "),
            }
        })?;
        let values = batch.column(at);
        let refuse = |line: usize, why: String| LoadError::Value {
            from: from.to_owned(),
            line: before + line as u64 + 1,
            column: column.name.clone(),
            why,
        };
        let ty = springhouse_schema::arrow_type(column.ty);
        if values.data_type().is_floating() && ty.is_integer() {
            return Err(refuse(0, "expected whole numbers; hint: declare it as DOUBLE".to_owned()));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cast = cast_with_options(values, &ty, &options)
            .map_err(|error| refuse(0, format!("{} cannot be {ty}: {error}", values.data_type())))?;
        if column.required
            && let Some(line) = (0..cast.len()).find(|row| cast.is_null(*row))
        {
            return Err(refuse(line, "expected a value, found nothing".to_owned()));
        }
        let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > TEXT_BYTES_MAX);
        if let Some(line) = cast.as_string_opt::<i32>().and_then(|texts| texts.iter().position(is_long)) {
            return Err(refuse(line, format!("expected {TEXT}, found a longer one")));
        }
        Ok(cast)
    };
    let columns = definition.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(definition.schema()), columns, &options).map_err(|error| {
        LoadError::Format { from: from.to_owned(), format: "Parquet", why: error.to_string() }
    })
}

/// The rows of a version as a file.
pub(crate) fn write(rows: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let level = ZstdLevel::try_new(1)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}
