//! Table functions that put rows into windows: `TUMBLE`, `HOP`, `SESSION` and `COUNT_WINDOW`.
//!
//! In a plan each is a node that adds `window_start` and `window_end` to its input. On an endless stream the compiler
//! turns it into operators, on history into projections with the same arithmetic, so that one text means the same on
//! both.

mod function;
mod node;

pub(crate) use function::WindowFunctions;
pub(crate) use node::{WINDOW_END, WINDOW_START, WindowNode, depends_on_others, kept_columns, time_type};

/// How rows are put into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    Aligned(Aligned),
    /// Rows of one key that are less than this apart, one after the other.
    Session {
        gap_us: i64,
    },
    /// So many rows of one key, in the order of time.
    Count {
        size: i64,
    },
}

/// Windows `[start, start + size)` that begin at the multiples of `slide`, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aligned {
    pub slide_us: i64,
    pub size_us: i64,
}

impl Window {
    /// The name of its table function.
    pub fn function(self) -> &'static str {
        match self {
            Window::Aligned(aligned) if aligned.slide_us == aligned.size_us => "TUMBLE",
            Window::Aligned(_) => "HOP",
            Window::Session { .. } => "SESSION",
            Window::Count { .. } => "COUNT_WINDOW",
        }
    }

    /// Whether the window of a row depends on what other rows there are.
    pub fn depends_on_others(self) -> bool {
        !matches!(self, Window::Aligned(_))
    }
}

impl Aligned {
    /// Windows of one size, side by side.
    pub fn tumbling(size_us: i64) -> Aligned {
        Aligned { slide_us: size_us, size_us }
    }

    /// Where the last window begins that begins at or before `ts`.
    pub fn last_start(self, ts: i64) -> i64 {
        ts.saturating_sub(ts.rem_euclid(self.slide_us))
    }

    /// The starts of the windows that hold `ts`, the earliest first; none between windows with gaps.
    pub fn starts_of(self, ts: i64) -> impl Iterator<Item = i64> {
        let last = self.last_start(ts);
        let since = i128::from(ts) - i128::from(last);
        // The window that begins k slides before the last one holds `ts` while k × slide < size - since.
        let room = i128::from(self.size_us) - since;
        let count = if room <= 0 { 0 } else { (room - 1) / i128::from(self.slide_us) + 1 };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        (0..count).rev().map(move |back| last.saturating_sub(back.saturating_mul(self.slide_us)))
    }

    /// The longest time of which each window is a whole number, laid side by side from the epoch: what falls into one
    /// slice belongs to the same windows.
    pub fn slice_us(self) -> i64 {
        let (mut a, mut b) = (self.slide_us, self.size_us);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    /// The end of the first window that holds the slice with this end.
    pub fn first_end(self, slice_end: i64) -> i64 {
        let past = slice_end.saturating_sub(self.size_us);
        let start = self.last_start(past);
        let start = if start < past { start.saturating_add(self.slide_us) } else { start };
        start.saturating_add(self.size_us)
    }

    /// The end of the last window that holds the slice with this end.
    pub fn last_end(self, slice_end: i64) -> i64 {
        self.last_start(slice_end.saturating_sub(self.slice_us())).saturating_add(self.size_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch_also_before_it() {
        let window = Aligned::tumbling(10);
        for (ts, start) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
            assert_eq!(window.last_start(ts), start, "{ts}");
            assert_eq!(window.starts_of(ts).collect::<Vec<_>>(), [start], "{ts}");
        }
        assert_eq!(window.last_start(i64::MIN), i64::MIN);
    }

    #[test]
    fn a_time_is_in_each_window_that_holds_it() {
        for (slide_us, size_us) in [(10, 60), (10, 25), (7, 10), (25, 10), (10, 10), (1, 3)] {
            let window = Aligned { slide_us, size_us };
            for ts in -100..100 {
                let by_search = (-200..=200).map(|k| k * slide_us);
                let expected: Vec<i64> =
                    by_search.filter(|start| *start <= ts && ts < start + size_us).collect();
                assert_eq!(window.starts_of(ts).collect::<Vec<_>>(), expected, "{window:?} {ts}");
            }
        }
    }

    #[test]
    fn a_slice_is_in_the_windows_of_each_of_its_times() {
        for (slide_us, size_us, slice_us) in [(10, 60, 10), (10, 25, 5), (6, 10, 2), (10, 10, 10), (1, 3, 1)]
        {
            let window = Aligned { slide_us, size_us };
            assert_eq!(window.slice_us(), slice_us);
            for ts in -100..100_i64 {
                let slice_end = ts - ts.rem_euclid(slice_us) + slice_us;
                let ends: Vec<i64> = window.starts_of(ts).map(|start| start + size_us).collect();
                assert_eq!(Some(&window.first_end(slice_end)), ends.first(), "{window:?} {ts}");
                assert_eq!(Some(&window.last_end(slice_end)), ends.last(), "{window:?} {ts}");
            }
        }
    }
}
