//! The queries of `docs/examples/nexmark` over a generated auction house, beside what others have published.

use std::path::Path;

use anyhow::Result;

use crate::Arguments;
use crate::report::Report;
use crate::run::{self, Ran, Threads};

/// A query, and the events a second that Feldera's README gives for Flink and Feldera (streaming) on 16 cores.
struct Query {
    name: &'static str,
    sql: &'static str,
    flink: f64,
    feldera: f64,
}

const PUBLISHED_CORES: f64 = 16.0;
const QUERIES: [Query; 9] = [
    Query {
        name: "q0 pass through",
        sql: include_str!("../../docs/examples/nexmark/q0.sql"),
        flink: 2_642_776.0,
        feldera: 6_973_987.0,
    },
    Query {
        name: "q1 currency conversion",
        sql: include_str!("../../docs/examples/nexmark/q1.sql"),
        flink: 2_604_438.0,
        feldera: 6_595_871.0,
    },
    Query {
        name: "q2 selection",
        sql: include_str!("../../docs/examples/nexmark/q2.sql"),
        flink: 3_122_073.0,
        feldera: 6_748_549.0,
    },
    Query {
        name: "q3 local item suggestion",
        sql: include_str!("../../docs/examples/nexmark/q3.sql"),
        flink: 2_039_692.0,
        feldera: 6_608_075.0,
    },
    Query {
        name: "q4 average price for a category",
        sql: include_str!("../../docs/examples/nexmark/q4.sql"),
        flink: 501_017.0,
        feldera: 4_233_521.0,
    },
    Query {
        name: "q5 hot items",
        sql: include_str!("../../docs/examples/nexmark/q5.sql"),
        flink: 661_901.0,
        feldera: 6_589_786.0,
    },
    Query {
        name: "q7 highest bid",
        sql: include_str!("../../docs/examples/nexmark/q7.sql"),
        flink: 281_262.0,
        feldera: 3_136_763.0,
    },
    Query {
        name: "q8 monitor new users",
        sql: include_str!("../../docs/examples/nexmark/q8.sql"),
        flink: 2_103_271.0,
        feldera: 6_641_870.0,
    },
    Query {
        name: "q9 winning bids",
        sql: include_str!("../../docs/examples/nexmark/q9.sql"),
        flink: 209_547.0,
        feldera: 910_680.0,
    },
];

pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "Nexmark",
        &format!(
            "{} events of the auction house (`springhouse sim --print-nexmark`), 10,000 to a second of event time, read as NDJSON from a file by \
             `springhouse run` on one core; rows are written as JSON to nowhere, the least of {} runs. The queries are those of \
             [docs/examples/nexmark](examples/nexmark/README.md), which says where they are bounded in time and the published ones are not. \
             **Published on another machine** are the streaming figures of Feldera's `benchmark/README.md` (16 cores of \
             \"one particular system\", 100 M events made in memory, nothing decoded), divided by 16.",
            arguments.events,
            run::RUNS
        ),
    );
    report.table(&[
        "query",
        "rows out",
        "events/s",
        "CPU s per million",
        "events/s and core",
        "peak RSS MB",
        "published: Flink, events/s and core",
        "published: Feldera, events/s and core",
    ]);
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    let events = folder.path().join("events.ndjson");
    run::generate(arguments, "--print-nexmark", arguments.events, &events)?;
    for query in QUERIES {
        let ran =
            run::fastest(arguments, Threads::One, query.sql, "nexmark", &events, Path::new("/dev/null"))?;
        report.row(&cells(&query, &ran));
    }
    Ok(())
}

fn cells(query: &Query, ran: &Ran) -> [String; 8] {
    let whole = |number: f64| format!("{number:.0}");
    [
        query.name.to_owned(),
        whole(ran.rows_out),
        whole(ran.events / ran.wall_seconds),
        format!("{:.2}", ran.cpu_per_million()),
        whole(ran.events / ran.cpu_seconds),
        whole(ran.peak_rss_mb),
        whole(query.flink / PUBLISHED_CORES),
        whole(query.feldera / PUBLISHED_CORES),
    ]
}
