//! How the program ends when it cannot do what it was asked: a sentence for the person, a number for the script.

use std::process::ExitCode;

/// The ends that a script can tell apart; everything else ends with 1. Documented in `--help`.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 2: the command line or the configuration is wrong; trying again is useless.
    #[error("{0}")]
    Usage(String),
    /// 2 as well, of `pipeline apply --plan` alone: nothing went wrong, and there is something to do. Said already.
    #[error("there is something to do")]
    Pending,
    /// 3: the data directory is in use by another hub or was written by a newer version.
    #[error("{0}")]
    DataDirectory(String),
    /// 4: no hub answers.
    #[error(
        "no hub answers at {url}: {reason}\nhint: is it running? `--url` or SPRINGHOUSE_URL names another one"
    )]
    Unreachable { url: String, reason: String },
    /// 5: the hub answered and said no.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Pending => 2,
            Failure::DataDirectory(_) => 3,
            Failure::Unreachable { .. } => 4,
            Failure::Refused(_) => 5,
        }
    }
}

/// Prints the whole chain of causes and returns the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if matches!(error.downcast_ref(), Some(Failure::Pending)) {
        return ExitCode::from(Failure::Pending.code());
    }
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent errors repeat what they wrap.
        if !last.contains(&cause) {
            text.push_str(&format!("\n  because: {cause}"));
        }
        last = cause;
    }
    eprintln!("{text}");
    let code = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(1, Failure::code);
    ExitCode::from(code)
}

/// `springhouse sql … | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
