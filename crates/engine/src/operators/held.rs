//! The rows of one side of a join that can still find others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use hashbrown::HashMap;

use super::keys::Keys;
use super::rowwise::with_row_count;
use super::shelf::{Place, Shelf};
use crate::RunError;
use crate::plan::Reach;

/// The columns of a state behind those of the rows.
const OWN_COLUMNS: [&str; 3] = ["_time", "_number", "_found"];

pub(super) struct Held {
    keys: Arc<Keys>,
    reach: Reach,
    shelf: Shelf,
    /// By number.
    rows: BTreeMap<u64, Row>,
    by_key: HashMap<Box<[u8]>, Numbers>,
    /// Until when, and which.
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    /// Whether rows that find nothing behind their own time need not be held: those of that time have come before them, and nobody
    /// asks whether they have stayed alone.
    lets_pass: bool,
    /// Rows that are not held. They stay where they are until others are removed.
    passing: Vec<Place>,
}

/// The rows of one key, the oldest first. Many keys have a single one.
enum Numbers {
    One(u64),
    Many(VecDeque<u64>),
}

impl Numbers {
    fn push(&mut self, number: u64) {
        match self {
            Numbers::One(first) => *self = Numbers::Many(VecDeque::from([*first, number])),
            Numbers::Many(numbers) => numbers.push_back(number),
        }
    }

    /// Takes one out; whether none is left.
    fn remove(&mut self, number: u64) -> bool {
        match self {
            Numbers::One(only) => *only == number,
            Numbers::Many(numbers) => {
                if let Some(at) = numbers.iter().position(|other| *other == number) {
                    numbers.remove(at);
                }
                numbers.is_empty()
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        let (one, many) = match self {
            Numbers::One(only) => (Some(*only), None),
            Numbers::Many(numbers) => (None, Some(numbers)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}

/// A row and what is known of it.
#[derive(Clone)]
pub(super) struct Row {
    pub time: i64,
    pub place: Place,
    /// `None` finds nothing.
    key: Option<Box<[u8]>>,
    /// The last time of a row that it could find.
    until: i64,
    has_found: bool,
}

/// A row of the other side with the same key.
pub(super) struct Partner {
    pub number: u64,
    pub place: Place,
}

/// A row that can find no other any more.
pub(super) struct Gone {
    pub number: u64,
    pub place: Place,
    pub until: i64,
    pub has_found: bool,
}

impl Held {
    pub fn new(keys: Arc<Keys>, schema: &SchemaRef, reach: Reach, lets_pass: bool) -> Held {
        Held {
            keys,
            reach,
            shelf: Shelf::new(Arc::clone(schema)),
            rows: BTreeMap::new(),
            by_key: HashMap::new(),
            queue: BinaryHeap::new(),
            lets_pass,
            passing: Vec::new(),
        }
    }

    /// Lays rows down. They are found when they are held.
    pub fn put(&mut self, batch: RecordBatch, times: &[i64]) -> Result<Vec<Row>, RunError> {
        let keys = self.keys.of(&batch)?;
        let until = match self.reach {
            Reach::After(after_us) => times.iter().map(|time| time.saturating_add(after_us)).collect(),
            Reach::Window { end, size_us } => end.ends(&batch, size_us),
        };
        let places = self.shelf.put(batch);
        let rows = places.zip(times.iter().zip(until)).enumerate();
        Ok(rows
            .map(|(row, (place, (time, until)))| {
                // A row is there at least for those of its own time.
                let until = until.max(*time);
                Row { time: *time, place, key: keys.of_row(row), until, has_found: false }
            })
            .collect())
    }

    pub fn hold(&mut self, number: u64, row: Row) {
        if self.lets_pass && row.until <= row.time {
            self.passing.push(row.place);
            return;
        }
        if let Some(key) = &row.key {
            match self.by_key.get_mut(key) {
                Some(numbers) => numbers.push(number),
                None => drop(self.by_key.insert(key.clone(), Numbers::One(number))),
            }
        }
        self.queue.push(Reverse((row.until, number)));
        self.rows.insert(number, row);
    }

    /// The rows with the key of a row of the other side, the oldest first.
    pub fn partners(&self, row: &Row) -> impl Iterator<Item = Partner> {
        let numbers = row.key.as_ref().and_then(|key| self.by_key.get(key));
        let numbers = numbers.into_iter().flat_map(Numbers::iter);
        numbers.filter_map(|number| Some(Partner { number, place: self.rows.get(&number)?.place }))
    }

    /// A row has found another.
    pub fn found(&mut self, number: u64) {
        if let Some(row) = self.rows.get_mut(&number) {
            row.has_found = true;
        }
    }

    /// The rows that find nothing with a time of `from` or later. They stay where they are until they are removed.
    pub fn gone(&mut self, from: i64) -> Vec<Gone> {
        let mut gone = Vec::new();
        while let Some(Reverse((until, number))) = self.queue.peek().copied()
            && until < from
        {
            self.queue.pop();
            let Some(row) = self.rows.remove(&number) else { continue };
            if let Some(key) = &row.key
                && self.by_key.get_mut(key).is_some_and(|numbers| numbers.remove(number))
            {
                self.by_key.remove(key);
            }
            gone.push(Gone { number, place: row.place, until, has_found: row.has_found });
        }
        gone
    }

    /// Gives rows away, and those that were let pass: the pairs of both have been made.
    pub fn remove(&mut self, gone: Vec<Gone>) {
        for place in gone.into_iter().map(|gone| gone.place).chain(self.passing.drain(..)) {
            self.shelf.remove(place);
        }
    }

    /// Gives memory back. All rows that were laid down are held.
    pub fn tidy(&mut self) -> Result<(), RunError> {
        if self.shelf.is_wasteful() {
            let places: Vec<Place> = self.rows.values().map(|row| row.place).collect();
            let moved = self.shelf.tidy(&places)?;
            self.rows.values_mut().zip(moved).for_each(|(row, place)| row.place = place);
        }
        Ok(())
    }

    /// The time up to which the next row is held, and one more.
    pub fn next_gone(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse((until, _))| until.saturating_add(1))
    }

    pub fn gather(&self, places: &[Option<Place>]) -> Result<Vec<ArrayRef>, RunError> {
        self.shelf.gather(places)
    }

    pub fn state(&self) -> Result<RecordBatch, RunError> {
        let places: Vec<Place> = self.rows.values().map(|row| row.place).collect();
        let mut columns = self.shelf.rows(&places)?.columns().to_vec();
        columns.push(Arc::new(Int64Array::from_iter_values(self.rows.values().map(|row| row.time))));
        columns.push(Arc::new(Int64Array::from_iter_values(self.rows.keys().map(|number| *number as i64))));
        columns.push(Arc::new(self.rows.values().map(|row| Some(row.has_found)).collect::<BooleanArray>()));
        with_row_count(&self.state_schema(), columns, places.len())
    }

    pub fn restore(&mut self, state: &RecordBatch) -> Result<(), RunError> {
        super::slice::check_columns(&state.schema(), &self.state_schema())?;
        let (rows, own) = state.columns().split_at(state.num_columns() - OWN_COLUMNS.len());
        let [times, numbers, found] = own else { return Ok(()) };
        let schema = Arc::clone(self.shelf.schema());
        self.shelf = Shelf::new(Arc::clone(&schema));
        (self.rows, self.by_key, self.queue, self.passing) = Default::default();
        let batch = with_row_count(&schema, rows.to_vec(), state.num_rows())?;
        let rows = self.put(batch, times.as_primitive::<Int64Type>().values())?;
        let numbers = numbers.as_primitive::<Int64Type>().values();
        for (at, (row, number)) in rows.into_iter().zip(numbers).enumerate() {
            let has_found = found.as_boolean().value(at);
            self.hold(*number as u64, Row { has_found, ..row });
        }
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        let key_bytes = self.by_key.keys().next().map_or(0, |key| key.len());
        let row = size_of::<(u64, Row)>() + size_of::<(i64, u64)>() + size_of::<u64>() + key_bytes;
        let key = size_of::<(Box<[u8]>, Numbers)>() + key_bytes;
        self.shelf.bytes() + self.rows.len() * row + self.by_key.capacity() * key
    }

    fn state_schema(&self) -> SchemaRef {
        let mut fields: Vec<_> = self.shelf.schema().fields().iter().cloned().collect();
        let types = [DataType::Int64, DataType::Int64, DataType::Boolean];
        let own = OWN_COLUMNS.into_iter().zip(types);
        fields.extend(own.map(|(name, ty)| Arc::new(Field::new(name, ty, false))));
        Arc::new(Schema::new(fields))
    }
}
