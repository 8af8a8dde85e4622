//! Values of every type, on their way in and out.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use crate::{bools, call, floats, ints, sandbox, texts};

const ADD: &str =
    r#"(func (export "add") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1)))"#;
const ADD_TYPE: (&str, &str) = ("add", r#"(param "a" f64) (param "b" f64) (result f64)"#);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_column_is_what_the_function_gives_row_by_row(
        rows in prop::collection::vec((prop::option::of(any::<f64>()), prop::option::of(any::<f64>())), 1..300),
        cut in 1_usize..300,
    ) {
        let sandbox = sandbox(ADD, &[ADD_TYPE]);
        let (a, b): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let expected: Vec<Option<u64>> = rows
            .iter()
            .map(|(a, b)| Some(a.as_ref()? + b.as_ref()?))
            .map(|sum| sum.map(|sum| if sum.is_nan() { f64::NAN } else { sum }.to_bits()))
            .collect();
        // However the rows are cut into batches.
        let mut found = Vec::new();
        for (a, b) in a.chunks(cut).zip(b.chunks(cut)) {
            let column = call(&sandbox, "add", &[floats(a), floats(b)]).unwrap();
            found.extend(column.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)));
        }
        prop_assert_eq!(found, expected);
    }
}

/// The identity of a whole number of some type, and one that it gives whatever it is given.
fn whole(ty: &str) -> springhouse_wasm::Sandbox {
    let wide = if ty == "s64" { "i64" } else { "i32" };
    let core = format!(
        r#"(func (export "same") (param {wide}) (result {wide}) (local.get 0))
           (func (export "all-bits") (param {wide}) (result {wide}) ({wide}.const -1))"#
    );
    let ty = format!(r#"(param "n" {ty}) (result {ty})"#);
    sandbox(&core, &[("same", &ty), ("all-bits", &ty)])
}

#[test]
fn whole_numbers_have_the_range_of_their_type() {
    for (ty, least, most) in [
        ("s8", -128, 127),
        ("u8", 0, 255),
        ("s16", -32_768, 32_767),
        ("u16", 0, 65_535),
        ("s32", -2_147_483_648, 2_147_483_647),
        ("u32", 0, 4_294_967_295),
        ("s64", i64::MIN, i64::MAX),
    ] {
        let sandbox = whole(ty);
        let column = ints(&[Some(least), None, Some(most), Some(1)]);
        assert_eq!(&call(&sandbox, "same", std::slice::from_ref(&column)).unwrap(), &column, "{ty}");
        for beyond in [least.checked_sub(1), most.checked_add(1)].into_iter().flatten() {
            let refused = call(&sandbox, "same", &[ints(&[Some(0), Some(beyond)])]).unwrap_err();
            assert_eq!(refused, (1, format!("`n` is {beyond}, which is no {ty}")));
        }
    }
    // What comes out is of the type too, whatever bits the core module leaves above.
    for (ty, all_bits) in [("u8", 255), ("s8", -1), ("u16", 65_535), ("u32", 4_294_967_295), ("s64", -1)] {
        let column = call(&whole(ty), "all-bits", &[ints(&[Some(0)])]).unwrap();
        assert_eq!(&column, &ints(&[Some(all_bits)]), "{ty}");
    }
}

#[test]
fn bools_and_narrow_floats_come_and_go() {
    let core = r#"
        (func (export "not") (param i32) (result i32) (i32.eqz (local.get 0)))
        (func (export "narrow") (param f32) (result f32) (local.get 0))"#;
    let sandbox = sandbox(
        core,
        &[("not", r#"(param "b" bool) (result bool)"#), ("narrow", r#"(param "x" f32) (result f32)"#)],
    );
    let flipped = call(&sandbox, "not", &[bools(&[Some(true), None, Some(false)])]).unwrap();
    assert_eq!(&flipped, &bools(&[Some(false), None, Some(true)]));
    // 0.1 in 32 bits is nearest to this double, and 1e300 is beyond them (IEEE 754).
    let narrow = call(&sandbox, "narrow", &[floats(&[Some(0.1), Some(1e300), Some(-2.5)])]).unwrap();
    assert_eq!(&narrow, &floats(&[Some(0.10000000149011612), Some(f64::INFINITY), Some(-2.5)]));
}

/// Gives back the text that it was given, by address and length.
const SAME_TEXT: &str = r#"(func (export "same") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))"#;

#[test]
fn texts_come_and_go_whole() {
    let core = format!(
        r#"{SAME_TEXT}
        (func (export "bytes") (param i32 i32) (result i32) (local.get 1))"#
    );
    let sandbox = sandbox(
        &core,
        &[("same", r#"(param "t" string) (result string)"#), ("bytes", r#"(param "t" string) (result u32)"#)],
    );
    let column = texts(&[Some("grün ☀"), None, Some(""), Some("a\0b")]);
    assert_eq!(&call(&sandbox, "same", std::slice::from_ref(&column)).unwrap(), &column);
    assert_eq!(&call(&sandbox, "bytes", &[column]).unwrap(), &ints(&[Some(9), None, Some(0), Some(3)]));
}

#[test]
fn an_option_is_given_null_and_gives_it() {
    // An option is a 1 or 0 before its value; as a result it stands in memory.
    let core = r#"
        (func (export "or-seven") (param i32 i64) (result i64)
            (select (local.get 1) (i64.const 7) (local.get 0)))
        (func (export "positive") (param i64) (result i32)
            (i32.store8 (i32.const 16) (i64.gt_s (local.get 0) (i64.const 0)))
            (i64.store (i32.const 24) (local.get 0))
            (i32.const 16))"#;
    let sandbox = sandbox(
        core,
        &[
            ("or-seven", r#"(param "n" (option s64)) (result s64)"#),
            ("positive", r#"(param "n" s64) (result (option s64))"#),
        ],
    );
    assert_eq!(&call(&sandbox, "or-seven", &[ints(&[Some(1), None])]).unwrap(), &ints(&[Some(1), Some(7)]));
    let column = ints(&[Some(3), Some(-3), None]);
    assert_eq!(&call(&sandbox, "positive", &[column]).unwrap(), &ints(&[Some(3), None, None]));
}

#[test]
fn an_error_tells_its_row_and_its_text() {
    // Fails for what is above 100, by the text at address 64; of another parameter it fails without a text that is UTF-8.
    let core = r#"
        (data (i32.const 64) "too hot")
        (data (i32.const 96) "\ff\fe")
        (func $fail (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 24) (local.get 0))
            (i32.store (i32.const 28) (local.get 1))
            (i32.const 16))
        (func (export "checked") (param f64) (result i32)
            (if (f64.gt (local.get 0) (f64.const 1000)) (then (return (call $fail (i32.const 96) (i32.const 2)))))
            (if (f64.gt (local.get 0) (f64.const 100)) (then (return (call $fail (i32.const 64) (i32.const 7)))))
            (i32.store8 (i32.const 16) (i32.const 0))
            (f64.store (i32.const 24) (local.get 0))
            (i32.const 16))"#;
    let sandbox = sandbox(core, &[("checked", r#"(param "x" f64) (result (result f64 (error string)))"#)]);
    let good = floats(&[Some(99.0), None, Some(100.0)]);
    assert_eq!(&call(&sandbox, "checked", std::slice::from_ref(&good)).unwrap(), &good);
    let failed = call(&sandbox, "checked", &[floats(&[Some(1.0), Some(101.0), Some(102.0)])]).unwrap_err();
    assert_eq!(failed, (1, "too hot".to_owned()));
    let (row, why) = call(&sandbox, "checked", &[floats(&[Some(1001.0)])]).unwrap_err();
    assert_eq!(row, 0);
    assert!(why.contains("utf-8"), "{why}");
}

#[test]
fn nan_is_one_value() {
    // A NaN whose bits say more, made from numbers, and one that is handed through.
    let core = r#"
        (func (export "odd") (param f64) (result f64) (f64.reinterpret_i64 (i64.const 0xfff8000000abcdef)))
        (func (export "bits") (param f64) (result i64) (i64.reinterpret_f64 (f64.mul (local.get 0) (f64.const 2))))"#;
    let sandbox = sandbox(
        core,
        &[("odd", r#"(param "x" f64) (result f64)"#), ("bits", r#"(param "x" f64) (result s64)"#)],
    );
    let odd = call(&sandbox, "odd", &[floats(&[Some(1.0)])]).unwrap();
    assert_eq!(odd.as_primitive::<Float64Type>().value(0).to_bits(), f64::NAN.to_bits());
    let strange = f64::from_bits(0xfff8_0000_00ab_cdef);
    let bits = call(&sandbox, "bits", &[floats(&[Some(strange), Some(f64::NAN)])]).unwrap();
    // The canonical NaN (WebAssembly core, 4.3.3): the sign is free there, and positive here.
    let canonical = i64::from_ne_bytes(0x7ff8_0000_0000_0000_u64.to_ne_bytes());
    assert_eq!(&bits, &ints(&[Some(canonical); 2]));
}

#[test]
fn a_function_without_parameters_is_called_for_each_row() {
    let sandbox =
        sandbox(r#"(func (export "five") (result f64) (f64.const 5))"#, &[("five", "(result f64)")]);
    let column = sandbox.call("five", &[], 3, || Ok::<(), ()>(())).unwrap();
    assert_eq!(&column, &floats(&[Some(5.0); 3]));
    assert_eq!(call(&sandbox, "six", &[]).unwrap_err().1, "the component does not export it");
    assert_eq!(call(&sandbox, "five", &[floats(&[None])]).unwrap_err().1, "it takes other arguments");
    assert_eq!(sandbox.call("five", &[], 0, || Ok::<(), ()>(())).unwrap().len(), 0);
}
