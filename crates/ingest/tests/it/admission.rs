//! Who and what is let in when it is seen for the first time.

use springhouse_ingest::{Admission, Options, Outcome, Refusal, Route};
use springhouse_meta::Approval;
use springhouse_model::TenantId;
use springhouse_policy::Principal;
use springhouse_schema::Reason;

use crate::hub::{Hub, gateway_of, key, options};

const METER: &str = "devices/meter-1/power";

#[tokio::test]
async fn auto_registers_device_and_stream_as_approved() {
    let hub = Hub::new().await;
    assert_eq!(hub.say(METER, r#"{"power":1.5}"#).await, Outcome::Accepted { rows: 1 });
    let entry = hub.ingest.registry().entry(&key("power")).unwrap();
    assert_eq!(entry.state, Approval::Approved);
    let device = hub.ingest.registry().device(&TenantId::main(), &"meter-1".parse().unwrap()).unwrap();
    assert_eq!(device.state(), Approval::Approved);
    assert_eq!(device.site().unwrap().as_str(), "home");
    assert_eq!(hub.texts("power", "device"), [Some("meter-1".to_owned())]);
    assert_eq!(hub.texts("power", "site"), [Some("home".to_owned())]);
}

#[tokio::test]
async fn approve_takes_and_learns_until_approval_freezes_the_schema() {
    let hub = Hub::with(Options { admission: Admission::Approve, ..options() }).await;
    assert_eq!(hub.say(METER, r#"{"power":1}"#).await, Outcome::Accepted { rows: 1 });
    assert_eq!(hub.ingest.registry().entry(&key("power")).unwrap().state, Approval::Pending);
    assert_eq!(hub.say(METER, r#"{"power":2,"voltage":230}"#).await, Outcome::Accepted { rows: 1 });
    hub.ingest.registry().set_stream_state(&key("power"), Approval::Approved).await.unwrap();
    assert_eq!(
        hub.say(METER, r#"{"power":3,"current":1}"#).await,
        Outcome::Quarantined(Reason::UnknownField)
    );
    assert_eq!(hub.say(METER, r#"{"power":4}"#).await, Outcome::Accepted { rows: 1 });
}

#[tokio::test]
async fn refuse_keeps_what_it_does_not_know_in_quarantine() {
    let hub = Hub::with(Options { admission: Admission::Refuse, ..options() }).await;
    assert_eq!(hub.say(METER, r#"{"power":1}"#).await, Outcome::Quarantined(Reason::UnknownStream));
    assert_eq!(hub.reasons(), ["unknown_stream"]);
    assert!(hub.ingest.registry().entry(&key("power")).is_none());
}

#[tokio::test]
async fn a_refused_device_and_a_refused_stream_are_quarantined() {
    let hub = Hub::new().await;
    hub.say(METER, r#"{"power":1}"#).await;
    let id = "meter-1".parse().unwrap();
    let registry = hub.ingest.registry();
    registry.set_device_state(&TenantId::main(), &id, Approval::Refused).await.unwrap();
    assert_eq!(hub.say(METER, r#"{"power":1}"#).await, Outcome::Quarantined(Reason::DeviceRefused));
    registry.set_device_state(&TenantId::main(), &id, Approval::Approved).await.unwrap();
    registry.set_stream_state(&key("power"), Approval::Refused).await.unwrap();
    assert_eq!(hub.say(METER, r#"{"power":1}"#).await, Outcome::Quarantined(Reason::StreamRefused));
}

#[tokio::test]
async fn a_device_speaks_for_itself_only() {
    let hub = Hub::new().await;
    let device = Principal::device(TenantId::main(), None, "meter-1".parse().unwrap());
    let own = hub.message(METER, r#"{"power":1}"#);
    let other = hub.message("devices/meter-2/power", r#"{"power":1}"#);
    let elsewhere = hub.message("chat/room", "hello");
    let outcomes = hub.send_as(&device, &[own, other, elsewhere]).await;
    let expected = [Outcome::Accepted { rows: 1 }, Outcome::Refused(Refusal::Topic), Outcome::NotAStream];
    assert_eq!(outcomes, expected);
    assert_eq!(hub.rows("power"), 1);
}

#[tokio::test]
async fn a_gateway_of_one_site_does_not_speak_for_another() {
    let hub = Hub::new().await;
    hub.say(METER, r#"{"power":1}"#).await;
    let mut other = gateway_of(TenantId::main());
    other.site = Some("plant".parse().unwrap());
    let outcomes = hub.send_as(&other, &[hub.message(METER, r#"{"power":2}"#)]).await;
    assert_eq!(outcomes, [Outcome::Refused(Refusal::Site)]);
}

#[tokio::test]
async fn two_tenants_do_not_meet() {
    let hub = Hub::new().await;
    let (north, south): (TenantId, TenantId) = ("north".parse().unwrap(), "south".parse().unwrap());
    let mut message = hub.message(METER, r#"{"power":1}"#);
    message.id = Some("same".into());
    for tenant in [&north, &south] {
        let outcomes = hub.send_as(&gateway_of(tenant.clone()), &[message.clone()]).await;
        assert_eq!(
            outcomes,
            [Outcome::Accepted { rows: 1 }],
            "an id of one tenant means nothing to the other"
        );
    }
    // The same stream name with another type: each tenant has its own schema.
    let text = hub.message("devices/meter-1/state", r#"{"v":"on"}"#);
    let number = hub.message("devices/meter-1/state", r#"{"v":1}"#);
    assert_eq!(hub.send_as(&gateway_of(north.clone()), &[text]).await, [Outcome::Accepted { rows: 1 }]);
    assert_eq!(hub.send_as(&gateway_of(south.clone()), &[number]).await, [Outcome::Accepted { rows: 1 }]);
    let registry = hub.ingest.registry();
    let ids = |tenant: &TenantId| registry.streams(tenant).iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert!(ids(&north).iter().all(|id| !ids(&south).contains(id)));
    assert_eq!(hub.batches_of(&north, "power").len(), 1);
    assert!(hub.batches("power").is_empty(), "nor has the main tenant any of it");
}

#[tokio::test]
async fn routes_lead_from_foreign_topics_to_streams() {
    let routes = vec![Route::new("zigbee2mqtt/{device}", Some("zigbee".parse().unwrap()), None).unwrap()];
    let hub = Hub::with(Options { routes, ..options() }).await;
    assert_eq!(hub.say("zigbee2mqtt/lamp", r#"{"state":"ON"}"#).await, Outcome::Accepted { rows: 1 });
    assert_eq!(hub.say("zigbee2mqtt/bridge/state", "online").await, Outcome::NotAStream);
    assert_eq!(hub.texts("zigbee", "device"), [Some("lamp".to_owned())]);
}

#[tokio::test]
async fn names_that_cannot_be_are_quarantined() {
    let hub = Hub::new().await;
    for topic in
        ["devices/ a/power", "devices/a/1st", "devices/a/_quarantine", "devices/a/hourly.late", "devices//x"]
    {
        assert_eq!(hub.say(topic, r#"{"a":1}"#).await, Outcome::Quarantined(Reason::BadName), "{topic}");
    }
    assert_eq!(hub.say("devices/a/Door-State", r#"{"a":1}"#).await, Outcome::Accepted { rows: 1 });
    assert_eq!(hub.rows("door_state"), 1);
}

#[tokio::test]
async fn numbers_of_streams_and_devices_are_bounded() {
    let hub = Hub::with(Options { streams_max: 2, devices_max: 1, ..options() }).await;
    assert_eq!(hub.say("devices/a/one", r#"{"a":1}"#).await, Outcome::Accepted { rows: 1 });
    // The quarantine itself is the other stream.
    assert_eq!(hub.say("devices/a/two", r#"{"a":1}"#).await, Outcome::Quarantined(Reason::UnknownStream));
    assert_eq!(hub.say("devices/b/one", r#"{"a":1}"#).await, Outcome::Quarantined(Reason::UnknownDevice));
}
