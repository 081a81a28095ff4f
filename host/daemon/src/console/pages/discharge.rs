//! A discharge, moment by moment (UX-055): its course, every block at one
//! moment of it, the order in which blocks gave in, and another discharge of
//! the same string beside it.

use super::chart::{At, Scale};
use super::discharges::{Row as Listed, id_of};
use super::figure::Figure;
use super::reader::Reader;
use super::string::subject;
use super::{VERSION, none};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::discharges::find;
use crate::console::api::{first_over, off_thread};
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::guard::RecordRows;
use crate::plant::number;
use crate::store::PastDischarge;
use crate::words::number::{Style, measured, plain, span};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use evenkeel_core::discharge::{BlockDischarge, End, Reading};
use serde::Deserialize;
use std::sync::Arc;

/// Other discharges that are offered for comparison.
const OTHERS_MAX: usize = 50;
/// Points of the course: as many as fit beside each other.
const POINTS: usize = 400;

#[derive(Template)]
#[template(path = "pages/discharge.html")]
struct DischargePage<'a> {
    version: &'a str,
    who: Who<'a>,
    id: String,
    listed: Listed,
    facts: Vec<(String, String)>,
    figures: Vec<Figure>,
    /// The moment, and between which ones it can be, s since the start.
    at_s: i64,
    least_s: i64,
    most_s: i64,
    moment: String,
    collapses: Vec<Collapsed>,
    blocks: Vec<Block>,
    others: Vec<(String, String)>,
    other: Option<Listed>,
    other_id: String,
    /// There are rows to be replayed.
    replay: bool,
}

/// A block that gave in.
struct Collapsed {
    block: u16,
    after: String,
    voltage: String,
    cause: &'static str,
}

/// A block in the table.
struct Block {
    number: u16,
    /// Place in the order of collapse, once it has.
    order: String,
    /// Voltage at the moment, less the mean of all, mV.
    now: String,
    apart: String,
    /// Whether it is far below the others.
    weak: bool,
    before: String,
    lowest: String,
    end: String,
    after: String,
    /// The same of the other discharge, and the difference, mV.
    other_end: String,
    difference: String,
}

/// Which moment, and what beside it.
#[derive(Deserialize)]
pub struct DischargeQuery {
    /// Seconds since the start.
    at: Option<i64>,
    /// Another discharge of the string.
    #[serde(default)]
    with: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(query): Query<DischargeQuery>,
) -> page::Answer {
    Ok(reader.show(StatusCode::OK, &page_of(&console, &reader, &id, &query).await?))
}

async fn page_of<'a>(
    console: &Console,
    reader: &'a Reader,
    id: &str,
    query: &DischargeQuery,
) -> Result<DischargePage<'a>, Problem> {
    let past = find(console, id).await?;
    let other = match query.with.as_str() {
        "" => None,
        with => Some(find(console, with).await?),
    };
    if other.as_ref().is_some_and(|other| other.string != past.string) {
        return Err(none("discharges of the same string can be compared"));
    }
    let (store, string, begun) = (console.store.clone(), past.string, past.begun_unix_ms);
    let read = move || {
        let rows = store.discharge_rows(string, begun)?.unwrap_or_default();
        Ok((rows, store.discharges(Some(string))?))
    };
    let read = off_thread(console, read).await?.map_err(|e| Problem::store(&e))?;
    let (rows, all): (RecordRows, Vec<PastDischarge>) = read;
    let shown = first_over(console, string).min(past.record.blocks.len());
    let course = Course { rows, blocks: past.record.blocks.len(), shown };
    let row = course.row_at(query.at);
    let at_ms = row.map_or(0, |row| course.rows.heads[row].offset_ms);
    let ends = course.rows.heads.first().zip(course.rows.heads.last());
    let (least_s, most_s) =
        ends.map_or((0, 0), |(first, last)| (first.offset_ms / 1_000, last.offset_ms / 1_000));
    let others = all.iter().filter(|other| other.begun_unix_ms != past.begun_unix_ms);
    let others = others.take(OTHERS_MAX);
    Ok(DischargePage {
        version: &VERSION,
        who: reader.who(Area::History, Level::View),
        listed: Listed::of(reader.lang, &past),
        facts: facts(reader, &past),
        figures: course.figures(reader, at_ms),
        at_s: at_ms.div_euclid(1_000),
        least_s,
        most_s,
        moment: span(reader.lang, at_ms.max(0) as f64 / 1e3),
        collapses: collapses(reader, &past, shown),
        blocks: course.table(reader, row, &past, other.as_ref()),
        others: others.map(|o| (id_of(o), clock::utc(o.begun_unix_ms))).collect(),
        other: other.as_ref().map(|other| Listed::of(reader.lang, other)),
        other_id: query.with.clone(),
        replay: row.is_some(),
        id: id_of(&past),
    })
}

fn facts(reader: &Reader, past: &PastDischarge) -> Vec<(String, String)> {
    let (record, lang) = (&past.record, reader.lang);
    let value = |value: Option<f64>, unit| {
        value.map_or_else(|| "--".to_owned(), |value| measured(lang, value, unit))
    };
    let row = Listed::of(lang, past);
    let ended = record.ended.map_or("--", End::text).to_owned();
    let mut facts = vec![
        ("page-began", row.at),
        ("page-duration", row.duration),
        ("page-drawn", row.drawn),
        ("page-energy", row.energy),
        ("page-mean-power", value(record.mean_w.map(f64::round), "W")),
        ("page-depth", row.depth),
        ("page-weakest", row.weakest),
        ("page-interruptions", record.interruptions.to_string()),
        ("page-ended", ended),
    ];
    if record.joined_late {
        facts.push(("page-joined-late", reader.word("page-yes")));
    }
    if record.gaps > 0 {
        facts.push(("page-gaps", record.gaps.to_string()));
    }
    facts.into_iter().map(|(name, text)| (reader.word(name), text)).collect()
}

fn collapses(reader: &Reader, past: &PastDischarge, shown: usize) -> Vec<Collapsed> {
    let order = past.record.order_of_collapse().filter(|(index, _)| *index < shown);
    let one = |(index, collapse): (usize, evenkeel_core::discharge::Collapse)| Collapsed {
        block: number(index),
        after: span(reader.lang, collapse.at_s.into()),
        voltage: measured(reader.lang, collapse.v.into(), "V"),
        cause: collapse.cause.text(),
    };
    order.map(one).collect()
}

/// The rows of a discharge.
struct Course {
    rows: RecordRows,
    /// Blocks in a row.
    blocks: usize,
    /// Of which so many may be shown.
    shown: usize,
}

impl Course {
    /// The row of a moment; the last in the discharge when none is named.
    fn row_at(&self, at_s: Option<i64>) -> Option<usize> {
        let heads = &self.rows.heads;
        if self.blocks == 0 || heads.len() * self.blocks != self.rows.mv.len() {
            return None;
        }
        let within = |row: &usize| heads[*row].part == evenkeel_core::discharge::Part::Discharge;
        match at_s {
            Some(at_s) => {
                let far = |row: &usize| heads[*row].offset_ms.abs_diff(at_s.saturating_mul(1_000));
                (0..heads.len()).min_by_key(far)
            }
            None => (0..heads.len()).rev().find(within).or(heads.len().checked_sub(1)),
        }
    }

    /// Voltages of a row, V; `None`: no reading.
    fn volts(&self, row: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let from = row * self.blocks;
        let mv = self.rows.mv.get(from..from + self.shown).unwrap_or_default();
        mv.iter().map(|mv| (*mv > 0).then(|| f64::from(*mv) / 1e3))
    }

    /// Lowest, mean and highest block of a row.
    fn spread(&self, row: usize) -> Option<[f64; 3]> {
        let known: Vec<f64> = self.volts(row).flatten().collect();
        let low = known.iter().copied().reduce(f64::min)?;
        let high = known.iter().copied().reduce(f64::max)?;
        Some([low, known.iter().sum::<f64>() / known.len() as f64, high])
    }

    fn figures(&self, reader: &Reader, at_ms: i64) -> Vec<Figure> {
        let Some(first) = self.rows.heads.first().map(|head| head.offset_ms) else {
            return Vec::new();
        };
        // A chart begins at zero; what came before the discharge is in it.
        let since = |ms: i64| u64::try_from(ms - first).unwrap_or(0);
        let stride = self.rows.heads.len().div_ceil(POINTS).max(1);
        let (mut volts, mut current) = (Vec::new(), Vec::new());
        for (row, head) in self.rows.heads.iter().enumerate().step_by(stride) {
            let ms = since(head.offset_ms);
            volts.push(At { ms, value: self.spread(row) });
            current.push(At::of(ms, Some(head.current_a.into())));
        }
        [
            (subject("voltage", "page-chart-blocks", "V", 3, 0.1, ""), volts),
            (subject("current", "page-current", "A", 1, 1.0, ""), current),
        ]
        .into_iter()
        .filter(|(_, points)| points.iter().any(|at| at.value.is_some()))
        .map(|(subject, points)| {
            Figure::new(reader, &subject, (&points, &[]), Scale::Since(-first))
                .marked(&points, since(at_ms))
        })
        .collect()
    }

    fn table(
        &self,
        reader: &Reader,
        row: Option<usize>,
        past: &PastDischarge,
        other: Option<&PastDischarge>,
    ) -> Vec<Block> {
        let at_s = row.map_or(f64::INFINITY, |row| self.rows.heads[row].offset_ms as f64 / 1e3);
        let mean = row.and_then(|row| self.spread(row)).map(|[_, mean, _]| mean);
        let now: Vec<Option<f64>> = row.map_or_else(Vec::new, |row| self.volts(row).collect());
        let volts = |v: Option<f64>| text(reader, v, 3, false);
        let reading = |r: Option<Reading>| volts(r.map(|r| r.v.into()));
        let blocks = past.record.blocks.iter().enumerate().take(self.shown);
        let one = |(index, block): (usize, &BlockDischarge)| {
            let now = now.get(index).copied().flatten();
            let apart = now.zip(mean).map(|(now, mean)| (now - mean) * 1e3);
            let gone = block.collapse.filter(|collapse| f64::from(collapse.at_s) <= at_s);
            let beside = other.and_then(|other| other.record.blocks.get(index)?.end);
            let difference = block.end.zip(beside).map(|(end, other)| f64::from(end.v - other.v));
            Block {
                number: number(index),
                order: gone.map_or_else(String::new, |collapse| collapse.order.to_string()),
                now: volts(now),
                apart: text(reader, apart, 0, true),
                weak: gone.is_some(),
                before: reading(block.before),
                lowest: reading(block.min),
                end: reading(block.end),
                after: reading(block.after),
                other_end: reading(beside),
                difference: text(reader, difference.map(|v| v * 1e3), 0, true),
            }
        };
        blocks.map(one).collect()
    }
}

fn text(reader: &Reader, value: Option<f64>, digits: usize, sign: bool) -> String {
    let value = value.filter(|v| v.is_finite());
    value.map_or_else(|| "--".to_owned(), |v| plain(reader.lang, v, Style { digits, sign }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::discharge::{Part, RowHead};

    #[test]
    fn a_moment_is_the_row_nearest_to_it() {
        let head = |offset_ms, part| RowHead {
            offset_ms,
            current_a: -10.0,
            temperature_c: 25.0,
            scans: 1,
            part,
        };
        let heads = vec![
            head(-5_000, Part::Before),
            head(0, Part::Discharge),
            head(60_000, Part::Discharge),
            head(90_000, Part::After),
        ];
        let mv = vec![13_600, 13_500, 12_400, 12_300, 12_000, 9_500, 12_600, 0];
        let rows = RecordRows { heads, mv, ..RecordRows::default() };
        let course = Course { rows, blocks: 2, shown: 2 };
        assert_eq!(course.row_at(None), Some(2), "the last in the discharge");
        assert_eq!((course.row_at(Some(31)), course.row_at(Some(-99))), (Some(2), Some(0)));
        assert_eq!(course.row_at(Some(i64::MAX)), Some(3), "no overflow");
        assert_eq!(course.spread(2), Some([9.5, 10.75, 12.0]));
        assert_eq!(course.volts(3).collect::<Vec<_>>(), [Some(12.6), None]);
        let over = Course { shown: 1, ..course };
        assert_eq!(over.volts(2).collect::<Vec<_>>(), [Some(12.0)], "within the licence");
        let none = Course { rows: RecordRows::default(), blocks: 2, shown: 2 };
        assert_eq!(none.row_at(None), None);
    }
}
