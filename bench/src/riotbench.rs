//! The dataflows of `docs/examples/riotbench` over generated readings of sensors.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::Arguments;
use crate::report::Report;
use crate::run::{self, Threads};

const FLOWS: [(&str, &str); 3] = [
    ("ETL: range filter, interpolation, annotation", include_str!("../../docs/examples/riotbench/etl.sql")),
    (
        "STATS: averages, counts, moments, smoothing, regression",
        include_str!("../../docs/examples/riotbench/stats.sql"),
    ),
    ("PRED: decision tree, linear regression, error", include_str!("../../docs/examples/riotbench/pred.sql")),
];
/// What the statements read from beside them.
const TABLES: [(&str, &str); 2] = [
    ("sensors.csv", include_str!("../../docs/examples/riotbench/sensors.csv")),
    ("models.csv", include_str!("../../docs/examples/riotbench/models.csv")),
];

pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "RIoTBench",
        &format!(
            "{} readings of five measures (`springhouse sim --print-city`), read as NDJSON from a file by `springhouse run` on one core; rows are written as JSON to nowhere, the least of {} runs. \
             [What the dataflows are](guides/riotbench.md).",
            arguments.events,
            run::RUNS
        ),
    );
    report.table(&["dataflow", "rows out", "CPU s per million", "readings/s and core", "peak RSS MB"]);
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    for (name, rows) in TABLES {
        fs::write(folder.path().join(name), rows)?;
    }
    let readings = folder.path().join("readings.ndjson");
    run::generate(arguments, "--print-city", arguments.events, &readings)?;
    for (name, sql) in FLOWS {
        let ran = run::fastest(arguments, Threads::One, sql, "city", &readings, Path::new("/dev/null"))?;
        report.row(&[
            name.to_owned(),
            format!("{:.0}", ran.rows_out),
            format!("{:.2}", ran.cpu_per_million()),
            format!("{:.0}", ran.events / ran.cpu_seconds),
            format!("{:.0}", ran.peak_rss_mb),
        ]);
    }
    Ok(())
}
