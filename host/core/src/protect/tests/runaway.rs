//! The runaway rule: what trips, when, and everything that must not.

use super::*;

/// Learned before a restart: 0.2 A at 25 °C.
const KNOWN: Latch = Latch { trip: None, learned: Learned { a_at_25c: 0.2, hours: 168.0 } };

/// Float for an hour with the learned current: settled.
fn settled(blocks: usize) -> Rig {
    let mut rig = Rig::with(blocks, KNOWN, |_| {});
    rig.current_a = Some(0.2);
    rig.pass(3_600.0);
    assert_eq!(rig.protection.report().level, Level::Ok);
    rig
}

#[test]
fn warning_alarm_and_trip_of_a_whole_string_without_a_current_sensor() {
    let mut rig = Rig::new(8);
    rig.pass(3_600.0);
    let (mut heating, mut warning, mut alarm) = (None, None, None);
    let tripped = rig.heat_until(
        6.0,
        |_| 4.0,
        |hour, report| {
            let rise = report.all.level_of(Condition::TemperatureRise);
            if report.all.level_of(Condition::Heating) == Level::Alarm {
                heating.get_or_insert(hour);
            }
            if rise == Level::Warning {
                warning.get_or_insert(hour);
            }
            if rise == Level::Alarm {
                alarm.get_or_insert(hour);
            }
            report.trip.is_some()
        },
    );
    let within = |at: Option<f64>, low: f64, high: f64| at.is_some_and(|h| low <= h && h <= high);
    assert!(within(heating, 1.0, 1.5), "rate for an hour: {heating:?}");
    assert!(within(warning, 2.0, 2.05), "8 K and 60 s: {warning:?}");
    assert!(within(alarm, 2.5, 2.55), "10 K and 60 s: {alarm:?}");
    assert!(within(tripped, 3.82, 3.85), "15 K and 5 min: {tripped:?}");
    assert_eq!(rig.tripped(), Some(TripCause::TwoTemperatures));
    assert!(rig.protection.report().bypass_off);
    assert!(rig.protection.report().relays.trip, "sent in the scan that decided");
}

#[test]
fn the_trip_comes_in_the_scan_that_completes_the_hold_time() {
    let mut rig = settled(8);
    rig.blocks[2].temperature_c = Some(26.0);
    rig.pass(10.0);
    rig.current_a = Some(0.7);
    for c in 26..=39 {
        rig.blocks[2].temperature_c = Some(f64::from(c));
        rig.pass(60.0);
    }
    rig.blocks[2].temperature_c = Some(40.0);
    assert_eq!(rig.pass(300.0).trip, None, "held for 290 s");
    let report = rig.scan(10.0);
    let trip = report.trip.expect("held for 300 s");
    assert_eq!((trip.cause, trip.block), (TripCause::TemperatureAndCurrent, 2));
    assert_eq!((trip.temperature_c, trip.wall_s), (40.0, Some(1_700_000_000)));
    assert!(report.relays.trip);
}

#[test]
fn current_alone_warns_and_alarms_but_never_trips() {
    let mut rig = settled(8);
    rig.current_a = Some(0.45);
    rig.pass(310.0);
    assert_eq!(rig.level(Condition::FloatCurrentHigh), Level::Warning);
    rig.current_a = Some(0.65);
    rig.pass(310.0);
    assert_eq!(rig.level(Condition::FloatCurrentHigh), Level::Alarm);
    assert!(rig.protection.report().bypass_off);
    rig.pass(7_200.0);
    assert_eq!(rig.tripped(), None);
}

#[test]
fn what_the_bypasses_shed_is_no_float_current() {
    let mut rig = settled(8);
    rig.blocks.iter_mut().for_each(|b| b.bypass_a = 0.8);
    rig.current_a = Some(1.0);
    rig.pass(1_000.0);
    assert_eq!(rig.level(Condition::FloatCurrentHigh), Level::Ok);
    let ratio = rig.protection.report().float_current_ratio;
    assert!((ratio - 1.0).abs() < 1e-6, "{ratio}");
}

#[test]
fn one_hot_sensor_alone_trips_only_beyond_its_limit() {
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    let hours = rig.heat_to_trip(10.0, |i| if i == 3 { 12.0 } else { 0.0 });
    assert_eq!(rig.tripped(), Some(TripCause::OneTemperature));
    let expected = 50.0 / 12.0 + 300.0 / 3_600.0;
    assert!(hours.is_some_and(|h| (h - expected).abs() < 0.02), "75 °C and 5 min: {hours:?}");
}

#[test]
fn a_hot_afternoon_is_no_runaway() {
    let mut rig = settled(8);
    rig.current_a = Some(0.3);
    let ambient = |hour: f64| 25.0 + 2.0 * hour;
    for minute in 0..360 {
        let hour = f64::from(minute) / 60.0;
        rig.ambient_c = Some(ambient(hour));
        // The blocks follow, hours behind.
        rig.celsius((10.0 * (25.0 + 2.0 * (hour - 2.0).max(0.0))).round() / 10.0);
        rig.pass(60.0);
        let report = rig.protection.report();
        assert_eq!((report.trip, report.level), (None, Level::Ok), "minute {minute}");
    }
    // The air sensor's battery dies at the same time: it reads −18 °C.
    rig.ambient_c = Some(-18.0);
    rig.heat(3.0, |_| 2.0);
    assert_eq!(rig.tripped(), None);
}

#[test]
fn an_air_sensor_that_drifts_down_trips_nothing() {
    let mut rig = Rig::new(8);
    rig.pass(3_600.0);
    for minute in 0..600 {
        rig.ambient_c = Some(25.0 - 0.06 * f64::from(minute));
        rig.celsius((10.0 * (25.0 + 0.01 * f64::from(minute))).round() / 10.0);
        rig.pass(60.0);
    }
    assert_eq!(rig.level(Condition::TemperatureRise), Level::Alarm, "it does say so");
    assert_eq!(rig.tripped(), None);
}

#[test]
fn a_daily_cycle_is_no_runaway() {
    let mut rig = Rig::new(4);
    for minute in 0..3 * 1_440 {
        let phase = f64::from(minute) / 1_440.0 * core::f64::consts::TAU;
        rig.ambient_c = Some(25.0 + 8.0 * phase.sin());
        rig.celsius((10.0 * (25.5 + 4.0 * (phase - 1.0).sin())).round() / 10.0);
        rig.scan(30.0);
        rig.scan(30.0);
        assert_eq!(rig.tripped(), None);
        assert!(rig.level(Condition::Heating) == Level::Ok, "minute {minute}");
    }
}

#[test]
fn a_broken_sensor_is_no_runaway() {
    // From one scan to the next, and high current besides.
    let mut rig = settled(8);
    rig.blocks[1].temperature_c = Some(85.0);
    rig.current_a = Some(0.8);
    rig.pass(7_200.0);
    assert_eq!(rig.tripped(), None);
    assert_eq!(rig.block(1, Condition::TemperatureSuspect), Level::Alarm);
    // Broken before the start, flat at the end of its range.
    let mut rig = Rig::new(8);
    rig.blocks[1].temperature_c = Some(85.0);
    rig.pass(86_400.0);
    assert_eq!(rig.tripped(), None);
    // Two of them.
    rig.blocks[2].temperature_c = Some(85.0);
    rig.pass(7_200.0);
    assert_eq!(rig.tripped(), None);
    // Swinging wildly.
    for k in 0..2_000 {
        rig.blocks[3].temperature_c = Some(if k % 2 == 0 { 85.0 } else { 30.0 });
        rig.scan(1.0);
        assert_eq!(rig.tripped(), None);
    }
}

#[test]
fn discharge_heating_is_no_runaway_up_to_75_degrees() {
    let mut rig = settled(8);
    rig.phase = Phase::Discharge;
    rig.current_a = Some(-200.0);
    rig.volts(11.5);
    rig.heat(0.5, |_| 90.0);
    assert_eq!(rig.tripped(), None, "70 °C");
    rig.heat(0.25, |_| 40.0);
    assert_eq!(rig.tripped(), Some(TripCause::TwoTemperatures), "80 °C");
}

#[test]
fn a_discharge_the_phase_does_not_know_spares_too() {
    for (phase, current_a) in [(Phase::Float, Some(-200.0)), (Phase::Unknown, None)] {
        let mut rig = Rig::new(8);
        (rig.phase, rig.current_a) = (phase, current_a);
        rig.pass(3_600.0);
        rig.heat(0.5, |_| 80.0);
        assert_eq!(rig.tripped(), None, "{phase:?}");
    }
}

#[test]
fn recharge_after_discharge_is_no_runaway() {
    let mut rig = settled(8);
    rig.phase = Phase::Discharge;
    (rig.current_a, rig.ambient_c) = (Some(-100.0), Some(25.0));
    rig.volts(11.5);
    rig.heat(0.5, |_| 34.0);
    rig.phase = Phase::Recharge;
    rig.current_a = Some(20.0);
    rig.volts(13.5);
    rig.heat(0.4, |_| 2.0);
    rig.heat(3.0, |_| -2.0);
    rig.phase = Phase::Float;
    rig.volts(13.62);
    for hour in 0..12 {
        rig.current_a = Some(4.0 / f64::from(hour + 1));
        rig.heat(1.0, |_| -1.0);
        assert_eq!((rig.tripped(), hour), (None, hour));
        assert_eq!(rig.level(Condition::FloatCurrentHigh), Level::Ok);
    }
}

#[test]
fn lost_bus_standing_clock_and_leaps_trip_nothing() {
    // 15 K and rising, but the readings go before the hold time is over.
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    let hot = |rig: &mut Rig| {
        rig.heat(15.2 / 6.0, |_| 6.0);
        assert_eq!(rig.level(Condition::Runaway), Level::Warning, "about to");
        assert_eq!(rig.tripped(), None);
    };
    hot(&mut rig);
    let kept = rig.blocks.clone();
    rig.blocks.fill(BlockScan::default());
    rig.pass(1_800.0);
    assert_eq!(rig.tripped(), None, "nothing is measured");
    assert_eq!(rig.level(Condition::ModuleLost), Level::Alarm);
    rig.blocks = kept;
    rig.pass(290.0);
    assert_eq!(rig.tripped(), None, "the silence starts it anew");
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    hot(&mut rig);
    for _ in 0..10_000 {
        rig.scan(0.0);
    }
    assert_eq!(rig.tripped(), None, "no time passes");
    rig.scan(86_400.0);
    assert_eq!(rig.tripped(), None, "a leap is not a hold time");
}

#[test]
fn switched_off_it_tells_everything_and_trips_nothing() {
    let mut rig = Rig::with(8, Latch::default(), |c| c.limits.runaway.trip = false);
    rig.pass(600.0);
    rig.heat(6.0, |_| 6.0);
    assert_eq!(rig.tripped(), None);
    assert_eq!(rig.level(Condition::Runaway), Level::Warning);
    assert_eq!(rig.level(Condition::TemperatureRise), Level::Alarm);
}

#[test]
fn latched_until_a_person_resets_it_after_the_cause_is_gone() {
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    assert!(rig.heat_to_trip(4.0, |_| 6.0).is_some());
    rig.breaker_open = Some(true);
    rig.reset = true;
    let report = rig.scan(1.0);
    assert!(report.reset_refused && report.trip.is_some(), "hot still");
    rig.reset = false;
    rig.heat(4.0, |_| -3.5);
    assert_eq!(rig.protection.report().breaker, BreakerState::Open);
    assert_eq!(rig.level(Condition::Tripped), Level::Alarm, "cool, and still latched");
    rig.restart();
    let report = rig.scan(10.0);
    assert_eq!(report.breaker, BreakerState::Open);
    assert!(report.trip.is_some() && !report.relays.trip, "latched over a restart");
    rig.breaker_open = Some(false);
    assert!(rig.scan(1.0).relays.trip, "closed by hand: tripped again");
    rig.breaker_open = Some(true);
    rig.scan(1.0);
    rig.reset = true;
    let report = rig.scan(1.0);
    assert_eq!((report.trip, report.reset_refused), (None, false));
    assert_eq!(report.breaker, BreakerState::OpenElsewhere);
    assert_eq!(rig.protection.latch().trip, None);
}

#[test]
fn a_breaker_that_does_not_open_escalates() {
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    rig.heat_to_trip(4.0, |_| 6.0).expect("trips");
    rig.pass(10.0);
    let report = rig.protection.report();
    assert!(report.relays.escalation);
    assert_eq!(rig.level(Condition::BreakerFailed), Level::Alarm);
    rig.breaker_open = Some(true);
    rig.scan(1.0);
    assert!(!rig.protection.report().relays.escalation);
    assert_eq!(rig.level(Condition::BreakerFailed), Level::Ok);
}

#[test]
fn a_restart_in_the_middle_trips_by_the_same_rule_later() {
    let mut rig = Rig::new(8);
    rig.pass(600.0);
    rig.heat(3.0, |_| 5.1);
    assert_eq!(rig.tripped(), None);
    rig.restart();
    rig.pass(70.0);
    assert_eq!(rig.level(Condition::TemperatureRise), Level::Alarm, "told at once");
    rig.pass(600.0);
    assert_eq!(rig.tripped(), None, "standing still, a new instance knows no rise");
    let hours = rig.heat_to_trip(6.0, |_| 6.0);
    assert!(hours.is_some_and(|h| h < 4.0), "60 °C or 10 K over the start: {hours:?}");
}
