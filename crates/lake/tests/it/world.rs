//! A log, a store of meta and a lake over them, as the tests need them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::array::{BooleanArray, Float64Array, Int64Array};
use arrow::util::display::array_value_to_string;
use object_store::ObjectStore;
use serde_json::Value;
use springhouse_lake::{Catalog, Lake, LakeError, LoadedCatalog, Options, Parts};
use springhouse_log::{Append, DiskLog, Log, MemoryLog};
use springhouse_meta::{Approval, Meta, NewStream, Origin, SqliteMeta, StreamEntry};
use springhouse_model::{Clock, ManualClock, StreamKey, TenantId, Timestamp, ValueType};
use springhouse_schema::{Field, Schema};

use crate::store::Store;

/// Rows count their seconds from here.
pub const NOON: &str = "2026-01-01T12:00:00Z";
pub const DAY: i64 = 86_400;

pub struct World {
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub catalog: Arc<LoadedCatalog>,
    pub clock: Arc<ManualClock>,
    pub store: Arc<Store>,
    pub options: Options,
}

pub fn noon() -> Timestamp {
    Timestamp::parse_rfc3339(NOON).unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    noon().plus_micros(seconds * 1_000_000)
}

/// Nothing happens by itself: tests flush, merge and write last values down when they want it.
pub fn options() -> Options {
    let never = Duration::from_secs(86_400);
    Options {
        flush_every: never,
        tidy_every: never,
        twin_every: never,
        threads: 1,
        ..Options::new("not used, objects are in memory")
    }
}

impl World {
    pub async fn new() -> World {
        let log = Arc::new(MemoryLog::default());
        World::over(Arc::new(SqliteMeta::in_memory().await.unwrap()), log).await
    }

    pub async fn over(meta: Arc<dyn Meta>, log: Arc<dyn Log>) -> World {
        World {
            catalog: Arc::new(LoadedCatalog::load(meta.as_ref()).await.unwrap()),
            meta,
            log,
            clock: Arc::new(ManualClock::at(noon())),
            store: Arc::new(Store::default()),
            options: options(),
        }
    }

    /// Log, meta and objects in a folder.
    pub async fn in_folder(folder: &Path) -> World {
        let log = DiskLog::open(folder.join("log"), Default::default()).unwrap();
        let meta = SqliteMeta::open(folder.join("meta.db")).await.unwrap();
        let world = World::over(Arc::new(meta), Arc::new(log)).await;
        World { options: Options { dir: folder.join("lake"), ..options() }, ..world }
    }

    /// A lake whose objects are in [`World::store`].
    pub async fn lake(&self) -> Lake {
        self.try_lake().await.unwrap()
    }

    pub async fn try_lake(&self) -> Result<Lake, LakeError> {
        let store = Arc::clone(&self.store) as Arc<dyn ObjectStore>;
        Lake::open_on(store, self.options.clone(), self.parts()).await
    }

    /// A lake whose objects are files in the folder of the options.
    pub async fn lake_in_folder(&self) -> Lake {
        Lake::open(self.options.clone(), self.parts()).await.unwrap()
    }

    /// Ends a lake as a crash does, and waits until it has let go of the log.
    pub async fn crash(&self, lake: Lake) {
        drop(lake);
        while Arc::strong_count(&self.log) > 1 {
            tokio::task::yield_now().await;
        }
        self.log.close().await;
    }

    fn parts(&self) -> Parts {
        Parts {
            meta: Arc::clone(&self.meta),
            log: Arc::clone(&self.log),
            catalog: Arc::clone(&self.catalog) as Arc<dyn Catalog>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        }
    }

    /// The stream `meter` of the main tenant with one fraction, `power`.
    pub async fn with_meter(self) -> World {
        self.stream(&main(), "meter", &[("power", ValueType::Float)]).await;
        self
    }

    pub async fn stream(&self, tenant: &TenantId, name: &str, fields: &[(&str, ValueType)]) -> StreamEntry {
        let new = NewStream {
            key: StreamKey::new(tenant.clone(), name.parse().unwrap()),
            state: Approval::Approved,
            origin: Origin::Declared,
            schema: schema(fields),
            watermark_delay_us: 0,
            idle_us: None,
            retention_us: None,
            sql: None,
        };
        let entry = self.meta.create_stream(new).await.unwrap();
        self.catalog.refresh(self.meta.as_ref()).await.unwrap();
        entry
    }

    /// The next version of a stream's schema.
    pub async fn widen(&self, name: &str, version: u32, fields: &[(&str, ValueType)]) {
        let next = Schema { version, ..schema(fields) };
        self.meta.put_schema(&key(name), &next).await.unwrap();
        self.catalog.refresh(self.meta.as_ref()).await.unwrap();
    }

    pub async fn drop_stream(&self, name: &str) {
        assert!(self.meta.drop_stream(&key(name)).await.unwrap());
        self.catalog.refresh(self.meta.as_ref()).await.unwrap();
    }

    /// Appends rows to a stream of the main tenant, as one record.
    pub async fn append(&self, stream: &str, rows: &[Value]) {
        self.append_as(&main(), stream, rows).await;
    }

    pub async fn append_as(&self, tenant: &TenantId, stream: &str, rows: &[Value]) {
        let stream = StreamKey::new(tenant.clone(), stream.parse().unwrap());
        let entry = self.meta.stream(&stream).await.unwrap().unwrap();
        let batch = batch(&entry.schema, rows);
        let spans = vec![(0, rows.len() as u32)];
        let record = Append::readings(entry.id, entry.schema.version, spans, batch).unwrap();
        self.log.append(vec![record]).await.unwrap();
    }

    /// Appends one row to `meter`.
    pub async fn meter(&self, seconds: i64, device: &str, power: f64) {
        self.append("meter", &[row(seconds, device, power)]).await;
    }
}

pub fn main() -> TenantId {
    TenantId::main()
}

pub fn key(stream: &str) -> StreamKey {
    StreamKey::new(main(), stream.parse().unwrap())
}

pub fn row(seconds: i64, device: &str, power: f64) -> Value {
    serde_json::json!({ "ts": seconds, "device": device, "power": power })
}

fn schema(fields: &[(&str, ValueType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, ty)| Field::new(*name, *ty)).collect())
}

/// Rows of JSON as columns; `ts` counts seconds from [`NOON`].
pub fn batch(schema: &Schema, rows: &[Value]) -> RecordBatch {
    let texts = |name: &str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[name].as_str()).collect::<StringArray>())
    };
    let times = |name: &str| -> ArrayRef {
        let times = rows.iter().map(|row| row[name].as_i64().map(|seconds| at(seconds).micros()));
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let mut columns = vec![times("ts"), texts("device"), texts("site")];
    columns.extend(schema.fields.iter().map(|field| -> ArrayRef {
        let values = rows.iter().map(|row| &row[&field.name]);
        match field.ty {
            ValueType::Bool => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
            ValueType::Int => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
            ValueType::Float => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
            ValueType::Text => texts(&field.name),
            ValueType::Time => times(&field.name),
        }
    }));
    columns.extend([times("_received"), texts("_id")]);
    RecordBatch::try_new(schema.arrow(), columns).unwrap()
}

/// The rows of an answer, cells joined by ` | `.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            lines.push(cells.collect::<Vec<_>>().join(" | "));
        }
    }
    lines
}

/// The answer of a query of the main tenant.
pub async fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    match lake.query_all(&main(), sql).await {
        Ok(rows) => lines(&rows.batches),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The error of a query of the main tenant.
pub async fn refusal(lake: &Lake, sql: &str) -> LakeError {
    match lake.query_all(&main(), sql).await {
        Ok(rows) => panic!("{sql} was answered: {:?}", lines(&rows.batches)),
        Err(error) => error,
    }
}
