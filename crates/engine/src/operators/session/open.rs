//! The open sessions of all keys: which one a row belongs to, and which have ended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use hashbrown::HashMap;

use crate::RunError;
use crate::operators::parts::Ended;

/// One session.
#[derive(Clone, Debug)]
struct Session {
    start: i64,
    last: i64,
    /// The end under which it waits in the queue: no later than its own.
    queued_end: i64,
    /// The numbers under which its rows were gathered: one, and those of sessions that were joined to it.
    numbers: Vec<i64>,
}

/// Sessions of all keys.
pub(super) struct Open {
    gap_us: i64,
    /// By key, in the order of time.
    sessions: HashMap<Box<[u8]>, Vec<Session>>,
    queue: BinaryHeap<Reverse<(i64, Box<[u8]>)>>,
    next_number: i64,
}

/// What becomes of a row.
pub(super) enum Step {
    Into(i64),
    Late { by_us: i64 },
}

impl Open {
    pub fn new(gap_us: i64) -> Open {
        Open { gap_us, sessions: HashMap::new(), queue: BinaryHeap::new(), next_number: 0 }
    }

    /// The watermark at which a session with this last row is complete.
    fn closes_at(&self, last: i64) -> i64 {
        last.saturating_add(self.gap_us)
    }

    /// Puts a row into the session that it belongs to, a new one or a late one; `watermark` is the one before it.
    pub fn take(&mut self, key: &[u8], ts: i64, watermark: i64) -> Step {
        let (gap_us, closes_at) = (self.gap_us, self.closes_at(ts));
        let is_near = |session: &Session| {
            let is_open = session.last.saturating_add(gap_us) > watermark;
            is_open && ts < session.last.saturating_add(gap_us) && ts > session.start.saturating_sub(gap_us)
        };
        let sessions = self.sessions.get_mut(key);
        let near = sessions.as_ref().and_then(|sessions| sessions.iter().position(is_near));
        if let (Some(sessions), Some(first)) = (sessions, near) {
            // Two are near when the row lies between them; never more, since these two are at least a gap apart.
            if sessions.get(first + 1).is_some_and(is_near) {
                let second = sessions.remove(first + 1);
                let session = &mut sessions[first];
                session.last = session.last.max(second.last);
                session.numbers.extend(second.numbers);
            }
            let session = &mut sessions[first];
            session.start = session.start.min(ts);
            session.last = session.last.max(ts);
            return Step::Into(session.numbers[0]);
        }
        if closes_at <= watermark {
            return Step::Late { by_us: watermark.saturating_sub(closes_at) };
        }
        let number = self.next_number;
        self.next_number += 1;
        self.add(
            key.into(),
            Session { start: ts, last: ts, queued_end: ts.saturating_add(gap_us), numbers: vec![number] },
        );
        Step::Into(number)
    }

    fn add(&mut self, key: Box<[u8]>, session: Session) {
        self.queue.push(Reverse((session.queued_end, key.clone())));
        let sessions = self.sessions.entry(key).or_default();
        let at = sessions.partition_point(|other| other.start < session.start);
        sessions.insert(at, session);
    }

    /// Takes out the sessions that are complete at a watermark, ordered by end and key.
    pub fn ended(&mut self, watermark: i64) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(Reverse((queued_end, _))) = self.queue.peek()
            && *queued_end <= watermark
            && let Some(Reverse((queued_end, key))) = self.queue.pop()
        {
            let Some(sessions) = self.sessions.get_mut(&key) else { continue };
            // Without one, it was joined to another, which has a place of its own in the queue.
            let Some(at) = sessions.iter().position(|session| session.queued_end == queued_end) else {
                continue;
            };
            let end = sessions[at].last.saturating_add(self.gap_us);
            if end > queued_end {
                sessions[at].queued_end = end;
                self.queue.push(Reverse((end, key)));
                continue;
            }
            let session = sessions.remove(at);
            if sessions.is_empty() {
                self.sessions.remove(&key);
            }
            ended.push(Ended { start: session.start, end, numbers: session.numbers });
        }
        ended
    }

    /// The watermark at which the next session may end: it ends later if rows have come since it was queued.
    pub fn next_close(&self) -> Option<i64> {
        let Reverse((end, _)) = self.queue.peek()?;
        Some(*end)
    }

    /// Gives every session one number, its first, and tells what the others were joined to.
    pub fn join_numbers(&mut self) -> HashMap<i64, i64> {
        let mut joined = HashMap::new();
        for session in self.sessions.values_mut().flatten() {
            let first = session.numbers[0];
            joined.extend(session.numbers.drain(1..).map(|number| (number, first)));
        }
        joined
    }

    /// Keys, and columns of start, last row and number. Numbers have been joined.
    pub fn spans(&self) -> (Vec<&[u8]>, [ArrayRef; 3]) {
        let mut rows: Vec<(&[u8], &Session)> = self
            .sessions
            .iter()
            .flat_map(|(key, sessions)| sessions.iter().map(|session| (key.as_ref(), session)))
            .collect();
        rows.sort_unstable_by_key(|(key, session)| (*key, session.start));
        let column = |value: fn(&Session) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, session)| value(session))))
        };
        let columns = [
            column(|session| session.start),
            column(|session| session.last),
            column(|session| session.numbers[0]),
        ];
        (rows.iter().map(|(key, _)| *key).collect(), columns)
    }

    /// The sessions of a snapshot.
    pub fn restored(gap_us: i64, keys: Vec<Box<[u8]>>, spans: &RecordBatch) -> Result<Open, RunError> {
        let mut open = Open::new(gap_us);
        let columns = &spans.columns()[spans.num_columns() - 3..];
        let [starts, lasts, numbers] = columns else {
            return Err(RunError::State { what: "it is not that of sessions" });
        };
        let values = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().clone();
        let (starts, lasts, numbers) = (values(starts), values(lasts), values(numbers));
        let spans = starts.iter().zip(lasts.iter()).zip(numbers.iter());
        for (key, ((start, last), number)) in keys.into_iter().zip(spans) {
            let queued_end = last.saturating_add(gap_us);
            open.next_number = open.next_number.max(number + 1);
            open.add(key, Session { start: *start, last: *last, queued_end, numbers: vec![*number] });
        }
        Ok(open)
    }

    pub fn bytes(&self) -> usize {
        let queued = self.queue.capacity() * size_of::<Reverse<(i64, Box<[u8]>)>>();
        let entry = size_of::<(Box<[u8]>, Vec<Session>)>() + size_of::<Session>() + size_of::<i64>();
        let key_bytes = self.sessions.keys().next().map_or(0, |key| key.len());
        queued + self.sessions.capacity() * entry + (self.sessions.len() + self.queue.len()) * key_bytes
    }
}

/// The columns of a snapshot: the keys, then what [`Open::spans`] gives.
pub(super) fn span_schema(mut keys: Vec<Field>) -> SchemaRef {
    keys.extend(["start", "last", "number"].map(|name| Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(keys))
}
