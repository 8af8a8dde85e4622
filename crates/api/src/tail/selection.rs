//! Which rows a tail is about.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use springhouse_engine::filter::RowFilter;
use springhouse_engine::{FunctionSet, TimeOver};
use springhouse_model::{DeviceId, StreamName, TenantId};
use springhouse_schema::DEVICE_COLUMN;

use crate::problem::Problem;

/// Longest SQL filter; an expression that a person writes is shorter.
const FILTER_BYTES_MAX: usize = 4 * 1024;
const PATTERNS_MAX: usize = 64;

/// Names of streams, with a trailing `*` for every name of that beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(StreamName),
    BeginsWith(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub tenant: TenantId,
    patterns: Vec<Pattern>,
    device: Option<DeviceId>,
    filter: Option<Arc<str>>,
    /// What the filter may call, for as long as somebody watches.
    functions: FunctionSet,
}

/// A selection made ready for batches of one schema.
pub(crate) struct Compiled {
    device: Option<DeviceId>,
    filter: Option<RowFilter>,
}

impl Selection {
    pub fn parse(
        tenant: TenantId,
        streams: &str,
        device: Option<&str>,
        filter: Option<&str>,
        functions: FunctionSet,
    ) -> Result<Selection, Problem> {
        let names = streams.split(',').map(str::trim).filter(|name| !name.is_empty());
        let patterns = names.map(parse_pattern).collect::<Result<Vec<_>, Problem>>()?;
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            let detail = format!("`stream` names {} streams, expected 1 to {PATTERNS_MAX}", patterns.len());
            return Err(Problem::bad_request("invalid_query", detail));
        }
        let filter = filter.map(str::trim).filter(|filter| !filter.is_empty());
        if filter.is_some_and(|filter| filter.len() > FILTER_BYTES_MAX) {
            let detail = format!("`filter` is longer than {FILTER_BYTES_MAX} bytes");
            return Err(Problem::bad_request("invalid_filter", detail));
        }
        let device = device.filter(|device| !device.is_empty()).map(str::parse).transpose()?;
        Ok(Selection { tenant, patterns, device, filter: filter.map(Arc::from), functions })
    }

    pub fn names(&self, stream: &StreamName) -> bool {
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Exactly(name) => name == stream,
            Pattern::BeginsWith(beginning) => stream.as_str().starts_with(beginning),
        })
    }

    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// `Ok(None)` when every row is wanted.
    pub fn compile(&self, schema: &SchemaRef) -> Result<Option<Compiled>, Problem> {
        if self.device.is_none() && self.filter.is_none() {
            return Ok(None);
        }
        let filter = match &self.filter {
            None => None,
            Some(text) => Some(
                RowFilter::compile(schema, text, &self.functions)
                    .map_err(|error| Problem::bad_request("invalid_filter", error.to_string()))?,
            ),
        };
        Ok(Some(Compiled { device: self.device.clone(), filter }))
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, Problem> {
    match text.strip_suffix('*') {
        Some(beginning) if beginning.is_empty() || beginning.ends_with('.') => {
            Ok(Pattern::BeginsWith(beginning.to_owned()))
        }
        Some(_) => Err(Problem::bad_request("invalid_query", format!("`{text}` is no pattern"))
            .hint("a star stands alone or after a dot: `alerts.*`")),
        None => Ok(Pattern::Exactly(text.parse()?)),
    }
}

impl Compiled {
    /// The rows that are wanted; an expression that fails on a batch wants none of it. Only one that takes too long is
    /// an error: it would do so again.
    pub fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, TimeOver> {
        let batch = match &self.device {
            Some(device) => of_device(batch, device),
            None => batch,
        };
        match &self.filter {
            Some(filter) if batch.num_rows() > 0 => filter.apply(&batch).or_else(|error| {
                if let Some(over) = error.time_over() {
                    return Err(over);
                }
                tracing::debug!(%error, "a filter of a tail failed on a batch");
                Ok(batch.slice(0, 0))
            }),
            _ => Ok(batch),
        }
    }
}

fn of_device(batch: RecordBatch, device: &DeviceId) -> RecordBatch {
    let Some(devices) = batch.column_by_name(DEVICE_COLUMN).and_then(|column| column.as_string_opt::<i32>())
    else {
        return batch.slice(0, 0);
    };
    let wanted: BooleanArray = (0..devices.len())
        .map(|row| Some(devices.is_valid(row) && devices.value(row) == device.as_str()))
        .collect();
    filter_record_batch(&batch, &wanted).unwrap_or_else(|_| batch.slice(0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(streams: &str) -> Result<Selection, Problem> {
        Selection::parse(TenantId::main(), streams, None, None, FunctionSet::default())
    }

    #[test]
    fn names_and_beginnings_select_streams() {
        let names = |streams: &str, name: &str| selection(streams).unwrap().names(&name.parse().unwrap());
        assert!(names("meter, climate", "climate") && !names("meter", "meter.late"));
        assert!(names("alerts.*", "alerts.hot") && !names("alerts.*", "alerts"));
        assert!(names("*", "anything"));
        for bad in ["", ",", "Meter", "met*", "a/b"] {
            assert!(selection(bad).is_err(), "{bad}");
        }
    }
}
