//! What the store costs the flash: every byte that redb writes is counted where
//! it leaves for the disk, and said apart by what it was written for.
//!
//! Terms: *payload* is what was to be kept; *written* is what went to the disk
//! for it; *erased* is the same in whole erase blocks of [`ERASE_BLOCK`] bytes,
//! each counted once between two syncs. Of a flash with a good translation
//! layer the truth lies near *written*, of a bare one near *erased*: the years
//! of life that are told are by the latter.
//!
//! The counts are kept in the store, with a commit that happens anyway, once
//! per [`KEEP_EVERY`] and at the stop: after a power cut they are an hour old.

use super::{Shared, Store, StoreError, lock, table};
use crate::clock;
use evenkeel_core::time::Nanos;
use redb::{BackendError, StorageBackend, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

/// Bytes that a flash erases at once.
pub const ERASE_BLOCK: u64 = 128 << 10;
/// Time between two commits that carry the counts.
const KEEP_EVERY: Nanos = Nanos::from_secs(3_600);
/// Days that the daily estimate looks back.
const DAYS: u64 = 7;
/// An estimate needs so much time, ms.
const ESTIMATE_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// What something was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Events.
    Events,
    /// The audit log.
    Audit,
    /// Samples of the blocks.
    History,
    /// Discharge records.
    Discharges,
    /// Users and settings.
    Settings,
    /// What parts of the daemon and plugins remember.
    State,
}

impl Class {
    /// All of them, in the order of [`Counts`].
    pub const ALL: [Self; 6] =
        [Self::Events, Self::Audit, Self::History, Self::Discharges, Self::Settings, Self::State];

    /// Its name in the API and the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Audit => "audit",
            Self::History => "history",
            Self::Discharges => "discharges",
            Self::Settings => "settings",
            Self::State => "state",
        }
    }
}

/// Bytes by [`Class`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts([u64; Class::ALL.len()]);

impl Counts {
    /// Bytes of one class.
    #[must_use]
    pub const fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Bytes of all.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Count more.
    pub fn add(&mut self, class: Class, bytes: usize) {
        self.0[class as usize] += bytes as u64;
    }

    /// Count `bytes` in the proportions of `payload`; what was written for
    /// nothing of it is for the state.
    fn share(&mut self, bytes: u64, payload: &Self) {
        let whole = payload.sum();
        let mut rest = bytes;
        for (own, part) in self.0.iter_mut().zip(payload.0) {
            let share = (u128::from(bytes) * u128::from(part)).checked_div(u128::from(whole));
            let share = share.unwrap_or(0) as u64;
            *own += share;
            rest -= share;
        }
        self.0[Class::State as usize] += rest;
    }
}

/// Everything that was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wear {
    /// Since when, ms since 1970.
    pub since_unix_ms: u64,
    /// Commits.
    pub commits: u64,
    /// Time that commits took, µs.
    pub commit_us: u64,
    /// The longest commit since the daemon started, µs.
    #[serde(skip)]
    pub longest_commit_us: u64,
    /// What was to be kept.
    pub payload: Counts,
    /// What was written for it.
    pub written: Counts,
    /// The same in whole erase blocks.
    pub erased: Counts,
    /// (written, erased) of the last days, by days since 1970.
    days: BTreeMap<u64, (u64, u64)>,
}

/// What a day costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Daily {
    /// Bytes written per day.
    pub written: f64,
    /// The same in whole erase blocks.
    pub erased: f64,
}

impl Wear {
    /// Bytes written per byte to be kept; `None` before anything was.
    #[must_use]
    pub fn amplification(&self) -> Option<f64> {
        let payload = self.payload.sum();
        (payload > 0).then(|| self.written.sum() as f64 / payload as f64)
    }

    /// What a day costs, by the last week; `None` in the first hour.
    #[must_use]
    pub fn daily(&self, unix_ms: u64) -> Option<Daily> {
        let first = *self.days.keys().next()?;
        let from = self.since_unix_ms.max(first * DAY_MS);
        let past_ms = unix_ms.checked_sub(from).filter(|past| *past >= ESTIMATE_MS)?;
        let days = past_ms as f64 / DAY_MS as f64;
        let sum = |part: fn(&(u64, u64)) -> u64| self.days.values().map(part).sum::<u64>() as f64;
        Some(Daily { written: sum(|day| day.0) / days, erased: sum(|day| day.1) / days })
    }

    /// Years until a flash of this many bytes, each of whose blocks can be
    /// erased so often, is worn by the store alone.
    #[must_use]
    pub fn years(&self, unix_ms: u64, capacity: u64, endurance: u64) -> Option<f64> {
        let daily = self.daily(unix_ms)?;
        let total = capacity as f64 * endurance as f64;
        (daily.erased > 0.0).then(|| total / daily.erased / 365.25)
    }

    /// A commit is on the disk.
    fn committed(&mut self, unix_ms: u64, payload: &Counts, cost: Cost, took: Nanos) {
        if self.since_unix_ms == 0 {
            self.since_unix_ms = unix_ms;
        }
        let took_us = took.0 / 1_000;
        self.commits += 1;
        self.commit_us += took_us;
        self.longest_commit_us = self.longest_commit_us.max(took_us);
        for (sum, more) in self.payload.0.iter_mut().zip(payload.0) {
            *sum += more;
        }
        self.written.share(cost.written, payload);
        self.erased.share(cost.erased, payload);
        let today = unix_ms / DAY_MS;
        let day = self.days.entry(today).or_default();
        (day.0, day.1) = (day.0 + cost.written, day.1 + cost.erased);
        self.days.retain(|day, _| *day + DAYS >= today && *day <= today);
    }
}

/// What was written since it was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    written: u64,
    erased: u64,
}

/// Counts what passes.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Tally>);

#[derive(Debug, Default)]
struct Tally {
    cost: Cost,
    /// Erase blocks since the last sync.
    touched: BTreeSet<u64>,
}

impl Meter {
    fn wrote(&self, offset: u64, bytes: u64) {
        let mut tally = lock(&self.0);
        tally.cost.written += bytes;
        let last = offset + bytes.saturating_sub(1);
        tally.touched.extend(offset / ERASE_BLOCK..=last / ERASE_BLOCK);
    }

    fn synced(&self) {
        let mut tally = lock(&self.0);
        let blocks = std::mem::take(&mut tally.touched).len() as u64;
        tally.cost.erased += blocks * ERASE_BLOCK;
    }

    fn take(&self) -> Cost {
        std::mem::take(&mut lock(&self.0).cost)
    }
}

/// The writer's book of what it costs.
#[derive(Debug)]
pub struct Book {
    kept_at: Nanos,
    read: bool,
}

impl Default for Book {
    fn default() -> Self {
        Self { kept_at: clock::now(), read: false }
    }
}

impl Book {
    /// The file was opened: go on from the counts in it.
    pub fn opened(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.read {
            return Ok(());
        }
        let kept = shared.read(|read| {
            let Some(table) = table::open(read, table::WEAR)? else { return Ok(None) };
            Ok(table.get("counts")?.map(|kept| kept.value().to_vec()))
        })?;
        // Counts of another version are begun again.
        if let Some(kept) = kept.and_then(|kept| serde_json::from_slice(&kept).ok()) {
            *lock(&shared.wear) = kept;
        }
        self.read = true;
        Ok(())
    }

    /// Carry the counts along when it is time; `now`: it is the last time.
    pub fn write(
        &mut self,
        shared: &Shared,
        write: &WriteTransaction,
        now: bool,
    ) -> Result<(), redb::Error> {
        let time = clock::now();
        if !now && time.since(self.kept_at) < KEEP_EVERY {
            return Ok(());
        }
        let counts = serde_json::to_vec(&*lock(&shared.wear));
        let counts = counts.map_err(|e| redb::Error::Io(e.into()))?;
        write.open_table(table::WEAR)?.insert("counts", counts.as_slice())?;
        self.kept_at = time;
        Ok(())
    }
}

impl Shared {
    /// A commit is on the disk, begun at that time.
    pub fn committed(&self, payload: &Counts, begun: Nanos) {
        let took = clock::now().since(begun);
        lock(&self.wear).committed(clock::unix_ms(), payload, self.meter.take(), took);
    }
}

impl Store {
    /// What the store has cost the flash so far.
    #[must_use]
    pub fn wear_of_flash(&self) -> Wear {
        lock(&self.shared.wear).clone()
    }
}

/// A disk behind a [`Meter`].
#[derive(Debug)]
pub struct Metered<B> {
    disk: B,
    meter: Arc<Meter>,
}

impl<B> Metered<B> {
    /// Count what is written to `disk`.
    pub const fn new(disk: B, meter: Arc<Meter>) -> Self {
        Self { disk, meter }
    }
}

impl<B: StorageBackend> StorageBackend for Metered<B> {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data()?;
        self.meter.synced();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)?;
        self.meter.wrote(offset, data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use evenkeel_core::events::Event;

    #[test]
    fn every_byte_is_for_something() {
        let mut payload = Counts::default();
        payload.add(Class::Events, 100);
        payload.add(Class::History, 300);
        let mut written = Counts::default();
        written.share(4_097, &payload);
        assert_eq!((written.of(Class::Events), written.of(Class::History)), (1_024, 3_072));
        assert_eq!(written.of(Class::State), 1, "rounding");
        written.share(10, &Counts::default());
        assert_eq!(written.sum(), 4_107);
    }

    #[test]
    fn a_block_is_erased_once_between_syncs() {
        let meter = Meter::default();
        meter.wrote(0, 10);
        meter.wrote(ERASE_BLOCK - 1, 2);
        meter.synced();
        meter.wrote(5, 1);
        meter.synced();
        assert_eq!(meter.take(), Cost { written: 13, erased: 3 * ERASE_BLOCK });
        assert_eq!(meter.take(), Cost::default());
    }

    #[test]
    fn a_day_is_told_by_the_last_week() {
        let mut wear = Wear::default();
        let cost = Cost { written: 1_000, erased: ERASE_BLOCK };
        let begun = 100 * DAY_MS;
        for hour in 0..24 * 20 {
            wear.committed(begun + hour * ESTIMATE_MS, &Counts::default(), cost, Nanos(5_000));
        }
        let now = begun + 20 * DAY_MS;
        let daily = wear.daily(now).expect("a week");
        assert!((daily.written - 24_000.0).abs() < 1.0, "{daily:?}");
        let years = wear.years(now, 512 << 20, 3_000).expect("a life");
        let expected = (512 << 20) as f64 * 3e3 / (24 * ERASE_BLOCK) as f64 / 365.25;
        assert!((years - expected).abs() < 0.1, "{years} {expected}");
        assert_eq!(Wear::default().daily(now), None);
        assert_eq!((wear.commits, wear.commit_us), (480, 2_400));
    }

    #[test]
    fn counts_outlive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
        let before = store.wear_of_flash();
        assert!(before.written.of(Class::Events) > before.payload.of(Class::Events));
        assert!(before.erased.sum() >= before.written.sum() && before.commits > 0);
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let after = store.wear_of_flash();
        assert!(after.commits >= before.commits && after.since_unix_ms == before.since_unix_ms);
        assert!(after.payload.of(Class::Events) == before.payload.of(Class::Events));
    }
}
