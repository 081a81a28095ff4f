//! The alarms page: worst first, with what to do, and forms to acknowledge,
//! shelve and reset. A plain page that needs no script (UX-086), in the
//! language that the browser asks for or the address says.
//!
//! A form becomes the same request as the API's; nothing can be done here that
//! cannot be done there.

use super::api::alarms::{ActIn, perform, unknown_language};
use super::by::By;
use super::page::{self, VERSION, render};
use super::pages::fields::Sent;
use super::pages::reader::preferred;
use super::problem::Problem;
use super::session::Caller;
use super::who::Who;
use super::{Console, clock};
use crate::accounts::rights::{Area, Level};
use crate::alarms::Shown;
use crate::words::{AlarmWords, Lang, words};
use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::alarm::Alarm;
use evenkeel_core::alarm::book::State as AlarmState;
use evenkeel_core::events::Severity;
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use std::sync::Arc;

/// Longest time on the shelf that the form offers, h.
const HOURS_MAX: u64 = 24;
/// Most places of one alarm that the page lists.
const PLACES_MAX: usize = 1_024;

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    lang: Lang,
    may_act: bool,
    full: bool,
    unkept: bool,
    rows: Vec<Row>,
}

/// An alarm as the page shows it.
struct Row {
    id: u64,
    round: u32,
    status: &'static str,
    level: String,
    said: AlarmWords,
    since: String,
    /// Who acknowledged or shelved it, and their words.
    remarks: Vec<String>,
    /// How many places, in words; empty for one.
    count: String,
    places: Vec<String>,
    can_acknowledge: bool,
    can_shelve: bool,
    can_unshelve: bool,
    can_reset: bool,
}

/// In which language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LangQuery {
    lang: Option<String>,
}

/// A form of the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActForm {
    action: String,
    round: u32,
    #[serde(default)]
    note: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    hours: u64,
    #[serde(default)]
    lang: String,
}

/// The alarms.
pub async fn alarms(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Query(query): Query<LangQuery>,
) -> page::Answer {
    let lang = match &query.lang {
        Some(tag) => tag.parse().map_err(|()| unknown_language(tag))?,
        None => preferred(&headers),
    };
    let (alarms, full, unkept) = console.alarms.shown();
    let who = Who::of(&caller, Area::Alarms, Level::Operate).in_language(lang);
    let page = AlarmsPage {
        version: &VERSION,
        who,
        lang,
        may_act: who.may_act,
        full,
        unkept: unkept.is_some(),
        rows: alarms.iter().map(|shown| Row::of(lang, shown)).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}

/// A form was sent.
pub async fn act(
    by: By,
    path: Result<Path<u64>, PathRejection>,
    Sent(form): Sent<ActForm>,
) -> page::Answer {
    let Path(id) = path.map_err(|e| Problem::bad_request(e.body_text()))?;
    let seconds = form.hours.min(HOURS_MAX) * 3_600;
    let (round, note, reason) = (Some(form.round), form.note, form.reason);
    let wish = ActIn { round, note, reason, seconds };
    perform(&by, id, &form.action, wish).await?;
    // What is no tag of ours is not carried on.
    let to = match form.lang.parse::<Lang>() {
        Ok(lang) => format!("/alarms?lang={}", lang.tag()),
        Err(()) => "/alarms".to_owned(),
    };
    Ok(Redirect::to(&to).into_response())
}

impl AlarmsPage<'_> {
    fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    fn languages(&self) -> [Lang; Lang::ALL.len()] {
        Lang::ALL
    }
}

impl Row {
    fn of(lang: Lang, shown: &Shown) -> Self {
        let (alarm, words) = (&shown.alarm, words());
        let state = alarm.state();
        let places = alarm.members.keys().take(PLACES_MAX);
        let (status, level) = match alarm.severity {
            Severity::Alarm => ("alarm", "level-alarm"),
            Severity::Warning => ("warning", "level-warning"),
            Severity::Info => ("unknown", "level-info"),
        };
        let active = matches!(state, AlarmState::Raised | AlarmState::Acknowledged);
        let aside = state == AlarmState::Shelved;
        Self {
            id: alarm.id,
            round: alarm.round,
            status,
            level: words.word(lang, level),
            said: words.alarm(lang, alarm),
            since: clock::utc(alarm.raised_ms),
            remarks: remarks(lang, alarm),
            count: count(lang, alarm.members.len()),
            places: places.map(|place| words.place(lang, place)).collect(),
            can_acknowledge: alarm.acknowledged.is_none() && !aside,
            can_shelve: active && !alarm.kind.is_safety(),
            can_unshelve: aside,
            can_reset: state == AlarmState::Latched,
        }
    }
}

fn remarks(lang: Lang, alarm: &Alarm) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |name: &str, args: FluentArgs<'_>, note: &str| {
        let said = words().message(lang, name, &args);
        let colon = if note.trim().is_empty() { "" } else { ": " };
        remarks.push(format!("{said}{colon}{note}"));
    };
    if let Some(mark) = &alarm.acknowledged {
        let mut args = FluentArgs::new();
        args.set("user", mark.user.as_str());
        args.set("unix_ms", mark.unix_ms as f64);
        remark("page-acknowledged-by", args, &mark.note);
    }
    if let Some(shelf) = &alarm.shelf {
        let mut args = FluentArgs::new();
        args.set("user", shelf.by.user.as_str());
        args.set("until_ms", shelf.until_ms as f64);
        remark("page-shelved-by", args, &shelf.by.note);
    }
    if alarm.flapping {
        remark("page-flapping", FluentArgs::new(), "");
    }
    remarks
}

fn count(lang: Lang, members: usize) -> String {
    if members < 2 {
        return String::new();
    }
    let mut args = FluentArgs::new();
    args.set("count", members as f64);
    words().message(lang, "page-members", &args)
}
