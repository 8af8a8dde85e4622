//! What can go wrong with the store, and whose fault it is.

use springhouse_model::ErrorClass;

use crate::PasswordError;

/// Why an operation of the store did not happen. Whatever failed has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    #[error(
        "`{path}` was written by a newer version of springhouse (layout {found}, this one knows {known}); \
         hint: start the newer version, or restore a backup"
    )]
    Newer { path: String, found: i64, known: i64 },
    #[error("{kind} `{name}` does not exist")]
    NotFound { kind: &'static str, name: String },
    #[error("{kind} `{name}` exists already or was changed by somebody else")]
    Conflict { kind: &'static str, name: String },
    /// Another process or an earlier life of this one has come further; its effects must not be repeated.
    #[error("consumer `{consumer}` stands at offset {stored}, expected at most {offered}")]
    Stale { consumer: String, stored: u64, offered: u64 },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("{table} holds `{value}`, which is not a {expected}")]
    Corrupt { table: &'static str, expected: &'static str, value: String },
    #[error("cannot {doing}")]
    Database {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("cannot {doing}")]
    Environment {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl MetaError {
    pub fn class(&self) -> ErrorClass {
        match self {
            MetaError::NotFound { .. } | MetaError::Conflict { .. } | MetaError::Password(_) => {
                ErrorClass::User
            }
            MetaError::Newer { .. } | MetaError::Database { .. } | MetaError::Environment { .. } => {
                ErrorClass::Environment
            }
            MetaError::Stale { .. } | MetaError::Corrupt { .. } => ErrorClass::Internal,
        }
    }

    /// A word for programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            MetaError::Newer { .. } => "newer_data",
            MetaError::NotFound { .. } => "not_found",
            MetaError::Conflict { .. } => "conflict",
            MetaError::Stale { .. } => "stale_consumer",
            MetaError::Password(_) => "password",
            MetaError::Corrupt { .. } => "corrupt",
            MetaError::Database { .. } => "database",
            MetaError::Environment { .. } => "environment",
        }
    }
}
