//! The first try against the reader that decides: whatever comes, the same rows and the same refusals.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use springhouse_schema::fuzz;

/// As they stand between quotes.
const KEYS: [&str; 17] = [
    "f",
    "i",
    "b",
    "t",
    "at",
    "ts",
    "device",
    "site",
    "o",
    "o_f",
    "o_o_i",
    "device_",
    "",
    r#"ö\"\\"#,
    r"a\tb",
    r"\u0066",
    "x",
];

/// Values at the edges of what a reader may settle by itself, two blanks between them.
const EDGES: &str = r##"
# Words.
null  true  false  nul  nulll  True  NaN  Infinity  -Infinity  undefined  'ok'
# Integers: the ends of 64 bits and of doubles, zeros, signs.
0  -0  00  01  -01  +1  -  --1  1-  9007199254740991  9007199254740992  9007199254740993  -9007199254740992
-9007199254740993  999999999999999999  1000000000000000000  -999999999999999999  9223372036854775807
9223372036854775808  -9223372036854775808  -9223372036854775809  18446744073709551615  18446744073709551616
123456789012345678901234567890
# Decimals: up to 30 digits, points without digits.
0.0  -0.0  0.1  0.3  -273.15  .5  1.  -.5  1.e1  1.2.3  0.30000000000000004  21.299999237060547  2.0  2.50  -7.000
0.1000000000000000055511151231257827  1.000000000000000000  1.00000000000000000  9007199254740992.0
9007199254740993.0  900719925474099.25  0.9007199254740993  123456789.012345678  00.5  -00.5  0.000000000000000001
0.00000000000000000000001
# Exponents: both ends of the exact powers of ten, overflow, underflow.
1e0  1e1  1E+2  1e-2  1e  1e+  1e-  1e1.5  0e0  0e5  -0e-5  1e22  1e23  -1e22  1e-22  1e-23  9007199254740992e22
9007199254740993e0  1.5e22  123.456e-20  1e18  1e19  1e003  1e0000000001  1e308  1e309  1e400  -1e400  0e400  1e-400
5e-324  2.2250738585072014e-308  1e99999999999
# Texts: escapes, surrogates, ends.
""  "ok"  "1"  "Küche €😀"  "a\nb"  "\u00e4"  "\ud83d\ude00"  "\ud83d"  "\ude00"  "\x"  "\  "open  open"
# Times: leap seconds, offsets, fractions, the ends of the calendar and of belief.
"2026-01-01T12:00:00Z"  "2026-01-01T12:00:00.1Z"  "2026-01-01T12:00:00.12Z"  "2026-01-01T12:00:00.123456789Z"
"2026-01-01T12:00:00.1234567891Z"  "2026-01-01T12:00:00.Z"  "2026-01-01T12:00:60Z"  "2016-12-31T23:59:60Z"
"2016-12-31T23:59:60.5Z"  "2026-01-01T12:00:61Z"  "2026-01-01T24:00:00Z"  "2026-02-29T00:00:00Z"
"2024-02-29T00:00:00Z"  "2026-01-01T13:00:00+01:00"  "2026-01-01T13:00:00-00:00"  "2026-01-01T13:00:00+24:00"
"2026-01-01t12:00:00z"  "2026-01-01 12:00:00Z"  "2026-01-01T12:00:00"  "2026-01-01"  "0000-01-01T00:00:00Z"
"0000-02-29T00:00:00.999999Z"  "9999-12-31T23:59:59.999999999Z"  "1969-12-31T23:59:59.9999999Z"
"1999-12-31T23:59:59.999999Z"  "2000-01-01T00:00:00Z"  "2026-01-02T12:00:00Z"  "2026-01-02T12:00:00.000001Z"
# Epochs in all units and at their bounds.
1767225600  1767225600002  1767225600002003  1767225600.25  1767225600002.5  99999999999  100000000000
99999999999999  100000000000000  946684799  946684800  1767355200  1767355201  4294967295
# Objects and arrays.
{}  []  {"f":1}  {"f":1,"o":{"i":2}}  {"o":{}}  {"o":{"i":1,"i":1}}  {"x":1}  {"x":null}  {"f":1,}  {  }  [1,]  [[[]]]
{"o":{"o":{"o":{"o":{}}}}}  [1,2.50,"x\n",{"k":[ ]}]
"##;

/// The edges, nothing, and texts with control characters and their neighbors.
fn edges() -> Vec<&'static str> {
    let lines = EDGES.lines().filter(|line| !line.starts_with("# "));
    let others = ["", "\"\u{1}\"", "\"\t\"", "\"\u{1f}\"", "\"\u{7f}\"", "\"\u{a0}\""];
    lines.flat_map(|line| line.split("  ")).chain(others).collect()
}

/// Around one object.
const FRAMES: [(&str, &str); 19] = [
    ("", ""),
    ("[", "]"),
    ("[{\"f\":1},", "]"),
    ("[", ",{\"i\":2}]"),
    ("[", ",]"),
    ("[[", "]]"),
    ("[{},{},{},", "]"),
    (" ", " "),
    ("\n", "\n"),
    ("\r\n\t", "\r\n\t"),
    ("\u{c}", ""),
    ("", "\u{c}"),
    ("\u{feff}", ""),
    ("", "x"),
    ("", "{}"),
    ("", "}"),
    ("", "\0"),
    ("[", ""),
    ("", "]"),
];

fn joined(messages: &[String]) -> Vec<u8> {
    messages.join(&fuzz::SEPARATOR.to_string()).into_bytes()
}

#[test]
fn every_edge_value_is_read_alike_under_every_key() {
    for key in KEYS {
        let messages: Vec<String> = edges()
            .iter()
            .flat_map(|value| {
                let alone = format!("{{\"{key}\":{value}}}");
                let between = format!("{{\"f\":1.5,\"{key}\": {value} ,\"ts\":1767225600}}");
                [alone.clone(), alone, between.clone(), between]
            })
            .collect();
        fuzz::decode(&joined(&messages));
        fuzz::decode(messages.join("\n").as_bytes());
    }
}

#[test]
fn a_key_that_comes_twice_is_read_alike() {
    let values = ["null", "1", "1767225600", "true", "\"x\"", "{}", "{\"f\":1}"];
    let mut messages = Vec::new();
    for key in KEYS {
        for (first, second) in values.iter().flat_map(|first| values.map(|second| (first, second))) {
            let other = format!("{{\"{key}\":{first},\"f\":2,\"{key}\":{second},\"ts\":1767225600}}");
            messages.extend([format!("{{\"{key}\":{first},\"{key}\":{second}}}"), other]);
        }
    }
    fuzz::decode(&joined(&messages));
    fuzz::decode(messages.join("\n").as_bytes());
}

#[test]
fn a_key_that_has_to_be_escaped_is_not_taken_without() {
    let messages =
        [r#"{"ö\"\\":1}"#, r#"{"ö"\":1}"#, r#"{"a\tb":1}"#, "{\"a\tb\":1}", r#"{"f":1}"#, r#"{"\u0066":1}"#];
    fuzz::decode(&joined(&messages.map(str::to_owned)));
}

#[test]
fn whatever_stands_around_a_message_is_read_alike() {
    let objects = [
        "{}",
        "{\"f\":1}",
        "{\"f\":1,\"i\":2}",
        "{\"f\":1,\"f\":1}",
        "{\"f\":1 \"i\":2}",
        "{\"f\" 1}",
        "{,}",
        "{\"f\":1,}",
    ];
    let messages: Vec<String> = FRAMES
        .iter()
        .flat_map(|(before, after)| objects.map(|object| format!("{before}{object}{after}")))
        .collect();
    fuzz::decode(&joined(&messages));
    fuzz::decode(messages.join("\n").as_bytes());
}

#[test]
fn every_cut_and_every_changed_byte_of_a_message_is_read_alike() {
    let sound = r#"{"device":"dev-1","ts":1767225600002,"f":20.5,"i":-3,"b":true,"t":"ok","at":"2026-01-01T12:00:00.5Z","o":{"f":1e2}}"#;
    let mut messages = Vec::new();
    for place in 0..sound.len() {
        messages.push(sound.to_owned());
        messages.push(sound[..place].to_owned());
        for other in [
            "", "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "0", "9", "-", ".", "e", "x", "\u{1}",
            "é",
        ] {
            messages.push(format!("{}{other}{}", &sound[..place], &sound[place + 1..]));
        }
    }
    fuzz::decode(&joined(&messages));
}

#[test]
fn the_fuzz_corpora_replay_through_both_readers() {
    let folders = Path::new("../../fuzz/corpus");
    let mut replayed = 0;
    for folder in fs::read_dir(folders).unwrap() {
        for input in fs::read_dir(folder.unwrap().path()).unwrap() {
            fuzz::decode(&fs::read(input.unwrap().path()).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 0, "no inputs in {}", folders.display());
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(edges()).prop_map(str::to_owned),
        2 => any::<f64>().prop_map(|number| format!("{number:?}")),
        2 => (any::<i32>(), 0..6_usize).prop_map(|(number, places)| format!("{:.places$}", f64::from(number) / 1e4)),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (0..u64::MAX, -30..30_i32).prop_map(|(number, power)| format!("{number}e{power}")),
        1 => "[0-9]{1,20}\\.[0-9]{1,20}(e[+-]?[0-9]{1,3})?",
        1 => any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        1 => "\"[ -~]{0,20}\"",
    ]
}

prop_compose! {
    fn object()(
        entries in proptest::collection::vec((proptest::sample::select(&KEYS[..]), value()), 0..5),
        blanks in proptest::sample::select(&["", "", "", " ", "\n", "\t\r\n"][..]),
    ) -> String {
        let entries = entries.iter().map(|(key, value)| format!("\"{key}\":{blanks}{value}{blanks}"));
        format!("{{{blanks}{}}}", entries.collect::<Vec<_>>().join(&format!(",{blanks}")))
    }
}

/// A message, how often it is repeated, and a byte of it that is changed the last time.
fn message() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = (proptest::collection::vec(object(), 1..3), proptest::sample::select(&FRAMES[..]));
    (text, 1..4_usize, proptest::option::of((any::<proptest::sample::Index>(), any::<u8>()))).prop_map(
        |((objects, (before, after)), times, change)| {
            let text = format!("{before}{}{after}", objects.join(",")).into_bytes();
            let mut messages = vec![text.clone(); times];
            if let Some((place, byte)) = change {
                let mut changed = text;
                let place = place.index(changed.len());
                changed[place] = byte;
                messages.push(changed);
            }
            messages
        },
    )
}

proptest! {
    #[test]
    fn random_messages_are_read_alike(messages in proptest::collection::vec(message(), 1..12), by_line in any::<bool>()) {
        let separator = if by_line { b'\n' } else { fuzz::SEPARATOR as u8 };
        fuzz::decode(&messages.concat().join(&separator));
    }

    #[test]
    fn random_bytes_are_read_alike(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::decode(&bytes);
    }
}
