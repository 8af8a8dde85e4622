//! The forms in which rows leave, and which of them a client accepts.

use arrow::array::RecordBatch;
use arrow::csv::{Writer as CsvWriter, WriterBuilder as CsvBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;

use crate::problem::Problem;
use crate::rows::{Rows, json_keys};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Ndjson,
    Csv,
    Arrow,
}

impl Format {
    /// The first form in the client's list that there is; without a list, JSON.
    pub fn accepted(headers: &HeaderMap) -> Result<Format, Problem> {
        let accepts = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut named = accepts.flat_map(|value| value.split(',')).map(|part| {
            let (media, parameters) = part.split_once(';').unwrap_or((part, ""));
            (media.trim().to_ascii_lowercase(), parameters.replace(' ', ""))
        });
        let mut any = false;
        let found = named.find_map(|(media, parameters)| {
            any = true;
            if matches!(parameters.as_str(), "q=0" | "q=0.0") {
                return None;
            }
            match media.as_str() {
                "application/json" | "application/*" | "*/*" => Some(Format::Json),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Format::Ndjson),
                "text/csv" | "text/*" => Some(Format::Csv),
                "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
                _ => None,
            }
        });
        match found {
            Some(format) => Ok(format),
            None if !any => Ok(Format::Json),
            None => Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "no accepted form is available",
            )
            .hint("application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream")),
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Turns batches into bytes, one after the other.
pub(super) enum Encoder {
    Ndjson { keys: Vec<Vec<u8>> },
    Csv { schema: SchemaRef, header_written: bool },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Encoder {
    /// `Format::Json` is not streamed; it is taken as NDJSON here.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Encoder, ArrowError> {
        Ok(match format {
            Format::Json | Format::Ndjson => Encoder::Ndjson { keys: json_keys(schema) },
            Format::Csv => Encoder::Csv { schema: SchemaRef::clone(schema), header_written: false },
            Format::Arrow => Encoder::Arrow(Box::new(StreamWriter::try_new(Vec::new(), schema)?)),
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        match self {
            Encoder::Ndjson { keys } => {
                let rows = Rows::new(batch)?;
                let mut out = Vec::with_capacity(rows.len() * 64);
                for row in 0..rows.len() {
                    rows.write_object(keys, row, &mut out);
                    out.push(b'\n');
                }
                Ok(out.into())
            }
            Encoder::Csv { header_written, .. } => {
                let header = !std::mem::replace(header_written, true);
                write_csv(batch, header)
            }
            Encoder::Arrow(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
        }
    }

    /// What is left to write when there are no more rows.
    pub fn finish(self) -> Result<Bytes, ArrowError> {
        match self {
            Encoder::Ndjson { .. } => Ok(Bytes::new()),
            // An answer without rows still says its columns.
            Encoder::Csv { header_written: true, .. } => Ok(Bytes::new()),
            Encoder::Csv { schema, header_written: false } => {
                write_csv(&RecordBatch::new_empty(schema), true)
            }
            Encoder::Arrow(mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
        }
    }
}

fn write_csv(batch: &RecordBatch, header: bool) -> Result<Bytes, ArrowError> {
    let mut out = Vec::new();
    // RFC 4180; times as everywhere else.
    let time = String::from("%Y-%m-%dT%H:%M:%S%.fZ");
    let mut writer: CsvWriter<&mut Vec<u8>> = CsvBuilder::new()
        .with_header(header)
        .with_timestamp_format(time.clone())
        .with_timestamp_tz_format(time)
        .build(&mut out);
    writer.write(batch)?;
    drop(writer);
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_form_that_exists_is_taken() {
        let accepted = |value: &'static str| {
            Format::accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))])).ok()
        };
        assert_eq!(accepted("text/csv"), Some(Format::Csv));
        assert_eq!(accepted("text/html, application/x-ndjson;q=0.9, */*;q=0.1"), Some(Format::Ndjson));
        assert_eq!(accepted("*/*"), Some(Format::Json));
        assert_eq!(accepted("image/png"), None);
        assert_eq!(Format::accepted(&HeaderMap::new()).ok(), Some(Format::Json));
    }
}
