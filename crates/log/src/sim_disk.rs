//! A disk that is as nasty as disks are allowed to be, for the crash tests of the log and of whoever uses it.
//!
//! Contents and names that were not synced are pending: after a crash any subset of them may be there, and a write may
//! be there in part. A crash or an error can be ordered at any call. Nothing here is random: a test enumerates.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile};

/// What of the last moments before a crash is on the disk after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// Pending operations that happened, by bit, the oldest lowest.
    pub operations: u64,
    /// A write that happened in part, by its number among the pending operations.
    pub torn: Option<(usize, Torn)>,
}

/// The part of a write that happened.
#[derive(Clone, Copy, Debug)]
pub enum Torn {
    /// So many of its first bytes.
    Prefix(usize),
    /// So many of its last bytes.
    Suffix(usize),
    /// Sectors of 512 bytes, by bit.
    Sectors(u64),
}

/// What to do at a certain call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The power goes: this call and all later ones fail.
    Crash,
    /// This call alone fails. A sync that fails forgets what it should have made durable, as Linux does.
    Error(io::ErrorKind),
}

#[derive(Clone, Debug)]
enum Operation {
    Write { inode: u64, position: usize, bytes: Vec<u8> },
    SetLen { inode: u64, bytes: usize },
    Link { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Unlink { path: PathBuf },
}

#[derive(Clone, Debug, Default)]
struct Image {
    names: BTreeMap<PathBuf, u64>,
    contents: HashMap<u64, Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    /// What running programs see.
    seen: Image,
    /// What surely survives.
    durable: Image,
    pending: Vec<Operation>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    crashed: bool,
    locked: bool,
    bytes_max: Option<usize>,
    inodes: u64,
}

/// See the module's description. Clones share the disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// Orders a fault at the call with this number, counted from 0 over the life of the disk.
    pub fn fault_at(&self, call: u64, fault: Fault) {
        self.0.lock().fault = Some((call, fault));
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Limits the room for files; `None` lifts the limit.
    pub fn limit(&self, bytes_max: Option<usize>) {
        self.0.lock().bytes_max = bytes_max;
    }

    /// The lengths of the pending operations: bytes of a write, 0 for the others.
    pub fn pending(&self) -> Vec<usize> {
        let length = |operation: &Operation| match operation {
            Operation::Write { bytes, .. } => bytes.len(),
            _ => 0,
        };
        self.0.lock().pending.iter().map(length).collect()
    }

    /// The disk as it may be found after a crash at this moment.
    pub fn after_crash(&self, keep: Keep) -> SimDisk {
        let state = self.0.lock();
        let mut image = state.durable.clone();
        for (number, operation) in state.pending.iter().enumerate() {
            match keep.torn {
                Some((torn, how)) if torn == number => image.apply_torn(operation, how),
                _ if number < 64 && keep.operations >> number & 1 == 1 => image.apply(operation),
                _ => {}
            }
        }
        let fresh = State { seen: image.clone(), durable: image, inodes: state.inodes, ..State::default() };
        SimDisk(Arc::new(Mutex::new(fresh)))
    }

    /// The contents of a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.lock();
        state.seen.names.get(path).and_then(|inode| state.seen.contents.get(inode)).cloned()
    }

    /// Puts a file there, durably.
    pub fn put(&self, path: &Path, contents: Vec<u8>) {
        let mut state = self.0.lock();
        state.inodes += 1;
        let inode = state.inodes;
        let State { seen, durable, .. } = &mut *state;
        for image in [seen, durable] {
            image.names.insert(path.to_owned(), inode);
            image.contents.insert(inode, contents.clone());
        }
    }

    /// Runs one call: counts it, fails it when that was ordered, otherwise does it.
    fn call<T>(
        &self,
        operations: Vec<Operation>,
        answer: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.0.lock();
        if state.crashed {
            return Err(io::Error::other("the power is off"));
        }
        state.calls += 1;
        match state.fault {
            Some((call, Fault::Crash)) if call + 1 == state.calls => {
                // What was under way may have happened.
                state.pending.extend(operations);
                state.crashed = true;
                Err(io::Error::other("the power goes off"))
            }
            Some((call, Fault::Error(kind))) if call + 1 == state.calls => Err(io::Error::from(kind)),
            _ => {
                if !operations.is_empty() {
                    state.check_room(&operations)?;
                }
                for operation in &operations {
                    state.seen.apply(operation);
                }
                state.pending.extend(operations);
                answer(&mut state)
            }
        }
    }
}

impl Image {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Write { inode, position, bytes } => self.write(*inode, *position, bytes),
            Operation::SetLen { inode, bytes } => self.contents.entry(*inode).or_default().resize(*bytes, 0),
            Operation::Link { path, inode } => {
                self.names.insert(path.clone(), *inode);
                self.contents.entry(*inode).or_default();
            }
            Operation::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            Operation::Unlink { path } => {
                self.names.remove(path);
            }
        }
    }

    fn apply_torn(&mut self, operation: &Operation, how: Torn) {
        let Operation::Write { inode, position, bytes } = operation else { return };
        match how {
            Torn::Prefix(count) => self.write(*inode, *position, &bytes[..count.min(bytes.len())]),
            Torn::Suffix(count) => {
                let skip = bytes.len() - count.min(bytes.len());
                self.write(*inode, position + skip, &bytes[skip..]);
            }
            Torn::Sectors(mask) => {
                // Sectors of the disk, not of the write.
                let sector_of = |at: usize| (position + at) / 512 - position / 512;
                for (at, byte) in bytes.iter().enumerate() {
                    if mask >> sector_of(at).min(63) & 1 == 1 {
                        self.write(*inode, position + at, &[*byte]);
                    }
                }
            }
        }
    }

    fn write(&mut self, inode: u64, position: usize, bytes: &[u8]) {
        let contents = self.contents.entry(inode).or_default();
        let end = position + bytes.len();
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[position..end].copy_from_slice(bytes);
    }

    fn bytes(&self) -> usize {
        self.names.values().filter_map(|inode| self.contents.get(inode)).map(Vec::len).sum()
    }
}

impl State {
    fn check_room(&self, operations: &[Operation]) -> io::Result<()> {
        let Some(bytes_max) = self.bytes_max else { return Ok(()) };
        let mut after = self.seen.clone();
        for operation in operations {
            after.apply(operation);
        }
        if after.bytes() > bytes_max && after.bytes() > self.seen.bytes() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    /// Makes the pending operations that satisfy `is_synced` durable.
    fn sync(&mut self, is_synced: impl Fn(&Operation) -> bool) {
        let (synced, pending) = std::mem::take(&mut self.pending).into_iter().partition(is_synced);
        self.pending = pending;
        let synced: Vec<Operation> = synced;
        for operation in &synced {
            self.durable.apply(operation);
        }
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        self.seen.names.get(path).copied().ok_or(io::Error::from(io::ErrorKind::NotFound))
    }
}

fn is_of(operation: &Operation, file: u64) -> bool {
    match operation {
        Operation::Write { inode, .. } | Operation::SetLen { inode, .. } => *inode == file,
        _ => false,
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        self.call(Vec::new(), |_| Ok(()))
    }

    fn lock(&self, _dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        struct Unlock(SimDisk);
        impl Drop for Unlock {
            fn drop(&mut self) {
                self.0.0.lock().locked = false;
            }
        }
        self.call(Vec::new(), |state| {
            if std::mem::replace(&mut state.locked, true) {
                return Err(io::Error::from(io::ErrorKind::WouldBlock));
            }
            Ok(())
        })?;
        Ok(Box::new(Unlock(self.clone())))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Vec::new(), |state| {
            let inside = state.seen.names.keys().filter(|path| path.parent() == Some(dir));
            Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
        })
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.call(Vec::new(), |state| state.inode(path))?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = {
            let mut state = self.0.lock();
            state.inodes += 1;
            state.inodes
        };
        self.call(vec![Operation::Link { path: path.to_owned(), inode }], |_| Ok(()))?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(vec![Operation::Rename { from: from.to_owned(), to: to.to_owned() }], |_| Ok(()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(vec![Operation::Unlink { path: path.to_owned() }], |_| Ok(()))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.call(Vec::new(), |state| {
            state.sync(|operation| !matches!(operation, Operation::Write { .. } | Operation::SetLen { .. }));
            Ok(())
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.disk.call(Vec::new(), |state| {
            Ok(state.seen.contents.get(&self.inode).map_or(0, |contents| contents.len() as u64))
        })
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.call(Vec::new(), |state| {
            let contents = state.seen.contents.get(&self.inode).map_or(&[][..], Vec::as_slice);
            let left = contents.get(position as usize..).unwrap_or_default();
            let count = left.len().min(buffer.len());
            buffer[..count].copy_from_slice(&left[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let write =
            Operation::Write { inode: self.inode, position: position as usize, bytes: bytes.to_vec() };
        self.disk.call(vec![write], |_| Ok(()))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if self.size()? < bytes { self.set_len(bytes) } else { Ok(()) }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.call(vec![Operation::SetLen { inode: self.inode, bytes: bytes as usize }], |_| Ok(()))
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.disk.call(Vec::new(), |state| {
            state.sync(|operation| is_of(operation, self.inode));
            Ok(())
        });
        if synced.is_err() {
            let mut state = self.disk.0.lock();
            if !state.crashed {
                state.pending.retain(|operation| !is_of(operation, self.inode));
            }
        }
        synced
    }
}
