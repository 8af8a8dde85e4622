//! Starts the program and waits for what it does.

use std::path::Path;
use std::process::{Command, Output};

/// The program under test, with nothing of the caller's configuration.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_springhouse"));
    command.current_dir(directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPRINGHOUSE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory).args(arguments).output().expect("the program starts")
}

/// Exit code, standard output and standard error as text.
pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
