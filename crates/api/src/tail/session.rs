//! One open tail: from the log to the socket, and the reasons to end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use springhouse_log::{Kind, LogError, Offset, Reader, Record};
use springhouse_model::{StreamName, Timestamp};
use springhouse_policy::Scope;
use springhouse_schema::RECEIVED_COLUMN;
use tokio::time::{Instant, MissedTickBehavior};

use super::frame::frames;
use super::selection::{Compiled, Selection};
use crate::auth::{BELIEVED_FOR, Caller};
use crate::serve::announced;
use crate::state::{App, TailPlace};
use crate::streams::is_internal;

/// Rows are taken from the log in portions of this size, and go out in as many frames as there are streams in it.
const READ_BYTES: usize = 256 * 1024;
/// A client whose next row is older than this is moved ahead. A page that shows what was is worse than one that says
/// that it has left something out.
const BEHIND_US_MAX: i64 = 1_000_000;
/// A client that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a tail ends, with its WebSocket close code.
struct Ending(u16, &'static str);

pub(super) async fn run(
    app: App,
    caller: Caller,
    selection: Selection,
    from: Offset,
    socket: WebSocket,
    _place: TailPlace,
) {
    let reader = Reader::new(Arc::clone(&app.log), from);
    let (sink, stream) = socket.split();
    let mut session =
        Session { app, caller, selection, reader, sink, streams: HashMap::new(), dropped: HashMap::new() };
    let Ending(code, reason) = session.follow(stream).await;
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // The client may be long gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), session.sink.send(close)).await;
}

/// A stream in this selection, with the rows of it that are wanted, by version of its schema.
struct Wanted {
    name: StreamName,
    compiled: HashMap<u32, Option<Compiled>>,
}

struct Session {
    app: App,
    caller: Caller,
    selection: Selection,
    reader: Reader,
    sink: SplitSink<WebSocket, Message>,
    /// By stream number; `None` for streams that this tail is not about.
    streams: HashMap<u32, Option<Wanted>>,
    dropped: HashMap<u32, u64>,
}

impl Session {
    async fn follow(&mut self, mut inbound: SplitStream<WebSocket>) -> Ending {
        let mut shutdown = self.app.shutdown.clone();
        let mut revoked = self.app.callers.revoked();
        let mut tick = tokio::time::interval(BELIEVED_FOR);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                biased;
                () = announced(&mut shutdown) => return Ending(close_code::AWAY, "the hub ends"),
                _ = revoked.changed() => {
                    if let Err(ending) = self.check_caller().await {
                        return ending;
                    }
                }
                _ = tick.tick() => {
                    if let Err(ending) = self.keep_alive().await {
                        return ending;
                    }
                }
                message = inbound.next() => match message {
                    Some(Ok(Message::Close(_))) | Some(Err(_)) | None => {
                        return Ending(close_code::NORMAL, "closed");
                    }
                    Some(Ok(_)) => {}
                },
                read = self.reader.next(READ_BYTES) => {
                    if let Err(ending) = self.take(read).await {
                        return ending;
                    }
                }
            }
        }
    }

    async fn check_caller(&mut self) -> Result<(), Ending> {
        match self.app.callers.who(&self.caller.credential).await {
            Ok(Some(caller)) if caller.principal.has(Scope::Read) => Ok(()),
            Ok(_) => Err(Ending(close_code::POLICY, "signed out, or the token was revoked")),
            Err(_) => Ok(()), // the database does not answer; asked again with the next tick
        }
    }

    /// Tells a client that is gone from one that is quiet, and a revoked one from a good one.
    async fn keep_alive(&mut self) -> Result<(), Ending> {
        self.check_caller().await?;
        self.send(Message::Ping(bytes::Bytes::new())).await
    }

    async fn take(&mut self, read: Result<Vec<Arc<Record>>, LogError>) -> Result<(), Ending> {
        let records = match read {
            Ok(records) => records,
            Err(LogError::Trimmed { head }) => {
                self.reader.seek(head);
                return Ok(());
            }
            Err(LogError::Closed) => return Err(Ending(close_code::AWAY, "the hub ends")),
            Err(error) => {
                tracing::warn!(%error, "a tail cannot read the log");
                return Err(Ending(close_code::ERROR, "the log cannot be read"));
            }
        };
        let now = self.app.clock.now().micros();
        // Records follow one another in the order of their times.
        let is_stale = |record: &Arc<Record>| now.saturating_sub(record.appended_at.micros()) > BEHIND_US_MAX;
        let mut stale = records;
        let fresh = stale.split_off(stale.partition_point(is_stale));
        // One by one, and each given back before the next: what is decoded can be far larger than what was read.
        for record in stale {
            if let Some(batch) = self.rows_of(&record)? {
                *self.dropped.entry(record.stream).or_default() += batch.num_rows() as u64;
            }
            tokio::task::yield_now().await;
        }
        let rows = self.wanted_rows(fresh).await?;
        // What was left out is told with the next rows, or at once when no more are coming.
        if !rows.is_empty() || self.reader.position() >= self.app.log.end() {
            self.forward(rows).await?;
        }
        Ok(())
    }

    /// The wanted rows by stream, in the order in which the streams first occur.
    async fn wanted_rows(
        &mut self,
        records: Vec<Arc<Record>>,
    ) -> Result<Vec<(u32, Vec<RecordBatch>)>, Ending> {
        let mut found: Vec<(u32, Vec<RecordBatch>)> = Vec::new();
        for record in records {
            let Some(batch) = self.rows_of(&record)? else { continue };
            match found.iter_mut().find(|(id, _)| *id == record.stream) {
                Some((_, batches)) => batches.push(batch),
                None => found.push((record.stream, vec![batch])),
            }
            // A client that is far behind walks through much log at once: others get their turn.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    fn rows_of(&mut self, record: &Record) -> Result<Option<RecordBatch>, Ending> {
        if record.kind != Kind::Readings {
            return Ok(None);
        }
        let wanted = match self.streams.entry(record.stream) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let entry = self.app.ingest.registry().by_id(record.stream);
                let entry = entry.filter(|entry| {
                    entry.key.tenant == self.selection.tenant
                        && self.selection.names(&entry.key.name)
                        && !is_internal(&entry.key.name)
                });
                place.insert(
                    entry.map(|entry| Wanted { name: entry.key.name.clone(), compiled: HashMap::new() }),
                )
            }
        };
        let Some(wanted) = wanted.as_mut() else { return Ok(None) };
        let batch = match record.batch() {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, offset = %record.offset, "a tail cannot decode a record");
                return Ok(None);
            }
        };
        let compiled = match wanted.compiled.entry(record.schema_version) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => match self.selection.compile(&batch.schema())
            {
                Ok(compiled) => place.insert(compiled),
                // The columns of the filter do not exist in this version: no row of it is wanted.
                Err(_) => return Ok(None),
            },
        };
        let rows = match compiled {
            Some(compiled) => compiled
                .apply(batch)
                .map_err(|_| Ending(close_code::POLICY, "the filter takes too long to compute"))?,
            None => batch,
        };
        Ok((rows.num_rows() > 0).then_some(rows))
    }

    async fn forward(&mut self, rows: Vec<(u32, Vec<RecordBatch>)>) -> Result<(), Ending> {
        let mut newest = None;
        for (id, batches) in rows {
            let dropped = self.dropped.remove(&id).unwrap_or_default();
            newest = newest.max(batches.iter().filter_map(newest_arrival).max());
            self.send_frames(id, &batches, dropped).await?;
        }
        // Streams that have nothing more to say still tell what was left out.
        for (id, dropped) in std::mem::take(&mut self.dropped) {
            self.send_frames(id, &[], dropped).await?;
        }
        if let Some(received) = newest {
            self.app.pulse.shown(received, self.app.clock.now());
        }
        Ok(())
    }

    async fn send_frames(&mut self, id: u32, batches: &[RecordBatch], dropped: u64) -> Result<(), Ending> {
        let Some(Some(wanted)) = self.streams.get(&id) else { return Ok(()) };
        if dropped > 0 {
            metrics::counter!("springhouse_tail_dropped_rows_total").increment(dropped);
        }
        let frames = frames(wanted.name.as_str(), batches, dropped).map_err(|error| {
            tracing::warn!(%error, "a tail cannot write its rows");
            Ending(close_code::ERROR, "rows cannot be written")
        })?;
        for frame in frames {
            self.send(Message::Text(frame.into())).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        let deadline = Instant::now() + SEND_TIMEOUT;
        match tokio::time::timeout_at(deadline, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending(close_code::NORMAL, "closed")),
            Err(_) => Err(Ending(close_code::POLICY, "the client does not read")),
        }
    }
}

/// When the newest reading of a batch arrived.
fn newest_arrival(batch: &RecordBatch) -> Option<Timestamp> {
    let column = batch.column_by_name(RECEIVED_COLUMN)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let last = column.len().checked_sub(1)?;
    column.is_valid(last).then(|| Timestamp(column.value(last)))
}
