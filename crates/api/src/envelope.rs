//! What every request passes on its way in and every response on its way out: a request id, a deadline, a net for
//! panics, security headers, counters, one line of log, and the promise that an error is problem+json.
//!
//! The log line names the route as it stands in the table, never the address itself: addresses carry device names
//! and one-time links.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;

use crate::problem::{self, Problem};
use crate::state::App;

static REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a proxy in front.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Scripts come from the hub alone and never from inside a page. Styles may stand inline, because chart and editor
/// libraries write them.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
     manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that this task is answering; empty outside of one.
pub(crate) fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

pub(crate) async fn envelope(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = take_over_id(&request).unwrap_or_else(|| app.next_request_id());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let deadline = app.options.request_timeout;
    let mut response = REQUEST_ID.scope(id.clone(), async { answer(request, next, deadline).await }).await;
    dress(&mut response, &id);
    let status = response.status().as_u16();
    let took = started.elapsed();
    metrics::counter!("springhouse_http_requests_total",
        "method" => method_word(&method), "route" => route.clone(), "status" => status.to_string())
    .increment(1);
    metrics::histogram!("springhouse_http_request_seconds", "route" => route.clone())
        .record(took.as_secs_f64());
    tracing::debug!(request_id = %id, %method, route, status, took_us = took.as_micros() as u64, "answered");
    response
}

/// A stranger may invent methods, and each would be a counter of its own for ever.
fn method_word(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}

async fn answer(request: Request, next: Next, deadline: Duration) -> Response {
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match tokio::time::timeout(deadline, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            // The panic hook has printed place and message.
            tracing::error!(request_id = %request_id(), "a request handler panicked");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the hub failed to answer this request",
            )
            .hint("the hub's log has the cause under the request id; please report it")
            .into_response()
        }
        Err(_) => {
            let detail = format!("no answer within {} s", deadline.as_secs());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)
                .hint("ask for less at a time")
                .into_response()
        }
    };
    as_problem(response)
}

/// Errors that axum itself answers (a body over its limit, a refused upgrade) get the shape of all others.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !is_error || content_type == Some(problem::CONTENT_TYPE) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than this address accepts"),
        StatusCode::UPGRADE_REQUIRED => ("upgrade_required", "this address speaks WebSocket"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not know the method"),
        _ => ("refused", "the request was refused"),
    };
    let mut problem = Problem::new(status, code, detail).into_response();
    for name in [header::ALLOW, header::UPGRADE, header::CONNECTION] {
        if let Some(value) = response.headers().get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

fn take_over_id(request: &Request) -> Option<String> {
    let text = request.headers().get(&REQUEST_ID_HEADER)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!text.is_empty() && text.len() <= REQUEST_ID_BYTES_MAX && text.chars().all(plain))
        .then(|| text.to_owned())
}

fn dress(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID_HEADER.clone(), value);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers of the API are about one caller at one moment; the page's files say themselves how long they keep.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Numbers requests within one run of the hub.
#[derive(Debug)]
pub(crate) struct RequestIds {
    run: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// `run` tells the runs of the hub apart, such as its start time.
    pub fn new(run: u64) -> RequestIds {
        RequestIds { run, next: AtomicU64::new(1) }
    }

    pub fn next(&self) -> String {
        format!("{:x}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
