//! The expression of a function: read, and checked before anything calls it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{Field, Schema as ArrowSchema};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr as LogicalExpr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{
    Expr, Function as Call, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use springhouse_schema::arrow_type;

use super::FunctionSet;
use super::expand::place_of;
use super::names;
use super::size::Size;
use super::types::type_name;
use crate::plan::{self, Catalog};
use crate::statement::{CreateFunction, FunctionBody};
use crate::{PlanError, depth};

/// Reads the expression and refuses what could not be computed from one row of arguments.
pub(super) fn read(function: &CreateFunction) -> Result<Expr, PlanError> {
    let (text, at) = match &function.body {
        FunctionBody::Sql { text, at } => (text, *at),
        FunctionBody::Component { .. } => return Ok(call_of(function)),
    };
    depth::check(text)?;
    let mut expr = plan::parse_expression(text, at)?;
    if let ControlFlow::Break(error) = expr.visit(&mut Rules { function }) {
        return Err(error);
    }
    // A place in this text is none in the statements that call it.
    let _ = VisitMut::visit(&mut expr, &mut WithoutPlaces);
    Ok(expr)
}

/// A function of a component is the call of itself, with its parameters.
fn call_of(function: &CreateFunction) -> Expr {
    let argument = |name: &String| {
        let name = Expr::Identifier(Ident::with_quote('"', name.as_str()));
        FunctionArg::Unnamed(FunctionArgExpr::Expr(name))
    };
    let args = function.parameters.iter().map(|parameter| argument(&parameter.name)).collect();
    let args = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Call {
        name: ObjectName::from(vec![Ident::with_quote('"', function.name.as_str())]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The names of all functions that an expression calls.
pub(super) fn calls(expr: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(expr, |part| {
        if let Expr::Function(call) = part {
            found.extend(names::called(&call.name).map(|(_, name)| name));
        }
        ControlFlow::Continue(())
    });
    found
}

/// Types an expression that calls only functions of the language and of components, and refuses one whose value does not follow from the
/// parameters, or is none of the type that it is to have.
pub(super) fn check(expr: &Expr, function: &CreateFunction, known: &FunctionSet) -> Result<(), PlanError> {
    Size::of(expr).check(function.name.as_str())?;
    let fields = function.parameters.iter().map(|of| Field::new(&of.name, arrow_type(of.ty), true));
    let columns = DFSchema::try_from(ArrowSchema::new(fields.collect::<Vec<_>>()))?;
    let mut catalog = Catalog::default();
    catalog.put_functions(known.clone());
    let provider = plan::Provider::new(&catalog);
    let planner = SqlToRel::new_with_options(&provider, plan::parser_options());
    let typed = planner.sql_to_expr(expr.clone(), &columns, &mut PlannerContext::new())?;
    if typed.exists(looks_further)? {
        return Err(needs_rows(function));
    }
    plan::check_expression(&typed)?;
    let context = SimplifyContext::builder().with_schema(Arc::new(columns.clone())).build();
    let given = ExprSimplifier::new(context).coerce(typed, &columns)?.get_type(&columns)?;
    match can_cast_types(&given, &arrow_type(function.returns)) {
        true => Ok(()),
        false => {
            let returns = type_name(function.returns);
            Err(PlanError::new(format!(
                "the expression of `{}` is {given}, which is no {returns}",
                function.name
            )))
        }
    }
}

fn looks_further(expr: &LogicalExpr) -> datafusion::common::Result<bool> {
    Ok(matches!(
        expr,
        LogicalExpr::AggregateFunction(_)
            | LogicalExpr::WindowFunction(_)
            | LogicalExpr::GroupingSet(_)
            | LogicalExpr::Unnest(_)
    ))
}

fn needs_rows(function: &CreateFunction) -> PlanError {
    let message = format!("function `{}` sees one row of arguments, an aggregate needs many", function.name);
    PlanError::new(message).with_hint("aggregate in the query and call the function with the result")
}

/// What can be told from the text.
struct Rules<'a> {
    function: &'a CreateFunction,
}

impl Visitor for Rules<'_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<PlanError> {
        let message = format!("function `{}` holds a query", self.function.name);
        let hint = "a function computes from its arguments; a join brings in what stands elsewhere";
        ControlFlow::Break(PlanError::new(message).with_hint(hint))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<PlanError> {
        match expr {
            Expr::Function(call) if call.over.is_some() => ControlFlow::Break(needs_rows(self.function)),
            Expr::Identifier(name) => self.check_name(names::written(name), place_of(name)),
            Expr::CompoundIdentifier(parts) => {
                let words: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
                self.check_name(words.join("."), parts.first().and_then(place_of))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Rules<'_> {
    fn check_name(&self, name: String, at: Option<crate::statement::Position>) -> ControlFlow<PlanError> {
        let CreateFunction { name: function, parameters, .. } = self.function;
        if parameters.iter().any(|parameter| parameter.name == name) {
            return ControlFlow::Continue(());
        }
        let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let hint = match known.is_empty() {
            true => "it has none; what a function computes from is given to it".to_owned(),
            false => format!("a function sees its parameters alone: {}", known.join(", ")),
        };
        let message = format!("`{name}` is no parameter of function `{function}`");
        ControlFlow::Break(PlanError { at, ..PlanError::new(message).with_hint(hint) })
    }
}

struct WithoutPlaces;

impl VisitorMut for WithoutPlaces {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        value.span = Span::empty();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            name.span = Span::empty();
        }
        ControlFlow::Continue(())
    }
}
