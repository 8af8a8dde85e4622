//! A function that computes a few rows at a time and refuses what would be too large.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::TransformedResult;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::cost::{Costs, Extent, Rule};
use super::deadline;
use super::join_texts::JoinTexts;

/// Rows are computed together until they might give this much. One row that alone might give more is refused.
const PART_BYTES: u64 = 64 << 20;
/// … or take this many steps: some tens of milliseconds. Texts of 5,000 characters have so many pairs.
const PART_STEPS: u64 = 25_000_000;
/// The longest text that may come out, unless what went in was longer.
const VALUE_BYTES_MAX: u64 = 1 << 20;
/// The longest constant: it stands in every row where it is used.
const CONSTANT_BYTES_MAX: u64 = 64 << 10;
/// The least that a call may give for one batch beyond what its largest argument has, however many calls there are.
const GROWTH_BYTES_MIN: u64 = 1 << 20;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    /// What may come out for one batch beyond what its largest argument has.
    growth_bytes_max: u64,
}

/// Whether a function needs bounds and has none.
pub(super) fn is_unbounded(function: &ScalarUDF) -> bool {
    Rule::of(function.name()).is_some() && !function.inner().is::<Bounded>()
}

/// The function within bounds.
pub(super) fn bounded(function: Arc<ScalarUDF>, share: u64) -> Arc<ScalarUDF> {
    let growth_bytes_max = share.max(GROWTH_BYTES_MIN);
    Arc::new(ScalarUDF::new_from_impl(Bounded { inner: function, growth_bytes_max }))
}

/// `left || right`.
pub(super) fn joined(left: Expr, right: Expr, share: u64) -> Expr {
    static JOIN: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(JoinTexts::new())));
    Expr::ScalarFunction(ScalarFunction::new_udf(bounded(Arc::clone(&JOIN), share), vec![left, right]))
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    /// What a function simplifies itself to may be calls without bounds.
    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.inner.simplify(args, context)? {
            ExprSimplifyResult::Simplified(expr) => {
                ExprSimplifyResult::Simplified(super::replace(expr, self.growth_bytes_max).data()?)
            }
            original => original,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rule = Rule::of(self.name()).unwrap_or(Rule::Join);
        let costs = Costs::of(rule, &args.args)?;
        let are_scalars = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if are_scalars { 1 } else { args.number_rows };
        let limits = match are_scalars {
            true => Limits { value: CONSTANT_BYTES_MAX, total: CONSTANT_BYTES_MAX },
            false => self.limits(&costs, rows),
        };
        let mut results: Vec<ArrayRef> = Vec::new();
        let mut bytes = 0;
        let mut next = 0;
        while next < rows {
            deadline::check(&args.config_options)?;
            let part = self.part(&costs, next..rows)?;
            next = part.end;
            if part.start == 0 && next == rows {
                let result = self.inner.invoke_with_args(args)?;
                limits.check(self.name(), &result, &mut bytes)?;
                return Ok(result);
            }
            let result = self.inner.invoke_with_args(sliced(&args, &part))?;
            limits.check(self.name(), &result, &mut bytes)?;
            results.push(result.into_array(part.len())?);
        }
        match results.is_empty() {
            true => self.inner.invoke_with_args(args),
            false => {
                Ok(ColumnarValue::Array(concat(&results.iter().map(AsRef::as_ref).collect::<Vec<_>>())?))
            }
        }
    }
}

impl Bounded {
    fn limits(&self, costs: &Costs, rows: usize) -> Limits {
        let input = costs.input(rows);
        Limits { value: VALUE_BYTES_MAX.max(input.longest), total: self.growth_bytes_max + input.total }
    }

    /// The first rows of `rows` that can be computed together.
    fn part(&self, costs: &Costs, rows: Range<usize>) -> Result<Range<usize>> {
        let (mut bytes, mut steps) = (0_u64, 0_u64);
        for row in rows.clone() {
            let cost = costs.row(row);
            (bytes, steps) = (bytes.saturating_add(cost.bytes), steps.saturating_add(cost.steps));
            if bytes > PART_BYTES || steps > PART_STEPS {
                return match row > rows.start {
                    true => Ok(rows.start..row),
                    false => {
                        exec_err!("{}() of such long texts or large numbers is not available", self.name())
                    }
                };
            }
        }
        Ok(rows)
    }
}

/// What may come out of one call.
struct Limits {
    value: u64,
    total: u64,
}

impl Limits {
    /// Adds a result to what came out before it.
    fn check(&self, name: &str, result: &ColumnarValue, bytes: &mut u64) -> Result<()> {
        let result = Extent::of(result)?;
        *bytes += result.total;
        if result.longest > self.value {
            return exec_err!(
                "{name}() gives a text of {} bytes, at most {} are allowed",
                result.longest,
                self.value
            );
        }
        match *bytes > self.total {
            true => exec_err!("{name}() gives more than {} bytes for {BATCH}", self.total),
            false => Ok(()),
        }
    }
}

/// Rows are computed in batches, as an error says it.
const BATCH: &str = "some thousand rows; hint: shorten the texts first, as by substr()";

fn sliced(args: &ScalarFunctionArgs, rows: &Range<usize>) -> ScalarFunctionArgs {
    let slice = |value: &ColumnarValue| match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(rows.start, rows.len())),
        scalar => scalar.clone(),
    };
    ScalarFunctionArgs {
        args: args.args.iter().map(slice).collect(),
        arg_fields: args.arg_fields.clone(),
        number_rows: rows.len(),
        return_field: Arc::clone(&args.return_field),
        config_options: Arc::clone(&args.config_options),
    }
}
