//! A pattern as the operator needs it: expressions that compute batches.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use super::term::{previous_column, term_column};
use super::{Automaton, Following, PatternNode, Skip, Term};
use crate::plan::PlanError;

/// Finds matches of a pattern in each partition.
#[derive(Debug)]
pub(crate) struct PatternStep {
    /// As it was written.
    pub(crate) pattern: String,
    pub(crate) variables: Vec<String>,
    pub(crate) automaton: Automaton,
    pub(crate) skip: Skip,
    pub(crate) until_time_is_over: bool,
    pub(crate) within_us: Option<i64>,
    /// Columns of the input.
    pub(crate) partition: Vec<usize>,
    pub(crate) key_schema: SchemaRef,
    pub(crate) previous: Vec<Previous>,
    /// The columns of the input, then those of previous rows.
    pub(crate) row_schema: SchemaRef,
    /// What is kept of a row that is taken, over `row_schema`.
    pub(crate) kept: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) terms: Vec<Term>,
    /// The terms that conditions name: two ways that are alike in these go on alike.
    pub(crate) deciding: Vec<usize>,
    /// For each variable.
    pub(crate) conditions: Vec<Condition>,
    /// `row_schema`, then the terms.
    pub(crate) condition_schema: SchemaRef,
    pub(crate) term_schema: SchemaRef,
    pub(crate) measures: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns of the partition, then the measures.
    pub(crate) schema: SchemaRef,
}

/// A value of a row before, in the same partition.
#[derive(Debug)]
pub(crate) struct Previous {
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) rows: usize,
    pub(crate) field: Arc<Field>,
}

/// Whether a variable takes a row.
#[derive(Debug)]
pub(crate) enum Condition {
    Always,
    /// Follows from the row and those before it in the partition.
    OfRow(Arc<dyn PhysicalExpr>),
    /// Depends on the rows that the match has taken.
    OfMatch(Arc<dyn PhysicalExpr>),
}

impl PatternStep {
    pub(crate) fn compile(node: &PatternNode, props: &ExecutionProps) -> Result<PatternStep, PlanError> {
        let matching = &node.matching;
        let rows = node.input.schema();
        let index = |expr: &Expr| match expr {
            Expr::Column(column) => Ok(rows.index_of_column(column)?),
            other => Err(PlanError::new(format!("`{other}` is not a column"))),
        };
        let partition: Vec<usize> = node.partition.iter().map(index).collect::<Result<_, _>>()?;
        let key_fields = partition.iter().map(|key| Arc::clone(&rows.fields()[*key]));
        let physical = |expr: &Expr, schema: &DFSchema| {
            create_physical_expr(expr, schema, props, &PhysicalPlanningContext::default())
        };
        let previous = matching.previous.iter().enumerate().map(|(number, (expr, offset))| {
            let field = Arc::new(Field::new(previous_column(number), expr.get_type(rows)?, true));
            Ok(Previous { expr: physical(expr, rows)?, rows: *offset, field })
        });
        let previous = previous.collect::<Result<Vec<_>>>()?;
        let with_previous = joined(rows, previous.iter().map(|previous| Arc::clone(&previous.field)))?;
        let kept = matching.kept.iter().map(|expr| physical(expr, &with_previous)).collect::<Result<_>>()?;
        let terms = matching.terms.iter().enumerate();
        let term_fields: Vec<Arc<Field>> = terms
            .map(|(number, term)| Arc::new(Field::new(term_column(number), term.ty.clone(), true)))
            .collect();
        let with_terms = joined(&with_previous, term_fields.iter().cloned())?;
        let only_terms = joined(&DFSchema::empty(), term_fields.into_iter())?;
        let mut deciding = Vec::new();
        let conditions = matching.conditions.iter().map(|condition| {
            let Some(expr) = condition else { return Ok(Condition::Always) };
            let is_named =
                |number: &usize| expr.column_refs().iter().any(|column| column.name == term_column(*number));
            let named: Vec<usize> = (0..matching.terms.len()).filter(is_named).collect();
            if named.is_empty() {
                return Ok(Condition::OfRow(physical(expr, &with_previous)?));
            }
            deciding.extend(named);
            Ok(Condition::OfMatch(physical(expr, &with_terms)?))
        });
        let conditions = conditions.collect::<Result<Vec<_>>>()?;
        deciding.sort_unstable();
        deciding.dedup();
        let measures = matching.measures.iter().map(|measure| physical(&measure.expr, &only_terms));
        Ok(PatternStep {
            pattern: matching.pattern.to_string(),
            variables: matching.pattern.variables.clone(),
            automaton: Automaton::of(&matching.pattern)?,
            skip: matching.skip,
            until_time_is_over: matching.pattern.until_time_is_over,
            within_us: matching.pattern.within_us,
            key_schema: Arc::new(ArrowSchema::new(key_fields.collect::<Vec<_>>())),
            partition,
            previous,
            row_schema: Arc::new(with_previous.as_arrow().clone()),
            kept,
            terms: matching.terms.clone(),
            deciding,
            conditions,
            condition_schema: Arc::new(with_terms.as_arrow().clone()),
            term_schema: Arc::new(only_terms.as_arrow().clone()),
            measures: measures.collect::<Result<_>>()?,
            schema: Arc::new(node.schema().as_arrow().clone()),
        })
    }
}

impl PatternStep {
    /// How far the time of a match may be behind the moment at which it is decided; `None` if nothing bounds it.
    pub(crate) fn behind_us(&self) -> Option<i64> {
        let ends_at_once = |following: &Following| !following.may_end || following.states.is_empty();
        let mut states = self.automaton.states.iter();
        // One that is complete may have to wait for an attempt that began before it, unless matches may overlap.
        let is_given_at_once =
            self.skip == Skip::ToNextRow && states.all(|state| ends_at_once(&state.following));
        if self.until_time_is_over || is_given_at_once { Some(0) } else { self.within_us }
    }
}

fn joined(schema: &DFSchema, fields: impl Iterator<Item = Arc<Field>>) -> Result<DFSchema> {
    let fields: Vec<Field> = fields.map(|field| field.as_ref().clone()).collect();
    schema.join(&DFSchema::from_unqualified_fields(fields.into(), Default::default())?)
}
