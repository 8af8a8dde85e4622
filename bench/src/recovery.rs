//! From `kill -9` under load to serving again, over a large log.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::{Client, Target};
use crate::random::Random;
use crate::report::Report;
use crate::{Arguments, process, servers};

const GB: u64 = 1 << 30;
const PUBLISHERS: u64 = 4;
const WINDOW: u16 = 32;
/// Of each message: text that hardly compresses, so that the log grows with what is sent.
const TEXT_BYTES: usize = 48 * 1024;
const LOOK: Duration = Duration::from_millis(100);

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "kill -9 to serving again",
        "Killed in the middle of a load of large messages; then from `exec` to CONNACK, and to PUBACK of a new message.",
    );
    let folder = Arc::new(tempfile::tempdir_in(&arguments.scratch)?);
    let log = folder.path().join("data/log");
    let config = folder.path().join("hub.toml");
    fs::write(&config, format!("[storage]\nlog_retention_bytes = {}\n", (arguments.log_gb + 2) * GB))?;
    let flags = [String::from("--config"), config.display().to_string()];
    let server = servers::hub_in(arguments, Arc::clone(&folder), &flags)?;
    let publishers: Vec<_> =
        (1..=PUBLISHERS).map(|number| tokio::spawn(publish(server.target.clone(), number))).collect();
    while bytes_in(&log)? < arguments.log_gb * GB {
        tokio::time::sleep(LOOK).await;
    }
    server.stop();
    publishers.iter().for_each(tokio::task::JoinHandle::abort);
    let bytes = bytes_in(&log)?;

    let begin = Instant::now();
    let server = servers::hub_in(arguments, folder, &flags)?;
    let mut client = Client::connect(&server.target, "after", 60).await?;
    let open = begin.elapsed();
    client.put_publish("devices/after/recovery", 1, b"{\"value\": 1.5}");
    client.flush().await?;
    client.acknowledgements(|_| ()).await?;
    let acknowledged = begin.elapsed();
    let (rss, _) = process::memory_mb(server.pid())?;
    report.table(&["log GB", "s to CONNACK", "s to PUBACK", "RSS MB"]);
    report.row(&[
        format!("{:.1}", bytes as f64 / GB as f64),
        format!("{:.2}", open.as_secs_f64()),
        format!("{:.2}", acknowledged.as_secs_f64()),
        format!("{rss:.0}"),
    ]);
    server.stop();
    Ok(())
}

fn bytes_in(folder: &Path) -> io::Result<u64> {
    // A segment may be renamed while one looks.
    let lengths = fs::read_dir(folder)?.filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok());
    Ok(lengths.map(|file| file.len()).sum())
}

/// Until the server is gone.
async fn publish(target: Target, number: u64) -> Result<()> {
    let mut client = Client::connect(&target, &format!("large-{number}"), 60).await?;
    let topic = format!("devices/large-{number}/large");
    let mut random = Random::new(number);
    let mut free: Vec<u16> = (1..=WINDOW).collect();
    loop {
        for id in free.drain(..) {
            client.put_publish(&topic, id, &payload(&mut random));
        }
        client.flush().await?;
        client.acknowledgements(|id| free.push(id)).await?;
    }
}

/// Six random bits a character.
fn payload(random: &mut Random) -> Vec<u8> {
    let mut text = b"{\"text\":\"".to_vec();
    while text.len() < TEXT_BYTES {
        let drawn = random.next();
        text.extend((0..10).map(|place| b'0' + ((drawn >> (6 * place)) & 0x3f) as u8).map(
            |byte| match byte {
                // The one character of this range that JSON escapes.
                b'\\' => b'~',
                other => other,
            },
        ));
    }
    text.extend_from_slice(b"\"}");
    text
}
