//! Opening the door and closing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arrow::array::{Array, cast::AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use parking_lot::Mutex;
use springhouse_log::{Kind, Log, LogError, Offset, Reader, Record};
use springhouse_meta::Meta;
use springhouse_model::{Clock, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN};
use tokio::sync::{Notify, watch};

use crate::dedup::{Memory, second_of};
use crate::door::{Shared, Stop};
use crate::message::Durable;
use crate::numbers::Numbers;
use crate::registry::{Device, Registry};
use crate::shard::{Queue, Shard};
use crate::{Ingest, IngestError, Options, Route, commit, inbox};

const READ_BYTES: usize = 4 << 20;
/// Records of the newest block that is searched for message ids; each older block has four times as many.
const BLOCK_RECORDS: u64 = 256;

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
            stop: Mutex::new(None),
            stopped: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            numbers: Numbers::new(),
            tasks: Mutex::new(Vec::new()),
            options,
        });
        remember_ids(&shared).await?;
        let tasks = vec![
            tokio::spawn(commit::run(Arc::clone(&shared))),
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

/// Fills the windows from the log's tail. Goes backwards in growing blocks until the age, or the bound on records,
/// is reached: a start stays short however large the log is.
async fn remember_ids(shared: &Shared) -> Result<(), IngestError> {
    let age = i64::try_from(shared.options.dedup_age.as_micros()).unwrap_or(i64::MAX);
    let oldest = Timestamp(shared.clock.now().micros().saturating_sub(age));
    let end = shared.log.end();
    let bound = Offset(end.0.saturating_sub(shared.options.dedup_records_max));
    let from = shared.log.offset_at(oldest)?.max(shared.log.head()).max(bound);
    let (mut block_end, mut records, mut rows) = (end, BLOCK_RECORDS, 0);
    let mut blocks = Vec::new();
    while block_end > from && rows < shared.options.dedup_rows_max {
        let begin = Offset(block_end.0.saturating_sub(records)).max(from);
        let (found, seen) = ids_between(shared, begin, block_end).await?;
        blocks.push(found);
        rows += seen;
        (block_end, records) = (begin, records * 4);
    }
    for found in blocks.into_iter().rev().flatten() {
        found.device.window.lock().remember(&shared.memory, found.hash, found.second);
    }
    Ok(())
}

async fn ids_between(shared: &Shared, begin: Offset, end: Offset) -> Result<(Vec<Found>, u64), LogError> {
    let mut reader = Reader::new(Arc::clone(&shared.log), begin);
    let (mut found, mut rows) = (Vec::new(), 0);
    while reader.position() < end {
        let records = reader.next_ready(READ_BYTES).await?;
        if records.is_empty() {
            break;
        }
        for record in records.iter().filter(|record| record.offset < end) {
            rows += record.rows();
            ids_of(shared, record, &mut found);
        }
    }
    Ok((found, rows))
}

fn ids_of(shared: &Shared, record: &Record, found: &mut Vec<Found>) {
    let Some(entry) = shared.registry.by_id(record.stream) else { return };
    if record.kind != Kind::Readings || record.producer.is_some() {
        return;
    }
    let batch = match record.batch() {
        Ok(batch) => batch,
        Err(error) => {
            tracing::warn!(%error, offset = %record.offset, "cannot decode a record for its message ids");
            return;
        }
    };
    let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (Some(devices), Some(ids)) = (text(DEVICE_COLUMN), text(ID_COLUMN)) else { return };
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
        if let Some(device) = shared.registry.device_named(&entry.key.tenant, devices.value(row)) {
            let arrival = received.map_or(record.appended_at, |column| Timestamp(column.value(row)));
            let second = second_of(arrival.max(record.appended_at));
            found.push(Found { device, hash: shared.memory.hash(ids.value(row)), second });
        }
    }
}
