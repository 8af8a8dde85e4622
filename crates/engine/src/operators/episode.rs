//! Alerts that begin and end: of the rows that fire for one key, the first opens an episode and the others are counted.
//!
//! ```text
//!  rows of a key   · · F · F F · R · ·         · · F F · · · · · ·
//!                      │       │                   │       after │
//!  given               fired   resolved            fired         resolved
//!                              times 3                           times 2
//! ```
//! `F` fires, `R` meets the condition that resolves and does not fire. Rows come in the order of their time, and what is
//! over by time alone is given before the first row that is later: what comes out follows from the rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};

use super::rowwise::with_row_count;
use super::shelf::{Place, Shelf};
use super::{Chunk, Operator, Outbox, Side};
use crate::plan::{EpisodeStep, convert};
use crate::{RunError, ipc};

/// The columns of a state behind those of the rows.
const OWN_COLUMNS: [&str; 3] = ["_fired_at", "_times", "_last"];

pub(super) struct Episodes {
    step: Arc<EpisodeStep>,
    /// The last row that fired, or the first where time alone ends nothing.
    shelf: Shelf,
    open: HashMap<Box<[u8]>, Episode>,
    /// The deadlines under which episodes wait: no later than their own.
    deadlines: BTreeSet<(i64, Box<[u8]>)>,
    key_bytes: usize,
}

#[derive(Clone, Debug)]
struct Episode {
    /// What `ts` of its first row says.
    fired_at: i64,
    times: i64,
    /// The time of the last row that fired.
    last: i64,
    /// The deadline under which it waits.
    queued: i64,
    place: Place,
}

/// A row that comes out.
struct Given {
    place: Place,
    is_fired: bool,
    fired_at: i64,
    times: i64,
    time: i64,
    /// Whether `ts` says its time, rather than what is in the row.
    is_by_time: bool,
}

/// What comes out of a step, and the rows that are not needed behind it.
#[derive(Default)]
struct Turn {
    given: Vec<Given>,
    gone: Vec<Place>,
}

impl Episodes {
    pub fn new(step: Arc<EpisodeStep>) -> Episodes {
        let shelf = Shelf::new(Arc::clone(&step.rows));
        let (open, deadlines) = (HashMap::new(), BTreeSet::new());
        Episodes { step, shelf, open, deadlines, key_bytes: 0 }
    }

    /// The columns of the query, and which of the rows fire.
    fn rows(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<BooleanArray>), RunError> {
        let fields = self.step.rows.fields().iter();
        let columns = fields.zip(batch.columns()).map(|(field, column)| convert(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        let fires = self.step.fires.map(|fires| batch.column(fires).as_boolean().clone());
        Ok((with_row_count(&self.step.rows, columns, batch.num_rows())?, fires))
    }

    fn fire(&mut self, key: Box<[u8]>, row: (Place, i64, i64), turn: &mut Turn) {
        let (place, time, ts) = row;
        if let Some(episode) = self.open.get_mut(&key) {
            episode.times += 1;
            episode.last = time;
            turn.gone.push(match self.step.after_us {
                Some(_) => std::mem::replace(&mut episode.place, place),
                None => place,
            });
            return;
        }
        turn.given.push(Given { place, is_fired: true, fired_at: ts, times: 1, time, is_by_time: false });
        let queued = time.saturating_add(self.step.after_us.unwrap_or_default());
        self.hold(key, Episode { fired_at: ts, times: 1, last: time, queued, place });
    }

    fn hold(&mut self, key: Box<[u8]>, episode: Episode) {
        if self.step.after_us.is_some() {
            self.deadlines.insert((episode.queued, key.clone()));
        }
        self.key_bytes += key.len();
        self.open.insert(key, episode);
    }

    fn resolve(&mut self, key: Box<[u8]>, place: Place, time: i64, turn: &mut Turn) {
        turn.gone.push(place);
        let Some(episode) = self.open.remove(&key) else { return };
        self.key_bytes -= key.len();
        let Episode { fired_at, times, queued, place: kept, .. } = episode;
        self.deadlines.remove(&(queued, key));
        turn.gone.push(kept);
        turn.given.push(Given { place, is_fired: false, fired_at, times, time, is_by_time: false });
    }

    /// Ends what is over by the time alone: the earliest first, those of one time in the order of their keys.
    fn pass(&mut self, time: i64, turn: &mut Turn) {
        let Some(after_us) = self.step.after_us else { return };
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= time)
            && let Some((_, key)) = self.deadlines.pop_first()
        {
            let Some(episode) = self.open.get_mut(&key) else { continue };
            let deadline = episode.last.saturating_add(after_us);
            if deadline > episode.queued {
                episode.queued = deadline;
                self.deadlines.insert((deadline, key));
                continue;
            }
            let Episode { fired_at, times, place, .. } = *episode;
            self.open.remove(&key);
            self.key_bytes -= key.len();
            turn.gone.push(place);
            turn.given.push(Given {
                place,
                is_fired: false,
                fired_at,
                times,
                time: deadline,
                is_by_time: true,
            });
        }
    }

    fn end(&mut self, turn: Turn, out: &mut Outbox) -> Result<(), RunError> {
        if !turn.given.is_empty() {
            out.chunks.push(self.chunk(&turn.given)?);
        }
        for place in turn.gone {
            self.shelf.remove(place);
        }
        if self.shelf.is_wasteful() {
            let places: Vec<Place> = self.open.values().map(|episode| episode.place).collect();
            let moved = self.shelf.tidy(&places)?;
            self.open.values_mut().zip(moved).for_each(|(episode, place)| episode.place = place);
        }
        Ok(())
    }

    fn chunk(&self, given: &[Given]) -> Result<Chunk, RunError> {
        let places: Vec<Option<Place>> = given.iter().map(|given| Some(given.place)).collect();
        let mut columns = self.shelf.gather(&places)?;
        let time = |micros: Vec<Option<i64>>| -> TimestampMicrosecondArray {
            TimestampMicrosecondArray::from(micros).with_timezone("UTC")
        };
        if let Some(ts) = self.step.ts {
            let said = columns[ts].as_primitive::<TimestampMicrosecondType>();
            let settled = given.iter().zip(said).map(|(given, said)| match given.is_by_time {
                true => Some(given.time),
                false => said,
            });
            columns[ts] = Arc::new(time(settled.collect()));
        }
        let event = |given: &Given| Some(if given.is_fired { "fired" } else { "resolved" });
        columns.push(Arc::new(given.iter().map(event).collect::<StringArray>()));
        columns.push(Arc::new(time(given.iter().map(|given| Some(given.fired_at)).collect())));
        columns.push(Arc::new(Int64Array::from_iter_values(given.iter().map(|given| given.times))));
        let batch = with_row_count(&self.step.schema, columns, given.len())?;
        let times = TimestampMicrosecondArray::from_iter_values(given.iter().map(|given| given.time));
        Ok(Chunk { batch, times, lineage: None })
    }

    /// The columns of the rows, then those of the episodes.
    fn state_schema(&self) -> SchemaRef {
        let own = OWN_COLUMNS.map(|name| Arc::new(Field::new(name, DataType::Int64, false)));
        Arc::new(Schema::new(self.step.rows.fields().iter().cloned().chain(own).collect::<Vec<_>>()))
    }
}

/// What `ts` of each row says; where it says nothing, the time of the row.
fn said(ts: Option<usize>, rows: &RecordBatch, times: &[i64]) -> Vec<i64> {
    let Some(said) = ts.map(|ts| rows.column(ts).as_primitive::<TimestampMicrosecondType>()) else {
        return times.to_vec();
    };
    said.iter().zip(times).map(|(said, time)| said.unwrap_or(*time)).collect()
}

impl Operator for Episodes {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let (rows, fires) = self.rows(&chunk.batch)?;
        let times = chunk.times.values();
        let keys = self.step.keys.of(&rows)?;
        let said = said(self.step.ts, &rows, times);
        let places = self.shelf.put(rows);
        let mut turn = Turn::default();
        for (row, (place, time)) in places.zip(times).enumerate() {
            self.pass(*time, &mut turn);
            let key = Box::from(keys.or_null(row));
            match fires.as_ref().is_none_or(|fires| fires.is_valid(row) && fires.value(row)) {
                true => self.fire(key, (place, *time, said[row]), &mut turn),
                false => self.resolve(key, place, *time, &mut turn),
            }
        }
        self.end(turn, out)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let mut turn = Turn::default();
        self.pass(watermark.saturating_sub(self.step.behind_us), &mut turn);
        self.end(turn, out)
    }

    fn next_close(&self) -> Option<i64> {
        let (deadline, _) = self.deadlines.first()?;
        Some(deadline.saturating_add(self.step.behind_us))
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut episodes: Vec<(&Box<[u8]>, &Episode)> = self.open.iter().collect();
        episodes.sort_unstable_by_key(|(key, _)| *key);
        let places: Vec<Place> = episodes.iter().map(|(_, episode)| episode.place).collect();
        let mut columns = self.shelf.rows(&places)?.columns().to_vec();
        let own: [fn(&Episode) -> i64; 3] =
            [|episode| episode.fired_at, |episode| episode.times, |episode| episode.last];
        for value in own {
            let values = episodes.iter().map(|(_, episode)| value(episode));
            columns.push(Arc::new(Int64Array::from_iter_values(values)));
        }
        let state = with_row_count(&self.state_schema(), columns, places.len())?;
        Ok(Some(ipc::write_numbered(&[(0, state)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(0, state)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of episodes" });
        };
        super::slice::check_columns(&state.schema(), &self.state_schema())?;
        *self = Episodes::new(Arc::clone(&self.step));
        let (rows, own) = state.columns().split_at(state.num_columns() - OWN_COLUMNS.len());
        let [fired_at, times, last] = own else { return Ok(()) };
        let values = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().clone();
        let (fired_at, times, last) = (values(fired_at), values(times), values(last));
        let rows = with_row_count(&self.step.rows, rows.to_vec(), state.num_rows())?;
        let keys = self.step.keys.of(&rows)?;
        for (row, place) in self.shelf.put(rows).enumerate() {
            let (fired_at, times, last) = (fired_at[row], times[row], last[row]);
            let queued = last.saturating_add(self.step.after_us.unwrap_or_default());
            self.hold(keys.or_null(row).into(), Episode { fired_at, times, last, queued, place });
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let open = self.open.capacity() * size_of::<(Box<[u8]>, Episode)>();
        let queued = self.deadlines.len() * size_of::<(i64, Box<[u8]>)>();
        let keys_held = 1 + usize::from(!self.deadlines.is_empty());
        self.shelf.bytes() + open + queued + keys_held * self.key_bytes
    }
}
