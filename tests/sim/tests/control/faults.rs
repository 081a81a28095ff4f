//! Faults of blocks, links and modules, each told by its own name or bounded
//! where it cannot be told (facts/battery-science.md §2.9).

use crate::rig::{Rig, SITE, SITE_STRING, scenario, settings, site_device};
use evenkeel_core::command::Order;
use evenkeel_core::equalize::{Feasibility, Inhibits, Suspicion};
use evenkeel_core::events::Event;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::scan::Phase;
use evenkeel_sim::scenario::DeviceTable;

/// Six blocks on float, with an input for the string's voltage and a ground
/// sensor.
fn settled() -> Rig {
    let mut scenario = scenario(1, 6);
    let site = DeviceTable { address: SITE, kind: "site".into(), ..DeviceTable::default() };
    scenario.devices.push(site);
    let mut rig = Rig::new(&settings(5_000, &scenario, SITE_STRING, &site_device()), &[scenario]);
    rig.run(1_900);
    assert_eq!((rig.string(0).phase(), rig.report(0).level), (Phase::Float, Level::Ok));
    rig
}

fn level(rig: &Rig, condition: Condition) -> Level {
    rig.report(0).all.level_of(condition)
}

/// Blocks (from 0) on which a condition is marked.
fn marked(rig: &Rig, condition: Condition) -> Vec<usize> {
    let blocks = rig.report(0).blocks.iter().enumerate();
    blocks.filter(|(_, b)| b.level_of(condition) > Level::Ok).map(|(i, _)| i).collect()
}

fn true_v(rig: &Rig, place: usize) -> f64 {
    rig.plant(0).places()[place].volts()
}

#[test]
fn over_and_undervoltage_are_told_and_untold() {
    let mut rig = settled();
    rig.say("string 0 setpoint 2.50");
    rig.until(3_600, "high", |rig| level(rig, Condition::StringVoltageHigh) == Level::Warning);
    rig.say("string 0 setpoint 2.70");
    rig.until(3_600, "too high", |rig| level(rig, Condition::StringVoltageHigh) == Level::Alarm);
    rig.until(600, "each", |rig| marked(rig, Condition::VoltageHigh).len() == 6);
    rig.say("string 0 setpoint 2.27");
    rig.until(6 * 3_600, "as before", |rig| {
        level(rig, Condition::StringVoltageHigh) == Level::Ok
            && level(rig, Condition::VoltageHigh) == Level::Ok
    });
    // Nobody charges and nobody feeds: the load of a day drains it.
    rig.say("string 0 load 1600");
    rig.say("mains off");
    rig.until(3 * 3_600, "too low", |rig| {
        level(rig, Condition::StringVoltageLow) == Level::Alarm
            && level(rig, Condition::VoltageLow) == Level::Alarm
    });
    assert_eq!(rig.report(0).trip, None, "a voltage trips nothing");
    rig.say("mains on");
    rig.until(3_600, "charged", |rig| level(rig, Condition::VoltageLow) == Level::Ok);
}

#[test]
fn an_open_link_is_told_and_nothing_is_bypassed() {
    let mut rig = settled();
    // A bypass at work carries the current past the gap.
    assert_eq!(rig.order(Order::Pause { string: 1, seconds: 86_400 }), Ok(()));
    rig.say("block 4 open");
    rig.until(4 * 3_600, "told", |rig| level(rig, Condition::OpenLink) == Level::Alarm);
    let marked = marked(&rig, Condition::OpenLink);
    assert!(marked.is_empty() || marked == [3], "{marked:?}");
    assert!(rig.plant(0).amps().abs() < 0.01);
    rig.run(600);
    assert_eq!(rig.report(0).trip, None);
    assert!(rig.is_idle(0), "it would only drain the others");
}

#[test]
fn a_shorted_cell_is_named_within_two_minutes_and_left_out() {
    let mut rig = settled();
    rig.say("block 3 shorted-cells 1");
    rig.until(120, "named", |rig| marked(rig, Condition::ShortedCell) == [2]);
    rig.run(3_600);
    let report = &rig.snapshot().strings[0].equalize;
    assert_eq!((report.excluded, report.worst_block), (1, Some(2)));
    assert_eq!(rig.report(0).trip, None);
    rig.say("block 3 mend");
    rig.until(4 * 3_600, "mended", |rig| level(rig, Condition::ShortedCell) == Level::Ok);
}

#[test]
fn a_cell_that_reverses_in_a_discharge_is_named() {
    let mut rig = settled();
    rig.say("block 5 weak-cell 0.15");
    rig.say("mains off");
    rig.until(900, "named", |rig| marked(rig, Condition::ReversedCell) == [4]);
    assert_eq!(rig.string(0).phase(), Phase::Discharge);
    rig.say("mains on");
    rig.run(60);
    assert_eq!(marked(&rig, Condition::ReversedCell), [4], "until it floats again");
}

#[test]
fn a_ground_fault_is_told_by_its_sensor() {
    let mut rig = settled();
    // 40 V from the middle to ground: 13 mA, then 80 mA.
    rig.say("string 0 ground 3 3000");
    rig.until(60, "noticed", |rig| level(rig, Condition::GroundFault) == Level::Warning);
    rig.say("string 0 ground 3 500");
    rig.until(60, "told", |rig| level(rig, Condition::GroundFault) == Level::Alarm);
    rig.say("string 0 ground none");
    rig.until(60, "gone", |rig| level(rig, Condition::GroundFault) == Level::Ok);
    assert_eq!(rig.report(0).trip, None);
}

#[test]
fn swapped_addresses_disturb_neither_equalization_nor_protection() {
    let mut rig = settled();
    rig.say("module 2 swap 5");
    rig.run(1_800);
    assert_eq!((rig.report(0).trip, rig.report(0).level), (None, Level::Ok));
    assert!(rig.snapshot().strings[0].equalize.worst_v.abs() <= 0.010);
    // What is wrong with a block is told at the address of its module.
    rig.say("block 2 shorted-cells 1");
    rig.until(180, "at the address", |rig| marked(rig, Condition::ShortedCell) == [1]);
    assert!(true_v(&rig, 4) < 12.0 && true_v(&rig, 1) > 13.0, "module 2 sits on the fifth");
}

#[test]
fn a_stuck_reading_is_named_and_trips_nothing() {
    let mut rig = settled();
    rig.say("module 5 stuck on");
    rig.run(60);
    // The others move; the fifth does not.
    rig.say("string 0 setpoint 2.30");
    rig.until(1_800, "named", |rig| marked(rig, Condition::VoltageStuck) == [4]);
    rig.run(1_800);
    assert_eq!(marked(&rig, Condition::VoltageStuck), [4]);
    assert_eq!(rig.report(0).trip, None);
    rig.say("module 5 stuck off");
    rig.until(600, "moves again", |rig| marked(rig, Condition::VoltageStuck).is_empty());
}

#[test]
fn a_module_with_a_wrong_gain_shows_in_the_sum() {
    let mut rig = settled();
    rig.say("module 2 gain 0.93");
    rig.until(3 * 3_600, "told", |rig| {
        level(rig, Condition::SumMismatch) > Level::Ok
            && rig.snapshot().strings[0].equalize.truth.suspicion == Suspicion::Certain
    });
    let truth = rig.snapshot().strings[0].equalize.truth;
    println!("gain 0.93: block at {:.2} V, bound {:.2} V", true_v(&rig, 1), truth.bound_v);
    assert_eq!(rig.report(0).trip, None);
    rig.run(4 * 3_600);
    println!("after hours: {:.2} V", true_v(&rig, 1));
    // All that its neighbours can drive through it is what they bypass.
    let lifted_a = rig.plant(0).places()[1].amps() - rig.plant(0).places()[0].amps();
    assert!(lifted_a < 0.160, "{lifted_a}");
}

#[test]
fn a_clock_that_jumps_moves_no_hold_time_and_no_pause() {
    let mut rig = settled();
    assert_eq!(rig.order(Order::Pause { string: 1, seconds: 600 }), Ok(()));
    rig.cycle();
    let paused = |rig: &Rig| rig.snapshot().strings[0].equalize.inhibits;
    let start = rig.now;
    for wall_s in [Some(4_000_000_000), Some(1_000_000_000), None, Some(0)] {
        rig.wall_s = wall_s;
        rig.run(120);
        assert!(paused(&rig).contains(Inhibits::PAUSED) && rig.is_idle(0), "{wall_s:?}");
    }
    rig.until(200, "over", |rig| !paused(rig).contains(Inhibits::PAUSED));
    let took_s = rig.now.since(start).as_secs_f64();
    assert!((590.0..=615.0).contains(&took_s), "{took_s}");
    assert_eq!((rig.report(0).trip, rig.report(0).level), (None, Level::Ok));
}

#[test]
fn a_string_is_paused_and_resumed_and_the_others_go_on() {
    let mut scenario = scenario(2, 6);
    // Never settled within the test: something is bypassed all the time.
    scenario.strings.iter_mut().for_each(|s| (s.sigma, s.initial_spread_v) = (0.4, 0.5));
    let mut rig = Rig::new(&settings(5_000, &scenario, "", ""), &[scenario]);
    rig.until(600, "both work", |rig| !rig.is_idle(0) && !rig.is_idle(1));
    assert_eq!(rig.order(Order::Pause { string: 1, seconds: 3_600 }), Ok(()));
    for _ in 0..60 {
        rig.cycle();
        assert!(rig.is_idle(0) && !rig.is_idle(1));
    }
    // A pause outlives no restart, an order ends it.
    assert_eq!(rig.order(Order::Resume { string: 1 }), Ok(()));
    rig.until(30, "resumed", |rig| !rig.is_idle(0));
}

#[test]
fn what_cannot_be_equalized_is_said_with_block_and_current() {
    let mut scenario = scenario(1, 24);
    let string = &mut scenario.strings[0];
    (string.capacity_ah, string.i0_ma_per_ah, string.initial_spread_v) = (300.0, 1.5, 0.2);
    let body =
        settings(5_000, &scenario, "", "").replace("capacity_ah = 40.0", "capacity_ah = 300.0");
    scenario.strings[0].sigma = 0.6;
    let mut rig = Rig::new(&body, &[scenario]);
    let verdict = |rig: &Rig| rig.snapshot().strings[0].equalize.feasibility;
    rig.until(4 * 3_600, "said", |rig| matches!(verdict(rig), Feasibility::Infeasible { .. }));
    rig.run(3_600);
    let Feasibility::Infeasible { block, needs_a, gives_a } = verdict(&rig) else {
        panic!("taken back: {:?}", verdict(&rig));
    };
    let event = Event::EqualizingInfeasible {
        string: 1,
        block: block + 1,
        needs_ma: (needs_a * 1e3) as u32,
        gives_ma: (gives_a * 1e3) as u32,
    };
    println!("{event}");
    let places = rig.plant(0).places();
    let appetite = |i: &usize| places[*i].block().float_a_at(13.62);
    let hungriest = (0..24).max_by(|a, b| appetite(a).total_cmp(&appetite(b)));
    assert_eq!(Some(usize::from(block)), hungriest);
    assert!(needs_a > gives_a && (0.140..0.160).contains(&gives_a));
    assert_eq!(rig.report(0).trip, None);
}
