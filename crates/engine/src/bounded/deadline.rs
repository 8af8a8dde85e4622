//! How long a computation may go on.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result, config_err};

/// Shared by the parts of one computation; a clone is the same deadline. Travels with DataFusion's options to where
/// functions are computed.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: Duration,
    made: Instant,
    /// Nanoseconds after `made`.
    until: AtomicU64,
    is_over: AtomicBool,
}

/// The computation took longer than it may, or nobody waits for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the computation took longer than {limit:?}")]
pub struct TimeOver {
    pub limit: Duration,
}

impl Deadline {
    /// From now on.
    pub fn within(limit: Duration) -> Deadline {
        let inner =
            Inner { limit, made: Instant::now(), until: AtomicU64::new(0), is_over: AtomicBool::new(false) };
        let deadline = Deadline(Arc::new(inner));
        deadline.restart();
        deadline
    }

    /// The whole time again.
    pub fn restart(&self) {
        let until = (self.0.made.elapsed() + self.0.limit).as_nanos();
        self.0.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nobody waits any more.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    pub fn check(&self) -> Result<(), TimeOver> {
        let is_late = || self.0.made.elapsed().as_nanos() > u128::from(self.0.until.load(Ordering::Relaxed));
        match self.0.is_over.load(Ordering::Relaxed) || is_late() {
            true => Err(TimeOver { limit: self.0.limit }),
            false => Ok(()),
        }
    }

    /// What is computed with these options ends by this deadline.
    pub fn put_into(&self, options: &mut ConfigOptions) {
        options.extensions.insert(self.clone());
    }
}

/// The deadline in the options, if there is one.
pub(crate) fn check(options: &ConfigOptions) -> Result<()> {
    options.extensions.get::<Deadline>().map_or(Ok(()), |deadline| Ok(deadline.check()?))
}

impl TimeOver {
    /// If that is what an error comes from.
    pub(crate) fn of(error: &DataFusionError) -> Option<TimeOver> {
        match error.find_root() {
            DataFusionError::External(source) => source.downcast_ref::<TimeOver>().copied(),
            _ => None,
        }
    }
}

impl From<TimeOver> for DataFusionError {
    fn from(over: TimeOver) -> DataFusionError {
        DataFusionError::External(Box::new(over))
    }
}

impl ConfigExtension for Deadline {
    const PREFIX: &'static str = "deadline";
}

impl ExtensionOptions for Deadline {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        config_err!("a deadline has no option `{key}`")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
