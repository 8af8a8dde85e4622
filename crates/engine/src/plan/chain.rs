//! The stations of a plan as they are put together, from the sources on.
//!
//! ```text
//! scan ─▶ station ─┐
//!                  ├─▶ station (two sides) ─▶ … ─▶ open end
//! scan ────────────┘
//! ```

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Expr;

use super::StreamTable;
use super::compile::{Meaning, Step};
use super::window::Window;
use crate::operators::Side;

/// Where the rows of a source enter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// Which of the plan's sources.
    pub(crate) source: usize,
    /// `None` is the output.
    pub(crate) to: Option<Port>,
}

/// A step at its place.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    pub(crate) step: Step,
    /// Where its rows go; `None` is the output.
    pub(crate) to: Option<Port>,
}

/// The way into a station. Each stands behind those that feed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) station: usize,
    pub(crate) side: Side,
}

/// The stations so far, and what their rows mean.
pub(super) struct Chain {
    pub(super) sources: Vec<StreamTable>,
    pub(super) scans: Vec<Scan>,
    pub(super) stations: Vec<Station>,
    pub(super) meanings: Vec<Meaning>,
    /// The window that rows were put into, and the station that does it.
    pub(super) window: Option<(Window, usize)>,
    /// The keys of its sessions or counted windows.
    pub(super) keys: Vec<Expr>,
    /// Something is computed from the bounds of the window before rows are aggregated.
    pub(super) uses_bounds: bool,
    pub(super) aggregated: bool,
    /// Some station tells late rows.
    pub(super) judges_lateness: bool,
    /// Rows come in the order of their time.
    pub(super) in_order: bool,
    /// Rows are matches of a pattern.
    pub(super) matched: bool,
    /// How far the time of a match may be behind that of those given before it.
    pub(super) behind_us: i64,
    /// Whether anything bounds that.
    pub(super) is_bounded_behind: bool,
    /// Rows are versions, of which a join takes the newest.
    pub(super) is_versioned: bool,
}

impl Chain {
    pub(super) fn of(source: StreamTable, meanings: Vec<Meaning>) -> Chain {
        Chain {
            sources: vec![source],
            scans: vec![Scan { source: 0, to: None }],
            stations: Vec::new(),
            meanings,
            window: None,
            keys: Vec::new(),
            uses_bounds: false,
            aggregated: false,
            judges_lateness: false,
            in_order: false,
            matched: false,
            behind_us: 0,
            is_bounded_behind: true,
            is_versioned: false,
        }
    }

    /// Adds a station behind all that is there.
    pub(super) fn push(&mut self, step: Step) {
        let station = self.stations.len();
        self.lead_to(Port { station, side: Side::Left });
        self.stations.push(Station { step, to: None });
    }

    /// Rows of this schema come in the order of their time from here on.
    pub(super) fn put_in_order(&mut self, schema: SchemaRef) {
        self.judges_lateness = true;
        if !self.in_order {
            self.in_order = true;
            self.push(Step::Order { schema, behind_us: 0 });
        }
    }

    /// Both behind each other in the list, each still with its own end.
    pub(super) fn beside(mut self, right: Chain) -> Chain {
        let before = self.stations.len();
        let moved = |port: Option<Port>| port.map(|port| Port { station: port.station + before, ..port });
        let mut sources = Vec::with_capacity(right.sources.len());
        for source in right.sources {
            let known = self.sources.iter().position(|known| known.name == source.name);
            sources.push(known.unwrap_or(self.sources.len()));
            if known.is_none() {
                self.sources.push(source);
            }
        }
        let scans = right.scans.into_iter();
        self.scans.extend(scans.map(|scan| Scan { source: sources[scan.source], to: moved(scan.to) }));
        let stations = right.stations.into_iter();
        self.stations.extend(stations.map(|station| Station { to: moved(station.to), ..station }));
        self.window = None;
        self.keys = Vec::new();
        self.uses_bounds = false;
        self.aggregated = false;
        self.judges_lateness |= right.judges_lateness;
        self.matched = false;
        self.behind_us = self.behind_us.max(right.behind_us);
        self.is_bounded_behind &= right.is_bounded_behind;
        self.in_order = false;
        self.is_versioned = false;
        self
    }

    /// Adds a station with two sides behind two chains.
    pub(super) fn join(mut self, mut right: Chain, step: Step) -> Chain {
        // Which station it will be is known; where it stands is told to both before they are put together.
        let station = self.stations.len() + right.stations.len();
        self.lead_to(Port { station, side: Side::Left });
        right.lead_to(Port { station: station - self.stations.len(), side: Side::Right });
        let mut both = self.beside(right);
        both.stations.push(Station { step, to: None });
        both.judges_lateness = true;
        both.in_order = true;
        both
    }

    fn lead_to(&mut self, port: Port) {
        let scans = self.scans.iter_mut().map(|scan| &mut scan.to);
        let stations = self.stations.iter_mut().map(|station| &mut station.to);
        for end in scans.chain(stations).filter(|end| end.is_none()) {
            *end = Some(port);
        }
    }
}
