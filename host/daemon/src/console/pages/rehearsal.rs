//! The dry run (facts/console-ux.md UX-096): rules and jobs go through the
//! recorded past or a scripted outage, and the page shows what would happen.
//! Nothing is done.

use super::VERSION;
use super::fields::{Fields, Sent};
use super::reader::Reader;
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::off_thread;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::jobs::NotTaken;
use crate::words::{Lang, words};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use evenkeel_core::automation::Document;
use evenkeel_core::rehearsal::{Row, Script, Table, What};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;
/// Days of the past that are offered.
const DAYS: [u64; 3] = [1, 7, 30];

#[derive(Template)]
#[template(path = "pages/rehearsal.html")]
struct RehearsalPage<'a> {
    version: &'a str,
    who: Who<'a>,
    script: String,
    days: u64,
    problem: String,
    found: Option<Found>,
}

/// What would happen, in the reader's language.
pub struct Found {
    /// In the order of time.
    pub lines: Vec<Line>,
    /// Points that rules read and of which the past holds nothing.
    pub not_recorded: Vec<String>,
    /// That the log begins only within the time, and when.
    pub log_begins: Option<String>,
    /// Jobs that nothing in the script can begin.
    pub not_simulated: Vec<String>,
}

/// One thing that would happen.
pub struct Line {
    /// When, since the beginning.
    pub at: String,
    /// `event` or `action`.
    pub what: &'static str,
    /// In words.
    pub text: String,
}

/// The page before a run.
pub async fn show(State(console): State<Arc<Console>>, reader: Reader) -> Response {
    let script = outage(&console);
    reader.show(StatusCode::OK, &page_of(&reader, script, DAYS[1]))
}

/// A run was asked for.
pub async fn run(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    let script = sent.one("script").replace("\r\n", "\n");
    let days = sent.one("days").parse().unwrap_or(DAYS[1]).clamp(1, DAYS[2]);
    let found = match sent.one("act") {
        "past" => past(&console, reader.lang, days).await?,
        _ => rehearsed(&console, reader.lang, None, &script).await?,
    };
    let shown = if script.is_empty() { outage(&console) } else { script };
    let mut page = page_of(&reader, shown, days);
    let mut status = StatusCode::OK;
    match found {
        Ok(found) => page.found = Some(found),
        Err(wrong) => (page.problem, status) = (wrong, StatusCode::UNPROCESSABLE_ENTITY),
    }
    Ok(reader.show(status, &page))
}

/// What a document, or the one in force, would do in a script; or what is wrong
/// with one of them.
///
/// # Errors
/// When the store cannot be read.
pub async fn rehearsed(
    console: &Console,
    lang: Lang,
    document: Option<Document>,
    script: &str,
) -> Result<Result<Found, String>, Problem> {
    let (script, frames) = match Script::parse(script) {
        Ok(parsed) => parsed,
        Err(wrong) => return Ok(Err(wrong.to_string())),
    };
    let automation = Arc::clone(&console.automation);
    let thresholds = console.alarms.thresholds();
    let run = move || automation.rehearse_script(document, &thresholds, &script, frames);
    answer(lang, off_thread(console, run).await?)
}

async fn past(console: &Console, lang: Lang, days: u64) -> Result<Result<Found, String>, Problem> {
    let automation = Arc::clone(&console.automation);
    let now = clock::unix_ms();
    let times = now.saturating_sub(days * DAY_MS)..=now;
    answer(lang, off_thread(console, move || automation.rehearse_past(None, times)).await?)
}

fn answer(lang: Lang, found: Result<Table, NotTaken>) -> Result<Result<Found, String>, Problem> {
    match found {
        Ok(table) => Ok(Ok(said(lang, table))),
        Err(NotTaken::Store(error)) => Err(Problem::store(&error)),
        Err(wrong) => Ok(Err(wrong.to_string())),
    }
}

fn said(lang: Lang, table: Table) -> Found {
    let log_begins = table.events_from_ms.map(|from_ms| {
        let mut args = FluentArgs::new();
        args.set("at", clock::utc(from_ms));
        words().message(lang, "page-log-begins", &args)
    });
    let line = |row: Row| Line {
        at: since(row.at_ms),
        what: row.what.word(),
        text: match row.what {
            What::Event(event) => words().event(lang, &event),
            What::Action { job, action, undo } => {
                let mut args = FluentArgs::new();
                args.set("job", job);
                args.set("action", words().action(lang, &action));
                let name = if undo { "page-job-would-undo" } else { "page-job-would-do" };
                words().message(lang, name, &args)
            }
        },
    };
    let end =
        table.cut.then(|| Line { at: "…".to_owned(), what: "event", text: "…".to_owned() });
    let Table { rows, not_recorded, not_simulated, .. } = table;
    let lines = rows.into_iter().map(line).chain(end).collect();
    Found { lines, not_recorded, log_begins, not_simulated }
}

/// Time since the beginning: `1 d 02:03:04`.
fn since(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days} d {clock}") } else { clock }
}

/// A script to begin with: mains fail, the battery runs down, mains return, and
/// charge it.
pub fn outage(console: &Console) -> String {
    let points = console.hub.query("ups");
    let ups = points.iter().find_map(|(name, _)| name.strip_suffix(".ups.status"));
    let ups = ups.unwrap_or("ups.0");
    let mut script = format!(
        "for_s = 2400\n\n[[at]]\ns = 0\npoints = {{ \"{ups}.ups.status\" = \"OL\", \
         \"{ups}.battery.charge\" = 100 }}\n\n[[at]]\ns = 60\npoints = {{ \"{ups}.ups.status\" = \
         \"OB DISCHRG\" }}\n"
    );
    for (second, charge) in [(480, 70), (900, 40), (1_200, 20), (1_440, 10)] {
        script += &format!(
            "\n[[at]]\ns = {second}\npoints = {{ \"{ups}.battery.charge\" = {charge} }}\n"
        );
    }
    script
        + &format!(
            "\n[[at]]\ns = 1800\npoints = {{ \"{ups}.ups.status\" = \"OL CHRG\" }}\n\n[[at]]\ns = \
             2100\npoints = {{ \"{ups}.battery.charge\" = 60 }}\n"
        )
}

fn page_of(reader: &Reader, script: String, days: u64) -> RehearsalPage<'_> {
    let who = reader.who(Area::Automation, Level::View);
    RehearsalPage { version: &VERSION, who, script, days, problem: String::new(), found: None }
}

impl RehearsalPage<'_> {
    fn offered(&self) -> [u64; DAYS.len()] {
        DAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_since_the_beginning() {
        assert_eq!(since(61_500), "00:01:01");
        assert_eq!(since(90_061_000), "1 d 01:01:01");
    }
}
