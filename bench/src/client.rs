//! The least MQTT 3.1.1 client that can load a broker: CONNECT, PUBLISH, PUBACK, nothing allocated per message.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a broker listens and as whom to enter.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: std::net::SocketAddr,
    pub username: Option<String>,
    pub password: Option<String>,
    pub tls: Option<Arc<ClientConfig>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connected client.
pub struct Client {
    socket: Box<dyn Stream>,
    read: BytesMut,
    write: BytesMut,
}

impl Client {
    /// Opens a clean session; fails unless the broker answers CONNACK with code 0 (MQTT 3.1.1 §3.2).
    pub async fn connect(target: &Target, client_id: &str, keep_alive_s: u16) -> Result<Client> {
        let socket = TcpStream::connect(target.address).await.context("cannot reach the broker")?;
        socket.set_nodelay(true)?;
        let socket: Box<dyn Stream> = match &target.tls {
            None => Box::new(socket),
            Some(tls) => {
                let name = ServerName::try_from("localhost")?;
                Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, socket).await?)
            }
        };
        let mut client = Client { socket, read: BytesMut::new(), write: BytesMut::new() };
        client.put_connect(target, client_id, keep_alive_s);
        client.flush().await?;
        while client.read.len() < 4 {
            client.fill().await?;
        }
        if client.read[0] != 0x20 || client.read[3] != 0 {
            bail!("the broker refused the connection with code {}", client.read[3]);
        }
        client.read.advance(4);
        Ok(client)
    }

    fn put_connect(&mut self, target: &Target, client_id: &str, keep_alive_s: u16) {
        let mut body = BytesMut::new();
        put_text(&mut body, b"MQTT");
        body.put_u8(4);
        let mut flags = 0x02;
        flags |= if target.username.is_some() { 0x80 } else { 0 };
        flags |= if target.password.is_some() { 0x40 } else { 0 };
        body.put_u8(flags);
        body.put_u16(keep_alive_s);
        put_text(&mut body, client_id.as_bytes());
        for text in [&target.username, &target.password].into_iter().flatten() {
            put_text(&mut body, text.as_bytes());
        }
        self.write.put_u8(0x10);
        put_length(&mut self.write, body.len());
        self.write.extend_from_slice(&body);
    }

    /// Puts a QoS 1 PUBLISH into the write buffer (§3.3).
    pub fn put_publish(&mut self, topic: &str, packet_id: u16, payload: &[u8]) {
        self.write.put_u8(0x32);
        put_length(&mut self.write, 2 + topic.len() + 2 + payload.len());
        put_text(&mut self.write, topic.as_bytes());
        self.write.put_u16(packet_id);
        self.write.extend_from_slice(payload);
    }

    pub async fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.write).await.context("the broker closed the connection")?;
        self.socket.flush().await.context("the broker closed the connection")?;
        self.write.clear();
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        if self.socket.read_buf(&mut self.read).await.context("cannot read from the broker")? == 0 {
            bail!("the broker closed the connection");
        }
        Ok(())
    }

    /// Waits until at least one PUBACK has come and hands every packet id that is there to `acked`.
    pub async fn acknowledgements(&mut self, mut acked: impl FnMut(u16)) -> Result<usize> {
        let mut count = 0;
        loop {
            while self.read.len() >= 4 {
                let whole = 2 + usize::from(self.read[1]);
                if self.read.len() < whole {
                    break;
                }
                if self.read[0] == 0x40 {
                    acked(u16::from_be_bytes([self.read[2], self.read[3]]));
                    count += 1;
                }
                self.read.advance(whole);
            }
            if count > 0 {
                return Ok(count);
            }
            self.fill().await?;
        }
    }
}

fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.put_u16(text.len() as u16);
    out.extend_from_slice(text);
}

/// Remaining length as a variable byte integer (§2.2.3).
fn put_length(out: &mut BytesMut, mut length: usize) {
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.put_u8(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            return;
        }
    }
}
