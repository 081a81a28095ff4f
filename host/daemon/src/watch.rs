//! Watches the hub: derives events from what changes and keeps history.
//!
//! [`Watch::step`] is a function of (what it saw before, hub, now) and writes
//! to the store only through what it returns; [`run`] is the task around it.

use crate::clock;
use crate::hub::{Hub, Plant};
use crate::store::{Store, recent};
use evenkeel_core::events::{Band, BandState, Event, UpsWatch};
use evenkeel_core::history::{Sample, Spread};
use evenkeel_core::image::{BlockRecord, Condition, Fault};
use evenkeel_core::points::{Quality, Value};
use evenkeel_core::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two looks at the hub.
const TICK: Duration = Duration::from_secs(1);
/// Cycles after which a module that never answered counts as lost.
const AWAIT_CYCLES: u64 = 10;

/// What was seen so far.
#[derive(Default)]
pub struct Watch {
    bands: Vec<Band>,
    lost_blocks: BTreeSet<(u16, u16)>,
    upses: BTreeMap<String, UpsWatch>,
    guard: Option<bool>,
    conditions: u64,
}

/// Watch until the task is dropped.
pub async fn run(hub: Arc<Hub>, store: Arc<Store>, history_period: Duration) {
    let mut watch = Watch::default();
    let mut changes = hub.changes();
    let (mut sampled, mut spread_at) = (clock::now(), Nanos(0));
    let history_period = Nanos(history_period.as_nanos() as u64);
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
        let Some(plant) = hub.plant().filter(|p| p.connected) else { continue };
        if now.since(spread_at) >= Nanos::from_millis(recent::PERIOD_MS) {
            spread_at = now;
            for (index, spread) in spreads(&plant, clock::unix_ms()) {
                store.recent().push(index, spread);
            }
        }
        if now.since(sampled) >= history_period {
            sampled = now;
            store.append(clock::unix_ms(), samples(&plant));
        }
    }
}

impl Watch {
    /// What happened since the last look.
    pub fn step(&mut self, hub: &Hub, now: Nanos) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(plant) = hub.plant() {
            self.guard(&plant, &mut events);
            if plant.connected {
                self.bands(&plant, now, &mut events);
                self.blocks(&plant, &mut events);
            }
        }
        self.ups(hub, &mut events);
        events
    }

    fn guard(&mut self, plant: &Plant, events: &mut Vec<Event>) {
        match (self.guard, plant.connected) {
            (None | Some(false), true) => events.push(Event::GuardBack),
            (None | Some(true), false) => events.push(Event::GuardLost),
            _ => {}
        }
        self.guard = Some(plant.connected);
        let conditions = plant.snapshot.cycle.conditions;
        for condition in Condition::ALL {
            let bit = condition as u64;
            let text = || condition.text().to_owned();
            match (self.conditions & bit != 0, conditions & bit != 0) {
                (false, true) => events.push(Event::GuardCondition { condition: text() }),
                (true, false) => events.push(Event::GuardConditionOver { condition: text() }),
                _ => {}
            }
        }
        self.conditions = conditions;
    }

    fn bands(&mut self, plant: &Plant, now: Nanos, events: &mut Vec<Event>) {
        self.bands.resize_with(plant.snapshot.strings.len(), Band::default);
        for (i, (band, string)) in self.bands.iter_mut().zip(&plant.snapshot.strings).enumerate() {
            let worst = string.worst_v.is_finite().then(|| (string.worst_v * 1e3).round() as i32);
            let fresh = worst.filter(|_| !plant.snapshot.has(Condition::PortLost));
            let string = number(i);
            events.extend(match band.step(fresh, now) {
                Some(BandState::In) => Some(Event::StringInBand { string }),
                Some(BandState::Out) => {
                    let deviation_mv = fresh.unwrap_or_default();
                    Some(Event::StringOutOfBand { string, deviation_mv })
                }
                Some(BandState::Unknown) | None => None,
            });
        }
    }

    fn blocks(&mut self, plant: &Plant, events: &mut Vec<Event>) {
        let awaited = plant.snapshot.cycle.cycles > AWAIT_CYCLES;
        for s in 0..plant.snapshot.strings.len() {
            for (b, record) in plant.snapshot.blocks_of(s).iter().enumerate() {
                let (string, block) = (number(s), number(b));
                match record.fault {
                    Fault::Silent => {}
                    Fault::NeverSeen if awaited => {}
                    Fault::NeverSeen => continue,
                    _ => {
                        if self.lost_blocks.remove(&(string, block)) {
                            events.push(Event::ModuleBack { string, block });
                        }
                        continue;
                    }
                }
                if self.lost_blocks.insert((string, block)) {
                    events.push(Event::ModuleLost { string, block });
                }
            }
        }
    }

    fn ups(&mut self, hub: &Hub, events: &mut Vec<Event>) {
        for (name, point) in hub.query("ups") {
            let Some(ups) = name.strip_suffix(".ups.status") else { continue };
            let fresh = matches!(point.quality, Quality::Good | Quality::Estimated);
            let status = match &point.value {
                Value::Text(words) if fresh => Some(words.as_str()),
                _ => None,
            };
            let watch = self.upses.entry(ups.to_owned());
            events.extend(watch.or_insert_with_key(|ups| UpsWatch::new(ups.clone())).step(status));
        }
    }
}

/// How far the usable blocks of each string lie apart; strings without one
/// are left out.
fn spreads(plant: &Plant, unix_ms: u64) -> Vec<(usize, Spread)> {
    let usable = |b: &&BlockRecord| plant.quality(b) == Quality::Good;
    let of = |(s, string): (usize, &evenkeel_core::image::StringRecord)| {
        let voltages = plant.snapshot.blocks_of(s).iter().filter(usable).map(|b| b.voltage_mv);
        let (min_mv, max_mv) = (voltages.clone().min()?, voltages.max()?);
        let worst_mv = (string.worst_v * 1e3).round() as i32;
        Some((s, Spread { unix_ms, min_mv, max_mv, worst_mv }))
    };
    plant.snapshot.strings.iter().enumerate().filter_map(of).collect()
}

fn samples(plant: &Plant) -> Vec<(u16, Sample)> {
    let strings = plant.snapshot.strings.iter().enumerate();
    strings
        .map(|(s, string)| {
            let blocks = plant.snapshot.blocks_of(s);
            (number(s), Sample::of(string, blocks, |b| plant.quality(b)))
        })
        .collect()
}

/// People count from 1.
fn number(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::image::{Snapshot, StringRecord};
    use evenkeel_core::points::{Name, Point, Unit};

    fn plant(worst_v: f64, fault: Fault, connected: bool) -> Plant {
        let block = |mv| BlockRecord {
            voltage_mv: mv,
            quality: if fault == Fault::None { Quality::Good } else { Quality::Bad },
            fault,
            ..BlockRecord::default()
        };
        let string = StringRecord { blocks: 2, target_v: 13.6, worst_v, ..Default::default() };
        let mut snapshot = Snapshot {
            strings: vec![string],
            blocks: vec![block(13_600), block(13_700)],
            ..Snapshot::default()
        };
        snapshot.cycle.cycles = 100;
        Plant { snapshot, strings: vec!["A".into()], connected }
    }

    fn step(watch: &mut Watch, hub: &Hub, plant: Plant, second: u64) -> Vec<Event> {
        hub.set_plant(plant);
        watch.step(hub, Nanos::from_secs(second))
    }

    #[test]
    fn a_string_closes_and_loses_its_modules_and_its_guard() {
        let (hub, mut watch) = (Hub::default(), Watch::default());
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
        let lost =
            [Event::ModuleLost { string: 1, block: 1 }, Event::ModuleLost { string: 1, block: 2 }];
        assert_eq!(step(&mut watch, &hub, plant(f64::NAN, Fault::Silent, true), 13), lost);
        assert_eq!(step(&mut watch, &hub, plant(f64::NAN, Fault::Silent, true), 60), []);
        assert_eq!(
            step(&mut watch, &hub, plant(f64::NAN, Fault::None, false), 61),
            [Event::GuardLost],
            "without the guard nobody knows about modules"
        );
        assert_eq!(step(&mut watch, &hub, plant(0.0, Fault::None, true), 62).len(), 3);
    }

    #[test]
    fn conditions_of_the_guard_are_told_once_each_way() {
        let (hub, mut watch) = (Hub::default(), Watch::default());
        let mut lost = plant(0.0, Fault::None, true);
        lost.snapshot.cycle.conditions = Condition::PortLost as u64;
        assert_eq!(step(&mut watch, &hub, lost.clone(), 1).len(), 2);
        assert_eq!(step(&mut watch, &hub, lost, 60), [], "no band from a dead bus");
        let over = step(&mut watch, &hub, plant(0.0, Fault::None, true), 61);
        assert!(matches!(over[..], [Event::GuardConditionOver { .. }]), "{over:?}");
    }

    #[test]
    fn a_ups_is_found_by_its_status() {
        let (hub, mut watch) = (Hub::default(), Watch::default());
        let name = Name::parse("ups.0.ups.status").expect("a good name");
        let status = |words: &str, quality| Point {
            value: Value::Text(words.to_owned()),
            unit: Unit::None,
            quality,
            at: Nanos(1),
        };
        hub.publish("ups.0", Nanos(0), [(name.clone(), status("OB DISCHRG", Quality::Good))]);
        let ups = || "ups.0".to_owned();
        assert_eq!(watch.step(&hub, Nanos(1)), [Event::UpsOnBattery { ups: ups() }]);
        hub.mark_stale("ups.0");
        assert_eq!(watch.step(&hub, Nanos(2)), [Event::UpsLost { ups: ups() }]);
    }

    #[tokio::test]
    async fn history_and_ring_fill() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        hub.set_plant(plant(0.05, Fault::None, true));
        let task = tokio::spawn(run(hub, store.clone(), Duration::from_millis(1)));
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let samples = store.samples(1, 0, u64::MAX, 9).expect("readable");
            if let [(_, sample), ..] = &samples[..] {
                assert_eq!(sample.block(1).expect("two blocks").voltage_mv, 13_700);
                assert_eq!(store.recent().of(0)[0].width_mv(), 100);
                task.abort();
                return;
            }
        }
        panic!("no sample in 4 s");
    }
}
