//! A lake that comes back holds what it held, whenever it went away.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use springhouse_lake::LakeError;
use springhouse_log::{Log, MemoryLog};

use crate::store::Writes;
use crate::world::{World, ask, row};

const COUNT: &str = "SELECT count(*), count(DISTINCT power) FROM meter";

#[tokio::test]
async fn files_and_the_rest_of_the_log_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let world = World::in_folder(folder.path()).await;
        let world = if life == 0 { world.with_meter().await } else { world };
        let lake = world.lake_in_folder().await;
        let had = life * 20;
        assert_eq!(ask(&lake, COUNT).await, [format!("{had} | {had}")]);
        for number in had..had + 10 {
            world.meter(i64::from(number), "a", f64::from(number)).await;
        }
        lake.flush().await.unwrap();
        for number in had + 10..had + 20 {
            world.meter(i64::from(number), "a", f64::from(number)).await;
        }
        // Every other life ends in order.
        if life % 2 == 0 {
            lake.shutdown().await;
        }
        world.crash(lake).await;
    }
}

#[tokio::test]
async fn a_crash_between_writing_and_listing_neither_loses_nor_doubles_rows() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 0.0).await;
    lake.flush().await.unwrap();
    for number in 1..10 {
        world.meter(number, "a", number as f64).await;
    }
    world.store.set(Writes::Stall);
    let flush = tokio::spawn({
        let lake = lake.clone();
        async move { lake.flush().await }
    });
    world.store.writing().await;
    flush.abort();
    assert!(flush.await.is_err());
    drop(lake);
    world.store.set(Writes::Succeed);
    assert_eq!(world.store.paths().await.len(), 2, "one object is listed, one is not");

    let lake = world.lake().await;
    assert_eq!(world.store.paths().await.len(), 1);
    assert_eq!(ask(&lake, COUNT).await, ["10 | 10"]);
    assert_eq!(lake.flush().await.unwrap(), 9);
    assert_eq!(ask(&lake, COUNT).await, ["10 | 10"]);
}

#[tokio::test]
async fn objects_that_nobody_lists_are_removed_at_the_start() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 0.0).await;
    lake.flush().await.unwrap();
    drop(lake);
    let listed = world.store.paths().await;
    let orphan = "1/2026-01-01/000000000000-1-1.parquet".into();
    world.store.put(&orphan, Bytes::from_static(b"half a file").into()).await.unwrap();
    let lake = world.lake().await;
    assert_eq!(world.store.paths().await, listed);
    assert_eq!(ask(&lake, COUNT).await, ["1 | 1"]);
}

#[tokio::test]
async fn what_was_being_written_to_a_folder_is_removed_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await.with_meter().await;
    let day = world.options.dir.join("1/2026-01-01");
    std::fs::create_dir_all(&day).unwrap();
    let staged = day.join("000000000000-1-1.parquet#1");
    std::fs::write(&staged, b"half a file").unwrap();
    let _lake = world.lake_in_folder().await;
    assert!(!staged.exists());
}

#[tokio::test]
async fn a_flush_that_happened_without_an_answer_is_not_repeated() {
    let world = World::new().await.with_meter().await;
    // Two lakes on one log: to the second, what the first commits is a commit whose answer was lost.
    let (first, second) = (world.lake().await, world.lake().await);
    for number in 0..5 {
        world.meter(number, "a", number as f64).await;
    }
    assert_eq!(ask(&second, COUNT).await, ["5 | 5"]);
    assert_eq!(first.flush().await.unwrap(), 5);
    assert_eq!(second.flush().await.unwrap(), 0);
    assert_eq!(ask(&second, COUNT).await, ["5 | 5"]);
    assert_eq!(second.stats().tail_rows, 0);
    assert_eq!(world.log.stats().holds.iter().find(|(name, _)| name == "lake").unwrap().1.0, 5);

    world.append("meter", &[row(5, "b", 5.0), row(6, "b", 6.0)]).await;
    first.flush().await.unwrap();
    first.compact().await.unwrap();
    second.compact().await.unwrap();
    assert_eq!(ask(&second, COUNT).await, ["7 | 7"]);
    assert_eq!(world.store.paths().await.len(), 1);
}

#[tokio::test]
async fn a_log_that_ends_before_the_lake_is_refused() {
    let mut world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 0.0).await;
    lake.flush().await.unwrap();
    drop(lake);
    world.log = std::sync::Arc::new(MemoryLog::default());
    let error = world.try_lake().await.err().unwrap();
    assert!(matches!(error, LakeError::LogBehind { lake: 1, log: 0 }), "{error}");
}

#[tokio::test]
async fn with_listed_objects_missing_nothing_is_removed_and_the_query_is_not_to_blame() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 0.0).await;
    lake.flush().await.unwrap();
    drop(lake);
    let listed = world.store.paths().await.remove(0);
    let unlisted = "1/2026-01-01/000000000000-1-1.parquet".into();
    world.store.put(&unlisted, Bytes::from_static(b"what has replaced it").into()).await.unwrap();
    world.store.delete(&listed.as_str().into()).await.unwrap();
    let lake = world.lake().await;
    assert_eq!(world.store.paths().await, [unlisted.to_string()]);
    let error = crate::world::refusal(&lake, COUNT).await;
    assert_eq!((error.class(), error.code()), (springhouse_model::ErrorClass::Environment, "storage"));
    assert!(!error.to_string().contains("parquet"), "{error}");
}

#[tokio::test]
async fn a_meta_from_before_what_the_log_has_let_go_is_refused() {
    let mut world = World::new().await.with_meter().await;
    // A log whose first records are gone, of which this meta has not heard.
    let log = MemoryLog::new(std::sync::Arc::new(springhouse_model::SystemClock), Some(1));
    for _ in 0..10 {
        log.append(vec![springhouse_log::Append::session(Bytes::from_static(b"event"))]).await.unwrap();
    }
    assert!(log.head() > springhouse_log::Offset(0));
    world.meta.set_offset("lake", 0).await.unwrap();
    world.log = std::sync::Arc::new(log);
    let error = world.try_lake().await.err().unwrap();
    assert!(matches!(error, LakeError::MetaBehind { lake: 0, .. }), "{error}");
}

#[tokio::test]
async fn the_log_is_held_until_rows_are_in_files() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let hold = |log: &dyn Log| log.stats().holds.iter().find(|(name, _)| name == "lake").unwrap().1.0;
    world.meter(0, "a", 0.0).await;
    assert_eq!(ask(&lake, COUNT).await, ["1 | 1"]);
    assert_eq!(hold(world.log.as_ref()), 0);
    world.store.set(Writes::FailAfter(0));
    lake.flush().await.unwrap_err();
    assert_eq!(hold(world.log.as_ref()), 0);
    world.store.set(Writes::Succeed);
    lake.flush().await.unwrap();
    assert_eq!(hold(world.log.as_ref()), 1);
}
