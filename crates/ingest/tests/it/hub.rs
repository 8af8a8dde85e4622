//! A door over a log and a store, as the tests need them.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use springhouse_ingest::{Admission, Device, Ingest, Message, Options, Outcome, QUARANTINE_STREAM};
use springhouse_log::{Kind, Log, MemoryLog, Offset, Record};
use springhouse_meta::{Meta, SqliteMeta};
use springhouse_model::{Clock, ManualClock, StreamKey, TenantId, Timestamp};
use springhouse_policy::{Principal, Scope};

pub const NOON: &str = "2026-01-01T12:00:00Z";

pub struct Hub {
    pub ingest: Ingest,
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub clock: Arc<ManualClock>,
    pub options: Options,
}

pub fn options() -> Options {
    Options { admission: Admission::Auto, shards: 2, ..Options::default() }
}

impl Hub {
    pub async fn new() -> Hub {
        Hub::with(options()).await
    }

    pub async fn with(options: Options) -> Hub {
        let clock = Arc::new(ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap()));
        let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>, None));
        Hub::over(options, Arc::new(SqliteMeta::in_memory().await.unwrap()), log, clock).await
    }

    pub async fn over(
        options: Options,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
        clock: Arc<ManualClock>,
    ) -> Hub {
        let open = Ingest::open(
            options.clone(),
            Arc::clone(&meta),
            Arc::clone(&log),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Hub { ingest: open.await.unwrap(), meta, log, clock, options }
    }

    /// The next life of the same hub: a new door over the same log and store.
    pub async fn restarted(self) -> Hub {
        self.ingest.close().await;
        Hub::over(self.options, self.meta, self.log, self.clock).await
    }

    /// The same after a kill: what the old door did not write down is lost.
    pub async fn killed(self) -> Hub {
        Hub::over(self.options, self.meta, self.log, self.clock).await
    }

    pub fn device(&self, id: &str) -> Arc<Device> {
        self.ingest.registry().device(&TenantId::main(), &id.parse().unwrap()).unwrap()
    }

    pub fn message(&self, topic: &str, payload: &str) -> Message {
        Message {
            device: None,
            topic: topic.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            received: self.clock.now(),
            id: None,
            journal: None,
        }
    }

    /// Sends as a gateway and waits until it is durable.
    pub async fn send(&self, messages: &[Message]) -> Vec<Outcome> {
        self.send_as(&gateway(), messages).await
    }

    pub async fn send_as(&self, who: &Principal, messages: &[Message]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let commit = self.ingest.accept(who, messages, &mut outcomes).await.unwrap();
        self.ingest.durable(commit).await.unwrap();
        outcomes
    }

    pub async fn say(&self, topic: &str, payload: &str) -> Outcome {
        self.send(&[self.message(topic, payload)]).await[0]
    }

    pub fn records(&self) -> Vec<Arc<Record>> {
        self.log.read(Offset(0), usize::MAX).unwrap()
    }

    pub fn events(&self) -> Vec<Bytes> {
        let records = self.records().into_iter().filter(|record| record.kind == Kind::Sessions);
        records.map(|record| record.payload.clone()).collect()
    }

    pub fn batches(&self, stream: &str) -> Vec<RecordBatch> {
        self.batches_of(&TenantId::main(), stream)
    }

    pub fn batches_of(&self, tenant: &TenantId, stream: &str) -> Vec<RecordBatch> {
        let Some(entry) = self.ingest.registry().entry(&key_of(tenant, stream)) else { return Vec::new() };
        let records = self.records().into_iter();
        records.filter(|record| record.stream == entry.id).map(|record| record.batch().unwrap()).collect()
    }

    /// The texts of a column over all records of a stream.
    pub fn texts(&self, stream: &str, column: &str) -> Vec<Option<String>> {
        let read = |batch: &RecordBatch| {
            let column = batch.column_by_name(column).unwrap();
            (0..batch.num_rows())
                .map(|row| {
                    column
                        .is_valid(row)
                        .then(|| arrow::util::display::array_value_to_string(column, row).unwrap())
                })
                .collect::<Vec<_>>()
        };
        self.batches(stream).iter().flat_map(read).collect()
    }

    /// The event times of a stream.
    pub fn times(&self, stream: &str) -> Vec<Timestamp> {
        let read = |batch: &RecordBatch| {
            let times = batch.column_by_name("ts").unwrap().as_primitive::<TimestampMicrosecondType>();
            times.values().iter().copied().map(Timestamp).collect::<Vec<_>>()
        };
        self.batches(stream).iter().flat_map(read).collect()
    }

    pub fn rows(&self, stream: &str) -> usize {
        self.batches(stream).iter().map(RecordBatch::num_rows).sum()
    }

    pub fn reasons(&self) -> Vec<String> {
        let read = |batch: &RecordBatch| {
            let column = batch.column_by_name("reason").unwrap().as_string::<i32>().clone();
            column.iter().map(|reason| reason.unwrap().to_owned()).collect::<Vec<_>>()
        };
        self.batches(QUARANTINE_STREAM).iter().flat_map(read).collect()
    }

    /// Waits until the inbox holds as many messages.
    pub async fn inbox(&self, count: usize) -> Vec<springhouse_meta::QuarantinedMessage> {
        loop {
            let filter = springhouse_meta::QuarantineFilter::default();
            let messages = self.meta.quarantine_list(&TenantId::main(), &filter, 10_000).await.unwrap();
            if messages.len() == count {
                return messages;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub fn key(stream: &str) -> StreamKey {
    key_of(&TenantId::main(), stream)
}

pub fn key_of(tenant: &TenantId, stream: &str) -> StreamKey {
    StreamKey::new(tenant.clone(), stream.parse().unwrap())
}

pub fn gateway() -> Principal {
    gateway_of(TenantId::main())
}

pub fn gateway_of(tenant: TenantId) -> Principal {
    Principal::token(tenant, Some("home".parse().unwrap()), "t1", "gateway", vec![Scope::Ingest])
}

pub fn with_id(mut message: Message, id: &str) -> Message {
    message.id = Some(id.into());
    message
}
