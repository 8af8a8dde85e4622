//! `docs/examples/riotbench` beside the same dataflows in plain Rust, sensor by sensor over all readings at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use springhouse_engine::files::{RunOptions, Source, Target, run};
use springhouse_testkit::city::{City, CityOptions, CityReading};

use crate::nexmark::time;

const FOLDER: &str = "../../docs/examples/riotbench";
const MEASURES: [&str; 5] = ["temperature", "humidity", "light", "dust", "airquality_raw"];
/// What RIoTBench lets pass of its CITY data.
const RANGES: [(f64, f64); 5] =
    [(-12.5, 43.1), (10.7, 95.2), (1345.0, 26282.0), (186.61, 5188.21), (17.0, 363.0)];
const MINUTE_MS: u64 = 60_000;
/// Means are the same sums in another order.
const CLOSE: f64 = 1e-9;

/// Two and a half hours or more, and at the end values at the bounds of what can be and just behind them.
fn readings() -> Vec<CityReading> {
    let mut readings: Vec<CityReading> =
        City::new(CityOptions { readings: 10_000, seed: 3, sensors: 50 }).collect();
    let last = readings.iter().map(|reading| reading.ts_ms).max().unwrap();
    let at = |minute: u64, measures: [f64; 5]| CityReading {
        ts_ms: last + minute * MINUTE_MS,
        sensor: "sensor-007".to_owned(),
        longitude: 0.0,
        latitude: 0.0,
        measures: measures.map(Some),
    };
    readings.push(at(1, RANGES.map(|(least, _)| least)));
    readings.push(at(2, RANGES.map(|(_, most)| most)));
    readings.push(at(3, RANGES.map(|(least, _)| least - 0.01)));
    readings.push(at(4, RANGES.map(|(_, most)| most + 0.01)));
    readings
}

/// The readings of each sensor in the order of time.
fn by_sensor(readings: &[CityReading]) -> BTreeMap<&str, Vec<&CityReading>> {
    let mut sensors: BTreeMap<&str, Vec<&CityReading>> = BTreeMap::new();
    for reading in readings {
        sensors.entry(&reading.sensor).or_default().push(reading);
    }
    sensors.values_mut().for_each(|own| own.sort_by_key(|reading| reading.ts_ms));
    sensors
}

/// A measure, if it is there and can be.
fn valid(reading: &CityReading, measure: usize) -> Option<f64> {
    let (least, most) = RANGES[measure];
    reading.measures[measure].filter(|value| (least..=most).contains(value))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The rows of the streams of a file; "" is the SELECT at its end.
fn rows_of<const N: usize>(flow: &str, streams: [&str; N]) -> [Vec<Value>; N] {
    let folder = tempfile::tempdir().unwrap();
    let (input, readings) = (folder.path().join("city"), readings());
    let mut lines = Vec::new();
    readings.iter().for_each(|reading| reading.write(&mut lines).unwrap());
    fs::write(&input, lines).unwrap();
    let out = |stream: &str| folder.path().join(format!("out{stream}"));
    let to =
        streams.map(|stream| ((!stream.is_empty()).then(|| stream.to_owned()), Target::File(out(stream))));
    let stats = run(&RunOptions {
        sql: fs::read_to_string(Path::new(FOLDER).join(format!("{flow}.sql"))).unwrap(),
        base: FOLDER.into(),
        from: vec![("city".to_owned(), Source::File(input))],
        to: to.into(),
        ..RunOptions::default()
    })
    .unwrap();
    assert_eq!((stats.events, stats.late, stats.quarantined), (readings.len() as u64, 0, 0), "{flow}");
    streams.map(|stream| {
        let text = fs::read_to_string(out(stream)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    })
}

/// Compares rows in any order; numbers may differ by so much, relative to what is larger than 1.
fn check(found: Vec<Value>, expected: Vec<Value>, close: f64, keys: &[&str]) {
    let by_key = |rows: Vec<Value>| {
        let of = |row: &Value| keys.iter().map(|key| row[key].to_string()).collect::<String>();
        let count = rows.len();
        let rows: BTreeMap<String, Value> = rows.into_iter().map(|row| (of(&row), row)).collect();
        assert_eq!(rows.len(), count, "two rows have the same {keys:?}");
        rows
    };
    let (found, expected) = (by_key(found), by_key(expected));
    let (found_keys, expected_keys): (HashSet<_>, HashSet<_>) =
        (found.keys().collect(), expected.keys().collect());
    let differing: Vec<_> = found_keys.symmetric_difference(&expected_keys).take(3).collect();
    assert!(differing.is_empty() && !expected.is_empty(), "rows that only one side has: {differing:?}");
    for (key, expected) in expected {
        let (found, expected) = (found[&key].as_object().unwrap(), expected.as_object().unwrap());
        assert!(is_close(found, expected, close), "found    {found:?}\nexpected {expected:?}");
    }
}

fn is_close(found: &Map<String, Value>, expected: &Map<String, Value>, close: f64) -> bool {
    let same = |(name, expected): (&String, &Value)| match (found.get(name), expected.as_f64()) {
        (Some(found), Some(expected)) => {
            found.as_f64().is_some_and(|found| (found - expected).abs() <= close * expected.abs().max(1.0))
        }
        (found, _) => found == Some(expected),
    };
    found.len() == expected.len() && expected.iter().all(same)
}

/// What `sensors.csv` says of each.
fn sensors() -> HashMap<String, (String, bool, f64)> {
    let text = fs::read_to_string(Path::new(FOLDER).join("sensors.csv")).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0].to_owned(), (fields[1].to_owned(), fields[2] == "true", fields[3].parse().unwrap()))
    });
    rows.collect()
}

#[test]
fn etl_replaces_what_is_wrong_and_annotates_the_rest() {
    let (readings, known) = (readings(), sensors());
    let mut expected = Vec::new();
    for (sensor, own) in by_sensor(&readings) {
        let Some((city, indoor, height_m)) = known.get(sensor) else { continue };
        for (at, reading) in own.iter().enumerate() {
            let mut row = json!({
                "ts": time(reading.ts_ms), "device": sensor, "city": city, "indoor": indoor, "height_m": height_m,
            });
            for (measure, name) in MEASURES.iter().enumerate() {
                let before =
                    own[at.saturating_sub(5)..at].iter().filter_map(|earlier| valid(earlier, measure));
                row[name] = json!(valid(reading, measure).or_else(|| mean(before)));
            }
            expected.push(row);
        }
    }
    assert!(readings.len() > expected.len(), "some sensors are strangers");
    let [found] = rows_of("etl", [""]);
    check(found, expected, CLOSE, &["device", "ts"]);
}

#[test]
fn stats_average_blocks_and_count_sensors_and_values() {
    let [averages, counts, moments] = rows_of("stats", ["averages", "sensor_counts", "moments"]);
    let readings = readings();
    let mut blocks: BTreeMap<(u64, &str), Vec<&CityReading>> = BTreeMap::new();
    let mut hours: BTreeMap<u64, Vec<&CityReading>> = BTreeMap::new();
    for reading in &readings {
        let start = |length_ms| reading.ts_ms / length_ms * length_ms;
        blocks.entry((start(10 * MINUTE_MS), &reading.sensor)).or_default().push(reading);
        hours.entry(start(60 * MINUTE_MS)).or_default().push(reading);
    }
    let expected = blocks.into_iter().map(|((start, sensor), block)| {
        let mut row = json!({"device": sensor, "window_start": time(start), "readings": block.len()});
        for (measure, name) in MEASURES.iter().enumerate() {
            row[name] = json!(mean(block.iter().filter_map(|reading| reading.measures[measure])));
        }
        row
    });
    check(averages, expected.collect(), CLOSE, &["device", "window_start"]);

    let expected = hours.iter().map(|(start, hour)| {
        let sensors: HashSet<&str> = hour.iter().map(|reading| reading.sensor.as_str()).collect();
        json!({"window_start": time(*start), "sensors": sensors.len()})
    });
    // An estimate.
    check(counts, expected.collect(), 0.05, &["window_start"]);

    let expected = hours.iter().map(|(start, hour)| {
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        hour.iter().filter_map(|reading| reading.measures[4]).for_each(|value| {
            *times.entry(value.to_string()).or_default() += 1;
        });
        let (readings, squares) = (times.values().sum::<u64>(), times.values().map(|n| n * n).sum::<u64>());
        json!({"window_start": time(*start), "readings": readings, "second_moment": squares})
    });
    check(moments, expected.collect(), 0.0, &["window_start"]);
}

/// Temperatures of each sensor that can be, with their times.
fn temperatures(readings: &[CityReading]) -> BTreeMap<&str, Vec<(u64, f64)>> {
    let of = |own: Vec<&CityReading>| {
        own.into_iter().filter_map(|reading| Some((reading.ts_ms, valid(reading, 0)?))).collect()
    };
    by_sensor(readings).into_iter().map(|(sensor, own)| (sensor, of(own))).collect()
}

/// The weights of the last ten readings when the gain of a Kalman filter has settled, to four digits.
fn weights() -> Vec<f64> {
    let (process, sensor) = (0.125_f64, 0.32_f64);
    let error = (process + (process * process + 4.0 * process * sensor).sqrt()) / 2.0;
    let gain = error / (error + sensor);
    let weights: Vec<f64> = (0..10).map(|age| gain * (1.0 - gain).powi(age)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum * 1e4).round() / 1e4).collect()
}

fn smoothed(own: &[(u64, f64)]) -> Vec<Option<f64>> {
    let weights = weights();
    let value = |at: usize| {
        let last = own.get((at + 1).checked_sub(10)?..=at)?;
        Some(last.iter().rev().zip(&weights).map(|((_, value), weight)| weight * value).sum())
    };
    (0..own.len()).map(value).collect()
}

#[test]
fn stats_smooth_as_a_kalman_filter_does_whose_gain_has_settled() {
    let readings = readings();
    let [found] = rows_of("stats", ["smoothed"]);
    let mut expected = Vec::new();
    for (sensor, own) in temperatures(&readings) {
        // The filter itself, from its first reading on, with RIoTBench's numbers.
        let (mut estimate, mut error) = (own[0].1, 30.0);
        for ((ts, value), smooth) in own.iter().zip(smoothed(&own)) {
            error += 0.125;
            let gain = error / (error + 0.32);
            estimate += gain * (value - estimate);
            error *= 1.0 - gain;
            // The values at the bounds leap by 50 degrees, of which older readings than ten would know 0.2 %.
            let is_near = smooth.is_none_or(|smooth: f64| (smooth - estimate).abs() < 0.12);
            assert!(is_near, "{sensor} at {}: {smooth:?} and {estimate}", time(*ts));
            expected.push(json!({"ts": time(*ts), "device": sensor, "temperature": smooth}));
        }
    }
    check(found, expected, CLOSE, &["device", "ts"]);
}

#[test]
fn stats_lead_on_along_the_line_through_ten_smoothed_values() {
    let readings = readings();
    let [found] = rows_of("stats", [""]);
    let mut expected = Vec::new();
    for (sensor, own) in temperatures(&readings) {
        let values = own.iter().zip(smoothed(&own)).filter_map(|((ts, _), value)| Some((*ts, value?)));
        let values: Vec<(u64, f64)> = values.collect();
        for at in 1..values.len() {
            let last = &values[(at + 1).saturating_sub(10)..=at];
            // Least squares around the last reading's time.
            let seconds = |ts: u64| (ts as f64 - values[at].0 as f64) / 1e3;
            let x = mean(last.iter().map(|(ts, _)| seconds(*ts))).unwrap();
            let y = mean(last.iter().map(|(_, value)| *value)).unwrap();
            let above: f64 = last.iter().map(|(ts, value)| (seconds(*ts) - x) * (value - y)).sum();
            let below: f64 = last.iter().map(|(ts, _)| (seconds(*ts) - x).powi(2)).sum();
            let slope = above / below;
            expected.push(json!({
                "ts": time(values[at].0), "device": sensor,
                "celsius_a_minute": 60.0 * slope, "in_ten_minutes": y + slope * (600.0 - x),
            }));
        }
    }
    // Seconds since 1970 have seven digits behind the point, of which a slope over minutes loses two.
    check(found, expected, 1e-5, &["device", "ts"]);
}

#[test]
fn pred_classifies_and_tells_how_far_off_the_model_was() {
    let readings = readings();
    let mut expected = Vec::new();
    for (sensor, own) in by_sensor(&readings) {
        let all_valid = |reading: &&&CityReading| (0..5).all(|measure| valid(reading, measure).is_some());
        let own: Vec<(u64, [f64; 5])> = own
            .iter()
            .filter(all_valid)
            .map(|reading| (reading.ts_ms, reading.measures.map(|value| value.unwrap())))
            .collect();
        for (at, (ts, [temperature, humidity, light, dust, air])) in own.iter().enumerate() {
            let quality = match (*dust, *humidity, *temperature, *light) {
                (dust, humidity, ..) if dust < 400.0 && humidity < 80.0 => "excellent",
                (dust, ..) if dust < 400.0 => "good",
                (dust, _, temperature, _) if dust < 800.0 && temperature > 25.0 => "average",
                (dust, ..) if dust < 800.0 => "good",
                (.., light) if light < 3_000.0 => "poor",
                _ => "average",
            };
            // As `models.csv` says.
            let model = 20.0 + 0.05 * dust;
            let usual = mean(own[at.saturating_sub(9)..=at].iter().map(|(_, measures)| measures[4])).unwrap();
            expected.push(json!({
                "ts": time(*ts), "device": sensor, "quality": quality, "expected": model, "airquality_raw": air,
                "error": (model - air).abs() / usual,
            }));
        }
    }
    for quality in ["excellent", "good", "average", "poor"] {
        assert!(expected.iter().any(|row| row["quality"] == quality), "{quality} does not come");
    }
    let [found] = rows_of("pred", [""]);
    check(found, expected, CLOSE, &["device", "ts"]);
}
