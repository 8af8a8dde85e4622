//! A condition on the rows of a stream, for those who watch it live.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::bounded::bounded;
use crate::plan::{self, Catalog, PlanError};
use crate::{Deadline, FunctionSet, RunError, depth};

/// `power > 10 AND device LIKE 'plug-%'`, ready for batches of one schema.
#[derive(Clone, Debug)]
pub struct RowFilter {
    predicate: Arc<dyn PhysicalExpr>,
    deadline: Deadline,
}

/// For one batch. Who watches live wants to see rows, not to compute.
const TIME_MAX: Duration = Duration::from_millis(500);

impl RowFilter {
    pub fn compile(schema: &SchemaRef, text: &str, functions: &FunctionSet) -> Result<RowFilter, PlanError> {
        depth::check(text)?;
        let columns = DFSchema::try_from(schema.as_ref().clone())?;
        let expr = parse(text, &columns, functions)?;
        plan::check_expression(&expr)?;
        check_single_row(&expr)?;
        let context = SimplifyContext::builder().with_schema(Arc::new(columns.clone())).build();
        let expr = bounded(ExprSimplifier::new(context).coerce(expr, &columns)?)?;
        let deadline = Deadline::within(TIME_MAX);
        let mut options = plan::session().config_options().as_ref().clone();
        deadline.put_into(&mut options);
        let props = ExecutionProps { config_options: Some(Arc::new(options)), ..ExecutionProps::new() };
        let predicate = create_physical_expr(&expr, &columns, &props, &PhysicalPlanningContext::default())?;
        match predicate.data_type(schema)? {
            DataType::Boolean => Ok(RowFilter { predicate, deadline }),
            other => Err(PlanError::new(format!("a filter is true or false, this is {other}"))
                .with_hint("compare something: power > 10")),
        }
    }

    /// The rows for which the condition is true. Computes for half a second at most.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        self.deadline.restart();
        let keep = self.predicate.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(keep) = keep.as_boolean_opt() else {
            return Err(RunError::State { what: "a predicate is not boolean" });
        };
        Ok(match keep.null_count() {
            0 => filter_record_batch(batch, keep)?,
            _ => filter_record_batch(batch, &prep_null_mask_filter(keep))?,
        })
    }
}

/// A filter sees one row at a time.
fn check_single_row(expr: &Expr) -> Result<(), PlanError> {
    let looks_further = |expr: &Expr| {
        Ok(matches!(expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::GroupingSet(_)))
    };
    match expr.exists(looks_further)? {
        true => Err(PlanError::new("a filter sees one row at a time, an aggregate needs many")
            .with_hint("aggregate in a pipeline and watch its stream")),
        false => Ok(()),
    }
}

fn parse(text: &str, columns: &DFSchema, functions: &FunctionSet) -> Result<Expr, PlanError> {
    let syntax_error = |error: datafusion::sql::sqlparser::parser::ParserError| {
        let text = error.to_string();
        PlanError::new(text.strip_prefix("sql parser error: ").unwrap_or(&text)).with_hint("power > 10")
    };
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(text).map_err(syntax_error)?;
    let mut syntax = parser.parse_expr().map_err(syntax_error)?;
    if parser.peek_token().token != Token::EOF {
        return Err(PlanError::new(format!(
            "expected the end of the filter, found `{}`",
            parser.peek_token()
        ))
        .with_hint("join conditions with AND or OR"));
    }
    functions.expand(&mut syntax)?;
    let mut catalog = Catalog::default();
    catalog.put_functions(functions.clone());
    let provider = plan::Provider::new(&catalog);
    let planner = SqlToRel::new_with_options(&provider, plan::parser_options());
    Ok(planner.sql_to_expr(syntax, columns, &mut PlannerContext::new())?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn batch() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("device", DataType::Utf8, true),
            Field::new("power", DataType::Float64, true),
        ]);
        let devices = StringArray::from(vec![Some("a"), Some("b"), None]);
        let powers = Float64Array::from(vec![Some(5.0), Some(50.0), None]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(devices), Arc::new(powers)]).unwrap()
    }

    #[test]
    fn rows_are_kept_for_which_the_condition_is_true() {
        let batch = batch();
        let check = |text: &str, rows: usize| {
            let filter = RowFilter::compile(batch.schema_ref(), text, &FunctionSet::default())
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.apply(&batch).unwrap().num_rows(), rows, "{text}");
        };
        check("power > 10", 1);
        check("power > 1 AND device IN ('a', 'b')", 2);
        check("power IS NULL", 1);
        check("NOT (power > 10)", 1);
        check("device LIKE 'a%' OR upper(device) = 'B'", 2);
        check("true", 3);
        check("power BETWEEN 1 AND 6", 1);
    }

    #[test]
    fn what_would_compute_for_minutes_is_given_up() {
        let texts: StringArray = (0..4_000).map(|_| Some("x".repeat(4_000))).collect();
        let batch = RecordBatch::try_from_iter([("device", Arc::new(texts) as _)]).unwrap();
        let check = |text: &str, expected: &str| {
            let filter = RowFilter::compile(batch.schema_ref(), text, &FunctionSet::default()).unwrap();
            let error = filter.apply(&batch).map(|_| ()).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        // 4,000 tables of 16 million entries take far longer than half a second.
        check("levenshtein(device, reverse(device)) > 0", "took longer");
        check("levenshtein(device || device, device || device) > 0", "such long texts");
        check("octet_length(repeat(device, 300)) > 0", "a text of 1200000 bytes, at most 1048576");
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let schema = batch().schema();
        for (text, expected) in [
            ("power", "a filter is true or false"),
            ("watts > 1", "watts"),
            ("power >", "Expected"),
            ("power > 1; DROP STREAM a", "expected the end of the filter"),
            ("power > (SELECT 1)", "subquery"),
            ("ts > now()", "ts"),
            ("now() IS NULL", "depends on when it runs"),
            ("avg(power) > 1", "aggregate"),
        ] {
            let filter = RowFilter::compile(&schema, text, &FunctionSet::default());
            let error = filter.map(|_| ()).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
