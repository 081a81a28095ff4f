//! Every kind of key against images in which it stands, is over, and is not
//! known.

use super::*;
use crate::plant::testing;
use evenkeel_core::battery_test::Report;
use evenkeel_core::bus::topology::Spot;
use evenkeel_core::discharge::DischargeRecord;
use evenkeel_core::image::DeviceRecord;
use evenkeel_core::points::{Unit, Value};
use evenkeel_core::protect::{Condition as Finding, Trip, TripCause};

fn at(second: u64) -> Nanos {
    Nanos::from_secs(1_000 + second)
}

fn device(quality: Quality) -> DeviceRecord {
    DeviceRecord {
        bus: 1,
        address: 1_030,
        type_code: 96,
        quality,
        wrong_kind: false,
        read: Nanos(0),
        serial: 0,
        inputs: 0,
        outputs: 0,
        commanded: 0,
        values: [f32::NAN; 8],
    }
}

/// A plant in which nothing is wrong.
fn well() -> Plant {
    let mut plant = testing::plant(&[13.6, 13.6]);
    plant.snapshot.cycle.cycles = 100;
    plant.snapshot.devices = vec![device(Quality::Good)];
    plant.snapshot.tests = vec![Report { state: TestState::Done, ..Report::default() }];
    let string = &mut plant.snapshot.strings[0];
    string.equalize.feasibility = Feasibility::Feasible;
    string.equalize.charger = ChargerVerdict::Right;
    string.discharge = Some(DischargeRecord { stage: Stage::After, ..Default::default() });
    plant
}

/// A plant in which everything is.
fn ill() -> Plant {
    let mut plant = well();
    plant.snapshot.cycle.conditions = Condition::NotLocked as u64;
    plant.snapshot.buses[0].cable = Cable::Broken(Spot { after: Some(4), before: None });
    plant.snapshot.devices = vec![device(Quality::Stale)];
    plant.snapshot.tests = vec![Report { state: TestState::Running, ..Report::default() }];
    let string = &mut plant.snapshot.strings[0];
    string.blocks[1].fault = Fault::Silent;
    testing::mark(string, 0, Finding::VoltageHigh, Level::Warning);
    let cause = TripCause::TwoTemperatures;
    string.protect.trip = Some(Trip { cause, block: 0, temperature_c: 61.5, wall_s: None });
    string.protect.breaker = BreakerState::Failed;
    let (needs_a, gives_a) = (0.23, 0.15);
    string.equalize.feasibility = Feasibility::Infeasible { block: 0, needs_a, gives_a };
    string.equalize.charger = ChargerVerdict::Low { by_v: 0.8 };
    string.discharge = Some(DischargeRecord { stage: Stage::Discharge, ..Default::default() });
    plant
}

/// The keys of events that tell what [`ill`] shows.
fn keys() -> Vec<String> {
    let (string, block) = (1, 2);
    let events = [
        Event::GuardCondition { condition: Condition::NotLocked.text().to_owned() },
        Event::CableBroken { bus: 1, place: "x".into() },
        Event::DeviceLost { device: 1, name: "AUX".into() },
        Event::TestBegan { test: 1 },
        Event::ModuleLost { string, block },
        Event::AlarmRaised {
            string,
            condition: Finding::VoltageHigh,
            level: Level::Warning,
            blocks: vec![1],
        },
        Event::BreakerFailed { string },
        Event::Tripped { string, block, cause: TripCause::TwoTemperatures, temperature_dc: 615 },
        Event::EqualizingInfeasible { string, block, needs_ma: 230, gives_ma: 150 },
        Event::ChargerWrong { string, by_mv: -800 },
        Event::DischargeBegan { string },
    ];
    events.iter().flat_map(conditions).map(|(key, _)| key).collect()
}

fn says(key: &str, plant: &Plant) -> Option<bool> {
    stands(key, Some(plant), |_| None)
}

#[test]
fn the_image_says_of_each_key_whether_it_stands() {
    let keys = keys();
    assert_eq!(keys.len(), 11);
    let away = Plant { connected: false, ..well() };
    for key in &keys {
        assert_eq!(says(key, &ill()), Some(true), "{key}");
        assert_eq!(says(key, &well()), Some(false), "{key}");
        assert_eq!(says(key, &away), None, "{key}");
        assert_eq!(stands(key, None, |_| None), None, "{key}");
    }
    assert_eq!(says("guard_lost", &away), Some(true));
    assert_eq!(says("guard_lost", &well()), Some(false));
}

#[test]
fn behind_a_dead_bus_only_what_needs_none_is_known() {
    let mut plant = well();
    plant.snapshot.buses = vec![testing::bus(true)];
    let known: Vec<String> = keys().into_iter().filter(|key| says(key, &plant).is_some()).collect();
    let whats: Vec<&str> = known.iter().filter_map(|key| key.split('/').next()).collect();
    assert_eq!(whats, ["guard", "test", "breaker_failed", "tripped", "infeasible", "charger"]);
    let mut unsure = well();
    unsure.snapshot.cycle.cycles = 3;
    unsure.snapshot.strings[0].blocks[1].fault = Fault::NeverSeen;
    unsure.snapshot.strings[0].equalize.feasibility = Feasibility::Unknown;
    unsure.snapshot.strings[0].equalize.charger = ChargerVerdict::Unknown;
    for key in ["module_lost/1/2", "infeasible/1", "charger/1", "out_of_band/1"] {
        assert_eq!(says(key, &unsure), None, "{key}");
    }
}

#[test]
fn what_is_not_there_any_more_is_over_and_nonsense_is_not_known() {
    for gone in ["tripped/9", "module_lost/1/99", "cable/7", "device/2", "test/4", "guard/x"] {
        assert_eq!(says(gone, &ill()), Some(false), "{gone}");
    }
    let of_the_book = "alarm/limit.block-voltage.high/string.1";
    for strange in [of_the_book, "tripped", "tripped/0", "tripped/x", "module_lost/1/x", "", "/"] {
        assert_eq!(says(strange, &well()), None, "{strange}");
    }
}

#[test]
fn points_say_it_of_a_ups_and_a_new_process_has_refused_nobody() {
    let words = |quality| {
        move |_: &str| {
            let value = Value::Text("OL".to_owned());
            Some(Point { value, unit: Unit::None, quality, at: Nanos(1) })
        }
    };
    for key in ["ups_lost/ups.0", "ups_on_battery/ups.0", "ups_battery_low/ups.0"] {
        assert_eq!(stands(key, None, words(Quality::Good)), Some(false), "{key}");
        assert_eq!(stands(key, None, words(Quality::Stale)), None, "{key}");
    }
    for key in ["authenticator/radius", "plugin_off/megatec"] {
        assert_eq!(stands(key, None, |_| None), Some(false), "{key}");
    }
}

#[test]
fn a_guard_that_finds_it_again_in_time_ends_nothing() {
    let mut inherited = Inherited::from(BTreeSet::from(["tripped/1".to_owned()]));
    let mut over = |second, says: Option<bool>| inherited.over(at(second), |_| says);
    assert!(over(0, None).is_empty() && over(500, None).is_empty(), "nobody knows");
    assert!(over(501, Some(false)).is_empty() && over(560, Some(false)).is_empty());
    assert!(over(561, Some(true)).is_empty(), "there it is");
    assert!(over(562, Some(false)).is_empty() && over(600, None).is_empty());
    assert!(over(601, Some(false)).is_empty() && over(660, Some(false)).is_empty());
    assert_eq!(over(661, Some(false)), ["tripped/1"]);
    assert!(inherited.is_empty());
}

#[test]
fn what_is_told_in_this_run_is_settled_and_what_was_before_it_is_not() {
    let standing = || BTreeSet::from(["tripped/1".to_owned(), "cable/1".to_owned()]);
    let mut inherited = Inherited::default();
    let reset = Event::TripReset { string: 1 };
    // What the earlier run left in the log is before the start.
    inherited.happened(&Event::CableBroken { bus: 1, place: "x".into() }, standing);
    assert!(inherited.is_empty());
    inherited.happened(&Event::DaemonStarted { version: "1".into() }, standing);
    inherited.happened(&reset, || unreachable!("no start"));
    assert!(inherited.over(at(0), |_| Some(false)).is_empty());
    assert_eq!(inherited.over(at(60), |_| Some(false)), ["cable/1"]);
}
