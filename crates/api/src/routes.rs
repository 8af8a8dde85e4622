//! The table of all routes: method, address, what a caller needs, handler. The router is built from it, every
//! request is checked against it, and a test compares it with the OpenAPI document; there is no second place where a
//! route could be added.

use std::collections::HashMap;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use springhouse_policy::Scope;

use crate::state::App;
use crate::{
    alerts, auth, backtest, certificates, connect, device_tokens, devices, envelope, est, functions, health,
    ingest, metrics, mqtt, openapi, origin, overview, page, pipelines, preview, proposal, quarantine,
    readings, schemas, series, sign_in, sql, streams, tables, tail, tap, tokens, versions,
};

/// What a caller needs for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the route tells nothing, or asks for a secret of its own.
    Nothing,
    Scope(Scope),
    /// A device for itself, or the scope `ingest`.
    Deliver,
    /// The scope `read`, or to be on the same machine.
    Scrape,
}

/// One line of the table.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub need: Need,
    handler: MethodRouter<App>,
}

const NOTHING: Need = Need::Nothing;
const READ: Need = Need::Scope(Scope::Read);
const WRITE: Need = Need::Scope(Scope::Write);
const ADMIN: Need = Need::Scope(Scope::Admin);

/// Rows of a table come in one request. What a table may have is the engine's to judge.
const TABLE_BYTES_MAX: usize = 64 << 20;
/// So does a component, of which the engine says how large it may be.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// All routes. Reading needs `read`, changing streams, pipelines and the quarantine `write`, deciding who may take
/// part `admin`.
pub fn table() -> Vec<Route> {
    let mut table = hub();
    table.extend(devices());
    table
}

#[rustfmt::skip]
fn hub() -> Vec<Route> {
    vec![
        get("/healthz", NOTHING, on(MethodFilter::GET, health::healthz)),
        get("/readyz", NOTHING, on(MethodFilter::GET, health::readyz)),
        get("/metrics", Need::Scrape, on(MethodFilter::GET, metrics::show)),
        get("/api/openapi.json", NOTHING, on(MethodFilter::GET, openapi::show)),
        get("/mqtt", NOTHING, on(MethodFilter::GET, mqtt::open)),

        get("/welcome", NOTHING, on(MethodFilter::GET, sign_in::welcome)),
        get("/api/v1/me", NOTHING, on(MethodFilter::GET, sign_in::me)),
        post("/api/v1/setup", NOTHING, on(MethodFilter::POST, sign_in::setup)),
        post("/api/v1/sign-in", NOTHING, on(MethodFilter::POST, sign_in::sign_in)),
        post("/api/v1/sign-out", NOTHING, on(MethodFilter::POST, sign_in::sign_out)),
        get("/api/v1/tokens", ADMIN, on(MethodFilter::GET, tokens::list)),
        post("/api/v1/tokens", ADMIN, on(MethodFilter::POST, tokens::create)),
        delete("/api/v1/tokens/{id}", ADMIN, on(MethodFilter::DELETE, tokens::revoke)),

        get("/api/v1/overview", READ, on(MethodFilter::GET, overview::show)),
        get("/api/v1/connect", READ, on(MethodFilter::GET, connect::show)),
        get("/api/v1/tail", READ, on(MethodFilter::GET, tail::open)),
        post("/api/v1/sql", READ, on(MethodFilter::POST, sql::run)),

        get("/api/v1/streams", READ, on(MethodFilter::GET, streams::list)),
        post("/api/v1/streams", WRITE, on(MethodFilter::POST, streams::create)),
        get("/api/v1/streams/{name}", READ, on(MethodFilter::GET, streams::show)),
        delete("/api/v1/streams/{name}", WRITE, on(MethodFilter::DELETE, streams::delete)),
        post("/api/v1/streams/{name}/approve", WRITE, on(MethodFilter::POST, streams::approve)),
        post("/api/v1/streams/{name}/refuse", WRITE, on(MethodFilter::POST, streams::refuse)),
        get("/api/v1/streams/{name}/schema", READ, on(MethodFilter::GET, schemas::show)),
        put("/api/v1/streams/{name}/schema", WRITE, on(MethodFilter::PUT, schemas::replace)),
        get("/api/v1/streams/{name}/readings", READ, on(MethodFilter::GET, readings::list)),

        get("/api/v1/quarantine", READ, on(MethodFilter::GET, quarantine::list)),
        post("/api/v1/quarantine/replay", WRITE, on(MethodFilter::POST, quarantine::replay)),
        post("/api/v1/quarantine/purge", WRITE, on(MethodFilter::POST, quarantine::purge)),

        get("/api/v1/pipelines", READ, on(MethodFilter::GET, pipelines::list)),
        post("/api/v1/pipelines", WRITE, on(MethodFilter::POST, pipelines::create)),
        post("/api/v1/pipelines/preview", READ, on(MethodFilter::POST, preview::run)),
        post("/api/v1/pipelines/plan", READ, on(MethodFilter::POST, proposal::make)),
        post("/api/v1/pipelines/backtest", READ, on(MethodFilter::POST, backtest::run)),
        get("/api/v1/pipelines/{name}", READ, on(MethodFilter::GET, pipelines::show)),
        delete("/api/v1/pipelines/{name}", WRITE, on(MethodFilter::DELETE, pipelines::delete)),
        get("/api/v1/pipelines/{name}/status", READ, on(MethodFilter::GET, pipelines::status)),
        get("/api/v1/pipelines/{name}/tap", READ, on(MethodFilter::GET, tap::look)),
        get("/api/v1/pipelines/{name}/versions", READ, on(MethodFilter::GET, versions::list)),
        post("/api/v1/pipelines/{name}/rollback", WRITE, on(MethodFilter::POST, versions::roll_back)),
        post("/api/v1/pipelines/{name}/pause", WRITE, on(MethodFilter::POST, pipelines::pause)),
        post("/api/v1/pipelines/{name}/resume", WRITE, on(MethodFilter::POST, pipelines::resume)),

        get("/api/v1/tables", READ, on(MethodFilter::GET, tables::list)),
        get("/api/v1/tables/{name}", READ, on(MethodFilter::GET, tables::show)),
        delete("/api/v1/tables/{name}", WRITE, on(MethodFilter::DELETE, tables::delete)),
        put("/api/v1/tables/{name}/rows", WRITE, on(MethodFilter::PUT, tables::load).layer(DefaultBodyLimit::max(TABLE_BYTES_MAX))),
        post("/api/v1/tables/{name}/refresh", WRITE, on(MethodFilter::POST, tables::refresh)),

        get("/api/v1/functions", READ, on(MethodFilter::GET, functions::list)),
        post("/api/v1/functions", WRITE, on(MethodFilter::POST, functions::create)),
        get("/api/v1/functions/{name}", READ, on(MethodFilter::GET, functions::show)),
        post("/api/v1/components", WRITE, on(MethodFilter::POST, functions::bring).layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX))),
        delete("/api/v1/functions/{name}", WRITE, on(MethodFilter::DELETE, functions::delete)),
        get("/api/v1/alerts", READ, on(MethodFilter::GET, alerts::list)),
        post("/api/v1/alerts/{id}/acknowledge", WRITE, on(MethodFilter::POST, alerts::acknowledge)),
    ]
}

/// Devices, and how they get their papers.
#[rustfmt::skip]
fn devices() -> Vec<Route> {
    vec![
        get("/.well-known/est/cacerts", NOTHING, on(MethodFilter::GET, est::authorities)),
        get("/.well-known/est/csrattrs", NOTHING, on(MethodFilter::GET, est::attributes)),
        post("/.well-known/est/simpleenroll", NOTHING, on(MethodFilter::POST, est::enrol)),
        post("/.well-known/est/simplereenroll", NOTHING, on(MethodFilter::POST, est::renew)),

        get("/api/v1/devices", READ, on(MethodFilter::GET, devices::list)),
        post("/api/v1/devices", ADMIN, on(MethodFilter::POST, devices::create)),
        get("/api/v1/devices/{id}", READ, on(MethodFilter::GET, devices::show)),
        post("/api/v1/devices/{id}/approve", ADMIN, on(MethodFilter::POST, devices::approve)),
        post("/api/v1/devices/{id}/refuse", ADMIN, on(MethodFilter::POST, devices::refuse)),
        post("/api/v1/devices/{id}/token", ADMIN, on(MethodFilter::POST, device_tokens::create)),
        delete("/api/v1/devices/{id}/token", ADMIN, on(MethodFilter::DELETE, device_tokens::revoke)),
        post("/api/v1/devices/{id}/claim", ADMIN, on(MethodFilter::POST, certificates::claim)),
        get("/api/v1/devices/{id}/certificates", READ, on(MethodFilter::GET, certificates::list)),
        delete("/api/v1/devices/{id}/certificates", ADMIN, on(MethodFilter::DELETE, certificates::revoke_all)),
        delete("/api/v1/devices/{id}/certificates/{serial}", ADMIN, on(MethodFilter::DELETE, certificates::revoke_one)),
        get("/api/v1/devices/{id}/series", READ, on(MethodFilter::GET, series::show)),
        post("/api/v1/devices/{id}/streams/{stream}", Need::Deliver, on(MethodFilter::POST, ingest::deliver)),
    ]
}

fn get(path: &'static str, need: Need, handler: MethodRouter<App>) -> Route {
    Route { method: Method::GET, path, need, handler }
}

fn post(path: &'static str, need: Need, handler: MethodRouter<App>) -> Route {
    Route { method: Method::POST, path, need, handler }
}

fn put(path: &'static str, need: Need, handler: MethodRouter<App>) -> Route {
    Route { method: Method::PUT, path, need, handler }
}

fn delete(path: &'static str, need: Need, handler: MethodRouter<App>) -> Route {
    Route { method: Method::DELETE, path, need, handler }
}

/// The table as the check of every request reads it.
pub(crate) struct Needs(HashMap<(Method, &'static str), Need>);

impl Needs {
    pub fn new() -> Needs {
        Needs(table().into_iter().map(|route| ((route.method, route.path), route.need)).collect())
    }

    /// What a request to this route needs; `None` when the address does not know the method.
    pub fn of(&self, method: &Method, path: &str) -> Option<Need> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|((known, at), _)| known == method && *at == path).map(|(_, need)| *need)
    }
}

/// The whole of the API and the page.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.path, route.handler);
    }
    let body_bytes_max = app.options.body_bytes_max.max(app.options.payload_bytes_max);
    router
        .fallback(page::serve)
        .method_not_allowed_fallback(page::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), auth::authorize))
        .layer(from_fn_with_state(app.clone(), origin::check))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(from_fn_with_state(app.clone(), envelope::envelope))
        .with_state(app)
}
