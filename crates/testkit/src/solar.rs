//! Where the sun stands and what a roof makes of it.

use crate::region::Region;

/// The sun as a house sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sun {
    /// Height over the horizon, radians; negative at night.
    pub elevation: f64,
    /// From north over east, radians.
    pub azimuth: f64,
}

/// Position of the sun by declination and equation of time (Spencer 1971, as in Duffie & Beckman, *Solar
/// Engineering of Thermal Processes*, ch. 1.5-1.6); good to about half a degree.
pub fn position(region: &Region, at_s: f64) -> Sun {
    let day_of_year = (at_s / 86_400.0).rem_euclid(365.2425);
    let b = std::f64::consts::TAU * day_of_year / 365.2425;
    let declination = 0.006918 - 0.399912 * b.cos() + 0.070257 * b.sin() - 0.006758 * (2.0 * b).cos()
        + 0.000907 * (2.0 * b).sin()
        - 0.002697 * (3.0 * b).cos()
        + 0.00148 * (3.0 * b).sin();
    let equation_min = 229.18
        * (0.000075 + 0.001868 * b.cos()
            - 0.032077 * b.sin()
            - 0.014615 * (2.0 * b).cos()
            - 0.04089 * (2.0 * b).sin());
    let hour = region.local_hour(at_s) + equation_min / 60.0;
    let hour_angle = (hour - 12.0) * std::f64::consts::PI / 12.0;
    let latitude = region.latitude_deg.to_radians();
    let sine = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    let elevation = sine.clamp(-1.0, 1.0).asin();
    let azimuth = std::f64::consts::PI
        + hour_angle.sin().atan2(hour_angle.cos() * latitude.sin() - declination.tan() * latitude.cos());
    Sun { elevation, azimuth }
}

/// Global irradiance on flat ground under a clear sky, W/m² (Haurwitz 1945).
pub fn clear_sky(sun: Sun) -> f64 {
    let sine = sun.elevation.sin();
    if sine <= 0.0 { 0.0 } else { 1_098.0 * sine * (-0.057 / sine).exp() }
}

/// Panels on a roof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Panels {
    /// Power at 1,000 W/m² on the panel, W.
    pub peak_w: f64,
    pub tilt: f64,
    /// From north over east, radians.
    pub azimuth: f64,
    /// Largest output of the inverter, W.
    pub inverter_w: f64,
}

impl Panels {
    /// Output for the irradiance on flat ground and the share of it that comes straight from the sun.
    pub fn power_w(&self, sun: Sun, ground: f64, direct_share: f64, outside_c: f64) -> f64 {
        if ground <= 0.0 {
            return 0.0;
        }
        let incidence = sun.elevation.sin() * self.tilt.cos()
            + sun.elevation.cos() * self.tilt.sin() * (sun.azimuth - self.azimuth).cos();
        // Near the horizon the ratio of the two sines explodes; no roof gains more than fourfold.
        let direct = ground * direct_share * (incidence.max(0.0) / sun.elevation.sin().max(0.05)).min(4.0);
        let diffuse = ground * (1.0 - direct_share) * (1.0 + self.tilt.cos()) / 2.0;
        let irradiance = direct + diffuse;
        // Cells lose 0.4 % a kelvin over 25 °C and run some 25 K over the air in full sun.
        let cell_c = outside_c + 0.025 * irradiance;
        let efficiency = (1.0 - 0.004 * (cell_c - 25.0)) * 0.92;
        (self.peak_w * irradiance / 1_000.0 * efficiency).clamp(0.0, self.inverter_w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::REGIONS;

    const SUMMER_NOON: f64 = 1_782_043_200.0 + 43_200.0; // 2026-06-21T12:00:00Z + offset below
    const WINTER_MIDNIGHT: f64 = 1_766_275_200.0; // 2025-12-21T00:00:00Z

    #[test]
    fn the_sun_stands_where_the_almanac_says() {
        let coast = REGIONS[0];
        // At solar noon of the solstice the sun stands at 90° - latitude + 23.44°.
        let highest = (0..1_440)
            .map(|minute| position(&coast, SUMMER_NOON - 43_200.0 + f64::from(minute) * 60.0).elevation)
            .fold(f64::MIN, f64::max)
            .to_degrees();
        assert!((highest - (90.0 - 53.9 + 23.44)).abs() < 0.5, "{highest}");
        assert!(position(&coast, WINTER_MIDNIGHT).elevation < -0.9);
    }

    #[test]
    fn panels_rest_at_night_and_stay_under_the_inverter() {
        let panels =
            Panels { peak_w: 9_000.0, tilt: 0.6, azimuth: std::f64::consts::PI, inverter_w: 8_000.0 };
        for minute in 0..1_440 {
            let at = SUMMER_NOON - 43_200.0 + f64::from(minute) * 60.0;
            let sun = position(&REGIONS[1], at);
            let power = panels.power_w(sun, clear_sky(sun), 0.8, 20.0);
            assert!((0.0..=8_000.0).contains(&power));
            assert!(sun.elevation > 0.0 || power == 0.0);
        }
    }
}
