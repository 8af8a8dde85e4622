//! Looking at rows on their way through a pipeline: how many pass each step, and the last of them.
//!
//! ```text
//!  scan ──●──▶ station ──●──▶ station ──●──▶ out        ● an edge that can be looked at
//! ```
//! What is looked at is what the steps hand on, columns between them included. A pipeline that nobody looks at pays one test
//! for each batch.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::plan::{Edge, Plan};

/// The last rows of many batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastRows {
    limit: usize,
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

impl LastRows {
    pub(crate) fn new(limit: usize) -> LastRows {
        LastRows { limit, ..LastRows::default() }
    }

    /// Keeps the newest batches that are needed for the limit.
    pub(crate) fn keep(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.batches.push_back(batch);
        while let Some(oldest) = self.batches.front() {
            if self.rows - oldest.num_rows() < self.limit {
                break;
            }
            self.rows -= oldest.num_rows();
            self.batches.pop_front();
        }
    }

    /// Oldest first, no more than the limit.
    pub(crate) fn into_batches(self) -> Vec<RecordBatch> {
        let surplus = self.rows.saturating_sub(self.limit);
        let cut = |(at, batch): (usize, RecordBatch)| {
            let skip = if at == 0 { surplus.min(batch.num_rows()) } else { 0 };
            batch.slice(skip, batch.num_rows() - skip)
        };
        self.batches.into_iter().enumerate().map(cut).collect()
    }
}

/// What has passed the edges of a plan: first those behind its scans, then those behind its stations.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    limit: usize,
    edges: Vec<Passed>,
    scans: usize,
}

#[derive(Clone, Debug, Default)]
struct Passed {
    rows: u64,
    schema: Option<SchemaRef>,
    last: LastRows,
}

/// A step of a pipeline, and what it has handed on while somebody looked.
#[derive(Clone, Debug)]
pub struct SeenStep {
    /// As in `EXPLAIN PIPELINE`.
    pub step: &'static str,
    pub detail: String,
    /// Rows that it has handed on.
    pub rows: u64,
    /// Their columns; `None` when there were no rows.
    pub schema: Option<SchemaRef>,
    /// The last of them, oldest first.
    pub batches: Vec<RecordBatch>,
}

impl Probe {
    pub(crate) fn new(plan: &Plan, limit: usize) -> Probe {
        let passed = || Passed { last: LastRows::new(limit), ..Passed::default() };
        let edges = plan.scans.len() + plan.stations.len();
        Probe { limit, edges: (0..edges).map(|_| passed()).collect(), scans: plan.scans.len() }
    }

    /// What is kept must not keep the large batch that it was part of.
    pub(crate) fn pass(&mut self, edge: Edge, batch: &RecordBatch) {
        let at = self.at(edge);
        let Some(passed) = self.edges.get_mut(at).filter(|_| batch.num_rows() > 0) else { return };
        passed.rows += batch.num_rows() as u64;
        passed.schema = Some(batch.schema());
        let tail = batch.num_rows().min(self.limit);
        let last = batch.slice(batch.num_rows() - tail, tail);
        let copied = arrow::compute::concat_batches(&last.schema(), [&last]);
        passed.last.keep(copied.unwrap_or(last));
    }

    /// The steps in the order of `EXPLAIN PIPELINE`.
    pub(crate) fn into_steps(mut self, plan: &Plan) -> Vec<SeenStep> {
        let steps = plan.explain().into_iter();
        let seen = steps.map(|explained| {
            let at = self.at(explained.edge);
            let passed = self.edges.get_mut(at).map(std::mem::take).unwrap_or_default();
            SeenStep {
                step: explained.step,
                detail: explained.detail,
                rows: passed.rows,
                schema: passed.schema,
                batches: passed.last.into_batches(),
            }
        });
        seen.collect()
    }

    fn at(&self, edge: Edge) -> usize {
        match edge {
            Edge::Scan(at) => at,
            Edge::Station(at) => self.scans + at,
        }
    }
}
