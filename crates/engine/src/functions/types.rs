//! The types of parameters and results as the planner reads them in a query.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, ObjectNamePart,
};
use springhouse_model::ValueType;
use springhouse_schema::arrow_type;

/// What a time of streams is called where calls have been written out: `TIMESTAMP` means another precision to the planner.
const TIME: &str = "stream_time";

/// Lets a planner read [`TIME`].
pub fn type_planner() -> Arc<dyn TypePlanner> {
    Arc::new(Types)
}

#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, ty: &DataType) -> Result<Option<FieldRef>> {
        Ok((*ty == sql_type(ValueType::Time))
            .then(|| Arc::new(Field::new("", arrow_type(ValueType::Time), true))))
    }
}

fn sql_type(ty: ValueType) -> DataType {
    match ty {
        ValueType::Bool => DataType::Boolean,
        ValueType::Int => DataType::BigInt(None),
        ValueType::Float => DataType::Double(ExactNumberInfo::None),
        ValueType::Text => DataType::Text,
        ValueType::Time => {
            let name = ObjectNamePart::Identifier(Ident::new(TIME));
            DataType::Custom(ObjectName(vec![name]), Vec::new())
        }
    }
}

/// `CAST(expr AS type)`.
pub(super) fn cast(expr: Expr, ty: ValueType) -> Expr {
    let expr = Box::new(expr);
    Expr::Cast { kind: CastKind::Cast, expr, data_type: sql_type(ty), array: false, format: None }
}

/// As a person writes it.
pub fn type_name(ty: ValueType) -> &'static str {
    match ty {
        ValueType::Bool => "BOOLEAN",
        ValueType::Int => "BIGINT",
        ValueType::Float => "DOUBLE",
        ValueType::Text => "TEXT",
        ValueType::Time => "TIMESTAMP",
    }
}
