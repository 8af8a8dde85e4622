//! Random streams of readings, out of order and late now and then, for comparing operators with models.

use std::ops::Range;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use springhouse_engine::StreamTable;
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema};

use crate::case::decode;
use crate::hub::at;

#[derive(Clone, Debug)]
pub struct Reading {
    pub at_ms: i64,
    pub device: u8,
    pub n: Option<i64>,
}

/// Up to 300 readings of four devices; now and then nothing happens for up to `pause_tenths`.
pub fn readings(pause_tenths: i64, n: Range<i64>) -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![6 => 0..4_i64, 1 => 0..pause_tenths].prop_map(|tenths| tenths * 100);
    let behind = prop_oneof![6 => 0..20_i64, 1 => 0..100_i64].prop_map(|tenths| tenths * 100);
    let n = prop::option::weighted(0.9, n);
    prop::collection::vec((step, behind, 0..4_u8, n), 0..300).prop_map(|rows| {
        let mut now = 20_000;
        let reading = |(step, behind, device, n)| {
            now += step;
            Reading { at_ms: now - behind, device, n }
        };
        rows.into_iter().map(reading).collect()
    })
}

/// Sizes of the pieces in which a stream comes.
pub fn cuts() -> impl Strategy<Value = Vec<usize>> {
    let cut = prop_oneof![3 => 1..10_usize, 1 => 10..65_537_usize];
    prop::collection::vec(cut, 1..6)
}

/// The stream `homes` of such readings.
pub fn homes(delay_ms: i64) -> StreamTable {
    StreamTable { name: "homes".parse().unwrap(), schema: schema(), watermark_delay_us: delay_ms * 1_000 }
}

pub fn batch(readings: &[Reading]) -> RecordBatch {
    let line = |reading: &Reading| {
        let n = reading.n.map_or("null".to_owned(), |n| n.to_string());
        format!(r#"{{"ts":{},"device":"d{}","n":{n}}}"#, time(reading.at_ms), reading.device)
    };
    decode(Arc::new(schema()), &readings.iter().map(line).collect::<Vec<_>>())
}

/// Milliseconds as they stand in a row.
pub fn time(ms: i64) -> String {
    at(ms as f64 / 1e3)
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("n", ValueType::Int)])
}
