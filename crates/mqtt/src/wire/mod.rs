//! Bytes ⇄ packets.
//!
//! The codec crate decodes the packets of which there are few (CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT). PUBLISH and the
//! acknowledgements are read and written here: they come by the million, must not allocate, and the properties that
//! a PUBLISH only carries along are passed on as the bytes they are. What the standard forbids and the codec lets pass is
//! refused here too.

mod connect;
mod cursor;
mod encode;
mod packet;
mod publish;

pub use connect::{Connect, Hello, Will, decode_connect};
pub use encode::{
    ConnectAck, Delivery, put_ack, put_connack, put_disconnect, put_pong, put_publish, put_suback,
    put_unsuback,
};
pub use packet::{Ack, AckKind, Disconnect, Packet, Subscribe, SubscriptionOptions, Unsubscribe, decode};
pub use publish::Publish;

use bytes::{Buf, Bytes};

use crate::reason::{self, Fault};

/// The two families of the protocol; 3.1.1 differs from 5 on the wire and in what may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V3,
    V5,
}

/// One whole packet: its first byte and what follows the remaining length.
#[derive(Clone, Debug)]
pub struct Frame {
    pub first: u8,
    pub body: Bytes,
}

/// Length of the whole packet at the start of `bytes` and of its fixed header, or `None` while that cannot be told.
pub fn frame_length(bytes: &[u8], packet_bytes_max: u32) -> Result<Option<(usize, usize)>, Fault> {
    let mut remaining = 0_usize;
    for index in 1..5 {
        let Some(byte) = bytes.get(index) else { return Ok(None) };
        remaining |= usize::from(byte & 0x7f) << (7 * (index - 1));
        if byte & 0x80 == 0 {
            let length = index + 1 + remaining;
            return match length > packet_bytes_max as usize {
                true => Err(Fault::of(reason::PACKET_TOO_LARGE, "packet is larger than allowed")),
                false => Ok(Some((length, index + 1))),
            };
        }
    }
    Err(Fault::malformed("remaining length is longer than 4 bytes"))
}

/// Cuts the first whole packet off `bytes`.
pub fn take_frame(bytes: &mut Bytes, packet_bytes_max: u32) -> Result<Option<Frame>, Fault> {
    match frame_length(bytes, packet_bytes_max)? {
        Some((length, header)) if length <= bytes.len() => {
            let first = bytes[0];
            let mut body = bytes.split_to(length);
            body.advance(header);
            Ok(Some(Frame { first, body }))
        }
        _ => Ok(None),
    }
}

/// Decodes a stream of packets as a connection would and drops them: the entry for fuzzing. Never panics.
pub fn decode_all(bytes: &[u8]) -> usize {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut count = 0;
    let mut version = Version::V5;
    while let Ok(Some(frame)) = take_frame(&mut rest, 1024 * 1024) {
        if frame.first == 0x10
            && let Ok(Hello::Connect(connect)) = decode_connect(&frame)
        {
            version = connect.version;
        }
        count += [version, Version::V3].iter().filter(|version| decode(&frame, **version).is_ok()).count();
    }
    count
}
