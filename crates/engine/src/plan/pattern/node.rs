//! The node of a plan that finds matches of a pattern.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::{DFSchema, DFSchemaRef, Result, TableReference, plan_datafusion_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::Matching;

/// A row for each match in its input: the columns of the partition, then the measures.
#[derive(Clone)]
pub(crate) struct PatternNode {
    pub input: LogicalPlan,
    /// Columns.
    pub partition: Vec<Expr>,
    /// A column.
    pub ts: Expr,
    pub matching: Arc<Matching>,
    schema: DFSchemaRef,
}

impl PatternNode {
    pub fn new(
        input: LogicalPlan,
        partition: Vec<Expr>,
        ts: Expr,
        matching: Arc<Matching>,
    ) -> Result<PatternNode> {
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> = Vec::new();
        for key in &partition {
            let Expr::Column(column) = key else { continue };
            let (qualifier, field) = input.schema().qualified_field(input.schema().index_of_column(column)?);
            fields.push((qualifier.cloned(), Arc::clone(field)));
        }
        fields.extend(matching.measures.iter().map(|measure| (None, Arc::clone(&measure.field))));
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(PatternNode { input, partition, ts, matching, schema: Arc::new(schema) })
    }
}

impl fmt::Debug for PatternNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.matching.pattern, self.ts)
    }
}

impl PartialEq for PatternNode {
    fn eq(&self, other: &PatternNode) -> bool {
        self.input == other.input
            && self.partition == other.partition
            && self.ts == other.ts
            && self.matching == other.matching
    }
}

impl Eq for PatternNode {}

impl PartialOrd for PatternNode {
    fn partial_cmp(&self, other: &PatternNode) -> Option<Ordering> {
        // Only equal nodes are the same: the optimizer orders nothing by it.
        match self == other {
            true => Some(Ordering::Equal),
            false => self.input.partial_cmp(&other.input).filter(|order| order.is_ne()),
        }
    }
}

impl Hash for PatternNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.partition.hash(state);
        self.ts.hash(state);
        self.matching.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for PatternNode {
    fn name(&self) -> &str {
        "Pattern"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// The columns that it reads. Its conditions and measures name columns that only come about inside of it, so that they
    /// are planned before (`clause`) and no rule of an optimizer sees them. A condition on the result never goes below
    /// it, which is what a node does that says nothing about it.
    fn expressions(&self) -> Vec<Expr> {
        let columns = self.matching.columns.iter().cloned().map(Expr::Column);
        self.partition.iter().cloned().chain([self.ts.clone()]).chain(columns).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Pattern: {self:?}")
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<PatternNode> {
        let wrong = || plan_datafusion_err!("a pattern has one input and one time");
        let mut exprs = exprs.into_iter();
        let partition = exprs.by_ref().take(self.partition.len()).collect();
        let ts = exprs.next().ok_or_else(wrong)?;
        let input = inputs.into_iter().next().ok_or_else(wrong)?;
        PatternNode::new(input, partition, ts, Arc::clone(&self.matching))
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let columns = self.expressions().into_iter().filter_map(|expr| match expr {
            Expr::Column(column) => schema.maybe_index_of_column(&column),
            _ => None,
        });
        let mut needed: Vec<usize> = columns.collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
