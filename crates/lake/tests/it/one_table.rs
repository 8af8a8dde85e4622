//! Rows in memory and rows in files are one table, each row once, whatever the lake is doing.

use std::sync::Arc;

use futures::StreamExt;
use proptest::prelude::*;
use springhouse_lake::Lake;

use crate::store::Writes;
use crate::world::{World, ask, lines, main, row};

/// The numbers that tell the rows apart, in order.
async fn numbers(lake: &Lake) -> Vec<i64> {
    let rows = ask(lake, "SELECT CAST(power AS BIGINT) FROM meter ORDER BY 1").await;
    rows.iter().map(|row| row.parse().unwrap()).collect()
}

fn upto(count: i64) -> Vec<i64> {
    (0..count).collect()
}

async fn append(world: &World, numbers: std::ops::Range<i64>) {
    for number in numbers {
        world.meter(number, &format!("d{}", number % 3), number as f64).await;
    }
}

#[tokio::test]
async fn a_query_sees_memory_and_files_as_one_table() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    append(&world, 0..10).await;
    assert_eq!(numbers(&lake).await, upto(10));
    assert_eq!(lake.flush().await.unwrap(), 10);
    assert_eq!(numbers(&lake).await, upto(10));
    append(&world, 10..15).await;
    assert_eq!(numbers(&lake).await, upto(15));
    assert_eq!(lake.flush().await.unwrap(), 5);
    assert_eq!(lake.flush().await.unwrap(), 0);
    append(&world, 15..18).await;
    lake.compact().await.unwrap();
    assert_eq!(numbers(&lake).await, upto(18));
    let stats = lake.stats();
    assert_eq!((stats.files, stats.file_rows, stats.tail_rows), (1, 15, 3));
    // count, sum and extremes come from statistics where they can; they must say the same as the rows.
    assert_eq!(
        ask(&lake, "SELECT count(*), count(device), sum(power), min(ts), max(ts), max(device) FROM meter")
            .await,
        ["18 | 18 | 153.0 | 2026-01-01T12:00:00Z | 2026-01-01T12:00:17Z | d2"]
    );
    assert_eq!(ask(&lake, "SELECT count(*) FROM meter WHERE power >= 10").await, ["8"]);
    assert_eq!(ask(&lake, "SELECT power FROM meter ORDER BY ts DESC LIMIT 2").await, ["17.0", "16.0"]);
    assert_eq!(ask(&lake, "SELECT 1 FROM meter WHERE power < 100 LIMIT 16").await.len(), 16);
}

#[tokio::test]
async fn during_a_flush_each_row_is_there_once() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    append(&world, 0..10).await;
    world.store.set(Writes::Wait);
    let flush = tokio::spawn({
        let lake = lake.clone();
        async move { lake.flush().await }
    });
    world.store.writing().await;
    append(&world, 10..14).await;
    assert_eq!(numbers(&lake).await, upto(14));
    world.store.set(Writes::Succeed);
    assert_eq!(flush.await.unwrap().unwrap(), 10);
    assert_eq!(numbers(&lake).await, upto(14));
    assert_eq!((lake.stats().file_rows, lake.stats().tail_rows), (10, 4));
}

#[tokio::test]
async fn during_a_merge_each_row_is_there_once() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    for number in 0..4 {
        append(&world, number..number + 1).await;
        lake.flush().await.unwrap();
    }
    world.store.set(Writes::Wait);
    let merge = tokio::spawn({
        let lake = lake.clone();
        async move { lake.compact().await }
    });
    world.store.writing().await;
    append(&world, 4..6).await;
    assert_eq!(numbers(&lake).await, upto(6));
    world.store.set(Writes::Succeed);
    merge.await.unwrap().unwrap();
    assert_eq!(numbers(&lake).await, upto(6));
    assert_eq!(lake.stats().files, 1);
}

#[tokio::test]
async fn a_query_reads_the_files_it_began_with_although_they_are_merged_away() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    for number in 0..12 {
        append(&world, number..number + 1).await;
        lake.flush().await.unwrap();
    }
    let before = world.store.paths().await;
    assert_eq!(before.len(), 12);
    // The queue of a query holds two batches; the files of the later ones are not open yet.
    let mut query = lake.query(&main(), "SELECT power FROM meter").await.unwrap();
    let first = query.batches.next().await.unwrap().unwrap();
    lake.compact().await.unwrap();
    assert_eq!(lake.stats().files, 1);
    assert_eq!(world.store.paths().await.len(), 13);
    let mut rows = lines(&[first]);
    while let Some(batch) = query.batches.next().await {
        rows.extend(lines(&[batch.unwrap()]));
    }
    assert_eq!(rows.len(), 12);
    drop(query);
    lake.tidy().await.unwrap();
    let after = world.store.paths().await;
    assert_eq!(after.len(), 1);
    assert!(!before.contains(&after[0]));
    assert_eq!(numbers(&lake).await, upto(12));
}

#[tokio::test]
async fn a_record_of_many_rows_and_devices_comes_back_whole() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let rows: Vec<_> = (0..20_000).map(|n| row(n / 7, &format!("d{}", n % 7), n as f64)).collect();
    for part in rows.chunks(3_000) {
        world.append("meter", part).await;
    }
    let sql = "SELECT device, count(*), sum(power) FROM meter GROUP BY device ORDER BY device";
    let in_memory = ask(&lake, sql).await;
    // Numbers of a residue class: 0 + 7 + … as an arithmetic series.
    assert_eq!(in_memory[0], format!("d0 | 2858 | {:.1}", 7.0 * (2857.0 * 2858.0 / 2.0)));
    lake.flush().await.unwrap();
    assert_eq!(ask(&lake, sql).await, in_memory);
}

/// What can happen to a lake, between two looks.
#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u8),
    Flush,
    Compact,
    Restart,
    FailedFlush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6_u8).prop_map(Step::Append),
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
        1 => Just(Step::FailedFlush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_steps_shows_each_row_once(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = Arc::new(World::new().await.with_meter().await);
            let mut lake = world.lake().await;
            let mut count = 0;
            for step in steps {
                match step {
                    Step::Append(more) => {
                        append(&world, count..count + i64::from(more)).await;
                        count += i64::from(more);
                    }
                    Step::Flush => drop(lake.flush().await.unwrap()),
                    Step::Compact => lake.compact().await.unwrap(),
                    Step::Restart => {
                        drop(lake);
                        lake = world.lake().await;
                    }
                    Step::FailedFlush => {
                        world.store.set(Writes::FailAfter(0));
                        let _ = lake.flush().await;
                        world.store.set(Writes::Succeed);
                    }
                }
                assert_eq!(numbers(&lake).await, upto(count), "after {step:?}");
                assert_eq!(world.store.paths().await.len() as u64, lake.stats().files, "after {step:?}");
            }
        });
    }
}
