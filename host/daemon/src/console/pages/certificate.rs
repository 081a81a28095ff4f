//! The certificate (facts/console-ux.md §5 page 27): what browsers are shown,
//! a request to an authority, and the installation of what it sent, on trial
//! until somebody who still reaches the console confirms it.

use super::fields::{self, Fields, Sent};
use super::reader::Reader;
use super::{Told, VERSION};
use crate::accounts::rights::{Area, Level};
use crate::certificate::{LEN_MAX, Status};
use crate::clock;
use crate::console::Console;
use crate::console::api::certificate::{RequestIn, ask, end_trial, forget, keep, try_out};
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/certificate.html")]
struct CertificatePage<'a> {
    version: &'a str,
    who: Who<'a>,
    facts: Vec<(String, String)>,
    installed: bool,
    /// That it is on trial, and how long; empty: it is not.
    trial: String,
    requested: bool,
    /// What was done; empty: nothing.
    told: String,
    /// The request that was just made, for the authority; empty: none was.
    request: String,
    names: String,
    organisation: String,
    problem: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Told { told }): Query<Told>,
) -> page::Answer {
    let told = match told.as_str() {
        "trial" => reader.word("page-certificate-on-trial"),
        "kept" => reader.word("page-certificate-kept"),
        "given-up" => reader.word("page-certificate-given-up"),
        "removed" => reader.word("page-certificate-removed"),
        _ => String::new(),
    };
    Ok(reader.show(StatusCode::OK, &CertificatePage { told, ..page_of(&console, &reader) }))
}

/// A certificate was sent.
pub async fn install(
    by: By,
    reader: Reader,
    form: Result<Multipart, MultipartRejection>,
) -> page::Answer {
    let done =
        match fields::file(form, "certificate", ("a certificate with its chain and key", LEN_MAX))
            .await
        {
            Ok(raw) => try_out(&by, raw.to_vec()).await.map(|_| "trial"),
            Err(problem) => Err(problem),
        };
    answer(&by, &reader, done)
}

/// A button was pressed, or a request filled in.
pub async fn act(
    by: By,
    reader: Reader,
    Path(action): Path<String>,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    let done = match action.as_str() {
        "request" => return request(&by, &reader, &sent).await,
        "confirm" => keep(&by).await.map(|_| "kept"),
        "give-up" => end_trial(&by).await.map(|()| "given-up"),
        "remove" => forget(&by).await.map(|()| "removed"),
        other => Err(Problem::bad_request(format!("there is no action {other:?}"))),
    };
    answer(&by, &reader, done)
}

async fn request(by: &By, reader: &Reader, sent: &Fields) -> page::Answer {
    let (names, organisation) = (sent.one("names").to_owned(), sent.one("organisation").to_owned());
    let split = names.split([',', ';', ' ', '\n', '\r', '\t']).filter(|name| !name.is_empty());
    let wanted =
        RequestIn { names: split.map(str::to_owned).collect(), organisation: organisation.clone() };
    let (request, problem, status) = match ask(by, wanted).await {
        Ok(request) => (request, String::new(), StatusCode::OK),
        Err(problem) => (String::new(), problem.text(), problem.status()),
    };
    let page = page_of(&by.console, reader);
    Ok(reader.show(status, &CertificatePage { request, names, organisation, problem, ..page }))
}

fn answer(by: &By, reader: &Reader, done: Result<&str, Problem>) -> page::Answer {
    match done {
        Ok(told) => Ok(Redirect::to(&format!("/certificate?told={told}")).into_response()),
        Err(problem) => {
            let page = page_of(&by.console, reader);
            let page = CertificatePage { problem: problem.text(), ..page };
            Ok(reader.show(problem.status(), &page))
        }
    }
}

fn page_of<'a>(console: &Console, reader: &'a Reader) -> CertificatePage<'a> {
    let status = console.certificates.status(clock::now());
    let trial = status.as_ref().and_then(|status| status.trial_left_s).map(|seconds| {
        let mut args = FluentArgs::new();
        args.set("seconds", seconds as f64);
        reader.say("page-certificate-trial", &args)
    });
    let names = status.as_ref().map(|status| status.shown.names.join("\n"));
    CertificatePage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        facts: status.as_ref().map_or_else(Vec::new, |status| facts(reader, status)),
        installed: status.as_ref().is_some_and(|status| status.installed),
        trial: trial.unwrap_or_default(),
        requested: status.as_ref().is_some_and(|status| status.requested),
        told: String::new(),
        request: String::new(),
        names: names.unwrap_or_default(),
        organisation: String::new(),
        problem: String::new(),
    }
}

fn facts(reader: &Reader, Status { shown, installed, .. }: &Status) -> Vec<(String, String)> {
    let day = |s: i64| clock::utc(u64::try_from(s).unwrap_or(0).saturating_mul(1_000)) + " UTC";
    let source = if *installed { "page-certificate-installed" } else { "page-certificate-own" };
    [
        ("page-certificate-subject", shown.subject.clone()),
        ("page-certificate-names", shown.names.join(", ")),
        ("page-certificate-issuer", shown.issuer.clone()),
        ("page-certificate-issuers", shown.issuers.join(" → ")),
        ("page-certificate-key", shown.key.to_string()),
        ("page-certificate-from", day(shown.from_s)),
        ("page-certificate-until", day(shown.until_s)),
        ("page-certificate-fingerprint", shown.fingerprint.clone()),
        ("page-certificate-source", reader.word(source)),
    ]
    .map(|(name, text)| (reader.word(name), if text.is_empty() { "–".to_owned() } else { text }))
    .to_vec()
}
