//! A rule as a form: its expression as the API takes it, what it means that an
//! input is not known, and what it tells. What is wrong with the expression is
//! said at it, with the place and what would be right.

use super::edit::{self, Errors};
use super::fields::{Fields, Sent};
use super::reader::Reader;
use super::{Named, VERSION, automation, none};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::by::By;
use crate::console::page;
use crate::console::who::Who;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use evenkeel_core::automation::Document;
use evenkeel_core::rules::Rule;
use serde_json::json;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/rule.html")]
struct RulePage<'a> {
    version: &'a str,
    who: Who<'a>,
    fields: Fields,
    seen: String,
    errors: Errors,
}

/// The form.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Named { name }): Query<Named>,
) -> page::Answer {
    let (document, seen) = automation::present(&console);
    let fields = match document.rule.iter().find(|rule| rule.name == name) {
        Some(rule) => of_rule(rule),
        None if name.is_empty() => {
            Fields(vec![("event".into(), "yes".into()), ("severity".into(), "warning".into())])
        }
        None => return Err(none(format!("there is no rule {name:?}")).into()),
    };
    Ok(reader.show(StatusCode::OK, &page_of(&reader, fields, seen, Errors::default())))
}

/// The form was sent.
pub async fn change(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> Response {
    let (mut document, _) = automation::present(&by.console);
    let mut errors = Errors::default();
    match sent.one("act") {
        "remove" => document.rule.retain(|rule| rule.name != sent.one("was")),
        _ => put_rule(&reader, &sent, &mut document, &mut errors),
    }
    if errors.is_empty() {
        let name = sent.one("name").to_owned();
        errors = edit::put((&by, &reader), document, &sent, &name).await;
    }
    if errors.is_empty() {
        return Redirect::to("/automation?saved=yes").into_response();
    }
    let seen = sent.one("seen").to_owned();
    let page = page_of(&reader, sent, seen, errors);
    reader.show(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn put_rule(reader: &Reader, sent: &Fields, document: &mut Document, errors: &mut Errors) {
    let taken = document.rule.iter().map(|rule| rule.name.clone());
    let name = edit::name(reader, sent, taken, errors);
    if sent.one("when").is_empty() {
        errors.fields.insert("when".to_owned(), reader.word("page-needed"));
    }
    let rule = json!({
        "name": name,
        "when": sent.one("when"),
        "unknown": sent.one("unknown"),
        "severity": sent.one("severity"),
        "text": sent.one("text"),
        "event": sent.ticked("event"),
    });
    let rule = match serde_json::from_value::<Rule>(rule) {
        Ok(rule) if errors.is_empty() => rule,
        Ok(_) => return,
        Err(wrong) => {
            errors.whole = wrong.to_string();
            return;
        }
    };
    let place = document.rule.iter().position(|other| other.name == sent.one("was"));
    match place.and_then(|at| document.rule.get_mut(at)) {
        Some(other) => *other = rule,
        None => document.rule.push(rule),
    }
}

fn of_rule(rule: &Rule) -> Fields {
    let mut fields = Fields::default();
    fields.set("name", rule.name.as_str());
    fields.set("was", rule.name.as_str());
    fields.set("when", rule.when.as_str());
    fields.set("unknown", format!("{:?}", rule.unknown).to_lowercase());
    fields.set("severity", format!("{:?}", rule.severity).to_lowercase());
    fields.set("text", rule.text.as_str());
    fields.set("event", if rule.event { "yes" } else { "" });
    fields
}

fn page_of<'a>(reader: &'a Reader, fields: Fields, seen: String, errors: Errors) -> RulePage<'a> {
    let who = reader.who(Area::Automation, Level::Configure);
    RulePage { version: &VERSION, who, fields, seen, errors }
}

impl RulePage<'_> {
    fn unknowns(&self) -> [&'static str; 3] {
        ["false", "true", "hold"]
    }

    fn severities(&self) -> [&'static str; 3] {
        ["info", "warning", "alarm"]
    }
}
