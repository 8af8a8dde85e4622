//! The credential of one device: a token that speaks for it alone. Giving a new one ends the old one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use springhouse_meta::{Device, NewToken};
use springhouse_model::{DeviceId, TenantId};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::devices;
use crate::extract::At;
use crate::problem::Problem;
use crate::state::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceToken {
    /// Its MQTT password and bearer token; shown here and never again.
    #[schema(example = "shk_0f3a9c55d2b17e60_…")]
    pub token: String,
}

/// Gives the device a token; earlier ones end.
#[utoipa::path(post, path = "/api/v1/devices/{id}/token", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceToken)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<DeviceToken>, Problem> {
    let device = devices::find(&app, caller.tenant(), &id).await?;
    rotate(&app, &device).await.map(Json)
}

/// Revokes the tokens of the device.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/token", tag = "devices", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<StatusCode, Problem> {
    devices::find(&app, caller.tenant(), &id).await?;
    if revoke_all(&app, caller.tenant(), &id).await? == 0 {
        return Err(Problem::not_found("token of device", id));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn rotate(app: &App, device: &Device) -> Result<DeviceToken, Problem> {
    let token = NewToken {
        tenant: device.tenant.clone(),
        site: device.site.clone(),
        name: device.id.to_string(),
        scopes: Vec::new(),
        device: Some(device.id.clone()),
        expires_at: None,
    };
    let (info, text) = app.meta.create_token(token).await?;
    app.meta.revoke_device_tokens(&device.tenant, &device.id, Some(&info.id)).await?;
    cut_off(app, &device.tenant, &device.id);
    Ok(DeviceToken { token: text.expose().clone() })
}

/// Returns how many there were.
pub(crate) async fn revoke_all(app: &App, tenant: &TenantId, device: &DeviceId) -> Result<u64, Problem> {
    let count = app.meta.revoke_device_tokens(tenant, device, None).await?;
    cut_off(app, tenant, device);
    Ok(count)
}

fn cut_off(app: &App, tenant: &TenantId, device: &DeviceId) {
    app.revoked(|principal| principal.tenant == *tenant && principal.own_device() == Some(device));
}
