//! Readings over HTTP: the same way in as over MQTT, for what has no MQTT client. The answer leaves after the
//! readings are durable.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use springhouse_ingest::{IngestError, MESSAGE_ID_BYTES_MAX, Message, Outcome, is_message_id};
use springhouse_model::{DeviceId, StreamName};
use springhouse_policy::{Principal, Scope};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, RawBody};
use crate::problem::Problem;
use crate::state::App;

/// Names one delivery, so that a repeated one is recognized.
const MESSAGE_ID: &str = "message-id";

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivered {
    /// Rows that are durable in the stream.
    accepted: u64,
    /// Known already by its `Message-Id`.
    duplicate: bool,
    /// Why the payload is in quarantine; empty when it fits.
    #[schema(example = json!([]))]
    quarantined: Vec<String>,
}

/// Takes one payload of a device: a JSON object, or an array of them. Answers when it is durable.
#[utoipa::path(post, path = "/api/v1/devices/{id}/streams/{stream}", tag = "devices",
    params(("id" = String, Path), ("stream" = String, Path),
        ("Message-Id" = Option<String>, Header, description = "Names this delivery; repeating it adds nothing")),
    request_body(content = Object, content_type = "application/json", description = "One reading or an array of them"),
    responses((status = 202, body = Delivered)))]
pub(crate) async fn deliver(
    State(app): State<App>,
    caller: Caller,
    At((device, stream)): At<(DeviceId, StreamName)>,
    headers: HeaderMap,
    RawBody(payload): RawBody,
) -> Result<(StatusCode, Json<Delivered>), Problem> {
    check_may_speak(&caller.principal, &device)?;
    if payload.len() > app.options.payload_bytes_max {
        return Err(too_large(app.options.payload_bytes_max));
    }
    let message = Message {
        topic: format!("devices/{device}/{stream}").into(),
        device: Some(device),
        payload,
        received: app.clock.now(),
        id: message_id(&headers)?,
        journal: None,
    };
    let mut outcomes = Vec::with_capacity(1);
    let commit = app.ingest.accept(&caller.principal, &[message], &mut outcomes).await.map_err(refused)?;
    app.ingest.durable(commit).await.map_err(refused)?;
    answer(outcomes.into_iter().next())
}

fn check_may_speak(principal: &Principal, device: &DeviceId) -> Result<(), Problem> {
    match principal.own_device() {
        _ if principal.may_speak_for(device) => Ok(()),
        Some(own) => {
            Err(Problem::forbidden("wrong_device", format!("this token speaks for device `{own}` alone")))
        }
        None => Err(Problem::forbidden("missing_scope", format!("this needs the scope `{}`", Scope::Ingest))),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("a payload has at most {bytes_max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

fn message_id(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let Some(value) = headers.get(MESSAGE_ID) else { return Ok(None) };
    match value.to_str() {
        Ok(id) if is_message_id(id) => Ok(Some(Arc::from(id))),
        _ => {
            let detail = format!("`Message-Id` has 1 to {MESSAGE_ID_BYTES_MAX} printable ASCII characters");
            Err(Problem::bad_request("invalid_message_id", detail))
        }
    }
}

fn answer(outcome: Option<Outcome>) -> Result<(StatusCode, Json<Delivered>), Problem> {
    let delivered = match outcome {
        Some(Outcome::Accepted { rows }) => {
            Delivered { accepted: u64::from(rows), duplicate: false, quarantined: Vec::new() }
        }
        Some(Outcome::Duplicate) => Delivered { accepted: 0, duplicate: true, quarantined: Vec::new() },
        Some(Outcome::Quarantined(reason)) => {
            Delivered { accepted: 0, duplicate: false, quarantined: vec![reason.code().to_owned()] }
        }
        Some(Outcome::NotAStream) | None => {
            return Err(Problem::not_found("stream for this", "topic"));
        }
        Some(Outcome::Refused(refusal)) => return Err(Problem::forbidden("refused", refusal.to_string())),
    };
    Ok((StatusCode::ACCEPTED, Json(delivered)))
}

fn refused(error: IngestError) -> Problem {
    match &error {
        IngestError::Full { .. } | IngestError::Poisoned { .. } | IngestError::Closed => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_taken", "no readings are taken at present")
                .hint("the hub needs its owner; /readyz says more")
                .retry_after_s(30)
        }
        _ => Problem::by_class(error.class(), "refused", "take the reading", &error),
    }
}
