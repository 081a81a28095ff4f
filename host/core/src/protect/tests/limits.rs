//! Every limit: where it begins, after how long, and what does not set it off.

use super::*;

#[test]
fn block_voltages() {
    for (volts, high, low) in [
        (14.70, Level::Ok, Level::Ok),
        (14.80, Level::Warning, Level::Ok),
        (15.01, Level::Alarm, Level::Ok),
        (10.70, Level::Ok, Level::Ok),
        (10.50, Level::Ok, Level::Warning),
        (10.19, Level::Ok, Level::Alarm),
    ] {
        let mut rig = Rig::new(4);
        rig.blocks[2].voltage_v = Some(volts);
        rig.pass(5.0);
        assert_eq!(rig.block(2, Condition::VoltageHigh), Level::Ok, "not before its delay");
        rig.pass(6.0);
        assert_eq!(rig.block(2, Condition::VoltageHigh), high, "{volts}");
        assert_eq!(rig.block(2, Condition::VoltageLow), low, "{volts}");
        assert_eq!(rig.block(1, Condition::VoltageHigh), Level::Ok);
    }
}

#[test]
fn the_farthest_block_is_the_worst() {
    let mut rig = Rig::new(4);
    rig.blocks[1].voltage_v = Some(10.0);
    rig.blocks[3].voltage_v = Some(9.9);
    let report = rig.pass(20.0);
    let worst = report.worst[Condition::VoltageLow as usize].expect("there is one");
    assert_eq!((worst.block, worst.level, worst.value), (3, Level::Alarm, Some(9.9)));
}

#[test]
fn distance_from_the_others_counts_on_float_only() {
    let mut rig = Rig::new(8);
    rig.blocks[0].voltage_v = Some(13.62 - 0.35);
    rig.blocks[1].voltage_v = Some(13.62 + 0.65);
    rig.pass(590.0);
    assert_eq!(rig.level(Condition::VoltageDeviation), Level::Ok);
    rig.pass(20.0);
    rig.pass(10.0);
    assert_eq!(rig.block(0, Condition::VoltageDeviation), Level::Warning);
    assert_eq!(rig.block(1, Condition::VoltageDeviation), Level::Alarm);
    rig.phase = Phase::Boost;
    rig.pass(1.0);
    assert_eq!(rig.level(Condition::VoltageDeviation), Level::Ok);
}

#[test]
fn temperatures() {
    let mut rig = Rig::new(4);
    rig.ambient_c = Some(45.0);
    rig.celsius(45.0);
    rig.blocks[1].temperature_c = Some(51.0);
    rig.blocks[2].temperature_c = Some(48.5);
    rig.pass(40.0);
    assert_eq!(rig.block(0, Condition::TemperatureHigh), Level::Warning);
    assert_eq!(rig.block(1, Condition::TemperatureHigh), Level::Alarm);
    assert_eq!(rig.block(2, Condition::TemperatureHigh), Level::Warning);
    let mut rig = Rig::new(4);
    rig.ambient_c = Some(3.0);
    rig.celsius(3.0);
    rig.blocks[3].temperature_c = Some(-1.0);
    rig.pass(320.0);
    assert_eq!(rig.block(0, Condition::TemperatureLow), Level::Warning);
    assert_eq!(rig.block(3, Condition::TemperatureLow), Level::Alarm);
}

#[test]
fn what_does_not_answer_is_told_as_such() {
    let mut rig = Rig::new(8);
    rig.pass(10.0);
    rig.blocks[0] = BlockScan::default();
    rig.blocks[1].voltage_v = None;
    rig.blocks[2].temperature_c = None;
    rig.blocks[3].temperature_c = Some(85.0);
    let conditions = [
        Condition::ModuleLost,
        Condition::VoltageInvalid,
        Condition::TemperatureInvalid,
        Condition::TemperatureSuspect,
    ];
    for (seconds, level) in [(30.0, Level::Ok), (1.0, Level::Warning), (90.0, Level::Alarm)] {
        rig.pass(seconds);
        for (block, condition) in conditions.into_iter().enumerate() {
            assert_eq!(rig.block(block, condition), level, "{condition:?}");
        }
    }
    assert_eq!(rig.level(Condition::TemperatureHigh), Level::Ok, "85 °C was not measured");
    assert_eq!(rig.block(0, Condition::VoltageInvalid), Level::Ok, "one thing, one name");
    rig.blocks[0] = rig.blocks[7];
    rig.scan(1.0);
    assert_eq!(rig.level(Condition::ModuleLost), Level::Ok);
}

#[test]
fn the_resistance_ladder_needs_two_measurements() {
    let mut rig = Rig::new(2);
    rig.baseline = vec![Some(4.0), None];
    let mut measure = |mohm: f64| {
        rig.blocks.iter_mut().for_each(|b| b.resistance_mohm = Some(mohm));
        rig.scan(1.0);
        rig.blocks.iter_mut().for_each(|b| b.resistance_mohm = None);
        rig.scan(1.0);
        assert_eq!(rig.protection.report().blocks[1], Findings::default(), "no baseline");
        let of = |condition| rig.block(0, condition);
        (of(Condition::ResistanceHigh), of(Condition::ResistanceCritical))
    };
    assert_eq!(measure(4.0), (Level::Ok, Level::Ok));
    assert_eq!(measure(9.0), (Level::Ok, Level::Ok), "one measurement is an accident");
    assert_eq!(measure(4.0), (Level::Ok, Level::Ok));
    for (mohm, high, critical) in [
        (4.9, Level::Notice, Level::Ok),
        (5.3, Level::Warning, Level::Ok),
        (6.1, Level::Alarm, Level::Ok),
        (8.1, Level::Ok, Level::Alarm),
        (4.1, Level::Ok, Level::Ok),
    ] {
        measure(mohm);
        assert_eq!(measure(mohm), (high, critical), "{mohm} mΩ");
    }
    measure(2.0);
    measure(2.0);
    assert_eq!(rig.block(0, Condition::ResistanceLow), Level::Warning);
}

#[test]
fn string_voltage_and_currents() {
    let mut rig = Rig::with(10, Latch::default(), |c| {
        c.limits.discharge_a_per_ah = Some(Limit::new(1.0, 2.0, 0.1, 5.0));
    });
    rig.string_v = Some(151.0);
    rig.current_a = Some(35.0);
    rig.pass(70.0);
    assert_eq!(rig.level(Condition::StringVoltageHigh), Level::Alarm);
    assert_eq!(rig.level(Condition::ChargeCurrentHigh), Level::Warning);
    rig.string_v = None;
    rig.volts(10.5);
    rig.phase = Phase::Discharge;
    rig.current_a = Some(-250.0);
    rig.pass(10.0);
    assert_eq!(rig.level(Condition::StringVoltageHigh), Level::Ok, "the sum stands in");
    assert_eq!(rig.level(Condition::StringVoltageLow), Level::Warning);
    assert_eq!(rig.level(Condition::ChargeCurrentHigh), Level::Ok);
    assert_eq!(rig.level(Condition::DischargeCurrentHigh), Level::Alarm);
}

#[test]
fn alarms_are_counted_as_they_begin() {
    let mut rig = Rig::new(4);
    assert_eq!(rig.pass(5.0).raised, 0);
    rig.equalizing_error = true;
    assert_eq!(rig.pass(5.0).raised, 1);
    assert_eq!(rig.level(Condition::EqualizingError), Level::Alarm);
    rig.blocks[0].voltage_v = Some(9.8);
    assert_eq!(rig.pass(10.0).raised, 2);
    rig.blocks[1].voltage_v = Some(9.8);
    assert_eq!(rig.pass(10.0).raised, 3, "the same on a second block");
}
