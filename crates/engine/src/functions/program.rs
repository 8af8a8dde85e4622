//! Components that functions are made of: bytes until somebody needs their code.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use springhouse_wasm::{Component, ComponentError, Digest, Sandbox};

/// A component and where it runs. Compiled once, by the first that needs it; others wait for that.
pub(crate) struct Program {
    digest: Digest,
    /// Until they are compiled.
    bytes: Mutex<Vec<u8>>,
    sandbox: OnceLock<Result<Sandbox, ComponentError>>,
}

/// The components that functions may be made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(HashMap<Digest, Arc<Program>>);

impl Program {
    pub(crate) fn new(digest: Digest, bytes: Vec<u8>) -> Program {
        Program { digest, bytes: Mutex::new(bytes), sandbox: OnceLock::new() }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Compiles, if nobody has. That takes seconds for components of megabytes.
    pub(crate) fn sandbox(&self) -> Result<&Sandbox, ComponentError> {
        let made = self.sandbox.get_or_init(|| {
            let bytes = std::mem::take(&mut *self.bytes.lock());
            Component::compile(&bytes).map(|component| Sandbox::new(Arc::new(component)))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

/// Code is of no use to a reader.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Programs {
    pub(crate) fn get(&self, digest: &Digest) -> Option<&Arc<Program>> {
        self.0.get(digest)
    }

    pub(crate) fn insert(&mut self, program: Arc<Program>) {
        self.0.insert(program.digest, program);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.0.values()
    }
}

impl Extend<Arc<Program>> for Programs {
    fn extend<T: IntoIterator<Item = Arc<Program>>>(&mut self, programs: T) {
        programs.into_iter().for_each(|program| self.insert(program));
    }
}
