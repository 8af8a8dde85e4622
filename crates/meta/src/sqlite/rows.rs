//! From columns to words of the model, and the statements that several nouns share.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use springhouse_model::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::database;
use crate::{Commit, MetaError, Result};

/// Reads the columns of one row; `table` is for the errors.
pub(super) struct Columns<'r> {
    pub table: &'static str,
    pub row: &'r SqliteRow,
}

impl Columns<'_> {
    pub fn text(&self, column: &str) -> Result<String> {
        self.row.try_get(column).map_err(database("read a row"))
    }

    pub fn text_if(&self, column: &str) -> Result<Option<String>> {
        self.row.try_get(column).map_err(database("read a row"))
    }

    pub fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        self.row.try_get(column).map_err(database("read a row"))
    }

    pub fn signed(&self, column: &str) -> Result<i64> {
        self.row.try_get(column).map_err(database("read a row"))
    }

    pub fn signed_if(&self, column: &str) -> Result<Option<i64>> {
        self.row.try_get(column).map_err(database("read a row"))
    }

    /// A number that is never negative and fits the type asked for.
    pub fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        let value = self.signed(column)?;
        T::try_from(value).map_err(|_| self.corrupt("number in range", value.to_string()))
    }

    pub fn number_if<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>> {
        match self.signed_if(column)? {
            None => Ok(None),
            Some(value) => {
                T::try_from(value).map(Some).map_err(|_| self.corrupt("number in range", value.to_string()))
            }
        }
    }

    pub fn time(&self, column: &str) -> Result<Timestamp> {
        self.signed(column).map(Timestamp)
    }

    pub fn time_if(&self, column: &str) -> Result<Option<Timestamp>> {
        Ok(self.signed_if(column)?.map(Timestamp))
    }

    pub fn word<T: FromStr>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.corrupt("name", text))
    }

    pub fn word_if<T: FromStr>(&self, column: &str) -> Result<Option<T>> {
        match self.text_if(column)? {
            Some(text) => text.parse().map(Some).map_err(|_| self.corrupt("name", text)),
            None => Ok(None),
        }
    }

    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| self.corrupt("JSON value of its type", text))
    }

    /// What its type has by default where the column has nothing.
    pub fn json_or_default<T: DeserializeOwned + Default>(&self, column: &str) -> Result<T> {
        match self.text_if(column)? {
            Some(_) => self.json(column),
            None => Ok(T::default()),
        }
    }

    fn corrupt(&self, expected: &'static str, value: String) -> MetaError {
        MetaError::Corrupt { table: self.table, expected, value }
    }
}

/// JSON text for a column.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|source| MetaError::Environment { doing: "write a value as JSON", source: source.into() })
}

/// Numbers beyond the signed range do not occur: an offset would take millennia to get there.
pub(super) fn to_signed<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The next number of a sequence; given once, even if what it was for is deleted.
pub(super) async fn next_id(connection: &mut SqliteConnection, sequence: &'static str) -> Result<i64> {
    let doing = "draw a number";
    let row = sqlx::query("UPDATE sequences SET next = next + 1 WHERE name = $1 RETURNING next - 1 AS drawn")
        .bind(sequence)
        .fetch_one(connection)
        .await
        .map_err(database(doing))?;
    row.try_get("drawn").map_err(database(doing))
}

/// Moves a consumer inside the transaction of its effect; refuses to move it back.
pub(super) async fn move_consumer(connection: &mut SqliteConnection, commit: Commit<'_>) -> Result<()> {
    let Some((consumer, offset)) = commit else { return Ok(()) };
    let doing = "move a consumer";
    let moved = sqlx::query(
        "INSERT INTO consumers (name, next_offset) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET next_offset = excluded.next_offset
         WHERE consumers.next_offset <= excluded.next_offset",
    )
    .bind(consumer)
    .bind(to_signed(offset))
    .execute(&mut *connection)
    .await
    .map_err(database(doing))?;
    if moved.rows_affected() == 1 {
        return Ok(());
    }
    let stored = sqlx::query("SELECT next_offset FROM consumers WHERE name = $1")
        .bind(consumer)
        .fetch_one(connection)
        .await
        .map_err(database(doing))?;
    let stored = Columns { table: "consumers", row: &stored }.number("next_offset")?;
    Err(MetaError::Stale { consumer: consumer.to_owned(), stored, offered: offset })
}
