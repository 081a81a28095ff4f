//! The licence (facts/console-ux.md §5 page 30): which edition is in force and
//! why, what it limits and what it never does, and the licence files. Nothing
//! that keeps a battery safe depends on it, and the page says so.

use super::reader::Reader;
use super::{Done, VERSION, fields};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::licence::{forget as give_up, take};
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::licence::{FILE_LEN_MAX, LicenceFile, Status};
use crate::words::number::measured;
use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/licence.html")]
struct LicencePage<'a> {
    version: &'a str,
    who: Who<'a>,
    facts: Vec<(String, String)>,
    /// What is limited, in a sentence each; none: nothing is.
    limits: Vec<String>,
    /// What of it is over the licence now.
    over: Vec<String>,
    /// How long it holds though nobody can judge; empty: somebody can.
    grace: String,
    files: Vec<LicenceFile>,
    saved: bool,
    problem: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(done): Query<Done>,
) -> page::Answer {
    let page = LicencePage { saved: done.saved(), ..page_of(&console, &reader) };
    Ok(reader.show(StatusCode::OK, &page))
}

/// A licence file was sent.
pub async fn change(
    by: By,
    reader: Reader,
    form: Result<Multipart, MultipartRejection>,
) -> page::Answer {
    let done = match fields::file(form, "licence", ("a licence", FILE_LEN_MAX)).await {
        Ok(raw) => take(&by, raw.to_vec()).await.map(|_| ()),
        Err(problem) => Err(problem),
    };
    answer(&by, &reader, done)
}

/// A licence was removed.
pub async fn forget(by: By, reader: Reader, Path(name): Path<String>) -> page::Answer {
    let done = give_up(&by, name).await.map(|_| ());
    answer(&by, &reader, done)
}

fn answer(by: &By, reader: &Reader, done: Result<(), Problem>) -> page::Answer {
    let Err(problem) = done else {
        return Ok(Redirect::to("/licence?saved=yes").into_response());
    };
    let page = LicencePage { problem: problem.text(), ..page_of(&by.console, reader) };
    Ok(reader.show(problem.status(), &page))
}

fn page_of<'a>(console: &Console, reader: &'a Reader) -> LicencePage<'a> {
    let status = console.licences.status();
    let grace = status.edition.grace_left_h().map(|hours| {
        let mut args = FluentArgs::new();
        args.set("hours", hours as f64);
        reader.say("page-licence-grace", &args)
    });
    LicencePage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        facts: facts(reader, &status),
        limits: limits(reader, &status),
        over: over(reader, &status),
        grace: grace.unwrap_or_default(),
        files: status.files,
        saved: false,
        problem: String::new(),
    }
}

fn facts(reader: &Reader, Status { serial, edition, .. }: &Status) -> Vec<(String, String)> {
    let judge = edition.judged_by.clone();
    let until = edition.until_s.map(|s| clock::utc(s.saturating_mul(1_000)));
    [
        ("page-licence-edition", edition.name.clone()),
        ("page-licence-serial", serial.clone()),
        ("page-licence-reason", edition.reason.clone()),
        ("page-licence-judge", judge.unwrap_or_else(|| reader.word("page-licence-nobody"))),
        ("page-licence-until", until.unwrap_or_else(|| reader.word("page-licence-no-end"))),
    ]
    .map(|(name, text)| (reader.word(name), text))
    .to_vec()
}

fn limits(reader: &Reader, status: &Status) -> Vec<String> {
    let limits = status.edition.limits;
    let mut said = Vec::new();
    if let Some(blocks) = limits.blocks {
        let mut args = FluentArgs::new();
        args.set("blocks", f64::from(blocks));
        said.push(reader.say("page-licence-blocks", &args));
    }
    if let Some(va) = limits.ups_va {
        let mut args = FluentArgs::new();
        args.set("power", measured(reader.lang, f64::from(va), "VA"));
        said.push(reader.say("page-licence-ups", &args));
    }
    said
}

fn over(reader: &Reader, status: &Status) -> Vec<String> {
    let mut said = Vec::new();
    if status.blocks_over > 0 {
        let mut args = FluentArgs::new();
        args.set("blocks", status.blocks_over as f64);
        said.push(reader.say("page-licence-blocks-over", &args));
    }
    said.extend(status.upses_over.iter().map(|ups| {
        let mut args = FluentArgs::new();
        args.set("ups", ups.as_str());
        reader.say("page-licence-ups-over", &args)
    }));
    said
}
