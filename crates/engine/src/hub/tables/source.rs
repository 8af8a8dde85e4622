//! Reading the source of a table, whatever it is.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use springhouse_model::TenantId;

use super::{Tables, place};
use crate::hub::EngineError;
use crate::statement::{CreateTable, RowFormat, RowSource};
use crate::tables::{
    Bounds, Definition, FetchError, TableRows, read_batches, read_bytes, read_file, without_query,
};
use crate::{PlanError, Threads};

/// Questions about what is there, for tables that are made from history.
#[async_trait]
pub trait History: Send + Sync {
    /// All rows of a query of a tenant, within the limits that every query has; the reason when there are none, or more than
    /// a table may hold.
    async fn rows(&self, tenant: &TenantId, sql: &str, bounds: Bounds) -> Result<Vec<RecordBatch>, String>;
}

impl Tables {
    /// Lets tables be made by queries.
    pub fn ask(&self, history: Arc<dyn History>) {
        *self.shared.history.lock() = Some(history);
    }

    pub(in crate::hub) fn ask_no_more(&self) {
        self.shared.history.lock().take();
    }

    /// The rows that the source of a table has at this moment; `None` for one that is given its rows.
    pub(in crate::hub) async fn read_source(
        &self,
        threads: &Threads,
        tenant: &TenantId,
        table: &CreateTable,
    ) -> Result<Option<TableRows>, EngineError> {
        let definition = Definition::of(table);
        let bounds = self.shared.options.bounds;
        match &table.source {
            RowSource::Given => Ok(None),
            RowSource::Place { place, format } if place.contains("://") => {
                let Some(fetch) = self.shared.options.fetch.clone() else {
                    return Err(no_connections(place));
                };
                let (address, format) = (place.clone(), *format);
                let read = threads.spawn_blocking(move || {
                    let bytes = fetch.fetch(&address, bounds.bytes_max)?;
                    Ok::<_, EngineError>(read_bytes(&definition, file_name(&address), bytes, format, bounds)?)
                });
                Ok(Some(read.await??))
            }
            RowSource::Place { place, format } => {
                let path = place::resolve(place, &self.shared.options.directories)?;
                let format = *format;
                let read = threads.spawn_blocking(move || read_file(&definition, &path, format, bounds));
                Ok(Some(read.await??))
            }
            RowSource::Query(sql) => {
                let history = self.shared.history.lock().clone();
                let Some(history) = history else {
                    return Err(PlanError::new("there is no history to make a table from").into());
                };
                let refused = |why: String| EngineError::TableQuery { name: table.name.clone(), why };
                let batches = history.rows(tenant, sql, bounds).await.map_err(refused)?;
                Ok(Some(read_batches(&definition, "the query", &batches, bounds)?))
            }
        }
    }

    /// Rows that somebody sends.
    pub(in crate::hub) async fn read_given(
        &self,
        threads: &Threads,
        table: &CreateTable,
        bytes: Bytes,
        format: RowFormat,
    ) -> Result<TableRows, EngineError> {
        let (definition, bounds) = (Definition::of(table), self.shared.options.bounds);
        let read = threads.spawn_blocking(move || read_bytes(&definition, "the rows", bytes, format, bounds));
        Ok(read.await??)
    }
}

fn no_connections(address: &str) -> EngineError {
    let why = "is on another machine, and this hub makes no connections";
    let hint = "its owner names the addresses that tables may be read from: `tables.addresses`; or send the rows: springhouse \
                table load";
    FetchError::Refused { address: without_query(address).to_owned(), why, hint: hint.to_owned() }.into()
}

/// What an error names: the end of the path, as of a file.
fn file_name(address: &str) -> &str {
    without_query(address).rsplit('/').find(|part| !part.is_empty()).unwrap_or("the address")
}
