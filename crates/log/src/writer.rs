//! The one thread that writes: takes what waits, makes one commit group of it, answers everyone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use springhouse_model::{Clock, Timestamp};

use crate::group::GroupBuilder;
use crate::queue::{Queue, Request, Work};
use crate::record::number;
use crate::segment::{Counts, IndexEntry, Segment};
use crate::shared::Shared;
use crate::store::Store;
use crate::{LogError, Offset, Record};

/// A commit takes at most this much, so that the first of many callers does not wait for the bytes of all.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How often an idle log looks for segments that have become too old.
const IDLE: Duration = Duration::from_secs(10);

pub(crate) struct Retention {
    pub bytes: Option<u64>,
    pub age: Option<Duration>,
    /// Nothing is removed before, so that consumers can put their holds after a start.
    pub starts_at: Timestamp,
}

pub(crate) struct Writer {
    pub shared: Arc<Shared>,
    pub queue: Arc<Queue>,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub linger: Duration,
    pub retention: Retention,
    /// The segment that is written to.
    pub active: Arc<Segment>,
    /// Where its next group begins.
    pub position: u64,
    pub next: u64,
    pub last_at: Timestamp,
    pub counts: Counts,
    pub group: GroupBuilder,
    /// When retention was last looked at, and for which active segment: each one that begins may push one out.
    pub retained: (Instant, u64),
}

/// Wakes everyone who waits when the writer ends, also when it ends by a panic.
struct Ended(Arc<Queue>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Writer {
    pub(crate) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.queue));
        loop {
            match self.queue.take(GROUP_BYTES_MAX, self.linger, IDLE) {
                Work::Commit(requests) => self.commit(requests),
                Work::Retain(waiting) => {
                    self.retain();
                    for done in waiting {
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                }
                Work::Close => return,
            }
        }
    }

    fn commit(&mut self, requests: Vec<Request>) {
        let started = Instant::now();
        let (mut appends, mut answers) = (Vec::new(), Vec::with_capacity(requests.len()));
        let mut first = self.next;
        for request in requests {
            answers.push((request.answer, Offset(first), request._room));
            first += request.appends.len() as u64;
            appends.extend(request.appends);
        }
        let appended_at = self.clock.now().max(self.last_at);
        // Numbered on a copy: a commit that fails for lack of room leaves no trace.
        let mut rows = self.counts.rows.clone();
        let records: Vec<Record> = (self.next..)
            .zip(appends)
            .map(|(offset, append)| number(append, Offset(offset), appended_at, &mut rows))
            .collect();
        let outcome = self.write(&records, appended_at);
        match &outcome {
            Ok(()) => self.publish(records, rows, appended_at, started),
            Err(LogError::Full { .. }) => metrics::counter!("springhouse_log_full_total").increment(1),
            Err(error) => self.poison(error),
        }
        for (answer, offset, _room) in answers {
            // Whoever waited may have gone; the records stay.
            let _ = answer.send(outcome.clone().map(|()| offset));
        }
        if outcome.is_ok()
            && self.shared.bytes.load(Ordering::Relaxed) > self.retention.bytes.unwrap_or(u64::MAX)
        {
            self.retain();
        }
    }

    /// Makes the records durable as one group.
    fn write(&mut self, records: &[Record], appended_at: Timestamp) -> Result<(), LogError> {
        self.shared.check_sound()?;
        self.group.clear();
        for record in records {
            self.group.push(record);
        }
        let group_bytes = self.group.close();
        if self.position + group_bytes > self.active.file_bytes {
            self.make_room(group_bytes, appended_at)?;
        }
        let Segment { file, path, salt, .. } = self.active.as_ref();
        let bytes = self.group.seal(self.next, appended_at, *salt);
        // Without room nothing moves on: the next group goes over what little was written of this one.
        file.write_at(bytes, self.position).map_err(|error| self.store.full_or(error, "write", path))?;
        file.sync().map_err(LogError::io("sync", path))
    }

    /// Goes on in another segment, or in this one made longer if it is empty.
    fn make_room(&mut self, group_bytes: u64, created_at: Timestamp) -> Result<(), LogError> {
        let is_empty = self.position == self.active.start;
        if is_empty {
            let file_bytes = self.position + group_bytes;
            let Segment { path, file, .. } = self.active.as_ref();
            file.allocate(file_bytes).map_err(|error| self.store.full_or(error, "extend", path))?;
            self.active = Arc::new(self.active.with_file_bytes(file_bytes));
            if let Some(last) = self.shared.segments.write().last_mut() {
                *last = Arc::clone(&self.active);
            }
        } else {
            let previous = Some(self.active.base);
            let segment =
                self.store.start_segment(self.next, previous, created_at, &self.counts, group_bytes)?;
            self.position = segment.start;
            self.active = Arc::new(segment);
            *self.active.index.lock() = Some(Default::default());
            self.shared.segments.write().push(Arc::clone(&self.active));
        }
        self.count_bytes();
        Ok(())
    }

    fn publish(&mut self, records: Vec<Record>, rows: Vec<u64>, appended_at: Timestamp, started: Instant) {
        if let Some(index) = self.active.index.lock().as_mut() {
            index.add(IndexEntry { base: self.next, appended_at, position: self.position });
        }
        self.position += self.group.close();
        self.next += records.len() as u64;
        self.last_at = appended_at;
        self.counts.rows.clone_from(&rows);
        *self.shared.rows.lock() = rows;
        let mut producers_changed = false;
        for record in &records {
            self.counts.note_producer(record);
            producers_changed |= record.producer.is_some();
        }
        if producers_changed {
            let mut producers = self.shared.producers.write();
            for id in records.iter().filter_map(|record| record.producer.map(|producer| producer.id)) {
                producers.extend(self.counts.producers.get(&id).map(|seq| (id, *seq)));
            }
        }
        metrics::counter!("springhouse_log_records_total").increment(records.len() as u64);
        {
            let mut tail = self.shared.tail.write();
            for record in records {
                tail.push(Arc::new(record));
            }
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.end.send_replace(Offset(self.next));
        metrics::histogram!("springhouse_log_commit_seconds").record(started.elapsed().as_secs_f64());
    }

    fn poison(&self, error: &LogError) {
        let mut poisoned = self.shared.poisoned.write();
        if poisoned.is_none() {
            let source =
                std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            let reason = format!("{error}{source}");
            tracing::error!(reason, "the log stops acknowledging; it has to be restarted");
            metrics::gauge!("springhouse_log_poisoned").set(1.0);
            *poisoned = Some(Arc::from(reason));
        }
    }

    /// Removes the oldest segments as retention says, never the one that is written to and never past a hold.
    fn retain(&mut self) {
        self.retained = (Instant::now(), self.active.base);
        if self.shared.check_sound().is_err() || self.clock.now() < self.retention.starts_at {
            return;
        }
        while let Some(segment) = self.take_expired() {
            if let Err(error) = self.store.retire(segment) {
                self.poison(&error);
                break;
            }
            self.count_bytes();
        }
    }

    /// The oldest segment, taken out of the list, when it has to go.
    fn take_expired(&self) -> Option<Arc<Segment>> {
        // Locked first: a hold that is put while this decides waits, and finds the head where it is then.
        let holds = self.shared.holds.lock();
        let mut segments = self.shared.segments.write();
        let [_, next, ..] = segments.as_slice() else { return None };
        let (ends, newest) = (next.base, next.created_at);
        let is_held = holds.values().any(|from| from.0 < ends);
        let is_old = self.retention.age.is_some_and(|age| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            newest.plus_micros(age) < self.clock.now()
        });
        let used: u64 = segments.iter().map(|segment| segment.file_bytes).sum();
        let is_too_much = self.retention.bytes.is_some_and(|bytes| used > bytes);
        if is_held || !(is_old || is_too_much) {
            return None;
        }
        let gone = segments.remove(0);
        self.shared.tail.write().trim(ends);
        Some(gone)
    }

    pub(crate) fn count_bytes(&self) {
        let used: u64 = self.shared.segments.read().iter().map(|segment| segment.file_bytes).sum();
        let bytes = used + self.store.free.len() as u64 * self.store.segment_bytes;
        self.shared.bytes.store(bytes, Ordering::Relaxed);
        self.shared.segments_free.store(self.store.free.len() as u64, Ordering::Relaxed);
        metrics::gauge!("springhouse_log_bytes").set(bytes as f64);
    }
}
