//! The consumer of the log that records alerts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use springhouse_log::{Kind, Log, LogError, Offset, PACE, Reader, Record};
use springhouse_meta::{AlertEvent, Meta, MetaError, PipelineKind};
use springhouse_model::{ErrorClass, Severity, StreamKey};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::event::{ALERT_STREAM_PREFIX, EventError, Rule, alert_name, events_of};

/// Under this name the recorder's place in the log is kept.
pub const CONSUMER: &str = "act.alerts";

const READ_BYTES: usize = 4 * 1024 * 1024;
/// Progress without an alert is written down this often; it only bounds what is read again after a restart.
const IDLE_COMMIT: Duration = Duration::from_secs(5);
/// Between attempts while the database cannot be written.
const RETRY: Duration = Duration::from_millis(500);
/// A listener that is further behind reads the list instead.
const LISTENERS_BEHIND_MAX: usize = 256;

/// The recorder cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("cannot read where the recorder of alerts stands")]
    Position(#[source] MetaError),
}

/// Follows the log and records what alerts have fired, until it is stopped.
pub struct AlertRecorder {
    recorded: broadcast::Sender<Arc<AlertEvent>>,
    position: watch::Receiver<Offset>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl AlertRecorder {
    /// Starts where it ended, or at the head of the log the first time.
    pub async fn start(meta: Arc<dyn Meta>, log: Arc<dyn Log>) -> Result<AlertRecorder, RecorderError> {
        let from = meta.offset(CONSUMER).await.map_err(RecorderError::Position)?.map_or(log.head(), Offset);
        log.hold(CONSUMER, from);
        let recorded = broadcast::Sender::new(LISTENERS_BEHIND_MAX);
        let (position, position_seen) = watch::channel(from);
        let (stop, stopped) = watch::channel(false);
        let follower = Follower {
            reader: Reader::new(Arc::clone(&log), from).paced(PACE),
            meta,
            log,
            streams: HashMap::new(),
            committed: from,
            committed_at: Instant::now(),
            position,
            recorded: recorded.clone(),
        };
        let task = tokio::spawn(follower.run(stopped));
        Ok(AlertRecorder { recorded, position: position_seen, stop, task })
    }

    /// Events as they are recorded. A listener that falls behind gets `Lagged` and reads the list.
    pub fn recorded(&self) -> broadcast::Receiver<Arc<AlertEvent>> {
        self.recorded.subscribe()
    }

    /// How far the log has been dealt with.
    pub fn position(&self) -> watch::Receiver<Offset> {
        self.position.clone()
    }

    /// Ends after the record at hand.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// What is known of a stream number.
#[derive(Clone)]
enum Stream {
    Alert { key: StreamKey, name: String },
    Other,
}

struct Follower {
    meta: Arc<dyn Meta>,
    log: Arc<dyn Log>,
    reader: Reader,
    streams: HashMap<u32, Stream>,
    committed: Offset,
    committed_at: Instant,
    position: watch::Sender<Offset>,
    recorded: broadcast::Sender<Arc<AlertEvent>>,
}

impl Follower {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let read = tokio::select! {
                read = self.reader.next(READ_BYTES) => read,
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            match read {
                Ok(records) => {
                    // Ended in the middle, the rest is read again after the start: recording is idempotent.
                    tokio::select! {
                        () = self.take(&records) => {}
                        _ = stopped.wait_for(|stop| *stop) => break,
                    }
                }
                Err(LogError::Closed) => break,
                Err(LogError::Trimmed { head }) => {
                    tracing::error!(from = %self.reader.position(), %head, "alerts between these are not recorded");
                    metrics::counter!("springhouse_alert_gaps_total").increment(1);
                    self.reader.seek(head);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the log for alerts; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        self.log.release(CONSUMER);
    }

    async fn take(&mut self, records: &[Arc<Record>]) {
        for record in records {
            if record.kind == Kind::Readings
                && let Stream::Alert { key, name } = self.stream(record.stream).await
            {
                self.record(record, &key, &name).await;
            }
        }
        let Some(last) = records.last() else { return };
        let next = last.next_offset();
        if self.committed < next && self.committed_at.elapsed() >= IDLE_COMMIT {
            match self.meta.set_offset(CONSUMER, next.0).await {
                Ok(()) => self.has_committed(next),
                Err(error) => tracing::warn!(%error, "cannot write down how far alerts have been recorded"),
            }
        }
        self.position.send_replace(next);
    }

    /// Records the events of one record, as often as it takes: nothing after it may be recorded before.
    async fn record(&mut self, record: &Record, key: &StreamKey, name: &str) {
        let next = record.next_offset();
        loop {
            match self.try_record(record, key, name, next).await {
                Ok(()) => return self.has_committed(next),
                Err(RecordError::Rows(error)) => {
                    tracing::error!(alert = name, offset = %record.offset, %error, "rows of an alert cannot be read");
                    metrics::counter!("springhouse_alert_gaps_total").increment(1);
                    return;
                }
                Err(RecordError::Frame(error)) => {
                    tracing::error!(alert = name, offset = %record.offset, %error, "rows of an alert cannot be decoded");
                    metrics::counter!("springhouse_alert_gaps_total").increment(1);
                    return;
                }
                // Another process with the same data has come further: its effects stand.
                Err(RecordError::Meta(MetaError::Stale { .. })) => return self.has_committed(next),
                Err(RecordError::Meta(error)) => {
                    if error.class() != ErrorClass::Environment {
                        tracing::error!(alert = name, %error, "an alert cannot be recorded; trying again");
                    } else {
                        tracing::warn!(alert = name, %error, "an alert cannot be recorded; trying again");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_record(
        &mut self,
        record: &Record,
        key: &StreamKey,
        name: &str,
        next: Offset,
    ) -> Result<(), RecordError> {
        let rule = match self.meta.pipeline(&key.tenant, name).await?.map(|rule| rule.kind) {
            Some(PipelineKind::Alert { severity, key }) => Rule { severity, key },
            // The rule was dropped after it had fired.
            _ => Rule { severity: Severity::Warning, key: Vec::new() },
        };
        let events = events_of(&key.tenant, name, &rule, &record.batch()?)?;
        let fresh = self.meta.record_alerts(&events, Some((CONSUMER, next.0))).await?;
        for event in events.into_iter().filter(|event| fresh.contains(&event.id)) {
            if event.resolved_at.is_none() {
                metrics::counter!("springhouse_alerts_total",
                    "alert" => event.alert.clone(), "severity" => event.severity.as_str())
                .increment(1);
            }
            // Nobody listening is fine.
            let _ = self.recorded.send(Arc::new(event));
        }
        Ok(())
    }

    fn has_committed(&mut self, next: Offset) {
        self.committed = self.committed.max(next);
        self.committed_at = Instant::now();
        self.log.hold(CONSUMER, self.committed);
    }

    /// What stream this number is. Numbers are never given twice, so the answer keeps; an unknown one is a stream that
    /// was created after the last look, or one that is dropped.
    async fn stream(&mut self, id: u32) -> Stream {
        if let Some(known) = self.streams.get(&id) {
            return known.clone();
        }
        loop {
            match self.meta.streams(None).await {
                Ok(entries) => {
                    for entry in entries {
                        let stream = match alert_name(&entry.key.name).map(str::to_owned) {
                            Some(name) => Stream::Alert { key: entry.key, name },
                            None => Stream::Other,
                        };
                        self.streams.insert(entry.id, stream);
                    }
                    return self.streams.entry(id).or_insert(Stream::Other).clone();
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot look up which streams are `{ALERT_STREAM_PREFIX}…`; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Rows(#[from] EventError),
    #[error(transparent)]
    Frame(#[from] springhouse_frame::FrameError),
    #[error(transparent)]
    Meta(#[from] MetaError),
}
