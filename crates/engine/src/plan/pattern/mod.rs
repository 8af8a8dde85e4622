//! Patterns of rows: `MATCH_RECOGNIZE` (SQL:2016 §7.6, ISO/IEC 19075-5).
//!
//! ```text
//! PATTERN ─tree─▶ automaton: which variables may take the next row
//! DEFINE, MEASURES ─term─▶ what is kept of rows, and ordinary expressions over that ─clause─▶ node ─step─▶ operators::pattern
//! ```
//! On an endless stream the compiler makes a step of the node, on history `history::pattern` a plan with the same
//! operator in it, so that one text means the same on both.

mod automaton;
mod chain;
mod clause;
mod node;
mod step;
mod term;
mod tree;

use std::fmt;

use arrow::datatypes::FieldRef;
use datafusion::common::Column;
use datafusion::logical_expr::Expr;

pub(crate) use automaton::{Automaton, Following};
pub(crate) use clause::MatchRecognize;
pub(crate) use node::PatternNode;
pub(crate) use step::{Condition, PatternStep};
pub(crate) use term::{Kind, Term};
pub(crate) use tree::Pattern;

/// Where the search for the next match goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Skip {
    /// Behind the last row of a match: no row is in two matches.
    PastLastRow,
    /// At each row: matches may overlap.
    ToNextRow,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Skip::PastLastRow => "past the last row",
            Skip::ToNextRow => "to the next row",
        })
    }
}

/// What a MATCH_RECOGNIZE says, as expressions over the columns of its input and those that come about inside of it:
/// previous rows (`term::previous_column`) and terms (`term::term_column`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Matching {
    pub pattern: Pattern,
    pub skip: Skip,
    /// The columns of the input that any of it reads.
    pub columns: Vec<Column>,
    /// Over the input: an expression, and how many rows before.
    pub previous: Vec<(Expr, usize)>,
    /// Over the input and previous rows: what is kept of a row that is taken.
    pub kept: Vec<Expr>,
    pub terms: Vec<Term>,
    /// Over the input, previous rows and terms, one for each variable; `None` takes every row.
    pub conditions: Vec<Option<Expr>>,
    /// Over the terms.
    pub measures: Vec<Measure>,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Measure {
    pub field: FieldRef,
    pub expr: Expr,
}
