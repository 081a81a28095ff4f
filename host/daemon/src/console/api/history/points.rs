//! The past of single points over the HTTP API: what UPSes, devices and sensors
//! said.

use super::POINTS;
use crate::clock;
use crate::console::Console;
use crate::console::api::{Answer, QualityOut, bad_query, off_thread};
use crate::console::problem::Problem;
use crate::store::history::series::Past;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use evenkeel_core::history::Span;
use evenkeel_core::history::chart::POINTS_MAX;
use evenkeel_core::history::series::SCALE;
use evenkeel_core::points::Name;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The past of a point, column by column. A row holds from its time on until the
/// next one, at most until its clock hour is over.
#[derive(Serialize, ToSchema)]
pub struct PointHistoryOut {
    /// Of the point.
    name: String,
    /// Of its values; empty for a plain number, a contact (0 or 1), and for a point
    /// of which nothing is known.
    unit: &'static str,
    /// Begin of each row, ms since 1970.
    unix_ms: Vec<u64>,
    /// How long ago the newest row began, ms.
    age_ms: Option<u64>,
    /// Mean over the time of the row; null while there was no usable value.
    value: Vec<Option<f64>>,
    /// Its lowest.
    min: Vec<Option<f64>>,
    /// Its highest.
    max: Vec<Option<f64>>,
    /// What the readings were worth, the worst of a row.
    quality: Vec<QualityOut>,
}

/// A point of which something is kept.
#[derive(Serialize, ToSchema)]
pub struct KeptPointOut {
    /// Of the point.
    name: String,
    /// Of its values.
    unit: &'static str,
}

/// Which past of which point.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PointHistoryQuery {
    /// The point, e.g. `ups.0.input.voltage`.
    name: String,
    /// From when, ms since 1970.
    from: Option<u64>,
    /// Until when, ms since 1970.
    to: Option<u64>,
    /// At most so many rows, 1 … 4000; 800 when not given. Every lowest and highest
    /// value is in one of them.
    points: Option<usize>,
}

/// The past of a UPS's, a device's or a sensor's point, oldest first; empty for one
/// that was never recorded. Those of strings and blocks are at `/api/v1/history`.
#[utoipa::path(get, path = "/api/v1/history/points", params(PointHistoryQuery), tag = "records",
    responses((status = 200, body = PointHistoryOut)))]
pub async fn points(
    State(console): State<Arc<Console>>,
    query: Result<Query<PointHistoryQuery>, QueryRejection>,
) -> Answer<PointHistoryOut> {
    let Query(query) = query.map_err(bad_query)?;
    let name = Name::parse(&query.name).map_err(|e| Problem::bad_request(e.to_string()))?;
    let times = query.from.unwrap_or(0)..=query.to.unwrap_or(u64::MAX);
    let points = query.points.unwrap_or(POINTS).clamp(1, POINTS_MAX);
    let (store, asked) = (console.store.clone(), name.to_string());
    let read = move || store.series_chart(&asked, times, points);
    let past = off_thread(&console, read).await?.map_err(|e| Problem::store(&e))?;
    Ok(Json(PointHistoryOut::of(name.to_string(), &past)))
}

/// The points of which something is kept, by name.
#[utoipa::path(get, path = "/api/v1/history/points/names", tag = "records",
    responses((status = 200, body = [KeptPointOut])))]
pub async fn names(State(console): State<Arc<Console>>) -> Answer<Vec<KeptPointOut>> {
    let store = console.store.clone();
    let names = off_thread(&console, move || store.series_names()).await?;
    let names = names.map_err(|e| Problem::store(&e))?.into_iter();
    Ok(Json(names.map(|(name, of)| KeptPointOut { name, unit: of.unit().symbol() }).collect()))
}

impl PointHistoryOut {
    fn of(name: String, past: &Past) -> Self {
        let rows = &past.rows;
        let each = |of: fn(Span<i64>) -> i64| {
            rows.iter().map(|row| row.value.map(|span| of(span) as f64 / SCALE)).collect()
        };
        let unix_ms: Vec<u64> = rows.iter().map(|row| row.unix_s * 1_000).collect();
        Self {
            name,
            unit: past.measure.map_or("", |measure| measure.unit().symbol()),
            age_ms: unix_ms.last().map(|newest| clock::unix_ms().saturating_sub(*newest)),
            unix_ms,
            value: each(|span| span.mean),
            min: each(|span| span.min),
            max: each(|span| span.max),
            quality: rows.iter().map(|row| row.quality.into()).collect(),
        }
    }
}
