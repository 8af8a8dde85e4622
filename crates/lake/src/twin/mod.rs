//! What is it now: the last value of every property, kept beside the log.
//!
//! A consumer of the log of its own, so that neither a slow disk of the lake nor a flush delays it. Values live in
//! memory; every few seconds those that changed go to meta together with the offset, and after a restart the log fills
//! in what came later.

mod table;
mod values;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use parking_lot::RwLock;
use springhouse_log::{Kind, Log, LogError, Offset, PACE, Reader, Record};
use springhouse_meta::{Meta, TwinRow};
use springhouse_model::{DeviceId, StreamKey, StreamName, TenantId, Timestamp, ValueType};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::catalog::{Catalog, is_internal};
use crate::{LakeError, Options};
pub(crate) use table::LastValues;
use values::{Changed, Value, Values};

/// Name of the twin among the consumers of the log.
const CONSUMER: &str = "twin";
/// Payload folded between two looks at the values.
const READ_BYTES: usize = 1 << 20;
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The last value of one property of one device in one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    pub device: DeviceId,
    pub stream: StreamName,
    pub property: String,
    pub value: serde_json::Value,
    pub unit: Option<String>,
    /// Event time.
    pub ts: Timestamp,
}

/// Last values of all devices. A cheap clone.
#[derive(Clone)]
pub struct Twin {
    shared: Arc<Shared>,
}

struct Shared {
    meta: Arc<dyn Meta>,
    log: Arc<dyn Log>,
    catalog: Arc<dyn Catalog>,
    every: Duration,
    values: RwLock<Values>,
    consumed: watch::Sender<u64>,
    /// One writer to meta at a time, so that offsets arrive in order.
    persisting: tokio::sync::Mutex<()>,
}

impl Twin {
    pub(crate) async fn open(
        options: &Options,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
        catalog: Arc<dyn Catalog>,
    ) -> Result<Twin, LakeError> {
        let doing = "load last values";
        let offset = meta.offset(CONSUMER).await.map_err(LakeError::meta(doing))?;
        let offset = offset.unwrap_or_else(|| log.head().0);
        if offset > log.end().0 {
            return Err(LakeError::LogBehind { lake: offset, log: log.end().0 });
        }
        log.hold(CONSUMER, Offset(offset));
        let rows = meta.twin_load().await.map_err(LakeError::meta(doing))?;
        let mut values = Values::starting_at(offset);
        let mut dropped = HashSet::new();
        for row in rows {
            let key = StreamKey::new(row.tenant, row.stream);
            let Some(entry) = catalog.find(&key) else {
                dropped.insert(key);
                continue;
            };
            let ty = entry.schema.field(&row.property).map(|field| field.ty);
            let value = Value::from_json(row.value, ty == Some(ValueType::Time));
            values.put_loaded(&entry, row.device, &row.property, (value, row.ts.micros(), row.offset));
        }
        forget(meta.as_ref(), dropped).await?;
        let shared = Shared {
            meta,
            log,
            catalog,
            every: options.twin_every,
            values: RwLock::new(values),
            consumed: watch::Sender::new(offset),
            persisting: tokio::sync::Mutex::new(()),
        };
        Ok(Twin { shared: Arc::new(shared) })
    }

    /// The last values of a device, by stream and property.
    pub fn device(&self, tenant: &TenantId, id: &DeviceId) -> Vec<Latest> {
        self.collect(tenant, Some(id))
    }

    /// The last values of all devices of a tenant, by device, stream and property.
    pub fn all(&self, tenant: &TenantId) -> Vec<Latest> {
        self.collect(tenant, None)
    }

    /// Records before this are in the values.
    pub fn consumed(&self) -> watch::Receiver<u64> {
        self.shared.consumed.subscribe()
    }

    fn collect(&self, tenant: &TenantId, only: Option<&DeviceId>) -> Vec<Latest> {
        let streams = self.shared.catalog.streams_of(tenant);
        let mut found = Vec::new();
        let values = self.shared.values.read();
        for entry in streams.iter().filter(|entry| !is_internal(entry)) {
            values.visit(entry.id, only, |device, property, cell| {
                let unit = entry.schema.field(property).and_then(|field| field.unit.clone());
                found.push(Latest {
                    device: device.clone(),
                    stream: entry.key.name.clone(),
                    property: property.to_owned(),
                    value: cell.value.to_json(),
                    unit,
                    ts: Timestamp(cell.ts),
                });
            });
        }
        drop(values);
        found.sort_by(|a, b| (&a.device, &a.stream, &a.property).cmp(&(&b.device, &b.stream, &b.property)));
        found
    }

    /// Reads the log into the values, for ever.
    pub(crate) async fn follow(self) {
        let from = Offset(*self.shared.consumed.borrow());
        let mut reader = Reader::new(Arc::clone(&self.shared.log), from).paced(PACE);
        loop {
            match reader.next(READ_BYTES).await {
                Ok(records) => {
                    self.take_in(records).await;
                }
                Err(LogError::Closed) => return,
                Err(LogError::Trimmed { head }) => {
                    tracing::error!("records left the log before the twin has read them");
                    reader.seek(head);
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the twin cannot read the log");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// One by one, and each given back before the next: what is decoded can be far larger than what was read.
    async fn take_in(&self, records: Vec<Arc<Record>>) {
        let Some(next) = records.last().map(|last| last.next_offset().0) else { return };
        for record in records.into_iter().filter(|record| record.kind == Kind::Readings) {
            let known = self.shared.catalog.stream(record.stream);
            let Some(entry) = known.filter(|entry| !is_internal(entry)) else { continue };
            match record.batch() {
                Ok(batch) => {
                    self.shared.values.write().fold(&entry, &batch, record.offset.0);
                }
                Err(_) => counter!("springhouse_twin_undecodable_records_total").increment(1),
            }
            // Catching up must not keep other tasks of the thread waiting.
            tokio::task::yield_now().await;
        }
        self.shared.values.write().next = next;
        self.shared.consumed.send_replace(next);
    }

    /// Writes changes to meta at intervals, for ever.
    pub(crate) async fn keep_persisting(self) {
        let mut clock = tokio::time::interval(self.shared.every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            clock.tick().await;
            if let Err(error) = self.persist().await {
                tracing::error!(error = &error as &dyn std::error::Error, "the twin cannot write to meta");
            }
        }
    }

    /// Writes the values that changed since the last time, with the offset.
    pub(crate) async fn persist(&self) -> Result<(), LakeError> {
        let _turn = self.shared.persisting.lock().await;
        // Before writing, so that a stream that took the name of a dropped one keeps what it has.
        let is_gone = |stream| self.shared.catalog.stream(stream).is_none();
        let gone = self.shared.values.write().forget_streams(is_gone);
        forget(self.shared.meta.as_ref(), gone).await?;
        let (changed, next, written) = {
            let mut values = self.shared.values.write();
            let changed = values.take_changed();
            let written = values.written;
            values.written = values.next;
            (changed, values.next, written)
        };
        if changed.is_empty() && next == written {
            return Ok(());
        }
        let rows: Vec<TwinRow> = changed.iter().filter_map(|changed| self.row(changed)).collect();
        if let Err(source) = self.shared.meta.twin_put(&rows, Some((CONSUMER, next))).await {
            let mut values = self.shared.values.write();
            values.put_back(changed);
            values.written = written;
            return Err(LakeError::Meta { doing: "write last values", source });
        }
        self.shared.log.hold(CONSUMER, Offset(next));
        Ok(())
    }

    /// `None` for a stream that was dropped in the meantime.
    fn row(&self, changed: &Changed) -> Option<TwinRow> {
        let key = self.shared.catalog.stream(changed.stream)?.key.clone();
        Some(TwinRow {
            tenant: key.tenant,
            device: changed.device.clone(),
            stream: key.name,
            property: changed.property.to_string(),
            value: changed.cell.value.to_json(),
            ts: Timestamp(changed.cell.ts),
            offset: changed.cell.offset,
        })
    }
}

/// Removes the written values of streams that were dropped.
async fn forget(meta: &dyn Meta, streams: impl IntoIterator<Item = StreamKey>) -> Result<(), LakeError> {
    for key in streams {
        let forgotten = meta.twin_forget(&key.tenant, &key.name).await;
        forgotten.map_err(LakeError::meta("forget the values of a dropped stream"))?;
    }
    Ok(())
}
