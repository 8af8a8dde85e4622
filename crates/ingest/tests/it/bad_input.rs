//! Whatever comes, it ends in quarantine with a reason, and its neighbours do not notice.

use springhouse_ingest::Outcome;
use springhouse_schema::Reason;

use crate::hub::Hub;

const TOPIC: &str = "devices/d/s";

#[tokio::test]
async fn a_bad_message_leaves_its_neighbours_untouched() {
    let hub = Hub::new().await;
    let outcomes = hub
        .send(&[
            hub.message(TOPIC, r#"{"v":1.5}"#),
            hub.message(TOPIC, r#"[{"v":2.5},{"v":"hot"},{"v":3.5}]"#),
            hub.message(TOPIC, r#"{"v":4.5"#),
            hub.message(TOPIC, r#"{"v":5.5}"#),
        ])
        .await;
    let expected = [
        Outcome::Accepted { rows: 1 },
        Outcome::Quarantined(Reason::WrongType),
        Outcome::Quarantined(Reason::NotJson),
        Outcome::Accepted { rows: 1 },
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(hub.texts("s", "v"), [Some("1.5".to_owned()), Some("5.5".to_owned())]);
    assert_eq!(hub.reasons(), ["wrong_type", "not_json"]);
    let stats = hub.ingest.stats();
    assert_eq!((stats.messages, stats.rows, stats.quarantined), (4, 2, 2));
}

#[tokio::test]
async fn every_kind_of_nonsense_has_its_reason() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1.5,"n":1,"t":"x"}"#).await;
    let deep_arrays = format!(r#"{{"t":{}1{}}}"#, "[".repeat(500_000), "]".repeat(500_000));
    let deep_objects = r#"{"v":"#.repeat(170_000);
    let large = format!(r#"{{"t":"{}"}}"#, "x".repeat(1 << 20));
    for (payload, reason) in [
        ("hello", Reason::NotJson),
        (r#"{"v":NaN}"#, Reason::NotJson),
        (r#"{"v":Infinity}"#, Reason::NotJson),
        (r#"{"v":1}{"v":2}"#, Reason::NotJson),
        (r#"{"v":1e999}"#, Reason::NotFinite),
        ("21.5", Reason::NotAnObject),
        ("[1]", Reason::NotAnObject),
        ("null", Reason::NotAnObject),
        (r#"{"v":"hot"}"#, Reason::WrongType),
        (r#"{"n":9223372036854775808}"#, Reason::WrongType),
        (r#"{"v":1,"v":2}"#, Reason::DuplicateKey),
        (r#"{"ts":"yesterday","v":1}"#, Reason::BadTime),
        (r#"{"ts":"1970-01-01T00:00:03Z","v":1}"#, Reason::TimeOutOfRange),
        (r#"{"ts":"2106-02-07T06:28:15Z","v":1}"#, Reason::TimeOutOfRange),
        (r#"{"ts":18446744073709551615,"v":1}"#, Reason::TimeOutOfRange),
        (deep_arrays.as_str(), Reason::TooDeep),
        (deep_objects.as_str(), Reason::TooDeep),
        (large.as_str(), Reason::TooLarge),
    ] {
        let outcome = hub.say(TOPIC, payload).await;
        assert_eq!(outcome, Outcome::Quarantined(reason), "{}", &payload[..payload.len().min(60)]);
    }
    assert_eq!(hub.rows("s"), 1);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_as_they_are() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1}"#).await;
    let mut message = hub.message(TOPIC, "");
    message.payload = vec![b'{', 0xff, 0xfe].into();
    assert_eq!(hub.send(&[message]).await, [Outcome::Quarantined(Reason::NotUtf8)]);
    assert_eq!(hub.inbox(1).await[0].payload, [b'{', 0xff, 0xfe]);
}

#[tokio::test]
async fn a_first_message_that_does_not_fit_registers_nothing() {
    let hub = Hub::new().await;
    assert_eq!(hub.say("devices/d/fresh", "nonsense").await, Outcome::Quarantined(Reason::NotJson));
    assert!(hub.ingest.registry().entry(&crate::hub::key("fresh")).is_none());
}

#[tokio::test]
async fn an_empty_payload_clears_a_retained_message_and_is_no_reading() {
    let hub = Hub::new().await;
    assert_eq!(hub.say(TOPIC, "").await, Outcome::NotAStream);
    assert!(hub.records().is_empty());
}
