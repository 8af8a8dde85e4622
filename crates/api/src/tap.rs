//! Looking into a pipeline while it runs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use springhouse_model::StreamName;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{At, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::statements::engine_problem;
use crate::steps::{StepView, step_views};

const SECONDS_MAX: f64 = 30.0;
const ROWS_MAX: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TapParams {
    /// How long to look; 5 when left out, at most 30.
    seconds: Option<f64>,
    /// Rows to show of each step; 10 when left out, at most 100.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TapView {
    seconds: f64,
    /// From the streams that it reads to its last columns.
    steps: Vec<StepView>,
}

/// What each step of a running pipeline hands on during some seconds.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/tap", tag = "pipelines", params(("name" = String, Path), TapParams),
    responses((status = 200, body = TapView)))]
pub(crate) async fn look(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
    Params(params): Params<TapParams>,
) -> Result<Json<TapView>, Problem> {
    let seconds = params.seconds.filter(|seconds| seconds.is_finite()).unwrap_or(5.0).clamp(0.0, SECONDS_MAX);
    let limit = params.limit.unwrap_or(10).min(ROWS_MAX);
    let tap = app.engine.tap(caller.tenant(), &name, limit).await.map_err(engine_problem)?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    Ok(Json(TapView { seconds, steps: step_views(tap.seen())? }))
}
