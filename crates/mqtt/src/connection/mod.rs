//! One connection, from its first byte to its last.
//!
//! ```text
//! socket ─read─▶ packets ─▶ batch ─▶ door.accept ─▶ answers ─(commit durable)─▶ out ─write─▶ socket
//!                                        └─▶ queues of subscribers ─▶ their out
//! ```
//!
//! One task drives all of it. While the door has no room the socket is not read, but answers and messages for the client
//! still go out. Any number of batches may wait for their commits: the socket is read again as soon as the door has taken
//! one.

mod batch;
mod course;
mod handshake;
mod inbound;
mod link;
mod outbound;
mod submit;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use springhouse_model::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::door::{Accepted, DoorError, Transport};
use crate::lifecycle::Farewell;
use crate::reason::{self, Fault};
use crate::route::Routes;
use crate::session::Session;
use crate::shared::Shared;
use crate::tenant::Tenant;
use crate::wire::{put_disconnect, take_frame};
use batch::{Batch, Due};
use course::Course;
use handshake::Client;
use link::{Link, LinkEvent};
use submit::Accepting;

/// Answers that may wait for their commit before the socket is no longer read; clients of MQTT 3.1.1 know no other bound.
const ANSWERS_MAX: usize = 32 * 1024;
/// Time a closing connection has to take its last bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the listener, as the configuration gives it.
    pub listener: Arc<str>,
    pub peer: SocketAddr,
    pub transport: Transport,
    /// The verified client certificate, DER.
    pub certificate: Option<Vec<u8>>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The client said so.
    Left(Farewell),
    /// The stream ended.
    Lost,
    /// The gateway ends it, with a reason code for the client.
    Fault(Fault),
}

pub(crate) struct Connection<S> {
    shared: Arc<Shared>,
    link: Link<S>,
    client: Client,
    routes: Routes,
    aliases_in: Option<HashMap<u16, ByteString>>,
    aliases_out: Option<outbound::Aliases>,
    batch: Batch,
    answers: VecDeque<Due>,
    /// Inbound QoS 1 and 2 messages whose exchange is not complete.
    unacknowledged: u32,
    /// Messages by QoS since the last batch.
    counts: [u64; 3],
    received: Timestamp,
    read_at: Instant,
    /// The head of the queue waits for a commit, or for room in the outgoing buffer.
    waits_for_commit: bool,
    waits_for_room: bool,
    /// The client has acknowledged, or messages were queued by this connection itself.
    window_moved: bool,
    /// The door could not take a message: the client has to repeat it.
    is_interrupted: bool,
    /// The log says so once.
    has_been_refused: bool,
}

/// Serves one byte stream until it ends. The connection was admitted by [`Shared::admit_peer`].
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: Arc<Shared>,
    stream: S,
    origin: Origin,
) {
    let mut link = Link::new(stream);
    // Boxed, so that what only the handshake needs is not kept for the life of the connection.
    let Some(client) = Box::pin(shake_hands(&shared, &mut link, &origin)).await else {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, link.close_gently()).await;
        return;
    };
    drop(origin);
    let mut attachment = Attachment {
        shared: Arc::clone(&shared),
        place: Some((Arc::clone(&client.tenant), Arc::clone(&client.session))),
    };
    let version = client.terms.version;
    let mut connection = Connection::new(shared, link, client);
    let end = connection.run().await;
    let farewell = match end {
        End::Left(farewell) => farewell,
        End::Lost => Farewell::default(),
        End::Fault(fault) => {
            tracing::debug!(session = connection.client.session.id, %fault, "connection is ended");
            connection.shared.metrics.refused(name_of(fault.code));
            put_disconnect(&mut connection.link.out, version, fault.code);
            Farewell::default()
        }
    };
    Box::pin(attachment.close(farewell)).await;
    let mut link = connection.link;
    let _ = match end {
        End::Fault(fault) if fault.code != reason::SHUTTING_DOWN => {
            tokio::time::timeout(CLOSE_TIMEOUT, link.close_gently()).await
        }
        _ => tokio::time::timeout(CLOSE_TIMEOUT, link.close()).await,
    };
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Arc<Shared>,
    link: &mut Link<S>,
    origin: &Origin,
) -> Option<Client> {
    let reading = handshake::read_connect(link, shared.options.packet_bytes_max);
    let connect = match tokio::time::timeout(shared.options.connect_timeout, reading).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(Some(fault))) => {
            tracing::debug!(peer = %origin.peer, %fault, "not a client");
            shared.metrics.refused("connect");
            return None;
        }
        Ok(Err(None)) => return None,
        Err(_) => {
            shared.metrics.refused("connect_timeout");
            return None;
        }
    };
    if *shared.stopping.borrow() {
        return None;
    }
    handshake::accept(shared, link, origin, connect).await
}

fn name_of(code: u8) -> &'static str {
    match code {
        reason::MALFORMED => "malformed",
        reason::PROTOCOL_ERROR => "protocol_error",
        reason::KEEP_ALIVE_TIMEOUT => "keep_alive_timeout",
        reason::SESSION_TAKEN_OVER => "taken_over",
        reason::RECEIVE_MAXIMUM_EXCEEDED => "receive_maximum_exceeded",
        reason::PACKET_TOO_LARGE => "packet_too_large",
        reason::SHUTTING_DOWN => "shutting_down",
        reason::SERVER_ERROR => "server_error",
        reason::TOPIC_INVALID | reason::TOPIC_ALIAS_INVALID => "topic_invalid",
        _ => "other",
    }
}

/// Keeps a session attached; lets go of it also when the task of the connection is cancelled.
struct Attachment {
    shared: Arc<Shared>,
    place: Option<(Arc<Tenant>, Arc<Session>)>,
}

impl Attachment {
    async fn close(&mut self, farewell: Farewell) {
        if let Some((tenant, session)) = self.place.take() {
            self.shared.close_session(&tenant, &session, farewell).await;
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let (Some((tenant, session)), Ok(runtime)) =
            (self.place.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        runtime.spawn(async move { shared.close_session(&tenant, &session, Farewell::default()).await });
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(shared: Arc<Shared>, link: Link<S>, client: Client) -> Connection<S> {
        Connection {
            received: shared.clock.now(),
            shared,
            link,
            client,
            routes: Routes::default(),
            aliases_in: None,
            aliases_out: None,
            batch: Batch::default(),
            answers: VecDeque::new(),
            unacknowledged: 0,
            counts: [0; 3],
            read_at: Instant::now(),
            waits_for_commit: false,
            waits_for_room: false,
            window_moved: true,
            is_interrupted: false,
            has_been_refused: false,
        }
    }

    async fn run(&mut self) -> End {
        let mut commits = self.shared.door.commits();
        let session = Arc::clone(&self.client.session);
        let mut course = Course::begin();
        let patience = Duration::from_millis(u64::from(self.client.terms.keep_alive_s) * 1500);
        let silence = tokio::time::sleep(patience);
        tokio::pin!(silence);
        loop {
            self.advance(&mut course);
            let durable = commits.borrow_and_update().clone();
            if let Err(fault) = self.send_answers(&durable) {
                return End::Fault(fault);
            }
            if std::mem::take(&mut self.window_moved) || self.waits_for_commit || self.waits_for_room {
                self.send_waiting(durable.commit);
            }
            if course.accepting.is_none() {
                let has_more = !self.batch.is_empty() || (!course.packets.is_empty() && course.end.is_none());
                match course.end {
                    _ if has_more => continue,
                    Some(end) => return end,
                    None => {}
                }
            }
            let reads = course.accepting.is_none() && course.end.is_none() && self.has_room();
            course.listen(reads);
            let tells_writing = self.waits_for_room || !reads;
            let waits_for_commit = self.waits_for_commit || !self.answers.is_empty();
            tokio::select! {
                biased;
                accepted = answer_of(&mut course.accepting) => {
                    if let Err(fault) = self.settle_accepted(&mut course, accepted) {
                        return End::Fault(fault);
                    }
                }
                event = self.link.wait(reads, tells_writing), if !course.is_broken => {
                    self.note_event(&mut course, event);
                }
                () = session.wake.notified() => {
                    if let Some(kick) = session.lock().kick {
                        course.end_by(Fault::of(kick, "connection is ended by the gateway"));
                    }
                    self.window_moved = true;
                }
                changed = commits.changed(), if waits_for_commit => {
                    if changed.is_err() {
                        return End::Fault(Fault::of(reason::SERVER_ERROR, "the door is gone"));
                    }
                }
                () = &mut silence, if !patience.is_zero() => {
                    silence.as_mut().reset(course.note_silence(reads, patience));
                }
            }
        }
    }

    /// Packets that were read become a batch, a batch goes to the door; one at a time.
    fn advance(&mut self, course: &mut Course) {
        if course.accepting.is_some() {
            return;
        }
        if course.end.is_none() {
            let gathered = self.gather(&mut course.packets);
            course.end = gathered.unwrap_or_else(|fault| Some(End::Fault(fault)));
        }
        if !self.batch.is_empty() {
            course.accepting = self.submit();
        }
    }

    fn settle_accepted(
        &mut self,
        course: &mut Course,
        accepted: Result<Accepted, DoorError>,
    ) -> Result<(), Fault> {
        let (Some(accepting), Ok(accepted)) = (course.accepting.take(), accepted) else {
            return Err(Fault::of(reason::SERVER_ERROR, "the door is closed"));
        };
        self.settle(accepting.batch, &accepted, accepting.read_at);
        self.window_moved = true;
        match self.is_interrupted {
            true => Err(Fault::of(reason::SERVER_ERROR, "the door has failed")),
            false => Ok(()),
        }
    }

    fn note_event(&mut self, course: &mut Course, event: std::io::Result<LinkEvent>) {
        match event {
            Ok(LinkEvent::Read) => {
                course.heard_at = tokio::time::Instant::now();
                self.read_at = Instant::now();
                self.received = self.shared.clock.now();
            }
            Ok(LinkEvent::Wrote) => {}
            Ok(LinkEvent::Closed) => course.end = Some(End::Lost),
            Err(_) => {
                course.is_broken = true;
                course.end = Some(End::Lost);
            }
        }
    }

    /// Whether what the client says next can be taken.
    fn has_room(&self) -> bool {
        self.answers.len() < ANSWERS_MAX && !self.link.is_out_full()
    }

    /// Packets into the batch, up to one that has to wait for the messages before it.
    fn gather(&mut self, packets: &mut Bytes) -> Result<Option<End>, Fault> {
        let packet_bytes_max = self.shared.options.packet_bytes_max;
        loop {
            if packets.is_empty() {
                *packets = self.link.take_packets(packet_bytes_max)?;
            }
            let Some(first) = packets.first() else { return Ok(None) };
            if inbound::waits_for_messages(*first) && !self.batch.messages.is_empty() {
                return Ok(None);
            }
            match take_frame(packets, packet_bytes_max)? {
                Some(frame) => {
                    if let Some(end) = self.handle(&frame, self.received)? {
                        return Ok(Some(end));
                    }
                }
                None => {
                    self.link.put_back(std::mem::take(packets));
                    return Ok(None);
                }
            }
        }
    }
}

/// The answer of the door, or never when nothing waits for one.
async fn answer_of(accepting: &mut Option<Accepting>) -> Result<Accepted, DoorError> {
    match accepting {
        Some(accepting) => accepting.answer().await,
        None => std::future::pending().await,
    }
}
