//! The lines that could not be read, and rows that an expression has no value for.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use springhouse_ingest::row_as_json;
use springhouse_model::StreamName;
use springhouse_schema::{Reason, Rejection};

use super::{RunFailure, io};
use crate::Broken;

pub(super) struct Quarantine {
    out: BufWriter<File>,
    path: PathBuf,
}

impl Quarantine {
    pub(super) fn create(path: &Path) -> Result<Quarantine, RunFailure> {
        let out = BufWriter::new(File::create(path).map_err(io("create", path))?);
        Ok(Quarantine { out, path: path.to_owned() })
    }

    pub(super) fn write(
        &mut self,
        stream: &StreamName,
        line: u64,
        payload: &[u8],
        why: &Rejection,
    ) -> Result<(), RunFailure> {
        let reason: Reason = why.reason;
        let record = json!({
            "stream": stream.as_str(),
            "line": line,
            "reason": reason.code(),
            "detail": why.to_string(),
            "payload": String::from_utf8_lossy(payload),
        });
        writeln!(self.out, "{record}").map_err(io("write", &self.path))
    }

    pub(super) fn write_row(&mut self, into: Option<&StreamName>, broken: &Broken) -> Result<(), RunFailure> {
        let row = row_as_json(&broken.row, 0);
        let record = json!({
            "stream": into.map(StreamName::as_str),
            "reason": Reason::NotComputed.code(),
            "detail": broken.why,
            "payload": String::from_utf8_lossy(&row),
        });
        writeln!(self.out, "{record}").map_err(io("write", &self.path))
    }

    pub(super) fn flush(&mut self) -> Result<(), RunFailure> {
        self.out.flush().map_err(io("write", &self.path))
    }
}
