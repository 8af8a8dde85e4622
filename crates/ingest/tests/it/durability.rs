//! Acknowledged means durable, and queues have bounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use springhouse_ingest::{Ingest, IngestError, Options, Outcome};
use springhouse_log::{Append, DiskLog, Kind, Log, LogError, MemoryLog, Offset, Producer, Record, Stats};
use springhouse_meta::SqliteMeta;
use springhouse_model::{Clock, ErrorClass, ManualClock, Partition, Timestamp};
use tokio::sync::{Semaphore, watch};

use crate::hub::{Hub, NOON, gateway, options};

const TOPIC: &str = "devices/d/s";

/// A log whose appends wait for permission and can be told to fail.
struct GatedLog {
    inner: MemoryLog,
    gate: Semaphore,
    failure: parking_lot::Mutex<Option<LogError>>,
}

impl GatedLog {
    fn new(clock: &Arc<ManualClock>, open: bool) -> Arc<GatedLog> {
        let inner = MemoryLog::new(Arc::clone(clock) as Arc<dyn Clock>, None);
        let gate = Semaphore::new(if open { Semaphore::MAX_PERMITS >> 1 } else { 0 });
        Arc::new(GatedLog { inner, gate, failure: parking_lot::Mutex::new(None) })
    }

    fn fail(&self, failure: Option<LogError>) {
        *self.failure.lock() = failure;
    }
}

#[async_trait]
impl Log for GatedLog {
    async fn append(&self, appends: Vec<Append>) -> Result<Offset, LogError> {
        self.gate.acquire().await.unwrap().forget();
        let failure = self.failure.lock().clone();
        match failure {
            Some(failure) => Err(failure),
            None => self.inner.append(appends).await,
        }
    }
    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        self.inner.read(from, bytes_max)
    }
    fn read_memory(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        self.inner.read_memory(from, bytes_max)
    }
    fn head(&self) -> Offset {
        self.inner.head()
    }
    fn end(&self) -> Offset {
        self.inner.end()
    }
    fn watch(&self) -> watch::Receiver<Offset> {
        self.inner.watch()
    }
    fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError> {
        self.inner.offset_at(time)
    }
    fn last_producer(&self, id: u64) -> Option<Producer> {
        self.inner.last_producer(id)
    }
    fn hold(&self, consumer: &str, from: Offset) {
        self.inner.hold(consumer, from);
    }
    fn release(&self, consumer: &str) {
        self.inner.release(consumer);
    }
    fn stats(&self) -> Stats {
        self.inner.stats()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn gated(options: Options, open: bool) -> (Hub, Arc<GatedLog>) {
    let clock = Arc::new(ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap()));
    let log = GatedLog::new(&clock, open);
    let meta = Arc::new(SqliteMeta::in_memory().await.unwrap());
    (Hub::over(options, meta, Arc::clone(&log) as Arc<dyn Log>, clock).await, log)
}

#[tokio::test]
async fn a_commit_is_announced_after_the_log_has_it() {
    let (hub, log) = gated(options(), false).await;
    let mut outcomes = Vec::new();
    let messages = [hub.message(TOPIC, r#"{"v":1}"#)];
    let commit = hub.ingest.accept(&gateway(), &messages, &mut outcomes).await.unwrap();
    assert_eq!(outcomes, [Outcome::Accepted { rows: 1 }], "taken without waiting for the disk");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(hub.ingest.commits().borrow().commit < commit);
    log.gate.add_permits(1);
    hub.ingest.durable(commit).await.unwrap();
    assert_eq!(hub.rows("s"), 1);
}

#[tokio::test]
async fn a_full_shard_makes_its_sender_wait_and_loses_nothing() {
    let (hub, log) = gated(Options { shard_bytes: 4_000, shards: 1, ..options() }, false).await;
    let messages: Vec<_> = (0..1_000).map(|n| hub.message(TOPIC, &format!(r#"{{"v":{n}}}"#))).collect();
    let ingest = hub.ingest.clone();
    let sender = tokio::spawn(async move {
        let mut outcomes = Vec::new();
        let commit = ingest.accept(&gateway(), &messages, &mut outcomes).await.unwrap();
        ingest.durable(commit).await.unwrap();
        outcomes.len()
    });
    // The first commit waits in the log, the second is full: more than a few yields do not make more of it.
    while hub.ingest.stats().messages < 20 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!sender.is_finished(), "a thousand readings do not fit into 4,000 bytes");
    let taken = hub.ingest.stats().messages;
    assert!((20..200).contains(&taken), "{taken} were taken: one commit in the log's hands and one waiting");
    log.gate.add_permits(10_000);
    assert_eq!(sender.await.unwrap(), 1_000);
    let values: Vec<_> =
        hub.texts("s", "v").into_iter().flatten().map(|v| v.parse::<i64>().unwrap()).collect();
    assert_eq!(values, (0..1_000).collect::<Vec<_>>(), "in the order in which they were sent");
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let (hub, log) = gated(Options { full_retry: Duration::from_millis(1), ..options() }, true).await;
    hub.say(TOPIC, r#"{"v":0}"#).await;
    log.fail(Some(LogError::Full { path: Path::new("log").to_owned() }));
    let mut outcomes = Vec::new();
    let first = [hub.message(TOPIC, r#"{"v":1}"#)];
    let commit = hub.ingest.accept(&gateway(), &first, &mut outcomes).await.unwrap();
    let error = loop {
        let second = [hub.message(TOPIC, r#"{"v":2}"#)];
        match hub.ingest.accept(&gateway(), &second, &mut Vec::new()).await {
            Err(error) => break error,
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    assert!(matches!(error, IngestError::Full { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Environment);
    assert!(hub.ingest.commits().borrow().commit < commit, "nothing is acknowledged meanwhile");
    log.fail(None);
    hub.ingest.durable(commit).await.unwrap();
    hub.say(TOPIC, r#"{"v":3}"#).await;
    let values = hub.texts("s", "v");
    assert_eq!(values.first().unwrap().as_deref(), Some("0"));
    assert_eq!(values.last().unwrap().as_deref(), Some("3"));
    assert!(values.contains(&Some("1".to_owned())), "what was taken before is kept");
}

#[tokio::test]
async fn a_batch_that_a_full_disk_has_cut_goes_on_where_it_stopped() {
    let small = Options { shard_bytes: 4_000, full_retry: Duration::from_millis(1), ..options() };
    let (hub, log) = gated(small, true).await;
    hub.say(TOPIC, r#"{"v":-1}"#).await;
    log.fail(Some(LogError::Full { path: Path::new("log").to_owned() }));
    let messages: Vec<_> = (0..500).map(|n| hub.message(TOPIC, &format!(r#"{{"v":{n}}}"#))).collect();
    let mut outcomes = Vec::new();
    let error = hub.ingest.accept(&gateway(), &messages, &mut outcomes).await.unwrap_err();
    assert!(matches!(error, IngestError::Full { .. }), "{error}");
    assert!((1..500).contains(&outcomes.len()), "{} were taken", outcomes.len());
    log.fail(None);
    let commit = loop {
        match hub.ingest.accept(&gateway(), &messages[outcomes.len()..], &mut outcomes).await {
            Ok(commit) => break commit,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    hub.ingest.durable(commit).await.unwrap();
    let values: Vec<i64> =
        hub.texts("s", "v").into_iter().flatten().map(|value| value.parse().unwrap()).collect();
    assert_eq!(values, (-1..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_more_than_an_append_takes_are_parted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap()));
    let log = DiskLog::open(folder.path(), springhouse_log::Options::default()).unwrap();
    let meta = Arc::new(SqliteMeta::in_memory().await.unwrap());
    let hub = Hub::over(options(), meta, Arc::new(log), clock).await;
    // 20 MiB: the log takes 16 at once.
    let events: Vec<_> = (0..20).map(|n| Bytes::from(vec![n; 1 << 20])).collect();
    let commit = hub.ingest.journal(events.clone()).await.unwrap();
    hub.ingest.durable(commit).await.unwrap();
    assert!(hub.events() == events, "all of them in their order");
}

#[tokio::test]
async fn a_poisoned_log_is_said_to_everyone() {
    let (hub, log) = gated(options(), true).await;
    hub.say(TOPIC, r#"{"v":0}"#).await;
    log.fail(Some(LogError::Poisoned { reason: "fsync".into() }));
    let messages = [hub.message(TOPIC, r#"{"v":1}"#)];
    let commit = hub.ingest.accept(&gateway(), &messages, &mut Vec::new()).await.unwrap();
    assert!(matches!(hub.ingest.durable(commit).await, Err(IngestError::Poisoned { .. })));
    let refused = hub.ingest.accept(&gateway(), &messages, &mut Vec::new()).await;
    assert!(matches!(refused, Err(IngestError::Poisoned { .. })));
    assert_eq!(hub.ingest.commits().borrow().poisoned.as_deref(), Some("fsync"));
}

#[tokio::test]
async fn a_journal_event_commits_with_its_reading() {
    let (hub, log) = gated(options(), false).await;
    let mut message = hub.message(TOPIC, r#"{"v":1}"#);
    message.journal = Some(Bytes::from_static(b"received 7"));
    let mut chat = hub.message("chat/room", "hello");
    chat.journal = Some(Bytes::from_static(b"received 8"));
    let commit = hub.ingest.accept(&gateway(), &[message, chat], &mut Vec::new()).await.unwrap();
    let later = hub.ingest.journal(vec![Bytes::from_static(b"released 7")]).await.unwrap();
    assert!(hub.records().is_empty());
    log.gate.add_permits(8);
    hub.ingest.durable(commit.max(later)).await.unwrap();
    assert_eq!(hub.events(), ["received 7", "received 8", "released 7"]);
    let first_event = hub.records().iter().position(|record| record.kind == Kind::Sessions).unwrap();
    assert_eq!((hub.rows("s"), first_event), (1, 1));
}

#[tokio::test]
async fn a_refused_message_writes_no_event() {
    let hub = Hub::new().await;
    let who = springhouse_policy::Principal::device(gateway().tenant, None, "d".parse().unwrap());
    let mut message = hub.message("devices/other/s", r#"{"v":1}"#);
    message.journal = Some(Bytes::from_static(b"received 9"));
    let outcomes = hub.send_as(&who, &[message]).await;
    assert!(matches!(outcomes[0], Outcome::Refused(_)));
    assert!(hub.events().is_empty());
}

#[tokio::test]
async fn records_are_sorted_by_partition() {
    let hub = Hub::new().await;
    let messages: Vec<_> =
        (0..50).map(|n| hub.message(&format!("devices/d{}/s", n % 7), &format!(r#"{{"v":{n}}}"#))).collect();
    hub.send(&messages).await;
    for record in hub.records() {
        let batch = record.batch().unwrap();
        let devices =
            arrow::array::cast::AsArray::as_string::<i32>(batch.column_by_name("device").unwrap().as_ref())
                .clone();
        let spans = record.spans.iter().flat_map(|span| vec![span.partition; span.rows as usize]);
        let partitions: Vec<_> = devices.iter().map(|device| Partition::of(device.unwrap()).0).collect();
        assert!(partitions.is_sorted());
        assert_eq!(spans.collect::<Vec<_>>(), partitions);
    }
    assert_eq!(hub.rows("s"), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_disk_gives_back_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap()));
    let meta = Arc::new(SqliteMeta::open(folder.path().join("meta.db")).await.unwrap());
    let open = || -> Arc<dyn Log> {
        Arc::new(DiskLog::open(folder.path().join("log"), springhouse_log::Options::default()).unwrap())
    };
    let hub = Hub::over(options(), meta.clone(), open(), Arc::clone(&clock)).await;
    let message = crate::hub::with_id(hub.message(TOPIC, r#"{"v":1}"#), "once");
    assert_eq!(hub.send(std::slice::from_ref(&message)).await, [Outcome::Accepted { rows: 1 }]);
    hub.ingest.close().await;
    hub.log.close().await;
    drop(hub);
    let hub = Hub::over(options(), meta, open(), clock).await;
    assert_eq!(hub.send(&[message]).await, [Outcome::Duplicate]);
    assert_eq!(hub.texts("s", "v"), [Some("1".to_owned())]);
}

#[tokio::test]
async fn a_closed_door_has_written_everything_and_takes_nothing() {
    let hub = Hub::new().await;
    let mut outcomes = Vec::new();
    let messages = [hub.message(TOPIC, r#"{"v":1}"#)];
    hub.ingest.accept(&gateway(), &messages, &mut outcomes).await.unwrap();
    hub.ingest.close().await;
    assert_eq!(hub.rows("s"), 1);
    let ingest: &Ingest = &hub.ingest;
    assert!(matches!(ingest.accept(&gateway(), &messages, &mut outcomes).await, Err(IngestError::Closed)));
    let seen = hub.meta.device(&gateway().tenant, &"d".parse().unwrap()).await.unwrap().unwrap().last_seen;
    assert_eq!(seen, Some(hub.clock.now()), "the last sign of life is written down");
}
