//! Takes the values of UPSes, devices and sensors for the history: all numeric points
//! beside those of the strings, which have rows of their own ([`super::recorder`]).
//!
//! Rows are written with those of the strings where there are some, because a
//! commit costs the flash the same for both ([`Commits`] says when). Power takes at
//! most the values since the last commit, as long ago as two rows of a string on float
//! lie apart; of what leaps five seconds, or two minutes where points flap without
//! end. A daemon that is stopped loses nothing.

use crate::hub::Hub;
use crate::store::Store;
use evenkeel_core::history::series::{Commits, Sampler};
use evenkeel_core::time::Nanos;
use std::sync::Arc;

/// Shortest time between two looks.
const LOOK_EVERY: Nanos = Nanos::from_secs(1);

/// A sampler with the store that its rows go to, whatever ends it.
pub struct Values {
    sampler: Sampler,
    store: Arc<Store>,
    every: Nanos,
    looked: Option<Nanos>,
    commits: Commits,
    told_left_out: bool,
}

impl Values {
    /// Rows go to `store`, every `every` at least.
    pub fn new(store: Arc<Store>, every: Nanos, now: Nanos) -> Self {
        let (sampler, commits) = (Sampler::new(every), Commits::new(every, now));
        Self { sampler, store, every, looked: None, commits, told_left_out: false }
    }

    /// Look at the hub.
    pub fn step(&mut self, hub: &Hub, unix_ms: u64, now: Nanos) {
        if self.looked.is_some_and(|looked| now.since(looked) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        let points = hub.beside_strings();
        self.sampler.look(unix_ms, now, points.iter().map(|(name, point)| (name.as_str(), point)));
        if self.sampler.left_out() && !self.told_left_out {
            self.told_left_out = true;
            tracing::warn!("there are more points than the history keeps; some are left out");
        }
        if self.commits.due(self.sampler.leapt_at(), self.sampler.waiting(), now) {
            self.keep(now);
        }
    }

    /// A commit is made anyway: what is half due goes with it.
    pub fn with_others(&mut self, now: Nanos) {
        if self.commits.half_due(now) {
            self.keep(now);
        }
    }

    fn keep(&mut self, now: Nanos) {
        self.commits.done(now);
        let series = self.sampler.take(now);
        if !series.is_empty() {
            // Rows that cannot be kept are counted and told by the store.
            drop(self.store.append_series(series));
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let sampler = std::mem::replace(&mut self.sampler, Sampler::new(self.every));
        let series = sampler.finish();
        if !series.is_empty() {
            drop(self.store.append_series(series));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;
    use evenkeel_core::history::Level;
    use evenkeel_core::points::{Name, Point, Quality, Unit, Value};

    fn volts(value: f64) -> (Name, Point) {
        let name = Name::parse("ups.0.input.voltage").expect("a name");
        let (value, quality) = (Value::Number(value), Quality::Good);
        (name, Point { value, unit: Unit::Volt, quality, at: Nanos(1) })
    }

    #[test]
    fn values_of_a_ups_are_kept_and_a_stop_loses_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let hub = Hub::default();
        hub.set_plant(testing::plant(&[13.6]));
        let mut values = Values::new(store.clone(), Nanos::from_secs(1_200), Nanos(0));
        for second in 0..700u64 {
            let value = if second < 650 { 230.0 } else { 0.0 };
            hub.publish("ups.0", Nanos(0), [volts(value)]);
            values.step(&hub, 7_200_000 + second * 1_000, Nanos::from_secs(second));
        }
        let past = |store: &Store| {
            let past = store.series("ups.0.input.voltage", Level::Raw, &(0..=u64::MAX));
            let rows = past.expect("readable").rows.into_iter();
            rows.map(|row| (row.unix_s - 7_200, row.value.map(|v| v.mean / 1_000_000)))
                .collect::<Vec<_>>()
        };
        store.append_series(Vec::new()).wait().expect("everything before is on the disk");
        assert_eq!(past(&store), [(0, Some(230))], "the outage began a row, which is told soon");
        drop(values);
        drop(store);
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        assert_eq!(past(&store), [(0, Some(230)), (650, Some(0))]);
        let names = store.series_names().expect("readable");
        assert!(names.contains_key("guard.alarm-relay"), "{names:?}");
        assert!(names.keys().all(|name| !name.starts_with("string.")), "{names:?}");
    }
}
