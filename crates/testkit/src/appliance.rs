//! What hangs on the plugs: things that draw power in cycles.

use rand::Rng;

use crate::occupancy::Presence;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplianceKind {
    Fridge,
    Washer,
    Kettle,
}

impl ApplianceKind {
    pub const ALL: [ApplianceKind; 3] = [ApplianceKind::Fridge, ApplianceKind::Washer, ApplianceKind::Kettle];

    pub fn name(self) -> &'static str {
        match self {
            ApplianceKind::Fridge => "fridge",
            ApplianceKind::Washer => "washer",
            ApplianceKind::Kettle => "kettle",
        }
    }
}

/// A stretch of a cycle: seconds and watts.
type Phase = (f64, f64);

/// Heating, washing, rinsing, spinning.
const WASH: [Phase; 6] =
    [(180.0, 120.0), (1_500.0, 1_950.0), (2_400.0, 160.0), (900.0, 220.0), (600.0, 450.0), (60.0, 30.0)];
const BOIL: [Phase; 1] = [(170.0, 2_050.0)];
const COMPRESS: [Phase; 2] = [(8.0, 380.0), (1_100.0, 85.0)];

#[derive(Clone, Debug, PartialEq)]
pub struct Appliance {
    pub kind: ApplianceKind,
    pub power_w: f64,
    pub energy_kwh: f64,
    /// Seconds into the running cycle.
    running_s: Option<f64>,
    /// Seconds of rest before the next cycle may start.
    rest_s: f64,
}

impl Appliance {
    pub fn new(kind: ApplianceKind, rng: &mut impl Rng) -> Appliance {
        let rest_s = match kind {
            ApplianceKind::Fridge => rng.random_range(0.0..1_500.0),
            _ => 0.0,
        };
        Appliance { kind, power_w: 0.0, energy_kwh: rng.random_range(20.0..900.0), running_s: None, rest_s }
    }

    pub fn is_on(&self) -> bool {
        self.running_s.is_some()
    }

    /// Lets `dt_s` seconds pass; power is the mean over the step, so that energy is right at any step width.
    pub fn step(&mut self, dt_s: f64, hour: f64, presence: Presence, rng: &mut impl Rng) {
        let draw: f64 = rng.random();
        let wobble: f64 = rng.random_range(-0.02..0.02);
        if self.running_s.is_none() {
            self.rest_s -= dt_s;
            if self.rest_s <= 0.0
                && draw < 1.0 - (-self.starts_per_hour(hour, presence) * dt_s / 3_600.0).exp()
            {
                self.running_s = Some(0.0);
            }
        }
        let joules = self.advance(dt_s);
        self.power_w = (joules / dt_s.max(1e-9) + self.standby_w()) * (1.0 + wobble);
        self.energy_kwh += self.power_w * dt_s / 3.6e6;
    }

    fn starts_per_hour(&self, hour: f64, presence: Presence) -> f64 {
        match (self.kind, presence) {
            // The compressor starts when its rest is over.
            (ApplianceKind::Fridge, _) => f64::INFINITY,
            (ApplianceKind::Washer, Presence::Awake) if (8.0..20.0).contains(&hour) => 0.12,
            (ApplianceKind::Kettle, Presence::Awake) if (6.0..9.5).contains(&hour) => 1.4,
            (ApplianceKind::Kettle, Presence::Awake) => 0.35,
            _ => 0.0,
        }
    }

    fn standby_w(&self) -> f64 {
        match self.kind {
            ApplianceKind::Fridge => 1.2,
            ApplianceKind::Washer => 0.6,
            ApplianceKind::Kettle => 0.0,
        }
    }

    fn cycle(&self) -> &'static [Phase] {
        match self.kind {
            ApplianceKind::Fridge => &COMPRESS,
            ApplianceKind::Washer => &WASH,
            ApplianceKind::Kettle => &BOIL,
        }
    }

    /// Moves through the cycle and returns the energy drawn, J.
    fn advance(&mut self, dt_s: f64) -> f64 {
        let Some(from) = self.running_s else { return 0.0 };
        let to = from + dt_s;
        let mut joules = 0.0;
        let mut begin = 0.0;
        for (seconds, watts) in self.cycle() {
            let end = begin + seconds;
            joules += watts * (to.min(end) - from.max(begin)).max(0.0);
            begin = end;
        }
        self.running_s = if to < begin { Some(to) } else { None };
        if self.running_s.is_none() {
            self.rest_s = match self.kind {
                ApplianceKind::Fridge => 1_450.0,
                ApplianceKind::Washer => 7_200.0,
                ApplianceKind::Kettle => 240.0,
            };
        }
        joules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_fridge_takes_about_one_kilowatt_hour_a_day() {
        for step_s in [1.0, 60.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut fridge = Appliance::new(ApplianceKind::Fridge, &mut rng);
            let before = fridge.energy_kwh;
            for _ in 0..(86_400.0 / step_s) as u32 {
                fridge.step(step_s, 12.0, Presence::Away, &mut rng);
            }
            let day = fridge.energy_kwh - before;
            assert!((0.5..1.4).contains(&day), "{day} kWh in steps of {step_s} s");
        }
    }

    #[test]
    fn nobody_boils_water_in_an_empty_house() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut kettle = Appliance::new(ApplianceKind::Kettle, &mut rng);
        for _ in 0..10_000 {
            kettle.step(10.0, 8.0, Presence::Away, &mut rng);
            assert!(!kettle.is_on());
        }
    }
}
