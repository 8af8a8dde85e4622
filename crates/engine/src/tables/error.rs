//! Why rows cannot become those of a table.

use springhouse_model::ErrorClass;

/// A load that was refused. The rows that the table had stay.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{from}, line {line}: column `{column}`: {why}")]
    Value { from: String, line: u64, column: String, why: String },
    #[error("{from}, line {line}: {why}")]
    Line { from: String, line: u64, why: String },
    #[error("{from} has no column `{column}`; its columns are {found}")]
    NoColumn { from: String, column: String, found: String },
    #[error("{from}, line {line}: the key {key} stands in line {earlier} already")]
    Twice { from: String, line: u64, earlier: u64, key: String },
    #[error(
        "{from} has more than {rows_max} rows; hint: a table is held in memory whole; `tables.rows_max` allows more"
    )]
    TooManyRows { from: String, rows_max: usize },
    #[error(
        "{from} has more than {bytes_max} bytes; hint: a table is held in memory whole; `tables.bytes_max` allows more"
    )]
    TooLarge { from: String, bytes_max: usize },
    #[error("{from} cannot be read as {format}: {why}")]
    Format { from: String, format: &'static str, why: String },
    #[error("cannot {doing} `{path}`: {source}")]
    File { doing: &'static str, path: String, source: std::io::Error },
    #[error("{from}: the rows cannot be put in the order of their key: {source}")]
    Order { from: String, source: arrow::error::ArrowError },
}

impl LoadError {
    pub fn class(&self) -> ErrorClass {
        match self {
            LoadError::File { .. } => ErrorClass::Environment,
            LoadError::Order { .. } => ErrorClass::Internal,
            _ => ErrorClass::User,
        }
    }
}
