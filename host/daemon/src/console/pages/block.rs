//! A block's page (facts/console-ux.md §5 page 7): now, its trends, its events,
//! and where it hangs. Its address is `/blocks/<string>-<block>`.

use super::chart::Scale;
use super::fields::{Fields, Sent};
use super::figure::Figure;
use super::reader::Reader;
use super::span::{Choice, Span};
use super::string::{self, POINTS, present, series, status_of, subject};
use super::{VERSION, events, none};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::strings::BlockOut;
use crate::console::api::{first_over, off_thread};
use crate::console::by::By;
use crate::console::orders::{OrderIn, give};
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::view::called;
use crate::console::who::Who;
use crate::store::history::Whose;
use crate::words::number::{Style, measured, span, with_unit};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::alarm::Place;
use evenkeel_core::history::Point;
use serde::Deserialize;
use std::sync::Arc;

/// Events on the page.
const EVENTS: usize = 20;
/// For how long the lamp says "here I am", s.
const LOCATE_S: u8 = 120;

#[derive(Template)]
#[template(path = "pages/block.html")]
struct BlockPage<'a> {
    version: &'a str,
    who: Who<'a>,
    string: u16,
    string_name: String,
    block: BlockOut,
    status: &'static str,
    /// How it is, in words.
    state: String,
    facts: Vec<(String, String)>,
    previous: Option<u16>,
    next: Option<u16>,
    spans: Vec<Choice>,
    figures: Vec<Figure>,
    events: Vec<events::Row>,
    /// What was just ordered.
    told: String,
}

/// How the page is to be.
#[derive(Deserialize)]
pub struct BlockQuery {
    span: Option<String>,
    /// What was just ordered.
    #[serde(default)]
    told: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(query): Query<BlockQuery>,
) -> page::Answer {
    let page = page_of(&console, &reader, &id, &query).await?;
    Ok(reader.show(StatusCode::OK, &page))
}

/// A button was pressed.
pub async fn act(by: By, Path(id): Path<String>, Sent(sent): Sent<Fields>) -> page::Answer {
    let (string, block) = named(&id)?;
    let (_, found) = found(&by.console, string, block)?;
    let wish = sent.one("order");
    let order = match wish {
        "locate" => OrderIn::Locate { bus: found.bus, address: found.address, seconds: LOCATE_S },
        "measure" => OrderIn::Measure { string, block },
        _ => return Err(Problem::bad_request("there is no such button").into()),
    };
    give(&by, order).await?;
    Ok(Redirect::to(&format!("/blocks/{string}-{block}?told={wish}")).into_response())
}

async fn page_of<'a>(
    console: &Console,
    reader: &'a Reader,
    id: &str,
    query: &BlockQuery,
) -> Result<BlockPage<'a>, Problem> {
    let (number, index) = named(id)?;
    let ((string_name, blocks), block) = found(console, number, index)?;
    let chosen = Span::of(query.span.as_deref());
    let from_zero = usize::from(index).saturating_sub(1);
    let over = from_zero >= first_over(console, number);
    let past = match reader.caller.may(Area::History, Level::View) && !over {
        true => {
            let store = console.store.clone();
            let whose = Whose { string: number, block: Some(from_zero) };
            let read = move || store.chart(whose, chosen.times(), POINTS);
            off_thread(console, read).await?.map_err(|e| Problem::store(&e))?
        }
        false => Vec::new(),
    };
    let happened = match reader.caller.may(Area::Events, Level::View) {
        true => {
            let (store, lang) = (console.store.clone(), reader.lang);
            let about = events::About::of(&Place::Block(number, index).to_string());
            let read = move || events::latest(&store, EVENTS, |event| about.fits(lang, event));
            off_thread(console, read).await?
        }
        false => Vec::new(),
    };
    Ok(BlockPage {
        version: &VERSION,
        who: reader.who(Area::Battery, Level::Operate),
        string: number,
        string_name,
        status: status_of(&block),
        state: state(reader, &block),
        facts: facts(reader, &block),
        previous: index.checked_sub(1).filter(|n| *n > 0),
        next: Some(index + 1).filter(|n| usize::from(*n) <= blocks),
        spans: chosen.choices(reader),
        figures: figures(reader, &past),
        events: happened.iter().map(|stored| events::Row::of(reader, stored)).collect(),
        told: match query.told.as_str() {
            "locate" => reader.word("page-lamp-lit"),
            "measure" => reader.word("page-measuring"),
            _ => String::new(),
        },
        block,
    })
}

/// `2-17`: string 2, block 17.
fn named(id: &str) -> Result<(u16, u16), Problem> {
    let parsed = id.split_once('-').and_then(|(string, block)| {
        Some((string.parse::<u16>().ok()?, block.parse::<u16>().ok()?))
    });
    parsed.ok_or_else(|| none("a block is named by string and number: /blocks/2-17"))
}

/// Name and size of its string, and the block itself.
fn found(
    console: &Console,
    string: u16,
    block: u16,
) -> Result<((String, usize), BlockOut), Problem> {
    let whole = present(console, string)?;
    let (name, count) = (whole.name, whole.blocks.len());
    let block = whole.blocks.into_iter().find(|other| other.index == block);
    let block = block.ok_or_else(|| none(format!("string {string} has {count} blocks")))?;
    Ok(((name, count), block))
}

fn state(reader: &Reader, block: &BlockOut) -> String {
    let lang = reader.lang;
    let alone = string::over(lang, block).or_else(|| string::fault(lang, block));
    alone.unwrap_or_else(|| match block.alarms.is_empty() {
        true => reader.word("page-ok"),
        false => string::alarms(lang, block).join(", "),
    })
}

fn facts(reader: &Reader, block: &BlockOut) -> Vec<(String, String)> {
    let lang = reader.lang;
    let unknown = || "--".to_owned();
    let value = |value: Option<f64>, unit| value.map_or_else(unknown, |v| measured(lang, v, unit));
    let exact = |value: Option<f64>, digits, sign, unit| {
        value.map_or_else(unknown, |v| with_unit(lang, v, Style { digits, sign }, unit))
    };
    let voltage = block.voltage_mv.map(|mv| f64::from(mv) / 1e3);
    let age = block.age_ms.map_or_else(unknown, |ms| span(reader.lang, ms as f64 / 1e3));
    let measured_at = block.resistance_unix_ms.map_or_else(String::new, |ms| {
        format!(" ({})", clock::utc(ms).get(..16).unwrap_or_default())
    });
    let life = match (block.life_years_low, block.life_years_high) {
        (Some(low), Some(high)) => format!("{low:.1}\u{2013}{}", measured(lang, high, "years")),
        _ => unknown(),
    };
    [
        ("page-voltage", exact(voltage, 3, false, "V")),
        ("page-deviation", exact(block.deviation_mv.map(f64::from), 0, true, "mV")),
        ("page-target", exact(block.target_v, 3, false, "V")),
        ("page-temperature", value(block.temperature_c, "°C")),
        ("page-resistance", value(block.resistance_mohm, "mΩ") + &measured_at),
        ("page-charge", value(block.charge_percent.value, "%")),
        ("page-capacity", value(block.capacity_ah.value, "Ah")),
        ("page-health", value(block.health_percent.value, "%")),
        ("page-life", life),
        ("page-bypass", exact(Some(block.duty * 100.0), 0, false, "%")),
        ("page-activity", called(lang, "activity", block.activity)),
        ("page-age", age),
        ("page-bus", format!("{} / {}", block.bus, block.address)),
        ("page-serial", block.serial.map_or_else(unknown, |serial| serial.to_string())),
    ]
    .map(|(name, text)| (reader.word(name), text))
    .to_vec()
}

fn figures(reader: &Reader, past: &[Point]) -> Vec<Figure> {
    let volts = series(past, |p| p.record.voltage_mv, 1e3);
    let target = series(past, |p| p.head.target_mv, 1e3);
    let warmth = series(past, |p| p.record.temperature_dc, 10.0);
    let air = series(past, |p| p.head.ambient_dc, 10.0);
    let resistance = series(past, |p| p.record.resistance_uohm, 1e3);
    let capacity = series(past, |p| p.record.capacity_cah, 100.0);
    [
        (subject("voltage", "page-voltage", "V", 3, 0.05, "page-target"), &volts[..], &target[..]),
        (subject("temperature", "page-temperature", "°C", 1, 2.0, "page-ambient"), &warmth, &air),
        (subject("resistance", "page-resistance", "mΩ", 2, 0.5, ""), &resistance, &[]),
        (subject("capacity", "page-capacity", "Ah", 1, 2.0, ""), &capacity, &[]),
    ]
    .into_iter()
    .filter(|(_, points, _)| points.iter().any(|at| at.value.is_some()))
    .map(|(subject, points, other)| Figure::new(reader, &subject, (points, other), Scale::Date))
    .collect()
}
