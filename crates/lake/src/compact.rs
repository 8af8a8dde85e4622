//! Merging: many small files of a stream and day become few large ones, in the same order of rows.
//!
//! Files have levels. When enough of one level lie in a day's folder they are merged into the next level, so that a
//! row is rewritten about once per level. A day that has come to rest is merged into as few files as its size allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::AsyncArrowWriter;
use springhouse_meta::{LakeFile, StreamEntry};

use crate::LakeError;
use crate::flush::{Place, day_of, entry, fresh_path};
use crate::keeper::Shared;
use crate::manifest::Change;
use crate::parquet_file::{Summary, properties};
use crate::query::{device_time_order, files_plan};
use crate::sorted::lake_schema;

/// A day is at rest when no file has come for this long and it is over.
const REST_US: i64 = 2 * 3_600_000_000;
/// Each file of a merge is open, with a batch of it in memory.
const MERGE_FILES_MAX: usize = 64;
const DOING: &str = "merge lake files";

impl Shared {
    pub(crate) async fn merge_where_due(&self) -> Result<(), LakeError> {
        for stream in self.catalog.all() {
            while let Some(files) = self.next_merge(&stream) {
                self.merge(&stream, files).await?;
            }
        }
        Ok(())
    }

    /// Merges each day of every stream, whatever the levels; for a person who asks, and for tests.
    pub(crate) async fn merge_all(&self) -> Result<(), LakeError> {
        self.settle().await?;
        for stream in self.catalog.all() {
            for files in self.days(&stream).into_values().filter(|files| files.len() > 1) {
                self.merge(&stream, files).await?;
            }
        }
        Ok(())
    }

    fn days(&self, stream: &StreamEntry) -> BTreeMap<String, Vec<Arc<LakeFile>>> {
        let mut days: BTreeMap<String, Vec<Arc<LakeFile>>> = BTreeMap::new();
        for file in self.state.lock().view(stream.id).files.iter() {
            days.entry(day_of(&file.path).to_owned()).or_default().push(Arc::clone(file));
        }
        days
    }

    fn next_merge(&self, stream: &StreamEntry) -> Option<Vec<Arc<LakeFile>>> {
        let now = self.clock.now();
        let small = |file: &Arc<LakeFile>| file.bytes < self.options.file_bytes / 2;
        for files in self.days(stream).into_values() {
            let files: Vec<_> = files.into_iter().filter(small).collect();
            let mut levels: BTreeMap<u8, Vec<Arc<LakeFile>>> = BTreeMap::new();
            for file in &files {
                levels.entry(file.level).or_default().push(Arc::clone(file));
            }
            let full = levels.into_values().find(|level| level.len() >= self.options.merge_files);
            if let Some(mut full) = full {
                full.truncate(MERGE_FILES_MAX);
                return Some(full);
            }
            let rested = files.iter().all(|file| {
                file.max_ts.plus_micros(REST_US) < now && file.created_at.plus_micros(REST_US) < now
            });
            if files.len() > 1 && rested {
                return Some(files.into_iter().take(MERGE_FILES_MAX).collect());
            }
        }
        None
    }

    /// Replaces `files`, all of one stream and day, by merged ones.
    async fn merge(&self, stream: &StreamEntry, mut files: Vec<Arc<LakeFile>>) -> Result<(), LakeError> {
        files.sort_by_key(|file| file.first_offset);
        let job = self.merge_job(stream, &files)?;
        let begun = Arc::clone(&job.begun);
        let written = match self.threads.run(write_merged(job)).await.map_err(LakeError::from).flatten() {
            Ok(written) => self.made_durable(written).await,
            Err(error) => Err(error),
        };
        let add = match written {
            Ok(written) => written,
            Err(error) => {
                let begun = std::mem::take(&mut *begun.lock());
                self.discard(begun).await;
                return Err(error);
            }
        };
        let remove = files.iter().map(|file| file.id).collect();
        self.change(Change { doing: DOING, add, remove, upto: None }).await
    }

    async fn made_durable(&self, written: Vec<LakeFile>) -> Result<Vec<LakeFile>, LakeError> {
        for file in &written {
            self.storage.make_durable(&file.path).await?;
        }
        Ok(written)
    }

    fn merge_job(&self, stream: &StreamEntry, files: &[Arc<LakeFile>]) -> Result<MergeJob, LakeError> {
        let schema = lake_schema(&stream.schema);
        let context = SessionContext::new_with_config_rt(Default::default(), Arc::clone(&self.runtime));
        // One partition per file keeps each sorted; the merge then holds one batch of each in memory.
        let groups = files.iter().map(|file| vec![Arc::clone(file)]).collect();
        let sorted = files_plan(&schema, groups, None, None, &self.storage.store, &self.runtime, true);
        let sorted = sorted.map_err(LakeError::arrow(DOING))?;
        let order = device_time_order(&schema).map_err(LakeError::arrow(DOING))?;
        let merged = SortPreservingMergeExec::new(order, sorted).with_round_robin_repartition(false);
        let like = files.iter().fold(LakeFile::clone(&files[0]), |like, file| LakeFile {
            first_offset: like.first_offset.min(file.first_offset),
            last_offset: like.last_offset.max(file.last_offset),
            level: like.level.max(file.level),
            ..like
        });
        let like = LakeFile {
            level: like.level.saturating_add(1),
            schema_version: stream.schema.version,
            created_at: self.clock.now(),
            ..like
        };
        Ok(MergeJob {
            plan: Arc::new(merged),
            context,
            store: Arc::clone(&self.storage.store),
            like,
            file_bytes: self.options.file_bytes,
            begun: Arc::default(),
        })
    }
}

struct MergeJob {
    plan: Arc<dyn ExecutionPlan>,
    context: SessionContext,
    store: Arc<dyn object_store::ObjectStore>,
    /// What the files to be written have in common.
    like: LakeFile,
    file_bytes: u64,
    /// Objects that may be there, also when the merge has failed in the middle.
    begun: Arc<Mutex<Vec<String>>>,
}

type Writer = AsyncArrowWriter<BufWriter>;

/// Streams the merged rows into as many files as their size asks for.
async fn write_merged(job: MergeJob) -> Result<Vec<LakeFile>, LakeError> {
    let day = day_of(&job.like.path).to_owned();
    let place = Place { stream_id: job.like.stream_id, day: &day, first_offset: job.like.first_offset };
    let mut rows = job.plan.execute(0, job.context.task_ctx()).map_err(LakeError::arrow(DOING))?;
    let mut written = Vec::new();
    let mut open: Option<(Writer, String, Summary)> = None;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(LakeError::arrow(DOING))?;
        let (writer, _, summary) = match &mut open {
            Some(open) => open,
            None => {
                let path = fresh_path(&place);
                job.begun.lock().push(path.clone());
                let sink = BufWriter::new(Arc::clone(&job.store), Path::from(path.as_str()));
                let properties = properties(batch.schema_ref(), &batch);
                let writer = AsyncArrowWriter::try_new(sink, batch.schema(), Some(properties));
                open.insert((writer.map_err(LakeError::arrow(DOING))?, path, Summary::default()))
            }
        };
        writer.write(&batch).await.map_err(LakeError::arrow(DOING))?;
        summary.add(&batch);
        if (writer.bytes_written() + writer.in_progress_size()) as u64 >= job.file_bytes
            && let Some(full) = open.take()
        {
            written.push(finish(full, &place, &job.like).await?);
        }
    }
    if let Some(last) = open {
        written.push(finish(last, &place, &job.like).await?);
    }
    Ok(written)
}

async fn finish(
    (mut writer, path, summary): (Writer, String, Summary),
    place: &Place<'_>,
    like: &LakeFile,
) -> Result<LakeFile, LakeError> {
    writer.finish().await.map_err(LakeError::arrow(DOING))?;
    let fresh = entry(place, &summary, writer.bytes_written() as u64);
    Ok(LakeFile {
        path,
        level: like.level,
        schema_version: like.schema_version,
        first_offset: like.first_offset,
        last_offset: like.last_offset,
        created_at: like.created_at,
        ..fresh
    })
}
