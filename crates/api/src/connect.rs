//! Where and how a device connects: what the "Connect a device" page turns into lines to paste.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::Secured;
use crate::state::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectView {
    mqtt: MqttView,
    http: HttpView,
    #[schema(example = "devices/{device}/{stream}")]
    topic_template: String,
    /// The hub signs its certificate itself: clients over TLS need its authority's certificate.
    ca_available: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MqttView {
    #[schema(example = "127.0.0.1")]
    host: String,
    #[schema(example = 1883)]
    port: Option<u16>,
    tls_port: Option<u16>,
    /// MQTT over WebSocket, with the subprotocol `mqtt`.
    #[schema(example = "ws://127.0.0.1:8080/mqtt")]
    websocket_url: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HttpView {
    #[schema(example = "http://127.0.0.1:8080")]
    url: String,
    /// Where the hub itself speaks TLS: what devices enrol at.
    tls_port: Option<u16>,
}

/// Where devices connect.
#[utoipa::path(get, path = "/api/v1/connect", tag = "devices", responses((status = 200, body = ConnectView)))]
pub(crate) async fn show(
    State(app): State<App>,
    Secured(secured): Secured,
    headers: HeaderMap,
) -> Json<ConnectView> {
    let connect = &app.options.connect;
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
    let (http, ws) = if secured { ("https", "wss") } else { ("http", "ws") };
    let url = connect.http_url.clone().unwrap_or_else(|| format!("{http}://{host}"));
    let websocket_url = match url.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}/mqtt"),
        Some((_, rest)) => format!("{ws}://{rest}/mqtt"),
        None => format!("{ws}://{host}/mqtt"),
    };
    Json(ConnectView {
        mqtt: MqttView {
            host: connect.mqtt_host.clone().unwrap_or_else(|| without_port(host).to_owned()),
            port: connect.mqtt_port,
            tls_port: connect.mqtts_port,
            websocket_url,
        },
        http: HttpView { url, tls_port: connect.https_port },
        topic_template: connect.topic_template.clone(),
        ca_available: connect.ca_available,
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
