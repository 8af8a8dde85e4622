//! What can go wrong while a pipeline runs.

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use springhouse_model::ErrorClass;

use crate::TimeOver;

/// A fault in the rows' way through the operators.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something has no value after rows have been taken in: an aggregate of them, most of all.
    #[error("cannot evaluate the query: {}", message(.0))]
    Evaluate(DataFusionError),
    /// An expression has no value for one of the rows: division by zero, a text that is no number. The operator has not taken in
    /// any of the rows that it was given with it, so that they can be given again without it.
    #[error("cannot evaluate the query: {}", message(.0))]
    Row(DataFusionError),
    /// So many rows after each other cannot be what the statement is meant for.
    #[error("cannot evaluate the query for any of the last {rows} rows; the last one: {why}")]
    NoRow { rows: u64, why: String },
    #[error("cannot build a batch: {0}")]
    Batch(ArrowError),
    #[error(
        "a join makes more than {pairs} rows of {rows}; hint: bring the rows nearer together in time, or add an equal key"
    )]
    TooManyPairs { rows: usize, pairs: usize },
    /// Rows are far apart, and many of them came at once.
    #[error(
        "more than {rows_max} rows of a grid stand between rows that came together; hint: a longer step, or a shorter gap"
    )]
    Grid { rows_max: usize },
    /// The rows of one partition leave too many possibilities open.
    #[error(
        "a pattern has more than {ways_max} ways open in one partition; hint: a shorter WITHIN, conditions that fewer \
         rows fulfill, or a finer PARTITION BY"
    )]
    Pattern { ways_max: usize },
    /// A snapshot does not belong to this query or is damaged inside.
    #[error("the state of the pipeline does not fit: {what}")]
    State { what: &'static str },
}

/// What is wrong with it, for a person.
pub(crate) fn message(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ArrowError(arrow, _) if matches!(**arrow, ArrowError::DivideByZero) => {
            "division by zero; hint: divide by nullif(x, 0), which gives null instead".to_owned()
        }
        root => root.message().into_owned(),
    }
}

impl RunError {
    /// The computation was given up because it took too long.
    pub fn time_over(&self) -> Option<TimeOver> {
        let (RunError::Evaluate(error) | RunError::Row(error)) = self else { return None };
        TimeOver::of(error)
    }

    pub fn class(&self) -> ErrorClass {
        match self {
            RunError::Evaluate(_)
            | RunError::Row(_)
            | RunError::NoRow { .. }
            | RunError::TooManyPairs { .. }
            | RunError::Grid { .. }
            | RunError::Pattern { .. } => ErrorClass::User,
            RunError::Batch(_) => ErrorClass::Internal,
            RunError::State { .. } => ErrorClass::Environment,
        }
    }
}

impl From<DataFusionError> for RunError {
    fn from(error: DataFusionError) -> RunError {
        RunError::Evaluate(error)
    }
}

impl From<ArrowError> for RunError {
    fn from(error: ArrowError) -> RunError {
        match error {
            ArrowError::DivideByZero | ArrowError::ArithmeticOverflow(_) | ArrowError::ComputeError(_) => {
                RunError::Evaluate(DataFusionError::ArrowError(Box::new(error), None))
            }
            other => RunError::Batch(other),
        }
    }
}
