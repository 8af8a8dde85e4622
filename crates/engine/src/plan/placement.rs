//! How rows find their windows: what a step adds to each of them, and how the aggregation behind it reads that.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef, TimestampMicrosecondType};
use datafusion::logical_expr::{Expr, UserDefinedLogicalNodeCore};

use super::PlanError;
use super::chain::Chain;
use super::compile::{Group, Meaning, Step};
use super::window::{Aligned, WINDOW_END, WINDOW_START, Window, WindowNode, kept_columns};

/// Adds `window_start` and `window_end` to rows.
#[derive(Clone, Debug)]
pub(crate) struct WindowStep {
    pub(crate) ts: usize,
    pub(crate) bounds: Bounds,
    pub(crate) kept: Vec<usize>,
    pub(crate) schema: SchemaRef,
}

/// The bounds that a row is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bounds {
    /// Those of its slice, which is the window itself where windows stand side by side.
    Slice { slice_us: i64 },
    /// A row for each window that holds it, the earliest first.
    Each(Aligned),
    /// Those of the session that it would be alone; without a gap, its own time.
    Alone { gap_us: i64 },
}

/// How an aggregation tells the window of a row.
#[derive(Clone, Debug)]
pub(crate) enum Placement {
    Aligned {
        window: Aligned,
        /// Rows come by slices, each of them in several windows.
        shared: bool,
        bound: Bound,
    },
    Session {
        gap_us: i64,
        bound: Bound,
        /// Which keys of the groups are the keys of the sessions.
        keys: Vec<usize>,
    },
    Count {
        /// Rows of a window.
        size: i64,
        /// Which keys of the groups are the keys of the windows.
        keys: Vec<usize>,
    },
}

/// The column that tells where a row's window, slice or session ends or, when only that is there, begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(super) column: usize,
    pub(super) is_start: bool,
}

impl Bound {
    /// The end for each row, when there are `length_us` between start and end.
    pub(crate) fn ends(self, batch: &RecordBatch, length_us: i64) -> Vec<i64> {
        let bounds = batch.column(self.column).as_primitive::<TimestampMicrosecondType>().values();
        let offset = if self.is_start { length_us } else { 0 };
        bounds.iter().map(|bound| bound.saturating_add(offset)).collect()
    }
}

impl Chain {
    /// Rows of a session would be missing if they were left out behind it, and the next one begin too early; windows of so many
    /// rows would have less.
    pub(super) fn check_filter(&self) -> Result<(), PlanError> {
        if self.is_versioned {
            return Err(PlanError::new(
                "a condition below FOR SYSTEM_TIME AS OF would hide the newest row of a key",
            )
            .with_hint("write it behind ON or WHERE of the join"));
        }
        let what = match self.window {
            Some((Window::Session { .. }, _)) if !self.aggregated => "keep a session alive",
            Some((Window::Count { .. }, _)) if !self.aggregated => "are counted",
            _ => return Ok(()),
        };
        let function = self.window.map(|(window, _)| window.function()).unwrap_or_default();
        Err(PlanError::new(format!(
            "WHERE beside {function} does not say whether rows that are left out {what}"
        ))
        .with_hint(format!("leave them out before: FROM {function}((SELECT * FROM stream WHERE …), ts, …)")))
    }

    /// Adds the step of a window. What it gives to rows is settled by what follows.
    pub(super) fn put_into(&mut self, node: &WindowNode) -> Result<(), PlanError> {
        let (input, function) = (node.input.schema(), node.window.function());
        let index_of = |expr: &Expr| match expr {
            Expr::Column(column) => Ok(input.index_of_column(column)?),
            other => Err(PlanError::new(format!("{function}: `{other}` is not a column"))),
        };
        let ts = index_of(&node.ts)?;
        if self.meanings[ts] != Meaning::EventTime {
            return Err(PlanError::new(format!(
                "{function}: `{}` is not the event time of the stream",
                node.ts
            ))
            .with_hint(
                "windows follow `ts`, because the watermark does; behind an inner join of rows near in time take that of the pair, \
                 greatest(a.ts, b.ts) AS ts; behind another one or a pattern, make that a pipeline of its own",
            ));
        }
        for (number, key) in node.keys.iter().enumerate() {
            self.meanings[index_of(key)?] = Meaning::SessionKey(number);
        }
        let kept: Vec<usize> = kept_columns(input).collect();
        let meanings = kept.iter().map(|column| self.meanings[*column]);
        self.meanings = meanings.chain([Meaning::WindowStart, Meaning::WindowEnd]).collect();
        self.keys = node.keys.clone();
        if let Window::Count { .. } = node.window {
            self.put_in_order(Arc::new(input.as_arrow().clone()));
        }
        self.window = Some((node.window, self.stations.len()));
        let bounds = match node.window {
            Window::Session { gap_us } => Bounds::Alone { gap_us },
            Window::Count { .. } => Bounds::Alone { gap_us: 0 },
            Window::Aligned(aligned) if aligned.slide_us == aligned.size_us => {
                Bounds::Slice { slice_us: aligned.size_us }
            }
            Window::Aligned(aligned) => Bounds::Each(aligned),
        };
        let fields: Vec<_> = node.schema().fields().iter().cloned().collect();
        let schema = Arc::new(ArrowSchema::new(fields));
        self.push(Step::Window(WindowStep { ts, bounds, kept, schema }));
        Ok(())
    }

    /// How the aggregation behind finds the windows; `groups` are what it groups by, `group_keys` what its keys mean, without the
    /// window itself.
    pub(super) fn place(&mut self, groups: &[Group], group_keys: &[Meaning]) -> Result<Placement, PlanError> {
        let Some((window, step)) = self.window else { return Err(no_window()) };
        let find = |wanted| self.meanings.iter().position(|meaning| *meaning == wanted);
        let end = find(Meaning::WindowEnd).map(|column| Bound { column, is_start: false });
        let start = || find(Meaning::WindowStart).map(|column| Bound { column, is_start: true });
        let bound = end.or_else(start).ok_or_else(no_window)?;
        match window {
            Window::Aligned(aligned) => {
                let shared = aligned.size_us > aligned.slide_us && !self.uses_bounds;
                if let (true, Some(Step::Window(step))) =
                    (shared, self.stations.get_mut(step).map(|station| &mut station.step))
                {
                    step.bounds = Bounds::Slice { slice_us: aligned.slice_us() };
                }
                Ok(Placement::Aligned { window: aligned, shared, bound })
            }
            Window::Session { .. } if self.uses_bounds => {
                Err(PlanError::new("the bounds of a session are known when it has ended, not in its rows")
                    .with_hint("compute with window_start and window_end in the SELECT list"))
            }
            Window::Count { .. } if self.uses_bounds => {
                Err(PlanError::new("the bounds of a window are known when it is full, not in its rows")
                    .with_hint("compute with window_start and window_end in the SELECT list"))
            }
            Window::Session { gap_us } => {
                Ok(Placement::Session { gap_us, bound, keys: self.window_keys(group_keys, "sessions")? })
            }
            Window::Count { .. } if !groups.iter().any(|group| matches!(group, Group::WindowEnd)) => {
                Err(PlanError::new("GROUP BY does not name window_end, and two windows of so many rows may begin at one time")
                    .with_hint(format!("GROUP BY …, {WINDOW_START}, {WINDOW_END}")))
            }
            Window::Count { size } => {
                Ok(Placement::Count { size, keys: self.window_keys(group_keys, "windows")? })
            }
        }
    }

    /// Which keys of the groups are the keys of the windows, all of which have to be there.
    fn window_keys(&self, group_keys: &[Meaning], windows: &str) -> Result<Vec<usize>, PlanError> {
        let place = |(number, key): (usize, &Expr)| {
            let found = group_keys.iter().position(|meaning| *meaning == Meaning::SessionKey(number));
            found.ok_or_else(|| {
                PlanError::new(format!("GROUP BY does not name `{key}`, the key of the {windows}"))
                    .with_hint(format!("{windows} of two keys are two, even if their bounds are the same"))
            })
        };
        self.keys.iter().enumerate().map(place).collect()
    }

    /// Refuses what is not finished where rows leave the query.
    pub(super) fn check_complete(&self) -> Result<(), PlanError> {
        if self.is_versioned {
            return Err(PlanError::new("FOR SYSTEM_TIME AS OF belongs to the right side of a join"));
        }
        self.check_session()
    }

    /// Refuses windows that need an aggregation and have none.
    pub(super) fn check_session(&self) -> Result<(), PlanError> {
        let message = match self.window {
            Some((Window::Session { .. }, _)) if !self.aggregated => {
                "which session a row belongs to is known when the session has ended"
            }
            Some((Window::Count { .. }, _)) if !self.aggregated => {
                "which window a row belongs to is known when the window is full"
            }
            _ => return Ok(()),
        };
        Err(PlanError::new(message)
            .with_hint(format!("aggregate it: GROUP BY {WINDOW_START}, {WINDOW_END}, …")))
    }
}

pub(super) fn no_window() -> PlanError {
    PlanError::new("an aggregation over an endless stream never ends without a window").with_hint(format!(
        "FROM TUMBLE(stream, ts, INTERVAL '1' MINUTE) GROUP BY {WINDOW_START}, {WINDOW_END}, …"
    ))
}
