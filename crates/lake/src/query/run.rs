//! Running one SELECT: read it, plan it over the tenant's tables, hand its batches on as they come.
//!
//! A query works on threads of its own and gives each batch away through a queue of few places: a client who reads
//! slowly slows it down, one who goes away ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as SqlStatement};
use futures::{Stream, StreamExt};
use metrics::histogram;
use springhouse_model::TenantId;
use tokio::sync::{mpsc, oneshot};

use super::tables::Tables;
use crate::LakeError;
use crate::keeper::Shared;
use crate::lake::Task;
use crate::twin::Twin;

/// A text that is longer is not a question; planning is not linear in it.
const QUERY_BYTES_MAX: usize = 256 << 10;
/// Batches that wait for a client.
const QUEUE: usize = 2;

/// The rows of a query, as they come.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: RowStream,
}

/// Batches of a running query; dropping it ends the query.
pub struct RowStream {
    receiver: mpsc::Receiver<Result<RecordBatch, LakeError>>,
    truncated: Arc<AtomicBool>,
    _task: Option<Task<()>>,
}

/// All rows of a query.
#[derive(Clone, Debug)]
pub struct QueryRows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub row_count: usize,
    /// There were more rows than may be returned.
    pub truncated: bool,
}

impl RowStream {
    /// Whether rows were cut off at the limit; known when the stream has ended.
    pub fn truncated(&self) -> bool {
        self.truncated.load(Ordering::Acquire)
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, LakeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

impl QueryResult {
    /// Waits for all rows.
    pub async fn collect(mut self) -> Result<QueryRows, LakeError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.batches.next().await {
            batches.push(batch?);
        }
        let row_count = batches.iter().map(RecordBatch::num_rows).sum();
        Ok(QueryRows { schema: self.schema, batches, row_count, truncated: self.batches.truncated() })
    }
}

/// Plans the query and starts it; returns when its columns are known.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    twin: &Twin,
    tenant: &TenantId,
    sql: &str,
) -> Result<QueryResult, LakeError> {
    let statement = parse(sql)?;
    let (shared, twin, tenant) = (Arc::clone(shared), twin.clone(), tenant.clone());
    let limits = Limits { time: shared.options.query_time, rows: shared.options.query_rows_max };
    let session = SessionContext::new_with_state(shared.session.clone());
    let threads = Arc::clone(&shared.threads);
    run(&threads, limits, async move {
        let plan = planned(&shared, &twin, &tenant, &session, statement)?;
        let frame = session.execute_logical_plan(plan).await.map_err(LakeError::query)?;
        frame.execute_stream().await.map_err(LakeError::query)
    })
    .await
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub time: Duration,
    pub rows: usize,
}

/// Runs what `begin` starts on the lake's threads.
pub(super) async fn run(
    threads: &crate::lake::Threads,
    limits: Limits,
    begin: impl Future<Output = Result<SendableRecordBatchStream, LakeError>> + Send + 'static,
) -> Result<QueryResult, LakeError> {
    let (schema_sender, schema) = oneshot::channel();
    let (rows, receiver) = mpsc::channel(QUEUE);
    let truncated = Arc::new(AtomicBool::new(false));
    let is_truncated = Arc::clone(&truncated);
    let task = threads.start(async move {
        let began = Instant::now();
        let deadline = tokio::time::Instant::now() + limits.time;
        let begun = tokio::time::timeout_at(deadline, begin).await;
        let started = match begun.unwrap_or(Err(LakeError::TimeLimit { limit: limits.time })) {
            Ok(stream) => {
                let _ = schema_sender.send(Ok(stream.schema()));
                forward(stream, limits, deadline, &rows, &is_truncated).await
            }
            Err(error) => {
                let _ = schema_sender.send(Err(error));
                return;
            }
        };
        if let Err(error) = started {
            let _ = rows.send(Err(error)).await;
        }
        histogram!("springhouse_query_seconds").record(began.elapsed().as_secs_f64());
    });
    let schema = schema.await.map_err(|_| LakeError::Closed)??;
    Ok(QueryResult { schema, batches: RowStream { receiver, truncated, _task: task } })
}

async fn forward(
    mut stream: SendableRecordBatchStream,
    limits: Limits,
    deadline: tokio::time::Instant,
    rows: &mpsc::Sender<Result<RecordBatch, LakeError>>,
    truncated: &AtomicBool,
) -> Result<(), LakeError> {
    let mut left = limits.rows;
    loop {
        let next = tokio::time::timeout_at(deadline, stream.next()).await;
        let Some(batch) = next.map_err(|_| LakeError::TimeLimit { limit: limits.time })? else {
            return Ok(());
        };
        let mut batch = batch.map_err(LakeError::query)?;
        let is_cut = batch.num_rows() > left;
        if is_cut {
            truncated.store(true, Ordering::Release);
            batch = batch.slice(0, left);
        }
        left -= batch.num_rows();
        if batch.num_rows() > 0 && rows.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
        if is_cut {
            return Ok(());
        }
    }
}

/// One statement, and one that only asks.
fn parse(sql: &str) -> Result<Statement, LakeError> {
    if sql.len() > QUERY_BYTES_MAX {
        return Err(LakeError::QueryTooLong { bytes: sql.len(), bytes_max: QUERY_BYTES_MAX });
    }
    let mut statements = DFParser::parse_sql(sql).map_err(LakeError::query)?;
    let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return Err(LakeError::NotAQuery { hint: "send statements one by one" });
    };
    let asks = match &statement {
        Statement::Statement(statement) => is_query(statement),
        Statement::Explain(explain) => {
            matches!(explain.statement.as_ref(), Statement::Statement(statement) if is_query(statement))
        }
        _ => false,
    };
    match asks {
        true => Ok(statement),
        false => Err(LakeError::NotAQuery {
            hint: "tables are filled by devices and pipelines, not by statements",
        }),
    }
}

fn is_query(statement: &SqlStatement) -> bool {
    let SqlStatement::Query(query) = statement else { return false };
    // `WITH … INSERT` parses as a query too.
    !matches!(
        query.body.as_ref(),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    )
}

fn planned(
    shared: &Shared,
    twin: &Twin,
    tenant: &TenantId,
    session: &SessionContext,
    statement: Statement,
) -> Result<LogicalPlan, LakeError> {
    let state = session.state();
    let tables = Tables::of(shared, twin, tenant, &state);
    let options =
        ParserOptions { map_string_types_to_utf8view: false, collect_spans: true, ..ParserOptions::new() };
    let (explain, statement) = match statement {
        Statement::Explain(explain) => {
            (Some((explain.options.analyze, explain.options.verbose)), *explain.statement)
        }
        statement => (None, statement),
    };
    let Statement::Statement(statement) = statement else {
        return Err(LakeError::NotAQuery { hint: "explain a SELECT" });
    };
    let plan = SqlToRel::new_with_options(&tables, options)
        .sql_statement_to_plan(*statement)
        .map_err(LakeError::query)?;
    refuse_all_but_reading(&plan)?;
    let Some((analyze, verbose)) = explain else { return Ok(plan) };
    datafusion::logical_expr::LogicalPlanBuilder::from(plan)
        .explain(verbose, analyze)
        .and_then(|builder| builder.build())
        .map_err(LakeError::query)
}

/// The parser has let only queries pass; this says it again about the plan, in which nothing can hide.
fn refuse_all_but_reading(plan: &LogicalPlan) -> Result<(), LakeError> {
    datafusion::execution::context::SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|_| LakeError::NotAQuery {
            hint: "tables are filled by devices and pipelines, not by statements",
        })
}
