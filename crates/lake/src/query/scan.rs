//! A stream as a table: its files and its tail at one moment.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DFSchema, Result, ScalarValue, Statistics, plan_err};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, expressions};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectStore;
use springhouse_meta::LakeFile;
use springhouse_schema::{DEVICE_COLUMN, TS_COLUMN};

use crate::sorted::{SORT, conformed};
use crate::state::StreamView;

/// Under which the engine finds the lake's objects; not a place on the network.
pub(crate) fn store_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("lake://files").unwrap_or_else(|_| ObjectStoreUrl::local_filesystem())
}

/// One stream at one moment. The view holds the files: they are not deleted while it lives.
#[derive(Debug)]
pub(crate) struct StreamScan {
    pub schema: SchemaRef,
    pub view: StreamView,
    pub store: Arc<dyn ObjectStore>,
}

#[async_trait]
impl TableProvider for StreamScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Inexact: the manifest and the pages rule out what they can, and the filter above decides about the rest.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = self.pruned(session, filters)?;
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !kept.is_empty() {
            let groups = balanced(kept, session.config().target_partitions());
            let runtime = session.runtime_env();
            // A limit below a filter would count rows that the filter then drops.
            let limit = limit.filter(|_| filters.is_empty());
            plans.push(files_plan(&self.schema, groups, projection, limit, &self.store, runtime, false)?);
        }
        if !self.view.chunks.is_empty() {
            let chunks = self.view.chunks.iter().map(|chunk| conformed(&chunk.batch, &self.schema));
            let batches = chunks.collect::<Result<Vec<_>, _>>()?;
            plans.push(MemorySourceConfig::try_new_exec(&[batches], self.schema(), projection.cloned())?);
        }
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(projected(&self.schema, projection)?))),
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

impl StreamScan {
    /// The files that may hold rows for which the filters are true.
    fn pruned(&self, session: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<LakeFile>>> {
        let files = &self.view.files;
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(files.to_vec()) };
        let columns = DFSchema::try_from(self.schema())?;
        let filter = session.create_physical_expr(filter, &columns)?;
        let Ok(predicate) = PruningPredicateBuilder::new().with_file_schema(self.schema()).try_build(filter)
        else {
            return Ok(files.to_vec());
        };
        let keep = predicate.prune(&Manifest(files))?;
        Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| Arc::clone(file)).collect())
    }
}

/// The manifest in the words of the engine's pruning.
struct Manifest<'a>(&'a [Arc<LakeFile>]);

impl Manifest<'_> {
    fn times(&self, of: impl Fn(&LakeFile) -> i64) -> ArrayRef {
        let times: TimestampMicrosecondArray = self.0.iter().map(|file| Some(of(file))).collect();
        Arc::new(times.with_timezone("UTC"))
    }

    fn devices(&self, of: impl Fn(&LakeFile) -> Option<&String>) -> ArrayRef {
        Arc::new(self.0.iter().map(|file| of(file)).collect::<StringArray>())
    }
}

impl PruningStatistics for Manifest<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            TS_COLUMN => Some(self.times(|file| file.min_ts.micros())),
            DEVICE_COLUMN => Some(self.devices(|file| file.min_device.as_ref())),
            _ => None,
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name() {
            TS_COLUMN => Some(self.times(|file| file.max_ts.micros())),
            DEVICE_COLUMN => Some(self.devices(|file| file.max_device.as_ref())),
            _ => None,
        }
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.0.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}

/// A scan of files, each group one partition. `sorted` promises that each group is one sorted file.
pub(crate) fn files_plan(
    schema: &SchemaRef,
    groups: Vec<Vec<Arc<LakeFile>>>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
    store: &Arc<dyn ObjectStore>,
    runtime: &Arc<RuntimeEnv>,
    sorted: bool,
) -> Result<Arc<dyn ExecutionPlan>> {
    // Footers and page indexes of files stay in memory between queries; files never change.
    let footers = runtime.cache_manager.get_file_metadata_cache();
    let readers = CachedParquetFileReaderFactory::new(Arc::clone(store), footers);
    let source = ParquetSource::new(Arc::clone(schema))
        .with_parquet_file_reader_factory(Arc::new(readers))
        .with_pushdown_filters(true)
        .with_reorder_filters(true)
        .with_enable_page_index(true);
    let groups = groups
        .into_iter()
        .map(|files| FileGroup::new(files.iter().map(|file| partitioned(file, schema)).collect()));
    let mut scan = FileScanConfigBuilder::new(store_url(), Arc::new(source))
        .with_file_groups(groups.collect())
        .with_limit(limit)
        .with_projection_indices(projection.cloned())?;
    if sorted {
        scan = scan.with_output_ordering(vec![device_time_order(schema)?]);
    }
    Ok(DataSourceExec::from_data_source(scan.build()))
}

fn partitioned(file: &LakeFile, schema: &SchemaRef) -> PartitionedFile {
    PartitionedFile::new(file.path.clone(), file.bytes).with_statistics(Arc::new(statistics(file, schema)))
}

/// What the engine may believe without opening the file; `count(*)` and `max(ts)` need no more.
fn statistics(file: &LakeFile, schema: &SchemaRef) -> Statistics {
    let time = |micros: i64| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    let text = |text: &String| ScalarValue::Utf8(Some(text.clone()));
    let column_statistics =
        schema.fields().iter().map(|field| match (field.name().as_str(), field.data_type()) {
            (TS_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, _)) => ColumnStatistics::new_unknown()
                .with_null_count(Precision::Exact(0))
                .with_min_value(Precision::Exact(time(file.min_ts.micros())))
                .with_max_value(Precision::Exact(time(file.max_ts.micros()))),
            (DEVICE_COLUMN, _) => match (&file.min_device, &file.max_device) {
                (Some(min), Some(max)) => ColumnStatistics::new_unknown()
                    .with_null_count(Precision::Exact(0))
                    .with_min_value(Precision::Exact(text(min)))
                    .with_max_value(Precision::Exact(text(max))),
                _ => ColumnStatistics::new_unknown(),
            },
            _ => ColumnStatistics::new_unknown(),
        });
    Statistics {
        num_rows: Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Absent,
        column_statistics: column_statistics.collect(),
    }
}

/// The order in which rows lie in a file.
pub(crate) fn device_time_order(schema: &SchemaRef) -> Result<LexOrdering> {
    let by = |name: &str| expressions::col(name, schema).map(|column| PhysicalSortExpr::new(column, SORT));
    match LexOrdering::new([by(DEVICE_COLUMN)?, by(TS_COLUMN)?]) {
        Some(order) => Ok(order),
        None => plan_err!("a stream has no columns to sort by"),
    }
}

/// Spreads files over partitions so that each has about as many bytes to read.
fn balanced(mut files: Vec<Arc<LakeFile>>, partitions: usize) -> Vec<Vec<Arc<LakeFile>>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let partitions = partitions.clamp(1, files.len().max(1));
    let mut groups = vec![(0_u64, Vec::new()); partitions];
    for file in files {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.bytes;
            group.push(file);
        }
    }
    groups.into_iter().map(|(_, group)| group).filter(|group| !group.is_empty()).collect()
}

fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    match projection {
        Some(columns) => Ok(Arc::new(schema.project(columns)?)),
        None => Ok(Arc::clone(schema)),
    }
}
