//! The contract of a log as tests, for every implementation.
//!
//! [`all`] opens a fresh log for each of them. An implementation that keeps its records beyond its own life adds
//! [`survives_reopening`].

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use springhouse_model::{ManualClock, Timestamp};

use crate::{Append, Kind, Log, LogError, Offset, Producer, Reader, Span};

/// What a test needs of the log that is opened for it.
#[derive(Clone)]
pub struct Setup {
    pub clock: Arc<ManualClock>,
    /// Retention in bytes; it has to be applied by the time an append returns or [`Opened::retain`] has run.
    pub retention_bytes: Option<u64>,
    /// Records kept in memory; small, so that reads leave it.
    pub tail_bytes: usize,
}

/// A log under test.
pub struct Opened {
    pub log: Arc<dyn Log>,
    /// Applies retention and returns when it is done.
    pub retain: Box<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>,
}

const DEADLINE: Duration = Duration::from_secs(30);

/// Runs every test on logs that `open` makes.
pub async fn all<F, Fut>(open: F)
where
    F: Fn(Setup) -> Fut,
    Fut: Future<Output = Opened>,
{
    for tail_bytes in [0, 1 << 20] {
        let setup = || Setup {
            clock: Arc::new(ManualClock::at(Timestamp(1_000))),
            retention_bytes: None,
            tail_bytes,
        };
        offsets_are_dense_and_records_come_back(open(setup()).await.log).await;
        reads_are_bounded(open(setup()).await.log).await;
        rows_are_numbered_by_partition(open(setup()).await.log).await;
        producers_are_remembered(open(setup()).await.log).await;
        batches_come_back(open(setup()).await.log).await;
        invalid_appends_are_refused(open(setup()).await.log).await;
        concurrent_appends_stay_whole(open(setup()).await.log).await;
        readers_wait_for_the_end(open(setup()).await.log).await;
        closing_refuses_later_appends(open(setup()).await.log).await;
        let timed = setup();
        times_are_found(open(timed.clone()).await.log, &timed.clock).await;
        let bounded = Setup { retention_bytes: Some(64 << 10), ..setup() };
        retention_respects_holds(open(bounded).await).await;
    }
}

fn text(text: &str) -> Append {
    Append { kind: Kind::Marks, ..Append::session(Bytes::copy_from_slice(text.as_bytes())) }
}

fn payloads(log: &dyn Log, from: Offset) -> Result<Vec<String>, LogError> {
    let mut found = Vec::new();
    let mut position = from;
    loop {
        let records = log.read(position, 64)?;
        let Some(last) = records.last() else { return Ok(found) };
        position = last.next_offset();
        found.extend(records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()));
    }
}

async fn append(log: &dyn Log, appends: Vec<Append>) -> Offset {
    log.append(appends).await.expect("a sound log accepts a sound append")
}

async fn offsets_are_dense_and_records_come_back(log: Arc<dyn Log>) {
    assert_eq!((log.head(), log.end()), (Offset(0), Offset(0)));
    assert!(log.read(Offset(0), 100).expect("reading the end is no error").is_empty());
    assert_eq!(append(log.as_ref(), vec![text("a"), text("b")]).await, Offset(0));
    assert_eq!(append(log.as_ref(), vec![]).await, Offset(2));
    assert_eq!(append(log.as_ref(), vec![text("c")]).await, Offset(2));
    assert_eq!(append(log.as_ref(), vec![text("")]).await, Offset(3));
    assert_eq!(log.end(), Offset(4));
    assert_eq!(payloads(log.as_ref(), Offset(0)).expect("readable"), ["a", "b", "c", ""]);
    assert_eq!(payloads(log.as_ref(), Offset(2)).expect("readable"), ["c", ""]);
    let record = Append { kind: Kind::Sessions, stream: 9, schema_version: 4, ..text("d") };
    append(log.as_ref(), vec![record]).await;
    let found = log.read(Offset(4), 100).expect("readable");
    assert_eq!((found[0].offset, found[0].kind), (Offset(4), Kind::Sessions));
    assert_eq!((found[0].stream, found[0].schema_version, found[0].producer), (9, 4, None));
}

async fn reads_are_bounded(log: Arc<dyn Log>) {
    for _ in 0..10 {
        append(log.as_ref(), vec![text("0123456789"), text("0123456789")]).await;
    }
    for (bytes_max, expected) in [(0, 1), (5, 1), (10, 1), (35, 3), (1_000, 20)] {
        assert_eq!(log.read(Offset(0), bytes_max).expect("readable").len(), expected, "{bytes_max} bytes");
    }
    assert!(log.read(Offset(20), 100).expect("readable").is_empty());
    assert!(log.read(Offset(2_000), 100).expect("readable").is_empty());
}

async fn rows_are_numbered_by_partition(log: Arc<dyn Log>) {
    let rows = |spans: &[(u8, u32)]| Append { spans: spans.to_vec(), ..text("rows") };
    append(log.as_ref(), vec![rows(&[(0, 3), (5, 2)]), rows(&[(5, 1), (0, 1), (5, 4)])]).await;
    append(log.as_ref(), vec![rows(&[(63, 7), (0, 1)])]).await;
    let found = log.read(Offset(0), usize::MAX).expect("readable");
    let spans: Vec<Vec<Span>> = found.iter().map(|record| record.spans.clone()).collect();
    let span = |partition, base, rows| Span { partition, base, rows };
    let expected = [
        vec![span(0, 0, 3), span(5, 0, 2)],
        vec![span(5, 2, 1), span(0, 3, 1), span(5, 3, 4)],
        vec![span(63, 0, 7), span(0, 4, 1)],
    ];
    assert_eq!(spans, expected);
    let stats = log.stats();
    assert_eq!((stats.rows[0], stats.rows[5], stats.rows[63], stats.rows[1]), (5, 7, 7, 0));
}

async fn producers_are_remembered(log: Arc<dyn Log>) {
    let by =
        |id, seq, rows| Append { producer: Some(Producer { id, seq }), spans: vec![(1, rows)], ..text("p") };
    assert_eq!(log.last_producer(1), None);
    append(log.as_ref(), vec![by(1, 0, 10), by(2, 0, 5), by(1, 10, 3)]).await;
    assert_eq!(log.last_producer(1), Some(Producer { id: 1, seq: 13 }));
    assert_eq!(log.last_producer(2), Some(Producer { id: 2, seq: 5 }));
    // A writer that repeats itself does not go back.
    append(log.as_ref(), vec![by(1, 10, 1)]).await;
    assert_eq!(log.last_producer(1), Some(Producer { id: 1, seq: 13 }));
}

async fn batches_come_back(log: Arc<dyn Log>) {
    let numbers: arrow::array::ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3]));
    let batch = arrow::record_batch::RecordBatch::try_from_iter([("n", numbers)]).expect("a sound batch");
    let readings = Append::readings(1, 1, vec![(0, 3)], batch.clone()).expect("encodable");
    let encoded_only = Append { batch: None, ..readings.clone() };
    append(log.as_ref(), vec![readings, encoded_only, text("last")]).await;
    for record in &log.read(Offset(0), usize::MAX).expect("readable")[..2] {
        assert_eq!(record.batch().expect("decodable"), batch);
        assert_eq!(record.rows(), 3);
    }
}

async fn invalid_appends_are_refused(log: Arc<dyn Log>) {
    let bad = Append { spans: vec![(64, 1)], ..text("bad") };
    let refused = log.append(vec![text("good"), bad]).await;
    assert!(matches!(refused, Err(LogError::Invalid { .. })), "{refused:?}");
    assert_eq!(log.end(), Offset(0), "all or none");
}

async fn concurrent_appends_stay_whole(log: Arc<dyn Log>) {
    const WRITERS: u64 = 16;
    const APPENDS: u64 = 25;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&log);
        writers.push(tokio::spawn(async move {
            for n in 0..APPENDS {
                let parts = (0..3).map(|part| text(&format!("{writer} {n} {part}"))).collect();
                let first = append(log.as_ref(), parts).await;
                // What is acknowledged can be read at once, in its place.
                let found = log.read(first, 1).expect("readable");
                assert_eq!(found[0].payload, format!("{writer} {n} 0").as_bytes());
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer does not fail");
    }
    let found = payloads(log.as_ref(), Offset(0)).expect("readable");
    assert_eq!(found.len() as u64, WRITERS * APPENDS * 3);
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "each once");
    for parts in found.chunks(3) {
        let (whole, _) = parts[0].rsplit_once(' ').expect("three words");
        assert_eq!(parts, [0, 1, 2].map(|part| format!("{whole} {part}")), "one call stays together");
    }
}

async fn readers_wait_for_the_end(log: Arc<dyn Log>) {
    append(log.as_ref(), vec![text("before")]).await;
    let mut reader = Reader::new(Arc::clone(&log), Offset(0));
    assert_eq!(reader.next(100).await.expect("readable")[0].payload, "before");
    assert!(reader.next_ready(100).await.expect("readable").is_empty());
    let mut end = log.watch();
    let follower = tokio::spawn(async move {
        let records = reader.next(100).await.expect("readable");
        (records[0].payload.clone(), reader.position())
    });
    append(log.as_ref(), vec![text("after")]).await;
    let followed = tokio::time::timeout(DEADLINE, follower).await.expect("woken").expect("no panic");
    assert_eq!(followed, (Bytes::from_static(b"after"), Offset(2)));
    let seen = tokio::time::timeout(DEADLINE, end.wait_for(|end| *end == Offset(2))).await;
    assert!(matches!(seen, Ok(Ok(_))));
}

async fn closing_refuses_later_appends(log: Arc<dyn Log>) {
    append(log.as_ref(), vec![text("kept")]).await;
    log.close().await;
    assert!(matches!(log.append(vec![text("late")]).await, Err(LogError::Closed)));
    assert_eq!(payloads(log.as_ref(), Offset(0)).expect("readable"), ["kept"]);
}

async fn times_are_found(log: Arc<dyn Log>, clock: &ManualClock) {
    for _ in 0..5 {
        append(log.as_ref(), vec![text("x"), text("y")]).await;
        clock.advance_micros(100);
    }
    // A clock that goes back does not take the log with it.
    clock.advance_micros(-10_000);
    append(log.as_ref(), vec![text("z")]).await;
    for (time, expected) in [(0, 0), (1_000, 0), (1_001, 2), (1_100, 2), (1_400, 8), (1_401, 11), (9_999, 11)]
    {
        let found = log.offset_at(Timestamp(time)).expect("readable");
        assert_eq!(found, Offset(expected), "at {time}");
    }
}

async fn retention_respects_holds(Opened { log, retain }: Opened) {
    let fill = || async {
        for _ in 0..64 {
            append(log.as_ref(), vec![text(&"x".repeat(4 << 10))]).await;
        }
        retain().await;
    };
    log.hold("slow", Offset(3));
    fill().await;
    assert!(log.head() <= Offset(3), "head {} is past the hold", log.head());
    assert_eq!(log.stats().holds, [("slow".to_owned(), Offset(3))]);
    log.read(Offset(3), 1).expect("held records are readable");
    log.hold("slow", Offset(20));
    log.hold("slower", Offset(10));
    retain().await;
    assert!(log.head() <= Offset(10));
    log.release("slow");
    log.release("slower");
    fill().await;
    let head = log.head();
    assert!(head > Offset(20), "head {head} did not move");
    assert!(matches!(log.read(Offset(0), 1), Err(LogError::Trimmed { head: told }) if told == head));
    assert_eq!(log.read(head, 1).expect("readable")[0].offset, head);
}

/// What a durable log keeps when it is closed and opened again.
pub async fn survives_reopening<F, Fut>(open: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Log>>,
{
    let mut expected = Vec::new();
    for life in 0..4_u64 {
        let log = open().await;
        assert_eq!(log.end(), Offset(expected.len() as u64), "life {life}");
        assert_eq!(payloads(log.as_ref(), Offset(0)).expect("readable"), expected);
        if life > 0 {
            assert_eq!(log.last_producer(7), Some(Producer { id: 7, seq: life * 20 }));
            assert_eq!((log.stats().rows[2], log.stats().rows[3]), (life * 20, life * 10));
        }
        for n in 0..10 {
            let name = format!("life {life} record {n}");
            let producer = Some(Producer { id: 7, seq: life * 20 + n * 2 });
            let mark = Append { spans: vec![(3, 1)], ..text(&name) };
            append(log.as_ref(), vec![Append { producer, spans: vec![(2, 2)], ..text(&name) }, mark]).await;
            expected.extend([name.clone(), name]);
        }
        log.close().await;
    }
}
