//! Where a connection stands between two wake-ups.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::End;
use super::submit::Accepting;
use crate::reason::{self, Fault};

/// What a connection is in the middle of.
pub struct Course {
    pub accepting: Option<Accepting>,
    /// Read, and not in a batch yet.
    pub packets: Bytes,
    pub end: Option<End>,
    /// The stream has failed: there is nothing to wait for on it.
    pub is_broken: bool,
    /// The gateway itself does not read at present.
    is_deaf: bool,
    pub heard_at: Instant,
}

impl Course {
    pub fn begin() -> Course {
        Course {
            accepting: None,
            packets: Bytes::new(),
            end: None,
            is_broken: false,
            is_deaf: false,
            heard_at: Instant::now(),
        }
    }

    /// Whatever ends a connection first is its end.
    pub fn end_by(&mut self, fault: Fault) {
        self.end.get_or_insert(End::Fault(fault));
    }

    /// A client that could not be heard has not been silent.
    pub fn listen(&mut self, reads: bool) {
        if reads && self.is_deaf {
            self.heard_at = Instant::now();
        }
        self.is_deaf = !reads;
    }

    /// Ends the connection when the client's time is over; gives the moment to look again.
    pub fn note_silence(&mut self, reads: bool, patience: Duration) -> Instant {
        if reads && self.heard_at.elapsed() >= patience {
            self.end_by(Fault::of(reason::KEEP_ALIVE_TIMEOUT, "nothing heard in time"));
        }
        let since = if reads { self.heard_at } else { Instant::now() };
        since + patience
    }
}
