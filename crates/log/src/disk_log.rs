//! The log on a disk: opens it, starts its writer thread and speaks the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use springhouse_model::{Clock, SystemClock, Timestamp};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::group::GroupBuilder;
use crate::queue::{Queue, Request};
use crate::record::check;
use crate::recovery::{Recovered, recover};
use crate::segment::Index;
use crate::shared::Shared;
use crate::store::Store;
use crate::tail::Tail;
use crate::writer::{Retention, Writer};
use crate::{Append, Disk, FileDisk, Log, LogError, Offset, Producer, Record, Stats};

/// The largest append: a shard hands over far less, and a commit group has to fit into memory a few times.
const APPEND_BYTES_MAX: u64 = 16 << 20;

/// How a log uses its disk and memory.
#[derive(Clone)]
pub struct Options {
    /// Size of a segment file, the unit of retention and of recovery.
    pub segment_bytes: u64,
    /// Oldest segments go when the log takes more than this.
    pub retention_bytes: Option<u64>,
    /// Segments go when their newest record is older than this.
    pub retention_age: Option<Duration>,
    /// Nothing is removed this long after a start, so that consumers can put their holds first.
    pub retention_grace: Duration,
    /// Emptied segments kept for reuse; saves the file system from allocating anew.
    pub segments_free_max: usize,
    /// Records kept in memory for readers who are not behind.
    pub tail_bytes: usize,
    /// Appends that wait for their commit or are in it; more have to wait before they may queue.
    pub queue_bytes: usize,
    /// How long a commit waits for company. 0: the commit before it is the only wait, best for latency.
    pub commit_linger: Duration,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            retention_bytes: Some(4 << 30),
            retention_age: None,
            retention_grace: Duration::from_secs(60),
            segments_free_max: 2,
            tail_bytes: 32 << 20,
            queue_bytes: 32 << 20,
            commit_linger: Duration::ZERO,
            disk: Arc::new(FileDisk),
            clock: Arc::new(SystemClock),
        }
    }
}

/// A log in a directory of its own.
pub struct DiskLog {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    queue_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Released last: whoever opens the log next must find the writer gone.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl DiskLog {
    /// Opens or creates the log in `dir`, which belongs to it until it is closed or dropped. Blocks while it
    /// reads the last segment.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<DiskLog, LogError> {
        let dir = dir.as_ref().to_owned();
        let disk = Arc::clone(&options.disk);
        disk.create_dir(&dir).map_err(LogError::io("create", &dir))?;
        let lock = disk.lock(&dir).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => LogError::InUse { path: dir.clone() },
            _ => LogError::io("lock", &dir)(error),
        })?;
        let recovered = recover(disk.as_ref(), &dir)?;
        let queue_bytes = options.queue_bytes.clamp(1, u32::MAX as usize >> 1);
        let writer = writer(dir, &options, recovered)?;
        let (shared, queue) = (Arc::clone(&writer.shared), Arc::clone(&writer.queue));
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(LogError::io("start a writer for", &shared.dir))?;
        Ok(DiskLog {
            shared,
            queue,
            room: Arc::new(Semaphore::new(queue_bytes)),
            queue_bytes,
            thread: Mutex::new(Some(thread)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Applies retention and returns when it is done.
    pub async fn apply_retention(&self) {
        let (done, answer) = oneshot::channel();
        self.queue.retain(done);
        // A closed log has nothing to remove.
        let _ = answer.await;
    }

    fn join(&self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the log's writer thread has panicked");
        }
    }
}

fn writer(dir: PathBuf, options: &Options, recovered: Recovered) -> Result<Writer, LogError> {
    let Recovered { mut segments, free, end, mut position, last_at, counts } = recovered;
    let mut store = Store {
        disk: Arc::clone(&options.disk),
        dir: dir.clone(),
        segment_bytes: options.segment_bytes,
        free_max: options.segments_free_max,
        free,
    };
    store.drop_surplus()?;
    let active = match segments.last() {
        Some(last) => Arc::clone(last),
        None => {
            let first = store.start_segment(end, None, options.clock.now(), &counts, 0)?;
            position = first.start;
            *first.index.lock() = Some(Index::default());
            segments.push(Arc::new(first));
            Arc::clone(&segments[0])
        }
    };
    let shared = Arc::new(Shared {
        dir,
        segments: RwLock::new(segments),
        tail: RwLock::new(Tail::new(end, options.tail_bytes)),
        end: watch::Sender::new(Offset(end)),
        producers: RwLock::new(counts.producers.clone()),
        rows: Mutex::new(counts.rows.clone()),
        holds: Mutex::default(),
        poisoned: RwLock::new(None),
        commits: 0.into(),
        segments_free: 0.into(),
        bytes: 0.into(),
    });
    let grace = i64::try_from(options.retention_grace.as_micros()).unwrap_or(i64::MAX);
    let writer = Writer {
        shared,
        queue: Arc::default(),
        store,
        clock: Arc::clone(&options.clock),
        linger: options.commit_linger,
        retention: Retention {
            bytes: options.retention_bytes,
            age: options.retention_age,
            starts_at: options.clock.now().plus_micros(grace),
        },
        active,
        position,
        next: end,
        last_at,
        counts,
        group: GroupBuilder::default(),
        retained: (Instant::now(), end),
    };
    writer.count_bytes();
    Ok(writer)
}

#[async_trait]
impl Log for DiskLog {
    async fn append(&self, appends: Vec<Append>) -> Result<Offset, LogError> {
        check(&appends, APPEND_BYTES_MAX)?;
        if appends.is_empty() {
            return Ok(self.end());
        }
        let bytes = appends.iter().map(Append::queue_bytes).sum::<usize>().min(self.queue_bytes);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes as u32).await;
        let (answer, answered) = oneshot::channel();
        let request = Request { appends, bytes, _room: room.map_err(|_| LogError::Closed)?, answer };
        self.shared.check_sound()?;
        self.queue.push(request).map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        self.shared.read(from, bytes_max)
    }

    fn read_memory(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        self.shared.tail.read().read(from, bytes_max)
    }

    fn head(&self) -> Offset {
        self.shared.head()
    }

    fn end(&self) -> Offset {
        self.shared.end()
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.shared.end.subscribe()
    }

    fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError> {
        self.shared.offset_at(time)
    }

    fn last_producer(&self, id: u64) -> Option<Producer> {
        self.shared.producers.read().get(&id).map(|seq| Producer { id, seq: *seq })
    }

    fn hold(&self, consumer: &str, from: Offset) {
        self.shared.holds.lock().insert(consumer.to_owned(), from);
    }

    fn release(&self, consumer: &str) {
        self.shared.holds.lock().remove(consumer);
    }

    fn stats(&self) -> Stats {
        self.shared.stats()
    }

    async fn close(&self) {
        self.queue.close();
        self.room.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // Joining blocks for one commit at most; off the async threads all the same.
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the log's writer thread has panicked");
            }
        }
        // Somebody may still hold a log that writes no more.
        self.lock.lock().take();
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.join();
    }
}
