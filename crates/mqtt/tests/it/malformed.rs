//! Bad input ends the connection that sent it, with a reason; the hub and its other clients notice nothing.

use proptest::prelude::*;

use crate::client::{binary, packet, publish_with, text, v3, v5};
use crate::house::Hub;

/// Sends bytes after CONNECT and expects the reason code.
async fn check(hub: &Hub, bytes: &[u8], reason: u8) {
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    client.send(bytes).await;
    let heard = client.hear().await;
    let heard = heard.unwrap_or_else(|| panic!("closed without a reason: {bytes:02x?}"));
    assert_eq!((heard.first, &heard.body[..]), (0xe0, &[reason][..]), "{bytes:02x?}");
    client.is_closed().await;
}

#[tokio::test]
async fn malformed_packets_end_the_connection_with_the_reason() {
    let hub = Hub::new().await;
    let mut neighbour = hub.dial();
    neighbour.enter(&v5("neighbour")).await;
    let subscribe = |properties: &[u8], rest: &[u8]| {
        packet(0x82, &[&[0, 9, u8::try_from(properties.len()).unwrap()], properties, rest].concat())
    };
    let filter = |options: u8| [text("x"), vec![options]].concat();
    for (bytes, reason) in [
        // Fixed header (§2.1).
        (packet(0x00, b""), 0x81),
        (packet(0x60, &[0, 1]), 0x81),
        (packet(0x80, &[0, 1]), 0x81),
        (packet(0xc1, b""), 0x81),
        (packet(0xc0, b"x"), 0x81),
        (vec![0x30, 0xff, 0xff, 0xff, 0xff, 1], 0x81),
        // Packets of a server, and a second CONNECT.
        (packet(0x20, &[0, 0, 0]), 0x82),
        (packet(0x90, &[0, 1, 0, 0]), 0x82),
        (v5("a").bytes(), 0x82),
        (packet(0xf0, b""), 0x82),
        // PUBLISH (§3.3).
        (publish_with("x", 6, 1, &[], ""), 0x81),
        (publish_with("x", 8, 0, &[], ""), 0x81),
        (publish_with("x", 2, 0, &[], ""), 0x82),
        (publish_with("", 0, 0, &[], ""), 0x82),
        (publish_with("a/+", 0, 0, &[], ""), 0x90),
        (publish_with("a/#", 0, 0, &[], ""), 0x90),
        (publish_with("a\0b", 0, 0, &[], ""), 0x81),
        (publish_with("x", 0, 0, &[0x0b, 1], ""), 0x82),
        (publish_with("x", 0, 0, &[0x01, 2], ""), 0x82),
        (publish_with("x", 0, 0, &[0x01, 1, 0x01, 1], ""), 0x82),
        (publish_with("x", 0, 0, &[0x11, 0, 0, 0, 1], ""), 0x81),
        (publish_with("x", 0, 0, &[0x02, 0, 0], ""), 0x81),
        (publish_with("x", 0, 0, &[&[0x08], &text("a/#")[..]].concat(), ""), 0x82),
        (packet(0x30, &[&binary(&[0xff, 0xfe])[..], &[0]].concat()), 0x81),
        (packet(0x30, &[&binary(&[0xed, 0xa0, 0x80])[..], &[0]].concat()), 0x81),
        (packet(0x30, &[0, 9, b'x']), 0x81),
        (packet(0x30, &[&text("x")[..], &[9]].concat()), 0x81),
        // SUBSCRIBE, UNSUBSCRIBE (§3.8, §3.10).
        (subscribe(&[], &[]), 0x82),
        (subscribe(&[], &filter(3)), 0x81),
        (subscribe(&[], &filter(0x40)), 0x81),
        (subscribe(&[], &filter(0x30)), 0x81),
        (subscribe(&[0x0b, 0], &filter(0)), 0x82),
        (subscribe(&[0x0b, 1, 0x0b, 2], &filter(0)), 0x82),
        (subscribe(&[], &[&text("a\0b")[..], &[0]].concat()), 0x81),
        (packet(0x82, &[0, 0, 0, 0, 1, b'x', 0]), 0x82),
        (packet(0xa2, &[0, 9, 0]), 0x82),
        // Acknowledgements and DISCONNECT (§3.4, §3.14).
        (packet(0x40, &[0, 0]), 0x82),
        (packet(0x40, &[0]), 0x81),
        (packet(0x40, &[0, 1, 0, 0, 7]), 0x81),
        (packet(0xe0, &[0, 2, 0x11, 0]), 0x81),
        (packet(0xe0, &[0, 0, 7]), 0x81),
    ] {
        check(&hub, &bytes, reason).await;
    }
    neighbour.deliver("x", "1").await;
}

#[tokio::test]
async fn what_came_before_a_malformed_packet_counts() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    client.send(&[publish_with("x", 0, 0, &[], "good"), packet(0x00, b"")].concat()).await;
    client.is_sent_away(0x81).await;
    assert_eq!(hub.house.stored().len(), 1);
}

#[tokio::test]
async fn mqtt_3_connections_are_closed_without_a_word() {
    let hub = Hub::new().await;
    for bytes in [
        packet(0x36, &[0, 1, b'x', 0, 1]),
        packet(0x30, &[0, 3, b'a', 0, b'b']),
        packet(0x30, &[0, 0]),
        packet(0x38, &[0, 1, b'x']),
        packet(0x82, &[0, 9, 0, 1, b'x', 4]),
        packet(0x82, &[0, 9]),
        packet(0xe0, &[0]),
        packet(0xf0, &[]),
        v3("a").bytes(),
    ] {
        let mut client = hub.dial();
        client.enter(&v3("a")).await;
        client.send(&bytes).await;
        client.is_closed().await;
    }
}

#[tokio::test]
async fn a_connect_that_breaks_the_rules_is_not_answered() {
    let hub = Hub::new().await;
    let mut wrong_name = v5("a").bytes();
    wrong_name[4] = b'X';
    for bytes in [
        wrong_name,
        v5("a").flags(3).bytes(),
        // Will QoS, will retain without a will (§3.1.2.6, §3.1.2.7); a will of QoS 3.
        v5("a").flags(0x0a).bytes(),
        v5("a").flags(0x22).bytes(),
        v3("a").flags(0x0a).bytes(),
        v3("a").flags(0x42).bytes(),
        v5("a").flags(0x1e).bytes(),
        v5("a\0b").bytes(),
        v5("a").will("a/#", "1", 0).bytes(),
        v5("a").property(&[0x21, 0, 0]).bytes(),
        v5("a").property(&[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1]).bytes(),
        packet(0x10, b"\0\x04MQTT\x05"),
        packet(0x30, b"\0\x01x\0"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut client = hub.dial();
        client.send(&bytes).await;
        assert_eq!(client.hear().await, None, "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_answered() {
    let hub = Hub::new().await;
    for (level, answer) in [(6, &[0, 0x84, 0][..]), (3, &[0, 1][..])] {
        let mut client = hub.dial();
        let mut connect = v5("a").bytes();
        connect[8] = level;
        client.send(&connect).await;
        client.expect(0x20, answer).await;
        client.is_closed().await;
    }
}

/// Bytes that a fuzzer or a device once sent: decoding them never panics.
#[test]
fn the_corpus_decodes_or_is_refused() {
    let corpus = "../../fuzz/corpus/mqtt_packets";
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        springhouse_mqtt::decode_packets(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "the corpus is there");
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        springhouse_mqtt::decode_packets(&bytes);
    }

    #[test]
    fn a_damaged_packet_decodes_or_is_refused(at in 0_usize..60, byte in any::<u8>(), cut in 0_usize..80) {
        let properties = [&[0x26], &text("a")[..], &text("b")[..], &[0x23, 0, 1, 0x02, 0, 0, 0, 9]].concat();
        let mut bytes = v5("client").will("w", "gone", 1).bytes();
        bytes.extend(publish_with("a/b", 2, 7, &properties, "payload"));
        bytes.extend(packet(0x82, &[&[0, 9, 2, 0x0b, 5], &text("a/+")[..], &[1]].concat()));
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 20));
        springhouse_mqtt::decode_packets(&bytes);
    }
}
