//! Keeps discharge records: when one is complete, its rows are fetched from
//! the guard and both go to the store.
//!
//! The guard holds a record until the next discharge begins, or until it is
//! restarted. Where that comes first, what the last process image said of it
//! is kept without rows.

use crate::clock;
use crate::failure::chain;
use crate::guard::{OrderError, Orders, RecordRows};
use crate::hub::Hub;
use crate::plant::{Plant, number, scale};
use crate::store::{PastDischarge, Store};
use evenkeel_core::discharge::{DischargeRecord, RecordId, Stage};
use evenkeel_core::image::StringRecord;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks; a complete record stands for hours.
const LOOK: Duration = Duration::from_secs(2);
/// How often rows are asked for before the record is kept without them.
const ATTEMPTS: u32 = 10;

/// Keeps what the guard of `hub` records, until the task is dropped.
pub async fn run(hub: Arc<Hub>, store: Arc<Store>, orders: Arc<Orders>) {
    let mut keeper = Keeper { strings: Vec::new(), store, orders };
    loop {
        // A discharge does not come again: it is kept whole, and shown as far as
        // the licence covers it.
        if let Some(plant) = hub.whole_plant().filter(|plant| plant.connected) {
            keeper.step(&plant).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Keeper {
    strings: Vec<Watched>,
    store: Arc<Store>,
    orders: Arc<Orders>,
}

/// The record of one string, as last seen.
#[derive(Default)]
struct Watched {
    /// With the blocks' own voltages.
    last: Option<PastDischarge>,
    kept: Option<RecordId>,
    attempts: u32,
}

impl Keeper {
    async fn step(&mut self, plant: &Plant) {
        self.strings.resize_with(plant.snapshot.strings.len(), Watched::default);
        for (index, string) in plant.snapshot.strings.iter().enumerate() {
            let seen = string.discharge.as_ref().filter(|record| record.stage != Stage::None);
            let watched = &self.strings[index];
            let gone = watched.last.as_ref().is_some_and(|last| {
                seen.is_none_or(|record| record.id != last.record.id)
                    && watched.kept != Some(last.record.id)
            });
            if gone {
                self.keep(index, &RecordRows::default()).await;
                let last = &self.strings[index].last;
                if last.as_ref().map(|last| last.record.id) != self.strings[index].kept {
                    // The store fails: nothing is forgotten until it works again.
                    continue;
                }
                self.strings[index].last = None;
            }
            let Some(record) = seen else { continue };
            let name = plant.strings.get(index).cloned().unwrap_or_default();
            self.see(index, name, string, record);
            if record.stage == Stage::Finished && self.strings[index].kept != Some(record.id) {
                self.finished(index, string, record.id).await;
            }
        }
    }

    fn see(&mut self, index: usize, name: String, string: &StringRecord, record: &DischargeRecord) {
        let watched = &mut self.strings[index];
        let same = watched.last.as_ref().filter(|last| last.record.id == record.id);
        // One beginning, however often it is looked at.
        let begun_unix_ms = same.map_or_else(|| begun(record), |last| last.begun_unix_ms);
        if same.is_none() {
            watched.attempts = 0;
        }
        let record = record.clone();
        let past = PastDischarge { string: number(index), name, begun_unix_ms, rows: 0, record };
        watched.last = Some(scaled(past, string));
    }

    async fn finished(&mut self, index: usize, string: &StringRecord, id: RecordId) {
        if self.is_stored(index).await {
            self.strings[index].kept = Some(id);
            return;
        }
        match self.orders.rows(number(index)).await {
            Ok(rows) if rows.id == id => self.keep(index, &scaled_rows(rows, string)).await,
            Ok(_) => {}
            Err(error) => self.failed(index, &error).await,
        }
    }

    async fn failed(&mut self, index: usize, error: &OrderError) {
        let watched = &mut self.strings[index];
        watched.attempts += 1;
        if watched.attempts >= ATTEMPTS {
            let string = number(index);
            tracing::warn!("string {string}: discharge kept without its rows: {}", chain(error));
            self.keep(index, &RecordRows::default()).await;
        }
    }

    /// True when the record was stored before this program was restarted.
    async fn is_stored(&self, index: usize) -> bool {
        let (store, string) = (self.store.clone(), number(index));
        let stored = tokio::task::spawn_blocking(move || store.discharges(Some(string))).await;
        let Some(last) = &self.strings[index].last else { return true };
        let same = |past: &PastDischarge| {
            (past.record.id, past.record.scans) == (last.record.id, last.record.scans)
        };
        stored.is_ok_and(|past| past.is_ok_and(|past| past.first().is_some_and(same)))
    }

    async fn keep(&mut self, index: usize, rows: &RecordRows) {
        let Some(past) = self.strings[index].last.clone() else { return };
        let past = PastDischarge { rows: rows.heads.len() as u32, ..past };
        match self.store.keep_discharge(&past, rows).done().await {
            Ok(()) => self.strings[index].kept = Some(past.record.id),
            Err(error) => {
                tracing::warn!("discharge record not stored yet: {}", chain(&error));
            }
        }
    }
}

/// When a record began, ms since 1970.
fn begun(record: &DischargeRecord) -> u64 {
    let age = || clock::now().since(record.id.start).as_millis();
    match record.wall_start_s {
        Some(seconds) => seconds * 1_000,
        None => clock::unix_ms().saturating_sub(age()),
    }
}

/// With each block's own voltages.
fn scaled(mut past: PastDischarge, string: &StringRecord) -> PastDischarge {
    for (row, block) in past.record.blocks.iter_mut().zip(&string.blocks) {
        let by = scale(string, block) as f32;
        let readings =
            [&mut row.before, &mut row.start, &mut row.end, &mut row.min, &mut row.after];
        readings.into_iter().flatten().for_each(|reading| reading.v *= by);
        if let Some(collapse) = &mut row.collapse {
            collapse.v *= by;
        }
    }
    past
}

fn scaled_rows(mut rows: RecordRows, string: &StringRecord) -> RecordRows {
    let by: Vec<f64> = string.blocks.iter().map(|block| scale(string, block)).collect();
    if by.iter().any(|by| *by != 1.0) {
        for (mv, by) in rows.mv.iter_mut().zip(by.iter().cycle()) {
            *mv = (f64::from(*mv) * by).round() as u16;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::FakeGuard;
    use crate::plant::testing;
    use evenkeel_core::command::Answer;
    use evenkeel_core::discharge::{BlockDischarge, Chunk, Part, Reading, RowHead};
    use evenkeel_core::time::Nanos;

    fn plant(start: u64, stage: Stage) -> Plant {
        let mut plant = testing::plant(&[12.0, 6.0]);
        let string = &mut plant.snapshot.strings[0];
        string.blocks[1].cells = 3;
        let min = Some(Reading { v: 11.0, at_s: 60.0 });
        string.discharge = Some(DischargeRecord {
            id: RecordId { start: Nanos(start) },
            stage,
            wall_start_s: Some(1_000 + start),
            scans: 9,
            blocks: vec![BlockDischarge { min, ..BlockDischarge::default() }; 2],
            ..DischargeRecord::default()
        });
        plant
    }

    fn guard() -> FakeGuard {
        FakeGuard::start(|_| {
            let (current_a, temperature_c) = (-10.0, 25.0);
            let part = Part::Discharge;
            let head = RowHead { offset_ms: 0, current_a, temperature_c, scans: 1, part };
            let heads = [head.into()];
            let id = RecordId { start: Nanos(1) };
            let mv = [12_000, 12_100];
            let (heads, mv) = (&heads[..], &mv[..]);
            let chunk = Chunk { id, revision: 0, from_row: 0, rows: 1, heads, mv };
            Answer::Rows(postcard::to_allocvec(&chunk).expect("encodes"))
        })
    }

    fn keeper(guard: &FakeGuard, dir: &std::path::Path) -> Keeper {
        let store = Arc::new(Store::open(dir, Default::default()).expect("a store"));
        Keeper { strings: Vec::new(), store, orders: Arc::new(guard.orders()) }
    }

    #[tokio::test]
    async fn a_complete_record_is_kept_once_in_its_own_volts() {
        let (guard, dir) = (guard(), tempfile::tempdir().expect("a directory"));
        let mut own = keeper(&guard, dir.path());
        own.step(&plant(1, Stage::Discharge)).await;
        assert_eq!(own.store.discharges(None).expect("readable"), []);
        for _ in 0..3 {
            own.step(&plant(1, Stage::Finished)).await;
        }
        let kept = own.store.discharges(Some(1)).expect("readable");
        assert_eq!((kept.len(), kept[0].rows, kept[0].begun_unix_ms), (1, 1, 1_001_000));
        let minima = kept[0].record.blocks.iter().map(|b| b.min.expect("read").v);
        assert_eq!(minima.collect::<Vec<_>>(), [11.0, 5.5]);
        let rows = own.store.discharge_rows(1, 1_001_000).expect("readable").expect("rows");
        assert_eq!(rows.mv, [12_000, 6_050]);
        assert_eq!(guard.asked().len(), 1, "fetched once");
        drop(own);
        let mut restarted = keeper(&guard, dir.path());
        restarted.step(&plant(1, Stage::Finished)).await;
        assert_eq!(restarted.store.discharges(None).expect("readable").len(), 1);
        assert_eq!(guard.asked().len(), 1, "nor after a restart");
    }

    #[tokio::test]
    async fn a_record_that_another_took_the_place_of_is_kept_without_rows() {
        let (guard, dir) = (guard(), tempfile::tempdir().expect("a directory"));
        let mut keeper = keeper(&guard, dir.path());
        keeper.step(&plant(5, Stage::After)).await;
        keeper.step(&plant(6, Stage::Discharge)).await;
        let kept = keeper.store.discharges(None).expect("readable");
        assert_eq!((kept.len(), kept[0].rows), (1, 0));
        assert_eq!(kept[0].record.id.start, Nanos(5));
        let mut silent = plant(6, Stage::Discharge);
        silent.snapshot.strings[0].discharge = None;
        keeper.step(&silent).await;
        assert_eq!(keeper.store.discharges(None).expect("readable").len(), 2, "guard restarted");
    }
}
