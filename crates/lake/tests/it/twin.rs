//! Last values: the newest event counts, whatever the order of arrival, and after a restart.

use std::time::Duration;

use serde_json::json;
use springhouse_lake::{Lake, Latest};
use springhouse_meta::{Approval, NewDevice, Seen};
use springhouse_model::ValueType;

use crate::world::{World, ask, at, main, row};

/// Waits for what is in the log.
async fn settled(world: &World, lake: &Lake) {
    let end = world.log.end().0;
    lake.twin().consumed().wait_for(|consumed| *consumed >= end).await.unwrap();
}

async fn latest(world: &World, lake: &Lake, device: &str) -> Vec<Latest> {
    settled(world, lake).await;
    lake.twin().device(&main(), &device.parse().unwrap())
}

async fn power(world: &World, lake: &Lake) -> (serde_json::Value, i64) {
    let latest = latest(world, lake, "a").await.remove(0);
    (latest.value, (latest.ts.micros() - at(0).micros()) / 1_000_000)
}

/// What is waited for comes within milliseconds, or never.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_newest_event_counts_not_the_newest_arrival() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(10, "a", 1.0).await;
    assert_eq!(power(&world, &lake).await, (json!(1.0), 10));
    world.meter(5, "a", 2.0).await;
    assert_eq!(power(&world, &lake).await, (json!(1.0), 10));
    world.append("meter", &[row(30, "a", 3.0), row(20, "a", 4.0), row(40, "b", 5.0)]).await;
    assert_eq!(power(&world, &lake).await, (json!(3.0), 30));
    // Of two events of one time the later arrival is a correction, within a record and between two.
    world.append("meter", &[row(30, "a", 6.0), row(30, "a", 7.0)]).await;
    assert_eq!(power(&world, &lake).await, (json!(7.0), 30));
}

#[tokio::test]
async fn each_property_has_its_own_newest_event() {
    let world = World::new().await;
    let fields = [("on", ValueType::Bool), ("level", ValueType::Int), ("name", ValueType::Text)];
    world.stream(&main(), "lamp", &fields).await;
    let lake = world.lake().await;
    world.append("lamp", &[json!({"ts": 1, "device": "a", "on": true, "level": 3, "name": "x"})]).await;
    world.append("lamp", &[json!({"ts": 2, "device": "a", "level": 4})]).await;
    let seen = latest(&world, &lake, "a").await;
    let seen: Vec<_> = seen.iter().map(|l| (l.property.as_str(), l.value.clone(), l.ts)).collect();
    let expected = [("level", json!(4), at(2)), ("name", json!("x"), at(1)), ("on", json!(true), at(1))];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn last_values_survive_a_restart_in_order_or_not() {
    let folder = tempfile::tempdir().unwrap();
    for in_order in [true, false] {
        let folder = folder.path().join(in_order.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        {
            let world = World::in_folder(&folder).await.with_meter().await;
            let lake = world.lake_in_folder().await;
            world.meter(10, "a", 1.5).await;
            assert_eq!(power(&world, &lake).await, (json!(1.5), 10));
            if in_order {
                lake.shutdown().await;
            }
            world.crash(lake).await;
        }
        let world = World::in_folder(&folder).await;
        let lake = world.lake_in_folder().await;
        assert_eq!(power(&world, &lake).await, (json!(1.5), 10));
        world.meter(9, "a", 2.5).await;
        assert_eq!(power(&world, &lake).await, (json!(1.5), 10));
        world.meter(11, "a", 3.5).await;
        assert_eq!(power(&world, &lake).await, (json!(3.5), 11));
    }
}

#[tokio::test]
async fn a_value_is_written_down_each_time_it_changes() {
    let mut world = World::new().await.with_meter().await;
    world.options.twin_every = Duration::from_millis(1);
    let lake = world.lake().await;
    for (second, value) in [(10, 1.5), (11, 2.5), (12, 3.5)] {
        world.meter(second, "a", value).await;
        let written = async {
            while world.meta.twin_load().await.unwrap().iter().all(|row| row.value != json!(value)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("the value comes to meta");
    }
    drop(lake);
}

#[tokio::test]
async fn a_stream_that_takes_the_name_of_a_dropped_one_has_no_values_of_it() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(10, "a", 1.0).await;
    assert_eq!(latest(&world, &lake, "a").await.len(), 1);
    lake.shutdown().await;
    drop(lake);
    assert_eq!(world.meta.twin_load().await.unwrap().len(), 1);

    let lake = world.lake().await;
    world.drop_stream("meter").await;
    assert!(latest(&world, &lake, "a").await.is_empty());
    lake.shutdown().await;
    drop(lake);
    assert!(world.meta.twin_load().await.unwrap().is_empty());
    let world = world.with_meter().await;
    let lake = world.lake().await;
    assert!(latest(&world, &lake, "a").await.is_empty());
}

#[tokio::test]
async fn last_values_and_devices_are_tables() {
    let world = World::new().await.with_meter().await;
    world.stream(&main(), "door", &[("open", ValueType::Bool), ("by", ValueType::Text)]).await;
    let lake = world.lake().await;
    for id in ["a", "b"] {
        let site = (id == "a").then(|| "home".parse().unwrap());
        let device = NewDevice { tenant: main(), id: id.parse().unwrap(), site, state: Approval::Pending };
        world.meta.register_device(device).await.unwrap();
    }
    let seen = Seen { tenant: main(), device: "a".parse().unwrap(), at: at(7) };
    world.meta.touch_devices(&[seen]).await.unwrap();
    world.meter(1, "a", 20.5).await;
    world.append("door", &[json!({"ts": 2, "device": "b", "open": true, "by": "Eva"})]).await;
    // A query sees what was acknowledged before it.
    assert_eq!(
        ask(&lake, "SELECT * FROM twin ORDER BY device, property").await,
        [
            "a | meter | power | 20.5 | 20.5 | 2026-01-01T12:00:01Z",
            "b | door | by | Eva |  | 2026-01-01T12:00:02Z",
            "b | door | open | true | 1.0 | 2026-01-01T12:00:02Z",
        ]
    );
    assert_eq!(
        ask(&lake, "SELECT device, site, state, last_seen FROM devices ORDER BY device").await,
        ["a | home | pending | 2026-01-01T12:00:07Z", "b |  | pending | "]
    );
    assert_eq!(
        ask(
            &lake,
            "SELECT d.device, t.number FROM devices d JOIN twin t USING (device) WHERE t.stream = 'meter'"
        )
        .await,
        ["a | 20.5"]
    );
}
