//! Snapshots of running pipelines: `DATA/snapshots/<pipeline id>/<number>.snap`.
//!
//! What a snapshot shares with the one before is not written again: a large state is cut into blocks, and those that are
//! there already are named where they lie (decision 30).

mod blocks;
mod file;
mod folder;

use serde::{Deserialize, Serialize};

use super::task::Trail;
use crate::pipeline::State;

pub(crate) use folder::Folder;

/// Everything that a pipeline needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    pub(crate) operators: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Of the statement; the state of another version is of no use.
    pub(crate) pipeline_version: u32,
    /// The version of each source's schema that the statement was planned for.
    pub(crate) schema_versions: Vec<u32>,
    /// The first record that has not been dealt with.
    pub(crate) offset: u64,
    /// The largest event time of each source so far.
    pub(crate) event_times: Vec<i64>,
    pub(crate) rows_in: u64,
    /// Rows given so far, which is the number of the next one.
    pub(crate) rows_out: u64,
    pub(crate) late: u64,
    /// Rows that it could not deal with.
    pub(crate) broken: u64,
    /// What each operator with a state computes, in the order of the states.
    pub(crate) fingerprints: Vec<String>,
    /// How far event time had come where before `offset`.
    pub(crate) trail: Trail,
}

impl Snapshot {
    pub(crate) fn state(&self) -> State {
        State { event_times: self.header.event_times.clone(), operators: self.operators.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A snapshot of version 1 with two small states.
    pub(crate) fn snapshot(offset: u64) -> Snapshot {
        let header = Header {
            pipeline_version: 1,
            schema_versions: vec![1],
            offset,
            event_times: vec![i64::MIN],
            rows_in: 1,
            rows_out: 2,
            late: 3,
            broken: 0,
            fingerprints: vec!["read homes".to_owned()],
            trail: Trail::default(),
        };
        Snapshot { header, operators: vec![vec![1, 2, 3], vec![]] }
    }
}
