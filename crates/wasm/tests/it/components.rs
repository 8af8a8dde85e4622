//! What a component says of itself, and which are refused.

use springhouse_wasm::{COMPONENT_BYTES_MAX, Component, ComponentError, Digest, Scalar};

use crate::{call, component, floats, ints, refused, sandbox};

#[test]
fn exports_are_told_with_their_types() {
    let core = r#"
        (func (export "dew-point") (param f64 f64) (result f64) (f64.const 0))
        (func (export "label") (param i32 i32 i32) (result i32) (i32.const 16))"#;
    let functions = [
        ("dew-point", r#"(param "t" f64) (param "relative-humidity" f64) (result f64)"#),
        ("label", r#"(param "level" (option string)) (result (result (option string) (error string)))"#),
    ];
    let bytes = component(core, &functions);
    let component = Component::compile(&bytes).unwrap();
    let [dew_point, label] = component.exports() else { panic!("{:?}", component.exports()) };
    let parameters: Vec<(&str, Scalar, bool)> = dew_point
        .parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.scalar, parameter.takes_null))
        .collect();
    assert_eq!(dew_point.name, "dew-point");
    assert_eq!(parameters, [("t", Scalar::F64, false), ("relative-humidity", Scalar::F64, false)]);
    assert_eq!((dew_point.gives.may_be_null, dew_point.gives.may_fail), (false, false));
    assert!(label.parameters[0].takes_null);
    assert_eq!(
        (label.gives.scalar, label.gives.may_be_null, label.gives.may_fail),
        (Scalar::Text, true, true)
    );
    assert_ne!(Digest::of(&bytes), Digest::of(b""));
}

#[test]
fn types_that_no_column_has_are_refused_with_the_nearest_that_works() {
    for (ty, told, nearest) in [
        ("u64", "u64", "s64"),
        ("char", "char", "string"),
        ("(list u8)", "list<u8>", "JSON"),
        ("(option (option s8))", "option<option<s8>>", "option<T>"),
        ("(tuple f64 f64)", "tuple<f64, f64>", "each field"),
        ("(result f64 (error string))", "result<f64, string>", "result<T, string>"),
    ] {
        // Parameters that are several values, or stand in memory, come flat: the refusal comes before anybody looks at the core function.
        let flat = match ty {
            "u64" => "i64",
            "char" => "i32",
            "(list u8)" => "i32 i32",
            "(option (option s8))" => "i32 i32 i32",
            "(tuple f64 f64)" => "f64 f64",
            _ => "i32 i64 i32",
        };
        let core = format!(r#"(func (export "f") (param {flat}) (result f64) (f64.const 0))"#);
        let bytes = component(&core, &[("f", &format!(r#"(param "x" {ty}) (result f64)"#))]);
        let error = refused(&bytes).to_string();
        let expected = format!("`f` has a parameter `x` of type `{told}`; hint: the nearest that works is ");
        assert!(error.starts_with(&expected) && error.contains(nearest), "{error}");
    }
    let core = r#"(func (export "f") (param f64) (result i64) (i64.const 0))"#;
    let error = refused(&component(core, &[("f", r#"(param "x" f64) (result u64)"#)])).to_string();
    assert_eq!(error, "`f` has a result of type `u64`; hint: the nearest that works is `s64`, or `u32`");
    let core = r#"(func (export "f") (param f64))"#;
    let error = refused(&component(core, &[("f", r#"(param "x" f64)"#)])).to_string();
    assert!(error.contains("a result of type `nothing`"), "{error}");
    let core = r#"(func (export "f") (param f64) (result i32) (i32.const 16))"#;
    let error = refused(&component(core, &[("f", r#"(param "x" f64) (result (result f64 (error u8)))"#)]))
        .to_string();
    assert!(error.contains("`result<f64, u8>`"), "{error}");
}

#[test]
fn what_is_no_component_is_refused_with_what_it_is() {
    assert_eq!(refused(b""), ComponentError::NotWasm);
    assert_eq!(refused(b"(component)"), ComponentError::NotWasm);
    assert_eq!(refused(&wat::parse_str("(module)").unwrap()), ComponentError::CoreModule);
    let whole = component(
        r#"(func (export "f") (param f64) (result f64) (local.get 0))"#,
        &[("f", r#"(param "x" f64) (result f64)"#)],
    );
    assert!(matches!(refused(&whole[..whole.len() - 3]), ComponentError::Invalid { .. }));
    let mut long = whole;
    long.resize(COMPONENT_BYTES_MAX + 1, 0);
    assert_eq!(refused(&long), ComponentError::TooLarge { bytes: COMPONENT_BYTES_MAX + 1 });
    assert_eq!(
        refused(&wat::parse_str("(component)").unwrap()),
        ComponentError::NoFunction { interfaces: vec![] }
    );
    let inside =
        wat::parse_str(r#"(component (instance $i) (export "weather:station/tools" (instance $i)))"#);
    assert!(refused(&inside.unwrap()).to_string().contains("only the interfaces `weather:station/tools`"));
}

#[test]
fn what_relaxes_the_results_is_refused() {
    let core = r#"(func (export "f") (param f64) (result f64) (local.get 0)
        (drop (f64x2.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0))))"#;
    let error = refused(&component(core, &[("f", r#"(param "x" f64) (result f64)"#)]));
    assert!(matches!(&error, ComponentError::Invalid { why } if why.contains("relaxed SIMD")), "{error}");
}

/// As ordinary toolchains build them: the world is imported, and what does not need it works.
const IMPORTS: &str = r#"(component
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
    (alias export $clock "now" (func $now))
    (core func $lowered (canon lower (func $now)))
    (core module $m
        (import "clock" "now" (func $now (result i64)))
        (func (export "elapsed") (param i64) (result i64) (i64.sub (call $now) (local.get 0)))
        (func (export "same") (param i64) (result i64) (local.get 0)))
    (core instance $i (instantiate $m (with "clock" (instance (export "now" (func $lowered))))))
    (func (export "elapsed") (param "since" s64) (result s64) (canon lift (core func $i "elapsed")))
    (func (export "same") (param "n" s64) (result s64) (canon lift (core func $i "same"))))"#;

#[test]
fn what_is_imported_is_there_and_ends_the_call() {
    let component = Component::compile(&wat::parse_str(IMPORTS).unwrap()).unwrap();
    let sandbox = springhouse_wasm::Sandbox::new(std::sync::Arc::new(component));
    assert_eq!(
        call(&sandbox, "elapsed", &[ints(&[Some(1)])]).unwrap_err(),
        (
            0,
            "it calls `wasi:clocks/monotonic-clock@0.2.0#now`, and a function is given nothing but its arguments"
                .to_owned()
        )
    );
    assert_eq!(&call(&sandbox, "same", &[ints(&[Some(1)])]).unwrap(), &ints(&[Some(1)]));
}

#[test]
fn several_threads_call_one_sandbox() {
    let core = r#"(func (export "twice") (param f64) (result f64) (f64.add (local.get 0) (local.get 0)))"#;
    let sandbox = sandbox(core, &[("twice", r#"(param "x" f64) (result f64)"#)]);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let value = f64::from(thread);
                for _ in 0..100 {
                    let column = call(sandbox, "twice", &[floats(&[Some(value); 50])]).unwrap();
                    assert_eq!(&column, &floats(&[Some(value * 2.0); 50]));
                }
            });
        }
    });
}
