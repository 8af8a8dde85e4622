//! `stream JOIN table ON …`: rows of a table beside those of a stream, found by the whole key.
//!
//! A table is not a stream: it has no time, nothing waits for it, and it stands where its rows are looked up, on the right
//! side of a JOIN by its name. The step is row-wise, so that everything can follow it that can follow a stream.

mod key;
mod written;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, JoinType};
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};

use self::key::{Equalities, without_key};
use super::catalog::stream_name;
use super::chain::{Chain, Station};
use super::compile::{Compiler, Meaning, Step, touches_bounds};
use super::versions::VersionedNode;
use super::window::Window;
use super::{LookupTable, PlanError};
use crate::operators::Keys;

pub(super) use written::check;

/// Finds a table's row for each row.
#[derive(Debug)]
pub(crate) struct LookupStep {
    pub(crate) table: Arc<LookupTable>,
    /// What the columns of the table's key must be equal to, in their order; null is equal to nothing.
    pub(crate) keys: Keys,
    /// What else must be true of a pair.
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    /// Whether a row that finds none is given with nulls.
    pub(crate) keeps_alone: bool,
    /// The columns of the table that are needed: first those that are given, then those of conditions alone.
    pub(crate) columns: Vec<usize>,
    pub(crate) schema: SchemaRef,
    /// The columns of a row and those needed of the table, with the names that conditions use.
    pub(crate) pair: SchemaRef,
}

/// The right side of a join that is a table.
pub(super) struct TableSide {
    table: Arc<LookupTable>,
    /// The columns that it gives, as places in the table.
    columns: Vec<usize>,
    /// Conditions on its rows alone, over the table's columns.
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

/// The tables in which stations look rows up, each once.
pub(super) fn tables(stations: &[Station]) -> Vec<Arc<LookupTable>> {
    let mut tables: Vec<Arc<LookupTable>> = Vec::new();
    for station in stations {
        if let Step::Lookup(step) = &station.step
            && !tables.iter().any(|known| known.name == step.table.name)
        {
            tables.push(Arc::clone(&step.table));
        }
    }
    tables
}

impl Compiler<'_> {
    /// A side that is a table, with what the optimizer has moved there; `None` for streams.
    pub(super) fn table_side(&self, plan: &LogicalPlan) -> Result<Option<TableSide>, PlanError> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let Some(table) = self.catalog.table(&stream_name(&scan.table_name)) else { return Ok(None) };
                let schema = table.definition.schema();
                let all = DFSchema::try_from_qualified_schema(scan.table_name.clone(), schema)?;
                let conditions = scan.filters.iter().map(|filter| self.expression(filter, &all));
                let conditions = conditions.collect::<Result<_, _>>()?;
                let columns = scan.projection.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
                Ok(Some(TableSide { table: Arc::clone(table), columns, conditions }))
            }
            LogicalPlan::SubqueryAlias(alias) => self.table_side(&alias.input),
            LogicalPlan::Extension(extension) => {
                match extension.node.as_any().downcast_ref::<VersionedNode>() {
                    Some(node) => self.table_side(&node.input),
                    None => Ok(None),
                }
            }
            LogicalPlan::Filter(filter) => {
                let Some(mut side) = self.table_side(&filter.input)? else { return Ok(None) };
                let condition = self.expression(&filter.predicate, filter.input.schema())?;
                side.conditions.push(moved(&condition, |at| side.columns[at])?);
                Ok(Some(side))
            }
            LogicalPlan::Projection(projection) => {
                let Some(side) = self.table_side(&projection.input)? else { return Ok(None) };
                let column = |expr: &Expr| match expr.clone().unalias() {
                    Expr::Column(column) => {
                        Ok(side.columns[projection.input.schema().index_of_column(&column)?])
                    }
                    other => Err(PlanError::new(format!("`{other}` cannot be computed below a lookup"))),
                };
                let columns = projection.expr.iter().map(column).collect::<Result<_, _>>()?;
                Ok(Some(TableSide { columns, ..side }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn lookup(&self, join: &Join, side: TableSide) -> Result<Chain, PlanError> {
        let mut chain = self.chain(&join.left)?;
        let TableSide { table, columns: given, conditions: of_table } = side;
        let left = join.left.schema();
        let width = left.fields().len();
        let keeps_alone = join.join_type == JoinType::Left;
        if let (Some((window, _)), false, false) = (chain.window, chain.aggregated, keeps_alone)
            && window.depends_on_others()
        {
            return Err(beside(window));
        }
        let equal = join.on.iter().map(|(of_left, of_right)| of_left.clone().eq(of_right.clone()));
        let written: Vec<Expr> = equal.chain(join.filter.clone()).collect();
        chain.uses_bounds |= written.iter().any(|expr| touches_bounds(expr, left, &chain.meanings));

        // All conditions over one row: the stream's columns, then those of the table.
        let both = left.join(join.right.schema())?;
        let mut conditions = Vec::new();
        for expr in &written {
            conditions.extend(split_conjunction(&self.expression(expr, &both)?).into_iter().cloned());
        }
        let mut columns = given.clone();
        for condition in &of_table {
            for needed in collect_columns(condition) {
                if !columns.contains(&needed.index()) {
                    columns.push(needed.index());
                }
            }
        }
        let place = |at: usize| width + columns.iter().position(|column| *column == at).unwrap_or_default();
        for condition in &of_table {
            let condition = moved(condition, place)?;
            conditions.extend(split_conjunction(&condition).into_iter().cloned());
        }
        let Equalities { keys, rest } = Equalities::find(&table, &columns, width, conditions);
        let keys =
            keys.into_iter().enumerate().map(|(at, key)| key.ok_or_else(|| without_key(&table, at, &rest)));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;

        let input = left.as_arrow();
        let keys = Keys::new(keys, input).map_err(|error| PlanError::new(error.to_string()))?;
        let of_table = columns.iter().map(|at| table.definition.schema().field(*at));
        let pair = input.fields().iter().map(AsRef::as_ref).chain(of_table);
        let pair: Vec<Field> = pair.map(|field| field.clone().with_nullable(true)).collect();
        let schema = Arc::new(join.schema.as_arrow().clone());
        chain.meanings.extend(given.iter().map(|_| Meaning::Other));
        chain.push(Step::Lookup(Arc::new(LookupStep {
            table,
            keys,
            condition: (!rest.is_empty()).then(|| conjunction(rest)),
            keeps_alone,
            columns,
            schema,
            pair: Arc::new(ArrowSchema::new(pair)),
        })));
        Ok(chain)
    }
}

/// An expression with its columns at other places.
fn moved(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> usize,
) -> Result<Arc<dyn PhysicalExpr>, PlanError> {
    let moved = Arc::clone(expr).transform(|part| {
        Ok(match part.downcast_ref::<Column>() {
            Some(column) => {
                Transformed::yes(Arc::new(Column::new(column.name(), place(column.index()))) as _)
            }
            None => Transformed::no(part),
        })
    })?;
    Ok(moved.data)
}

fn beside(window: Window) -> PlanError {
    let function = window.function();
    let what = if let Window::Session { .. } = window { "keep a session alive" } else { "are counted" };
    PlanError::new(format!("JOIN beside {function} does not say whether rows that find none {what}"))
        .with_hint(format!("LEFT JOIN; or leave them out before: FROM {function}((SELECT … FROM stream JOIN table ON …), ts, …)"))
}
