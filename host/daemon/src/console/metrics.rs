//! `GET /metrics`: OpenMetrics text for monitoring systems, which send the
//! token of the configuration, and for people who are signed in.

use super::Console;
use super::api::off_thread;
use super::problem::Problem;
use crate::telemetry::{self, text::CONTENT_TYPE};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Everything that can be counted, at this instant.
pub async fn metrics(State(console): State<Arc<Console>>) -> Result<Response, Problem> {
    let all = console.clone();
    let page = move || {
        let plugins = all.plugins.plugins();
        telemetry::page(&all.hub, &plugins, &all.store, &all.telemetry.flash)
    };
    let page = off_thread(&console, page).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response())
}
