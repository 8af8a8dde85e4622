//! A query at work on its streams: batches in, rows of the derived stream out.
//!
//! It does not know where batches come from or where rows go; files, previews and the hub's log all drive the same
//! thing. Event time comes from the rows alone: the watermark of a stream is the largest `ts` so far minus the stream's
//! delay, that of a pipeline the least of its streams'.
//!
//! ```text
//! stream ─▶ station ─▶ station ─┐
//!                               ├─▶ station ─▶ … ─▶ rows
//! stream ─▶ station ────────────┘
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::DataFusionError;
use parking_lot::Mutex;

use crate::RunError;
use crate::operators::{self, BrokenRow, Chunk, Lineage, Operator, Outbox};
use crate::plan::{Devices, Edge, Plan, Port};
use crate::probe::Probe;
use crate::tables::TableRows;

/// No row has been seen.
const NO_TIME: i64 = i64::MIN;
/// When so many rows after each other cannot be dealt with, the statement is what is wrong.
const BROKEN_RUN_MAX: u64 = 10_000;

/// What came out of a pipeline.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Rows of the derived stream, in their final order.
    pub rows: Vec<RecordBatch>,
    /// Late rows, in the order of the input.
    pub late: Vec<RecordBatch>,
    /// Rows that an expression has no value for. The others went their way.
    pub broken: Vec<Broken>,
}

/// A row that a pipeline could not deal with.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What the expression says of it.
    pub why: String,
    /// The row alone: that of the source, or what steps have made of several of them.
    pub row: RecordBatch,
    /// Which of the plan's sources it is of, and which row of the batch; `None` for what steps have made.
    pub source: Option<(usize, u32)>,
    /// Its event time, in microseconds.
    pub time: i64,
}

/// All that a pipeline needs to go on later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Largest event time of each stream so far, [`i64::MIN`] before its first row.
    pub event_times: Vec<i64>,
    /// The state of each operator that has one, in the order of the stations.
    pub operators: Vec<Vec<u8>>,
}

pub struct Pipeline {
    plan: Arc<Plan>,
    operators: Vec<Box<dyn Operator>>,
    event_times: Vec<i64>,
    /// Operators are told of no later time.
    told_max: i64,
    /// Those who look at it.
    probes: Vec<Arc<Mutex<Probe>>>,
    rows_in: u64,
    rows_out: u64,
    late: u64,
    broken: u64,
    /// How many of them came after each other, with no other row between.
    broken_run: u64,
    /// Rows of the batch at hand that are put aside: several steps may look at one, or one step for each of its windows.
    put_aside: HashSet<(usize, u32)>,
    /// Of each source, the devices whose rows matter, if not all do.
    interests: Vec<Option<Devices>>,
}

impl Pipeline {
    pub(crate) fn new(plan: Arc<Plan>) -> Pipeline {
        let operators = plan.stations.iter().map(|station| operators::start(&station.step)).collect();
        let event_times = vec![NO_TIME; plan.sources.len()];
        let interests = (0..plan.sources.len()).map(|source| plan.interest(source)).collect();
        Pipeline {
            plan,
            operators,
            event_times,
            told_max: i64::MAX,
            probes: Vec::new(),
            rows_in: 0,
            rows_out: 0,
            late: 0,
            broken: 0,
            broken_run: 0,
            put_aside: HashSet::new(),
            interests,
        }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes a batch of one of the plan's sources, in the schema that the plan was made for.
    pub fn push(&mut self, source: usize, batch: &RecordBatch) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        if batch.num_rows() == 0 {
            return Ok(emitted);
        }
        self.rows_in += batch.num_rows() as u64;
        let Some(times) = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>() else {
            return Err(RunError::State { what: "the first column of a batch is not `ts`" });
        };
        // Who looks at the steps should see each row once.
        let is_traced = self.plan.judges_lateness || !self.probes.is_empty();
        let lineage = is_traced.then(|| self.lineage(source, times.values(), batch));
        if let Err(error) = self.spread(source, batch, times, lineage, &mut emitted) {
            // Without state nothing has happened: once more, so that what is broken is the source's row.
            let (RunError::Row(_), false) = (&error, is_traced) else { return Err(error) };
            self.rows_out -= emitted.rows.iter().map(|rows| rows.num_rows() as u64).sum::<u64>();
            emitted = Emitted::default();
            let lineage = self.lineage(source, times.values(), batch);
            self.spread(source, batch, times, Some(lineage), &mut emitted)?;
        }
        let max = times.values().iter().copied().max().unwrap_or(NO_TIME);
        self.event_times[source] = self.event_times[source].max(max);
        self.advance(self.told(), &mut emitted)?;
        self.count_broken(batch.num_rows(), &emitted)?;
        Ok(emitted)
    }

    /// The devices of a source whose rows matter, if not all do. Who looks at the steps sees all rows.
    pub(crate) fn interest(&self, source: usize) -> Option<&Devices> {
        self.interests[source].as_ref().filter(|_| self.probes.is_empty())
    }

    /// Does what [`Pipeline::push`] would do with rows of which none matters: time goes on.
    pub(crate) fn pass_over(&mut self, source: usize, rows: usize, latest: i64) -> Result<Emitted, RunError> {
        self.rows_in += rows as u64;
        let emitted = self.advance_to(source, latest)?;
        self.count_broken(rows, &emitted)?;
        Ok(emitted)
    }

    /// Gives a batch to all that read its source.
    fn spread(
        &mut self,
        source: usize,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
        lineage: Option<Lineage>,
        emitted: &mut Emitted,
    ) -> Result<(), RunError> {
        self.put_aside.clear();
        let plan = Arc::clone(&self.plan);
        for (number, scan) in plan.scans.iter().enumerate().filter(|(_, scan)| scan.source == source) {
            self.pass(Edge::Scan(number), batch);
            let chunk = Chunk { batch: batch.clone(), times: times.clone(), lineage: lineage.clone() };
            self.give(scan.to, chunk, emitted)?;
        }
        Ok(())
    }

    /// Counts the broken rows of a batch, which are an error when there are no others for long.
    fn count_broken(&mut self, rows: usize, emitted: &Emitted) -> Result<(), RunError> {
        let broken = emitted.broken.len();
        // One row can close a window whose results are many: those that have a value count too.
        let is_run = broken >= rows && emitted.rows.is_empty();
        self.broken_run = if is_run { self.broken_run + broken as u64 } else { 0 };
        match emitted.broken.last() {
            Some(last) if self.broken_run >= BROKEN_RUN_MAX => {
                Err(RunError::NoRow { rows: self.broken_run, why: last.why.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What operators are told of time stays at `told` until this is called again: rows are taken in, and nothing is given that
    /// is later.
    pub(crate) fn hold_time_at(&mut self, told: i64) {
        self.told_max = told;
    }

    /// Operators are told that time has come to `told`, whatever the rows say.
    pub(crate) fn tell(&mut self, told: i64) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        self.advance(told, &mut emitted)?;
        Ok(emitted)
    }

    /// From here on these see what the steps hand on.
    pub(crate) fn look(&mut self, probes: Vec<Arc<Mutex<Probe>>>) {
        self.probes = probes;
    }

    fn pass(&self, edge: Edge, batch: &RecordBatch) {
        self.probes.iter().for_each(|probe| probe.lock().pass(edge, batch));
    }

    /// Rows are looked up in this version of one of the plan's tables from here on.
    pub fn put_table(&mut self, table: usize, rows: &Arc<TableRows>) {
        if let Some(table) = self.plan.tables.get(table) {
            self.operators.iter_mut().for_each(|operator| operator.look_up(&table.name, rows));
        }
    }

    /// Time of a source has come as far as `event_time` though no row says so: windows close as if there had been one.
    pub fn advance_to(&mut self, source: usize, event_time: i64) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        self.event_times[source] = self.event_times[source].max(event_time);
        self.advance(self.told(), &mut emitted)?;
        Ok(emitted)
    }

    /// The sources that hold back the next result, each with the event time that it has to come to. None when nothing
    /// waits.
    pub fn waits_for(&self) -> Vec<(usize, i64)> {
        let Some(told) = self.operators.iter().filter_map(|operator| operator.next_close()).min() else {
            return Vec::new();
        };
        let needed = |source: usize| {
            let delay = self.plan.sources[source].watermark_delay_us;
            told.saturating_add(self.plan.allowed_lateness_us).saturating_add(delay)
        };
        let sources = (0..self.event_times.len()).map(|source| (source, needed(source)));
        sources.filter(|(source, needed)| self.event_times[*source] < *needed).collect()
    }

    /// The input has ended: every window is complete.
    pub fn finish(&mut self) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        self.advance(i64::MAX, &mut emitted)?;
        Ok(emitted)
    }

    /// The largest event time of a source so far, [`i64::MIN`] before its first row.
    pub fn event_time(&self, source: usize) -> i64 {
        self.event_times[source]
    }

    /// The largest event time of all sources so far, [`i64::MIN`] before the first row.
    pub(crate) fn latest(&self) -> i64 {
        self.event_times.iter().copied().max().unwrap_or(NO_TIME)
    }

    /// No row with an event time below it is on time; [`i64::MIN`] until each source has had a row.
    pub fn watermark(&self) -> i64 {
        (0..self.event_times.len()).map(|source| self.watermark_of(source)).min().unwrap_or(NO_TIME)
    }

    pub fn rows_in(&self) -> u64 {
        self.rows_in
    }

    pub fn rows_out(&self) -> u64 {
        self.rows_out
    }

    pub fn late(&self) -> u64 {
        self.late
    }

    /// Rows that it could not deal with.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Memory held by the operators.
    pub fn state_bytes(&self) -> usize {
        self.operators.iter().map(|operator| operator.state_bytes()).sum()
    }

    /// The state between two batches.
    pub fn snapshot(&mut self) -> Result<State, RunError> {
        let mut states = Vec::new();
        for operator in &mut self.operators {
            states.extend(operator.snapshot()?);
        }
        Ok(State { event_times: self.event_times.clone(), operators: states })
    }

    /// Goes on from a state of the same query.
    pub fn restore(&mut self, state: &State) -> Result<(), RunError> {
        if state.event_times.len() != self.event_times.len() {
            return Err(RunError::State { what: "it is that of other streams" });
        }
        self.event_times.clone_from(&state.event_times);
        let told = self.told();
        let stations = self.plan.stations.iter().zip(&mut self.operators);
        let mut stateful = stations.filter(|(station, _)| station.step.has_state());
        for bytes in &state.operators {
            let (_, operator) =
                stateful.next().ok_or(RunError::State { what: "there are more states than operators" })?;
            operator.restore(bytes, told)?;
        }
        if stateful.next().is_some() {
            return Err(RunError::State { what: "an operator's state is missing" });
        }
        Ok(())
    }

    fn watermark_of(&self, source: usize) -> i64 {
        behind(self.event_times[source], self.plan.sources[source].watermark_delay_us)
    }

    /// The watermark that operators are told: what is allowed to be late has passed.
    pub(crate) fn told(&self) -> i64 {
        behind(self.watermark(), self.plan.allowed_lateness_us).min(self.told_max)
    }

    /// What operators would have been told before each row: by the running maximum of the rows before it.
    fn lineage(&self, source: usize, times: &[i64], batch: &RecordBatch) -> Lineage {
        let others = (0..self.event_times.len()).filter(|other| *other != source);
        let others = others.map(|other| self.watermark_of(other)).min().unwrap_or(i64::MAX);
        let delay = self.plan.sources[source].watermark_delay_us;
        let told = |max: i64| {
            let told = behind(behind(max, delay).min(others), self.plan.allowed_lateness_us);
            told.min(self.told_max)
        };
        let mut max = self.event_times[source];
        let mut watermarks = Vec::with_capacity(times.len() + 1);
        watermarks.push(told(max));
        for ts in times {
            max = max.max(*ts);
            watermarks.push(told(max));
        }
        let after = self.plan.gives_early().then(|| Arc::from(&watermarks[1..]));
        watermarks.truncate(times.len());
        Lineage {
            watermarks: Int64Array::from(watermarks),
            rows: UInt32Array::from_iter_values(0..times.len() as u32),
            rows_of: source,
            source: batch.clone(),
            after,
        }
    }

    /// Sends rows to a station and what it gives to those behind it, to the output in the end.
    fn give(&mut self, to: Option<Port>, chunk: Chunk, emitted: &mut Emitted) -> Result<(), RunError> {
        let Some(port) = to else {
            self.rows_out += chunk.batch.num_rows() as u64;
            emitted.rows.push(self.plan.output.shape(&chunk.batch, &chunk.times)?);
            return Ok(());
        };
        let mut out = Outbox::default();
        match self.operators[port.station].on_batch(port.side, chunk.clone(), &mut out) {
            Ok(()) => self.hand_on(port.station, out, emitted),
            Err(RunError::Row(error)) if chunk.lineage.is_some() || self.plan.judges_lateness => {
                self.give_parts(port, chunk, &error, emitted)
            }
            Err(error) => Err(error),
        }
    }

    /// Rows that a station cannot take all together: by halves, down to those that it cannot take alone.
    fn give_parts(
        &mut self,
        port: Port,
        chunk: Chunk,
        error: &DataFusionError,
        emitted: &mut Emitted,
    ) -> Result<(), RunError> {
        let rows = chunk.batch.num_rows();
        if rows <= 1 {
            self.put_aside(BrokenRow::of(chunk, error), emitted);
            return Ok(());
        }
        let half = rows / 2;
        self.give(Some(port), chunk.slice(0, half), emitted)?;
        self.give(Some(port), chunk.slice(half, rows - half), emitted)
    }

    /// Each row of the source once.
    fn put_aside(&mut self, broken: BrokenRow, emitted: &mut Emitted) {
        let BrokenRow { why, row, time, lineage } = broken;
        let source = lineage.as_ref().and_then(Lineage::source_row);
        let row = match (&lineage, source) {
            (Some(lineage), Some((_, row))) => lineage.source.slice(row as usize, 1),
            _ => row,
        };
        if source.is_none_or(|source| self.put_aside.insert(source)) {
            self.broken += 1;
            emitted.broken.push(Broken { why, row, source, time });
        }
    }

    fn hand_on(&mut self, from: usize, out: Outbox, emitted: &mut Emitted) -> Result<(), RunError> {
        for late in out.late {
            self.late += late.rows.num_rows() as u64;
            emitted.late.push(self.plan.output.shape_late(&late)?);
        }
        out.broken.into_iter().for_each(|broken| self.put_aside(broken, emitted));
        let to = self.plan.stations[from].to;
        for chunk in out.chunks {
            self.pass(Edge::Station(from), &chunk.batch);
            self.give(to, chunk, emitted)?;
        }
        Ok(())
    }

    /// Tells the operators the watermark. Each station stands behind those that feed it, so that one hears of it after it
    /// has been given all that came before.
    fn advance(&mut self, watermark: i64, emitted: &mut Emitted) -> Result<(), RunError> {
        for at in 0..self.operators.len() {
            let mut out = Outbox::default();
            self.operators[at].on_watermark(watermark, &mut out)?;
            self.hand_on(at, out, emitted)?;
        }
        Ok(())
    }
}

fn behind(time: i64, by: i64) -> i64 {
    if time == NO_TIME { NO_TIME } else { time.saturating_sub(by) }
}
