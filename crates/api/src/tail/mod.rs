//! `/api/v1/tail`: the rows of streams on an open WebSocket, as they become durable.
//!
//! Each client has a task of its own that reads the log from its end on, so a client costs no queue: whoever reads
//! slower than the rows come is moved ahead to the end, and told how many rows that were for him he has missed. The
//! rows of one commit travel in one text frame for each stream.
//!
//! ```text
//! {"stream":"meter","rows":[{"ts":…,"device":…,"power":1.5}],"dropped":0}
//! ```

mod frame;
mod selection;
mod session;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::Params;
use crate::problem::Problem;
use crate::state::App;
pub(crate) use selection::Selection;

/// Clients have nothing to say here but pong and close.
const INBOUND_BYTES_MAX: usize = 4 * 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TailParams {
    /// Names joined by commas; `alerts.*` is every stream of that beginning, `*` every stream.
    #[param(example = "meter,climate")]
    stream: String,
    /// Only rows of this device.
    device: Option<String>,
    /// Only rows for which this SQL expression is true.
    #[param(example = "power > 1000")]
    filter: Option<String>,
}

/// One text frame of the tail.
#[derive(Serialize, ToSchema)]
pub(crate) struct TailFrame {
    #[schema(example = "meter")]
    pub stream: String,
    /// One object for each row, with every column that is not null.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<serde_json::Value>,
    /// Rows of this stream that were left out since the frame before, because the client was too slow.
    pub dropped: u64,
}

/// Rows of streams as they become durable; a WebSocket.
#[utoipa::path(get, path = "/api/v1/tail", tag = "streams", params(TailParams),
    responses((status = 101, description = "Text frames, each a TailFrame", body = TailFrame)))]
pub(crate) async fn open(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<TailParams>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let selection = Selection::parse(
        caller.tenant().clone(),
        &params.stream,
        params.device.as_deref(),
        params.filter.as_deref(),
        app.engine.functions().set(caller.tenant()),
    )?;
    if selection.has_filter() {
        let (hub, checked) = (app.clone(), selection.clone());
        let check = async move { check_filter(&hub, &checked) };
        app.live.run(check).await.map_err(|error| Problem::internal("check the filter", &error))??;
    }
    let upgrade = upgrade.map_err(|_| needs_websocket())?;
    let place = app.tail_place().ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_tails", "too many tails are open")
            .hint("close some of them; one tail may be of several streams")
            .retry_after_s(10)
    })?;
    // Known before the client is answered: what is appended from here on is his.
    let from = app.log.end();
    Ok(upgrade.max_message_size(INBOUND_BYTES_MAX).max_frame_size(INBOUND_BYTES_MAX).on_upgrade(
        move |socket| async move {
            let tail = session::run(app.clone(), caller, selection, from, socket, place);
            // A tail that panics is closed by that; the others run on.
            let _ = app.live.complete(tail).await;
        },
    ))
}

/// Says at once what is wrong with a filter, as far as the streams exist already.
fn check_filter(app: &App, selection: &Selection) -> Result<(), Problem> {
    let streams = app.ingest.registry().streams(&selection.tenant);
    let mut first = Ok(());
    for stream in streams.iter().filter(|stream| selection.names(&stream.key.name)) {
        match selection.compile(&stream.schema.arrow()) {
            // One stream of several may have what the filter asks for.
            Ok(_) => return Ok(()),
            Err(problem) => first = first.and(Err(problem)),
        }
    }
    first
}

pub(crate) fn needs_websocket() -> Problem {
    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "this address speaks WebSocket")
        .hint("open it with a WebSocket client, or ask /api/v1/streams/{name}/readings for rows")
}
