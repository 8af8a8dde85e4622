//! Putting the parts together, with the numbers of the settings.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use springhouse_act::AlertRecorder;
use springhouse_api::{App, Authorities, Connect, Parts};
use springhouse_engine::{Engine, Threads};
use springhouse_ingest::{Admission, Ingest};
use springhouse_lake::Lake;
use springhouse_log::{DiskLog, Log};
use springhouse_meta::{Meta, SqliteMeta};
use springhouse_model::{Clock, SystemClock, TenantId};
use springhouse_mqtt::Gateway;
use springhouse_policy::TopicFilter;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::catalog::RegistryCatalog;
use super::data_dir::DataDirectory;
use super::door::HubDoor;
use super::fetch::fetcher;
use super::listeners::{Addresses, Listeners};
use super::tls::{self, ServerTls};
use super::{Hub, credentials, identity, paths};
use crate::config::{LISTENER_NAMES, Policy, Settings};
use crate::failure::Failure;

const HOUR: Duration = Duration::from_secs(3_600);
/// Names of the listeners, as the gateway and `anonymous` know them.
const MQTT: &str = LISTENER_NAMES[0];
const MQTTS: &str = LISTENER_NAMES[1];
const WEBSOCKET: &str = LISTENER_NAMES[2];

impl Hub {
    /// Opens the data directory and everything in it; returns when devices and people are let in.
    pub async fn open(settings: Settings) -> anyhow::Result<Hub> {
        check_clock()?;
        let metrics = PrometheusBuilder::new().install_recorder().context("cannot start metrics")?;
        // A port that is taken is told before anything is changed on the disk.
        let listeners = Listeners::bind(&settings).await?;
        let mut directory = DataDirectory::open(&settings.data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ledger = Arc::new(SqliteMeta::open(&paths::meta(&settings.data)).await?);
        let meta: Arc<dyn Meta> = Arc::clone(&ledger) as Arc<dyn Meta>;
        let log = open_log(&settings).await?;
        if let Err(refusal) = identity::check(&settings.data, meta.as_ref(), log.as_ref()).await {
            // A write-ahead log that stays would be applied to the file that is put in this one's place.
            ledger.close().await;
            return Err(refusal);
        }
        let ingest =
            Ingest::open(ingest_options(&settings)?, Arc::clone(&meta), Arc::clone(&log), Arc::clone(&clock))
                .await?;
        // What is opened there stays there: whoever follows the log does not wake the threads that take readings in.
        let followers = Threads::new("followers", 1).context("cannot start the threads of followers")?;
        let known = Arc::new(OnceLock::new());
        let catalog = RegistryCatalog { ingest: ingest.clone(), known: Arc::clone(&known) };
        let lake = Lake::open(lake_options(&settings), lake_parts(&meta, &log, catalog, &clock));
        let lake = followers.complete(lake).await??;
        let alerts = AlertRecorder::start(Arc::clone(&meta), Arc::clone(&log));
        let alerts = followers.complete(alerts).await??;
        let engine =
            Engine::open(engine_options(&settings)?, Arc::clone(&meta), Arc::clone(&log), ingest.clone());
        let engine = engine.await?;
        engine.tables().ask(Arc::new(lake.clone()));
        let _ = known.set((engine.tables().clone(), engine.functions().clone()));
        let door = open_door(&settings, &meta, &ingest)?;
        let gateway = Gateway::open(Arc::new(door), Arc::clone(&log), gateway_options(&settings)).await?;

        let (tls, authorities) = open_tls(&settings, &listeners, meta.as_ref()).await?.unzip();
        let revoked = authorities.as_ref().map(|authorities| Arc::clone(&authorities.revoked));
        let addresses = listeners.addresses();
        let (ending, shutdown) = watch::channel(false);
        let parts = Parts {
            meta: Arc::clone(&meta),
            log: Arc::clone(&log),
            ingest: ingest.clone(),
            engine: engine.clone(),
            lake: lake.clone(),
            gateway: gateway.clone(),
            clock,
            metrics: Some(metrics.clone()),
            shutdown: shutdown.clone(),
            options: api_options(&settings, &addresses, tls.as_ref()),
            authorities,
        };
        if let Some(page) = addresses.page() {
            directory.tell_page(&page).context("cannot write to the data directory")?;
        }
        let app = followers.complete(async { App::new(parts) }).await?;
        let app = app.context("cannot start the threads of live views")?;
        let servers = serve(listeners, &gateway, tls, app, shutdown)?;
        tokio::spawn(keep_metrics(metrics));
        tokio::spawn(credentials::watch(Arc::clone(&meta), gateway.clone(), revoked));
        tracing::info!(data = %settings.data.display(), "the hub is open");
        Ok(Hub {
            addresses,
            meta: ledger,
            log,
            ingest,
            engine,
            lake,
            alerts,
            gateway,
            ending,
            servers,
            _followers: followers,
            _directory: directory,
        })
    }
}

/// What can be said of settings before anything is opened.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    ingest_options(settings)?;
    engine_options(settings)?;
    settings.mqtt.anonymous.iter().try_for_each(|listener| topics(&listener.topics).map(drop))
}

/// What TLS needs, where something listens over it. Which certificates are revoked is known before anybody comes.
async fn open_tls(
    settings: &Settings,
    listeners: &Listeners,
    meta: &dyn Meta,
) -> anyhow::Result<Option<(ServerTls, Authorities)>> {
    if listeners.mqtts.is_none() && listeners.https.is_none() {
        return Ok(None);
    }
    let (tls, authorities) = tls::load(&settings.tls, &paths::tls(&settings.data), names(settings))?;
    credentials::load(meta, &authorities.revoked).await?;
    Ok(Some((tls, authorities)))
}

/// What those may who come without a token is known before anybody comes.
fn open_door(settings: &Settings, meta: &Arc<dyn Meta>, ingest: &Ingest) -> anyhow::Result<HubDoor> {
    let anonymous = settings.mqtt.anonymous.iter();
    let anonymous = anonymous.map(|listener| Ok((listener.name.clone(), topics(&listener.topics)?)));
    let anonymous = anonymous.collect::<anyhow::Result<_>>()?;
    Ok(HubDoor::new(Arc::clone(meta), ingest.clone(), anonymous))
}

/// Readings without a time of their own get the hub's.
fn check_clock() -> anyhow::Result<()> {
    const YEAR_2000_S: u64 = 946_684_800;
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        let text = "the machine's clock stands before 1970; hint: set it (timedatectl)";
        return Err(Failure::Usage(text.to_owned()).into());
    };
    if now.as_secs() < YEAR_2000_S {
        tracing::warn!(
            "the machine's clock is not set: readings without `ts` go to quarantine until it is, and can be replayed then"
        );
    }
    Ok(())
}

async fn open_log(settings: &Settings) -> anyhow::Result<Arc<dyn Log>> {
    let path = paths::log(&settings.data);
    let options = springhouse_log::Options {
        segment_bytes: settings.storage.log_segment_bytes,
        retention_bytes: Some(settings.storage.log_retention_bytes),
        retention_age: settings
            .storage
            .log_retention_hours
            .map(|hours| HOUR.saturating_mul(u32::try_from(hours).unwrap_or(u32::MAX))),
        tail_bytes: settings.storage.log_tail_bytes,
        ..springhouse_log::Options::default()
    };
    // Reads the last segment.
    let log = tokio::task::spawn_blocking(move || DiskLog::open(path, options)).await?;
    Ok(Arc::new(log.context("cannot open the log")?))
}

fn ingest_options(settings: &Settings) -> anyhow::Result<springhouse_ingest::Options> {
    let route = |route: &crate::config::Route| {
        let stream = route.stream.as_deref().map(str::parse).transpose();
        let stream = stream.map_err(|error| Failure::Usage(format!("route `{}`: {error}", route.topic)))?;
        let route = springhouse_ingest::Route::new(&route.topic, stream, None);
        route.map_err(|error| anyhow::Error::new(Failure::Usage(error.to_string())))
    };
    Ok(springhouse_ingest::Options {
        admission: match settings.policy {
            Policy::Approve => Admission::Approve,
            Policy::Auto => Admission::Auto,
            Policy::Refuse => Admission::Refuse,
        },
        routes: settings.route.iter().map(route).collect::<anyhow::Result<_>>()?,
        shards: settings.threads.clamp(1, 16),
        ..springhouse_ingest::Options::default()
    })
}

fn lake_options(settings: &Settings) -> springhouse_lake::Options {
    springhouse_lake::Options {
        query_memory_bytes: settings.storage.query_memory_bytes,
        ..springhouse_lake::Options::new(paths::lake(&settings.data))
    }
}

fn engine_options(settings: &Settings) -> anyhow::Result<springhouse_engine::Options> {
    Ok(springhouse_engine::Options {
        pipeline_bytes_max: settings.storage.pipeline_memory_bytes,
        tenant_bytes_max: settings.storage.pipelines_memory_bytes,
        tables: springhouse_engine::TableOptions {
            directories: table_directories(settings),
            bounds: springhouse_engine::tables::Bounds {
                rows_max: settings.tables.rows_max,
                bytes_max: settings.tables.bytes_max,
            },
            versions_bytes_max: settings.tables.versions_bytes_max,
            fetch: fetcher(&settings.tables.addresses, settings.tables.ca_file.as_ref())?,
        },
        ..springhouse_engine::Options::new(settings.data.clone())
    })
}

/// From where tables may be read.
fn table_directories(settings: &Settings) -> Vec<PathBuf> {
    match settings.tables.directories.as_slice() {
        [] => vec![paths::import(&settings.data)],
        named => named.to_vec(),
    }
}

fn lake_parts(
    meta: &Arc<dyn Meta>,
    log: &Arc<dyn Log>,
    catalog: RegistryCatalog,
    clock: &Arc<dyn Clock>,
) -> springhouse_lake::Parts {
    springhouse_lake::Parts {
        meta: Arc::clone(meta),
        log: Arc::clone(log),
        catalog: Arc::new(catalog),
        clock: Arc::clone(clock),
    }
}

fn gateway_options(settings: &Settings) -> springhouse_mqtt::Options {
    let mqtt = &settings.mqtt;
    springhouse_mqtt::Options {
        snapshot: Some(paths::sessions(&settings.data)),
        packet_bytes_max: mqtt.packet_bytes_max,
        connections_max: mqtt.connections_max,
        queued_bytes_max: mqtt.queued_bytes_max,
        receive_max: mqtt.receive_max,
        keep_alive_max: mqtt.keep_alive_max_s,
        session_expiry_max: mqtt.session_expiry_max_s,
        refused_filters: mqtt.refused_filters.clone(),
        ..springhouse_mqtt::Options::default()
    }
}

fn api_options(
    settings: &Settings,
    addresses: &Addresses,
    tls: Option<&ServerTls>,
) -> springhouse_api::Options {
    springhouse_api::Options {
        host_names: names(settings),
        behind_tls: settings.http.behind_tls,
        websocket_listener: WEBSOCKET.to_owned(),
        connect: Connect {
            mqtt_host: None,
            mqtt_port: addresses.mqtt.map(|address| address.port()),
            mqtts_port: addresses.mqtts.map(|address| address.port()),
            http_url: None,
            https_port: addresses.https.map(|address| address.port()),
            topic_template: String::from("devices/{device}/{stream}"),
            ca_available: tls.is_some_and(|tls| tls.has_own_authority),
        },
        payload_bytes_max: settings.mqtt.packet_bytes_max as usize,
        data_dir: Some(settings.data.clone()),
        tenant: TenantId::main(),
        ..springhouse_api::Options::default()
    }
}

/// Under what names the hub is reached, beside the machine's own.
fn names(settings: &Settings) -> Vec<String> {
    let mut names = settings.http.host_names.clone();
    names.extend(settings.tls.names.iter().cloned());
    names
}

fn topics(topics: &[String]) -> anyhow::Result<Vec<TopicFilter>> {
    let parse = |topic: &String| {
        topic.parse().map_err(|error| anyhow::Error::new(Failure::Usage(format!("{error}"))))
    };
    topics.iter().map(parse).collect()
}

/// Starts to accept on every listener.
fn serve(
    listeners: Listeners,
    gateway: &Gateway,
    tls: Option<ServerTls>,
    app: App,
    shutdown: watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    listeners.log();
    let mut servers = JoinSet::new();
    let mqtt =
        |task: tokio::task::JoinHandle<()>| async move { task.await.context("an MQTT listener has failed") };
    if let Some(listener) = listeners.mqtt {
        servers.spawn(mqtt(gateway.listen(listener, MQTT)));
    }
    for (name, listener) in listeners.anonymous {
        servers.spawn(mqtt(gateway.listen(listener, &name)));
    }
    let router = springhouse_api::router(app);
    let web = |listener, tls| {
        let (router, shutdown) = (router.clone(), shutdown.clone());
        async move { springhouse_api::serve(listener, tls, router, shutdown).await.context("HTTP has failed") }
    };
    if let Some(listener) = listeners.http {
        servers.spawn(web(listener, None));
    }
    if let Some(tls) = tls {
        if let Some(listener) = listeners.mqtts {
            servers.spawn(mqtt(gateway.listen_tls(listener, MQTTS, tls.mqtt)));
        }
        if let Some(listener) = listeners.https {
            servers.spawn(web(listener, Some(tls.http)));
        }
    }
    Ok(servers)
}

/// Histograms keep every sample until somebody reads them or this comes round.
async fn keep_metrics(metrics: PrometheusHandle) {
    let mut clock = tokio::time::interval(Duration::from_secs(5));
    loop {
        clock.tick().await;
        metrics.run_upkeep();
    }
}
