//! Readings of sensors in several cities: what the dataflows of RIoTBench are asked of.
//!
//! The columns are those of the CITY data set in A. Shukla, S. Chaturvedi and Y. Simmhan, "RIoTBench: An IoT benchmark for
//! distributed stream processing systems" (Concurrency and Computation 29(21), 2017), which came from "Sense your City". The values are
//! made here: warm by day and bright, damp when it is cold, dusty at rush hour, each sensor a little different from its
//! neighbors. Every sensor reports once a minute. Some readings are wrong in ways that the dataflows deal with: of a thousand readings
//! 20 lack a value, 5 have one that cannot be, 20 come from sensors that nobody knows; messages arrive up to 3 s late.
//!
//! Event time begins at 2026-01-01T00:00:00Z. The same options give the same bytes.

use std::f64::consts::TAU;
use std::io::{self, Write};

use crate::arrivals::Arrivals;
use crate::random::Random;

const START_MS: u64 = 1_767_225_600_000;
const MINUTE_MS: u64 = 60_000;
const MEASURES: [&str; 5] = ["temperature", "humidity", "light", "dust", "airquality_raw"];
const DELAY_MS: u64 = 3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityOptions {
    pub readings: u64,
    pub seed: u64,
    /// Known sensors; for every fifty of them one that is not.
    pub sensors: u64,
}

impl Default for CityOptions {
    fn default() -> CityOptions {
        CityOptions { readings: 100_000, seed: 1, sensors: 50 }
    }
}

/// What a sensor has measured at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct CityReading {
    /// Event time in milliseconds since 1970.
    pub ts_ms: u64,
    pub sensor: String,
    pub longitude: f64,
    pub latitude: f64,
    /// Degrees Celsius, percent, lux, particles a cubic foot in hundreds, and the raw value of a gas sensor.
    pub measures: [Option<f64>; 5],
}

impl CityReading {
    /// One object a line; a value that is missing is left out.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let CityReading { ts_ms, sensor, longitude, latitude, measures } = self;
        write!(
            out,
            "{{\"ts\":{ts_ms},\"device\":\"{sensor}\",\"longitude\":{longitude},\"latitude\":{latitude}"
        )?;
        for (name, value) in MEASURES.iter().zip(measures) {
            if let Some(value) = value {
                write!(out, ",\"{name}\":{value}")?;
            }
        }
        out.write_all(b"}\n")
    }
}

/// Where sensors stand: longitude, latitude, and how warm it is there on average.
const CITIES: [(f64, f64, f64); 7] = [
    (77.59, 12.97, 22.0),
    (-71.06, 42.36, 2.0),
    (6.14, 46.2, 4.0),
    (-43.17, -22.91, 27.0),
    (-122.42, 37.77, 11.0),
    (121.47, 31.23, 7.0),
    (103.82, 1.35, 28.0),
];

/// The readings in the order of their arrival.
pub struct City {
    random: Random,
    options: CityOptions,
    next: u64,
    arrivals: Arrivals<CityReading>,
}

impl City {
    pub fn new(options: CityOptions) -> City {
        City { random: Random::new(options.seed), options, next: 0, arrivals: Arrivals::new() }
    }

    /// The reading of a number, counted from 0; they are asked for one after the other.
    fn reading(&mut self, number: u64) -> CityReading {
        let known = self.options.sensors.max(1);
        let all = known + known / 50;
        let (minute, place) = (number / all, number % all);
        let ts_ms = START_MS + minute * MINUTE_MS + place * MINUTE_MS / all;
        let (longitude, latitude, warmth) = CITIES[(place % CITIES.len() as u64) as usize];
        let sensor = match place < known {
            true => format!("sensor-{place:03}"),
            false => format!("stranger-{:03}", place - known),
        };
        let hour = (ts_ms % 86_400_000) as f64 / 3_600_000.0 + longitude / 15.0;
        let mut measures = self.measures(hour.rem_euclid(24.0), warmth, place).map(Some);
        // Which of the measures it is, is drawn where one is wrong.
        match self.random.below(1_000) {
            0..20 => measures[self.random.below(5) as usize] = None,
            20..23 => measures[self.random.below(5) as usize] = Some(99_999.0),
            23..25 => measures[self.random.below(5) as usize] = Some(-999.0),
            _ => {}
        }
        CityReading { ts_ms, sensor, longitude, latitude, measures }
    }

    /// At an hour of the local day.
    fn measures(&mut self, hour: f64, warmth: f64, place: u64) -> [f64; 5] {
        let day = |highest: f64| ((hour - highest) / 24.0 * TAU).cos();
        let rush = |at: f64| (-((hour - at) / 2.0).powi(2)).exp();
        let own = (place * 37 % 100) as f64 / 50.0 - 1.0;
        let warmer = 6.0 * day(15.0) + own + self.noise(0.5);
        let dust = 300.0 + 900.0 * (rush(8.0) + rush(18.0)) + self.noise(50.0);
        let measures = [
            warmth + warmer,
            70.0 - 2.0 * warmer + self.noise(3.0),
            1_500.0 + 9_000.0 * day(12.0).max(0.0) + self.noise(100.0),
            dust,
        ];
        let [temperature, humidity, light, dust] = measures.map(|value| (value * 100.0).round() / 100.0);
        [temperature, humidity, light, dust, (20.0 + dust / 20.0 + self.noise(5.0)).round()]
    }

    /// Up to so much more or less.
    fn noise(&mut self, most: f64) -> f64 {
        (2.0 * self.random.share() - 1.0) * most
    }
}

impl Iterator for City {
    type Item = CityReading;

    fn next(&mut self) -> Option<CityReading> {
        while self.next < self.options.readings {
            let reading = self.reading(self.next);
            let measured_ms = reading.ts_ms;
            self.arrivals.send(measured_ms + self.random.below(DELAY_MS + 1), reading);
            self.next += 1;
            if let Some(reading) = self.arrivals.next_by(measured_ms) {
                return Some(reading);
            }
        }
        self.arrivals.next()
    }
}

/// Writes the readings as NDJSON, in the order of their arrival.
pub fn write_city(options: CityOptions, out: &mut impl Write) -> io::Result<()> {
    City::new(options).try_for_each(|reading| reading.write(out))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn some() -> Vec<CityReading> {
        City::new(CityOptions { readings: 100_000, ..CityOptions::default() }).collect()
    }

    #[test]
    fn every_sensor_reports_once_a_minute_and_some_are_strangers() {
        let readings = some();
        let sensors: BTreeSet<&str> = readings.iter().map(|reading| reading.sensor.as_str()).collect();
        assert_eq!(sensors.len(), 51);
        let mut of_one: Vec<u64> = readings
            .iter()
            .filter(|reading| reading.sensor == "stranger-000")
            .map(|reading| reading.ts_ms)
            .collect();
        of_one.sort_unstable();
        assert!(of_one.len() >= 1_960 && of_one.windows(2).all(|pair| pair[1] - pair[0] == MINUTE_MS));
    }

    #[test]
    fn readings_arrive_out_of_order_by_at_most_three_seconds() {
        let (mut newest, mut disordered) = (0, 0);
        for reading in some() {
            disordered += i32::from(reading.ts_ms < newest);
            assert!(reading.ts_ms + DELAY_MS >= newest);
            newest = newest.max(reading.ts_ms);
        }
        assert!(disordered > 10_000, "{disordered}");
    }

    #[test]
    fn a_few_values_are_missing_or_cannot_be_and_all_others_are_plausible() {
        let readings = some();
        let values = || readings.iter().flat_map(|reading| reading.measures);
        let missing = values().filter(Option::is_none).count();
        let impossible = values().flatten().filter(|value| *value == 99_999.0 || *value == -999.0).count();
        assert!((1_800..2_200).contains(&missing) && (400..600).contains(&impossible));
        // The ranges by which RIoTBench filters its CITY data (tasks_CITY.properties).
        let ranges = [-12.5..=43.1, 10.7..=95.2, 1345.0..=26282.0, 186.61..=5188.21, 17.0..=363.0];
        let outside = readings.iter().flat_map(|reading| reading.measures.iter().zip(&ranges));
        let outside = outside.filter(|(value, range)| value.is_some_and(|value| !range.contains(&value)));
        assert_eq!(outside.count(), impossible);
    }

    #[test]
    fn the_bytes_are_fixed() {
        let mut bytes = Vec::new();
        write_city(CityOptions { readings: 10_000, ..CityOptions::default() }, &mut bytes).unwrap();
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!((bytes.len(), sum), (1_648_294, 0x9d5b_ff18_aa9b_c45a));
    }
}
