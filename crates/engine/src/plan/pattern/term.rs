//! What DEFINE and MEASURES say about the rows of a match: `FIRST(a.x)`, `COUNT(a.*)`, `b.y`, `PREV(x, 2)`.
//!
//! ```text
//! LAST(a.temp) - FIRST(a.temp) > 5        ─▶  t0 - t1 > 5      t0: the last a's temp, t1: the first a's temp
//! temp > PREV(temp)                       ─▶  temp > p0        p0: temp, one row before
//! ```
//! Each such term is taken out of the expression, and a column stands in its place: what is left is an ordinary expression,
//! that DataFusion plans. `PREV` looks at the rows of the partition, so that its column follows from the rows alone; all
//! others depend on the way in which a match came about, and are kept by each way (`operators::pattern`).

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Value, VisitMut,
    VisitorMut,
};

use crate::plan::PlanError;
use crate::statement::Position;

/// How far back PREV, and from an end of the match FIRST and LAST, can look: that many rows are kept.
const OFFSET_MAX: u64 = 100;

/// What is said about the rows that a variable took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The value in the first row, or the one so many rows behind it.
    First(usize),
    /// The value in the last row, or the one so many rows before it.
    Last(usize),
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    /// The name of the variable that took the last row.
    Classifier,
    /// The event time of the match.
    MatchTime,
}

/// A term as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub kind: Kind,
    /// `None` for the rows of the whole match.
    pub variable: Option<usize>,
    /// An expression over one row; `None` for `COUNT(*)`.
    pub argument: Option<SqlExpr>,
}

/// A term that is kept while a pattern is matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub kind: Kind,
    pub variable: Option<usize>,
    /// Which of the values that are kept of a row.
    pub argument: Option<usize>,
    /// Of its value.
    pub ty: DataType,
}

/// No column of a stream begins with a control character.
pub(super) fn previous_column(number: usize) -> String {
    format!("\u{1}p{number}")
}

pub(super) fn term_column(number: usize) -> String {
    format!("\u{1}t{number}")
}

/// The terms of all expressions, each once.
#[derive(Default)]
pub(super) struct Terms {
    pub previous: Vec<(SqlExpr, usize)>,
    pub terms: Vec<Written>,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The condition of a variable: a column without a variable is that of the row to be judged.
    Define(usize),
    /// What a match says: a column without a variable is that of its last row.
    Measures,
}

impl Terms {
    /// The expression with columns in the place of its terms.
    pub fn take_out(
        &mut self,
        expr: &SqlExpr,
        scope: Scope,
        variables: &[String],
        normalize: &dyn Fn(&Ident) -> String,
    ) -> Result<SqlExpr, PlanError> {
        let mut expr = expr.clone();
        let names = Names { variables, normalize };
        match expr.visit(&mut Reader { terms: self, scope, names }) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(expr),
        }
    }

    fn term(&mut self, written: Written) -> SqlExpr {
        let known = self.terms.iter().position(|term| *term == written);
        let number = known.unwrap_or_else(|| {
            self.terms.push(written);
            self.terms.len() - 1
        });
        column(term_column(number))
    }

    fn previous(&mut self, argument: SqlExpr, offset: usize) -> SqlExpr {
        let wanted = (argument, offset);
        let known = self.previous.iter().position(|previous| *previous == wanted);
        let number = known.unwrap_or_else(|| {
            self.previous.push(wanted);
            self.previous.len() - 1
        });
        column(previous_column(number))
    }
}

fn column(name: String) -> SqlExpr {
    SqlExpr::Identifier(Ident::with_quote('"', name))
}

#[derive(Clone, Copy)]
struct Names<'a> {
    variables: &'a [String],
    normalize: &'a dyn Fn(&Ident) -> String,
}

impl Names<'_> {
    fn variable(&self, name: &Ident) -> Option<usize> {
        let name = (self.normalize)(name);
        self.variables.iter().position(|variable| *variable == name)
    }
}

struct Reader<'a> {
    terms: &'a mut Terms,
    scope: Scope,
    names: Names<'a>,
}

impl VisitorMut for Reader<'_> {
    type Break = PlanError;

    /// What is put in place of a term has no parts that would be visited.
    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<PlanError> {
        read_as_column(expr);
        let replaced = match expr {
            SqlExpr::Identifier(name) if name.value.starts_with('\u{1}') => Ok(None),
            SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => self.column(expr),
            SqlExpr::Function(function) => self.function(function),
            _ => Ok(None),
        };
        match replaced {
            Ok(Some(replaced)) => *expr = replaced,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Reader<'_> {
    /// `a.x`, or `x`, is that of the last row.
    fn column(&mut self, written: &SqlExpr) -> Result<Option<SqlExpr>, PlanError> {
        let (argument, variable) = argument(written, "a column", self.names)?;
        Ok(Some(self.navigation(Kind::Last(0), variable, argument)))
    }

    /// The row to be judged is the last one of the variable whose condition is judged, and of the match.
    fn navigation(&mut self, kind: Kind, variable: Option<usize>, argument: SqlExpr) -> SqlExpr {
        match self.scope {
            Scope::Define(own) if kind == Kind::Last(0) && variable.is_none_or(|named| named == own) => {
                argument
            }
            _ => self.terms.term(Written { kind, variable, argument: Some(argument) }),
        }
    }

    fn function(&mut self, function: &Function) -> Result<Option<SqlExpr>, PlanError> {
        let [part] = function.name.0.as_slice() else { return Ok(None) };
        let Some(ident) = part.as_ident() else { return Ok(None) };
        let name = ident.value.to_ascii_lowercase();
        let at = |error: PlanError| PlanError { at: position(ident), ..error };
        let term = match name.as_str() {
            "first" | "last" | "prev" => self.navigation_call(&name, function),
            "count" | "sum" | "avg" | "min" | "max" => self.aggregate(&name, function),
            "classifier" | "match_rowtime" => self.of_the_match(&name, function),
            "next" => Err(PlanError::new("NEXT looks at rows that have not come yet")
                .with_hint("name the next row in PATTERN, and say in its condition what it has to be")),
            "match_number" => {
                Err(PlanError::new("MATCH_NUMBER would have to count the matches of each partition for ever")
                    .with_hint("the times of its rows tell a match from others"))
            }
            _ => return Ok(None),
        };
        term.map(Some).map_err(at)
    }

    fn navigation_call(&mut self, name: &str, function: &Function) -> Result<SqlExpr, PlanError> {
        let upper = name.to_uppercase();
        let wrong = || {
            PlanError::new(format!("{upper} takes a column and, if need be, a number of rows"))
                .with_hint(format!("{upper}(a.temp), {upper}(temp, 2)"))
        };
        let (written, offset) = match plain_arguments(function).ok_or_else(wrong)?.as_slice() {
            [FunctionArgExpr::Expr(written)] => (written, None),
            [FunctionArgExpr::Expr(written), FunctionArgExpr::Expr(offset)] => (written, Some(offset)),
            _ => return Err(wrong()),
        };
        let offset = offset.map(|offset| number(offset).ok_or_else(wrong)).transpose()?;
        if offset.is_some_and(|offset| offset > OFFSET_MAX) {
            return Err(PlanError::new(format!("{upper} looks {OFFSET_MAX} rows far at most")));
        }
        let offset = offset.map(|offset| offset as usize);
        if name == "prev" {
            let (argument, variable) = argument(written, &upper, self.names)?;
            let previous = self.terms.previous(argument, offset.unwrap_or(1));
            return Ok(self.navigation(Kind::Last(0), variable, previous));
        }
        let kind = if name == "first" { Kind::First } else { Kind::Last };
        let (argument, variable) = argument(written, &upper, self.names)?;
        Ok(self.navigation(kind(offset.unwrap_or(0)), variable, argument))
    }

    fn aggregate(&mut self, name: &str, function: &Function) -> Result<SqlExpr, PlanError> {
        let upper = name.to_uppercase();
        let arguments = plain_arguments(function).unwrap_or_default();
        let (variable, argument) = match (name, arguments.as_slice()) {
            ("count", [FunctionArgExpr::Wildcard]) => (None, None),
            ("count", [FunctionArgExpr::QualifiedWildcard(qualifier)]) => {
                let name = qualifier.0.first().and_then(|part| part.as_ident());
                let variable = name.and_then(|name| self.names.variable(name));
                let unknown = || {
                    let hint = format!("PATTERN names {}", self.names.variables.join(", "));
                    PlanError::new(format!("`{qualifier}` in PATTERN is no variable")).with_hint(hint)
                };
                (Some(variable.ok_or_else(unknown)?), None)
            }
            (_, [FunctionArgExpr::Expr(written)]) => {
                let (argument, variable) = argument(written, &upper, self.names)?;
                (variable, Some(argument))
            }
            _ => {
                return Err(PlanError::new(format!("{upper} over rows of a match takes one expression"))
                    .with_hint(format!(
                        "{upper}(a.temp); DISTINCT, FILTER and OVER are not available here"
                    )));
            }
        };
        let kind = match name {
            "count" => Kind::Count,
            "sum" => Kind::Sum,
            "avg" => Kind::Average,
            "min" => Kind::Least,
            _ => Kind::Greatest,
        };
        Ok(self.terms.term(Written { kind, variable, argument }))
    }

    fn of_the_match(&mut self, name: &str, function: &Function) -> Result<SqlExpr, PlanError> {
        let upper = name.to_uppercase();
        if plain_arguments(function).is_none_or(|arguments| !arguments.is_empty()) {
            return Err(PlanError::new(format!("{upper}() takes no arguments")));
        }
        if self.scope != Scope::Measures {
            return Err(PlanError::new(format!("{upper}() is known when a match is complete"))
                .with_hint("use it in MEASURES"));
        }
        let kind = if name == "classifier" { Kind::Classifier } else { Kind::MatchTime };
        Ok(self.terms.term(Written { kind, variable: None, argument: None }))
    }
}

/// `a.user` is a column: the parser takes some names for functions without parentheses.
fn read_as_column(expr: &mut SqlExpr) {
    let SqlExpr::Function(function) = expr else { return };
    if function.args != FunctionArguments::None || function.name.0.len() < 2 {
        return;
    }
    let parts = function.name.0.iter().map(|part| part.as_ident().cloned());
    if let Some(parts) = parts.collect() {
        *expr = SqlExpr::CompoundIdentifier(parts);
    }
}

/// The arguments of a call without DISTINCT, FILTER, OVER or names.
fn plain_arguments(function: &Function) -> Option<Vec<&FunctionArgExpr>> {
    let is_plain = function.filter.is_none()
        && function.over.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty();
    match &function.args {
        FunctionArguments::List(list)
            if is_plain && list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            let arguments = list.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(argument) => Some(argument),
                _ => None,
            });
            arguments.collect()
        }
        _ => None,
    }
}

fn number(expr: &SqlExpr) -> Option<u64> {
    match expr {
        SqlExpr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn position(name: &Ident) -> Option<Position> {
    let start = name.span.start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

/// Functions that are about several rows.
const OF_SEVERAL_ROWS: [&str; 11] =
    ["first", "last", "prev", "next", "count", "sum", "avg", "min", "max", "classifier", "match_rowtime"];

/// An expression over the columns of one row without its variable, and that variable.
fn argument(written: &SqlExpr, of: &str, names: Names<'_>) -> Result<(SqlExpr, Option<usize>), PlanError> {
    let mut expr = written.clone();
    let mut reader = ArgumentReader { names, of, variables: Vec::new() };
    if let ControlFlow::Break(error) = expr.visit(&mut reader) {
        return Err(error);
    }
    let mut variables = reader.variables;
    variables.dedup();
    match variables.as_slice() {
        [] => Ok((expr, None)),
        [variable] => Ok((expr, *variable)),
        _ => {
            Err(PlanError::new(format!("{of} takes columns of one variable: its argument is about one row"))
                .with_hint("LAST(a.x) + LAST(b.x) adds values of two rows"))
        }
    }
}

struct ArgumentReader<'a> {
    names: Names<'a>,
    of: &'a str,
    /// Those of each column.
    variables: Vec<Option<usize>>,
}

impl VisitorMut for ArgumentReader<'_> {
    type Break = PlanError;

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<PlanError> {
        read_as_column(expr);
        match expr {
            SqlExpr::Identifier(_) => self.variables.push(None),
            SqlExpr::CompoundIdentifier(parts) => {
                let variable = parts.first().and_then(|first| self.names.variable(first));
                self.variables.push(variable);
                if let (Some(_), [_, column]) = (variable, parts.as_slice()) {
                    *expr = SqlExpr::Identifier(column.clone());
                }
            }
            SqlExpr::Function(function) => {
                let name = function.name.to_string().to_ascii_lowercase();
                if OF_SEVERAL_ROWS.contains(&name.as_str()) {
                    let what = format!("{} inside of {} is not available", name.to_uppercase(), self.of);
                    let error = PlanError::new(what)
                        .with_hint("an argument is an expression over the columns of one row");
                    return ControlFlow::Break(error);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
