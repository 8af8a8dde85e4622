//! Rows in the order in which the log wants them: by partition, each partition in one span.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use springhouse_model::PARTITIONS;

/// Sorts the rows by partition, keeping the order within each, and says how many there are of each.
pub(crate) fn by_partition(
    batch: RecordBatch,
    partitions: &[u8],
) -> Result<(RecordBatch, Vec<(u8, u32)>), ArrowError> {
    let mut counts = [0_u32; PARTITIONS as usize];
    for partition in partitions {
        counts[usize::from(*partition)] += 1;
    }
    let used = (0..PARTITIONS).filter(|partition| counts[usize::from(*partition)] > 0);
    let spans: Vec<_> = used.map(|partition| (partition, counts[usize::from(partition)])).collect();
    if partitions.is_sorted() {
        return Ok((batch, spans));
    }
    let mut next = [0_u32; PARTITIONS as usize];
    let mut begin = 0;
    for (partition, rows) in &spans {
        next[usize::from(*partition)] = begin;
        begin += rows;
    }
    let mut order = vec![0_u32; partitions.len()];
    for (row, partition) in partitions.iter().enumerate() {
        let place = &mut next[usize::from(*partition)];
        order[*place as usize] = row as u32;
        *place += 1;
    }
    Ok((take_record_batch(&batch, &UInt32Array::from(order))?, spans))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, cast::AsArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn rows_are_gathered_by_partition_in_their_order() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![10, 11, 12, 13, 14]));
        let batch = RecordBatch::try_from_iter([("v", values)]).unwrap();
        let (sorted, spans) = by_partition(batch, &[9, 0, 9, 63, 0]).unwrap();
        assert_eq!(spans, [(0, 2), (9, 2), (63, 1)]);
        let values = sorted.column(0).as_primitive::<Int64Type>();
        assert_eq!(values.values().as_ref(), [11, 14, 10, 12, 13]);
    }
}
