//! Lines into rows, on this thread or on several.
//!
//! ```text
//!          ┌─▶ decoder 0 ─┐
//! pieces ──┼─▶ decoder 1 ─┼──▶ batches, in the order of their pieces
//!          └─▶ decoder 0 ─┘
//! ```
//! Piece `n` goes to decoder `n % count`, and its rows are taken from there: the order needs no numbers, and what comes out
//! does not depend on how many decoders there are.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use springhouse_schema::{Decoder, Limits, Mode, Origin, Rejection, Schema};

use crate::RunError;

/// Pieces that wait for each decoder: enough that none is idle while the pipelines compute.
const PIECES_WAITING: usize = 2;

/// What has become of a piece of lines.
pub(super) struct Decoded {
    pub(super) batch: RecordBatch,
    pub(super) rejected: Vec<Rejected>,
    pub(super) lines: u64,
}

/// A line that does not fit.
pub(super) struct Rejected {
    /// Counted from the first line of the piece.
    pub(super) index: u64,
    pub(super) line: Vec<u8>,
    pub(super) why: Rejection,
}

/// Pieces of one stream in, their rows out.
pub(super) enum Decoding {
    Here { decoder: Box<Decoder>, decoded: Option<Decoded> },
    Aside { workers: Vec<Worker>, given: u64, taken: u64 },
}

/// A thread that decodes.
pub(super) struct Worker {
    pieces: SyncSender<Vec<u8>>,
    decoded: Receiver<Result<Decoded, ArrowError>>,
}

impl Decoding {
    /// Decodes on `threads` threads of its own, or, if one is all there is, on that which asks.
    pub(super) fn start(schema: &Arc<Schema>, threads: usize) -> std::io::Result<Decoding> {
        if threads <= 1 {
            return Ok(Decoding::Here { decoder: Box::new(decoder(schema)), decoded: None });
        }
        let workers = (0..threads).map(|_| Worker::start(decoder(schema))).collect::<Result<_, _>>()?;
        Ok(Decoding::Aside { workers, given: 0, taken: 0 })
    }

    /// Whether a piece more can be given before one is taken.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Decoding::Here { decoded, .. } => decoded.is_none(),
            Decoding::Aside { workers, given, taken } => {
                given - taken < (workers.len() * PIECES_WAITING) as u64
            }
        }
    }

    /// Gives a piece of whole lines, while there is room.
    pub(super) fn give(&mut self, piece: &[u8]) -> Result<(), RunError> {
        match self {
            Decoding::Here { decoder, decoded } => *decoded = Some(decode(decoder, piece)?),
            Decoding::Aside { workers, given, .. } => {
                let worker = &workers[(*given % workers.len() as u64) as usize];
                worker.pieces.send(piece.to_vec()).map_err(|_| gone())?;
                *given += 1;
            }
        }
        Ok(())
    }

    /// The rows of the oldest piece that was given and not taken; `None` when there is none.
    pub(super) fn take(&mut self) -> Result<Option<Decoded>, RunError> {
        match self {
            Decoding::Here { decoded, .. } => Ok(decoded.take()),
            Decoding::Aside { given, taken, .. } if given == taken => Ok(None),
            Decoding::Aside { workers, taken, .. } => {
                let worker = &workers[(*taken % workers.len() as u64) as usize];
                *taken += 1;
                Ok(Some(worker.decoded.recv().map_err(|_| gone())??))
            }
        }
    }
}

impl Worker {
    /// It ends when nobody gives it pieces any more.
    fn start(mut decoder: Decoder) -> std::io::Result<Worker> {
        let (pieces, given) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (finished, decoded) = sync_channel(PIECES_WAITING);
        thread::Builder::new().name("decode".to_owned()).spawn(move || {
            for piece in given {
                if finished.send(decode(&mut decoder, &piece)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Worker { pieces, decoded })
    }
}

fn decoder(schema: &Arc<Schema>) -> Decoder {
    Decoder::new(Arc::clone(schema), Mode::File, Limits::default())
}

fn decode(decoder: &mut Decoder, piece: &[u8]) -> Result<Decoded, ArrowError> {
    let mut rejected = Vec::new();
    decoder.decode_lines(&Origin::default(), piece, |index, line, why| {
        rejected.push(Rejected { index: index as u64, line: line.to_vec(), why });
    });
    let lines = memchr::memchr_iter(b'\n', piece).count() as u64;
    Ok(Decoded { batch: decoder.finish()?, rejected, lines })
}

fn gone() -> RunError {
    RunError::State { what: "a thread that decodes has ended" }
}
