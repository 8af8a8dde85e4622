//! A query of one hour or one device does not read the rest.

use springhouse_lake::Lake;

use crate::world::{DAY, World, ask, row};

/// Files that the plan of a query reads.
async fn files_read(lake: &Lake, sql: &str) -> usize {
    let plan = ask(lake, &format!("EXPLAIN {sql}")).await.join("\n");
    plan.matches(".parquet").count()
}

async fn three_days(world: &World) -> Lake {
    let lake = world.lake().await;
    for day in 0..3 {
        let rows: Vec<_> = ["a", "b", "c"]
            .iter()
            .enumerate()
            .map(|(number, name)| row(day * DAY, &format!("{name}{day}"), (day * 3 + number as i64) as f64))
            .collect();
        world.append("meter", &rows).await;
        lake.flush().await.unwrap();
    }
    lake
}

#[tokio::test]
async fn files_of_other_days_are_not_read() {
    let world = World::new().await.with_meter().await;
    let lake = three_days(&world).await;
    assert_eq!(files_read(&lake, "SELECT * FROM meter").await, 3);
    for (filter, files, rows) in [
        ("ts >= '2026-01-03T00:00:00Z'", 1, 3),
        ("ts < '2026-01-02T00:00:00Z'", 1, 3),
        ("ts >= '2026-01-02T00:00:00Z' AND ts < '2026-01-03T00:00:00Z'", 1, 3),
        ("ts BETWEEN '2026-01-01T12:00:00Z' AND '2026-01-02T12:00:00Z'", 2, 6),
        ("ts > '2026-02-01T00:00:00Z'", 0, 0),
        ("ts < '2026-01-02T00:00:00Z' OR power = 8", 3, 4),
    ] {
        let sql = format!("SELECT power FROM meter WHERE {filter}");
        assert_eq!(files_read(&lake, &sql).await, files, "{filter}");
        assert_eq!(ask(&lake, &sql).await.len(), rows, "{filter}");
    }
}

#[tokio::test]
async fn a_file_is_read_for_the_rows_at_either_end_of_it() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.append("meter", &[row(0, "a", 1.0), row(60, "b", 2.0), row(120, "c", 3.0)]).await;
    lake.flush().await.unwrap();
    for (filter, found) in [
        ("ts < '2026-01-01T12:00:30Z'", "1.0"),
        ("ts <= '2026-01-01T12:00:00Z'", "1.0"),
        ("ts > '2026-01-01T12:01:30Z'", "3.0"),
        ("ts = '2026-01-01T12:01:00Z'", "2.0"),
        ("device < 'b'", "1.0"),
        ("device > 'b'", "3.0"),
    ] {
        assert_eq!(ask(&lake, &format!("SELECT power FROM meter WHERE {filter}")).await, [found], "{filter}");
    }
}

#[tokio::test]
async fn files_without_the_device_are_not_read() {
    let world = World::new().await.with_meter().await;
    let lake = three_days(&world).await;
    // Days lie on top of each other by name (a0 < a1 < a2 < b0 …), so a name in the middle is in range of all files.
    for (filter, files, rows) in
        [("device = 'a0'", 1, 1), ("device = 'c2'", 1, 1), ("device = 'b1'", 3, 1), ("device = 'z'", 0, 0)]
    {
        let sql = format!("SELECT power FROM meter WHERE {filter}");
        assert_eq!(files_read(&lake, &sql).await, files, "{filter}");
        assert_eq!(ask(&lake, &sql).await.len(), rows, "{filter}");
    }
}

#[tokio::test]
async fn rows_without_a_device_are_found_and_do_not_hide_others() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let nobody = serde_json::json!({"ts": 0, "power": 1.0});
    world.append("meter", &[nobody, row(0, "b", 2.0)]).await;
    lake.flush().await.unwrap();
    assert_eq!(ask(&lake, "SELECT power FROM meter WHERE device IS NULL").await, ["1.0"]);
    assert_eq!(ask(&lake, "SELECT power FROM meter WHERE device = 'b'").await, ["2.0"]);
    assert_eq!(ask(&lake, "SELECT power FROM meter WHERE device <> 'c'").await, ["2.0"]);
}

#[tokio::test]
async fn within_a_file_only_pages_of_the_device_are_read() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    // Ten devices of 20,000 rows: a file of two row groups with pages of 8,192 rows, a device in three or four pages.
    let rows: Vec<_> = (0..200_000).map(|n| row(n / 10, &format!("d{}", n % 10), n as f64)).collect();
    for part in rows.chunks(20_000) {
        world.append("meter", part).await;
    }
    lake.flush().await.unwrap();
    assert_eq!(lake.stats().files, 1);
    let sql = "SELECT count(*), min(power), max(power) FROM meter WHERE device = 'd3'";
    assert_eq!(ask(&lake, sql).await, ["20000 | 3.0 | 199993.0"]);
    let plan = ask(&lake, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    // `d3` lies on rows 60,000 to 79,999 of the file: in three pages of its first row group.
    assert_eq!(metric(&plan, "row_groups_pruned_statistics"), "2 total → 1 matched");
    assert_eq!(metric(&plan, "page_index_pages_pruned"), "16 total → 3 matched");
}

fn metric<'a>(plan: &'a str, name: &str) -> &'a str {
    let start = plan.find(name).unwrap_or_else(|| panic!("no {name} in {plan}"));
    let value = plan[start..].split(", ").next().unwrap();
    value.split_once('=').unwrap().1
}
