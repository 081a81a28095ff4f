//! The page of rules, jobs and calendar: how they are doing, and the document
//! in force to be changed. A plain page that needs no script.

use super::api::automation::{AutomationIn, put};
use super::gate::Peer;
use super::page::{self, VERSION, render};
use super::problem::Problem;
use super::session::Caller;
use super::who::Who;
use super::{Console, clock};
use crate::accounts::rights::{Area, Level};
use crate::jobs::status::Status;
use askama::Template;
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "automation.html")]
struct AutomationPage<'a> {
    version: &'a str,
    who: Who<'a>,
    status: &'a Status,
    toml: &'a str,
}

/// The document, changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    toml: String,
}

/// The page.
pub async fn automation(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let automation = Arc::clone(&console.automation);
    let read = tokio::task::spawn_blocking(move || (automation.status(), automation.text()));
    let Ok((status, toml)) = read.await else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return page::refused(&Problem::new(status, "render", "The page cannot be shown"));
    };
    let who = Who::of(&caller, Area::Automation, Level::Configure);
    let page = AutomationPage { version: &VERSION, who, status: &status, toml: &toml };
    render(StatusCode::OK, &page)
}

/// The form was sent.
pub async fn change(
    console: State<Arc<Console>>,
    peer: Extension<Peer>,
    caller: Extension<Caller>,
    form: Result<Form<Changed>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(Changed { toml }) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        // Browsers end lines as mail does.
        let wanted = AutomationIn::toml(toml.replace("\r\n", "\n"));
        put(console, peer, caller, Ok(Json(wanted))).await
    };
    match attempt.await {
        Ok(_) => Redirect::to("/automation").into_response(),
        Err(problem) => page::refused(&problem),
    }
}

/// A time of the calendar for people, in UTC.
fn at(unix_s: &i64) -> String {
    clock::utc(u64::try_from(*unix_s).unwrap_or_default().saturating_mul(1_000))
}
