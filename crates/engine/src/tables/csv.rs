//! CSV (RFC 4180) with the names of the columns in its first line.
//!
//! Columns are found by name and may stand in any order; those that the table does not declare are passed over. An empty
//! field is null, a quoted empty one an empty text. Fields are separated by commas, or by semicolons when the first line
//! has no comma.

use super::columns::Columns;
use super::{Definition, LoadError};

/// One record: its fields, and the line in which it begins.
#[derive(Debug, PartialEq)]
struct Record {
    line: u64,
    /// The text of a field, and whether it stood in quotes.
    fields: Vec<(String, bool)>,
}

pub(super) fn read(
    definition: &Definition,
    from: &str,
    text: &str,
    columns: &mut Columns<'_>,
) -> Result<(), LoadError> {
    // Spreadsheets write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first_line = text.lines().next().unwrap_or_default();
    let separator = if first_line.contains(';') && !first_line.contains(',') { ';' } else { ',' };
    let mut records = Records { from, rest: text, line: 1, separator };
    let Some(header) = records.next()? else {
        let why = "it is empty; its first line names the columns".to_owned();
        return Err(LoadError::Format { from: from.to_owned(), format: "CSV", why });
    };
    let names: Vec<&str> = header.fields.iter().map(|(name, _)| name.trim()).collect();
    let places = definition.columns.iter().map(|column| {
        let found = names.iter().position(|name| *name == column.name);
        found.ok_or_else(|| LoadError::NoColumn {
            from: from.to_owned(),
            column: column.name.clone(),
            found: names.join(", "),
        })
    });
    let places = places.collect::<Result<Vec<usize>, _>>()?;
    while let Some(Record { line, fields }) = records.next()? {
        if let [(only, false)] = fields.as_slice()
            && only.trim().is_empty()
        {
            continue;
        }
        if fields.len() != names.len() {
            let why = format!("it has {} fields, the first line has {}", fields.len(), names.len());
            return Err(LoadError::Line { from: from.to_owned(), line, why });
        }
        columns.begin_row(line)?;
        for (column, place) in places.iter().enumerate() {
            let (text, is_quoted) = &fields[*place];
            let text = if *is_quoted { text.as_str() } else { text.trim() };
            columns.push_text(column, (*is_quoted || !text.is_empty()).then_some(text))?;
        }
    }
    Ok(())
}

struct Records<'a> {
    from: &'a str,
    rest: &'a str,
    line: u64,
    separator: char,
}

impl Records<'_> {
    fn next(&mut self) -> Result<Option<Record>, LoadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            let is_quoted = self.rest.starts_with('"');
            let text = if is_quoted { self.quoted(line)? } else { self.plain() };
            fields.push((text, is_quoted));
            let mut rest = self.rest.chars();
            match rest.next() {
                Some(separator) if separator == self.separator => self.rest = rest.as_str(),
                Some('\n') => {
                    self.rest = rest.as_str();
                    self.line += 1;
                    break;
                }
                Some('\r') if rest.as_str().starts_with('\n') => {
                    self.rest = &rest.as_str()[1..];
                    self.line += 1;
                    break;
                }
                Some(_) => {
                    let why = "text stands behind a quoted field".to_owned();
                    return Err(LoadError::Line { from: self.from.to_owned(), line, why });
                }
                None => break,
            }
        }
        Ok(Some(Record { line, fields }))
    }

    fn plain(&mut self) -> String {
        let end = self.rest.find([self.separator, '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        let ends_line = !rest.starts_with(self.separator);
        field.strip_suffix('\r').filter(|_| ends_line).unwrap_or(field).to_owned()
    }

    /// A field in quotes, in which a quote is written twice.
    fn quoted(&mut self, line: u64) -> Result<String, LoadError> {
        let mut text = String::new();
        self.rest = &self.rest[1..];
        loop {
            let Some(end) = self.rest.find('"') else {
                let why = "a quote is not closed".to_owned();
                return Err(LoadError::Line { from: self.from.to_owned(), line, why });
            };
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    text.push('"');
                    self.rest = rest;
                }
                None => {
                    self.line += text.matches('\n').count() as u64;
                    return Ok(text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Vec<(u64, Vec<String>)>, LoadError> {
        let mut records = Records { from: "f.csv", rest: text, line: 1, separator: ',' };
        let mut found = Vec::new();
        while let Some(Record { line, fields }) = records.next()? {
            found.push((line, fields.into_iter().map(|(text, _)| text).collect()));
        }
        Ok(found)
    }

    /// Figures 1 to 7 of RFC 4180, section 2.
    #[test]
    fn records_are_read_as_the_standard_says() {
        let check = |text: &str, expected: &[(u64, &[&str])]| {
            let expected: Vec<(u64, Vec<String>)> = expected
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(|field| (*field).to_owned()).collect()))
                .collect();
            assert_eq!(records(text).unwrap(), expected, "{text:?}");
        };
        check("", &[]);
        check("a,b\r\nc,d\r\n", &[(1, &["a", "b"]), (2, &["c", "d"])]);
        check("a,b\nc,d", &[(1, &["a", "b"]), (2, &["c", "d"])]);
        check("a,b\r", &[(1, &["a", "b"])]);
        check("a,\n,b\n", &[(1, &["a", ""]), (2, &["", "b"])]);
        check("\"a\",\"b,c\"\n", &[(1, &["a", "b,c"])]);
        check("\"a\r\nb\",c\r\nd,e", &[(1, &["a\r\nb", "c"]), (3, &["d", "e"])]);
        check("\"a\"\"b\",c", &[(1, &["a\"b", "c"])]);
        check("\"a\",\"\"\r\nb,c", &[(1, &["a", ""]), (2, &["b", "c"])]);
    }

    #[test]
    fn what_is_no_record_is_told_with_its_line() {
        for (text, expected) in [
            ("a\nb,\"c\n", "f.csv, line 2: a quote is not closed"),
            ("a\n\"b\"c\n", "f.csv, line 2: text stands behind a quoted field"),
        ] {
            assert_eq!(records(text).unwrap_err().to_string(), expected);
        }
    }
}
