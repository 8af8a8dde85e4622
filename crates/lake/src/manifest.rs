//! The list of files, in meta and in memory, and the objects behind it.
//!
//! Meta decides. A change happens there in one transaction and memory follows it; objects are written before and deleted
//! after. An error as the answer of meta does not say that nothing has happened, and to act as if it had not would list
//! rows twice or delete listed objects. So the change is in doubt until meta has said what it holds, and nothing is
//! built on it before.

use std::collections::HashSet;
use std::sync::Arc;

use metrics::gauge;
use springhouse_log::Offset;
use springhouse_meta::LakeFile;

use crate::LakeError;
use crate::keeper::Shared;

/// Name of the lake among the consumers of the log.
pub(crate) const CONSUMER: &str = "lake";

/// Objects of changes whose outcome is not known.
pub(crate) type Doubt = Option<Vec<String>>;

/// Files to be listed and files no longer to be.
#[derive(Default)]
pub(crate) struct Change {
    pub doing: &'static str,
    pub add: Vec<LakeFile>,
    pub remove: Vec<i64>,
    /// Records before this are in files with the change.
    pub upto: Option<u64>,
}

impl Shared {
    /// Makes a change in meta and then in memory. After an error the objects of `add` have been dealt with.
    pub(crate) async fn change(&self, change: Change) -> Result<(), LakeError> {
        let mut doubt = self.changes.lock().await;
        let commit = change.upto.map(|upto| (CONSUMER, upto));
        let outcome = match self.meta.add_files(&change.add, &change.remove, commit).await {
            Ok(outcome) => outcome,
            Err(source) => {
                let objects = change.add.into_iter().map(|file| file.path);
                doubt.get_or_insert_default().extend(objects);
                if let Err(error) = self.resolve(&mut doubt).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "whether the list of files has changed is asked again later"
                    );
                }
                return Err(LakeError::Meta { doing: change.doing, source });
            }
        };
        let gone = {
            let mut state = self.state.lock();
            if let Some(upto) = change.upto {
                state.finish_flush(upto);
            }
            state.replace(outcome.added, &change.remove)
        };
        self.removed.lock().extend(gone);
        if let Some(upto) = change.upto {
            self.made_room(upto);
        }
        self.discard(outcome.without_stream).await;
        self.publish_sizes();
        Ok(())
    }

    /// Makes sure that memory agrees with meta; to be called before work that builds on it.
    pub(crate) async fn settle(&self) -> Result<(), LakeError> {
        let mut doubt = self.changes.lock().await;
        self.resolve(&mut doubt).await
    }

    async fn resolve(&self, doubt: &mut Doubt) -> Result<(), LakeError> {
        let doing = "compare the list of files with meta";
        let offset = self.meta.offset(CONSUMER).await.map_err(LakeError::meta(doing))?;
        let flushed = self.state.lock().flushed;
        let offset = offset.unwrap_or(flushed);
        if doubt.is_none() && offset == flushed {
            return Ok(());
        }
        let files = self.meta.all_files().await.map_err(LakeError::meta(doing))?;
        let listed: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let mut unlisted = doubt.take().unwrap_or_default();
        unlisted.retain(|path| !listed.contains(path.as_str()));
        let gone = self.state.lock().adopt(offset, files);
        self.removed.lock().extend(gone);
        self.made_room(offset);
        self.discard(unlisted).await;
        self.publish_sizes();
        Ok(())
    }

    fn made_room(&self, upto: u64) {
        self.drained.notify_waiters();
        self.log.hold(CONSUMER, Offset(upto));
    }

    /// Deletes the objects of removed files that no query holds.
    pub(crate) async fn reap(&self) {
        let unread = {
            let mut removed = self.removed.lock();
            let mut unread = Vec::new();
            for file in std::mem::take(&mut *removed) {
                match Arc::try_unwrap(file) {
                    Ok(file) => unread.push(file.path),
                    Err(read) => removed.push(read),
                }
            }
            unread
        };
        self.discard(unread).await;
    }

    /// Deletes objects that the manifest does not list: what a crash left between writing and listing. Where objects are
    /// missing that it does list, it may be an old one, and what it does not list may be what has replaced them: then
    /// nothing is deleted.
    pub(crate) async fn remove_orphans(&self) -> Result<(), LakeError> {
        let there: HashSet<String> = self.storage.list().await?.into_iter().collect();
        let listed: HashSet<String> = self.state.lock().all_files().map(|file| file.path.clone()).collect();
        let missing: Vec<&String> = listed.difference(&there).collect();
        gauge!("springhouse_lake_missing_files").set(missing.len() as f64);
        if let Some(path) = missing.first() {
            let count = missing.len();
            tracing::error!(
                count,
                path,
                "objects of the lake are missing: queries over them fail; restore `lake` and `meta.db` from one backup"
            );
            return Ok(());
        }
        let orphans: Vec<String> = there.difference(&listed).cloned().collect();
        if !orphans.is_empty() {
            tracing::info!(orphans = orphans.len(), "removing objects that were written but never listed");
        }
        self.discard(orphans).await;
        Ok(())
    }

    /// Deletes objects that nobody lists; what cannot be deleted is found again at the next start.
    pub(crate) async fn discard(&self, paths: Vec<String>) {
        for path in paths {
            if let Err(error) = self.storage.delete(&path).await {
                tracing::warn!(
                    path,
                    error = &error as &dyn std::error::Error,
                    "an unlisted object stays behind"
                );
            }
        }
    }

    pub(crate) fn publish_sizes(&self) {
        let state = self.state.lock();
        let (files, bytes) =
            state.all_files().fold((0_u32, 0_u64), |(files, bytes), file| (files + 1, bytes + file.bytes));
        gauge!("springhouse_lake_files").set(f64::from(files));
        gauge!("springhouse_lake_bytes").set(bytes as f64);
    }
}
