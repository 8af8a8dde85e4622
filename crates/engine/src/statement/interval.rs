//! Lengths of time: `INTERVAL '5' SECOND`, `INTERVAL '90 seconds'`, `INTERVAL '1 hour 30 minutes'`.

use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, ParseError};

/// Reads an interval as microseconds. Months and years have no fixed length and are refused.
pub(super) fn interval(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    cursor.expect_word("INTERVAL")?;
    let at = cursor.mark();
    let (Some(Token::SingleQuotedString(text)) | Some(Token::Number(text, _))) = cursor.peek().cloned()
    else {
        return Err(cursor.expected("a quoted length such as '5'", None));
    };
    cursor.take();
    let text = match text.trim().parse::<f64>() {
        Ok(_) => {
            let Some(unit) = cursor.take_any_word() else {
                return Err(cursor.expected("a unit such as SECOND", None));
            };
            format!("{text} {unit}")
        }
        Err(_) => text,
    };
    parse_length(&text)
        .map_err(|hint| cursor.error_at(at, "a length of time", format!("`{text}`"), Some(hint)))
}

/// `1 hour 30 minutes` in microseconds.
pub(crate) fn parse_length(text: &str) -> Result<i64, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err("write a number and a unit, such as '5 seconds'".to_owned());
    }
    let mut micros = 0_f64;
    for pair in words.chunks(2) {
        let number: f64 = pair[0].parse().map_err(|_| format!("`{}` is not a number", pair[0]))?;
        micros += number * unit_micros(pair[1])? as f64;
    }
    match micros.is_finite() && (0.0..=MICROS_MAX).contains(&micros) {
        true => Ok(micros.round() as i64),
        false => Err("a length lies between zero and 1,000 years".to_owned()),
    }
}

/// A thousand years; beyond it sums with event times could leave the range of a timestamp.
const MICROS_MAX: f64 = 1_000.0 * 366.0 * 86_400.0 * 1e6;

fn unit_micros(unit: &str) -> Result<i64, String> {
    let unit = unit.to_ascii_lowercase();
    Ok(match unit.strip_suffix('s').unwrap_or(&unit) {
        "microsecond" | "u" => 1,
        "millisecond" | "m" if unit != "m" => 1_000,
        "second" | "sec" | "" => 1_000_000,
        "minute" | "min" => 60_000_000,
        "hour" | "h" => 3_600_000_000,
        "day" | "d" => 86_400_000_000,
        "week" => 7 * 86_400_000_000,
        "month" | "year" | "quarter" => {
            return Err(format!("a {unit} has no fixed length; use days or hours"));
        }
        _ => {
            return Err(format!(
                "`{unit}` is not a unit; milliseconds, seconds, minutes, hours, days and weeks are"
            ));
        }
    })
}
