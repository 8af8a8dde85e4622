//! The loop of a scan.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use springhouse_log::{Log, LogError, Offset, PACE, Reader, Record};
use springhouse_model::StreamKey;
use tokio::sync::{mpsc, watch};

use super::{Progress, Request, Ride, Rider};
use crate::hub::task::{READ_BYTES, RETRY, Rows, Task};
use crate::hub::{EngineError, Streams};

/// A task that takes longer for a record goes on alone.
const SLOW: Duration = Duration::from_millis(5);
/// So much state is written down apart from the others.
const LARGE_BYTES: usize = 1 << 20;
/// A scan that nobody rides with begins no further behind the end of the log than this.
const BEHIND_RECORDS_MAX: u64 = 100_000;
/// The clock is looked at no oftener for one task.
const LOOK: Duration = Duration::from_millis(5);
/// … and at least so often.
const LOOK_AT_LEAST: Duration = Duration::from_secs(10);

pub(super) struct Round {
    log: Arc<dyn Log>,
    streams: Arc<dyn Streams>,
    requests: mpsc::UnboundedReceiver<Request>,
    reader: Reader,
    /// All records before it have been dealt with.
    here: Offset,
    progress: Arc<Progress>,
    /// By place; the places of those that have gone are taken again.
    seats: Vec<Option<Seat>>,
    /// The places of those that read a stream.
    readers: HashMap<u32, Vec<usize>>,
    /// Marks could not be written; not before this.
    marks_after: Instant,
}

struct Seat {
    rider: Rider,
    /// When to look at the clock for it.
    due: Instant,
    /// Whether it has been given something since the last rows were written.
    is_touched: bool,
}

impl Seat {
    fn is_leaving(&self) -> bool {
        self.rider.task.is_stopped() || self.rider.back.is_closed()
    }
}

impl Round {
    pub(super) fn new(
        log: Arc<dyn Log>,
        streams: Arc<dyn Streams>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Round {
        let reader = Reader::new(Arc::clone(&log), Offset(0)).paced(PACE);
        Round {
            log,
            streams,
            requests,
            reader,
            here: Offset(0),
            progress: Arc::default(),
            seats: Vec::new(),
            readers: HashMap::new(),
            marks_after: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut opened: watch::Receiver<bool>) {
        if opened.wait_for(|open| *open).await.is_err() {
            return;
        }
        self.admit_all();
        loop {
            // Not left to the timer alone: while records keep coming, nobody would look at it.
            let look = self.next_look();
            if look <= Instant::now() {
                self.look_at_clocks().await;
            }
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request),
                    None => return,
                },
                records = self.reader.next(READ_BYTES), if !self.readers.is_empty() => match records {
                    Ok(records) => self.take(records).await,
                    Err(LogError::Closed) => return,
                    Err(error) => self.dissolve(&error),
                },
                () = tokio::time::sleep_until(look.into()) => {}
            }
        }
    }

    /// Those who wait when the scan begins ride from the place of the one furthest behind.
    fn admit_all(&mut self) {
        let mut joining = Vec::new();
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Join(rider) => joining.push(rider),
                Request::Leave(id) => self.leave(id, &mut joining),
            }
        }
        joining.sort_by_key(|rider| rider.task.position());
        joining.into_iter().for_each(|rider| self.admit(rider));
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Join(rider) => self.admit(rider),
            Request::Leave(id) => self.leave(id, &mut Vec::new()),
        }
    }

    /// Lets a task go that has been told to stop, wherever it is.
    fn leave(&mut self, id: u64, joining: &mut Vec<Rider>) {
        if let Some(at) = joining.iter().position(|rider| rider.task.id() == id) {
            send_back(joining.swap_remove(at), Ride::Stopped);
        }
        let is_it = |seat: &Option<Seat>| seat.as_ref().is_some_and(|seat| seat.rider.task.id() == id);
        if let Some(place) = self.seats.iter().position(is_it) {
            self.send_away(place, Ride::Stopped);
        }
    }

    /// Takes a task along from where it stands, if that is near enough.
    fn admit(&mut self, mut rider: Rider) {
        let position = rider.task.position();
        if self.readers.is_empty() {
            if self.log.end().0.saturating_sub(position.0) > BEHIND_RECORDS_MAX {
                return send_back(rider, Ride::Alone);
            }
            self.reader.seek(position);
            self.here = position;
            self.progress = Arc::default();
        }
        match self.bring_up(&mut rider.task) {
            Ok(true) => self.seat(rider),
            Ok(false) => send_back(rider, Ride::Alone),
            Err(error) => send_back(rider, Ride::Failed(error)),
        }
    }

    /// Gives a task the few records that it is behind. False when they are not few.
    fn bring_up(&self, task: &mut Task) -> Result<bool, EngineError> {
        if task.position() >= self.here {
            return Ok(true);
        }
        let Some(records) = self.log.read_memory(task.position(), READ_BYTES) else { return Ok(false) };
        if records.last().is_none_or(|last| last.next_offset() < self.here) {
            return Ok(false);
        }
        for record in records.iter().take_while(|record| record.offset < self.here) {
            take_safely(task, &mut Rows::of(record))?;
        }
        Ok(true)
    }

    fn seat(&mut self, rider: Rider) {
        let place = self.seats.iter().position(Option::is_none).unwrap_or(self.seats.len());
        if place == self.seats.len() {
            self.seats.push(None);
        }
        for stream in rider.task.streams() {
            self.readers.entry(stream).or_default().push(place);
        }
        self.seats[place] = Some(Seat { rider, due: Instant::now(), is_touched: true });
    }

    fn send_away(&mut self, place: usize, ride: Ride) {
        let Some(mut seat) = self.seats[place].take() else { return };
        for stream in seat.rider.task.streams() {
            if let Some(places) = self.readers.get_mut(&stream) {
                places.retain(|other| *other != place);
                if places.is_empty() {
                    self.readers.remove(&stream);
                }
            }
        }
        if !matches!(ride, Ride::Failed(_)) {
            seat.rider.task.has_come_to(self.here);
        }
        seat.rider.task.gauges().rides_with(None);
        send_back(seat.rider, ride);
    }

    /// The log cannot be read from here: each finds out for itself what that means for it.
    fn dissolve(&mut self, error: &LogError) {
        tracing::warn!(%error, "pipelines cannot read the log together; each goes on alone");
        (0..self.seats.len()).for_each(|place| self.send_away(place, Ride::Alone));
    }

    /// Gives records to those who read their streams, and writes what comes of them.
    async fn take(&mut self, records: Vec<Arc<Record>>) {
        let Some(seen_at) = records.last().map(|last| last.appended_at) else { return };
        // Each given back before the next: what is decoded can be far larger than what was read.
        let mut joining = Vec::new();
        for record in records {
            self.give(&record);
            self.here = record.next_offset();
            tokio::task::yield_now().await;
            // A slow statement must not keep others, or the hub, from ending. Who comes waits until all are at one place.
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    Request::Join(rider) => joining.push(rider),
                    Request::Leave(id) => self.leave(id, &mut joining),
                }
            }
        }
        self.deliver().await;
        self.progress.position.store(self.here.0, Ordering::Relaxed);
        self.progress.seen_at.store(seen_at.micros(), Ordering::Relaxed);
        joining.into_iter().for_each(|rider| self.admit(rider));
    }

    fn give(&mut self, record: &Record) {
        let Some(places) = self.readers.get(&record.stream) else { return };
        // Decoding is nobody's own time.
        let mut rows = Rows::of(record);
        rows.decode();
        let mut gone = Vec::new();
        let mut began = Instant::now();
        for place in places {
            let Some(seat) = &mut self.seats[*place] else { continue };
            seat.is_touched = true;
            let taken = take_safely(&mut seat.rider.task, &mut rows);
            let ended = Instant::now();
            match taken {
                Err(error) => gone.push((*place, Ride::Failed(error))),
                Ok(()) if ended - began > SLOW && self.seats.len() > 1 => gone.push((*place, Ride::Alone)),
                Ok(()) => {}
            }
            began = ended;
        }
        // What is sent away alone has dealt with this record.
        gone.into_iter().for_each(|(place, ride)| self.send_away(place, ride));
    }

    /// Writes what the riders have made, in one commit if the log can, and shows where they stand.
    async fn deliver(&mut self) {
        let touched = self.seats.iter_mut().enumerate().filter_map(|(place, seat)| {
            let seat = seat.as_mut().filter(|seat| seat.is_touched && seat.rider.task.has_rows())?;
            Some(async move { (place, seat.rider.task.try_deliver().await) })
        });
        for (place, delivered) in join_all(touched).await {
            match delivered {
                Ok(true) => {}
                // It waits for the log on its own.
                Ok(false) => self.send_away(place, Ride::Alone),
                Err(error) => self.send_away(place, Ride::Failed(error)),
            }
        }
        let now = Instant::now();
        for seat in self.seats.iter_mut().flatten().filter(|seat| seat.is_touched) {
            seat.is_touched = false;
            seat.rider.task.has_come_to(self.here);
            seat.rider.task.tell(None, now);
            seat.rider.task.gauges().rides_with(Some(&self.progress));
            seat.due = seat.rider.task.due(now);
        }
    }

    fn next_look(&self) -> Instant {
        let at_least = Instant::now() + LOOK_AT_LEAST;
        self.seats.iter().flatten().map(|seat| seat.due).min().map_or(at_least, |due| due.min(at_least))
    }

    /// What is to be done because time has passed.
    async fn look_at_clocks(&mut self) {
        self.deliver().await;
        let now = Instant::now();
        let may_mark = self.here >= self.log.end() && now >= self.marks_after;
        let mut marks = HashSet::new();
        for place in 0..self.seats.len() {
            let Some(seat) = self.seats[place].as_mut().filter(|seat| seat.due <= now) else { continue };
            if seat.is_leaving() {
                self.send_away(place, Ride::Stopped);
                continue;
            }
            let task = &mut seat.rider.task;
            task.has_come_to(self.here);
            if task.is_snapshot_due() {
                if task.state_bytes() > LARGE_BYTES {
                    self.send_away(place, Ride::Alone);
                    continue;
                }
                task.begin_snapshot();
            }
            if may_mark {
                marks.extend(task.marks());
            }
            seat.due = task.due(now).max(now + LOOK);
        }
        self.mark(marks).await;
    }

    /// Writes marks down, each once however many wait for it. What they close closes when they are read.
    async fn mark(&mut self, marks: HashSet<(StreamKey, Bytes)>) {
        let writing = marks.into_iter().map(|(key, mark)| {
            let streams = Arc::clone(&self.streams);
            async move { streams.mark(&key, mark).await }
        });
        for error in join_all(writing).await.into_iter().filter_map(Result::err) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of a silent window cannot be written down yet"
            );
            self.marks_after = Instant::now() + RETRY;
        }
    }
}

/// A panic is a failure of this pipeline alone.
fn take_safely(task: &mut Task, rows: &mut Rows<'_>) -> Result<(), EngineError> {
    catch_unwind(AssertUnwindSafe(|| task.take(rows))).unwrap_or(Err(EngineError::Fault))
}

fn send_back(rider: Rider, ride: Ride) {
    // Nobody waits any more when the engine was dropped.
    let _ = rider.back.send((rider.task, ride));
}
