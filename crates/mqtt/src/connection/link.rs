//! The byte stream of a connection.
//!
//! Bytes are read through a buffer of the thread, so that a connection that says nothing keeps no memory for reading,
//! and everything that is to be written is collected in one buffer that is written once per wake-up.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::reason::Fault;
use crate::wire::frame_length;

/// Bytes taken per read: some hundred readings.
const READ_BYTES_MAX: usize = 64 * 1024;
/// While more than this waits to be written, nothing is added to it.
const WRITE_BYTES_HIGH: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into_boxed_slice());
}

/// What happened on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    Read,
    Wrote,
    Closed,
}

pub struct Link<S> {
    stream: S,
    inbox: BytesMut,
    pub out: BytesMut,
    needs_flush: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub fn new(stream: S) -> Link<S> {
        Link { stream, inbox: BytesMut::new(), out: BytesMut::new(), needs_flush: false }
    }

    pub fn is_out_full(&self) -> bool {
        self.out.len() >= WRITE_BYTES_HIGH
    }

    /// The first byte of what was read and not taken.
    pub fn first(&self) -> Option<u8> {
        self.inbox.first().copied()
    }

    /// Everything read so far, once there is at least one whole packet in it.
    pub fn take_packets(&mut self, packet_bytes_max: u32) -> Result<Bytes, Fault> {
        match frame_length(&self.inbox, packet_bytes_max)? {
            Some((length, _)) if length <= self.inbox.len() => Ok(std::mem::take(&mut self.inbox).freeze()),
            _ => Ok(Bytes::new()),
        }
    }

    /// Gives back the part of a packet that came at the end of what was taken.
    pub fn put_back(&mut self, rest: Bytes) {
        if !rest.is_empty() {
            let later = std::mem::take(&mut self.inbox);
            self.inbox = BytesMut::from(&rest[..]);
            self.inbox.extend_from_slice(&later);
        }
    }

    /// Writes what there is to write and reads when `reads`. Reports writing only when `tells_writing`. Can be cancelled
    /// without losing anything.
    pub async fn wait(&mut self, reads: bool, tells_writing: bool) -> io::Result<LinkEvent> {
        std::future::poll_fn(|context| self.poll(context, reads, tells_writing)).await
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        reads: bool,
        tells_writing: bool,
    ) -> Poll<io::Result<LinkEvent>> {
        let has_written = self.poll_write(context)?;
        if reads && let Poll::Ready(event) = self.poll_read(context) {
            return Poll::Ready(event);
        }
        match has_written && tells_writing {
            true => Poll::Ready(Ok(LinkEvent::Wrote)),
            false => Poll::Pending,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut has_written = false;
        while !self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.out) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.out.advance(count);
                    self.needs_flush = true;
                    has_written = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(has_written),
            }
        }
        if has_written {
            // Nothing is kept for a connection that has nothing to say.
            self.out = BytesMut::new();
        }
        if self.needs_flush
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
        {
            flushed?;
            self.needs_flush = false;
        }
        Ok(has_written)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<LinkEvent>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.inbox.extend_from_slice(buffer.filled());
            let is_closed = buffer.filled().is_empty();
            Poll::Ready(Ok(if is_closed { LinkEvent::Closed } else { LinkEvent::Read }))
        })
    }

    /// Waits until something is read.
    pub async fn read(&mut self) -> io::Result<LinkEvent> {
        self.wait(true, false).await
    }

    /// Writes what is left and closes the stream for writing.
    pub async fn close(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| {
            self.poll_write(context)?;
            match self.out.is_empty() && !self.needs_flush {
                true => Pin::new(&mut self.stream).poll_shutdown(context),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// As [`close`](Link::close), then waits until the peer closes too. Bytes that arrive at a closed socket make the system
    /// throw away what the peer has not read yet, which would be the reason for the end.
    pub async fn close_gently(&mut self) -> io::Result<()> {
        self.close().await?;
        while self.read().await? == LinkEvent::Read {
            self.inbox.clear();
        }
        Ok(())
    }
}
