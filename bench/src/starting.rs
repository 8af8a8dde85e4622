//! From the start of the process to a page, to a moving chart, and back to service after a kill.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::report::Report;
use crate::{Arguments, process, servers};

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "Start",
        "From `exec`; memory of the process at that moment, or after the rest that is named.",
    );
    report.table(&["what", "seconds", "RSS MB"]);
    hub(arguments, report)?;
    demo(arguments, report)
}

fn hub(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let begin = Instant::now();
    let server = servers::hub(arguments)?;
    let ready = begin.elapsed();
    std::thread::sleep(Duration::from_secs(10));
    let (rss, _) = process::memory_mb(server.pid())?;
    report.row(&[
        "hub: ready (`/readyz`), then 10 s idle".into(),
        format!("{:.2}", ready.as_secs_f64()),
        format!("{rss:.0}"),
    ]);
    Ok(())
}

fn demo(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    let (mqtt, http) = (servers::free_address()?, servers::free_address()?);
    let begin = Instant::now();
    let mut child = Command::new(&arguments.springhouse)
        .args(["demo", "--data"])
        .arg(folder.path().join("data"))
        .args(["--mqtt", &mqtt.to_string(), "--http", &http.to_string()])
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log"))?)
        .spawn()?;
    let page = first(&format!("http://{http}/"), |_| true);
    let open = begin.elapsed();
    let data = folder.path().join("data");
    let readings = wait_for_readings(arguments, &data, &format!("http://{http}"), begin);
    let (rss, peak) = process::memory_mb(child.id())?;
    child.kill().ok();
    child.wait().ok();
    page?;
    report.row(&["demo: page answers".into(), format!("{:.2}", open.as_secs_f64()), String::new()]);
    report.row(&[
        "demo: readings of 50 homes queryable".into(),
        format!("{:.2}", readings?.as_secs_f64()),
        format!("{rss:.0} (peak {peak:.0})"),
    ]);
    Ok(())
}

fn wait_for_readings(
    arguments: &Arguments,
    data: &std::path::Path,
    url: &str,
    begin: Instant,
) -> Result<Duration> {
    loop {
        let output = Command::new(&arguments.springhouse)
            .args(["token", "create", "--scope", "read", "--name", "bench", "--data"])
            .arg(data)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(token) = text.lines().last().filter(|_| output.status.success()) {
            let answer = ureq::post(format!("{url}/api/v1/sql"))
                .header("Authorization", &format!("Bearer {}", token.trim()))
                .send_json(serde_json::json!({"query": "SELECT count(DISTINCT device) FROM meter"}));
            if let Ok(mut answer) = answer {
                let body: serde_json::Value = answer.body_mut().read_json()?;
                if body["rows"][0][0].as_u64() >= Some(50) {
                    return Ok(begin.elapsed());
                }
            }
        }
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("the demo showed no readings within 60 s");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn first(url: &str, good: impl Fn(&str) -> bool) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if let Ok(mut answer) = ureq::get(url).call()
            && good(&answer.body_mut().read_to_string().unwrap_or_default())
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("{url} did not answer within 60 s")
}
