//! The web servers that jobs may tell (UX-106): which there are and who tells
//! them, a form for each, a message to see whether one takes it. A key is shown
//! once, on the page that answers the form.

use super::edit::Errors;
use super::fields::{Fields, Sent};
use super::reader::Reader;
use super::{Done, Named, VERSION, none};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::api::webhooks::{WebhookIn, WebhookOut, accept, attempt, forget, listed};
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

/// What is said of a field begins with its name.
const FIELDS: [&str; 3] = ["ca", "server_name", "pin_sha256"];

#[derive(Template)]
#[template(path = "pages/webhooks.html")]
struct WebhooksPage<'a> {
    version: &'a str,
    who: Who<'a>,
    webhooks: Vec<WebhookOut>,
    told: Option<Told>,
    problem: String,
}

/// What came of a form.
enum Told {
    /// It holds.
    Saved,
    /// A key was made, which is shown now and never again.
    Key(String, String),
    /// A test, in words, and whether the message was taken.
    Tested(bool, String),
}

#[derive(Template)]
#[template(path = "pages/webhook.html")]
struct WebhookPage<'a> {
    version: &'a str,
    who: Who<'a>,
    fields: Fields,
    errors: Errors,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(done): Query<Done>,
) -> page::Answer {
    let page = page_of(&console, &reader);
    let told = done.saved().then_some(Told::Saved);
    Ok(reader.show(StatusCode::OK, &WebhooksPage { told, ..page }))
}

/// The form of a web server.
pub async fn edit(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Named { name }): Query<Named>,
) -> page::Answer {
    let found = listed(&console).into_iter().find(|webhook| webhook.name == name);
    let fields = match found {
        Some(webhook) => of_webhook(webhook),
        None if name.is_empty() => Fields::default(),
        None => return Err(none(format!("there is no web server {name:?}")).into()),
    };
    Ok(reader.show(StatusCode::OK, &form_of(&reader, fields, Errors::default())))
}

/// The form was sent.
pub async fn change(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let was = sent.one("was");
    let name = if was.is_empty() { sent.one("name") } else { was }.to_owned();
    let text = |field: &str| Some(sent.one(field).to_owned()).filter(|text| !text.is_empty());
    let wanted = WebhookIn {
        url: sent.one("url").to_owned(),
        key: text("key"),
        ca: text("ca"),
        server_name: text("server_name"),
        pin_sha256: text("pin_sha256"),
    };
    let taken = was.is_empty() && listed(&by.console).iter().any(|webhook| webhook.name == name);
    let done = match taken {
        true => Err(Problem::new(StatusCode::CONFLICT, "taken", "There is one of this name")
            .detail(reader.word("page-name-taken"))),
        false => accept(&by, name.clone(), wanted).await,
    };
    match done {
        Ok(None) => Ok(Redirect::to("/webhooks?saved=yes").into_response()),
        Ok(Some(key)) => {
            let told = Some(Told::Key(name, key));
            let page = WebhooksPage { told, ..page_of(&by.console, &reader) };
            Ok(reader.show(StatusCode::OK, &page))
        }
        Err(problem) if problem.status() == StatusCode::CONFLICT => {
            let errors = errors(&problem);
            let page = form_of(&reader, sent, errors);
            Ok(reader.show(page.errors.status(), &page))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// A button of the list was pressed.
pub async fn act(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let name = sent.one("name").to_owned();
    let page = match sent.one("act") {
        "test" => {
            let reason = attempt(&by, name.clone()).await?;
            let told = Some(tested(&reader, &name, reason));
            WebhooksPage { told, ..page_of(&by.console, &reader) }
        }
        "remove" => match forget(&by, name).await {
            Ok(()) => return Ok(Redirect::to("/webhooks?saved=yes").into_response()),
            Err(problem) => {
                WebhooksPage { problem: problem.text(), ..page_of(&by.console, &reader) }
            }
        },
        _ => return Err(Problem::bad_request("there is no such button").into()),
    };
    let good = page.problem.is_empty();
    let status = if good { StatusCode::OK } else { StatusCode::CONFLICT };
    Ok(reader.show(status, &page))
}

fn tested(reader: &Reader, name: &str, reason: Option<String>) -> Told {
    let mut args = FluentArgs::new();
    args.set("name", name);
    let taken = reason.is_none();
    let message = if taken { "page-webhook-took" } else { "page-webhook-took-not" };
    args.set("reason", reason.unwrap_or_default());
    Told::Tested(taken, reader.say(message, &args))
}

/// What was refused, at its field where it names one.
fn errors(problem: &Problem) -> Errors {
    let text = problem.text();
    let named = FIELDS
        .into_iter()
        .find_map(|field| Some((field, text.strip_prefix(field)?.strip_prefix(": ")?.to_owned())));
    let mut errors = Errors::default();
    match named {
        Some((field, said)) => {
            errors.fields.insert(field.to_owned(), said);
        }
        None => errors.whole = text,
    }
    errors
}

fn page_of<'a>(console: &Console, reader: &'a Reader) -> WebhooksPage<'a> {
    WebhooksPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        webhooks: listed(console),
        told: None,
        problem: String::new(),
    }
}

fn form_of(reader: &Reader, fields: Fields, errors: Errors) -> WebhookPage<'_> {
    let who = reader.who(Area::System, Level::Configure);
    WebhookPage { version: &VERSION, who, fields, errors }
}

/// The form of what there is; its key goes one way.
fn of_webhook(webhook: WebhookOut) -> Fields {
    let mut fields = Fields::default();
    fields.set("was", webhook.name.as_str());
    fields.set("name", webhook.name);
    fields.set("url", webhook.url);
    fields.set("ca", webhook.ca.unwrap_or_default());
    fields.set("server_name", webhook.server_name.unwrap_or_default());
    fields.set("pin_sha256", webhook.pin_sha256.unwrap_or_default());
    fields
}

/// Names with commas between them.
fn listing(jobs: &std::collections::BTreeSet<String>) -> String {
    jobs.iter().cloned().collect::<Vec<_>>().join(", ")
}
