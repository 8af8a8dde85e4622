//! The loop between a listener and the router: one task per connection, HTTP/1.1 with upgrades, a bound on
//! connections, a deadline for request headers, and an end that lets running requests finish.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// A client that sends its headers byte by byte holds a connection no longer than this.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// After the end is announced, requests have this long to finish.
const DRAIN: Duration = Duration::from_secs(10);
/// Pages hold about four connections each; sockets for devices that speak MQTT over WebSocket are the rest.
const CONNECTIONS_MAX: usize = 16_384;
/// An accept that fails for want of file descriptors would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of the connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    pub local: SocketAddr,
}

/// Serves until `shutdown` becomes true, then lets requests finish and closes WebSockets.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let local = listener.local_addr()?;
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
                let peer = Peer { address, local: stream.local_addr().unwrap_or(local) };
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(async move {
                    serve_connection(stream, peer, router, shutdown).await;
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

/// Serves one connection, already decrypted where TLS is in front.
pub async fn serve_connection<IO>(io: IO, peer: Peer, router: Router, mut shutdown: watch::Receiver<bool>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
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
