//! What the log does: durable records a second by writers and records an append, start after a crash, catching up.
//! `cargo run --release -p springhouse-log --example measure_log -- DIR`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use springhouse_log::{Append, DiskLog, Log, Offset, Options, Reader};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RECORD_BYTES: usize = 200;
const RUN: Duration = Duration::from_secs(3);

async fn append_for(
    log: Arc<DiskLog>,
    writers: usize,
    records: usize,
) -> Result<(u64, Vec<Duration>), Failure> {
    let deadline = Instant::now() + RUN;
    let mut tasks = tokio::task::JoinSet::<Result<Vec<Duration>, Failure>>::new();
    for _ in 0..writers {
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            let payload = Bytes::from(vec![7; RECORD_BYTES]);
            let mut waits = Vec::new();
            while Instant::now() < deadline {
                let started = Instant::now();
                log.append(vec![Append::session(payload.clone()); records]).await?;
                waits.push(started.elapsed());
            }
            Ok(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(task) = tasks.join_next().await {
        waits.extend(task??);
    }
    waits.sort_unstable();
    Ok((waits.len() as u64 * records as u64, waits))
}

fn cpu() -> Duration {
    let ticks = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        ticks.rsplit(')').next().unwrap_or_default().split(' ').map(|t| t.parse().unwrap_or(0)).collect();
    // utime and stime, in hundredths of a second.
    Duration::from_millis(10 * (fields.get(12).unwrap_or(&0) + fields.get(13).unwrap_or(&0)))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("hint: name an empty directory")?);
    println!("writers  records/append  records/s  µs CPU/record  append p50 ms  p99 ms  records/commit");
    for (writers, records) in [(1, 1), (16, 1), (100, 1), (16, 100)] {
        let log = Arc::new(DiskLog::open(root.join(format!("{writers}x{records}")), Options::default())?);
        let before = cpu();
        let (total, waits) = append_for(Arc::clone(&log), writers, records).await?;
        let spent = cpu() - before;
        let quantile = |q: f64| waits[((waits.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
        println!(
            "{writers:<8} {records:<15} {:<10.0} {:<14.2} {:<14.2} {:<7.2} {:.1}",
            total as f64 / RUN.as_secs_f64(),
            spent.as_secs_f64() * 1e6 / total as f64,
            quantile(0.5),
            quantile(0.99),
            total as f64 / log.stats().commits as f64,
        );
    }
    let started = Instant::now();
    let reopened = DiskLog::open(root.join("16x100"), Options::default())?;
    println!("open: {:?} with {} segments", started.elapsed(), reopened.stats().segments);
    catch_up(root.join("catch-up")).await
}

/// Readings in batches of 500 rows, read back from the disk and decoded on one core.
async fn catch_up(dir: PathBuf) -> Result<(), Failure> {
    let (rows, batches) = (500_u32, 4_000);
    let options = Options { tail_bytes: 0, ..Options::default() };
    let log: Arc<dyn Log> = Arc::new(DiskLog::open(dir, options)?);
    let floats: ArrayRef =
        Arc::new(Float64Array::from_iter_values((0..rows).map(|n| f64::from(n * 37 % 991) / 10.0)));
    let devices: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("meter-{:04}", n % 100))));
    let batch =
        RecordBatch::try_from_iter([("device", devices), ("power", floats.clone()), ("energy", floats)])?;
    for _ in 0..batches / 40 {
        let append = Append::readings(1, 1, vec![(0, rows)], batch.clone())?;
        log.append(vec![Append { batch: None, ..append }; 40]).await?;
    }
    let mut reader = Reader::new(Arc::clone(&log), Offset(0));
    let (started, before, mut found) = (Instant::now(), cpu(), 0);
    while reader.position() < log.end() {
        for record in reader.next(1 << 20).await? {
            found += record.batch()?.num_rows();
        }
    }
    let (spent, elapsed) = ((cpu() - before).as_secs_f64(), started.elapsed());
    println!("catch-up: {found} readings in {elapsed:?}, {:.1}M a second of CPU", found as f64 / 1e6 / spent);
    Ok(())
}
