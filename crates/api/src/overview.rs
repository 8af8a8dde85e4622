//! The first screen: the person's own things. Energy and rooms are read off the twin by the names of the usual streams,
//! everything else is counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use springhouse_lake::Latest;
use springhouse_meta::{AlertFilter, PipelineState};
use springhouse_model::{TenantId, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::devices::{is_online, last_seen};
use crate::problem::Problem;
use crate::state::App;
use crate::streams::is_internal;

/// Stream whose latest `power` (W) of all devices is what the homes take from the grid; negative when they feed in.
const METER: &str = "meter";
/// Stream whose latest `power` (W) of all devices is what the roofs give.
const SOLAR: &str = "solar";
const POWER: &str = "power";
/// Stream of room climates, with `temperature` and `humidity`.
const CLIMATE: &str = "climate";
/// A value that is older says nothing about the present.
const FRESH_US: i64 = 15 * 60 * 1_000_000;
/// Lines of the activity list, and rooms, that fit on a screen.
const ACTIVITY_MAX: usize = 20;
const MINUTE_US: i64 = 60_000_000;
const ROOMS_MAX: usize = 200;

#[derive(Serialize, ToSchema)]
pub(crate) struct OverviewView {
    devices: usize,
    devices_online: usize,
    readings_per_minute: u64,
    /// From the arrival of a reading to an open page, 99th percentile of the last minute; null when no page is open.
    ingest_to_page_ms_p99: Option<f64>,
    streams: usize,
    pipelines_running: usize,
    /// Firings that nobody has acknowledged.
    alerts_open: u64,
    /// Firings of rules with RESOLVE that are not over.
    alerts_firing: u64,
    quarantined: u64,
    /// Connections to other systems: none is made that the owner has not configured, and there is none to configure.
    outbound_connections: u64,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    version: &'static str,
    /// Null when no stream `meter` or `solar` has a `power`.
    energy: Option<Energy>,
    rooms: Vec<Room>,
    /// Newest first.
    activity: Vec<Activity>,
}

/// Sums of the latest `power` over all devices of `solar` and `meter`, in kW. Where both are there, a home uses what
/// its roof gives and what its meter counts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Energy {
    solar_kw: Option<f64>,
    home_kw: Option<f64>,
    /// Positive when taken from the grid.
    grid_kw: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Room {
    site: Option<String>,
    device: String,
    temperature: Option<f64>,
    humidity: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Activity {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    device: Option<String>,
    text: String,
    /// info, warning or critical
    severity: String,
}

/// What the first screen shows.
#[utoipa::path(get, path = "/api/v1/overview", tag = "operating", responses((status = 200, body = OverviewView)))]
pub(crate) async fn show(State(app): State<App>, caller: Caller) -> Result<Json<OverviewView>, Problem> {
    let tenant = caller.tenant();
    let now = app.clock.now();
    let devices = app.meta.devices(tenant).await?;
    let mut streams = app.ingest.registry().streams(tenant);
    streams.retain(|entry| !is_internal(&entry.key.name));
    let pipelines = app.meta.pipelines(Some(tenant)).await?;
    let counts = app.meta.alert_counts(tenant).await?;
    let quarantined = app.meta.quarantine_counts(tenant).await?;
    let latest = app.lake.twin().all(tenant);
    let sites =
        devices.iter().map(|device| (device.id.as_str(), device.site.as_ref().map(ToString::to_string)));
    Ok(Json(OverviewView {
        devices_online: devices.iter().filter(|device| is_online(last_seen(&app, device), now)).count(),
        readings_per_minute: streams
            .iter()
            .map(|entry| app.pulse.stream(entry.id, now).rows_per_minute)
            .sum(),
        ingest_to_page_ms_p99: app.pulse.shown_p99_ms(now),
        streams: streams.len(),
        pipelines_running: pipelines
            .iter()
            .filter(|pipeline| pipeline.state == PipelineState::Running)
            .count(),
        alerts_open: counts.iter().map(|count| count.open).sum(),
        alerts_firing: counts.iter().map(|count| count.firing).sum(),
        quarantined: quarantined.iter().map(|count| count.count).sum(),
        outbound_connections: app.engine.tables().connections(),
        started_at: app.started_at,
        version: app.options.version,
        energy: energy(&latest, now),
        rooms: rooms(&latest, &sites.collect(), now),
        activity: activity(&app, tenant, &devices).await?,
        devices: devices.len(),
    }))
}

fn energy(latest: &[Latest], now: Timestamp) -> Option<Energy> {
    let sum = |stream: &str| -> Option<f64> {
        let powers =
            latest.iter().filter(|latest| latest.stream.as_str() == stream && &*latest.property == POWER);
        let mut watts = powers
            .filter(|latest| is_fresh(latest, now))
            .filter_map(|latest| latest.value.as_f64())
            .peekable();
        watts.peek().is_some().then_some(())?;
        Some((watts.sum::<f64>() / 10.0).round() / 100.0)
    };
    let (solar_kw, grid_kw) = (sum(SOLAR), sum(METER));
    let home_kw = grid_kw.map(|grid| ((grid + solar_kw.unwrap_or_default()) * 100.0).round() / 100.0);
    (solar_kw.is_some() || grid_kw.is_some()).then_some(Energy { solar_kw, home_kw, grid_kw })
}

fn is_fresh(latest: &Latest, now: Timestamp) -> bool {
    now.micros().saturating_sub(latest.ts.micros()) < FRESH_US
}

fn rooms(latest: &[Latest], sites: &BTreeMap<&str, Option<String>>, now: Timestamp) -> Vec<Room> {
    let mut rooms: BTreeMap<&str, Room> = BTreeMap::new();
    let climates = latest.iter().filter(|latest| latest.stream.as_str() == CLIMATE && is_fresh(latest, now));
    for latest in climates {
        let device = latest.device.as_str();
        let room = rooms.entry(device).or_insert_with(|| Room {
            site: sites.get(device).cloned().flatten(),
            device: device.to_owned(),
            temperature: None,
            humidity: None,
        });
        match &*latest.property {
            "temperature" => room.temperature = latest.value.as_f64(),
            "humidity" => room.humidity = latest.value.as_f64(),
            _ => {}
        }
    }
    let told = rooms.into_values().filter(|room| room.temperature.is_some() || room.humidity.is_some());
    told.take(ROOMS_MAX).collect()
}

/// What has happened: alerts, devices that showed up, messages that did not fit.
async fn activity(
    app: &App,
    tenant: &TenantId,
    devices: &[springhouse_meta::Device],
) -> Result<Vec<Activity>, Problem> {
    let events = app.meta.alerts(tenant, &AlertFilter::default(), ACTIVITY_MAX as u32).await?;
    let mut lines: Vec<Activity> = events
        .into_iter()
        .map(|event| {
            let is_device = devices.iter().any(|device| device.id.as_str() == event.key);
            Activity {
                at: event.at,
                text: match is_device || event.key.is_empty() {
                    true => event.alert,
                    false => format!("{}: {}", event.alert, event.key),
                },
                device: is_device.then_some(event.key),
                severity: event.severity.to_string(),
            }
        })
        .collect();
    lines.extend(arrivals(devices));
    let filter = springhouse_meta::QuarantineFilter::default();
    let quarantined = app.meta.quarantine_list(tenant, &filter, ACTIVITY_MAX as u32).await?;
    lines.extend(quarantined.into_iter().map(|message| Activity {
        at: message.received,
        text: format!("sent to quarantine: {}", message.reason.replace('_', " ")),
        device: message.device.map(|device| device.to_string()),
        severity: String::from("warning"),
    }));
    lines.sort_by_key(|line| Reverse(line.at));
    lines.truncate(ACTIVITY_MAX);
    Ok(lines)
}

/// Devices that showed up. Those of one minute are one line, because a gateway brings all of its devices at once.
fn arrivals(devices: &[springhouse_meta::Device]) -> impl Iterator<Item = Activity> {
    let mut minutes: BTreeMap<i64, Vec<&springhouse_meta::Device>> = BTreeMap::new();
    for device in devices {
        minutes.entry(device.created_at.micros().div_euclid(MINUTE_US)).or_default().push(device);
    }
    minutes.into_values().rev().take(ACTIVITY_MAX).filter_map(|together| {
        let newest = together.iter().max_by_key(|device| device.created_at)?;
        let (device, text) = match together.len() {
            1 => (Some(newest.id.to_string()), String::from("seen for the first time")),
            many => (None, format!("{many} devices seen for the first time")),
        };
        Some(Activity { at: newest.created_at, device, text, severity: String::from("info") })
    })
}
