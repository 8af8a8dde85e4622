//! WebSockets to the hub over a pipe in memory, with a valve on what the hub sends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::house::{House, in_time, this_machine};

/// More than one frame of a tail.
const PIPE_BYTES: usize = 1024 * 1024;

pub struct Socket {
    stream: WebSocketStream<DuplexStream>,
    pub valve: Arc<Valve>,
}

impl Socket {
    /// Opens `path` as whoever holds the token; the status of the answer when the hub does not want to.
    pub async fn open(house: &House, token: &str, path: &str) -> Result<Socket, u16> {
        Socket::open_with(house, &[("authorization", &format!("Bearer {token}"))], path).await
    }

    pub async fn open_with(
        house: &House,
        headers: &[(&'static str, &str)],
        path: &str,
    ) -> Result<Socket, u16> {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let valve = Arc::new(Valve::default());
        let guarded = Guarded { pipe: theirs, valve: Arc::clone(&valve) };
        let (router, shutdown) = (house.router.clone(), house.shutdown.subscribe());
        tokio::spawn(springhouse_api::serve_connection(guarded, this_machine(), router, shutdown));
        let mut request = format!("ws://localhost:8080{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match in_time(tokio_tungstenite::client_async(request, ours)).await {
            Ok((stream, _)) => Ok(Socket { stream, valve }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next frame of a tail.
    pub async fn frame(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn bytes(&mut self) -> Vec<u8> {
        match self.message().await {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> Message {
        loop {
            match in_time(self.stream.next()).await.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub async fn send(&mut self, message: Message) {
        in_time(self.stream.send(message)).await.unwrap();
    }

    /// Waits until the hub closes the socket; its code, if it gave one.
    pub async fn end(&mut self) -> Option<u16> {
        loop {
            match in_time(self.stream.next()).await {
                Some(Ok(Message::Close(frame))) => {
                    return frame.map(|frame| CloseCode::into(frame.code));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Lets the hub write or not, and tells when it wants to.
#[derive(Default)]
pub struct Valve {
    closed: parking_lot::Mutex<Option<Option<Waker>>>,
    waiting: watch::Sender<bool>,
}

impl Valve {
    pub fn close(&self) {
        *self.closed.lock() = Some(None);
        self.waiting.send_replace(false);
    }

    /// Waits until the hub has something to write and cannot.
    pub async fn until_stuck(&self) {
        in_time(self.waiting.subscribe().wait_for(|waiting| *waiting)).await.unwrap();
    }

    pub fn open(&self) {
        if let Some(Some(waker)) = self.closed.lock().take() {
            waker.wake();
        }
    }

    fn poll_open(&self, context: &Context<'_>) -> Poll<()> {
        match self.closed.lock().as_mut() {
            None => Poll::Ready(()),
            Some(waiting) => {
                *waiting = Some(context.waker().clone());
                self.waiting.send_replace(true);
                Poll::Pending
            }
        }
    }
}

/// The hub's end of the pipe.
struct Guarded {
    pipe: DuplexStream,
    valve: Arc<Valve>,
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.valve.poll_open(context));
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}
