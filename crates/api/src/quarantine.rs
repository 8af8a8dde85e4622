//! The quarantine inbox: what did not fit and why, and what becomes of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use springhouse_meta::{QuarantineCount, QuarantineFilter, QuarantinedMessage};
use springhouse_model::{DeviceId, StreamName, TenantId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{JsonBody, Params, parse_optional_time};
use crate::problem::Problem;
use crate::state::App;

const ITEMS_DEFAULT: u32 = 100;
const ITEMS_MAX: u32 = 1_000;
/// Messages of one replay; more are replayed by asking again.
const REPLAY_MAX: u32 = 10_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct QuarantineView {
    /// Newest first.
    items: Vec<ItemView>,
    /// What waits, by stream and reason.
    counts: Vec<CountView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ItemView {
    id: String,
    stream: Option<String>,
    device: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    #[schema(example = "wrong_type")]
    reason: String,
    /// What exactly did not fit.
    #[schema(example = "`power` is a text, expected a number")]
    detail: String,
    payload: String,
    /// text, or base64 when the payload is no UTF-8
    #[schema(example = "text")]
    payload_encoding: &'static str,
    topic: String,
}

impl From<QuarantinedMessage> for ItemView {
    fn from(message: QuarantinedMessage) -> ItemView {
        let (payload, payload_encoding) = match String::from_utf8(message.payload) {
            Ok(text) => (text, "text"),
            Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
        };
        ItemView {
            id: message.id,
            stream: message.stream.map(|stream| stream.to_string()),
            device: message.device.map(|device| device.to_string()),
            received: message.received,
            reason: message.reason,
            detail: message.detail,
            payload,
            payload_encoding,
            topic: message.topic,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CountView {
    stream: Option<String>,
    reason: String,
    count: u64,
}

impl From<QuarantineCount> for CountView {
    fn from(count: QuarantineCount) -> CountView {
        CountView {
            stream: count.stream.map(|stream| stream.to_string()),
            reason: count.reason,
            count: count.count,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct QuarantineParams {
    stream: Option<String>,
    device: Option<String>,
    reason: Option<String>,
    /// At most 1000.
    limit: Option<u32>,
    /// Only what was received before this time, to page backwards.
    before: Option<String>,
}

/// What waits in quarantine.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "quarantine", params(QuarantineParams),
    responses((status = 200, body = QuarantineView)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<QuarantineParams>,
) -> Result<Json<QuarantineView>, Problem> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = QuarantineFilter {
        stream: given(params.stream).map(|name| name.parse()).transpose()?,
        device: given(params.device).map(|name| name.parse()).transpose()?,
        reason: given(params.reason),
        before: parse_optional_time("before", params.before.as_deref())?,
        ..QuarantineFilter::default()
    };
    let limit = params.limit.unwrap_or(ITEMS_DEFAULT).min(ITEMS_MAX);
    let items = app.meta.quarantine_list(caller.tenant(), &filter, limit).await?;
    let counts = app.meta.quarantine_counts(caller.tenant()).await?;
    Ok(Json(QuarantineView {
        items: items.into_iter().map(ItemView::from).collect(),
        counts: counts.into_iter().map(CountView::from).collect(),
    }))
}

/// Which messages; at least one of the fields. A word that is not known is refused, because passing it over would widen
/// the choice.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Choice {
    ids: Option<Vec<String>>,
    #[schema(value_type = Option<String>)]
    stream: Option<StreamName>,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    reason: Option<String>,
    /// Received before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
}

impl Choice {
    /// A request that names nothing would mean everything; that has to be said.
    fn filter(self) -> Result<QuarantineFilter, Problem> {
        let names_nothing = self.ids.is_none()
            && self.stream.is_none()
            && self.device.is_none()
            && self.reason.is_none()
            && self.before.is_none();
        if names_nothing {
            let detail = "no message is chosen, expected `ids`, `stream`, `device`, `reason` or `before`";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_chosen", detail));
        }
        Ok(QuarantineFilter {
            stream: self.stream,
            device: self.device,
            reason: self.reason,
            before: self.before,
            ids: self.ids,
            with_replayed: false,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Messages that fit by now and are part of their stream.
    replayed: u64,
    /// Messages that still do not fit and stay.
    still_failing: u64,
}

/// Tries messages again, after a schema has been changed; answers when those that fit are durable.
#[utoipa::path(post, path = "/api/v1/quarantine/replay", tag = "quarantine", request_body = Choice,
    responses((status = 200, body = Replayed)))]
pub(crate) async fn replay(
    State(app): State<App>,
    caller: Caller,
    JsonBody(choice): JsonBody<Choice>,
) -> Result<Json<Replayed>, Problem> {
    let ids = ids_of(&app, caller.tenant(), choice).await?;
    let report = app
        .ingest
        .replay(caller.tenant(), &ids)
        .await
        .map_err(|error| Problem::by_class(error.class(), "replay", "replay the messages", &error))?;
    Ok(Json(Replayed { replayed: report.replayed, still_failing: report.still_failing }))
}

async fn ids_of(app: &App, tenant: &TenantId, choice: Choice) -> Result<Vec<String>, Problem> {
    let filter = choice.filter()?;
    let messages = app.meta.quarantine_list(tenant, &filter, REPLAY_MAX).await?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Purged {
    purged: u64,
}

/// Deletes messages from quarantine for good.
#[utoipa::path(post, path = "/api/v1/quarantine/purge", tag = "quarantine", request_body = Choice,
    responses((status = 200, body = Purged)))]
pub(crate) async fn purge(
    State(app): State<App>,
    caller: Caller,
    JsonBody(choice): JsonBody<Choice>,
) -> Result<Json<Purged>, Problem> {
    let filter = QuarantineFilter { with_replayed: true, ..choice.filter()? };
    let purged = app.meta.quarantine_purge(caller.tenant(), &filter).await?;
    tracing::info!(purged, "messages have been purged from quarantine");
    Ok(Json(Purged { purged }))
}
