//! The certificates of one device: which it has, the code by which it gets its first one, and their end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use springhouse_meta::CertificateEntry;
use springhouse_model::{DeviceId, TenantId, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::devices;
use crate::extract::At;
use crate::problem::Problem;
use crate::state::App;

/// Long enough to carry a code to a device, too short to forget it in a drawer.
const CLAIM_US: i64 = 24 * 3_600 * 1_000_000;
/// How the credential of a connection that showed a certificate begins.
pub const CERTIFICATE_CREDENTIAL: &str = "x509:";

#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateView {
    #[schema(example = "5f3a9c55d2b17e605f3a9c55d2b17e60")]
    serial: String,
    #[schema(value_type = String, format = DateTime)]
    not_before: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    not_after: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<CertificateEntry> for CertificateView {
    fn from(entry: CertificateEntry) -> CertificateView {
        let CertificateEntry { serial, not_before, not_after, issued_at, revoked_at, .. } = entry;
        CertificateView { serial, not_before, not_after, issued_at, revoked_at }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ClaimView {
    /// The password of HTTP Basic at /.well-known/est/simpleenroll; good once, shown here and never again.
    #[schema(example = "shc_0f3a9c55d2b17e60_…")]
    claim: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes a code by which the device gets its first certificate, once, within a day. Earlier codes of the device end.
#[utoipa::path(post, path = "/api/v1/devices/{id}/claim", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = ClaimView)))]
pub(crate) async fn claim(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<ClaimView>, Problem> {
    app.authorities()?;
    devices::find(&app, caller.tenant(), &id).await?;
    let expires_at = app.clock.now().plus_micros(CLAIM_US);
    let claim = app.meta.create_claim(caller.tenant(), &id, expires_at).await?;
    Ok(Json(ClaimView { claim: claim.expose().clone(), expires_at }))
}

/// The certificates of the device, the newest first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/certificates", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = [CertificateView])))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<Json<Vec<CertificateView>>, Problem> {
    devices::find(&app, caller.tenant(), &id).await?;
    let certificates = app.meta.certificates(caller.tenant(), &id).await?;
    Ok(Json(certificates.into_iter().map(CertificateView::from).collect()))
}

/// Revokes all certificates of the device. It is disconnected, and none of them is good for a new connection.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/certificates", tag = "devices", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke_all(
    State(app): State<App>,
    caller: Caller,
    At(id): At<DeviceId>,
) -> Result<StatusCode, Problem> {
    devices::find(&app, caller.tenant(), &id).await?;
    match revoke(&app, caller.tenant(), &id, None).await? {
        0 => Err(Problem::not_found("valid certificate of device", id)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Revokes one certificate of the device.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/certificates/{serial}", tag = "devices",
    params(("id" = String, Path), ("serial" = String, Path)), responses((status = 204)))]
pub(crate) async fn revoke_one(
    State(app): State<App>,
    caller: Caller,
    At((id, serial)): At<(DeviceId, String)>,
) -> Result<StatusCode, Problem> {
    devices::find(&app, caller.tenant(), &id).await?;
    match revoke(&app, caller.tenant(), &id, Some(&serial)).await? {
        0 => Err(Problem::not_found("valid certificate", serial)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Returns how many there were. They are good for nothing before this returns.
async fn revoke(
    app: &App,
    tenant: &TenantId,
    device: &DeviceId,
    only: Option<&str>,
) -> Result<usize, Problem> {
    let serials = app.meta.revoke_certificates(tenant, device, only).await?;
    if let Ok(authorities) = app.authorities() {
        authorities.revoked.add(serials.iter().filter_map(|serial| serial.parse().ok()));
    }
    app.revoked(|principal| {
        let serial =
            principal.credential.as_deref().and_then(|text| text.strip_prefix(CERTIFICATE_CREDENTIAL));
        serial.is_some_and(|serial| serials.iter().any(|revoked| revoked == serial))
    });
    Ok(serials.len())
}
