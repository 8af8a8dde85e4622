//! The first try: messages that look as most messages do, read straight from their bytes.
//!
//! Takes keys in the order of the message before (any other order costs a look-up), texts without escapes and numbers
//! that one rounding settles, and pushes them as the visitors do, through the same [`State`]. Everything else is given
//! up: what was pushed is cut off again, and serde_json reads the message from its beginning. It alone decides what is
//! accepted and how a refusal reads; this reader may only be faster, never of another opinion.

use std::borrow::Cow;

use super::builder::{Misfit, Values};
use super::cursor::{Cursor, Extent, GiveUp};
use super::number::Number;
use super::plan::{ROOT, Target};
use super::state::State;
use super::time;

/// Objects inside objects that are followed here; bounds the stack. Devices nest two or three.
const DEPTH_MAX: u8 = 16;

/// Reads one message and returns its length; of a line, without its break.
#[inline]
pub(super) fn read<'a>(state: &mut State<'a>, text: &'a str, extent: Extent) -> Result<usize, GiveUp> {
    let mut cursor = Cursor::new(text, extent);
    cursor.skip_blanks();
    match cursor.take(b'[') {
        true => read_rows(state, &mut cursor)?,
        false => read_row(state, &mut cursor)?,
    }
    if cursor.is_done() { Ok(cursor.at()) } else { Err(GiveUp) }
}

/// The rows of an array, at least one.
fn read_rows<'a>(state: &mut State<'a>, cursor: &mut Cursor<'a>) -> Result<(), GiveUp> {
    loop {
        cursor.skip_blanks();
        read_row(state, cursor)?;
        cursor.skip_blanks();
        if !cursor.take(b',') {
            return cursor.expect(b']');
        }
    }
}

#[inline]
fn read_row<'a>(state: &mut State<'a>, cursor: &mut Cursor<'a>) -> Result<(), GiveUp> {
    state.begin_row()?;
    read_object(state, cursor, ROOT, 0)?;
    state.end_row()
}

fn read_object<'a>(
    state: &mut State<'a>,
    cursor: &mut Cursor<'a>,
    node: u32,
    depth: u8,
) -> Result<(), GiveUp> {
    cursor.expect(b'{')?;
    cursor.skip_blanks();
    if cursor.take(b'}') {
        return Ok(());
    }
    for place in 0.. {
        let target = read_key(state, cursor, node, place)?;
        cursor.skip_blanks();
        match target {
            Target::Property { column, node } => read_property(state, cursor, column, node, depth)?,
            Target::EventTime => read_event_time(state, cursor)?,
            Target::Device => state.device = read_name(cursor)?.or(state.device.take()),
            Target::Site => state.site = read_name(cursor)?.or(state.site.take()),
            // A property that the schema does not have may only be nothing.
            Target::Unknown => cursor.expect_word("null")?,
        }
        cursor.skip_blanks();
        if !cursor.take(b',') {
            break;
        }
        cursor.skip_blanks();
    }
    cursor.expect(b'}')
}

/// A key and its colon.
#[inline]
fn read_key(
    state: &mut State<'_>,
    cursor: &mut Cursor<'_>,
    node: u32,
    place: usize,
) -> Result<Target, GiveUp> {
    if let Some((target, bytes)) = state.plan.repeated(node, place, cursor.rest()) {
        cursor.advance(bytes);
        return Ok(target);
    }
    let key = cursor.text()?;
    let target = state.plan.target(node, place, key);
    cursor.skip_blanks();
    cursor.expect(b':')?;
    Ok(target)
}

#[inline]
fn read_property<'a>(
    state: &mut State<'a>,
    cursor: &mut Cursor<'a>,
    column: Option<u32>,
    node: Option<u32>,
    depth: u8,
) -> Result<(), GiveUp> {
    match cursor.peek() {
        b'"' => {
            let text = cursor.text()?;
            push(state, column, |values| values.push_text(text))
        }
        b'-' | b'0'..=b'9' => match cursor.number()? {
            Number::Integer(number) => push(state, column, |values| values.push_integer(number)),
            Number::Fraction(number) => push(state, column, |values| values.push_fraction(number)),
        },
        b't' => {
            cursor.expect_word("true")?;
            push(state, column, |values| values.push_bool(true))
        }
        b'f' => {
            cursor.expect_word("false")?;
            push(state, column, |values| values.push_bool(false))
        }
        b'n' => cursor.expect_word("null"),
        b'{' if depth + 1 < state.limits.object_depth_max.min(DEPTH_MAX) => {
            read_object(state, cursor, node.ok_or(GiveUp)?, depth + 1)
        }
        _ => Err(GiveUp),
    }
}

/// Pushes a plain value into its column. Without one, only nested properties are known under the key.
#[inline]
fn push(
    state: &mut State<'_>,
    column: Option<u32>,
    value: impl FnOnce(&mut Values) -> Result<(), Misfit>,
) -> Result<(), GiveUp> {
    let values = state.cell(column.ok_or(GiveUp)?)?;
    value(values).or(Err(GiveUp))
}

#[inline]
fn read_event_time(state: &mut State<'_>, cursor: &mut Cursor<'_>) -> Result<(), GiveUp> {
    let micros = match cursor.peek() {
        b'"' => time::from_text(cursor.text()?).ok_or(GiveUp)?,
        b'n' => return cursor.expect_word("null"),
        _ => match cursor.number()? {
            Number::Integer(number) => time::from_integer(number),
            Number::Fraction(number) => time::from_fraction(number),
        },
    };
    match state.ts.replace(micros) {
        None => Ok(()),
        Some(_) => Err(GiveUp),
    }
}

/// A device or a site. Integers stand for their digits, and JSON writes an integer in one way only.
fn read_name<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, GiveUp> {
    match cursor.peek() {
        b'"' => cursor.text().map(|name| Some(Cow::Borrowed(name))),
        b'n' => cursor.expect_word("null").map(|()| None),
        _ => {
            let begin = cursor.at();
            match cursor.number()? {
                Number::Integer(_) => Ok(Some(Cow::Borrowed(cursor.since(begin)))),
                Number::Fraction(_) => Err(GiveUp),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use springhouse_model::{Timestamp, ValueType};

    use super::*;
    use crate::{Decoder, Field, Limits, Mode, Origin, Schema};

    /// Decodes twice, so that the keys are known, and says whether the second time the first try took it.
    fn is_read_at_first_try(mode: Mode, payload: &str, extent: Extent) -> bool {
        let fields = vec![
            Field::new("f", ValueType::Float),
            Field::new("i", ValueType::Int),
            Field::new("b", ValueType::Bool),
            Field::new("t", ValueType::Text),
            Field::new("at", ValueType::Time),
            Field::new("o_f", ValueType::Float),
            Field::new("o_deep_i", ValueType::Int),
        ];
        let mut decoder = Decoder::new(Arc::new(Schema::new(fields)), mode, Limits::default());
        let origin = Origin { received: Some(Timestamp(1_767_268_800_000_000)), ..Origin::default() };
        decoder.decode(&origin, payload.as_bytes()).unwrap();
        decoder.first_try(&origin, payload, extent).is_some()
    }

    #[test]
    fn what_devices_mostly_send_is_read_at_the_first_try() {
        for payload in [
            "{}",
            r#"{"f":20.417,"i":12,"b":true,"t":"ok","at":1767225600002}"#,
            r#"{"f": -3, "i": -0.0, "b": false, "t": "Küche", "at": "2026-01-01T12:00:00.5Z", "ts": 1767225600}"#,
            r#"{"ts":"2026-01-01T13:00:00+01:00","f":null,"unknown":null,"at":1767225600.25}"#,
            r#"{"o":{"f":1.5e3,"deep":{"i":7}},"o_f":null}"#,
            r#"[{"f":1},{"i":2,"f":1}]"#,
            "[ {\"f\" : 1 } ,\n{ \"i\":2} ]\r\n",
            "{\n  \"f\": 1,\n\t\"i\": 2\n}\n",
        ] {
            assert!(is_read_at_first_try(Mode::Identity, payload, Extent::Text), "{payload}");
        }
        for line in [
            r#"{"device":"dev-00005","site":"site-05","ts":1767225600002,"f":20.417}"#,
            "{\"device\":7,\"site\":null,\"ts\":1767225600002}\r",
        ] {
            assert!(is_read_at_first_try(Mode::File, line, Extent::Line), "{line}");
        }
    }

    #[test]
    fn what_needs_a_second_thought_is_left_to_serde_json() {
        for payload in [
            r#"{"t":"a\nb"}"#,
            r#"{"t":[1,2]}"#,
            r#"{"i":9223372036854775807}"#,
            r#"{"f":0.30000000000000004}"#,
            r#"{"f":-0}"#,
            r#"{"unknown":{}}"#,
            "[]",
        ] {
            assert!(!is_read_at_first_try(Mode::Identity, payload, Extent::Text), "{payload}");
        }
    }
}
