//! How the store does, and what it costs the flash.

use crate::clock;
use crate::console::Console;
use crate::store::{Class, Counts, FILE_BYTES, NEEDED_BYTES, ROWS_BYTES, Room, Usage};
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
    /// What may lie in the store and what does; null while it cannot be read.
    room: Option<RoomOut>,
    /// The public key by which `evenkeel audit verify` checks the audit log;
    /// null while it cannot be kept.
    audit_key: Option<String>,
}

/// What may lie in the store and what does, bytes of keys and values, as of the
/// last ten minutes.
#[derive(Serialize, ToSchema)]
struct RoomOut {
    /// By kind: `history`, `values`, `discharges`, `audit`, `events`, `access`, `plugins`,
    /// `jobs`, `documents`, `settings`.
    kinds: BTreeMap<String, KindOut>,
    /// Most bytes of all kinds.
    rows_most_bytes: u64,
    /// Most bytes of the file.
    file_most_bytes: u64,
    /// What the data partition needs for the store.
    needed_bytes: u64,
    /// Size of the data partition; null when the system does not say.
    partition_bytes: Option<u64>,
    /// False: the partition is smaller than what the store may need; then its
    /// history is shorter.
    fits: bool,
}

/// A kind of thing in the store.
#[derive(Serialize, ToSchema)]
struct KindOut {
    /// What is there.
    bytes: u64,
    /// What may be there.
    most_bytes: u64,
}

impl From<Usage> for RoomOut {
    fn from(usage: Usage) -> Self {
        let kind = |(room, bytes): (Room, u64)| {
            (room.word().to_owned(), KindOut { bytes, most_bytes: room.most() })
        };
        Self {
            fits: usage.fits(),
            kinds: usage.rooms.into_iter().map(kind).collect(),
            rows_most_bytes: ROWS_BYTES,
            file_most_bytes: FILE_BYTES,
            needed_bytes: NEEDED_BYTES,
            partition_bytes: usage.partition_bytes,
        }
    }
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
    // Counting reads the whole file now and then.
    let store = Arc::clone(&console.store);
    let room = tokio::task::spawn_blocking(move || store.usage().ok()).await.ok().flatten();
    Json(StoreOut {
        error: health.error,
        unsaved_events: health.unsaved,
        file_bytes: console.store.file_bytes(),
        commits: wear.commits,
        commit_us: wear.commit_us.checked_div(wear.commits),
        longest_commit_us: wear.longest_commit_us,
        flash: out,
        room: room.map(RoomOut::from),
        audit_key: console.store.audit_key().map(|key| key.to_string()),
    })
}
