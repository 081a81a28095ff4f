//! The audit log, to read and to take away
//! (facts/appliance-security.md SEC-110, SEC-111).

use super::{Answer, bad_query, int64, off_thread};
use crate::console::Console;
use crate::console::by::By;
use crate::console::problem::Problem;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const ENTRIES_MAX: usize = 1_000;

/// One entry of the audit log, or a seal.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct AuditOut {
    /// Counts up.
    pub(in crate::console) seq: u64,
    /// When, ms since 1970.
    pub(in crate::console) unix_ms: u64,
    /// A user, a plugin, or `appliance`; absent in a seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::console) who: Option<String>,
    /// Their address; empty for what happened in the appliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::console) from: Option<String>,
    /// What was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::console) what: Option<String>,
    /// `done`, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::console) result: Option<String>,
    /// The device's signature over everything before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::console) seal: Option<String>,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries with larger numbers; without it the newest.
    #[serde(default, deserialize_with = "int64")]
    after: Option<u64>,
    /// At most so many, 1 … 1000; 100 when not given.
    limit: Option<usize>,
}

/// Who did what, oldest first. For administrators.
#[utoipa::path(get, path = "/api/v1/audit", params(AuditQuery), tag = "records",
    responses((status = 200, body = Vec<AuditOut>), (status = 403, body = Problem)))]
pub async fn audit(
    State(console): State<Arc<Console>>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Answer<Vec<AuditOut>> {
    let Query(query) = query.map_err(bad_query)?;
    let limit = query.limit.unwrap_or(100).clamp(1, ENTRIES_MAX);
    let store = console.store.clone();
    let read = move || store.audit_lines(query.after, limit);
    let lines = off_thread(&console, read).await?.map_err(|e| Problem::store(&e))?;
    // A line that somebody made unreadable is for the export, which shows it.
    Ok(Json(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()))
}

/// The whole audit log as a file, signed at its end: `evenkeel audit verify`
/// says whether it was tampered with. For administrators.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "records", responses(
    (status = 200, description = "JSON lines", content_type = "application/jsonl", body = String),
    (status = 403, body = Problem)))]
pub async fn export(By { console, caller, from }: By) -> Result<Response, Problem> {
    console.store.audit(&caller.user, &from.to_string(), "export the audit log", "done");
    // The export tells of itself.
    console.store.seal_audit().done().await.map_err(|e| Problem::store(&e))?;
    let store = console.store.clone();
    let log = off_thread(&console, move || store.audit_export()).await?;
    let log = log.map_err(|e| Problem::store(&e))?;
    let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\"");
    Ok(([(header::CONTENT_TYPE, "application/jsonl"), name], log).into_response())
}
