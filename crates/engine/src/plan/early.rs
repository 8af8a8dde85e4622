//! `EMIT EVERY`: results of windows that are still open, and the columns that say what becomes of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::PlanError;
use super::chain::Chain;
use super::compile::{AggregateStep, Step};
use super::output::column_name;
use super::placement::Placement;
use crate::operators;

/// 1 for a row that counts from here on, -1 for one that was given before and does not count any more.
const DIFF: &str = "diff";
/// Whether the window has closed: no row takes this one back.
const IS_FINAL: &str = "is_final";

/// How a window gives results before it closes.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    pub(crate) every_us: i64,
    /// What a result is, without the columns that say what becomes of it.
    pub(crate) rows: SchemaRef,
}

impl Chain {
    /// Lets the windows give early results; returns what the query gives then, where it gave `given`.
    pub(super) fn give_early(&mut self, every_us: i64, given: &SchemaRef) -> Result<SchemaRef, PlanError> {
        if let Some(field) = given.fields().iter().find(|field| is_taken(field.name())) {
            let message = format!("EMIT EVERY adds a column `{}`, and the SELECT has one", field.name());
            return Err(PlanError::new(message).with_hint("give yours another name: … AS other"));
        }
        let (at, step) = self.early_window()?;
        let mut width = step.schema.fields().len();
        let early = Early { every_us, rows: Arc::clone(&step.schema) };
        operators::check_early(&early.rows)?;
        let step = AggregateStep { schema: with_marks(&step.schema), early: Some(early), ..step };
        let mut next = self.stations[at].to;
        self.stations[at].step = Step::Aggregate(Arc::new(step));
        while let Some(port) = next {
            let station = &mut self.stations[port.station];
            next = station.to;
            match &mut station.step {
                Step::Filter { .. } => {}
                Step::Select { columns } => {
                    let kept = columns.len();
                    columns.extend([width, width + 1]);
                    width = kept;
                }
                Step::Project { exprs, schema } => {
                    let marks = [(DIFF, width), (IS_FINAL, width + 1)];
                    let marks =
                        marks.map(|(name, at)| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, at)) });
                    width = exprs.len();
                    exprs.extend(marks);
                    *schema = with_marks(schema);
                }
                _ => return Err(refused("the rows of windows go into something else")),
            }
        }
        Ok(with_marks(given))
    }

    /// The only aggregation, and what it does.
    fn early_window(&self) -> Result<(usize, AggregateStep), PlanError> {
        let steps = self.stations.iter().enumerate();
        let mut windows = steps.filter_map(|(at, station)| match &station.step {
            Step::Aggregate(step) => Some((at, step)),
            _ => None,
        });
        let ends = self.stations.iter().filter(|station| station.to.is_none()).count()
            + self.scans.iter().filter(|scan| scan.to.is_none()).count();
        match (windows.next(), windows.next()) {
            (Some((at, step)), None) if ends == 1 => match &step.placement {
                Placement::Aligned { .. } => Ok((at, AggregateStep::clone(step))),
                Placement::Session { .. } => Err(refused("a session is not known before it has ended")),
                Placement::Count { .. } => {
                    Err(refused("a window of so many rows has no end before it is full"))
                }
            },
            (None, _) => Err(refused("the query has no window, and gives each row at once")),
            _ => Err(refused("the query has several windows")),
        }
    }
}

fn refused(why: &str) -> PlanError {
    PlanError::new(format!("EMIT EVERY has no meaning here: {why}"))
        .with_hint("it is for one GROUP BY over TUMBLE or HOP; create a pipeline for what comes behind it")
}

fn is_taken(name: &str) -> bool {
    [DIFF, IS_FINAL].contains(&column_name(name).as_str())
}

fn with_marks(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DIFF, DataType::Int64, false)));
    fields.push(Arc::new(Field::new(IS_FINAL, DataType::Boolean, false)));
    Arc::new(ArrowSchema::new(fields))
}
