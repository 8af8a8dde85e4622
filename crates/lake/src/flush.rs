//! From memory to files: the one step in which a row stops being tail and becomes history.
//!
//! 1. What the tail holds is taken, up to an offset; reading the log goes on.
//! 2. Each stream and day is sorted, encoded and put into the store under a name that never was.
//! 3. One transaction of meta lists the files and moves the lake's offset.
//! 4. In memory the rows are dropped from the tail and the files appear, under one lock.
//!
//! A crash before 3 leaves objects that nobody lists (removed at the next start) and an offset from which the same
//! rows are read again. A crash after 3 finds files and offset together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use metrics::{counter, histogram};
use springhouse_meta::{LakeFile, StreamEntry};
use springhouse_model::Timestamp;

use crate::keeper::Shared;
use crate::manifest::Change;
use crate::parquet_file::{Summary, encode};
use crate::sorted::{by_day, conformed, lake_schema};
use crate::tail::Chunk;
use crate::{LakeError, catalog};

/// A file in memory, with its entry in the manifest.
struct Draft {
    entry: LakeFile,
    bytes: Bytes,
}

impl Shared {
    /// Writes down what the tail holds; returns how many rows.
    pub(crate) async fn flush(&self) -> Result<u64, LakeError> {
        let _turn = self.flushing.lock().await;
        let began = Instant::now();
        // An earlier flush may have happened although its answer was an error.
        self.settle().await?;
        let (upto, streams) = {
            let mut state = self.state.lock();
            if state.next == state.flushed {
                return Ok(0);
            }
            state.begin_flush()
        };
        let mut written = Vec::new();
        if let Err(error) = self.write_streams(streams, &mut written).await {
            self.discard(written.into_iter().map(|file| file.path).collect()).await;
            return Err(error);
        }
        let rows = written.iter().map(|file| file.rows).sum();
        let doing = "list the flushed files";
        self.change(Change { doing, add: written, upto: Some(upto), ..Change::default() }).await?;
        histogram!("springhouse_lake_flush_seconds").record(began.elapsed().as_secs_f64());
        counter!("springhouse_lake_flushed_rows_total").increment(rows);
        Ok(rows)
    }

    /// Puts the rows into the store; `written` names every object that may be there, also after an error.
    async fn write_streams(
        &self,
        streams: HashMap<u32, Vec<Arc<Chunk>>>,
        written: &mut Vec<LakeFile>,
    ) -> Result<(), LakeError> {
        for (stream, chunks) in streams {
            // Without an entry the stream was dropped, and its rows with it.
            let Some(entry) = self.catalog.stream(stream) else { continue };
            let created_at = self.clock.now();
            for draft in self.blocking(move || drafts(&entry, &chunks, created_at)).await?? {
                let path = draft.entry.path.clone();
                written.push(draft.entry);
                self.storage.put(&path, draft.bytes).await?;
            }
        }
        Ok(())
    }

    /// Runs what computes on a thread where it holds nobody up.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LakeError> {
        Ok(self.threads.spawn_blocking(work).await?)
    }
}

fn drafts(
    stream: &StreamEntry,
    chunks: &[Arc<Chunk>],
    created_at: Timestamp,
) -> Result<Vec<Draft>, LakeError> {
    if catalog::is_internal(stream) {
        return Ok(Vec::new());
    }
    let doing = "write rows as Parquet";
    let schema = lake_schema(&stream.schema);
    let rows: Vec<RecordBatch> = chunks
        .iter()
        .map(|chunk| conformed(&chunk.batch, &schema))
        .collect::<Result<_, _>>()
        .map_err(LakeError::arrow(doing))?;
    let first_offset = chunks.first().map_or(0, |chunk| chunk.first_offset);
    let last_offset = chunks.last().map_or(0, |chunk| chunk.last_offset);
    let mut drafts = Vec::new();
    for part in by_day(&rows, &schema).map_err(LakeError::arrow(doing))? {
        let bytes = Bytes::from(encode(&part.batch).map_err(LakeError::arrow(doing))?);
        let place = Place { stream_id: stream.id, day: &part.day, first_offset };
        let entry = entry(&place, &Summary::of(&part.batch), bytes.len() as u64);
        let entry = LakeFile { last_offset, created_at, schema_version: stream.schema.version, ..entry };
        drafts.push(Draft { entry, bytes });
    }
    Ok(drafts)
}

/// Where a file belongs.
pub(crate) struct Place<'a> {
    pub stream_id: u32,
    pub day: &'a str,
    pub first_offset: u64,
}

/// The manifest's entry for a file with these rows, under a fresh name; the caller fills in what only he knows.
pub(crate) fn entry(place: &Place<'_>, summary: &Summary, bytes: u64) -> LakeFile {
    let (min_ts, max_ts) = summary.times();
    let (min_device, max_device) = summary.devices();
    LakeFile {
        id: 0,
        stream_id: place.stream_id,
        path: fresh_path(place),
        rows: summary.rows,
        bytes,
        min_ts,
        max_ts,
        min_device,
        max_device,
        schema_version: 0,
        first_offset: place.first_offset,
        last_offset: place.first_offset,
        level: 0,
        created_at: Timestamp::default(),
    }
}

/// `<stream>/<day>/<first offset>-<nanoseconds>-<count>.parquet`: in order of the log for a person who looks, and never
/// the name of an object that a crash has left behind.
pub(crate) fn fresh_path(place: &Place<'_>) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
    format!("{}/{}/{:012}-{now:x}-{count:x}.parquet", place.stream_id, place.day, place.first_offset)
}

/// The day's folder of a path.
pub(crate) fn day_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or("mixed")
}
