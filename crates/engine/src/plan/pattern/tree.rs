//! The PATTERN of MATCH_RECOGNIZE as a tree: what was written, with the names of its variables settled.

use std::fmt;

use datafusion::sql::sqlparser::ast::{
    Ident, MatchRecognizePattern, MatchRecognizeSymbol, RepetitionQuantifier,
};

use crate::plan::PlanError;
use crate::statement::WITHIN_MARK;

/// A regular expression over rows. Variables are numbered in the order in which they are first named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tree {
    /// One row that fits a variable.
    Row(usize),
    /// One after the other.
    Sequence(Vec<Tree>),
    /// The first that fits is preferred.
    Choice(Vec<Tree>),
    Repeat {
        tree: Box<Tree>,
        times: Times,
    },
}

/// How often: `{min,max}`, with a preference for more or for fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Times {
    pub min: u32,
    /// `None` for any number.
    pub max: Option<u32>,
    pub is_greedy: bool,
}

/// All that stands between the parentheses of PATTERN, and WITHIN behind them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    pub tree: Tree,
    pub variables: Vec<String>,
    /// It ends in `$`: it is complete when the time of `within_us` is over.
    pub until_time_is_over: bool,
    /// The rows of a match are less than this behind its first one.
    pub within_us: Option<i64>,
}

impl Pattern {
    pub fn read(
        written: &MatchRecognizePattern,
        normalize: &dyn Fn(&Ident) -> String,
    ) -> Result<Pattern, PlanError> {
        let mut reader = Reader { variables: Vec::new(), normalize };
        let (written, within_us) = without_within(written.clone());
        let within_us = within_us.transpose()?;
        let mut elements = match &written {
            MatchRecognizePattern::Concat(elements) => elements.iter().collect(),
            other => vec![other],
        };
        let until_time_is_over =
            matches!(elements.last(), Some(MatchRecognizePattern::Symbol(MatchRecognizeSymbol::End)));
        if until_time_is_over {
            elements.pop();
        }
        let trees = elements.into_iter().map(|element| reader.tree(element)).collect::<Result<_, _>>()?;
        let pattern =
            Pattern { tree: sequence(trees), variables: reader.variables, until_time_is_over, within_us };
        match (&pattern.tree, until_time_is_over, within_us) {
            (Tree::Sequence(trees), ..) if trees.is_empty() => {
                Err(PlanError::new("PATTERN is empty").with_hint("PATTERN (a b+)"))
            }
            (_, true, None) => Err(PlanError::new(
                "`$` in PATTERN waits until the time of WITHIN is over, and there is none",
            )
            .with_hint("PATTERN (… $) WITHIN INTERVAL '10' MINUTE")),
            _ => Ok(pattern),
        }
    }
}

/// Takes out what WITHIN left behind the last element, which in a choice is that of the last branch.
fn without_within(written: MatchRecognizePattern) -> (MatchRecognizePattern, Option<Result<i64, PlanError>>) {
    match written {
        MatchRecognizePattern::Concat(mut elements) => {
            let within_us = elements.last().and_then(within);
            if within_us.is_some() {
                elements.pop();
            }
            (MatchRecognizePattern::Concat(elements), within_us)
        }
        MatchRecognizePattern::Alternation(mut choices) => {
            let (last, within_us) =
                choices.pop().map_or((MatchRecognizePattern::Concat(Vec::new()), None), without_within);
            choices.push(last);
            (MatchRecognizePattern::Alternation(choices), within_us)
        }
        other => match within(&other) {
            Some(within_us) => (MatchRecognizePattern::Concat(Vec::new()), Some(within_us)),
            None => (other, None),
        },
    }
}

/// The length that `statement::rewrite` put into the pattern.
fn within(element: &MatchRecognizePattern) -> Option<Result<i64, PlanError>> {
    let MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Named(name)) = element else { return None };
    let length = name.value.strip_prefix(WITHIN_MARK).filter(|_| name.quote_style.is_some())?;
    let digits: String = length.chars().filter(|c| !c.is_whitespace()).collect();
    Some(match digits.parse() {
        Ok(micros @ 1..) => Ok(micros),
        _ => Err(PlanError::new("WITHIN takes a fixed length of time above zero")
            .with_hint("WITHIN INTERVAL '10' MINUTE; months and years have no fixed length, use days")),
    })
}

fn sequence(mut trees: Vec<Tree>) -> Tree {
    match (trees.len(), trees.pop()) {
        (1, Some(tree)) => tree,
        (_, last) => {
            trees.extend(last);
            Tree::Sequence(trees)
        }
    }
}

struct Reader<'a> {
    variables: Vec<String>,
    normalize: &'a dyn Fn(&Ident) -> String,
}

impl Reader<'_> {
    fn tree(&mut self, written: &MatchRecognizePattern) -> Result<Tree, PlanError> {
        match written {
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Named(name)) => Ok(self.row(name)),
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Start) => {
                Err(PlanError::new("`^` in PATTERN: an endless stream has no first row to begin at")
                    .with_hint("a condition in DEFINE can name what comes before: PREV(column) IS NULL"))
            }
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::End) => {
                Err(PlanError::new("`$` stands at the end of the whole PATTERN")
                    .with_hint("PATTERN (a b* $) WITHIN INTERVAL '10' MINUTE"))
            }
            MatchRecognizePattern::Exclude(_) => Err(PlanError::new(
                "`{- -}` in PATTERN leaves rows out of ALL ROWS PER MATCH, which is not available",
            )
            .with_hint("a match gives one row, of its MEASURES")),
            MatchRecognizePattern::Permute(_) => Err(PlanError::new(
                "PERMUTE in PATTERN is not available: it stands for every order of its variables",
            )
            .with_hint("write out the orders that count: (a b | b a)")),
            MatchRecognizePattern::Group(inner) => self.tree(inner),
            MatchRecognizePattern::Concat(elements) => {
                Ok(sequence(elements.iter().map(|element| self.tree(element)).collect::<Result<_, _>>()?))
            }
            MatchRecognizePattern::Alternation(choices) => {
                Ok(Tree::Choice(choices.iter().map(|choice| self.tree(choice)).collect::<Result<_, _>>()?))
            }
            MatchRecognizePattern::Repetition(repeated, quantifier) => self.repeat(repeated, quantifier),
        }
    }

    /// The parser reads `a*?` as `a*` that is there at most once.
    fn repeat(
        &mut self,
        repeated: &MatchRecognizePattern,
        quantifier: &RepetitionQuantifier,
    ) -> Result<Tree, PlanError> {
        let (repeated, (min, max), is_greedy) = match (repeated, quantifier) {
            (MatchRecognizePattern::Repetition(inner, inner_quantifier), RepetitionQuantifier::AtMostOne) => {
                (inner.as_ref(), bounds(inner_quantifier), false)
            }
            _ => (repeated, bounds(quantifier), true),
        };
        if matches!(repeated, MatchRecognizePattern::Repetition(..)) {
            return Err(PlanError::new("PATTERN repeats what is repeated already")
                .with_hint("put it into parentheses: (a+){2}"));
        }
        if max == Some(0) || max.is_some_and(|max| max < min) {
            return Err(PlanError::new(format!("PATTERN: `{quantifier}` can never be fulfilled"))
                .with_hint("{n,m} takes from n to m rows, and m is at least 1"));
        }
        let tree = Box::new(self.tree(repeated)?);
        Ok(Tree::Repeat { tree, times: Times { min, max, is_greedy } })
    }

    fn row(&mut self, name: &Ident) -> Tree {
        let name = (self.normalize)(name);
        let known = self.variables.iter().position(|variable| *variable == name);
        Tree::Row(known.unwrap_or_else(|| {
            self.variables.push(name);
            self.variables.len() - 1
        }))
    }
}

fn bounds(quantifier: &RepetitionQuantifier) -> (u32, Option<u32>) {
    match quantifier {
        RepetitionQuantifier::ZeroOrMore => (0, None),
        RepetitionQuantifier::OneOrMore => (1, None),
        RepetitionQuantifier::AtMostOne => (0, Some(1)),
        RepetitionQuantifier::Exactly(n) => (*n, Some(*n)),
        RepetitionQuantifier::AtLeast(n) => (*n, None),
        RepetitionQuantifier::AtMost(m) => (0, Some(*m)),
        RepetitionQuantifier::Range(n, m) => (*n, Some(*m)),
    }
}

impl Tree {
    pub fn is_nullable(&self) -> bool {
        match self {
            Tree::Row(_) => false,
            Tree::Sequence(trees) => trees.iter().all(Tree::is_nullable),
            Tree::Choice(trees) => trees.iter().any(Tree::is_nullable),
            Tree::Repeat { tree, times } => times.min == 0 || tree.is_nullable(),
        }
    }

    /// Whether there is a way through it that takes at least one row, and any rows, since its variables have no condition.
    fn takes_anything(&self, is_free: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Tree::Row(variable) => is_free(*variable),
            Tree::Sequence(trees) => {
                trees.iter().all(|tree| tree.is_nullable() || tree.takes_anything(is_free))
                    && trees.iter().any(|tree| tree.takes_anything(is_free))
            }
            Tree::Choice(trees) => trees.iter().any(|tree| tree.takes_anything(is_free)),
            Tree::Repeat { tree, .. } => tree.takes_anything(is_free),
        }
    }

    /// Whether it prefers to go on for ever, and no row can end it.
    pub fn never_ends(&self, is_free: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Tree::Row(_) => false,
            Tree::Sequence(trees) | Tree::Choice(trees) => trees.iter().any(|tree| tree.never_ends(is_free)),
            Tree::Repeat { tree, times } => {
                (times.max.is_none() && times.is_greedy && tree.takes_anything(is_free))
                    || tree.never_ends(is_free)
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { tree: &self.tree, variables: &self.variables, is_inside: false }.fmt(f)?;
        if self.until_time_is_over { f.write_str(" $") } else { Ok(()) }
    }
}

/// A part of a pattern, in parentheses where it needs them.
struct Shown<'a> {
    tree: &'a Tree,
    variables: &'a [String],
    is_inside: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |tree| Shown { tree, variables: self.variables, is_inside: true }.to_string();
        let (parts, between) = match self.tree {
            Tree::Row(variable) => {
                return f.write_str(self.variables.get(*variable).map_or("", String::as_str));
            }
            Tree::Repeat { tree, times } => return write!(f, "{}{times}", part(tree)),
            Tree::Sequence(trees) => (trees, " "),
            Tree::Choice(trees) => (trees, " | "),
        };
        let text = parts.iter().map(part).collect::<Vec<_>>().join(between);
        if self.is_inside { write!(f, "({text})") } else { f.write_str(&text) }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (0, None) => f.write_str("*")?,
            (1, None) => f.write_str("+")?,
            (0, Some(1)) => f.write_str("?")?,
            (min, None) => write!(f, "{{{min},}}")?,
            (min, Some(max)) if min == max => write!(f, "{{{min}}}")?,
            (min, Some(max)) => write!(f, "{{{min},{max}}}")?,
        }
        if self.is_greedy { Ok(()) } else { f.write_str("?") }
    }
}
