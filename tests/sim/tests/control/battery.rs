//! Resistances, discharges, battery tests, parallel and mixed strings.

use crate::rig::{Rig, WALL_S, aux, scenario, settings};
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::battery_test::{Cause, State, Verdict};
use evenkeel_core::command::{Order, Refusal};
use evenkeel_core::discharge::{OwnedChunk, Part, Stage};
use evenkeel_core::equalize::Inhibits;
use evenkeel_core::health::BaselineKind;
use evenkeel_core::protect::{BreakerState, Condition, Level};
use evenkeel_core::scan::Phase;
use evenkeel_core::time::Nanos;
use evenkeel_sim::bus::Bus;
use evenkeel_sim::device::TEST;
use evenkeel_sim::module::Module;
use evenkeel_sim::noise::Noise;
use evenkeel_sim::plant::{
    Block, BlockParams, Charger, Load, Place, Plant, PlantString, Supply, Surroundings,
};
use evenkeel_sim::virtual_bus::VirtualBus;

/// Two days before the start.
const LONG_AGO_S: u64 = WALL_S - 48 * 3_600;

/// Four blocks whose resistances are measured every hour.
fn measured_hourly() -> Rig {
    let scenario = scenario(1, 4);
    let health = format!(
        "[string.health]\nin_service_since_s = {LONG_AGO_S}\nsettle_days = 0.0\n\
         resistance_interval_h = 1.0\n"
    );
    Rig::new(&settings(5_000, &scenario, &health, ""), &[scenario])
}

#[test]
fn resistances_are_measured_in_turn_and_by_order_and_become_a_baseline() {
    let mut rig = measured_hourly();
    rig.run(600);
    assert!(rig.string(0).blocks().iter().all(|b| b.resistance.is_none()), "who knows what was");
    rig.restart(|kept| kept.strings[0].discharge_wall_s = Some(LONG_AGO_S));
    rig.until(60, "the first", |rig| rig.string(0).measuring() == Some(0));
    assert_eq!(rig.order(Order::Measure { string: 1, block: 9 }), Err(Refusal::NoBlock(1, 9)));
    assert_eq!(rig.order(Order::Measure { string: 1, block: 4 }), Ok(()));
    rig.until(150, "by order", |rig| rig.string(0).blocks()[3].resistance.is_some());
    assert!(rig.string(0).blocks()[1].resistance.is_none(), "it went first");
    rig.run(6 * 3_600);
    let health = rig.snapshot().strings[0].health.clone();
    for (place, block) in rig.string(0).blocks().iter().enumerate() {
        let true_mohm = rig.plant(0).places()[place].block().ohm() * 1e3;
        let (mohm, _) = block.resistance.expect("measured");
        assert!((f64::from(mohm) / true_mohm - 1.0).abs() < 0.03, "{mohm} of {true_mohm}");
        let baseline = health.blocks[place].baseline;
        assert_eq!(baseline.kind, BaselineKind::Learned, "{baseline:?}");
        assert!((f64::from(baseline.mohm) / true_mohm - 1.0).abs() < 0.03, "{baseline:?}");
    }
}

#[test]
fn an_open_cell_whose_bypass_carries_the_current_shows_in_its_resistance() {
    let mut rig = measured_hourly();
    rig.restart(|kept| kept.strings[0].discharge_wall_s = Some(LONG_AGO_S));
    rig.run(6 * 3_600);
    rig.say("block 4 open");
    let critical = |rig: &Rig| {
        let blocks = rig.report(0).blocks.iter().enumerate();
        let marked =
            blocks.filter(|(_, b)| b.level_of(Condition::ResistanceCritical) == Level::Alarm);
        marked.map(|(place, _)| place).collect::<Vec<_>>()
    };
    rig.until(4 * 3_600, "told", |rig| critical(rig) == [3]);
    assert_eq!(rig.report(0).trip, None);
}

#[test]
fn a_pause_outlives_a_restart_and_ends_in_its_time() {
    let scenario = scenario(1, 4);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", ""), &[scenario]);
    rig.run(600);
    let before = rig.control.latches();
    assert_eq!(rig.order(Order::Pause { string: 1, seconds: 3_600 }), Ok(()));
    assert_ne!(rig.control.latches(), before, "it is written down at once");
    rig.restart(|_| {});
    let paused = |rig: &Rig| {
        let inhibits = rig.snapshot().strings[0].equalize.inhibits;
        inhibits.contains(Inhibits::PAUSED)
    };
    rig.run(3_500);
    assert!(paused(&rig) && rig.is_idle(0));
    rig.run(200);
    assert!(!paused(&rig));
}

/// All rows of the record of the first string, as a client fetches them.
fn rows(rig: &Rig) -> Vec<OwnedChunk> {
    let (mut chunks, mut next) = (Vec::<OwnedChunk>::new(), 0);
    loop {
        let mut bytes = [0; 4_096];
        let len = rig.control.rows(1, next, &mut bytes).expect("a record");
        let chunk: OwnedChunk = postcard::from_bytes(&bytes[..len]).expect("a chunk");
        if chunk.heads.is_empty() {
            return chunks;
        }
        next += chunk.heads.len() as u32;
        chunks.push(chunk);
    }
}

#[test]
fn a_discharge_is_recorded_with_its_order_of_collapse_and_its_rows() {
    let scenario = scenario(1, 8);
    let mut rig = Rig::new(&settings(2_000, &scenario, "", ""), &[scenario]);
    rig.run(120);
    assert_eq!(rig.control.rows(1, 0, &mut [0; 64]), Err(Refusal::NoRecord(1)));
    // Of about 17 Ah that are drawn.
    rig.say("block 3 weak-cell 0.25");
    rig.say("block 6 weak-cell 0.35");
    rig.say("mains off");
    rig.run(1_500);
    assert_eq!(rig.string(0).phase(), Phase::Discharge);
    assert!(rig.is_idle(0));
    rig.say("mains on");
    rig.run(1_800);
    let record = rig.snapshot().strings[0].discharge.clone().expect("recorded");
    assert_eq!(record.stage, Stage::Finished);
    let order: Vec<usize> = record.order_of_collapse().map(|(block, _)| block).collect();
    assert_eq!(order[..2], [2, 5], "{order:?}");
    assert!((1_490.0..1_510.0).contains(&record.duration_s), "{}", record.duration_s);
    let drawn_ah = record.drawn_ah.expect("with a sensor");
    assert!((10.0..25.0).contains(&drawn_ah), "{drawn_ah}");
    let chunks = rows(&rig);
    assert!(chunks.len() > 1, "more than a message holds");
    let parts: Vec<Part> = chunks.iter().flat_map(|c| &c.heads).map(|head| head.part).collect();
    assert_eq!(parts.len() as u32, chunks[0].rows);
    assert!(parts.windows(2).all(|p| p[0] as u8 <= p[1] as u8), "before, during, after");
    let (first, last) = (parts.first(), parts.last());
    assert_eq!((first, last), (Some(&Part::Before), Some(&Part::After)));
    // A cell reverses within a few readings, then the module's range ends.
    let rows = chunks.iter().flat_map(|c| c.heads.iter().zip(c.mv.chunks(8)));
    let least =
        rows.filter(|(head, mv)| head.part == Part::Discharge && mv[2] > 0).map(|(_, mv)| mv[2]);
    let min = record.blocks[2].min.expect("read").v;
    assert_eq!(least.min(), Some((min * 1e3).round() as u16));
}

const TEST_SETTINGS: &str = "[[test]]\nstrings = [1]\nrelay = \"X0.4\"\n\
    [test.rules]\nfloat_hours = 1\nminutes = 3.0\nshare = 0.05\n";

#[test]
fn a_battery_test_by_relay_passes_and_one_that_finds_a_weak_block_is_aborted() {
    let scenario = scenario(1, 6);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", TEST_SETTINGS), &[scenario]);
    rig.run(600);
    let early = rig.order(Order::Test { string: 1 });
    assert_eq!(early, Err(Refusal::NotNow("the battery is not full")));
    rig.run(3_600);
    assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
    let state = |rig: &Rig| rig.snapshot().tests[0].state;
    rig.until(60, "running", |rig| state(rig) == State::Running);
    assert!(rig.outputs(aux(0)) & TEST != 0 && rig.plant(0).amps() < -20.0);
    assert!(rig.is_idle(0), "no bypass under load");
    rig.until(400, "done", |rig| state(rig) == State::Done);
    assert_eq!(rig.snapshot().tests[0].verdict, Some(Verdict::Pass));
    assert_eq!(rig.outputs(aux(0)) & TEST, 0);
    assert!(rig.plant(0).amps() > 0.0, "it is charged again");
    assert_eq!(rig.snapshot().level, Level::Ok);
    // Full again, and a block has lost a cell.
    rig.run(4 * 3_600);
    rig.say("block 2 weak-cell 0.02");
    assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
    rig.until(400, "aborted", |rig| matches!(state(rig), State::Aborted(_)));
    let report = rig.snapshot().tests[0];
    assert_eq!(report.state, State::Aborted(Cause::BlockVoltage));
    assert_eq!((report.verdict, report.culprit), (Some(Verdict::Fail), Some((0, Some(1)))));
    assert_eq!(rig.outputs(aux(0)) & TEST, 0, "back on mains at once");
}

/// As the reference product has it: 10 % of the capacity or 6 minutes.
const DEFAULT_RULES: &str = "[[test]]\nstrings = [1]\nrelay = \"X0.4\"\n\
    [test.rules]\nfloat_hours = 1\n";

#[test]
fn a_battery_test_ends_at_ten_percent_or_after_six_minutes() {
    let scenario = scenario(1, 6);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", DEFAULT_RULES), &[scenario]);
    let report = |rig: &Rig| rig.snapshot().tests[0];
    rig.run(3_700);
    // 1.25 C draws a tenth in less than six minutes, C/2 does not.
    for (watts, share_first) in [(3_600.0, true), (1_440.0, false)] {
        rig.say(&format!("string 0 load {watts}"));
        rig.until(12 * 3_600, "full", |rig| report(rig).hold.is_none());
        assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
        rig.until(60, "running", |rig| report(rig).state == State::Running);
        rig.until(400, "done", |rig| report(rig).state == State::Done);
        let (elapsed_s, share) = (report(&rig).elapsed_s, report(&rig).drawn_share);
        let share = share.expect("with a sensor");
        println!("{watts} W: {elapsed_s:.0} s, {:.1} %", 100.0 * share);
        assert_eq!(report(&rig).verdict, Some(Verdict::Pass));
        match share_first {
            true => assert!((0.100..0.106).contains(&share) && elapsed_s < 355.0),
            false => assert!((355.0..370.0).contains(&elapsed_s) && share < 0.07),
        }
    }
}

#[test]
fn no_battery_test_within_a_day_of_an_outage_and_not_after_a_restart_either() {
    let scenario = scenario(1, 6);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", DEFAULT_RULES), &[scenario]);
    rig.run(600);
    rig.say("mains off");
    rig.run(120);
    rig.say("mains on");
    let outage = rig.now;
    rig.run(12 * 3_600);
    let soon = Err(Refusal::NotNow("too soon after an outage"));
    assert_eq!(rig.order(Order::Test { string: 1 }), soon);
    rig.restart(|_| {});
    rig.run(2 * 3_600);
    assert_eq!(rig.order(Order::Test { string: 1 }), soon, "it is remembered");
    rig.until(11 * 3_600, "allowed", |rig| rig.snapshot().tests[0].hold.is_none());
    let waited_h = rig.now.since(outage).as_secs_f64() / 3_600.0;
    assert!((23.95..24.1).contains(&waited_h), "{waited_h}");
    assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
}

#[test]
fn a_test_ends_by_hand_with_the_guard_and_with_the_mains() {
    let scenario = scenario(1, 6);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", TEST_SETTINGS), &[scenario]);
    let state = |rig: &Rig| rig.snapshot().tests[0].state;
    rig.run(3_700);
    assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
    rig.until(60, "running", |rig| state(rig) == State::Running);
    assert_eq!(rig.order(Order::StopTest { string: 1 }), Ok(()));
    rig.until(60, "stopped", |rig| state(rig) == State::Aborted(Cause::ByHand));
    rig.run(2 * 3_600);
    assert_eq!(rig.order(Order::Test { string: 1 }), Ok(()));
    rig.until(60, "running", |rig| state(rig) == State::Running);
    // The guard dies: the relay drops by itself, and the restart knows.
    rig.pass(rig.now + Nanos::from_secs(20));
    assert_eq!(rig.outputs(aux(0)) & TEST, 0);
    assert!(rig.plant(0).amps() > 0.0);
    rig.restart(|_| {});
    rig.until(60, "known", |rig| state(rig) == State::Aborted(Cause::Restarted));
    let output = Order::Output { device: 3, output: 4, on: true };
    assert_eq!(rig.order(output), Err(Refusal::Reserved(3, 4)));
}

#[test]
fn two_parallel_strings_share_a_charger_and_one_may_be_tripped() {
    let mut scenario = scenario(2, 6);
    scenario.strings.iter_mut().for_each(|s| s.bank = Some(1));
    let mut rig = Rig::new(&settings(5_000, &scenario, "", ""), &[scenario]);
    rig.run(600);
    rig.say("mains off");
    rig.run(300);
    for string in 0..2 {
        assert_eq!(rig.string(string).phase(), Phase::Discharge);
        assert!(rig.is_idle(string));
    }
    rig.say("mains on");
    rig.run(3 * 3_600);
    let phases = [0, 1].map(|s| rig.string(s).phase());
    assert_eq!(phases, [Phase::Float; 2]);
    // Somebody opens one: the other one floats on.
    rig.say("string 1 breaker trip");
    rig.run(60);
    assert_eq!(rig.report(1).breaker, BreakerState::OpenElsewhere);
    assert!(rig.is_idle(1) && rig.plant(1).amps() == 0.0);
    assert_eq!(rig.string(0).phase(), Phase::Float);
    rig.say("mains off");
    rig.run(60);
    assert_eq!(rig.string(0).phase(), Phase::Discharge, "it feeds the load alone");
    assert_ne!(rig.string(1).phase(), Phase::Discharge);
}

/// Four 12 V blocks and two 6 V blocks in series, ±0.1 V per 12 V apart.
fn mixed_plant() -> Plant {
    let cells = [6, 6, 6, 6, 3, 3];
    let places = cells.iter().enumerate().map(|(i, cells)| {
        let apart = if i % 2 == 0 { 1.0 } else { -1.0 } * 0.1 / 6.0;
        let volts = f64::from(*cells) * (2.27 + apart);
        Place::new(Block::full(BlockParams::agm(*cells, 40.0), volts, 25.0), 0.0175)
    });
    let all: f64 = cells.iter().map(|c| f64::from(*c)).sum();
    let charger = Charger::new(2.27 * all, 10.0, 0.02);
    let load = Load { watts: 12.0 * all, cutoff_v: 1.6 * all };
    let ohm = ModuleKind::C20.data().bypass_ohm;
    let string = PlantString::new(places.collect(), ohm, Surroundings::open(25.0));
    Plant::new(vec![(Supply::new(charger, load), vec![string])])
}

#[test]
fn a_string_of_two_kinds_of_block_is_equalized_per_cell() {
    let scenario = scenario(1, 6);
    let parts = "[[string.part]]\nmodule = \"C20\"\nbattery = \"B\"\nblocks = 4\n\
        [[string.part]]\nmodule = \"C30\"\nbattery = \"B6\"\nblocks = 2\n";
    let rest = "[[battery]]\nname = \"B6\"\nchemistry = \"agm\"\ncells = 3\ncapacity_ah = 40.0\n";
    let body = settings(2_000, &scenario, parts, rest)
        .replace("module = \"C20\"\nbattery = \"B\"\nfirst", "first")
        .replace("blocks = 6\n", "");
    let mut rig = Rig::new(&body, &[scenario]);
    let bus = rig.bus_mut().clone();
    let modules = bus.modules().iter().enumerate().map(|(i, module)| {
        let mut spec = module.spec().clone();
        spec.kind = if i < 4 { ModuleKind::C20 } else { ModuleKind::C30 };
        Module::new(spec, Noise::new(3, i as u64))
    });
    let bus =
        Bus::new(115_200, modules.collect(), Noise::new(1, 1)).with_devices(bus.devices().to_vec());
    *rig.worlds[0].bus_mut() = VirtualBus::new(bus, mixed_plant(), Nanos::from_millis(500));
    rig.run(3_600);
    assert_eq!(rig.string(0).phase(), Phase::Float);
    let record = rig.snapshot().strings[0].clone();
    assert_eq!(record.protect.level, Level::Ok, "{:?}", record.protect.all);
    assert!(record.equalize.worst_v.abs() < 0.010, "{:?}", record.equalize);
    let per_cell: Vec<f64> =
        record.blocks.iter().map(|b| f64::from(b.voltage_mv) / f64::from(b.cells)).collect();
    for v in &per_cell {
        assert!((v - 2_270.0).abs() < 3.0, "{per_cell:?}");
    }
}
