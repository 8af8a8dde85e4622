//! Which devices a plan looks at. A rule for one device has nothing to do with the rows of a thousand others: it is told that
//! time goes on, and its filter is not asked.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{AsArray, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};
use hashbrown::HashSet;
use springhouse_schema::DEVICE_COLUMN;

use super::compile::Step;
use super::{Plan, Port, Station};

/// The devices of some rows, by their hashes: two with one hash cost a look too many and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices(HashSet<u64>);

impl Devices {
    /// Of a batch of rows.
    pub(crate) fn of(batch: &RecordBatch) -> Devices {
        let column = batch.column_by_name(DEVICE_COLUMN).and_then(|column| column.as_string_opt::<i32>());
        Devices(column.into_iter().flatten().flatten().map(hash).collect())
    }

    pub(crate) fn shares_one_with(&self, other: &Devices) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        few.0.iter().any(|device| many.0.contains(device))
    }
}

fn hash(device: &str) -> u64 {
    RandomState::with_seeds(1, 2, 3, 4).hash_one(device)
}

impl Plan {
    /// The devices of whose rows some may come through the first filter behind each scan of a source; `None` when that is not
    /// a matter of the device.
    pub(crate) fn interest(&self, source: usize) -> Option<Devices> {
        let mut all = Devices::default();
        for scan in self.scans.iter().filter(|scan| scan.source == source) {
            all.0.extend(self.interest_at(source, scan.to)?);
        }
        Some(all)
    }

    fn interest_at(&self, source: usize, mut to: Option<Port>) -> Option<Vec<u64>> {
        let mut device = self.sources[source].schema.arrow().index_of(DEVICE_COLUMN).ok()?;
        while let Some(Station { step, to: next }) = self.stations.get(to?.station) {
            match step {
                Step::Select { columns } => device = columns.iter().position(|column| *column == device)?,
                Step::Filter { predicate } => return of_condition(predicate, device),
                _ => return None,
            }
            to = *next;
        }
        None
    }
}

/// The devices for which a condition can be true, if it names them.
fn of_condition(condition: &Arc<dyn PhysicalExpr>, device: usize) -> Option<Vec<u64>> {
    let is_device = |expr: &Arc<dyn PhysicalExpr>| {
        expr.downcast_ref::<Column>().is_some_and(|column| column.index() == device)
    };
    if let Some(list) = condition.downcast_ref::<InListExpr>() {
        let names = !list.negated() && is_device(list.expr());
        return names.then(|| list.list().iter().map(of_literal).collect()).flatten();
    }
    let both = condition.downcast_ref::<BinaryExpr>()?;
    match both.op() {
        Operator::And => of_condition(both.left(), device).or_else(|| of_condition(both.right(), device)),
        Operator::Or => {
            let mut devices = of_condition(both.left(), device)?;
            devices.extend(of_condition(both.right(), device)?);
            Some(devices)
        }
        Operator::Eq if is_device(both.left()) => Some(vec![of_literal(both.right())?]),
        Operator::Eq if is_device(both.right()) => Some(vec![of_literal(both.left())?]),
        _ => None,
    }
}

fn of_literal(expr: &Arc<dyn PhysicalExpr>) -> Option<u64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(Some(name)) => Some(hash(name)),
        _ => None,
    }
}
