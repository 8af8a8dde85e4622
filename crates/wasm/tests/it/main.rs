//! Components, written as text, in the sandbox.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod components;
mod hostile;
mod values;

use std::convert::Infallible;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use springhouse_wasm::{Component, ComponentError, Sandbox, Stopped};

/// A component of one core module: what the module holds, and the functions that are lifted out of it, each with its type.
///
/// The module gives texts back by their address and length, at an address of 4 bytes' alignment; `realloc` gives what was never given.
fn component(core: &str, functions: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3))))
                {core})
            (core instance $i (instantiate $m))"#
    );
    for (name, ty) in functions {
        text += &format!(
            r#"(func (export "{name}") {ty} (canon lift (core func $i "{name}")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#
        );
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn sandbox(core: &str, functions: &[(&str, &str)]) -> Sandbox {
    let component = Component::compile(&component(core, functions)).unwrap_or_else(|error| panic!("{error}"));
    Sandbox::new(Arc::new(component))
}

fn refused(bytes: &[u8]) -> ComponentError {
    Component::compile(bytes).map(|_| ()).expect_err("a refusal")
}

/// A call that nobody interrupts: the column, or the first row without a value and why.
fn call(sandbox: &Sandbox, export: &str, columns: &[ArrayRef]) -> Result<ArrayRef, (usize, String)> {
    let rows = columns.first().map_or(1, |column| column.len());
    match sandbox.call(export, columns, rows, || Ok::<(), Infallible>(())) {
        Ok(column) => {
            assert_eq!(column.len(), rows);
            Ok(column)
        }
        Err(Stopped::Failed(failure)) => Err((failure.row, failure.why)),
        Err(Stopped::Interrupted(never)) => match never {},
    }
}

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn bools(values: &[Option<bool>]) -> ArrayRef {
    Arc::new(BooleanArray::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}
