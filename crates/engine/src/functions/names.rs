//! Names that functions have in a query, and those that they cannot have.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use crate::PlanError;
use crate::plan::session;

/// What stands in FROM and in MATCH_RECOGNIZE like a function.
const PLACES: [&str; 10] = [
    "tumble",
    "hop",
    "session",
    "count_window",
    "interpolate",
    "locf",
    "prev",
    "classifier",
    "match_rowtime",
    "match_number",
];

/// As the planner reads it.
pub(super) fn written(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_ascii_lowercase(),
    }
}

/// The word by which something is called; `None` for a name of several parts.
pub(super) fn called(name: &ObjectName) -> Option<(&Ident, String)> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|name| (name, written(name))),
        _ => None,
    }
}

/// Refuses a name that means something already.
pub(crate) fn check_name(name: &str) -> Result<(), PlanError> {
    let hint = format!("choose another one, such as `my_{name}`");
    if is_function(name) || PLACES.contains(&name) {
        return Err(PlanError::new(format!("{name}() is a function of the language")).with_hint(hint));
    }
    match ALL_KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        true => Err(PlanError::new(format!("`{name}` is a word of SQL")).with_hint(hint)),
        false => Ok(()),
    }
}

fn is_function(name: &str) -> bool {
    let session = session();
    session.scalar_functions().contains_key(name)
        || session.aggregate_functions().contains_key(name)
        || session.window_functions().contains_key(name)
        || session.higher_order_functions().contains_key(name)
        || session.table_functions().contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_are_refused() {
        for name in ["abs", "avg", "increase", "lag", "tumble", "prev", "coalesce", "pow"] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains("is a function of the language"), "{error}");
        }
        for name in ["select", "case", "extract", "volume"] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains("is a word of SQL; hint: choose another one"), "{error}");
        }
        for name in ["fahrenheit", "dew_point", "my_volume", "is_night"] {
            check_name(name).unwrap();
        }
    }
}
