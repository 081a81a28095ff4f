//! Discharge records over the HTTP API: the list, one record with its table
//! of blocks, and its rows as CSV.

use super::{Answer, bad_query, finite, first_over, off_thread};
use crate::console::Console;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::guard::RecordRows;
use crate::plant::number;
use crate::store::PastDischarge;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use evenkeel_core::discharge::{BlockDischarge, End, Part, Reading};
use evenkeel_core::licence::OVER;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A discharge that is over.
#[derive(Serialize, ToSchema)]
pub struct DischargeOut {
    /// Names it, e.g. `1-1763726400000`.
    id: String,
    /// String, counted from 1.
    string: u16,
    /// Name of the string then.
    name: String,
    /// When it began, ms since 1970.
    begun_unix_ms: u64,
    /// Recording began when the discharge was under way.
    joined_late: bool,
    /// From its first scan to the last before mains returned, s.
    duration_s: f64,
    /// Charge drawn, Ah; null without a current sensor.
    drawn_ah: Option<f64>,
    /// Energy drawn, Wh.
    drawn_wh: Option<f64>,
    /// Mean power, W.
    mean_w: Option<f64>,
    /// For how long the current was known, s.
    metered_s: f64,
    /// Charge drawn over capacity.
    depth: Option<f64>,
    /// Times that mains returned and failed again.
    interruptions: u16,
    /// Stretches of more than 90 s without a scan.
    gaps: u16,
    /// Why the record is complete, in words; null when it is not.
    ended: Option<&'static str>,
    /// Blocks that collapsed.
    collapsed: u16,
    /// The first of them, counted from 1.
    first_collapsed: Option<u16>,
    /// Rows of its course; 0 when they were lost.
    rows: u32,
}

/// The same with what every block did.
#[derive(Serialize, ToSchema)]
pub struct DischargeDetail {
    #[serde(flatten)]
    #[schema(inline)]
    discharge: DischargeOut,
    /// The blocks.
    blocks: Vec<BlockDischargeOut>,
}

/// A block through the discharge.
#[derive(Serialize, ToSchema)]
struct BlockDischargeOut {
    /// Number, counted from 1.
    index: u16,
    /// The last reading before the discharge.
    before: Option<ReadingOut>,
    /// The first in it.
    start: Option<ReadingOut>,
    /// The last before mains returned.
    end: Option<ReadingOut>,
    /// The lowest.
    min: Option<ReadingOut>,
    /// The first once mains were back for the time set.
    after: Option<ReadingOut>,
    /// How and when it collapsed; null when it did not.
    collapse: Option<CollapseOut>,
    /// Scans in which it had no good reading.
    missing: u32,
    /// Why there are no details; null within the licence.
    licence: Option<&'static str>,
}

/// A voltage and when it was read.
#[derive(Serialize, ToSchema)]
struct ReadingOut {
    /// V.
    v: Option<f64>,
    /// Since the start of the discharge, s; negative before it.
    at_s: Option<f64>,
}

/// A collapse.
#[derive(Serialize, ToSchema)]
struct CollapseOut {
    /// Place in the order of collapse; 1 is the first.
    order: u16,
    /// Since the start of the discharge, s.
    at_s: Option<f64>,
    /// Voltage then, V.
    v: Option<f64>,
    /// Why it counts as collapsed, in words.
    cause: &'static str,
}

/// Which discharges.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DischargesQuery {
    /// Only of this string, counted from 1.
    string: Option<u16>,
}

/// Discharges that are over, newest first; 50 of each string are kept.
#[utoipa::path(get, path = "/api/v1/discharges", params(DischargesQuery), tag = "records",
    responses((status = 200, body = Vec<DischargeOut>)))]
pub async fn discharges(
    State(console): State<Arc<Console>>,
    query: Result<Query<DischargesQuery>, QueryRejection>,
) -> Answer<Vec<DischargeOut>> {
    let Query(query) = query.map_err(bad_query)?;
    let store = console.store.clone();
    let past = off_thread(&console, move || store.discharges(query.string)).await?;
    let past = past.map_err(|e| Problem::store(&e))?;
    Ok(Json(past.iter().map(discharge_out).collect()))
}

/// One discharge with what every block did.
#[utoipa::path(get, path = "/api/v1/discharges/{id}", tag = "records",
    params(("id" = String, Path, description = "From the list")),
    responses((status = 200, body = DischargeDetail), (status = 404, body = Problem)))]
pub async fn discharge(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Answer<DischargeDetail> {
    let past = find(&console, &id).await?;
    let first_over = first_over(&console, past.string);
    let blocks = past.record.blocks.iter().enumerate();
    let blocks = blocks.map(|(index, block)| match index < first_over {
        true => block_out(index, block),
        false => BlockDischargeOut {
            licence: Some(OVER),
            ..block_out(index, &BlockDischarge::default())
        },
    });
    let blocks = blocks.collect();
    Ok(Json(DischargeDetail { discharge: discharge_out(&past), blocks }))
}

/// The course of a discharge, a line per row: seconds since its start, part
/// (before, discharge, after), current (A, positive into the batteries), mean
/// block temperature (°C), voltage of every block (V). Empty: not known.
#[utoipa::path(get, path = "/api/v1/discharges/{id}/rows", tag = "records",
    params(("id" = String, Path, description = "From the list")),
    responses((status = 200, content_type = "text/csv", body = String),
        (status = 404, body = Problem)))]
pub async fn rows(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let past = find(&console, &id).await?;
    let (string, begun, store) = (past.string, past.begun_unix_ms, console.store.clone());
    let first_over = first_over(&console, string);
    let text = off_thread(&console, move || {
        let rows = store.discharge_rows(string, begun)?.unwrap_or_default();
        Ok(csv(&rows, past.record.blocks.len(), first_over))
    });
    let text = text.await?.map_err(|e| Problem::store(&e))?;
    let name = format!("attachment; filename=\"discharge-{string}-{begun}.csv\"");
    let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned());
    Ok(([kind, (header::CONTENT_DISPOSITION, name)], text).into_response())
}

pub(in crate::console) async fn find(
    console: &Console,
    id: &str,
) -> Result<PastDischarge, Problem> {
    let none = || {
        Problem::new(StatusCode::NOT_FOUND, "no-discharge", "There is no such discharge record")
            .detail("GET /api/v1/discharges lists them; the oldest go first")
    };
    let (string, begun) = id.split_once('-').ok_or_else(none)?;
    let (Ok(string), Ok(begun)) = (string.parse(), begun.parse()) else { return Err(none()) };
    let store = console.store.clone();
    let past = off_thread(console, move || store.discharge(string, begun)).await?;
    past.map_err(|e| Problem::store(&e))?.ok_or_else(none)
}

fn discharge_out(past: &PastDischarge) -> DischargeOut {
    let record = &past.record;
    DischargeOut {
        id: format!("{}-{}", past.string, past.begun_unix_ms),
        string: past.string,
        name: past.name.clone(),
        begun_unix_ms: past.begun_unix_ms,
        joined_late: record.joined_late,
        duration_s: finite(record.duration_s).unwrap_or(0.0),
        drawn_ah: record.drawn_ah.and_then(finite),
        drawn_wh: record.drawn_wh.and_then(finite),
        mean_w: record.mean_w.and_then(finite),
        metered_s: finite(record.metered_s).unwrap_or(0.0),
        depth: record.depth.and_then(finite),
        interruptions: record.interruptions,
        gaps: record.gaps,
        ended: record.ended.map(End::text),
        collapsed: record.collapsed,
        first_collapsed: record.order_of_collapse().next().map(|(index, _)| number(index)),
        rows: past.rows,
    }
}

fn block_out(index: usize, block: &BlockDischarge) -> BlockDischargeOut {
    let reading = |reading: Option<Reading>| {
        reading.map(|r| ReadingOut { v: finite(r.v.into()), at_s: finite(r.at_s.into()) })
    };
    BlockDischargeOut {
        index: number(index),
        before: reading(block.before),
        start: reading(block.start),
        end: reading(block.end),
        min: reading(block.min),
        after: reading(block.after),
        collapse: block.collapse.map(|collapse| CollapseOut {
            order: collapse.order,
            at_s: finite(collapse.at_s.into()),
            v: finite(collapse.v.into()),
            cause: collapse.cause.text(),
        }),
        missing: block.missing,
        licence: None,
    }
}

/// The cells of blocks from `first_over` on (from 0) are empty.
fn csv(rows: &RecordRows, blocks: usize, first_over: usize) -> String {
    let mut text = String::with_capacity(64 + rows.heads.len() * (32 + 7 * blocks));
    text.push_str("seconds,part,current_a,temperature_c");
    for block in 1..=blocks {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, ",block_{block}_v");
    }
    text.push_str("\r\n");
    for (row, head) in rows.heads.iter().enumerate() {
        let part = match head.part {
            Part::Before => "before",
            Part::Discharge => "discharge",
            Part::After => "after",
        };
        let _ = write!(text, "{:.1},{part}", head.offset_ms as f64 / 1e3);
        for (value, decimals) in [(head.current_a, 2), (head.temperature_c, 1)] {
            text.push(',');
            if value.is_finite() {
                let _ = write!(text, "{value:.decimals$}");
            }
        }
        for block in 0..blocks {
            text.push(',');
            let mv = rows.mv.get(row * blocks + block).filter(|mv| **mv > 0);
            if let Some(mv) = mv.filter(|_| block < first_over) {
                let _ = write!(text, "{:.3}", f64::from(*mv) / 1e3);
            }
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::discharge::RowHead;

    #[test]
    fn what_is_not_known_is_empty_in_the_table() {
        let head = RowHead {
            offset_ms: -1_500,
            current_a: f32::NAN,
            temperature_c: 24.96,
            scans: 1,
            part: Part::Before,
        };
        let rows = RecordRows { heads: vec![head], mv: vec![12_345, 0], ..RecordRows::default() };
        assert_eq!(
            csv(&rows, 2, 2),
            "seconds,part,current_a,temperature_c,block_1_v,block_2_v\r\n\
             -1.5,before,,25.0,12.345,\r\n"
        );
        assert!(csv(&rows, 2, 0).ends_with("-1.5,before,,25.0,,\r\n"), "over the licence");
    }
}
