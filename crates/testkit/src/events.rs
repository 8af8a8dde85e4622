//! The events of the benchmarks: many devices at 1 Hz of event time, slightly out of order, a few of them late.
//!
//! One JSON object of about 129 bytes a line. Arrival is event time plus a uniform delay of up to `jitter_ms`;
//! `late_permille` of a thousand arrive 10 to 60 s late instead. Event time begins at 2026-01-01T00:00:00Z.
//! The same options give the same bytes, so that different systems can be compared on them.

use std::io::{self, Write};

use crate::arrivals::Arrivals;
use crate::random::Random;

const START_MS: u64 = 1_767_225_600_000;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventOptions {
    pub events: u64,
    pub devices: u64,
    pub jitter_ms: u64,
    pub late_permille: u64,
}

impl Default for EventOptions {
    fn default() -> EventOptions {
        EventOptions { events: 1_000_000, devices: 2_000, jitter_ms: 3_000, late_permille: 1 }
    }
}

/// Writes the events in the order of their arrival.
pub fn write_events(options: EventOptions, out: &mut impl Write) -> io::Result<()> {
    let mut source = Source::new(options.devices);
    let mut arrivals = Arrivals::new();
    for number in 0..options.events {
        let (tick, device) = (number / options.devices, number % options.devices);
        let event_ms = START_MS + tick * 1_000 + device * 1_000 / options.devices;
        let mut delay_ms = source.random.below(options.jitter_ms + 1);
        if source.random.below(1_000) < options.late_permille {
            delay_ms = 10_000 + source.random.below(50_000);
        }
        arrivals.send(event_ms + delay_ms, (device, event_ms));
        while let Some((from, event)) = arrivals.next_by(event_ms) {
            source.write(from, event, out)?;
        }
    }
    while let Some((from, event)) = arrivals.next() {
        source.write(from, event, out)?;
    }
    Ok(())
}

struct Source {
    random: Random,
    temperature: Vec<f64>,
    sent: Vec<u64>,
}

impl Source {
    fn new(devices: u64) -> Source {
        Source {
            random: Random::new(SEED),
            temperature: (0..devices).map(|device| 18.0 + (device % 17) as f64 * 0.5).collect(),
            sent: vec![0; devices as usize],
        }
    }

    fn write(&mut self, device: u64, event_ms: u64, out: &mut impl Write) -> io::Result<()> {
        let index = device as usize;
        self.temperature[index] += (self.random.share() - 0.5) * 0.2;
        self.sent[index] += 1;
        let humidity = 40.0 + 20.0 * self.random.share();
        let power = 100.0 + 900.0 * self.random.share();
        let status = if self.random.next().is_multiple_of(1_000) { "alarm" } else { "ok" };
        writeln!(
            out,
            "{{\"device\":\"dev-{device:05}\",\"site\":\"site-{:02}\",\"seq\":{},\"ts\":{event_ms},\"temp\":{:.3},\
             \"humidity\":{humidity:.2},\"power\":{power:.1},\"status\":\"{status}\"}}",
            device % 20,
            self.sent[index],
            self.temperature[index],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(options: EventOptions) -> Vec<serde_json::Value> {
        let mut bytes = Vec::new();
        write_events(options, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn events_are_complete_disordered_and_sometimes_late() {
        let options = EventOptions { events: 200_000, ..EventOptions::default() };
        let events = events(options);
        assert_eq!(events.len(), 200_000);
        let (mut newest, mut late, mut disordered) = (0, 0, 0);
        for event in &events {
            let ts = event["ts"].as_u64().unwrap();
            disordered += i32::from(ts < newest);
            late += i32::from(ts + 5_000 < newest);
            newest = newest.max(ts);
        }
        assert!(disordered > 100_000, "{disordered}");
        assert!((100..300).contains(&late), "{late}");
    }

    #[test]
    fn the_bytes_are_fixed() {
        let mut bytes = Vec::new();
        write_events(EventOptions { events: 10_000, ..EventOptions::default() }, &mut bytes).unwrap();
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!((bytes.len(), sum), (1_260_013, 0xf7b3_5d97_c68f_e202));
    }
}
