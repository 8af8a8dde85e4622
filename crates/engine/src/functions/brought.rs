//! The functions that a component brings: each export as the statement that makes it a function of SQL.

use std::sync::Arc;

use springhouse_model::ValueType;
use springhouse_wasm::{Component, Digest, Export, Scalar};

use super::Program;
use super::types::type_name;
use crate::PlanError;
use crate::statement::{self, CreateFunction, Statement};

/// Bytes that are a component, and the statements that make its exports functions.
#[derive(Debug)]
pub struct Brought {
    pub(crate) program: Arc<Program>,
    pub(crate) functions: Vec<CreateFunction>,
}

impl Brought {
    /// Compiles, which may take seconds.
    pub fn read(bytes: &[u8]) -> Result<Brought, PlanError> {
        let digest = Digest::of(bytes);
        let program = Arc::new(Program::new(digest, bytes.to_vec()));
        let sandbox = program.sandbox().map_err(refused)?;
        let exports = sandbox.component().exports().iter();
        let functions = exports.map(|export| declared(export, digest)).collect::<Result<_, PlanError>>()?;
        Ok(Brought { program, functions })
    }
}

/// What a component says against itself, as a refusal of a statement.
fn refused(error: springhouse_wasm::ComponentError) -> PlanError {
    let text = error.to_string();
    match text.split_once("; hint: ") {
        Some((message, hint)) => PlanError::new(message).with_hint(hint),
        None => PlanError::new(text),
    }
}

/// `dew-point: func(t: f64, rh: f64) -> f64` becomes `CREATE FUNCTION dew_point(t DOUBLE, rh DOUBLE) RETURNS DOUBLE …`.
fn declared(export: &Export, digest: Digest) -> Result<CreateFunction, PlanError> {
    let parameters: Vec<String> = export
        .parameters
        .iter()
        .map(|parameter| format!("{} {}", word(&parameter.name), type_name(value_type(parameter.scalar))))
        .collect();
    let text = format!(
        "CREATE FUNCTION {}({}) RETURNS {} LANGUAGE wasm AS '{digest}', '{}'",
        word(&export.name),
        parameters.join(", "),
        type_name(value_type(export.gives.scalar)),
        export.name
    );
    let refused = |error: PlanError| PlanError {
        at: None,
        message: format!("the export `{}` is no function of SQL: {}", export.name, error.message),
        ..error
    };
    match statement::parse_one(&text).map_err(PlanError::from).map_err(refused)? {
        // Who brings a component again means the functions that it has now.
        Statement::CreateFunction(function) => Ok(CreateFunction { or_replace: true, ..function }),
        other => Err(refused(PlanError::new(format!("{} makes none", other.verb())))),
    }
}

/// Words of WIT are joined by dashes, and some may be in capitals.
fn word(name: &str) -> String {
    name.replace('-', "_").to_ascii_lowercase()
}

pub(super) fn value_type(scalar: Scalar) -> ValueType {
    match scalar {
        Scalar::Bool => ValueType::Bool,
        Scalar::F32 | Scalar::F64 => ValueType::Float,
        Scalar::Text => ValueType::Text,
        _ => ValueType::Int,
    }
}

/// Refuses a statement that says something else about an export than its component. Compiles the component, if nobody has.
pub(crate) fn check_export(
    function: &CreateFunction,
    export: &str,
    program: &Program,
) -> Result<(), PlanError> {
    let sandbox = program.sandbox().map_err(refused)?;
    let component: &Component = sandbox.component();
    let Some(found) = component.export(export) else {
        let names: Vec<String> =
            component.exports().iter().map(|export| format!("`{}`", export.name)).collect();
        let message = format!("the component does not export `{export}`");
        return Err(PlanError::new(message).with_hint(format!("it exports {}", names.join(", "))));
    };
    let given: Vec<ValueType> = function.parameters.iter().map(|parameter| parameter.ty).collect();
    let wanted: Vec<ValueType> =
        found.parameters.iter().map(|parameter| value_type(parameter.scalar)).collect();
    match (given, function.returns) == (wanted.clone(), value_type(found.gives.scalar)) {
        true => Ok(()),
        false => {
            let wanted: Vec<&str> = wanted.into_iter().map(type_name).collect();
            let returns = type_name(value_type(found.gives.scalar));
            let message = format!("the export `{export}` has other types than `{}`", function.name);
            Err(PlanError::new(message).with_hint(format!("({}) RETURNS {returns}", wanted.join(", "))))
        }
    }
}
