//! The file that spares a start from reading the journal from its beginning.
//!
//! ```text
//! magic "SHMQTT1\n", checksum u64le of what follows,
//! offset u64le, next event number u64le, next session id u64le, entry*
//! ```
//!
//! The entries are the events that lead to the state; a start applies them and then the journal from `offset` on.
//!
//! Two things must not happen. *An event before `offset` that is missing in the file*: the offset is read first, then all
//! batches that were on their way then are waited for, then the state is copied. *An event in the file that never became
//! durable*: what it acknowledges would be taken for done although it is lost; the file is put in place only after the
//! commit of the last event that the state can contain.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rmqtt_codec::types::QoS;
use springhouse_log::Offset;

use crate::event::{Damaged, Entry, Event, SessionId, Target};
use crate::journal::Guard;
use crate::shared::Shared;
use crate::state::{SessionState, State};

const MAGIC: &[u8; 8] = b"SHMQTT1\n";
/// Name under which the gateway holds the log.
pub const CONSUMER: &str = "mqtt-sessions";
/// How often it is looked whether batches on their way are done: they take a few milliseconds.
const GUARD_POLL: Duration = Duration::from_millis(2);

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("cannot {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("session snapshot `{}` is damaged; hint: restore it, or remove it to start without sessions", path.display())]
    Damaged { path: PathBuf },
    #[error(
        "session snapshot `{}` has a format that is not known; hint: a newer Springhouse wrote it",
        path.display()
    )]
    UnknownFormat { path: PathBuf },
    #[error(
        "the log takes nothing at present: sessions are read from it again at the next start; hint: is the disk full?"
    )]
    Waiting,
    #[error("the log has failed")]
    Poisoned,
}

/// Reads the snapshot, if there is one: the state, and where the journal goes on.
pub fn read(path: &Path) -> Result<Option<(State, Offset)>, SnapshotError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SnapshotError::Io { doing: "read", path: path.to_owned(), source }),
    }
    if bytes.get(..6) == Some(&MAGIC[..6]) && bytes.get(..8) != Some(MAGIC) {
        return Err(SnapshotError::UnknownFormat { path: path.to_owned() });
    }
    decode(&bytes).map(Some).map_err(|Damaged| SnapshotError::Damaged { path: path.to_owned() })
}

fn decode(bytes: &[u8]) -> Result<(State, Offset), Damaged> {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 8).ok_or(Damaged)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| Damaged)
    };
    if bytes.get(..8) != Some(MAGIC) || number(8)? != checksum(&bytes[16..]) {
        return Err(Damaged);
    }
    let mut state = State::default();
    state.replay(Entry::decode_all(&bytes[40..])?);
    state.next_number = number(24)?;
    state.next_session = state.next_session.max(number(32)?);
    Ok((state, Offset(number(16)?)))
}

/// FNV-1a over 64 bits: finds a file that rotted, nothing more is asked of it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes a snapshot of the present state and lets the log forget what it replaces.
pub async fn write(shared: &Arc<Shared>, path: &Path) -> Result<Offset, SnapshotError> {
    let offset = shared.log.end();
    until_alone(shared.journal.turn()).await;
    let bytes = encode(shared, offset);
    until_alone(shared.journal.turn()).await;
    let last = shared.journal.commit();
    let mut commits = shared.door.commits();
    let reached = commits.wait_for(|durable| durable.commit >= last || durable.poisoned.is_some()).await;
    if !reached.is_ok_and(|durable| durable.commit >= last) {
        return Err(SnapshotError::Poisoned);
    }
    let path = path.to_owned();
    let written =
        tokio::task::spawn_blocking(move || replace(&path, &bytes).map_err(|source| (path, source))).await;
    match written {
        Ok(Ok(())) => {
            shared.log.hold(CONSUMER, offset);
            Ok(offset)
        }
        Ok(Err((path, source))) => Err(SnapshotError::Io { doing: "write", path, source }),
        Err(_) => Err(SnapshotError::Poisoned),
    }
}

async fn until_alone(guard: Guard) {
    while Arc::strong_count(&guard) > 1 {
        tokio::time::sleep(GUARD_POLL).await;
    }
}

/// All or nothing, also when the power fails: a new file, its content, then the name.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn encode(shared: &Shared, offset: Offset) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    for tenant in shared.tenants.read().values() {
        let tenant_name = tenant.id.to_string();
        for message in tenant.retained.read().all() {
            put(&mut bytes, Event::Retained { tenant: tenant_name.clone(), message: Arc::clone(message) });
        }
        let sessions: Vec<_> = tenant.sessions.lock().values().cloned().collect();
        for session in sessions {
            let inner = session.lock();
            if inner.is_durable && !inner.has_ended {
                put_session(&mut bytes, session.id, &tenant_name, &session.key, &inner.state);
            }
        }
    }
    bytes[..8].copy_from_slice(MAGIC);
    bytes[16..24].copy_from_slice(&offset.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&shared.journal.next_number().to_le_bytes());
    bytes[32..40].copy_from_slice(&shared.next_session.load(Ordering::Relaxed).to_le_bytes());
    let sum = checksum(&bytes[16..]);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Events of one file keep the order in which they are written: they all have the same number.
fn put(bytes: &mut Vec<u8>, event: Event) {
    Entry { number: 0, event }.encode(bytes);
}

fn put_session(bytes: &mut Vec<u8>, session: SessionId, tenant: &str, key: &str, state: &SessionState) {
    let (tenant, key) = (tenant.to_owned(), key.to_owned());
    put(bytes, Event::Opened { session, tenant, key, expiry_s: state.expiry_s, will: state.will.clone() });
    for (filter, subscription) in &state.subscriptions {
        let (options, id) = (subscription.options, subscription.id);
        put(bytes, Event::Subscribed { session, filter: filter.clone(), options, id });
    }
    for packet_id in &state.received {
        put(bytes, Event::Received { session, packet_id: *packet_id });
    }
    for item in state.inflight.iter().chain(&state.waiting).filter(|item| item.qos != QoS::AtMostOnce) {
        let target = Target {
            session,
            packet_id: item.packet_id,
            qos: item.qos,
            retain: item.retain,
            subscription_ids: item.subscription_ids.to_vec(),
        };
        put(bytes, Event::Queued { message: Arc::clone(&item.message), targets: vec![target] });
        if item.is_taken {
            put(bytes, Event::Taken { session, packet_id: item.packet_id });
        }
    }
    if let Some(at) = state.closed_at {
        let is_will_due = state.will.is_some();
        put(bytes, Event::Closed { session, at, expiry_s: state.expiry_s, is_will_due });
    }
}
