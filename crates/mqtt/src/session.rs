//! A session while the gateway runs: its state behind a lock, its bounded queue, and the connection it belongs to.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rmqtt_codec::types::QoS;
use springhouse_policy::{Principal, Subject};
use tokio::sync::Notify;

use crate::event::SessionId;
use crate::message::Message;
use crate::state::{Outbound, SessionState};
use crate::timers::Key;

/// One client's session. The connection that is attached to it is woken through `wake`.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    /// Owner and client id, see [`session_key`].
    pub key: Box<str>,
    inner: Mutex<Inner>,
    pub wake: Notify,
    /// A connection has let go of the session.
    pub released: Notify,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub state: SessionState,
    /// Its changes are journaled: it outlives its connection, or did once.
    pub is_durable: bool,
    pub has_ended: bool,
    pub is_attached: bool,
    /// Counts attachments, so that a timer set before one knows that it is stale.
    pub generation: u64,
    /// The attached connection has to end with this reason code.
    pub kick: Option<u8>,
    /// Weight of what waits and of what is in flight.
    pub queued_bytes: usize,
    /// Highest commit that holds a change of this session.
    pub last_commit: u64,
    /// What is to happen while no connection is attached.
    pub timers: Vec<Key>,
    /// Who is or was last connected; the will is published in his name. `None` after a restart.
    pub owner: Option<Arc<Principal>>,
    packet_ids: HashSet<u16>,
    last_packet_id: u16,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotQueued {
    /// The session has ended, or is not connected and the message is not one that waits.
    Away,
    /// No room in the queue.
    Full,
}

/// Two principals can use the same client id without meeting: the one who could take over the other's session would get
/// its messages.
pub fn session_key(who: &Principal, client_id: &str) -> String {
    let (kind, owner) = match &who.subject {
        Subject::Person { id, .. } => ("person", id.as_str()),
        Subject::Token { id, .. } => ("token", id.as_str()),
        Subject::Device(id) => ("device", id.as_str()),
        Subject::Anonymous { listener } => ("anonymous", listener.as_str()),
    };
    format!("{kind}\n{owner}\n{client_id}")
}

impl Session {
    pub fn new(id: SessionId, key: &str) -> Session {
        Session {
            id,
            key: key.into(),
            inner: Mutex::new(Inner::default()),
            wake: Notify::new(),
            released: Notify::new(),
        }
    }

    /// A session as the journal describes it.
    pub fn restored(id: SessionId, key: &str, mut state: SessionState) -> Session {
        state.rewind();
        let packet_ids = state.waiting.iter().map(|item| item.packet_id).collect();
        let queued_bytes = state.waiting.iter().map(|item| item.message.weight()).sum();
        let last_packet_id = state.waiting.back().map_or(0, |item| item.packet_id);
        let inner =
            Inner { state, is_durable: true, packet_ids, queued_bytes, last_packet_id, ..Inner::default() };
        Session { inner: Mutex::new(inner), ..Session::new(id, key) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Ends the attached connection, if there is one, with a reason code.
    pub fn kick(&self, reason: u8) {
        let mut inner = self.lock();
        if inner.is_attached {
            inner.kick.get_or_insert(reason);
            self.wake.notify_one();
        }
    }

    /// Queues a message that needs no journal: QoS 0, or for a session that ends with its connection.
    pub fn push(&self, mut item: Outbound, bytes_max: usize) -> Result<(), NotQueued> {
        let mut inner = self.lock();
        if inner.has_ended || !inner.is_attached {
            return Err(NotQueued::Away);
        }
        item.packet_id = inner.admit(&item.message, item.qos, bytes_max)?;
        self.push_admitted(inner, item);
        Ok(())
    }

    /// Queues a message for which [`Inner::admit`] has made room.
    pub fn push_admitted(&self, mut inner: MutexGuard<'_, Inner>, item: Outbound) {
        if inner.has_ended {
            return;
        }
        let was_idle = inner.state.waiting.is_empty();
        inner.state.waiting.push_back(item);
        if was_idle && inner.is_attached {
            drop(inner);
            self.wake.notify_one();
        }
    }
}

impl Inner {
    /// Makes room for a message and gives it a packet identifier (zero at QoS 0). QoS 0 may fill half of the queue only.
    pub fn admit(&mut self, message: &Message, qos: QoS, bytes_max: usize) -> Result<u16, NotQueued> {
        let bytes_max = if qos == QoS::AtMostOnce { bytes_max / 2 } else { bytes_max };
        if self.queued_bytes + message.weight() > bytes_max {
            return Err(NotQueued::Full);
        }
        let packet_id =
            if qos == QoS::AtMostOnce { 0 } else { self.free_packet_id().ok_or(NotQueued::Full)? };
        self.queued_bytes += message.weight();
        Ok(packet_id)
    }

    /// Takes back what [`Inner::admit`] gave.
    pub fn forget(&mut self, message: &Message, packet_id: u16) {
        self.queued_bytes = self.queued_bytes.saturating_sub(message.weight());
        self.packet_ids.remove(&packet_id);
    }

    /// The client has a message: PUBACK or PUBCOMP. False when the identifier is not in use.
    pub fn finish(&mut self, packet_id: u16) -> bool {
        match self.state.finish(packet_id) {
            Some(item) => {
                self.forget(&item.message, packet_id);
                true
            }
            None => false,
        }
    }

    /// The connection is gone: what is not worth keeping over it goes too.
    pub fn drop_volatile(&mut self) {
        let mut freed = 0;
        self.state.waiting.retain(|item| {
            let keep = item.qos != QoS::AtMostOnce;
            freed += if keep { 0 } else { item.message.weight() };
            keep
        });
        self.queued_bytes = self.queued_bytes.saturating_sub(freed);
    }

    fn free_packet_id(&mut self) -> Option<u16> {
        if self.packet_ids.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if self.packet_ids.insert(self.last_packet_id) {
                return Some(self.last_packet_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(qos: QoS) -> Outbound {
        Outbound {
            message: Arc::new(Message::new("a", b"", &[0; 35], qos)),
            packet_id: 0,
            qos,
            retain: false,
            subscription_ids: Box::default(),
            is_taken: false,
            dup: false,
            after_commit: 0,
        }
    }

    #[test]
    fn a_full_queue_refuses_qos_0_first() {
        let session = Session::new(1, "k");
        session.lock().is_attached = true;
        // Ten messages of 100 bytes fit.
        let pushed = |qos| (0..20).filter(|_| session.push(item(qos), 1000).is_ok()).count();
        assert_eq!(pushed(QoS::AtMostOnce), 5);
        assert_eq!(pushed(QoS::AtLeastOnce), 5);
        assert_eq!(session.push(item(QoS::ExactlyOnce), 1000), Err(NotQueued::Full));
        assert!(session.lock().finish(1));
        assert!(session.push(item(QoS::ExactlyOnce), 1000).is_ok());
    }

    #[test]
    fn packet_identifiers_in_use_are_not_given_twice() {
        let mut inner = Inner::default();
        let message = Message::new("a", b"", b"", QoS::AtLeastOnce);
        let ids: HashSet<u16> =
            (0..65_535).map(|_| inner.admit(&message, QoS::AtLeastOnce, usize::MAX).unwrap()).collect();
        assert_eq!(ids.len(), 65_535);
        assert!(!ids.contains(&0));
        assert_eq!(inner.admit(&message, QoS::AtLeastOnce, usize::MAX), Err(NotQueued::Full));
        inner.forget(&message, 77);
        assert_eq!(inner.admit(&message, QoS::AtLeastOnce, usize::MAX), Ok(77));
    }
}
