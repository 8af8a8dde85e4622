//! From a logical plan to stations, from the sources on.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::logical_plan::{Aggregate, Projection, TableScan, Union};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use springhouse_schema::TS_COLUMN;

use super::catalog::{Catalog, stream_name};
use super::chain::Chain;
use super::early::Early;
use super::episode::{self, EpisodeStep};
use super::join::JoinStep;
use super::lookup::{self, LookupStep};
use super::output::Output;
use super::over::OverStep;
use super::pattern::{PatternNode, PatternStep};
use super::placement::{Placement, WindowStep, no_window};
use super::signal::SignalStep;
use super::spread::SpreadStep;
use super::versions::VersionedNode;
use super::window::WindowNode;
use super::{Plan, PlanError, StreamTable};
use crate::operators;
use crate::statement::Select;

/// What a column is made of, as far as windows care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    EventTime,
    WindowStart,
    WindowEnd,
    /// The key of sessions or counted windows with this number.
    SessionKey(usize),
    /// A time that is behind the event time of its row by at most so much.
    Behind {
        behind_us: i64,
        /// Of a pair in which no side is missing: that of the left row, 0, or of the right one, 1. The later one is that of the pair.
        side: Option<usize>,
    },
    Other,
}

impl Meaning {
    pub(super) fn is_bound(self) -> bool {
        matches!(self, Meaning::WindowStart | Meaning::WindowEnd)
    }
}

/// The functions for which an ORDER BY inside the call means something. Others are not prepared for further arguments.
const ORDERED: [&str; 5] = ["first_value", "last_value", "nth_value", "array_agg", "string_agg"];

/// One step; an operator is started from it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Select {
        columns: Vec<usize>,
    },
    Filter {
        predicate: Arc<dyn PhysicalExpr>,
    },
    Project {
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    /// Hands rows on in the order of their time, so far behind the watermark.
    Order {
        schema: SchemaRef,
        behind_us: i64,
    },
    Join(Arc<JoinStep>),
    /// Adds columns of a table's row.
    Lookup(Arc<LookupStep>),
    Over(Arc<OverStep>),
    Signal(Arc<SignalStep>),
    Window(WindowStep),
    /// A row for each time that a row has in a list, which becomes its time.
    Spread(SpreadStep),
    Aggregate(Arc<AggregateStep>),
    Pattern(Arc<PatternStep>),
    Episode(Arc<EpisodeStep>),
}

impl Step {
    /// Whether its operator remembers something, and writes it into snapshots.
    pub(crate) fn has_state(&self) -> bool {
        match self {
            Step::Select { .. }
            | Step::Filter { .. }
            | Step::Project { .. }
            | Step::Lookup(_)
            | Step::Window(_)
            | Step::Spread(_) => false,
            Step::Order { .. }
            | Step::Over(_)
            | Step::Signal(_)
            | Step::Join(_)
            | Step::Aggregate(_)
            | Step::Pattern(_)
            | Step::Episode(_) => true,
        }
    }
}

/// Aggregation per window and key.
#[derive(Clone, Debug)]
pub(crate) struct AggregateStep {
    pub(crate) placement: Placement,
    /// The grouping expressions in the order of the output.
    pub(crate) groups: Vec<Group>,
    /// The types of the keys, that is of the groups that are not the window itself.
    pub(crate) key_schema: SchemaRef,
    pub(crate) aggregates: Vec<AggregateCall>,
    pub(crate) schema: SchemaRef,
    /// When windows give results before they close.
    pub(crate) early: Option<Early>,
}

#[derive(Clone, Debug)]
pub(crate) enum Group {
    WindowStart,
    WindowEnd,
    Key(Arc<dyn PhysicalExpr>),
}

#[derive(Clone, Debug)]
pub(crate) struct AggregateCall {
    pub(crate) function: Arc<AggregateFunctionExpr>,
    /// Arguments, then the expressions of an ORDER BY inside the call.
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
}

pub(super) fn compile(plan: &LogicalPlan, catalog: &Catalog, select: &Select) -> Result<Plan, PlanError> {
    let allowed_lateness_us = select.allowed_lateness_us;
    let compiler = Compiler { catalog, props: ExecutionProps::new() };
    let mut chain = compiler.chain(plan)?;
    chain.check_complete()?;
    let mut given: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
    match select.firing.has_episodes() {
        true => given = chain.take_episodes(&select.firing, &given)?,
        false => episode::check_key(&select.firing.key, &given)?,
    }
    if let Some(every_us) = select.emit_every_us {
        given = chain.give_early(every_us, &given)?;
    }
    if allowed_lateness_us > 0 && !chain.judges_lateness {
        return Err(PlanError::new("ALLOWED LATENESS has no meaning where no row is ever late").with_hint(
            "rows that are handed on one by one are never late; in windows, joins, patterns and OVER they can be",
        ));
    }
    let output = Output::of(&given, &chain.sources)?;
    let delay = |source: &StreamTable| source.watermark_delay_us;
    let ts = plan.schema().fields().iter().position(|field| field.name() == TS_COLUMN);
    let output_delay_us = match ts.and_then(|ts| chain.meanings.get(ts)) {
        Some(Meaning::Behind { behind_us, .. }) => *behind_us,
        _ if chain.matched => chain.behind_us,
        _ if chain.aggregated || chain.in_order => 0,
        _ => chain.sources.iter().map(delay).max().unwrap_or_default().max(chain.behind_us),
    };
    Ok(Plan {
        sources: chain.sources,
        tables: lookup::tables(&chain.stations),
        functions: Vec::new(),
        scans: chain.scans,
        stations: chain.stations,
        output,
        allowed_lateness_us,
        judges_lateness: chain.judges_lateness,
        output_delay_us,
    })
}

pub(super) struct Compiler<'a> {
    pub(super) catalog: &'a Catalog,
    props: ExecutionProps,
}

impl Compiler<'_> {
    pub(super) fn chain(&self, plan: &LogicalPlan) -> Result<Chain, PlanError> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.chain(&alias.input),
            LogicalPlan::Filter(filter) => {
                let mut chain = self.chain(&filter.input)?;
                let input = filter.input.schema();
                chain.check_filter()?;
                chain.uses_bounds |= touches_bounds(&filter.predicate, input, &chain.meanings);
                let predicate = self.expression(&filter.predicate, input)?;
                chain.push(Step::Filter { predicate });
                Ok(chain)
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::Unnest(unnest) => self.spread(unnest),
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(node) = node.downcast_ref::<WindowNode>() {
                    return self.window(node);
                }
                if let Some(node) = node.downcast_ref::<PatternNode>() {
                    let mut chain = self.chain(&node.input)?;
                    chain.find_matches(node, &self.props)?;
                    return Ok(chain);
                }
                if let Some(node) = node.downcast_ref::<VersionedNode>() {
                    return Ok(Chain { is_versioned: true, ..self.chain(&node.input)? });
                }
                Err(PlanError::new("this query cannot run on an endless stream"))
            }
            other => {
                let name = other.display().to_string();
                let name = name.split([':', ' ']).next().unwrap_or_default().to_owned();
                Err(PlanError::new(format!("{name} cannot run on an endless stream")))
            }
        }
    }

    fn scan(&self, scan: &TableScan) -> Result<Chain, PlanError> {
        let name = stream_name(&scan.table_name);
        let source = self
            .catalog
            .stream(&name)
            .ok_or_else(|| PlanError::new(format!("stream `{name}` does not exist")))?
            .clone();
        let schema = source.schema.arrow();
        let columns: Vec<usize> =
            scan.projection.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let meanings = columns.iter().map(|column| match schema.field(*column).name() == TS_COLUMN {
            true => Meaning::EventTime,
            false => Meaning::Other,
        });
        let mut chain = Chain::of(source, meanings.collect());
        if !scan.filters.is_empty() {
            // A filter in the scan may use columns that the scan does not hand on.
            let all = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &schema)?;
            for filter in &scan.filters {
                chain.push(Step::Filter { predicate: self.expression(filter, &all)? });
            }
        }
        if scan.projection.is_some() {
            chain.push(Step::Select { columns });
        }
        Ok(chain)
    }

    fn projection(&self, projection: &Projection) -> Result<Chain, PlanError> {
        let mut chain = self.chain(&projection.input)?;
        let input = projection.input.schema();
        let exprs: Vec<_> =
            projection.expr.iter().map(|expr| self.expression(expr, input)).collect::<Result<_, _>>()?;
        let is_computed = |expr: &Expr| !meaning(expr, input, &chain.meanings).is_bound();
        let mut computed = projection.expr.iter().filter(|expr| is_computed(expr));
        chain.uses_bounds |= computed.any(|expr| touches_bounds(expr, input, &chain.meanings));
        chain.meanings = projection.expr.iter().map(|expr| meaning(expr, input, &chain.meanings)).collect();
        let schema = Arc::new(projection.schema.as_arrow().clone());
        chain.push(Step::Project { exprs, schema });
        Ok(chain)
    }

    /// Rows of all inputs, as they come.
    fn union(&self, union: &Union) -> Result<Chain, PlanError> {
        let schema: SchemaRef = Arc::new(union.schema.as_arrow().clone());
        let mut whole: Option<Chain> = None;
        for input in &union.inputs {
            let mut chain = self.chain(input)?;
            chain.check_complete()?;
            // The names are those of the first.
            let exprs = (0..schema.fields().len())
                .map(|at| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(schema.field(at).name(), at)) });
            chain.push(Step::Project { exprs: exprs.collect(), schema: Arc::clone(&schema) });
            whole = Some(match whole {
                None => chain,
                Some(before) => {
                    let meanings = before.meanings.iter().zip(&chain.meanings);
                    let meanings = meanings.map(|(a, b)| if a == b { *a } else { Meaning::Other }).collect();
                    Chain { meanings, ..before.beside(chain) }
                }
            });
        }
        whole.ok_or_else(|| PlanError::new("a UNION has inputs"))
    }

    fn window(&self, node: &WindowNode) -> Result<Chain, PlanError> {
        let mut chain = self.chain(&node.input)?;
        if chain.aggregated || chain.window.is_some() {
            return Err(PlanError::new("a window over windows is not available in one query")
                .with_hint("make the inner query a pipeline of its own and use the stream that it fills"));
        }
        chain.put_into(node)?;
        Ok(chain)
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Chain, PlanError> {
        let mut chain = self.chain(&aggregate.input)?;
        let input = aggregate.input.schema();
        if chain.aggregated {
            return Err(PlanError::new("an aggregation of an aggregation is not available in one query")
                .with_hint("make the inner query a pipeline of its own and use the stream that it fills"));
        }
        if chain.window.is_none() {
            return Err(no_window());
        }
        let (mut groups, mut meanings) = (Vec::new(), Vec::new());
        let (mut key_fields, mut key_meanings) = (Vec::new(), Vec::new());
        for (at, expr) in aggregate.group_expr.iter().enumerate() {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Err(PlanError::new("GROUPING SETS, CUBE and ROLLUP are not available in pipelines")
                    .with_hint("create one pipeline for each grouping"));
            }
            let meaning = meaning(expr, input, &chain.meanings);
            groups.push(match meaning {
                Meaning::WindowStart => Group::WindowStart,
                Meaning::WindowEnd => Group::WindowEnd,
                _ => {
                    let field = aggregate.schema.field(at);
                    key_fields.push(Field::new(field.name(), field.data_type().clone(), true));
                    key_meanings.push(meaning);
                    chain.uses_bounds |= touches_bounds(expr, input, &chain.meanings);
                    Group::Key(self.expression(expr, input)?)
                }
            });
            meanings.push(if meaning == Meaning::EventTime { Meaning::Other } else { meaning });
        }
        if !groups.iter().any(|group| matches!(group, Group::WindowStart | Group::WindowEnd)) {
            return Err(PlanError::new(
                "GROUP BY names neither window_start nor window_end, so no group would ever be complete",
            )
            .with_hint("add window_start to GROUP BY"));
        }
        let aggregates: Vec<_> =
            aggregate.aggr_expr.iter().map(|call| self.call(call, input)).collect::<Result<_, _>>()?;
        meanings.extend(aggregates.iter().map(|_| Meaning::Other));
        let mut calls = aggregate.aggr_expr.iter();
        chain.uses_bounds |= calls.any(|call| touches_bounds(call, input, &chain.meanings));
        let placement = chain.place(&groups, &key_meanings)?;
        chain.meanings = meanings;
        chain.aggregated = true;
        chain.judges_lateness = true;
        let step = AggregateStep {
            placement,
            groups,
            key_schema: Arc::new(ArrowSchema::new(key_fields)),
            aggregates,
            schema: Arc::new(aggregate.schema.as_arrow().clone()),
            early: None,
        };
        operators::check(&step, input.as_arrow())?;
        chain.push(Step::Aggregate(Arc::new(step)));
        Ok(chain)
    }

    pub(super) fn call(&self, call: &Expr, input: &DFSchema) -> Result<AggregateCall, PlanError> {
        let context = PhysicalPlanningContext::default();
        let lowered =
            LoweredAggregateBuilder::new(call, input, input.as_arrow(), &self.props, &context).build()?;
        let mut arguments = lowered.aggregate.expressions();
        if ORDERED.contains(&lowered.aggregate.fun().name()) {
            arguments.extend(lowered.order_bys.iter().map(|order| Arc::clone(&order.expr)));
        }
        Ok(AggregateCall { function: lowered.aggregate, arguments, filter: lowered.filter })
    }

    pub(super) fn expression(
        &self,
        expr: &Expr,
        input: &DFSchema,
    ) -> Result<Arc<dyn PhysicalExpr>, PlanError> {
        let context = PhysicalPlanningContext::default();
        Ok(create_physical_expr(expr, input, &self.props, &context)?)
    }
}

/// What an expression is: a column keeps its meaning under another name, everything else is new.
fn meaning(expr: &Expr, input: &DFSchema, meanings: &[Meaning]) -> Meaning {
    match expr {
        Expr::Alias(alias) => meaning(&alias.expr, input, meanings),
        Expr::Column(column) => input
            .maybe_index_of_column(column)
            .and_then(|index| meanings.get(index).copied())
            .unwrap_or(Meaning::Other),
        Expr::ScalarFunction(function) if function.func.name() == "greatest" => {
            later(function.args.iter().map(|argument| meaning(argument, input, meanings)))
        }
        _ => Meaning::Other,
    }
}

/// The latest of some times: that of a pair, if it is one of them or both rows have theirs among them.
fn later(times: impl Iterator<Item = Meaning>) -> Meaning {
    let mut sides = [false, false];
    for time in times {
        match time {
            Meaning::EventTime => sides = [true, true],
            Meaning::Behind { side: Some(side), .. } => sides[side] = true,
            _ => return Meaning::Other,
        }
    }
    if sides == [true, true] { Meaning::EventTime } else { Meaning::Other }
}

/// Whether an expression computes with the bounds of the window.
pub(super) fn touches_bounds(expr: &Expr, input: &DFSchema, meanings: &[Meaning]) -> bool {
    let columns = expr.column_refs();
    columns.into_iter().any(|column| {
        input
            .maybe_index_of_column(column)
            .and_then(|index| meanings.get(index))
            .is_some_and(|meaning| meaning.is_bound())
    })
}
