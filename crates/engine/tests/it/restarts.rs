//! A pipeline that was stopped or killed goes on as if nothing had happened.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use springhouse_engine::{EngineError, RunState, Streams};
use springhouse_ingest::{Ingest, IngestError, Lineage, PutAside};
use springhouse_log::{DiskLog, Options, Producer};
use springhouse_meta::{NewStream, SqliteMeta, StreamEntry};
use springhouse_model::{StreamKey, TenantId};
use springhouse_schema::Schema;

use crate::dice::Dice;
use crate::hub::{Hub, row, rows_at};

const HOMES: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER);";

/// A windowed pipeline, one that hands rows on, and for each one that reads what it writes.
fn pipelines(suffix: &str) -> String {
    format!(
        "CREATE PIPELINE tens{suffix} INTO tens_rows{suffix} ALLOWED LATENESS INTERVAL '1' SECOND AS
           SELECT device, window_start, count(*) AS c, sum(n) AS total, avg(n) AS mean, max(n) AS top
           FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) WHERE n % 7 <> 0 GROUP BY device, window_start;
         CREATE PIPELINE odd{suffix} INTO odd_rows{suffix} AS SELECT device, ts, n * 2 AS twice FROM homes WHERE n % 2 = 1;
         CREATE PIPELINE minutes{suffix} INTO minute_rows{suffix} AS
           SELECT window_start, sum(c) AS c, max(top) AS top FROM TUMBLE(tens_rows{suffix}, ts, INTERVAL '1' MINUTE)
           GROUP BY window_start;
         CREATE PIPELINE behind{suffix} INTO behind_rows{suffix} AS
           SELECT device, window_start, count(*) AS c, sum(twice) AS total
           FROM TUMBLE(odd_rows{suffix}, ts, INTERVAL '10' SECOND) GROUP BY device, window_start"
    )
}

const OUTPUTS: [&str; 7] =
    ["tens_rows", "tens.late", "odd_rows", "minute_rows", "minutes.late", "behind_rows", "behind.late"];

/// The same stream, as the pipelines with the suffix write it.
fn twin(stream: &str, suffix: &str) -> String {
    match stream.split_once('.') {
        Some((pipeline, late)) => format!("{pipeline}{suffix}.{late}"),
        None => format!("{stream}{suffix}"),
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Puts an earlier copy of the snapshots in the place of the present ones.
fn put_back(hub: &Hub, copied: &Path) {
    let snapshots = hub.data_dir().join("snapshots");
    fs::remove_dir_all(&snapshots).unwrap();
    copy(copied, &snapshots);
}

async fn some_rows(hub: &Hub, dice: &mut Dice, second: &mut f64) -> u64 {
    let count = 1 + dice.below(30);
    let rows: Vec<String> = (0..count)
        .map(|_| {
            *second += dice.below(1_000) as f64 / 1e3;
            // Mostly within the delay of the watermark, sometimes far behind it.
            let behind = if dice.below(20) == 0 { 15_000 } else { 3_000 };
            row((*second - dice.below(behind) as f64 / 1e3).max(0.0), dice.below(1_000) as i64)
        })
        .collect();
    hub.send("homes", &format!("d{}", dice.below(4)), &rows).await;
    count
}

async fn live_through(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(&pipelines("")).await;
    let (mut sent, mut second) = (0, 100.0);
    let older = tempfile::tempdir().unwrap();
    let mut is_copied = false;
    for step in 0..60 {
        match dice.below(8) {
            0 => {
                hub.stop().await;
                hub.start().await;
            }
            1 => {
                hub.crash().await;
                hub.start().await;
            }
            2 if !is_copied => {
                hub.stop().await;
                copy(&hub.data_dir().join("snapshots"), older.path());
                is_copied = true;
                hub.start().await;
            }
            2 if step > 30 => {
                hub.crash().await;
                put_back(&hub, older.path());
                hub.start().await;
            }
            3 => {
                hub.sql("PAUSE PIPELINE tens; RESUME PIPELINE tens").await;
            }
            4 => hub.settled().await,
            _ => {
                sent += some_rows(&hub, &mut dice, &mut second).await;
                for _ in 0..dice.below(40) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    // A row far ahead closes every window but its own.
    hub.send("homes", "d0", &[row(second + 1_000.0, 1)]).await;
    hub.settled().await;
    // Pipelines that begin now read the same log without ever being interrupted.
    hub.sql(&pipelines("2")).await;
    hub.settled().await;
    for stream in OUTPUTS {
        assert_eq!(hub.rows(stream), hub.rows(&twin(stream, "2")), "seed {seed}, {stream}");
    }
    let status = hub.status_of("tens").await;
    assert_eq!(status.rows_in, sent + 1, "seed {seed}");
    assert_eq!(status.rows_out, hub.rows("tens_rows").len() as u64, "seed {seed}");
    // The case is worth something only if there was something to get wrong.
    assert!(hub.rows("tens_rows").len() > 20 && status.late > 0, "seed {seed}: {status:?}");
    assert!(!hub.rows("behind_rows").is_empty() && !hub.rows("behind.late").is_empty(), "seed {seed}");
}

#[tokio::test]
async fn rows_are_the_same_whatever_stops_and_crashes_there_were() {
    for seed in 0..12 {
        live_through(seed).await;
    }
}

#[tokio::test]
async fn an_older_snapshot_and_a_longer_log_give_no_row_twice() {
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(&pipelines("")).await;
    hub.send("homes", "a", &rows_at(&[101.0, 102.0, 114.0])).await;
    hub.settled().await;
    hub.stop().await;
    let older = tempfile::tempdir().unwrap();
    copy(&hub.data_dir().join("snapshots"), older.path());
    hub.start().await;
    hub.send("homes", "a", &rows_at(&[131.0, 103.0, 133.0, 144.0])).await;
    hub.settled().await;
    let before = OUTPUTS.map(|stream| hub.rows(stream));
    assert_eq!((before[0].len(), before[1].len()), (3, 1));
    hub.crash().await;
    put_back(&hub, older.path());
    hub.start().await;
    hub.settled().await;
    assert_eq!(OUTPUTS.map(|stream| hub.rows(stream)), before);
    // It goes on from there.
    hub.send("homes", "a", &rows_at(&[161.0])).await;
    hub.settled().await;
    assert_eq!(hub.rows("tens_rows").len(), 4);
}

#[tokio::test]
async fn a_hub_that_was_closed_and_opened_again_on_its_disk_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let open = async |dir: tempfile::TempDir| {
        let meta = SqliteMeta::open(&data.join("meta.sqlite")).await.unwrap();
        let log = DiskLog::open(data.join("log"), Options::default()).unwrap();
        Hub::with(dir, Arc::new(meta), Arc::new(log)).await
    };
    fs::create_dir_all(&data).unwrap();
    let mut hub = open(dir).await;
    hub.sql(HOMES).await;
    hub.sql(&pipelines("")).await;
    for life in 0..3 {
        let begin = 100.0 + 50.0 * f64::from(life);
        hub.send("homes", "a", &rows_at(&[begin + 1.0, begin + 2.0, begin + 14.0])).await;
        if life == 1 {
            hub.settled().await;
        }
        hub.stop().await;
        hub.ingest.close().await;
        hub.log.close().await;
        let Hub { dir, meta, log, ingest, .. } = hub;
        drop((meta, log, ingest));
        hub = open(dir).await;
    }
    hub.send("homes", "a", &rows_at(&[1_000.0])).await;
    hub.settled().await;
    hub.sql(&pipelines("2")).await;
    hub.settled().await;
    for stream in OUTPUTS {
        assert_eq!(hub.rows(stream), hub.rows(&twin(stream, "2")), "{stream}");
    }
    assert_eq!(hub.rows("tens_rows").len(), 6);
}

#[tokio::test]
async fn a_pipeline_whose_snapshots_are_all_damaged_repeats_nothing_and_says_so() {
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql("CREATE PIPELINE odd INTO odd_rows AS SELECT device, ts, n FROM homes").await;
    hub.send("homes", "a", &[row(1.0, 1)]).await;
    hub.settled().await;
    hub.stop().await;
    let folder = hub.data_dir().join("snapshots").join("1");
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        fs::write(entry.path(), "damaged").unwrap();
    }
    hub.start().await;
    hub.send("homes", "a", &[row(2.0, 2)]).await;
    hub.settled().await;
    assert_eq!(hub.rows("odd_rows").len(), 2);
    let status = hub.status_of("odd").await;
    assert_eq!(status.state, RunState::Running);
    assert!(status.error.unwrap().starts_with("no snapshot could be read"));
}

/// Streams whose log takes only so many more appends.
struct Full {
    inner: Ingest,
    room: AtomicU64,
}

impl Full {
    fn take_room(&self) -> Result<(), EngineError> {
        let taken = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1));
        match taken {
            Ok(_) => Ok(()),
            Err(_) => Err(IngestError::Full { reason: "no space left on device".into() }.into()),
        }
    }
}

#[async_trait]
impl Streams for Full {
    fn entry(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.inner.entry(key)
    }

    fn entries(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.inner.entries(tenant)
    }

    async fn create(&self, stream: NewStream) -> Result<Arc<StreamEntry>, EngineError> {
        self.inner.create(stream).await
    }

    async fn put_schema(&self, key: &StreamKey, schema: Schema) -> Result<Arc<StreamEntry>, EngineError> {
        Streams::put_schema(&self.inner, key, schema).await
    }

    async fn remove(&self, key: &StreamKey) -> Result<bool, EngineError> {
        self.inner.remove(key).await
    }

    async fn append(
        &self,
        key: &StreamKey,
        rows: RecordBatch,
        producer: Producer,
        lineage: Lineage<'_>,
    ) -> Result<(), EngineError> {
        self.take_room()?;
        self.inner.append(key, rows, producer, lineage).await
    }

    async fn put_aside(
        &self,
        tenant: &TenantId,
        rows: &[PutAside],
        producer: Producer,
    ) -> Result<(), EngineError> {
        self.take_room()?;
        Streams::put_aside(&self.inner, tenant, rows, producer).await
    }

    async fn mark(&self, key: &StreamKey, mark: Bytes) -> Result<(), EngineError> {
        self.inner.mark(key, mark).await
    }
}

/// 20,000 rows of one window leave in two appends. The disk fills between them.
async fn half_written() -> (Hub, Arc<Full>) {
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.stop().await;
    let full = Arc::new(Full { inner: hub.ingest.clone(), room: AtomicU64::new(1) });
    hub.start_over(Arc::clone(&full) as Arc<dyn Streams>).await;
    hub.sql(
        "CREATE PIPELINE each INTO each_rows AS SELECT n, window_start, count(*) AS c
         FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY n, window_start",
    )
    .await;
    for part in 0..4 {
        let rows: Vec<String> = (0..5_000).map(|n| row(1.0, part * 5_000 + n)).collect();
        hub.send("homes", "a", &rows).await;
    }
    hub.send("homes", "a", &[row(20.0, 0)]).await;
    hub.until("the first half is written", async || !hub.rows("each_rows").is_empty()).await;
    assert_eq!(hub.rows("each_rows").len(), 16_384);
    (hub, full)
}

#[tokio::test]
async fn rows_wait_until_the_log_has_room() {
    let (hub, full) = half_written().await;
    assert_eq!(hub.status_of("each").await.state, RunState::Running);
    full.room.store(u64::MAX, Ordering::SeqCst);
    hub.settled().await;
    assert_eq!(hub.rows("each_rows").len(), 20_000);
}

#[tokio::test]
async fn a_crash_between_two_halves_of_a_result_writes_the_second_half_alone() {
    let (mut hub, _) = half_written().await;
    hub.crash().await;
    hub.start().await;
    hub.settled().await;
    let mut rows = hub.rows("each_rows");
    assert_eq!(rows.len(), 20_000);
    rows.dedup();
    assert_eq!(rows.len(), 20_000);
}
