//! What a call will cost at most for each row, told from its arguments before it is made.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max, sum};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

/// Bytes that a call gives back at most, and steps that it takes beyond going through its texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub bytes: u64,
    pub steps: u64,
}

/// How the cost of a function follows from its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `repeat(text, n)`
    Repeat,
    /// `lpad(text, n, fill)`: n characters of at most four bytes.
    Pad,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, replacement)`, where each reference to a group can bring in the whole match.
    RegexpReplace,
    /// All arguments one after the other.
    Join,
    /// `concat_ws(separator, …)`
    JoinWith,
    /// A constant number of bytes for each byte of the texts.
    Times(u64),
    /// `levenshtein(a, b)`: a table of their lengths.
    Distance,
}

impl Rule {
    pub fn of(function: &str) -> Option<Rule> {
        Some(match function {
            "repeat" => Rule::Repeat,
            "lpad" | "rpad" => Rule::Pad,
            "replace" => Rule::Replace,
            "regexp_replace" => Rule::RegexpReplace,
            "concat" | "overlay" => Rule::Join,
            "concat_ws" => Rule::JoinWith,
            "encode" => Rule::Times(2),
            "translate" => Rule::Times(4),
            // `%c` becomes `Sat Nov 21 21:04:04 2026`, `%+` becomes 35 characters.
            "to_char" | "date_format" => Rule::Times(20),
            "levenshtein" => Rule::Distance,
            _ => return None,
        })
    }

    fn cost(self, arguments: &[Argument], row: usize) -> Cost {
        let bytes = |at: usize| arguments.get(at).map_or(0, |argument| argument.bytes(row));
        let all = || (0..arguments.len()).map(bytes).fold(0, u64::saturating_add);
        let number =
            |at: usize| arguments.get(at).map_or(0, |argument| argument.number(row)).max(0).unsigned_abs();
        let result = match self {
            Rule::Repeat => bytes(0).saturating_mul(number(1)),
            Rule::Pad => number(1).saturating_mul(4),
            Rule::Replace => bytes(0) + (bytes(0) / bytes(1).max(1)).saturating_mul(bytes(2)),
            Rule::RegexpReplace => {
                (bytes(0) + 1).saturating_mul(bytes(2)).saturating_add(bytes(0).saturating_mul(1 + bytes(2)))
            }
            Rule::Join => all(),
            Rule::JoinWith => all().saturating_add(bytes(0).saturating_mul(arguments.len() as u64)),
            Rule::Times(factor) => all().saturating_mul(factor),
            Rule::Distance => 8,
        };
        let steps = match self {
            Rule::Distance => bytes(0).saturating_mul(bytes(1)),
            _ => 0,
        };
        Cost { bytes: result, steps }
    }
}

/// The costs of a call for all rows.
pub(super) struct Costs {
    rule: Rule,
    arguments: Vec<Argument>,
}

impl Costs {
    pub fn of(rule: Rule, arguments: &[ColumnarValue]) -> Result<Costs> {
        let arguments = arguments.iter().map(Argument::of).collect::<Result<_>>()?;
        Ok(Costs { rule, arguments })
    }

    pub fn row(&self, row: usize) -> Cost {
        self.rule.cost(&self.arguments, row)
    }

    /// Of the argument that has the longest text, and of the one that has the most over all rows.
    pub fn input(&self, rows: usize) -> Extent {
        let extents = self.arguments.iter().map(|argument| argument.extent(rows));
        extents.fold(Extent::default(), |a, b| Extent {
            longest: a.longest.max(b.longest),
            total: a.total.max(b.total),
        })
    }
}

/// Bytes of the longest text, and of all rows together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub longest: u64,
    pub total: u64,
}

impl Extent {
    pub fn of(value: &ColumnarValue) -> Result<Extent> {
        let rows = match value {
            ColumnarValue::Scalar(_) => 1,
            ColumnarValue::Array(array) => array.len(),
        };
        Ok(Argument::of(value)?.extent(rows))
    }
}

/// The size or the number of an argument, for each row.
enum Argument {
    Same {
        bytes: u64,
        number: i64,
    },
    /// Bytes of each text.
    Texts(UInt64Array),
    Numbers(Int64Array),
    /// Of a type that has no length to ask for: no value is larger than all together.
    AtMost(u64),
}

impl Argument {
    fn of(value: &ColumnarValue) -> Result<Argument> {
        Ok(match value {
            ColumnarValue::Scalar(scalar) => Argument::Same {
                bytes: text_bytes(scalar),
                number: match scalar.cast_to(&DataType::Int64) {
                    Ok(ScalarValue::Int64(Some(number))) => number,
                    _ => 0,
                },
            },
            ColumnarValue::Array(array) => match array.data_type() {
                ty if ty.is_string() || ty.is_binary() => Argument::Texts(lengths(array)?),
                ty if ty.is_numeric() => {
                    Argument::Numbers(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
                }
                ty if ty.is_primitive() => Argument::Same { bytes: 0, number: 0 },
                _ => Argument::AtMost(array.get_array_memory_size() as u64),
            },
        })
    }

    fn bytes(&self, row: usize) -> u64 {
        match self {
            Argument::Same { bytes, .. } | Argument::AtMost(bytes) => *bytes,
            Argument::Texts(lengths) if lengths.is_valid(row) => lengths.value(row),
            Argument::Texts(_) | Argument::Numbers(_) => 0,
        }
    }

    fn extent(&self, rows: usize) -> Extent {
        match self {
            Argument::Same { bytes, .. } => Extent { longest: *bytes, total: bytes * rows as u64 },
            Argument::Texts(lengths) => {
                Extent { longest: max(lengths).unwrap_or(0), total: sum(lengths).unwrap_or(0) }
            }
            Argument::AtMost(bytes) => Extent { longest: *bytes, total: *bytes },
            Argument::Numbers(_) => Extent::default(),
        }
    }

    fn number(&self, row: usize) -> i64 {
        match self {
            Argument::Same { number, .. } => *number,
            Argument::Numbers(numbers) if numbers.is_valid(row) => numbers.value(row),
            _ => 0,
        }
    }
}

/// Bytes of each text; null for none.
fn lengths(texts: &ArrayRef) -> Result<UInt64Array> {
    Ok(cast(&length(texts)?, &DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
}

/// Of a text; about, of anything else that has no fixed size.
fn text_bytes(scalar: &ScalarValue) -> u64 {
    match scalar {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, |text| text.len() as u64)
        }
        other if other.data_type().is_primitive() => 0,
        other => other.size() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    /// The bounds are worked out by hand for `abcd` and what the functions' documentation says.
    #[test]
    fn a_cost_is_told_from_lengths_and_numbers() {
        let text = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
        let number = |number: i64| ColumnarValue::Scalar(ScalarValue::from(number));
        let check = |function: &str, arguments: &[ColumnarValue], bytes: u64, steps: u64| {
            let costs = Costs::of(Rule::of(function).unwrap(), arguments).unwrap();
            assert_eq!(costs.row(0), Cost { bytes, steps }, "{function}");
        };
        check("repeat", &[text("abcd"), number(10)], 40, 0);
        check("repeat", &[text("abcd"), number(-1)], 0, 0);
        check("repeat", &[text("abcd"), number(i64::MAX)], u64::MAX, 0);
        check("lpad", &[text("abcd"), number(10), text("é")], 40, 0);
        check("replace", &[text("abcd"), text("b"), text("xyz")], 16, 0);
        check("concat", &[text("abcd"), text("ef")], 6, 0);
        check("levenshtein", &[text("abcd"), text("abc")], 8, 12);
        assert!(Rule::of("abs").is_none());
    }

    #[test]
    fn each_row_has_its_own() {
        let texts = StringArray::from(vec![Some("ab"), None, Some("")]);
        let numbers = Int64Array::from(vec![Some(3), Some(3), None]);
        let arguments = [ColumnarValue::Array(Arc::new(texts)), ColumnarValue::Array(Arc::new(numbers))];
        let costs = Costs::of(Rule::Repeat, &arguments).unwrap();
        assert_eq!([0, 1, 2].map(|row| costs.row(row).bytes), [6, 0, 0]);
        assert_eq!(costs.input(3), Extent { longest: 2, total: 2 });
    }
}
