//! The threads of the program, and the signals that end it.

use std::future::Future;

use anyhow::Context;

/// Runs a hub's future on `threads` workers.
///
/// Few threads keep an idle hub small: each has a stack and an arena of the allocator. Blocking work (files,
/// directories) is short and rare.
pub fn run_hub<T>(threads: usize, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(16)
        // Planning a pipeline walks its expressions by recursion. Only what is used of a stack takes memory.
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .context("cannot start the threads of the hub")?
        .block_on(future)
}

/// Runs a client's future on this thread.
pub fn run_client<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?
        .block_on(future)
}

/// Waits for SIGTERM or SIGINT and returns its name.
pub async fn asked_to_end() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = term.recv() => Ok("SIGTERM"),
        _ = int.recv() => Ok("SIGINT"),
    }
}
