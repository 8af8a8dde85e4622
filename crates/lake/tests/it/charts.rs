//! Series for charts, and the latest rows.

use serde_json::json;
use springhouse_lake::{Lake, LakeError, RowsFilter, Series, SeriesRequest};
use springhouse_model::{Timestamp, ValueType};

use crate::world::{DAY, World, at, lines, main, row};

fn request(property: &str, from: i64, to: i64, points: u32) -> SeriesRequest {
    SeriesRequest {
        tenant: main(),
        device: "a".parse().unwrap(),
        stream: "meter".parse().unwrap(),
        property: property.to_owned(),
        from: at(from),
        to: at(to),
        points,
    }
}

fn filter(device: Option<&str>, from: Option<i64>, to: Option<i64>) -> RowsFilter {
    RowsFilter {
        tenant: main(),
        stream: "meter".parse().unwrap(),
        device: device.map(|device| device.parse().unwrap()),
        from: from.map(at),
        to: to.map(at),
    }
}

/// One row each ten seconds of device `a` with its number, half of them in a file; and a neighbour.
async fn world() -> (World, Lake) {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    for number in 0..60 {
        world.append("meter", &[row(number * 10, "a", number as f64), row(number * 10, "b", -1000.0)]).await;
        if number == 29 {
            lake.flush().await.unwrap();
        }
    }
    (world, lake)
}

#[tokio::test]
async fn a_series_has_the_extremes_and_the_mean_of_each_step() {
    let (_world, lake) = world().await;
    let series = lake.series(&request("power", 0, 600, 10)).await.unwrap();
    // Steps of a minute hold six rows, 6n to 6n + 5.
    let expected = Series {
        ts: (0..10).map(|n| at(60 * n).micros() / 1_000).collect(),
        min: (0..10).map(|n| Some(6.0 * f64::from(n))).collect(),
        avg: (0..10).map(|n| Some(6.0 * f64::from(n) + 2.5)).collect(),
        max: (0..10).map(|n| Some(6.0 * f64::from(n) + 5.0)).collect(),
    };
    assert_eq!(series, expected);
    assert_eq!(lake.series(&request("power", 600, 700, 10)).await.unwrap(), Series::default());
}

#[tokio::test]
async fn steps_stand_still_while_the_chart_moves() {
    let (_world, lake) = world().await;
    let first = lake.series(&request("power", 0, 300, 5)).await.unwrap();
    let moved = lake.series(&request("power", 10, 310, 5)).await.unwrap();
    assert!(moved.ts.iter().filter(|ts| first.ts.contains(ts)).count() >= 4, "{:?} {:?}", first.ts, moved.ts);
}

#[tokio::test]
async fn a_series_of_all_time_and_more_points_than_anyone_needs_is_bounded() {
    let (_world, lake) = world().await;
    let mut request = request("power", 0, 600, u32::MAX);
    (request.from, request.to) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    let series = lake.series(&request).await.unwrap();
    assert_eq!((series.min, series.max), (vec![Some(0.0)], vec![Some(59.0)]));
}

#[tokio::test]
async fn whole_numbers_and_switches_have_series_texts_do_not() {
    let world = World::new().await;
    let fields = [("n", ValueType::Int), ("on", ValueType::Bool), ("t", ValueType::Text)];
    world.stream(&main(), "meter", &fields).await;
    let lake = world.lake().await;
    world.append("meter", &[json!({"ts": 0, "device": "a", "n": 4, "on": true, "t": "x"})]).await;
    world.append("meter", &[json!({"ts": 1, "device": "a", "n": 6, "on": false})]).await;
    for (property, mean) in [("n", 5.0), ("on", 0.5)] {
        let series = lake.series(&request(property, 0, 60, 1)).await.unwrap();
        assert_eq!(series.avg, [Some(mean)], "{property}");
    }
    for property in ["t", "missing", "ts", "device"] {
        let error = lake.series(&request(property, 0, 60, 1)).await.unwrap_err();
        assert!(matches!(error, LakeError::NoSuchProperty { .. }), "{property}: {error}");
    }
}

#[tokio::test]
async fn the_latest_rows_come_newest_first() {
    let (_world, lake) = world().await;
    for (filter, limit, expected) in [
        (filter(Some("a"), None, None), 3, vec![59.0, 58.0, 57.0]),
        (filter(Some("a"), None, Some(300)), 2, vec![29.0, 28.0]),
        (filter(Some("a"), Some(560), None), 100, vec![59.0, 58.0, 57.0, 56.0]),
        (filter(Some("a"), Some(280), Some(320)), 100, vec![31.0, 30.0, 29.0, 28.0]),
        (filter(Some("nobody"), None, None), 100, vec![]),
    ] {
        let rows = lake.recent(&filter, limit).await.unwrap();
        let powers: Vec<String> =
            lines(&rows.batches).iter().map(|row| row.split(" | ").nth(3).unwrap().to_owned()).collect();
        let expected: Vec<String> = expected.iter().map(|power| format!("{power:.1}")).collect();
        assert_eq!(powers, expected, "{filter:?}");
    }
    assert_eq!(lake.recent(&filter(None, None, None), 1_000).await.unwrap().row_count, 120);
}

#[tokio::test]
async fn the_latest_rows_of_a_device_that_fell_silent_are_found() {
    let (world, lake) = world().await;
    for day in 1..10 {
        world.meter(day * DAY, "b", 0.0).await;
    }
    let rows = lake.recent(&filter(Some("a"), None, None), 1).await.unwrap();
    assert!(lines(&rows.batches)[0].contains(" | 59.0 | "), "{:?}", lines(&rows.batches));
}
