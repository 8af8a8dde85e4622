//! Statements of Springhouse: what a person writes in a file, on the page or at the command line.
//!
//! Springhouse's own words (`CREATE STREAM`, `WATERMARK FOR`, `CREATE PIPELINE … INTO …`) are read here from the
//! tokens of sqlparser; the SELECT inside is cut out as text and left to the planner, with its place in the whole so that
//! later errors name the line and column that the person sees. Nothing is looked up here: a statement that
//! names a stream which does not exist is a correct statement.

mod alert;
mod create;
mod cursor;
mod function;
mod interval;
mod likeness;
mod rewrite;
mod table;

use std::fmt;

use springhouse_model::{StreamName, ValueType};

pub use alert::{Condition, CreateAlert, Firing, KeyColumn};
pub use cursor::ParseError;
pub use function::{CreateFunction, FunctionBody, Parameter};
pub use likeness::is_same;
pub use table::{CreateTable, RowFormat, RowSource};

pub(crate) use rewrite::{CHANGE_MARK, WITHIN_MARK};

use cursor::Cursor;

/// A line and a column in the text that a person wrote, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    /// The beginning of a text.
    pub const START: Position = Position { line: 1, column: 1 };

    /// The text behind as many blanks as bring it to this place.
    pub(crate) fn place(self, text: &str) -> String {
        let lines = "\n".repeat(self.line.saturating_sub(1) as usize);
        let columns = " ".repeat(self.column.saturating_sub(1) as usize);
        format!("{lines}{columns}{text}")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    CreateStream(CreateStream),
    CreateTable(CreateTable),
    CreateFunction(CreateFunction),
    CreatePipeline(CreatePipeline),
    CreateAlert(CreateAlert),
    DropStream {
        name: StreamName,
        if_exists: bool,
    },
    DropTable {
        name: StreamName,
        if_exists: bool,
    },
    DropFunction {
        name: StreamName,
        if_exists: bool,
    },
    /// Reads the source of a table again.
    RefreshTable {
        name: StreamName,
    },
    DropPipeline {
        name: StreamName,
        if_exists: bool,
    },
    DropAlert {
        name: StreamName,
        if_exists: bool,
    },
    PausePipeline {
        name: StreamName,
    },
    ResumePipeline {
        name: StreamName,
    },
    /// Makes the statement of an older version the present one; without a number, that of the version before.
    RollbackPipeline {
        name: StreamName,
        version: Option<u32>,
    },
    ShowStreams,
    ShowTables,
    ShowFunctions,
    ShowPipelines,
    ShowAlerts,
    /// Of a pipeline or an alert.
    ShowVersions {
        name: StreamName,
    },
    Describe {
        name: StreamName,
    },
    /// Of a pipeline or an alert.
    Explain {
        name: StreamName,
    },
    /// Anything that returns rows, behind blanks that keep its place in what was written. Flink's spelling of window
    /// functions is already rewritten to ours.
    Query(String),
}

impl Statement {
    /// Whether running it changes something, which needs more than the right to read.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Statement::ShowStreams
                | Statement::ShowTables
                | Statement::ShowFunctions
                | Statement::ShowPipelines
                | Statement::ShowAlerts
                | Statement::ShowVersions { .. }
                | Statement::Describe { .. }
                | Statement::Explain { .. }
                | Statement::Query(_)
        )
    }

    /// The words with which the statement begins, for messages and the audit: `CREATE STREAM`.
    pub fn verb(&self) -> &'static str {
        match self {
            Statement::CreateStream(_) => "CREATE STREAM",
            Statement::CreateTable(_) => "CREATE TABLE",
            Statement::CreateFunction(_) => "CREATE FUNCTION",
            Statement::CreatePipeline(_) => "CREATE PIPELINE",
            Statement::CreateAlert(_) => "CREATE ALERT",
            Statement::DropStream { .. } => "DROP STREAM",
            Statement::DropTable { .. } => "DROP TABLE",
            Statement::DropFunction { .. } => "DROP FUNCTION",
            Statement::RefreshTable { .. } => "REFRESH TABLE",
            Statement::DropPipeline { .. } => "DROP PIPELINE",
            Statement::DropAlert { .. } => "DROP ALERT",
            Statement::PausePipeline { .. } => "PAUSE PIPELINE",
            Statement::ResumePipeline { .. } => "RESUME PIPELINE",
            Statement::RollbackPipeline { .. } => "ROLLBACK PIPELINE",
            Statement::ShowStreams => "SHOW STREAMS",
            Statement::ShowTables => "SHOW TABLES",
            Statement::ShowFunctions => "SHOW FUNCTIONS",
            Statement::ShowPipelines => "SHOW PIPELINES",
            Statement::ShowAlerts => "SHOW ALERTS",
            Statement::ShowVersions { .. } => "SHOW VERSIONS",
            Statement::Describe { .. } => "DESCRIBE",
            Statement::Explain { .. } => "EXPLAIN PIPELINE",
            Statement::Query(_) => "SELECT",
        }
    }
}

/// `CREATE STREAM name (col TYPE [NOT NULL], …, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND [IDLE AFTER INTERVAL …])`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateStream {
    pub name: StreamName,
    pub if_not_exists: bool,
    /// Properties only; `ts`, `device` and `site` may be listed and are checked, since every stream has them.
    pub columns: Vec<Column>,
    /// How far the watermark stays behind the largest event time; `None` when nothing was said.
    pub watermark_delay_us: Option<i64>,
    /// After this silence event time goes on with the clock; `None` for never.
    pub idle_us: Option<i64>,
    /// The statement as written.
    pub text: String,
}

/// A property column of `CREATE STREAM`.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub ty: ValueType,
    pub required: bool,
    /// As a chart shows it: `W`, `°C`.
    pub unit: Option<String>,
}

/// `CREATE [OR REPLACE] PIPELINE name INTO stream [ALLOWED LATENESS INTERVAL …] AS SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatePipeline {
    pub name: StreamName,
    pub into: StreamName,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub select: Select,
    /// The statement as written.
    pub text: String,
}

/// The continuous query of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// From `SELECT` to the end of the statement, in our spelling, every character at its place in the original.
    pub text: String,
    /// Where the text begins in what the person wrote.
    pub at: Position,
    /// How long after its end a window still takes rows, beyond the watermark; also delays its result.
    pub allowed_lateness_us: i64,
    /// How often windows give what there is before they close; never without it.
    pub emit_every_us: Option<i64>,
    /// For an alert; empty for other queries.
    pub firing: Firing,
}

impl Select {
    /// A query that stands alone.
    pub fn bare(text: impl Into<String>) -> Select {
        let firing = Firing::default();
        Select { text: text.into(), at: Position::START, allowed_lateness_us: 0, emit_every_us: None, firing }
    }
}

/// Reads the statements of a text, separated by `;`.
pub fn parse(sql: &str) -> Result<Vec<Statement>, ParseError> {
    each(sql, |_, _, statement| statement)
}

/// The texts of the statements, each at its place: errors in them name the lines of the whole.
pub fn split(sql: &str) -> Result<Vec<String>, ParseError> {
    each(sql, |cursor, start, _| cursor.position(start).place(&cursor.text_since(start)))
}

/// What `take` makes of each statement; the cursor stands behind it.
fn each<T>(
    sql: &str,
    take: impl Fn(&Cursor<'_>, cursor::Mark, Statement) -> T,
) -> Result<Vec<T>, ParseError> {
    let mut cursor = Cursor::new(sql)?;
    let mut taken = Vec::new();
    loop {
        while cursor.take_semicolon() {}
        if cursor.is_at_end() {
            return Ok(taken);
        }
        let start = cursor.mark();
        let statement = statement(&mut cursor)?;
        taken.push(take(&cursor, start, statement));
        if !cursor.is_at_end() && !cursor.take_semicolon() {
            return Err(cursor.expected("`;` or the end", None));
        }
    }
}

/// Reads a text that must hold exactly one statement.
pub fn parse_one(sql: &str) -> Result<Statement, ParseError> {
    let mut statements = parse(sql)?;
    match statements.len() {
        1 => Ok(statements.remove(0)),
        0 => Err(ParseError::at(Position::START, "a statement", "nothing", None)),
        count => Err(ParseError::at(
            Position::START,
            "one statement",
            format!("{count} statements"),
            Some("run them one after the other".to_owned()),
        )),
    }
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    if cursor.is_query_start() {
        let (text, at) = cursor.rest_of_statement()?;
        return Ok(Statement::Query(at.place(&text)));
    }
    let start = cursor.mark();
    let Some(verb) = cursor.take_any_word() else {
        return Err(cursor.expected("a statement", Some(KNOWN)));
    };
    match verb.as_str() {
        "CREATE" => create::create(cursor, start),
        "DROP" => drop_statement(cursor),
        "PAUSE" => {
            pipeline_word(cursor)?;
            Ok(Statement::PausePipeline { name: cursor.stream_name("the pipeline's name")? })
        }
        "RESUME" => {
            pipeline_word(cursor)?;
            Ok(Statement::ResumePipeline { name: cursor.stream_name("the pipeline's name")? })
        }
        "ROLLBACK" => {
            pipeline_word(cursor)?;
            let name = cursor.stream_name("the pipeline's name")?;
            let version = match cursor.take_words(&["TO", "VERSION"])? {
                true => Some(cursor.number("the number of a version")?),
                false => None,
            };
            Ok(Statement::RollbackPipeline { name, version })
        }
        "SHOW" if cursor.take_words(&["VERSIONS", "OF"])? => {
            pipeline_word(cursor)?;
            Ok(Statement::ShowVersions { name: cursor.stream_name("the pipeline's name")? })
        }
        "REFRESH" => {
            cursor.expect_word("TABLE")?;
            Ok(Statement::RefreshTable { name: cursor.stream_name("the table's name")? })
        }
        "SHOW" if cursor.take_word("STREAMS") => Ok(Statement::ShowStreams),
        "SHOW" if cursor.take_word("TABLES") => Ok(Statement::ShowTables),
        "SHOW" if cursor.take_word("FUNCTIONS") => Ok(Statement::ShowFunctions),
        "SHOW" if cursor.take_word("PIPELINES") => Ok(Statement::ShowPipelines),
        "SHOW" if cursor.take_word("ALERTS") => Ok(Statement::ShowAlerts),
        "SHOW" => Err(cursor.expected("STREAMS, TABLES, FUNCTIONS, PIPELINES, ALERTS or VERSIONS OF", None)),
        "DESCRIBE" | "DESC" => {
            let kinds = ["STREAM", "TABLE", "FUNCTION", "PIPELINE", "ALERT"];
            let _ = kinds.into_iter().any(|kind| cursor.take_word(kind));
            let expected = "a stream's, table's, function's or pipeline's name";
            Ok(Statement::Describe { name: cursor.stream_name(expected)? })
        }
        "EXPLAIN" => {
            pipeline_word(cursor)?;
            Ok(Statement::Explain { name: cursor.stream_name("the pipeline's name")? })
        }
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "ALTER" => Err(cursor.error_at(
            start,
            "a statement",
            format!("`{verb}`"),
            Some("streams are filled by devices and pipelines; rows are never changed by SQL".to_owned()),
        )),
        _ => Err(cursor.error_at(start, "a statement", format!("`{verb}`"), Some(KNOWN.to_owned()))),
    }
}

const KNOWN: &str = "SELECT, CREATE STREAM | TABLE | FUNCTION | PIPELINE | ALERT, DROP, REFRESH TABLE, PAUSE, RESUME, ROLLBACK, SHOW, DESCRIBE and EXPLAIN PIPELINE are known";

fn pipeline_word(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    match cursor.take_word("PIPELINE") || cursor.take_word("ALERT") {
        true => Ok(()),
        false => Err(cursor.expected("PIPELINE or ALERT", None)),
    }
}

fn drop_statement(cursor: &mut Cursor<'_>) -> Result<Statement, ParseError> {
    let kinds = ["STREAM", "TABLE", "FUNCTION", "PIPELINE", "ALERT"];
    let Some(kind) = kinds.into_iter().find(|kind| cursor.take_word(kind)) else {
        return Err(cursor.expected("STREAM, TABLE, FUNCTION, PIPELINE or ALERT", None));
    };
    let if_exists = cursor.take_words(&["IF", "EXISTS"])?;
    if kind == "FUNCTION" {
        return Ok(Statement::DropFunction { name: function::function_name(cursor)?, if_exists });
    }
    let name = cursor.stream_name("a name")?;
    Ok(match kind {
        "STREAM" => Statement::DropStream { name, if_exists },
        "TABLE" => Statement::DropTable { name, if_exists },
        "PIPELINE" => Statement::DropPipeline { name, if_exists },
        _ => Statement::DropAlert { name, if_exists },
    })
}

#[cfg(test)]
mod tests;
