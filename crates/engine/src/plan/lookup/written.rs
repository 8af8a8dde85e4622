//! Where a table may stand in a query, judged by what was written, before the optimizer moves anything.

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;

use crate::plan::PlanError;
use crate::plan::catalog::stream_name;
use crate::plan::versions::VersionedNode;
use crate::tables::valid_from_of;

/// Refuses tables that stand elsewhere than on the right side of a join, as it was written.
pub(in crate::plan) fn check(plan: &LogicalPlan) -> Result<(), PlanError> {
    let (mut tables, mut places) = (Vec::new(), 0);
    let mut refusal = None;
    plan.apply(|node| {
        match node {
            LogicalPlan::TableScan(scan) if valid_from_of(&scan.source.schema()).is_some() => {
                tables.push(stream_name(&scan.table_name));
            }
            LogicalPlan::Join(join) => {
                if let Some(table) = named_table(&join.right, false) {
                    places += 1;
                    refusal = refusal.take().or(table.error(join.join_type));
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    match tables.first() {
        Some(table) if tables.len() > places => Err(PlanError::new(format!(
            "`{table}` is a table: a pipeline reads streams and looks up rows of tables beside theirs"
        ))
        .with_hint(format!(
            "FROM stream JOIN {table} ON {table}.key = stream.key, with the stream on the left"
        ))),
        _ => Ok(()),
    }
}

/// A table that stands by its name.
struct NamedTable {
    name: String,
    valid_from: Option<String>,
    is_as_of: bool,
}

fn named_table(plan: &LogicalPlan, is_as_of: bool) -> Option<NamedTable> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => named_table(&alias.input, is_as_of),
        LogicalPlan::Extension(extension) => {
            named_table(&extension.node.as_any().downcast_ref::<VersionedNode>()?.input, true)
        }
        LogicalPlan::TableScan(scan) => {
            let schema = scan.source.schema();
            let valid_from = valid_from_of(&schema)?.map(str::to_owned);
            Some(NamedTable { name: stream_name(&scan.table_name), valid_from, is_as_of })
        }
        _ => None,
    }
}

impl NamedTable {
    fn error(&self, join_type: JoinType) -> Option<PlanError> {
        let NamedTable { name, valid_from, is_as_of } = self;
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            let error = format!(
                "{join_type} JOIN with the table `{name}` would give its rows without a row of a stream"
            );
            return Some(
                PlanError::new(error).with_hint("JOIN leaves out rows that find none, LEFT JOIN keeps them"),
            );
        }
        match (valid_from, is_as_of) {
            (Some(since), false) => {
                Some(PlanError::new(format!("a key of `{name}` has a row for each {since}")).with_hint(
                    format!("JOIN {name} FOR SYSTEM_TIME AS OF stream.ts ON … takes the one that holds then"),
                ))
            }
            (None, true) => Some(
                PlanError::new(format!("`{name}` does not say since when its rows hold"))
                    .with_hint(format!("JOIN {name} ON …; or CREATE TABLE {name} (…, VALID FROM column)")),
            ),
            _ => None,
        }
    }
}
