//! Rows as newline-delimited JSON, without a value in between.

use std::io::{self, Write};

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes rows of batches as objects. Times are RFC 3339 in UTC, missing values null; what JSON has no number for (NaN,
/// infinity) is null too.
pub struct Writer<W: Write> {
    out: W,
    buffer: Vec<u8>,
}

enum Column<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Text(&'a StringArray),
    Time(&'a TimestampMicrosecondArray),
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Writer<W> {
        Writer { out, buffer: Vec::with_capacity(BUFFER_BYTES + 4096) }
    }

    /// Writes the given columns of a batch in the given order.
    pub fn write(&mut self, batch: &RecordBatch, columns: &[usize]) -> io::Result<()> {
        let schema = batch.schema_ref();
        let named: Vec<(Vec<u8>, Column<'_>)> = columns
            .iter()
            .enumerate()
            .filter_map(|(place, index)| {
                let column = Column::of(batch.column(*index).as_ref())?;
                Some((prefix(place, schema.field(*index).name()), column))
            })
            .collect();
        for row in 0..batch.num_rows() {
            if named.is_empty() {
                self.buffer.push(b'{');
            }
            for (prefix, column) in &named {
                self.buffer.extend_from_slice(prefix);
                column.write(row, &mut self.buffer);
            }
            self.buffer.extend_from_slice(b"}\n");
            if self.buffer.len() >= BUFFER_BYTES {
                self.drain()?;
            }
        }
        Ok(())
    }

    /// Writes what is gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.out.flush()
    }

    fn drain(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// `{"name":` or `,"name":`.
fn prefix(place: usize, name: &str) -> Vec<u8> {
    let mut prefix = vec![if place == 0 { b'{' } else { b',' }];
    write_text(name, &mut prefix);
    prefix.push(b':');
    prefix
}

impl<'a> Column<'a> {
    fn of(array: &'a dyn Array) -> Option<Column<'a>> {
        Some(match array.data_type() {
            DataType::Boolean => Column::Bool(array.as_boolean()),
            DataType::Int64 => Column::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>()),
            DataType::Utf8 => Column::Text(array.as_string::<i32>()),
            DataType::Timestamp(..) => Column::Time(array.as_primitive_opt::<TimestampMicrosecondType>()?),
            _ => return None,
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let array: &dyn Array = match self {
            Column::Bool(array) => *array,
            Column::Int(array) => *array,
            Column::Float(array) => *array,
            Column::Text(array) => *array,
            Column::Time(array) => *array,
        };
        if array.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Column::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Column::Int(array) => write_int(array.value(row), out),
            Column::Float(array) => write_float(array.value(row), out),
            Column::Text(array) => write_text(array.value(row), out),
            Column::Time(array) => write_time(array.value(row), out),
        }
    }
}

fn write_int(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest text that reads back as the same number.
fn write_float(value: f64, out: &mut Vec<u8>) {
    // Writing to memory does not fail; NaN and infinity become null.
    let _ = serde_json::to_writer(out, &value);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, text);
    }
}

/// `"2026-01-01T00:00:10Z"`, with a fraction of three or six digits when there is one.
fn write_time(micros: i64, out: &mut Vec<u8>) {
    let (days, within) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return write_text(&springhouse_model::Timestamp(micros).to_string(), out);
    }
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let mut text = *b"\"0000-00-00T00:00:00";
    digits(&mut text[1..5], year);
    digits(&mut text[6..8], month);
    digits(&mut text[9..11], day);
    digits(&mut text[12..14], seconds / 3600);
    digits(&mut text[15..17], seconds / 60 % 60);
    digits(&mut text[18..20], seconds % 60);
    out.extend_from_slice(&text);
    if fraction != 0 {
        let mut text = *b".000000";
        digits(&mut text[1..7], fraction);
        out.extend_from_slice(if fraction % 1_000 == 0 { &text[..4] } else { &text });
    }
    out.extend_from_slice(b"Z\"");
}

fn digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema, TimeUnit};
    use springhouse_model::Timestamp;

    use super::*;

    #[test]
    fn times_are_written_as_the_model_writes_them() {
        let mut micros = -62_000_000_000_000_000_i64;
        while micros < 250_000_000_000_000_000 {
            let mut text = Vec::new();
            write_time(micros, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), format!("\"{}\"", Timestamp(micros)));
            micros += 7_654_321_987_654;
        }
    }

    #[test]
    fn integers_are_written_to_their_limits() {
        for value in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            let mut text = Vec::new();
            write_int(value, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }

    #[test]
    fn rows_are_objects_with_the_chosen_columns_in_order() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("ts", time, false),
            Field::new("a\"b", DataType::Utf8, true),
            Field::new("x", DataType::Float64, true),
            Field::new("on", DataType::Boolean, true),
        ]);
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(vec![0, 1_500_000, 1]).with_timezone("UTC")),
            Arc::new(StringArray::from(vec![Some("tab\t"), None, Some("é")])),
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), None])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.write(&batch, &[1, 2, 3, 0]).unwrap();
        writer.flush().unwrap();
        let expected = r#"{"a\"b":"tab\t","x":0.1,"on":true,"ts":"1970-01-01T00:00:00Z"}
{"a\"b":null,"x":null,"on":false,"ts":"1970-01-01T00:00:01.500Z"}
{"a\"b":"é","x":null,"on":null,"ts":"1970-01-01T00:00:00.000001Z"}
"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
