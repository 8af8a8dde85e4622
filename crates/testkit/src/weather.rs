//! The weather of a region: one answer for a time, the same for all homes that share it.

use crate::noise::autoregressive;
use crate::region::Region;
use crate::solar::{self, Sun};

const CLOUDS: u64 = 1;
const FRONTS: u64 = 2;
const GUSTS: u64 = 3;
const MOISTURE: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    pub temperature_c: f64,
    /// Relative, percent.
    pub humidity: f64,
    pub sun: Sun,
    /// Global irradiance on flat ground, W/m².
    pub irradiance: f64,
    /// Share of the irradiance that comes straight from the sun.
    pub direct_share: f64,
}

impl Weather {
    /// The weather at a time, from season, time of day and clouds.
    pub fn at(seed: u64, region: &Region, at_s: f64) -> Weather {
        let seed = seed ^ region.latitude_deg.to_bits();
        let sun = solar::position(region, at_s);
        let transmission = transmission(seed, at_s);
        let irradiance = solar::clear_sky(sun) * transmission;
        let temperature_c = temperature(seed, region, at_s, transmission);
        let moisture = autoregressive(seed, MOISTURE, at_s, 3_600.0, 0.95);
        let afternoon = day_wave(region, at_s);
        let humidity =
            (74.0 - 14.0 * afternoon + 8.0 * moisture + 10.0 * (1.0 - transmission)).clamp(25.0, 100.0);
        Weather { temperature_c, humidity, sun, irradiance, direct_share: 0.85 * transmission }
    }
}

/// Share of the clear sky that the clouds let through: slow fronts with faster clouds on them, both AR(1).
fn transmission(seed: u64, at_s: f64) -> f64 {
    let fronts = autoregressive(seed, FRONTS, at_s, 3_600.0, 0.97);
    let clouds = autoregressive(seed, CLOUDS, at_s, 120.0, 0.93);
    let cover = 0.45 + 0.35 * fronts;
    (1.0 - 0.75 * cover.clamp(0.0, 1.0) + 0.16 * clouds * cover.clamp(0.1, 0.9)).clamp(0.08, 1.0)
}

/// Season (coldest around 20 January), time of day (warmest around 15 h, more under a clear sky), fronts, gusts.
fn temperature(seed: u64, region: &Region, at_s: f64, transmission: f64) -> f64 {
    let day_of_year = (at_s / 86_400.0).rem_euclid(365.2425);
    let season = -region.season_k * ((day_of_year - 20.0) / 365.2425 * std::f64::consts::TAU).cos();
    let day = (2.0 + 3.5 * transmission) * day_wave(region, at_s);
    let front = 3.0 * autoregressive(seed, FRONTS + 100, at_s, 7_200.0, 0.97);
    let gust = 0.15 * autoregressive(seed, GUSTS, at_s, 60.0, 0.9);
    region.mean_c + season + day + front + gust
}

/// -1 before dawn to 1 in the middle of the afternoon.
fn day_wave(region: &Region, at_s: f64) -> f64 {
    ((region.local_hour(at_s) - 15.0) / 24.0 * std::f64::consts::TAU).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::REGIONS;

    #[test]
    fn a_year_of_weather_is_plausible() {
        let start = 1_767_225_600.0;
        let (mut winter, mut summer) = (0.0, 0.0);
        for hour in 0..8_760 {
            let weather = Weather::at(1, &REGIONS[1], start + f64::from(hour) * 3_600.0);
            assert!((-30.0..45.0).contains(&weather.temperature_c), "{weather:?}");
            assert!((0.0..1_150.0).contains(&weather.irradiance));
            assert!((25.0..=100.0).contains(&weather.humidity));
            match hour / 730 {
                0 => winter += weather.temperature_c / 730.0,
                6 => summer += weather.temperature_c / 730.0,
                _ => {}
            }
        }
        assert!(summer - winter > 12.0, "summer {summer}, winter {winter}");
    }
}
