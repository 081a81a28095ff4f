//! The discharges that are over (facts/console-ux.md §5 page 8): when, how
//! long, how much, and which block gave in first.

use super::VERSION;
use super::reader::Reader;
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::off_thread;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::plant::number;
use crate::store::PastDischarge;
use crate::words::Lang;
use crate::words::number::{measured, span};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/discharges.html")]
struct DischargesPage<'a> {
    version: &'a str,
    who: Who<'a>,
    rows: Vec<Row>,
    /// Only of this string; 0: of all.
    string: u16,
}

/// A discharge as the list shows it.
pub struct Row {
    /// Names it in addresses.
    pub id: String,
    /// When it began, UTC.
    pub at: String,
    /// The string's name then.
    pub name: String,
    /// How long it lasted.
    pub duration: String,
    /// Charge drawn.
    pub drawn: String,
    /// Energy drawn.
    pub energy: String,
    /// Share of the capacity.
    pub depth: String,
    /// Lowest block at its end, and its voltage.
    pub weakest: String,
    /// Blocks that collapsed, in their order.
    pub collapsed: String,
}

/// Which ones.
#[derive(Deserialize)]
pub struct DischargesQuery {
    string: Option<u16>,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(query): Query<DischargesQuery>,
) -> page::Answer {
    let store = console.store.clone();
    let read = off_thread(&console, move || store.discharges(query.string)).await?;
    let past = read.map_err(|e| Problem::store(&e))?;
    let page = DischargesPage {
        version: &VERSION,
        who: reader.who(Area::History, Level::View),
        rows: past.iter().map(|past| Row::of(reader.lang, past)).collect(),
        string: query.string.unwrap_or(0),
    };
    Ok(reader.show(StatusCode::OK, &page))
}

impl Row {
    /// A discharge for a reader.
    pub fn of(lang: Lang, past: &PastDischarge) -> Self {
        let record = &past.record;
        let value = |value: Option<f64>, unit| {
            let value = value.filter(|v| v.is_finite());
            value.map_or_else(|| "--".to_owned(), |value| measured(lang, value, unit))
        };
        let ends = record.blocks.iter().enumerate();
        let ends = ends.filter_map(|(index, block)| Some((index, block.end.or(block.min)?.v)));
        let weakest = ends.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let order: Vec<String> =
            record.order_of_collapse().map(|(index, _)| number(index).to_string()).collect();
        Self {
            id: id_of(past),
            at: clock::utc(past.begun_unix_ms),
            name: past.name.clone(),
            duration: span(lang, record.duration_s),
            drawn: value(record.drawn_ah, "Ah"),
            energy: value(record.drawn_wh.map(|wh| wh.round()), "Wh"),
            depth: value(record.depth.map(|share| share * 100.0), "%"),
            weakest: weakest.map_or_else(
                || "--".to_owned(),
                |(index, v)| format!("{}: {}", number(index), measured(lang, v.into(), "V")),
            ),
            collapsed: order.join(", "),
        }
    }
}

/// The name of a discharge in addresses.
pub fn id_of(past: &PastDischarge) -> String {
    format!("{}-{}", past.string, past.begun_unix_ms)
}
