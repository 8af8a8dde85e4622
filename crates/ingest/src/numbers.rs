//! What the door counts, for `/metrics` and for the page.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use springhouse_schema::Reason;

use crate::Outcome;

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub messages: u64,
    pub rows: u64,
    pub bytes: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub refused: u64,
    pub commits: u64,
}

pub(crate) struct Numbers {
    messages: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
    refused: AtomicU64,
    commits: AtomicU64,
    accepted_total: Counter,
    duplicate_total: Counter,
    quarantined_outcome_total: Counter,
    not_a_stream_total: Counter,
    refused_total: Counter,
    rows_total: Counter,
    bytes_total: Counter,
    queue_bytes: Gauge,
    commit_rows: Histogram,
    commit_bytes: Histogram,
}

/// What one call of `accept` adds; gathered first, so that the shared counters are touched once for each batch.
#[derive(Default)]
pub(crate) struct Tally {
    pub accepted: u64,
    pub rows: u64,
    pub bytes: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub not_a_stream: u64,
    pub refused: u64,
}

impl Tally {
    pub fn count(&mut self, outcome: Outcome, bytes: usize) {
        self.bytes += bytes as u64;
        match outcome {
            Outcome::Accepted { rows } => {
                self.accepted += 1;
                self.rows += u64::from(rows);
            }
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Quarantined(_) => self.quarantined += 1,
            Outcome::NotAStream => self.not_a_stream += 1,
            Outcome::Refused(_) => self.refused += 1,
        }
    }

    /// Messages, whatever became of them.
    pub fn all(&self) -> u64 {
        self.accepted + self.duplicates + self.quarantined + self.not_a_stream + self.refused
    }
}

impl Numbers {
    pub fn new() -> Numbers {
        let outcome =
            |outcome: &'static str| counter!("springhouse_ingest_messages_total", "outcome" => outcome);
        Numbers {
            messages: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            accepted_total: outcome("accepted"),
            duplicate_total: outcome("duplicate"),
            quarantined_outcome_total: outcome("quarantined"),
            not_a_stream_total: outcome("not_a_stream"),
            refused_total: outcome("refused"),
            rows_total: counter!("springhouse_ingest_rows_total"),
            bytes_total: counter!("springhouse_ingest_bytes_total"),
            queue_bytes: gauge!("springhouse_ingest_queue_bytes"),
            commit_rows: histogram!("springhouse_ingest_commit_rows"),
            commit_bytes: histogram!("springhouse_ingest_commit_bytes"),
        }
    }

    pub fn add(&self, tally: &Tally) {
        self.messages.fetch_add(tally.all(), Ordering::Relaxed);
        for (total, metric, count) in [
            (Some(&self.rows), &self.rows_total, tally.rows),
            (Some(&self.bytes), &self.bytes_total, tally.bytes),
            (Some(&self.duplicates), &self.duplicate_total, tally.duplicates),
            (Some(&self.quarantined), &self.quarantined_outcome_total, tally.quarantined),
            (Some(&self.refused), &self.refused_total, tally.refused),
            (None, &self.accepted_total, tally.accepted),
            (None, &self.not_a_stream_total, tally.not_a_stream),
        ] {
            if count > 0 {
                metric.increment(count);
                if let Some(total) = total {
                    total.fetch_add(count, Ordering::Relaxed);
                }
            }
        }
    }

    pub fn quarantined(&self, reason: Reason) {
        counter!("springhouse_ingest_quarantined_total", "reason" => reason.code()).increment(1);
    }

    pub fn committed(&self, rows: usize, bytes: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_rows.record(rows as f64);
        self.commit_bytes.record(bytes as f64);
    }

    pub fn queue(&self, bytes: usize) {
        self.queue_bytes.set(bytes as f64);
    }

    pub fn stats(&self) -> Stats {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Stats {
            messages: read(&self.messages),
            rows: read(&self.rows),
            bytes: read(&self.bytes),
            duplicates: read(&self.duplicates),
            quarantined: read(&self.quarantined),
            refused: read(&self.refused),
            commits: read(&self.commits),
        }
    }
}
