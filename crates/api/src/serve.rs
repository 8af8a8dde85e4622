//! The loop between a listener and the router: one task per connection, TLS where asked for, HTTP/1.1 with upgrades, a
//! bound on connections, deadlines for the handshake and for request headers, and an end that lets running requests
//! finish.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::Extensions;
use axum::http::request::Parts;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use springhouse_identity::Shown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::ServiceExt;

use crate::state::App;

/// A client that begins a TLS handshake and does not go on holds a connection no longer than this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that sends its headers byte by byte holds a connection no longer than this.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// After the end is announced, requests have this long to finish.
const DRAIN: Duration = Duration::from_secs(10);
/// Pages hold about four connections each; sockets for devices that speak MQTT over WebSocket are the rest.
const CONNECTIONS_MAX: usize = 16_384;
/// An accept that fails for want of file descriptors would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of the connection that a request came over.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    pub local: SocketAddr,
    /// The connection itself is encrypted.
    pub tls: bool,
    /// The certificate that was shown in the handshake, and was found good.
    pub certificate: Option<Arc<Shown>>,
}

/// Serves until `shutdown` becomes true, then lets requests finish and closes WebSockets.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let tls = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = announced(&mut shutdown) => break,
        };
        // Finished tasks are forgotten here, so that the set does not grow with the life of the hub.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, address)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    metrics::counter!("springhouse_http_connections_refused_total").increment(1);
                    continue;
                };
                // Rows of a tail are small and must not wait for more.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().unwrap_or(local);
                let peer = Peer { address, local, tls: tls.is_some(), certificate: None };
                let (tls, router, shutdown) = (tls.clone(), router.clone(), shutdown.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => serve_tls(stream, peer, &tls, router, shutdown).await,
                        None => serve_connection(stream, peer, router, shutdown).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, finish).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
    Ok(())
}

/// Waits until the end of the hub is announced. A hub that is gone has ended too.
pub(crate) async fn announced(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|ends| *ends).await;
}

async fn serve_tls(
    stream: TcpStream,
    peer: Peer,
    tls: &TlsAcceptor,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => handshake,
        () = announced(&mut shutdown) => return,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certificate = shown.and_then(|shown| Shown::read(shown).ok()).map(Arc::new);
            serve_connection(stream, Peer { certificate, ..peer }, router, shutdown).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, peer = %peer.address, "TLS handshake failed"),
        Err(_) => tracing::debug!(peer = %peer.address, "TLS handshake was not finished"),
    }
}

/// Serves one connection, already decrypted where TLS is in front.
pub async fn serve_connection<IO>(io: IO, peer: Peer, router: Router, mut shutdown: watch::Receiver<bool>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = announced(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "connection ended");
    }
}

/// The address that a request came from, for rate limits. Requests without a connection (a router that is called
/// directly) count as one peer.
pub(crate) struct PeerAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        Ok(PeerAddress(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip())))
    }
}

/// The address and port that a request came from.
pub(crate) struct PeerSocket(pub SocketAddr);

impl<S: Send + Sync> FromRequestParts<S> for PeerSocket {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        Ok(PeerSocket(peer.map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |peer| peer.address)))
    }
}

/// The device whose certificate was shown in the handshake.
pub(crate) struct ClientCertificate(pub Option<Arc<Shown>>);

impl<S: Send + Sync> FromRequestParts<S> for ClientCertificate {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(ClientCertificate(parts.extensions.get::<Peer>().and_then(|peer| peer.certificate.clone())))
    }
}

/// Whether the browser's end of the connection is encrypted: here, or at a proxy in front.
#[derive(Clone, Copy)]
pub(crate) struct Secured(pub bool);

impl Secured {
    pub fn of(app: &App, extensions: &Extensions) -> Secured {
        Secured(app.options.behind_tls || extensions.get::<Peer>().is_some_and(|peer| peer.tls))
    }
}

impl FromRequestParts<App> for Secured {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Secured::of(app, &parts.extensions))
    }
}
