//! A home with its devices: thermostat, meter, panels, lock, door, motion and plugs around one household.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use springhouse_model::Timestamp;

use crate::appliance::{Appliance, ApplianceKind};
use crate::faults::{Fault, Injector};
use crate::house::{Heater, House};
use crate::occupancy::Presence;
use crate::reading::{Field, Reading, Sample};
use crate::region::Region;
use crate::solar::Panels;
use crate::weather::Weather;

/// Seconds between two readings of a stream. A person who looks at a page sees the meter move at once.
const INTERVALS: [(&str, f64); 7] = [
    ("climate", 10.0),
    ("meter", 2.0),
    ("solar", 5.0),
    ("lock", 60.0),
    ("contact", 60.0),
    ("motion", 15.0),
    ("plug", 5.0),
];

#[derive(Clone, Debug, Default)]
pub struct HomeOptions {
    pub seed: u64,
    /// From 1; names the site (`home-07`), chooses region and equipment.
    pub number: u32,
    pub faults: Vec<Fault>,
}

/// One household. [`Home::step`] lets time pass and returns what its devices send.
#[derive(Clone, Debug)]
pub struct Home {
    site: String,
    region: Region,
    weather_seed: u64,
    rng: ChaCha8Rng,
    injector: Injector,
    house: Option<House>,
    heater: Heater,
    size: f64,
    comfort_c: f64,
    presence: Presence,
    appliances: Vec<Appliance>,
    panels: Option<Panels>,
    solar_w: f64,
    grid_w: f64,
    energy: Energy,
    locked: bool,
    door_open_s: f64,
    moved_s: f64,
    indoor_humidity: f64,
    battery: [f64; 2],
    /// When each entry of [`INTERVALS`] is due, and whether something happened that is reported at once.
    due_s: [f64; INTERVALS.len()],
    setpoint_c: f64,
    heated_share: f64,
}

#[derive(Clone, Copy, Debug)]
struct Energy {
    import_kwh: f64,
    export_kwh: f64,
    solar_kwh: f64,
}

impl Home {
    pub fn new(options: HomeOptions) -> Home {
        let number = options.number;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (u64::from(number) << 32));
        let injector = Injector::new(options.faults, ChaCha8Rng::from_rng(&mut rng));
        let size = rng.random_range(0.6..1.4);
        let heater = if rng.random::<f64>() < 0.6 {
            Heater::HeatPump { heat_w: 9_000.0 * size }
        } else {
            Heater::Boiler { heat_w: 13_000.0 * size }
        };
        let peak_w = rng.random_range(4_000.0..11_000.0);
        let panels = Panels {
            peak_w,
            tilt: rng.random_range(0.4_f64..0.8),
            azimuth: std::f64::consts::PI + rng.random_range(-0.9..0.9),
            inverter_w: peak_w * 0.85,
        };
        // The first home has everything, so that a single home shows all streams; of the others two in three have panels.
        let has_panels = number <= 1 || rng.random::<f64>() < 0.66;
        let appliances = ApplianceKind::ALL.iter().map(|kind| Appliance::new(*kind, &mut rng)).collect();
        Home {
            site: site_name(number),
            region: Region::of_home(number),
            weather_seed: options.seed,
            injector,
            house: None,
            heater,
            size,
            comfort_c: 21.0 + rng.random_range(-1.0..1.0),
            presence: Presence::Awake,
            appliances,
            panels: has_panels.then_some(panels),
            solar_w: 0.0,
            grid_w: 0.0,
            energy: Energy {
                import_kwh: rng.random_range(2_000.0..30_000.0),
                export_kwh: if has_panels { rng.random_range(500.0..20_000.0) } else { 0.0 },
                solar_kwh: rng.random_range(1_000.0..40_000.0),
            },
            locked: true,
            door_open_s: 0.0,
            moved_s: f64::INFINITY,
            indoor_humidity: 45.0,
            battery: [rng.random_range(40.0..100.0), rng.random_range(40.0..100.0)],
            due_s: [f64::NEG_INFINITY; INTERVALS.len()],
            setpoint_c: 21.0,
            heated_share: 0.0,
            rng,
        }
    }

    /// The name of the site, the first part of the names of its devices.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Lets the `dt_s` seconds up to `now` pass and returns the readings that are due then. A step may be a second
    /// (live) or a minute (filling in the past); readings of a stream come no more often than steps are taken.
    pub fn step(&mut self, now: Timestamp, dt_s: f64) -> Vec<Reading> {
        let now_s = now.micros() as f64 / 1e6;
        let weather = Weather::at(self.weather_seed, &self.region, now_s);
        self.live(now_s, dt_s, &weather);
        let samples = self.samples(now, now_s, &weather);
        self.injector.spoil(now_s, samples).into_iter().map(Sample::into_reading).collect()
    }

    fn live(&mut self, now_s: f64, dt_s: f64, weather: &Weather) {
        let hour = self.region.local_hour(now_s);
        let weekend = self.region.is_weekend(now_s);
        if self.house.is_none() {
            self.presence = Presence::usual(hour, weekend);
            self.setpoint_c = self.scheduled_setpoint(hour);
            let start_c = self.setpoint_c + self.rng.random_range(-0.3..0.3);
            self.house = Some(House::new(self.size, self.heater, start_c));
            self.locked = self.presence != Presence::Awake;
        }
        let before = self.presence;
        self.presence = before.step(dt_s, hour, weekend, &mut self.rng);
        self.setpoint_c = self.scheduled_setpoint(hour);
        self.move_about(before, dt_s);
        for appliance in &mut self.appliances {
            appliance.step(dt_s, hour, self.presence, &mut self.rng);
        }
        self.balance(dt_s, hour, weather);
        for battery in &mut self.battery {
            // About two years for a set of cells; they are changed at 8 %.
            *battery = if *battery < 8.0 { 100.0 } else { *battery - dt_s / 86_400.0 * 0.13 };
        }
    }

    fn scheduled_setpoint(&self, hour: f64) -> f64 {
        match self.presence {
            Presence::Asleep => self.comfort_c - 2.5,
            Presence::Away => self.comfort_c - 1.5,
            // Warm for the evening.
            Presence::Awake if (17.0..22.0).contains(&hour) => self.comfort_c + 0.5,
            Presence::Awake => self.comfort_c,
        }
    }

    /// Door, lock and motion follow the people; a change is reported at once.
    fn move_about(&mut self, before: Presence, dt_s: f64) {
        let was_open = self.door_open_s > 0.0;
        let was_locked = self.locked;
        let had_moved = self.has_moved();
        let draws: [f64; 3] = self.rng.random();
        self.door_open_s -= dt_s;
        if before.is_home() != self.presence.is_home() {
            self.door_open_s = 10.0 + 30.0 * draws[0];
        }
        self.locked = self.presence != Presence::Awake;
        let moves_per_hour = match self.presence {
            Presence::Away => 0.02,
            Presence::Asleep => 0.6,
            Presence::Awake => 40.0,
        };
        self.moved_s = if draws[1] < 1.0 - (-moves_per_hour * dt_s / 3_600.0_f64).exp() {
            0.0
        } else {
            self.moved_s + dt_s
        };
        for (stream, changed) in [
            ("contact", was_open != (self.door_open_s > 0.0)),
            ("lock", was_locked != self.locked),
            ("motion", had_moved != self.has_moved()),
        ] {
            if changed {
                self.report_at_once(stream);
            }
        }
    }

    /// A motion sensor keeps its word for two minutes.
    fn has_moved(&self) -> bool {
        self.moved_s < 120.0
    }

    fn report_at_once(&mut self, stream: &str) {
        if let Some(index) = INTERVALS.iter().position(|(name, _)| *name == stream) {
            self.due_s[index] = f64::NEG_INFINITY;
        }
    }

    /// Heat and electricity: what the house needs, what the roof gives, what the grid has to level.
    fn balance(&mut self, dt_s: f64, hour: f64, weather: &Weather) {
        let plugs_w: f64 = self.appliances.iter().map(|a| a.power_w).sum();
        let light_w = match self.presence {
            Presence::Awake if weather.irradiance < 80.0 => 140.0,
            Presence::Awake => 40.0,
            _ => 5.0,
        };
        let evening_w = if self.presence == Presence::Awake && hour > 18.0 { 160.0 } else { 0.0 };
        let base_w = 95.0 + self.rng.random_range(-6.0..6.0);
        let people_w = if self.presence.is_home() { 180.0 } else { 0.0 };
        let indoor_w = 0.6 * (plugs_w + light_w + evening_w) + base_w + people_w;
        let mut heating_w = 0.0;
        if let Some(house) = &mut self.house {
            let heated_s = house.step(dt_s, weather, self.setpoint_c, indoor_w);
            self.heated_share = if dt_s > 0.0 { heated_s / dt_s } else { f64::from(u8::from(house.heating)) };
            heating_w = house.heater.electric_w(weather.temperature_c) * self.heated_share;
        }
        let moisture = if self.presence.is_home() { 48.0 } else { 42.0 };
        self.indoor_humidity += (moisture + 0.1 * (weather.humidity - 70.0) - self.indoor_humidity)
            * (dt_s / 5_400.0).min(1.0)
            + self.rng.random_range(-0.05..0.05);
        self.solar_w = self.panels.map_or(0.0, |panels| {
            panels.power_w(weather.sun, weather.irradiance, weather.direct_share, weather.temperature_c)
        });
        self.grid_w = plugs_w + light_w + evening_w + base_w + heating_w - self.solar_w;
        let kwh = self.grid_w * dt_s / 3.6e6;
        self.energy.import_kwh += kwh.max(0.0);
        self.energy.export_kwh += (-kwh).max(0.0);
        self.energy.solar_kwh += self.solar_w * dt_s / 3.6e6;
    }

    fn samples(&mut self, now: Timestamp, now_s: f64, weather: &Weather) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (index, (stream, interval_s)) in INTERVALS.iter().enumerate() {
            if now_s < self.due_s[index] {
                continue;
            }
            // A home that starts does not report in step with all others.
            let phase = if self.due_s[index].is_finite() { 1.0 } else { self.rng.random_range(0.5..1.0) };
            self.due_s[index] = now_s + interval_s * phase;
            self.sample(stream, now, weather, &mut samples);
        }
        samples
    }

    fn sample(&mut self, stream: &'static str, now: Timestamp, weather: &Weather, samples: &mut Vec<Sample>) {
        let mut push = |device: &str, fields: Vec<(&'static str, Field)>| {
            samples.push(Sample { device: format!("{}-{device}", self.site), stream, ts: now, fields });
        };
        let number = Field::Number;
        match stream {
            "climate" => {
                let (air_c, heating) = self.house.as_ref().map_or((20.0, false), |h| (h.air_c, h.heating));
                let noise = self.rng.random_range(-0.03..0.03);
                push(
                    "thermostat",
                    vec![
                        ("temperature", number(air_c + noise, 2)),
                        ("humidity", number(self.indoor_humidity, 1)),
                        ("setpoint", number(self.setpoint_c, 1)),
                        ("heating", Field::Flag(heating)),
                    ],
                );
            }
            "meter" => push(
                "meter",
                vec![
                    ("power", number(self.grid_w, 1)),
                    ("import_kwh", number(self.energy.import_kwh, 4)),
                    ("export_kwh", number(self.energy.export_kwh, 4)),
                    ("voltage", number(231.0 - self.grid_w / 4_000.0 + self.rng.random_range(-0.8..0.8), 1)),
                ],
            ),
            "solar" if self.panels.is_some() => push(
                "solar",
                vec![("power", number(self.solar_w, 1)), ("energy_kwh", number(self.energy.solar_kwh, 4))],
            ),
            "lock" => {
                push(
                    "lock",
                    vec![("locked", Field::Flag(self.locked)), ("battery", number(self.battery[0], 1))],
                );
            }
            "contact" => push(
                "door",
                vec![("open", Field::Flag(self.door_open_s > 0.0)), ("battery", number(self.battery[1], 1))],
            ),
            "motion" => {
                let lamp =
                    if self.presence == Presence::Awake && weather.irradiance < 80.0 { 180.0 } else { 0.0 };
                push(
                    "motion",
                    vec![
                        ("occupied", Field::Flag(self.moved_s < 120.0)),
                        ("illuminance", number(weather.irradiance * 0.9 + lamp, 0)),
                    ],
                );
            }
            "plug" => {
                for appliance in &self.appliances {
                    push(
                        appliance.kind.name(),
                        vec![
                            ("power", number(appliance.power_w, 1)),
                            ("energy_kwh", number(appliance.energy_kwh, 4)),
                            ("on", Field::Flag(appliance.is_on())),
                        ],
                    );
                }
            }
            _ => {}
        }
    }
}

/// `home-07`.
fn site_name(number: u32) -> String {
    format!("home-{number:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const START_S: i64 = 1_767_225_600;

    fn bytes_of_a_day(options: &HomeOptions) -> String {
        let mut home = Home::new(options.clone());
        let mut bytes = String::new();
        for minute in 1..=1_440 {
            for reading in home.step(Timestamp((START_S + minute * 60) * 1_000_000), 60.0) {
                bytes.push_str(&format!("{} {}\n", reading.topic(), reading.json));
            }
        }
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let faults = vec!["spike:0.01".parse().unwrap(), "late:0.01".parse().unwrap()];
        let options = HomeOptions { seed: 42, number: 7, faults };
        let day = bytes_of_a_day(&options);
        assert_eq!(day, bytes_of_a_day(&options));
        assert_ne!(day, bytes_of_a_day(&HomeOptions { seed: 43, ..options.clone() }));
        assert_ne!(day, bytes_of_a_day(&HomeOptions { number: 8, ..options }));
    }

    #[test]
    fn every_stream_of_the_first_home_speaks_in_its_first_step_and_in_its_shape() {
        let mut home = Home::new(HomeOptions { seed: 1, number: 1, faults: Vec::new() });
        let readings = home.step(Timestamp(START_S * 1_000_000), 1.0);
        let mut properties: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for reading in &readings {
            let json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&reading.json).unwrap();
            assert_eq!(json["ts"], serde_json::json!(START_S * 1_000));
            properties.entry(reading.stream).or_default().extend(json.into_iter().map(|(name, _)| name));
        }
        let names = |stream: &str| properties[stream].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(names("climate"), ["heating", "humidity", "setpoint", "temperature", "ts"]);
        assert_eq!(names("meter"), ["export_kwh", "import_kwh", "power", "ts", "voltage"]);
        assert_eq!(names("solar"), ["energy_kwh", "power", "ts"]);
        assert_eq!(names("lock"), ["battery", "locked", "ts"]);
        assert_eq!(names("contact"), ["battery", "open", "ts"]);
        assert_eq!(names("motion"), ["illuminance", "occupied", "ts"]);
        assert_eq!(names("plug"), ["energy_kwh", "on", "power", "ts"]);
        assert!(readings.iter().any(|r| r.device == "home-01-kettle"));
    }

    #[test]
    fn energy_counters_only_rise_and_agree_with_the_power() {
        let mut home = Home::new(HomeOptions { seed: 3, number: 1, faults: Vec::new() });
        let (mut last, mut first, mut integrated) = (0.0, None, 0.0);
        for second in 1..=86_400_i64 {
            if second % 10 != 0 {
                continue;
            }
            for reading in home.step(Timestamp((START_S + second) * 1_000_000), 10.0) {
                if reading.stream != "meter" {
                    continue;
                }
                let json: serde_json::Value = serde_json::from_str(&reading.json).unwrap();
                let import = json["import_kwh"].as_f64().unwrap();
                assert!(import >= last, "{import} after {last}");
                last = import;
                first.get_or_insert(import);
                integrated += json["power"].as_f64().unwrap().max(0.0) * 10.0 / 3.6e6;
            }
        }
        let counted = last - first.unwrap();
        assert!(
            (counted - integrated).abs() < 0.01 * counted + 0.02,
            "{counted} kWh counted, {integrated} seen"
        );
    }

    #[test]
    fn homes_of_a_region_share_their_sky() {
        let at = Timestamp((START_S + 40_000) * 1_000_000);
        let weather = |number| Weather::at(5, &Region::of_home(number), at.micros() as f64 / 1e6);
        assert_eq!(weather(1), weather(4));
        assert_ne!(weather(1), weather(2));
    }
}
