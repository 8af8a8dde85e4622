use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use springhouse_act::CONSUMER;
use springhouse_model::{Severity, TenantId};

use crate::hub::Hub;

fn main_tenant() -> TenantId {
    TenantId::main()
}

fn firing(device: &str, at: i64) -> (String, i64) {
    (device.to_owned(), at)
}

#[tokio::test]
async fn each_row_of_an_alert_becomes_one_event_over_a_restart() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Critical).await);
    hub.fire(&hot, &[("oven", 1), ("stove", 2)]).await;
    hub.record().await;
    hub.fire(&hot, &[("oven", 3)]).await;
    hub.record().await;
    hub.record().await;
    assert_eq!(hub.fired(&tenant).await, [firing("oven", 1), firing("stove", 2), firing("oven", 3)]);
    assert!(hub.alerts(&tenant).await.iter().all(|event| event.severity == Severity::Critical));
    assert_eq!(hub.meta.offset(CONSUMER).await.unwrap(), Some(hub.log.end().0));
}

#[tokio::test]
async fn a_firing_that_is_read_or_written_twice_is_one_event_and_stays_acknowledged() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Info).await);
    hub.fire(&hot, &[("oven", 1)]).await;
    hub.record().await;
    let first = hub.alerts(&tenant).await.remove(0);
    hub.meta.acknowledge_alert(&tenant, &first.id, "ada").await.unwrap();
    // The engine repeats its row, and the recorder has forgotten its place.
    hub.fire(&hot, &[("oven", 1)]).await;
    hub.meta.forget_consumer(CONSUMER).await.unwrap();
    let recorder = hub.recorder().await;
    let mut announced = recorder.recorded();
    hub.caught_up(&recorder).await;
    let events = hub.alerts(&tenant).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].id, events[0].acknowledged_by.as_deref()), (&first.id, Some("ada")));
    assert!(announced.try_recv().is_err(), "what is known is not announced again");
    recorder.stop().await;
}

#[tokio::test]
async fn what_fires_is_announced_while_the_recorder_runs() {
    let hub = Hub::new().await;
    let hot = hub.rule(&main_tenant(), Severity::Warning).await;
    let recorder = hub.recorder().await;
    let mut announced = recorder.recorded();
    hub.fire(&hot, &[("oven", 1), ("stove", 1)]).await;
    let keys = [announced.recv().await.unwrap().key.clone(), announced.recv().await.unwrap().key.clone()];
    assert_eq!(keys, ["oven", "stove"]);
    recorder.stop().await;
}

#[tokio::test]
async fn records_that_cannot_be_read_do_not_stop_those_behind_them() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Warning).await);
    hub.fire(&hot, &[("before", 1)]).await;
    hub.append_damaged(&hot).await;
    let room: ArrayRef = Arc::new(StringArray::from(vec!["a row without a time"]));
    hub.append(&hot, vec![("room", room)]).await;
    hub.fire(&hot, &[("behind", 2)]).await;
    hub.record().await;
    assert_eq!(hub.fired(&tenant).await, [firing("before", 1), firing("behind", 2)]);
}

#[tokio::test]
async fn only_alerts_are_recorded_and_tenants_do_not_meet() {
    let hub = Hub::new().await;
    let (north, south): (TenantId, TenantId) = ("north".parse().unwrap(), "south".parse().unwrap());
    let hot = hub.rule(&north, Severity::Critical).await;
    let same = hub.rule(&south, Severity::Info).await;
    let late = hub.stream(&north, "alerts.hot.late").await;
    let hourly = hub.stream(&north, "hourly").await;
    for stream in [&hot, &same, &late, &hourly] {
        hub.fire(stream, &[("oven", 1)]).await;
    }
    hub.record().await;
    let of = async |tenant| hub.alerts(tenant).await.pop().unwrap();
    assert_eq!((hub.fired(&north).await.len(), hub.fired(&south).await.len()), (1, 1));
    let (one, other) = (of(&north).await, of(&south).await);
    assert_ne!(one.id, other.id);
    assert_eq!((one.severity, other.severity), (Severity::Critical, Severity::Info));
}

#[tokio::test]
async fn what_a_dropped_rule_had_fired_is_still_told() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Critical).await);
    hub.fire(&hot, &[("oven", 1)]).await;
    hub.meta.drop_pipeline(&tenant, "hot").await.unwrap();
    hub.record().await;
    assert_eq!(hub.alerts(&tenant).await[0].severity, Severity::Warning);
}

#[tokio::test]
async fn the_log_keeps_what_is_not_recorded_yet() {
    let hub = Hub::new().await;
    let hot = hub.rule(&main_tenant(), Severity::Warning).await;
    let recorder = hub.recorder().await;
    let held = || hub.log.stats().holds.into_iter().find(|(consumer, _)| consumer == CONSUMER);
    assert_eq!(held().unwrap().1, hub.log.head());
    hub.fire(&hot, &[("oven", 1)]).await;
    hub.caught_up(&recorder).await;
    assert_eq!(held().unwrap().1, hub.log.end());
    recorder.stop().await;
    assert!(held().is_none());
}

#[tokio::test]
async fn an_episode_is_one_event_that_its_end_completes() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Critical).await);
    hub.tell(&hot, &[("fired", "oven", 1, 1, 1), ("fired", "stove", 2, 2, 1)]).await;
    hub.record().await;
    assert!(hub.alerts(&tenant).await.iter().all(|event| event.is_firing()));
    let recorder = hub.recorder().await;
    let mut announced = recorder.recorded();
    hub.tell(&hot, &[("resolved", "oven", 1, 60, 9), ("fired", "oven", 70, 70, 1)]).await;
    hub.caught_up(&recorder).await;
    let told = async |announced: &mut tokio::sync::broadcast::Receiver<_>| {
        let event: Arc<springhouse_act::AlertEvent> = announced.recv().await.unwrap();
        (event.at.micros() / 1_000_000, event.resolved_at.map(|at| at.micros() / 1_000_000), event.times)
    };
    assert_eq!(told(&mut announced).await, (1, Some(60), Some(9)));
    assert_eq!(told(&mut announced).await, (70, None, Some(1)));
    recorder.stop().await;
    // Read once more, nothing changes.
    hub.meta.forget_consumer(CONSUMER).await.unwrap();
    hub.record().await;
    let events = hub.alerts(&tenant).await;
    let seen = |event: &springhouse_act::AlertEvent| (event.key.clone(), event.is_firing(), event.times);
    assert_eq!(
        events.iter().map(seen).collect::<Vec<_>>(),
        [
            ("oven".to_owned(), false, Some(9)),
            ("stove".to_owned(), true, Some(1)),
            ("oven".to_owned(), true, Some(1))
        ]
    );
}

#[tokio::test]
async fn what_a_dropped_rule_had_fired_is_over_also_when_it_is_read_later() {
    let hub = Hub::new().await;
    let (tenant, hot) = (main_tenant(), hub.rule(&main_tenant(), Severity::Critical).await);
    hub.tell(&hot, &[("fired", "oven", 1, 1, 1)]).await;
    hub.record().await;
    hub.tell(&hot, &[("fired", "stove", 2, 2, 1)]).await;
    hub.meta.end_alerts(&tenant, "hot", hub.log.end().0, "dropped").await.unwrap();
    hub.meta.drop_pipeline(&tenant, "hot").await.unwrap();
    hub.record().await;
    // One of this name that comes later fires for itself.
    hub.tell(&hot, &[("fired", "oven", 3, 3, 1)]).await;
    hub.record().await;
    let events = hub.alerts(&tenant).await;
    let notes: Vec<Option<&str>> = events.iter().map(|event| event.note.as_deref()).collect();
    assert_eq!(notes, [Some("dropped"), Some("dropped"), None]);
    assert_eq!(events.iter().map(|event| event.is_firing()).collect::<Vec<_>>(), [false, false, true]);
}
