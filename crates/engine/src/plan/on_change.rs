//! `SELECT DISTINCT ON CHANGE (…)`: rows that differ from the one before of their device.
//!
//! ```text
//! SELECT DISTINCT ON CHANGE (state) ts, device, state FROM s
//!   ─▶ SELECT ts, device, state FROM s QUALIFY lag(ts) OVER w IS NULL OR state IS DISTINCT FROM lag(state) OVER w
//! ```
//! The first row of a device, which has none before it, is given whatever it says. It is written out in the syntax, before
//! anything is planned, so that a pipeline and a query over history carry out what a person could have written.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, Select, SelectItem, VisitMut, VisitorMut,
    visit_expressions_mut,
};
use springhouse_schema::{DEVICE_COLUMN, TS_COLUMN};

use super::episode::looks_back;
use super::{PlanError, parse_expression};
use crate::statement::{CHANGE_MARK, Position};

const FIRST: &str = "lag(ts) OVER (PARTITION BY device ORDER BY ts) IS NULL";
/// What is compared stands where the mark is.
const CHANGED: &str = r#""@" IS DISTINCT FROM lag("@") OVER (PARTITION BY device ORDER BY ts)"#;

/// Writes out every DISTINCT ON CHANGE of a statement, and says whether there was one.
pub fn write_out_changes<T: VisitMut>(syntax: &mut T) -> Result<bool, PlanError> {
    let mut writer = Writer { has_written: false };
    match syntax.visit(&mut writer) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(writer.has_written),
    }
}

struct Writer {
    has_written: bool,
}

impl VisitorMut for Writer {
    type Break = PlanError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        match write_out(select) {
            Ok(is_written) => {
                self.has_written |= is_written;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn write_out(select: &mut Select) -> Result<bool, PlanError> {
    let listed = match &select.distinct {
        Some(Distinct::On(exprs)) if exprs.first().is_some_and(is_mark) => exprs[1..].to_vec(),
        _ => return Ok(false),
    };
    check(select)?;
    let compared = if listed.is_empty() { selected(&select.projection)? } else { listed };
    if compared.iter().any(looks_back) {
        return Err(PlanError::new("DISTINCT ON CHANGE compares columns, and one of these is a function with OVER")
            .with_hint("compute it in FROM: SELECT DISTINCT ON CHANGE (x) … FROM (SELECT ts, device, f(…) OVER (…) AS x FROM stream)"));
    }
    let mut condition = parse_expression(FIRST, Position::START)?;
    for expr in compared {
        let (left, right) = (Box::new(condition), Box::new(changed(expr)?));
        condition = Expr::BinaryOp { left, op: BinaryOperator::Or, right };
    }
    select.distinct = None;
    select.qualify = Some(condition);
    Ok(true)
}

/// Refuses what would leave open which row is the one before.
fn check(select: &Select) -> Result<(), PlanError> {
    let refused = |why: &str| Err(PlanError::new(format!("DISTINCT ON CHANGE {why}")).with_hint(HINT));
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    };
    match select.from.as_slice() {
        [from] if from.joins.is_empty() => {}
        _ => return refused("compares rows of one stream, and FROM has not just one"),
    }
    if is_grouped || select.having.is_some() {
        return refused("compares rows of a stream, and GROUP BY makes others of them");
    }
    if select.qualify.is_some() {
        return refused("is a QUALIFY itself, and there is another one");
    }
    Ok(())
}

const HINT: &str = "put what comes before into FROM, or say which row is the one before: \
                    … QUALIFY state IS DISTINCT FROM LAG(state) OVER (PARTITION BY device ORDER BY ts)";

/// What the SELECT list computes, but for the time and the device.
fn selected(projection: &[SelectItem]) -> Result<Vec<Expr>, PlanError> {
    let mut compared = Vec::new();
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                compared.extend((!is_of_the_row(expr)).then(|| expr.clone()));
            }
            _ => {
                return Err(PlanError::new(
                    "DISTINCT ON CHANGE compares columns that are named, and `*` names none",
                )
                .with_hint("SELECT DISTINCT ON CHANGE (state) * FROM stream"));
            }
        }
    }
    match compared.is_empty() {
        true => {
            Err(PlanError::new("DISTINCT ON CHANGE has nothing to compare beside the time and the device")
                .with_hint("SELECT DISTINCT ON CHANGE (state) ts, device FROM stream"))
        }
        false => Ok(compared),
    }
}

fn is_of_the_row(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    name.is_some_and(|name| [TS_COLUMN, DEVICE_COLUMN].iter().any(|column| is_named(name, column)))
}

fn is_named(name: &Ident, wanted: &str) -> bool {
    match name.quote_style {
        Some(_) => name.value == wanted,
        None => name.value.eq_ignore_ascii_case(wanted),
    }
}

fn changed(expr: Expr) -> Result<Expr, PlanError> {
    let compared = Expr::Nested(Box::new(expr));
    let mut condition = parse_expression(CHANGED, Position::START)?;
    let _: ControlFlow<()> = visit_expressions_mut(&mut condition, |part| {
        if is_mark(part) {
            *part = compared.clone();
        }
        ControlFlow::Continue(())
    });
    Ok(condition)
}

fn is_mark(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_some() && name.value == CHANGE_MARK)
}

/// An error of the planner, which does not know that it was not a person who named the columns.
pub(super) fn explained(error: DataFusionError) -> PlanError {
    if let DataFusionError::SchemaError(schema_error, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, .. } = schema_error.as_ref()
        && [TS_COLUMN, DEVICE_COLUMN].contains(&field.name.as_str())
    {
        let why = format!(
            "DISTINCT ON CHANGE compares rows of one device in the order of ts, and there is no `{}`",
            field.name
        );
        return PlanError::new(why).with_hint(HINT);
    }
    error.into()
}
