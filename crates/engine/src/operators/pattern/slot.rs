//! What a way through a pattern keeps of the rows that it has taken: a value for each term, never the rows.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};

use crate::RunError;
use crate::plan::pattern::{Kind, Term};

/// The state of one term.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// How many rows have been seen, up to the one that is wanted, and its value.
    First {
        seen: usize,
        value: ScalarValue,
    },
    /// The values of the last rows, the newest at the end; no more than are wanted.
    Last(Vec<ScalarValue>),
    Count(i64),
    Average {
        sum: f64,
        count: i64,
    },
    /// A sum, the least or the greatest.
    Value(ScalarValue),
    /// Which variable took the last row.
    Variable(Option<usize>),
    /// Known when the match is complete.
    MatchTime,
}

impl Slot {
    /// That of a term before the first row.
    pub fn new(term: &Term) -> Result<Slot, RunError> {
        let null = || ScalarValue::try_from(&term.ty);
        Ok(match term.kind {
            Kind::First(_) => Slot::First { seen: 0, value: null()? },
            Kind::Last(_) => Slot::Last(Vec::new()),
            Kind::Count => Slot::Count(0),
            Kind::Average => Slot::Average { sum: 0.0, count: 0 },
            Kind::Sum | Kind::Least | Kind::Greatest => Slot::Value(null()?),
            Kind::Classifier => Slot::Variable(None),
            Kind::MatchTime => Slot::MatchTime,
        })
    }

    /// Takes in a row that a variable has taken; `kept` is what is kept of it.
    pub fn take(&mut self, term: &Term, variable: usize, kept: &[ScalarValue]) -> Result<(), RunError> {
        if term.variable.is_some_and(|named| named != variable) {
            return Ok(());
        }
        let argument = term.argument.and_then(|argument| kept.get(argument));
        match (self, term.kind) {
            (Slot::First { seen, value }, Kind::First(wanted)) if *seen <= wanted => {
                if let (true, Some(argument)) = (*seen == wanted, argument) {
                    *value = argument.clone();
                }
                *seen += 1;
            }
            (Slot::Last(values), Kind::Last(before)) => {
                if values.len() > before {
                    values.remove(0);
                }
                values.extend(argument.cloned());
            }
            (Slot::Count(count), _) => *count += i64::from(argument.is_none_or(|value| !value.is_null())),
            (Slot::Average { sum, count }, _) => {
                if let Some(ScalarValue::Float64(Some(number))) = argument {
                    *sum += number;
                    *count += 1;
                }
            }
            (Slot::Value(value), kind) => {
                if let Some(argument) = argument.filter(|argument| !argument.is_null()) {
                    combine(value, kind, argument)?;
                }
            }
            (Slot::Variable(last), _) => *last = Some(variable),
            _ => {}
        }
        Ok(())
    }

    /// The value of the term; `time` is that of the match.
    pub fn value(&self, term: &Term, variables: &[String], time: i64) -> Result<ScalarValue, RunError> {
        Ok(match (self, term.kind) {
            (Slot::First { value, .. } | Slot::Value(value), _) => value.clone(),
            (Slot::Last(values), Kind::Last(before)) if values.len() > before => {
                values[values.len() - 1 - before].clone()
            }
            (Slot::Last(_), _) => ScalarValue::try_from(&term.ty)?,
            (Slot::Count(count), _) => ScalarValue::Int64(Some(*count)),
            (Slot::Average { sum, count }, _) => {
                ScalarValue::Float64((*count > 0).then(|| sum / *count as f64))
            }
            (Slot::Variable(variable), _) => {
                ScalarValue::Utf8(variable.and_then(|variable| variables.get(variable).cloned()))
            }
            (Slot::MatchTime, _) => ScalarValue::TimestampMicrosecond(Some(time), Some("UTC".into())),
        })
    }

    /// Memory beside its own.
    pub fn heap_bytes(&self) -> usize {
        let of = |value: &ScalarValue| match value {
            ScalarValue::Utf8(Some(text)) => text.capacity(),
            _ => 0,
        };
        match self {
            Slot::First { value, .. } | Slot::Value(value) => of(value),
            Slot::Last(values) => {
                values.capacity() * size_of::<ScalarValue>() + values.iter().map(of).sum::<usize>()
            }
            _ => 0,
        }
    }

    /// The slot as values of the types of [`cell_types`].
    pub fn cells(&self, term: &Term) -> Result<Vec<ScalarValue>, RunError> {
        let whole = |number: usize| ScalarValue::Int64(Some(number as i64));
        Ok(match self {
            Slot::First { seen, value } => vec![whole(*seen), value.clone()],
            Slot::Last(values) => {
                let mut cells = vec![whole(values.len())];
                cells.extend(values.iter().cloned());
                cells.resize(cell_types(term).len(), ScalarValue::try_from(&term.ty)?);
                cells
            }
            Slot::Count(count) => vec![ScalarValue::Int64(Some(*count))],
            Slot::Average { sum, count } => {
                vec![ScalarValue::Float64(Some(*sum)), ScalarValue::Int64(Some(*count))]
            }
            Slot::Value(value) => vec![value.clone()],
            Slot::Variable(variable) => vec![ScalarValue::Int64(variable.map(|variable| variable as i64))],
            Slot::MatchTime => vec![],
        })
    }

    /// The slot that gave these cells.
    pub fn from_cells(term: &Term, cells: &[ScalarValue]) -> Result<Slot, RunError> {
        const WRONG: RunError = RunError::State { what: "a term of a pattern has other values" };
        let whole = |cell: &ScalarValue| match cell {
            ScalarValue::Int64(Some(number)) => usize::try_from(*number).map_err(|_| WRONG),
            _ => Err(WRONG),
        };
        Ok(match (term.kind, cells) {
            (Kind::First(_), [seen, value]) => Slot::First { seen: whole(seen)?, value: value.clone() },
            (Kind::Last(_), [length, values @ ..]) => {
                Slot::Last(values.get(..whole(length)?).ok_or(WRONG)?.to_vec())
            }
            (Kind::Count, [ScalarValue::Int64(Some(count))]) => Slot::Count(*count),
            (Kind::Average, [ScalarValue::Float64(Some(sum)), ScalarValue::Int64(Some(count))]) => {
                Slot::Average { sum: *sum, count: *count }
            }
            (Kind::Sum | Kind::Least | Kind::Greatest, [value]) => Slot::Value(value.clone()),
            (Kind::Classifier, [ScalarValue::Int64(None)]) => Slot::Variable(None),
            (Kind::Classifier, [variable]) => Slot::Variable(Some(whole(variable)?)),
            (Kind::MatchTime, []) => Slot::MatchTime,
            _ => return Err(WRONG),
        })
    }
}

/// The types of the values that a slot is made of.
pub(super) fn cell_types(term: &Term) -> Vec<DataType> {
    match term.kind {
        Kind::First(_) => vec![DataType::Int64, term.ty.clone()],
        Kind::Last(before) => {
            let mut types = vec![DataType::Int64];
            types.resize(before + 2, term.ty.clone());
            types
        }
        Kind::Count | Kind::Classifier => vec![DataType::Int64],
        Kind::Average => vec![DataType::Float64, DataType::Int64],
        Kind::Sum | Kind::Least | Kind::Greatest => vec![term.ty.clone()],
        Kind::MatchTime => vec![],
    }
}

/// Adds a value that is not null, or takes it when it is less or greater. Whole numbers wrap, as in windows.
fn combine(value: &mut ScalarValue, kind: Kind, other: &ScalarValue) -> Result<(), RunError> {
    let is_taken = match kind {
        _ if value.is_null() => true,
        Kind::Least => other.try_cmp(value)?.is_lt(),
        Kind::Greatest => other.try_cmp(value)?.is_gt(),
        _ => {
            match (value, other) {
                (ScalarValue::Int64(Some(sum)), ScalarValue::Int64(Some(number))) => {
                    *sum = sum.wrapping_add(*number);
                }
                (ScalarValue::Float64(Some(sum)), ScalarValue::Float64(Some(number))) => *sum += number,
                _ => {}
            }
            return Ok(());
        }
    };
    if is_taken {
        *value = other.clone();
    }
    Ok(())
}
