//! Where homes stand: what decides sun and season for all of them.

/// A region of homes that share their weather.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    pub name: &'static str,
    pub latitude_deg: f64,
    pub longitude_deg: f64,
    /// Mean temperature of the year, °C.
    pub mean_c: f64,
    /// Half the difference between the warmest and the coldest day of the mean year, K.
    pub season_k: f64,
}

/// The regions over which homes are spread in turn.
pub const REGIONS: [Region; 3] = [
    Region { name: "coast", latitude_deg: 53.9, longitude_deg: 8.7, mean_c: 9.6, season_k: 8.2 },
    Region { name: "foothills", latitude_deg: 47.8, longitude_deg: 12.1, mean_c: 8.3, season_k: 10.1 },
    Region { name: "valley", latitude_deg: 48.9, longitude_deg: 8.4, mean_c: 11.2, season_k: 9.4 },
];

impl Region {
    /// The region of the home with this number.
    pub fn of_home(number: u32) -> Region {
        REGIONS[number as usize % REGIONS.len()]
    }

    /// Hours after midnight by the sun; a household lives closer to it than to any time zone's rule.
    pub fn local_hour(&self, at_s: f64) -> f64 {
        (at_s / 3_600.0 + self.longitude_deg / 15.0).rem_euclid(24.0)
    }

    /// Days since 1970 by the same time; 1970-01-01 was a Thursday.
    pub fn is_weekend(&self, at_s: f64) -> bool {
        let day = (at_s / 86_400.0 + self.longitude_deg / 360.0).floor() as i64;
        matches!((day + 3).rem_euclid(7), 5 | 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_are_saturday_and_sunday() {
        let noon = |day: i64| (day * 86_400 + 43_200) as f64;
        let region = REGIONS[0];
        // 2026-01-01 (day 20,454) was a Thursday.
        let week: Vec<bool> = (20_454..20_461).map(|day| region.is_weekend(noon(day))).collect();
        assert_eq!(week, [false, false, true, true, false, false, false]);
    }
}
