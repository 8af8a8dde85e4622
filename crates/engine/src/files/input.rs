//! Lines in big pieces.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Bytes read at once: with lines of about 130 bytes a batch of 8,000 rows, which amortizes what is done per batch and
/// stays within the second-level cache together with its columns.
const PIECE_BYTES: usize = 1 << 20;
/// A line longer than this is no message; it is passed over without being kept.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Stdin,
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;
    /// `-` is standard input.
    fn from_str(text: &str) -> Result<Source, Self::Err> {
        Ok(if text == "-" { Source::Stdin } else { Source::File(PathBuf::from(text)) })
    }
}

impl Source {
    pub(super) fn path(&self) -> &Path {
        match self {
            Source::Stdin => Path::new("standard input"),
            Source::File(path) => path,
        }
    }

    pub(super) fn open(&self) -> io::Result<Lines> {
        let reader: Box<dyn Read> = match self {
            Source::Stdin => Box::new(io::stdin().lock()),
            Source::File(path) => Box::new(File::open(path)?),
        };
        Ok(Lines::new(reader))
    }
}

/// Whole lines of a reader, as many as fit into a piece.
pub(super) struct Lines {
    reader: Box<dyn Read>,
    buffer: Vec<u8>,
    /// The lines that were handed out last; what follows is the beginning of a line.
    handed_out: usize,
    ended: bool,
    /// Whether the beginning of the current line was thrown away, because it is too long.
    skipping: bool,
    too_long: u64,
}

impl Lines {
    fn new(reader: Box<dyn Read>) -> Lines {
        let buffer = Vec::with_capacity(PIECE_BYTES + (64 << 10));
        Lines { reader, buffer, handed_out: 0, ended: false, skipping: false, too_long: 0 }
    }

    /// The next lines, `None` at the end. The last line may lack its end.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.drain(..self.handed_out);
        self.handed_out = 0;
        loop {
            self.fill()?;
            let end = match self.buffer.iter().rposition(|byte| *byte == b'\n') {
                _ if self.ended => self.buffer.len(),
                Some(newline) => newline + 1,
                None if self.buffer.len() > LINE_BYTES_MAX || self.skipping => {
                    self.too_long += u64::from(!self.skipping);
                    self.skipping = true;
                    self.buffer.clear();
                    continue;
                }
                None => continue,
            };
            let start = if std::mem::take(&mut self.skipping) { self.first_line_end(end) } else { 0 };
            self.handed_out = end;
            if start == end && self.ended && self.buffer.len() == end {
                return Ok(None);
            }
            return Ok(Some(&self.buffer[start..end]));
        }
    }

    /// Lines that were passed over for their length.
    pub(super) fn too_long(&self) -> u64 {
        self.too_long
    }

    fn first_line_end(&self, limit: usize) -> usize {
        self.buffer[..limit].iter().position(|byte| *byte == b'\n').map_or(limit, |newline| newline + 1)
    }

    /// Reads one piece more, or what there is before the end.
    fn fill(&mut self) -> io::Result<()> {
        let target = self.buffer.len() + PIECE_BYTES;
        while !self.ended && self.buffer.len() < target {
            let before = self.buffer.len();
            let read = self.reader.by_ref().take((target - before) as u64).read_to_end(&mut self.buffer)?;
            self.ended = read < target - before;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> (String, u64) {
        let mut lines = Lines::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
        let mut read = String::new();
        while let Some(piece) = lines.next().unwrap() {
            read.push_str(std::str::from_utf8(piece).unwrap());
        }
        (read, lines.too_long())
    }

    #[test]
    fn pieces_are_whole_lines_and_lose_nothing() {
        for text in ["", "\n", "a", "a\n", "a\nb", "a\nb\n"] {
            assert_eq!(lines(text), (text.to_owned(), 0));
        }
        let long: String = (0..400_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(lines(&long).0, long);
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_the_next_is_read() {
        let endless = format!("a\n{}\nb\n", "x".repeat(LINE_BYTES_MAX + 3 * PIECE_BYTES));
        assert_eq!(lines(&endless), ("a\nb\n".to_owned(), 1));
    }
}
