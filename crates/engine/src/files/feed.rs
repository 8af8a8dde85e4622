//! The streams that a run reads, and which of them is next.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use springhouse_model::StreamName;
use springhouse_schema::Schema;

use super::decoding::{Decoded, Decoding};
use super::input::Lines;
use super::{RunFailure, Source, io};

/// A stream with the files of its rows, which are read one after the other.
pub(super) struct Feed {
    pub(super) name: StreamName,
    schema: Arc<Schema>,
    threads: usize,
    waiting: VecDeque<Source>,
    open: Option<Open>,
    /// The latest row that it has given.
    event_time: i64,
    /// Lines of the files before that were passed over for their length.
    too_long: u64,
}

/// The file that is being read.
struct Open {
    source: Source,
    lines: Lines,
    has_ended: bool,
    decoding: Decoding,
    lines_before: u64,
}

/// Rows of a stream, and the lines between them that do not fit.
pub(super) struct Read {
    pub(super) decoded: Decoded,
    /// The number of the first line in its file.
    pub(super) first_line: u64,
}

impl Feed {
    pub(super) fn new(name: StreamName, schema: Arc<Schema>, threads: usize) -> Feed {
        Feed {
            name,
            schema,
            threads,
            waiting: VecDeque::new(),
            open: None,
            event_time: i64::MIN,
            too_long: 0,
        }
    }

    pub(super) fn add(&mut self, source: Source) {
        self.waiting.push_back(source);
    }

    /// The stream that is behind the others in event time: none of them runs ahead, so that joins keep what is near in time
    /// and not whole files.
    pub(super) fn next_of(feeds: &[Feed]) -> Option<usize> {
        (0..feeds.len()).min_by_key(|at| feeds[*at].event_time)
    }

    /// Lines that were passed over for their length, known at the end.
    pub(super) fn too_long(&self) -> u64 {
        self.too_long
    }

    /// The next rows, `None` at the end of the last file.
    pub(super) fn read(&mut self) -> Result<Option<Read>, RunFailure> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(source) = self.waiting.pop_front() else { return Ok(None) };
                self.open = Some(Open::file(source, &self.schema, self.threads)?);
                continue;
            };
            if let Some(read) = open.read()? {
                let times = read.decoded.batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
                let latest = times.and_then(arrow::compute::max).unwrap_or(i64::MIN);
                self.event_time = self.event_time.max(latest);
                return Ok(Some(read));
            }
            self.too_long += open.lines.too_long();
            self.open = None;
        }
    }
}

impl Open {
    fn file(source: Source, schema: &Arc<Schema>, threads: usize) -> Result<Open, RunFailure> {
        let lines = source.open().map_err(io("open", source.path()))?;
        let decoding = Decoding::start(schema, threads).map_err(io("start threads for", source.path()))?;
        Ok(Open { source, lines, has_ended: false, decoding, lines_before: 0 })
    }

    fn read(&mut self) -> Result<Option<Read>, RunFailure> {
        while !self.has_ended && self.decoding.has_room() {
            match self.lines.next().map_err(io("read", self.source.path()))? {
                Some(piece) => self.decoding.give(piece)?,
                None => self.has_ended = true,
            }
        }
        let Some(decoded) = self.decoding.take()? else { return Ok(None) };
        let first_line = self.lines_before + 1;
        self.lines_before += decoded.lines;
        Ok(Some(Read { decoded, first_line }))
    }
}
