//! The rows of one stream, newest first.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use springhouse_lake::RowsFilter;
use springhouse_model::StreamName;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{At, Params, parse_optional_time};
use crate::problem::Problem;
use crate::rows::{ColumnView, columns_of, raw_rows};
use crate::sql::lake_problem;
use crate::state::App;
use crate::streams;

const ROWS_DEFAULT: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadingParams {
    device: Option<String>,
    /// From this event time on.
    from: Option<String>,
    /// Before this event time.
    to: Option<String>,
    /// 100 when left out.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReadingsView {
    columns: Vec<ColumnView>,
    /// Newest first, cells in the order of the columns.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Box<RawValue>,
}

/// Rows of a stream, newest first.
#[utoipa::path(get, path = "/api/v1/streams/{name}/readings", tag = "streams",
    params(("name" = String, Path), ReadingParams), responses((status = 200, body = ReadingsView)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
    Params(params): Params<ReadingParams>,
) -> Result<Json<ReadingsView>, Problem> {
    streams::find(&app, &caller, &name)?;
    let limit = params.limit.unwrap_or(ROWS_DEFAULT).clamp(1, app.options.rows_max);
    let device = params.device.as_deref().filter(|device| !device.is_empty());
    let filter = RowsFilter {
        tenant: caller.tenant().clone(),
        stream: name,
        device: device.map(str::parse).transpose()?,
        from: parse_optional_time("from", params.from.as_deref())?,
        to: parse_optional_time("to", params.to.as_deref())?,
    };
    let rows = app.lake.recent(&filter, limit).await.map_err(lake_problem)?;
    Ok(Json(ReadingsView { columns: columns_of(&rows.schema), rows: raw_rows(&rows.batches, limit)? }))
}
