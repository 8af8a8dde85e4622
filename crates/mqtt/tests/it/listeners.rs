//! Sockets: a real client library over TCP and TLS, and certificates of clients.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, EventLoop, Incoming, MqttOptions};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use springhouse_mqtt::{Options, tls_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::v5;
use crate::house::Hub;

async fn next(events: &mut EventLoop) -> Incoming {
    let wait = async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.unwrap() {
                return packet;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
}

#[tokio::test]
async fn a_real_client_publishes_and_listens() {
    let hub = Hub::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    hub.gateway.listen(listener, "plain");
    let mut options = MqttOptions::new("real", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 50);
    client.subscribe("devices/+/meter", QoS::ExactlyOnce).await.unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.publish("devices/a/meter", qos, false, "1").await.unwrap();
    }
    let (mut heard, mut acked, mut completed) = (0, 0, 0);
    while (heard, acked, completed) != (3, 1, 1) {
        match next(&mut events).await {
            Incoming::Publish(_) => heard += 1,
            Incoming::PubAck(_) => acked += 1,
            Incoming::PubComp(_) => completed += 1,
            _ => {}
        }
    }
    assert_eq!(hub.house.stored().len(), 3);
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// A client may show a certificate of this authority.
    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider)
            .allow_unauthenticated()
            .build()
            .unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

#[tokio::test]
async fn a_tls_handshake_that_is_not_finished_counts_as_a_connection() {
    let (certificate, key) = Authority::new().issue("localhost");
    let hub = Hub::with(Options { connections_per_peer_max: 1, ..Options::default() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    hub.gateway.listen_tls(listener, "tls", Arc::new(tls_config(vec![certificate], key, None).unwrap()));
    let silent = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(hub.gateway.connections(), 1);
    drop(silent);
}

#[tokio::test]
async fn tls_hands_a_verified_client_certificate_to_the_door_and_resumes_nothing() {
    let (house_ca, device_ca, foreign_ca) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = house_ca.issue("localhost");
    let config = tls_config(vec![certificate], key, Some(device_ca.verifier())).unwrap();
    let hub = Hub::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    hub.gateway.listen_tls(listener, "tls", Arc::new(config));

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(house_ca.roots())
    };
    let connect =
        async |config: Arc<rustls::ClientConfig>| -> std::io::Result<(Vec<u8>, rustls::HandshakeKind)> {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            stream.write_all(&v5("a").bytes()).await?;
            let mut connack = vec![0; 4];
            stream.read_exact(&mut connack).await?;
            Ok((connack, stream.get_ref().1.handshake_kind().unwrap()))
        };

    let (certificate, key) = device_ca.issue("device");
    let known = Arc::new(builder().with_client_auth_cert(vec![certificate], key).unwrap());
    for _ in 0..2 {
        let (connack, kind) = connect(known.clone()).await.unwrap();
        assert_eq!((connack[0], connack[3]), (0x20, 0));
        // The second is as full as the first: a resumed one would not look at the certificate.
        assert!(matches!(
            kind,
            rustls::HandshakeKind::Full | rustls::HandshakeKind::FullWithHelloRetryRequest
        ));
        assert!(hub.gateway.is_connected(|who| who.own_device().is_some()));
    }
    let without = Arc::new(builder().with_no_client_auth());
    assert_eq!(connect(without).await.unwrap().0[3], 0);
    let (certificate, key) = foreign_ca.issue("device");
    let foreign = Arc::new(builder().with_client_auth_cert(vec![certificate], key).unwrap());
    assert!(connect(foreign).await.is_err());
}
