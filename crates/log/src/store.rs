//! The segment files of a log as the writer thread handles them: putting one to use, emptying it, using it again.
//!
//! ```text
//! create or take a free file → allocate → header → sync → rename to its base → sync directory → groups
//!                    ↑                                                                            ↓
//!                free-<n>.log  ←  rename, sync directory  ←  retention, when nobody reads it any more
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use springhouse_model::Timestamp;

use crate::disk::is_full;
use crate::segment::{Counts, FileName, Segment, SegmentHeader};
use crate::{Disk, DiskFile, LogError};

/// Emptied segments and where new ones go.
pub(crate) struct Store {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub segment_bytes: u64,
    pub free_max: usize,
    /// Numbers of the emptied segments.
    pub free: Vec<u64>,
}

impl Store {
    /// Puts a segment to use that has room for a group of `group_bytes`. [`LogError::Full`] leaves everything as it
    /// was; any other error leaves the directory in a state that only a restart can tell.
    pub(crate) fn start_segment(
        &mut self,
        base: u64,
        previous: Option<u64>,
        created_at: Timestamp,
        before: &Counts,
        group_bytes: u64,
    ) -> Result<Segment, LogError> {
        let salt = getrandom::u64().map_err(|error| {
            LogError::io("draw a salt for", &self.dir)(std::io::Error::other(error.to_string()))
        })?;
        let header = SegmentHeader { salt, base, previous, created_at, before: before.clone() };
        let bytes = header.encode();
        let start = bytes.len() as u64;
        let file_bytes = self.segment_bytes.max(start + group_bytes);
        let recycled = self.free.pop();
        let number = recycled.unwrap_or(base);
        let draft = FileName::Free(number).path_in(&self.dir);
        let file = match self.prepare(&draft, recycled.is_some(), &bytes, file_bytes) {
            Ok(file) => file,
            Err(error) => {
                // Best effort: what cannot be removed is found as a free segment by the next start.
                let _ = self.disk.remove(&draft);
                return Err(self.full_or(error, "prepare", &draft));
            }
        };
        let path = FileName::Segment(base).path_in(&self.dir);
        self.disk.rename(&draft, &path).map_err(LogError::io("name", &path))?;
        self.sync_dir()?;
        Ok(Segment::new(path, file, &header, start, file_bytes))
    }

    fn prepare(
        &self,
        draft: &Path,
        recycled: bool,
        header: &[u8],
        file_bytes: u64,
    ) -> std::io::Result<Arc<dyn DiskFile>> {
        let file = if recycled { self.disk.open(draft)? } else { self.disk.create(draft)? };
        if file.size()? != file_bytes {
            file.set_len(0)?;
            file.allocate(file_bytes)?;
        }
        file.write_at(header, 0)?;
        file.sync()?;
        Ok(file)
    }

    /// Takes a segment out of use that is in no list any more.
    pub(crate) fn retire(&mut self, segment: Arc<Segment>) -> Result<(), LogError> {
        let path = segment.path.clone();
        // A reader may still be in the file: it keeps what it reads only if the file is not written again.
        let can_recycle = self.free.len() < self.free_max
            && segment.file_bytes == self.segment_bytes
            && Arc::into_inner(segment).is_some();
        if can_recycle {
            let number = FileName::parse(&path.file_name().unwrap_or_default().to_string_lossy());
            let Some(FileName::Segment(base)) = number else { return Ok(()) };
            let free = FileName::Free(base).path_in(&self.dir);
            self.disk.rename(&path, &free).map_err(LogError::io("retire", &path))?;
            self.free.push(base);
        } else {
            self.disk.remove(&path).map_err(LogError::io("remove", &path))?;
        }
        // Each removal is durable before the next, so that a crash never leaves a hole among the segments.
        self.sync_dir()
    }

    /// Removes emptied segments that are more than wanted.
    pub(crate) fn drop_surplus(&mut self) -> Result<(), LogError> {
        while self.free.len() > self.free_max {
            if let Some(number) = self.free.pop() {
                let path = FileName::Free(number).path_in(&self.dir);
                self.disk.remove(&path).map_err(LogError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn full_or(&self, error: std::io::Error, doing: &'static str, path: &Path) -> LogError {
        if is_full(&error) {
            LogError::Full { path: self.dir.clone() }
        } else {
            LogError::io(doing, path)(error)
        }
    }

    fn sync_dir(&self) -> Result<(), LogError> {
        self.disk.sync_dir(&self.dir).map_err(LogError::io("sync", &self.dir))
    }
}
