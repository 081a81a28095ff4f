//! Thermal runaway from the module's reading to the switched relay, while all
//! that the guard does not need is missing; what a latched trip survives; and
//! what the hardware does when the guard is gone.

use crate::common::{Guard, Hardware, be_real_time, eventually};
use evenkeel_core::bus::wire::panel;
use evenkeel_core::command::{Answer, Order};
use evenkeel_core::image::Snapshot;
use evenkeel_core::protect::{BreakerState, Condition, Trip, TripCause};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The shortest hold time that settings may say, and the shortest cycle.
const HOLD_S: f64 = 30.0;
const CYCLE_S: f64 = 0.5;

/// A warm room, so that two thermometers that read too high get from normal to
/// the trip in few believable steps.
const SCENARIO: &str = r#"
[[strings]]
blocks = 6
ambient_c = 35.0
[[devices]]
address = 1025
kind = "aux"
[[devices]]
address = 1026
kind = "current-50"
[[devices]]
address = 1027
kind = "panel"
"#;

const SETTINGS: &str = r#"
[[device]]
name = "AUX1"
kind = "aux"
address = 1025
[[device]]
name = "I1"
kind = "current-50"
address = 1026
[[device]]
name = "PANEL"
kind = "panel"
address = 1027
[[string]]
name = "A"
module = "C20"
battery = "NP7"
first_address = 1
blocks = 6
current_sensor = "I1"
[string.breaker]
relay = "AUX1.1"
input = "AUX1.1"
contact = "normally_closed"
[limits.runaway]
trip_c = 45.0
alone_c = 45.0
hold_s = 30.0
after_discharge_s = 0.0
"#;

/// Everybody's processor time twice over, until dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn breaker(snapshot: &Snapshot) -> BreakerState {
    snapshot.strings[0].protect.breaker
}

fn trip(snapshot: &Snapshot) -> Option<Trip> {
    snapshot.strings[0].protect.trip
}

/// Only root can give up being root.
fn user() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["--user", "65534"] } else { &[] }
}

/// A disk that takes no byte more: whatever replaces a file there begins with
/// a fresh one, which is `/dev/full`.
fn fill_disk(hardware: &Hardware) {
    fs::create_dir(hardware.path("state")).expect("made");
    for fresh in ["state/guard-kept.new", "state/guard-settings.last-good.new"] {
        symlink("/dev/full", hardware.path(fresh)).expect("linked");
    }
}

/// Let the first two blocks read warmer, step by believable step; the last one
/// is too warm. Returns the simulation's time just before that, in ms.
fn heat(hardware: &Hardware, guard: &mut Guard) -> f64 {
    let mut before_ms = 0.0;
    for step in 1..=7 {
        let warm =
            |s: &Snapshot| s.blocks_of(0)[..2].iter().all(|b| b.temperature_dc >= 345 + 15 * step);
        before_ms = hardware.truth("now_ms");
        for module in 1..=2 {
            hardware.order(&format!("module {module} warm {}", 1.5 * f64::from(step)));
        }
        let seen = guard.until("two blocks read warmer", warm);
        assert!(step == 7 || !pending(&seen), "step {step}");
    }
    before_ms
}

/// Shown from the scan on in which the hold time begins.
fn pending(snapshot: &Snapshot) -> bool {
    snapshot.strings[0].protect.string.warning.contains(Condition::Runaway)
}

/// From the warm reading to the open breaker: in cycles, and by the
/// simulation's clock.
fn measure_trip(hardware: &Hardware, guard: &mut Guard) -> Trip {
    let heated_ms = heat(hardware, guard);
    let begun = guard.until("hot and rising", pending);
    let begun_ms: f64 = hardware.truth("now_ms");
    guard.until("nearly there", |s| {
        s.cycle.published.since(begun.cycle.published).as_secs_f64() > HOLD_S - 4.0
    });
    let busy = Busy::start();
    let before = guard.snapshot();
    assert!(trip(&before).is_none(), "the hold time counts");
    let decided = guard.until("tripped", |s| trip(s).is_some());
    // Before it lets go again, which it does once the breaker is open.
    let switched_ms: f64 = hardware.truth("device.1025.switched_ms");
    let open = guard.until("the breaker is open", |s| breaker(s) == BreakerState::Open);
    drop(busy);
    let cycles = |s: &Snapshot| s.cycle.cycles - begun.cycle.cycles;
    println!(
        "hold time {HOLD_S} s, cycles of {CYCLE_S} s: decided {} cycles after the first hot scan, \
         open breaker read after {}; relay switched {:.1} ms after the heat, {:+.1} ms from the \
         hold time after the first hot scan; under load {} deadlines and {} replies missed; \
         latest wake-up {:.3} ms",
        cycles(&decided),
        cycles(&open),
        switched_ms - heated_ms,
        switched_ms - begun_ms - HOLD_S * 1e3,
        open.cycle.deadline_misses - before.cycle.deadline_misses,
        open.cycle.missed_replies - before.cycle.missed_replies,
        open.jitter.max.as_secs_f64() * 1e3
    );
    // One scan on top of the hold time, and one more to read the contact.
    let hold = (HOLD_S / CYCLE_S) as u64;
    assert!(cycles(&decided) <= hold + 1, "{} cycles", cycles(&decided));
    assert!(cycles(&open) <= hold + 2, "{} cycles", cycles(&open));
    trip(&open).expect("latched")
}

/// A reset is refused while it is hot, and obeyed once.
fn reset_by_hand(hardware: &Hardware, guard: &mut Guard) {
    let mut client = guard.client();
    let reset = Order::Reset { string: 1 };
    let refused = |why: &str| Answer::Refused(why.to_owned());
    let hot = "what tripped this string persists; it can be reset once its blocks have cooled";
    assert_eq!(client.order(reset).0, refused(hot));
    assert!(trip(&guard.snapshot()).is_some());
    for module in 1..=2 {
        hardware.order(&format!("module {module} warm 0"));
    }
    guard.until("cool", |s| s.blocks_of(0).iter().all(|b| b.temperature_dc < 370));
    // A reading that leapt is believed from the next scan on.
    let cycles = guard.snapshot().cycle.cycles;
    guard.until("looked again", |s| s.cycle.cycles >= cycles + 2);
    assert_eq!(client.order(reset).0, Answer::Done);
    assert_eq!(client.order(reset).0, refused("this string is not tripped"));
    guard.until("let go", |s| breaker(s) == BreakerState::OpenElsewhere);
    hardware.order("string 0 breaker close");
    guard.until("closed by hand", |s| breaker(s) == BreakerState::Closed && trip(s).is_none());
}

#[test]
fn runaway_opens_the_breaker_with_nobody_there_and_stays_tripped_over_a_crash() {
    let hardware = Hardware::of(&[SCENARIO], SETTINGS);
    hardware.open_to_everybody();
    fill_disk(&hardware);
    let mut guard = Guard::start(&hardware, user());
    // It looks at the image through the load that it makes.
    be_real_time(20);
    guard.until("all is well", |s| breaker(s) == BreakerState::Closed && s.cycle.cycles > 2);
    assert!(guard.log().contains("there is no copy to fall back to"), "{}", guard.log());
    let first = measure_trip(&hardware, &mut guard);
    assert_eq!((first.cause, first.block <= 1), (TripCause::TwoTemperatures, true));
    assert_eq!(hardware.truth::<String>("string.0.breaker"), "open");
    let log = guard.log();
    assert!(log.contains("kept state cannot be written: No space left on device"), "{log}");
    assert!(!log.contains("has allocated"), "{log}");

    // As soon as there is room again, the trip is written down.
    fs::remove_file(hardware.path("state/guard-kept.new")).expect("removed");
    eventually("the trip is kept", || hardware.path("state/guard-kept.a").exists());
    guard.kill();
    hardware.order("string 0 breaker close");
    let mut guard = Guard::start(&hardware, user());
    let again = guard.until("tripped again", |s| breaker(s) == BreakerState::Open);
    assert_eq!(trip(&again), Some(first), "the same one");
    assert_eq!(hardware.truth::<String>("string.0.breaker"), "open");
    reset_by_hand(&hardware, &mut guard);
    assert!(guard.stop().success());
    let log = guard.log();
    assert!(log.contains("allocations of the running cycle thread: 0\n"), "{log}");
}

#[test]
fn without_a_guard_the_alarm_relay_drops_and_hand_switched_outputs_stay() {
    let settings = format!("{SETTINGS}[annunciator]\npick_up_s = 0.0\n");
    let hardware = Hardware::of(&[SCENARIO], &settings);
    let panel_is = |output: u16| {
        let outputs: u16 = hardware.truth("device.1027.outputs");
        outputs & output != 0
    };
    for crash in [true, false] {
        let mut guard = Guard::start(&hardware, &[]);
        eventually("healthy", || panel_is(panel::ALARM_RELAY));
        guard.client().order(Order::Output { device: 1, output: 2, on: true });
        eventually("switched by hand", || hardware.truth::<u16>("device.1025.outputs") == 2);
        if crash {
            let before_ms: f64 = hardware.truth("now_ms");
            guard.kill();
            eventually("the panel drops it", || !panel_is(panel::ALARM_RELAY));
            let took_ms = hardware.truth::<f64>("device.1027.switched_ms") - before_ms;
            println!("alarm relay dropped {took_ms:.0} ms after the guard's death");
            // Three cycles after the last command, of which one may have come
            // since.
            assert!(took_ms <= 4.0 * CYCLE_S * 1e3, "{took_ms} ms");
        } else {
            assert!(guard.stop().success());
            assert!(!panel_is(panel::ALARM_RELAY), "dropped before it leaves");
        }
        assert!(!panel_is(panel::GREEN | panel::BUZZER));
        assert_eq!(hardware.truth::<u16>("device.1025.outputs"), 2, "a person's output stays");
    }
}
