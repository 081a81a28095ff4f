//! The licence over the HTTP API: what is in force, and installing and removing
//! licence files. Installing answers when the gate has judged.

use super::Answer;
use crate::console::Console;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::licence::{self, LicenceError, Licences, Status};
use crate::store::StoreError;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use evenkeel_core::licence::OVER;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The edition in force.
#[derive(Serialize, ToSchema)]
pub struct LicenceOut {
    /// For people: `LC`, `full`.
    edition: String,
    /// Blocks whose values are shown; null: all.
    blocks: Option<u32>,
    /// Largest UPS whose values are shown, VA; null: any.
    ups_va: Option<u32>,
    /// Why; names each licence that does not count and the reason.
    reason: String,
    /// Who judged; null: nobody, it is LC for want of a judgement.
    judged_by: Option<String>,
    /// When it is judged again, ms since 1970; null: when something changes.
    until_unix_ms: Option<u64>,
    /// Hours for which it holds though nobody can judge; null while somebody can.
    grace_left_h: Option<u64>,
    /// Serial number of the appliance: what licences are bound to.
    serial: String,
    /// The licence files.
    licences: Vec<LicenceFileOut>,
    /// Blocks over the licence: watched for safety only.
    blocks_over: usize,
    /// UPSes over the licence, by subtree.
    upses_over: Vec<String>,
}

/// A licence file.
#[derive(Serialize, ToSchema)]
struct LicenceFileOut {
    /// Its name.
    name: String,
    /// Why it is not even judged; null: it is, see `reason`.
    refused: Option<String>,
}

/// The edition in force, why, and the licences.
#[utoipa::path(get, path = "/api/v1/licence", tag = "system",
    responses((status = 200, body = LicenceOut)))]
pub async fn licence(State(console): State<Arc<Console>>) -> Json<LicenceOut> {
    Json(out(console.licences.status()))
}

/// Install a licence: the raw bytes of a .evkl file, at most 16 KiB. It holds
/// when this answers; whether it counts says `reason`.
#[utoipa::path(post, path = "/api/v1/licence", tag = "system",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = LicenceOut),
    (status = 409, body = Problem, description = "Too many licences"),
    (status = 413, body = Problem, description = "Too long for a licence"),
    (status = 422, body = Problem, description = "Not signed by a trusted licence key")))]
pub async fn install(by: By, body: Result<Bytes, BytesRejection>) -> Answer<LicenceOut> {
    let too_long = |_| problem(&LicenceError::Oversized);
    let raw = body.map_err(too_long)?;
    take(&by, raw.to_vec()).await.map(Json)
}

/// Install a licence file.
pub(in crate::console) async fn take(by: &By, raw: Vec<u8>) -> Result<LicenceOut, Problem> {
    let who = licence_by(by);
    change(&by.console, move |licences| licences.install(&raw, &who).map(|_| ())).await
}

/// Remove a licence.
#[utoipa::path(post, path = "/api/v1/licence/{name}/delete", tag = "system",
    params(("name" = String, Path, description = "From the list")), responses(
    (status = 200, body = LicenceOut),
    (status = 404, body = Problem, description = "There is no such licence")))]
pub async fn remove(by: By, Path(name): Path<String>) -> Answer<LicenceOut> {
    forget(&by, name).await.map(Json)
}

/// Remove the licence of this name.
pub(in crate::console) async fn forget(by: &By, name: String) -> Result<LicenceOut, Problem> {
    let who = licence_by(by);
    change(&by.console, move |licences| licences.remove(&name, &who)).await
}

/// What is said instead of values that the licence does not cover.
pub(super) fn over() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "licence", "This block is over the licence")
        .detail(format!("{OVER}; GET /api/v1/licence says how many blocks are within"))
}

fn licence_by(By { caller, from, .. }: &By) -> licence::By {
    licence::By { user: caller.user.clone(), from: from.to_string() }
}

async fn change(
    console: &Console,
    work: impl FnOnce(&Licences) -> Result<(), LicenceError> + Send + 'static,
) -> Result<LicenceOut, Problem> {
    let licences = Arc::clone(&console.licences);
    let done = tokio::task::spawn_blocking(move || work(&licences).map(|()| licences.status()));
    let status = done.await.map_err(|_| Problem::store(&StoreError::Closed))?;
    status.map(out).map_err(|error| problem(&error))
}

fn problem(error: &LicenceError) -> Problem {
    let (status, kind) = match error {
        LicenceError::Oversized => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
        LicenceError::Untrusted(_) => (StatusCode::UNPROCESSABLE_ENTITY, "licence"),
        LicenceError::Full => (StatusCode::CONFLICT, "licences"),
        LicenceError::Unknown(_) => (StatusCode::NOT_FOUND, "no-licence"),
        LicenceError::File(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
    };
    Problem::new(status, kind, "The licence is not changed").detail(chain(error))
}

fn out(status: Status) -> LicenceOut {
    let Status { serial, edition, files, blocks_over, upses_over } = status;
    let files = files.into_iter();
    LicenceOut {
        grace_left_h: edition.grace_left_h(),
        edition: edition.name,
        blocks: edition.limits.blocks,
        ups_va: edition.limits.ups_va,
        reason: edition.reason,
        judged_by: edition.judged_by,
        until_unix_ms: edition.until_s.map(|s| s.saturating_mul(1_000)),
        serial,
        licences: files.map(|f| LicenceFileOut { name: f.name, refused: f.refused }).collect(),
        blocks_over,
        upses_over,
    }
}
