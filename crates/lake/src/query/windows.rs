//! Window functions on history: the same text that a pipeline runs, over rows that are there already.

use std::sync::Arc;

use datafusion::logical_expr::planner::RelationPlanner;

/// What recognizes window functions in FROM.
pub(super) fn relation_planners() -> Vec<Arc<dyn RelationPlanner>> {
    Vec::new()
}
