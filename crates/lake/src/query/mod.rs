//! Questions: one SELECT, a chart's series, the latest rows.
//!
//! What a tenant can ask for is decided by which tables exist for him ([`tables`]); a table is a scan over the tail and
//! the files that the manifest does not rule out ([`scan`]).

mod asked;
mod backtest;
mod devices;
mod kept;
mod recent;
mod run;
mod scan;
mod series;
mod session;
mod statement;
mod tables;
mod time_limit;

pub(crate) use backtest::backtest;
pub(crate) use kept::Kept;
pub(crate) use recent::recent;
pub(crate) use run::start;
pub(crate) use scan::{device_time_order, files_plan, store_url};
pub(crate) use series::series;
pub(crate) use session::session;

pub use backtest::{Backtest, BacktestPart, BacktestRequest};
pub use recent::RowsFilter;
pub use run::{QueryResult, QueryRows, RowStream};
pub use series::{Series, SeriesRequest};
