//! The settings by which the guard protects, over the HTTP API: strings,
//! batteries, devices, buses, limits. What is wanted is looked at first: what
//! would differ, in words, and why it could not be in force. The guard checks it
//! again, keeps it with its seal, and goes on with it in its next cycle; while a
//! battery is needed, or has an alarm, it does not.

use super::Answer;
use super::firmware::HindranceOut;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::firmware::preflight::Hindrance;
use crate::guard::{InForce, OrderError};
use crate::guard_settings::changes::{self, Change, Thing};
use crate::guard_settings::{DOCUMENT, hindrances};
use crate::words::{Lang, words};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_core::settings::{GuardSettings, TEXT_MAX};
use fluent_bundle::FluentArgs;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Looks at what the guard has in force after it took something, and the time
/// between two.
const LOOKS: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The settings in force.
#[derive(Serialize, ToSchema)]
pub struct GuardSettingsOut {
    /// Their number, in hexadecimal: the check sum of the text.
    number: String,
    /// The text, TOML.
    text: String,
    /// Why these, the last good ones, are in force and not those of the guard's
    /// file; null: they are those.
    fallback: Option<String>,
    /// What speaks against other ones now; empty: nothing.
    hindrances: Vec<HindranceOut>,
}

/// Settings that are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardSettingsIn {
    /// The whole text, TOML, without a seal.
    text: String,
    /// Number of the settings that were looked at; they must still be in force.
    instead_of: String,
    /// Also while a battery has an alarm: the settings are its cause.
    #[serde(default)]
    despite_alarm: bool,
}

/// Settings to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardSettingsLookIn {
    /// The whole text, TOML, without a seal.
    text: String,
}

/// What would become of settings that are wanted.
#[derive(Serialize, ToSchema)]
pub struct GuardSettingsLookOut {
    /// The number that they would have.
    number: String,
    /// Why they cannot be in force, with the place and what to do; null: they can.
    refused: Option<String>,
    /// What would differ, in words; empty: nothing.
    changes: Vec<String>,
    /// What speaks against them now; empty: nothing.
    hindrances: Vec<HindranceOut>,
}

/// The settings by which the guard protects.
#[utoipa::path(get, path = "/api/v1/guard/settings", tag = "guard", responses(
    (status = 200, body = GuardSettingsOut),
    (status = 503, body = Problem, description = "The guard has not answered yet")))]
pub async fn settings(State(console): State<Arc<Console>>) -> Answer<GuardSettingsOut> {
    out(&console).map(Json)
}

/// Look at settings: what they would change, and whether they could be in force.
#[utoipa::path(post, path = "/api/v1/guard/settings/preview", tag = "guard",
    request_body = GuardSettingsLookIn, responses(
    (status = 200, body = GuardSettingsLookOut),
    (status = 503, body = Problem, description = "The guard has not answered yet")))]
pub async fn preview(
    State(console): State<Arc<Console>>,
    body: Result<Json<GuardSettingsLookIn>, JsonRejection>,
) -> Answer<GuardSettingsLookOut> {
    let Json(GuardSettingsLookIn { text }) = body.map_err(bad_json)?;
    let seen = in_force(&console)?;
    let (changes, refused) = match look(&seen, &text) {
        Ok(changes) => (changes.iter().map(|c| told(Lang::En, c)).collect(), None),
        Err(refused) => (Vec::new(), Some(refused)),
    };
    Ok(Json(GuardSettingsLookOut {
        number: format!("{:08x}", GuardSettings::number(&text)),
        refused,
        changes,
        hindrances: hindrances_of(&console).into_iter().map(out_of).collect(),
    }))
}

/// Have other settings in force. They are kept by the guard, and as a revision
/// that can be restored.
#[utoipa::path(post, path = "/api/v1/guard/settings", tag = "guard",
    request_body = GuardSettingsIn, responses(
    (status = 200, body = GuardSettingsOut),
    (status = 409, body = Problem, description = "Not now, or others came into force meanwhile; \
        the detail says which"),
    (status = 422, body = Problem, description = "Refused; the detail names the place"),
    (status = 503, body = Problem, description = "The guard does not answer")))]
pub async fn put(
    by: By,
    body: Result<Json<GuardSettingsIn>, JsonRejection>,
) -> Answer<GuardSettingsOut> {
    let Json(GuardSettingsIn { text, instead_of, despite_alarm }) = body.map_err(bad_json)?;
    let instead_of = number_of(&instead_of)?;
    change(&by, text, instead_of, despite_alarm).await?;
    out(&by.console).map(Json)
}

/// The number that somebody wrote.
///
/// # Errors
/// When it is none.
pub fn number_of(text: &str) -> Result<u32, Problem> {
    let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
    number.ok_or_else(|| refused("instead_of: eight hexadecimal digits, as they were shown"))
}

/// What is in force, as far as the guard was reached.
///
/// # Errors
/// When it never was.
pub fn in_force(console: &Console) -> Result<Arc<InForce>, Problem> {
    console.hub.guard_settings().ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "no-guard", "The guard has not answered yet").retry_after(2)
    })
}

/// What a text would change.
///
/// # Errors
/// In words, why it cannot be in force.
pub fn look(seen: &InForce, text: &str) -> Result<Vec<Change>, String> {
    if text.len() > TEXT_MAX {
        return Err(format!("settings have at most {TEXT_MAX} bytes"));
    }
    let after = GuardSettings::parse(text).map_err(|error| error.to_string())?;
    // The guard has read what is in force.
    let before = GuardSettings::parse(&seen.text).map_err(|error| error.to_string())?;
    Ok(changes::between(&before, &after))
}

/// What speaks against other settings now.
pub fn hindrances_of(console: &Console) -> Vec<Hindrance> {
    hindrances(console.hub.whole_plant().as_deref(), &console.hub.query("ups"))
}

/// Have other settings in force, for somebody.
///
/// # Errors
/// The [`Problem`]; those in force stay.
pub async fn change(
    by: &By,
    text: String,
    instead_of: u32,
    despite_alarm: bool,
) -> Result<(), Problem> {
    let number = GuardSettings::number(&text);
    let despite = if despite_alarm { ", despite an alarm" } else { "" };
    let order =
        format!("protect by the settings {number:08x} instead of {instead_of:08x}{despite}");
    let done = take(&by.console, text, instead_of, despite_alarm).await;
    let order = match &done {
        Ok(changes) => format!("{order} ({changes} changes)"),
        Err(_) => order,
    };
    by.told(order, done).await.map(drop)
}

/// The same without telling; how many changes there were.
async fn take(
    console: &Arc<Console>,
    text: String,
    instead_of: u32,
    despite_alarm: bool,
) -> Result<usize, Problem> {
    let seen = in_force(console)?;
    let changes = look(&seen, &text).map_err(refused)?;
    permit(console, despite_alarm)?;
    hand_over(console, &seen, text.clone(), instead_of, despite_alarm).await?;
    let kept = console.store.keep_settings(&DOCUMENT, &text);
    kept.done().await.map_err(|e| Problem::store(&e))?;
    Ok(changes.len())
}

/// Nothing speaks against other settings now.
///
/// # Errors
/// What does.
pub fn permit(console: &Console, despite_alarm: bool) -> Result<(), Problem> {
    let mut found = hindrances_of(console);
    found.retain(|hindrance| !(despite_alarm && matches!(hindrance, Hindrance::Alarm { .. })));
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(Problem::new(StatusCode::CONFLICT, "not-now", "The settings are as they were")
        .detail(format!("not now: {}", found.join("; "))))
}

/// Have the guard take them, and see that it did. What was in force before is kept
/// as a revision, whoever had written it.
///
/// # Errors
/// The [`Problem`]; those in force stay.
pub async fn hand_over(
    console: &Arc<Console>,
    seen: &InForce,
    text: String,
    instead_of: u32,
    despite_alarm: bool,
) -> Result<(), Problem> {
    let (store, before) = (Arc::clone(&console.store), seen.text.clone());
    // On its own: nobody who asks for others now wrote these.
    let kept = tokio::spawn(async move { store.keep_settings(&DOCUMENT, &before).done().await });
    kept.await.map_or(Ok(()), |kept| kept).map_err(|e| Problem::store(&e))?;
    let number = GuardSettings::number(&text);
    let done = console.orders.change_settings(text, instead_of, despite_alarm).await;
    done.map_err(|error| problem(&error))?;
    // Its connections ended; it greets anew within a cycle.
    for _ in 0..LOOKS {
        if let Ok(now) = console.orders.settings().await {
            let taken = now.number == number;
            console.hub.set_guard_settings(now);
            if taken {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let title = "The guard took the settings, and has not said since that they are in force";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-guard", title).retry_after(5))
}

fn problem(error: &OrderError) -> Problem {
    match error {
        OrderError::Refused(why) => {
            let title = "The guard refused the settings; those in force stay";
            Problem::new(StatusCode::CONFLICT, "refused", title).detail(why)
        }
        _ => {
            tracing::warn!("settings not taken: {}", chain(error));
            let title = "The guard does not answer; look at which settings are in force";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-guard", title);
            problem.detail(chain(error)).retry_after(5)
        }
    }
}

fn refused(why: impl Into<String>) -> Problem {
    let title = "The settings are as they were";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "guard-settings", title).detail(why)
}

fn out(console: &Console) -> Result<GuardSettingsOut, Problem> {
    let seen = in_force(console)?;
    Ok(GuardSettingsOut {
        number: format!("{:08x}", seen.number),
        text: seen.text.clone(),
        fallback: seen.fallback.clone(),
        hindrances: hindrances_of(console).into_iter().map(out_of).collect(),
    })
}

fn out_of(what: Hindrance) -> HindranceOut {
    HindranceOut { text: what.to_string(), what }
}

/// A change in words.
#[must_use]
pub fn told(lang: Lang, change: &Change) -> String {
    let mut args = FluentArgs::new();
    let message = match change {
        Change::Added(thing) => {
            args.set("what", thing_in(lang, thing));
            "page-change-added"
        }
        Change::Removed(thing) => {
            args.set("what", thing_in(lang, thing));
            "page-change-removed"
        }
        Change::Forgotten(thing) => {
            args.set("what", thing_in(lang, thing));
            "page-change-forgotten"
        }
        Change::Set { thing, field, from, to } => {
            let none = || words().word(lang, "page-change-none");
            args.set("what", thing_in(lang, thing));
            args.set("field", field.clone());
            args.set("from", from.clone().unwrap_or_else(none));
            args.set("to", to.clone().unwrap_or_else(none));
            "page-change-set"
        }
    };
    words().message(lang, message, &args)
}

fn thing_in(lang: Lang, thing: &Thing) -> String {
    let kind = words().word(lang, &format!("page-thing-{}", thing.kind));
    if thing.name.is_empty() { kind } else { format!("{kind} {}", thing.name) }
}
