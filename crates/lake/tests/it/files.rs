//! The files themselves, as any reader of Parquet sees them.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use springhouse_lake::Lake;
use springhouse_model::ValueType;

use crate::world::{DAY, World, lines, main, row};

async fn bytes(world: &World, path: &str) -> Bytes {
    world.store.get(&path.into()).await.unwrap().bytes().await.unwrap()
}

async fn read(world: &World, path: &str) -> Vec<String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes(world, path).await).unwrap();
    lines(&builder.build().unwrap().map(Result::unwrap).collect::<Vec<_>>())
}

async fn rich(world: &World) -> Lake {
    let fields = [
        ("power", ValueType::Float),
        ("coarse", ValueType::Float),
        ("count", ValueType::Int),
        ("on", ValueType::Bool),
        ("state", ValueType::Text),
        ("since", ValueType::Time),
    ];
    world.stream(&main(), "rich", &fields).await;
    let lake = world.lake().await;
    let rows: Vec<Value> = (0..5_000)
        .map(|n: i64| {
            json!({
                "ts": n, "device": format!("d{}", n % 5), "site": "home", "power": (n as f64).sqrt(),
                "coarse": (n % 20) as f64 / 10.0, "count": n, "on": n % 2 == 0, "state": if n % 2 == 0 { "idle" } else { "busy" },
                "since": n - 1, "_received": n, "_id": format!("message-{n}"),
            })
        })
        .collect();
    world.append("rich", &rows).await;
    lake.flush().await.unwrap();
    lake
}

fn encodings(metadata: &ParquetMetaData, column: &str) -> Vec<Encoding> {
    let columns = metadata.row_group(0).columns().iter();
    let found = columns.filter(|chunk| chunk.column_path().string() == column);
    found.flat_map(|chunk| chunk.encodings().collect::<Vec<_>>()).collect()
}

fn check_encodings(file: Bytes) {
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata();
    for (column, expected, is_dictionary) in [
        ("ts", Encoding::DELTA_BINARY_PACKED, false),
        ("count", Encoding::DELTA_BINARY_PACKED, false),
        ("since", Encoding::DELTA_BINARY_PACKED, false),
        ("_received", Encoding::DELTA_BINARY_PACKED, false),
        ("power", Encoding::BYTE_STREAM_SPLIT, false),
        ("coarse", Encoding::RLE_DICTIONARY, true),
        ("device", Encoding::RLE_DICTIONARY, true),
        ("state", Encoding::RLE_DICTIONARY, true),
        ("_id", Encoding::DELTA_BYTE_ARRAY, false),
    ] {
        let used = encodings(metadata, column);
        assert!(used.contains(&expected), "{column}: {used:?}");
        assert_eq!(used.contains(&Encoding::RLE_DICTIONARY), is_dictionary, "{column}: {used:?}");
    }
    for chunk in metadata.row_group(0).columns() {
        assert!(matches!(chunk.compression(), Compression::ZSTD(_)), "{:?}", chunk.compression());
        assert!(chunk.column_index_offset().is_some(), "{} has statistics of pages", chunk.column_path());
        assert!(chunk.bloom_filter_offset().is_none());
    }
}

#[tokio::test]
async fn columns_have_the_encoding_that_fits_their_type() {
    let world = World::new().await;
    let lake = rich(&world).await;
    let flushed = world.store.paths().await.remove(0);
    check_encodings(bytes(&world, &flushed).await);
    world.append("rich", &[json!({"ts": 5_000, "device": "d0", "power": 1.25, "count": 1})]).await;
    lake.flush().await.unwrap();
    lake.compact().await.unwrap();
    let merged = world.store.paths().await;
    assert_eq!(merged.len(), 1);
    check_encodings(bytes(&world, &merged[0]).await);
}

#[tokio::test]
async fn rows_lie_by_device_and_time_also_after_merging() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let sorted = |rows: &[String]| {
        rows.is_sorted_by_key(|row| {
            let mut cells = row.split(" | ");
            let ts = cells.next().unwrap().to_owned();
            (cells.next().unwrap().to_owned(), ts)
        })
    };
    for part in 0..4 {
        // 37 and 100 share no factor, so that times come in any order.
        let rows: Vec<_> =
            (0..100).map(|n| row((n * 37 + part) % 100, &format!("d{}", n % 7), n as f64)).collect();
        world.append("meter", &rows).await;
        lake.flush().await.unwrap();
    }
    for path in world.store.paths().await {
        let rows = read(&world, &path).await;
        assert!(rows.len() == 100 && sorted(&rows), "{path}: {rows:?}");
    }
    lake.compact().await.unwrap();
    let rows = read(&world, &world.store.paths().await[0]).await;
    assert!(rows.len() == 400 && sorted(&rows), "{rows:?}");
}

#[tokio::test]
async fn each_day_has_its_folder_and_a_broken_clock_does_not_make_thousands() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    // 12 h 30 before noon is the day before.
    world.append("meter", &[row(0, "a", 1.0), row(-45_000, "a", 2.0)]).await;
    lake.flush().await.unwrap();
    let days = |paths: Vec<String>| -> Vec<String> {
        paths.iter().map(|path| path.split('/').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(days(world.store.paths().await), ["2025-12-31", "2026-01-01"]);

    let broken: Vec<_> = (0..500).map(|day| row(day * DAY, "broken", day as f64)).collect();
    world.append("meter", &broken).await;
    lake.flush().await.unwrap();
    let days = days(world.store.paths().await);
    assert!(days.len() <= 40 && days.contains(&"mixed".to_owned()), "{days:?}");
    assert_eq!(crate::world::ask(&lake, "SELECT count(*) FROM meter").await, ["502"]);
}

#[tokio::test]
async fn a_merge_ends_a_file_at_its_size() {
    let mut world = World::new().await.with_meter().await;
    world.options.file_bytes = 40_000;
    let lake = world.lake().await;
    for part in 0..4 {
        let rows: Vec<_> = (0..10_000)
            .map(|n| row(n, &format!("d{part}"), f64::from(n as u32 * 7919 % 10_007).sqrt()))
            .collect();
        world.append("meter", &rows).await;
        lake.flush().await.unwrap();
    }
    lake.compact().await.unwrap();
    let files = lake.stats().files;
    assert!((2..8).contains(&files), "{files}");
    assert_eq!(
        crate::world::ask(&lake, "SELECT count(*), count(DISTINCT device) FROM meter").await,
        ["40000 | 4"]
    );
}
