//! Opening the door and closing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arrow::array::{Array, cast::AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use springhouse_log::{Kind, Log, Offset, Reader, Record};
use springhouse_meta::Meta;
use springhouse_model::{Clock, Durable, TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN};
use tokio::sync::{Notify, watch};

use crate::commit::Encoder;
use crate::dedup::{Memory, second_of};
use crate::door::{Shared, Stop};
use crate::numbers::Numbers;
use crate::registry::{Device, Registry};
use crate::shard::{Queue, Shard};
use crate::{Ingest, IngestError, Options, Route, commit, inbox};

const READ_BYTES: usize = 4 << 20;
/// Records of the newest block that is searched for message ids.
const BLOCK_RECORDS: u64 = 64;

impl Ingest {
    /// Opens the door: reads what is registered, remembers the message ids of the log's tail, and starts the
    /// committer.
    pub async fn open(
        options: Options,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
    ) -> Result<Ingest, IngestError> {
        let registry = Registry::load(Arc::clone(&meta)).await?;
        let shared = Arc::new(Shared {
            memory: Memory::new(options.dedup_ids, options.dedup_age),
            shards: (0..options.shards.max(1)).map(|_| Shard::new()).collect(),
            standard: Route::standard(),
            registry,
            meta,
            log,
            clock,
            hasher: ahash::RandomState::new(),
            journal: Mutex::new(Queue::default()),
            journal_room: Notify::new(),
            epoch: AtomicU64::new(1),
            sequence: AtomicU64::new(0),
            wake: Notify::new(),
            durable: watch::Sender::new(Durable::default()),
            failure: watch::Sender::new(None),
            stop: Mutex::new(None),
            stopped: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            numbers: Numbers::new(),
            tasks: Mutex::new(Vec::new()),
            options,
        });
        remember_ids(&shared).await?;
        let encoder = Encoder::start().map_err(IngestError::Threads)?;
        let tasks = vec![
            tokio::spawn(commit::run(Arc::clone(&shared), encoder)),
            tokio::spawn(inbox::run(Arc::clone(&shared))),
            tokio::spawn(write_seen(Arc::clone(&shared))),
        ];
        *shared.tasks.lock() = tasks;
        Ok(Ingest { shared })
    }

    /// Takes nothing more, and returns when everything that was taken is durable or has failed.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.set_stop(Some(Stop::Closed));
        shared.closing.send_replace(true);
        let tasks = std::mem::take(&mut *shared.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the door has failed");
            }
        }
    }
}

/// Writes the devices' last signs of life from time to time, and once more at the end.
async fn write_seen(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    loop {
        let ends = tokio::select! {
            () = tokio::time::sleep(shared.options.touch_interval) => false,
            _ = closing.wait_for(|closing| *closing) => true,
        };
        if let Err(error) = shared.registry.write_seen().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot write when devices were seen");
        }
        if ends {
            return;
        }
    }
}

/// An id that the log's tail holds.
struct Found {
    device: Arc<Device>,
    hash: u64,
    second: u32,
}

/// How much of the log was searched for ids.
#[derive(Default)]
struct Searched {
    records: u64,
    rows: u64,
    bytes: u64,
}

/// Fills the windows from the log's tail, and notes when devices were heard, which meta learns only now and then. Goes
/// backwards in growing blocks until the age, or a bound, is reached: a start stays short however large the log is.
async fn remember_ids(shared: &Shared) -> Result<(), IngestError> {
    let age = i64::try_from(shared.options.dedup_age.as_micros()).unwrap_or(i64::MAX);
    let oldest = Timestamp(shared.clock.now().micros().saturating_sub(age));
    let highest = shared.meta.highest_stream().await?;
    let end = shared.log.end();
    let bound = Offset(end.0.saturating_sub(shared.options.dedup_records_max));
    let from = shared.log.offset_at(oldest)?.max(shared.log.head()).max(bound);
    let (rows_max, bytes_max) = (shared.options.dedup_rows_max, shared.options.dedup_bytes_max);
    let (mut block_end, mut records, mut searched) = (end, BLOCK_RECORDS, Searched::default());
    let mut blocks = Vec::new();
    while block_end > from && searched.rows < rows_max && searched.bytes < bytes_max {
        let begin = Offset(block_end.0.saturating_sub(records)).max(from);
        blocks.push(ids_between(shared, highest, begin, block_end, &mut searched).await?);
        // Four times as many, or as many as the rest of the bytes holds.
        let record_bytes = (searched.bytes / searched.records.max(1)).max(1);
        records = (records * 4).min((bytes_max.saturating_sub(searched.bytes) / record_bytes).max(1));
        block_end = begin;
    }
    for found in blocks.into_iter().rev().flatten() {
        found.device.window.lock().remember(&shared.memory, found.hash, found.second);
    }
    Ok(())
}

async fn ids_between(
    shared: &Shared,
    highest: u32,
    begin: Offset,
    end: Offset,
    searched: &mut Searched,
) -> Result<Vec<Found>, IngestError> {
    let mut reader = Reader::new(Arc::clone(&shared.log), begin);
    let mut found = Vec::new();
    while reader.position() < end {
        let records = reader.next_ready(READ_BYTES).await?;
        if records.is_empty() {
            break;
        }
        // Each is given back before the next: what is decoded can be far larger than what was read.
        for record in records.into_iter().filter(|record| record.offset < end) {
            if record.stream > highest {
                return Err(IngestError::MetaBehind {
                    stream: record.stream,
                    offset: record.offset,
                    highest,
                });
            }
            searched.records += 1;
            searched.rows += record.rows();
            searched.bytes += ids_of(shared, &record, &mut found).max(record.payload.len() as u64);
        }
    }
    Ok(found)
}

/// Adds the ids of a record to those that were found; returns how many bytes were decoded for them.
fn ids_of(shared: &Shared, record: &Record, found: &mut Vec<Found>) -> u64 {
    let Some(entry) = shared.registry.by_id(record.stream) else { return 0 };
    if record.kind != Kind::Readings || record.producer.is_some() {
        return 0;
    }
    match record.batch() {
        Ok(batch) => {
            note_ids(shared, &entry.key.tenant, record.appended_at, &batch, found);
            batch.get_array_memory_size() as u64
        }
        Err(error) => {
            tracing::warn!(%error, offset = %record.offset, "cannot decode a record for its message ids");
            0
        }
    }
}

fn note_ids(
    shared: &Shared,
    tenant: &TenantId,
    appended_at: Timestamp,
    batch: &RecordBatch,
    found: &mut Vec<Found>,
) {
    let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (Some(devices), Some(ids)) = (text(DEVICE_COLUMN), text(ID_COLUMN)) else { return };
    let mut heard = None;
    for device in devices.iter().flatten() {
        if heard.replace(device) != Some(device)
            && let Some(device) = shared.registry.device_named(tenant, device)
        {
            device.touch(appended_at);
        }
    }
    if ids.null_count() == ids.len() {
        return;
    }
    let received = batch
        .column_by_name(RECEIVED_COLUMN)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let mut last: Option<&str> = None;
    for row in (0..batch.num_rows()).filter(|row| ids.is_valid(*row) && devices.is_valid(*row)) {
        // The rows of one message stand together: one id is enough.
        if last.replace(ids.value(row)) == Some(ids.value(row)) {
            continue;
        }
        if let Some(device) = shared.registry.device_named(tenant, devices.value(row)) {
            let arrival = received.map_or(appended_at, |column| Timestamp(column.value(row)));
            let second = second_of(arrival.max(appended_at));
            found.push(Found { device, hash: shared.memory.hash(ids.value(row)), second });
        }
    }
}
