//! Every row of the fault table, and what must not look like one.

use super::*;

#[test]
fn an_open_cell_takes_the_chargers_voltage() {
    let mut rig = Rig::new(32);
    rig.current_a = Some(0.05);
    rig.pass(10.0);
    rig.volts(12.95);
    rig.blocks[7].voltage_v = None;
    rig.current_a = Some(0.0);
    rig.pass(10.0);
    assert_eq!(rig.level(Condition::OpenLink), Level::Ok, "not before 10 s");
    rig.pass(2.0);
    assert_eq!(rig.block(7, Condition::OpenLink), Level::Alarm);
    assert_eq!(rig.block(8, Condition::OpenLink), Level::Ok);
    rig.blocks[7].voltage_v = Some(16.8);
    rig.current_a = None;
    rig.pass(60.0);
    assert_eq!(rig.block(7, Condition::OpenLink), Level::Alarm, "seen without a current sensor");
}

#[test]
fn an_open_link_outside_the_modules_shows_in_the_string_voltage() {
    let mut rig = Rig::new(32);
    rig.volts(12.95);
    rig.current_a = Some(0.0);
    rig.string_v = Some(435.8);
    rig.pass(15.0);
    assert_eq!(rig.protection.report().string.level_of(Condition::OpenLink), Level::Alarm);
    let mut open = Rig::new(32);
    (open.current_a, open.string_v, open.breaker_open) = (Some(0.0), Some(435.8), Some(true));
    open.volts(12.95);
    open.pass(15.0);
    assert_eq!(open.level(Condition::OpenLink), Level::Ok, "that is what an open breaker does");
}

#[test]
fn a_block_below_its_modules_range_under_load_is_no_open_link() {
    for current_a in [Some(-50.0), None] {
        let mut rig = Rig::new(32);
        rig.phase = Phase::Discharge;
        rig.volts(11.5);
        rig.current_a = current_a;
        rig.blocks[4].voltage_v = None;
        rig.blocks[5] = BlockScan::default();
        rig.pass(60.0);
        assert_eq!(rig.level(Condition::OpenLink), Level::Ok, "{current_a:?}");
    }
}

#[test]
fn a_shorted_cell() {
    let mut rig = Rig::new(32);
    rig.pass(10.0);
    rig.volts(13.69);
    rig.blocks[3].voltage_v = Some(11.4);
    rig.pass(60.0);
    assert_eq!(rig.level(Condition::ShortedCell), Level::Ok);
    rig.pass(2.0);
    assert_eq!(rig.block(3, Condition::ShortedCell), Level::Alarm);
    rig.phase = Phase::Discharge;
    rig.pass(200.0);
    assert_eq!(rig.block(3, Condition::ShortedCell), Level::Alarm, "a load mends no cell");
    let mut soft = Rig::new(32);
    soft.blocks[3].voltage_v = Some(13.3);
    soft.pass(200.0);
    assert_eq!(soft.level(Condition::ShortedCell), Level::Ok, "a soft short is a deviation");
    let mut single = Rig::with(4, Latch::default(), |c| {
        c.battery = BatteryType::new(Chemistry::Agm, 1, 1_000.0);
    });
    single.volts(2.27);
    single.blocks[0].voltage_v = Some(1.3);
    single.pass(200.0);
    assert_eq!(single.level(Condition::ShortedCell), Level::Ok, "one cell has none to lose");
    assert_eq!(single.block(0, Condition::VoltageLow), Level::Alarm);
}

#[test]
fn a_reversed_cell_falls_in_discharge_and_lags_in_recharge() {
    let mut rig = Rig::new(32);
    rig.pass(10.0);
    rig.phase = Phase::Discharge;
    rig.volts(12.0);
    rig.pass(10.0);
    rig.blocks[9].voltage_v = Some(9.8);
    rig.pass(10.0);
    assert_eq!(rig.level(Condition::ReversedCell), Level::Ok);
    rig.pass(2.0);
    assert_eq!(rig.block(9, Condition::ReversedCell), Level::Alarm);
    rig.phase = Phase::Recharge;
    rig.volts(13.0);
    rig.pass(10.0);
    assert_eq!(rig.block(9, Condition::ReversedCell), Level::Alarm, "until back on float");
    rig.phase = Phase::Float;
    rig.volts(13.6);
    rig.pass(2.0);
    assert_eq!(rig.level(Condition::ReversedCell), Level::Ok);
}

#[test]
fn low_from_the_first_moment_of_a_discharge_is_not_reversed() {
    let mut rig = Rig::new(32);
    rig.phase = Phase::Discharge;
    rig.volts(12.0);
    rig.blocks[9].voltage_v = Some(9.9);
    rig.pass(60.0);
    assert_eq!(rig.level(Condition::ReversedCell), Level::Ok);
}

#[test]
fn a_loose_link_shows_under_load_only() {
    // 3 V of the string voltage are the sensors' own difference.
    let mut rig = Rig::new(32);
    rig.current_a = Some(0.05);
    rig.string_v = Some(13.62 * 32.0 + 3.0);
    rig.pass(900.0);
    assert_eq!(rig.level(Condition::LooseLink), Level::Ok);
    rig.phase = Phase::Discharge;
    rig.volts(12.0);
    let scale = 1.0 + 3.0 / (13.62 * 32.0);
    for (mohm, level) in [(3.0, Level::Ok), (7.0, Level::Warning), (12.0, Level::Alarm)] {
        rig.current_a = Some(-100.0);
        rig.string_v = Some(12.0 * 32.0 * scale - 0.1 * mohm);
        rig.pass(7.0);
        assert_eq!(rig.level(Condition::LooseLink), level, "{mohm} mΩ");
    }
    let mut unlearned = Rig::new(32);
    unlearned.phase = Phase::Discharge;
    (unlearned.current_a, unlearned.string_v) = (Some(-100.0), Some(400.0));
    unlearned.pass(60.0);
    assert_eq!(unlearned.level(Condition::LooseLink), Level::Ok, "scale not known yet");
}

#[test]
fn a_wrong_sum_is_suspected_after_ten_minutes() {
    let mut rig = Rig::new(32);
    rig.string_v = Some(13.62 * 32.0 * 1.012);
    rig.pass(590.0);
    assert_eq!(rig.level(Condition::SumMismatch), Level::Ok);
    rig.pass(100.0);
    assert_eq!(rig.level(Condition::SumMismatch), Level::Warning);
    rig.blocks[0].voltage_v = None;
    rig.string_v = Some(500.0);
    rig.pass(1_000.0);
    assert_eq!(rig.level(Condition::SumMismatch), Level::Warning, "no sum, nothing decided");
}

#[test]
fn a_stuck_reading_stands_still_while_the_others_move() {
    let mut rig = Rig::new(8);
    rig.pass(1_000.0);
    assert_eq!(rig.level(Condition::VoltageStuck), Level::Ok, "all stand still");
    for step in 0..60 {
        rig.volts(13.62 + 0.001 * f64::from(step));
        rig.blocks[5].voltage_v = Some(13.62);
        rig.scan(10.0);
    }
    assert_eq!(rig.block(5, Condition::VoltageStuck), Level::Warning);
    assert_eq!(rig.block(4, Condition::VoltageStuck), Level::Ok);
    rig.blocks[5].voltage_v = Some(13.63);
    rig.scan(10.0);
    assert_eq!(rig.level(Condition::VoltageStuck), Level::Ok);
}

#[test]
fn a_ground_fault_by_its_sensor() {
    let mut rig = Rig::new(4);
    rig.ground_leak_a = Some(-0.015);
    rig.pass(11.0);
    assert_eq!(rig.level(Condition::GroundFault), Level::Warning);
    rig.ground_leak_a = Some(0.04);
    rig.pass(11.0);
    assert_eq!(rig.level(Condition::GroundFault), Level::Alarm);
}
