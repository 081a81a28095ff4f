//! Watches the hub: derives events from what changes and keeps history.
//!
//! [`Watch::step`] is a function of (what it saw before, hub, now) and writes
//! to the store only through what it returns; [`run`] is the task around it.

use crate::clock;
mod bench;
mod recorder;
mod strings;
mod values;

use crate::hub::Hub;
use crate::plant::{Plant, number};
use crate::store::{Store, recent};
use crate::upses::{Sources, Upses};
use bench::Bench;
use evenkeel_core::alarm::Kind;
use evenkeel_core::events::{Band, BandState, Budget, Event, UpsWatch};
use evenkeel_core::history::Spread;
use evenkeel_core::image::{BlockRecord, Condition, Fault};
use evenkeel_core::points::Quality;
use evenkeel_core::time::Nanos;
use recorder::Recording;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use strings::Verdicts;
use values::Values;

/// Longest time between two looks at the hub.
const TICK: Duration = Duration::from_secs(1);
/// Shortest time between two looks, whatever the plugins publish.
const SPACING: Duration = Duration::from_millis(250);
/// Cycles after which a module that never answered counts as lost.
const AWAIT_CYCLES: u64 = 10;
/// Events about the guard, or about the modules of one string, at once …
const EVENTS: u32 = 20;
/// … and then one in this time. What could not be told yet is told then.
const EVENT_EVERY: Nanos = Nanos::from_secs(15);

/// A UPS of which an earlier run told, and that no plugin reads for so long in this
/// one, is looked after no more: its plugin was taken away while nobody looked. Plugins
/// are installed one after the other at the start.
const GONE: Nanos = Nanos::from_secs(60);

/// What was seen and told so far.
pub struct Watch {
    strings: Vec<StringWatch>,
    bench: Bench,
    sources: Sources,
    heard: Upses,
    /// By its subtree.
    upses: BTreeMap<String, UpsWatch>,
    /// Those of which an earlier run told, and since when nobody reads them.
    earlier: BTreeMap<String, Option<Nanos>>,
    guard: Option<bool>,
    guard_budget: Budget,
    conditions: u64,
}

struct StringWatch {
    band: Band,
    /// Blocks whose modules were told lost.
    lost: BTreeSet<u16>,
    budget: Budget,
    verdicts: Verdicts,
}

/// Watch until the task is dropped. A UPS is looked for at the root of each of
/// the `sources`.
pub async fn run(hub: Arc<Hub>, store: Arc<Store>, history_period: Duration, sources: Sources) {
    let mut watch = Watch::new(sources);
    let log = store.clone();
    let told = tokio::task::spawn_blocking(move || told_of(&log)).await;
    watch.expect(told.unwrap_or_default());
    let mut changes = hub.changes();
    let every = Nanos(history_period.as_nanos() as u64);
    let mut recording = Recording::new(store.clone(), every);
    let mut values = Values::new(store.clone(), every, clock::now());
    let mut spread_at = Nanos(0);
    loop {
        // The sender lives in the hub, which this task holds.
        let _ = tokio::time::timeout(TICK, changes.changed()).await;
        let now = clock::now();
        for subtree in hub.expire(now) {
            tracing::warn!("{subtree}: nothing published for long, values are stale");
        }
        for event in watch.step(&hub, now) {
            tracing::info!("{event}");
            store.record(event);
        }
        if let Some(plant) = hub.plant().filter(|p| p.connected) {
            if now.since(spread_at) >= Nanos::from_millis(recent::PERIOD_MS) {
                spread_at = now;
                for (index, spread) in spreads(&plant, clock::unix_ms()) {
                    store.recent().push(index, spread);
                }
            }
            if recording.step(&plant, clock::unix_ms(), now) {
                values.with_others(now);
            }
        }
        values.step(&hub, clock::unix_ms(), now);
        tokio::time::sleep(SPACING).await;
    }
}

/// The UPSes of the log that were not told to be looked after no more.
fn told_of(store: &Store) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    store.each_event(|stored| match stored.event {
        Event::UpsOnBattery { ups }
        | Event::UpsBatteryLow { ups }
        | Event::UpsOnMains { ups }
        | Event::UpsLost { ups }
        | Event::UpsBack { ups } => drop(told.insert(ups)),
        Event::UpsUnwatched { ups } => drop(told.remove(&ups)),
        _ => {}
    });
    told
}

impl Watch {
    /// An earlier run told of these UPSes.
    pub fn expect(&mut self, told: BTreeSet<String>) {
        self.earlier = told.into_iter().map(|root| (root, None)).collect();
    }

    /// Nothing seen yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            strings: Vec::new(),
            bench: Bench::default(),
            sources,
            heard: Upses::default(),
            upses: BTreeMap::new(),
            earlier: BTreeMap::new(),
            guard: None,
            guard_budget: Budget::new(EVENTS, EVENT_EVERY),
            conditions: 0,
        }
    }

    /// What happened since the last look.
    pub fn step(&mut self, hub: &Hub, now: Nanos) -> Vec<Event> {
        let mut events = Vec::new();
        // No licence gates what is wrong.
        if let Some(plant) = hub.whole_plant() {
            self.guard(&plant, now, &mut events);
            if plant.connected {
                self.strings.resize_with(plant.snapshot.strings.len(), StringWatch::default);
                for (index, string) in self.strings.iter_mut().enumerate() {
                    events.extend(string.band(&plant, index, now));
                    events.extend(string.modules(&plant, index, now));
                    events.extend(string.verdicts.step(&plant, index, now));
                }
                events.extend(self.bench.step(&plant, now));
            }
        }
        self.upses(hub, now, &mut events);
        events
    }

    fn upses(&mut self, hub: &Hub, now: Nanos, events: &mut Vec<Event>) {
        let seen = self.heard.look(&(self.sources)(), hub, now);
        self.upses.retain(|root, _| {
            let stays = seen.iter().any(|ups| ups.root == *root);
            if !stays {
                events.push(Event::UpsUnwatched { ups: root.clone() });
                self.earlier.remove(root);
            }
            stays
        });
        self.earlier.retain(|root, since| {
            let is_read = seen.iter().any(|ups| ups.root == *root);
            *since = if is_read { None } else { Some(since.unwrap_or(now)) };
            let is_gone = since.is_some_and(|since| now.since(since) >= GONE);
            if is_gone {
                events.push(Event::UpsUnwatched { ups: root.clone() });
            }
            !is_gone
        });
        for ups in seen.into_iter().filter(|ups| ups.missed) {
            let new = || UpsWatch::new(ups.root.clone());
            let watch = self.upses.entry(ups.root.clone()).or_insert_with(new);
            events.extend(watch.step(ups.status.as_deref(), now));
        }
    }

    fn guard(&mut self, plant: &Plant, now: Nanos, events: &mut Vec<Event>) {
        if self.guard != Some(plant.connected) && self.guard_budget.spend(now) {
            self.guard = Some(plant.connected);
            events.push(if plant.connected { Event::GuardBack } else { Event::GuardLost });
        }
        let conditions = plant.snapshot.cycle.conditions;
        for condition in Condition::ALL {
            let bit = condition as u64;
            // Which bus and which device is told by name.
            if !Kind::is_of_guard(condition) {
                continue;
            }
            if (self.conditions ^ conditions) & bit == 0 || !self.guard_budget.spend(now) {
                continue;
            }
            self.conditions ^= bit;
            let condition = condition.text().to_owned();
            events.push(match conditions & bit != 0 {
                true => Event::GuardCondition { condition },
                false => Event::GuardConditionOver { condition },
            });
        }
    }
}

impl Default for StringWatch {
    fn default() -> Self {
        let budget = Budget::new(EVENTS, EVENT_EVERY);
        Self { band: Band::default(), lost: BTreeSet::new(), budget, verdicts: Verdicts::default() }
    }
}

impl StringWatch {
    fn band(&mut self, plant: &Plant, index: usize, now: Nanos) -> Option<Event> {
        let worst_v = plant.snapshot.strings[index].equalize.worst_v;
        let worst = worst_v.is_finite().then(|| (worst_v * 1e3).round() as i32);
        let fresh = worst.filter(|_| plant.live(index));
        let string = number(index);
        match self.band.step(fresh, now)? {
            BandState::In => Some(Event::StringInBand { string }),
            BandState::Out => {
                Some(Event::StringOutOfBand { string, deviation_mv: fresh.unwrap_or_default() })
            }
            BandState::Unknown => None,
        }
    }

    /// Which modules went and came: at most one event each, however many.
    fn modules(&mut self, plant: &Plant, index: usize, now: Nanos) -> Vec<Event> {
        let awaited = plant.snapshot.cycle.cycles > AWAIT_CYCLES;
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        for (b, record) in plant.snapshot.blocks_of(index).iter().enumerate() {
            let block = number(b);
            // A dead bus is one event, not one per module.
            if plant.bus_lost(record.bus) {
                continue;
            }
            let silent = match record.fault {
                Fault::Silent => true,
                Fault::NeverSeen if awaited => true,
                Fault::NeverSeen => continue,
                _ => false,
            };
            match (self.lost.contains(&block), silent) {
                (false, true) => gone.push(block),
                (true, false) => back.push(block),
                _ => {}
            }
        }
        let mut events = Vec::new();
        if !gone.is_empty() && self.budget.spend(now) {
            self.lost.extend(&gone);
            events.extend(Event::modules_lost(number(index), gone));
        }
        if !back.is_empty() && self.budget.spend(now) {
            self.lost.retain(|block| !back.contains(block));
            events.extend(Event::modules_back(number(index), back));
        }
        events
    }
}

/// How far the usable blocks of each string lie apart; strings without one
/// are left out.
fn spreads(plant: &Plant, unix_ms: u64) -> Vec<(usize, Spread)> {
    let usable = |b: &&BlockRecord| plant.quality(b) == Quality::Good;
    let of = |(s, string): (usize, &evenkeel_core::image::StringRecord)| {
        let voltages = plant.snapshot.blocks_of(s).iter().filter(usable).map(|b| b.voltage_mv);
        let (min_mv, max_mv) = (voltages.clone().min()?, voltages.max()?);
        let worst_mv = (string.equalize.worst_v * 1e3).round() as i32;
        Some((s, Spread { unix_ms, min_mv, max_mv, worst_mv }))
    };
    plant.snapshot.strings.iter().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;
    use crate::upses::testing::{driver, sources};
    use evenkeel_core::history::Record;
    use evenkeel_core::image::{Snapshot, StringRecord};
    use evenkeel_core::points::{Name, Point, Unit, Value};

    fn plant(worst_v: f64, fault: Fault, connected: bool) -> Plant {
        let block = |mv| BlockRecord {
            voltage_mv: mv,
            quality: if fault == Fault::None { Quality::Good } else { Quality::Bad },
            fault,
            ..BlockRecord::default()
        };
        let mut string = StringRecord::new(vec![block(13_600), block(13_700)]);
        (string.equalize.target_v, string.equalize.worst_v) = (13.6, worst_v);
        let mut snapshot = Snapshot { strings: vec![string], ..Snapshot::default() };
        snapshot.cycle.cycles = 100;
        Plant { snapshot, strings: vec!["A".into()], devices: vec![], connected, over: Vec::new() }
    }

    fn watching(subtree: &str) -> Watch {
        Watch::new(sources(vec![driver(subtree)]).1)
    }

    fn nothing() -> Sources {
        sources(Vec::new()).1
    }

    fn step(watch: &mut Watch, hub: &Hub, plant: Plant, second: u64) -> Vec<Event> {
        hub.set_plant(plant);
        watch.step(hub, Nanos::from_secs(second))
    }

    #[test]
    fn a_string_closes_and_loses_its_modules_and_its_guard() {
        let (hub, mut watch) = (Hub::default(), watching("ups.0"));
        assert_eq!(watch.step(&hub, Nanos(0)), []);
        assert_eq!(step(&mut watch, &hub, plant(0.9, Fault::None, true), 1), [Event::GuardBack]);
        assert_eq!(
            step(&mut watch, &hub, plant(0.9, Fault::None, true), 6),
            [Event::StringOutOfBand { string: 1, deviation_mv: 900 }]
        );
        assert_eq!(step(&mut watch, &hub, plant(-0.004, Fault::None, true), 7), []);
        assert_eq!(
            step(&mut watch, &hub, plant(-0.010, Fault::None, true), 12),
            [Event::StringInBand { string: 1 }]
        );
        let lost = [Event::ModulesLost { string: 1, blocks: vec![1, 2] }];
        assert_eq!(step(&mut watch, &hub, plant(f64::NAN, Fault::Silent, true), 13), lost);
        assert_eq!(step(&mut watch, &hub, plant(f64::NAN, Fault::Silent, true), 60), []);
        assert_eq!(
            step(&mut watch, &hub, plant(f64::NAN, Fault::None, false), 61),
            [Event::GuardLost],
            "without the guard nobody knows about modules"
        );
        assert_eq!(step(&mut watch, &hub, plant(0.0, Fault::None, true), 62).len(), 2);
    }

    #[test]
    fn a_module_that_flaps_does_not_fill_the_log() {
        let (hub, mut watch) = (Hub::default(), watching("ups.0"));
        let fault = |on| if on { Fault::Silent } else { Fault::None };
        let hour = (0..3_600)
            .flat_map(|s| step(&mut watch, &hub, plant(f64::NAN, fault(s % 2 == 0), true), s));
        let told = hour.count();
        assert!((200..=20 + 3_600 / 15 + 1).contains(&told), "{told} events in an hour");
        let end: Vec<_> = (3_600..3_630)
            .flat_map(|s| step(&mut watch, &hub, plant(f64::NAN, fault(true), true), s))
            .collect();
        assert!(end.len() <= 1, "{end:?}");
        assert_eq!(watch.strings[0].lost.len(), 2, "the end is told");
    }

    #[test]
    fn conditions_of_the_guard_are_told_once_each_way() {
        let (hub, mut watch) = (Hub::default(), watching("ups.0"));
        let mut lost = plant(0.0, Fault::None, true);
        let conditions = [Condition::PortLost, Condition::NotLocked];
        lost.snapshot.cycle.conditions = conditions.map(|c| c as u64).iter().sum();
        lost.snapshot.buses = vec![testing::bus(true)];
        assert_eq!(step(&mut watch, &hub, lost.clone(), 1).len(), 2);
        assert_eq!(step(&mut watch, &hub, lost, 60), [], "no band from a dead bus");
        let over = step(&mut watch, &hub, plant(0.0, Fault::None, true), 61);
        assert!(matches!(over[..], [Event::GuardConditionOver { .. }]), "{over:?}");
    }

    #[test]
    fn a_ups_is_found_by_its_status() {
        let (hub, mut watch) = (Hub::default(), watching("ups.0"));
        let name = Name::parse("ups.0.ups.status").expect("a good name");
        let status = |words: &str, quality| Point {
            value: Value::Text(words.to_owned()),
            unit: Unit::None,
            quality,
            at: Nanos(1),
        };
        assert_eq!(
            watch.step(&hub, Nanos::from_secs(1)),
            [],
            "its driver may not have asked it yet"
        );
        hub.publish("ups.0", Nanos(0), [(name.clone(), status("OB DISCHRG", Quality::Good))]);
        let ups = || "ups.0".to_owned();
        assert_eq!(watch.step(&hub, Nanos::from_secs(2)), []);
        assert_eq!(watch.step(&hub, Nanos::from_secs(4)), [Event::UpsOnBattery { ups: ups() }]);
        hub.mark_stale("ups.0");
        assert_eq!(watch.step(&hub, Nanos::from_secs(5)), []);
        assert_eq!(watch.step(&hub, Nanos::from_secs(7)), [Event::UpsLost { ups: ups() }]);
    }

    #[test]
    fn a_ups_that_never_answered_is_lost_and_one_that_is_removed_is_over() {
        let (held, sources) = sources(Vec::new());
        let (hub, mut watch) = (Hub::default(), Watch::new(sources));
        assert_eq!(watch.step(&hub, Nanos::from_secs(1)), []);
        // Installed while it runs; its cable is loose.
        held.lock().expect("whole").push(driver("ups.0"));
        let told: Vec<_> =
            (2..200).flat_map(|second| watch.step(&hub, Nanos::from_secs(second))).collect();
        let ups = || "ups.0".to_owned();
        assert_eq!(told, [Event::UpsLost { ups: ups() }]);
        held.lock().expect("whole").clear();
        let over = watch.step(&hub, Nanos::from_secs(201));
        assert_eq!(over, [Event::UpsUnwatched { ups: ups() }]);
        assert_eq!(watch.step(&hub, Nanos::from_secs(202)), []);
        // Nothing was told of one that was removed before it was due.
        held.lock().expect("whole").push(driver("ups.0"));
        assert_eq!(watch.step(&hub, Nanos::from_secs(203)), []);
        held.lock().expect("whole").clear();
        assert_eq!(watch.step(&hub, Nanos::from_secs(204)), []);
    }

    /// Its plugin left the configuration file while the daemon was off.
    #[test]
    fn a_ups_of_an_earlier_run_that_nobody_reads_is_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        let ups = |n: u8| format!("ups.{n}");
        for event in [
            Event::UpsOnBattery { ups: ups(0) },
            Event::UpsOnBattery { ups: ups(1) },
            Event::UpsLost { ups: ups(2) },
            Event::UpsUnwatched { ups: ups(2) },
        ] {
            store.record_acknowledged(event).wait().expect("on the disk");
        }
        let (held, sources) = sources(vec![driver("ups.0")]);
        let (hub, mut watch) = (Hub::default(), Watch::new(sources));
        watch.expect(told_of(&store));
        let mut told = |from: u64, to: u64| -> Vec<Event> {
            (from..to).flat_map(|second| watch.step(&hub, Nanos::from_secs(second))).collect()
        };
        assert_eq!(told(1, 60), [], "its plugin may be installed yet");
        assert_eq!(told(60, 63), [Event::UpsUnwatched { ups: ups(1) }], "once");
        // One that is read is not over until nobody reads it any more.
        held.lock().expect("whole").clear();
        assert_eq!(told(63, 122), []);
        assert_eq!(told(122, 200), [Event::UpsUnwatched { ups: ups(0) }]);
    }

    #[test]
    fn a_plugin_cannot_make_up_upses() {
        let (hub, mut watch) = (Hub::default(), watching("ups.0"));
        let point = |n: u64| {
            let name = Name::parse(&format!("ups.0.x{n}.ups.status")).expect("a good name");
            let value = Value::Text("OB LB".into());
            (name, Point { value, unit: Unit::None, quality: Quality::Good, at: Nanos(1) })
        };
        hub.publish("ups.0", Nanos(0), (0..500).map(point));
        for second in 0..10 {
            assert_eq!(watch.step(&hub, Nanos::from_secs(second)), []);
        }
    }

    #[tokio::test]
    async fn a_flood_of_changes_is_looked_at_four_times_a_second() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        let task =
            tokio::spawn(run(hub.clone(), store.clone(), Duration::from_nanos(1), nothing()));
        let begun = clock::now();
        for n in 0..500 {
            hub.set_plant(plant(0.0, Fault::None, n % 2 == 0));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let looks = clock::now().since(begun).as_millis() as usize / 250 + 1;
        task.abort();
        // What was recorded goes through the writer's thread first.
        store.record_acknowledged(Event::Unknown).done().await.expect("on the disk");
        assert!(store.latest(64).len() <= 1 + looks, "{:?}", store.latest(64));
    }

    #[tokio::test]
    async fn history_and_ring_fill() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        hub.set_plant(plant(0.05, Fault::None, true));
        let task = tokio::spawn(run(hub, store.clone(), Duration::from_millis(1), nothing()));
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut past = Vec::new();
            let visit = |_: &_, record: &Record| past.push(*record);
            store.each_record(1, 1, 0..=u64::MAX, visit).expect("readable");
            if let [record, ..] = &past[..] {
                assert_eq!(record.voltage_mv.map(|span| span.mean), Some(13_700));
                assert_eq!(store.recent().of(0)[0].width_mv(), 100);
                task.abort();
                return;
            }
        }
        panic!("no sample in 4 s");
    }
}
