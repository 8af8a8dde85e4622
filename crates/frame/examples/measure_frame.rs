//! What a frame costs: bytes and nanoseconds a reading, by the size of the batch.
//! `cargo run --release -p springhouse-frame --example measure_frame`

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use springhouse_frame::{FrameError, decode, encode};

/// Readings of 20 devices as sensors send them: decimals, counters, a state, a message id.
fn batch(rows: i64) -> RecordBatch {
    let noise = |n: i64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 40) & 0x3ff;
    let time = |late: i64| {
        let times = (0..rows).map(|n| 1_760_000_000_000_000 + n * 50_000 + noise(n) * late);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef
    };
    let text =
        |of: &dyn Fn(i64) -> String| Arc::new(StringArray::from_iter_values((0..rows).map(of))) as ArrayRef;
    let decimal = |middle: f64, step: f64| {
        let values = (0..rows).map(|n| ((middle + noise(n) as f64 * step) * 100.0).round() / 100.0);
        Arc::new(Float64Array::from_iter_values(values)) as ArrayRef
    };
    let integer =
        |of: &dyn Fn(i64) -> i64| Arc::new(Int64Array::from_iter_values((0..rows).map(of))) as ArrayRef;
    let columns = [
        ("ts", time(1000)),
        ("device", text(&|n| format!("thermostat-{:013}", n % 20))),
        ("site", text(&|n| format!("home-{:03}", n % 20))),
        ("temperature", decimal(18.0, 0.01)),
        ("humidity", decimal(35.0, 0.03)),
        ("power", decimal(0.0, 1.7)),
        ("battery", integer(&|n| 90 - n % 20)),
        ("sequence", integer(&|n| 1_000 + n / 20)),
        ("status", text(&|n| if noise(n) < 900 { "ok".to_owned() } else { "heating".to_owned() })),
        ("_received", time(1)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Processor time of this thread: what a busy machine does not inflate.
fn cpu_ns() -> u64 {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedule.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or_default()
}

fn main() -> Result<(), FrameError> {
    println!("rows    bytes/reading  encode ns/reading  decode ns/reading");
    for rows in [1, 10, 100, 1_000, 10_000] {
        let batch = batch(rows);
        let rounds = 300_000 / rows.max(30);
        let frame = encode(&batch)?;
        let started = cpu_ns();
        for _ in 0..rounds {
            black_box(encode(black_box(&batch))?);
        }
        let encoding = cpu_ns() - started;
        let started = cpu_ns();
        for _ in 0..rounds {
            black_box(decode(black_box(&frame))?);
        }
        let decoding = cpu_ns() - started;
        let readings = (rows * rounds) as f64;
        println!(
            "{rows:<7} {:<14.1} {:<18.0} {:.0}",
            frame.len() as f64 / rows as f64,
            encoding as f64 / readings,
            decoding as f64 / readings
        );
    }
    Ok(())
}
