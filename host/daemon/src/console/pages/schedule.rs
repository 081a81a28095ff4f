//! The calendar (facts/console-ux.md §5 page 17): what is due when, in local
//! time, with the next runs; the time zone; and a form for each entry. An entry
//! only says that something is due: jobs say what is done then.

use super::edit::{self, Errors};
use super::fields::{Fields, Sent};
use super::params::{self, Group, RHYTHMS};
use super::reader::Reader;
use super::{Done, Named, VERSION, automation, none};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::off_thread;
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::jobs;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use evenkeel_core::automation::Document;
use evenkeel_core::jobs::Pattern;
use evenkeel_core::schedule::{Entry, Missed, Rhythm, Zone};
use fluent_bundle::FluentArgs;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/schedule.html")]
struct SchedulePage<'a> {
    version: &'a str,
    who: Who<'a>,
    zone: String,
    now: String,
    entries: Vec<Row>,
    seen: String,
    problem: String,
    saved: bool,
}

/// An entry as the list shows it.
struct Row {
    name: String,
    rhythm: String,
    next: Vec<String>,
    missed: String,
    /// The jobs that it starts.
    jobs: String,
}

#[derive(Template)]
#[template(path = "pages/entry.html")]
struct EntryPage<'a> {
    version: &'a str,
    who: Who<'a>,
    fields: Fields,
    zone: String,
    seen: String,
    errors: Errors,
    rhythms: Vec<(String, String, bool)>,
    rhythm: Group,
    /// The next runs of what was entered.
    next: Vec<String>,
}

/// The calendar.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(done): Query<Done>,
) -> page::Answer {
    let page = SchedulePage { saved: done.saved(), ..page_of(&console, &reader).await? };
    Ok(reader.show(StatusCode::OK, &page))
}

/// Another time zone was sent.
pub async fn change(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let (mut document, _) = automation::present(&by.console);
    document.zone = sent.one("zone").to_owned();
    let errors = edit::put((&by, &reader), document, &sent, "").await;
    if errors.is_empty() {
        return Ok(Redirect::to("/schedule?saved=yes").into_response());
    }
    let (zone, page) = (sent.one("zone").to_owned(), page_of(&by.console, &reader).await?);
    let page = SchedulePage { problem: errors.whole, zone, ..page };
    Ok(reader.show(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// The form of an entry.
pub async fn entry(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Named { name }): Query<Named>,
) -> page::Answer {
    let (document, seen) = automation::present(&console);
    let found = document.schedule.iter().find(|entry| entry.name == name);
    let fields = match (found, name.as_str()) {
        (Some(entry), _) => of_entry(entry),
        (None, "") => Fields(vec![
            ("when.every".into(), "week".into()),
            ("when.at".into(), "03:00".into()),
            ("when.weekdays".into(), "sun".into()),
        ]),
        (None, name) => return Err(none(format!("there is no entry {name:?}")).into()),
    };
    let next = found.map(|entry| upcoming(&document.zone, entry)).unwrap_or_default();
    let page = entry_page(&reader, fields, (document.zone, seen), Errors::default(), next);
    Ok(reader.show(StatusCode::OK, &page))
}

/// The form of an entry was sent.
pub async fn change_entry(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> Response {
    let (mut document, _) = automation::present(&by.console);
    let (zone, seen) = (document.zone.clone(), sent.one("seen").to_owned());
    let mut errors = Errors::default();
    let mut next = Vec::new();
    let act = sent.one("act").to_owned();
    match act.as_str() {
        "choose" => {}
        "remove" => document.schedule.retain(|entry| entry.name != sent.one("was")),
        _ => {
            if let Some(entry) = put_entry(&reader, &sent, &mut document, &mut errors) {
                next = upcoming(&zone, &entry);
            }
        }
    }
    if errors.is_empty() && matches!(act.as_str(), "save" | "remove") {
        errors = edit::put((&by, &reader), document, &sent, "").await;
        if errors.is_empty() {
            return Redirect::to("/schedule?saved=yes").into_response();
        }
    }
    let page = entry_page(&reader, sent, (zone, seen), errors, next);
    reader.show(page.errors.status(), &page)
}

/// Put the entry of a form into a document, in its place or at the end.
fn put_entry(
    reader: &Reader,
    sent: &Fields,
    document: &mut Document,
    errors: &mut Errors,
) -> Option<Entry> {
    let taken = document.schedule.iter().map(|entry| entry.name.clone());
    let name = edit::name(reader, sent, taken, errors);
    let when = params::read(reader, RHYTHMS, ("every", "when."), sent, &mut errors.fields);
    let missed = match sent.one("missed") {
        "within_hours" => {
            let hours: Option<u16> = edit::whole(reader, sent, "hours", errors);
            if hours.is_none() && sent.one("hours").is_empty() {
                errors.fields.insert("hours".to_owned(), reader.word("page-needed"));
            }
            json!({ "within_hours": hours })
        }
        "run_once" => json!("run_once"),
        _ => json!("skip"),
    };
    if !errors.is_empty() {
        return None;
    }
    let mut entry = json!({"name": name, "when": when, "missed": missed});
    for date in ["from", "until"] {
        if !sent.one(date).is_empty() {
            entry[date] = Value::from(sent.one(date));
        }
    }
    let entry: Entry = match serde_json::from_value(entry) {
        Ok(entry) => entry,
        Err(wrong) => {
            errors.whole = wrong.to_string();
            return None;
        }
    };
    if let Err(wrong) = entry.check() {
        errors.whole = wrong.problem;
        return None;
    }
    let place = document.schedule.iter().position(|other| other.name == sent.one("was"));
    match place.and_then(|at| document.schedule.get_mut(at)) {
        Some(other) => *other = entry.clone(),
        None => document.schedule.push(entry.clone()),
    }
    Some(entry)
}

fn of_entry(entry: &Entry) -> Fields {
    let mut fields = Fields::default();
    fields.set("name", entry.name.as_str());
    fields.set("was", entry.name.as_str());
    // Plain tables: there is nothing in them that JSON cannot say.
    let value = serde_json::to_value(entry).unwrap_or_default();
    params::write(&value["when"], "when.", &mut fields);
    for date in ["from", "until"] {
        fields.set(date, value[date].as_str().unwrap_or_default());
    }
    match entry.missed {
        Missed::Skip => fields.set("missed", "skip"),
        Missed::RunOnce => fields.set("missed", "run_once"),
        Missed::WithinHours(hours) => {
            fields.set("missed", "within_hours");
            fields.set("hours", hours.to_string());
        }
    }
    fields
}

fn entry_page<'a>(
    reader: &'a Reader,
    fields: Fields,
    (zone, seen): (String, String),
    errors: Errors,
    next: Vec<String>,
) -> EntryPage<'a> {
    let chosen = fields.one("when.every").to_owned();
    EntryPage {
        version: &VERSION,
        who: reader.who(Area::Automation, Level::Configure),
        rhythms: params::choices(reader, RHYTHMS, &chosen),
        rhythm: params::group(reader, RHYTHMS, &chosen, "when.", &fields, &errors.fields),
        fields,
        zone,
        seen,
        errors,
        next,
    }
}

async fn page_of<'a>(
    console: &Arc<Console>,
    reader: &'a Reader,
) -> Result<SchedulePage<'a>, Problem> {
    let (document, seen) = automation::present(console);
    let read = move || {
        let next: Vec<Vec<String>> =
            document.schedule.iter().map(|entry| upcoming(&document.zone, entry)).collect();
        (document, next)
    };
    let (document, next) = off_thread(console, read).await?;
    let entries = document.schedule.iter().zip(next);
    let entries = entries.map(|(entry, next)| Row {
        name: entry.name.clone(),
        rhythm: said(reader, &entry.when),
        next,
        missed: missed(reader, entry.missed),
        jobs: started(&document, &entry.name),
    });
    Ok(SchedulePage {
        version: &VERSION,
        who: reader.who(Area::Automation, Level::Configure),
        now: jobs::Named::find(&document.zone)
            .map_or_else(|wrong| wrong, |zone| local(&zone, (clock::unix_ms() / 1_000) as i64)),
        entries: entries.collect(),
        zone: document.zone.clone(),
        seen,
        problem: String::new(),
        saved: false,
    })
}

/// The jobs that an entry starts.
fn started(document: &Document, entry: &str) -> String {
    let named = |pattern: &Pattern| matches!(pattern, Pattern::Text(text) if text == entry);
    let jobs = document.job.iter().filter(|job| {
        job.when.kind.as_deref() == Some("schedule_due")
            && job.when.fields.get("entry").is_none_or(named)
    });
    jobs.map(|job| job.name.clone()).collect::<Vec<_>>().join(", ")
}

/// The next runs, in local time.
fn upcoming(zone: &str, entry: &Entry) -> Vec<String> {
    const RUNS: usize = 5;
    // A document in force has a zone that there is.
    let Ok(found) = jobs::Named::find(zone) else { return Vec::new() };
    let now = (clock::unix_ms() / 1_000) as i64;
    entry.upcoming(now, RUNS, &found).into_iter().map(|unix_s| local(&found, unix_s)).collect()
}

/// An instant as a clock on the wall shows it: `2026-11-22 03:00`.
fn local(zone: &impl Zone, unix_s: i64) -> String {
    let wall_s = unix_s.saturating_add(zone.offset_s(unix_s).into());
    let text = clock::utc(u64::try_from(wall_s).unwrap_or(0).saturating_mul(1_000));
    text.get(..16).unwrap_or_default().to_owned()
}

/// A rhythm in words.
fn said(reader: &Reader, rhythm: &Rhythm) -> String {
    let value = serde_json::to_value(rhythm).unwrap_or_default();
    let mut args = FluentArgs::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::Array(days) => {
                let days = days.iter().filter_map(Value::as_str);
                days.map(|day| reader.word(&format!("page-word-{day}")))
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            Value::String(text) if name == "weekday" => reader.word(&format!("page-word-{text}")),
            Value::String(text) => text.clone(),
            other => {
                args.set(name.clone(), other.as_f64().unwrap_or_default());
                continue;
            }
        };
        args.set(name.clone(), text);
    }
    if value.get("window").is_none() {
        args.set("window", "");
    }
    let every = value["every"].as_str().unwrap_or_default();
    reader.say(&format!("page-rhythm-{every}"), &args)
}

fn missed(reader: &Reader, missed: Missed) -> String {
    let mut args = FluentArgs::new();
    let name = match missed {
        Missed::Skip => "page-missed-skip",
        Missed::RunOnce => "page-missed-run-once",
        Missed::WithinHours(hours) => {
            args.set("hours", f64::from(hours));
            "page-missed-within"
        }
    };
    reader.say(name, &args)
}
