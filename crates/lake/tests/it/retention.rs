//! What is past its time or belongs to nobody goes away, rows and objects.

use crate::world::{DAY, World, ask, key, main};
use springhouse_model::ValueType;

#[tokio::test]
async fn files_past_the_retention_of_their_stream_are_dropped() {
    let world = World::new().await.with_meter().await;
    world.stream(&main(), "other", &[("power", ValueType::Float)]).await;
    let lake = world.lake().await;
    for day in 0..4 {
        world.meter(day * DAY, "a", day as f64).await;
        world.append("other", &[crate::world::row(day * DAY, "a", day as f64)]).await;
        lake.flush().await.unwrap();
    }
    world.clock.advance_micros(4 * DAY * 1_000_000);
    lake.tidy().await.unwrap();
    assert_eq!(ask(&lake, "SELECT power FROM meter ORDER BY ts").await, ["0.0", "1.0", "2.0", "3.0"]);

    let retention = Some(2 * DAY * 1_000_000 + 1);
    world.meta.set_stream_retention(&key("meter"), retention).await.unwrap();
    world.catalog.refresh(world.meta.as_ref()).await.unwrap();
    lake.tidy().await.unwrap();
    assert_eq!(ask(&lake, "SELECT power FROM meter ORDER BY ts").await, ["2.0", "3.0"]);
    assert_eq!(ask(&lake, "SELECT count(*) FROM other").await, ["4"]);
    assert_eq!(world.store.paths().await.len(), 6);
}

#[tokio::test]
async fn a_dropped_stream_takes_its_rows_and_objects_with_it() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 1.0).await;
    lake.flush().await.unwrap();
    world.meter(1, "a", 2.0).await;
    assert_eq!(ask(&lake, "SELECT count(*) FROM meter").await, ["2"]);
    world.drop_stream("meter").await;
    crate::world::refusal(&lake, "SELECT * FROM meter").await;
    lake.flush().await.unwrap();
    lake.tidy().await.unwrap();
    assert!(world.store.paths().await.is_empty());
    assert_eq!((lake.stats().files, lake.stats().tail_rows), (0, 0));
    // A stream of the same name begins empty.
    world.with_meter().await;
    assert_eq!(ask(&lake, "SELECT count(*) FROM meter").await, ["0"]);
}

#[tokio::test]
async fn small_files_are_merged_by_level_and_days_at_rest_completely() {
    let mut world = World::new().await.with_meter().await;
    world.options.merge_files = 4;
    let lake = world.lake().await;
    for number in 0..7 {
        world.meter(number, "a", number as f64).await;
        lake.flush().await.unwrap();
        lake.tidy().await.unwrap();
    }
    // Four became one of the next level, three wait for a fourth.
    assert_eq!(lake.stats().files, 4);
    world.clock.advance_micros(2 * DAY * 1_000_000);
    lake.tidy().await.unwrap();
    assert_eq!(lake.stats().files, 1);
    assert_eq!(ask(&lake, "SELECT count(*), sum(power) FROM meter").await, ["7 | 21.0"]);
}
