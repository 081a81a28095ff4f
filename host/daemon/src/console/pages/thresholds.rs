//! The thresholds page (facts/console-ux.md §5 page 15): per quantity and side
//! warning, alarm, hysteresis and delays at one scope, each with where its
//! value comes from; a preview of what they would tell; saving.
//!
//! A form has the rules of one scope, all of them: what is left empty is
//! inherited. Those of other scopes stay as they are, unless somebody changed
//! them meanwhile: then nothing is saved (UX-094).

mod form;
mod preview;
mod rows;

use super::fields::{Fields, Sent};
use super::reader::Reader;
use super::{VERSION, none, urlencoded};
use crate::accounts::rights::{Area, Level};
use crate::alarms::AlarmError;
use crate::console::Console;
use crate::console::api::alarms::{problem, set};
use crate::console::api::off_thread;
use crate::console::by::By;
use crate::console::page;
use crate::console::who::Who;
use crate::words::number::measured;
use crate::words::words;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use evenkeel_core::alarm::threshold::{Scope, ScopeError};
use evenkeel_core::alarm::{Kind, Place, Thresholds};
use fluent_bundle::FluentArgs;
use form::{Entered, entered_of, place_error, read};
use preview::{Told, told};
use rows::{Row, battery_of, effective, row, rows_of};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most scopes that are offered by name.
const OFFERED_MAX: usize = 200;

#[derive(Template)]
#[template(path = "pages/thresholds.html")]
struct ThresholdsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    scope: Scope,
    /// The scope in words.
    scope_text: String,
    /// What is wrong with the scope that was asked for, or with everything.
    problem: String,
    saved: bool,
    offered: Vec<String>,
    elsewhere: Vec<Elsewhere>,
    rows: Vec<Row>,
    seen: String,
    preview: Option<Told>,
}

/// A scope that has rules.
struct Elsewhere {
    scope: String,
    text: String,
    rules: usize,
}

/// Which scope.
#[derive(Deserialize)]
pub struct At {
    #[serde(default)]
    at: String,
    #[serde(default)]
    saved: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(query): Query<At>,
) -> Response {
    let asked = query.at.trim();
    let parsed = if asked.is_empty() { Ok(Scope::System) } else { asked.parse::<Scope>() };
    let (scope, problem) = match parsed {
        Ok(scope) => (scope, String::new()),
        Err(error) => (Scope::System, error.to_string()),
    };
    let thresholds = console.alarms.thresholds();
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let entered = entered_of(&thresholds, &scope);
    let mut page = page_of(&console, &reader, scope, &thresholds, &entered);
    (page.problem, page.saved) = (problem, !query.saved.is_empty());
    reader.show(status, &page)
}

/// What holds for the whole system: quantity, warning, alarm.
pub(super) fn in_force(console: &Console, reader: &Reader) -> Vec<[String; 3]> {
    let (scope, thresholds) = (Scope::System, console.alarms.thresholds());
    let rows = rows_of(console, &scope, &thresholds).into_iter();
    let rows = rows.map(|(quantity, side)| {
        let holds = effective(&thresholds, &scope, None, quantity, side);
        let unit = quantity.unit();
        let level = |level: Option<f64>| match level {
            Some(value) => measured(reader.lang, value, unit),
            None => reader.word("page-off"),
        };
        let title = words().kind(reader.lang, Kind::Limit(quantity, side));
        [title, level(holds.warning.value), level(holds.alarm.value)]
    });
    rows.collect()
}

/// A form was sent: to be looked at, or to be saved.
pub async fn change(by: By, reader: Reader, Sent(mut fields): Sent<Fields>) -> page::Answer {
    let scope: Scope = fields.one("at").parse().map_err(|e: ScopeError| none(e.to_string()))?;
    let act = fields.one("act").to_owned();
    if let Some(row) = act.strip_prefix("inherit ") {
        fields.0.retain(|(name, _)| !name.starts_with(&format!("{row}.")));
    }
    changed(&by, &reader, scope, &fields, act == "save").await
}

async fn changed(
    by: &By,
    reader: &Reader,
    scope: Scope,
    fields: &Fields,
    save: bool,
) -> page::Answer {
    let console = &by.console;
    let before = console.alarms.thresholds();
    let rows = rows_of(console, &scope, &before);
    let (rules, mut entered) = read(reader, &before, &scope, &rows, fields);
    let mut page_problem = String::new();
    let mut preview = None;
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if entered.errors.is_empty() {
        let (alarms, wanted) = (Arc::clone(&console.alarms), rules.clone());
        let found = off_thread(console, move || alarms.preview(wanted)).await?;
        let done = match (found, save) {
            (Ok(_), true) if fields.one("seen") != digest(&before) => {
                status = StatusCode::CONFLICT;
                page_problem = reader.word("page-thresholds-changed");
                None
            }
            (Ok(_), true) => Some(set(by, rules.clone()).await),
            (Ok(found), false) => {
                (preview, status) = (Some(found), StatusCode::OK);
                None
            }
            (Err(error), _) => Some(Err(error)),
        };
        match done {
            Some(Ok(())) => {
                let to = format!("/thresholds?saved=yes&at={}", urlencoded(&scope.to_string()));
                return Ok(Redirect::to(&to).into_response());
            }
            Some(Err(AlarmError::Thresholds(error))) => {
                page_problem = place_error(&rules, &scope, &error, &mut entered);
            }
            Some(Err(error)) => return Err(problem(&error).into()),
            None => {}
        }
    }
    let mut page = page_of(console, reader, scope, &before, &entered);
    page.problem = page_problem;
    page.preview = preview.map(|found| told(reader, &found));
    Ok(reader.show(status, &page))
}

fn page_of<'a>(
    console: &Console,
    reader: &'a Reader,
    scope: Scope,
    thresholds: &Thresholds,
    entered: &Entered,
) -> ThresholdsPage<'a> {
    let rest = thresholds.rules().iter().filter(|rule| rule.at != scope).cloned().collect();
    // Rules that were good are good without some of them, but for what a place
    // inherits; then nothing is said about inheritance rather than anything wrong.
    let inherited = Thresholds::new(rest).unwrap_or_default();
    let rows = rows_of(console, &scope, thresholds);
    let battery = battery_of(console, &scope);
    let rows = rows.into_iter().map(|(quantity, side)| {
        let of = |rules: &Thresholds| effective(rules, &scope, battery.as_deref(), quantity, side);
        row(reader, &scope, (quantity, side), &of(thresholds), &of(&inherited), entered)
    });
    ThresholdsPage {
        version: &VERSION,
        who: reader.who(Area::Alarms, Level::Configure),
        scope_text: said(reader, &scope),
        problem: String::new(),
        saved: false,
        offered: offered(console, thresholds),
        elsewhere: elsewhere(reader, thresholds, &scope),
        rows: rows.collect(),
        seen: digest(thresholds),
        preview: None,
        scope,
    }
}

/// Scopes by name, for the field in which one is chosen.
fn offered(console: &Console, thresholds: &Thresholds) -> Vec<String> {
    let mut all = BTreeSet::from([Scope::System]);
    let batteries = console.hub.batteries();
    all.extend(batteries.iter().flatten().map(|(name, _)| Scope::Type(name.clone())));
    let strings = (1..=batteries.len()).filter_map(|n| u16::try_from(n).ok());
    all.extend(strings.map(|n| Scope::Place(Place::String(n))));
    all.extend(thresholds.rules().iter().map(|rule| rule.at.clone()));
    all.iter().take(OFFERED_MAX).map(Scope::to_string).collect()
}

fn elsewhere(reader: &Reader, thresholds: &Thresholds, here: &Scope) -> Vec<Elsewhere> {
    let mut scopes: BTreeMap<&Scope, usize> = BTreeMap::new();
    for rule in thresholds.rules().iter().filter(|rule| rule.at != *here) {
        *scopes.entry(&rule.at).or_default() += 1;
    }
    let one = |(scope, rules): (&Scope, usize)| Elsewhere {
        scope: urlencoded(&scope.to_string()),
        text: said(reader, scope),
        rules,
    };
    scopes.into_iter().map(one).collect()
}

/// A scope in words.
fn said(reader: &Reader, scope: &Scope) -> String {
    match scope {
        Scope::System => reader.word("page-whole-system"),
        Scope::Type(name) => {
            let mut args = FluentArgs::new();
            args.set("name", name.as_str());
            reader.say("page-battery-type", &args)
        }
        Scope::Place(place) => words().place(reader.lang, place),
    }
}

/// Names what somebody saw: other thresholds have another one.
fn digest(thresholds: &Thresholds) -> String {
    let hash = Sha256::digest(thresholds.to_toml());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
