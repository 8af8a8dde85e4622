//! Alerts that begin and end: the query of an alert with RESOLVE, and the step that makes episodes of its rows.
//!
//! ```text
//! SELECT … WHERE c    RESOLVE WHEN r    ─▶    SELECT …, (c) IS TRUE FROM … WHERE (c) OR (r)  ─▶ in order of time ─▶ episodes
//! ```
//! The condition that ends an episode is asked of the same rows as the query's own last condition, which is QUALIFY,
//! otherwise HAVING, otherwise WHERE. It is put beside that one before anything is planned, so that whatever may stand in the clause may stand in it.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::logical_plan::Projection;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, case, is_null, lit};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, GroupByExpr, Query, Select as SqlSelect, SetExpr, Statement, Value,
    visit_expressions,
};
use springhouse_model::ValueType;
use springhouse_schema::{DEVICE_COLUMN, SITE_COLUMN, TS_COLUMN, is_system_column};

use super::chain::Chain;
use super::compile::Step;
use super::output::{column_name, value_type_of};
use super::window::time_type;
use super::{PlanError, parse_expression};
use crate::operators::Keys;
use crate::statement::{Condition, Firing, KeyColumn};

/// The columns of an episode's rows behind those of the query: what a row is, `fired` or `resolved`; …
pub(crate) const EVENT: &str = "event";
/// … when the episode began; …
pub(crate) const FIRED_AT: &str = "fired_at";
/// … and how many rows have fired in it.
pub(crate) const TIMES: &str = "times";

/// The hidden column that says whether a row fires.
const FIRES: &str = "_fires";

/// Makes episodes of rows that fire.
#[derive(Debug)]
pub(crate) struct EpisodeStep {
    pub(crate) keys: Arc<Keys>,
    /// For people.
    pub(crate) key_names: Vec<String>,
    /// The column that says whether a row fires; without one all do.
    pub(crate) fires: Option<usize>,
    /// An episode is over when no row has fired for so long.
    pub(crate) after_us: Option<i64>,
    /// How far the time of a row may be behind the watermark.
    pub(crate) behind_us: i64,
    /// The column `ts` of the query.
    pub(crate) ts: Option<usize>,
    /// The columns of the query.
    pub(crate) rows: SchemaRef,
    /// The same, then those of the episode.
    pub(crate) schema: SchemaRef,
}

/// Puts the condition that ends an episode beside the one that begins it.
pub(super) fn put_beside(statement: &mut Statement, end: &Condition) -> Result<(), PlanError> {
    crate::depth::check(&end.text)?;
    let end = parse_expression(&end.text, end.at)?;
    let Statement::Query(query) = statement else { return Err(no_single_select()) };
    let select = select_of(query).ok_or_else(no_single_select)?;
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    };
    let clause = match (&select.qualify, is_grouped || select.having.is_some()) {
        (Some(_), _) => &mut select.qualify,
        (None, _) if looks_back(&end) => {
            return Err(PlanError::new(
                "RESOLVE WHEN names a function with OVER, and the query has no QUALIFY",
            )
            .with_hint(
                "the condition that fires stands behind QUALIFY then: … QUALIFY x > avg(x) OVER (…)",
            ));
        }
        (None, true) => &mut select.having,
        (None, false) => &mut select.selection,
    };
    let begin = clause.take().unwrap_or_else(|| ast::Expr::Value(Value::Boolean(true).into()));
    let nested = |expr| Box::new(ast::Expr::Nested(Box::new(expr)));
    *clause = Some(ast::Expr::BinaryOp { left: nested(begin), op: BinaryOperator::Or, right: nested(end) });
    Ok(())
}

fn no_single_select() -> PlanError {
    PlanError::new("RESOLVE WHEN needs one SELECT whose condition it stands beside")
        .with_hint("put what is combined into FROM: SELECT * FROM (… UNION ALL …) WHERE …")
}

/// The SELECT that a query is; `None` for several.
fn select_of(query: &mut Query) -> Option<&mut SqlSelect> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => select_of(query),
        _ => None,
    }
}

pub(super) fn looks_back(expr: &ast::Expr) -> bool {
    let found = visit_expressions(expr, |part| match part {
        ast::Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Adds the column that says whether a row fires to the plan of a query with both conditions.
pub(super) fn with_fires(plan: LogicalPlan) -> Result<LogicalPlan, PlanError> {
    let LogicalPlan::Projection(projection) = plan else { return Err(not_found()) };
    let (input, fires) = told_apart(&projection.input)?;
    let mut exprs = projection.expr;
    exprs.push(fires.alias(FIRES));
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
}

/// The plan below the SELECT list, and whether a row of it fires. A condition that is true for every row goes.
fn told_apart(plan: &LogicalPlan) -> Result<(LogicalPlan, Expr), PlanError> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) = &filter.predicate else {
                return Err(not_found());
            };
            Ok(match left.as_ref() {
                Expr::Literal(ScalarValue::Boolean(Some(true)), _) => {
                    (filter.input.as_ref().clone(), right.as_ref().clone().is_not_true())
                }
                begin => (plan.clone(), begin.clone().is_true()),
            })
        }
        LogicalPlan::Window(window) => {
            let (input, fires) = told_apart(&window.input)?;
            let inputs = vec![input];
            Ok((plan.with_new_exprs(window.window_expr.clone(), inputs)?, fires))
        }
        _ => Err(not_found()),
    }
}

fn not_found() -> PlanError {
    PlanError::new("the condition that fires cannot be told from the one that resolves")
        .with_hint("put the query into FROM: SELECT * FROM (…) WHERE …")
}

/// Refuses a key that is no column of the query.
pub(super) fn check_key(key: &[KeyColumn], columns: &ArrowSchema) -> Result<(), PlanError> {
    key.iter().try_for_each(|column| index_of(column, columns).map(drop))
}

fn index_of(key: &KeyColumn, columns: &ArrowSchema) -> Result<usize, PlanError> {
    let names: Vec<String> = columns.fields().iter().map(|field| column_name(field.name())).collect();
    let found = names.iter().position(|name| *name == key.name);
    found.ok_or_else(|| PlanError {
        at: Some(key.at),
        message: format!("KEY names `{}`, which is no column of the query", key.name),
        hint: Some(format!("the query gives {}", names.join(", "))),
    })
}

impl Chain {
    /// Makes episodes of the rows, which have the columns `given`; returns the columns of their rows.
    pub(super) fn take_episodes(
        &mut self,
        firing: &Firing,
        given: &SchemaRef,
    ) -> Result<SchemaRef, PlanError> {
        let fires = firing.resolve_when.is_some().then(|| given.fields().len() - 1);
        let columns = fires.unwrap_or(given.fields().len());
        let mut fields: Vec<Field> = Vec::new();
        for field in &given.fields()[..columns] {
            let name = column_name(field.name());
            if [EVENT, FIRED_AT, TIMES].contains(&name.as_str()) {
                let message = format!("`{name}` is a column that an alert with RESOLVE adds itself");
                return Err(
                    PlanError::new(message).with_hint(format!("give it another name: {name} AS other"))
                );
            }
            fields.push(match name == TS_COLUMN && matches!(field.data_type(), DataType::Timestamp(..)) {
                true => Field::new(field.name(), time_type(), true),
                false => field.as_ref().clone().with_nullable(true),
            });
        }
        let rows: SchemaRef = Arc::new(ArrowSchema::new(fields.clone()));
        let is_time =
            |field: &Field| column_name(field.name()) == TS_COLUMN && *field.data_type() == time_type();
        let ts = fields.iter().position(is_time);
        let (keys, key_names) = keys(&firing.key, &rows)?;
        fields.extend([
            Field::new(EVENT, DataType::Utf8, false),
            Field::new(FIRED_AT, time_type(), false),
            Field::new(TIMES, DataType::Int64, false),
        ]);
        let schema: SchemaRef = Arc::new(ArrowSchema::new(fields));
        let behind_us = self.settle_order(given)?;
        self.push(Step::Episode(Arc::new(EpisodeStep {
            keys: Arc::new(keys),
            key_names,
            fires,
            after_us: firing.resolve_after_us,
            behind_us,
            ts,
            rows,
            schema: Arc::clone(&schema),
        })));
        Ok(schema)
    }

    /// Rows come in the order of time from here on, so far behind the watermark. Rows of windows do already, when their window closes.
    fn settle_order(&mut self, schema: &SchemaRef) -> Result<i64, PlanError> {
        if self.in_order || self.aggregated || (self.matched && self.behind_us == 0) {
            (self.in_order, self.matched) = (true, false);
            return Ok(0);
        }
        if !self.is_bounded_behind {
            let message =
                "RESOLVE needs to know how long a match may take to be decided, and nothing bounds it";
            return Err(PlanError::new(message).with_hint("PATTERN (…) WITHIN INTERVAL '1' HOUR"));
        }
        let behind_us = self.behind_us;
        self.judges_lateness = true;
        self.push(Step::Order { schema: Arc::clone(schema), behind_us });
        (self.in_order, self.matched) = (true, false);
        Ok(behind_us)
    }
}

fn is_text(field: &Field) -> bool {
    *field.data_type() != DataType::Null && value_type_of(field.data_type()) == Some(ValueType::Text)
}

/// What tells rows apart: the columns that were named; otherwise the device, for rows without one the site, and for
/// those without either all words in them. `springhouse_act` names events in the same way.
fn keys(named: &[KeyColumn], rows: &SchemaRef) -> Result<(Keys, Vec<String>), PlanError> {
    let fields = rows.fields().iter().enumerate();
    let column = |at: usize| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(rows.field(at).name(), at)) };
    let chosen: Vec<usize> = match named {
        [] => fields.filter(|(_, field)| is_text(field)).map(|(at, _)| at).collect(),
        named => named.iter().map(|key| index_of(key, rows)).collect::<Result<_, _>>()?,
    };
    let name = |at: usize| column_name(rows.field(at).name());
    let mut exprs = Vec::new();
    let mut names = Vec::new();
    let find = |wanted: &str| chosen.iter().copied().find(|at| name(*at) == wanted);
    let (device, site) = (find(DEVICE_COLUMN), find(SITE_COLUMN));
    for at in &chosen {
        // A column says something only where those before it are null.
        let before: Vec<usize> = match named.is_empty() {
            false => Vec::new(),
            true if Some(*at) == device => Vec::new(),
            true if Some(*at) == site => device.into_iter().collect(),
            true if is_system_column(&name(*at)) => continue,
            true => device.into_iter().chain(site).collect(),
        };
        let mut expr = column(*at);
        for earlier in before {
            let nothing = lit(ScalarValue::try_new_null(rows.field(*at).data_type())?);
            expr = case(None, vec![(is_null(column(earlier))?, expr)], Some(nothing))?;
        }
        exprs.push(expr);
        names.push(name(*at));
    }
    if named.is_empty() && (device.is_some() || site.is_some()) {
        names = [device, site].into_iter().flatten().take(1).map(name).collect();
    }
    let keys = Keys::new(exprs, rows).map_err(|error| {
        PlanError::new(format!("KEY cannot compare its columns: {error}"))
            .with_hint("CAST them to TEXT in the SELECT")
    })?;
    Ok((keys, names))
}
