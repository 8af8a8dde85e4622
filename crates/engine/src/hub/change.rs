//! What a statement does to a pipeline, and what becomes of the state that the pipeline has.

use std::fmt;

use springhouse_model::StreamName;

use crate::{Plan, RunError};

/// Whether a statement changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Create,
    Replace,
    Unchanged,
}

impl ChangeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Create => "create",
            ChangeKind::Replace => "replace",
            ChangeKind::Unchanged => "unchanged",
        }
    }
}

/// What a CREATE PIPELINE, CREATE ALERT or ROLLBACK has done, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// `pipeline` or `alert`.
    pub what: &'static str,
    pub name: StreamName,
    pub into: StreamName,
    /// Of the statement, once it runs.
    pub version: u32,
    /// Functions of which it takes another definition than the version before: `` `fahrenheit` version 2 ``.
    pub functions: Vec<String>,
    pub state: StateChange,
}

/// The operators with a state by what becomes of it, each in words such as `aggregate device, window_start`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChange {
    /// They compute what operators of the version before do, from the source up to them.
    pub keeps: Vec<String>,
    /// They begin with the rows that they still need, as far as the log holds them.
    pub reads_again: Vec<String>,
    /// They begin with the rows from here on, as what remembers which alerts are firing does in any case: rows that are read
    /// again fire for nobody.
    pub begins_empty: Vec<String>,
    /// Operators of the version before whose open windows are given up.
    pub gives_up: Vec<String>,
}

impl StateChange {
    /// What becomes of the state of `old`, whose operators have these names and fingerprints, and for each operator of `new`
    /// the one whose state it keeps. Of a beginning, or of a state that is lost, there is nothing to go on with.
    pub(super) fn between(
        old: Option<&[(String, String)]>,
        new: &Plan,
    ) -> Result<(StateChange, Vec<Option<usize>>), RunError> {
        let is_known = old.is_some();
        let old = old.unwrap_or_default();
        let mut change = StateChange::default();
        let mut from = Vec::new();
        for step in new.stateful_steps()? {
            let is_like = |at: &usize| old[*at].1 == step.fingerprint && !from.contains(&Some(*at));
            let found = (0..old.len()).find(is_like);
            match found {
                Some(_) => change.keeps.push(step.name),
                None if is_known && !step.begins_empty => change.reads_again.push(step.name),
                None => change.begins_empty.push(step.name),
            }
            from.push(found);
        }
        // What is computed again from the rows is not lost.
        let left = (0..old.len()).filter(|at| change.reads_again.is_empty() && !from.contains(&Some(*at)));
        change.gives_up = left.map(|at| old[at].0.clone()).collect();
        Ok((change, from))
    }

    /// The names and fingerprints of a plan's operators.
    pub(super) fn operators(plan: &Plan) -> Result<Vec<(String, String)>, RunError> {
        Ok(plan.stateful_steps()?.into_iter().map(|step| (step.name, step.fingerprint)).collect())
    }
}

impl fmt::Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("keeps the state of", &self.keeps),
            ("reads the log again", &self.reads_again),
            ("begins empty", &self.begins_empty),
            ("gives up the state of", &self.gives_up),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> =
            parts.map(|(words, names)| format!("{words}: {}", names.join(" and "))).collect();
        match parts.is_empty() {
            true => f.write_str("no operator has a state"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { what, name, into, version, functions, state, .. } = self;
        let takes = match functions.is_empty() {
            true => String::new(),
            false => format!("takes {}; ", functions.join(" and ")),
        };
        match self.kind {
            ChangeKind::Create => write!(f, "{what} `{name}` runs and fills `{into}`"),
            ChangeKind::Replace => {
                write!(f, "{what} `{name}` runs as version {version} and fills `{into}`; {takes}{state}")
            }
            ChangeKind::Unchanged => write!(f, "{what} `{name}` is unchanged: version {version} runs"),
        }
    }
}
