//! The archive for whoever helps: [`crate::console::support`] says what is in it.

use crate::console::by::By;
use crate::console::problem::Problem;
use crate::console::support;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What the appliance says of itself, for whoever helps: version, state of
/// guard, buses, devices, store, firmware and plugins, how plugins failed, the
/// newest events, metrics and the configuration. No secret is in it, and
/// nothing about who signed in.
#[utoipa::path(get, path = "/api/v1/support", tag = "system", responses(
    (status = 200, description = "A tar archive", content_type = "application/x-tar",
        body = Vec<u8>)))]
pub async fn support(by: By) -> Result<Response, Problem> {
    let archive = support::archive(&by).await?;
    let By { console, caller, from } = by;
    let what = "take the archive for support, without secrets";
    console.store.audit_promptly(&caller.user, &from.to_string(), what, "done").await;
    let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"evenkeel-support.tar\"");
    Ok(([(header::CONTENT_TYPE, "application/x-tar"), name], archive).into_response())
}
