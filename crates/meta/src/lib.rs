//! Everything that has a name: streams and their schemas, tables, functions, devices, tokens, persons, pipelines, alerts, the
//! quarantine, the list of lake files, last values, and how far each consumer of the log has come.
//!
//! Readings never pass here; the log holds them. What is here is small, is changed in transactions, and
//! must survive everything. Each noun has a module with its types and a trait; [`Meta`] is all of them
//! together, and is what other crates hold as `Arc<dyn Meta>`. [`SqliteMeta`] keeps it in one file;
//! [`conformance`] says what any other implementation has to do as well.
//!
//! A consumer of the log that writes here hands in its offset with the effect (`commit`), and both become
//! durable in one transaction: that is how an effect happens exactly once although the log is read again
//! after a crash.
//!
//! No tenant sees another's rows: what belongs to a tenant is asked for with the tenant's name.

mod alerts;
mod certificates;
pub mod conformance;
mod consumers;
mod devices;
mod error;
mod files;
mod functions;
mod persons;
mod pipelines;
mod quarantine;
mod secrets;
mod settings;
mod sqlite;
mod streams;
mod tables;
mod tokens;
mod twin;

pub use alerts::{AlertCount, AlertEvent, AlertFilter, Alerts};
pub use certificates::{CLAIM_PREFIX, CertificateEntry, Certificates, NewCertificate};
pub use consumers::Consumers;
pub use devices::{Device, Devices, NewDevice, Seen};
pub use error::MetaError;
pub use files::{AddedFiles, LakeFile, LakeFiles};
pub use functions::{FunctionDefinition, FunctionEntry, Functions, NewComponent, NewFunction};
pub use persons::{Link, LinkPurpose, NewPerson, Person, Persons};
pub use pipelines::{NewPipeline, PipelineEntry, PipelineKind, PipelineState, PipelineVersion, Pipelines};
pub use quarantine::{
    QUARANTINED_BYTES_MIN, Quarantine, QuarantineCount, QuarantineFilter, QuarantinedMessage, Trimmed,
};
pub use secrets::{PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, PasswordError, check_password};
pub use settings::Settings;
pub use sqlite::SqliteMeta;
pub use streams::{
    Approval, DEFAULT_IDLE_US, DEFAULT_WATERMARK_DELAY_US, NewStream, Origin, StreamEntry, Streams,
};
pub use tables::{NewTable, ReferenceTables, TableEntry, TableVersion};
pub use tokens::{NewToken, TOKEN_PREFIX, TokenInfo, Tokens};
pub use twin::{TwinRow, TwinRows};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, MetaError>;

/// Progress of a consumer of the log, made durable together with what it has done: its name and the offset
/// of the first record that it has *not* dealt with.
pub type Commit<'a> = Option<(&'a str, u64)>;

/// The whole store. Methods live in the traits of the nouns; a `dyn Meta` offers all of them without imports.
pub trait Meta:
    Streams
    + ReferenceTables
    + Functions
    + Devices
    + Tokens
    + Certificates
    + Persons
    + Pipelines
    + Alerts
    + Quarantine
    + Consumers
    + LakeFiles
    + TwinRows
    + Settings
{
}

impl<T> Meta for T where
    T: Streams
        + ReferenceTables
        + Functions
        + Devices
        + Tokens
        + Certificates
        + Persons
        + Pipelines
        + Alerts
        + Quarantine
        + Consumers
        + LakeFiles
        + TwinRows
        + Settings
{
}
