//! Who is at home: a Markov chain whose rates follow the hour and the day of the week.

use rand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Away,
    Awake,
    Asleep,
}

impl Presence {
    /// Where people most likely are at this hour; the chain starts here.
    pub fn usual(hour: f64, weekend: bool) -> Presence {
        match hour {
            h if !(6.0..23.0).contains(&h) => Presence::Asleep,
            h if !weekend && (8.5..16.0).contains(&h) => Presence::Away,
            _ => Presence::Awake,
        }
    }

    /// Lets `dt_s` seconds pass.
    pub fn step(self, dt_s: f64, hour: f64, weekend: bool, rng: &mut impl Rng) -> Presence {
        let (next, per_hour) = self.way_on(hour, weekend);
        // One draw a step, taken or not, keeps the sequence of random numbers independent of the state.
        let draw: f64 = rng.random();
        if draw < 1.0 - (-per_hour * dt_s / 3_600.0).exp() { next } else { self }
    }

    /// Where people go next and how often an hour.
    fn way_on(self, hour: f64, weekend: bool) -> (Presence, f64) {
        let night = !(6.0..22.5).contains(&hour);
        match self {
            Presence::Asleep if night => (Presence::Awake, 0.04),
            Presence::Asleep => (Presence::Awake, if weekend { 0.8 } else { 2.5 }),
            Presence::Awake if night => (Presence::Asleep, 1.8),
            Presence::Awake if !weekend && (7.0..10.0).contains(&hour) => (Presence::Away, 1.4),
            Presence::Awake => (Presence::Away, 0.15),
            Presence::Away if (15.5..24.0).contains(&hour) => (Presence::Awake, 0.9),
            Presence::Away if night => (Presence::Asleep, 0.8),
            Presence::Away => (Presence::Awake, if weekend { 0.5 } else { 0.08 }),
        }
    }

    pub fn is_home(self) -> bool {
        self != Presence::Away
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn people_mostly_sleep_at_night_and_work_by_day() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut presence = Presence::Asleep;
        let (mut asleep_at_three, mut away_at_eleven) = (0, 0);
        for minute in 0..100 * 1_440 {
            let hour = f64::from(minute % 1_440) / 60.0;
            presence = presence.step(60.0, hour, false, &mut rng);
            asleep_at_three += i32::from(hour == 3.0 && presence == Presence::Asleep);
            away_at_eleven += i32::from(hour == 11.0 && presence == Presence::Away);
        }
        assert!(asleep_at_three > 80, "{asleep_at_three}");
        assert!(away_at_eleven > 60, "{away_at_eleven}");
    }
}
