//! `/metrics` for Prometheus: what the crates count, and what the process takes from the machine.

use std::fs;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use springhouse_model::Severity;

use crate::health::free_bytes;
use crate::problem::Problem;
use crate::state::App;

/// The text format of Prometheus, version 0.0.4.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Linux counts CPU time in hundredths of a second whatever its own clock does (`USER_HZ`, man 5 proc).
const TICKS_PER_SECOND: f64 = 100.0;

/// Counters and gauges in the text format of Prometheus. Without a token from this machine alone.
#[utoipa::path(get, path = "/metrics", tag = "operating",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let Some(recorder) = &app.metrics else {
        let detail = "this hub was started without metrics";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_metrics", detail));
    };
    record(&app);
    record_alerts(&app).await?;
    recorder.run_upkeep();
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], recorder.render()).into_response())
}

/// Reads what changes by itself; everything else was counted where it happened.
fn record(app: &App) {
    if let Some(process) = Process::read() {
        metrics::gauge!("process_resident_memory_bytes").set(process.resident_bytes as f64);
        metrics::gauge!("process_cpu_seconds_total").set(process.cpu_s);
        metrics::gauge!("process_open_fds").set(process.open_files as f64);
        metrics::gauge!("process_threads").set(process.threads as f64);
    }
    metrics::gauge!("process_start_time_seconds").set(app.started_at.micros() as f64 / 1e6);
    if let Some(free) = free_bytes(app) {
        metrics::gauge!("springhouse_disk_free_bytes").set(free as f64);
    }
    let log = app.log.stats();
    metrics::gauge!("springhouse_log_bytes").set(log.bytes as f64);
    metrics::gauge!("springhouse_log_records").set(log.end.0.saturating_sub(log.head.0) as f64);
    metrics::gauge!("springhouse_log_poisoned").set(if log.poisoned.is_some() { 1.0 } else { 0.0 });
    metrics::gauge!("springhouse_tails_open").set(app.tails_open() as f64);
    app.engine.observe();
}

/// What is firing, of each severity also when it is nothing: a number that is missing does not end an alarm.
async fn record_alerts(app: &App) -> Result<(), Problem> {
    let firing = app.meta.alerts_firing().await?;
    for severity in Severity::ALL {
        let count = firing.iter().find(|(of, _)| *of == severity).map_or(0, |(_, count)| *count);
        metrics::gauge!("springhouse_alerts_firing", "severity" => severity.as_str()).set(count as f64);
    }
    Ok(())
}

/// What `/proc/self` says; other systems say nothing.
struct Process {
    resident_bytes: u64,
    cpu_s: f64,
    open_files: usize,
    threads: u64,
}

impl Process {
    fn read() -> Option<Process> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        Some(Process {
            // Fields of man 5 proc, counted from the third: 14 utime, 15 stime, 20 num_threads, 24 rss.
            cpu_s: (number(11)? + number(12)?) as f64 / TICKS_PER_SECOND,
            threads: number(17)?,
            resident_bytes: number(21)? * rustix::param::page_size() as u64,
            open_files: fs::read_dir("/proc/self/fd").ok()?.count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_what_it_takes() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1024 * 1024 && process.open_files >= 3 && process.threads >= 1);
    }
}
