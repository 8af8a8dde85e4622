//! What waits for the writer thread. Its bound in bytes is kept by the permits that requests carry.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Append, LogError, Offset};

/// An append that waits for its commit.
pub(crate) struct Request {
    pub appends: Vec<Append>,
    pub bytes: usize,
    /// Room in the queue, given back when the request is answered.
    pub _room: OwnedSemaphorePermit,
    pub answer: oneshot::Sender<Result<Offset, LogError>>,
}

/// What the writer thread has to do next.
pub(crate) enum Work {
    Commit(Vec<Request>),
    /// Someone asked for retention, or it is time to look.
    Retain(Vec<oneshot::Sender<()>>),
    Close,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    bytes: usize,
    retain: Vec<oneshot::Sender<()>>,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// Gives the request back when the log is closed.
    pub(crate) fn push(&self, request: Request) -> Result<(), Request> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(request);
        }
        state.bytes += request.bytes;
        state.requests.push_back(request);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn retain(&self, done: oneshot::Sender<()>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.retain.push(done);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// What is queued is still committed; nothing more gets in.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Closes and answers nobody: what waits learns that the log is closed.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.requests.clear();
        state.retain.clear();
    }

    /// Waits for work, at most `idle`. A commit takes everything that waits, up to `group_bytes_max` (at least one
    /// request); it lingers for more company as long as it is smaller than that.
    pub(crate) fn take(&self, group_bytes_max: usize, linger: Duration, idle: Duration) -> Work {
        let mut state = self.state.lock();
        if state.requests.is_empty() && state.retain.is_empty() && !state.closed {
            self.changed.wait_for(&mut state, idle);
        }
        if !state.retain.is_empty() {
            return Work::Retain(std::mem::take(&mut state.retain));
        }
        if state.requests.is_empty() {
            return if state.closed { Work::Close } else { Work::Retain(Vec::new()) };
        }
        if !linger.is_zero() {
            let may_wait = |state: &mut State| state.bytes < group_bytes_max && !state.closed;
            self.changed.wait_while_for(&mut state, may_wait, linger);
        }
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(request) = state.requests.front() {
            bytes += request.bytes;
            if bytes > group_bytes_max && !group.is_empty() {
                break;
            }
            state.bytes -= request.bytes;
            group.extend(state.requests.pop_front());
        }
        Work::Commit(group)
    }
}
