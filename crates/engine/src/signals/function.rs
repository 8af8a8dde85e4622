//! The functions as the planner knows them, and as DataFusion calls them over history.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawWindowExpr};
use datafusion::logical_expr::{
    Expr, PartitionEvaluator, Signature, Volatility, WindowFrame, WindowFunctionDefinition, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement, visit_expressions};

use super::Signal;
use crate::PlanError;
use crate::plan::literal_us;

/// One of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Hysteresis,
    Debounce,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Hysteresis => "hysteresis",
            Kind::Debounce => "debounce",
        }
    }

    fn named(name: &str) -> Option<Kind> {
        [Kind::Hysteresis, Kind::Debounce].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    fn example(self) -> &'static str {
        match self {
            Kind::Hysteresis => {
                "hysteresis(temperature, 30, 25) OVER (PARTITION BY device ORDER BY ts): true from 30 on, false from 25 down"
            }
            Kind::Debounce => {
                "debounce(state, INTERVAL '5' SECOND) OVER (PARTITION BY device ORDER BY ts): the state that was the last to \
                 stand for five seconds"
            }
        }
    }

    fn usage(self, problem: &str) -> PlanError {
        PlanError::new(format!("{}: {problem}", self.name())).with_hint(self.example())
    }
}

/// All of them.
pub(crate) fn functions() -> [Arc<WindowUDF>; 2] {
    [Kind::Hysteresis, Kind::Debounce].map(|kind| Arc::new(WindowUDF::from(SignalFunction::new(kind))))
}

/// Refuses calls without OVER, of which the planner would say that there is no such function.
pub(crate) fn check_calls(statement: &Statement) -> Result<(), PlanError> {
    let found = visit_expressions(statement, |expr| match expr {
        SqlExpr::Function(call) if call.over.is_none() => match Kind::named(&call.name.to_string()) {
            Some(kind) => ControlFlow::Break(kind.usage("it goes from row to row, which OVER tells")),
            None => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    found.break_value().map_or(Ok(()), Err)
}

/// The function of a call and its arguments; `None` for other calls.
pub(crate) fn signal_of(call: &WindowFunction) -> Result<Option<(Signal, Vec<&Expr>)>, PlanError> {
    let Some(kind) = kind_of(&call.fun) else { return Ok(None) };
    let constant = |at: usize| call.params.args.get(at).and_then(|argument| argument.as_literal());
    let signal = signal(kind, constant(1))?;
    let varying = signal.varying().iter().filter_map(|at| call.params.args.get(*at));
    Ok(Some((signal, varying.collect())))
}

fn kind_of(function: &WindowFunctionDefinition) -> Option<Kind> {
    match function {
        WindowFunctionDefinition::WindowUDF(function) => {
            function.inner().downcast_ref::<SignalFunction>().map(|function| function.kind)
        }
        WindowFunctionDefinition::AggregateUDF(_) => None,
    }
}

/// `second` is the second argument, where it is constant.
fn signal(kind: Kind, second: Option<&ScalarValue>) -> Result<Signal, PlanError> {
    match (kind, second) {
        (Kind::Hysteresis, _) => Ok(Signal::Hysteresis),
        (Kind::Debounce, length) => match length.and_then(literal_us) {
            Some(for_us @ 1..) => Ok(Signal::Debounce { for_us }),
            _ => Err(kind.usage("how long is written out, as an interval of fixed length above zero")),
        },
    }
}

/// Reads calls: refuses what has no meaning, and gives `debounce` the time of the row as an argument.
#[derive(Debug)]
pub(crate) struct SignalFunctions;

impl ExprPlanner for SignalFunctions {
    fn plan_window(&self, mut call: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let Some(kind) = kind_of(&call.func_def) {
            check(kind, &call)?;
            if kind == Kind::Debounce {
                call.args.extend(call.order_by.first().map(|order| order.expr.clone()));
            }
        }
        Ok(PlannerResult::Original(call))
    }
}

fn check(kind: Kind, call: &RawWindowExpr) -> Result<(), PlanError> {
    if !call.order_by.first().is_some_and(|order| order.asc) {
        return Err(kind.usage("it goes from row to row in the order of time"));
    }
    if call.window_frame != WindowFrame::new(Some(false)) {
        return Err(kind.usage("it has no frame, because it remembers what came before"));
    }
    if call.filter.is_some() || call.null_treatment.is_some() || call.distinct {
        return Err(
            kind.usage("FILTER, DISTINCT and IGNORE NULLS have no meaning here: NULL changes nothing")
        );
    }
    match (kind, call.args.as_slice()) {
        (Kind::Hysteresis, [_, on, off]) => {
            let number = |threshold: &Expr| threshold.as_literal()?.cast_to(&DataType::Float64).ok();
            match (number(on), number(off)) {
                (Some(ScalarValue::Float64(None)), _) | (_, Some(ScalarValue::Float64(None))) => {
                    Err(kind.usage("a threshold is NULL"))
                }
                (Some(on), Some(off)) if on == off => {
                    Err(kind
                        .usage("the thresholds are equal, so nothing says on which side of them it is on"))
                }
                _ => Ok(()),
            }
        }
        (Kind::Hysteresis, _) => Err(kind.usage("it takes a value and two thresholds")),
        (Kind::Debounce, [_, time]) => signal(kind, time.as_literal()).map(drop),
        (Kind::Debounce, _) => Err(kind.usage("it takes a value and how long it has to stand")),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SignalFunction {
    kind: Kind,
    signature: Signature,
}

impl SignalFunction {
    fn new(kind: Kind) -> SignalFunction {
        SignalFunction { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl WindowUDFImpl for SignalFunction {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match self.kind {
            Kind::Debounce => Ok(types.to_vec()),
            Kind::Hysteresis => match types.iter().find(|ty| !ty.is_numeric() && !ty.is_null()) {
                None => Ok(vec![DataType::Float64; types.len()]),
                Some(ty) => exec_err!("it compares numbers, and {ty} is none; hint: CAST(… AS DOUBLE)"),
            },
        }
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(match (self.kind, arguments.get_input_field(0)) {
            (Kind::Debounce, Some(value)) => Field::new(arguments.name(), value.data_type().clone(), true),
            _ => Field::new(arguments.name(), DataType::Boolean, false),
        }))
    }

    /// What is constant is not computed for each row.
    fn expressions(&self, arguments: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        let all = arguments.input_exprs();
        match signal(self.kind, all.get(1).and_then(constant)) {
            Ok(signal) => signal.varying().iter().filter_map(|at| all.get(*at).cloned()).collect(),
            Err(_) => all.to_vec(),
        }
    }

    fn partition_evaluator(&self, arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Partition {
            signal: signal(self.kind, arguments.input_exprs().get(1).and_then(constant))?,
        }))
    }
}

fn constant(argument: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    argument.downcast_ref::<Literal>().map(Literal::value)
}

/// All rows of one key, as history has them.
#[derive(Debug)]
struct Partition {
    signal: Signal,
}

impl PartitionEvaluator for Partition {
    fn evaluate_all(&mut self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Some(value) = arguments.first() else { return exec_err!("a signal has a value") };
        self.signal.start(value.data_type())?.advance(arguments, &vec![0; rows])
    }
}
