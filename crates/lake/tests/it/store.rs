//! An object store in memory that can fail, or let a writer wait.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

/// What happens to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    Succeed,
    /// Until the store is told otherwise.
    Wait,
    /// The object is there, but the answer waits until the store is told otherwise.
    Stall,
    /// As on a full disk, after this many more that succeed.
    FailAfter(usize),
}

#[derive(Debug)]
pub struct Store {
    objects: InMemory,
    writes: watch::Sender<Writes>,
    waiting: watch::Sender<usize>,
    since_change: AtomicUsize,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            objects: InMemory::new(),
            writes: watch::Sender::new(Writes::Succeed),
            waiting: watch::Sender::new(0),
            since_change: AtomicUsize::new(0),
        }
    }
}

impl Store {
    pub fn set(&self, writes: Writes) {
        self.since_change.store(0, Ordering::SeqCst);
        self.writes.send_replace(writes);
    }

    /// Returns when a write is waiting.
    pub async fn writing(&self) {
        self.waiting.subscribe().wait_for(|count| *count > 0).await.unwrap();
    }

    pub async fn paths(&self) -> Vec<String> {
        let objects = self.objects.list(None).map(|object| object.unwrap().location.to_string());
        let mut paths: Vec<String> = objects.collect().await;
        paths.sort();
        paths
    }

    /// Waits until the writes are not as `state` says.
    async fn wait_while(&self, state: Writes) {
        self.waiting.send_modify(|count| *count += 1);
        self.writes.subscribe().wait_for(|writes| *writes != state).await.unwrap();
        self.waiting.send_modify(|count| *count -= 1);
    }

    async fn admit(&self) -> Result<()> {
        let writes = *self.writes.borrow();
        match writes {
            Writes::Wait => self.wait_while(Writes::Wait).await,
            Writes::FailAfter(count) if self.since_change.fetch_add(1, Ordering::SeqCst) >= count => {
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(Error::Generic { store: "test", source: source.into() });
            }
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("test store")
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.admit().await?;
        let written = self.objects.put_opts(location, payload, options).await;
        let writes = *self.writes.borrow();
        if writes == Writes::Stall {
            self.wait_while(Writes::Stall).await;
        }
        written
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.admit().await?;
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
