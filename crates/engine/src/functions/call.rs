//! A function of a component where the planner and the evaluator of expressions meet it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use springhouse_schema::arrow_type;
use springhouse_wasm::{Digest, Stopped};

use super::Program;
use crate::bounded::check_deadline;
use crate::statement::CreateFunction;

/// Two are the same when they run the same code.
#[derive(Debug)]
pub(crate) struct ComponentCall {
    name: String,
    export: String,
    program: Arc<Program>,
    signature: Signature,
    returns: DataType,
}

impl ComponentCall {
    pub(super) fn function(statement: &CreateFunction, export: &str, program: &Arc<Program>) -> ScalarUDF {
        let types = statement.parameters.iter().map(|parameter| arrow_type(parameter.ty)).collect();
        ScalarUDF::new_from_impl(ComponentCall {
            name: statement.name.to_string(),
            export: export.to_owned(),
            program: Arc::clone(program),
            // What it gives follows from its arguments.
            signature: Signature::exact(types, Volatility::Immutable),
            returns: arrow_type(statement.returns),
        })
    }

    /// What a function runs, if it is one of a component: whatever its name, that decides what it gives.
    pub(crate) fn identity(function: &ScalarUDF) -> Option<(Digest, &str)> {
        let call = function.inner().downcast_ref::<ComponentCall>()?;
        Some((call.program.digest(), &call.export))
    }
}

impl PartialEq for ComponentCall {
    fn eq(&self, other: &ComponentCall) -> bool {
        (&self.name, &self.export, self.program.digest())
            == (&other.name, &other.export, other.program.digest())
    }
}

impl Eq for ComponentCall {}

impl Hash for ComponentCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.export, self.program.digest()).hash(state);
    }
}

impl ScalarUDFImpl for ComponentCall {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let sandbox =
            self.program.sandbox().map_err(|error| exec_datafusion_err!("{}(): {error}", self.name))?;
        let go_on = || check_deadline(&args.config_options);
        let column = sandbox.call(&self.export, &columns, rows, go_on).map_err(|stopped| match stopped {
            Stopped::Failed(failure) => exec_datafusion_err!("{}(): {}", self.name, failure.why),
            Stopped::Interrupted(error) => error,
        })?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?),
            false => ColumnarValue::Array(column),
        })
    }
}
