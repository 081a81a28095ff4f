//! What the pages of rules, jobs and calendar do alike: take the document in
//! force, change one thing in it, and take it into force again, all at once, if
//! nobody else changed it meanwhile (UX-094).

use super::fields::Fields;
use super::reader::Reader;
use crate::console::Console;
use crate::console::api::automation::take;
use crate::console::by::By;
use crate::jobs::NotTaken;
use axum::http::StatusCode;
use evenkeel_core::automation::{Document, Problem as Wrong};
use evenkeel_core::jobs::Danger;
use evenkeel_core::rules::RuleError;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What is wrong with a form.
#[derive(Default)]
pub struct Errors {
    /// At a field.
    pub fields: BTreeMap<String, String>,
    /// With all of it; empty: nothing.
    pub whole: String,
    /// What of it can hurt and was not confirmed.
    pub dangers: Vec<Danger>,
}

impl Errors {
    /// Nothing was found.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.whole.is_empty() && self.dangers.is_empty()
    }

    /// The status of the page that shows them.
    pub fn status(&self) -> StatusCode {
        if self.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
    }

    /// At this field; empty: nothing.
    pub fn at(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }
}

/// Names the document that somebody saw.
pub fn digest(console: &Console) -> String {
    let hash = Sha256::digest(console.automation.text());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Take a document into force for somebody, with what they confirmed. What is
/// wrong with an expression is said at the field `when` of the rule `rule`.
pub async fn put(
    (by, reader): (&By, &Reader),
    mut document: Document,
    fields: &Fields,
    rule: &str,
) -> Errors {
    let mut errors = Errors::default();
    if fields.one("seen") != digest(&by.console) {
        errors.whole = reader.word("page-automation-changed");
        return errors;
    }
    confirm(&mut document, fields);
    match take(by, document).await {
        Ok(()) => {}
        Err(NotTaken::Problem(Wrong::Unconfirmed(dangers))) => errors.dangers = dangers,
        Err(NotTaken::Problem(Wrong::Rule(error @ RuleError::Expression { .. }))) => {
            let text = error.to_string();
            match text.strip_prefix(&format!("rule {rule:?}, ")) {
                Some(own) if !rule.is_empty() => {
                    errors.fields.insert("when".to_owned(), own.to_owned());
                }
                _ => errors.whole = text,
            }
        }
        Err(NotTaken::Store(error)) => {
            errors.whole = crate::console::problem::Problem::store(&error).text();
        }
        Err(error) => errors.whole = error.to_string(),
    }
    errors
}

/// What somebody ticked is confirmed; what is no danger any more need not be.
pub fn confirm(document: &mut Document, fields: &Fields) {
    document.confirm.extend(fields.all("confirm"));
    let dangers = document.dangers();
    document.confirm.retain(|name| dangers.iter().any(|danger| danger.name == *name));
    document.confirm.sort();
    document.confirm.dedup();
}

/// A whole number of a field; none when it is empty.
pub fn whole<T: std::str::FromStr>(
    reader: &Reader,
    fields: &Fields,
    name: &str,
    errors: &mut Errors,
) -> Option<T> {
    let text = fields.one(name);
    let number = text.parse::<T>().ok();
    if number.is_none() && !text.is_empty() {
        errors.fields.insert(name.to_owned(), reader.word("page-whole-number"));
    }
    number
}

/// The name of something, which is new or another's.
pub fn name(
    reader: &Reader,
    fields: &Fields,
    mut taken: impl Iterator<Item = String>,
    errors: &mut Errors,
) -> String {
    let (name, was) = (fields.one("name").to_owned(), fields.one("was"));
    if !evenkeel_core::rules::is_name(&name) {
        errors.fields.insert("name".to_owned(), reader.word("page-name-wanted"));
    } else if name != was && taken.any(|other| other == name) {
        errors.fields.insert("name".to_owned(), reader.word("page-name-taken"));
    }
    name
}
