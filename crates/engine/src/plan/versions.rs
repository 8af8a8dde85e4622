//! `JOIN stream FOR SYSTEM_TIME AS OF other.ts`: the rows of a stream as the versions of what they describe.
//!
//! The words reach the planner as an argument, `stream(as_of => ts)`; the node marks the stream for the join above it.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, plan_datafusion_err};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, TableFactor, TableFunctionArgs,
};

use super::PlanError;

/// The name of the argument.
pub(crate) const AS_OF: &str = "as_of";

/// Recognizes versioned streams in FROM.
#[derive(Debug)]
pub(crate) struct Versions;

impl RelationPlanner for Versions {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { args, alias, .. } = &mut relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(time) = args.as_ref().and_then(as_of) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if time != "ts" {
            return Err(PlanError::new("FOR SYSTEM_TIME AS OF takes the `ts` of the other stream")
                .with_hint("FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.device = b.device")
                .into());
        }
        let alias = alias.take();
        *args = None;
        let input = context.plan(relation)?;
        let node = LogicalPlan::Extension(Extension { node: Arc::new(VersionedNode { input }) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(node, alias))))
    }
}

fn as_of(args: &TableFunctionArgs) -> Option<&str> {
    let [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(SqlExpr::Identifier(time)), .. }] =
        args.args.as_slice()
    else {
        return None;
    };
    (name.value == AS_OF).then_some(time.value.as_str())
}

/// Its input, of which a join takes the newest row at some time.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct VersionedNode {
    pub(crate) input: LogicalPlan,
}

impl PartialOrd for VersionedNode {
    fn partial_cmp(&self, other: &VersionedNode) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl fmt::Debug for VersionedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Versions")
    }
}

impl UserDefinedLogicalNodeCore for VersionedNode {
    fn name(&self) -> &str {
        "Versions"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// The newest row of which something is true is not the newest row, of which it may be true.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Versions")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<VersionedNode> {
        let input = inputs.into_iter().next();
        Ok(VersionedNode { input: input.ok_or_else(|| plan_datafusion_err!("versions are of one stream"))? })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

pub(crate) fn is_versioned(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().is::<VersionedNode>(),
        _ => false,
    }
}
