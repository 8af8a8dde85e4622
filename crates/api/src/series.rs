//! One property of one device over time, thinned to what a chart can draw: smallest, mean and largest value of each
//! bucket, so that no peak is lost.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use springhouse_lake::SeriesRequest;
use springhouse_model::{DeviceId, StreamName};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{At, Params, parse_optional_time};
use crate::problem::Problem;
use crate::sql::lake_problem;
use crate::state::App;

/// More than a screen is wide.
const POINTS_MAX: u32 = 5_000;
const POINTS_DEFAULT: u32 = 500;
const HOUR_US: i64 = 3_600_000_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesParams {
    #[param(example = "climate")]
    stream: String,
    #[param(example = "temperature")]
    property: String,
    /// One hour before `to` when left out.
    from: Option<String>,
    /// Now when left out.
    to: Option<String>,
    /// Buckets; 500 when left out, at most 5000.
    points: Option<u32>,
}

/// Columns of the same length; buckets without a value are left out.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeriesView {
    /// Milliseconds since 1970, the beginning of each bucket.
    ts: Vec<i64>,
    min: Vec<Option<f64>>,
    avg: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
}

/// A property of a device over time.
#[utoipa::path(get, path = "/api/v1/devices/{id}/series", tag = "devices",
    params(("id" = String, Path), SeriesParams), responses((status = 200, body = SeriesView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(device): At<DeviceId>,
    Params(params): Params<SeriesParams>,
) -> Result<Json<SeriesView>, Problem> {
    let stream: StreamName = params.stream.parse()?;
    let to = parse_optional_time("to", params.to.as_deref())?.unwrap_or_else(|| app.clock.now());
    let from =
        parse_optional_time("from", params.from.as_deref())?.unwrap_or_else(|| to.plus_micros(-HOUR_US));
    if from >= to {
        return Err(Problem::bad_request("invalid_query", "`from` is not before `to`"));
    }
    let request = SeriesRequest {
        tenant: caller.tenant().clone(),
        device,
        stream,
        property: params.property,
        from,
        to,
        points: params.points.unwrap_or(POINTS_DEFAULT).clamp(1, POINTS_MAX),
    };
    let series = app.lake.series(&request).await.map_err(lake_problem)?;
    Ok(Json(SeriesView { ts: series.ts, min: series.min, avg: series.avg, max: series.max }))
}
