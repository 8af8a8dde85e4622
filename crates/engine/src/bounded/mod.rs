//! Functions whose result or work can be far larger than what they are given, kept within bounds.
//!
//! `repeat(text, 1000000000)` and `levenshtein` of two long texts are a few bytes of SQL. Nothing in DataFusion bounds
//! them: memory is accounted where rows are kept, not where an expression is computed, and a computation is asked for
//! batches, not interrupted within one. So such functions are replaced, after types are known, by ones that compute a few
//! rows at a time, look at the clock in between, and refuse what would be too large before it is there.

mod cost;
mod deadline;
mod function;
mod join_texts;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

pub(crate) use deadline::check as check_deadline;
pub use deadline::{Deadline, TimeOver};

/// What all calls of a statement together may give for one batch beyond what their largest arguments have.
const GROWTH_BYTES: u64 = 256 << 20;

/// Puts bounds on all expressions of a plan; to be run behind the rules that settle types.
#[derive(Debug, Default)]
pub struct BoundFunctions;

impl AnalyzerRule for BoundFunctions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut calls = 0;
        plan.apply_with_subqueries(|plan| {
            plan.apply_expressions(|expr| {
                calls += count(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        let share = GROWTH_BYTES / calls.max(1);
        let bounded = plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(replace(expr, share)?.update_data(|expr| name.restore(expr)))
            })
        });
        bounded.data()
    }

    fn name(&self) -> &str {
        "bound_functions"
    }
}

/// An expression with its functions in bounds.
pub(crate) fn bounded(expr: Expr) -> Result<Expr> {
    let share = GROWTH_BYTES / count(&expr)?.max(1);
    replace(expr, share).data()
}

/// The calls that need bounds.
fn count(expr: &Expr) -> Result<u64> {
    let mut calls = 0;
    expr.apply(|expr| {
        calls += u64::from(match expr {
            Expr::ScalarFunction(call) => function::is_unbounded(&call.func),
            Expr::BinaryExpr(binary) => binary.op == Operator::StringConcat,
            _ => false,
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(calls)
}

fn replace(expr: Expr, share: u64) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::ScalarFunction(mut call) => {
            refuse_fixed_sizes(&call.func, &call.args)?;
            if call.func.name().starts_with("regexp_") {
                refuse_changing_pattern(call.args.get(1))?;
            }
            if !function::is_unbounded(&call.func) {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            }
            call.func = function::bounded(call.func, share);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            Ok(Transformed::yes(function::joined(*left, *right, share)))
        }
        Expr::BinaryExpr(binary) => {
            if is_regular_expression(binary.op) {
                refuse_changing_pattern(Some(&binary.right))?;
            }
            Ok(Transformed::no(Expr::BinaryExpr(binary)))
        }
        Expr::SimilarTo(similar) => {
            refuse_changing_pattern(Some(&similar.pattern))?;
            Ok(Transformed::no(Expr::SimilarTo(similar)))
        }
        other => Ok(Transformed::no(other)),
    })
}

fn is_regular_expression(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

/// A regular expression is compiled, to as much as 10 MB, and kept as long as its batch: one for each row is gigabytes.
fn refuse_changing_pattern(pattern: Option<&Expr>) -> Result<()> {
    let changes = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
        ))
    };
    match pattern.map_or(Ok(false), |pattern| pattern.exists(changes))? {
        true => plan_err!(
            "a regular expression has to be a constant; hint: LIKE, strpos and starts_with take columns"
        ),
        false => Ok(()),
    }
}

/// A type of fixed size takes its memory for nulls too.
fn refuse_fixed_sizes(func: &datafusion::logical_expr::ScalarUDF, args: &[Expr]) -> Result<()> {
    let is_cast = matches!(func.name(), "arrow_cast" | "arrow_try_cast");
    match args.get(1) {
        Some(Expr::Literal(ScalarValue::Utf8(Some(ty)), _)) if is_cast => {
            match ty.parse::<DataType>().is_ok_and(|ty| has_fixed_size(&ty)) {
                true => plan_err!("{} to a type of fixed size is not available", func.name()),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn has_fixed_size(ty: &DataType) -> bool {
    // Names of nested types hold those of the inner ones.
    ty.to_string().contains("FixedSize")
}
