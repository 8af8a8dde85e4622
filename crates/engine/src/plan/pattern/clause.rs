//! `MATCH_RECOGNIZE` in FROM: from the syntax to a node of the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, cast};
use datafusion::sql::sqlparser::ast::{
    AfterMatchSkip, Expr as SqlExpr, Ident, Measure as SqlMeasure, OrderByExpr, RowsPerMatch,
    SymbolDefinition, TableFactor,
};

use super::term::{Scope, Terms, Written, previous_column, term_column};
use super::{Automaton, Kind, Matching, Measure, Pattern, PatternNode, Skip, Term};
use crate::plan::window::time_type;
use crate::plan::{PlanError, check_expression, settle};

/// Recognizes MATCH_RECOGNIZE in FROM.
#[derive(Debug)]
pub(crate) struct MatchRecognize;

impl RelationPlanner for MatchRecognize {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::MatchRecognize {
            table,
            partition_by,
            order_by,
            measures,
            rows_per_match,
            after_match_skip,
            pattern,
            symbols,
            alias,
        } = relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        one_row_per_match(rows_per_match.as_ref())?;
        let skip = skip(after_match_skip.as_ref())?;
        let input = context.plan(*table)?;
        let pattern = Pattern::read(&pattern, &|name| context.normalize_ident(name.clone()))?;
        Automaton::of(&pattern)?;
        let partition = partition_by.iter().map(|key| column(key, "PARTITION BY", &input, context));
        let partition = partition.collect::<Result<Vec<_>>>()?;
        let ts = time(&order_by, &input, context)?;
        let clause = Clause { pattern, skip, symbols: &symbols, measures: &measures };
        let matching = clause.settled(&input, context)?;
        let node = PatternNode::new(input, partition, ts, Arc::new(matching))?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn one_row_per_match(rows: Option<&RowsPerMatch>) -> Result<(), PlanError> {
    match rows {
        None | Some(RowsPerMatch::OneRow) => Ok(()),
        Some(RowsPerMatch::AllRows(_)) => {
            Err(PlanError::new("ALL ROWS PER MATCH is not available: a match gives one row, its MEASURES")
                .with_hint("ONE ROW PER MATCH, with FIRST, LAST and aggregates over its rows"))
        }
    }
}

fn skip(skip: Option<&AfterMatchSkip>) -> Result<Skip, PlanError> {
    match skip {
        None | Some(AfterMatchSkip::PastLastRow) => Ok(Skip::PastLastRow),
        Some(AfterMatchSkip::ToNextRow) => Ok(Skip::ToNextRow),
        Some(AfterMatchSkip::ToFirst(_) | AfterMatchSkip::ToLast(_)) => {
            Err(PlanError::new("AFTER MATCH SKIP TO a variable is not available")
                .with_hint("AFTER MATCH SKIP PAST LAST ROW, or TO NEXT ROW"))
        }
    }
}

fn column(
    written: &SqlExpr,
    clause: &str,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    match context.sql_to_expr(written.clone(), input.schema())? {
        Expr::Column(column) => Ok(Expr::Column(Column::new(column.relation, column.name))),
        _ => Err(PlanError::new(format!("MATCH_RECOGNIZE: {clause} `{written}` is not a column"))
            .with_hint("compute it before: WITH s AS (SELECT …) SELECT … FROM s MATCH_RECOGNIZE (…)")
            .into()),
    }
}

/// ORDER BY ts: rows follow each other in event time, as the watermark does.
fn time(
    order_by: &[OrderByExpr],
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    let wrong = |message: &str| PlanError::new(message).with_hint("ORDER BY ts");
    let [order] = order_by else {
        return Err(wrong("MATCH_RECOGNIZE orders rows by their event time, and nothing else").into());
    };
    if order.options.asc == Some(false) {
        return Err(wrong("MATCH_RECOGNIZE: rows come in the order of time, not against it").into());
    }
    let ts = column(&order.expr, "ORDER BY", input, context)?;
    match ts.get_type(input.schema())? == time_type() {
        true => Ok(ts),
        false => Err(wrong(&format!("MATCH_RECOGNIZE: ORDER BY `{}` is not a timestamp", order.expr)).into()),
    }
}

/// What was written, but for its input.
struct Clause<'a> {
    pattern: Pattern,
    skip: Skip,
    symbols: &'a [SymbolDefinition],
    measures: &'a [SqlMeasure],
}

impl Clause<'_> {
    /// Plans and types all expressions, each over the columns that are there when it is computed.
    fn settled(self, input: &LogicalPlan, context: &mut dyn RelationPlannerContext) -> Result<Matching> {
        let mut terms = Terms::default();
        let conditions = self.conditions(&mut terms, context)?;
        let measures = self.taken_measures(&mut terms, context)?;
        let rows = input.schema();
        let mut planner = Planner { context };
        let (written, offsets): (Vec<SqlExpr>, Vec<usize>) = terms.previous.into_iter().unzip();
        let previous = planner.expressions(written, rows)?;
        let with_previous = with_columns(rows, &types(&previous, rows)?, previous_column)?;
        let (kept, terms) = planner.kept(&terms.terms, &with_previous)?;
        let types: Vec<DataType> = terms.iter().map(|term| term.ty.clone()).collect();
        let with_terms = with_columns(&with_previous, &types, term_column)?;
        let conditions = planner.conditions(conditions, &self.pattern, &with_terms)?;
        let measures = planner.measures(measures, &with_columns(&DFSchema::empty(), &types, term_column)?)?;
        let previous: Vec<(Expr, usize)> = previous.into_iter().zip(offsets).collect();
        let read = previous.iter().map(|(expr, _)| expr).chain(&kept).chain(conditions.iter().flatten());
        let columns: BTreeSet<Column> = read.flat_map(Expr::column_refs).cloned().collect();
        let columns = columns.into_iter().filter(|column| !column.name.starts_with('\u{1}')).collect();
        let matching = Matching {
            pattern: self.pattern,
            skip: self.skip,
            columns,
            previous,
            kept,
            terms,
            conditions,
            measures,
        };
        check_end(&matching)?;
        Ok(matching)
    }

    /// The conditions of DEFINE by variable, their terms taken out.
    fn conditions(
        &self,
        terms: &mut Terms,
        context: &dyn RelationPlannerContext,
    ) -> Result<Vec<Option<SqlExpr>>> {
        let normalize = |name: &Ident| context.normalize_ident(name.clone());
        let variables = &self.pattern.variables;
        let mut conditions = vec![None; variables.len()];
        for definition in self.symbols {
            let name = normalize(&definition.symbol);
            let Some(variable) = variables.iter().position(|variable| *variable == name) else {
                let error =
                    PlanError::new(format!("DEFINE says what `{name}` is, and PATTERN does not name it"));
                return Err(error.with_hint(format!("PATTERN names {}", variables.join(", "))).into());
            };
            if conditions[variable].is_some() {
                return Err(PlanError::new(format!("DEFINE says twice what `{name}` is")).into());
            }
            let scope = Scope::Define(variable);
            conditions[variable] =
                Some(terms.take_out(&definition.definition, scope, variables, &normalize)?);
        }
        Ok(conditions)
    }

    fn taken_measures(
        &self,
        terms: &mut Terms,
        context: &dyn RelationPlannerContext,
    ) -> Result<Vec<(String, SqlExpr)>> {
        let normalize = |name: &Ident| context.normalize_ident(name.clone());
        let measures = self.measures.iter().map(|measure| {
            let expr = terms.take_out(&measure.expr, Scope::Measures, &self.pattern.variables, &normalize)?;
            Ok((normalize(&measure.alias), expr))
        });
        measures.collect()
    }
}

/// On an endless stream a match has to be complete some day.
fn check_end(matching: &Matching) -> Result<(), PlanError> {
    let pattern = &matching.pattern;
    let is_free = |variable: usize| {
        let condition = matching.conditions.get(variable);
        matches!(condition, Some(Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) | None))
    };
    if pattern.within_us.is_none() && pattern.tree.never_ends(&is_free) {
        return Err(PlanError::new(format!(
            "PATTERN ({pattern}) prefers to go on for ever, and no row can end a match of it"
        ))
        .with_hint(
            "WITHIN INTERVAL '10' MINUTE behind PATTERN, a condition in DEFINE, or `*?` and `+?`, which end as soon as they can",
        ));
    }
    let automaton = Automaton::of(pattern)?;
    if automaton.beginning.states.is_empty() && !pattern.until_time_is_over {
        return Err(PlanError::new(format!(
            "PATTERN ({pattern}) prefers to match no row at all, which gives nothing"
        ))
        .with_hint("`+?` takes at least one"));
    }
    Ok(())
}

/// A schema with further columns behind.
fn with_columns(schema: &DFSchema, types: &[DataType], name: impl Fn(usize) -> String) -> Result<DFSchema> {
    let fields = types.iter().enumerate().map(|(number, ty)| Field::new(name(number), ty.clone(), true));
    schema.join(&DFSchema::from_unqualified_fields(fields.collect(), Default::default())?)
}

fn types(exprs: &[Expr], schema: &DFSchema) -> Result<Vec<DataType>> {
    exprs.iter().map(|expr| expr.get_type(schema)).collect()
}

struct Planner<'a> {
    context: &'a mut dyn RelationPlannerContext,
}

impl Planner<'_> {
    fn expressions(&mut self, written: Vec<SqlExpr>, schema: &DFSchema) -> Result<Vec<Expr>> {
        let exprs = written.into_iter().map(|written| {
            let expr = self.context.sql_to_expr(written, schema)?;
            check_expression(&expr)?;
            check_rows(&expr)?;
            Ok(expr)
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        Ok(settle(exprs, schema)?)
    }

    /// What is kept of a row, each once, and the terms over that.
    fn kept(&mut self, written: &[Written], schema: &DFSchema) -> Result<(Vec<Expr>, Vec<Term>)> {
        let (mut kept, mut terms) = (Vec::<Expr>::new(), Vec::new());
        for Written { kind, variable, argument } in written {
            let (argument, ty) = match argument {
                None => (None, if *kind == Kind::MatchTime { time_type() } else { DataType::Int64 }),
                Some(argument) => {
                    let settled = self.expressions(vec![argument.clone()], schema)?;
                    let expr =
                        settled.into_iter().next().unwrap_or_else(|| Expr::Literal(ScalarValue::Null, None));
                    let (expr, ty) = value(*kind, expr, argument, schema)?;
                    let known = kept.iter().position(|other| *other == expr);
                    (
                        Some(known.unwrap_or_else(|| {
                            kept.push(expr);
                            kept.len() - 1
                        })),
                        ty,
                    )
                }
            };
            let ty = if *kind == Kind::Classifier { DataType::Utf8 } else { ty };
            terms.push(Term { kind: *kind, variable: *variable, argument, ty });
        }
        Ok((kept, terms))
    }

    fn conditions(
        &mut self,
        written: Vec<Option<SqlExpr>>,
        pattern: &Pattern,
        schema: &DFSchema,
    ) -> Result<Vec<Option<Expr>>> {
        let mut conditions = Vec::with_capacity(written.len());
        for (written, name) in written.into_iter().zip(&pattern.variables) {
            let Some(written) = written else {
                conditions.push(None);
                continue;
            };
            let condition = self.expressions(vec![written], schema)?;
            let ty = types(&condition, schema)?;
            if !matches!(ty.as_slice(), [DataType::Boolean | DataType::Null]) {
                return Err(PlanError::new(format!("DEFINE: what `{name}` is is not a condition"))
                    .with_hint(format!("DEFINE {name} AS temp > 30"))
                    .into());
            }
            conditions.extend(condition.into_iter().map(Some));
        }
        Ok(conditions)
    }

    fn measures(&mut self, written: Vec<(String, SqlExpr)>, schema: &DFSchema) -> Result<Vec<Measure>> {
        let (names, written): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        let exprs = self.expressions(written, schema)?;
        let measures = names.into_iter().zip(exprs).map(|(name, expr)| {
            let field = Arc::new(Field::new(name, expr.get_type(schema)?, true));
            Ok(Measure { field, expr })
        });
        measures.collect()
    }
}

/// The argument of a term in the type in which it is kept, and the type of the term.
fn value(kind: Kind, expr: Expr, written: &SqlExpr, schema: &DFSchema) -> Result<(Expr, DataType)> {
    let ty = expr.get_type(schema)?;
    Ok(match kind {
        Kind::Sum | Kind::Average if !ty.is_numeric() && ty != DataType::Null => {
            return Err(PlanError::new(format!("`{written}` is {ty}, and only numbers are added up"))
                .with_hint("COUNT, MIN, MAX, FIRST and LAST take anything")
                .into());
        }
        Kind::Sum if ty == DataType::Int64 => (expr, ty),
        Kind::Sum if ty.is_integer() => (cast(expr, DataType::Int64), DataType::Int64),
        Kind::Sum | Kind::Average if ty == DataType::Float64 => (expr, ty),
        Kind::Sum | Kind::Average => (cast(expr, DataType::Float64), DataType::Float64),
        Kind::Count => (expr, DataType::Int64),
        _ => (expr, ty),
    })
}

/// Only what this clause knows is about several rows.
fn check_rows(expr: &Expr) -> Result<(), PlanError> {
    let mut refused = None;
    expr.apply(|expr| {
        refused = match expr {
            Expr::AggregateFunction(call) => Some(call.func.name().to_owned()),
            Expr::WindowFunction(call) => Some(call.fun.name().to_owned()),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    match refused {
        None => Ok(()),
        Some(name) => Err(PlanError::new(format!("{name} over rows of a match is not available"))
            .with_hint("COUNT, SUM, AVG, MIN, MAX, FIRST and LAST are")),
    }
}
