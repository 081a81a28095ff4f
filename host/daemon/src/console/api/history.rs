//! History over the HTTP API: charts of blocks and strings, export while
//! running, import of an export.

pub mod points;

use super::{Answer, QualityOut, bad_query, first_over, int64, licence, off_thread};
use crate::clock;
use crate::console::Console;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::store::history::{Imported, Whose};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use evenkeel_core::history::chart::POINTS_MAX;
use evenkeel_core::history::file::PointKey;
use evenkeel_core::history::record::DUTY_FULL;
use evenkeel_core::history::{Damage, Key, Level, Point, Span};
use evenkeel_core::image::Fault;
use evenkeel_core::points::{Name, names};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::sync::Arc;
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

/// Points of a chart when nobody says how many.
const POINTS: usize = 800;
/// Pieces of an export that wait for a slow client: 64 kB each.
const WAITING: usize = 4;
/// Longest import, bytes.
const IMPORT_MAX: u64 = 64 << 20;
/// What is uploaded stands here until it is checked.
const UPLOAD: &str = "history-import.tmp";

/// The past of a block or a string, column by column. A point is the records
/// between its time and the next one's: lowest, mean and highest of them.
#[derive(Default, Serialize, ToSchema)]
pub struct HistoryOut {
    /// String, counted from 1.
    string: u16,
    /// Block, counted from 1; null: all of the string's, lowest to highest.
    block: Option<u16>,
    /// First record of each point, ms since 1970.
    unix_ms: Vec<u64>,
    /// How long ago the newest point began, ms.
    age_ms: Option<u64>,
    /// Voltage, mV; null when there was no usable one.
    voltage_mv: Vec<Option<i32>>,
    /// Its lowest.
    voltage_min_mv: Vec<Option<i32>>,
    /// Its highest.
    voltage_max_mv: Vec<Option<i32>>,
    /// Temperature, °C.
    temperature_c: Vec<Option<f64>>,
    /// Its lowest.
    temperature_min_c: Vec<Option<f64>>,
    /// Its highest.
    temperature_max_c: Vec<Option<f64>>,
    /// Commanded bypass, 0 … 1, to half a percent; empty for a string.
    duty: Vec<f64>,
    /// Its lowest.
    duty_min: Vec<f64>,
    /// Its highest.
    duty_max: Vec<f64>,
    /// Internal resistance as last measured, mΩ.
    resistance_mohm: Vec<Option<f64>>,
    /// Its lowest.
    resistance_min_mohm: Vec<Option<f64>>,
    /// Its highest.
    resistance_max_mohm: Vec<Option<f64>>,
    /// State of charge, 0 … 1.
    charge: Vec<Option<f64>>,
    /// Its lowest.
    charge_min: Vec<Option<f64>>,
    /// Its highest.
    charge_max: Vec<Option<f64>>,
    /// Capacity, Ah.
    capacity_ah: Vec<Option<f64>>,
    /// Its lowest.
    capacity_min_ah: Vec<Option<f64>>,
    /// Its highest.
    capacity_max_ah: Vec<Option<f64>>,
    /// What the readings were worth, the worst of a point; empty for a string.
    quality: Vec<QualityOut>,
    /// What was wrong with the reading, the last fault of a point; empty for
    /// nothing. For a string no value at all.
    fault: Vec<&'static str>,
    /// What the module reported beside its readings, all bits of a point; empty
    /// for a string.
    flags: Vec<u8>,
    /// Target of the string, mV.
    target_mv: Vec<Option<i32>>,
    /// String current, A.
    current_a: Vec<Option<f64>>,
    /// Its lowest.
    current_min_a: Vec<Option<f64>>,
    /// Its highest.
    current_max_a: Vec<Option<f64>>,
    /// Voltage of the string by an input of its own, V.
    string_v: Vec<Option<f64>>,
    /// Its lowest.
    string_min_v: Vec<Option<f64>>,
    /// Its highest.
    string_max_v: Vec<Option<f64>>,
    /// Air temperature, °C.
    ambient_c: Vec<Option<f64>>,
    /// Its lowest.
    ambient_min_c: Vec<Option<f64>>,
    /// Its highest.
    ambient_max_c: Vec<Option<f64>>,
    /// What the string was doing.
    phase: Vec<&'static str>,
}

/// Which past.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// String, counted from 1.
    string: u16,
    /// Block, counted from 1; without it, of the string alone.
    block: Option<u16>,
    /// From when, ms since 1970.
    from: Option<u64>,
    /// Until when, ms since 1970.
    to: Option<u64>,
    /// At most so many points, 1 … 4000; 800 when not given. Every lowest and
    /// highest value is in one of them.
    points: Option<usize>,
}

/// What to export.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `binary` (when not given) or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: ExportFormat,
    /// CSV: of this string, counted from 1.
    string: Option<u16>,
    /// CSV: of this block alone, counted from 1.
    block: Option<u16>,
    /// CSV, in place of a string: of this point and all below it, e.g. `ups.0`.
    point: Option<String>,
    /// From when, ms since 1970.
    #[serde(default, deserialize_with = "int64")]
    from: Option<u64>,
    /// Until when, ms since 1970.
    #[serde(default, deserialize_with = "int64")]
    to: Option<u64>,
}

/// Form of an export.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ExportFormat {
    /// Everything, compressed; `evenkeel history` reads it, and an import takes it.
    #[default]
    Binary,
    /// A line per record.
    Csv,
}

/// What a check of the history found.
#[derive(Serialize, ToSchema)]
pub struct CheckOut {
    /// Everything is as it was written.
    whole: bool,
    /// Columns (a block's or a point's day, or hours or days of it) that were looked at.
    columns: u64,
    /// Groups of today's rows that were looked at.
    groups: u64,
    /// Columns and groups that are damaged.
    damaged: u64,
    /// The first of them.
    first: Vec<DamageOut>,
}

/// A column that is damaged.
#[derive(Serialize, ToSchema)]
struct DamageOut {
    /// `records`, `hours` or `days`.
    level: &'static str,
    /// String, counted from 1; null: of a point.
    string: Option<u16>,
    /// Block, counted from 1; null: what holds for the whole string, and all of
    /// its blocks with it.
    block: Option<u16>,
    /// The point; null: of a string.
    point: Option<String>,
    /// When the time of the column begins, ms since 1970.
    begins_unix_ms: u64,
    /// What is wrong.
    problem: String,
}

/// What an import did.
#[derive(Serialize, ToSchema)]
pub struct ImportOut {
    /// Columns of the file.
    columns: u64,
    /// Sheets (a string's or a point's day, or hours or days of it) that are there now
    /// and were not before.
    sheets_added: u64,
    /// Sheets that were there already and stayed as they are.
    sheets_present: u64,
    /// Sheets that were not taken: the history is full of newer ones.
    sheets_dropped: u64,
}

/// The past of a block or of a string, for a chart, oldest first.
#[utoipa::path(get, path = "/api/v1/history", params(HistoryQuery), tag = "records",
    responses((status = 200, body = HistoryOut),
        (status = 403, body = Problem, description = "The block is over the licence")))]
pub async fn history(
    State(console): State<Arc<Console>>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<HistoryOut> {
    let Query(query) = query.map_err(bad_query)?;
    let block = query.block.map(from_one).transpose()?;
    if block.is_some_and(|block| block >= first_over(&console, query.string)) {
        return Err(licence::over());
    }
    let (from, to) = (query.from.unwrap_or(0), query.to.unwrap_or(u64::MAX));
    let points = query.points.unwrap_or(POINTS).clamp(1, POINTS_MAX);
    let (whose, store) = (Whose { string: query.string, block }, console.store.clone());
    let read = move || store.chart(whose, from..=to, points);
    let past = off_thread(&console, read).await?.map_err(|e| Problem::store(&e))?;
    let mut out = HistoryOut { string: query.string, block: query.block, ..HistoryOut::default() };
    past.iter().for_each(|point| out.push(point));
    out.age_ms = out.unix_ms.last().map(|newest| clock::unix_ms().saturating_sub(*newest));
    Ok(Json(out))
}

impl HistoryOut {
    fn push(&mut self, point: &Point) {
        let (head, record) = (&point.head, &point.record);
        self.unix_ms.push(head.unix_ms);
        let (mv, dc) = match self.block {
            Some(_) => (record.voltage_mv, record.temperature_dc),
            None => (head.blocks_mv, head.blocks_dc),
        };
        let scaled = |value: Option<i32>, by: f64| value.map(|value| f64::from(value) / by);
        let mean = |span: Option<Span>, by: f64| scaled(span.map(|s| s.mean), by);
        let least = |span: Option<Span>, by: f64| scaled(span.map(|s| s.min), by);
        let most = |span: Option<Span>, by: f64| scaled(span.map(|s| s.max), by);
        self.voltage_mv.push(mv.map(|s| s.mean));
        self.voltage_min_mv.push(mv.map(|s| s.min));
        self.voltage_max_mv.push(mv.map(|s| s.max));
        self.temperature_c.push(mean(dc, 10.0));
        self.temperature_min_c.push(least(dc, 10.0));
        self.temperature_max_c.push(most(dc, 10.0));
        self.target_mv.push(head.target_mv.map(|s| s.mean));
        self.current_a.push(mean(head.current_ma, 1e3));
        self.current_min_a.push(least(head.current_ma, 1e3));
        self.current_max_a.push(most(head.current_ma, 1e3));
        self.string_v.push(mean(head.string_mv, 1e3));
        self.string_min_v.push(least(head.string_mv, 1e3));
        self.string_max_v.push(most(head.string_mv, 1e3));
        self.ambient_c.push(mean(head.ambient_dc, 10.0));
        self.ambient_min_c.push(least(head.ambient_dc, 10.0));
        self.ambient_max_c.push(most(head.ambient_dc, 10.0));
        self.phase.push(head.phase.word());
        if self.block.is_some() {
            let over = |span: Option<Span<u32>>, by: f64| {
                let span = span.map(|span| span.map(|value| f64::from(value) / by));
                [span.map(|s| s.mean), span.map(|s| s.min), span.map(|s| s.max)]
            };
            let resistance = over(record.resistance_uohm, 1e3);
            let (charge, capacity) = (over(record.charge_pm, 1e3), over(record.capacity_cah, 1e2));
            let duty = record.duty_hp.map(|half| f64::from(half) / f64::from(DUTY_FULL));
            self.duty.push(duty.mean);
            self.duty_min.push(duty.min);
            self.duty_max.push(duty.max);
            for ([mean, least, most], values) in [
                (
                    [
                        &mut self.resistance_mohm,
                        &mut self.resistance_min_mohm,
                        &mut self.resistance_max_mohm,
                    ],
                    resistance,
                ),
                ([&mut self.charge, &mut self.charge_min, &mut self.charge_max], charge),
                (
                    [&mut self.capacity_ah, &mut self.capacity_min_ah, &mut self.capacity_max_ah],
                    capacity,
                ),
            ] {
                mean.push(values[0]);
                least.push(values[1]);
                most.push(values[2]);
            }
            self.quality.push(record.quality.into());
            self.fault.push(Fault::of_code(record.fault).map_or("another fault", Fault::text));
            self.flags.push(record.flags);
        }
    }
}

/// Export history while it goes on: all of it in its compressed form (the
/// format is open: rustdoc of `evenkeel_core::history`), or the records of one string
/// as CSV.
#[utoipa::path(get, path = "/api/v1/history/export", params(ExportQuery), tag = "records",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn export(
    State(console): State<Arc<Console>>,
    query: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(bad_query)?;
    let times = query.from.unwrap_or(0)..=query.to.unwrap_or(u64::MAX);
    let (pieces, taken) = mpsc::channel::<Bytes>(WAITING);
    let sink = move |piece: Vec<u8>| pieces.blocking_send(piece.into()).is_ok();
    let (store, name, kind);
    store = console.store.clone();
    let work: Box<dyn FnOnce() -> Result<_, _> + Send> = if let (ExportFormat::Csv, Some(point)) =
        (query.format, query.point)
    {
        Name::parse(&point).map_err(|e| Problem::bad_request(e.to_string()))?;
        (name, kind) = (format!("history-{point}.csv"), "text/csv; charset=utf-8");
        let wanted = move |name: &str| names::within(name, &point);
        Box::new(move || store.export_points_csv(wanted, &times, sink))
    } else if query.format == ExportFormat::Csv {
        let string =
            query.string.ok_or_else(|| Problem::bad_request("CSV is of one string or point"))?;
        let blocks = match query.block.map(from_one).transpose()? {
            Some(block) => block..block + 1,
            None => 0..usize::MAX,
        };
        let blocks = blocks.start..blocks.end.min(first_over(&console, string));
        (name, kind) = (format!("history-{string}.csv"), "text/csv; charset=utf-8");
        Box::new(move || store.export_csv(string, blocks, Level::Raw, &times, sink))
    } else {
        (name, kind) = ("history.evkhist".to_owned(), "application/octet-stream");
        Box::new(move || store.export(&times, sink))
    };
    tokio::task::spawn_blocking(move || {
        // What went out has no end then, which its reader sees.
        if let Err(error) = work() {
            tracing::error!("export of history broke off: {}", chain(&error));
        }
    });
    let body = futures_util::stream::unfold(taken, |mut taken| async move {
        let piece = taken.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), taken))
    });
    let attached = format!("attachment; filename=\"{name}\"");
    let kinds = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, attached)];
    Ok((kinds, Body::from_stream(body)).into_response())
}

/// Look at every check sum of the history. What is damaged is left out wherever
/// history is read, and stays until its time is over.
#[utoipa::path(get, path = "/api/v1/history/check", tag = "records",
    responses((status = 200, body = CheckOut)))]
pub async fn check(State(console): State<Arc<Console>>) -> Answer<CheckOut> {
    let store = console.store.clone();
    let found = off_thread(&console, move || store.check_history()).await?;
    let found = found.map_err(|e| Problem::store(&e))?;
    let damage = |(key, damage): &(Key, Damage)| DamageOut {
        level: key.place.level.word(),
        string: Some(key.place.string),
        block: (key.block > 0).then_some(key.block),
        point: None,
        begins_unix_ms: key.place.level.begins(key.place.period),
        problem: damage.to_string(),
    };
    let of_point = |(key, damage): &(PointKey, Damage)| DamageOut {
        level: key.level.word(),
        string: None,
        block: None,
        point: Some(key.name.clone()),
        begins_unix_ms: key.level.begins(key.period),
        problem: damage.to_string(),
    };
    Ok(Json(CheckOut {
        whole: found.damaged == 0,
        columns: found.columns,
        groups: found.groups,
        damaged: found.damaged,
        first: found
            .first
            .iter()
            .map(damage)
            .chain(found.first_points.iter().map(of_point))
            .collect(),
    }))
}

/// Take in an export of this or another appliance. Every check sum is looked at
/// first; a damaged file is refused as a whole (`evenkeel history salvage` makes
/// a whole one of what is left of it). What is there already stays.
#[utoipa::path(post, path = "/api/v1/history/import", tag = "records",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImportOut),
        (status = 409, body = Problem, description = "Another import is under way"),
        (status = 413, body = Problem), (status = 422, body = Problem, description = "Damaged, or of a time to come")))]
pub async fn import(by: By, request: extract::Request) -> Answer<ImportOut> {
    let path = by.console.data_dir.join(UPLOAD);
    let _own = by.console.imports.try_acquire().map_err(|_| {
        Problem::new(StatusCode::CONFLICT, "import", "Another import is under way")
            .detail("wait until it has ended")
    })?;
    let file = upload(&path, request.into_body()).await;
    let store = by.console.store.clone();
    let done = match file {
        Ok(file) => {
            let import = move || store.import(BufReader::new(file), clock::unix_ms());
            let done = tokio::task::spawn_blocking(import).await;
            let done = done.map_err(|_| refused("the import broke off"))?;
            done.map_err(|error| refused(&chain(&error)))
        }
        Err(problem) => Err(problem),
    };
    let done = by.told("import history".to_owned(), done).await?;
    let Imported { columns, added, present, dropped } = done;
    let (sheets_added, sheets_present, sheets_dropped) = (added, present, dropped);
    Ok(Json(ImportOut { columns, sheets_added, sheets_present, sheets_dropped }))
}

/// The body as a file, which has no name any more: whatever happens, its space
/// comes back.
async fn upload(path: &std::path::Path, body: Body) -> Result<File, Problem> {
    let failed = |error: std::io::Error| {
        tracing::error!("upload of history: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", "The upload cannot be kept")
            .detail("check the appliance's disk")
    };
    let options = File::options().read(true).write(true).create(true).truncate(true).open(path);
    let mut file = options.map_err(failed)?;
    std::fs::remove_file(path).map_err(failed)?;
    let (mut body, mut bytes) = (body.into_data_stream(), 0u64);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Problem::bad_request("the upload was cut"))?;
        bytes += piece.len() as u64;
        if bytes > IMPORT_MAX {
            let long = (StatusCode::PAYLOAD_TOO_LARGE, "too-long", "The file is too long");
            return Err(Problem::new(long.0, long.1, long.2)
                .detail("at most 64 MiB, which is more than the history itself may take"));
        }
        file.write_all(&piece).map_err(failed)?;
    }
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    Ok(file)
}

fn refused(detail: &str) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "import-refused", "The file was not taken").detail(detail)
}

fn from_one(block: u16) -> Result<usize, Problem> {
    let index = usize::from(block).checked_sub(1);
    index.ok_or_else(|| Problem::bad_request("blocks are counted from 1"))
}
