//! What goes into the log and what comes out of it.

use std::fmt;
use std::sync::OnceLock;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use springhouse_frame::FrameError;
use springhouse_model::{PARTITIONS, Timestamp};

use crate::LogError;

/// Spans of a record are counted in 16 bits.
const SPANS_MAX: usize = 65_535;
/// What a record adds to its payload and spans in the file: fixed fields and producer.
pub(crate) const RECORD_HEADER_BYTES_MAX: usize = 32;
pub(crate) const SPAN_BYTES: usize = 13;

/// The number of a record; dense, counted from 0 in the order of commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.0)
    }
}

/// Who reads a record. The numbers are part of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A frame of readings or derived rows of a stream.
    Readings = 1,
    /// An event of the MQTT session journal.
    Sessions = 2,
    /// A mark that a component leaves for itself, such as a gap record.
    Marks = 3,
    /// A reference table has another version from here on; `stream` is the number of the table.
    Tables = 4,
}

impl Kind {
    pub fn from_number(number: u8) -> Option<Kind> {
        [Kind::Readings, Kind::Sessions, Kind::Marks, Kind::Tables]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Consecutive rows of a payload that belong to one partition. The spans of a record cover its rows in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub partition: u8,
    /// Running number of the first of these rows within the partition, over the whole life of the log.
    pub base: u64,
    pub rows: u32,
}

/// Position of a writer that may repeat itself after a restart: `seq` is the number of the first row of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: u64,
    pub seq: u64,
}

/// One record to be.
#[derive(Clone, Debug)]
pub struct Append {
    pub kind: Kind,
    pub stream: u32,
    pub schema_version: u32,
    /// (partition, rows) in the order of the payload's rows; empty for records without rows.
    pub spans: Vec<(u8, u32)>,
    pub producer: Option<Producer>,
    pub payload: Bytes,
    /// The batch that `payload` encodes, kept in the memory tail so that readers who are not behind decode nothing.
    pub batch: Option<RecordBatch>,
}

impl Append {
    /// Readings of a stream; encodes the batch and keeps it for the readers.
    pub fn readings(
        stream: u32,
        schema_version: u32,
        spans: Vec<(u8, u32)>,
        batch: RecordBatch,
    ) -> Result<Append, FrameError> {
        let payload = Bytes::from(springhouse_frame::encode(&batch)?);
        Ok(Append {
            kind: Kind::Readings,
            stream,
            schema_version,
            spans,
            producer: None,
            payload,
            batch: Some(batch),
        })
    }

    /// An event of the session journal.
    pub fn session(event: Bytes) -> Append {
        Append {
            kind: Kind::Sessions,
            stream: 0,
            schema_version: 0,
            spans: Vec::new(),
            producer: None,
            payload: event,
            batch: None,
        }
    }

    /// A mark of a stream.
    pub fn mark(stream: u32, mark: Bytes) -> Append {
        Append { kind: Kind::Marks, stream, ..Append::session(mark) }
    }

    /// From here on a table has this version.
    pub fn table(table: u32, version: u32) -> Append {
        let payload = Bytes::copy_from_slice(&version.to_le_bytes());
        Append { kind: Kind::Tables, stream: table, ..Append::session(payload) }
    }

    pub fn rows(&self) -> u64 {
        self.spans.iter().map(|(_, rows)| u64::from(*rows)).sum()
    }

    /// Bytes this append takes in the queue and, near enough, in the file. The batch is not counted: it shares its
    /// life with the payload and is smaller than a small multiple of it.
    pub(crate) fn queue_bytes(&self) -> usize {
        RECORD_HEADER_BYTES_MAX + self.spans.len() * SPAN_BYTES + self.payload.len()
    }
}

/// One durable record.
#[derive(Debug)]
pub struct Record {
    pub offset: Offset,
    pub kind: Kind,
    pub stream: u32,
    pub schema_version: u32,
    pub spans: Vec<Span>,
    pub producer: Option<Producer>,
    /// When the group commit that holds it began; never decreases with the offset.
    pub appended_at: Timestamp,
    pub payload: Bytes,
    pub(crate) batch: OnceLock<RecordBatch>,
}

impl Record {
    /// The payload as a batch: from memory, otherwise decoded once for all who share the record.
    pub fn batch(&self) -> Result<RecordBatch, FrameError> {
        if let Some(batch) = self.batch.get() {
            return Ok(batch.clone());
        }
        let decoded = springhouse_frame::decode(&self.payload)?;
        Ok(self.batch.get_or_init(|| decoded).clone())
    }

    /// The version that a record about a table tells of.
    pub fn table_version(&self) -> Option<u32> {
        let version = (self.kind == Kind::Tables).then(|| self.payload.as_ref().try_into().ok())?;
        version.map(u32::from_le_bytes)
    }

    pub fn rows(&self) -> u64 {
        self.spans.iter().map(|span| u64::from(span.rows)).sum()
    }

    /// The offset of the record after this one.
    pub fn next_offset(&self) -> Offset {
        Offset(self.offset.0 + 1)
    }

    /// Bytes this record keeps in memory, as the tail's budget counts them.
    pub(crate) fn memory_bytes(&self) -> usize {
        let batch = self.batch.get().map_or(0, RecordBatch::get_array_memory_size);
        size_of::<Record>() + self.spans.len() * size_of::<Span>() + self.payload.len() + batch
    }
}

/// Refuses what the file format cannot hold.
pub(crate) fn check(appends: &[Append], bytes_max: u64) -> Result<(), LogError> {
    for append in appends {
        if append.spans.iter().any(|(partition, _)| *partition >= PARTITIONS) {
            return Err(LogError::Invalid { what: "a span names a partition that does not exist" });
        }
        if append.spans.len() > SPANS_MAX {
            return Err(LogError::Invalid { what: "a record has more spans than can be counted" });
        }
    }
    let bytes = appends.iter().map(|append| append.queue_bytes() as u64).sum();
    if bytes > bytes_max { Err(LogError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}

/// Turns an append into the record it becomes: gives its spans their row numbers and counts them.
pub(crate) fn number(append: Append, offset: Offset, appended_at: Timestamp, rows: &mut [u64]) -> Record {
    let mut spans = Vec::with_capacity(append.spans.len());
    for (partition, count) in append.spans {
        let next = &mut rows[usize::from(partition)];
        spans.push(Span { partition, base: *next, rows: count });
        *next += u64::from(count);
    }
    Record {
        offset,
        kind: append.kind,
        stream: append.stream,
        schema_version: append.schema_version,
        spans,
        producer: append.producer,
        appended_at,
        payload: append.payload,
        batch: append.batch.map(OnceLock::from).unwrap_or_default(),
    }
}
