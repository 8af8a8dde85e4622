//! What a person meets at the command line: help, configuration, errors with hints and exit codes.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::program::{command, run, said};

#[test]
fn help_reads_like_a_manual() {
    let directory = tempdir().unwrap();
    let (code, help, _) = said(&run(directory.path(), &["--help"]));
    assert_eq!(code, Some(0));
    for part in ["Usage:", "EXAMPLES", "CONFIGURATION", "ENVIRONMENT", "EXIT CODES", "SPRINGHOUSE_TOKEN"] {
        assert!(help.contains(part), "{part} is missing in\n{help}");
    }
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for verb in verbs {
        let (code, help, error) = said(&run(directory.path(), &["help", verb]));
        assert_eq!(code, Some(0), "{verb}: {error}");
        assert!(help.contains("Usage:"), "{verb}");
    }
}

#[test]
fn config_prints_what_flags_environment_and_file_result_in() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("hub.toml");
    fs::write(&file, "[mqtt]\nlisten = '127.0.0.1:2001'\n[http]\nlisten = '127.0.0.1:2002'\n").unwrap();
    let output = command(directory.path())
        .args(["config", "--config", "hub.toml", "--http", "127.0.0.1:2004"])
        .env("SPRINGHOUSE_HTTP", "127.0.0.1:2003")
        .env("SPRINGHOUSE_DATA", "elsewhere")
        .output()
        .unwrap();
    let (code, text, error) = said(&output);
    assert_eq!(code, Some(0), "{error}");
    for line in [
        "data = \"elsewhere\"",
        "listen = \"127.0.0.1:2001\"",
        "listen = \"127.0.0.1:2004\"",
        "policy = \"auto\"",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_2_and_says_what_was_meant() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("hub.toml"), "[mqtt]\nlistn = 'off'\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["config", "--config", "hub.toml"], "did you mean `listen`?"),
        (&["config", "--config", "missing.toml"], "cannot read the configuration `missing.toml`"),
        (&["config", "--http", "0.0.0.0:8080"], "--plain-ok"),
        (&["config", "--mqtt", "nowhere"], "hint: 127.0.0.1:1883"),
        (&["config", "--mqtt", "127.0.0.1:8080"], "both want 127.0.0.1:8080"),
    ];
    for (arguments, expected) in cases {
        let (code, _, error) = said(&run(directory.path(), arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn client_verbs_tell_a_hub_that_is_away_from_a_wrong_address() {
    let directory = tempdir().unwrap();
    // Port 9 (discard) is closed on this machine.
    let (code, _, error) = said(&run(directory.path(), &["sql", "SELECT 1", "--url", "http://127.0.0.1:9"]));
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("no hub answers at http://127.0.0.1:9"), "{error}");
    let (code, _, error) = said(&run(directory.path(), &["sql", "SELECT 1", "--url", "hub"]));
    assert_eq!(code, Some(2), "{error}");
    let (code, _, error) = said(&run(
        directory.path(),
        &["token", "create", "--data", "nothing", "--name", "x", "--scope", "read"],
    ));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("`nothing` is not the data directory of a hub"), "{error}");
}

#[test]
fn simulated_homes_can_be_printed() {
    let directory = tempdir().unwrap();
    let (code, text, error) =
        said(&run(directory.path(), &["sim", "--homes", "2", "--seed", "5", "--print", "60s"]));
    assert_eq!(code, Some(0), "{error}");
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() > 100, "{}", rows.len());
    assert!(rows.iter().any(|row| row["device"] == "home-02-thermostat" && row["stream"] == "climate"));
}

/// Runs an example over so many generated events; tells how many rows came out and how many events did not fit.
fn example_over(flag: &str, events: &str, example: &str, stream: &str) -> (u64, u64) {
    let directory = tempdir().unwrap();
    let (code, text, error) = said(&run(directory.path(), &["sim", "--seed", "5", flag, events]));
    assert_eq!((code, text.lines().count().to_string().as_str()), (Some(0), events), "{error}");
    fs::write(directory.path().join("events.ndjson"), text).unwrap();
    let query = Path::new("../../docs/examples").join(example).canonicalize().unwrap();
    let (query, from) = (query.to_str().unwrap(), format!("{stream}=events.ndjson"));
    let (code, stats, error) =
        said(&run(directory.path(), &["run", query, "--from", &from, "--to", "out.ndjson", "--stats"]));
    assert_eq!(code, Some(0), "{error}");
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    (stats["rows_out"].as_u64().unwrap(), stats["quarantined"].as_u64().unwrap())
}

#[test]
fn what_examples_are_about_is_printed_as_they_read_it() {
    // 46 of 50 events of the auction house are bids; of 51 sensors in cities one is a stranger.
    assert_eq!(example_over("--print-nexmark", "5000", "nexmark/q0.sql", "nexmark"), (4_600, 0));
    assert_eq!(example_over("--print-city", "5100", "riotbench/etl.sql", "city"), (5_000, 0));
}
