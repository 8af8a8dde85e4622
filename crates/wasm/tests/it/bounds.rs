//! Steps, memory and stack of a call, and what an instance keeps.

use std::cell::Cell;

use springhouse_wasm::Stopped;

use crate::{call, floats, ints, sandbox, texts};

const LOOPS: &str = r#"(func (export "until-zero") (param i64) (result i64)
    (loop $again
        (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
        (br_if $again (i64.ne (local.get 0) (i64.const 0))))
    (local.get 0))"#;
const LOOPS_TYPE: (&str, &str) = ("until-zero", r#"(param "n" s64) (result s64)"#);

#[test]
fn a_loop_without_end_is_an_error_of_its_row() {
    let sandbox = sandbox(LOOPS, &[LOOPS_TYPE]);
    let column = ints(&[Some(3), Some(0), Some(5)]);
    let (row, why) = call(&sandbox, "until-zero", &[column]).unwrap_err();
    assert_eq!((row, why.as_str()), (1, "it computes longer than 50000000 steps"));
    // The next call has all its steps again.
    assert_eq!(&call(&sandbox, "until-zero", &[ints(&[Some(1_000_000)])]).unwrap(), &ints(&[Some(0)]));
}

#[test]
fn whether_a_row_takes_too_long_does_not_depend_on_those_before_it() {
    let sandbox = sandbox(LOOPS, &[LOOPS_TYPE]);
    // Each takes about half of what one may.
    let column = ints(&[Some(3_000_000); 12]);
    assert_eq!(&call(&sandbox, "until-zero", &[column]).unwrap(), &ints(&[Some(0); 12]));
}

#[test]
fn who_calls_is_asked_whether_to_go_on() {
    let sandbox = sandbox(LOOPS, &[LOOPS_TYPE]);
    let asked = Cell::new(0);
    let stopped = sandbox.call("until-zero", &[ints(&[Some(2_000_000); 100])], 100, || {
        asked.set(asked.get() + 1);
        if asked.get() < 3 { Ok(()) } else { Err("over") }
    });
    assert!(matches!(stopped, Err(Stopped::Interrupted("over"))), "{stopped:?}");
    assert_eq!(asked.get(), 3);
}

/// Takes pages of 64 KiB and does not give them back; fails by itself where it gets none.
const GROWS: &str = r#"(func (export "grow") (param i64) (result i64)
    (if (i32.eq (memory.grow (i32.wrap_i64 (local.get 0))) (i32.const -1)) (then unreachable))
    (i64.extend_i32_u (memory.size)))"#;
const GROWS_TYPE: (&str, &str) = ("grow", r#"(param "pages" s64) (result s64)"#);

#[test]
fn memory_has_a_bound() {
    let sandbox = sandbox(GROWS, &[GROWS_TYPE]);
    let failed = call(&sandbox, "grow", &[ints(&[Some(1 << 12)])]).unwrap_err();
    assert_eq!(failed, (0, "it needs more than 128 MiB of memory".to_owned()));
    // 128 MiB are 2,048 pages, of which the module has two when it begins.
    assert_eq!(&call(&sandbox, "grow", &[ints(&[Some(2_046)])]).unwrap(), &ints(&[Some(2_048)]));
}

#[test]
fn what_earlier_rows_left_behind_takes_no_value_from_a_row() {
    let sandbox = sandbox(GROWS, &[GROWS_TYPE]);
    // Each takes 32 MiB that it never gives back, so that the fourth finds too little; in an instance of its own it finds enough.
    let column = call(&sandbox, "grow", &[ints(&[Some(512); 9])]).unwrap();
    let pages = [514, 1_026, 1_538].map(Some);
    assert_eq!(&column, &ints(&pages.repeat(3)));
}

#[test]
fn recursion_ends_and_the_thread_lives() {
    let core = r#"(func $deeper (export "deeper") (param i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (return (i64.const 0))))
        (i64.add (call $deeper (i64.sub (local.get 0) (i64.const 1))) (i64.const 1)))"#;
    let sandbox = sandbox(core, &[("deeper", r#"(param "n" s64) (result s64)"#)]);
    assert_eq!(&call(&sandbox, "deeper", &[ints(&[Some(1_000)])]).unwrap(), &ints(&[Some(1_000)]));
    let failed = call(&sandbox, "deeper", &[ints(&[Some(1), Some(-1)])]).unwrap_err();
    assert_eq!(failed, (1, "it calls itself too deeply".to_owned()));
}

#[test]
fn texts_have_a_bound_alone_and_together() {
    // A text of so many bytes of zero.
    let core = r#"(func (export "zeros") (param i32) (result i32)
        (drop (memory.grow (i32.const 32)))
        (i32.store (i32.const 16) (i32.const 65536)) (i32.store (i32.const 20) (local.get 0)) (i32.const 16))"#;
    let sandbox = sandbox(core, &[("zeros", r#"(param "n" u32) (result string)"#)]);
    let long = "\0".repeat(1 << 20);
    assert_eq!(&call(&sandbox, "zeros", &[ints(&[Some(1 << 20)])]).unwrap(), &texts(&[Some(&long)]));
    let (_, why) = call(&sandbox, "zeros", &[ints(&[Some((1 << 20) + 1)])]).unwrap_err();
    assert_eq!(why, "it gives a text of 1048577 bytes, at most 1048576 are allowed");
    let (row, why) = call(&sandbox, "zeros", &[ints(&[Some(1 << 20); 100])]).unwrap_err();
    assert_eq!((row, why.as_str()), (64, "it gives more than 67108864 bytes for some thousand rows"));
}

#[test]
fn traps_are_told_in_a_word() {
    let core = r#"
        (func (export "divide") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
        (func (export "give-up") (param f64) (result f64) unreachable)
        (func (export "far") (param f64) (result f64) (f64.load (i32.const 0x7ffffff0)))"#;
    let one = r#"(param "x" f64) (result f64)"#;
    let sandbox = sandbox(
        core,
        &[("divide", r#"(param "a" s64) (param "b" s64) (result s64)"#), ("give-up", one), ("far", one)],
    );
    let failed =
        call(&sandbox, "divide", &[ints(&[Some(7), Some(1)]), ints(&[Some(2), Some(0)])]).unwrap_err();
    assert_eq!(failed, (1, "integer divide by zero".to_owned()));
    let x = floats(&[Some(1.0)]);
    let (_, why) = call(&sandbox, "give-up", std::slice::from_ref(&x)).unwrap_err();
    assert_eq!(why, "it gave up (`unreachable`, as a panic does)");
    assert_eq!(call(&sandbox, "far", &[x]).unwrap_err().1, "out of bounds memory access");
}
