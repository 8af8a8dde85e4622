//! How large an expression is, and how large one may become when calls in it are written out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Visit, Visitor};

use crate::PlanError;

/// Parts of all expressions that the calls of one statement become.
pub(super) const NODES_MAX: usize = 20_000;
/// Expressions within one another: planning walks them by recursion.
pub(super) const DEPTH_MAX: usize = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub nodes: usize,
    pub depth: usize,
}

impl Size {
    pub fn of(expr: &Expr) -> Size {
        let mut measure = Measure::default();
        let _ = expr.visit(&mut measure);
        measure.size
    }

    pub fn check(self, function: &str) -> Result<Size, PlanError> {
        let message = if self.nodes > NODES_MAX {
            format!("calls of functions become more than {NODES_MAX} expressions with `{function}()`")
        } else if self.depth > DEPTH_MAX {
            format!("calls of functions are more than {DEPTH_MAX} expressions deep with `{function}()`")
        } else {
            return Ok(self);
        };
        Err(PlanError::new(message)
            .with_hint("a call is written out: name each parameter fewer times, and call fewer functions within one another"))
    }
}

#[derive(Default)]
struct Measure {
    size: Size,
    depth: usize,
}

impl Visitor for Measure {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        self.size.nodes += 1;
        self.size.depth = self.size.depth.max(self.depth);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
