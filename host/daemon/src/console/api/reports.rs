//! How plugins failed, and what repeats it: reports for whoever may look, and
//! recordings for whoever answers for the plugins. A recording holds what the
//! plugin was told by its device and its peers, so that taking one is an event.

use super::plugins::answered;
use crate::console::Console;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::plugin::report::Report;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// How a plugin failed the last times, newest first; at most three.
#[utoipa::path(get, path = "/api/v1/plugins/{id}/reports", tag = "plugins",
    params(("id" = String, Path)), responses(
    (status = 200, body = Vec<Report>),
    (status = 404, body = Problem)))]
pub async fn list(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Report>>, Problem> {
    answered(console.plugins.reports(id)).await.map(Json)
}

/// What repeats a failure: `evenkeel-plugin replay` takes it. It may hold what
/// the plugin received and kept. A secret setting, a granted secret, what was
/// computed with one, and the password of a sign-in are not in it.
#[utoipa::path(get, path = "/api/v1/plugins/{id}/reports/{unix_ms}/recording", tag = "plugins",
    params(("id" = String, Path), ("unix_ms" = u64, Path, description = "The report's time")),
    responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 404, body = Problem)))]
pub async fn recording(
    by: By,
    Path((id, unix_ms)): Path<(String, u64)>,
) -> Result<Response, Problem> {
    let what =
        format!("take the recording of a failure of the plugin {}", super::plugins::shown(&id));
    // Only of one that exists, so that the header below is a sane one.
    let attached = format!("attachment; filename=\"{id}.{unix_ms}.rec\"");
    let done = answered(by.console.plugins.recording(id, unix_ms)).await;
    let bytes = by.told(what, done).await?;
    let kinds = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, attached),
    ];
    Ok((kinds, bytes).into_response())
}
