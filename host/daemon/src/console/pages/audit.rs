//! The audit log (facts/console-ux.md §5 page 33): who did what, from where,
//! what came of it; and whether the log is whole, with one click (UX-101).

use super::VERSION;
use super::reader::Reader;
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::audit::AuditOut;
use crate::console::api::off_thread;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::store::StoreError;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use evenkeel_signing::audit::{Fault, Report, verify};
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use std::sync::Arc;

/// Entries on a page.
const PAGE: u64 = 100;

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct AuditPage<'a> {
    version: &'a str,
    who: Who<'a>,
    entries: Vec<AuditOut>,
    text: String,
    /// What the check found: status and words.
    verdict: Option<(&'static str, String)>,
    /// Only older than this; 0: there are none.
    older: u64,
    newest: bool,
    /// A line of the page could not be read: only the check shows it.
    unreadable: bool,
}

/// Which entries.
#[derive(Deserialize)]
pub struct AuditQuery {
    before: Option<u64>,
    /// Who, what or from where.
    #[serde(default)]
    text: String,
    #[serde(default)]
    check: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(query): Query<AuditQuery>,
) -> page::Answer {
    let store = console.store.clone();
    let before = query.before;
    let lines = off_thread(&console, move || match before {
        Some(seq) => store.audit_lines(Some(seq.saturating_sub(PAGE + 1)), PAGE as usize),
        None => store.audit_lines(None, PAGE as usize),
    });
    let lines = lines.await?.map_err(|e| Problem::store(&e))?;
    let read = lines.iter().filter_map(|line| serde_json::from_slice::<AuditOut>(line).ok());
    let read: Vec<AuditOut> = read.filter(|entry| before.is_none_or(|b| entry.seq < b)).collect();
    let older = read.first().map_or(0, |entry| if entry.seq > 1 { entry.seq } else { 0 });
    let unreadable = read.len() < lines.len() && before.is_none();
    let wanted = query.text.trim().to_lowercase();
    let entries = read.into_iter().rev().filter(|entry| entry.has(&wanted)).collect();
    let verdict = match query.check.is_empty() {
        true => None,
        false => Some(checked(&console, &reader).await?),
    };
    let page = AuditPage {
        version: &VERSION,
        who: reader.who(Area::Audit, Level::View),
        entries,
        text: query.text.clone(),
        verdict,
        older,
        newest: before.is_some(),
        unreadable,
    };
    Ok(reader.show(StatusCode::OK, &page))
}

async fn checked(console: &Console, reader: &Reader) -> Result<(&'static str, String), Problem> {
    let store = console.store.clone();
    let look = move || {
        let log = store.audit_export()?;
        Ok::<_, StoreError>(verify(&log, store.audit_key()))
    };
    let found = off_thread(console, look).await?.map_err(|e| Problem::store(&e))?;
    Ok(said(reader, &found))
}

fn said(reader: &Reader, found: &Result<Report, Fault>) -> (&'static str, String) {
    let mut args = FluentArgs::new();
    match found {
        Ok(report) => {
            args.set("first", report.first as f64);
            args.set("last", report.last as f64);
            args.set("seals", report.seals as f64);
            args.set("missing", report.missing.len() as f64);
            let gaps = !report.missing.is_empty();
            let name = if gaps { "page-audit-gaps" } else { "page-audit-whole" };
            (if gaps { "warning" } else { "ok" }, reader.say(name, &args))
        }
        Err(fault) => {
            args.set("fault", fault.to_string());
            ("alarm", reader.say("page-audit-broken", &args))
        }
    }
}

impl AuditPage<'_> {
    fn at(&self, entry: &&AuditOut) -> String {
        clock::utc(entry.unix_ms)
    }
}

impl AuditOut {
    fn has(&self, wanted: &str) -> bool {
        let texts = [&self.who, &self.from, &self.what, &self.result];
        wanted.is_empty()
            || texts.into_iter().flatten().any(|text| text.to_lowercase().contains(wanted))
    }

    fn is_done(&self) -> bool {
        self.result.as_deref() == Some("done")
    }
}
