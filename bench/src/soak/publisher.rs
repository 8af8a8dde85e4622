//! Devices that speak to whatever hub there is at the moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio::sync::watch;

use super::Now;
use crate::client::{Client, Target};
use crate::random::Random;

/// Messages that are on their way at once.
const WINDOW: u16 = 8;
/// Between two bursts.
const PAUSE: Duration = Duration::from_millis(60);
const RECONNECT: Duration = Duration::from_millis(50);
/// Event times are up to this far behind the clock: less than the delay of the stream, so that no row is late.
const BEHIND_MS: u64 = 2_500;

/// What a device has sent.
pub struct Sent {
    pub device: String,
    pub acknowledged: usize,
    /// Numbers of messages that were not acknowledged: they may be stored or not.
    pub open: Vec<u64>,
}

/// Publishes numbered readings until it is told to stop. What a broken connection leaves open is not repeated.
pub async fn publish(
    number: u64,
    seed: u64,
    hub: watch::Receiver<Now>,
    stop: watch::Receiver<bool>,
) -> Result<Sent> {
    let device = format!("soak-{number}");
    let mut random = Random::new(seed ^ (number + 1).wrapping_mul(0x9E37_79B9));
    let mut sent = Sent { device: device.clone(), acknowledged: 0, open: Vec::new() };
    let (mut sequence, mut last_ms) = (0, 0);
    while !*stop.borrow() {
        let Now { target, .. } = hub.borrow().clone();
        let Ok(mut client) = Client::connect(&target, &device, 60).await else {
            tokio::time::sleep(RECONNECT).await;
            continue;
        };
        while !*stop.borrow() {
            tokio::time::sleep(PAUSE).await;
            if hub.borrow().is_silent {
                continue;
            }
            let mut open = Vec::new();
            for packet in 1..=WINDOW {
                sequence += 1;
                // No two rows of a device have one time: their order would be that of arrival, which history does not know.
                last_ms = (now_ms() - random.next() % BEHIND_MS).max(last_ms + 1);
                let (stream, payload) = reading(&mut random, sequence, last_ms);
                client.put_publish(&format!("devices/{device}/{stream}"), packet, payload.as_bytes());
                open.push((packet, sequence));
            }
            if burst(&mut client, &mut open, &mut sent).await.is_err() {
                sent.open.extend(open.into_iter().map(|(_, sequence)| sequence));
                break;
            }
        }
    }
    Ok(sent)
}

async fn burst(client: &mut Client, open: &mut Vec<(u16, u64)>, sent: &mut Sent) -> Result<()> {
    client.flush().await?;
    while !open.is_empty() {
        let before = open.len();
        client.acknowledgements(|packet| open.retain(|(waiting, _)| *waiting != packet)).await?;
        sent.acknowledged += before - open.len();
    }
    Ok(())
}

/// Mostly a reading of the meter; sometimes of a stream that nobody has declared, with a property that is not seen before.
fn reading(random: &mut Random, sequence: u64, ms: u64) -> (&'static str, String) {
    let n = random.next() % 300;
    match random.next() % 40 {
        0..4 => ("door", format!(r#"{{"ts":{ms},"seq":{sequence},"n":{n}}}"#)),
        4 => ("grown", format!(r#"{{"ts":{ms},"seq":{sequence},"n":{n},"extra_{}":{n}.5}}"#, sequence % 20)),
        _ => ("meter", format!(r#"{{"ts":{ms},"seq":{sequence},"n":{n}}}"#)),
    }
}

/// Rows so far ahead that the windows of all others are complete.
pub async fn close_windows(target: &Target, ahead_s: i64) -> Result<()> {
    let mut client = Client::connect(target, "last", 60).await?;
    let ms = now_ms() as i64 + ahead_s * 1_000;
    for (packet, stream) in [(1, "meter"), (2, "door")] {
        let payload = format!(r#"{{"ts":{ms},"seq":0,"n":1}}"#);
        client.put_publish(&format!("devices/last/{stream}"), packet, payload.as_bytes());
        client.flush().await?;
        client.acknowledgements(|_| ()).await?;
    }
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
