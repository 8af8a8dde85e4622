//! Keys as bytes that are equal when the values are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Float64Type, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::broken::evaluate;
use crate::RunError;

/// Expressions over rows, and how their values become bytes.
#[derive(Debug)]
pub(crate) struct Keys {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
}

/// The keys of a batch.
#[derive(Debug)]
pub(crate) struct KeysOfRows {
    rows: Option<Rows>,
    nulls: Option<NullBuffer>,
}

impl Keys {
    /// An error when values of these types cannot be compared.
    pub(crate) fn new(exprs: Vec<Arc<dyn PhysicalExpr>>, input: &Schema) -> Result<Keys, RunError> {
        let fields = exprs.iter().map(|expr| Ok(SortField::new(expr.data_type(input)?)));
        let converter = RowConverter::new(fields.collect::<Result<_, RunError>>()?)?;
        Ok(Keys { exprs, converter })
    }

    pub(crate) fn exprs(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.exprs
    }

    /// An error of the rows that have no key. Columns always have one.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<(), RunError> {
        let mut computed = self.exprs.iter().filter(|expr| expr.downcast_ref::<Column>().is_none());
        computed.try_for_each(|expr| evaluate(expr, batch).map(drop))
    }

    pub(super) fn of(&self, batch: &RecordBatch) -> Result<KeysOfRows, RunError> {
        if self.exprs.is_empty() {
            return Ok(KeysOfRows { rows: None, nulls: None });
        }
        let mut nulls: Option<NullBuffer> = None;
        let mut columns = Vec::with_capacity(self.exprs.len());
        for expr in &self.exprs {
            let column = evaluate(expr, batch)?;
            nulls = NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref());
            columns.push(without_negative_zero(&column));
        }
        Ok(KeysOfRows { rows: Some(self.converter.convert_columns(&columns)?), nulls })
    }
}

impl KeysOfRows {
    /// Nothing when part of the key is null; the same for all rows when there is no key.
    pub fn of_row(&self, row: usize) -> Option<Box<[u8]>> {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then(|| self.or_null(row).into())
    }

    /// As [`KeysOfRows::of_row`], where it lies.
    pub fn shared(&self, row: usize) -> Option<&[u8]> {
        let is_known = self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        self.rows.as_ref().filter(|_| is_known).map(|rows| rows.row(row).data())
    }

    /// Null is a value like any other.
    pub fn or_null(&self, row: usize) -> &[u8] {
        self.rows.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

/// 0.0 and -0.0 are equal, and one key.
pub(crate) fn without_negative_zero(column: &ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        Some(numbers) => Arc::new(numbers.unary::<_, Float64Type>(|number| number + 0.0)),
        None => Arc::clone(column),
    }
}
