//! Thermal runaway from the module's reading to the open breaker, while all
//! that the guard does not need is missing; and what a latched trip survives.

use crate::common::{Guard, Hardware, eventually};
use evenkeel_core::command::{Answer, Order};
use evenkeel_core::image::Snapshot;
use evenkeel_core::protect::{BreakerState, Condition, TripCause};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The shortest hold time that settings may say, and what may come on top:
/// two cycles, one to trip and one to read that the breaker is open.
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

/// Everybody's processor time, until dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
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

fn set_mode(hardware: &Hardware, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(hardware.path("state"), mode).expect("set");
}

/// Let the first two blocks read warmer, step by believable step.
fn heat(hardware: &Hardware, guard: &mut Guard) {
    for step in 1..=8 {
        for module in 1..=2 {
            hardware.order(&format!("module {module} warm {}", 1.5 * f64::from(step)));
        }
        let warm =
            |s: &Snapshot| s.blocks_of(0)[..2].iter().all(|b| b.temperature_dc >= 345 + 15 * step);
        guard.until("two blocks read warmer", warm);
    }
}

#[test]
fn runaway_opens_the_breaker_with_nobody_there_and_stays_tripped_over_a_crash() {
    let hardware = Hardware::of(&[SCENARIO], SETTINGS);
    hardware.open_to_everybody();
    // Root could write the folder all the same.
    let root = rustix::process::geteuid().is_root();
    let user: &[&str] = if root { &["--user", "65534"] } else { &[] };
    fs::create_dir(hardware.path("state")).expect("made");
    set_mode(&hardware, 0o500);
    let mut guard = Guard::start(&hardware, user);
    guard.until("all is well", |s| breaker(s) == BreakerState::Closed && s.cycle.cycles > 2);

    heat(&hardware, &mut guard);
    // Shown from the scan on in which the hold time begins.
    let pending = |s: &Snapshot| s.strings[0].protect.string.warning.contains(Condition::Runaway);
    let begun = guard.until("hot and rising", pending).cycle.published;
    guard.until("nearly there", |s| s.cycle.published.since(begun).as_secs_f64() > HOLD_S - 4.0);
    let busy = Busy::start();
    assert!(guard.snapshot().strings[0].protect.trip.is_none(), "the hold time counts");
    let decided = guard.until("tripped", |s| s.strings[0].protect.trip.is_some());
    let tripped = guard.until("the breaker is open", |s| breaker(s) == BreakerState::Open);
    drop(busy);
    let since = |s: &Snapshot| s.cycle.published.since(begun).as_secs_f64();
    let took_s = since(&tripped);
    println!(
        "hold time {HOLD_S} s, cycles of {CYCLE_S} s: tripped after {:.3} s, breaker confirmed \
         open after {took_s:.3} s; {} deadlines and {} replies missed, latest wake-up {:.3} ms",
        since(&decided),
        tripped.cycle.deadline_misses,
        tripped.cycle.missed_replies,
        tripped.jitter.max.as_secs_f64() * 1e3
    );
    // The instants of two publications are a little less regular than cycles.
    assert!(took_s <= HOLD_S + 2.0 * CYCLE_S + 0.05, "{took_s} s");
    let trip = tripped.strings[0].protect.trip.expect("latched");
    assert_eq!((trip.cause, trip.block <= 1), (TripCause::TwoTemperatures, true));
    let truth = hardware.order("status");
    assert!(truth.contains(&"string.0.breaker=open".to_owned()), "{truth:?}");
    assert!(guard.log().contains("kept state cannot be written"), "{}", guard.log());
    assert!(!guard.log().contains("has allocated"), "{}", guard.log());

    // As soon as there is a disk again, the trip is written down.
    set_mode(&hardware, 0o700);
    eventually("the trip is kept", || hardware.path("state/guard-kept.a").exists());
    guard.kill();
    hardware.order("string 0 breaker close");
    let mut guard = Guard::start(&hardware, user);
    let again = guard.until("tripped again", |s| breaker(s) == BreakerState::Open);
    assert_eq!(again.strings[0].protect.trip, Some(trip), "the same one");
    let truth = hardware.order("status");
    assert!(truth.contains(&"string.0.breaker=open".to_owned()), "{truth:?}");

    let mut client = guard.client();
    let reset = Order::Reset { string: 1 };
    let (answer, _) = client.order(reset);
    let why = "what tripped this string persists; it can be reset once its blocks have cooled";
    assert_eq!(answer, Answer::Refused(why.to_owned()));
    assert!(guard.snapshot().strings[0].protect.trip.is_some());
    for module in 1..=2 {
        hardware.order(&format!("module {module} warm 0"));
    }
    guard.until("cool", |s| s.blocks_of(0).iter().all(|b| b.temperature_dc < 370));
    // A reading that leapt is believed from the next scan on.
    let cycles = guard.snapshot().cycle.cycles;
    guard.until("looked again", |s| s.cycle.cycles >= cycles + 2);
    assert_eq!(client.order(reset).0, Answer::Done);
    let reset_again = client.order(reset).0;
    assert_eq!(reset_again, Answer::Refused("this string is not tripped".to_owned()));
    guard.until("let go", |s| breaker(s) == BreakerState::OpenElsewhere);
    hardware.order("string 0 breaker close");
    guard.until("closed by hand", |s| {
        breaker(s) == BreakerState::Closed && s.strings[0].protect.trip.is_none()
    });
    assert!(guard.stop().success());
    let log = guard.log();
    assert!(log.contains("allocations of the running cycle thread: 0\n"), "{log}");
}
