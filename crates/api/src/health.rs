//! Whether the hub lives and whether it can take readings.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operating", responses((status = 200, body = Alive)))]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
}

/// Readings can be taken: the hub has started, its log is sound and its disk has room.
#[utoipa::path(get, path = "/readyz", tag = "operating",
    responses((status = 200, body = Ready), (status = 503, description = "Not ready; `detail` says why")))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Ready>, Problem> {
    let obstacles = obstacles(&app);
    if obstacles.is_empty() {
        return Ok(Json(Ready { ready: true }));
    }
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", obstacles.join("; ")).retry_after_s(5))
}

fn obstacles(app: &App) -> Vec<String> {
    let mut obstacles = Vec::new();
    if !app.is_started() {
        obstacles.push(String::from("the hub is starting"));
    }
    if app.log.stats().poisoned.is_some() {
        // The reason may hold paths; the hub's own log has it.
        obstacles.push(String::from("the log has failed and takes nothing more; the disk is suspect"));
    }
    let wanted = app.options.disk_free_bytes_min;
    if let Some(free) = free_bytes(app).filter(|free| *free < wanted) {
        obstacles.push(format!("{} MiB free on the data disk, {} MiB are wanted", free >> 20, wanted >> 20));
    }
    obstacles
}

/// Room on the data disk; `None` when it cannot be asked.
pub(crate) fn free_bytes(app: &App) -> Option<u64> {
    let stat = rustix::fs::statvfs(app.options.data_dir.as_ref()?).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
