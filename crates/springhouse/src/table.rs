//! Results for a person: columns that line up. Programs take `--json`.

use std::io::{self, Write};

use serde_json::Value;

/// Widest column; longer text is cut with an ellipsis.
const WIDTH_MAX: usize = 60;

/// Prints rows under their column names; numbers stand to the right.
pub fn print(columns: &[String], rows: &[Vec<Value>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write(&mut out, columns, rows)?;
    out.flush()
}

/// Prints objects with the named keys as columns.
pub fn print_objects(keys: &[&str], objects: &Value) -> io::Result<()> {
    let columns: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let rows: Vec<Vec<Value>> = objects
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|object| keys.iter().map(|key| object.get(*key).cloned().unwrap_or(Value::Null)).collect())
        .collect();
    print(&columns, &rows)
}

/// Prints JSON for programs, indented.
pub fn print_json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")
}

fn write(out: &mut impl Write, columns: &[String], rows: &[Vec<Value>]) -> io::Result<()> {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |index: usize| {
        let longest = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
        longest.unwrap_or(0).max(columns[index].chars().count())
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let is_number = |index: usize| rows.iter().any(|row| row.get(index).is_some_and(Value::is_number));
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (index, cell) in cells.iter().enumerate() {
            let width = widths.get(index).copied().unwrap_or(0);
            let gap = if index == 0 { "" } else { "  " };
            if is_number(index) {
                text.push_str(&format!("{gap}{cell:>width$}"));
            } else {
                text.push_str(&format!("{gap}{cell:<width$}"));
            }
        }
        text.trim_end().to_owned()
    };
    writeln!(out, "{}", line(&columns.iter().map(|column| plain(column)).collect::<Vec<_>>()))?;
    writeln!(out, "{}", widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("  "))?;
    for row in &cells {
        writeln!(out, "{}", line(row))?;
    }
    Ok(())
}

/// Text in one line, without what a terminal would obey: devices choose what stands in it.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            plain(&items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    if text.chars().count() <= WIDTH_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(WIDTH_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut out = Vec::new();
        let rows = [vec![json!("lamp"), json!(5)], vec![json!("dishwasher"), json!(1200.5)]];
        write(&mut out, &["device".into(), "power".into()], &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "device       power\n──────────  ──────\nlamp             5\ndishwasher  1200.5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(cell(&json!("x".repeat(80))).chars().count(), WIDTH_MAX);
    }
}
