//! Functions with OVER that remember a value of each key: `hysteresis` and `debounce`.
//!
//! Rows come in the order of their time. Keys are numbered as they come, and are never forgotten, since the next row of one
//! follows from the last, however long ago that was.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;

use super::broken::evaluate;
use super::keys::KeysOfRows;
use super::rowwise::with_row_count;
use super::slice::check_columns;
use super::{Chunk, Operator, Outbox, Side};
use crate::plan::SignalStep;
use crate::signals::Memory;
use crate::{RunError, ipc};

pub(super) struct Signals {
    step: Arc<SignalStep>,
    numbers: HashMap<Box<[u8]>, usize>,
    /// One of each call; none where a call cannot begin, which planning has refused.
    memories: Vec<Box<dyn Memory>>,
}

impl Signals {
    pub fn new(step: Arc<SignalStep>) -> Signals {
        let memories = step.calls.iter().filter_map(|call| call.signal.start(&call.value).ok()).collect();
        Signals { step, numbers: HashMap::new(), memories }
    }

    fn numbers_of(&mut self, keys: &KeysOfRows, rows: usize) -> Vec<usize> {
        let number = |row| {
            let next = self.numbers.len();
            *self.numbers.entry_ref(keys.or_null(row)).or_insert(next)
        };
        (0..rows).map(number).collect()
    }

    /// The bytes of the key, then what is remembered, call by call.
    fn state_schema(&self) -> SchemaRef {
        let types = self.memories.iter().flat_map(|memory| memory.types()).enumerate();
        let mut fields = vec![Field::new("_key", DataType::Binary, false)];
        fields.extend(types.map(|(at, ty)| Field::new(format!("memory_{at}"), ty, true)));
        Arc::new(Schema::new(fields))
    }
}

impl Operator for Signals {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let rows = chunk.batch.num_rows();
        let keys = self.step.keys.of(&chunk.batch)?;
        let arguments = self.step.calls.iter().map(|call| {
            let arguments = call.arguments.iter().map(|argument| evaluate(argument, &chunk.batch));
            arguments.collect::<Result<Vec<ArrayRef>, RunError>>()
        });
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let numbers = self.numbers_of(&keys, rows);
        let mut columns = chunk.batch.columns().to_vec();
        for (memory, arguments) in self.memories.iter_mut().zip(&arguments) {
            columns.push(memory.advance(arguments, &numbers)?);
        }
        let batch = with_row_count(&self.step.schema, columns, rows)?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut keys: Vec<(usize, &[u8])> =
            self.numbers.iter().map(|(key, number)| (*number, key.as_ref())).collect();
        keys.sort_unstable();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(BinaryArray::from_iter_values(keys.iter().map(|(_, key)| key)))];
        for memory in &self.memories {
            columns.extend(memory.state()?);
        }
        let state = with_row_count(&self.state_schema(), columns, keys.len())?;
        Ok(Some(ipc::write_numbered(&[(0, state)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        const WRONG: RunError = RunError::State { what: "it is not that of functions that remember" };
        let parts = ipc::read_numbered(state)?;
        let [(0, state)] = parts.as_slice() else { return Err(WRONG) };
        check_columns(&state.schema(), &self.state_schema())?;
        let Some((keys, mut columns)) = state.columns().split_first() else { return Err(WRONG) };
        let keys = keys.as_binary::<i32>().iter().map(|key| Box::from(key.unwrap_or_default()));
        self.numbers = keys.zip(0..).collect();
        for memory in &mut self.memories {
            let (own, rest) = columns.split_at(memory.types().len());
            memory.restore(own)?;
            columns = rest;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let key_bytes = self.numbers.keys().next().map_or(0, |key| key.len());
        let keys = self.numbers.capacity() * size_of::<(Box<[u8]>, usize)>() + self.numbers.len() * key_bytes;
        keys + self.memories.iter().map(|memory| memory.bytes()).sum::<usize>()
    }
}
