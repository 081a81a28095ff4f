//! A string's page (facts/console-ux.md §5 page 6): how it is now, all its
//! blocks in a table that can be sorted, its past, and what can be done.

use super::chart::{At, Scale};
use super::fields::{Fields, Sent};
use super::figure::{Figure, Subject};
use super::reader::Reader;
use super::span::{Choice, Span};
use super::{VERSION, none};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::api::strings::{BlockOut, StringOut, string_out};
use crate::console::api::{Time, off_thread};
use crate::console::by::By;
use crate::console::orders::{OrderIn, give};
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::view::{called, finding};
use crate::console::who::Who;
use crate::store::history::Whose;
use crate::words::number::{Style, measured, plain, span, with_unit};
use crate::words::{Lang, words};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::history::{Point, Span as Values};
use evenkeel_core::protect::Condition;
use serde::Deserialize;
use std::cmp::Ordering;
use std::sync::Arc;

/// Points of a chart: twice as many as a phone is wide.
pub const POINTS: usize = 240;
/// Longest pause that the form gives, h.
const PAUSE_MAX_H: u32 = 168;

#[derive(Template)]
#[template(path = "pages/string.html")]
struct StringPage<'a> {
    version: &'a str,
    who: Who<'a>,
    string: StringOut,
    facts: Vec<(String, String)>,
    rows: Vec<Row>,
    sort: Sort,
    spans: Vec<Choice>,
    span: &'static str,
    figures: Vec<Figure>,
    paused: bool,
    problem: String,
}

/// A block as the table shows it.
struct Row {
    index: u16,
    status: &'static str,
    cells: [String; 7],
    state: String,
}

/// By what the table is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By number.
    #[default]
    Block,
    /// The worst first: by state, then by deviation.
    Worst,
    /// The lowest first.
    Voltage,
    /// The warmest first.
    Temperature,
    /// The highest first.
    Resistance,
    /// The weakest first.
    Health,
}

/// How the page is to be.
#[derive(Default, Deserialize)]
pub struct StringQuery {
    #[serde(default)]
    sort: Sort,
    span: Option<String>,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(query): Query<StringQuery>,
) -> page::Answer {
    let page = page_of(&console, &reader, &id, &query, String::new()).await?;
    Ok(reader.show(StatusCode::OK, &page))
}

/// A button was pressed.
pub async fn act(
    by: By,
    reader: Reader,
    Path(id): Path<String>,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    let string = number_of(&id)?;
    let order = match sent.one("order") {
        "pause" => {
            let hours = sent.one("hours").parse::<u32>().ok();
            let Some(hours) = hours.filter(|hours| (1..=PAUSE_MAX_H).contains(hours)) else {
                let said = reader.word("page-pause-wanted");
                let query = StringQuery::default();
                let page = page_of(&by.console, &reader, &id, &query, said).await?;
                return Ok(reader.show(StatusCode::UNPROCESSABLE_ENTITY, &page));
            };
            OrderIn::Pause { string, seconds: hours * 3_600 }
        }
        "resume" => OrderIn::Resume { string },
        "reset" => OrderIn::Reset { string },
        "test" => OrderIn::Test { string },
        "stop-test" => OrderIn::StopTest { string },
        _ => return Err(Problem::bad_request("there is no such button").into()),
    };
    give(&by, order).await?;
    Ok(Redirect::to(&format!("/strings/{string}")).into_response())
}

async fn page_of<'a>(
    console: &Console,
    reader: &'a Reader,
    id: &str,
    query: &StringQuery,
    problem: String,
) -> Result<StringPage<'a>, Problem> {
    let number = number_of(id)?;
    let string = present(console, number)?;
    let chosen = Span::of(query.span.as_deref());
    let store = console.store.clone();
    let whose = Whose { string: number, block: None };
    let read = move || store.chart(whose, chosen.times(), POINTS);
    // Who may not see the past sees the present.
    let past = match reader.caller.may(Area::History, Level::View) {
        true => off_thread(console, read).await?.map_err(|e| Problem::store(&e))?,
        false => Vec::new(),
    };
    let mut blocks: Vec<&BlockOut> = string.blocks.iter().collect();
    blocks.sort_by(|a, b| query.sort.order(a, b));
    let spans = chosen.choices(reader);
    Ok(StringPage {
        version: &VERSION,
        who: reader.who(Area::Battery, Level::Operate),
        facts: facts(reader, &string),
        rows: blocks.into_iter().map(|block| row(reader, block)).collect(),
        sort: query.sort,
        span: spans.iter().find(|c| c.chosen).map_or("", |c| c.word),
        spans,
        figures: if past.is_empty() { Vec::new() } else { figures(reader, &past) },
        paused: string.inhibits.iter().any(|why| why.contains("paused")),
        problem,
        string,
    })
}

/// The string of this number, as the API tells it.
pub fn present(console: &Console, number: u16) -> Result<StringOut, Problem> {
    let plant = console.hub.plant();
    let index = usize::from(number).checked_sub(1);
    let found = plant.as_deref().zip(index).and_then(|(plant, index)| {
        let string = plant.snapshot.strings.get(index)?;
        Some(string_out(plant, index, string, Time::now()))
    });
    found.ok_or_else(|| none(format!("there is no string {number}; the live page has them all")))
}

fn number_of(id: &str) -> Result<u16, Problem> {
    id.parse().map_err(|_| none("a string is named by its number, from 1"))
}

fn facts(reader: &Reader, string: &StringOut) -> Vec<(String, String)> {
    let lang = reader.lang;
    let value = |value: Option<f64>, unit| {
        value.map_or_else(|| "--".to_owned(), |value| measured(lang, value, unit))
    };
    let millivolts = |mv: Option<f64>| {
        let style = Style { digits: 0, sign: true };
        mv.map_or_else(|| "--".to_owned(), |mv| with_unit(lang, mv, style, "mV"))
    };
    let exact = |v: Option<f64>| {
        let style = Style { digits: 3, sign: false };
        v.map_or_else(|| "--".to_owned(), |v| with_unit(lang, v, style, "V"))
    };
    let phase = reader.word(&format!("page-phase-{}", string.phase));
    let inhibits = string.inhibits.iter().map(|why| called(lang, "inhibit", why));
    let inhibits = inhibits.collect::<Vec<_>>().join(", ");
    let equalizing = if inhibits.is_empty() { reader.word("page-yes") } else { inhibits };
    let runtime = string.runtime_s.map_or_else(|| "--".to_owned(), |s| span(lang, s));
    [
        ("page-phase", phase),
        ("page-current", value(string.current_a, "A")),
        ("page-string-voltage", value(string.voltage_v.or(string.sum_v), "V")),
        ("page-target", exact(string.target_v)),
        ("page-worst", millivolts(string.worst_mv)),
        ("page-ambient", value(string.ambient_c, "°C")),
        ("page-charge", value(string.charge_percent.value, "%")),
        ("page-capacity", value(string.capacity_ah.value, "Ah")),
        ("page-runtime", runtime),
        ("page-breaker", called(lang, "breaker", string.breaker)),
        ("page-charger", called(lang, "charger", &string.charger)),
        ("page-equalizing", equalizing),
        ("page-bypass", measured(lang, string.mean_duty * 100.0, "%")),
    ]
    .map(|(name, text)| (reader.word(name), text))
    .to_vec()
}

fn row(reader: &Reader, block: &BlockOut) -> Row {
    let number = |value: Option<f64>, digits, sign| {
        value.map_or_else(|| "--".to_owned(), |v| plain(reader.lang, v, Style { digits, sign }))
    };
    let lang = reader.lang;
    let said = alarms(lang, block).into_iter().chain(fault(lang, block)).chain(over(lang, block));
    let said: Vec<String> = said.collect();
    Row {
        index: block.index,
        status: status_of(block),
        cells: [
            number(block.voltage_mv.map(|mv| f64::from(mv) / 1e3), 3, false),
            number(block.deviation_mv.map(f64::from), 0, true),
            number(block.temperature_c, 1, false),
            number(block.resistance_mohm, 2, false),
            number(block.charge_percent.value, 0, false),
            number(block.health_percent.value, 0, false),
            number(Some(block.duty * 100.0), 0, false),
        ],
        state: match said.is_empty() {
            true => reader.word("page-ok"),
            false => said.join(", "),
        },
    }
}

/// What protection finds wrong with a block.
pub fn alarms(lang: Lang, block: &BlockOut) -> Vec<String> {
    let called = |text: &&str| {
        let condition = Condition::ALL.into_iter().find(|condition| condition.text() == *text);
        condition.map_or_else(|| (*text).to_owned(), |condition| finding(lang, condition))
    };
    block.alarms.iter().map(called).collect()
}

/// Why its reading is not good.
pub fn fault(lang: Lang, block: &BlockOut) -> Option<String> {
    block.fault.map(|fault| called(lang, "fault", fault))
}

/// That it is over the licence.
pub fn over(lang: Lang, block: &BlockOut) -> Option<String> {
    block.licence.map(|_| words().word(lang, "page-live-over-safety"))
}

/// How a block is, as the style sheet knows it (UX-010).
pub fn status_of(block: &BlockOut) -> &'static str {
    match block.status {
        "alarm" => "alarm",
        "warning" | "notice" => "warning",
        _ if block.voltage_mv.is_none() => "unknown",
        _ => "ok",
    }
}

impl Sort {
    fn order(self, a: &BlockOut, b: &BlockOut) -> Ordering {
        // What is not known stands last.
        let by = |key: fn(&BlockOut) -> Option<f64>| match (key(a), key(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        let rank = |block: &BlockOut| {
            ["alarm", "warning", "unknown", "ok"].iter().position(|s| *s == status_of(block))
        };
        let found = match self {
            Self::Block => Ordering::Equal,
            Self::Worst => rank(a)
                .cmp(&rank(b))
                .then(by(|block| block.deviation_mv.map(|mv| -f64::from(mv.abs())))),
            Self::Voltage => by(|block| block.voltage_mv.map(f64::from)),
            Self::Temperature => by(|block| block.temperature_c.map(|c| -c)),
            Self::Resistance => by(|block| block.resistance_mohm.map(|r| -r)),
            Self::Health => by(|block| block.health_percent.value),
        };
        found.then(a.index.cmp(&b.index))
    }

    /// The word in the address.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Worst => "worst",
            Self::Voltage => "voltage",
            Self::Temperature => "temperature",
            Self::Resistance => "resistance",
            Self::Health => "health",
        }
    }
}

/// Columns of the table: by what a click sorts, and the head.
const COLUMNS: [(Option<Sort>, &str); 9] = [
    (Some(Sort::Block), "page-block"),
    (Some(Sort::Voltage), "page-column-voltage"),
    (Some(Sort::Worst), "page-column-deviation"),
    (Some(Sort::Temperature), "page-column-temperature"),
    (Some(Sort::Resistance), "page-column-resistance"),
    (None, "page-column-charge"),
    (Some(Sort::Health), "page-column-health"),
    (None, "page-column-bypass"),
    (None, "page-state"),
];

impl StringPage<'_> {
    fn columns(&self) -> [(Option<Sort>, &'static str); COLUMNS.len()] {
        COLUMNS
    }

    fn status(&self) -> &'static str {
        match self.string.status {
            "alarm" => "alarm",
            "warning" | "notice" => "warning",
            _ if !self.string.live => "unknown",
            _ => "ok",
        }
    }
}

fn figures(reader: &Reader, past: &[Point]) -> Vec<Figure> {
    let series = |of: fn(&Point) -> Option<Values>, by: f64| series(past, of, by);
    let volts = series(|p| p.head.blocks_mv, 1e3);
    let target = series(|p| p.head.target_mv, 1e3);
    let warmth = series(|p| p.head.blocks_dc, 10.0);
    let air = series(|p| p.head.ambient_dc, 10.0);
    let current = series(|p| p.head.current_ma, 1e3);
    [
        (
            subject("voltage", "page-chart-blocks", "V", 3, 0.05, "page-target"),
            &volts[..],
            &target[..],
        ),
        (
            subject("temperature", "page-chart-temperatures", "°C", 1, 2.0, "page-ambient"),
            &warmth,
            &air,
        ),
        (subject("current", "page-current", "A", 1, 2.0, ""), &current, &[]),
    ]
    .into_iter()
    .filter(|(_, points, _)| points.iter().any(|at| at.value.is_some()))
    .map(|(subject, points, other)| Figure::new(reader, &subject, (points, other), Scale::Date))
    .collect()
}

/// What a chart is of.
pub const fn subject(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    digits: usize,
    least: f64,
    other: &'static str,
) -> Subject {
    Subject { id, title, unit, digits, least, other }
}

/// Lowest, mean and highest of every point, divided by `by`.
pub fn series<T: Into<f64>>(
    past: &[Point],
    of: impl Fn(&Point) -> Option<Values<T>>,
    by: f64,
) -> Vec<At> {
    let scaled = |values: Values<T>| [values.min, values.mean, values.max].map(|v| v.into() / by);
    past.iter().map(|point| At { ms: point.head.unix_ms, value: of(point).map(scaled) }).collect()
}
