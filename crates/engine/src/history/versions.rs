//! `FOR SYSTEM_TIME AS OF` over bounded tables: each row of the right side holds until the next one of its key. For a reference
//! table `b.ts` is its VALID FROM.
//!
//! ```text
//! a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k AND …
//!   = a JOIN (b with _until, the ts of the next row of its k) ON a.k = b.k AND … AND b.ts <= a.ts AND (a.ts < _until OR _until IS NULL)
//! ```

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, plan_datafusion_err};
use datafusion::functions_window::lead_lag::lead_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, WindowFunctionDefinition,
};
use springhouse_schema::TS_COLUMN;

use crate::plan::stream_name;
use crate::plan::versions::{VersionedNode, is_versioned};
use crate::tables::valid_from_of;

/// The column that says how long a version holds.
const UNTIL: &str = "_until";

/// The plan of a query with its versioned joins in DataFusion's own words.
pub fn lower_versions(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !plan.exists(|node| Ok(is_versioned(node)))? {
        return Ok(plan);
    }
    let lowered = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if join.right.exists(|node| Ok(is_versioned(node)))? => {
            Ok(Transformed::yes(lower(join)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    match lowered.data.exists(|node| Ok(is_versioned(node)))? {
        true => Err(plan_datafusion_err!("FOR SYSTEM_TIME AS OF belongs to the right side of a join")),
        false => Ok(lowered.data),
    }
}

fn lower(join: Join) -> Result<LogicalPlan> {
    let time = time_of(join.left.schema(), "left")?;
    let since = since_of(&join)?;
    let keys = keys(&join);
    let lead = WindowFunction::new(WindowFunctionDefinition::WindowUDF(lead_udwf()), vec![since.clone()]);
    let order = vec![since.clone().sort(true, false)];
    let lead = Expr::from(lead).partition_by(keys).order_by(order).build()?;
    let right = without_mark(join.right.as_ref().clone())?;
    let mut columns: Vec<Expr> = right.schema().iter().map(Expr::from).collect();
    let found = Expr::Column(Column::new_unqualified(lead.schema_name().to_string()));
    columns.push(found.alias(UNTIL));
    let right = LogicalPlanBuilder::from(right).window([lead])?.project(columns)?.build()?;
    let until = Expr::Column(Column::new_unqualified(UNTIL));
    let holds = since.lt_eq(time.clone()).and(time.lt(until.clone()).or(until.is_null()));
    let equal = join.on.into_iter().map(|(left, right)| left.eq(right));
    let condition = equal.chain(join.filter).fold(holds, Expr::and);
    let all: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
    LogicalPlanBuilder::from(join.left.as_ref().clone())
        .join_on(right, join.join_type, [condition])?
        .project(all)?
        .build()
}

/// Since when a row of the right side holds: its time or, of a reference table, VALID FROM.
fn since_of(join: &Join) -> Result<Expr> {
    let mut valid_from = None;
    join.right.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let schema = scan.source.schema();
            let name = stream_name(&scan.table_name);
            valid_from = valid_from_of(&schema).map(|since| (name, since.map(str::to_owned)));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match valid_from {
        None => time_of(join.right.schema(), "right"),
        Some((_, Some(since))) => {
            Ok(Expr::Column(join.right.schema().qualified_field_with_unqualified_name(&since)?.into()))
        }
        Some((name, None)) => Err(plan_datafusion_err!(
            "`{name}` does not say since when its rows hold; hint: JOIN {name} ON …"
        )),
    }
}

/// The only column of a side that is its time.
fn time_of(schema: &DFSchema, side: &str) -> Result<Expr> {
    let mut times = schema.iter().filter(|(_, field)| field.name() == TS_COLUMN);
    match (times.next(), times.next()) {
        (Some(time), None) => Ok(Expr::from(time)),
        _ => Err(plan_datafusion_err!(
            "FOR SYSTEM_TIME AS OF needs one column `ts` on the {side} side; hint: name the others differently in a subquery"
        )),
    }
}

/// What is equal to something of the left side.
fn keys(join: &Join) -> Vec<Expr> {
    let (left, right) = (join.left.schema(), join.right.schema());
    let is_of = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.iter().all(|column| schema.has_column(column))
    };
    let conditions = join.filter.as_ref().map(split_conjunction).unwrap_or_default();
    let equal = conditions.into_iter().filter_map(|condition| match condition {
        Expr::BinaryExpr(BinaryExpr { left: a, op: Operator::Eq, right: b }) => {
            if is_of(a, left) && is_of(b, right) {
                return Some(b.as_ref().clone());
            }
            (is_of(b, left) && is_of(a, right)).then(|| a.as_ref().clone())
        }
        _ => None,
    });
    equal.chain(join.on.iter().map(|(_, right)| right.clone())).collect()
}

/// The side without the node that marked it.
fn without_mark(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plain = plan.transform_up(|node| {
        let versioned = match &node {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<VersionedNode>(),
            _ => None,
        };
        Ok(match versioned.map(|node| node.input.clone()) {
            Some(input) => Transformed::yes(input),
            None => Transformed::no(node),
        })
    })?;
    Ok(plain.data)
}
