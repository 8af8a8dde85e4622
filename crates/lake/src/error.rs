//! What can go wrong with the lake, and whose fault it is.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use metrics::counter;
use springhouse_engine::{Interrupted, TimeOver};
use springhouse_log::LogError;
use springhouse_meta::MetaError;
use springhouse_model::ErrorClass;

#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("only one SELECT at a time can be asked here; hint: {hint}")]
    NotAQuery { hint: &'static str },
    /// What the planner or an expression says about the text.
    #[error("{message}")]
    Query { message: String },
    #[error("the query has {bytes} bytes, at most {bytes_max} are allowed")]
    QueryTooLong { bytes: usize, bytes_max: usize },
    #[error("the query ran longer than {limit:?}; hint: ask for fewer devices or a shorter time")]
    TimeLimit { limit: Duration },
    #[error(
        "the query needs more memory than is set aside for queries; hint: group by less, or ask for a shorter time"
    )]
    MemoryLimit,
    #[error("the query has {operators} operators and keywords, at most {operators_max} are allowed")]
    QueryTooDeep { operators: usize, operators_max: usize },
    #[error("stream `{name}` does not exist")]
    NoSuchStream { name: String },
    #[error("stream `{stream}` has no numeric property `{property}`")]
    NoSuchProperty { stream: String, property: String },
    /// The log was replaced by an older or an empty one. Going on would skip what it will hold at these offsets.
    #[error(
        "the lake has come to offset {lake}, but the log ends at {log}; hint: the log was deleted or restored from an \
         older backup, restore both together"
    )]
    LogBehind { lake: u64, log: u64 },
    /// Meta is from before: what the lake did since then is in objects that it does not know.
    #[error(
        "the lake has come to offset {lake} only, but the log begins at {log}; hint: meta was restored from an older backup \
         than the log, restore both together"
    )]
    MetaBehind { lake: u64, log: u64 },
    #[error("cannot {doing}")]
    Meta {
        doing: &'static str,
        #[source]
        source: MetaError,
    },
    #[error("cannot {doing}")]
    Log {
        doing: &'static str,
        #[source]
        source: LogError,
    },
    #[error("cannot {doing} `{path}`")]
    Storage {
        doing: &'static str,
        path: String,
        #[source]
        source: object_store::Error,
    },
    /// An object that the manifest lists is damaged or gone.
    #[error("history cannot be read; hint: the hub's messages name the object, restore it from a backup")]
    Unreadable,
    #[error("cannot {doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing}")]
    Arrow {
        doing: &'static str,
        #[source]
        source: Arc<DataFusionError>,
    },
    /// By a fault in the engine, or because the hub is stopping. What had come before is not all.
    #[error("the work was interrupted; hint: ask again, and if it happens again look at the hub's messages")]
    Interrupted,
}

impl LakeError {
    pub fn class(&self) -> ErrorClass {
        match self {
            LakeError::NotAQuery { .. }
            | LakeError::Query { .. }
            | LakeError::QueryTooLong { .. }
            | LakeError::QueryTooDeep { .. }
            | LakeError::TimeLimit { .. }
            | LakeError::MemoryLimit
            | LakeError::NoSuchStream { .. }
            | LakeError::NoSuchProperty { .. } => ErrorClass::User,
            LakeError::Meta { source, .. } => source.class(),
            LakeError::Log { source, .. } => source.class(),
            LakeError::Arrow { .. } | LakeError::Interrupted => ErrorClass::Internal,
            _ => ErrorClass::Environment,
        }
    }

    /// A word for programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            LakeError::NotAQuery { .. } => "not_a_query",
            LakeError::Query { .. } => "query",
            LakeError::QueryTooLong { .. } => "query_too_long",
            LakeError::QueryTooDeep { .. } => "query_too_deep",
            LakeError::TimeLimit { .. } => "query_time_limit",
            LakeError::MemoryLimit => "query_memory_limit",
            LakeError::NoSuchStream { .. } => "no_such_stream",
            LakeError::NoSuchProperty { .. } => "no_such_property",
            LakeError::LogBehind { .. } => "log_behind",
            LakeError::MetaBehind { .. } => "meta_behind",
            LakeError::Meta { .. } => "meta",
            LakeError::Log { .. } => "log",
            LakeError::Storage { .. } | LakeError::Io { .. } | LakeError::Unreadable => "storage",
            LakeError::Arrow { .. } => "arrow",
            LakeError::Interrupted => "interrupted",
        }
    }

    pub(crate) fn meta(doing: &'static str) -> impl FnOnce(MetaError) -> LakeError {
        move |source| LakeError::Meta { doing, source }
    }

    /// For work of the lake itself, where a failure is not the asker's fault.
    pub(crate) fn arrow<E: Into<DataFusionError>>(doing: &'static str) -> impl FnOnce(E) -> LakeError {
        move |source| LakeError::Arrow { doing, source: Arc::new(source.into()) }
    }

    /// For a query: what the engine says is for the person who wrote it.
    pub(crate) fn query(error: DataFusionError) -> LakeError {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => LakeError::MemoryLimit,
            DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => unreadable(&error),
            DataFusionError::External(source) if let Some(over) = source.downcast_ref::<TimeOver>() => {
                LakeError::TimeLimit { limit: over.limit }
            }
            // Of the engine's own planner, in words for people.
            DataFusionError::External(source) => LakeError::Query { message: source.to_string() },
            // The disk set aside for spilling is full; the engine has no kind of error for it.
            root if root.message().contains("max_temp_directory_size") => LakeError::MemoryLimit,
            DataFusionError::SQL(syntax, _) => {
                let (ParserError::ParserError(message) | ParserError::TokenizerError(message)) = &**syntax
                else {
                    return LakeError::Query { message: syntax.to_string() };
                };
                LakeError::Query { message: message.clone() }
            }
            root => LakeError::Query { message: plain(&root.strip_backtrace()) },
        }
    }
}

/// What was asked is right, so this is for the hub's messages; the path is nothing for the asker.
fn unreadable(error: &DataFusionError) -> LakeError {
    tracing::error!(error = error as &dyn std::error::Error, "an object of the lake cannot be read");
    counter!("springhouse_lake_unreadable_objects_total").increment(1);
    LakeError::Unreadable
}

/// Without the engine's name of the kind of error in front, which tells a person nothing.
fn plain(message: &str) -> String {
    const KINDS: [&str; 6] = [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
        "Invalid or Unsupported Configuration: ",
    ];
    let mut rest = message;
    while let Some(shorter) = KINDS.iter().find_map(|kind| rest.strip_prefix(kind)) {
        rest = shorter;
    }
    rest.to_owned()
}

impl From<Interrupted> for LakeError {
    fn from(_: Interrupted) -> LakeError {
        LakeError::Interrupted
    }
}
