//! The addresses of a hub: bound before anything is opened, so that a taken port is told at once.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::config::{Listen, Settings};
use crate::failure::Failure;

/// Where the hub really listens; ports that were left to the system are decided.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    pub mqtt: Option<SocketAddr>,
    pub mqtts: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub https: Option<SocketAddr>,
}

impl Addresses {
    /// Where a browser on this machine opens the page.
    pub fn page(&self) -> Option<String> {
        let url = |scheme: &str, mut address: SocketAddr| {
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            format!("{scheme}://{address}")
        };
        self.http.map(|address| url("http", address)).or(self.https.map(|address| url("https", address)))
    }
}

/// Bound sockets that nobody accepts from yet.
#[derive(Default)]
pub struct Listeners {
    pub mqtt: Option<TcpListener>,
    pub mqtts: Option<TcpListener>,
    pub http: Option<TcpListener>,
    pub https: Option<TcpListener>,
    pub anonymous: Vec<(String, TcpListener)>,
}

impl Listeners {
    pub async fn bind(settings: &Settings) -> anyhow::Result<Listeners> {
        let mut anonymous = Vec::new();
        for listener in &settings.mqtt.anonymous {
            if let Some(socket) = bind(listener.listener, "mqtt.anonymous").await? {
                anonymous.push((listener.name.clone(), socket));
            }
        }
        Ok(Listeners {
            mqtt: bind(settings.mqtt.listen, "--mqtt").await?,
            mqtts: bind(settings.mqtt.tls, "--mqtts").await?,
            http: bind(settings.http.listen, "--http").await?,
            https: bind(settings.http.tls, "--https").await?,
            anonymous,
        })
    }

    pub fn addresses(&self) -> Addresses {
        let of =
            |listener: &Option<TcpListener>| listener.as_ref().and_then(|socket| socket.local_addr().ok());
        Addresses {
            mqtt: of(&self.mqtt),
            mqtts: of(&self.mqtts),
            http: of(&self.http),
            https: of(&self.https),
        }
    }

    /// One line for each in the log.
    pub fn log(&self) {
        let named =
            [("mqtt", &self.mqtt), ("mqtts", &self.mqtts), ("http", &self.http), ("https", &self.https)];
        let named = named.into_iter().filter_map(|(name, socket)| Some((name, socket.as_ref()?)));
        for (name, socket) in named.chain(self.anonymous.iter().map(|(_, socket)| ("mqtt.anonymous", socket)))
        {
            if let Ok(address) = socket.local_addr() {
                tracing::info!(listener = name, %address, "listening");
            }
        }
    }
}

async fn bind(listen: Listen, what: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = listen.address() else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Failure::Usage(format!(
            "{address} is in use by another program\nhint: choose another address for {what}, or find out who has it \
             with `ss -ltnp`"
        ))
        .into()),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} for {what}")),
    }
}
