//! A hub without a gateway: log, store, door and engine, as the tests need them.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use springhouse_engine::files::NdjsonWriter;
use springhouse_engine::statement::parse;
use springhouse_engine::{Engine, EngineError, Options, Outcome, PipelineStatus, RunState, Streams};
use springhouse_ingest::{Admission, Ingest, Message};
use springhouse_log::{Kind, Log, MemoryLog, Offset, Record};
use springhouse_meta::{Meta, SqliteMeta};
use springhouse_model::{Clock, StreamKey, SystemClock, TenantId, Timestamp};
use springhouse_policy::{Principal, Scope};

/// 2026-01-01T00:00:00Z in seconds; the time of the tests is counted from here.
pub const EPOCH: i64 = 1_767_225_600;
/// A condition that takes longer is not coming.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Hub {
    pub dir: tempfile::TempDir,
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub ingest: Ingest,
    engine: Option<Engine>,
    /// What the engine's tasks hold as long as they run.
    streams: Option<Weak<dyn Streams>>,
}

impl Hub {
    pub async fn new() -> Hub {
        Hub::over(Arc::new(MemoryLog::default())).await
    }

    pub async fn over(log: Arc<dyn Log>) -> Hub {
        let dir = tempfile::tempdir().unwrap();
        // A file: a crash of the engine takes the connection that it is using with it.
        let meta = SqliteMeta::open(&dir.path().join("meta.db")).await.unwrap();
        Hub::with(dir, Arc::new(meta), log).await
    }

    pub async fn with(dir: tempfile::TempDir, meta: Arc<dyn Meta>, log: Arc<dyn Log>) -> Hub {
        let options = springhouse_ingest::Options {
            admission: Admission::Auto,
            shards: 1,
            ..springhouse_ingest::Options::default()
        };
        let ingest =
            Ingest::open(options, Arc::clone(&meta), Arc::clone(&log), Arc::new(SystemClock)).await.unwrap();
        let mut hub = Hub { dir, meta, log, ingest, engine: None, streams: None };
        hub.start().await;
        hub
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    pub async fn start(&mut self) {
        self.start_over(Arc::new(self.ingest.clone())).await;
    }

    /// Starts the engine over streams that behave in some special way.
    pub async fn start_over(&mut self, streams: Arc<dyn Streams>) {
        self.start_with(streams, Options::new(self.dir.path().to_owned())).await;
    }

    /// Starts the engine again, with other options.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Options)) {
        self.stop().await;
        let mut options = Options::new(self.dir.path().to_owned());
        change(&mut options);
        self.start_with(Arc::new(self.ingest.clone()), options).await;
    }

    async fn start_with(&mut self, streams: Arc<dyn Streams>, options: Options) {
        assert!(self.engine.is_none());
        let (meta, log) = (Arc::clone(&self.meta), Arc::clone(&self.log));
        self.streams = Some(Arc::downgrade(&streams));
        self.engine = Some(Engine::open_over(options, meta, log, streams).await.unwrap());
    }

    /// The engine ends as it should: every pipeline leaves a snapshot.
    pub async fn stop(&mut self) {
        self.engine.take().unwrap().shutdown().await;
    }

    /// The engine is gone in the middle of whatever it did.
    pub async fn crash(&mut self) {
        drop(self.engine.take());
        let streams = self.streams.take().unwrap();
        self.until("the engine's tasks end", async || streams.strong_count() == 0).await;
    }

    /// Carries out statements, all of which must succeed; returns what the last one said.
    pub async fn sql(&self, sql: &str) -> Outcome {
        self.try_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn try_sql(&self, sql: &str) -> Result<Outcome, EngineError> {
        let mut outcome = Outcome::Listing(Vec::new());
        for statement in parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")) {
            outcome = self.engine().execute(&TenantId::main(), &statement).await?;
        }
        Ok(outcome)
    }

    /// Why statements are refused.
    pub async fn refusal(&self, sql: &str) -> String {
        match self.try_sql(sql).await {
            Ok(outcome) => panic!("{sql}: {outcome}"),
            Err(error) => error.to_string(),
        }
    }

    /// Publishes rows of one device to `devices/{device}/{stream}` and waits until they are durable.
    pub async fn send(&self, stream: &str, device: &str, rows: &[String]) {
        let message = Message {
            device: None,
            topic: format!("devices/{device}/{stream}").as_str().into(),
            payload: Bytes::from(format!("[{}]", rows.join(","))),
            received: SystemClock.now(),
            id: None,
            journal: None,
        };
        let who = Principal::token(TenantId::main(), None, "t1", "gateway", vec![Scope::Ingest]);
        let mut outcomes = Vec::new();
        let commit = self.ingest.accept(&who, &[message], &mut outcomes).await.unwrap();
        self.ingest.durable(commit).await.unwrap();
        let all_accepted =
            outcomes.iter().all(|outcome| matches!(outcome, springhouse_ingest::Outcome::Accepted { .. }));
        assert!(all_accepted, "{outcomes:?}");
    }

    pub async fn status(&self) -> Vec<PipelineStatus> {
        self.engine().status(&TenantId::main()).await
    }

    pub async fn status_of(&self, name: &str) -> PipelineStatus {
        self.status().await.into_iter().find(|status| status.name == name).unwrap()
    }

    /// Waits until every pipeline that runs has dealt with all of the log and written what follows from it.
    pub async fn settled(&self) {
        self.until("the pipelines catch up", async || {
            let end = self.log.end();
            let status = self.status().await;
            let is_idle =
                |status: &PipelineStatus| status.state != RunState::Running || status.lag_records == 0;
            status.iter().all(is_idle) && self.log.end() == end
        })
        .await;
    }

    /// Waits for a condition.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let reached = async {
            while !condition().await {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("waited in vain until {what}: {:#?}", self.status().await);
        }
    }

    pub fn records(&self) -> Vec<Arc<Record>> {
        self.log.read(Offset(0), usize::MAX).unwrap()
    }

    pub fn batches(&self, stream: &str) -> Vec<RecordBatch> {
        let Some(entry) = self.ingest.registry().entry(&key(stream)) else { return Vec::new() };
        let is_row = |record: &Arc<Record>| record.kind == Kind::Readings && record.stream == entry.id;
        self.records().into_iter().filter(is_row).map(|record| record.batch().unwrap()).collect()
    }

    /// The rows of a stream as JSON, in the order of their text: the log orders the rows of one append by device.
    pub fn rows(&self, stream: &str) -> Vec<String> {
        let mut lines: Vec<String> = self
            .batches(stream)
            .iter()
            .flat_map(|batch| lines(batch, &["site", "_received", "_id"]))
            .collect();
        lines.sort_unstable();
        lines
    }
}

/// The rows of a batch as JSON, without some of its columns.
pub fn lines(batch: &RecordBatch, without: &[&str]) -> Vec<String> {
    let schema = batch.schema();
    let shown: Vec<usize> =
        (0..batch.num_columns()).filter(|at| !without.contains(&schema.field(*at).name().as_str())).collect();
    let mut bytes = Vec::new();
    let mut writer = NdjsonWriter::new(&mut bytes);
    writer.write(batch, &shown).unwrap();
    writer.flush().unwrap();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

pub fn key(stream: &str) -> StreamKey {
    StreamKey::new(TenantId::main(), stream.parse().unwrap())
}

/// `"2026-01-01T00:00:10Z"` for second 10 of the tests.
pub fn at(second: f64) -> String {
    format!("\"{}\"", Timestamp((EPOCH as f64 * 1e6 + second * 1e6) as i64))
}

/// A row of the stream `homes`.
pub fn row(second: f64, n: i64) -> String {
    format!(r#"{{"ts":{},"n":{n}}}"#, at(second))
}

/// Rows of the stream `homes`, one for each time; `n` counts from 1.
pub fn rows_at(seconds: &[f64]) -> Vec<String> {
    seconds.iter().zip(1..).map(|(second, n)| row(*second, n)).collect()
}
