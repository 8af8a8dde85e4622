//! How devices go wrong: what arrives is stuck, spiked, drifting, missing, twice, late or of another shape.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::reading::{Field, Sample};

/// Length of an episode of a fault that lasts, in seconds of simulated time.
const EPISODE_S: f64 = 900.0;
/// What a drifting sensor gains an hour, as a share of its value.
const DRIFT_PER_HOUR: f64 = 0.12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The first number stands still for 15 minutes.
    Stuck,
    /// One reading is tenfold.
    Spike,
    /// The first number creeps away for 15 minutes.
    Drift,
    /// Nothing is sent for 15 minutes.
    DropOut,
    /// The reading is sent twice.
    Duplicate,
    /// The reading is sent 30 to 300 seconds after it was measured.
    Late,
    /// For 15 minutes the first number is sent as text with its unit, as after a bad firmware update.
    SchemaChange,
}

impl FaultKind {
    pub const ALL: [(&'static str, FaultKind); 7] = [
        ("stuck", FaultKind::Stuck),
        ("spike", FaultKind::Spike),
        ("drift", FaultKind::Drift),
        ("drop-out", FaultKind::DropOut),
        ("duplicate", FaultKind::Duplicate),
        ("late", FaultKind::Late),
        ("schema-change", FaultKind::SchemaChange),
    ];

    fn lasts(self) -> bool {
        !matches!(self, FaultKind::Spike | FaultKind::Duplicate | FaultKind::Late)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FaultKind::ALL.iter().find(|(_, kind)| kind == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

/// A fault that is switched on. Written `KIND:PROBABILITY[:DEVICE]`, for example `spike:0.001:home-03-meter`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Chance for each reading to begin it.
    pub probability: f64,
    /// Only devices whose name contains this.
    pub device: Option<String>,
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Fault, String> {
        let mut parts = text.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let kind = FaultKind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let Some(kind) = kind else {
            let known: Vec<&str> = FaultKind::ALL.iter().map(|(name, _)| *name).collect();
            return Err(format!("`{name}` is not a fault; hint: {}", known.join(", ")));
        };
        let share = parts.next().unwrap_or("0.001");
        match share.parse() {
            Ok(probability) if (0.0..=1.0).contains(&probability) => {
                Ok(Fault { kind, probability, device: parts.next().map(str::to_owned) })
            }
            _ => Err(format!(
                "`{share}` is not a probability; hint: a number from 0 to 1, as in `{kind}:0.001`"
            )),
        }
    }
}

/// Spoils the readings of one home.
#[derive(Clone, Debug)]
pub(crate) struct Injector {
    faults: Vec<Fault>,
    rng: ChaCha8Rng,
    /// Running episodes by fault, device and stream: when each began, and the number it began with.
    episodes: BTreeMap<(usize, String, &'static str), (f64, f64)>,
    /// Late readings and when they leave.
    held: Vec<(f64, Sample)>,
}

impl Injector {
    pub fn new(faults: Vec<Fault>, rng: ChaCha8Rng) -> Injector {
        Injector { faults, rng, episodes: BTreeMap::new(), held: Vec::new() }
    }

    /// What really is sent at this time in place of the samples.
    pub fn spoil(&mut self, now_s: f64, samples: Vec<Sample>) -> Vec<Sample> {
        let mut sent = Vec::with_capacity(samples.len());
        for sample in samples {
            self.spoil_one(now_s, sample, &mut sent);
        }
        let (due, held) = std::mem::take(&mut self.held).into_iter().partition(|(at, _)| *at <= now_s);
        self.held = held;
        let due: Vec<(f64, Sample)> = due;
        sent.extend(due.into_iter().map(|(_, sample)| sample));
        sent
    }

    fn spoil_one(&mut self, now_s: f64, mut sample: Sample, sent: &mut Vec<Sample>) {
        let mut copies = 1;
        for index in 0..self.faults.len() {
            let Some((kind, since_s, first)) = self.strikes(index, now_s, &sample) else { continue };
            match kind {
                FaultKind::DropOut => copies = 0,
                FaultKind::Duplicate => copies *= 2,
                FaultKind::Late => {
                    let delay_s = self.rng.random_range(30.0..300.0);
                    self.held.push((now_s + delay_s, sample.clone()));
                    copies = 0;
                }
                _ => bend(&mut sample, kind, since_s, first),
            }
        }
        sent.extend(std::iter::repeat_n(sample, copies));
    }

    /// Whether the fault acts on this sample, for how long it has, and the number with which it began.
    fn strikes(&mut self, index: usize, now_s: f64, sample: &Sample) -> Option<(FaultKind, f64, f64)> {
        let fault = self.faults.get(index)?;
        if fault.device.as_ref().is_some_and(|part| !sample.device.contains(part.as_str())) {
            return None;
        }
        let draw: f64 = self.rng.random();
        let begins = draw < fault.probability;
        let number = first_number(sample).unwrap_or(0.0);
        if !fault.kind.lasts() {
            return begins.then_some((fault.kind, 0.0, number));
        }
        let key = (index, sample.device.clone(), sample.stream);
        match self.episodes.get(&key) {
            Some((began_s, first)) if now_s - began_s < EPISODE_S => {
                Some((fault.kind, now_s - began_s, *first))
            }
            _ if begins => {
                self.episodes.insert(key, (now_s, number));
                Some((fault.kind, 0.0, number))
            }
            _ => None,
        }
    }
}

fn first_number(sample: &Sample) -> Option<f64> {
    sample.fields.iter().find_map(|(_, field)| match field {
        Field::Number(value, _) => Some(*value),
        _ => None,
    })
}

fn bend(sample: &mut Sample, kind: FaultKind, since_s: f64, first: f64) {
    let number = sample.fields.iter_mut().find(|(_, field)| matches!(field, Field::Number(..)));
    let Some((_, field)) = number else { return };
    let Field::Number(value, decimals) = field else { return };
    match kind {
        FaultKind::Stuck => *value = first,
        FaultKind::Spike => *value *= 10.0,
        FaultKind::Drift => *value *= 1.0 + DRIFT_PER_HOUR * since_s / 3_600.0,
        FaultKind::SchemaChange => *field = Field::Text(format!("{value:.0$} units", *decimals)),
        FaultKind::DropOut | FaultKind::Duplicate | FaultKind::Late => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use springhouse_model::Timestamp;

    fn sent(fault: &str, readings: usize) -> Vec<Sample> {
        let mut injector = Injector::new(vec![fault.parse().unwrap()], ChaCha8Rng::seed_from_u64(9));
        let sample = |second: usize| Sample {
            device: "home-01-thermostat".into(),
            stream: "climate",
            ts: Timestamp(second as i64 * 1_000_000),
            fields: vec![("temperature", Field::Number(20.0 + second as f64 / 100.0, 2))],
        };
        (0..readings).flat_map(|second| injector.spoil(second as f64, vec![sample(second)])).collect()
    }

    #[test]
    fn each_fault_leaves_its_mark() {
        assert_eq!(sent("drop-out:1", 100).len(), 0);
        assert_eq!(sent("duplicate:1", 100).len(), 200);
        assert!(sent("stuck:1", 100).iter().all(|s| first_number(s) == Some(20.0)));
        assert!(sent("spike:1", 10).iter().all(|s| first_number(s) >= Some(200.0)));
        assert!(first_number(&sent("drift:1", 500)[499]) > Some(25.0));
        assert!(sent("schema-change:1", 5).iter().all(|s| matches!(s.fields[0].1, Field::Text(_))));
        let late = sent("late:1", 400);
        assert!(!late.is_empty() && late.len() < 400, "{}", late.len());
        assert!(late[0].ts == Timestamp(0) || late.windows(2).any(|w| w[0].ts > w[1].ts));
    }

    #[test]
    fn a_fault_stays_with_its_device() {
        let hit = sent("drop-out:1:home-01", 10);
        let missed = sent("drop-out:1:home-02", 10);
        assert_eq!((hit.len(), missed.len()), (0, 10));
    }

    #[test]
    fn faults_are_read_from_text_with_a_hint_when_they_are_wrong() {
        assert_eq!("spike".parse::<Fault>().unwrap().probability, 0.001);
        assert_eq!("late:0.5:meter".parse::<Fault>().unwrap().device.as_deref(), Some("meter"));
        assert!("melted".parse::<Fault>().unwrap_err().contains("drop-out"));
        assert!("spike:7".parse::<Fault>().unwrap_err().contains("from 0 to 1"));
    }
}
