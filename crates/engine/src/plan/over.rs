//! Functions with OVER: what a row is computed from beside itself.
//!
//! A frame of an endless stream reaches back by a time or a number of rows. What would reach to the beginning or beyond the row
//! is refused.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::expr::{
    AggregateFunction, NullTreatment, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::logical_plan::Window as WindowPlan;
use datafusion::logical_expr::{
    Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::physical_expr::PhysicalExpr;

use super::PlanError;
use super::chain::Chain;
use super::compile::{AggregateCall, Compiler, Meaning, Step};
use super::join::literal_us;
use super::signal::{SignalCall, SignalStep};
use crate::operators::Keys;

/// Rows back that a frame or LAG may reach: each key keeps so many.
const ROWS_BACK_MAX: u64 = 100_000;
/// 1,000 years, as for windows.
const TIME_BACK_US_MAX: i64 = 1_000 * 31_557_600 * 1_000_000;

/// Adds a column for each call to rows that come in the order of their time.
#[derive(Debug)]
pub(crate) struct OverStep {
    /// Rows of other keys are not seen; null is a key.
    pub(crate) keys: Arc<Keys>,
    pub(crate) calls: Vec<OverCall>,
    /// The types of what the calls are computed from, call by call.
    pub(crate) kept: SchemaRef,
    pub(crate) schema: SchemaRef,
}

#[derive(Debug)]
pub(crate) struct OverCall {
    pub(crate) function: OverFunction,
    pub(crate) frame: Frame,
    /// As it was written, for people.
    pub(crate) text: String,
}

impl OverCall {
    /// What it is computed from: arguments, then the filter of an aggregate.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        let (arguments, filter) = match &self.function {
            OverFunction::Aggregate(call) => (call.arguments.as_slice(), call.filter.as_ref()),
            OverFunction::Pick { argument, .. } => (std::slice::from_ref(argument), None),
        };
        arguments.iter().chain(filter)
    }
}

#[derive(Debug)]
pub(crate) enum OverFunction {
    Aggregate(AggregateCall),
    /// The value in one row of the frame, or another if there is none.
    Pick {
        argument: Arc<dyn PhysicalExpr>,
        which: Which,
        default: ScalarValue,
    },
}

/// A row of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// Counted from 0.
    FromFirst(u64),
    Last,
}

/// The rows of the same key from which a row is computed: from `from` back to `to` back, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Rows {
        from: u64,
        to: u64,
    },
    /// In microseconds. With `to` 0 it holds all rows of the row's own time.
    Time {
        from_us: i64,
        to_us: i64,
    },
}

impl Compiler<'_> {
    pub(super) fn over(&self, window: &WindowPlan) -> Result<Chain, PlanError> {
        let mut chain = self.chain(&window.input)?;
        chain.check_session()?;
        let input = window.input.schema();
        // Each with the place that its column has.
        let (mut signals, mut calls) = (Vec::new(), Vec::new());
        let mut partition: Option<&Vec<Expr>> = None;
        for (place, expr) in (input.fields().len()..).zip(&window.window_expr) {
            let function = function_of(expr)?;
            let params = &function.params;
            check_order(params, input, &chain)?;
            if partition.is_some_and(|partition| *partition != params.partition_by) {
                return Err(PlanError::new(
                    "functions with different PARTITION BY cannot be computed together",
                ));
            }
            partition = Some(&params.partition_by);
            match self.signal_call(function, input)? {
                Some(call) => signals.push((place, call)),
                None => calls.push((place, self.over_call(function, input)?)),
            }
        }
        let keys = partition.into_iter().flatten().map(|key| self.expression(key, input));
        let arrow: SchemaRef = Arc::new(input.as_arrow().clone());
        let keys = Keys::new(keys.collect::<Result<_, _>>()?, &arrow);
        let keys = Arc::new(keys.map_err(|error| PlanError::new(error.to_string()))?);
        chain.put_in_order(Arc::clone(&arrow));
        chain.meanings.extend(window.window_expr.iter().map(|_| Meaning::Other));
        chain.add_columns(&arrow, window.schema.as_arrow(), &keys, signals, calls)?;
        Ok(chain)
    }

    fn over_call(&self, function: &WindowFunction, input: &DFSchema) -> Result<OverCall, PlanError> {
        let WindowFunctionParams { args, window_frame, filter, null_treatment, distinct, .. } =
            &function.params;
        let name = function.fun.name().to_owned();
        let text = call_text(&name, args);
        let (function, frame) = match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                let frame = frame(window_frame)?;
                let call = AggregateFunction::new_udf(
                    Arc::clone(aggregate),
                    args.clone(),
                    *distinct,
                    filter.clone(),
                    vec![],
                    *null_treatment,
                );
                (OverFunction::Aggregate(self.call(&Expr::AggregateFunction(call), input)?), frame)
            }
            WindowFunctionDefinition::WindowUDF(_) => {
                if *null_treatment == Some(NullTreatment::IgnoreNulls) {
                    return Err(PlanError::new(format!("{name}: IGNORE NULLS would look back without end"))
                        .with_hint("leave rows without a value out before: FROM (SELECT * FROM stream WHERE x IS NOT NULL)"));
                }
                let [argument, rest @ ..] = args.as_slice() else { return Err(unknown(&name)) };
                let argument = self.expression(argument, input)?;
                let ty = argument.data_type(input.as_arrow())?;
                let null = ScalarValue::try_from(&ty)?;
                let pick =
                    |which, default| OverFunction::Pick { argument: Arc::clone(&argument), which, default };
                match name.as_str() {
                    "lag" => {
                        let back = rest.first().map_or(Ok(1), |back| number(&name, back))?;
                        let default = match rest.get(1) {
                            None => null,
                            Some(Expr::Literal(value, _)) => value.cast_to(&ty)?,
                            Some(_) => return Err(PlanError::new("lag: the default is a constant")),
                        };
                        (pick(Which::FromFirst(0), default), Frame::Rows { from: back, to: back })
                    }
                    "first_value" => (pick(Which::FromFirst(0), null), frame(window_frame)?),
                    "last_value" => (pick(Which::Last, null), frame(window_frame)?),
                    "nth_value" => {
                        let nth = rest.first().map_or(Err(unknown(&name)), |nth| number(&name, nth))?;
                        let nth =
                            nth.checked_sub(1).ok_or_else(|| PlanError::new("nth_value counts from 1"))?;
                        (pick(Which::FromFirst(nth), null), frame(window_frame)?)
                    }
                    _ => return Err(unknown(&name)),
                }
            }
        };
        Ok(OverCall { function, frame, text })
    }
}

impl Chain {
    /// Adds the columns of calls to rows that come in the order of their time: what remembers values has a station of its
    /// own, before what looks at rows.
    fn add_columns(
        &mut self,
        input: &ArrowSchema,
        given: &ArrowSchema,
        keys: &Arc<Keys>,
        signals: Vec<(usize, SignalCall)>,
        calls: Vec<(usize, OverCall)>,
    ) -> Result<(), PlanError> {
        let mut places: Vec<usize> = (0..input.fields().len()).collect();
        if !signals.is_empty() {
            let (own, calls): (Vec<usize>, Vec<SignalCall>) = signals.into_iter().unzip();
            places.extend(own);
            let (keys, schema) = (Arc::clone(keys), columns_at(given, &places)?);
            self.push(Step::Signal(Arc::new(SignalStep { keys, calls, schema })));
        }
        if !calls.is_empty() {
            let (own, calls): (Vec<usize>, Vec<OverCall>) = calls.into_iter().unzip();
            places.extend(own);
            let (keys, schema) = (Arc::clone(keys), columns_at(given, &places)?);
            let kept = arguments(&calls, input)?;
            self.push(Step::Over(Arc::new(OverStep { keys, calls, kept, schema })));
        }
        if !places.is_sorted() {
            let at = |place: usize| places.iter().position(|known| *known == place);
            self.push(Step::Select { columns: (0..places.len()).filter_map(at).collect() });
        }
        Ok(())
    }
}

fn columns_at(schema: &ArrowSchema, places: &[usize]) -> Result<SchemaRef, PlanError> {
    Ok(Arc::new(schema.project(places).map_err(DataFusionError::from)?))
}

/// The types of what calls are computed from.
fn arguments(calls: &[OverCall], input: &ArrowSchema) -> Result<SchemaRef, PlanError> {
    let exprs = calls.iter().flat_map(OverCall::exprs).enumerate();
    let field = |(at, expr): (usize, &Arc<dyn PhysicalExpr>)| {
        Ok(Field::new(format!("argument_{at}"), expr.data_type(input)?, true))
    };
    Ok(Arc::new(ArrowSchema::new(exprs.map(field).collect::<Result<Vec<Field>, PlanError>>()?)))
}

fn call_text(name: &str, args: &[Expr]) -> String {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    format!("{name}({})", args.join(", ")).replace("(Int64(1))", "(*)")
}

fn function_of(expr: &Expr) -> Result<&WindowFunction, PlanError> {
    match expr {
        Expr::WindowFunction(function) => Ok(function),
        Expr::Alias(alias) => function_of(&alias.expr),
        other => Err(PlanError::new(format!("`{other}` is no function with OVER"))),
    }
}

fn unknown(name: &str) -> PlanError {
    let hint = match name {
        "lead" => "the next row has not come yet: turn it around with lag()",
        "row_number" | "rank" | "dense_rank" => {
            "count(*) OVER (PARTITION BY … ORDER BY ts RANGE INTERVAL '1' HOUR PRECEDING) numbers the rows within a time"
        }
        _ => "aggregates, lag, first_value, last_value and nth_value look back",
    };
    PlanError::new(format!("{name}() cannot be computed on an endless stream")).with_hint(hint)
}

/// Rows come in the order of event time, and in no other.
fn check_order(params: &WindowFunctionParams, input: &DFSchema, chain: &Chain) -> Result<(), PlanError> {
    let is_time = |expr: &Expr| match expr {
        Expr::Column(column) => {
            let meaning = input.maybe_index_of_column(column).and_then(|index| chain.meanings.get(index));
            match meaning {
                Some(Meaning::EventTime) => true,
                Some(Meaning::WindowStart | Meaning::WindowEnd) => chain.aggregated,
                _ => false,
            }
        }
        _ => false,
    };
    match params.order_by.as_slice() {
        [sort] if sort.asc && is_time(&sort.expr) => Ok(()),
        _ => Err(PlanError::new("OVER looks back along the event time of a stream")
            .with_hint(
                "OVER (PARTITION BY device ORDER BY ts RANGE INTERVAL '10' MINUTE PRECEDING); behind a join of rows near in time, make \
                 the join a pipeline of its own",
            )),
    }
}

fn frame(frame: &WindowFrame) -> Result<Frame, PlanError> {
    let unbounded = || {
        PlanError::new("OVER without a frame would have to remember every row for ever").with_hint(
            "say how far it reaches back: RANGE INTERVAL '10' MINUTE PRECEDING, or ROWS 5 PRECEDING",
        )
    };
    let following = || {
        PlanError::new("what follows a row has not come yet")
            .with_hint("a frame ends at CURRENT ROW or before")
    };
    let wrong = || {
        PlanError::new(
            "a frame goes from further back to nearer: BETWEEN INTERVAL '2' HOUR PRECEDING AND CURRENT ROW",
        )
    };
    let rows = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Ok(0),
        WindowFrameBound::Preceding(value) if value.is_null() => Err(unbounded()),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) if *rows <= ROWS_BACK_MAX => Ok(*rows),
        WindowFrameBound::Preceding(_) => {
            Err(PlanError::new(format!("a frame has at most {ROWS_BACK_MAX} rows")))
        }
        WindowFrameBound::Following(_) => Err(following()),
    };
    let time = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Ok(0),
        WindowFrameBound::Preceding(value) if value.is_null() => Err(unbounded()),
        WindowFrameBound::Preceding(value) => match literal_us(value) {
            Some(back @ 0..=TIME_BACK_US_MAX) => Ok(back),
            _ => Err(PlanError::new(
                "a frame reaches back by an interval of fixed length, at most 1,000 years",
            )
            .with_hint("RANGE INTERVAL '10' MINUTE PRECEDING")),
        },
        WindowFrameBound::Following(_) => Err(following()),
    };
    match frame.units {
        WindowFrameUnits::Rows => {
            let (from, to) = (rows(&frame.start_bound)?, rows(&frame.end_bound)?);
            if from < to { Err(wrong()) } else { Ok(Frame::Rows { from, to }) }
        }
        WindowFrameUnits::Range => {
            let (from_us, to_us) = (time(&frame.start_bound)?, time(&frame.end_bound)?);
            if from_us < to_us { Err(wrong()) } else { Ok(Frame::Time { from_us, to_us }) }
        }
        WindowFrameUnits::Groups => {
            Err(PlanError::new("GROUPS frames are not available in pipelines").with_hint("ROWS or RANGE"))
        }
    }
}

fn number(function: &str, expr: &Expr) -> Result<u64, PlanError> {
    let value = match expr {
        Expr::Literal(value, _) => match value.cast_to(&arrow::datatypes::DataType::Int64)? {
            ScalarValue::Int64(Some(number)) => u64::try_from(number).ok(),
            _ => None,
        },
        _ => None,
    };
    value.filter(|number| *number <= ROWS_BACK_MAX).ok_or_else(|| {
        PlanError::new(format!("{function}: how many rows is a constant from 0 to {ROWS_BACK_MAX}"))
    })
}
