//! The rows of one stream that are not in a file yet, in chunks that a scan can walk.
//!
//! Records are small when devices send single readings. So neighbours are joined like in a merge sort: two chunks
//! become one when the later has grown to half the earlier, up to a size from which scanning gains nothing more.
//! A row is copied about log2(8192) times at most, and only while it waits.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

/// Rows from which joining stops; a batch of this size is what the query engine works in anyway.
const JOIN_ROWS: usize = 8_192;

/// Rows of consecutive records.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub first_offset: u64,
    pub last_offset: u64,
    pub schema_version: u32,
    pub batch: RecordBatch,
}

impl Chunk {
    pub fn bytes(&self) -> usize {
        self.batch.get_array_memory_size()
    }
}

/// One stream's part of the tail.
#[derive(Default)]
pub(crate) struct StreamTail {
    pub chunks: Vec<Arc<Chunk>>,
    pub bytes: usize,
}

impl StreamTail {
    /// `barrier`: records before it are being flushed and must stay apart from later ones.
    pub fn push(&mut self, chunk: Chunk, barrier: u64) {
        self.bytes += chunk.bytes();
        self.chunks.push(Arc::new(chunk));
        while let [.., earlier, later] = self.chunks.as_slice() {
            let Some(joined) = joined(earlier, later, barrier) else { break };
            self.bytes += joined.bytes();
            self.bytes -= earlier.bytes() + later.bytes();
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push(Arc::new(joined));
        }
    }

    /// Forgets the records before `offset`, which are in files.
    pub fn drop_before(&mut self, offset: u64) {
        self.chunks.retain(|chunk| chunk.last_offset >= offset);
        self.bytes = self.chunks.iter().map(|chunk| chunk.bytes()).sum();
    }
}

fn joined(earlier: &Chunk, later: &Chunk, barrier: u64) -> Option<Chunk> {
    let rows = earlier.batch.num_rows() + later.batch.num_rows();
    let alike =
        earlier.schema_version == later.schema_version && earlier.batch.schema() == later.batch.schema();
    let worth_it = later.batch.num_rows() * 2 >= earlier.batch.num_rows() && rows <= JOIN_ROWS;
    if !alike || !worth_it || earlier.first_offset < barrier {
        return None;
    }
    let batch = concat_batches(&earlier.batch.schema(), [&earlier.batch, &later.batch]).ok()?;
    Some(Chunk {
        first_offset: earlier.first_offset,
        last_offset: later.last_offset,
        schema_version: later.schema_version,
        batch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn chunk(offset: u64, rows: usize) -> Chunk {
        let values: Int64Array = (0..rows as i64).map(|n| n + offset as i64).collect();
        let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as _)]).unwrap();
        Chunk { first_offset: offset, last_offset: offset, schema_version: 1, batch }
    }

    #[test]
    fn single_rows_end_up_in_few_chunks_in_order() {
        let mut tail = StreamTail::default();
        (0..10_000).for_each(|offset| tail.push(chunk(offset, 1), 0));
        assert!(tail.chunks.len() < 20, "{}", tail.chunks.len());
        let rows: Vec<i64> = tail
            .chunks
            .iter()
            .flat_map(|chunk| {
                let column = chunk.batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
                column.values().to_vec()
            })
            .collect();
        assert_eq!(rows, (0..10_000).collect::<Vec<_>>());
        assert_eq!(tail.bytes, tail.chunks.iter().map(|chunk| chunk.bytes()).sum::<usize>());
    }

    #[test]
    fn what_is_being_flushed_is_not_joined_with_later_rows() {
        let mut tail = StreamTail::default();
        (0..10).for_each(|offset| tail.push(chunk(offset, 1), 0));
        (10..20).for_each(|offset| tail.push(chunk(offset, 1), 10));
        tail.drop_before(10);
        assert_eq!(tail.chunks.iter().map(|chunk| chunk.batch.num_rows()).sum::<usize>(), 10);
        assert_eq!(tail.chunks[0].first_offset, 10);
    }
}
