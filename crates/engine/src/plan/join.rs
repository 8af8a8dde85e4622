//! Joins of two streams: which rows find each other, and how long each has to wait for that.
//!
//! Rows of an endless stream cannot wait for ever. So a join says how far the times of two rows may lie apart, that they are
//! in the same window, or that a row is joined to the newest row of the other stream at its time.

use std::sync::Arc;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::common::{DFSchema, JoinType, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, logical_plan::Join};
use datafusion::physical_expr::PhysicalExpr;
use springhouse_schema::ID_COLUMN;

use super::PlanError;
use super::chain::Chain;
use super::compile::{Compiler, Meaning, Step};
use super::placement::Bound;
use super::window::Window;
use crate::operators::Keys;

/// Puts rows of two inputs together.
#[derive(Debug)]
pub(crate) struct JoinStep {
    /// What must be equal, for the left and the right side; null is equal to nothing.
    pub(crate) keys: [Arc<Keys>; 2],
    /// What else must be true of a pair.
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) pairing: Pairing,
    /// Whether a row of the side that finds no other is given with nulls.
    pub(crate) keeps: [bool; 2],
    pub(crate) inputs: [SchemaRef; 2],
    pub(crate) schema: SchemaRef,
    /// The columns of both sides, with the names that conditions use.
    pub(crate) pair: SchemaRef,
}

/// Which rows of equal keys find each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pairing {
    /// Those that are near enough, for the left and the right side.
    Near([Reach; 2]),
    /// A row of the left with the newest one of the right at its time.
    AsOf,
}

/// How long a row can find another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// So many microseconds after its own time.
    After(i64),
    /// Until its window ends.
    Window { end: Bound, size_us: i64 },
}

/// How far the time of the right row may lie from that of the left one, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Distance {
    least: Option<i64>,
    most: Option<i64>,
}

/// An expression that is a row's time and an offset to it, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Time {
    side: usize,
    offset_us: i64,
    /// By how much the column that it is computed from may lie behind the row's time.
    behind_us: i64,
}

impl Distance {
    /// What is known when the right time is at least, at most, or both, the left one.
    fn narrow(&mut self, [is_least, is_most]: [bool; 2], left: Time, right: Time) {
        if (left.side, right.side) != (0, 1) {
            return;
        }
        let distance = left.offset_us.saturating_sub(right.offset_us);
        if is_least {
            self.at_least(distance.saturating_sub(left.behind_us));
        }
        if is_most {
            self.at_most(distance.saturating_add(right.behind_us));
        }
    }

    fn at_least(&mut self, distance: i64) {
        self.least = Some(self.least.map_or(distance, |least| least.max(distance)));
    }

    fn at_most(&mut self, distance: i64) {
        self.most = Some(self.most.map_or(distance, |most| most.min(distance)));
    }
}

impl Compiler<'_> {
    pub(super) fn join(&self, join: &Join) -> Result<Chain, PlanError> {
        if let Some(table) = self.table_side(&join.right)? {
            return self.lookup(join, table);
        }
        let keeps = match join.join_type {
            JoinType::Inner => [false, false],
            JoinType::Left => [true, false],
            JoinType::Right => [false, true],
            JoinType::Full => [true, true],
            other => {
                return Err(PlanError::new(format!("{other} joins are not available in pipelines"))
                    .with_hint("INNER, LEFT, RIGHT and FULL JOIN are"));
            }
        };
        let (left, right) = (self.chain(&join.left)?, self.chain(&join.right)?);
        if left.is_versioned {
            return Err(PlanError::new("FOR SYSTEM_TIME AS OF belongs to the right side of a join"));
        }
        for side in [&left, &right] {
            side.check_session()?;
        }
        let schemas = [join.left.schema(), join.right.schema()];
        let inputs = schemas.map(|schema| Arc::new(schema.as_arrow().clone()));
        let mut keys: [Vec<Arc<dyn PhysicalExpr>>; 2] = Default::default();
        for (of_left, of_right) in &join.on {
            if let (Expr::Column(a), Expr::Column(b)) = (of_left, of_right)
                && (a.name.as_str(), b.name.as_str()) == (ID_COLUMN, ID_COLUMN)
            {
                return Err(PlanError::new(
                    "NATURAL JOIN would take `ts`, `_received` and `_id` for keys, which no two rows share",
                )
                .with_hint("JOIN b USING (device), or ON a.device = b.device"));
            }
            keys[0].push(self.expression(of_left, schemas[0])?);
            keys[1].push(self.expression(of_right, schemas[1])?);
        }
        let pair = schemas[0].join(schemas[1])?;
        let condition = join.filter.as_ref().map(|filter| self.expression(filter, &pair)).transpose()?;
        let (pairing, meanings) = match right.is_versioned {
            true if keeps[1] => {
                return Err(PlanError::new(
                    "FOR SYSTEM_TIME AS OF joins each row of the left side to one of the right",
                )
                .with_hint("JOIN or LEFT JOIN"));
            }
            true if keys[0].is_empty() => {
                return Err(PlanError::new("FOR SYSTEM_TIME AS OF needs keys that are equal")
                    .with_hint("JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.device = b.device"));
            }
            true => {
                let others = right.meanings.iter().map(|_| Meaning::Other);
                (
                    Pairing::AsOf,
                    left.meanings.iter().map(|meaning| without_window(*meaning)).chain(others).collect(),
                )
            }
            false => near(join, &left, &right, keeps)?,
        };
        let schema = Arc::new(join.schema.as_arrow().clone());
        // A row that finds no other may be asked for its condition too.
        let pair = pair.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let pair = Arc::new(ArrowSchema::new(pair.collect::<Vec<_>>()));
        let [of_left, of_right] = keys;
        let keys = |exprs, input: &SchemaRef| -> Result<Arc<Keys>, PlanError> {
            Ok(Arc::new(Keys::new(exprs, input).map_err(|error| PlanError::new(error.to_string()))?))
        };
        let keys = [keys(of_left, &inputs[0])?, keys(of_right, &inputs[1])?];
        let step = JoinStep { keys, condition, pairing, keeps, inputs, schema, pair };
        let mut both = left.join(right, Step::Join(Arc::new(step)));
        both.meanings = meanings;
        Ok(both)
    }
}

/// How long rows wait for each other, and what the columns mean behind the join.
fn near(
    join: &Join,
    left: &Chain,
    right: &Chain,
    keeps: [bool; 2],
) -> Result<(Pairing, Vec<Meaning>), PlanError> {
    let sides = [(left, join.left.schema().as_ref()), (right, join.right.schema().as_ref())];
    let mut distance = Distance::default();
    let mut window = None;
    for (of_left, of_right) in &join.on {
        if let (Some(left), Some(right)) = (time_of(of_left, sides), time_of(of_right, sides)) {
            distance.narrow([true, true], left, right);
        }
        window = window.or(same_window(of_left, of_right, sides));
    }
    for condition in join.filter.as_ref().map(split_conjunction).unwrap_or_default() {
        narrow(condition, sides, &mut distance);
    }
    let reach = match (window, distance) {
        (_, Distance { least: Some(least), most: Some(most) }) if least > most => {
            return Err(PlanError::new("no two rows are as far apart as the condition says")
                .with_hint("BETWEEN goes from the earlier time to the later one"));
        }
        (Some(reach), _) => reach,
        (None, Distance { least: Some(least), most: Some(most) }) => {
            [Reach::After(most.max(0)), Reach::After(least.saturating_neg().max(0))]
        }
        _ => {
            return Err(PlanError::new("a join of two streams would have to remember their rows for ever").with_hint(
                "say how far apart the rows may be, b.ts BETWEEN a.ts - INTERVAL '1' MINUTE AND a.ts + INTERVAL '1' MINUTE, \
                 or take the newest row at that time, JOIN b FOR SYSTEM_TIME AS OF a.ts",
            ));
        }
    };
    let is_whole = keeps == [false, false];
    let meanings = sides.iter().zip(reach).enumerate().flat_map(|(at, ((chain, _), reach))| {
        // The rows that the other side keeps have nulls here.
        let nulls = keeps[1 - at];
        let behind = move |behind_us| Meaning::Behind { behind_us, side: is_whole.then_some(at) };
        chain.meanings.iter().map(move |meaning| match (*meaning, reach) {
            (Meaning::EventTime, Reach::After(0)) if !nulls => Meaning::EventTime,
            (Meaning::EventTime, Reach::After(behind_us)) => behind(behind_us),
            (Meaning::EventTime, Reach::Window { size_us, .. }) => behind(size_us),
            _ => Meaning::Other,
        })
    });
    Ok((Pairing::Near(reach), meanings.collect()))
}

fn without_window(meaning: Meaning) -> Meaning {
    if meaning == Meaning::EventTime { meaning } else { Meaning::Other }
}

type Sides<'a> = [(&'a Chain, &'a DFSchema); 2];

fn time_of(expr: &Expr, sides: Sides<'_>) -> Option<Time> {
    match expr {
        Expr::Column(column) => {
            let side = sides.iter().position(|(_, schema)| schema.maybe_index_of_column(column).is_some())?;
            let (chain, schema) = sides[side];
            let meaning = chain.meanings.get(schema.maybe_index_of_column(column)?)?;
            // The time of a row of a window is the window's end.
            let (offset_us, behind_us) = match (meaning, chain.aggregated, chain.window) {
                (Meaning::EventTime, ..) | (Meaning::WindowEnd, true, _) => (0, 0),
                (Meaning::WindowStart, true, Some((Window::Aligned(window), _))) => (-window.size_us, 0),
                (Meaning::Behind { behind_us, .. }, ..) => (0, *behind_us),
                _ => return None,
            };
            Some(Time { side, offset_us, behind_us })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            let (time, length) = match interval_us(right) {
                Some(length) => (left, length),
                None => (right, interval_us(left)?),
            };
            let time = time_of(time, sides)?;
            Some(Time { offset_us: time.offset_us.saturating_add(length), ..time })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            let length = interval_us(right)?;
            let time = time_of(left, sides)?;
            Some(Time { offset_us: time.offset_us.saturating_sub(length), ..time })
        }
        _ => None,
    }
}

fn interval_us(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(value, _) => literal_us(value),
        _ => None,
    }
}

/// A length of time without months, in microseconds.
pub(crate) fn literal_us(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            let days_us = i64::from(interval.days).checked_mul(86_400_000_000)?;
            days_us.checked_add(interval.nanoseconds / 1_000)
        }
        ScalarValue::DurationMicrosecond(length) => *length,
        _ => None,
    }
}

/// What a comparison of two times says about their distance.
fn narrow(condition: &Expr, sides: Sides<'_>, distance: &mut Distance) {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return };
    let (Some(a), Some(b)) = (time_of(left, sides), time_of(right, sides)) else { return };
    // Read with the left row's time first.
    let (op, left, right) = match (a.side, op.swap()) {
        (0, _) => (*op, a, b),
        (_, Some(swapped)) => (swapped, b, a),
        _ => return,
    };
    let bounds = match op {
        Operator::Eq => [true, true],
        Operator::Lt | Operator::LtEq => [true, false],
        Operator::Gt | Operator::GtEq => [false, true],
        _ => return,
    };
    distance.narrow(bounds, left, right);
}

/// Rows that are in the same window, and have not been aggregated.
fn same_window(of_left: &Expr, of_right: &Expr, sides: Sides<'_>) -> Option<[Reach; 2]> {
    let [a, b] = [bound_of(of_left, sides[0])?, bound_of(of_right, sides[1])?];
    let is_same = a.0 == b.0 && a.1 == b.1;
    is_same.then_some([a.2, b.2])
}

/// Which bound of which window a column is.
fn bound_of(expr: &Expr, (chain, schema): (&Chain, &DFSchema)) -> Option<(Meaning, Window, Reach)> {
    let (Expr::Column(column), Some((window @ Window::Aligned(aligned), _)), false) =
        (expr, chain.window, chain.aggregated)
    else {
        return None;
    };
    let index = schema.maybe_index_of_column(column)?;
    let meaning = *chain.meanings.get(index)?;
    if !meaning.is_bound() {
        return None;
    }
    let end = Bound { column: index, is_start: meaning == Meaning::WindowStart };
    Some((meaning, window, Reach::Window { end, size_us: aligned.size_us }))
}
