//! The objects: written whole, durable before they are listed, never changed.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::LakeError;

/// An object store, and the folder behind it when it is one.
#[derive(Clone)]
pub(crate) struct Storage {
    pub store: Arc<dyn ObjectStore>,
    /// `LocalFileSystem` leaves syncing to the system, so that a power cut could empty a file that is listed already.
    folder: Option<PathBuf>,
}

impl Storage {
    pub fn in_folder(folder: &FilePath) -> Result<Storage, LakeError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| LakeError::Io { doing: "create the lake's folder", source })?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(failed("open", &folder.display().to_string()))?
            .with_automatic_cleanup(true);
        remove_staged(folder).map_err(|source| LakeError::Io { doing: "clean the lake's folder", source })?;
        Ok(Storage { store: Arc::new(store), folder: Some(folder.to_owned()) })
    }

    pub fn on(store: Arc<dyn ObjectStore>) -> Storage {
        Storage { store, folder: None }
    }

    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), LakeError> {
        let payload = PutPayload::from_bytes(bytes);
        self.store.put(&Path::from(path), payload).await.map_err(failed("write", path))?;
        self.make_durable(path).await
    }

    /// Brings an object that was written to the disk: the file, and the folders that name it.
    pub async fn make_durable(&self, path: &str) -> Result<(), LakeError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let file = folder.join(path);
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::File::open(&file)?.sync_all()?;
            for ancestor in file.ancestors().skip(1) {
                std::fs::File::open(ancestor)?.sync_all()?;
                if ancestor == folder {
                    break;
                }
            }
            Ok(())
        });
        let doing = "bring an object to the disk";
        match synced.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(LakeError::Io { doing, source }),
            Err(_) => Err(LakeError::Interrupted),
        }
    }

    /// Deletes what is there; an object that is gone already is as good.
    pub async fn delete(&self, path: &str) -> Result<(), LakeError> {
        match self.store.delete(&Path::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed("delete", path)(source)),
        }
    }

    pub async fn list(&self) -> Result<Vec<String>, LakeError> {
        let objects = self.store.list(None).map_ok(|object| object.location.to_string());
        objects.try_collect().await.map_err(failed("list", "the lake"))
    }
}

/// Removes what a crash left of objects that were being written: `LocalFileSystem` writes to `<path>#<number>`, renames
/// at the end, and never lists such files.
fn remove_staged(folder: &FilePath) -> std::io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_staged = name.to_str().and_then(|name| name.rsplit_once(".parquet#")).is_some();
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false if is_staged => std::fs::remove_file(entry.path())?,
                false => {}
            }
        }
    }
    Ok(())
}

fn failed(doing: &'static str, path: &str) -> impl FnOnce(object_store::Error) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Storage { doing, path, source }
}
