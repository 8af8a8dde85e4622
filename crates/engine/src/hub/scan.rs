//! Pipelines that keep up read the log together: thousands of small rules cost one reader, not thousands.
//!
//! ```text
//!             ┌ scan ─────────────────────────────────────────────┐
//!  log ─────▶ │ record ─decoded once─▶ the tasks of its stream    │ ─▶ rows of all of them, in one commit
//!             └──▲──────────────────────────────┬────────────────┘
//!      ride ─────┘                              └─▶ back: told to stop, failed, or better alone
//! ```
//! There is one scan for each thread of the engine. A record of a stream that nobody reads costs a look into a table. A task
//! that takes long, holds much or is far behind goes back to its own loop and returns when it has caught up, so that
//! the others wait for nobody.

mod round;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use springhouse_log::Log;
use tokio::sync::{mpsc, oneshot, watch};

use super::task::Task;
use super::{EngineError, Streams};
use crate::Threads;
use round::Round;

/// The scans of an engine. Ends with it.
pub(crate) struct Scans {
    scans: Vec<Scan>,
    /// Whether all pipelines that run at the start are known.
    open: watch::Sender<bool>,
    _rounds: Vec<crate::Task<()>>,
}

/// A place among those that read the log together.
#[derive(Clone)]
pub(crate) struct Scan {
    requests: mpsc::UnboundedSender<Request>,
}

enum Request {
    Join(Rider),
    Leave(u64),
}

/// A task that is with a scan.
struct Rider {
    task: Box<Task>,
    back: oneshot::Sender<(Box<Task>, Ride)>,
}

/// How a ride has ended.
#[derive(Debug)]
pub(crate) enum Ride {
    /// It was told to stop.
    Stopped,
    /// It is behind, its rows wait for the log, or it would hold up the others.
    Alone,
    Failed(EngineError),
}

/// How far a scan has come, for those who ask its riders.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) position: AtomicU64,
    /// When the last record was appended.
    pub(crate) seen_at: AtomicI64,
}

impl Scans {
    /// They begin when they are told that everybody is there.
    pub(crate) fn new(
        log: &Arc<dyn Log>,
        streams: &Arc<dyn Streams>,
        threads: &Threads,
        count: usize,
    ) -> Result<Scans, EngineError> {
        let (open, opened) = watch::channel(false);
        let (mut scans, mut rounds) = (Vec::new(), Vec::new());
        for _ in 0..count.max(1) {
            let (requests, taken) = mpsc::unbounded_channel();
            rounds.push(
                threads.start(Round::new(Arc::clone(log), Arc::clone(streams), taken).run(opened.clone()))?,
            );
            scans.push(Scan { requests });
        }
        Ok(Scans { scans, open, _rounds: rounds })
    }

    pub(crate) fn begin(&self) {
        let _ = self.open.send(true);
    }

    /// The one that a pipeline rides with.
    pub(crate) fn of(&self, pipeline: u64) -> Scan {
        self.scans[(pipeline % self.scans.len() as u64) as usize].clone()
    }
}

impl Scan {
    /// Lets a task read with the others until it has to go.
    pub(crate) async fn ride(&self, task: Box<Task>) -> Result<(Box<Task>, Ride), EngineError> {
        let (id, mut stop) = (task.id(), task.stop());
        let (back, mut returned) = oneshot::channel();
        self.requests.send(Request::Join(Rider { task, back })).map_err(|_| EngineError::Closed)?;
        let told_to_stop = async move { stop.wait_for(|stop| *stop).await.is_ok() };
        tokio::select! {
            biased;
            ride = &mut returned => return ride.map_err(|_| EngineError::Closed),
            _ = told_to_stop => {}
        }
        self.requests.send(Request::Leave(id)).map_err(|_| EngineError::Closed)?;
        returned.await.map_err(|_| EngineError::Closed)
    }
}
