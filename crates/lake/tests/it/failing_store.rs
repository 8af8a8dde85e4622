//! A store that is full or away costs nothing but time.

use springhouse_lake::{Lake, LakeError};
use springhouse_model::ErrorClass;

use crate::store::Writes;
use crate::world::{DAY, World, ask, options, row};

async fn powers(lake: &Lake) -> Vec<String> {
    ask(lake, "SELECT power FROM meter ORDER BY power").await
}

#[tokio::test]
async fn rows_stay_in_memory_until_they_can_be_written() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.append("meter", &[row(0, "a", 1.0), row(DAY, "a", 2.0)]).await;
    world.store.set(Writes::FailAfter(0));
    for _ in 0..3 {
        let error = lake.flush().await.unwrap_err();
        assert!(matches!(error, LakeError::Storage { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Environment);
        assert_eq!(powers(&lake).await, ["1.0", "2.0"]);
    }
    world.meter(2, "a", 3.0).await;
    world.store.set(Writes::Succeed);
    assert_eq!(lake.flush().await.unwrap(), 3);
    assert_eq!(powers(&lake).await, ["1.0", "2.0", "3.0"]);
    assert_eq!(world.store.paths().await.len(), 2, "one file a day");
}

#[tokio::test]
async fn a_flush_that_fails_in_the_middle_leaves_no_object() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.append("meter", &[row(0, "a", 1.0), row(DAY, "a", 2.0)]).await;
    world.store.set(Writes::FailAfter(1));
    lake.flush().await.unwrap_err();
    assert!(world.store.paths().await.is_empty());
    assert_eq!(powers(&lake).await, ["1.0", "2.0"]);
}

#[tokio::test]
async fn a_merge_that_fails_leaves_everything_as_it_was() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    for number in 0..3 {
        world.meter(number, "a", number as f64).await;
        lake.flush().await.unwrap();
    }
    let before = world.store.paths().await;
    world.store.set(Writes::FailAfter(0));
    lake.compact().await.unwrap_err();
    world.store.set(Writes::Succeed);
    assert_eq!(world.store.paths().await, before);
    assert_eq!(powers(&lake).await, ["0.0", "1.0", "2.0"]);
    lake.compact().await.unwrap();
    assert_eq!(powers(&lake).await, ["0.0", "1.0", "2.0"]);
    assert_eq!(world.store.paths().await.len(), 1);
}

#[tokio::test]
async fn a_full_memory_pauses_reading_and_goes_on_when_there_is_room() {
    let mut world = World::new().await.with_meter().await;
    world.options = springhouse_lake::Options { flush_bytes: 1, tail_bytes_max: 1, ..options() };
    let lake = world.lake().await;
    world.store.set(Writes::Wait);
    world.meter(0, "a", 0.0).await;
    world.store.writing().await;
    for number in 1..50 {
        world.meter(number, "a", number as f64).await;
    }
    assert_eq!((lake.stats().consumed, lake.stats().tail_rows), (1, 1));
    world.store.set(Writes::Succeed);
    assert_eq!(ask(&lake, "SELECT count(*), max(power) FROM meter").await, ["50 | 49.0"]);
}
