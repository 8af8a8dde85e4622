//! What a token or a person may do, in four steps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A permission of a token or a person. [`Scope::Admin`] contains every other, [`Scope::Write`] contains
/// [`Scope::Read`]. [`Scope::Ingest`] stands apart, so that a gateway that delivers readings can neither look at
/// them nor change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything: tokens, devices, schemas, people.
    Admin,
    /// Create and change streams, pipelines and alerts.
    Write,
    /// Look at readings and results.
    Read,
    /// Deliver readings for any device of the tenant.
    Ingest,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Admin, Scope::Write, Scope::Read, Scope::Ingest];

    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Admin => "admin",
            Scope::Write => "write",
            Scope::Read => "read",
            Scope::Ingest => "ingest",
        }
    }

    /// Whether holding `self` is enough where `needed` is asked for.
    pub const fn contains(self, needed: Scope) -> bool {
        matches!(
            (self, needed),
            (Scope::Admin, _)
                | (Scope::Write, Scope::Write | Scope::Read)
                | (Scope::Read, Scope::Read)
                | (Scope::Ingest, Scope::Ingest)
        )
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope; hint: admin, write, read or ingest")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Scope, UnknownScope> {
        let wanted = text.trim();
        Scope::ALL
            .into_iter()
            .find(|scope| scope.as_str().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_what_they_print() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert_eq!(" Admin".parse(), Ok(Scope::Admin));
        assert!("root".parse::<Scope>().is_err());
    }

    #[test]
    fn admin_contains_all_and_write_contains_read_but_not_ingest() {
        for scope in Scope::ALL {
            assert!(Scope::Admin.contains(scope));
            assert!(scope.contains(scope));
        }
        assert!(Scope::Write.contains(Scope::Read));
        assert!(!Scope::Write.contains(Scope::Ingest));
        assert!(!Scope::Read.contains(Scope::Write));
        assert!(!Scope::Ingest.contains(Scope::Read));
    }
}
