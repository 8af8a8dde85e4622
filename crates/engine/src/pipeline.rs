//! A query at work on one stream: batches in, rows of the derived stream out.
//!
//! It does not know where batches come from or where rows go; files, previews and the hub's log all drive the same
//! thing. Event time comes from the rows alone: the watermark is the largest `ts` so far minus the stream's delay.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;

use crate::RunError;
use crate::operators::{self, Chunk, Lineage, Operator, Outbox};
use crate::plan::{Plan, Step};

/// No row has been seen.
const NO_TIME: i64 = i64::MIN;

/// What came out of a pipeline.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Rows of the derived stream, in their final order.
    pub rows: Vec<RecordBatch>,
    /// Late rows, in the order of the input.
    pub late: Vec<RecordBatch>,
}

/// All that a pipeline needs to go on later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Largest event time so far, [`i64::MIN`] before the first row.
    pub event_time_max: i64,
    /// The state of each operator that has one, in the order of the chain.
    pub operators: Vec<Vec<u8>>,
}

pub struct Pipeline {
    plan: Arc<Plan>,
    operators: Vec<Box<dyn Operator>>,
    event_time_max: i64,
    rows_in: u64,
    rows_out: u64,
    late: u64,
}

impl Pipeline {
    pub(crate) fn new(plan: Arc<Plan>) -> Pipeline {
        let operators = plan.steps.iter().map(operators::start).collect();
        Pipeline { plan, operators, event_time_max: NO_TIME, rows_in: 0, rows_out: 0, late: 0 }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes a batch of the source stream, in the schema that the plan was made for.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        if batch.num_rows() == 0 {
            return Ok(emitted);
        }
        self.rows_in += batch.num_rows() as u64;
        let Some(times) = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>() else {
            return Err(RunError::State { what: "the first column of a batch is not `ts`" });
        };
        let lineage = self.plan.windowed.then(|| self.lineage(times.values(), batch));
        if lineage.is_none() {
            let max = times.values().iter().copied().max().unwrap_or(NO_TIME);
            self.event_time_max = self.event_time_max.max(max);
        }
        let chunk = Chunk { batch: batch.clone(), times: times.clone(), lineage };
        self.through(0, vec![chunk], &mut emitted)?;
        self.advance(self.watermark(), &mut emitted)?;
        Ok(emitted)
    }

    /// Time has come as far as `event_time` though no row says so: windows close as if there had been a row.
    pub fn advance_to(&mut self, event_time: i64) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        self.event_time_max = self.event_time_max.max(event_time);
        self.advance(self.watermark(), &mut emitted)?;
        Ok(emitted)
    }

    /// The event time at which the next window closes; `None` when none is open.
    pub fn next_close(&self) -> Option<i64> {
        let watermark = self.operators.iter().filter_map(|operator| operator.next_close()).min()?;
        Some(watermark.saturating_add(self.plan.source.watermark_delay_us))
    }

    /// The input has ended: every window is complete.
    pub fn finish(&mut self) -> Result<Emitted, RunError> {
        let mut emitted = Emitted::default();
        self.advance(i64::MAX, &mut emitted)?;
        Ok(emitted)
    }

    /// The largest event time so far, [`i64::MIN`] before the first row.
    pub fn event_time(&self) -> i64 {
        self.event_time_max
    }

    /// No row with an event time below it is on time; [`i64::MIN`] before the first row.
    pub fn watermark(&self) -> i64 {
        watermark(self.event_time_max, self.plan.source.watermark_delay_us)
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
        Ok(State { event_time_max: self.event_time_max, operators: states })
    }

    /// Goes on from a state of the same query.
    pub fn restore(&mut self, state: &State) -> Result<(), RunError> {
        let told = watermark(state.event_time_max, self.plan.source.watermark_delay_us);
        let stateful = self.plan.steps.iter().zip(&mut self.operators);
        let mut stateful = stateful.filter(|(step, _)| matches!(step, Step::Aggregate(_)));
        for bytes in &state.operators {
            let (_, operator) =
                stateful.next().ok_or(RunError::State { what: "there are more states than operators" })?;
            operator.restore(bytes, told)?;
        }
        if stateful.next().is_some() {
            return Err(RunError::State { what: "an operator's state is missing" });
        }
        self.event_time_max = state.event_time_max;
        Ok(())
    }

    /// The watermark before each row: the running maximum of the rows before it, minus the delay.
    fn lineage(&mut self, times: &[i64], batch: &RecordBatch) -> Lineage {
        let delay = self.plan.source.watermark_delay_us;
        let mut max = self.event_time_max;
        let watermarks = times.iter().map(|ts| {
            let before = watermark(max, delay);
            max = max.max(*ts);
            before
        });
        let watermarks = Int64Array::from(watermarks.collect::<Vec<i64>>());
        self.event_time_max = max;
        let rows = UInt32Array::from_iter_values(0..times.len() as u32);
        Lineage { watermarks, rows, source: batch.clone() }
    }

    /// Sends chunks through the operators from `from` on, to the output.
    fn through(
        &mut self,
        from: usize,
        mut chunks: Vec<Chunk>,
        emitted: &mut Emitted,
    ) -> Result<(), RunError> {
        for operator in &mut self.operators[from..] {
            let mut out = Outbox::default();
            for chunk in chunks {
                operator.on_batch(chunk, &mut out)?;
            }
            chunks = out.chunks;
            for late in out.late {
                self.late += late.rows.num_rows() as u64;
                emitted.late.push(self.plan.output.shape_late(&late)?);
            }
        }
        for chunk in chunks {
            self.rows_out += chunk.batch.num_rows() as u64;
            emitted.rows.push(self.plan.output.shape(&chunk.batch, &chunk.times)?);
        }
        Ok(())
    }

    /// Tells the operators the watermark, from the first to the last; what one gives goes through those behind it.
    fn advance(&mut self, watermark: i64, emitted: &mut Emitted) -> Result<(), RunError> {
        for at in 0..self.operators.len() {
            let mut out = Outbox::default();
            self.operators[at].on_watermark(watermark, &mut out)?;
            if !out.chunks.is_empty() {
                self.through(at + 1, out.chunks, emitted)?;
            }
        }
        Ok(())
    }
}

fn watermark(event_time_max: i64, delay: i64) -> i64 {
    if event_time_max == NO_TIME { NO_TIME } else { event_time_max.saturating_sub(delay) }
}
