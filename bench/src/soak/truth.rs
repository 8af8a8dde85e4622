//! The pipelines of a soak, and what they must have written.

use anyhow::{Context, Result};
use serde_json::json;

use super::publisher::Sent;
use crate::api::post;
use crate::servers::Server;

/// A pipeline as two statements that give the same rows and compute something else.
pub struct Checked {
    pub name: &'static str,
    pub columns: &'static str,
    pub variants: [&'static str; 2],
    /// Whether a row can come too late for it.
    has_late: bool,
}

pub const PIPELINES: &[Checked] = &[
    Checked {
        name: "tumble",
        columns: "device, window_start, c, total",
        variants: [
            "SELECT device, window_start, count(*) AS c, sum(n) AS total FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) \
             GROUP BY device, window_start",
            "SELECT device, window_start, count(n) AS c, sum(n) FILTER (WHERE n >= 0) AS total \
             FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) GROUP BY device, window_start",
        ],
        has_late: true,
    },
    Checked {
        name: "hop",
        columns: "window_start, c, most",
        variants: [
            "SELECT window_start, count(*) AS c, max(n) AS most FROM HOP(meter, ts, INTERVAL '5' SECOND, INTERVAL '20' SECOND) \
             GROUP BY window_start",
            "SELECT window_start, count(n) AS c, max(n) AS most FROM HOP(meter, ts, INTERVAL '5' SECOND, INTERVAL '20' SECOND) \
             WHERE n IS NOT NULL GROUP BY window_start",
        ],
        has_late: true,
    },
    Checked {
        name: "session",
        columns: "device, window_start, window_end, c",
        variants: [
            "SELECT device, window_start, window_end, count(*) AS c FROM SESSION(door, ts, INTERVAL '1' SECOND, device) \
             GROUP BY device, window_start, window_end",
            "SELECT device, window_start, window_end, count(n) AS c FROM SESSION(door, ts, INTERVAL '1' SECOND, device) \
             GROUP BY device, window_start, window_end",
        ],
        has_late: true,
    },
    Checked {
        name: "frames",
        columns: "device, ts, n, x",
        variants: [
            "SELECT device, ts, n, sum(n) OVER (PARTITION BY device ORDER BY ts RANGE INTERVAL '8' SECOND PRECEDING) AS x FROM meter",
            "SELECT device, ts, n, sum(n + 0) OVER (PARTITION BY device ORDER BY ts RANGE INTERVAL '8' SECOND PRECEDING) AS x \
             FROM meter WHERE n >= 0",
        ],
        has_late: true,
    },
    Checked {
        name: "pairs",
        columns: "device, seq, other",
        variants: [
            "SELECT m.device, m.seq, d.seq AS other FROM meter m LEFT JOIN door d ON d.device = m.device \
             AND d.ts BETWEEN m.ts AND m.ts + INTERVAL '2' SECOND WHERE m.n < 60",
            "SELECT m.device, m.seq, d.seq AS other FROM meter m LEFT JOIN door d ON d.device = m.device \
             AND d.ts BETWEEN m.ts AND m.ts + INTERVAL '2' SECOND AND d.n >= 0 WHERE m.n < 60",
        ],
        has_late: true,
    },
    Checked {
        name: "filter",
        columns: "device, ts, seq",
        variants: [
            "SELECT device, ts, seq FROM meter WHERE n % 17 = 0",
            "SELECT device, ts, seq FROM meter WHERE n % 17 = 0 AND n >= 0",
        ],
        has_late: false,
    },
    Checked {
        name: "swings",
        columns: "device, ts, seq, high",
        variants: [
            "SELECT device, ts, seq, hysteresis(n, 250, 50) OVER (PARTITION BY device ORDER BY ts) AS high FROM meter",
            "SELECT device, ts, seq + 0 AS seq, hysteresis(n, 250, 50) OVER (PARTITION BY device ORDER BY ts) AS high FROM meter",
        ],
        has_late: true,
    },
    Checked {
        name: "dozens",
        columns: "device, window_start, window_end, total",
        variants: [
            "SELECT device, window_start, window_end, sum(n) AS total FROM COUNT_WINDOW(meter, ts, 12, device) \
             GROUP BY device, window_start, window_end",
            "SELECT device, window_start, window_end, sum(n) AS total FROM COUNT_WINDOW(meter, ts, 12, device) \
             GROUP BY device, window_start, window_end HAVING sum(n) >= 0",
        ],
        has_late: true,
    },
    Checked {
        name: "named",
        columns: "device, seq, name",
        variants: [
            "SELECT m.device, m.seq, k.name FROM meter m LEFT JOIN kinds k ON k.n = m.n WHERE m.device <> 'last'",
            "SELECT m.device, m.seq + 0 AS seq, k.name FROM meter m LEFT JOIN kinds k ON k.n = m.n WHERE m.device <> 'last'",
        ],
        has_late: false,
    },
];

/// What rows are looked up in: names for about half of the numbers.
fn table() -> String {
    let rows: Vec<String> = (0..150).map(|n| format!("({n}, 'kind {n}')")).collect();
    format!(
        "CREATE TABLE kinds (n BIGINT, name TEXT, PRIMARY KEY (n)) AS SELECT n, name FROM (VALUES {}) AS rows (n, name)",
        rows.join(", ")
    )
}

/// Rows that close windows are no part of the truth.
const LAST: &str = "device IS DISTINCT FROM 'last'";

pub fn statement(pipeline: &Checked, variant: usize) -> String {
    let Checked { name, variants, .. } = pipeline;
    format!("CREATE OR REPLACE PIPELINE {name} INTO {name}_rows AS {}", variants[variant % variants.len()])
}

pub fn set_up(server: &Server) -> Result<()> {
    for stream in ["meter", "door"] {
        let query = format!(
            "CREATE STREAM {stream} (seq BIGINT, n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)"
        );
        post(server, "/sql", &json!({ "query": query }))?;
    }
    post(server, "/sql", &json!({ "query": table() }))?;
    for pipeline in PIPELINES {
        post(server, "/pipelines", &json!({ "sql": statement(pipeline, 0) }))?;
    }
    Ok(())
}

/// How many rows a pipeline has written, and how many are not those of its query over history.
pub fn compare(server: &Server, pipeline: &Checked) -> Result<(u64, u64)> {
    let Checked { name, columns, variants, .. } = pipeline;
    let truth = ["meter", "door"].iter().fold(variants[0].to_owned(), |query, stream| {
        let named = [("(", ","), ("FROM ", " "), ("JOIN ", " ")];
        let marked = named.iter().fold(format!("{query} "), |query, (before, behind)| {
            query.replace(&format!("{before}{stream}{behind}"), &format!("{before}@{behind}"))
        });
        marked.replace('@', &format!("(SELECT * FROM {stream} WHERE {LAST})"))
    });
    let rows = number(server, &format!("SELECT count(*) FROM {name}_rows"))?;
    // Each row counts once for the one side and once against it for the other.
    let different = format!(
        "SELECT coalesce(sum(abs(k)), 0) FROM (SELECT {columns}, sum(k) AS k FROM (SELECT {columns}, 1 AS k FROM {name}_rows \
         UNION ALL SELECT {columns}, -1 AS k FROM ({truth})) GROUP BY {columns})"
    );
    Ok((rows, number(server, &different)?))
}

/// Acknowledged messages of a device that are not stored.
pub fn missing(server: &Server, sent: &Sent) -> Result<u64> {
    let open: Vec<String> = sent.open.iter().map(u64::to_string).collect();
    let open = if open.is_empty() { "-1".to_owned() } else { open.join(", ") };
    let all = "(SELECT device, seq FROM meter UNION ALL SELECT device, seq FROM door UNION ALL SELECT device, seq FROM grown)";
    let query = format!(
        "SELECT count(DISTINCT seq) FROM {all} WHERE device = '{}' AND seq NOT IN ({open})",
        sent.device
    );
    Ok((sent.acknowledged as u64).saturating_sub(number(server, &query)?))
}

/// How many rows came too late for their windows: none should.
pub fn late() -> String {
    let streams: Vec<String> = PIPELINES
        .iter()
        .filter(|pipeline| pipeline.has_late)
        .map(|pipeline| format!("SELECT count(*) AS n FROM {}.late", pipeline.name))
        .collect();
    format!("SELECT sum(n) FROM ({})", streams.join(" UNION ALL "))
}

fn number(server: &Server, query: &str) -> Result<u64> {
    let answer = post(server, "/sql", &json!({ "query": query })).with_context(|| query.to_owned())?;
    answer["rows"][0][0].as_u64().with_context(|| format!("no number: {answer}"))
}
