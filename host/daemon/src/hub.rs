//! The hub: the present value of every point, for everybody who reads.
//!
//! Two producers, never more than one per point: the guard's process image
//! ([`Plant`]; kept as the snapshot that it is, names are made when somebody
//! asks) and the plugins (device points, each under the subtree that
//! its grant names). Readers see whole updates and are woken by [`Hub::changes`].

use crate::plant::{Part, Plant};
use evenkeel_core::points::{Name, Point, Quality};
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// A source that says nothing for so long is taken for silent, whatever its
/// plugin claims: a driver polls at least once a minute (driver.wit).
pub const SILENCE_MAX: Nanos = Nanos::from_secs(90);

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

    /// Points by name, whoever publishes them: all of one moment.
    #[must_use]
    pub fn get(&self, names: &[Name]) -> Vec<Option<Point>> {
        let plant = self.plant();
        let devices = read(&self.devices);
        let of_plant = |name: &Name| plant.as_deref()?.point(name.as_str());
        names.iter().map(|name| devices.get(name).cloned().or_else(|| of_plant(name))).collect()
    }

    /// The first `max` points in these parts of the tree, which do not
    /// overlap, by name.
    #[must_use]
    pub fn page(&self, parts: &[Part<'_>], max: usize) -> Vec<(String, Point)> {
        let mut points = Vec::new();
        let plant = self.plant();
        let devices = read(&self.devices);
        for part in parts {
            if let Some(plant) = &plant {
                plant.part(part, &mut points);
            }
            let wanted = |name: &Name| {
                name.is_within(part.prefix) && part.after.is_none_or(|a| name.as_str() > a)
            };
            let inside = devices.iter().filter(|(name, _)| wanted(name));
            points.extend(inside.map(|(name, point)| (name.to_string(), point.clone())));
        }
        drop(devices);
        points.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        points.truncate(max);
        points
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
    use crate::plant::testing;
    use evenkeel_core::points::{Unit, Value};

    fn load(quality: Quality) -> (Name, Point) {
        let name = Name::parse("ups.0.ups.load").expect("a good name");
        (name, Point { value: Value::Number(34.0), unit: Unit::Percent, quality, at: Nanos(1) })
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
    fn points_are_found_by_name_and_paged_in_order() {
        let hub = Hub::default();
        hub.publish("ups.0", Nanos(0), [load(Quality::Good)]);
        hub.set_plant(testing::plant(&[13.6, 13.5]));
        let names = ["ups.0.ups.load", "string.1.block.2.voltage", "string.1.block.3.voltage"];
        let names = names.map(|name| Name::parse(name).expect("a good name"));
        let found = hub.get(&names);
        let value = |at: usize| found[at].as_ref().map(|point| point.value.clone());
        assert_eq!(value(0), Some(Value::Number(34.0)));
        assert_eq!((value(1), value(2)), (Some(Value::Number(13.5)), None));
        let mut all: Vec<String> = hub.query("").into_iter().map(|(name, _)| name).collect();
        all.sort_unstable();
        let (mut paged, mut after) = (Vec::<String>::new(), None);
        loop {
            let part = Part { prefix: "", after: after.as_deref() };
            let page = hub.page(&[part], 7);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            paged.extend(page.into_iter().map(|(name, _)| name));
        }
        assert_eq!(paged, all);
    }

    #[test]
    fn the_guards_points_and_the_plugins_are_one_list() {
        let hub = Hub::default();
        hub.publish("ups.0", Nanos(0), [load(Quality::Good)]);
        hub.set_plant(testing::plant(&[13.6]));
        assert_eq!(quality(&hub, "string.1.block.1.voltage"), Some(Quality::Good));
        assert_eq!(quality(&hub, "string.1.voltage"), Some(Quality::Bad), "no sum is known");
        let all = hub.query("");
        assert!(all.iter().any(|(name, _)| name == "ups.0.ups.load"));
        assert!(all.iter().all(|(_, p)| !matches!(p.value, Value::Number(n) if n.is_nan())));
    }
}
