//! From the text of a query to the steps of a pipeline.
//!
//! ```text
//! text ─sqlparser─▶ syntax ─SqlToRel + window functions─▶ logical plan ─check─▶ what can run on an endless stream
//!      ─type coercion, a short list of optimizer rules─▶ logical plan ─compile─▶ steps, from which operators start
//! ```
//!
//! DataFusion parses, types and optimizes; its `ExecutionPlan` is not used, because a pulled stream has no place for
//! watermarks and snapshots. Nothing here reads data or the clock.

mod catalog;
mod chain;
mod check;
mod compile;
mod early;
mod episode;
mod error;
mod explain;
mod fingerprint;
mod interest;
mod join;
mod late;
mod lookup;
mod on_change;
mod output;
mod over;
pub(crate) mod pattern;
mod placement;
mod reach;
mod resample;
mod signal;
mod spread;
pub(crate) mod versions;
pub(crate) mod window;

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use springhouse_model::StreamName;
use springhouse_schema::Schema;

pub use catalog::{Catalog, LookupTable, StreamTable, with_functions};
pub use error::PlanError;
pub(crate) use explain::Edge;
pub use explain::ExplainedStep;
pub use on_change::write_out_changes;

pub(crate) use catalog::{Provider, session, stream_name};
pub(crate) use chain::{Port, Scan, Station};
pub(crate) use check::expression as check_expression;
pub(crate) use compile::{AggregateCall, AggregateStep, Group, Step};
pub(crate) use episode::EpisodeStep;
pub(crate) use interest::Devices;
pub(crate) use join::{JoinStep, Pairing, Reach, literal_us};
pub(crate) use lookup::LookupStep;
pub(crate) use output::{Output, convert};
pub(crate) use over::{Frame, OverCall, OverFunction, OverStep, Which};
pub(crate) use placement::{Bound, Bounds, Placement, WindowStep};
pub(crate) use signal::SignalStep;
pub(crate) use spread::SpreadStep;

use crate::pipeline::Pipeline;
use crate::signals::check_calls;
use crate::statement::{Position, Select};
use crate::{BoundFunctions, Deadline, Function, check_expansion};

/// Planning computes what is constant in a query.
const TIME_MAX: Duration = Duration::from_secs(5);

/// A query that can run: what it reads, what it does, what comes out. Starts any number of pipelines.
#[derive(Debug)]
pub struct Plan {
    /// The streams it reads, each once, with the schema version it was planned for.
    pub sources: Vec<StreamTable>,
    /// The tables in which it looks rows up, each once.
    pub tables: Vec<Arc<LookupTable>>,
    /// The functions by whose definitions its calls were written out, by name.
    pub functions: Vec<Arc<Function>>,
    pub(crate) scans: Vec<Scan>,
    pub(crate) stations: Vec<Station>,
    pub(crate) output: Output,
    pub allowed_lateness_us: i64,
    /// Whether a row can be late, and there is a stream for such rows.
    pub judges_lateness: bool,
    /// How far the watermark of the output stream stays behind: windows, joins and whatever looks back give rows in the order
    /// of time; rows that are handed on are as disordered as their source.
    pub output_delay_us: i64,
}

impl Plan {
    /// The schema of the stream that takes the rows, without a version.
    pub fn output_schema(&self) -> &Schema {
        &self.output.schema
    }

    /// The schema of the stream that takes the late rows: the source's, or all columns of several, and by how much each
    /// came too late.
    pub fn late_schema(&self) -> &Schema {
        &self.output.late_schema
    }

    /// The columns of an output batch that the SELECT named, in its order.
    pub fn selected_columns(&self) -> &[usize] {
        &self.output.selected
    }

    /// How far the watermark of the stream of late rows stays behind.
    pub fn late_delay_us(&self) -> i64 {
        self.sources.iter().map(|source| source.watermark_delay_us).max().unwrap_or_default()
    }

    /// The name of the step that makes episodes; `None` for a plan whose rows are not their beginnings and ends.
    pub(crate) fn episodes(&self) -> Option<String> {
        let mut steps = self.stations.iter().map(|station| &station.step);
        steps.find(|step| matches!(step, Step::Episode(_))).map(explain::short_name)
    }

    /// Whether windows give results before they close.
    pub(crate) fn gives_early(&self) -> bool {
        let mut steps = self.stations.iter().map(|station| &station.step);
        steps.any(|step| matches!(step, Step::Aggregate(step) if step.early.is_some()))
    }

    pub fn source_names(&self) -> Vec<StreamName> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }

    pub(crate) fn schema_versions(&self) -> Vec<u32> {
        self.sources.iter().map(|source| source.schema.version).collect()
    }

    /// Which of the sources a stream is.
    pub fn source_at(&self, stream: &StreamName) -> Option<usize> {
        self.sources.iter().position(|source| source.name == *stream)
    }

    pub(crate) fn shares_source(&self, other: &Plan) -> bool {
        other.sources.iter().any(|source| self.source_at(&source.name).is_some())
    }

    /// A run from the beginning.
    pub fn start(self: &Arc<Plan>) -> Pipeline {
        Pipeline::new(Arc::clone(self))
    }
}

/// Plans a continuous query over the streams of a catalog.
pub fn plan(select: &Select, catalog: &Catalog) -> Result<Plan, PlanError> {
    crate::depth::check(&select.text)?;
    let mut syntax = parse(select)?;
    let compares_rows = write_out_changes(&mut syntax)?;
    if let Some(end) = &select.firing.resolve_when {
        episode::put_beside(&mut syntax, end)?;
    }
    let functions = catalog.functions().expand(&mut syntax)?;
    check::syntax(&syntax)?;
    check_calls(&syntax)?;
    check_expansion(&syntax)?;
    let provider = catalog::Provider::new(catalog);
    let raw = SqlToRel::new_with_options(&provider, parser_options()).sql_statement_to_plan(syntax);
    let mut raw = raw.map_err(if compares_rows { on_change::explained } else { PlanError::from })?;
    if select.firing.resolve_when.is_some() {
        raw = episode::with_fires(raw)?;
    }
    check::logical(&raw)?;
    lookup::check(&raw)?;
    let logical = optimize(raw)?;
    Ok(Plan { functions, ..compile::compile(&logical, catalog, select)? })
}

/// A bounded query is refused as a pipeline; this tells whether a text is one query at all.
fn parse(select: &Select) -> Result<SqlStatement, PlanError> {
    let padded = select.at.place(&select.text);
    let mut statements = Parser::parse_sql(&GenericDialect {}, &padded).map_err(|error| {
        let message = error.to_string();
        let message = message.strip_prefix("sql parser error: ").unwrap_or(&message);
        let (message, at) = split_position(message);
        PlanError { at, message, hint: None }
    })?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement @ SqlStatement::Query(_)), true) => Ok(statement),
        _ => Err(PlanError::new("a pipeline is one SELECT")),
    }
}

/// The statements of a text; `None` when it is no SQL.
pub(crate) fn parsed(sql: &str) -> Option<Vec<SqlStatement>> {
    Parser::parse_sql(&GenericDialect {}, sql).ok()
}

/// Reads an expression that stands alone, at its place in what a person wrote.
pub(crate) fn parse_expression(text: &str, at: Position) -> Result<SqlExpr, PlanError> {
    let refused = |error: ParserError| {
        let message = error.to_string();
        let (message, at) = split_position(message.strip_prefix("sql parser error: ").unwrap_or(&message));
        PlanError { at, message, hint: None }
    };
    let padded = at.place(text);
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(&padded).map_err(refused)?;
    let expr = parser.parse_expr().map_err(refused)?;
    parser.expect_token(&Token::EOF).map_err(refused)?;
    Ok(expr)
}

/// sqlparser writes the place at the end: `… found: FROM at Line: 3, Column: 5`.
fn split_position(message: &str) -> (String, Option<Position>) {
    let Some((text, place)) = message.rsplit_once(" at Line: ") else {
        return (message.to_owned(), None);
    };
    let numbers = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Position { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
    });
    (text.to_owned(), numbers)
}

pub(crate) fn parser_options() -> ParserOptions {
    ParserOptions { map_string_types_to_utf8view: false, collect_spans: true, ..ParserOptions::new() }
}

/// Types expressions over columns that are not those of a plan, and simplifies them.
pub(crate) fn settle(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>, PlanError> {
    let input = EmptyRelation { produce_one_row: false, schema: Arc::new(schema.clone()) };
    let named = exprs.into_iter().enumerate().map(|(number, expr)| expr.alias(number.to_string()));
    let plan = Projection::try_new(named.collect(), Arc::new(LogicalPlan::EmptyRelation(input)))?;
    let options = options();
    let analyzed = analyzer().execute_and_check(LogicalPlan::Projection(plan), &options, |_, _| {})?;
    let context = OptimizerContext::new_with_config_options(Arc::new(options)).with_max_passes(3);
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(SimplifyExpressions::new())];
    match Optimizer::with_rules(rules).optimize(analyzed, &context, |_, _| {})? {
        LogicalPlan::Projection(projection) => Ok(projection.expr.into_iter().map(Expr::unalias).collect()),
        _ => Err(PlanError::new("an expression became something else when it was simplified")),
    }
}

fn options() -> ConfigOptions {
    let mut options = session().config_options().as_ref().clone();
    Deadline::within(TIME_MAX).put_into(&mut options);
    options
}

fn analyzer() -> Analyzer {
    let mut analyzer = Analyzer::new();
    analyzer.rules.push(Arc::new(BoundFunctions));
    analyzer
}

/// Types are always resolved; of the optimizer only rules that neither change what is computed per row nor assume
/// that the input ends.
fn optimize(plan: LogicalPlan) -> Result<LogicalPlan, PlanError> {
    let options = options();
    let analyzed = analyzer().execute_and_check(plan, &options, |_, _| {})?;
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(SimplifyExpressions::new())];
    // HAVING must not become a WHERE beside SESSION or COUNT_WINDOW, where it would change what a window is, nor hide the
    // newest version.
    if !analyzed.exists(|node| Ok(window::depends_on_others(node) || versions::is_versioned(node)))? {
        rules.push(Arc::new(PushDownFilter::new()));
    }
    rules.push(Arc::new(ExtractEquijoinPredicate::new()));
    rules.push(Arc::new(CommonSubexprEliminate::new()));
    rules.push(Arc::new(OptimizeProjections::new()));
    let context = OptimizerContext::new_with_config_options(Arc::new(options)).with_max_passes(3);
    Ok(Optimizer::with_rules(rules).optimize(analyzed, &context, |_, _| {})?)
}

#[cfg(test)]
mod tests;
