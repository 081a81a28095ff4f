//! Back to how the appliance left the factory, over the HTTP API: for who may
//! configure everything, after they typed the serial number of this appliance.

use super::Answer;
use super::firmware::{FirmwareOut, out_of, problem};
use crate::accounts::rights::Rights;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::store::StoreError;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_signing::Serial;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What it is called in the audit log.
const ORDER: &str = "set the appliance back to how it left the factory";

/// A reset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetIn {
    /// Serial number of this appliance, so that nobody erases another.
    serial: String,
}

/// Erase everything that is kept and restart: users, settings, history, logs,
/// plugins, licences, keys. Firmware, floor and serial number stay. The answer
/// is how it stood before.
#[utoipa::path(post, path = "/api/v1/factory-reset", tag = "system", request_body = ResetIn,
    responses(
    (status = 200, body = FirmwareOut),
    (status = 403, body = Problem, description = "Somebody who may not configure everything"),
    (status = 404, body = Problem, description = "This is no appliance with slots"),
    (status = 409, body = Problem, description = "Not now; the detail says why"),
    (status = 422, body = Problem, description = "Not the serial number of this appliance")))]
pub async fn reset(by: By, body: Result<Json<ResetIn>, JsonRejection>) -> Answer<FirmwareOut> {
    let Json(ResetIn { serial }) = body.map_err(|e| Problem::bad_request(e.body_text()))?;
    perform(&by, &serial).await.map(Json)
}

/// Whether this account may do it at all.
pub(in crate::console) fn may(rights: &Rights) -> bool {
    rights.include(&Rights::ALL)
}

/// Do it; what comes back is how it stood before.
pub(in crate::console) async fn perform(by: &By, typed: &str) -> Result<FirmwareOut, Problem> {
    let before = match check(by, typed).await {
        Ok(before) => before,
        Err(problem) => return by.told(ORDER.to_owned(), Err(problem)).await,
    };
    // The last act of this log, on the disk and on its way to the log servers
    // before anything is done.
    by.console.store.record_promptly(by.event(ORDER.to_owned(), None)).await;
    let (user, from) = (by.caller.user.clone(), by.from.to_string());
    let firmware = Arc::clone(&by.console.firmware);
    let done = tokio::task::spawn_blocking(move || firmware.factory_reset(&user, &from)).await;
    match done.map_err(|_| Problem::store(&StoreError::Closed))? {
        Ok(()) => Ok(before),
        Err(error) => by.told(ORDER.to_owned(), Err(problem(&error))).await,
    }
}

async fn check(by: &By, typed: &str) -> Result<FirmwareOut, Problem> {
    if !may(&by.caller.rights) {
        let detail = "it needs configure in every area; ask an administrator";
        let title = "This account may not do that";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-allowed", title).detail(detail));
    }
    let before = out_of(&by.console).await?;
    let here: Result<Serial, _> = by.console.licences.status().serial.parse();
    let typed: Result<Serial, _> = typed.trim().parse();
    if !matches!((here, typed), (Ok(here), Ok(typed)) if here == typed) {
        let title = "This is not the serial number of this appliance";
        let detail = "nothing was done; type the serial number that GET /api/v1/licence shows";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "wrong-serial", title).detail(detail));
    }
    let firmware = Arc::clone(&by.console.firmware);
    let may = tokio::task::spawn_blocking(move || firmware.not_hindered()).await;
    may.map_err(|_| Problem::store(&StoreError::Closed))?.map_err(|error| problem(&error))?;
    Ok(before)
}
