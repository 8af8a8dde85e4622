//! A function that can be called: its parameters, and the expression that takes the place of a call.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast::{Expr, VisitMut, VisitorMut};
use springhouse_meta::FunctionDefinition;
use springhouse_model::ValueType;

use super::Program;
use super::size::Size;
use super::types::{cast, type_name};
use crate::statement::{CreateFunction, Parameter, is_same};

/// A function whose definition has been checked.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// Counts the definitions that it has had, from 1.
    pub version: u32,
    pub parameters: Vec<Parameter>,
    pub returns: ValueType,
    /// The functions that its expression calls, those that these call among them.
    pub calls: BTreeSet<String>,
    /// The statement as written.
    pub sql: String,
    template: Template,
    /// What the expression calls, when it is the call of what a component exports.
    component: Option<Exported>,
}

/// The function of a component.
#[derive(Clone, Debug)]
pub(super) struct Exported {
    pub program: Arc<Program>,
    pub function: Arc<ScalarUDF>,
}

/// Whether two definitions say the same, whatever their numbers.
pub(crate) fn are_same(left: &FunctionDefinition, right: &FunctionDefinition) -> bool {
    left.name == right.name && is_same(&left.sql, &right.sql)
}

/// An expression in which parameters stand for themselves.
#[derive(Debug)]
struct Template {
    expr: Expr,
    size: Size,
    /// How often each parameter is named.
    uses: Vec<usize>,
}

impl Function {
    /// `expr` calls nothing that a person has written, but for what a component exports; it is of the parameters alone.
    pub(super) fn new(
        statement: &CreateFunction,
        version: u32,
        calls: BTreeSet<String>,
        expr: Expr,
        component: Option<Exported>,
    ) -> Function {
        let parameters = statement.parameters.clone();
        let mut expr = cast(expr, statement.returns);
        let mut reader = Substitution { parameters: &parameters, uses: vec![0; parameters.len()], by: None };
        let _ = expr.visit(&mut reader);
        let (uses, size) = (reader.uses, Size::of(&expr));
        Function {
            name: statement.name.to_string(),
            version,
            parameters,
            returns: statement.returns,
            calls,
            sql: statement.text.clone(),
            template: Template { expr, size, uses },
            component,
        }
    }

    /// `fahrenheit(celsius DOUBLE) RETURNS DOUBLE`.
    pub fn signature(&self) -> String {
        let parameter = |parameter: &Parameter| format!("{} {}", parameter.name, type_name(parameter.ty));
        let parameters: Vec<String> = self.parameters.iter().map(parameter).collect();
        format!("{}({}) RETURNS {}", self.name, parameters.join(", "), type_name(self.returns))
    }

    /// The component that it is made of, if it is no expression.
    pub(super) fn component(&self) -> Option<&Arc<Program>> {
        self.component.as_ref().map(|exported| &exported.program)
    }

    /// As the planner knows it, if it is no expression.
    pub(super) fn exported(&self) -> Option<&Arc<ScalarUDF>> {
        self.component.as_ref().map(|exported| &exported.function)
    }

    pub fn definition(&self) -> FunctionDefinition {
        FunctionDefinition { name: self.name.clone(), version: self.version, sql: self.sql.clone() }
    }

    /// How large a call with arguments of these sizes becomes.
    pub(super) fn size_with(&self, arguments: &[Size]) -> Size {
        let Template { size, uses, .. } = &self.template;
        // Each is cast, which is a node more.
        let nodes = arguments.iter().zip(uses).map(|(size, uses)| (size.nodes + 1).saturating_mul(*uses));
        let depth = arguments.iter().map(|size| size.depth + 1).max().unwrap_or_default();
        Size { nodes: nodes.fold(size.nodes, usize::saturating_add), depth: size.depth.saturating_add(depth) }
    }

    /// The expression with arguments, one for each parameter, in the places of the parameters.
    pub(super) fn applied_to(&self, arguments: Vec<Expr>) -> Expr {
        let typed = arguments.into_iter().zip(&self.parameters);
        let by: Vec<Expr> = typed.map(|(argument, parameter)| cast(argument, parameter.ty)).collect();
        let mut expr = self.template.expr.clone();
        let mut substitution =
            Substitution { parameters: &self.parameters, uses: vec![0; by.len()], by: Some(by) };
        let _ = expr.visit(&mut substitution);
        expr
    }
}

/// Counts what names a parameter, and puts something else there. What has been put there is not looked at again, so that a
/// column that is called like a parameter stays a column.
struct Substitution<'a> {
    parameters: &'a [Parameter],
    uses: Vec<usize>,
    by: Option<Vec<Expr>>,
}

impl VisitorMut for Substitution<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Identifier(name) = expr else { return ControlFlow::Continue(()) };
        let name = super::names::written(name);
        if let Some(at) = self.parameters.iter().position(|parameter| parameter.name == name) {
            self.uses[at] += 1;
            if let Some(by) = &self.by {
                *expr = by[at].clone();
            }
        }
        ControlFlow::Continue(())
    }
}
