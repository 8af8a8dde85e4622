//! Four queries over generated events, by `springhouse run` and as pipelines: CPU seconds per million events and memory.

use anyhow::Result;

use crate::report::Report;
use crate::run::Threads;
use crate::{Arguments, pipelines, run};

pub const SCHEMA: &str = "CREATE STREAM src (device TEXT, site TEXT, seq BIGINT, temp DOUBLE, humidity DOUBLE, power DOUBLE, status TEXT, \
                      WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);\n";
pub const QUERIES: [(&str, &str); 4] = [
    ("q0 filter + project", "SELECT device, ts, temp * 1.8 + 32 AS f, power FROM src WHERE power > 500"),
    (
        "q1 tumble 10 s",
        "SELECT device, window_start, count(*) AS n, avg(temp) AS t_avg, max(temp) AS t_max, min(humidity) AS h_min, \
         sum(power) AS p_sum FROM TUMBLE(src, ts, INTERVAL '10' SECOND) GROUP BY device, window_start, window_end",
    ),
    (
        "q2 hop 60 s every 10 s",
        "SELECT device, window_start, count(*) AS n, avg(temp) AS t_avg, max(temp) AS t_max, min(humidity) AS h_min, \
         sum(power) AS p_sum FROM HOP(src, ts, INTERVAL '10' SECOND, INTERVAL '60' SECOND) \
         GROUP BY device, window_start, window_end",
    ),
    (
        "q3 session 5 s",
        "SELECT device, window_start, count(*) AS n, avg(temp) AS t_avg, max(temp) AS t_max, min(humidity) AS h_min, \
         sum(power) AS p_sum FROM SESSION(src, ts, INTERVAL '5' SECOND, device) \
         GROUP BY device, window_start, window_end",
    ),
];

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "Engine: NDJSON → rows, in one process and in a hub",
        &format!(
            "{} events of 129 bytes from 2,000 devices, event time out of order by up to 3 s, 0.1 % late by 10 to 60 s. \
             Lines are decoded on one thread, then on one for each core; rows are the same. The least of {} runs. `make bench ARGS=--flink` \
             measures Flink beside them.",
            arguments.events,
            run::RUNS
        ),
    );
    report.table(&[
        "query",
        "events",
        "rows out",
        "late",
        "CPU s per million",
        "wall s",
        "peak RSS MB",
        "all cores: wall s",
        "faster by",
        "peak RSS MB",
    ]);
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    let events = folder.path().join("events.ndjson");
    run::generate(arguments, "--print-events", arguments.events, &events)?;
    for (name, query) in QUERIES {
        let sql = format!("{SCHEMA}{query};\n");
        let out = folder.path().join("out.ndjson");
        let ran = run::fastest(arguments, Threads::One, &sql, "src", &events, &out)?;
        let parallel = run::fastest(arguments, Threads::All, &sql, "src", &events, &out)?;
        report.row(&[
            name.to_owned(),
            format!("{:.0}", ran.events),
            format!("{:.0}", ran.rows_out),
            format!("{:.0}", ran.late),
            format!("{:.2}", ran.cpu_per_million()),
            format!("{:.2}", ran.wall_seconds),
            format!("{:.0}", ran.peak_rss_mb),
            format!("{:.2}", parallel.wall_seconds),
            format!("{:.2}", ran.wall_seconds / parallel.wall_seconds),
            format!("{:.0}", parallel.peak_rss_mb),
        ]);
    }
    pipelines::measure(arguments, report, &events).await
}
