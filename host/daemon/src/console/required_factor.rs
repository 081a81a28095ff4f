//! Which roles require a second factor (facts/appliance-security.md SEC-007): over
//! the HTTP API and on the accounts page.
//!
//! Who has such a role and no factor is led to turn one on after a right password,
//! and may do nothing else until it is on ([`super::gate`]); it cannot be turned
//! off then ([`super::second_factor`]). It holds at once, in sessions that were
//! begun and their streams too.

use super::Console;
use super::access::bad_json;
use super::api::accounts::acts::problem;
use super::by::By;
use super::problem::Problem;
use crate::accounts::required::Required;
use crate::caps::one_line;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// The roles that require a second factor.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequiredFactorOut {
    /// Their names.
    pub roles: BTreeSet<String>,
}

/// The roles that shall require a second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredFactorIn {
    /// Their names; none: everybody may have one, and nobody must.
    pub roles: BTreeSet<String>,
}

/// The roles that require a second factor of the local users who have them.
#[utoipa::path(get, path = "/api/v1/second-factor/required", tag = "access",
    responses((status = 200, body = RequiredFactorOut)))]
pub async fn get(State(console): State<Arc<Console>>) -> Json<RequiredFactorOut> {
    Json(present(&console))
}

/// Require a second factor of the local users with these roles, and of no others.
/// Who has none turns one on after the next right password, and is let nowhere else
/// before. Accounts that are kept elsewhere and tokens are not meant.
#[utoipa::path(post, path = "/api/v1/second-factor/required", request_body = RequiredFactorIn,
    tag = "access", responses((status = 200, body = RequiredFactorOut),
    (status = 409, body = Problem, description = "Refused; the detail says why: who asks for it \
        has such a role and no second factor, a role may more than they, or does not exist")))]
pub async fn put(
    by: By,
    body: Result<Json<RequiredFactorIn>, JsonRejection>,
) -> Result<Json<RequiredFactorOut>, Problem> {
    let Json(RequiredFactorIn { roles }) = body.map_err(bad_json)?;
    require(&by, roles).await?;
    Ok(Json(present(&by.console)))
}

/// Have it so, and tell it.
///
/// # Errors
/// Why it is as it was.
pub(super) async fn require(by: &By, roles: BTreeSet<String>) -> Result<(), Problem> {
    let names = roles.iter().cloned().collect::<Vec<_>>().join(", ");
    let order = match roles.is_empty() {
        true => "require a second factor of nobody".to_owned(),
        false => format!("require a second factor for the roles {}", one_line(&names, 200)),
    };
    let wanted = Required { roles };
    let done = by.console.accounts.require(wanted, &by.caller.rights, own(by)).await;
    by.told(order, done.map_err(|error| problem(&error))).await
}

/// Whether this person may have it so.
///
/// # Errors
/// Why not.
pub(super) fn check(by: &By, wanted: &Required) -> Result<(), Problem> {
    let done = by.console.accounts.check_required(wanted, &by.caller.rights, own(by));
    done.map_err(|error| problem(&error))
}

fn present(console: &Console) -> RequiredFactorOut {
    RequiredFactorOut { roles: console.accounts.required().roles.clone() }
}

/// The account of whoever asks for it, if it is kept here.
fn own(by: &By) -> Option<&str> {
    let account = &by.caller.account;
    account.via.is_none().then_some(account.user.as_str())
}
