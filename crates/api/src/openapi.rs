//! The OpenAPI document, collected from the handlers. A test compares it with the route table.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa::{Modify, OpenApi};

use crate::auth::SESSION_COOKIE;
use crate::problem;
use crate::routes::{self, Need};
use crate::state::App;
use crate::{
    alerts, backtest, certificates, connect, device_tokens, devices, est, functions, health, ingest, metrics,
    mqtt, overview, pipelines, preview, proposal, quarantine, readings, schemas, series, sign_in, sql,
    streams, tables, tail, tap, tokens, versions,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Springhouse",
        description = "Real-time data of your devices, on your own hardware. Send `Authorization: Bearer shk_…`; a \
            token is made by `springhouse token create` or `POST /api/v1/tokens`. Times are RFC 3339 in UTC. Every \
            error is `application/problem+json` with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "streams", description = "Typed series of readings, and what is in them"),
        (name = "devices", description = "Who may send, and what each said last"),
        (name = "pipelines", description = "SQL statements that make streams from streams"),
        (name = "tables", description = "Data beside the streams that statements look up"),
        (name = "functions", description = "Expressions with a name"),
        (name = "alerts", description = "What the rules have fired"),
        (name = "quarantine", description = "Messages that did not fit, kept until somebody decides"),
        (name = "access", description = "People and tokens"),
        (name = "enrolment", description = "Certificates for devices (EST, RFC 7030)"),
        (name = "operating", description = "For the one who runs the hub"),
    ),
    paths(
        health::healthz, health::readyz, metrics::show, show, mqtt::open,
        sign_in::welcome, sign_in::me, sign_in::setup, sign_in::sign_in, sign_in::sign_out,
        tokens::list, tokens::create, tokens::revoke,
        overview::show, connect::show, tail::open, sql::run,
        streams::list, streams::create, streams::show, streams::delete, streams::approve, streams::refuse,
        schemas::show, schemas::replace, readings::list,
        devices::list, devices::create, devices::show, devices::approve, devices::refuse,
        device_tokens::create, device_tokens::revoke,
        certificates::claim, certificates::list, certificates::revoke_all, certificates::revoke_one, series::show, ingest::deliver,
        quarantine::list, quarantine::replay, quarantine::purge,
        pipelines::list, pipelines::create, preview::run, proposal::make, backtest::run, pipelines::show, pipelines::delete, pipelines::status, tap::look,
        versions::list, versions::roll_back, pipelines::pause, pipelines::resume,
        tables::list, tables::show, tables::delete, tables::load, tables::refresh,
        functions::list, functions::create, functions::show, functions::delete, functions::bring,
        alerts::list, alerts::acknowledge,
        est::authorities, est::attributes, est::enrol, est::renew,
    ),
    components(schemas(problem::ProblemBody, tail::TailFrame)),
    modifiers(&Access),
)]
struct Document;

/// The document, for tests and for whoever writes it to a file.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// The OpenAPI description of this API.
#[utoipa::path(get, path = "/api/openapi.json", tag = "operating",
    responses((status = 200, body = Object, content_type = "application/json")))]
pub(crate) async fn show(State(app): State<App>) -> Response {
    let mut document = document();
    document.info.version = app.options.version.to_owned();
    let text = document.to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// Writes into every operation what the route table says of it, and which errors all of them share.
struct Access;

impl Modify for Access {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "token",
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("shk_…").build(),
            ),
        );
        components.add_security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                SESSION_COOKIE,
                "A signed-in person. Requests that change something also need the header `X-Springhouse: 1`.",
            ))),
        );
        for route in routes::table() {
            let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
            let operation = match route.method.as_str() {
                "GET" => item.get.as_mut(),
                "POST" => item.post.as_mut(),
                "PUT" => item.put.as_mut(),
                "DELETE" => item.delete.as_mut(),
                _ => None,
            };
            if let Some(operation) = operation {
                describe(operation, route.need);
            }
        }
    }
}

fn describe(operation: &mut openapi::path::Operation, need: Need) {
    let scope = match need {
        Need::Nothing => None,
        Need::Scope(scope) => Some(format!("Needs the scope `{scope}`.")),
        Need::Deliver => Some(String::from("Needs the device's own token, or the scope `ingest`.")),
        Need::Scrape => Some(String::from("Needs the scope `read`, or a caller on the same machine.")),
    };
    if let Some(scope) = scope {
        let text = operation.description.take().filter(|text| !text.is_empty());
        operation.description = Some(text.map_or_else(|| scope.clone(), |text| format!("{text}\n\n{scope}")));
        let any: [&str; 0] = [];
        operation.security =
            Some(vec![SecurityRequirement::new("token", any), SecurityRequirement::new("session", any)]);
    }
    let problem = ResponseBuilder::new()
        .description("What went wrong, and what to do about it")
        .content(
            problem::CONTENT_TYPE,
            ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
        )
        .build();
    operation.responses.responses.entry(String::from("default")).or_insert(RefOr::T(problem));
}
