//! How simulated time runs beside real time.

use springhouse_model::Timestamp;

/// A simulated clock: begins at some time, runs by a factor of real time, and never overtakes it.
///
/// With a start in the past it fills in history until it has caught up, then goes on live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    pub start: Timestamp,
    /// Simulated seconds per real second; infinite fills in the past as fast as the hub takes it.
    pub warp: f64,
}

impl Pace {
    /// Live: simulated time is real time.
    pub fn live(now: Timestamp) -> Pace {
        Pace { start: now, warp: 1.0 }
    }

    /// The simulated time when `elapsed_s` real seconds have passed since the begin and it is `real` now.
    pub fn simulated(&self, elapsed_s: f64, real: Timestamp) -> Timestamp {
        if self.warp.is_infinite() {
            return real;
        }
        let advanced = self.start.plus_micros((elapsed_s * self.warp * 1e6) as i64);
        if advanced > real { real } else { advanced }
    }

    /// The width of steps while catching up: fine enough for a chart of hours, coarse enough to be quick.
    pub fn step_s(&self, behind_s: f64) -> f64 {
        match behind_s {
            b if b > 3_600.0 => 60.0,
            b if b > 300.0 => 10.0,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warped_time_catches_up_and_then_walks_beside_real_time() {
        let real = Timestamp(1_000_000_000);
        let pace = Pace { start: Timestamp(0), warp: 60.0 };
        assert_eq!(pace.simulated(1.0, real), Timestamp(60_000_000));
        assert_eq!(pace.simulated(1_000.0, real), real);
        assert_eq!(Pace { warp: f64::INFINITY, ..pace }.simulated(0.0, real), real);
    }
}
