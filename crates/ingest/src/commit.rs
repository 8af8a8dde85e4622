//! The one committer: takes what all shards have gathered, makes records of it and waits until they are durable.
//!
//! A cut is taken under the locks of all shards at once, so that events that depend on each other across shards
//! fall into the same commit or into a later one in their order. While a commit is encoded and synced, the shards
//! fill the next; commits are written one after the other.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use arrow::error::ArrowError;
use springhouse_frame::FrameError;
use springhouse_log::{Append, LogError};
use springhouse_model::CommitId;
use tokio::sync::oneshot;

use crate::door::{Shared, Stop};
use crate::quarantine::{self, Held};
use crate::registry::Stream;
use crate::shard::{Event, Queue, Sealed};
use crate::spans::by_partition;

/// Below this, encoding is shorter than handing it to another thread.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// How often a full disk is told.
const FULL_TELL: Duration = Duration::from_secs(10);
/// Payload of one append. The log takes 16 MiB; commits that are larger are split between shards.
const APPEND_BYTES: usize = 8 << 20;

/// A thread for encoding large commits. It is nobody else's: whatever keeps the threads of other work busy, readings
/// are taken in.
pub(crate) struct Encoder(mpsc::Sender<Job>);

type Job = (Vec<Queue>, oneshot::Sender<Result<Vec<Vec<Append>>, EncodeError>>);

impl Encoder {
    /// The thread ends with its owner.
    pub fn start() -> std::io::Result<Encoder> {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("encoder".to_owned()).spawn(move || {
            for (queues, answer) in jobs {
                // Nobody waits for it when the door was dropped.
                let _ = answer.send(encode(queues));
            }
        })?;
        Ok(Encoder(sender))
    }

    async fn encode(&self, queues: Vec<Queue>) -> Result<Vec<Vec<Append>>, EncodeError> {
        let (answer, encoded) = oneshot::channel();
        self.0.send((queues, answer)).map_err(|_| EncodeError::Ended)?;
        encoded.await.map_err(|_| EncodeError::Ended)?
    }
}

pub(crate) async fn run(shared: Arc<Shared>, encoder: Encoder) {
    let mut closing = shared.closing.subscribe();
    loop {
        let ends = tokio::select! {
            () = shared.wake.notified() => false,
            _ = closing.wait_for(|closing| *closing) => true,
        };
        // Those who were woken by the last commit go first: what they bring in now shares the next one. With nobody
        // to run, this takes no time.
        tokio::task::yield_now().await;
        let (commit, queues) = shared.cut();
        match shared.write(&encoder, queues).await {
            Ok(()) => shared.durable.send_modify(|durable| durable.commit = commit),
            Err(stop) => {
                shared.fail(stop);
                return;
            }
        }
        if ends {
            return;
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum EncodeError {
    #[error("cannot build a batch")]
    Arrow(#[from] ArrowError),
    #[error("cannot encode a frame")]
    Frame(#[from] FrameError),
    /// By a fault that it has reported itself.
    #[error("the thread that encodes has ended")]
    Ended,
}

impl Shared {
    /// Takes out everything that waits. What is pushed from here on belongs to the next commit.
    fn cut(&self) -> (CommitId, Vec<Queue>) {
        let mut journal = self.journal.lock();
        let mut states: Vec<_> = self.shards.iter().map(|shard| shard.state.lock()).collect();
        let commit = self.epoch.fetch_add(1, Ordering::AcqRel);
        let mut queues = vec![std::mem::take(&mut *journal)];
        queues.extend(states.iter_mut().map(|state| state.cut()));
        drop((journal, states));
        self.shards.iter().for_each(|shard| shard.room.notify_waiters());
        self.journal_room.notify_waiters();
        queues.retain(|queue| !queue.is_empty());
        (commit, queues)
    }

    async fn write(&self, encoder: &Encoder, queues: Vec<Queue>) -> Result<(), Stop> {
        if queues.is_empty() {
            return Ok(());
        }
        let bytes: usize = queues.iter().map(|queue| queue.bytes).sum();
        self.numbers.queue(bytes);
        let encoded = match bytes <= INLINE_BYTES_MAX {
            true => encode(queues),
            false => encoder.encode(queues).await,
        };
        let appends = encoded.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a commit cannot be encoded");
            Stop::Poisoned(format!("{error}: {:?}", std::error::Error::source(&error)).into())
        })?;
        let rows: u64 = appends.iter().flatten().map(Append::rows).sum();
        for append in appends {
            self.append(append).await?;
        }
        self.numbers.committed(rows as usize, bytes);
        self.numbers.queue(0);
        Ok(())
    }

    /// Appends, and goes on trying while the disk is full: nothing that was taken in is dropped for that.
    async fn append(&self, appends: Vec<Append>) -> Result<(), Stop> {
        let mut closing = self.closing.subscribe();
        let mut told: Option<Instant> = None;
        loop {
            let error = match self.log.append(appends.clone()).await {
                Ok(_) => {
                    self.set_stop(None);
                    return Ok(());
                }
                Err(error) => error,
            };
            match error {
                LogError::Full { .. } => {
                    if told.is_none_or(|told| told.elapsed() >= FULL_TELL) {
                        tracing::warn!(%error, "readings wait for room");
                        told = Some(Instant::now());
                    }
                    self.set_stop(Some(Stop::Full(error.to_string().into())));
                }
                LogError::Closed => return Err(Stop::Closed),
                LogError::Poisoned { reason } => return Err(Stop::Poisoned(reason)),
                other => return Err(Stop::Poisoned(other.to_string().into())),
            }
            tokio::select! {
                () = tokio::time::sleep(self.options.full_retry) => {}
                _ = closing.wait_for(|closing| *closing) => return Err(Stop::Closed),
            }
        }
    }

    /// Nothing more will be durable: says so to everyone who waits.
    fn fail(&self, stop: Stop) {
        let reason: Arc<str> = match &stop {
            Stop::Full(reason) | Stop::Poisoned(reason) => Arc::clone(reason),
            Stop::Closed => "the log is closed".into(),
        };
        tracing::error!(%reason, "the log takes no more readings");
        self.set_stop(Some(stop));
        self.durable.send_modify(|durable| durable.poisoned = Some(Arc::clone(&reason)));
        self.failure.send_replace(Some(reason));
    }
}

/// The appends of a commit. Each inner list is appended at once, and what belongs together is in one of them: a
/// message's rows and its journal event come from the same shard.
fn encode(queues: Vec<Queue>) -> Result<Vec<Vec<Append>>, EncodeError> {
    let mut groups = Groups::default();
    for queue in queues {
        let mut appends = Vec::new();
        for sealed in queue.rows {
            appends.push(encode_rows(sealed)?);
        }
        appends.extend(encode_held(queue.held)?);
        match appends.is_empty() {
            // Events that stand alone may be parted, and have to when they are many: one append has a bound.
            true => queue.journal.into_iter().for_each(|event| groups.add(Vec::new(), vec![event])),
            false => groups.add(appends, queue.journal),
        }
    }
    groups.close();
    Ok(groups.closed)
}

/// Gathers appends into groups of about [`APPEND_BYTES`].
#[derive(Default)]
struct Groups {
    closed: Vec<Vec<Append>>,
    appends: Vec<Append>,
    events: Vec<Event>,
    bytes: usize,
}

impl Groups {
    /// Adds what belongs together.
    fn add(&mut self, appends: Vec<Append>, events: Vec<Event>) {
        let bytes = appends.iter().map(|append| append.payload.len()).sum::<usize>()
            + events.iter().map(|event| event.payload.len()).sum::<usize>();
        if self.bytes + bytes > APPEND_BYTES {
            self.close();
        }
        self.bytes += bytes;
        self.appends.extend(appends);
        self.events.extend(events);
    }

    /// Ends a group, with its events in the order in which they were said.
    fn close(&mut self) {
        let mut group = std::mem::take(&mut self.appends);
        self.events.sort_unstable_by_key(|event| event.sequence);
        group.extend(self.events.drain(..).map(|event| Append::session(event.payload)));
        self.bytes = 0;
        if !group.is_empty() {
            self.closed.push(group);
        }
    }
}

fn encode_rows(sealed: Sealed) -> Result<Append, EncodeError> {
    let (batch, partitions) = sealed.rows.finish()?;
    let (batch, spans) = by_partition(batch, &partitions)?;
    Ok(Append::readings(sealed.stream, sealed.version, spans, batch)?)
}

/// One record for the quarantine of each tenant.
fn encode_held(mut held: Vec<(Arc<Stream>, Held)>) -> Result<Vec<Append>, EncodeError> {
    held.sort_by_key(|(stream, _)| stream.id);
    let mut appends = Vec::new();
    for same in held.chunk_by(|(a, _), (b, _)| a.id == b.id) {
        let rows: Vec<Held> = same.iter().map(|(_, held)| held.clone()).collect();
        if let Some((stream, _)) = same.first() {
            appends.push(encode_quarantine(stream, &rows)?);
        }
    }
    Ok(appends)
}

fn encode_quarantine(stream: &Stream, held: &[Held]) -> Result<Append, EncodeError> {
    let (batch, partitions) = quarantine::batch(held)?;
    let (batch, spans) = by_partition(batch, &partitions)?;
    Ok(Append::readings(stream.id, quarantine::schema().version, spans, batch)?)
}
