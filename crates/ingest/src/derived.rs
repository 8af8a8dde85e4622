//! Rows that a pipeline computed: checked against their stream's schema, then durable at once, in the order in which the
//! pipeline gave them. And rows that it could not compute with.

use arrow::array::{Array, BooleanArray, cast::AsArray};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;
use springhouse_log::{Append, Offset, Producer};
use springhouse_model::{StreamKey, StreamName, TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, Reason, Rejection, SITE_COLUMN, Schema, adapt};

use crate::quarantine::{self, Held};
use crate::spans::by_partition;
use crate::{Ingest, IngestError};

/// A row that a pipeline could not deal with.
#[derive(Clone, Debug)]
pub struct PutAside {
    /// The stream that misses what would have come of it.
    pub into: StreamName,
    /// Why, by which version, and where the row comes from.
    pub detail: String,
    /// The row alone.
    pub row: RecordBatch,
}

/// The partition of derived rows. They have one order, that of their pipeline: what reads them behind it must find the same
/// rows late however many of them were written at once.
const PARTITION: u8 = 0;

/// Which version of a pipeline made rows, and at which records of the log.
#[derive(Clone, Copy, Debug)]
pub struct Lineage<'a> {
    pub pipeline: &'a str,
    pub version: u32,
    /// The first of the rows that were made at a record, for each in their order.
    pub records: &'a [(usize, Offset)],
}

impl Lineage<'_> {
    /// What a person needs who looks for the reason.
    fn of(&self, row: usize) -> String {
        let Lineage { pipeline, version, records } = self;
        let after = records.partition_point(|(first, _)| *first <= row);
        match records[..after].last() {
            Some((_, record)) => {
                format!("pipeline `{pipeline}`, version {version}, made at record {} of the log", record.0)
            }
            None => format!("pipeline `{pipeline}`, version {version}"),
        }
    }
}

impl Ingest {
    /// Puts rows into quarantine that a pipeline could not deal with; durable when it returns. `producer.seq` is the number of
    /// the first of these.
    pub async fn put_aside(
        &self,
        tenant: &TenantId,
        rows: &[PutAside],
        producer: Producer,
    ) -> Result<Offset, IngestError> {
        let shared = &self.shared;
        shared.check_open()?;
        let received = shared.clock.now();
        let held = rows.iter().map(|PutAside { into, detail, row }| {
            held(into, row, 0, Rejection::new(Reason::NotComputed, detail.clone()), received)
        });
        let mut append = self.held(tenant, &held.collect::<Vec<_>>())?;
        append.producer = Some(producer);
        Ok(shared.log.append(vec![append]).await?)
    }

    /// Appends rows of a derived stream; durable when it returns. `producer.seq` is the number of the first of these
    /// rows. Rows that lack what the schema requires go to quarantine, with where they come from, and count as written for
    /// the producer.
    pub async fn append_derived(
        &self,
        key: &StreamKey,
        batch: RecordBatch,
        producer: Producer,
        lineage: Lineage<'_>,
    ) -> Result<Offset, IngestError> {
        let shared = &self.shared;
        shared.check_open()?;
        let entry =
            shared.registry.entry(key).ok_or_else(|| IngestError::NoStream { stream: key.clone() })?;
        let rows = batch.num_rows() as u64;
        let incomplete = incomplete(&batch, &entry.schema);
        let good = match &incomplete {
            Some((_, rows)) => not(rows).and_then(|whole| filter_record_batch(&batch, &whole)),
            None => Ok(batch.clone()),
        };
        let good = good.map_err(|error| IngestError::Encode(error.into()))?;
        let columns = |source| IngestError::Columns { stream: key.clone(), source };
        let good = adapt(&good, &entry.schema).map_err(columns)?;
        let kept = good.num_rows() as u32;
        let spans = if kept > 0 { vec![(PARTITION, kept)] } else { Vec::new() };
        let encode = |error: springhouse_frame::FrameError| IngestError::Encode(error.into());
        let mut append = Append::readings(entry.id, entry.schema.version, spans, good).map_err(encode)?;
        // The log counts rows on from `seq`: counted from here it ends where the producer goes on.
        append.producer = Some(Producer { id: producer.id, seq: producer.seq + (rows - u64::from(kept)) });
        let mut appends = vec![append];
        if let Some((missing, rows)) = &incomplete {
            appends.push(self.without_required(key, &batch, missing, rows, lineage)?);
        }
        Ok(shared.log.append(appends).await?)
    }

    /// Leaves a mark of the engine among the records of a stream; durable when it returns.
    pub async fn append_mark(&self, key: &StreamKey, mark: Bytes) -> Result<Offset, IngestError> {
        let shared = &self.shared;
        shared.check_open()?;
        let entry =
            shared.registry.entry(key).ok_or_else(|| IngestError::NoStream { stream: key.clone() })?;
        Ok(shared.log.append(vec![Append::mark(entry.id, mark)]).await?)
    }

    /// A record for the rows that lack one of the columns.
    fn without_required(
        &self,
        key: &StreamKey,
        batch: &RecordBatch,
        missing: &[String],
        rows: &BooleanArray,
        lineage: Lineage<'_>,
    ) -> Result<Append, IngestError> {
        let received = self.shared.clock.now();
        let is_empty =
            |column: &str, row| batch.column_by_name(column).is_some_and(|column| column.is_null(row));
        let held = rows.values().set_indices().map(|row| {
            let column = missing.iter().find(|column| is_empty(column, row)).map_or("", String::as_str);
            let why = format!("required column `{column}` is empty; {}", lineage.of(row));
            held(&key.name, batch, row, Rejection::new(Reason::MissingField, why), received)
        });
        self.held(&key.tenant, &held.collect::<Vec<_>>())
    }

    /// A record for the quarantine of a tenant.
    fn held(&self, tenant: &TenantId, held: &[Held]) -> Result<Append, IngestError> {
        let shared = &self.shared;
        let name = || StreamKey::new(tenant.clone(), quarantine::name());
        let no_quarantine = || IngestError::NoStream { stream: name() };
        let stream = shared.registry.quarantine(tenant).ok_or_else(no_quarantine)?;
        held.iter().for_each(|held| shared.numbers.quarantined(held.rejection.reason));
        let encode = |error: Box<dyn std::error::Error + Send + Sync>| IngestError::Encode(error);
        let (batch, partitions) = quarantine::batch(held).map_err(|error| encode(error.into()))?;
        let (batch, spans) = by_partition(batch, &partitions).map_err(|error| encode(error.into()))?;
        Append::readings(stream.id, quarantine::schema().version, spans, batch)
            .map_err(|error| encode(error.into()))
    }
}

/// The required columns that are empty somewhere, and in which rows one of them is; `None` when all are whole.
fn incomplete(batch: &RecordBatch, schema: &Schema) -> Option<(Vec<String>, BooleanArray)> {
    let arrow = schema.arrow();
    let required = arrow.fields().iter().filter(|field| !field.is_nullable());
    let found = required.filter_map(|field| Some((field.name(), batch.column_by_name(field.name())?)));
    let (names, columns): (Vec<_>, Vec<_>) = found.filter(|(_, column)| column.null_count() > 0).unzip();
    let is_incomplete = |row| columns.iter().any(|column| column.is_null(row));
    let rows: Vec<bool> = (0..batch.num_rows()).map(is_incomplete).collect();
    (!names.is_empty()).then(|| (names.into_iter().cloned().collect(), rows.into()))
}

/// A row of a batch, for the quarantine.
fn held(
    into: &StreamName,
    batch: &RecordBatch,
    row: usize,
    rejection: Rejection,
    received: Timestamp,
) -> Held {
    Held {
        device: text_of(batch, DEVICE_COLUMN, row).map(Into::into),
        site: text_of(batch, SITE_COLUMN, row).map(Into::into),
        stream: Some(into.clone()),
        topic: ByteString::from(format!("$pipeline/{into}")),
        rejection,
        payload: row_as_json(batch, row).into(),
        received,
        id: None,
    }
}

fn text_of<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

/// A row as JSON, for a person to look at. What is null is left out.
pub fn row_as_json(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let schema = batch.schema();
    let values = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
    let object: serde_json::Map<_, _> = values
        .map(|(field, column)| {
            let value = match column.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(times) => Value::String(Timestamp(times.value(row)).to_string()),
                None => {
                    let text = array_value_to_string(column, row).unwrap_or_default();
                    let is_word = column.data_type().is_numeric() || *column.data_type() == DataType::Boolean;
                    let value = is_word.then(|| serde_json::from_str(&text).ok()).flatten();
                    value.unwrap_or(Value::String(text))
                }
            };
            (field.name().clone(), value)
        })
        .collect();
    Value::Object(object).to_string().into_bytes()
}
