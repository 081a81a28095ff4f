//! The hub: the present value of every point, for everybody who reads.
//!
//! Two producers, never more than one per point: the guard's process image
//! (strings and blocks; kept as the snapshot that it is, names are made when
//! somebody asks) and the plugins (device points, each under the subtree that
//! its grant names). Readers see whole updates and are woken by [`Hub::changes`].

use evenkeel_core::image::{BlockRecord, Condition, Fault, Snapshot, StringRecord};
use evenkeel_core::points::{Name, Point, Quality, Unit, Value, names};
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// A source that says nothing for so long is taken for silent, whatever its
/// plugin claims: a driver polls at least once a minute (driver.wit).
pub const SILENCE_MAX: Nanos = Nanos::from_secs(90);

/// What the guard measures, as last seen.
#[derive(Clone, Debug)]
pub struct Plant {
    /// The last whole process image.
    pub snapshot: Snapshot,
    /// Names of the strings, in the image's order.
    pub strings: Vec<String>,
    /// False while the guard does not answer: every value is stale then.
    pub connected: bool,
}

/// The present values.
#[derive(Debug)]
pub struct Hub {
    devices: RwLock<BTreeMap<Name, Point>>,
    /// Subtrees of the sources that answer, with the time of their last word.
    heard: RwLock<BTreeMap<String, Nanos>>,
    plant: RwLock<Option<Arc<Plant>>>,
    version: watch::Sender<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            devices: RwLock::default(),
            heard: RwLock::default(),
            plant: RwLock::default(),
            version: watch::Sender::new(0),
        }
    }
}

impl Hub {
    /// Set device points of the source that owns `subtree`, all at once.
    pub fn publish(
        &self,
        subtree: &str,
        now: Nanos,
        updates: impl IntoIterator<Item = (Name, Point)>,
    ) {
        write(&self.heard).insert(subtree.to_owned(), now);
        write(&self.devices).extend(updates);
        self.changed();
    }

    /// The source of this subtree fell silent: its values are the last ones
    /// and say so. A bad value stays bad.
    pub fn mark_stale(&self, subtree: &str) {
        write(&self.heard).remove(subtree);
        for (name, point) in write(&self.devices).iter_mut() {
            if name.is_within(subtree) && point.quality != Quality::Bad {
                point.quality = Quality::Stale;
            }
        }
        self.changed();
    }

    /// Mark what has not been heard of for [`SILENCE_MAX`]: no value stays
    /// good because its plugin forgot to say that the device is gone. Returns
    /// the subtrees.
    pub fn expire(&self, now: Nanos) -> Vec<String> {
        let heard = read(&self.heard);
        let silent = heard.iter().filter(|(_, at)| now.since(**at) > SILENCE_MAX);
        let silent: Vec<String> = silent.map(|(subtree, _)| subtree.clone()).collect();
        drop(heard);
        silent.iter().for_each(|subtree| self.mark_stale(subtree));
        silent
    }

    /// Remove a subtree (its plugin was removed or lost the grant).
    pub fn retract(&self, subtree: &str) {
        write(&self.devices).retain(|name, _| !name.is_within(subtree));
        self.changed();
    }

    /// Set what the guard measures.
    pub fn set_plant(&self, plant: Plant) {
        *write(&self.plant) = Some(Arc::new(plant));
        self.changed();
    }

    /// What the guard measures; `None` until it was reached once.
    #[must_use]
    pub fn plant(&self) -> Option<Arc<Plant>> {
        read(&self.plant).clone()
    }

    /// One device point.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<Point> {
        let name = Name::parse(name).ok()?;
        read(&self.devices).get(&name).cloned()
    }

    /// Every point in the subtree `prefix`, by name; the empty prefix is all.
    #[must_use]
    pub fn query(&self, prefix: &str) -> Vec<(String, Point)> {
        let mut points = Vec::new();
        if let Some(plant) = self.plant() {
            plant.points(prefix, &mut points);
        }
        let devices = read(&self.devices);
        let inside = devices.iter().filter(|(name, _)| name.is_within(prefix));
        points.extend(inside.map(|(name, point)| (name.to_string(), point.clone())));
        points
    }

    /// Wakes when anything changed; the number itself means nothing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn changed(&self) {
        self.version.send_modify(|v| *v = v.wrapping_add(1));
    }
}

impl Plant {
    /// Quality of a block as a reader should see it now.
    #[must_use]
    pub fn quality(&self, block: &BlockRecord) -> Quality {
        match block.quality {
            Quality::Good | Quality::Estimated if !self.connected => Quality::Stale,
            quality => quality,
        }
    }

    fn points(&self, prefix: &str, out: &mut Vec<(String, Point)>) {
        let published = self.snapshot.cycle.published;
        let mut put = |name: String, value: Value, unit, quality, at| {
            if names::within(&name, prefix) {
                out.push((name, Point { value, unit, quality, at }));
            }
        };
        for (s, string) in self.snapshot.strings.iter().enumerate() {
            let root = format!("string.{}", s + 1);
            if !names::within(&root, prefix) && !names::within(prefix, &root) {
                continue;
            }
            self.string_points(&root, string, published, &mut put);
            for (b, block) in self.snapshot.blocks_of(s).iter().enumerate() {
                self.block_points(&format!("{root}.block.{}", b + 1), block, &mut put);
            }
        }
    }

    fn string_points(
        &self,
        root: &str,
        string: &StringRecord,
        at: Nanos,
        put: &mut impl FnMut(String, Value, Unit, Quality, Nanos),
    ) {
        let lost = self.snapshot.has(Condition::PortLost);
        for (name, value, unit) in [
            ("target", string.equalize.target_v, Unit::Volt),
            ("voltage", string.equalize.sum_v, Unit::Volt),
            ("deviation", string.equalize.worst_v, Unit::Volt),
            ("bypass", string.equalize.mean_duty * 100.0, Unit::Percent),
        ] {
            let quality = match value.is_finite() {
                false => Quality::Bad,
                true if !self.connected || lost => Quality::Stale,
                true => Quality::Estimated,
            };
            // A value that cannot be computed is 0 with quality bad, never NaN.
            let value = if value.is_finite() { value } else { 0.0 };
            put(format!("{root}.{name}"), Value::Number(value), unit, quality, at);
        }
        let inhibit = Value::Text(string.equalize.inhibits.to_string());
        let quality = if self.connected { Quality::Good } else { Quality::Stale };
        put(format!("{root}.inhibit"), inhibit, Unit::None, quality, at);
    }

    fn block_points(
        &self,
        root: &str,
        block: &BlockRecord,
        put: &mut impl FnMut(String, Value, Unit, Quality, Nanos),
    ) {
        let (quality, at) = (self.quality(block), block.read);
        let volts = f64::from(block.voltage_mv) / 1e3;
        let celsius = f64::from(block.temperature_dc) / 10.0;
        put(format!("{root}.voltage"), Value::Number(volts), Unit::Volt, quality, at);
        put(format!("{root}.temperature"), Value::Number(celsius), Unit::Celsius, quality, at);
        let duty = Value::Number(block.duty.fraction() * 100.0);
        // Commanded, not measured: the module may have refused or derated it.
        let commanded = quality.max(Quality::Estimated);
        put(format!("{root}.bypass"), duty, Unit::Percent, commanded, at);
        if block.fault != Fault::None {
            let fault = Value::Text(block.fault.text().to_owned());
            let known = if self.connected { Quality::Good } else { Quality::Stale };
            put(format!("{root}.fault"), fault, Unit::None, known, at);
        }
    }
}

// A panic while a lock is held leaves whole values: each write is one
// assignment or one map operation. So a poisoned lock is still good.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(quality: Quality) -> (Name, Point) {
        let name = Name::parse("ups.0.ups.load").expect("a good name");
        (name, Point { value: Value::Number(34.0), unit: Unit::Percent, quality, at: Nanos(1) })
    }

    fn plant(connected: bool) -> Plant {
        let block = BlockRecord {
            voltage_mv: 13_600,
            quality: Quality::Good,
            fault: Fault::None,
            ..BlockRecord::default()
        };
        let strings = vec![StringRecord::new(vec![block])];
        let snapshot = Snapshot { strings, ..Snapshot::default() };
        Plant { snapshot, strings: vec!["A".into()], connected }
    }

    fn quality(hub: &Hub, name: &str) -> Option<Quality> {
        hub.query(name).first().map(|(_, point)| point.quality)
    }

    #[test]
    fn a_silent_source_is_stale_and_a_new_value_good_again() {
        let hub = Hub::default();
        hub.publish("ups.0", Nanos(0), [load(Quality::Good)]);
        hub.mark_stale("ups.0");
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Stale));
        hub.publish("ups.0", Nanos(0), [load(Quality::Good)]);
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Good));
        hub.retract("ups.0");
        assert_eq!(quality(&hub, "ups.0.ups.load"), None);
    }

    #[test]
    fn a_source_that_says_nothing_is_silent_in_the_end() {
        let hub = Hub::default();
        hub.publish("ups.0", Nanos::from_secs(10), [load(Quality::Good)]);
        assert!(hub.expire(Nanos::from_secs(100)).is_empty());
        assert_eq!(hub.expire(Nanos::from_secs(101)), ["ups.0"]);
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Stale));
        assert!(hub.expire(Nanos::from_secs(300)).is_empty(), "said once");
    }

    #[test]
    fn what_cannot_be_computed_is_bad_and_never_nan() {
        let hub = Hub::default();
        hub.set_plant(plant(true));
        assert_eq!(quality(&hub, "string.1.target"), Some(Quality::Bad));
        let all = hub.query("");
        assert!(all.iter().all(|(_, p)| !matches!(p.value, Value::Number(n) if n.is_nan())));
        assert_eq!(quality(&hub, "string.1.block.1.voltage"), Some(Quality::Good));
    }

    #[test]
    fn without_the_guard_nothing_is_good() {
        let hub = Hub::default();
        let mut lost = plant(false);
        lost.snapshot.strings[0].blocks[0].fault = Fault::TemperatureInvalid;
        hub.set_plant(lost);
        assert!(hub.query("string.1.block").iter().all(|(_, p)| p.quality == Quality::Stale));
    }
}
