//! The gateway as the binary sees it: opened once, fed with byte streams, shut down.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use springhouse_log::{Kind, Log, LogError, Offset, Reader};
use springhouse_model::{Clock, SystemClock, TenantId};
use springhouse_policy::Principal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use crate::connection::{self, Origin};
use crate::door::Door;
use crate::event::{Entry, SessionId};
use crate::message::after;
use crate::options::Options;
use crate::reason;
use crate::session::Session;
use crate::shared::Shared;
use crate::snapshot::{self, SnapshotError};
use crate::state::{State, StoredSession};
use crate::tenant::Tenant;
use crate::timers::{Due, What};
use crate::topic::parse_filter;
use crate::tree::Subscriber;
use crate::wire::SubscriptionOptions;

/// Bytes of log read at a time while the journal is replayed.
const REPLAY_BYTES: usize = 8 * 1024 * 1024;
/// How often gauges are set and expired retained messages forgotten.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(5);
/// Time that connections have to end at a shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("cannot read the session journal")]
    Log(#[from] LogError),
    #[error("record at {offset} of the session journal is damaged")]
    Damaged { offset: Offset },
}

/// An MQTT gateway. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Gateway {
    /// Restores the sessions from snapshot and journal and starts to keep them.
    pub async fn open(
        door: Arc<dyn Door>,
        log: Arc<dyn Log>,
        options: Options,
    ) -> Result<Gateway, OpenError> {
        Gateway::open_at(door, log, options, Arc::new(SystemClock)).await
    }

    /// As [`open`](Gateway::open), with another clock.
    pub async fn open_at(
        door: Arc<dyn Door>,
        log: Arc<dyn Log>,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Gateway, OpenError> {
        let snapshot = options.snapshot.clone();
        let (state, offset) = restore(&log, snapshot.clone()).await?;
        log.hold(snapshot::CONSUMER, offset);
        let (next_number, next_session) = (state.next_number, state.next_session.max(1));
        let shared = Arc::new(Shared::new(door, log, clock, options, next_number, next_session));
        populate(&shared, state);
        let mut tasks =
            vec![tokio::spawn(keep_time(Arc::clone(&shared))), tokio::spawn(keep_house(Arc::clone(&shared)))];
        if let Some(path) = snapshot {
            tasks.push(tokio::spawn(keep_snapshots(Arc::clone(&shared), path)));
        }
        Ok(Gateway { shared, tasks: Arc::new(Tasks(tasks)) })
    }

    /// Serves one byte stream: a TCP or TLS connection, or the binary frames of a WebSocket. Returns when it has ended.
    pub async fn serve<S>(&self, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Some(_admission) = self.shared.admit_peer(origin.peer.ip()) else { return };
        connection::serve(Arc::clone(&self.shared), stream, origin).await;
    }

    /// Connections at this moment.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Ends the connections of those whose rights were taken away; returns how many.
    pub fn disconnect(&self, is_meant: impl Fn(&Principal) -> bool) -> usize {
        let is_connected = |session: &Arc<Session>| {
            let inner = session.lock();
            inner.is_attached && inner.owner.as_deref().is_some_and(&is_meant)
        };
        let meant: Vec<_> = self.sessions().into_iter().filter(is_connected).collect();
        meant.iter().for_each(|session| session.kick(reason::ADMINISTRATIVE));
        meant.len()
    }

    /// The credentials of those who are connected with one.
    pub fn credentials(&self) -> HashSet<String> {
        let credential = |session: &Arc<Session>| {
            let inner = session.lock();
            inner.owner.as_ref().filter(|_| inner.is_attached)?.credential.clone()
        };
        self.sessions().iter().filter_map(credential).collect()
    }

    /// Whether a client of this principal is connected.
    pub fn is_connected(&self, is_meant: impl Fn(&Principal) -> bool) -> bool {
        self.sessions().iter().any(|session| {
            let inner = session.lock();
            inner.is_attached && inner.owner.as_deref().is_some_and(&is_meant)
        })
    }

    /// Ends all connections, then writes the snapshot. The door has to stay open until this returns.
    pub async fn shutdown(&self) -> Result<(), SnapshotError> {
        self.shared.stopping.send_replace(true);
        let deadline = tokio::time::Instant::now() + SHUTDOWN_TIMEOUT;
        while self.shared.connections() > 0 && tokio::time::Instant::now() < deadline {
            self.sessions().iter().for_each(|session| session.kick(reason::SHUTTING_DOWN));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.tasks.0.iter().for_each(JoinHandle::abort);
        // With a full disk, what clients have said last is never written; they were not told that it was.
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, self.save()).await {
            Ok(saved) => saved,
            Err(_) => Err(SnapshotError::Waiting),
        }
    }

    /// Writes the snapshot now.
    pub async fn save(&self) -> Result<(), SnapshotError> {
        match &self.shared.options.snapshot {
            Some(path) => snapshot::write(&self.shared, path).await.map(drop),
            None => Ok(()),
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let tenants: Vec<_> = self.shared.tenants.read().values().cloned().collect();
        tenants
            .iter()
            .flat_map(|tenant| tenant.sessions.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }
}

async fn restore(log: &Arc<dyn Log>, snapshot: Option<PathBuf>) -> Result<(State, Offset), OpenError> {
    let Some(path) = snapshot else { return Ok((State::default(), log.end())) };
    let (mut state, mut from) = snapshot::read(&path)?.unwrap_or_else(|| (State::default(), log.head()));
    if from < log.head() {
        tracing::warn!(snapshot = %from, log = %log.head(), "the log no longer has all of the session journal");
        from = log.head();
    }
    let mut reader = Reader::new(Arc::clone(log), from);
    let mut entries = Vec::new();
    loop {
        let records = reader.next_ready(REPLAY_BYTES).await?;
        if records.is_empty() {
            break;
        }
        for record in records.iter().filter(|record| record.kind == Kind::Sessions) {
            let decoded = Entry::decode_all(&record.payload);
            entries.extend(decoded.map_err(|_| OpenError::Damaged { offset: record.offset })?);
        }
    }
    state.replay(entries);
    Ok((state, from))
}

fn populate(shared: &Arc<Shared>, state: State) {
    for ((tenant, _), message) in state.retained {
        if let Ok(id) = tenant.parse::<TenantId>() {
            let (count_max, bytes_max) = (shared.options.retained_max, shared.options.retained_bytes_max);
            shared.tenant(&id).retained.write().set(&message, count_max, bytes_max);
        }
    }
    for (id, stored) in state.sessions {
        if let Ok(tenant) = stored.tenant.parse::<TenantId>() {
            restore_session(shared, &shared.tenant(&tenant), id, stored);
        }
    }
}

/// A session that was connected when the gateway stopped waits for its client from now on.
fn restore_session(shared: &Arc<Shared>, tenant: &Arc<Tenant>, id: SessionId, stored: StoredSession) {
    let now = shared.clock.now();
    let mut state = stored.state;
    let closed_at = *state.closed_at.get_or_insert(now);
    let ends_at = after(closed_at, state.expiry_s);
    let will_at = state.will.as_ref().map(|will| after(closed_at, will.delay_s));
    let subscriptions = state.subscriptions.clone();
    let session = Arc::new(Session::restored(id, &stored.key, state));
    for (text, subscription) in subscriptions {
        let options = SubscriptionOptions::from_byte(subscription.options);
        if let (Ok(filter), Some(options)) = (parse_filter(&text), options) {
            let session = Arc::clone(&session);
            tenant.subscribe(filter, Subscriber { session, options, id: subscription.id });
        }
    }
    tenant.sessions.lock().insert(session.key.clone(), Arc::clone(&session));
    shared.metrics.sessions.increment(1.0);
    let due = |what| Due { tenant: Arc::clone(tenant), session: Arc::clone(&session), generation: 0, what };
    let will_at = will_at.filter(|at| *at < ends_at);
    let mut inner = session.lock();
    inner.timers.extend(will_at.map(|at| shared.timers.set(at, due(What::SendWill))));
    inner.timers.push(shared.timers.set(ends_at, due(What::EndSession)));
}

async fn keep_time(shared: Arc<Shared>) {
    loop {
        shared.timers.wait(shared.clock.now()).await;
        for due in shared.timers.take(shared.clock.now()) {
            // On a task of its own: a door without room must not hold up the next timer.
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.expire(due).await });
        }
    }
}

async fn keep_house(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING_INTERVAL).await;
        let now = shared.clock.now();
        let tenants: Vec<_> = shared.tenants.read().values().cloned().collect();
        let mut queued = 0;
        for tenant in tenants {
            tenant.retained.write().forget_expired(now);
            let sessions: Vec<_> = tenant.sessions.lock().values().cloned().collect();
            queued += sessions.iter().map(|session| session.lock().queued_bytes).sum::<usize>();
        }
        shared.metrics.queued_bytes.set(queued as f64);
    }
}

async fn keep_snapshots(shared: Arc<Shared>, path: PathBuf) {
    let mut written_to = None;
    let mut pause = shared.options.snapshot_interval;
    loop {
        tokio::time::sleep(pause).await;
        if written_to == Some(shared.log.end()) {
            continue;
        }
        let started = tokio::time::Instant::now();
        match snapshot::write(&shared, &path).await {
            Ok(offset) => written_to = Some(offset),
            Err(error) => tracing::error!(%error, "session snapshot is not written"),
        }
        // A large state is written less often, so that writing it stays below a twentieth of the time.
        pause = shared.options.snapshot_interval.max(started.elapsed() * 20);
    }
}
