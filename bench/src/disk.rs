//! What the disk itself needs to make a few kilobytes durable: no acknowledgement can be faster.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use anyhow::Result;

use crate::Arguments;
use crate::report::{Report, percentile};

const BLOCK_BYTES: usize = 4096;
const WRITES: usize = 2_000;

pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "The disk",
        &format!(
            "{WRITES} times {BLOCK_BYTES} bytes written over a preallocated file in `{}` and fdatasync, one after the other.",
            arguments.scratch.display()
        ),
    );
    let file: File = tempfile::tempfile_in(&arguments.scratch)?;
    let block = vec![0x5a; BLOCK_BYTES];
    file.write_all_at(&vec![0; BLOCK_BYTES * WRITES], 0)?;
    file.sync_all()?;
    let mut latencies = Vec::with_capacity(WRITES);
    for number in 0..WRITES {
        let begin = Instant::now();
        file.write_all_at(&block, (number * BLOCK_BYTES) as u64)?;
        file.sync_data()?;
        latencies.push(begin.elapsed().as_micros() as u64);
    }
    latencies.sort_unstable();
    report.table(&["p50 ms", "p99 ms", "max ms"]);
    let milliseconds = |share: f64| format!("{:.2}", percentile(&latencies, share) as f64 / 1_000.0);
    report.row(&[milliseconds(0.5), milliseconds(0.99), milliseconds(1.0)]);
    Ok(())
}
