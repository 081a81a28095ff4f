//! The read side of the HTTP API: what the hub, the store and the plugin host
//! know, as JSON. Every value carries its quality, its time and its age.

pub mod accounts;
pub mod alarms;
pub mod audit;
pub mod automation;
pub mod bench;
pub mod certificate;
pub mod commissioning;
pub mod configuration;
pub mod discharges;
pub mod firmware;
pub mod guard_settings;
pub mod history;
pub mod licence;
pub mod network;
pub mod plugins;
pub mod reports;
pub mod reset;
pub mod sessions;
pub mod site;
pub mod store;
pub mod strings;
pub mod support;
pub mod webhooks;

use super::Console;
use super::problem::Problem;
use crate::clock;
use crate::plant::Plant;
use crate::store::{StoreError, StoredEvent};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use evenkeel_core::image::Condition;
use evenkeel_core::points::{self, Point, Quality};
use evenkeel_core::time::Nanos;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const EVENTS_MAX: usize = 1_000;

type Answer<T> = Result<Json<T>, Problem>;

/// One point.
#[derive(Serialize, ToSchema)]
pub struct PointOut {
    /// Dotted name, e.g. `ups.0.ups.load`.
    name: String,
    /// The value.
    value: ValueOut,
    /// Unit symbol; empty for text and flags.
    unit: &'static str,
    /// What the value is worth.
    quality: QualityOut,
    /// When it was measured, ms since 1970.
    unix_ms: u64,
    /// How long ago, ms.
    age_ms: u64,
}

/// A value.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ValueOut {
    /// In the unit beside it.
    Number(f64),
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

/// What a value is worth.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum QualityOut {
    /// Measured, in range, fresh.
    Good,
    /// Computed from measurements.
    Estimated,
    /// The last value of a source that fell silent.
    Stale,
    /// Not to be used.
    Bad,
}

/// The guard.
#[derive(Serialize, ToSchema)]
pub struct GuardOut {
    /// False while it does not answer.
    connected: bool,
    /// Cycles since it started.
    cycles: u64,
    /// Cycles whose commands left too late.
    deadline_misses: u64,
    /// Length of a cycle, ms.
    period_ms: u64,
    /// Duration of the last scan of all modules, µs.
    scan_us: u64,
    /// Time it worked in the last cycle, µs.
    work_us: u64,
    /// How late it woke up.
    jitter: JitterOut,
    /// Frames with a wrong check sum or framing.
    bad_frames: u64,
    /// Good frames nobody had asked for.
    unexpected_frames: u64,
    /// Replies that did not come.
    missed_replies: u64,
    /// Times the bus port was lost and opened again.
    port_reopens: u64,
    /// Conditions a person should know about, in words.
    conditions: Vec<&'static str>,
    /// CRC-32 of the settings in force, in hex.
    settings_crc: String,
    /// When it started, ms since 1970.
    started_unix_ms: u64,
    /// When it published this, ms since 1970.
    unix_ms: u64,
    /// How long ago, ms.
    age_ms: u64,
}

/// Wake-up lateness since the guard started, µs.
#[derive(Serialize, ToSchema)]
struct JitterOut {
    p50_us: f64,
    p99_9_us: f64,
    max_us: f64,
}

/// One event.
#[derive(Serialize, ToSchema)]
pub struct EventOut {
    /// Counts up.
    id: u64,
    /// When, ms since 1970.
    unix_ms: u64,
    /// How long ago, ms.
    age_ms: u64,
    /// `info`, `warning` or `alarm`.
    #[schema(value_type = String)]
    severity: evenkeel_core::events::Severity,
    /// `battery`, `ups`, `plugin`, `system` or `access`.
    #[schema(value_type = String)]
    category: evenkeel_core::events::Category,
    /// For people.
    text: String,
    /// For programs: `kind` and its fields.
    #[schema(value_type = Object)]
    data: evenkeel_core::events::Event,
}

/// Which points.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PointsQuery {
    /// Only this point or subtree.
    #[serde(default)]
    prefix: String,
}

/// A number of at most 63 bits, as the document says: most languages have no
/// more.
pub fn int64<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<u64>::deserialize(from)?;
    match number {
        Some(above) if i64::try_from(above).is_err() => {
            Err(D::Error::custom(format!("at most {}, not {above}", i64::MAX)))
        }
        number => Ok(number),
    }
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Only events with larger ids; without it the newest.
    #[serde(default, deserialize_with = "int64")]
    after: Option<u64>,
    /// At most so many, 1 … 1000; 100 when not given.
    limit: Option<usize>,
}

/// Points: the present value of everything.
#[utoipa::path(get, path = "/api/v1/points", params(PointsQuery), tag = "values",
    responses((status = 200, body = Vec<PointOut>)))]
pub async fn points(
    State(console): State<Arc<Console>>,
    query: Result<Query<PointsQuery>, QueryRejection>,
) -> Answer<Vec<PointOut>> {
    let Query(query) = query.map_err(bad_query)?;
    let time = Time::now();
    let points = console.hub.query(&query.prefix);
    Ok(Json(points.into_iter().map(|(name, point)| point_out(name, point, time)).collect()))
}

/// The guard: cycles, jitter, bus counters. 503 until it was reached once.
#[utoipa::path(get, path = "/api/v1/guard", tag = "system",
    responses((status = 200, body = GuardOut), (status = 503, body = Problem)))]
pub async fn guard(State(console): State<Arc<Console>>) -> Answer<GuardOut> {
    let plant = console.hub.plant().ok_or_else(|| {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "no-guard", "The guard has not answered yet").retry_after(2)
    })?;
    Ok(Json(guard_out(&plant, Time::now())))
}

/// Events, oldest first.
#[utoipa::path(get, path = "/api/v1/events", params(EventsQuery), tag = "records",
    responses((status = 200, body = Vec<EventOut>)))]
pub async fn events(
    State(console): State<Arc<Console>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Answer<Vec<EventOut>> {
    let Query(query) = query.map_err(bad_query)?;
    let limit = query.limit.unwrap_or(100).clamp(1, EVENTS_MAX);
    let store = console.store.clone();
    let events = off_thread(&console, move || store.events(query.after, limit)).await?;
    let now = clock::unix_ms();
    Ok(Json(events.into_iter().map(|event| event_out(event, now)).collect()))
}

/// The first block over the licence of a string (from 1), counted from 0.
pub(super) fn first_over(console: &Console, string: u16) -> usize {
    let plant = console.hub.plant();
    let over = plant.and_then(|p| p.over.get(usize::from(string).checked_sub(1)?).copied());
    over.unwrap_or(usize::MAX)
}

/// Both clocks at one instant, to turn monotonic times into dates.
#[derive(Clone, Copy)]
pub(super) struct Time {
    now: Nanos,
    unix_ms: u64,
}

impl Time {
    pub(super) fn now() -> Self {
        Self { now: clock::now(), unix_ms: clock::unix_ms() }
    }

    fn age_ms(self, at: Nanos) -> u64 {
        self.now.since(at).as_millis()
    }

    fn date_of(self, at: Nanos) -> u64 {
        self.unix_ms.saturating_sub(self.age_ms(at))
    }
}

impl From<Quality> for QualityOut {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Good => Self::Good,
            Quality::Estimated => Self::Estimated,
            Quality::Stale => Self::Stale,
            Quality::Bad => Self::Bad,
        }
    }
}

fn point_out(name: String, point: Point, time: Time) -> PointOut {
    PointOut {
        name,
        value: match point.value {
            points::Value::Number(n) => ValueOut::Number(n),
            points::Value::Text(t) => ValueOut::Text(t),
            points::Value::Flag(b) => ValueOut::Flag(b),
        },
        unit: point.unit.symbol(),
        quality: point.quality.into(),
        unix_ms: time.date_of(point.at),
        age_ms: time.age_ms(point.at),
    }
}

fn guard_out(plant: &Plant, time: Time) -> GuardOut {
    let cycle = &plant.snapshot.cycle;
    let jitter = &plant.snapshot.jitter;
    GuardOut {
        connected: plant.connected,
        cycles: cycle.cycles,
        deadline_misses: cycle.deadline_misses,
        period_ms: cycle.period.as_millis(),
        scan_us: cycle.scan.0 / 1_000,
        work_us: cycle.work.0 / 1_000,
        jitter: JitterOut {
            p50_us: jitter.quantile_us(0.5),
            p99_9_us: jitter.quantile_us(0.999),
            max_us: jitter.max.0 as f64 / 1e3,
        },
        bad_frames: cycle.bad_frames,
        unexpected_frames: cycle.unexpected_frames,
        missed_replies: cycle.missed_replies,
        port_reopens: cycle.port_reopens,
        conditions: Condition::ALL
            .into_iter()
            .filter(|c| plant.snapshot.has(*c))
            .map(Condition::text)
            .collect(),
        settings_crc: format!("{:08x}", cycle.settings_crc),
        started_unix_ms: time.date_of(cycle.started),
        unix_ms: time.date_of(cycle.published),
        age_ms: time.age_ms(cycle.published),
    }
}

fn event_out(stored: StoredEvent, now: u64) -> EventOut {
    EventOut {
        id: stored.id,
        unix_ms: stored.unix_ms,
        age_ms: now.saturating_sub(stored.unix_ms),
        severity: stored.event.severity(),
        category: stored.event.category(),
        text: stored.event.to_string(),
        data: stored.event,
    }
}

/// Reads from the disk do not hold up other requests, and are few at a time.
pub(in crate::console) async fn off_thread<T: Send + 'static>(
    console: &Console,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let closed = || Problem::store(&StoreError::Closed);
    let _turn = console.reads.acquire().await.map_err(|_| closed())?;
    tokio::task::spawn_blocking(read).await.map_err(|_| closed())
}

fn bad_query(rejection: QueryRejection) -> Problem {
    Problem::bad_request(rejection.body_text())
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
