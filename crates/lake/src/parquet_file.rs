//! One Parquet file: its encodings, and what the manifest says about it.
//!
//! Times and whole numbers are deltas (rows of one device follow each other, so that deltas are small), fractions are
//! split by byte (BYTE_STREAM_SPLIT puts the slowly changing exponents beside each other), texts are dictionaries; zstd 1
//! over all. Measured on sorted sensor rows this is smaller and written faster than the defaults, and higher zstd levels
//! cost CPU for a hundredth. Statistics per page let a query read only the pages of its device and hour.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use springhouse_model::Timestamp;
use springhouse_schema::{DEVICE_COLUMN, ID_COLUMN, TS_COLUMN};

/// Rows of a row group: enough for encodings to pay off, few enough to be skipped by statistics and read in parallel.
const GROUP_ROWS: usize = 131_072;
/// Rows of a data page, the unit that a query skips; also the engine's batch.
const PAGE_ROWS: usize = 8_192;
/// A fraction column with at most this many different values in a sample is written as a dictionary: a thermometer with
/// one decimal has a few hundred, which cost a byte or less where splitting by byte costs two to three.
const DICTIONARY_VALUES_MAX: usize = 1_024;
const SAMPLE_ROWS: usize = 65_536;

/// How to write a file of these columns; `sample` is some of its rows.
pub(crate) fn properties(schema: &SchemaRef, sample: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("springhouse ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page);
    for (field, column) in schema.fields().iter().zip(sample.columns()) {
        let path = ColumnPath::from(field.name().as_str());
        let encoding = match field.data_type() {
            DataType::Int64 | DataType::Timestamp(_, _) => Encoding::DELTA_BINARY_PACKED,
            DataType::Float64 if has_few_values(column) => continue,
            DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
            // Every message has its own id; a dictionary of them would only come on top.
            DataType::Utf8 if field.name() == ID_COLUMN => Encoding::DELTA_BYTE_ARRAY,
            _ => continue,
        };
        properties =
            properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    properties.build()
}

fn has_few_values(column: &ArrayRef) -> bool {
    let values = column.as_primitive::<Float64Type>();
    let sample = values.slice(0, values.len().min(SAMPLE_ROWS));
    let mut different = HashSet::new();
    for value in sample.iter().flatten() {
        if different.insert(value.to_bits()) && different.len() > DICTIONARY_VALUES_MAX {
            return false;
        }
    }
    // A dictionary pays only when its values return often.
    different.len() * 8 <= sample.len()
}

/// Sorted rows as the bytes of a file.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = properties(rows.schema_ref(), rows);
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}

/// What the manifest says about the rows of a file, gathered batch by batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub rows: u64,
    times: Option<(i64, i64)>,
    devices: Option<(String, String)>,
    has_row_without_device: bool,
}

impl Summary {
    pub fn of(rows: &RecordBatch) -> Summary {
        let mut summary = Summary::default();
        summary.add(rows);
        summary
    }

    pub fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows() as u64;
        if let Some(column) = rows.column_by_name(TS_COLUMN) {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            if let (Some(low), Some(high)) = (min(times), max(times)) {
                let (least, most) = self.times.unwrap_or((low, high));
                self.times = Some((least.min(low), most.max(high)));
            }
        }
        if let Some(column) = rows.column_by_name(DEVICE_COLUMN) {
            let devices = column.as_string::<i32>();
            self.has_row_without_device |= devices.null_count() > 0;
            if let (Some(low), Some(high)) = (min_string(devices), max_string(devices)) {
                let (first, last) = self.devices.take().unwrap_or((low.to_owned(), high.to_owned()));
                self.devices = Some((first.min(low.to_owned()), last.max(high.to_owned())));
            }
        }
    }

    pub fn times(&self) -> (Timestamp, Timestamp) {
        let (low, high) = self.times.unwrap_or_default();
        (Timestamp(low), Timestamp(high))
    }

    /// `None` when the names of devices say nothing about which rows are inside.
    pub fn devices(&self) -> (Option<String>, Option<String>) {
        match &self.devices {
            Some((first, last)) if !self.has_row_without_device => (Some(first.clone()), Some(last.clone())),
            _ => (None, None),
        }
    }
}
