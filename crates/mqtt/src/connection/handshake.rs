//! CONNECT and its answer: who it is, which session, on what terms (MQTT 5 §3.1, §3.2).

use std::hash::BuildHasher;
use std::sync::Arc;

use springhouse_policy::Principal;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Origin;
use super::link::{Link, LinkEvent};
use crate::door::{Credentials, Refusal};
use crate::event::StoredWill;
use crate::journal::Guard;
use crate::lifecycle::Wish;
use crate::message::Message;
use crate::reason::{self, Fault};
use crate::session::{Session, session_key};
use crate::shared::Shared;
use crate::tenant::Tenant;
use crate::wire::{Connect, ConnectAck, Hello, Version, Will, decode_connect, put_connack, take_frame};

const CONNECT: u8 = 0x10;

/// An accepted client.
pub struct Client {
    pub who: Arc<Principal>,
    pub tenant: Arc<Tenant>,
    pub session: Arc<Session>,
    pub terms: Terms,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub version: Version,
    pub keep_alive_s: u16,
    /// What the client takes: messages in flight, packet size, topic aliases.
    pub receive_max: u16,
    pub packet_bytes_max: Option<u32>,
    pub topic_alias_max: u16,
    /// The expiry given at CONNECT: one of zero cannot be raised at DISCONNECT (§3.14.2.2.2).
    pub session_expiry_s: u32,
}

/// Waits for CONNECT.
pub async fn read_connect<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<S>,
    packet_bytes_max: u32,
) -> Result<Box<Connect>, Option<Fault>> {
    loop {
        // Something else than MQTT may never fill what it seems to announce as a length.
        if link.first().is_some_and(|first| first != CONNECT) {
            return Err(Some(Fault::protocol("first packet is not CONNECT")));
        }
        let mut packets = link.take_packets(packet_bytes_max)?;
        if let Some(frame) = take_frame(&mut packets, packet_bytes_max)? {
            link.put_back(packets);
            return match decode_connect(&frame)? {
                Hello::Connect(connect) => Ok(connect),
                Hello::UnsupportedVersion { answer } => {
                    refuse(link, answer, reason::UNSUPPORTED_VERSION);
                    Err(Some(Fault::of(reason::UNSUPPORTED_VERSION, "protocol version is not spoken here")))
                }
            };
        }
        match link.read().await {
            Ok(LinkEvent::Read) => {}
            _ => return Err(None),
        }
    }
}

fn refuse<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, version: Version, reason: u8) {
    put_connack(&mut link.out, version, &ConnectAck { reason, ..ConnectAck::default() });
}

/// Checks a CONNECT, attaches the session and writes the answer. `None`: refused, and the answer says so.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    link: &mut Link<S>,
    origin: &Origin,
    connect: Box<Connect>,
) -> Option<Client> {
    let version = connect.version;
    match admit(shared, origin, &connect).await {
        Ok((client, is_present, assigned)) => {
            answer(shared, link, &connect, &client, is_present, assigned.as_deref());
            Some(client)
        }
        Err(reason) => {
            refuse(link, version, reason);
            None
        }
    }
}

async fn admit(
    shared: &Arc<Shared>,
    origin: &Origin,
    connect: &Connect,
) -> Result<(Client, bool, Option<String>), u8> {
    if connect.has_authentication_method {
        shared.metrics.refused("authentication_method");
        return Err(reason::BAD_AUTHENTICATION_METHOD);
    }
    let assigned = connect.client_id.is_empty().then(assign_client_id);
    if assigned.is_some() && connect.version == Version::V3 && !connect.clean_start {
        shared.metrics.refused("client_id");
        return Err(reason::CLIENT_ID_INVALID);
    }
    let client_id = assigned.as_deref().unwrap_or(&connect.client_id);
    let who = authenticate(shared, origin, connect, client_id).await?;
    if connect.will.as_ref().is_some_and(|will| !who.may_publish(&will.topic)) {
        shared.metrics.refused("will_topic");
        return Err(reason::NOT_AUTHORIZED);
    }
    let options = &shared.options;
    let expiry_s = match connect.session_expiry_s {
        Some(seconds) => seconds.min(options.session_expiry_max),
        None if connect.clean_start => 0,
        None => options.session_expiry_max,
    };
    let terms = Terms {
        version: connect.version,
        keep_alive_s: keep_alive(connect, options.keep_alive_max),
        receive_max: connect.receive_max,
        packet_bytes_max: connect.packet_bytes_max,
        topic_alias_max: connect.topic_alias_max.min(options.topic_alias_max),
        session_expiry_s: expiry_s,
    };
    let wish = Wish {
        key: session_key(&who, client_id),
        clean_start: connect.clean_start,
        expiry_s,
        will: connect.will.as_ref().map(stored_will),
    };
    let tenant = shared.tenant(&who.tenant);
    let (session, is_present) = open(shared, &tenant, &who, &wish).await?;
    Ok((Client { who, tenant, session, terms }, is_present, assigned))
}

async fn authenticate(
    shared: &Shared,
    origin: &Origin,
    connect: &Connect,
    client_id: &str,
) -> Result<Arc<Principal>, u8> {
    let credentials = Credentials {
        listener: &origin.listener,
        peer: origin.peer,
        transport: origin.transport,
        client_id,
        username: connect.username.as_deref(),
        password: connect.password.as_ref(),
        certificate: origin.certificate.as_deref(),
    };
    shared.door.authenticate(credentials).await.map(Arc::new).map_err(|refusal| {
        shared.metrics.refused(refusal.code());
        tracing::info!(listener = %origin.listener, reason = refusal.code(), "client is refused");
        match refusal {
            Refusal::BadCredentials => reason::BAD_CREDENTIALS,
            Refusal::NotAuthorized => reason::NOT_AUTHORIZED,
            Refusal::Banned => reason::BANNED,
            Refusal::Unavailable => reason::SERVER_UNAVAILABLE,
        }
    })
}

async fn open(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    who: &Arc<Principal>,
    wish: &Wish,
) -> Result<(Arc<Session>, bool), u8> {
    let _guard: Guard = shared.journal.guard();
    let mut events = Vec::new();
    // A connection that is taken over has to let go first; the one that hangs must not hang this one.
    let opening = shared.open_session(tenant, who, wish, &mut events);
    let opened = tokio::time::timeout(shared.options.connect_timeout, opening).await;
    // Also when it was not opened: a session that ended on the way has ended.
    let written = shared.write(&events).await;
    let (session, is_present) = opened.unwrap_or(Err(reason::SERVER_BUSY))?;
    match written {
        Ok(_) => Ok((session, is_present)),
        Err(_) => {
            shared.close_session(tenant, &session, Default::default()).await;
            Err(reason::SERVER_UNAVAILABLE)
        }
    }
}

fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    link: &mut Link<S>,
    connect: &Connect,
    client: &Client,
    is_present: bool,
    assigned: Option<&str>,
) {
    let (options, terms) = (&shared.options, &client.terms);
    let response = connect.wants_response_information.then(|| match client.who.own_device() {
        Some(device) => format!("devices/{device}/responses"),
        None => format!("responses/{}", assigned.unwrap_or(&connect.client_id)),
    });
    let ack = ConnectAck {
        session_present: is_present,
        reason: reason::SUCCESS,
        session_expiry_s: connect
            .session_expiry_s
            .and_then(|wanted| (wanted != terms.session_expiry_s).then_some(terms.session_expiry_s)),
        receive_max: Some(options.receive_max),
        packet_bytes_max: Some(options.packet_bytes_max),
        topic_alias_max: options.topic_alias_max,
        keep_alive_s: (terms.keep_alive_s != connect.keep_alive_s).then_some(terms.keep_alive_s),
        assigned_client_id: assigned,
        response_information: response.as_deref(),
    };
    put_connack(&mut link.out, terms.version, &ack);
}

/// MQTT 3.1.1 has no way to tell a client another keep-alive than its own.
fn keep_alive(connect: &Connect, longest_s: Option<u16>) -> u16 {
    match (connect.version, longest_s) {
        (Version::V5, Some(longest)) if connect.keep_alive_s == 0 => longest,
        (Version::V5, Some(longest)) => connect.keep_alive_s.min(longest),
        _ => connect.keep_alive_s,
    }
}

fn stored_will(will: &Will) -> StoredWill {
    let mut message = Message::new(&will.topic, &will.properties, &will.payload, will.qos);
    message.retain = will.retain;
    StoredWill { message: Arc::new(message), delay_s: will.delay_s, expiry_s: will.expiry_s }
}

/// Keyed by the process's randomness, so that nobody guesses the id of another client.
fn assign_client_id() -> String {
    let state = std::hash::RandomState::new();
    format!("auto-{:016x}{:016x}", state.hash_one(0), state.hash_one(1))
}
