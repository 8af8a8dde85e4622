//! The conditions of a lookup: which of them name the row by its key.

use std::sync::Arc;

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column};
use datafusion::physical_expr::utils::collect_columns;

use crate::plan::{LookupTable, PlanError};

/// Conditions sorted into those that name the row by its key, and all others.
pub(super) struct Equalities {
    pub(super) keys: Vec<Option<Arc<dyn PhysicalExpr>>>,
    pub(super) rest: Vec<Arc<dyn PhysicalExpr>>,
}

impl Equalities {
    /// A column of the key that is equal to something known of the stream's row, with a value of its type.
    pub(super) fn find(
        table: &LookupTable,
        columns: &[usize],
        width: usize,
        conditions: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Equalities {
        let key = &table.definition.key;
        let mut found = Equalities { keys: vec![None; key.len()], rest: Vec::new() };
        for condition in conditions {
            let sides = condition.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Eq);
            let equal = sides.and_then(|binary| {
                let key_of = |expr: &Arc<dyn PhysicalExpr>| {
                    let at = expr.downcast_ref::<Column>()?.index().checked_sub(width)?;
                    key.iter().position(|column| *column == columns[at])
                };
                let is_known = |expr: &Arc<dyn PhysicalExpr>| {
                    collect_columns(expr).iter().all(|column| column.index() < width)
                };
                let (left, right) = (binary.left(), binary.right());
                match (key_of(left), key_of(right)) {
                    (Some(at), _) if is_known(right) => Some((at, Arc::clone(right))),
                    (_, Some(at)) if is_known(left) => Some((at, Arc::clone(left))),
                    _ => None,
                }
            });
            match equal {
                Some((at, value)) if found.keys[at].is_none() => found.keys[at] = Some(value),
                _ => found.rest.push(condition),
            }
        }
        found
    }
}

/// A column of the key that nothing is equal to, or nothing of its type.
pub(super) fn without_key(table: &LookupTable, at: usize, conditions: &[Arc<dyn PhysicalExpr>]) -> PlanError {
    let column = &table.definition.columns[table.definition.key[at]];
    let is_of_column = |expr: &Arc<dyn PhysicalExpr>| {
        expr.downcast_ref::<Column>().is_some_and(|found| found.name() == column.name)
    };
    let is_cast = conditions.iter().any(|condition| {
        let sides = condition.downcast_ref::<BinaryExpr>().map(|binary| [binary.left(), binary.right()]);
        let mut sides = sides.into_iter().flatten();
        sides.any(|side| side.downcast_ref::<CastExpr>().is_some_and(|cast| is_of_column(cast.expr())))
    });
    let (name, ty) =
        (&column.name, table.definition.schema().field(table.definition.key[at]).data_type().clone());
    match is_cast {
        true => PlanError::new(format!(
            "`{name}` of the table `{}` is compared with another type than its own",
            table.name
        ))
        .with_hint(format!("CAST the other side to the type of `{name}`, {ty}")),
        false => {
            let keys = table.definition.key_names();
            PlanError::new(format!(
                "the rows of `{}` are found by its whole key ({keys}), and `{name}` is not in ON",
                table.name
            ))
            .with_hint(format!("JOIN {} ON {}.{name} = stream.{name} AND …", table.name, table.name))
        }
    }
}
