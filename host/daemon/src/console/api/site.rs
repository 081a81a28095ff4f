//! Name and place of the site over the API, and for the setup.

use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::lock;
use crate::console::problem::Problem;
use crate::site::{DOCUMENT, Site};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// What the site is called and where it is.
#[utoipa::path(get, path = "/api/v1/site", tag = "system",
    responses((status = 200, body = Site)))]
pub async fn site(State(console): State<Arc<Console>>) -> Json<Site> {
    Json(console.site())
}

/// Name the site.
#[utoipa::path(post, path = "/api/v1/site", request_body = Site, tag = "system", responses(
    (status = 200, body = Site),
    (status = 409, body = Problem, description = "A text is too long or no line")))]
pub async fn put(by: By, body: Result<Json<Site>, JsonRejection>) -> Result<Json<Site>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    name(&by, wanted).await.map(Json)
}

/// Name the site.
pub(in crate::console) async fn name(by: &By, wanted: Site) -> Result<Site, Problem> {
    let done = accept(&by.console, wanted).await;
    let what = done.as_ref().map_or_else(|_| String::new(), |site| format!(" {:?}", site.name));
    by.told(format!("name the site{what}"), done).await
}

async fn accept(console: &Console, wanted: Site) -> Result<Site, Problem> {
    let site = wanted.checked().map_err(refused)?;
    let kept = console.store.keep_settings(&DOCUMENT, &site.text()).done().await;
    kept.map_err(|e| Problem::store(&e))?;
    *lock(&console.site) = site.clone();
    Ok(site)
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "The site is called as before").detail(detail)
}
