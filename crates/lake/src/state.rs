//! Where each row is at this moment: one lock over the tail and the list of files, so that a look at both is a look
//! at one moment. Nothing waits or computes under it.

use std::collections::HashMap;
use std::sync::Arc;

use springhouse_meta::LakeFile;

use crate::tail::{Chunk, StreamTail};

/// The files of one stream. A query that reads a file holds its `Arc`; a removed file whose only holder is the list of
/// removed ones can be deleted.
pub(crate) type Files = Arc<Vec<Arc<LakeFile>>>;

#[derive(Default)]
pub(crate) struct State {
    files: HashMap<u32, Files>,
    tail: HashMap<u32, StreamTail>,
    /// Records before this are in files.
    pub flushed: u64,
    /// Records before this have been read.
    pub next: u64,
    /// Records before this belong to a flush that is under way.
    barrier: u64,
}

/// All rows of one stream at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamView {
    pub files: Files,
    pub chunks: Vec<Arc<Chunk>>,
}

impl State {
    pub fn new(files: Vec<LakeFile>, offset: u64) -> State {
        let mut state = State { flushed: offset, next: offset, barrier: offset, ..State::default() };
        state.set_files(files.into_iter().map(Arc::new));
        state
    }

    fn set_files(&mut self, files: impl Iterator<Item = Arc<LakeFile>>) {
        let mut by_stream: HashMap<u32, Vec<Arc<LakeFile>>> = HashMap::new();
        for file in files {
            by_stream.entry(file.stream_id).or_default().push(file);
        }
        self.files = by_stream.into_iter().map(|(stream, files)| (stream, Arc::new(files))).collect();
    }

    /// Takes over what meta says: these files, and records before `upto` in them. Returns the files that were listed
    /// here only. A file that stays keeps its `Arc`, by which the queries that read it are known.
    pub fn adopt(&mut self, upto: u64, files: Vec<LakeFile>) -> Vec<Arc<LakeFile>> {
        let mut known: HashMap<i64, Arc<LakeFile>> =
            self.all_files().map(|file| (file.id, Arc::clone(file))).collect();
        self.set_files(
            files.into_iter().map(|file| known.remove(&file.id).unwrap_or_else(|| Arc::new(file))),
        );
        self.finish_flush(upto.max(self.flushed));
        known.into_values().collect()
    }

    pub fn view(&self, stream: u32) -> StreamView {
        StreamView {
            files: self.files.get(&stream).cloned().unwrap_or_default(),
            chunks: self.tail.get(&stream).map(|tail| tail.chunks.clone()).unwrap_or_default(),
        }
    }

    /// Adds the rows of a record, unless they are in a file already.
    pub fn push(&mut self, stream: u32, chunk: Chunk) {
        if chunk.first_offset < self.flushed {
            return;
        }
        self.tail.entry(stream).or_default().push(chunk, self.barrier);
    }

    pub fn tail_bytes(&self) -> usize {
        self.tail.values().map(|tail| tail.bytes).sum()
    }

    pub fn tail_rows(&self) -> u64 {
        let chunks = self.tail.values().flat_map(|tail| &tail.chunks);
        chunks.map(|chunk| chunk.batch.num_rows() as u64).sum()
    }

    pub fn streams_with_files(&self) -> Vec<u32> {
        self.files.keys().copied().collect()
    }

    pub fn all_files(&self) -> impl Iterator<Item = &Arc<LakeFile>> {
        self.files.values().flat_map(|files| files.iter())
    }

    /// What a flush has to write, up to the offset that it then commits.
    pub fn begin_flush(&mut self) -> (u64, HashMap<u32, Vec<Arc<Chunk>>>) {
        self.barrier = self.next;
        let taken = self.tail.iter().filter(|(_, tail)| !tail.chunks.is_empty());
        (self.next, taken.map(|(stream, tail)| (*stream, tail.chunks.clone())).collect())
    }

    /// The rows stop being tail; their files are to appear under the same lock.
    pub fn finish_flush(&mut self, upto: u64) {
        self.flushed = upto;
        self.next = self.next.max(upto);
        for tail in self.tail.values_mut() {
            tail.drop_before(upto);
        }
        self.tail.retain(|_, tail| !tail.chunks.is_empty());
    }

    /// Adds files and takes others away, which are returned.
    pub fn replace(&mut self, added: Vec<LakeFile>, removed: &[i64]) -> Vec<Arc<LakeFile>> {
        let mut gone = Vec::new();
        if !removed.is_empty() {
            for files in self.files.values_mut() {
                if files.iter().any(|file| removed.contains(&file.id)) {
                    let (away, stay) = files.iter().cloned().partition(|file| removed.contains(&file.id));
                    gone.extend::<Vec<_>>(away);
                    *files = Arc::new(stay);
                }
            }
            self.files.retain(|_, files| !files.is_empty());
        }
        for file in added {
            Arc::make_mut(self.files.entry(file.stream_id).or_default()).push(Arc::new(file));
        }
        gone
    }

    /// Forgets a dropped stream; returns its files.
    pub fn forget(&mut self, stream: u32) -> Vec<Arc<LakeFile>> {
        self.tail.remove(&stream);
        self.files.remove(&stream).map(|files| files.to_vec()).unwrap_or_default()
    }
}
