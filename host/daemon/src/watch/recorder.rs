//! Takes the rows of the history: each string at its own pace, several seconds
//! of fast rows in one commit.
//!
//! A commit costs the flash the same for one row as for five, so fast rows wait
//! for each other, [`TOGETHER`] at most. That, and the commit under way, is what
//! a power cut takes of the history of a discharge; a daemon that is stopped
//! loses nothing ([`Recording`]).

use crate::plant::{Plant, number};
use crate::store::Store;
use evenkeel_core::history::{Happening, Pace, Row, Sheet};
use evenkeel_core::image::StringRecord;
use evenkeel_core::protect::BreakerState;
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fast rows wait so long for others: what a power cut may take of them.
const TOGETHER: Nanos = Nanos::from_secs(5);
/// No more records wait than these.
const WAITING_MAX: usize = 1 << 16;

/// What was taken and not yet given away.
pub struct Recorder {
    float_every: Nanos,
    paces: Vec<Pace>,
    waiting: BTreeMap<u16, Sheet>,
    since: Nanos,
}

impl Recorder {
    /// `float_every` is the time between two rows of a string on float.
    pub fn new(float_every: Nanos) -> Self {
        Self { float_every, paces: Vec::new(), waiting: BTreeMap::new(), since: Nanos(0) }
    }

    /// Look at the plant; gives rows that are to be kept now, by string (counted
    /// from 1).
    pub fn step(&mut self, plant: &Plant, unix_ms: u64, now: Nanos) -> Vec<(u16, Sheet)> {
        let mut out = Vec::new();
        let strings = &plant.snapshot.strings;
        self.paces.resize_with(strings.len(), || Pace::new(self.float_every));
        for (index, string) in strings.iter().enumerate() {
            if !self.paces[index].due(happening(string), now) {
                continue;
            }
            if self.waiting.is_empty() {
                self.since = now;
            }
            let seen = |block: &_| (plant.quality(block), plant.temperature_quality(block));
            let row = Row::of(unix_ms, string, plant.snapshot.blocks_of(index), seen);
            let sheet = self.waiting.entry(number(index)).or_default();
            if !sheet.push(&row) {
                // The string has other blocks now.
                out.push((number(index), std::mem::replace(sheet, Sheet::from(&row))));
            }
        }
        let fast = self.paces.iter().any(|pace| pace.is_fast(now));
        let many = self.waiting.values().map(Sheet::records).sum::<usize>() > WAITING_MAX;
        if !fast || many || now.since(self.since) >= TOGETHER {
            out.extend(self.take());
        }
        out
    }

    /// What waits.
    fn take(&mut self) -> Vec<(u16, Sheet)> {
        std::mem::take(&mut self.waiting).into_iter().collect()
    }
}

/// A recorder with the store that its rows go to, whatever ends it.
pub struct Recording {
    recorder: Recorder,
    store: Arc<Store>,
}

impl Recording {
    /// Rows go to `store`; for `float_every` see [`Recorder::new`].
    pub fn new(store: Arc<Store>, float_every: Nanos) -> Self {
        Self { recorder: Recorder::new(float_every), store }
    }

    /// Look at the plant; true when rows were given to the store.
    pub fn step(&mut self, plant: &Plant, unix_ms: u64, now: Nanos) -> bool {
        let rows = self.recorder.step(plant, unix_ms, now);
        let some = !rows.is_empty();
        self.keep(rows);
        some
    }

    fn keep(&self, rows: Vec<(u16, Sheet)>) {
        if !rows.is_empty() {
            // Rows that cannot be kept are counted and told by the store.
            drop(self.store.append(rows));
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let rows = self.recorder.take();
        self.keep(rows);
    }
}

fn happening(string: &StringRecord) -> Happening {
    let protect = &string.protect;
    let marks = u64::from(protect.raised)
        | u64::from(protect.trip.is_some()) << 32
        | u64::from(protect.breaker == BreakerState::Failed) << 33
        | u64::from(string.charger_off) << 34
        | u64::from(string.sensor_disagrees) << 35;
    Happening { phase: string.phase.into(), marks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;
    use evenkeel_core::scan::Phase;

    #[test]
    fn float_rows_go_at_once_and_fast_ones_together() {
        let mut recorder = Recorder::new(Nanos::from_secs(1_200));
        let mut plant = testing::plant(&[13.6, 13.6]);
        plant.snapshot.strings[0].phase = Phase::Float;
        let mut step = |plant: &Plant, s: u64| {
            let rows = recorder.step(plant, s * 1_000, Nanos::from_secs(s));
            rows.iter().map(|(_, sheet)| sheet.heads.len()).sum::<usize>()
        };
        let float: Vec<_> = (1..=2_401).map(|s| step(&plant, s)).filter(|rows| *rows > 0).collect();
        assert_eq!(float, [1, 1, 1]);
        plant.snapshot.strings[0].phase = Phase::Discharge;
        let fast: Vec<_> =
            (2_402..2_462).map(|s| step(&plant, s)).filter(|rows| *rows > 0).collect();
        assert_eq!(fast, [6; 10], "one commit in 6 s");
    }

    #[test]
    fn a_stop_loses_no_row() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let mut recording = Recording::new(store.clone(), Nanos::from_secs(1_200));
        let mut plant = testing::plant(&[13.6, 13.6]);
        plant.snapshot.strings[0].phase = Phase::Discharge;
        for s in 1..=9 {
            recording.step(&plant, s * 1_000, Nanos::from_secs(s));
        }
        drop(recording);
        drop(store);
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        let mut times = Vec::new();
        store
            .each_record(1, 1, 0..=u64::MAX, |head, _| times.push(head.unix_ms))
            .expect("readable");
        assert_eq!(times, (1..=9).map(|s| s * 1_000).collect::<Vec<_>>());
    }
}
