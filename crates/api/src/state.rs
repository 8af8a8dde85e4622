//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use springhouse_engine::{Engine, Threads};
use springhouse_identity::{Authority, Revoked};
use springhouse_ingest::Ingest;
use springhouse_lake::Lake;
use springhouse_log::Log;
use springhouse_meta::Meta;
use springhouse_model::{Clock, Timestamp};
use springhouse_mqtt::Gateway;
use springhouse_policy::Principal;
use tokio::sync::{Semaphore, watch};

use crate::attempts::Attempts;
use crate::auth::Callers;
use crate::envelope::RequestIds;
use crate::options::Options;
use crate::problem::Problem;
use crate::pulse::Pulse;
use crate::routes::Needs;

/// Passwords that are hashed at the same time: each takes a core and tens of MiB.
const HASHING_MAX: usize = 2;
/// Threads of the tails, apart from the gateway's: their filters are anybody's who may read.
const LIVE_THREADS: usize = 2;

/// Who signs the certificates of devices.
#[derive(Debug)]
pub struct Authorities {
    pub devices: Authority,
    /// How long a certificate is good for.
    pub days: u32,
    /// What the handshakes of all listeners ask.
    pub revoked: Arc<Revoked>,
}

/// The parts of the hub that the API speaks for, as the binary has wired them.
pub struct Parts {
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub ingest: Ingest,
    pub engine: Engine,
    pub lake: Lake,
    pub gateway: Gateway,
    pub clock: Arc<dyn Clock>,
    /// `None` where nothing listens over TLS.
    pub authorities: Option<Authorities>,
    /// Of the recorder that the binary has installed; without it `/metrics` is empty.
    pub metrics: Option<PrometheusHandle>,
    /// Becomes true when the hub ends: WebSockets are closed then.
    pub shutdown: watch::Receiver<bool>,
    pub options: Options,
}

/// Shared by all handlers; a cheap clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// Reached through [`App`] alone; the module keeps the name inside the crate.
pub struct Inner {
    pub(crate) meta: Arc<dyn Meta>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) ingest: Ingest,
    pub(crate) engine: Engine,
    pub(crate) lake: Lake,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Arc<dyn Clock>,
    authorities: Option<Authorities>,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) options: Options,
    pub(crate) started_at: Timestamp,
    pub(crate) callers: Callers,
    pub(crate) attempts: Attempts,
    pub(crate) hashing: Semaphore,
    pub(crate) needs: Needs,
    pub(crate) pulse: Pulse,
    /// On which tails filter their rows.
    pub(crate) live: Threads,
    request_ids: RequestIds,
    started: AtomicBool,
    tails: AtomicUsize,
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub fn new(parts: Parts) -> std::io::Result<App> {
        let started_at = parts.clock.now();
        Ok(App(Arc::new(Inner {
            callers: Callers::new(Arc::clone(&parts.meta)),
            attempts: Attempts::default(),
            hashing: Semaphore::new(HASHING_MAX),
            needs: Needs::new(),
            pulse: Pulse::start(Arc::clone(&parts.log), Arc::clone(&parts.clock), parts.shutdown.clone()),
            live: Threads::new("live", LIVE_THREADS)?,
            request_ids: RequestIds::new(started_at.micros().unsigned_abs()),
            started: AtomicBool::new(true),
            tails: AtomicUsize::new(0),
            started_at,
            meta: parts.meta,
            log: parts.log,
            ingest: parts.ingest,
            engine: parts.engine,
            lake: parts.lake,
            gateway: parts.gateway,
            clock: parts.clock,
            authorities: parts.authorities,
            metrics: parts.metrics,
            shutdown: parts.shutdown,
            options: parts.options,
        })))
    }

    /// Whether `/readyz` may say yes; the binary sets it when pipelines and gateway are up.
    pub fn set_started(&self, started: bool) {
        self.started.store(started, Ordering::Release);
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    pub(crate) fn authorities(&self) -> Result<&Authorities, Problem> {
        self.authorities.as_ref().ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no_tls",
                "this hub has no listener with TLS, and so no certificates",
            )
            .hint("start it with --mqtts and --https")
        })
    }

    pub(crate) fn next_request_id(&self) -> String {
        self.request_ids.next()
    }

    /// After credentials were revoked: nobody is believed from memory, tails ask again, and what is connected by MQTT
    /// with one of them is cut off.
    pub(crate) fn revoked(&self, is_meant: impl Fn(&Principal) -> bool) {
        self.callers.forget_all();
        self.gateway.disconnect(is_meant);
    }

    pub(crate) fn tails_open(&self) -> usize {
        self.tails.load(Ordering::Relaxed)
    }

    /// A place among the open tails, given back when dropped.
    pub(crate) fn tail_place(&self) -> Option<TailPlace> {
        let limit = self.options.tails_max;
        let taken = self
            .tails
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then(|| open + 1));
        taken.ok().map(|_| TailPlace(self.clone()))
    }
}

pub(crate) struct TailPlace(App);

impl Drop for TailPlace {
    fn drop(&mut self) {
        self.0.tails.fetch_sub(1, Ordering::AcqRel);
    }
}
