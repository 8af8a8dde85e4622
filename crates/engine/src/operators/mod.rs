//! The operators of a pipeline: pushed with chunks of rows and with watermarks, they hold all of its state. What is allowed to
//! be late is part of the watermark that they are told.
//!
//! ```text
//!            on_batch(chunk) ─▶ ┌──────────┐ ─▶ chunks
//!     on_watermark(micros)   ─▶ │ operator │ ─▶ late rows
//!                               └──────────┘
//!                          snapshot ▲ ▼ restore
//! ```
//! A chunk carries beside its rows what the query does not see: each row's event time, the watermark before it
//! and where in the source batch it stands. That makes lateness a property of the row, not of the batch.

mod aggregate;
mod as_of;
mod broken;
mod count;
mod early;
mod episode;
mod held;
mod join;
mod keys;
mod lookup;
mod order;
mod over;
mod pane;
mod parts;
mod pattern;
mod rowwise;
mod session;
mod shelf;
mod signal;
mod slice;
mod waiting;
mod window_keys;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{FilterBuilder, FilterPredicate, take, take_record_batch};
use arrow::datatypes::Schema;
use springhouse_model::StreamName;

use crate::RunError;
use crate::plan::pattern::PatternStep;
use crate::plan::{AggregateStep, Group, Pairing, Placement, PlanError, Step};
use crate::tables::TableRows;

pub(crate) use broken::BrokenRow;
pub(crate) use keys::{Keys, without_negative_zero};

use aggregate::WindowAggregate;
use as_of::AsOf;
use count::CountAggregate;
use episode::Episodes;
use join::Join;
use lookup::Lookup;
use order::Order;
use over::Over;
use pane::{Inputs, Pane};
use session::SessionAggregate;
use signal::Signals;
use window_keys::WindowKeys;

pub(crate) use pattern::PatternMatch;

/// Rows on their way.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) batch: RecordBatch,
    /// The event time of each row, which becomes `ts` of the output unless the query says otherwise.
    pub(crate) times: TimestampMicrosecondArray,
    /// Only in front of operators that judge lateness. Rows that such an operator has given are never late again.
    pub(crate) lineage: Option<Lineage>,
}

/// Where the rows of a chunk come from.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    /// The watermark before each row, in the order of the input.
    pub(crate) watermarks: Int64Array,
    /// The row of the source batch.
    pub(crate) rows: UInt32Array,
    /// Which of the plan's sources that is.
    pub(crate) rows_of: usize,
    pub(crate) source: RecordBatch,
    /// The watermark behind each row of the source batch, for those who give something before they take the row in by which
    /// time has come to it.
    pub(crate) after: Option<Arc<[i64]>>,
}

impl Chunk {
    /// Where its rows come from; of rows that are never late, that there was no watermark before them.
    fn lineage(&self) -> Cow<'_, Lineage> {
        let rows = self.batch.num_rows();
        self.lineage.as_ref().map_or_else(|| Cow::Owned(Lineage::of_punctual(rows)), Cow::Borrowed)
    }

    /// The same rows with other columns.
    fn with_batch(self, batch: RecordBatch) -> Chunk {
        Chunk { batch, ..self }
    }

    /// Rows that follow each other.
    pub(crate) fn slice(&self, from: usize, count: usize) -> Chunk {
        Chunk {
            batch: self.batch.slice(from, count),
            times: self.times.slice(from, count),
            lineage: self.lineage.as_ref().map(|lineage| Lineage {
                watermarks: lineage.watermarks.slice(from, count),
                rows: lineage.rows.slice(from, count),
                rows_of: lineage.rows_of,
                source: lineage.source.clone(),
                after: lineage.after.clone(),
            }),
        }
    }

    /// Some of the rows, or some of them several times.
    fn take(&self, rows: &UInt32Array) -> Result<Chunk, RunError> {
        let lineage = match &self.lineage {
            None => None,
            Some(lineage) => Some(Lineage {
                watermarks: take(&lineage.watermarks, rows, None)?.as_primitive().clone(),
                rows: take(&lineage.rows, rows, None)?.as_primitive().clone(),
                rows_of: lineage.rows_of,
                source: lineage.source.clone(),
                after: lineage.after.clone(),
            }),
        };
        Ok(Chunk {
            batch: take_record_batch(&self.batch, rows)?,
            times: take(&self.times, rows, None)?.as_primitive().clone(),
            lineage,
        })
    }

    fn filter(self, keep: &arrow::array::BooleanArray) -> Result<Chunk, RunError> {
        let kept = keep.true_count();
        if kept == self.batch.num_rows() {
            return Ok(self);
        }
        let mut builder = FilterBuilder::new(keep);
        if self.batch.num_columns() > 1 {
            builder = builder.optimize();
        }
        let predicate = builder.build();
        let batch = predicate.filter_record_batch(&self.batch)?;
        let times = filtered(&predicate, &self.times)?;
        let lineage = match self.lineage {
            None => None,
            Some(lineage) => Some(Lineage {
                watermarks: filtered(&predicate, &lineage.watermarks)?,
                rows: filtered(&predicate, &lineage.rows)?,
                rows_of: lineage.rows_of,
                source: lineage.source,
                after: lineage.after,
            }),
        };
        Ok(Chunk { batch, times, lineage })
    }
}

fn filtered<T: arrow::array::ArrowPrimitiveType>(
    predicate: &FilterPredicate,
    array: &arrow::array::PrimitiveArray<T>,
) -> Result<arrow::array::PrimitiveArray<T>, RunError> {
    Ok(predicate.filter(array)?.as_primitive::<T>().clone())
}

/// Rows that came too late for their window.
#[derive(Clone, Debug)]
pub(crate) struct LateRows {
    /// Which of the plan's sources they are of.
    pub(crate) rows_of: usize,
    pub(crate) rows: RecordBatch,
    /// Microseconds between the moment when the window's result was given and the watermark that the row met.
    pub(crate) late_by_us: Int64Array,
}

impl Lineage {
    fn of_punctual(rows: usize) -> Lineage {
        Lineage {
            watermarks: Int64Array::from_value(i64::MIN, rows),
            rows: UInt32Array::from_iter_values(0..rows as u32),
            rows_of: 0,
            source: RecordBatch::new_empty(Arc::new(Schema::empty())),
            after: None,
        }
    }

    /// The source's rows behind late rows of a chunk.
    fn late_rows(&self, late: Late) -> Result<LateRows, RunError> {
        let source_rows = take(&self.rows, &UInt32Array::from(late.rows), None)?;
        let columns = self
            .source
            .columns()
            .iter()
            .map(|column| take(column, source_rows.as_ref() as &dyn Array, None))
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let rows = RecordBatch::try_new(self.source.schema(), columns)?;
        Ok(LateRows { rows_of: self.rows_of, rows, late_by_us: Int64Array::from(late.by_us) })
    }
}

/// Late rows of a chunk, and by how much.
#[derive(Default)]
struct Late {
    rows: Vec<u32>,
    by_us: Vec<i64>,
}

impl Late {
    fn push(&mut self, row: usize, by_us: i64) {
        self.rows.push(row as u32);
        self.by_us.push(by_us);
    }
}

/// The rows of windows that have closed; each knows its bounds. Their time is the end.
fn given(
    step: &AggregateStep,
    starts: TimestampMicrosecondArray,
    ends: TimestampMicrosecondArray,
    keys: Vec<ArrayRef>,
    values: Vec<ArrayRef>,
) -> Result<Chunk, RunError> {
    let rows = ends.len();
    let columns = result_columns(step, &starts, &ends, keys, values)?;
    Ok(Chunk { batch: rowwise::with_row_count(&step.schema, columns, rows)?, times: ends, lineage: None })
}

/// The columns of results, in the order in which they were asked for.
fn result_columns(
    step: &AggregateStep,
    starts: &TimestampMicrosecondArray,
    ends: &TimestampMicrosecondArray,
    keys: Vec<ArrayRef>,
    values: Vec<ArrayRef>,
) -> Result<Vec<ArrayRef>, RunError> {
    let mut keys = keys.into_iter();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(step.schema.fields().len());
    for group in &step.groups {
        columns.push(match group {
            Group::WindowStart => Arc::new(starts.clone().with_timezone("UTC")),
            Group::WindowEnd => Arc::new(ends.clone().with_timezone("UTC")),
            Group::Key(_) => keys.next().ok_or(RunError::State { what: "a key is missing" })?,
        });
    }
    columns.extend(values);
    Ok(columns)
}

/// Where operators put what they give.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) late: Vec<LateRows>,
    /// Rows that they could not deal with and that cannot be given again.
    pub(crate) broken: Vec<BrokenRow>,
}

/// From where a station with two inputs is given rows; the others have one, the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// What a station does.
pub(crate) trait Operator: Send {
    /// After [`RunError::Row`] it is as if it had not been given the chunk, and what it has put out does not count.
    fn on_batch(&mut self, side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError>;

    /// No row that comes from here on was on time if its window ended before `watermark`.
    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let _ = (watermark, out);
        Ok(())
    }

    /// The watermark at which it would give rows without being given any; `None` when nothing waits.
    fn next_close(&self) -> Option<i64> {
        None
    }

    /// The rows of a table from here on. Which version they are is not the operator's to remember.
    fn look_up(&mut self, table: &StreamName, rows: &Arc<TableRows>) {
        let _ = (table, rows);
    }

    /// What must be kept to go on later as if nothing had happened; `None` without state.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        Ok(None)
    }

    /// Goes on from a snapshot; `watermark` is the last one that was told before it.
    fn restore(&mut self, state: &[u8], watermark: i64) -> Result<(), RunError> {
        let _ = (state, watermark);
        Err(RunError::State { what: "an operator without state was given some" })
    }

    fn state_bytes(&self) -> usize {
        0
    }
}

/// Whether an aggregation can be computed for the types of its arguments, also beyond a restart: some functions say so only
/// when they are given a row, and some by a panic.
pub(crate) fn check(step: &AggregateStep, input: &Schema) -> Result<(), PlanError> {
    let trial = || -> Result<(), RunError> {
        if let Placement::Session { keys, .. } | Placement::Count { keys, .. } = &step.placement {
            WindowKeys::new(step, keys.clone()).check()?;
        }
        let mut pane = Pane::new(step, &step.key_schema)?;
        pane.update(&Inputs::of_nulls(step, input)?)?;
        let state = pane.state(step)?;
        let mut restored = Pane::new(step, &step.key_schema)?;
        restored.merge(step, &state)?;
        restored.close().map(drop)
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(trial)) {
        Ok(result) => result.map_err(|error| PlanError::new(error.to_string())),
        Err(_) => Err(PlanError::new("an aggregate function does not take arguments of these types")
            .with_hint("CAST them to DOUBLE, BIGINT or TEXT")),
    }
}

/// Whether early results can be compared with those before.
pub(crate) fn check_early(rows: &Schema) -> Result<(), PlanError> {
    early::check(rows).map_err(|error| {
        PlanError::new(format!("EMIT EVERY cannot compare results: {error}"))
            .with_hint("leave out what is no number, text, time or list")
    })
}

/// Whether the columns of a pattern's partition can be told apart.
pub(crate) fn check_pattern(step: &PatternStep) -> Result<(), PlanError> {
    pattern::converter(step).map(drop).map_err(|error| {
        PlanError::new(format!("MATCH_RECOGNIZE: PARTITION BY cannot compare its columns: {error}"))
            .with_hint("CAST them to TEXT before")
    })
}

/// Starts the operator of a step.
pub(crate) fn start(step: &Step) -> Box<dyn Operator> {
    match step {
        Step::Select { columns } => Box::new(rowwise::Select::new(columns.clone())),
        Step::Filter { predicate } => Box::new(rowwise::Filter { predicate: predicate.clone() }),
        Step::Project { exprs, schema } => {
            Box::new(rowwise::Project { exprs: exprs.clone(), schema: schema.clone() })
        }
        Step::Join(step) => match step.pairing {
            Pairing::Near(reach) => Box::new(Join::new(Arc::clone(step), reach)),
            Pairing::AsOf => Box::new(AsOf::new(Arc::clone(step))),
        },
        Step::Lookup(step) => Box::new(Lookup::new(Arc::clone(step))),
        Step::Over(step) => Box::new(Over::new(Arc::clone(step))),
        Step::Signal(step) => Box::new(Signals::new(Arc::clone(step))),
        Step::Order { schema, behind_us } => Box::new(Order::new(schema.clone(), *behind_us)),
        Step::Window(step) => Box::new(rowwise::AssignWindow { step: step.clone() }),
        Step::Spread(step) => Box::new(rowwise::Spread::new(step.clone())),
        Step::Episode(step) => Box::new(Episodes::new(Arc::clone(step))),
        Step::Pattern(step) => Box::new(PatternMatch::new(Arc::clone(step))),
        Step::Aggregate(step) => match &step.placement {
            Placement::Aligned { window, shared, bound } => {
                Box::new(WindowAggregate::new(Arc::clone(step), *window, *shared, *bound))
            }
            Placement::Session { gap_us, bound, keys } => {
                Box::new(SessionAggregate::new(Arc::clone(step), *gap_us, *bound, keys.clone()))
            }
            Placement::Count { size, keys } => {
                Box::new(CountAggregate::new(Arc::clone(step), *size, keys.clone()))
            }
        },
    }
}
