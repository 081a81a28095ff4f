//! Commissioning (facts/console-ux.md §5 page 18): strings and batteries by a form
//! or as the whole text of the guard's settings, looked at before they come into
//! force; work on the buses; and the report of what was found, to be printed.

pub mod form;

use super::bus_work::bus_work;
use super::edit::Errors;
use super::fields::{Fields, Sent};
use super::firmware::hindrance;
use super::reader::Reader;
use super::{Told, VERSION};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::commissioning::{CommissioningOut, Open, report};
use crate::console::api::guard_settings::{change, hindrances_of, in_force, look, number_of, told};
use crate::console::by::By;
use crate::console::orders::{OrderIn, give};
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::view::called;
use crate::console::who::Who;
use crate::firmware::preflight::Hindrance;
use crate::guard::InForce;
use crate::words::Lang;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use evenkeel_core::battery::{Chemistry, ModuleKind};
use evenkeel_core::settings::GuardSettings;
use fluent_bundle::FluentArgs;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/commissioning.html")]
struct CommissioningPage<'a> {
    version: &'a str,
    who: Who<'a>,
    told: String,
    problem: String,
    /// Number of the settings in force, in hexadecimal.
    number: String,
    /// Why the guard's file is not in force; empty: it is.
    fallback: String,
    /// Number, and work that goes on; empty: none.
    buses: Vec<(u8, String)>,
    form: Form,
    /// The whole text.
    text: String,
    look: Option<Look>,
}

/// Strings and batteries, to be edited.
struct Form {
    fields: Fields,
    errors: Errors,
    batteries: usize,
    strings: usize,
    /// Word and name.
    chemistries: Vec<(String, String)>,
    /// Name, and what it measures.
    modules: Vec<(&'static str, String)>,
    /// What a string can be of: as it is sent, and for people.
    types: Vec<(String, String)>,
    catalogue: Vec<(String, String)>,
}

/// What would become of settings.
struct Look {
    text: String,
    /// In words; none: nothing differs but remarks.
    changes: Vec<String>,
    /// What speaks against them now.
    hindrances: Vec<String>,
    /// All of that is alarms, which somebody may say the settings are the cause of.
    alarms_alone: bool,
}

#[derive(Template)]
#[template(path = "pages/commissioning_report.html")]
struct ReportPage<'a> {
    version: &'a str,
    who: Who<'a>,
    report: CommissioningOut,
    /// Name and value.
    facts: Vec<(String, String)>,
    /// What is open, in words.
    open: Vec<String>,
}

impl CommissioningPage<'_> {
    /// What a row of this list is.
    fn thing(&self, list: &str) -> String {
        self.who.word(&format!("page-thing-{list}"))
    }
}

impl Form {
    fn at(&self, list: &str, row: &usize, field: &str) -> &str {
        self.fields.one(&format!("{list}.{row}.{field}"))
    }

    fn wrong(&self, list: &str, row: &usize, field: &str) -> &str {
        self.errors.at(&format!("{list}.{row}.{field}"))
    }

    fn is_new(&self, list: &str, row: &usize) -> bool {
        self.at(list, row, "was").is_empty()
    }

    /// Whether the catalogue is offered to this string: with many strings to the
    /// new ones alone, or the page would weigh too much.
    fn offers(&self, row: &usize) -> bool {
        self.strings <= 8 || self.is_new("string", row)
    }

    /// A string whose blocks are not alike: the text says of what it is.
    fn in_parts(&self, row: &usize) -> bool {
        !self.is_new("string", row) && self.at("string", row, "parts") == "yes"
    }
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Told { told }): Query<Told>,
) -> page::Answer {
    let told = match told.as_str() {
        "taken" => reader.word("page-commissioning-taken"),
        "begun" => reader.word("page-commissioning-begun"),
        _ => String::new(),
    };
    let seen = in_force(&console)?;
    let page = page_of(&console, &reader, &seen);
    Ok(reader.show(StatusCode::OK, &CommissioningPage { told, ..page }))
}

/// A button was pressed.
pub async fn act(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let seen = in_force(&by.console)?;
    let page = page_of(&by.console, &reader, &seen);
    match sent.one("act") {
        "look-form" => Ok(looked_at_form(&by, &reader, &seen, page, sent)),
        "look-text" => {
            let text = text_of(&sent);
            let page = looked_at(&by, &reader, &seen, page, text);
            Ok(shown(&reader, &page))
        }
        "take" => take(&by, &reader, page, &sent).await,
        other => {
            let order = order_of(other, &sent)?;
            give(&by, order).await?;
            Ok(Redirect::to("/commissioning?told=begun").into_response())
        }
    }
}

/// The report.
pub async fn show_report(by: By, reader: Reader) -> page::Answer {
    let report = report(&by.console, &by.caller.user).await?;
    let since = report.settings_unix_ms.map(|ms| format!("{} UTC", clock::utc(ms)));
    let whose = report.settings_by.clone();
    let facts = [
        ("page-setup-site", report.site.name.clone()),
        ("page-setup-where", report.site.place.clone()),
        ("page-setup-name", report.host_name.clone()),
        ("page-setup-serial", report.serial.clone()),
        ("page-commissioning-number", report.settings.clone()),
        ("page-commissioning-since", since.unwrap_or_default()),
        ("page-commissioning-whose", whose.unwrap_or_default()),
        ("page-commissioning-at", format!("{} UTC", clock::utc(report.unix_ms))),
        ("page-commissioning-by", report.by.clone()),
    ];
    let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let page = ReportPage {
        version: &VERSION,
        who: reader.who(Area::Battery, Level::Configure),
        facts: facts.map(|(name, text)| (reader.word(name), or_none(text))).to_vec(),
        open: report.open.iter().map(|open| open_in_words(&reader, open)).collect(),
        report,
    };
    Ok(reader.show(StatusCode::OK, &page))
}

/// What a button of the buses orders.
fn order_of(act: &str, sent: &Fields) -> Result<OrderIn, Problem> {
    let whole = |name: &str| {
        let number = sent.one(name).parse::<u16>();
        number.map_err(|_| Problem::bad_request(format!("{name} is a whole number")))
    };
    let bus = sent.one("bus").parse::<u8>();
    let bus = bus.map_err(|_| Problem::bad_request("a bus is a number from 1"))?;
    Ok(match act {
        "discover" => OrderIn::Discover { bus },
        "locate-break" => OrderIn::LocateBreak { bus },
        "stop" => OrderIn::Stop { bus },
        "address" => OrderIn::Address { bus, first: whole("first")?, count: whole("count")? },
        "swap" => OrderIn::Swap { bus, address: whole("address")? },
        _ => return Err(Problem::bad_request("there is no such button")),
    })
}

/// A form sends its lines as they were in the time of teleprinters, and what it
/// sends is read without the spaces around.
fn text_of(sent: &Fields) -> String {
    sent.one("text").replace("\r\n", "\n") + "\n"
}

fn shown(reader: &Reader, page: &CommissioningPage<'_>) -> axum::response::Response {
    let wrong = !page.problem.is_empty() || !page.form.errors.is_empty();
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    reader.show(status, page)
}

fn looked_at_form<'a>(
    by: &By,
    reader: &'a Reader,
    seen: &InForce,
    mut page: CommissioningPage<'a>,
    sent: Fields,
) -> axum::response::Response {
    let made = match sent.one("instead_of") == page.number {
        true => form::apply(&seen.text, |name| sent.one(name)),
        false => {
            page.problem = reader.word("page-commissioning-changed");
            return shown(reader, &page);
        }
    };
    match made {
        Ok(text) => {
            page.form.fields = sent;
            let page = looked_at(by, reader, seen, page, text);
            shown(reader, &page)
        }
        Err(wrong) => {
            page.form.fields = sent;
            let words = wrong.words.into_iter().map(|(field, word)| (field, reader.word(word)));
            page.form.errors.fields = words.chain(wrong.said).collect();
            page.problem = wrong.whole.unwrap_or_else(|| reader.word("page-commissioning-wrong"));
            shown(reader, &page)
        }
    }
}

/// The page with what would become of a text.
fn looked_at<'a>(
    by: &By,
    reader: &'a Reader,
    seen: &InForce,
    page: CommissioningPage<'a>,
    text: String,
) -> CommissioningPage<'a> {
    match look(seen, &text) {
        Err(problem) => CommissioningPage { problem, text, ..page },
        Ok(changes) => {
            let found = hindrances_of(&by.console);
            let look = Look {
                text: text.clone(),
                changes: changes.iter().map(|change| told(reader.lang, change)).collect(),
                alarms_alone: found.iter().all(|h| matches!(h, Hindrance::Alarm { .. })),
                hindrances: found.iter().map(|h| hindrance(reader, h)).collect(),
            };
            CommissioningPage { look: Some(look), text, ..page }
        }
    }
}

async fn take(
    by: &By,
    reader: &Reader,
    page: CommissioningPage<'_>,
    sent: &Fields,
) -> page::Answer {
    if !by.caller.may(Area::Battery, Level::Configure) {
        let (area, level) = (Area::Battery, Level::Configure);
        return Err(Problem::not_allowed(&by.caller.user, area, level).into());
    }
    if !by.caller.proven {
        return Err(Problem::step_up().into());
    }
    let instead_of = number_of(sent.one("instead_of"))?;
    let text = text_of(sent);
    match change(by, text.clone(), instead_of, sent.ticked("despite_alarm")).await {
        Ok(()) => Ok(Redirect::to("/commissioning?told=taken").into_response()),
        Err(problem) => {
            let page = CommissioningPage { problem: problem.text(), text, ..page };
            Ok(reader.show(problem.status(), &page))
        }
    }
}

fn page_of<'a>(console: &Console, reader: &'a Reader, seen: &InForce) -> CommissioningPage<'a> {
    // The guard has read what is in force.
    let settings = GuardSettings::parse(&seen.text).ok();
    let plant = console.hub.plant();
    let buses = plant.iter().flat_map(|plant| &plant.snapshot.buses).zip(1u8..);
    CommissioningPage {
        version: &VERSION,
        who: reader.who(Area::Battery, Level::Configure),
        told: String::new(),
        problem: String::new(),
        number: format!("{:08x}", seen.number),
        fallback: seen.fallback.clone().unwrap_or_default(),
        buses: buses.map(|(bus, number)| (number, bus_work(reader.lang, bus.work))).collect(),
        form: form_of(reader.lang, settings.as_ref()),
        text: seen.text.clone(),
        look: None,
    }
}

fn form_of(lang: Lang, settings: Option<&GuardSettings>) -> Form {
    let mut fields = Fields(settings.map(form::fields_of).unwrap_or_default());
    let strings = settings.into_iter().flat_map(|settings| &settings.strings).zip(1..);
    for (_, row) in strings.filter(|(string, _)| !string.parts.is_empty()) {
        fields.set(&format!("string.{row}.parts"), "yes");
    }
    let (batteries, strings) = settings.map_or((0, 0), form::rows);
    let types = settings.into_iter().flat_map(|settings| &settings.batteries);
    let volts = |kind: ModuleKind| {
        let data = kind.data();
        (data.name, format!("{} · {} V", data.name, data.nominal_v))
    };
    Form {
        fields,
        errors: Errors::default(),
        batteries,
        strings,
        chemistries: Chemistry::ALL
            .map(|c| (form::word_of(c), called(lang, "chemistry", c.data().name)))
            .to_vec(),
        modules: ModuleKind::ALL.map(volts).to_vec(),
        types: types.map(|battery| (battery.name.clone(), battery.name.clone())).collect(),
        catalogue: settings.map(|s| form::offered(s).collect()).unwrap_or_default(),
    }
}

fn open_in_words(reader: &Reader, open: &Open) -> String {
    let mut args = FluentArgs::new();
    let name = match open {
        Open::Guard {} => "page-open-guard",
        Open::Port { bus } => {
            args.set("bus", bus.to_string());
            "page-open-port"
        }
        Open::NotSearched { bus } => {
            args.set("bus", bus.to_string());
            "page-open-not-searched"
        }
        Open::NoPlan { bus } => {
            args.set("bus", bus.to_string());
            "page-open-no-plan"
        }
        Open::Silent { string, block, address } => {
            args.set("string", string.clone());
            args.set("block", block.to_string());
            args.set("address", address.to_string());
            "page-open-silent"
        }
        Open::OtherType { bus, address, found } => {
            args.set("bus", bus.to_string());
            args.set("address", address.to_string());
            args.set("found", found.clone());
            "page-open-other-type"
        }
        Open::Stranger { bus, address } => {
            args.set("bus", bus.to_string());
            args.set("address", address.to_string());
            "page-open-stranger"
        }
        Open::Device { name } => {
            args.set("name", name.clone());
            "page-open-device"
        }
    };
    reader.say(name, &args)
}
