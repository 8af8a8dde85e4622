//! A function that a component exports, as far as rows of scalars can call it.

use std::fmt;

use arrow::datatypes::DataType;
use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

/// A function at the root of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// As the component spells it: `dew-point`.
    pub name: String,
    pub parameters: Vec<Parameter>,
    pub gives: Gives,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub scalar: Scalar,
    /// `option<T>`: it is called with null too. A call with null for any other parameter gives null without being made.
    pub takes_null: bool,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gives {
    pub scalar: Scalar,
    /// `option<T>`
    pub may_be_null: bool,
    /// `result<T, string>`
    pub may_fail: bool,
}

/// A type of which a column can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    F32,
    F64,
    Text,
}

/// A type that no column has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{function}` has {place} of type `{ty}`; hint: the nearest that works is {nearest}")]
pub struct Unsuitable {
    pub function: String,
    /// `a parameter `x`` or `a result`.
    pub place: String,
    pub ty: String,
    pub nearest: &'static str,
}

impl Scalar {
    fn of(ty: &Type) -> Option<Scalar> {
        Some(match ty {
            Type::Bool => Scalar::Bool,
            Type::S8 => Scalar::S8,
            Type::U8 => Scalar::U8,
            Type::S16 => Scalar::S16,
            Type::U16 => Scalar::U16,
            Type::S32 => Scalar::S32,
            Type::U32 => Scalar::U32,
            Type::S64 => Scalar::S64,
            Type::Float32 => Scalar::F32,
            Type::Float64 => Scalar::F64,
            Type::String => Scalar::Text,
            _ => return None,
        })
    }

    /// The type of a column of these.
    pub fn data_type(self) -> DataType {
        match self {
            Scalar::Bool => DataType::Boolean,
            Scalar::F32 | Scalar::F64 => DataType::Float64,
            Scalar::Text => DataType::Utf8,
            _ => DataType::Int64,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar::Bool => "bool",
            Scalar::S8 => "s8",
            Scalar::U8 => "u8",
            Scalar::S16 => "s16",
            Scalar::U16 => "u16",
            Scalar::S32 => "s32",
            Scalar::U32 => "u32",
            Scalar::S64 => "s64",
            Scalar::F32 => "f32",
            Scalar::F64 => "f64",
            Scalar::Text => "string",
        })
    }
}

impl Export {
    pub(crate) fn of(name: &str, function: &ComponentFunc) -> Result<Export, Unsuitable> {
        let unsuitable = |place: String, ty: &Type| {
            let (function, ty, nearest) = (name.to_owned(), written(ty), nearest(ty));
            Unsuitable { function, place, ty, nearest }
        };
        if function.async_() {
            let (function, ty) = (name.to_owned(), "async".to_owned());
            return Err(Unsuitable {
                function,
                place: "a call".to_owned(),
                ty,
                nearest: "a function that is not async",
            });
        }
        let mut parameters = Vec::new();
        for (parameter, ty) in function.params() {
            let (scalar, takes_null) =
                or_null(&ty).ok_or_else(|| unsuitable(format!("a parameter `{parameter}`"), &ty))?;
            parameters.push(Parameter { name: parameter.to_owned(), scalar, takes_null });
        }
        let Some(result) = function.results().next() else {
            let (function, ty) = (name.to_owned(), "nothing".to_owned());
            return Err(Unsuitable { function, place: "a result".to_owned(), ty, nearest: "`-> bool`" });
        };
        let gives = Gives::of(&result).ok_or_else(|| unsuitable("a result".to_owned(), &result))?;
        Ok(Export { name: name.to_owned(), parameters, gives })
    }
}

impl Gives {
    fn of(ty: &Type) -> Option<Gives> {
        let (value, may_fail) = match ty {
            Type::Result(result) if result.err() == Some(Type::String) => (result.ok()?, true),
            other => (other.clone(), false),
        };
        let (scalar, may_be_null) = or_null(&value)?;
        Some(Gives { scalar, may_be_null, may_fail })
    }
}

/// `T` or `option<T>`.
fn or_null(ty: &Type) -> Option<(Scalar, bool)> {
    match ty {
        Type::Option(option) => Some((Scalar::of(&option.ty())?, true)),
        other => Some((Scalar::of(other)?, false)),
    }
}

/// As in WIT; what has a name of its own by its kind.
fn written(ty: &Type) -> String {
    if let Some(scalar) = Scalar::of(ty) {
        return scalar.to_string();
    }
    let or_hole = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| written(&ty));
    match ty {
        Type::U64 => "u64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::List(list) => format!("list<{}>", written(&list.ty())),
        Type::Option(option) => format!("option<{}>", written(&option.ty())),
        Type::Result(result) => format!("result<{}, {}>", or_hole(result.ok()), or_hole(result.err())),
        Type::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types().map(|ty| written(&ty)).collect::<Vec<_>>().join(", "))
        }
        Type::Record(_) => "record".to_owned(),
        Type::Variant(_) => "variant".to_owned(),
        Type::Enum(_) => "enum".to_owned(),
        Type::Flags(_) => "flags".to_owned(),
        Type::Own(_) | Type::Borrow(_) => "resource".to_owned(),
        Type::Future(_) => "future".to_owned(),
        Type::Stream(_) => "stream".to_owned(),
        _ => "a type that is not known here".to_owned(),
    }
}

fn nearest(ty: &Type) -> &'static str {
    match ty {
        Type::U64 => "`s64`, or `u32`",
        Type::Char | Type::Enum(_) => "`string`",
        Type::Flags(_) => "`u32`",
        Type::Option(_) => "`option<T>` with `T` a number, `bool` or `string`",
        Type::Result(_) => "`result<T, string>` with `T` a number, `bool`, `string` or an option of one",
        Type::Tuple(_) | Type::Record(_) | Type::Variant(_) => {
            "a function for each field, or JSON in a `string`"
        }
        Type::List(_) | Type::Map(_) | Type::FixedLengthList(_) => "`string`, which may hold JSON",
        _ => "a number, `bool` or `string`",
    }
}
