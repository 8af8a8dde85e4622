//! TCP and TLS listeners.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::connection::{self, Origin};
use crate::door::Transport;
use crate::gateway::Gateway;

/// Pause after a failed accept: the usual reason is that the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS of the MQTT listener cannot be set up")]
pub struct TlsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// TLS for devices. With `clients`, a client may show a certificate: it is verified in the handshake, and
/// [`crate::Door::authenticate`] says whose it is. Without one, a client may still show a password.
///
/// Sessions are never resumed: a resumed handshake would not look at the certificate again, which may be revoked by then.
pub fn tls_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| TlsError(error);
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.into()))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| failed(error.into()))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

impl Gateway {
    /// Accepts plain connections until the gateway shuts down.
    pub fn listen(&self, listener: TcpListener, name: &str) -> JoinHandle<()> {
        self.accept_all(listener, name, None)
    }

    /// Accepts TLS connections until the gateway shuts down.
    pub fn listen_tls(&self, listener: TcpListener, name: &str, config: Arc<ServerConfig>) -> JoinHandle<()> {
        self.accept_all(listener, name, Some(TlsAcceptor::from(config)))
    }

    fn accept_all(&self, listener: TcpListener, name: &str, tls: Option<TlsAcceptor>) -> JoinHandle<()> {
        let (gateway, name) = (self.clone(), Arc::<str>::from(name));
        tokio::spawn(async move {
            let mut stopping = gateway.shared.stopping.subscribe();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                };
                match accepted {
                    Ok((stream, peer)) => gateway.start(stream, peer, Arc::clone(&name), tls.clone()),
                    Err(error) => {
                        tracing::warn!(%error, listener = %name, "connection is not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
    }

    /// The two kinds have tasks of their own: a task is as large as all that it may ever hold, and there are many.
    fn start(&self, stream: TcpStream, peer: SocketAddr, listener: Arc<str>, tls: Option<TlsAcceptor>) {
        // Acks are small and must not wait for more of them.
        let _ = stream.set_nodelay(true);
        let origin = Origin { listener, peer, transport: Transport::Plain, certificate: None };
        match tls {
            None => tokio::spawn(self.clone().serve_plain(stream, origin)),
            Some(tls) => tokio::spawn(self.clone().serve_tls(stream, origin, tls)),
        };
    }

    async fn serve_plain(self, stream: TcpStream, origin: Origin) {
        self.serve(stream, origin).await;
    }

    async fn serve_tls(self, stream: TcpStream, mut origin: Origin, tls: TlsAcceptor) {
        // Counted from here on: a handshake holds as much as a connection, and costs more.
        let Some(_admission) = self.shared.admit_peer(origin.peer.ip()) else { return };
        // Both boxed: what a handshake needs is gone after it, and a TLS stream is moved by its address.
        match Box::pin(self.shake_hands(stream, &tls)).await.map(Box::new) {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                origin.certificate = shown.map(|certificate| certificate.to_vec());
                origin.transport = Transport::Tls;
                connection::serve(Arc::clone(&self.shared), stream, origin).await;
            }
            Err(error) => {
                self.shared.metrics.refused("tls");
                tracing::debug!(%error, peer = %origin.peer, "TLS handshake failed");
            }
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        tls: &TlsAcceptor,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let timeout = self.shared.options.connect_timeout;
        tokio::time::timeout(timeout, tls.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
