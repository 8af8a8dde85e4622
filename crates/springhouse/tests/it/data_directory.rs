//! Who may open a data directory: one hub at a time, and none that is older than what is in it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use crate::hub::House;
use crate::program::{run, said};

/// Starts a hub that is expected to refuse, on ports of the system's choice.
fn refusal(data: &std::path::Path) -> (Option<i32>, String) {
    let data = data.to_str().unwrap();
    let arguments = ["hub", "--data", data, "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let (code, _, error) = said(&run(std::path::Path::new("."), &arguments));
    (code, error)
}

#[test]
fn a_second_hub_is_refused_and_the_first_goes_on() {
    let house = House::open();
    let (code, error) = refusal(&house.data());
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("is in use by another hub (process "), "{error}");
    assert!(error.contains("hint: stop it"), "{error}");
    assert_eq!(house.sql("SELECT 1"), [[1]]);
}

#[test]
fn the_directory_of_a_newer_version_is_refused_and_left_alone() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("VERSION"), "99\n").unwrap();
    let (code, error) = refusal(&data);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("was written by a newer version of springhouse (layout 99"), "{error}");
    assert_eq!(fs::read_to_string(data.join("VERSION")).unwrap(), "99\n");
    assert!(!data.join("log").exists() && !data.join("meta.db").exists());
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_written() {
    let directory = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = directory.path().join("data");
    let arguments = ["hub", "--data", data.to_str().unwrap(), "--mqtt", &address, "--http", "127.0.0.1:0"];
    let (code, _, error) = said(&run(directory.path(), &arguments));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains(&format!("{address} is in use by another program")), "{error}");
    assert!(!data.exists());
}

#[test]
fn a_directory_whose_ledger_is_lost_or_anothers_is_refused_and_left_alone() {
    let mut house = House::open();
    house.post("/devices/lamp/streams/light", &json!([{ "lux": 12 }]));
    assert_eq!(house.hub.take().unwrap().end(), Some(0));
    let data = house.data();
    let parquet = || files_below(&data.join("lake"));
    let had = parquet();
    assert!(had > 0, "the hub flushes when it ends");

    let mut other = House::open();
    assert_eq!(other.hub.take().unwrap().end(), Some(0));
    let lost = data.join("meta.db.lost");
    fs::rename(data.join("meta.db"), &lost).unwrap();
    for emptied in [false, true] {
        if emptied {
            fs::write(data.join("meta.db"), "").unwrap();
        }
        let (code, error) = refusal(&data);
        assert_eq!(code, Some(3), "{error}");
        assert!(
            error.contains("`meta.db` is missing or empty, while `log` and `lake` hold readings"),
            "{error}"
        );
        assert!(error.contains("hint: restore the whole directory"), "{error}");
    }
    fs::copy(other.data().join("meta.db"), data.join("meta.db")).unwrap();
    let (code, error) = refusal(&data);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("come from two different data directories"), "{error}");
    assert_eq!(parquet(), had);

    fs::rename(&lost, data.join("meta.db")).unwrap();
    house.start_again();
    assert_eq!(house.sql("SELECT lux FROM light"), [[12]]);
}

fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}
