//! The hub: the present value of every point, for everybody who reads.
//!
//! Two producers, never more than one per point: the guard's process image
//! ([`Plant`]; kept as the snapshot that it is, names are made when somebody
//! asks) and the plugins (device points, each under the subtree that
//! its grant names). Readers see whole updates and are woken by [`Hub::changes`].
//!
//! Values leave through here, so here the licence holds ([`Hub::set_limits`]):
//! [`Hub::plant`], [`Hub::query`] and [`Hub::device`] give what it covers, to
//! whomever. Only [`Hub::whole_plant`] gives all of it; it is for those who
//! tell of faults, which no licence gates.

use crate::guard::InForce;
use crate::plant::{Part, Plant};
use evenkeel_core::command::BatteryRuns;
use evenkeel_core::licence::{Limits, OVER, Rating};
use evenkeel_core::points::battery::ROOTS;
use evenkeel_core::points::{Name, Point, Quality, Unit, Value, names};
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
    plant: RwLock<Shown>,
    batteries: RwLock<Arc<Vec<BatteryRuns>>>,
    guard_settings: RwLock<Option<Arc<InForce>>>,
    version: watch::Sender<u64>,
}

/// What the guard measures, and what of it is shown.
#[derive(Debug)]
struct Shown {
    whole: Option<Arc<Plant>>,
    limited: Option<Arc<Plant>>,
    limits: Limits,
}

impl Default for Shown {
    /// Until somebody says otherwise it is LC.
    fn default() -> Self {
        Self { whole: None, limited: None, limits: Limits::LC }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            devices: RwLock::default(),
            heard: RwLock::default(),
            plant: RwLock::default(),
            batteries: RwLock::default(),
            guard_settings: RwLock::default(),
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
        let limits = read(&self.plant).limits;
        let limited = Arc::new(plant.limited(limits));
        let mut shown = write(&self.plant);
        // Limits that changed meanwhile hold from the first instant on.
        let limited =
            if shown.limits == limits { limited } else { Arc::new(plant.limited(shown.limits)) };
        (shown.limited, shown.whole) = (Some(limited), Some(Arc::new(plant)));
        drop(shown);
        self.changed();
    }

    /// Set which battery types the blocks are of.
    pub fn set_batteries(&self, batteries: Vec<BatteryRuns>) {
        *write(&self.batteries) = Arc::new(batteries);
    }

    /// Per string: the battery types of its blocks, in their order.
    #[must_use]
    pub fn batteries(&self) -> Arc<Vec<BatteryRuns>> {
        read(&self.batteries).clone()
    }

    /// Set by which settings the guard protects.
    pub fn set_guard_settings(&self, settings: InForce) {
        *write(&self.guard_settings) = Some(Arc::new(settings));
        self.changed();
    }

    /// The settings by which the guard protects; `None` until it was reached once.
    #[must_use]
    pub fn guard_settings(&self) -> Option<Arc<InForce>> {
        read(&self.guard_settings).clone()
    }

    /// From now on show what these limits cover.
    pub fn set_limits(&self, limits: Limits) {
        let mut shown = write(&self.plant);
        shown.limits = limits;
        shown.limited = shown.whole.as_ref().map(|whole| Arc::new(whole.limited(limits)));
        drop(shown);
        self.changed();
    }

    /// What the guard measures, as far as the licence covers it; `None` until
    /// it was reached once.
    #[must_use]
    pub fn plant(&self) -> Option<Arc<Plant>> {
        read(&self.plant).limited.clone()
    }

    /// All that the guard measures: to find faults in it, never to show it.
    #[must_use]
    pub fn whole_plant(&self) -> Option<Arc<Plant>> {
        read(&self.plant).whole.clone()
    }

    /// Roots of the UPSes that are over the licence, e.g. `ups.0`.
    #[must_use]
    pub fn upses_over(&self) -> Vec<String> {
        self.over(&read(&self.devices)).into_keys().collect()
    }

    /// One device point.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<Point> {
        let name = Name::parse(name).ok()?;
        let devices = read(&self.devices);
        let over = self.over(&devices);
        devices.get(&name).map(|point| limited(name.as_str(), point, &over))
    }

    /// Points by name, whoever publishes them: all of one moment.
    #[must_use]
    pub fn get(&self, names: &[Name]) -> Vec<Option<Point>> {
        let plant = self.plant();
        let devices = read(&self.devices);
        let of_plant = |name: &Name| plant.as_deref()?.point(name.as_str());
        let over = self.over(&devices);
        let of_device =
            |name: &Name| devices.get(name).map(|point| limited(name.as_str(), point, &over));
        names.iter().map(|name| of_device(name).or_else(|| of_plant(name))).collect()
    }

    /// The first `max` points in these parts of the tree, which do not
    /// overlap, by name.
    #[must_use]
    pub fn page(&self, parts: &[Part<'_>], max: usize) -> Vec<(String, Point)> {
        let mut points = Vec::new();
        let plant = self.plant();
        let devices = read(&self.devices);
        let over = self.over(&devices);
        for part in parts {
            if let Some(plant) = &plant {
                plant.part(part, &mut points);
            }
            let wanted = |name: &Name| {
                name.is_within(part.prefix) && part.after.is_none_or(|a| name.as_str() > a)
            };
            let inside = devices.iter().filter(|(name, _)| wanted(name));
            let shown = |name: &Name, point| limited(name.as_str(), point, &over);
            points.extend(inside.map(|(name, point)| (name.to_string(), shown(name, point))));
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
        let over = self.over(&devices);
        points.extend(
            inside.map(|(name, point)| (name.to_string(), limited(name.as_str(), point, &over))),
        );
        for (root, at) in over {
            let name = format!("{root}.{OVER_POINT}");
            if names::within(&name, prefix) {
                let value = Value::Text(OVER.to_owned());
                points.push((name, Point { value, unit: Unit::None, quality: Quality::Good, at }));
            }
        }
        points
    }

    /// Every point but those of the strings, in no order.
    #[must_use]
    pub fn beside_strings(&self) -> Vec<(String, Point)> {
        let mut points = Vec::new();
        if let Some(plant) = self.plant() {
            let roots = ROOTS.into_iter().filter(|root| *root != "string");
            roots.for_each(|root| plant.points(root, &mut points));
        }
        let devices = read(&self.devices);
        let over = self.over(&devices);
        let shown = |(name, point): (&Name, &Point)| {
            (name.to_string(), limited(name.as_str(), point, &over))
        };
        points.extend(devices.iter().map(shown));
        points
    }

    /// The UPSes over the licence, with the time of their rating.
    fn over(&self, devices: &BTreeMap<Name, Point>) -> BTreeMap<String, Nanos> {
        let limits = read(&self.plant).limits;
        if limits.ups_va.is_none() {
            return BTreeMap::new();
        }
        let mut ratings: BTreeMap<&str, (Rating, Nanos)> = BTreeMap::new();
        for (name, point) in devices {
            let Value::Number(number) = point.value else { continue };
            let name = name.as_str();
            let va = name.strip_suffix(".ups.power.nominal");
            let w = name.strip_suffix(".ups.realpower.nominal");
            // A rating that went stale is still that of this UPS.
            let Some(root) = va.or(w).filter(|_| point.quality != Quality::Bad) else { continue };
            let (rating, at) = ratings.entry(root).or_default();
            *if va.is_some() { &mut rating.va } else { &mut rating.w } = Some(number);
            *at = point.at;
        }
        let over = ratings.into_iter().filter(|(_, (rating, _))| !limits.covers_ups(*rating));
        over.map(|(root, (_, at))| (root.to_owned(), at)).collect()
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

/// The point that says why a UPS shows no values.
const OVER_POINT: &str = "experimental.licence";

/// A device point as the licence covers it: of a UPS over it, words (status,
/// alarms, identity) and ratings stay, measured numbers do not.
fn limited(name: &str, point: &Point, over: &BTreeMap<String, Nanos>) -> Point {
    let measured = matches!(point.value, Value::Number(_)) && !name.ends_with(".nominal");
    match measured && over.keys().any(|root| names::within(name, root)) {
        true => Point { value: Value::Number(0.0), quality: Quality::Bad, ..point.clone() },
        false => point.clone(),
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
    fn a_ups_over_the_licence_keeps_its_words_and_loses_its_numbers() {
        let hub = Hub::default();
        let number = |name: &str, value, unit| {
            let name = Name::parse(name).expect("a good name");
            (
                name,
                Point { value: Value::Number(value), unit, quality: Quality::Good, at: Nanos(1) },
            )
        };
        let status = Name::parse("ups.0.ups.status").expect("a good name");
        let words = Value::Text("OL".into());
        let status = (
            status,
            Point { value: words, unit: Unit::None, quality: Quality::Good, at: Nanos(1) },
        );
        hub.publish("ups.0", Nanos(0), [load(Quality::Good), status]);
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Good), "its size is not known");
        hub.publish("ups.0", Nanos(0), [number("ups.0.ups.power.nominal", 8_000.0, Unit::None)]);
        assert_eq!(hub.upses_over(), ["ups.0"]);
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Bad));
        assert_eq!(hub.device("ups.0.ups.load").map(|p| p.value), Some(Value::Number(0.0)));
        assert_eq!(quality(&hub, "ups.0.ups.status"), Some(Quality::Good));
        assert_eq!(quality(&hub, "ups.0.ups.power.nominal"), Some(Quality::Good));
        let why = hub.query("ups.0.experimental.licence");
        assert_eq!(why[0].1.value, Value::Text(OVER.into()));
        hub.set_limits(Limits { blocks: None, ups_va: None });
        assert_eq!(quality(&hub, "ups.0.ups.load"), Some(Quality::Good));
        assert!(hub.query("ups.0.experimental").is_empty());
    }

    #[test]
    fn limits_hold_for_what_is_there_and_for_what_comes() {
        let hub = Hub::default();
        hub.set_plant(testing::plant(&[13.6; 30]));
        assert_eq!(quality(&hub, "string.1.block.24.voltage"), Some(Quality::Good));
        assert_eq!(quality(&hub, "string.1.block.25.voltage"), Some(Quality::Bad), "LC at first");
        hub.set_limits(Limits { blocks: None, ups_va: None });
        assert_eq!(quality(&hub, "string.1.block.25.voltage"), Some(Quality::Good));
        hub.set_limits(Limits { blocks: Some(26), ups_va: None });
        hub.set_plant(testing::plant(&[13.6; 30]));
        assert_eq!(quality(&hub, "string.1.block.26.voltage"), Some(Quality::Good));
        assert_eq!(quality(&hub, "string.1.block.27.voltage"), Some(Quality::Bad));
        let whole = hub.whole_plant().expect("a plant");
        assert_eq!(whole.snapshot.strings[0].blocks[29].voltage_mv, 13_600);
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
