//! Functions with OVER that clean a signal, `hysteresis` and `debounce`.
//!
//! ```text
//!              value ─▶ ┌──────┐
//!                       │ step │ ─▶ value of the row
//!   memory of the key ─▶└──────┘─▶ memory of the key
//! ```
//! They remember a value or two of each key, and no rows. The step from one row to the next is written once: pipelines take it
//! in an operator, and history in a window function of DataFusion. Neither reads the clock; what is given follows from the
//! rows and their order.

mod debounce;
mod function;
mod hysteresis;

use std::fmt;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

pub(crate) use function::{SignalFunctions, check_calls, functions, signal_of};

use debounce::Debounce;
use hysteresis::Hysteresis;

/// A function, with what is constant in a call of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Hysteresis,
    Debounce { for_us: i64 },
}

impl Signal {
    /// Which of the arguments of a call are computed for each row.
    pub fn varying(self) -> &'static [usize] {
        match self {
            Signal::Hysteresis => &[0, 1, 2],
            Signal::Debounce { .. } => &[0, 2],
        }
    }

    /// Begins with nothing; `value` is the type of the first argument.
    pub fn start(self, value: &DataType) -> Result<Box<dyn Memory>> {
        Ok(match self {
            Signal::Hysteresis => Box::new(Hysteresis::default()),
            Signal::Debounce { for_us } => Box::new(Debounce::new(for_us, value)?),
        })
    }
}

/// What is remembered of keys, which are numbered from 0 as they come. Their rows come in the order of time.
pub(crate) trait Memory: fmt::Debug + Send {
    /// The value of each row; `keys` has their numbers.
    fn advance(&mut self, arguments: &[ArrayRef], keys: &[usize]) -> Result<ArrayRef>;

    /// The types of the columns of a state.
    fn types(&self) -> Vec<DataType>;

    /// A row for each key, in the order of their numbers.
    fn state(&self) -> Result<Vec<ArrayRef>>;

    /// Goes on from a state; the columns have the types of one.
    fn restore(&mut self, state: &[ArrayRef]) -> Result<()>;

    fn bytes(&self) -> usize;
}
