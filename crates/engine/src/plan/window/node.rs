//! The node of a plan that adds the bounds of windows.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{DFSchema, DFSchemaRef, Result, TableReference, plan_datafusion_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::Window;

pub(crate) const WINDOW_START: &str = "window_start";
pub(crate) const WINDOW_END: &str = "window_end";

/// Its input's columns (without window columns of an earlier window) and the two of this one.
#[derive(Clone)]
pub(crate) struct WindowNode {
    pub input: LogicalPlan,
    pub ts: Expr,
    /// The columns by which sessions and counted windows are told apart; none for others.
    pub keys: Vec<Expr>,
    pub window: Window,
    schema: DFSchemaRef,
}

impl WindowNode {
    pub fn new(input: LogicalPlan, ts: Expr, keys: Vec<Expr>, window: Window) -> Result<WindowNode> {
        let qualifier = match &ts {
            Expr::Column(column) => column.relation.clone(),
            _ => None,
        };
        let mut fields: Vec<(Option<TableReference>, Arc<Field>)> = kept_columns(input.schema())
            .map(|index| {
                let (qualifier, field) = input.schema().qualified_field(index);
                (qualifier.cloned(), Arc::clone(field))
            })
            .collect();
        for name in [WINDOW_START, WINDOW_END] {
            fields.push((qualifier.clone(), Arc::new(Field::new(name, time_type(), false))));
        }
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(WindowNode { input, ts, keys, window, schema: Arc::new(schema) })
    }
}

/// Whether this is the node of windows that would be others if rows were missing: no filter may go below it.
pub(crate) fn depends_on_others(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any().downcast_ref::<WindowNode>();
            node.is_some_and(|node| node.window.depends_on_others())
        }
        _ => false,
    }
}

/// Columns of the input that the node hands on: a window over windows shows only its own window columns.
pub(crate) fn kept_columns(input: &DFSchema) -> impl Iterator<Item = usize> + '_ {
    let is_window = |name: &str| name == WINDOW_START || name == WINDOW_END;
    (0..input.fields().len()).filter(move |index| !is_window(input.field(*index).name()))
}

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl fmt::Debug for WindowNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.window, self.ts)
    }
}

impl PartialEq for WindowNode {
    fn eq(&self, other: &WindowNode) -> bool {
        self.input == other.input
            && self.ts == other.ts
            && self.keys == other.keys
            && self.window == other.window
    }
}

impl Eq for WindowNode {}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &WindowNode) -> Option<Ordering> {
        // Only equal nodes are the same: the optimizer orders nothing by it.
        match self == other {
            true => Some(Ordering::Equal),
            false => self.input.partial_cmp(&other.input).filter(|order| order.is_ne()),
        }
    }
}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.ts.hash(state);
        self.keys.hash(state);
        self.window.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.ts).chain(&self.keys).cloned().collect()
    }

    /// Filters on other columns may go below aligned windows: they do not change which one a row belongs to.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::from([WINDOW_START.to_owned(), WINDOW_END.to_owned()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Window: {:?} of {}", self.window, self.ts)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<WindowNode> {
        let wrong = || plan_datafusion_err!("a window has one input and one time");
        let mut exprs = exprs.into_iter();
        let ts = exprs.next().ok_or_else(wrong)?;
        let input = inputs.into_iter().next().ok_or_else(wrong)?;
        WindowNode::new(input, ts, exprs.collect(), self.window)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let kept: Vec<usize> = kept_columns(self.input.schema()).collect();
        let mut needed: Vec<usize> =
            output_columns.iter().filter_map(|column| kept.get(*column).copied()).collect();
        for expr in self.expressions() {
            if let Expr::Column(column) = expr {
                needed.extend(self.input.schema().maybe_index_of_column(&column));
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
