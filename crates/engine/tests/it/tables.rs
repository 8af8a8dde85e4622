//! Reference tables in a hub: which rows are looked up where, what is kept, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use springhouse_engine::plan::plan;
use springhouse_engine::statement::RowFormat;
use springhouse_engine::statement::{Select, Statement, parse, parse_one};
use springhouse_engine::tables::{Bounds, Definition, TableRows, read_bytes};
use springhouse_engine::{Catalog, EngineError, LookupTable, PreviewWish, RunState, TableStatus};
use springhouse_log::{Append, Kind};
use springhouse_model::{StreamName, TenantId};

use crate::case::{decode, restarted, selected, table};
use crate::dice::Dice;
use crate::hub::{Hub, at, key, row};

const HOMES: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER);";
const ROOMS: &str = "CREATE TABLE rooms (device TEXT, room TEXT, PRIMARY KEY (device));";
const LIMITS: &str = "CREATE TABLE limits (device TEXT, since TIMESTAMP, most BIGINT, PRIMARY KEY (device), VALID FROM since);";

fn lookups(suffix: &str) -> String {
    format!(
        "CREATE PIPELINE seen{suffix} INTO seen_rows{suffix} AS SELECT h.ts, h.device, h.n, r.room, l.most FROM homes h
           LEFT JOIN rooms r ON r.device = h.device LEFT JOIN limits FOR SYSTEM_TIME AS OF h.ts l ON l.device = h.device;
         CREATE PIPELINE per_room{suffix} INTO room_rows{suffix} AS SELECT room, window_start, count(*) AS c, sum(n) AS total
           FROM TUMBLE((SELECT h.ts, h.n, r.room FROM homes h JOIN rooms r ON r.device = h.device AND h.n % 3 <> 0),
             ts, INTERVAL '10' SECOND) GROUP BY room, window_start"
    )
}

async fn load(hub: &Hub, name: &str, lines: &[String]) -> Result<Option<u32>, EngineError> {
    let name: StreamName = name.parse().unwrap();
    hub.engine().load_table(&TenantId::main(), &name, lines.join("\n").into(), RowFormat::Ndjson).await
}

fn status(hub: &Hub, name: &str) -> TableStatus {
    let all = hub.engine().tables().status(&TenantId::main());
    all.into_iter().find(|status| status.name.as_str() == name).unwrap()
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// The tables as a person would keep them in his head: rows that were loaded last.
#[derive(Default)]
struct Model {
    rooms: BTreeMap<String, u64>,
    limits: Vec<(String, u64, u64)>,
    expected: Vec<String>,
}

impl Model {
    fn see(&mut self, device: &str, millis: u64, n: u64) {
        let room = self.rooms.get(device).map(|room| format!("\"r{room}\""));
        let begun = self.limits.iter().filter(|(of, since, _)| of == device && *since <= millis);
        let most = begun.max_by_key(|(_, since, _)| *since).map(|(_, _, most)| most);
        let ts = at(millis as f64 / 1e3);
        let (room, most) = (text(room), text(most));
        self.expected
            .push(format!(r#"{{"ts":{ts},"device":"{device}","n":{n},"room":{room},"most":{most}}}"#));
    }

    fn room_lines(&self) -> Vec<String> {
        let line = |(device, room): (&String, &u64)| format!(r#"{{"device":"{device}","room":"r{room}"}}"#);
        self.rooms.iter().map(line).collect()
    }

    fn limit_lines(&self) -> Vec<String> {
        let line = |(device, since, most): &(String, u64, u64)| {
            format!(r#"{{"device":"{device}","since":{},"most":{most}}}"#, at(*since as f64 / 1e3))
        };
        self.limits.iter().map(line).collect()
    }

    fn change(&mut self, dice: &mut Dice, millis: u64) {
        self.rooms.clear();
        for device in 0..dice.below(5) {
            if dice.below(4) > 0 {
                self.rooms.insert(format!("d{device}"), dice.below(3));
            }
        }
        let mut keys = BTreeSet::new();
        self.limits.clear();
        for _ in 0..dice.below(12) {
            let (device, since) = (dice.below(4), (millis + dice.below(20_000)).saturating_sub(15_000));
            if keys.insert((device, since)) {
                self.limits.push((format!("d{device}"), since, dice.below(100)));
            }
        }
    }
}

async fn live_through(seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let mut hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}{}", lookups(""))).await;
    let (mut model, mut millis, mut versions) = (Model::default(), 100_000, 0);
    for _ in 0..60 {
        match dice.below(9) {
            0 => {
                hub.stop().await;
                hub.start().await;
            }
            1 => {
                hub.crash().await;
                hub.start().await;
            }
            2 => drop(hub.sql("PAUSE PIPELINE seen; RESUME PIPELINE seen").await),
            3 => hub.settled().await,
            4 | 5 => {
                model.change(&mut dice, millis);
                versions += usize::from(load(&hub, "rooms", &model.room_lines()).await.unwrap().is_some());
                load(&hub, "limits", &model.limit_lines()).await.unwrap();
            }
            _ => {
                let device = format!("d{}", dice.below(5));
                let rows: Vec<String> = (0..=dice.below(20))
                    .map(|_| {
                        millis += dice.below(1_000);
                        let (time, n) = (millis - dice.below(1_500), dice.below(1_000));
                        model.see(&device, time, n);
                        row(time as f64 / 1e3, n as i64)
                    })
                    .collect();
                hub.send("homes", &device, &rows).await;
            }
        }
    }
    hub.send("homes", "d0", &[row(millis as f64 / 1e3 + 1_000.0, 1)]).await;
    model.see("d0", millis + 1_000_000, 1);
    hub.settled().await;
    model.expected.sort_unstable();
    assert_eq!(hub.rows("seen_rows"), model.expected, "seed {seed}");
    // Pipelines that begin now find the same versions at the same places.
    hub.sql(&lookups("2")).await;
    hub.settled().await;
    for stream in ["seen_rows", "room_rows", "per_room.late"] {
        let twin = match stream.split_once('.') {
            Some((pipeline, late)) => format!("{pipeline}2.{late}"),
            None => format!("{stream}2"),
        };
        assert_eq!(hub.rows(stream), hub.rows(&twin), "seed {seed}, {stream}");
    }
    (versions, hub.rows("room_rows").len())
}

#[tokio::test]
async fn a_row_sees_the_version_before_it_in_the_log_whatever_stops_and_crashes_there_were() {
    let (mut versions, mut windows) = (0, 0);
    for seed in 0..12 {
        let (more_versions, more_windows) = live_through(seed).await;
        (versions, windows) = (versions + more_versions, windows + more_windows);
    }
    // The cases are worth something only if there was something to get wrong.
    assert!(versions > 60 && windows > 50, "{versions} versions, {windows} windows");
}

/// Rows in pieces of many sizes, versions between them, a restart now and then: the rows are those of a model that looks at
/// one row at a time.
#[test]
fn pieces_and_restarts_change_nothing_about_what_is_found() {
    let Statement::CreateStream(homes) = parse_one(HOMES.trim_end_matches(';')).unwrap() else { panic!() };
    let definition = |sql: &str| match parse(sql).unwrap().remove(0) {
        Statement::CreateTable(table) => (table.name.clone(), Definition::of(&table)),
        other => panic!("{other:?}"),
    };
    let tables = [definition(ROOMS), definition(LIMITS)];
    let mut catalog = Catalog::new([table(&homes)]);
    for (name, definition) in &tables {
        catalog.insert_table(LookupTable { name: name.clone(), id: 0, definition: definition.clone() });
    }
    let query =
        "SELECT h.ts, h.device, h.n, r.room, l.most FROM homes h LEFT JOIN rooms r ON r.device = h.device
                 LEFT JOIN limits FOR SYSTEM_TIME AS OF h.ts l ON l.device = h.device";
    let Statement::Query(query) = parse_one(query).unwrap() else { panic!() };
    let plan = Arc::new(plan(&Select::bare(query), &catalog).unwrap());
    let at_table = |name: &str| plan.tables.iter().position(|table| table.name.as_str() == name).unwrap();
    let rows_of = |at: usize, lines: Vec<String>| -> Arc<TableRows> {
        let bytes = lines.join("\n").into();
        Arc::new(read_bytes(&tables[at].1, "rows", bytes, RowFormat::Ndjson, Bounds::default()).unwrap())
    };
    for (seed, piece) in (0..).zip([1, 2, 7, 100, 4_095, 4_097, 65_536]) {
        let mut dice = Dice::new(seed);
        let (mut model, mut millis) = (Model::default(), 100_000);
        let (mut pipeline, mut found) = (plan.start(), Vec::new());
        let mut present: Vec<(usize, Arc<TableRows>)> = Vec::new();
        for _ in 0..4 {
            let mut lines = Vec::new();
            for _ in 0..dice.below(3 * piece.min(4_000)) + 1 {
                millis += dice.below(100);
                let (device, time, n) = (
                    format!("d{}", dice.below(5)),
                    millis - dice.below(90_000).min(millis),
                    dice.below(1_000),
                );
                model.see(&device, time, n);
                lines.push(format!(r#"{{"ts":{},"device":"{device}","n":{n}}}"#, at(time as f64 / 1e3)));
            }
            let batch = decode(Arc::new(plan.sources[0].schema.clone()), &lines);
            let mut from = 0;
            while from < batch.num_rows() {
                let count = (piece as usize).min(batch.num_rows() - from);
                found.extend(selected(&plan, &pipeline.push(0, &batch.slice(from, count)).unwrap().rows));
                from += count;
                if dice.below(3) == 0 {
                    pipeline = restarted(&plan, pipeline);
                    present.iter().for_each(|(at, rows)| pipeline.put_table(*at, rows));
                }
            }
            model.change(&mut dice, millis);
            present = vec![
                (at_table("rooms"), rows_of(0, model.room_lines())),
                (at_table("limits"), rows_of(1, model.limit_lines())),
            ];
            present.iter().for_each(|(at, rows)| pipeline.put_table(*at, rows));
        }
        assert!(found == model.expected, "pieces of {piece}");
    }
}

#[tokio::test]
async fn the_same_rows_in_another_order_make_no_version() {
    let hub = Hub::new().await;
    hub.sql(ROOMS).await;
    let lines = ["b", "a", "c"].map(|device| format!(r#"{{"device":"{device}","room":"x"}}"#)).to_vec();
    assert_eq!(load(&hub, "rooms", &lines).await.unwrap(), Some(1));
    let turned: Vec<String> = lines.iter().rev().cloned().collect();
    assert_eq!(load(&hub, "rooms", &turned).await.unwrap(), None);
    assert_eq!(load(&hub, "rooms", &lines[..2]).await.unwrap(), Some(2));
    let records: Vec<Option<u32>> = hub.records().iter().map(|record| record.table_version()).collect();
    assert_eq!(records, [Some(1), Some(2)]);
    assert_eq!((status(&hub, "rooms").version, status(&hub, "rooms").rows), (Some(2), 2));
}

/// Wherever a hub is killed while a version is on its way, the next start ends with one record for it.
#[tokio::test]
async fn a_version_that_was_begun_is_in_the_log_once() {
    for is_in_the_log in [false, true] {
        let mut hub = Hub::new().await;
        hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}{}", lookups(""))).await;
        let lines = [r#"{"device":"a","room":"x"}"#.to_owned()];
        load(&hub, "rooms", &lines).await.unwrap();
        hub.settled().await;
        hub.stop().await;
        let id = hub.meta.tables(None).await.unwrap()[0].id;
        let folder = hub.data_dir().join("tables").join(id.to_string());
        fs::copy(folder.join("1.parquet"), folder.join("2.parquet")).unwrap();
        hub.meta.begin_table_version(id, hub.log.end().0, 1, 1).await.unwrap();
        if is_in_the_log {
            hub.log.append(vec![Append::table(id, 2)]).await.unwrap();
        }
        hub.start().await;
        let of_table = |record: &Arc<springhouse_log::Record>| record.kind == Kind::Tables;
        let versions: Vec<Option<u32>> = hub
            .records()
            .iter()
            .filter(|record| of_table(record))
            .map(|record| record.table_version())
            .collect();
        assert_eq!(versions, [Some(1), Some(2)], "{is_in_the_log}");
        let known = hub.meta.table_versions(id).await.unwrap();
        let offsets: Vec<Option<u64>> = known.iter().map(|version| version.offset).collect();
        let records = hub.records();
        let expected: Vec<Option<u64>> =
            records.iter().filter(|record| of_table(record)).map(|record| Some(record.offset.0)).collect();
        assert_eq!(offsets, expected);
        hub.send("homes", "a", &[row(1.0, 1)]).await;
        hub.settled().await;
        assert_eq!(hub.rows("seen_rows").len(), 1);
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_and_the_old_ones_stay() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}{}", lookups(""))).await;
    load(&hub, "rooms", &[r#"{"device":"a","room":"x"}"#.to_owned()]).await.unwrap();
    let twice = [r#"{"device":"a","room":"y"}"#.to_owned(), r#"{"device":"a","room":"z"}"#.to_owned()];
    let error = load(&hub, "rooms", &twice).await.unwrap_err().to_string();
    assert_eq!(error, "the rows, line 2: the key (device = a) stands in line 1 already");
    assert_eq!(status(&hub, "rooms").error, Some(error));
    assert_eq!(status(&hub, "rooms").version, Some(1));
    hub.send("homes", "a", &[row(1.0, 1)]).await;
    hub.settled().await;
    let ts = at(1.0);
    assert_eq!(
        hub.rows("seen_rows"),
        [format!(r#"{{"ts":{ts},"device":"a","n":1,"room":"x","most":null}}"#)]
    );
    load(&hub, "rooms", &[r#"{"device":"a","room":"y"}"#.to_owned()]).await.unwrap();
    assert_eq!(status(&hub, "rooms").error, None);
}

#[tokio::test]
async fn a_file_is_read_again_and_only_from_where_the_owner_allows_it() {
    let hub = Hub::new().await;
    let import = hub.data_dir().join("import");
    fs::create_dir_all(&import).unwrap();
    fs::write(import.join("rooms.csv"), "device,room\na,x\n").unwrap();
    fs::write(hub.data_dir().join("secret.csv"), "device,room\na,x\n").unwrap();
    let create = |place: &str| {
        format!("CREATE TABLE rooms (device TEXT, room TEXT, PRIMARY KEY (device)) FROM '{place}'")
    };
    for refused in ["../secret.csv", "/etc/hostname.csv", "none.csv"] {
        let error = hub.refusal(&create(refused)).await;
        assert!(error.starts_with(&format!("`{refused}` is no file below ")), "{error}");
    }
    let error = hub.refusal(&create("https://prices.example/now.csv")).await;
    assert!(error.contains("makes no connections"), "{error}");
    assert!(hub.meta.tables(None).await.unwrap().is_empty(), "what cannot be read is not created");
    assert_eq!(hub.sql(&create("rooms.csv")).await.to_string(), "table `rooms` is there, with 1 rows");
    assert_eq!(hub.sql("REFRESH TABLE rooms").await.to_string(), "table `rooms` has these rows already");
    fs::write(import.join("rooms.csv"), "device,room\na,x\nb,y\n").unwrap();
    assert_eq!(hub.sql("REFRESH TABLE rooms").await.to_string(), "table `rooms` has version 2");
    fs::write(import.join("rooms.csv"), "device\na\n").unwrap();
    let error = hub.refusal("REFRESH TABLE rooms").await;
    assert_eq!(error, "rooms.csv has no column `room`; its columns are device");
    assert_eq!(hub.sql("SHOW TABLES").await.to_string(), format!("rooms\t2 rows\tfailing: {error}"));
    assert_eq!(
        hub.sql("DESCRIBE rooms").await.to_string(),
        "device\tUtf8\tNOT NULL\tPRIMARY KEY\nroom\tUtf8"
    );
}

#[tokio::test]
async fn a_name_is_a_stream_or_a_table_and_a_table_in_use_stays() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}{}", lookups(""))).await;
    for (sql, expected) in [
        ("CREATE STREAM rooms (a BIGINT)", "table `rooms` exists already"),
        ("CREATE TABLE homes (a BIGINT, PRIMARY KEY (a))", "stream `homes` exists already"),
        ("CREATE TABLE rooms (a BIGINT, PRIMARY KEY (a))", "table `rooms` exists already"),
        ("CREATE PIPELINE p INTO rooms AS SELECT n FROM homes", "`p` cannot fill `rooms`: it is a table"),
        ("DROP TABLE rooms", "table `rooms` is in use by `seen`, `per_room`"),
        ("DROP TABLE homes", "table `homes` does not exist"),
        ("REFRESH TABLE rooms", "table `rooms` has no source"),
        ("SELECT 1", "this is a query"),
    ] {
        let error = hub.refusal(sql).await;
        assert!(error.starts_with(expected), "{sql}\nfound    {error}\nexpected {expected}");
    }
    let held = springhouse_ingest::Message {
        device: None,
        topic: "devices/a/rooms".into(),
        payload: r#"{"room":"x"}"#.into(),
        received: springhouse_model::Timestamp(0),
        id: None,
        journal: None,
    };
    let who = springhouse_policy::Principal::token(
        TenantId::main(),
        None,
        "t1",
        "gateway",
        vec![springhouse_policy::Scope::Ingest],
    );
    let mut outcomes = Vec::new();
    hub.ingest.accept(&who, &[held], &mut outcomes).await.unwrap();
    assert!(matches!(outcomes[0], springhouse_ingest::Outcome::Quarantined { .. }), "{outcomes:?}");
    assert!(hub.ingest.registry().entry(&key("rooms")).is_none());

    hub.sql("DROP PIPELINE seen; DROP PIPELINE per_room; DROP TABLE rooms; DROP TABLE IF EXISTS rooms").await;
    hub.sql("CREATE STREAM rooms (a BIGINT)").await;
    assert!(!hub.data_dir().join("tables").join("2").exists());
}

#[tokio::test]
async fn a_successor_keeps_its_state_and_a_preview_takes_the_newest_rows() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}{}", lookups(""))).await;
    load(&hub, "rooms", &[r#"{"device":"a","room":"x"}"#.to_owned()]).await.unwrap();
    hub.send("homes", "a", &[row(101.0, 1), row(102.0, 2)]).await;
    hub.settled().await;
    let (head, tail) = lookups("")
        .split_once("CREATE PIPELINE per_room")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let replaced = tail.replace("sum(n) AS total", "sum(n) + 0 AS total");
    let said = hub.sql(&format!("CREATE OR REPLACE PIPELINE per_room{replaced}")).await.to_string();
    assert!(said.contains("keeps the state of: aggregate room, window_start"), "{said}");
    hub.send("homes", "a", &[row(103.0, 4), row(1_000.0, 1)]).await;
    hub.settled().await;
    let (start, ts) = (at(100.0), at(110.0));
    assert_eq!(
        hub.rows("room_rows"),
        [format!(r#"{{"ts":{ts},"device":null,"room":"x","window_start":{start},"c":3,"total":7}}"#)]
    );
    load(&hub, "rooms", &[r#"{"device":"a","room":"z"}"#.to_owned()]).await.unwrap();
    let select = head.split_once(" AS ").unwrap().1.trim().trim_end_matches(';').to_owned();
    let wish = PreviewWish { minutes: 60, sample: None, limit: 10, steps: false };
    let preview = hub.engine().preview(&TenantId::main(), &select, wish).await.unwrap();
    let rows: Vec<String> = preview.batches.iter().flat_map(|batch| crate::hub::lines(batch, &[])).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.contains(r#""room":"z""#)), "{rows:?}");
    assert!(hub.status().await.iter().all(|status| status.state == RunState::Running));
}

/// Many rules on one table hold its rows once.
#[tokio::test]
async fn what_is_looked_up_is_shared() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{ROOMS}")).await;
    let lines: Vec<String> =
        (0..20_000).map(|n| format!(r#"{{"device":"d{n}","room":"{}"}}"#, "x".repeat(20))).collect();
    load(&hub, "rooms", &lines).await.unwrap();
    for n in 0..30 {
        let sql = format!(
            "CREATE ALERT a{n} AS SELECT h.device, r.room FROM homes h JOIN rooms r ON r.device = h.device WHERE h.n = {n}"
        );
        hub.sql(&sql).await;
    }
    hub.send("homes", "d7", &[row(1.0, 5)]).await;
    hub.settled().await;
    let states: u64 = hub.status().await.iter().map(|status| status.state_bytes).sum();
    assert_eq!(states, 0, "a lookup has no state of its own");
    assert_eq!(hub.rows("alerts.a5").len(), 1);
    let newest = hub.engine().tables().newest(&TenantId::main());
    let rows = newest[0].1.as_ref().unwrap();
    assert_eq!(rows.batch().num_rows(), 20_000);
    assert!(Arc::strong_count(rows) > 30, "{} owners", Arc::strong_count(rows));
}

/// A record of the log is needed no longer than the log keeps what comes behind it.
#[tokio::test]
async fn versions_go_with_the_records_that_they_were_for_and_the_newest_stays() {
    let log = springhouse_log::MemoryLog::new(Arc::new(springhouse_model::SystemClock), Some(4_000));
    let hub = Hub::over(Arc::new(log)).await;
    hub.sql(&format!("{HOMES}{ROOMS}{LIMITS}")).await;
    let give = async |room: &str| {
        load(&hub, "rooms", &[format!(r#"{{"device":"a","room":"{room}"}}"#)]).await.unwrap();
    };
    give("x").await;
    give("y").await;
    assert_eq!(status(&hub, "rooms").versions, 2);
    for n in 0..200 {
        hub.log.stats().holds.iter().for_each(|(name, _)| hub.log.release(name));
        hub.send("homes", "a", &[row(1.0 + f64::from(n), i64::from(n))]).await;
    }
    let head = hub.log.head();
    assert!(head.0 > 10);
    hub.log.hold("test", head);
    give("z").await;
    assert_eq!(status(&hub, "rooms").versions, 2, "y holds at the head of the log");
    let id = hub.meta.tables(None).await.unwrap()[0].id;
    let mut files: Vec<_> = fs::read_dir(hub.data_dir().join("tables").join(id.to_string()))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["2.parquet", "3.parquet"]);
    hub.send("homes", "a", &[row(300.0, 300)]).await;
    hub.sql(&lookups("")).await;
    hub.settled().await;
    let seen = hub.ingest.registry().entry(&key("seen_rows")).unwrap().id;
    let records = hub.log.read(head, usize::MAX).unwrap().into_iter().filter(|record| record.stream == seen);
    let mut rows: Vec<String> =
        records.flat_map(|record| crate::hub::lines(&record.batch().unwrap(), &[])).collect();
    rows.sort_unstable();
    let (last, before) = rows.split_last().unwrap();
    assert!(before.len() > 10 && before.iter().all(|row| row.contains(r#""room":"y""#)), "{before:?}");
    assert!(last.contains(r#""room":"z""#), "{last}");
}
