//! Rows that a pipeline computed: checked against their stream's schema, then durable at once. And rows that it could not
//! compute with.

use arrow::array::{Array, BooleanArray, StringArray, cast::AsArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;
use springhouse_log::{Append, Offset, Producer};
use springhouse_model::{Partition, StreamKey, StreamName, TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, Reason, Rejection, SITE_COLUMN, Schema, adapt};

use crate::quarantine::{self, Held};
use crate::spans::{by_partition, without_rows};
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
        let held = rows.iter().map(|PutAside { into, detail, row }| Held {
            device: text_of(row, DEVICE_COLUMN).map(Into::into),
            site: text_of(row, SITE_COLUMN).map(Into::into),
            stream: Some(into.clone()),
            topic: ByteString::from(format!("$pipeline/{into}")),
            rejection: Rejection::new(Reason::NotComputed, detail.clone()),
            payload: row_as_json(row, 0).into(),
            received,
            id: None,
        });
        let mut append = self.held(tenant, &held.collect::<Vec<_>>())?;
        append.producer = Some(producer);
        Ok(shared.log.append(vec![append]).await?)
    }

    /// Appends rows of a derived stream; durable when it returns. `producer.seq` is the number of the first of these
    /// rows. Rows that lack what the schema requires go to quarantine, and count as written for the producer.
    pub async fn append_derived(
        &self,
        key: &StreamKey,
        batch: RecordBatch,
        producer: Producer,
    ) -> Result<Offset, IngestError> {
        let shared = &self.shared;
        shared.check_open()?;
        let entry =
            shared.registry.entry(key).ok_or_else(|| IngestError::NoStream { stream: key.clone() })?;
        let rows = batch.num_rows() as u64;
        let (good, bad) = split(&batch, &entry.schema);
        let columns = |source| IngestError::Columns { stream: key.clone(), source };
        let good = adapt(&good, &entry.schema).map_err(columns)?;
        let kept = good.num_rows() as u64;
        let partitions = partitions_of(&good);
        let (good, spans) =
            by_partition(good, &partitions).map_err(|error| IngestError::Encode(error.into()))?;
        let encode = |error: springhouse_frame::FrameError| IngestError::Encode(error.into());
        let mut append = Append::readings(entry.id, entry.schema.version, spans, good).map_err(encode)?;
        // The log counts rows on from `seq`: counted from here it ends where the producer goes on.
        append.producer = Some(Producer { id: producer.id, seq: producer.seq + (rows - kept) });
        let mut appends = vec![append];
        if bad.num_rows() > 0 {
            appends.push(self.held_rows(key, &bad)?);
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

    fn held_rows(&self, key: &StreamKey, bad: &RecordBatch) -> Result<Append, IngestError> {
        let received = self.shared.clock.now();
        let devices = bad.column_by_name(DEVICE_COLUMN).and_then(|column| column.as_string_opt::<i32>());
        let held: Vec<_> = (0..bad.num_rows())
            .map(|row| Held {
                device: devices.filter(|column| column.is_valid(row)).map(|column| column.value(row).into()),
                site: None,
                stream: Some(key.name.clone()),
                topic: ByteString::from(format!("$pipeline/{}", key.name)),
                rejection: Rejection::new(Reason::MissingField, "a pipeline left a required column empty"),
                payload: row_as_json(bad, row).into(),
                received,
                id: None,
            })
            .collect();
        self.held(&key.tenant, &held)
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

/// Rows that have everything the schema requires, and the others.
fn split(batch: &RecordBatch, schema: &Schema) -> (RecordBatch, RecordBatch) {
    let arrow = schema.arrow();
    let required = arrow.fields().iter().filter(|field| !field.is_nullable());
    let columns: Vec<_> = required
        .filter_map(|field| batch.column_by_name(field.name()))
        .filter(|column| column.null_count() > 0)
        .collect();
    if columns.is_empty() {
        return (batch.clone(), without_rows(batch));
    }
    let whole: BooleanArray =
        (0..batch.num_rows()).map(|row| Some(columns.iter().all(|column| column.is_valid(row)))).collect();
    let broken: BooleanArray = whole.iter().map(|whole| whole.map(|whole| !whole)).collect();
    let pick = |mask| filter_record_batch(batch, mask).unwrap_or_else(|_| without_rows(batch));
    (pick(&whole), pick(&broken))
}

fn partitions_of(batch: &RecordBatch) -> Vec<u8> {
    let devices = batch.column_by_name(DEVICE_COLUMN).and_then(|column| column.as_string_opt::<i32>());
    let of = |device: Option<&str>| Partition::of(device.unwrap_or("")).0;
    match devices {
        Some(devices) => StringArray::iter(devices).map(of).collect(),
        None => vec![of(None); batch.num_rows()],
    }
}

/// The text of a column in the first row.
fn text_of<'a>(batch: &'a RecordBatch, column: &str) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
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
