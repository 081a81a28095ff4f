//! Runaway, trip, breaker, latch, alarm relay and buzzer, from the thermistor
//! to the relay on the wire. Everything hot is only said to be: by two
//! thermistors, as slowly as blocks warm.

use crate::rig::{PANEL, Rig, aux, scenario, settings};
use evenkeel_core::bus::wire::{Decoder, Outputs, Request, panel};
use evenkeel_core::command::{Order, Refusal, Tone};
use evenkeel_core::protect::{BreakerState, Condition, Level, TripCause};
use evenkeel_core::scan::Phase;
use evenkeel_core::time::Nanos;
use evenkeel_sim::device::TRIP;

const CYCLE_S: u64 = 5;
/// Blocks (from 0) with a thermistor that lies.
const HOT: [u16; 2] = [1, 3];
/// K in a cycle: 2 K/min.
const STEP_K: f64 = 2.0 * CYCLE_S as f64 / 60.0;
/// Third relay of the AUX.
const ESCALATION: u16 = 0x04;

/// Floating for so long that warm blocks are not warm from a discharge.
fn settled() -> Rig {
    let scenario = scenario(1, 6);
    let mut rig = Rig::new(&settings(5_000, &scenario, "", ""), &[scenario]);
    rig.run(1_900);
    assert_eq!((rig.string(0).phase(), rig.report(0).level), (Phase::Float, Level::Ok));
    rig
}

/// The thermistors of [`HOT`] read so much too high.
fn warm(rig: &mut Rig, kelvin: f64) {
    for block in HOT {
        rig.say(&format!("module {} warm {kelvin:.3}", block + 1));
    }
}

/// Heat until the string trips; by how much.
fn heat(rig: &mut Rig) -> f64 {
    let mut kelvin = 0.0;
    while rig.report(0).trip.is_none() {
        assert!(kelvin < 45.0, "not tripped: {:?}", rig.report(0));
        kelvin += STEP_K;
        warm(rig, kelvin);
        rig.cycle();
    }
    kelvin
}

/// Let it cool down again.
fn cool(rig: &mut Rig, mut kelvin: f64) {
    while kelvin > 0.0 {
        kelvin = (kelvin - STEP_K).max(0.0);
        warm(rig, kelvin);
        rig.cycle();
    }
}

fn has(rig: &Rig, condition: Condition) -> bool {
    rig.report(0).all.level_of(condition) == Level::Alarm
}

#[test]
fn a_runaway_opens_the_breaker_and_the_contact_confirms_it() {
    let mut rig = settled();
    heat(&mut rig);
    let trip = rig.report(0).trip.expect("tripped");
    assert_eq!(trip.cause, TripCause::TwoTemperatures);
    assert!(HOT.contains(&trip.block));
    assert_eq!(rig.report(0).breaker, BreakerState::Tripping(1));
    assert!(!rig.plant(0).breaker().is_closed(), "it opened in the cycle that decided");
    rig.cycle();
    assert_eq!(rig.report(0).breaker, BreakerState::Open);
    assert_eq!(rig.outputs(aux(0)), 0, "a shunt trip is not held");
    assert!(rig.is_idle(0) && rig.report(0).bypass_off);
    assert_eq!(rig.plant(0).amps(), 0.0);
    assert_eq!(rig.outputs(PANEL) & panel::ALARM_RELAY, 0);
    rig.run(600);
    assert!(rig.is_idle(0), "as long as it is tripped");
}

/// When the OUTPUTS that energise the trip relay left in the last cycle.
fn trip_sent(rig: &Rig) -> Option<Nanos> {
    rig.sent.iter().find_map(|sent| {
        let mut decoder = Decoder::default();
        sent.bytes.iter().find_map(|byte| {
            let frame = decoder.push(*byte)?.ok()?;
            match Request::parse(&frame).ok()? {
                Request::Outputs { address, outputs: Outputs { on, .. }, .. } => {
                    (address == aux(0) && on & TRIP != 0).then_some(sent.at)
                }
                _ => None,
            }
        })
    })
}

#[test]
fn the_trip_is_on_the_wire_in_the_scan_that_completes_the_hold_time() {
    let mut rig = settled();
    let (mut kelvin, mut since) = (0.0, None);
    let sent = loop {
        kelvin += STEP_K;
        warm(&mut rig, kelvin);
        let began = rig.now;
        rig.cycle();
        let celsius = |b: u16| f64::from(rig.string(0).blocks()[usize::from(b)].temperature_dc);
        // Over the median of six, of which four are as warm as ever.
        let rise_k = HOT.map(|b| (celsius(b) - celsius(0)) / 10.0);
        if rise_k.iter().all(|k| *k >= 15.0) {
            since.get_or_insert(began);
        }
        if let Some(sent) = trip_sent(&rig) {
            break sent;
        }
        assert!(kelvin < 45.0, "never sent");
    };
    let since = since.expect("it was hot");
    let (took_s, after_ms) =
        (sent.since(since).as_secs_f64(), sent.since(rig.scanned).as_secs_f64() * 1e3);
    println!(
        "trip: condition true (sample) to OUTPUTS on the wire {took_s:.3} s, of which 300 s are \
         its hold time; {after_ms:.3} ms after the end of the scan that decided"
    );
    assert!(took_s <= 300.0 + CYCLE_S as f64, "{took_s} s");
    assert!(after_ms < 1.0, "nothing is sent before it");
}

#[test]
fn a_breaker_that_sticks_is_tried_again_escalated_and_told() {
    let mut rig = settled();
    rig.say("string 0 breaker stuck on");
    heat(&mut rig);
    let mut pulses = u32::from(rig.outputs(aux(0)) & TRIP != 0);
    while rig.report(0).breaker != BreakerState::Failed {
        let was_on = rig.outputs(aux(0)) & TRIP != 0;
        rig.cycle();
        pulses += u32::from(!was_on && rig.outputs(aux(0)) & TRIP != 0);
        assert!(pulses <= 3, "three attempts");
    }
    assert_eq!(pulses, 3);
    assert!(has(&rig, Condition::BreakerFailed));
    assert_eq!(rig.outputs(aux(0)), ESCALATION);
    assert_eq!(rig.outputs(PANEL) & (panel::ALARM_RELAY | panel::RED), panel::RED);
    rig.say("string 0 breaker stuck off");
    rig.until(90, "tried again every minute", |rig| rig.report(0).breaker == BreakerState::Open);
    rig.cycle();
    assert_eq!(rig.outputs(aux(0)), 0, "open: nothing to escalate");
    assert!(!has(&rig, Condition::BreakerFailed));
}

#[test]
fn a_contact_that_lies_and_a_slow_breaker_cost_attempts_but_no_trip() {
    let mut rig = settled();
    rig.say("string 0 breaker says closed");
    heat(&mut rig);
    rig.until(60, "unconfirmed", |rig| rig.report(0).breaker == BreakerState::Failed);
    assert!(!rig.plant(0).breaker().is_closed(), "it is open all the same");
    assert!(has(&rig, Condition::BreakerFailed) && rig.outputs(aux(0)) == ESCALATION);
    rig.say("string 0 breaker says truth");
    rig.until(15, "the contact is mended", |rig| rig.report(0).breaker == BreakerState::Open);

    let mut rig = settled();
    rig.say("string 0 breaker slow 7s");
    heat(&mut rig);
    rig.until(30, "slow", |rig| rig.report(0).breaker == BreakerState::Open);
    assert!(!has(&rig, Condition::BreakerFailed));
}

#[test]
fn an_aux_that_is_lost_confirms_nothing_and_is_told() {
    let mut rig = settled();
    rig.bus_mut().device_mut(aux(0)).expect("there").faults_mut().vanished = true;
    rig.run(30);
    let snapshot = rig.snapshot();
    assert_eq!(snapshot.level, Level::Alarm, "nobody could open the breaker");
    assert!(rig.report(0).trip.is_none());
    heat(&mut rig);
    rig.until(60, "no answer", |rig| rig.report(0).breaker == BreakerState::Failed);
    assert!(rig.plant(0).breaker().is_closed() && rig.is_idle(0));
    rig.bus_mut().device_mut(aux(0)).expect("there").faults_mut().vanished = false;
    rig.until(90, "back", |rig| rig.report(0).breaker == BreakerState::Open);
    assert!(!rig.plant(0).breaker().is_closed());
}

#[test]
fn a_trip_outlives_a_restart_and_is_reset_by_a_person_once_it_is_cool() {
    let mut rig = settled();
    let kelvin = heat(&mut rig);
    rig.cycle();
    let latched = rig.control.latches();
    assert_ne!(latched, 0);
    rig.restart(|_| {});
    rig.cycle();
    rig.cycle();
    assert_eq!((rig.report(0).breaker, rig.control.latches()), (BreakerState::Open, latched));
    // Somebody closes it: it is opened again.
    rig.say("string 0 breaker close");
    rig.until(15, "tripped again", |rig| !rig.plant(0).breaker().is_closed());
    // Refused while it is hot.
    assert_eq!(rig.order(Order::Reset { string: 1 }), Ok(()));
    rig.cycle();
    assert!(rig.report(0).reset_refused && rig.report(0).trip.is_some());
    cool(&mut rig, kelvin);
    rig.cycle();
    assert!(rig.report(0).trip.is_some(), "it stays latched by itself");
    assert_eq!(rig.order(Order::Reset { string: 1 }), Ok(()));
    rig.cycle();
    assert!(!rig.report(0).reset_refused && rig.report(0).trip.is_none());
    assert_eq!(rig.report(0).breaker, BreakerState::OpenElsewhere);
    let again = rig.order(Order::Reset { string: 1 });
    assert_eq!(again, Err(Refusal::NotNow("this string is not tripped")));
    rig.say("string 0 breaker close");
    rig.run(60);
    assert_eq!((rig.report(0).breaker, rig.control.latches()), (BreakerState::Closed, 0));
}

#[test]
fn the_alarm_relay_drops_on_an_alarm_and_when_the_guard_dies() {
    let mut rig = settled();
    assert_eq!(rig.outputs(PANEL), panel::ALARM_RELAY | panel::GREEN);
    // Three cycles after the last command the panel does not believe it any more.
    rig.pass(rig.now + Nanos::from_secs(3 * CYCLE_S));
    assert_eq!(rig.outputs(PANEL), 0);
    rig.run(60);
    assert_eq!(rig.outputs(PANEL), panel::ALARM_RELAY | panel::GREEN);
    heat(&mut rig);
    assert_eq!(rig.outputs(PANEL), panel::BUZZER | panel::RED);
    rig.run(30);
    // Somebody presses the panel's button, for less than a cycle.
    let mute = |rig: &mut Rig, down: bool| {
        let contacts = if down { panel::MUTE } else { 0 };
        rig.bus_mut().device_mut(PANEL).expect("there").set_contacts(contacts);
    };
    mute(&mut rig, true);
    rig.cycle();
    mute(&mut rig, false);
    rig.run(30);
    assert_eq!(rig.outputs(PANEL), panel::RED, "muted, still an alarm");
    // A new alarm is heard again.
    rig.bus_mut().device_mut(aux(0)).expect("there").faults_mut().vanished = true;
    rig.run(30);
    assert_eq!(rig.outputs(PANEL), panel::BUZZER | panel::RED);
    assert_eq!(rig.order(Order::Mute), Ok(()));
    rig.cycle();
    assert_eq!(rig.outputs(PANEL), panel::RED);
}

#[test]
fn a_signal_is_heard_until_an_alarm_stands() {
    let mut rig = settled();
    let healthy = panel::ALARM_RELAY | panel::GREEN;
    let signal = |seconds| Order::Signal { tone: Tone::Steady, lamp: false, seconds };
    assert!(matches!(rig.order(signal(3_601)), Err(Refusal::Range { high: 3_600, .. })));
    assert_eq!(rig.order(signal(3_600)), Ok(()));
    rig.run(5);
    assert_eq!(rig.outputs(PANEL), healthy | panel::BUZZER);
    heat(&mut rig);
    assert_eq!(rig.outputs(PANEL), panel::BUZZER | panel::RED);
    assert_eq!(rig.order(signal(0)), Ok(()));
    rig.run(5);
    assert_eq!(rig.outputs(PANEL), panel::BUZZER | panel::RED, "the alarm sounds on");
    assert_eq!(rig.order(Order::Mute), Ok(()));
    assert_eq!(rig.order(signal(600)), Ok(()));
    rig.run(5);
    assert_eq!(rig.outputs(PANEL), panel::RED, "what is muted stays so");
}

#[test]
fn clocks_that_jump_or_stand_still_decide_nothing() {
    let mut rig = settled();
    for wall_s in [None, Some(0), Some(4_000_000_000), Some(1_000_000_000)] {
        rig.wall_s = wall_s;
        rig.run(300);
        assert_eq!((rig.report(0).level, rig.string(0).phase()), (Level::Ok, Phase::Float));
    }
    // Hot, but no time passes: nothing is held for any time.
    rig.frozen = Some(rig.now);
    for step in 1..=120 {
        warm(&mut rig, f64::from(step) * 0.1);
        rig.cycle();
    }
    assert_eq!(rig.report(0).trip, None);
    warm(&mut rig, 0.0);
    rig.frozen = None;
    rig.run(600);
    assert_eq!((rig.report(0).trip, rig.string(0).phase()), (None, Phase::Float));
    assert_eq!(rig.snapshot().level, Level::Ok, "{:?}", rig.report(0));
}
