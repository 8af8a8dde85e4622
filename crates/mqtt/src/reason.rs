//! Reason codes of MQTT 5 (§2.4), and faults of a peer that end its connection with one of them.

pub const SUCCESS: u8 = 0x00;
pub const NO_SUBSCRIPTION: u8 = 0x11;
pub const UNSPECIFIED: u8 = 0x80;
pub const MALFORMED: u8 = 0x81;
pub const PROTOCOL_ERROR: u8 = 0x82;
pub const SERVER_ERROR: u8 = 0x83;
pub const UNSUPPORTED_VERSION: u8 = 0x84;
pub const CLIENT_ID_INVALID: u8 = 0x85;
pub const BAD_CREDENTIALS: u8 = 0x86;
pub const NOT_AUTHORIZED: u8 = 0x87;
pub const SERVER_UNAVAILABLE: u8 = 0x88;
pub const SERVER_BUSY: u8 = 0x89;
pub const BANNED: u8 = 0x8A;
pub const SHUTTING_DOWN: u8 = 0x8B;
pub const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
pub const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
pub const SESSION_TAKEN_OVER: u8 = 0x8E;
pub const FILTER_INVALID: u8 = 0x8F;
pub const TOPIC_INVALID: u8 = 0x90;
pub const PACKET_ID_NOT_FOUND: u8 = 0x92;
pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
pub const TOPIC_ALIAS_INVALID: u8 = 0x94;
pub const PACKET_TOO_LARGE: u8 = 0x95;
pub const QUOTA_EXCEEDED: u8 = 0x97;
pub const ADMINISTRATIVE: u8 = 0x98;

/// What a peer did wrong. The connection ends with `code`; `what` is for the log of the house, not for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (reason code {code:#04x})")]
pub struct Fault {
    pub code: u8,
    pub what: &'static str,
}

impl Fault {
    pub const fn malformed(what: &'static str) -> Fault {
        Fault { code: MALFORMED, what }
    }

    pub const fn protocol(what: &'static str) -> Fault {
        Fault { code: PROTOCOL_ERROR, what }
    }

    pub const fn of(code: u8, what: &'static str) -> Fault {
        Fault { code, what }
    }
}
