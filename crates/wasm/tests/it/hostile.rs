//! Components that mean harm: refused, or ended at once, and never more than an error.

use springhouse_wasm::ComponentError;

use crate::{call, component, floats, refused, sandbox};

const F: &str = r#"(func (export "f") (param f64) (result f64) (local.get 0))"#;
const F_TYPE: (&str, &str) = ("f", r#"(param "x" f64) (result f64)"#);

/// Why no instance could be made.
fn no_instance(core: &str) -> String {
    match refused(&component(&format!("{F} {core}"), &[F_TYPE])) {
        ComponentError::NoInstance { why } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_start_that_does_not_end_is_ended() {
    assert!(no_instance("(func $s (loop $again (br $again))) (start $s)").contains("longer than"));
    assert!(no_instance("(func $s (call $s)) (start $s)").contains("too deeply"));
    assert!(no_instance("(func $s unreachable) (start $s)").contains("gave up"));
}

#[test]
fn more_memory_than_there_may_be_is_refused_before_anything_runs() {
    // 65,535 pages are 4 GiB.
    let bytes = wat::parse_str(
        r#"(component
            (core module $m (memory (export "memory") 65535)
                (func (export "f") (param f64) (result f64) (local.get 0)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" f64) (result f64) (canon lift (core func $i "f"))))"#,
    );
    let error = refused(&bytes.unwrap());
    assert!(matches!(&error, ComponentError::NoInstance { why } if why.contains("memory")), "{error}");
}

#[test]
fn tables_have_a_bound() {
    assert!(no_instance("(table 10000000 funcref)").contains("table"));
    let core = format!(
        r#"{F} (table $t 1 funcref)
        (func (export "grow") (param f64) (result f64)
            (drop (table.grow $t (ref.null func) (i32.const 1000000))) (local.get 0))"#
    );
    let sandbox = sandbox(&core, &[F_TYPE, ("grow", F_TYPE.1)]);
    let (_, why) = call(&sandbox, "grow", &[floats(&[Some(1.0)])]).unwrap_err();
    assert!(why.contains("table"), "{why}");
}

#[test]
fn hundreds_of_instances_within_one_are_refused() {
    let mut text =
        "(component (core module $m (func (export \"f\") (param f64) (result f64) (local.get 0)))".to_owned();
    for number in 0..200 {
        text += &format!("(core instance $i{number} (instantiate $m))");
    }
    text += r#"(func (export "f") (param "x" f64) (result f64) (canon lift (core func $i0 "f"))))"#;
    let error = refused(&wat::parse_str(&text).unwrap());
    assert!(matches!(error, ComponentError::NoInstance { .. }), "{error}");
}

#[test]
fn addresses_that_lie_are_errors_of_their_row() {
    // A text outside of the memory, one that is not UTF-8, and a realloc that gives what it does not have.
    let core = r#"
        (data (i32.const 96) "ok \ff")
        (func (export "outside") (param f64) (result i32)
            (i32.store (i32.const 16) (i32.const -16)) (i32.store (i32.const 20) (i32.const 1000)) (i32.const 16))
        (func (export "bytes") (param f64) (result i32)
            (i32.store (i32.const 16) (i32.const 96)) (i32.store (i32.const 20) (i32.const 4)) (i32.const 16))
        (func (export "odd") (param f64) (result i32) (i32.const 17))"#;
    let ty = r#"(param "x" f64) (result string)"#;
    let sandbox = sandbox(core, &[("outside", ty), ("bytes", ty), ("odd", ty)]);
    for (export, expected) in [("outside", "out of bounds"), ("bytes", "utf-8"), ("odd", "align")] {
        let (_, why) = call(&sandbox, export, &[floats(&[Some(1.0)])]).unwrap_err();
        assert!(why.contains(expected), "{export}: {why}");
    }
}

#[test]
fn bytes_at_random_are_refused() {
    use proptest::prelude::*;
    let whole = component(F, &[F_TYPE]);
    proptest!(|(flips in prop::collection::vec((0..whole.len(), any::<u8>()), 1..20))| {
        let mut bytes = whole.clone();
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        // Refused or not: an answer.
        let _ = springhouse_wasm::Component::compile(&bytes);
    });
}
