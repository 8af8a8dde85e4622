//! Calls of functions, written out in the syntax of a query.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Expr, Function as Call, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    Select, SelectItem, VisitMut, VisitorMut, visit_expressions,
};

use super::size::Size;
use super::{Function, FunctionSet, names};
use crate::PlanError;
use crate::statement::Position;

impl FunctionSet {
    /// Writes out the calls in a statement or an expression. Returns the functions that it depends on, by name.
    pub fn expand<T: VisitMut>(&self, syntax: &mut T) -> Result<Vec<Arc<Function>>, PlanError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut expander = Expander { functions: self, used: BTreeSet::new(), nodes: 0 };
        match syntax.visit(&mut expander) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => {
                Ok(expander.used.iter().filter_map(|name| self.get(name).cloned()).collect())
            }
        }
    }
}

struct Expander<'a> {
    functions: &'a FunctionSet,
    used: BTreeSet<String>,
    /// Of all calls so far.
    nodes: usize,
}

impl VisitorMut for Expander<'_> {
    type Break = PlanError;

    /// A column without a name is called as it was written, not as it was written out.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            if self.has_call(expr) {
                let (expr, alias) = (expr.clone(), Ident::with_quote('"', expr.to_string()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }

    /// Arguments before what they are given to.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let Some((name, function)) = self.function(call) else { return ControlFlow::Continue(()) };
        match self.written_out(call, function) {
            Ok(written) => {
                *expr = written;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(PlanError { at: error.at.or(place_of(name)), ..error }),
        }
    }
}

impl<'a> Expander<'a> {
    fn function<'c>(&self, call: &'c Call) -> Option<(&'c Ident, &'a Arc<Function>)> {
        let (name, written) = names::called(&call.name)?;
        Some((name, self.functions.get(&written)?))
    }

    fn has_call(&self, expr: &Expr) -> bool {
        let found = visit_expressions(expr, |part| match part {
            Expr::Function(call) if self.function(call).is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    }

    fn written_out(&mut self, call: &Call, function: &Function) -> Result<Expr, PlanError> {
        let arguments = arguments(call, function)?;
        let sizes: Vec<Size> = arguments.iter().map(Size::of).collect();
        let size = function.size_with(&sizes);
        self.nodes = self.nodes.saturating_add(size.nodes);
        Size { nodes: self.nodes, ..size }.check(&function.name)?;
        self.used.insert(function.name.clone());
        self.used.extend(function.calls.iter().cloned());
        Ok(function.applied_to(arguments))
    }
}

/// The arguments of a call that has nothing but arguments, as many as there are parameters.
fn arguments(call: &Call, function: &Function) -> Result<Vec<Expr>, PlanError> {
    let name = &function.name;
    let is_bare = call.filter.is_none()
        && call.over.is_none()
        && call.null_treatment.is_none()
        && call.within_group.is_empty()
        && call.parameters == FunctionArguments::None;
    let plain = match &call.args {
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses })
            if is_bare && clauses.is_empty() =>
        {
            args.iter().map(plain).collect::<Option<Vec<Expr>>>()
        }
        _ => None,
    };
    let hint = || format!("{} is how it is called", function.signature());
    let Some(arguments) = plain else {
        let message =
            format!("{name}() computes a value from its arguments, in their order, and takes nothing else");
        return Err(PlanError::new(message).with_hint(hint()));
    };
    match (arguments.len(), function.parameters.len()) {
        (given, wanted) if given == wanted => Ok(arguments),
        (given, wanted) => {
            let message = format!("{name}() takes {wanted} arguments, here are {given}");
            Err(PlanError::new(message).with_hint(hint()))
        }
    }
}

fn plain(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// Where a name stands; nowhere when it was not read from a text.
pub(super) fn place_of(name: &Ident) -> Option<Position> {
    let start = name.span.start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}
