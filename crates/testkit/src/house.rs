//! The heat of a house: two capacities (air, walls), three resistances, one heater that is on or off.
//!
//! ```text
//!  outside ──R_wall── walls ──R_inner── air ──R_air── outside
//!                      C_walls           C_air ◀── heater, sun through windows, people
//! ```
//! A 2R2C model with a path for windows and ventilation, as in Bacher & Madsen, *Identifying suitable models for
//! the heat dynamics of buildings*, Energy and Buildings 43 (2011).

use crate::weather::Weather;

/// Longest step of the explicit integration; far below the shortest time constant (air against walls, 2 h).
const STEP_S_MAX: f64 = 30.0;
/// Half the width of the thermostat's dead band, K.
const HYSTERESIS_K: f64 = 0.35;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heater {
    /// Makes heat from electricity and outside air.
    HeatPump { heat_w: f64 },
    /// Burns gas; its pump and fan draw a little electricity.
    Boiler { heat_w: f64 },
}

impl Heater {
    fn heat_w(self) -> f64 {
        match self {
            Heater::HeatPump { heat_w } | Heater::Boiler { heat_w } => heat_w,
        }
    }

    /// Electric power while running.
    pub fn electric_w(self, outside_c: f64) -> f64 {
        match self {
            // A coefficient of performance of 2.6 at -10 °C and 4.4 at 12 °C, about what field tests report.
            Heater::HeatPump { heat_w } => heat_w / (3.4 + 0.08 * outside_c).clamp(2.0, 5.0),
            Heater::Boiler { .. } => 65.0,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct House {
    pub air_c: f64,
    pub walls_c: f64,
    pub heating: bool,
    pub heater: Heater,
    /// J/K
    air_capacity: f64,
    walls_capacity: f64,
    /// K/W
    air_to_walls: f64,
    walls_to_outside: f64,
    air_to_outside: f64,
    /// Effective window area, m².
    window_m2: f64,
}

impl House {
    /// A house of some size; `size` 1 is a detached house of 140 m², `start_c` what its rooms begin with.
    pub fn new(size: f64, heater: Heater, start_c: f64) -> House {
        House {
            air_c: start_c,
            walls_c: start_c - 0.8,
            heating: false,
            heater,
            air_capacity: 4.5e6 * size,
            walls_capacity: 4.0e7 * size,
            air_to_walls: 0.0018 / size,
            walls_to_outside: 0.0125 / size,
            air_to_outside: 0.0140 / size,
            window_m2: 4.0 * size,
        }
    }

    /// Lets `dt_s` seconds pass; `gains_w` is the heat of people and appliances. Returns the seconds of heating.
    pub fn step(&mut self, dt_s: f64, weather: &Weather, setpoint_c: f64, gains_w: f64) -> f64 {
        let steps = (dt_s / STEP_S_MAX).ceil().max(1.0);
        let step_s = dt_s / steps;
        let mut heated_s = 0.0;
        for _ in 0..steps as u32 {
            self.switch(setpoint_c);
            if self.heating {
                heated_s += step_s;
            }
            self.integrate(step_s, weather, gains_w);
        }
        heated_s
    }

    fn switch(&mut self, setpoint_c: f64) {
        if self.air_c < setpoint_c - HYSTERESIS_K {
            self.heating = true;
        } else if self.air_c > setpoint_c + HYSTERESIS_K {
            self.heating = false;
        }
    }

    fn integrate(&mut self, step_s: f64, weather: &Weather, gains_w: f64) {
        let heat_w = if self.heating { self.heater.heat_w() } else { 0.0 };
        let sun_w = weather.irradiance * self.window_m2;
        let into_walls = (self.air_c - self.walls_c) / self.air_to_walls;
        let out_of_walls = (self.walls_c - weather.temperature_c) / self.walls_to_outside;
        let out_of_air = (self.air_c - weather.temperature_c) / self.air_to_outside;
        self.air_c += step_s * (heat_w + gains_w + 0.5 * sun_w - into_walls - out_of_air) / self.air_capacity;
        self.walls_c += step_s * (into_walls + 0.5 * sun_w - out_of_walls) / self.walls_capacity;
        // People open windows before it gets unbearable.
        if self.air_c > 27.0 {
            self.air_c += (weather.temperature_c.min(self.air_c) - self.air_c) * (step_s / 1_800.0).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::REGIONS;

    #[test]
    fn the_thermostat_keeps_a_winter_house_at_its_set_point() {
        let mut house = House::new(1.0, Heater::HeatPump { heat_w: 8_000.0 }, 20.0);
        let start = 1_767_225_600.0;
        let mut switches = 0;
        for minute in 0..2_880 {
            let weather = Weather::at(3, &REGIONS[1], start + f64::from(minute) * 60.0);
            let before = house.heating;
            house.step(60.0, &weather, 21.0, 300.0);
            switches += i32::from(before != house.heating);
            if minute > 600 {
                assert!((20.0..23.0).contains(&house.air_c), "minute {minute}: {house:?}");
            }
        }
        assert!((4..400).contains(&switches), "{switches}");
    }

    #[test]
    fn one_long_step_and_many_short_ones_agree() {
        let weather = Weather::at(3, &REGIONS[0], 1_767_225_600.0);
        let mut long = House::new(1.0, Heater::Boiler { heat_w: 12_000.0 }, 20.0);
        let mut short = long.clone();
        long.step(300.0, &weather, 21.0, 200.0);
        for _ in 0..30 {
            short.step(10.0, &weather, 21.0, 200.0);
        }
        assert!((long.air_c - short.air_c).abs() < 0.1);
    }
}
