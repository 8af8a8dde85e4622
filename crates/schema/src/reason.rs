//! Why a message was not let in. The codes are part of the API: metrics, quarantine and page use them.

use std::fmt;
use std::str::FromStr;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:literal $text:literal)+) => {
        /// Why a message is in quarantine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$name),+];

            /// A stable name for programs: metric label, API value.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$name => $code),+ }
            }

            /// One sentence for a person.
            pub const fn text(self) -> &'static str {
                match self { $(Reason::$name => $text),+ }
            }
        }
    };
}

reasons! {
    NotUtf8 "not_utf8" "the payload is not UTF-8 text"
    /// Also NaN and Infinity, which JSON does not have.
    NotJson "not_json" "the payload is not JSON"
    NotAnObject "not_an_object" "the payload is neither an object nor an array of objects"
    /// A number beyond the range of a double, such as `1e400`.
    NotFinite "not_finite" "a number is too large for any numeric type"
    DuplicateKey "duplicate_key" "a property occurs twice in one object"
    MissingField "missing_field" "a required property is missing"
    WrongType "wrong_type" "a property has another type than the schema says"
    UnknownField "unknown_field" "the schema does not have this property and does not grow"
    TooDeep "too_deep" "objects or arrays are nested too deeply"
    TooLarge "too_large" "the message has too many bytes or rows"
    TooManyFields "too_many_fields" "the stream would have too many properties"
    BadTime "bad_time" "the event time is neither RFC 3339 nor an epoch number"
    TimeOutOfRange "time_out_of_range" "the event time is too far in the past or in the future"
    BadName "bad_name" "the topic holds a name that a device or stream cannot have"
    UnknownStream "unknown_stream" "the stream is not registered and streams are not added by messages"
    UnknownDevice "unknown_device" "the device is not registered and devices are not added by messages"
    StreamRefused "stream_refused" "the stream has been refused"
    DeviceRefused "device_refused" "the device has been refused"
    NotWritable "not_writable" "the stream is written by a pipeline, not by devices"
    NotComputed "not_computed" "a pipeline has an expression without a value for this row"
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The text is no code of a [`Reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quarantine reason")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(code: &str) -> Result<Reason, UnknownReason> {
        Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
            .ok_or_else(|| UnknownReason(code.to_owned()))
    }
}

/// A refused message: the reason, and where in the payload it was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    pub reason: Reason,
    /// Names the property and what was expected against what came; never more than a few words of the payload.
    pub detail: String,
}

impl Rejection {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(*reason));
        }
        assert!("no_such_thing".parse::<Reason>().is_err());
    }
}
