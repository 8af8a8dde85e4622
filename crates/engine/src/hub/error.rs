//! What can go wrong when the engine is asked for something.

use std::path::PathBuf;

use springhouse_ingest::{IngestError, RegistryError};
use springhouse_log::LogError;
use springhouse_meta::MetaError;
use springhouse_model::{ErrorClass, StreamName};

use crate::tables::{FetchError, LoadError};
use crate::{Interrupted, PlanError, RunError};

/// A statement that was not carried out, or an engine that could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("{kind} `{name}` does not exist")]
    NotFound { kind: &'static str, name: StreamName },
    #[error("`{name}` does not run; hint: RESUME PIPELINE {name}")]
    NotRunning { name: StreamName },
    #[error("{kind} `{name}` exists already{}", exists_hint(kind))]
    Exists { kind: &'static str, name: StreamName },
    #[error("stream `{stream}` is in use by {users}; hint: drop what uses it first")]
    InUse { stream: StreamName, users: String },
    #[error("table `{table}` is in use by {users}; hint: drop what uses it first")]
    TableInUse { table: StreamName, users: String },
    #[error("function `{function}` is in use by {users}; hint: drop or replace what uses it first")]
    FunctionInUse { function: StreamName, users: String },
    #[error("table `{name}` has no source; hint: its rows are sent: springhouse table load {name} FILE")]
    NoSource { name: StreamName },
    #[error("table `{name}` has a source; hint: REFRESH TABLE {name} reads it again")]
    HasSource { name: StreamName },
    #[error("the query of table `{name}` gives no rows: {why}")]
    TableQuery { name: StreamName, why: String },
    #[error(
        "the versions of table `{name}` take {bytes} bytes, at most {bytes_max} are allowed; hint: a pipeline that is paused \
         or has failed keeps them: resume or drop it"
    )]
    TableVersions { name: StreamName, bytes: u64, bytes_max: u64 },
    #[error(
        "`{place}` is no file below {directories}; hint: `tables.directories` says from where tables may be read"
    )]
    Place { place: String, directories: String },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot {doing} `{}`", path.display())]
    TableFile { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("`{name}` cannot fill `{stream}`: {why}")]
    Target { name: StreamName, stream: StreamName, why: String },
    #[error("this is a query; hint: ask it of the lake, or CREATE PIPELINE name INTO stream AS …")]
    IsQuery,
    #[error("cannot read or write what the pipelines are")]
    Meta(#[from] MetaError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "its open windows hold {bytes} bytes, at most {bytes_max} are allowed; hint: shorter windows, fewer keys, or \
         aggregates that keep less than every value"
    )]
    StateTooLarge { bytes: usize, bytes_max: usize },
    #[error(
        "its open windows hold {bytes} bytes, and those of all pipelines {all}, at most {all_max} are allowed; hint: \
         fewer pipelines with large windows"
    )]
    StatesTooLarge { bytes: usize, all: usize, all_max: usize },
    #[error("rows of the present version wait for the log; hint: make room on the disk and try again")]
    Unsettled,
    #[error("{kind} `{name}` has no version {version}; hint: SHOW VERSIONS OF PIPELINE {name}")]
    NoVersion { kind: &'static str, name: StreamName, version: u32 },
    #[error("cannot append rows")]
    Ingest(#[from] IngestError),
    #[error("cannot read the log")]
    Log(#[from] LogError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot {doing} `{}`", path.display())]
    Snapshot { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// A record of the log is not what its stream says.
    #[error("cannot read record {offset} of stream `{stream}`: {why}")]
    Record { offset: u64, stream: StreamName, why: String },
    #[error("cannot start the threads of the engine")]
    Threads(#[source] std::io::Error),
    #[error("a fault of the program; hint: the messages of the hub have the details")]
    Fault,
    /// By a fault of the program, or because the hub is stopping.
    #[error("the work was interrupted; hint: ask again, and if it happens again look at the hub's messages")]
    Interrupted,
    #[error("the engine is shutting down")]
    Closed,
}

fn exists_hint(kind: &str) -> &'static str {
    match kind {
        "stream" => "; hint: DROP STREAM first, or CREATE STREAM IF NOT EXISTS",
        "table" => "; hint: DROP TABLE first, or CREATE TABLE IF NOT EXISTS",
        "function" => {
            "; hint: CREATE OR REPLACE changes it; pipelines go on by the definition that they have"
        }
        _ => "; hint: CREATE OR REPLACE changes it and keeps its stream",
    }
}

impl EngineError {
    pub fn class(&self) -> ErrorClass {
        match self {
            EngineError::Plan(_)
            | EngineError::NotFound { .. }
            | EngineError::NotRunning { .. }
            | EngineError::Exists { .. }
            | EngineError::InUse { .. }
            | EngineError::TableInUse { .. }
            | EngineError::FunctionInUse { .. }
            | EngineError::NoSource { .. }
            | EngineError::HasSource { .. }
            | EngineError::TableQuery { .. }
            | EngineError::TableVersions { .. }
            | EngineError::Place { .. }
            | EngineError::Target { .. }
            | EngineError::NoVersion { .. }
            | EngineError::StateTooLarge { .. }
            | EngineError::StatesTooLarge { .. }
            | EngineError::IsQuery => ErrorClass::User,
            EngineError::Meta(error) => error.class(),
            EngineError::Registry(error) => error.class(),
            EngineError::Ingest(error) => error.class(),
            EngineError::Log(error) => error.class(),
            EngineError::Run(error) => error.class(),
            EngineError::Fetch(error) => error.class(),
            EngineError::Load(error) => error.class(),
            EngineError::Snapshot { .. }
            | EngineError::TableFile { .. }
            | EngineError::Unsettled
            | EngineError::Threads(_)
            | EngineError::Closed => ErrorClass::Environment,
            EngineError::Record { .. } | EngineError::Fault | EngineError::Interrupted => {
                ErrorClass::Internal
            }
        }
    }

    /// Whether trying again later may help without anybody changing the statement or the data.
    pub(crate) fn is_passing(&self) -> bool {
        self.class() == ErrorClass::Environment
    }

    /// The message with its causes, for a status that a person reads.
    pub(crate) fn full_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        text
    }
}

impl From<Interrupted> for EngineError {
    fn from(_: Interrupted) -> EngineError {
        EngineError::Interrupted
    }
}
