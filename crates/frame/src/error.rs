//! Why a batch cannot become a frame, or bytes are not one.

use springhouse_model::ErrorClass;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error(
        "column `{column}` has type {found}; hint: a frame carries Boolean, Int64, Float64, Utf8 and Timestamp(µs, UTC)"
    )]
    UnsupportedType { column: String, found: String },
    #[error(
        "frame version {found} is not known, the highest known is {known}; hint: a newer Springhouse wrote it"
    )]
    NewerVersion { found: u8, known: u8 },
    #[error("frame is malformed: {what}")]
    Malformed { what: &'static str },
    #[error("frame declares {found} {what}, at most {allowed} are allowed")]
    TooLarge { what: &'static str, found: u64, allowed: u64 },
}

impl FrameError {
    pub fn class(&self) -> ErrorClass {
        match self {
            FrameError::UnsupportedType { .. } => ErrorClass::Internal,
            FrameError::NewerVersion { .. } => ErrorClass::Environment,
            FrameError::Malformed { .. } | FrameError::TooLarge { .. } => ErrorClass::User,
        }
    }
}
