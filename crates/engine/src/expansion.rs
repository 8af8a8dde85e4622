//! How large a statement becomes when names stand for what they name.
//!
//! `WITH a AS (…), b AS (SELECT * FROM a UNION ALL SELECT * FROM a), c AS (… b … b)` doubles with each line, and so does
//! `SELECT x || x AS x FROM (SELECT x || x AS x FROM (…))` where a condition is pushed down through it. The planner writes
//! such things out; they are counted here before it does.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, Visit, Visitor};

use crate::PlanError;

/// Tables that a statement may read once all names are written out.
const TABLES_MAX: u64 = 256;
/// Columns that one expression may name once all of them are written out.
const COLUMNS_MAX: u64 = 100_000;

/// What a query becomes.
#[derive(Clone, Copy, Debug)]
struct Size {
    tables: u64,
    /// In the largest expression, counted in columns of tables.
    columns: u64,
}

/// A query that is being read.
#[derive(Default)]
struct Level {
    tables: u64,
    /// Columns named in its largest expression.
    named: u64,
    /// Of the largest of what it reads from.
    columns_below: u64,
    /// Within an expression: how deep, and how many columns it has named.
    depth: u32,
    naming: u64,
    names: HashMap<String, Size>,
}

#[derive(Default)]
struct Reader {
    levels: Vec<Level>,
    /// Queries that get a name when they have been read, by address.
    named: HashMap<*const Query, String>,
}

/// Refuses a statement that the planner would make enormous.
pub fn check_expansion(statement: &Statement) -> Result<(), PlanError> {
    let mut reader = Reader { levels: vec![Level::default()], ..Reader::default() };
    let _: ControlFlow<()> = statement.visit(&mut reader);
    let whole = reader.levels.first().map_or(Size { tables: 0, columns: 0 }, Level::size);
    if whole.tables > TABLES_MAX {
        let message = format!("the query reads {} tables when all names in it are written out", whole.tables);
        return Err(PlanError::new(format!("{message}, at most {TABLES_MAX} are allowed")));
    }
    if whole.columns > COLUMNS_MAX {
        let message =
            "an expression of the query becomes too large when the columns of inner queries are written out";
        return Err(PlanError::new(message).with_hint("use each computed column fewer times"));
    }
    Ok(())
}

impl Level {
    fn size(&self) -> Size {
        Size {
            tables: self.tables.max(1),
            columns: self.named.max(1).saturating_mul(self.columns_below.max(1)),
        }
    }

    fn read(&mut self, size: Size) {
        self.tables = self.tables.saturating_add(size.tables);
        self.columns_below = self.columns_below.max(size.columns);
    }
}

impl Visitor for Reader {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(&raw const *named.query, named.alias.name.value.to_lowercase());
        }
        self.levels.push(Level::default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(size) = self.levels.pop().map(|level| level.size()) else {
            return ControlFlow::Continue(());
        };
        if let Some(outer) = self.levels.last_mut() {
            match self.named.remove(&(&raw const *query)) {
                Some(name) => {
                    outer.names.insert(name, size);
                }
                None => outer.read(size),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.to_string().to_lowercase();
        let known = self.levels.iter().rev().find_map(|level| level.names.get(&name).copied());
        if let Some(level) = self.levels.last_mut() {
            level.read(known.unwrap_or(Size { tables: 1, columns: 1 }));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Some(level) = self.levels.last_mut() {
            level.depth += 1;
            level.naming += u64::from(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(level) = self.levels.last_mut() {
            level.depth -= 1;
            if level.depth == 0 {
                level.named = level.named.max(std::mem::take(&mut level.naming));
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn check(sql: &str) -> Result<(), String> {
        let statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        check_expansion(&statement).map_err(|error| error.to_string())
    }

    /// `levels` names, each reading the one before it twice.
    fn doubling(levels: usize) -> String {
        let names = (1..=levels)
            .map(|n| format!("t{n} AS (SELECT * FROM t{} UNION ALL SELECT * FROM T{})", n - 1, n - 1))
            .collect::<Vec<_>>();
        format!("WITH {} SELECT count(*) FROM t{levels}", names.join(", "))
    }

    #[test]
    fn tables_are_counted_with_all_names_written_out() {
        check(&doubling(8)).unwrap();
        let error = check(&doubling(9)).unwrap_err();
        assert!(error.contains("512 tables"), "{error}");
        let error =
            check(&doubling(10).replace("FROM t0", "FROM (SELECT 1)").replace("FROM T0", "")).unwrap_err();
        assert!(error.contains("tables"), "{error}");
        check("SELECT * FROM (SELECT * FROM a JOIN b ON a.x = b.x) WHERE x IN (SELECT x FROM c)").unwrap();
    }

    #[test]
    fn columns_are_counted_with_all_names_written_out() {
        let nested = |levels: usize| {
            (0..levels).fold("s".to_owned(), |inner, _| format!("(SELECT x || x AS x FROM {inner})"))
        };
        check(&format!("SELECT * FROM {} WHERE x <> ''", nested(15))).unwrap();
        let error = check(&format!("SELECT * FROM {} WHERE x <> ''", nested(17))).unwrap_err();
        assert!(error.contains("an expression of the query"), "{error}");
        check("SELECT avg(a + b + c) AS m, d FROM (SELECT a * a AS a, b, c, d FROM s) GROUP BY d").unwrap();
    }
}
