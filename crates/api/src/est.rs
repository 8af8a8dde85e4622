//! Enrolment over Secure Transport (RFC 7030, with the corrections of RFC 8951): a device sends a request for a certificate and
//! who it is, and gets one. The first time it says so by a claim code or its token, over HTTP Basic; later by the certificate
//! that it has.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use springhouse_identity::{CertificateName, Request, certs_only};
use springhouse_meta::{Approval, CLAIM_PREFIX, NewCertificate};
use springhouse_model::{DeviceId, Sensitive, TenantId};

use crate::problem::Problem;
use crate::serve::{ClientCertificate, PeerAddress, Secured};
use crate::state::{App, Authorities};

const CERTS_ONLY: &str = "application/pkcs7-mime; smime-type=certs-only";

/// The authority whose certificates the hub believes.
#[utoipa::path(get, path = "/.well-known/est/cacerts", tag = "enrolment",
    responses((status = 200, description = "PKCS #7 certs-only in base64 (RFC 7030, section 4.1)", body = String, content_type = "application/pkcs7-mime")))]
pub(crate) async fn authorities(State(app): State<App>) -> Result<Response, Problem> {
    let authorities = app.authorities()?;
    Ok(certificates(&certs_only(&[authorities.devices.certificate().clone()])))
}

/// What a request should hold: nothing but a key, of which the hub does not ask for a certain kind.
#[utoipa::path(get, path = "/.well-known/est/csrattrs", tag = "enrolment",
    responses((status = 204, description = "Nothing is asked for (RFC 7030, section 4.5.2)")))]
pub(crate) async fn attributes(State(app): State<App>) -> Result<StatusCode, Problem> {
    app.authorities().map(|_| StatusCode::NO_CONTENT)
}

/// The first certificate of a device, for a claim code or its token as password of HTTP Basic.
#[utoipa::path(post, path = "/.well-known/est/simpleenroll", tag = "enrolment",
    request_body(content = String, content_type = "application/pkcs10", description = "PKCS #10 in base64, DER or PEM"),
    responses((status = 200, description = "The certificate, PKCS #7 certs-only in base64", body = String, content_type = "application/pkcs7-mime"),
        (status = 401, description = "The code is unknown, used or expired")))]
pub(crate) async fn enrol(
    State(app): State<App>,
    secured: Secured,
    PeerAddress(peer): PeerAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let authorities = app.authorities()?;
    encrypted(secured)?;
    // A code is used up by whoever shows it: first everything that can be wrong with the rest.
    let request = read(&body)?;
    let Some(password) = basic_password(&headers) else { return Ok(who_are_you()) };
    app.attempts.begin("", peer).map_err(crate::sign_in::too_many)?;
    let Some((tenant, device)) = claimed(&app, &password).await? else { return Ok(who_are_you()) };
    app.attempts.succeeded("", peer);
    issue(&app, authorities, &request, &tenant, &device).await
}

/// Another certificate for a device that has one, which has to be shown in the TLS handshake. The one that was shown stays
/// good until it runs out or is revoked.
#[utoipa::path(post, path = "/.well-known/est/simplereenroll", tag = "enrolment",
    request_body(content = String, content_type = "application/pkcs10", description = "PKCS #10 in base64, DER or PEM"),
    responses((status = 200, description = "The certificate, PKCS #7 certs-only in base64", body = String, content_type = "application/pkcs7-mime"),
        (status = 401, description = "No certificate was shown")))]
pub(crate) async fn renew(
    State(app): State<App>,
    ClientCertificate(shown): ClientCertificate,
    body: Bytes,
) -> Result<Response, Problem> {
    let authorities = app.authorities()?;
    let request = read(&body)?;
    let Some(shown) = shown else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "no_certificate",
            "no certificate of a device was shown in the TLS handshake",
        )
        .hint("the first certificate comes from /.well-known/est/simpleenroll"));
    };
    let serial = shown.serial.to_string();
    if app.meta.valid_certificates(std::slice::from_ref(&serial)).await?.is_empty() {
        return Err(Problem::forbidden(
            "certificate_revoked",
            "this certificate was revoked, or is not of this hub",
        ));
    }
    issue(&app, authorities, &request, &shown.name.tenant, &shown.name.device).await
}

fn encrypted(Secured(secured): Secured) -> Result<(), Problem> {
    if secured {
        return Ok(());
    }
    Err(Problem::forbidden("needs_tls", "certificates are given over TLS only")
        .hint("use the address that begins with https"))
}

fn read(body: &[u8]) -> Result<Request, Problem> {
    Request::read(body)
        .map_err(|error| Problem::by_class(error.class(), "invalid_request", "read the request", &error))
}

fn who_are_you() -> Response {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid_claim",
        "the claim code is missing, unknown, used or expired",
    )
    .hint("`springhouse device claim DEVICE` makes one; it is the password of HTTP Basic, the user name does not matter");
    let mut response = problem.into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"est\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn basic_password(headers: &HeaderMap) -> Option<Sensitive<String>> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let bytes = STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = Sensitive::new(String::from_utf8(bytes).ok()?);
    let (_, password) = pair.expose().split_once(':')?;
    Some(Sensitive::new(password.to_owned()))
}

/// The device that a claim code or a device's token speaks for.
async fn claimed(app: &App, password: &Sensitive<String>) -> Result<Option<(TenantId, DeviceId)>, Problem> {
    if password.expose().starts_with(CLAIM_PREFIX) {
        return Ok(app.meta.take_claim(password.expose()).await?);
    }
    let token = app.meta.verify_token(password.expose()).await?;
    Ok(token.and_then(|token| token.device.map(|device| (token.tenant, device))))
}

/// Signs a certificate, and writes it down before anybody has it.
async fn issue(
    app: &App,
    authorities: &Authorities,
    request: &Request,
    tenant: &TenantId,
    device: &DeviceId,
) -> Result<Response, Problem> {
    let entry = crate::devices::find(app, tenant, device).await?;
    if entry.state == Approval::Refused {
        return Err(Problem::forbidden("device_refused", format!("device `{device}` is refused")));
    }
    let name = CertificateName { tenant: tenant.clone(), site: entry.site, device: device.clone() };
    let issued = authorities
        .devices
        .issue(request, &name, app.clock.now(), authorities.days)
        .map_err(|error| Problem::by_class(error.class(), "invalid_request", "sign a certificate", &error))?;
    let certificate = NewCertificate {
        serial: issued.serial.to_string(),
        tenant: tenant.clone(),
        device: device.clone(),
        not_before: issued.not_before,
        not_after: issued.not_after,
    };
    app.meta.add_certificate(certificate).await?;
    metrics::counter!("springhouse_certificates_issued_total").increment(1);
    tracing::info!(%tenant, %device, serial = %issued.serial, "a certificate was issued");
    Ok(certificates(&certs_only(&[issued.certificate])))
}

fn certificates(message: &[u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, CERTS_ONLY),
        // RFC 8951 does without; clients from before it look for it.
        (header::HeaderName::from_static("content-transfer-encoding"), "base64"),
    ];
    // In one line: RFC 8951 means the base64 of RFC 4648, and there are clients that read no other.
    (headers, STANDARD.encode(message)).into_response()
}
