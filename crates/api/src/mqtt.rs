//! `/mqtt`: MQTT over WebSocket (MQTT 5 §6). The packets of the binary frames become a byte stream, which the gateway
//! serves like a TCP connection; who the client is, it says in its CONNECT.

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, future};
use springhouse_mqtt::{Origin, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::problem::Problem;
use crate::serve::PeerSocket;
use crate::state::App;
use crate::tail::needs_websocket;

/// Packets may be cut into frames as the client likes; this bounds one frame, the gateway bounds a packet.
const FRAME_BYTES_MAX: usize = 1024 * 1024 + 16;

/// MQTT over WebSocket, with the subprotocol `mqtt`.
#[utoipa::path(get, path = "/mqtt", tag = "devices",
    responses((status = 101, description = "Binary frames of MQTT 3.1.1 or 5")))]
pub(crate) async fn open(
    State(app): State<App>,
    PeerSocket(peer): PeerSocket,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| needs_websocket())?.protocols(["mqtt"]);
    // MQTT 5 §6.0 [MQTT-6.0.0-3]: the client offers `mqtt`.
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::bad_request(
            "no_subprotocol",
            "the client does not offer the subprotocol `mqtt`",
        )
        .hint("name `mqtt` as subprotocol when opening the WebSocket"));
    }
    Ok(upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).on_upgrade(
        async move |socket| {
            let listener = Arc::from(app.options.websocket_listener.as_str());
            let origin = Origin { listener, peer, transport: Transport::WebSocket, certificate: None };
            app.gateway.serve(byte_stream(socket), origin).await;
        },
    ))
}

/// The WebSocket as the byte stream that MQTT expects.
fn byte_stream(socket: WebSocket) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (sink, stream) = socket.split();
    let inbound = stream.filter_map(|message| {
        future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            // MQTT 5 §6.0 [MQTT-6.0.0-1]: anything but binary data closes the connection.
            Ok(Message::Text(_)) => Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "MQTT over WebSocket takes binary frames",
            ))),
            Ok(Message::Close(_)) => Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
            Ok(Message::Ping(_) | Message::Pong(_)) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let outbound = sink
        .with(|bytes: Bytes| future::ready(Ok::<_, axum::Error>(Message::Binary(bytes))))
        .sink_map_err(io::Error::other);
    tokio::io::join(StreamReader::new(inbound), SinkWriter::new(CopyToBytes::new(outbound)))
}
