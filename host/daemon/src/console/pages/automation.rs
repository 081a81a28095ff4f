//! Rules and jobs (facts/console-ux.md §5 page 16): what there is and how it is
//! doing, with a form for each; the whole document for who prefers a text.

use super::edit::digest;
use super::fields::Sent;
use super::reader::Reader;
use super::{Done, VERSION};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::automation::{AutomationIn, accept};
use crate::console::api::off_thread;
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::jobs::status::{JobStatus, Status};
use crate::words::number::span;
use crate::words::words;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::automation::Document;
use evenkeel_core::jobs::Job;
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/automation.html")]
struct AutomationPage<'a> {
    version: &'a str,
    who: Who<'a>,
    status: Status,
    jobs: Vec<JobRow>,
    toml: String,
    /// The document as it was sent and refused, and why; empty: it was not.
    problem: String,
    saved: bool,
}

/// A job as the list shows it.
struct JobRow {
    name: String,
    /// What starts it.
    when: String,
    /// Delay, repetition and the like.
    timing: String,
    action: String,
    undo: String,
    pending: usize,
    last: Option<(bool, String, String)>,
}

/// The document, changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    toml: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(done): Query<Done>,
) -> page::Answer {
    let page = AutomationPage { saved: done.saved(), ..page_of(&console, &reader).await? };
    Ok(reader.show(StatusCode::OK, &page))
}

/// The whole document was sent.
pub async fn change(by: By, reader: Reader, Sent(Changed { toml }): Sent<Changed>) -> page::Answer {
    // Browsers end lines as mail does.
    let toml = toml.replace("\r\n", "\n");
    let Err(refused) = accept(&by, AutomationIn::toml(toml.clone())).await else {
        return Ok(Redirect::to("/automation?saved=yes").into_response());
    };
    let page = page_of(&by.console, &reader).await?;
    let page = AutomationPage { toml, problem: refused.text(), ..page };
    Ok(reader.show(refused.status(), &page))
}

async fn page_of<'a>(
    console: &Arc<Console>,
    reader: &'a Reader,
) -> Result<AutomationPage<'a>, Problem> {
    let automation = Arc::clone(&console.automation);
    let read = move || (automation.status(), automation.document(), automation.text());
    let (status, document, toml) = off_thread(console, read).await?;
    let jobs = document.job.iter().zip(&status.jobs);
    Ok(AutomationPage {
        version: &VERSION,
        who: reader.who(Area::Automation, Level::Configure),
        jobs: jobs.map(|(job, status)| JobRow::of(reader, job, status)).collect(),
        status,
        toml,
        problem: String::new(),
        saved: false,
    })
}

impl JobRow {
    fn of(reader: &Reader, job: &Job, status: &JobStatus) -> Self {
        let (last, undo) = (status.last.as_ref(), job.undo.as_ref());
        Self {
            name: job.name.clone(),
            when: starts(reader, job),
            timing: timing(reader, job),
            action: words().action(reader.lang, &job.action),
            undo: undo.map(|undo| words().action(reader.lang, undo)).unwrap_or_default(),
            pending: status.pending,
            last: last.map(|last| {
                let text = words().event(reader.lang, &last.event);
                (last.failed, text, clock::utc(last.unix_ms))
            }),
        }
    }
}

/// Which events start a job, in words.
fn starts(reader: &Reader, job: &Job) -> String {
    let mut parts = Vec::new();
    if let Some(kind) = &job.when.kind {
        parts.push(kind.clone());
    }
    if let Some(category) = job.when.category {
        let name = format!("page-category-{}", format!("{category:?}").to_lowercase());
        parts.push(reader.word(&name));
    }
    if let Some(severity) = job.when.severity {
        let name = format!("level-{}", format!("{severity:?}").to_lowercase());
        parts.push(format!("≥ {}", reader.word(&name)));
    }
    let fields = super::job::written(&job.when.fields);
    parts.extend(fields.lines().map(str::to_owned));
    parts.join(", ")
}

fn timing(reader: &Reader, job: &Job) -> String {
    let mut parts = Vec::new();
    let mut say = |name: &str, seconds: u32, times: u16| {
        let mut args = FluentArgs::new();
        args.set("time", span(reader.lang, seconds.into()));
        args.set("times", f64::from(times));
        parts.push(reader.say(name, &args));
    };
    if job.delay_s > 0 {
        say("page-after-delay", job.delay_s, 0);
    }
    if let Some(repeat) = job.repeat {
        say("page-repeated", repeat.every_s, repeat.times);
    }
    if job.coalesce_s > 0 {
        say("page-one-of-many", job.coalesce_s, 0);
    }
    if job.only_if_still_true {
        parts.push(reader.word("page-only-if-still"));
    }
    parts.join("; ")
}

/// The document in force, and what names it in a form.
pub fn present(console: &Console) -> (Document, String) {
    (console.automation.document(), digest(console))
}
