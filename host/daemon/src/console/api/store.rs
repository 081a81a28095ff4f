//! How the store does, and what it costs the flash.

use crate::clock;
use crate::console::Console;
use crate::store::{Class, Counts};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// The store.
#[derive(Serialize, ToSchema)]
pub struct StoreOut {
    /// Why the last write failed; null while all is well.
    error: Option<String>,
    /// Events that are in memory only.
    unsaved_events: usize,
    /// Size of the file, bytes.
    file_bytes: u64,
    /// Commits since the counts began.
    commits: u64,
    /// Mean time of a commit, µs.
    commit_us: Option<u64>,
    /// Longest commit since the daemon started, µs.
    longest_commit_us: u64,
    /// What it costs the flash.
    flash: FlashOut,
    /// The public key by which `evenkeel audit verify` checks the audit log;
    /// null while it cannot be kept.
    audit_key: Option<String>,
}

/// What the store costs the flash. Classes are `events`, `audit`, `history`,
/// `discharges`, `settings`, `state`.
#[derive(Serialize, ToSchema)]
struct FlashOut {
    /// Since when it is counted, ms since 1970.
    since_unix_ms: u64,
    /// Bytes that were to be kept, by class.
    payload_bytes: BTreeMap<String, u64>,
    /// Bytes written, by class.
    written_bytes: BTreeMap<String, u64>,
    /// The same in whole erase blocks of 128 KiB, by class.
    erased_bytes: BTreeMap<String, u64>,
    /// Bytes written per byte to be kept.
    amplification: Option<f64>,
    /// Bytes written per day, by the last week; null in the first hour.
    written_per_day: Option<f64>,
    /// The same in whole erase blocks.
    erased_per_day: Option<f64>,
    /// Years until the flash of the configuration is worn by the store alone,
    /// by erase blocks: the worst case.
    life_years: Option<f64>,
}

/// How the store does.
#[utoipa::path(get, path = "/api/v1/store", tag = "system",
    responses((status = 200, body = StoreOut)))]
pub async fn store(State(console): State<Arc<Console>>) -> Json<StoreOut> {
    let (health, wear) = (console.store.health(), console.store.wear_of_flash());
    let (flash, now) = (&console.telemetry.flash, clock::unix_ms());
    let daily = wear.daily(now);
    let by_class = |counts: &Counts| Class::ALL.map(|c| (c.word().to_owned(), counts.of(c))).into();
    let out = FlashOut {
        since_unix_ms: wear.since_unix_ms,
        payload_bytes: by_class(&wear.payload),
        written_bytes: by_class(&wear.written),
        erased_bytes: by_class(&wear.erased),
        amplification: wear.amplification(),
        written_per_day: daily.map(|daily| daily.written),
        erased_per_day: daily.map(|daily| daily.erased),
        life_years: wear.years(now, flash.capacity_bytes(), flash.endurance_cycles()),
    };
    Json(StoreOut {
        error: health.error,
        unsaved_events: health.unsaved,
        file_bytes: console.store.file_bytes(),
        commits: wear.commits,
        commit_us: wear.commit_us.checked_div(wear.commits),
        longest_commit_us: wear.longest_commit_us,
        flash: out,
        audit_key: console.store.audit_key().map(|key| key.to_string()),
    })
}
