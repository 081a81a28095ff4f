//! The appliance's own software (facts/console-ux.md §5 page 31): what runs and
//! whether it has proved itself, what the other slot holds, what speaks against
//! an update now; taking a bundle in, restarting into it, and giving it up. A
//! file that was sent in part is not taken in twice: what is there stays. And
//! the way back to how the appliance left the factory.

use super::reader::Reader;
use super::{Told, VERSION, upload};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::api::firmware::{
    ActionIn, FirmwareOut, TrialOut, length, out_of, perform, take_in,
};
use crate::console::api::reset;
use crate::console::by::By;
use crate::console::page;
use crate::console::pages::fields::{Fields, Sent};
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::firmware::preflight::Hindrance;
use crate::words::number::span;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/firmware.html")]
struct FirmwarePage<'a> {
    version: &'a str,
    who: Who<'a>,
    /// `None`: this is no appliance with slots.
    slots: Option<Slots>,
    program: &'static str,
    /// What was just done; empty: nothing.
    done: String,
    /// What was just refused, and why.
    problem: String,
    /// Who reads may erase everything.
    may_reset: bool,
}

/// How it stands with the slots.
struct Slots {
    facts: Vec<(String, String)>,
    development: bool,
    /// What runs has not proved itself yet.
    trial: Option<String>,
    /// What speaks against an update now.
    hindrances: Vec<String>,
    other: Vec<(String, String)>,
    /// What is being taken in.
    progress: Option<Progress>,
    acts: Vec<Act>,
    /// What is done about what runs, and not about the other slot.
    closes: Option<Act>,
}

struct Progress {
    taken: u64,
    total: u64,
    text: String,
}

/// A button.
struct Act {
    action: &'static str,
    text: String,
    /// What must be ticked before; empty: nothing.
    tick: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Told { told }): Query<Told>,
) -> page::Answer {
    let done = match told.as_str() {
        "taken" => reader.word("page-firmware-taken"),
        "abandoned" => reader.word("page-firmware-abandoned"),
        "permanent" => reader.word("page-firmware-permanent"),
        _ => String::new(),
    };
    let page = FirmwarePage { done, ..page_of(&reader, out_of(&console).await)? };
    Ok(reader.show(StatusCode::OK, &page))
}

/// A file was sent.
pub async fn install(by: By, reader: Reader, headers: HeaderMap, body: Body) -> page::Answer {
    let found = upload::begin(&headers, length(&headers)?, body).await?;
    let here = out_of(&by.console).await?;
    // The same file goes on where it broke off; what is another is refused by
    // the sums of its pieces.
    let begun = here.installing.as_ref().filter(|begun| begun.total == found.length);
    let from = begun.map_or(0, |begun| begun.taken);
    match take_in(&by, found.length, from, found.from(from)).await {
        Ok(_) => Ok(Redirect::to("/firmware?told=taken").into_response()),
        Err(problem) => refused(&by.console, &reader, &problem).await,
    }
}

/// A button was pressed.
pub async fn act(
    by: By,
    reader: Reader,
    Path(action): Path<ActionIn>,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    if action != ActionIn::Abandon && !sent.ticked("confirm") {
        let wanted = reader.word(match action {
            ActionIn::MakePermanent => "page-firmware-permanent-wanted",
            _ => "page-firmware-confirm-wanted",
        });
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let problem = Problem::new(status, "confirm", "This wants a tick").detail(wanted);
        return refused(&by.console, &reader, &problem).await;
    }
    match perform(&by, action).await {
        Ok(_) if action == ActionIn::MakePermanent => {
            Ok(Redirect::to("/firmware?told=permanent").into_response())
        }
        Ok(_) if !action.restarts() => Ok(Redirect::to("/firmware?told=abandoned").into_response()),
        // Nobody answers in a moment: this is said by what answers still.
        Ok(before) => {
            let done = reader.word("page-firmware-restarts");
            let page = FirmwarePage { done, ..page_of(&reader, Ok(before))? };
            Ok(reader.show(StatusCode::OK, &page))
        }
        Err(problem) => refused(&by.console, &reader, &problem).await,
    }
}

/// The appliance goes back to how it left the factory.
pub async fn reset(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    match reset::perform(&by, sent.one("serial")).await {
        Ok(before) => {
            let done = reader.word("page-factory-begun");
            let page = FirmwarePage { done, ..page_of(&reader, Ok(before))? };
            Ok(reader.show(StatusCode::OK, &page))
        }
        Err(wrong) if wrong.kind == "wrong-serial" => {
            let wrong = wrong.detail(reader.word("page-factory-wrong"));
            refused(&by.console, &reader, &wrong).await
        }
        Err(problem) => refused(&by.console, &reader, &problem).await,
    }
}

/// The page as it is, with why something was not done.
async fn refused(console: &Console, reader: &Reader, problem: &Problem) -> page::Answer {
    let page = page_of(reader, out_of(console).await)?;
    Ok(reader.show(problem.status(), &FirmwarePage { problem: problem.text(), ..page }))
}

fn page_of(
    reader: &Reader,
    found: Result<FirmwareOut, Problem>,
) -> Result<FirmwarePage<'_>, Problem> {
    let slots = match found {
        Ok(firmware) => Some(slots(reader, &firmware)),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => None,
        Err(problem) => return Err(problem),
    };
    Ok(FirmwarePage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        slots,
        program: env!("CARGO_PKG_VERSION"),
        done: String::new(),
        problem: String::new(),
        may_reset: reset::may(&reader.caller.rights),
    })
}

fn slots(reader: &Reader, firmware: &FirmwareOut) -> Slots {
    let fact = |name: &str, text: String| (reader.word(name), text);
    let other = &firmware.other;
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "--".to_owned());
    let progress = firmware.installing.as_ref().map(|begun| {
        let mut args = FluentArgs::new();
        args.set("version", begun.version.as_str());
        args.set("taken", (begun.taken / 1_024) as f64);
        args.set("total", (begun.total / 1_024) as f64);
        let text = reader.say("page-firmware-progress", &args);
        Progress { taken: begun.taken, total: begun.total, text }
    });
    let mut state = fact("page-state", reader.word(&format!("page-slot-{}", other.state)));
    if let Some(reason) = &other.reason {
        state.1 = format!("{}: {reason}", state.1);
    }
    Slots {
        closes: closes(reader, firmware),
        facts: vec![
            fact("page-firmware-version", firmware.version.clone()),
            fact("page-slot", firmware.slot.clone()),
            fact("page-firmware-started", firmware.started_because.clone()),
            fact("page-firmware-epoch", format!("{} (≥ {})", firmware.epoch, firmware.floor)),
            fact("page-firmware-way-back", way_back(reader, firmware.permanent_in_s)),
            fact(
                "page-firmware-keyring",
                firmware.keyring.map_or_else(|| "–".to_owned(), |number| number.to_string()),
            ),
            fact("page-firmware-root", firmware.root.clone()),
        ],
        development: firmware.development,
        trial: firmware.trial.as_ref().map(|trial| trial_text(reader, trial)),
        hindrances: firmware.hindrances.iter().map(|h| hindrance(reader, &h.what)).collect(),
        other: vec![fact("page-firmware-version", known(&other.version)), state],
        acts: acts(reader, firmware),
        progress,
    }
}

/// What can be done with a slot in this state.
fn acts(reader: &Reader, firmware: &FirmwareOut) -> Vec<Act> {
    let act = |action, tick: &str| {
        let text = reader.word(&format!("page-firmware-{action}"));
        let tick = if tick.is_empty() { String::new() } else { reader.word(tick) };
        Act { action, text, tick }
    };
    let restarts = "page-firmware-confirm";
    match firmware.other.state.as_str() {
        "ready" => vec![act("activate", restarts), act("abandon", "")],
        "good" => vec![act("go-back", restarts)],
        _ if firmware.installing.is_some() => vec![act("abandon", "")],
        _ => Vec::new(),
    }
}

/// What runs has proved itself, and something older may start still.
fn closes(reader: &Reader, firmware: &FirmwareOut) -> Option<Act> {
    let may = firmware.trial.is_none() && firmware.permanent_in_s.is_some();
    may.then(|| Act {
        action: "make-permanent",
        text: reader.word("page-firmware-make-permanent"),
        tick: reader.word("page-firmware-permanent-confirm"),
    })
}

/// Whether something older may start, and for how long.
fn way_back(reader: &Reader, permanent_in_s: Option<u64>) -> String {
    let Some(seconds) = permanent_in_s else { return reader.word("page-firmware-closed") };
    let mut args = FluentArgs::new();
    args.set("after", span(reader.lang, seconds as f64));
    reader.say("page-firmware-open", &args)
}

fn trial_text(reader: &Reader, trial: &TrialOut) -> String {
    let mut args = FluentArgs::new();
    args.set("tries", f64::from(trial.tries_left));
    args.set("healthy", span(reader.lang, trial.healthy_s as f64));
    args.set("missing", trial.missing.clone().unwrap_or_default());
    let text = reader.say("page-firmware-trial", &args);
    if trial.without.is_empty() {
        return text;
    }
    args.set("plugins", trial.without.join(", "));
    format!("{text} {}", reader.say("page-firmware-without", &args))
}

/// Something that speaks against an update, or against other settings, in words.
pub fn hindrance(reader: &Reader, hindrance: &Hindrance) -> String {
    let mut args = FluentArgs::new();
    let name = match hindrance {
        Hindrance::NoGuard {} => "page-hindrance-no-guard",
        Hindrance::OnBattery { what } => {
            args.set("what", what.as_str());
            "page-hindrance-on-battery"
        }
        Hindrance::NotCharged { what } => {
            args.set("what", what.as_str());
            "page-hindrance-not-charged"
        }
        Hindrance::Test { test } => {
            args.set("test", *test as f64);
            "page-hindrance-test"
        }
        Hindrance::Alarm { what } => {
            args.set("what", what.as_str());
            "page-hindrance-alarm"
        }
    };
    reader.say(name, &args)
}
