//! Functions of time in FROM: `TUMBLE(stream, ts, size)`, `HOP(stream, ts, slide, size)`, `SESSION(stream, ts, gap, key …)`,
//! `COUNT_WINDOW(stream, ts, rows, key …)`, and `INTERPOLATE` and `LOCF(stream, ts, step, gap, key …)`.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableFactor,
};

use super::{Aligned, Window, WindowNode, time_type};
use crate::plan::PlanError;
use crate::plan::resample::{self, Fill, Grid};

/// A row is in as many windows as their size has slides.
const WINDOWS_OF_A_ROW_MAX: i64 = 2_000;

/// A window is put together from slices as long as the greatest common divisor of slide and size.
const SLICES_OF_A_WINDOW_MAX: i64 = 10_000;
/// Rows of a window: beyond that nobody waits for it.
const ROWS_OF_A_WINDOW_MAX: i64 = 1_000_000;
/// Rows between two others.
const ROWS_OF_A_GAP_MAX: i64 = 10_000;
/// 1,000 years, as for ALLOWED LATENESS.
const LENGTH_US_MAX: i64 = 1_000 * 31_557_600 * 1_000_000;

/// Recognizes window functions in FROM.
#[derive(Debug)]
pub(crate) struct WindowFunctions;

/// One of the functions, as it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Tumble,
    Hop,
    Session,
    Count,
    Resample(Fill),
}

impl Function {
    fn of(name: &ObjectName) -> Option<Function> {
        let [part] = name.0.as_slice() else { return None };
        let name = part.as_ident()?.value.to_ascii_lowercase();
        Some(match name.as_str() {
            "tumble" => Function::Tumble,
            "hop" => Function::Hop,
            "session" => Function::Session,
            "count_window" => Function::Count,
            "interpolate" => Function::Resample(Fill::Linear),
            "locf" => Function::Resample(Fill::Last),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Function::Tumble => "TUMBLE",
            Function::Hop => "HOP",
            Function::Session => "SESSION",
            Function::Count => "COUNT_WINDOW",
            Function::Resample(Fill::Linear) => "INTERPOLATE",
            Function::Resample(Fill::Last) => "LOCF",
        }
    }

    /// Whether keys may follow the arguments that have to be there.
    fn takes_keys(self) -> bool {
        matches!(self, Function::Session | Function::Count | Function::Resample(_))
    }

    /// The arguments that have to be there, by the names of SQL:2016. What follows are keys.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Function::Tumble => &["data", "timecol", "size"],
            Function::Hop => &["data", "timecol", "slide", "size"],
            Function::Session => &["data", "timecol", "gap"],
            Function::Count => &["data", "timecol", "rows"],
            Function::Resample(_) => &["data", "timecol", "step", "gap"],
        }
    }

    fn example(self) -> &'static str {
        match self {
            Function::Tumble => "TUMBLE(stream, ts, INTERVAL '10' SECOND)",
            Function::Hop => {
                "HOP(stream, ts, INTERVAL '10' SECOND, INTERVAL '1' MINUTE): every 10 s the last minute"
            }
            Function::Session => "SESSION(stream, ts, INTERVAL '30' SECOND, device)",
            Function::Count => "COUNT_WINDOW(stream, ts, 100, device): every hundred rows of a device",
            Function::Resample(Fill::Linear) => {
                "INTERPOLATE(stream, ts, INTERVAL '1' MINUTE, INTERVAL '10' MINUTE, device): a row each minute between \
                 two of a device that are at most ten minutes apart"
            }
            Function::Resample(Fill::Last) => {
                "LOCF(stream, ts, INTERVAL '1' MINUTE, INTERVAL '10' MINUTE, device): a row each minute with the values \
                 of the one before, for at most ten minutes"
            }
        }
    }

    fn usage(self, problem: &str) -> PlanError {
        PlanError::new(format!("{}: {problem}", self.name())).with_hint(self.example())
    }
}

impl RelationPlanner for WindowFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, args: Some(args), alias, .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(function) = Function::of(name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let arguments = arguments(function, &args.args)?;
        let [table, ts, lengths @ ..] = arguments.as_slice() else {
            return Err(function.usage("arguments are missing").into());
        };
        let (lengths, keys) = lengths.split_at(function.arguments().len() - 2);
        let input = context.plan(as_relation(function.name(), table)?)?;
        let ts = column(function, ts, "the second argument", &input, context)?;
        match ts.get_type(input.schema())? == time_type() {
            true => {}
            false => return Err(function.usage(&format!("`{ts}` is not a timestamp")).into()),
        }
        let keys = keys.iter().map(|key| column(function, key, "a key", &input, context));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        if keys.contains(&ts) {
            return Err(function.usage("the time is no key").into());
        }
        let measure = if function == Function::Count { rows } else { length_us };
        let mut sizes = Vec::with_capacity(lengths.len());
        for length in lengths {
            sizes.push(measure(function, &context.sql_to_expr((*length).clone(), &DFSchema::empty())?)?);
        }
        let plan = match function {
            Function::Resample(fill) => {
                resample::resampled(input, &ts, &keys, grid(function, &sizes)?, fill)?
            }
            _ => {
                let node = WindowNode::new(input, ts, keys, window(function, &sizes)?)?;
                LogicalPlan::Extension(Extension { node: Arc::new(node) })
            }
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

fn grid(function: Function, lengths: &[i64]) -> Result<Grid, PlanError> {
    match lengths {
        [step_us, gap_us] if gap_us < step_us => Err(function.usage("the gap is shorter than the step")),
        [step_us, gap_us] if gap_us / step_us > ROWS_OF_A_GAP_MAX => {
            Err(function.usage(&format!("a gap would be filled with more than {ROWS_OF_A_GAP_MAX} rows")))
        }
        [step_us, gap_us] => Ok(Grid::new(*step_us, *gap_us)),
        _ => Err(function.usage("arguments are missing")),
    }
}

fn window(function: Function, lengths: &[i64]) -> Result<Window, PlanError> {
    match (function, lengths) {
        (Function::Tumble, [size_us]) => Ok(Window::Aligned(Aligned::tumbling(*size_us))),
        (Function::Hop, [slide_us, size_us]) if size_us / slide_us < WINDOWS_OF_A_ROW_MAX => {
            let window = Aligned { slide_us: *slide_us, size_us: *size_us };
            match size_us > slide_us && size_us / window.slice_us() > SLICES_OF_A_WINDOW_MAX {
                true => Err(function.usage(&format!(
                    "a window would be put together from more than {SLICES_OF_A_WINDOW_MAX} slices; make the size a \
                     multiple of the slide"
                ))),
                false => Ok(Window::Aligned(window)),
            }
        }
        (Function::Hop, [..]) => Err(function.usage(&format!(
            "a row would be in {WINDOWS_OF_A_ROW_MAX} windows or more; the slide comes before the size"
        ))),
        (Function::Session, [gap_us]) => Ok(Window::Session { gap_us: *gap_us }),
        (Function::Count, [size]) => Ok(Window::Count { size: *size }),
        _ => Err(function.usage("arguments are missing")),
    }
}

fn column(
    function: Function,
    argument: &SqlExpr,
    what: &str,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    match context.sql_to_expr(argument.clone(), input.schema())? {
        Expr::Column(column) => Ok(Expr::Column(Column::new(column.relation, column.name))),
        _ => Err(function.usage(&format!("{what} is a column")).into()),
    }
}

/// The arguments in their order, by position or by name; keys behind them.
fn arguments(function: Function, args: &[FunctionArg]) -> Result<Vec<&SqlExpr>, PlanError> {
    let names = function.arguments();
    let wrong = || function.usage(&format!("{} arguments are expected", in_words(names.len())));
    let mut found: Vec<Option<&SqlExpr>> = vec![None; names.len()];
    let mut positions = 0..;
    for arg in args {
        let (slot, value) = match arg {
            FunctionArg::Unnamed(value) => (positions.next(), value),
            FunctionArg::Named { name, arg, .. } => {
                let name = name.value.to_ascii_lowercase();
                let slot = names.iter().position(|known| *known == name);
                (slot.or((name == "key").then_some(names.len())), arg)
            }
            FunctionArg::ExprNamed { .. } => return Err(function.usage("an argument has no plain name")),
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(function.usage("`*` is not an argument"));
        };
        match (slot, value) {
            (Some(slot), _) if slot < names.len() => found[slot] = Some(value),
            (Some(_), SqlExpr::Tuple(keys)) if function.takes_keys() => {
                found.extend(keys.iter().map(Some));
            }
            (Some(_), SqlExpr::Nested(key)) if function.takes_keys() => found.push(Some(key)),
            (Some(_), key) if function.takes_keys() => found.push(Some(key)),
            _ => return Err(wrong()),
        }
    }
    found.into_iter().collect::<Option<_>>().ok_or_else(wrong)
}

fn in_words(count: usize) -> &'static str {
    if count == 3 { "three" } else { "four" }
}

/// A name or a subquery that stands as an argument, as a relation.
fn as_relation(function: &str, argument: &SqlExpr) -> Result<TableFactor, PlanError> {
    match argument {
        SqlExpr::Identifier(name) => Ok(table(vec![name.clone()])),
        SqlExpr::CompoundIdentifier(parts) => Ok(table(parts.clone())),
        SqlExpr::Subquery(query) => {
            Ok(TableFactor::Derived { lateral: false, subquery: query.clone(), alias: None, sample: None })
        }
        _ => Err(PlanError::new(format!(
            "{function}: the first argument is a stream or a subquery in parentheses"
        ))),
    }
}

fn table(parts: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(parts),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

/// How many rows a window has.
fn rows(function: Function, rows: &Expr) -> Result<i64, PlanError> {
    match rows {
        Expr::Literal(ScalarValue::Int64(Some(rows @ 1..=ROWS_OF_A_WINDOW_MAX)), _) => Ok(*rows),
        _ => Err(function.usage(&format!("how many rows is a number from 1 to {ROWS_OF_A_WINDOW_MAX}"))),
    }
}

/// An interval of fixed length, in microseconds, above zero.
fn length_us(function: Function, length: &Expr) -> Result<i64, PlanError> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = length else {
        return Err(function.usage("a length is written out as an interval"));
    };
    if interval.months != 0 {
        let error = PlanError::new(format!("{}: months have no fixed length", function.name()));
        return Err(error.with_hint("use days"));
    }
    if interval.nanoseconds % 1_000 != 0 {
        return Err(function.usage("event time has microseconds, no finer"));
    }
    let days_us = i128::from(interval.days) * 86_400_000_000;
    match i64::try_from(days_us + i128::from(interval.nanoseconds / 1_000)).unwrap_or(i64::MAX) {
        length @ 1..=LENGTH_US_MAX => Ok(length),
        ..=0 => Err(function.usage("an interval must be above zero")),
        _ => Err(function.usage("an interval is at most 1,000 years")),
    }
}
