//! Text columns: each distinct value once when values repeat (devices, sites, states), one after the other otherwise.

use arrow::array::{Array, StringArray};
use hashbrown::HashMap;

use crate::message::Column;

/// Rows after which a column whose values hardly repeat (message ids) is taken for one without repetition.
const SAMPLE_ROWS: usize = 64;

/// Fills `text`, `lengths` and, when a dictionary pays, `ids`.
pub(crate) fn encode(array: &StringArray, column: &mut Column) {
    if !encode_distinct(array, column) {
        column.ids = Vec::new();
        column.lengths.clear();
        column.text.clear();
        encode_plain(array, column);
    }
}

/// Whether a dictionary pays: with half of the values distinct, ids cost about what they save.
fn pays(distinct: usize, values: usize) -> bool {
    distinct * 2 <= values
}

fn encode_distinct(array: &StringArray, column: &mut Column) -> bool {
    let values_count = array.len() - array.null_count();
    if values_count < 2 {
        return false;
    }
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut previous: Option<(&str, u32)> = None;
    column.ids.reserve(values_count);
    for (seen, value) in array.iter().flatten().enumerate() {
        if seen == SAMPLE_ROWS && !pays(ids.len(), seen + SAMPLE_ROWS / 2) {
            return false;
        }
        let id = match previous {
            Some((text, id)) if text == value => id,
            _ => {
                // Bounded by the rows of a batch, which are far fewer than 2^32.
                let next = ids.len() as u32;
                *ids.entry(value).or_insert_with(|| {
                    column.lengths.push(value.len() as u32);
                    column.text.push_str(value);
                    next
                })
            }
        };
        previous = Some((value, id));
        column.ids.push(id);
    }
    pays(ids.len(), values_count)
}

fn encode_plain(array: &StringArray, column: &mut Column) {
    column.lengths.reserve(array.len() - array.null_count());
    for value in array.iter().flatten() {
        column.lengths.push(value.len() as u32);
        column.text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], text: &str, ids: &[u32]) {
        let mut column = Column::default();
        encode(&StringArray::from(values.to_vec()), &mut column);
        assert_eq!((column.text.as_str(), column.ids.as_slice()), (text, ids), "{values:?}");
    }

    #[test]
    fn a_dictionary_is_used_when_values_repeat() {
        check(&["on", "off", "on", "on"], "onoff", &[0, 1, 0, 0]);
        check(&["a", "b", "c"], "abc", &[]);
        check(&["a", "b", "a"], "aba", &[]);
        check(&["", "", "x", ""], "x", &[0, 0, 1, 0]);
        check(&[], "", &[]);
    }

    #[test]
    fn the_sample_gives_up_on_ids_that_never_repeat() {
        let values: Vec<String> = (0..1000).map(|n| format!("id-{n}")).collect();
        let mut column = Column::default();
        encode(&StringArray::from(values), &mut column);
        assert!(column.ids.is_empty());
        assert_eq!(column.lengths.len(), 1000);
    }
}
