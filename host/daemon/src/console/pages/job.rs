//! A job as a form: what starts it, when it is done, what it does, and what is
//! done when it is over. Which fields an action needs depends on the action:
//! choosing another shows the form anew ([`super::params`]). A dry run of the
//! form goes through a scripted outage, and does nothing.

use super::edit::{self, Errors};
use super::fields::{Fields, Sent};
use super::params::{self, ACTIONS, Group};
use super::reader::Reader;
use super::rehearsal::{Found, outage, rehearsed};
use super::{VERSION, automation, none};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::by::By;
use crate::console::page;
use crate::console::who::Who;
use crate::words::words;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::automation::Document;
use evenkeel_core::jobs::{Action, Job, Pattern, Repeat, When};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prefixes of the fields of the action and of its undoing.
const ACTION: &str = "action.";
const UNDO: &str = "undo.";

#[derive(Template)]
#[template(path = "pages/job.html")]
struct JobPage<'a> {
    version: &'a str,
    who: Who<'a>,
    fields: Fields,
    seen: String,
    errors: Errors,
    kinds: Vec<(String, String, bool)>,
    categories: Vec<(String, String, bool)>,
    severities: Vec<(String, String, bool)>,
    actions: Vec<(String, String, bool)>,
    undos: Vec<(String, String, bool)>,
    action: Group,
    undo: Group,
    /// What a dry run found.
    found: Option<Found>,
}

/// Which job.
#[derive(Deserialize)]
pub struct NamedJob {
    #[serde(default)]
    name: String,
    /// A new one for this entry of the calendar.
    #[serde(default)]
    entry: String,
    /// A new one for this rule.
    #[serde(default)]
    rule: String,
}

/// The form.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(named): Query<NamedJob>,
) -> page::Answer {
    let (document, seen) = automation::present(&console);
    let found = document.job.iter().find(|job| job.name == named.name);
    let mut fields = match (found, named.name.as_str()) {
        (Some(job), _) => of_job(job),
        (None, "") => Fields::default(),
        (None, name) => return Err(none(format!("there is no job {name:?}")).into()),
    };
    for (kind, field, value) in
        [("schedule_due", "entry", &named.entry), ("rule_raised", "rule", &named.rule)]
    {
        if found.is_none() && !value.is_empty() {
            fields.set("kind", kind);
            fields.set("fields", format!("{field} = {value}"));
        }
    }
    Ok(reader.show(StatusCode::OK, &page_of(&reader, fields, seen, Errors::default())))
}

/// The form was sent.
pub async fn change(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let (mut document, _) = automation::present(&by.console);
    let seen = sent.one("seen").to_owned();
    let mut errors = Errors::default();
    match sent.one("act") {
        "choose" => {
            let page = page_of(&reader, sent, seen, errors);
            return Ok(reader.show(StatusCode::OK, &page));
        }
        "remove" => document.job.retain(|job| job.name != sent.one("was")),
        _ => put_job(&reader, &sent, &mut document, &mut errors),
    }
    let dry = sent.one("act") == "try";
    let mut rehearsal = None;
    if errors.is_empty() && dry {
        edit::confirm(&mut document, &sent);
        // To look at what may hurt hurts nobody.
        let dangers = document.dangers().into_iter().map(|danger| danger.name);
        document.confirm = dangers.collect();
        let script = outage(&by.console);
        match rehearsed(&by.console, reader.lang, Some(document), &script).await? {
            Ok(found) => rehearsal = Some(found),
            Err(wrong) => errors.whole = wrong,
        }
    } else if errors.is_empty() {
        errors = edit::put((&by, &reader), document, &sent, "").await;
        if errors.is_empty() {
            return Ok(Redirect::to("/automation?saved=yes").into_response());
        }
    }
    let page = JobPage { found: rehearsal, ..page_of(&reader, sent, seen, errors) };
    Ok(reader.show(page.errors.status(), &page))
}

/// Put the job of a form into a document, in its place or at the end.
fn put_job(reader: &Reader, sent: &Fields, document: &mut Document, errors: &mut Errors) {
    let taken = document.job.iter().map(|job| job.name.clone());
    let name = edit::name(reader, sent, taken, errors);
    let when = When {
        kind: Some(sent.one("kind").to_owned()).filter(|kind| !kind.is_empty()),
        category: word(sent.one("category")),
        severity: word(sent.one("severity")),
        fields: read(reader, sent.one("fields"), errors),
    };
    if when.kind.is_none() && when.category.is_none() && when.severity.is_none() {
        errors.fields.insert("kind".to_owned(), reader.word("page-when-wanted"));
    }
    let times: Option<u16> = edit::whole(reader, sent, "times", errors);
    let every_s: Option<u32> = edit::whole(reader, sent, "every_s", errors);
    let repeat = match (times, every_s) {
        (Some(times), Some(every_s)) => Some(Repeat { times, every_s }),
        (None, None) => None,
        (None, _) | (_, None) => {
            let missing = if times.is_none() { "times" } else { "every_s" };
            errors.fields.insert(missing.to_owned(), reader.word("page-needed"));
            None
        }
    };
    let delay_s = edit::whole(reader, sent, "delay_s", errors).unwrap_or(0);
    let coalesce_s = edit::whole(reader, sent, "coalesce_s", errors).unwrap_or(0);
    let action = action(reader, sent, ACTION, errors);
    let has_undo = !sent.one("undo.do").is_empty();
    let undo = if has_undo { action_of_undo(reader, sent, errors) } else { None };
    let Some(action) = action.filter(|_| errors.is_empty()) else { return };
    let only_if_still_true = sent.ticked("still");
    let job = Job { name, when, delay_s, repeat, only_if_still_true, coalesce_s, action, undo };
    let place = document.job.iter().position(|other| other.name == sent.one("was"));
    match place.and_then(|at| document.job.get_mut(at)) {
        Some(other) => *other = job,
        None => document.job.push(job),
    }
}

fn action_of_undo(reader: &Reader, sent: &Fields, errors: &mut Errors) -> Option<Action> {
    action(reader, sent, UNDO, errors)
}

fn action(reader: &Reader, sent: &Fields, prefix: &str, errors: &mut Errors) -> Option<Action> {
    let value = params::read(reader, ACTIONS, ("do", prefix), sent, &mut errors.fields);
    if sent.one(&format!("{prefix}do")).is_empty() {
        errors.fields.insert(format!("{prefix}do"), reader.word("page-needed"));
        return None;
    }
    if errors.fields.keys().any(|name| name.starts_with(prefix)) {
        return None;
    }
    serde_json::from_value(value)
        .map_err(|e| errors.fields.insert(format!("{prefix}do"), e.to_string()))
        .ok()
}

/// The form of a job.
fn of_job(job: &Job) -> Fields {
    let mut fields = Fields::default();
    fields.set("name", job.name.as_str());
    fields.set("was", job.name.as_str());
    fields.set("kind", job.when.kind.clone().unwrap_or_default());
    let lower = |text: String| text.to_lowercase();
    fields.set("category", job.when.category.map(|c| lower(format!("{c:?}"))).unwrap_or_default());
    fields.set("severity", job.when.severity.map(|s| lower(format!("{s:?}"))).unwrap_or_default());
    fields.set("fields", written(&job.when.fields));
    let mut number = |name: &str, value: u32| {
        if value > 0 {
            fields.set(name, value.to_string());
        }
    };
    number("delay_s", job.delay_s);
    number("coalesce_s", job.coalesce_s);
    number("times", job.repeat.map_or(0, |repeat| repeat.times.into()));
    number("every_s", job.repeat.map_or(0, |repeat| repeat.every_s));
    if job.only_if_still_true {
        fields.set("still", "yes");
    }
    for (action, prefix) in [(Some(&job.action), ACTION), (job.undo.as_ref(), UNDO)] {
        // Actions are plain tables: there is nothing that JSON cannot say.
        let value = action.and_then(|action| serde_json::to_value(action).ok());
        params::write(&value.unwrap_or_default(), prefix, &mut fields);
    }
    fields
}

fn page_of<'a>(reader: &'a Reader, fields: Fields, seen: String, errors: Errors) -> JobPage<'a> {
    let kind = fields.one("kind");
    let mut kinds: Vec<(String, String, bool)> = words()
        .event_kinds()
        .into_iter()
        .map(|name| (name.clone(), said(reader, &name), name == kind))
        .collect();
    // Newer firmware has newer events.
    if !kind.is_empty() && !kinds.iter().any(|(name, ..)| name == kind) {
        kinds.push((kind.to_owned(), kind.to_owned(), true));
    }
    let some = |words: &[&str], message: &str, chosen: &str| {
        let one = |word: &&str| {
            ((*word).to_owned(), reader.word(&format!("{message}{word}")), *word == chosen)
        };
        words.iter().map(one).collect()
    };
    let group = |prefix: &str| {
        let chosen = fields.one(&format!("{prefix}do")).to_owned();
        let group = params::group(reader, ACTIONS, &chosen, prefix, &fields, &errors.fields);
        (params::choices(reader, ACTIONS, &chosen), group)
    };
    let ((actions, action), (undos, undo)) = (group(ACTION), group(UNDO));
    let categories = ["battery", "ups", "plugin", "system", "access"];
    JobPage {
        version: &VERSION,
        who: reader.who(Area::Automation, Level::Configure),
        categories: some(&categories, "page-category-", fields.one("category")),
        severities: some(&["info", "warning", "alarm"], "level-", fields.one("severity")),
        kinds,
        actions,
        undos,
        action,
        undo,
        seen,
        errors,
        found: None,
        fields,
    }
}

/// A kind of events, and what it says.
fn said(reader: &Reader, kind: &str) -> String {
    let name = format!("event-{}", kind.replace('_', "-"));
    let text = reader.word(&name);
    if text == name { kind.to_owned() } else { format!("{kind}: {text}") }
}

fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

/// Fields of an event, one `name = value` a line; several values with commas.
fn read(reader: &Reader, text: &str, errors: &mut Errors) -> BTreeMap<String, Pattern> {
    let one = |text: &str| {
        let text = text.trim();
        match (text.parse::<i64>(), text.parse::<bool>()) {
            (Ok(number), _) => Pattern::Number(number),
            (_, Ok(flag)) => Pattern::Flag(flag),
            _ => Pattern::Text(text.trim_matches('"').to_owned()),
        }
    };
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.trim().is_empty())
        else {
            errors.fields.insert("fields".to_owned(), reader.word("page-fields-wanted"));
            continue;
        };
        let mut values: Vec<Pattern> = value.split(',').map(one).collect();
        let pattern = if values.len() == 1 { values.remove(0) } else { Pattern::Any(values) };
        all.insert(name.trim().to_owned(), pattern);
    }
    all
}

/// The same back.
pub fn written(fields: &BTreeMap<String, Pattern>) -> String {
    fn one(pattern: &Pattern) -> String {
        match pattern {
            Pattern::Number(number) => number.to_string(),
            Pattern::Flag(flag) => flag.to_string(),
            Pattern::Text(text) => text.clone(),
            Pattern::Any(many) => many.iter().map(one).collect::<Vec<_>>().join(", "),
        }
    }
    let lines = fields.iter().map(|(name, pattern)| format!("{name} = {}", one(pattern)));
    lines.collect::<Vec<_>>().join("\n")
}

impl JobPage<'_> {
    fn is_new(&self) -> bool {
        self.fields.one("was").is_empty()
    }
}
