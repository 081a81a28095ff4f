//! The discharge recorder and the battery test against the plant, in virtual
//! time: hours of discharge with blocks that are weaker than their neighbours.
//!
//! What is asked for: PRODUCT rows B11 and B14, facts/battery-science.md §1.8, §2.6.

use evenkeel_core::battery::{BatteryType, Chemistry};
use evenkeel_core::battery_test::{
    BatteryTest, Memory, State, StringInput, TestCommand, TestConfig, TestFeedback, TestInput,
    Verdict,
};
use evenkeel_core::discharge::{Config, DischargeRecord, Part, Recorder};
use evenkeel_core::scan::{BlockScan, Phase, StringScan};
use evenkeel_core::time::Nanos;
use evenkeel_sim::plant::{
    Block, BlockParams, Charger, Load, Place, Plant, PlantString, Supply, Surroundings,
};

const BLOCKS: usize = 16;
const CAPACITY_AH: f64 = 65.0;

/// A string of 65 Ah blocks, some of which have another share of the capacity
/// and another multiple of the resistance.
fn plant(odd: &[(usize, f64, f64)], watts: f64) -> Plant {
    let place = |i: usize| {
        let mut params = BlockParams::agm(6, CAPACITY_AH);
        if let Some((_, capacity, resistance)) = odd.iter().find(|(place, ..)| *place == i) {
            params.capacity_ah *= capacity;
            params.r0_ohm *= resistance;
        }
        Place::new(Block::full(params, 13.62, 25.0), 0.0)
    };
    let blocks = BLOCKS as f64;
    let charger = Charger::new(13.62 * blocks, 13.0, 0.001 * blocks);
    let load = Load { watts, cutoff_v: 9.6 * blocks };
    let places = (0..BLOCKS).map(place).collect();
    let string = PlantString::new(places, 90.7, Surroundings::open(25.0));
    Plant::new(vec![(Supply::new(charger, load), vec![string])])
}

fn string(plant: &Plant) -> &PlantString {
    &plant.strings()[0]
}

fn battery() -> BatteryType {
    BatteryType {
        resistance_mohm: Some(BlockParams::agm(6, CAPACITY_AH).r0_ohm * 1e3),
        ..BatteryType::new(Chemistry::Agm, 6, CAPACITY_AH)
    }
}

/// What is measured: whole millivolts.
fn scan_blocks(string: &PlantString) -> Vec<BlockScan> {
    let block = |place: &Place| BlockScan {
        voltage_v: Some((place.volts() * 1e3).round() / 1e3),
        temperature_c: Some(place.block().celsius()),
        ..BlockScan::default()
    };
    string.places().iter().map(block).collect()
}

fn scan<'a>(string: &PlantString, blocks: &'a [BlockScan], now_s: u64) -> StringScan<'a> {
    StringScan {
        now: Nanos::from_secs(now_s),
        wall_s: Some(1_795_262_400 + now_s),
        blocks,
        current_a: Some(string.amps()),
        string_v: Some(string.volts()),
        ambient_c: Some(25.0),
    }
}

fn phase(string: &PlantString) -> Phase {
    let mean_v = string.volts() / BLOCKS as f64;
    match () {
        () if string.amps() < -0.3 => Phase::Discharge,
        () if mean_v < 13.2 => Phase::Recharge,
        () => Phase::Float,
    }
}

/// What really happened to a block.
#[derive(Clone, Copy)]
struct Truth {
    min_v: f64,
    below_cutoff_s: Option<u64>,
}

/// Minute of float, discharge to the inverter's cut-off, recharge.
fn discharge(mut plant: Plant, rows: usize) -> (Recorder, Vec<Truth>, u64) {
    let battery = battery();
    let mut recorder = Recorder::new(Config::default(), &battery, BLOCKS, rows);
    let mut truth = vec![Truth { min_v: f64::MAX, below_cutoff_s: None }; BLOCKS];
    let (mut now_s, mut lasted_s) = (1_000, 0);
    let mut step = |plant: &mut Plant, recorder: &mut Recorder| {
        plant.step(1.0);
        let blocks = scan_blocks(string(plant));
        recorder.step(&scan(string(plant), &blocks, now_s), phase(string(plant)));
        now_s += 1;
        blocks
    };
    for _ in 0..60 {
        step(&mut plant, &mut recorder);
    }
    plant.set_mains(false);
    loop {
        let blocks = step(&mut plant, &mut recorder);
        if plant.banks()[0].supply().is_cut_off() {
            break;
        }
        for (truth, block) in truth.iter_mut().zip(blocks) {
            let v = block.voltage_v.expect("measured");
            truth.min_v = truth.min_v.min(v);
            let below = v < battery.cutoff_v() && truth.below_cutoff_s.is_none();
            truth.below_cutoff_s = if below { Some(lasted_s) } else { truth.below_cutoff_s };
        }
        lasted_s += 1;
    }
    plant.set_mains(true);
    while recorder.is_recording() {
        step(&mut plant, &mut recorder);
    }
    (recorder, truth, lasted_s)
}

fn check_minima(recorder: &Recorder, truth: &[Truth]) {
    let record: &DischargeRecord = recorder.record().expect("recorded");
    let chunk = recorder.chunk(0, usize::MAX);
    for (i, truth) in truth.iter().enumerate() {
        let min = record.blocks[i].min.expect("measured");
        assert!((f64::from(min.v) - truth.min_v).abs() < 1e-5, "block {i}: {}", min.v);
        let rows = chunk.heads().zip(chunk.mv.chunks(BLOCKS));
        let fed = rows.filter(|(head, _)| head.part == Part::Discharge);
        let least = fed.map(|(_, mv)| mv[i]).filter(|mv| *mv != 0).min();
        assert_eq!(least, Some((truth.min_v * 1e3).round() as u16), "block {i} in the rows");
    }
}

#[test]
fn weak_blocks_collapse_in_the_order_that_they_did() {
    let odd = [(3, 0.80, 1.0), (11, 0.65, 1.0), (14, 0.72, 1.5)];
    let (recorder, truth, lasted_s) = discharge(plant(&odd, 4_000.0), 400);
    let record = recorder.record().expect("recorded");
    check_minima(&recorder, &truth);
    assert_eq!(record.duration_s, (lasted_s - 1) as f64);
    let order: Vec<usize> = record.order_of_collapse().map(|(block, _)| block).collect();
    assert_eq!(order[..3], [11, 14, 3], "of {order:?}");
    for (block, collapse) in record.order_of_collapse() {
        let below_s = truth[block].below_cutoff_s.map(|s| s as f32);
        let reversed = below_s.is_none_or(|below_s| collapse.at_s < below_s);
        assert!(reversed || Some(collapse.at_s) == below_s, "block {block}: {collapse:?}");
    }
    let drawn_wh = record.drawn_wh.expect("metered");
    assert!((drawn_wh / (4_000.0 * lasted_s as f64 / 3600.0) - 1.0).abs() < 0.01, "{drawn_wh} Wh");
    assert!(record.blocks.iter().all(|b| b.after.is_some() && b.missing == 0));
}

#[test]
fn twenty_hours_fit_with_their_minima() {
    let (recorder, truth, lasted_s) = discharge(plant(&[(5, 0.9, 1.0)], 600.0), 500);
    assert!(lasted_s > 18 * 3600, "{lasted_s} s");
    check_minima(&recorder, &truth);
    let chunk = recorder.chunk(0, usize::MAX);
    assert!(chunk.heads.len() <= 500 && chunk.revision > 0);
    let scans: u64 = chunk.heads().map(|head| u64::from(head.scans)).sum();
    assert!(scans > lasted_s, "nothing was dropped: {scans}");
    assert_eq!(chunk.heads().next().map(|head| head.offset_ms), Some(-30_000));
    let record = recorder.record().expect("recorded");
    assert_eq!(record.order_of_collapse().next().map(|(block, _)| block), Some(5));
}

/// A UPS that follows the commands of the test, to its end.
fn battery_test(mut plant: Plant) -> BatteryTest {
    let mut test =
        BatteryTest::new(TestConfig::default(), &[(&battery(), BLOCKS)], Memory::default());
    let mut on_test = false;
    for now_s in 0..900 {
        plant.step(1.0);
        let blocks = scan_blocks(string(&plant));
        let scan = scan(string(&plant), &blocks, now_s);
        let input = TestInput {
            now: scan.now,
            wall_s: scan.wall_s,
            strings: &[StringInput { scan, phase: phase(string(&plant)) }],
            mains: Some(true),
            full: Some(true),
            alarm: false,
            measuring: false,
            feedback: TestFeedback { accepted: None, on_test: Some(on_test) },
        };
        if now_s == 30 {
            test.start(&input).expect("nothing is in the way");
        }
        if let Some(command) = test.step(&input) {
            on_test = command == TestCommand::Start;
            plant.set_mains(!on_test);
        }
    }
    assert!(!on_test && !test.is_under_way());
    test
}

#[test]
fn sound_string_passes_and_a_bad_block_is_named() {
    let sound = battery_test(plant(&[], 9_000.0));
    assert_eq!((sound.report().state, sound.report().verdict), (State::Done, Some(Verdict::Pass)));
    let drawn = sound.report().drawn_share.expect("metered");
    assert!((0.05..0.11).contains(&drawn), "{drawn}");
    let bad = battery_test(plant(&[(9, 0.6, 2.5)], 9_000.0));
    assert_eq!((bad.report().state, bad.report().verdict), (State::Done, Some(Verdict::Check)));
    let named: Vec<_> = bad.report().suspects.iter().map(|s| s.block).collect();
    assert_eq!(named, [9]);
    assert_eq!(bad.memory().outage_wall_s, None);
}
