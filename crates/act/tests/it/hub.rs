//! A log with streams of alerts in it, and a store, without the engine that would write them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use springhouse_act::{AlertEvent, AlertRecorder};
use springhouse_log::{Append, Log, MemoryLog, Offset};
use springhouse_meta::{
    AlertFilter, Approval, Meta, NewPipeline, NewStream, Origin, PipelineKind, PipelineState, SqliteMeta,
    StreamEntry,
};
use springhouse_model::{Severity, StreamKey, TenantId, ValueType};
use springhouse_schema::{Field, Schema};

pub struct Hub {
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
}

impl Hub {
    pub async fn new() -> Hub {
        Hub { meta: Arc::new(SqliteMeta::in_memory().await.unwrap()), log: Arc::new(MemoryLog::default()) }
    }

    /// A stream that a pipeline writes.
    pub async fn stream(&self, tenant: &TenantId, name: &str) -> StreamEntry {
        let stream = NewStream {
            key: StreamKey::new(tenant.clone(), name.parse().unwrap()),
            state: Approval::Approved,
            origin: Origin::Derived { pipeline: "p".to_owned() },
            schema: Schema::new(vec![Field::new("room", ValueType::Text)]),
            watermark_delay_us: 0,
            idle_us: None,
            retention_us: None,
            sql: None,
        };
        self.meta.create_stream(stream).await.unwrap()
    }

    /// The rule `hot` and the stream that it writes.
    pub async fn rule(&self, tenant: &TenantId, severity: Severity) -> StreamEntry {
        let rule = NewPipeline {
            tenant: tenant.clone(),
            name: "hot".to_owned(),
            kind: PipelineKind::Alert { severity, key: Vec::new() },
            into: "alerts.hot".parse().unwrap(),
            sql: "SELECT ts, device, room FROM oven WHERE temperature > 300".to_owned(),
            functions: Vec::new(),
            state: PipelineState::Running,
            by: None,
        };
        self.meta.create_pipeline(rule).await.unwrap();
        self.stream(tenant, "alerts.hot").await
    }

    /// Fires once for each device, at a second of the epoch.
    pub async fn fire(&self, stream: &StreamEntry, rows: &[(&str, i64)]) {
        let devices: StringArray = rows.iter().map(|(device, _)| Some(*device)).collect();
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, at)| at * 1_000_000));
        self.append(
            stream,
            vec![("ts", Arc::new(times.with_timezone("UTC"))), ("device", Arc::new(devices))],
        )
        .await;
    }

    /// Rows of episodes: event, device, when it began, its own second and how often it fired.
    pub async fn tell(&self, stream: &StreamEntry, rows: &[(&str, &str, i64, i64, i64)]) {
        let texts = |text: fn(&(&str, &str, i64, i64, i64)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>())
        };
        let times = |second: fn(&(&str, &str, i64, i64, i64)) -> i64| -> ArrayRef {
            let micros = rows.iter().map(|row| second(row) * 1_000_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
        };
        let columns = vec![
            ("ts", times(|row| row.3)),
            ("device", texts(|row| row.1.to_owned())),
            ("event", texts(|row| row.0.to_owned())),
            ("fired_at", times(|row| row.2)),
            ("times", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.4))) as ArrayRef),
        ];
        self.append(stream, columns).await;
    }

    pub async fn append(&self, stream: &StreamEntry, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let spans = vec![(0, batch.num_rows() as u32)];
        self.log.append(vec![Append::readings(stream.id, 1, spans, batch).unwrap()]).await.unwrap();
    }

    /// A record whose payload is no frame.
    pub async fn append_damaged(&self, stream: &StreamEntry) {
        let mut append = Append::session(Bytes::from_static(b"no frame"));
        append.kind = springhouse_log::Kind::Readings;
        append.stream = stream.id;
        append.spans = vec![(0, 1)];
        self.log.append(vec![append]).await.unwrap();
    }

    pub async fn recorder(&self) -> AlertRecorder {
        AlertRecorder::start(Arc::clone(&self.meta), Arc::clone(&self.log)).await.unwrap()
    }

    /// Waits until everything that is in the log has been dealt with.
    pub async fn caught_up(&self, recorder: &AlertRecorder) {
        let end = self.log.end();
        recorder.position().wait_for(|position: &Offset| *position >= end).await.unwrap();
    }

    /// A recorder's whole life: it starts, reads all there is, and stops.
    pub async fn record(&self) {
        let recorder = self.recorder().await;
        self.caught_up(&recorder).await;
        recorder.stop().await;
    }

    /// What a person sees, oldest first.
    pub async fn alerts(&self, tenant: &TenantId) -> Vec<AlertEvent> {
        let mut events = self.meta.alerts(tenant, &AlertFilter::default(), 1_000).await.unwrap();
        events.reverse();
        events
    }

    pub async fn fired(&self, tenant: &TenantId) -> Vec<(String, i64)> {
        let events = self.alerts(tenant).await;
        events.into_iter().map(|event| (event.key, event.at.micros() / 1_000_000)).collect()
    }
}
