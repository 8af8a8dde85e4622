//! A whole hub in this process: every part is the real one, but for the disk of the log and the clock.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use springhouse_act::AlertRecorder;
use springhouse_api::{App, Options, Parts, Peer};
use springhouse_engine::{Engine, FunctionSet, Functions, Tables};
use springhouse_ingest::{Admission, Ingest, Registry};
use springhouse_lake::{Catalog, Lake};
use springhouse_log::{Log, MemoryLog};
use springhouse_meta::{Meta, NewToken, SqliteMeta, StreamEntry};
use springhouse_model::{Clock, ManualClock, Sensitive, StreamKey, SystemClock, TenantId, Timestamp};
use springhouse_mqtt::Gateway;
use springhouse_policy::Scope;
use tokio::sync::watch;

use crate::client::Client;
use crate::door::HubDoor;

/// What takes longer is taken for never.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub app: App,
    pub router: Router,
    pub meta: Arc<dyn Meta>,
    pub ingest: Ingest,
    pub lake: Lake,
    /// Where files of tables are read from.
    pub import: PathBuf,
    pub gateway: Gateway,
    pub clock: Arc<ManualClock>,
    pub recorder: AlertRecorder,
    pub shutdown: watch::Sender<bool>,
    admin: String,
    _folder: tempfile::TempDir,
}

/// What a test may want to be different.
pub struct Plan {
    pub options: Options,
    pub admission: Admission,
    pub log: Option<Arc<dyn Log>>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { options: Options::default(), admission: Admission::Auto, log: None }
    }
}

impl House {
    pub async fn new() -> House {
        House::with(Plan::default()).await
    }

    pub async fn with_options(options: Options) -> House {
        House::with(Plan { options, ..Plan::default() }).await
    }

    pub async fn with(plan: Plan) -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let log = plan.log.unwrap_or_else(|| Arc::new(MemoryLog::new(Arc::clone(&time), None)));
        let meta: Arc<dyn Meta> = Arc::new(SqliteMeta::in_memory_with(Arc::clone(&time)).await.unwrap());
        let options =
            springhouse_ingest::Options { admission: plan.admission, shards: 2, ..Default::default() };
        let ingest = Ingest::open(options, Arc::clone(&meta), Arc::clone(&log), Arc::clone(&time));
        let ingest = ingest.await.unwrap();
        let engine = open_engine(folder.path(), &meta, &log, &ingest).await;
        let known = Known::default();
        let lake = open_lake(folder.path(), &meta, &log, &ingest, &time, &known).await;
        engine.tables().ask(Arc::new(lake.clone()));
        let _ = (known.tables.set(engine.tables().clone()), known.functions.set(engine.functions().clone()));
        let door = Arc::new(HubDoor::new(Arc::clone(&meta), ingest.clone()));
        let gateway =
            Gateway::open_at(door, Arc::clone(&log), Default::default(), Arc::clone(&time)).await.unwrap();
        let recorder = AlertRecorder::start(Arc::clone(&meta), Arc::clone(&log)).await.unwrap();
        let shutdown = watch::Sender::new(false);
        let app = App::new(Parts {
            meta: Arc::clone(&meta),
            log,
            ingest: ingest.clone(),
            engine,
            lake: lake.clone(),
            gateway: gateway.clone(),
            clock: time,
            authorities: None,
            metrics: Some(metrics()),
            shutdown: shutdown.subscribe(),
            options: plan.options,
        })
        .unwrap();
        let router = springhouse_api::router(app.clone());
        let admin = token(&meta, TenantId::main(), vec![Scope::Admin]).await;
        let import = folder.path().join("import");
        let _folder = folder;
        House { app, router, meta, ingest, lake, import, gateway, clock, recorder, shutdown, admin, _folder }
    }

    /// Somebody without credentials, on another machine than the hub but on its network.
    pub fn stranger(&self) -> Client {
        Client::new(self.router.clone())
    }

    pub fn admin(&self) -> Client {
        self.bearer(&self.admin)
    }

    pub fn bearer(&self, token: &str) -> Client {
        self.stranger().with("authorization", &format!("Bearer {token}"))
    }

    /// Somebody with these scopes and no others.
    pub async fn with_scopes(&self, scopes: &[Scope]) -> Client {
        self.bearer(&token(&self.meta, TenantId::main(), scopes.to_vec()).await)
    }

    /// A device with a token of its own.
    pub async fn device(&self, id: &str) -> Client {
        let made = self.admin().post("/api/v1/devices", json!({ "id": id })).await.expect(201);
        self.bearer(made["token"].as_str().unwrap())
    }

    /// Delivers as a gateway and expects that it fits.
    pub async fn say(&self, device: &str, stream: &str, payload: Value) {
        let answer = self.admin().post(&format!("/api/v1/devices/{device}/streams/{stream}"), payload).await;
        let delivered = answer.expect(202);
        assert_eq!(delivered["quarantined"], json!([]), "{delivered}");
    }

    /// Runs a statement as the owner.
    pub async fn sql(&self, query: &str) -> Value {
        self.admin().post("/api/v1/sql", json!({ "query": query })).await.expect(200)
    }

    /// The rows of a query.
    pub async fn rows(&self, query: &str) -> Value {
        self.sql(query).await["rows"].clone()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn entry(&self, stream: &str) -> Option<Arc<StreamEntry>> {
        self.ingest.registry().entry(&StreamKey::new(TenantId::main(), stream.parse().unwrap()))
    }

    /// Waits until the inbox of the quarantine holds as many messages, and returns the answer about them.
    pub async fn quarantine(&self, count: usize) -> Value {
        let admin = self.admin();
        until(async || {
            let answer = admin.get("/api/v1/quarantine").await.expect(200);
            (answer["items"].as_array().unwrap().len() == count).then_some(answer)
        })
        .await
    }

    /// Waits until the last value of a property is there.
    pub async fn latest(&self, device: &str, property: &str) -> Value {
        let device = device.parse().unwrap();
        until(async || {
            let latest = self.lake.twin().device(&TenantId::main(), &device);
            latest.into_iter().find(|latest| latest.property == property).map(|found| found.value)
        })
        .await
    }
}

/// Asks again and again until there is an answer; between two questions everybody else has a turn.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let answered = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    in_time(answered).await
}

pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("this should have happened by now")
}

/// A neighbour in the network.
pub fn neighbour(last: u8) -> Peer {
    Peer {
        address: SocketAddr::from(([192, 168, 1, last], 50_000)),
        local: local(),
        tls: false,
        certificate: None,
    }
}

/// A process on the machine of the hub.
pub fn this_machine() -> Peer {
    Peer {
        address: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        local: SocketAddr::from(([127, 0, 0, 1], 8_080)),
        tls: false,
        certificate: None,
    }
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 168, 1, 5], 8_080))
}

/// A token of a tenant.
pub async fn token(meta: &Arc<dyn Meta>, tenant: TenantId, scopes: Vec<Scope>) -> String {
    let token =
        NewToken { tenant, site: None, name: String::from("test"), scopes, device: None, expires_at: None };
    let (_, text): (_, Sensitive<String>) = meta.create_token(token).await.unwrap();
    text.expose().clone()
}

async fn open_engine(folder: &Path, meta: &Arc<dyn Meta>, log: &Arc<dyn Log>, ingest: &Ingest) -> Engine {
    let options = springhouse_engine::Options::new(folder.to_owned());
    Engine::open(options, Arc::clone(meta), Arc::clone(log), ingest.clone()).await.unwrap()
}

async fn open_lake(
    folder: &Path,
    meta: &Arc<dyn Meta>,
    log: &Arc<dyn Log>,
    ingest: &Ingest,
    clock: &Arc<dyn Clock>,
    known: &Known,
) -> Lake {
    let catalog = Arc::new(Streams(ingest.registry().clone(), known.clone()));
    let options = springhouse_lake::Options::new(folder.join("lake"));
    let parts = springhouse_lake::Parts {
        meta: Arc::clone(meta),
        log: Arc::clone(log),
        catalog,
        clock: Arc::clone(clock),
    };
    Lake::open(options, parts).await.unwrap()
}

/// The registry as the lake sees it.
/// What the engine knows, once it is open.
#[derive(Clone, Default)]
struct Known {
    tables: Arc<OnceLock<Tables>>,
    functions: Arc<OnceLock<Functions>>,
}

struct Streams(Registry, Known);

impl Catalog for Streams {
    fn stream(&self, id: u32) -> Option<Arc<StreamEntry>> {
        self.0.by_id(id)
    }

    fn streams_of(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.0.streams(tenant)
    }

    fn all(&self) -> Vec<Arc<StreamEntry>> {
        self.0.entries(None)
    }

    fn tables(&self) -> Option<Tables> {
        self.1.tables.get().cloned()
    }

    fn functions(&self, tenant: &TenantId) -> FunctionSet {
        self.1.functions.get().map(|functions| functions.set(tenant)).unwrap_or_default()
    }
}

/// One recorder for the process, as in the binary.
fn metrics() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}
