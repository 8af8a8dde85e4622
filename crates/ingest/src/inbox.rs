//! Carries quarantined messages from the log to meta, where people list, replay and purge them.
//!
//! What is written and how far the log has been read commit together, so that a crash repeats nothing and loses
//! nothing. The id of a message is its place in the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, StringArray, cast::AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, LogError, Offset, Reader, Record};
use springhouse_meta::{MetaError, QUARANTINED_BYTES_MIN, QuarantinedMessage};
use springhouse_model::{TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, RECEIVED_COLUMN, SITE_COLUMN};

use crate::door::Shared;
use crate::quarantine::{DETAIL, PAYLOAD, PAYLOAD_BASE64, QUARANTINE_STREAM, REASON, STREAM, TOPIC, payload};

/// The name under which the inbox keeps its place.
const CONSUMER: &str = "quarantine";
const READ_BYTES: usize = 4 << 20;
/// Records without a quarantined message after which the place is written down all the same.
const RECORDS_UNWRITTEN_MAX: u64 = 10_000;
/// People look at it, and the threads that take readings in are better left alone.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_secs(1);

pub(crate) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    loop {
        let outcome = tokio::select! {
            outcome = follow(&shared) => outcome,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match outcome {
            Err(InboxError::Log(LogError::Closed)) => return,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the quarantine inbox stands still"
                );
            }
            Ok(never) => match never {},
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum InboxError {
    #[error("cannot read the log")]
    Log(#[from] LogError),
    #[error("cannot write to meta")]
    Meta(#[from] MetaError),
    #[error("cannot decode a quarantine record")]
    Frame(#[from] springhouse_frame::FrameError),
}

async fn follow(shared: &Shared) -> Result<std::convert::Infallible, InboxError> {
    let stored = shared.meta.offset(CONSUMER).await?.map(Offset);
    let mut written = stored.unwrap_or(shared.log.head()).max(shared.log.head());
    shared.log.hold(CONSUMER, written);
    let mut reader = Reader::new(Arc::clone(&shared.log), written).paced(LOOK_EVERY);
    let mut sizes = HashMap::new();
    loop {
        let records = reader.next(READ_BYTES).await?;
        let mut messages = Vec::new();
        for record in &records {
            if let Some(tenant) = quarantine_of(shared, record) {
                read_messages(&tenant, record, &mut messages)?;
            }
        }
        let position = reader.position();
        if !messages.is_empty() || position.0 - written.0 >= RECORDS_UNWRITTEN_MAX {
            shared.meta.quarantine_put(&messages, Some((CONSUMER, position.0))).await?;
            written = position;
            shared.log.hold(CONSUMER, written);
            bound(shared, &mut sizes, &messages).await?;
        }
    }
}

/// Keeps the inbox of each tenant within its bytes. `sizes` is what it is known to have at most: a purge makes it less, which
/// the next look finds.
async fn bound(
    shared: &Shared,
    sizes: &mut HashMap<TenantId, u64>,
    messages: &[QuarantinedMessage],
) -> Result<(), MetaError> {
    let bytes_max = shared.options.inbox_bytes_max;
    for same in messages.chunk_by(|a, b| a.tenant == b.tenant) {
        let tenant = &same[0].tenant;
        let added: u64 =
            same.iter().map(|message| message.payload.len() as u64 + QUARANTINED_BYTES_MIN).sum();
        let size = sizes.entry(tenant.clone()).or_insert(bytes_max);
        *size += added;
        if *size > bytes_max {
            let trimmed = shared.meta.quarantine_trim(tenant, bytes_max).await?;
            *size = trimmed.bytes_left;
            if trimmed.deleted > 0 {
                tracing::warn!(%tenant, messages = trimmed.deleted, "the quarantine is full, its oldest messages are gone");
                metrics::counter!("springhouse_quarantine_dropped_total").increment(trimmed.deleted);
            }
        }
    }
    Ok(())
}

/// The tenant whose quarantine the record belongs to, if to any.
fn quarantine_of(shared: &Shared, record: &Record) -> Option<TenantId> {
    if record.kind != Kind::Readings {
        return None;
    }
    let entry = shared.registry.by_id(record.stream)?;
    (entry.key.name.as_str() == QUARANTINE_STREAM).then(|| entry.key.tenant.clone())
}

fn read_messages(
    tenant: &TenantId,
    record: &Record,
    messages: &mut Vec<QuarantinedMessage>,
) -> Result<(), InboxError> {
    let batch = record.batch()?;
    let text =
        |name: &str| Texts(batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()));
    let (device, site, stream, topic) = (text(DEVICE_COLUMN), text(SITE_COLUMN), text(STREAM), text(TOPIC));
    let (reason, detail) = (text(REASON), text(DETAIL));
    let (plain, base64) = (text(PAYLOAD), text(PAYLOAD_BASE64));
    for row in 0..batch.num_rows() {
        messages.push(QuarantinedMessage {
            id: format!("{:x}-{row:x}", record.offset.0),
            tenant: tenant.clone(),
            site: site.parsed(row),
            stream: stream.parsed(row),
            device: device.parsed(row),
            received: received(&batch, row).unwrap_or(record.appended_at),
            reason: reason.at(row).unwrap_or_default().to_owned(),
            detail: detail.at(row).unwrap_or_default().to_owned(),
            payload: payload(plain.at(row), base64.at(row)),
            topic: topic.at(row).unwrap_or_default().to_owned(),
            replayed_at: None,
        });
    }
    Ok(())
}

/// A text column that may not be there.
struct Texts<'a>(Option<&'a StringArray>);

impl Texts<'_> {
    fn at(&self, row: usize) -> Option<&str> {
        self.0.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }

    fn parsed<T: std::str::FromStr>(&self, row: usize) -> Option<T> {
        self.at(row)?.parse().ok()
    }
}

fn received(batch: &RecordBatch, row: usize) -> Option<Timestamp> {
    let column = batch.column_by_name(RECEIVED_COLUMN)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    column.is_valid(row).then(|| Timestamp(column.value(row)))
}
