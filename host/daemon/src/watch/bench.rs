//! Events of what stands around the strings: bus cables, devices, battery
//! tests.

use super::{AWAIT_CYCLES, EVENT_EVERY, EVENTS};
use crate::plant::{Plant, number, words};
use evenkeel_core::battery_test::{Report, State};
use evenkeel_core::bus::topology::Cable;
use evenkeel_core::events::{Budget, Event};
use evenkeel_core::points::Quality;
use evenkeel_core::time::Nanos;

/// What was told.
pub struct Bench {
    /// Per bus: where its cable is broken.
    cables: Vec<Option<String>>,
    /// Per device: it is lost.
    devices: Vec<bool>,
    /// Per test under way: whether its beginning was told.
    tests: Vec<Option<bool>>,
    budget: Budget,
}

impl Default for Bench {
    fn default() -> Self {
        let budget = Budget::new(EVENTS, EVENT_EVERY);
        Self { cables: Vec::new(), devices: Vec::new(), tests: Vec::new(), budget }
    }
}

impl Bench {
    /// What is new.
    pub fn step(&mut self, plant: &Plant, now: Nanos) -> Vec<Event> {
        let mut events = Vec::new();
        self.cables(plant, now, &mut events);
        self.devices(plant, now, &mut events);
        self.tests(&plant.snapshot.tests, &mut events);
        events
    }

    fn cables(&mut self, plant: &Plant, now: Nanos, events: &mut Vec<Event>) {
        self.cables.resize(plant.snapshot.buses.len(), None);
        for ((index, record), told) in plant.snapshot.buses.iter().enumerate().zip(&mut self.cables)
        {
            let place = (record.cable != Cable::Whole).then(|| words::cable(record.cable));
            if record.lost || place == *told || !self.budget.spend(now) {
                continue;
            }
            told.clone_from(&place);
            let bus = number(index);
            events.push(match place {
                Some(place) => Event::CableBroken { bus, place },
                None => Event::CableWhole { bus },
            });
        }
    }

    fn devices(&mut self, plant: &Plant, now: Nanos, events: &mut Vec<Event>) {
        let awaited = plant.snapshot.cycle.cycles > AWAIT_CYCLES;
        self.devices.resize(plant.snapshot.devices.len(), false);
        let records = plant.snapshot.devices.iter().enumerate();
        for ((index, record), told) in records.zip(&mut self.devices) {
            let lost = matches!(record.quality, Quality::Stale | Quality::Bad);
            if plant.bus_lost(record.bus) || !awaited || lost == *told || !self.budget.spend(now) {
                continue;
            }
            *told = lost;
            let name = plant.devices.get(index).cloned().unwrap_or_default();
            let device = number(index);
            events.push(match lost {
                true => Event::DeviceLost { device, name },
                false => Event::DeviceBack { device, name },
            });
        }
    }

    fn tests(&mut self, reports: &[Report], events: &mut Vec<Event>) {
        self.tests.resize(reports.len(), None);
        for ((index, report), under_way) in reports.iter().enumerate().zip(&mut self.tests) {
            let test = number(index);
            match (report.state, *under_way) {
                (State::Running, None | Some(false)) => events.push(Event::TestBegan { test }),
                (State::Done, Some(_)) => {
                    events.push(Event::TestEnded { test, verdict: report.verdict, cause: None });
                }
                (State::Aborted(cause), Some(_)) => {
                    let cause = Some(cause);
                    events.push(Event::TestEnded { test, verdict: None, cause });
                }
                _ => {}
            }
            *under_way = match report.state {
                State::Running => Some(true),
                State::Starting | State::Stopping(_) => Some(*under_way == Some(true)),
                State::Idle | State::Waiting | State::Done | State::Aborted(_) => None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;
    use evenkeel_core::battery_test::{Cause, Verdict};
    use evenkeel_core::bus::topology::Spot;
    use evenkeel_core::image::DeviceRecord;

    fn step(bench: &mut Bench, plant: &Plant) -> Vec<Event> {
        bench.step(plant, Nanos::from_secs(100))
    }

    #[test]
    fn a_broken_cable_is_told_with_its_place_and_when_it_is_whole() {
        let (mut bench, mut plant) = (Bench::default(), testing::plant(&[13.6]));
        assert_eq!(step(&mut bench, &plant), []);
        plant.snapshot.buses[0].cable = Cable::Broken(Spot { after: Some(4), before: Some(5) });
        let told = step(&mut bench, &plant);
        assert_eq!(told[0].to_string(), "cable of bus 1 broken between addresses 4 and 5");
        assert_eq!(step(&mut bench, &plant), []);
        plant.snapshot.buses[0].cable = Cable::Whole;
        assert_eq!(step(&mut bench, &plant), [Event::CableWhole { bus: 1 }]);
    }

    #[test]
    fn a_lost_device_is_told_by_name_but_not_one_behind_a_dead_bus() {
        let (mut bench, mut plant) = (Bench::default(), testing::plant(&[13.6]));
        plant.snapshot.cycle.cycles = 100;
        plant.devices = vec!["AUX".into()];
        plant.snapshot.devices.push(DeviceRecord {
            bus: 1,
            address: 1_030,
            type_code: 96,
            quality: Quality::Stale,
            wrong_kind: false,
            read: Nanos(0),
            serial: 0,
            inputs: 0,
            outputs: 0,
            commanded: 0,
            values: [f32::NAN; 8],
        });
        plant.snapshot.buses[0].lost = true;
        assert_eq!(step(&mut bench, &plant), []);
        plant.snapshot.buses[0].lost = false;
        let name = || "AUX".to_owned();
        assert_eq!(step(&mut bench, &plant), [Event::DeviceLost { device: 1, name: name() }]);
        plant.snapshot.devices[0].quality = Quality::Good;
        assert_eq!(step(&mut bench, &plant), [Event::DeviceBack { device: 1, name: name() }]);
    }

    #[test]
    fn a_test_is_told_when_it_draws_and_with_its_verdict() {
        let (mut bench, mut plant) = (Bench::default(), testing::plant(&[13.6]));
        let mut state = |state, verdict| {
            plant.snapshot.tests = vec![Report { state, verdict, ..Report::default() }];
            step(&mut bench, &plant)
        };
        assert_eq!(state(State::Done, Some(Verdict::Pass)), [], "an old verdict is no news");
        assert_eq!(state(State::Starting, None), []);
        let begun = state(State::Running, None);
        assert_eq!(state(State::Stopping(None), None), []);
        let check = Some(Verdict::Check);
        let ended = Event::TestEnded { test: 1, verdict: check, cause: None };
        assert_eq!(state(State::Done, check), [ended]);
        assert_eq!(begun, [Event::TestBegan { test: 1 }]);
        state(State::Running, None);
        let told = state(State::Aborted(Cause::ByHand), None);
        assert!(told[0].to_string().contains("not completed"), "{told:?}");
        assert_eq!(state(State::Starting, None), []);
        let refused = state(State::Aborted(Cause::Refused), None);
        assert!(matches!(refused[..], [Event::TestEnded { .. }]), "{refused:?}");
    }
}
