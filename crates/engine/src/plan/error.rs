//! Why a query cannot become a pipeline.

use datafusion::common::{DataFusionError, Diagnostic, SchemaError};

use crate::statement::{ParseError, Position};

/// A query that was refused: where, why, and what would work instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}{}", place(at), hint_suffix(hint))]
pub struct PlanError {
    /// The place in the text that the person wrote, when it is known.
    pub at: Option<Position>,
    pub message: String,
    pub hint: Option<String>,
}

fn place(at: &Option<Position>) -> String {
    at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default()
}

fn hint_suffix(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default()
}

impl PlanError {
    pub(crate) fn new(message: impl Into<String>) -> PlanError {
        PlanError { at: None, message: message.into(), hint: None }
    }

    /// Two columns of a SELECT have one name.
    pub(crate) fn twice(name: &str) -> PlanError {
        PlanError::new(format!("two columns are named `{name}`"))
            .with_hint("give one of them another name: … AS other")
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> PlanError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ParseError> for PlanError {
    fn from(error: ParseError) -> PlanError {
        let message = format!("expected {}, found {}", error.expected, error.found);
        PlanError { at: Some(error.at), message, hint: error.hint }
    }
}

impl From<DataFusionError> for PlanError {
    fn from(error: DataFusionError) -> PlanError {
        if let DataFusionError::External(own) = error.find_root()
            && let Some(own) = own.downcast_ref::<PlanError>()
        {
            return own.clone();
        }
        let at = error.diagnostic().and_then(position);
        if let DataFusionError::SchemaError(schema_error, _) = error.find_root()
            && let Some(name) = name_given_twice(schema_error)
        {
            return PlanError { at, ..PlanError::twice(name) };
        }
        let root = error.find_root().message().into_owned();
        let message = root.lines().next().unwrap_or_default().to_owned();
        PlanError { at, message, hint: None }
    }
}

fn name_given_twice(error: &SchemaError) -> Option<&str> {
    match error {
        SchemaError::DuplicateQualifiedField { name, .. } => Some(name),
        SchemaError::DuplicateUnqualifiedField { name } => Some(name),
        SchemaError::AmbiguousReference { field } if field.relation.is_some() => Some(&field.name),
        _ => None,
    }
}

/// The planner passes errors of our own through DataFusion's.
impl From<PlanError> for DataFusionError {
    fn from(error: PlanError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

fn position(diagnostic: &Diagnostic) -> Option<Position> {
    diagnostic.span.map(|span| Position { line: span.start.line, column: span.start.column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_planner_lose_their_class() {
        let error = DataFusionError::Plan("table `x` is not known".to_owned());
        assert_eq!(PlanError::from(error).to_string(), "table `x` is not known");
    }

    #[test]
    fn own_errors_pass_through_datafusion() {
        let own = PlanError::new("no").with_hint("yes");
        let wrapped = DataFusionError::from(own.clone()).context("while planning");
        assert_eq!(PlanError::from(wrapped), own);
    }
}
