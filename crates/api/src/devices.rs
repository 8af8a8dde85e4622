//! Devices: the list, one device with its last values, and whether it may send.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use springhouse_lake::Latest;
use springhouse_meta::{Approval, Device, NewDevice};
use springhouse_model::{DeviceId, SiteId, TenantId, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::device_tokens::{self, DeviceToken};
use crate::extract::{At, JsonBody};
use crate::problem::Problem;
use crate::schemas::registry_problem;
use crate::state::App;

/// A device that was heard within this time counts as online. Most sensors report at least once a minute; two
/// minutes forgive one that was missed.
const ONLINE_WITHIN_US: i64 = 120_000_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceView {
    #[schema(example = "home-01-thermostat")]
    id: String,
    site: Option<String>,
    /// pending, approved or refused
    #[schema(example = "approved")]
    state: &'static str,
    /// Streams that it has sent to.
    streams: Vec<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Timestamp>,
    online: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceDetail {
    #[serde(flatten)]
    device: DeviceView,
    latest: Vec<LatestView>,
    /// Ids of the tokens that this device can sign in with.
    tokens: Vec<String>,
}

/// The last value of a property.
#[derive(Serialize, ToSchema)]
pub(crate) struct LatestView {
    #[schema(example = "climate")]
    stream: String,
    #[schema(example = "temperature")]
    property: String,
    #[schema(value_type = Object, example = 21.5)]
    value: serde_json::Value,
    #[schema(example = "°C")]
    unit: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    ts: Timestamp,
}

impl From<Latest> for LatestView {
    fn from(latest: Latest) -> LatestView {
        LatestView {
            stream: latest.stream.to_string(),
            property: latest.property.to_string(),
            value: latest.value,
            unit: latest.unit,
            ts: latest.ts,
        }
    }
}

pub(crate) const fn approval_word(state: Approval) -> &'static str {
    match state {
        Approval::Pending => "pending",
        Approval::Approved => "approved",
        Approval::Refused => "refused",
    }
}

pub(crate) fn is_online(last_seen: Option<Timestamp>, now: Timestamp) -> bool {
    last_seen.is_some_and(|seen| now.micros().saturating_sub(seen.micros()) < ONLINE_WITHIN_US)
}

fn view(app: &App, device: Device, streams: Vec<String>) -> DeviceView {
    let last_seen = last_seen(app, &device);
    DeviceView {
        id: device.id.to_string(),
        site: device.site.map(|site| site.to_string()),
        state: approval_word(device.state),
        streams,
        online: is_online(last_seen, app.clock.now()),
        last_seen,
        created_at: device.created_at,
    }
}

/// The registry hears every message; what is stored follows some seconds later.
pub(crate) fn last_seen(app: &App, device: &Device) -> Option<Timestamp> {
    let heard =
        app.ingest.registry().device(&device.tenant, &device.id).and_then(|device| device.last_seen());
    heard.max(device.last_seen)
}

fn streams_of(app: &App, tenant: &TenantId, id: &DeviceId) -> Vec<String> {
    let latest = app.lake.twin().device(tenant, id);
    let names: BTreeSet<String> = latest.into_iter().map(|latest| latest.stream.to_string()).collect();
    names.into_iter().collect()
}

/// All devices of the tenant.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", responses((status = 200, body = [DeviceView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<DeviceView>>, Problem> {
    let devices = app.meta.devices(caller.tenant()).await?;
    let mut streams: BTreeMap<DeviceId, BTreeSet<String>> = BTreeMap::new();
    for latest in app.lake.twin().all(caller.tenant()) {
        streams.entry(latest.device.clone()).or_default().insert(latest.stream.to_string());
    }
    let views = devices.into_iter().map(|device| {
        let streams = streams.remove(&device.id).map(|names| names.into_iter().collect()).unwrap_or_default();
        view(&app, device, streams)
    });
    Ok(Json(views.collect()))
}

/// One device with the last value of each of its properties.
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceDetail)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<DeviceDetail>, Problem> {
    let device = find(&app, caller.tenant(), &id).await?;
    let latest = app.lake.twin().device(caller.tenant(), &id);
    let tokens = app.meta.tokens(caller.tenant()).await?;
    Ok(Json(DeviceDetail {
        device: view(&app, device, streams_of(&app, caller.tenant(), &id)),
        latest: latest.into_iter().map(LatestView::from).collect(),
        tokens: tokens
            .into_iter()
            .filter(|token| token.device.as_ref() == Some(&id))
            .map(|token| token.id)
            .collect(),
    }))
}

pub(crate) async fn find(app: &App, tenant: &TenantId, id: &DeviceId) -> Result<Device, Problem> {
    app.meta.device(tenant, id).await?.ok_or_else(|| Problem::not_found("device", id))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceDraft {
    #[schema(value_type = String, example = "attic-sensor")]
    id: DeviceId,
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "home-01")]
    site: Option<SiteId>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceMade {
    device: DeviceView,
    /// Its MQTT password and bearer token; shown here and never again.
    #[schema(example = "shk_0f3a9c55d2b17e60_…")]
    token: String,
}

/// Registers a device, approved, with a token of its own.
#[utoipa::path(post, path = "/api/v1/devices", tag = "devices", request_body = DeviceDraft,
    responses((status = 201, body = DeviceMade), (status = 409, description = "There is such a device")))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<DeviceDraft>,
) -> Result<(StatusCode, Json<DeviceMade>), Problem> {
    if app.meta.device(caller.tenant(), &draft.id).await?.is_some() {
        return Err(Problem::conflict("conflict", format!("device `{}` exists already", draft.id))
            .hint("POST /api/v1/devices/{id}/token gives it a token"));
    }
    let device = NewDevice {
        tenant: caller.tenant().clone(),
        id: draft.id,
        site: draft.site,
        state: Approval::Approved,
    };
    let id = device.id.clone();
    app.ingest.registry().register_device(device).await.map_err(registry_problem)?;
    let device = find(&app, caller.tenant(), &id).await?;
    let DeviceToken { token } = device_tokens::rotate(&app, &device).await?;
    let device = view(&app, device, Vec::new());
    Ok((StatusCode::CREATED, Json(DeviceMade { device, token })))
}

/// Lets a device that showed up by itself take part.
#[utoipa::path(post, path = "/api/v1/devices/{id}/approve", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceView)))]
pub(crate) async fn approve(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<DeviceView>, Problem> {
    set_state(&app, &caller, &id, Approval::Approved).await
}

/// Refuses a device: what it sends goes to quarantine, and its tokens are revoked.
#[utoipa::path(post, path = "/api/v1/devices/{id}/refuse", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceView)))]
pub(crate) async fn refuse(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<DeviceView>, Problem> {
    let refused = set_state(&app, &caller, &id, Approval::Refused).await?;
    device_tokens::revoke_all(&app, caller.tenant(), &id).await?;
    Ok(refused)
}

async fn set_state(
    app: &App,
    caller: &Caller,
    id: &DeviceId,
    state: Approval,
) -> Result<Json<DeviceView>, Problem> {
    app.ingest.registry().set_device_state(caller.tenant(), id, state).await.map_err(registry_problem)?;
    tracing::info!(state = approval_word(state), "the state of a device has been changed");
    let device = find(app, caller.tenant(), id).await?;
    Ok(Json(view(app, device, streams_of(app, caller.tenant(), id))))
}
