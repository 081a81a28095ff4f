//! Orders over the socket, carried out by the cycle thread; and two buses.

use crate::common::{Client, Guard, Hardware, eventually};
use evenkeel_core::command::{Answer, Commission, Order, Tone};
use evenkeel_core::equalize::Inhibits;
use evenkeel_core::image::{BusWork, Condition, Snapshot};
use evenkeel_core::points::Quality;
use evenkeel_core::scan::Phase;
use std::time::Duration;

/// Two cycles: one may just have begun when the order comes.
const PROMPT: Duration = Duration::from_millis(2 * 500);

const SCENARIO: &str = r#"
[[strings]]
blocks = 4
[[strings]]
blocks = 2
first_address = 5
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
blocks = 4
current_sensor = "I1"
breaker = { relay = "AUX1.1", input = "AUX1.1", contact = "normally_closed" }
[[string]]
name = "B"
module = "C20"
battery = "NP7"
first_address = 5
blocks = 2
[limits]
lost_warning_s = 1.0
lost_alarm_s = 2.0
[[test]]
strings = [1, 2]
relay = "AUX1.3"
"#;

fn all_good(snapshot: &Snapshot) -> bool {
    let blocks = || snapshot.strings.iter().flat_map(|s| &s.blocks);
    blocks().all(|b| b.quality == Quality::Good)
        && snapshot.devices.iter().all(|d| d.quality == Quality::Good)
}

/// Orders and their answers, with the longest that one took.
struct Orders {
    client: Client,
    longest: Duration,
}

impl Orders {
    fn give(&mut self, order: Order) -> Answer {
        let (answer, took) = self.client.order(order);
        assert!(took <= PROMPT, "{order:?} took {took:?}");
        self.longest = self.longest.max(took);
        answer
    }

    fn done(&mut self, order: Order) {
        assert_eq!(self.give(order), Answer::Done, "{order:?}");
    }

    fn refused(&mut self, order: Order, why: &str) {
        assert_eq!(self.give(order), Answer::Refused(why.to_owned()), "{order:?}");
    }
}

#[test]
fn orders_are_carried_out_in_time_and_allocate_nothing() {
    let hardware = Hardware::of(&[SCENARIO], SETTINGS);
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("all is read", all_good);
    let mut orders = Orders { client: guard.client(), longest: Duration::ZERO };

    orders.done(Order::Pause { string: 2, seconds: 60 });
    let paused =
        |s: &Snapshot| [0, 1].map(|i| s.strings[i].equalize.inhibits.contains(Inhibits::PAUSED));
    guard.until("paused", |s| paused(s) == [false, true]);
    orders.done(Order::Resume { string: 2 });
    guard.until("resumed", |s| paused(s) == [false, false]);
    orders.refused(
        Order::Pause { string: 3, seconds: 60 },
        "there is no string 3; the strings are 1 to 2",
    );

    orders.done(Order::Output { device: 1, output: 2, on: true });
    guard.until("switched", |s| s.devices[0].outputs == 2 && s.devices[0].commanded == 2);
    for output in [1, 3] {
        let why = format!("output {output} of device 1 belongs to a breaker or to the alarms");
        orders.refused(Order::Output { device: 1, output, on: true }, &why);
    }
    orders.refused(
        Order::Output { device: 2, output: 1, on: true },
        "there is no output 1 of device 2",
    );
    orders.done(Order::Locate { bus: 1, address: 3, seconds: 5 });
    orders.refused(Order::Locate { bus: 2, address: 3, seconds: 5 }, "there is no bus 2");

    hardware.order("module 6 vanish on");
    guard.until("the buzzer sounds", |s| s.annunciation.buzzer);
    orders.done(Order::Mute);
    guard.until("silence", |s| !s.annunciation.buzzer && s.annunciation.red);
    hardware.order("module 6 vanish off");

    let rows = Order::Rows { string: 1, from: 0 };
    orders.refused(rows, "there is no discharge record of string 1");
    guard.until("on float", |s| s.strings[0].phase == Phase::Float);
    hardware.order("mains off");
    guard.until("recorded", |s| s.strings[0].discharge.as_ref().is_some_and(|d| d.scans >= 4));
    let Answer::Rows(bytes) = orders.give(rows) else { panic!("no rows") };
    assert!(bytes.len() > 4 * 4 * size_of::<u16>(), "{} bytes", bytes.len());
    hardware.order("mains on");

    guard.until("twenty cycles have passed", |s| s.cycle.cycles >= 20);
    println!("longest time to an answer: {:?}, cycles of 500 ms", orders.longest);
    assert!(guard.stop().success());
    let log = guard.log();
    assert!(log.contains("allocations of the running cycle thread: 0\n"), "{log}");
}

/// Every order with arguments that are impossible: each answer says why.
fn refuse_nonsense(orders: &mut Orders) {
    let no_string = "there is no string 3; the strings are 1 to 2";
    for order in [
        Order::Pause { string: 3, seconds: 1 },
        Order::Resume { string: 3 },
        Order::Reset { string: 3 },
        Order::Measure { string: 3, block: 1 },
        Order::Test { string: 3 },
        Order::StopTest { string: 3 },
        Order::Rows { string: 3, from: 0 },
    ] {
        orders.refused(order, no_string);
    }
    for commission in [
        Commission::Discover { bus: 2 },
        Commission::Address { bus: 2, first: 1, count: 1 },
        Commission::Swap { bus: 2, address: 1 },
        Commission::LocateBreak { bus: 2 },
        Commission::Stop { bus: 2 },
    ] {
        orders.refused(Order::Commission(commission), "there is no bus 2");
    }
    let foreign = "these addresses are not all in the settings of this bus";
    for commission in [
        Commission::Address { bus: 1, first: 6, count: 2 },
        Commission::Address { bus: 1, first: 1, count: 0 },
        Commission::Address { bus: 1, first: u16::MAX, count: u16::MAX },
        Commission::Swap { bus: 1, address: 7 },
    ] {
        orders.refused(Order::Commission(commission), foreign);
    }
    orders.refused(
        Order::Commission(Commission::LocateBreak { bus: 1 }),
        "only a ring is asked from both ends; of a line the silent end tells",
    );
    for (order, why) in [
        (Order::Pause { string: 1, seconds: 0 }, "a pause in seconds is 1 to 604800, not 0"),
        (
            Order::Pause { string: 1, seconds: u32::MAX },
            "a pause in seconds is 1 to 604800, not 4294967295",
        ),
        (Order::Reset { string: 1 }, "this string is not tripped"),
        (Order::Measure { string: 2, block: 3 }, "string 2 has no block 3"),
        (Order::Measure { string: 2, block: 0 }, "string 2 has no block 0"),
        (
            Order::Signal { tone: Tone::Slow, lamp: true, seconds: 3_601 },
            "a signal's time in seconds is 0 to 3600, not 3601",
        ),
        (
            Order::Locate { bus: 1, address: 1, seconds: 251 },
            "a lamp's time in seconds is 0 to 250, not 251",
        ),
        (
            Order::Locate { bus: 1, address: 1_280, seconds: 5 },
            "a lamp's bus address is 1 to 1279, not 1280",
        ),
        (Order::Output { device: 0, output: 1, on: true }, "there is no output 1 of device 0"),
        (Order::Output { device: 1, output: 0, on: true }, "there is no output 0 of device 1"),
        (Order::Output { device: 4, output: 1, on: true }, "there is no output 1 of device 4"),
        (
            Order::Output { device: 3, output: 1, on: false },
            "output 1 of device 3 belongs to a breaker or to the alarms",
        ),
    ] {
        orders.refused(order, why);
    }
}

#[test]
fn every_order_is_done_or_says_why_not() {
    let settings = format!("{SETTINGS}[annunciator]\npick_up_s = 0.0\n");
    let hardware = Hardware::of(&[SCENARIO], &settings);
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("all is read", all_good);
    let mut orders = Orders { client: guard.client(), longest: Duration::ZERO };
    refuse_nonsense(&mut orders);

    guard.until("the relay has picked up", |s| s.annunciation.relay);
    orders.done(Order::AlarmRelay { healthy: false });
    guard.until("the relay has dropped", |s| !s.annunciation.relay);
    orders.done(Order::AlarmRelay { healthy: true });
    guard.until("and picks up", |s| s.annunciation.relay);
    let signal = |seconds| Order::Signal { tone: Tone::Steady, lamp: true, seconds };
    orders.done(signal(600));
    guard.until("a signal sounds", |s| s.annunciation.buzzer && s.annunciation.relay);
    orders.done(signal(0));
    guard.until("and ends", |s| !s.annunciation.buzzer);
    orders.done(signal(2));
    guard.until("another sounds", |s| s.annunciation.buzzer);
    guard.until("and ends by itself", |s| !s.annunciation.buzzer);

    let work = |s: &Snapshot| s.buses[0].work;
    orders.done(Order::Commission(Commission::Discover { bus: 1 }));
    // Finding everybody takes a hundred cycles.
    let searches =
        |s: &Snapshot| matches!(work(s), BusWork::Discovering { searches } if searches > 3);
    guard.until("it searches", searches);
    orders.done(Order::Commission(Commission::Address { bus: 1, first: 5, count: 2 }));
    let waits = |s: &Snapshot, first, count| matches!(work(s), BusWork::Addressing { next, of, .. } if (next, of) == (first, count));
    guard.until("a button is waited for", |s| waits(s, 5, 2));
    orders.done(Order::Commission(Commission::Swap { bus: 1, address: 3 }));
    guard.until("another one is", |s| waits(s, 3, 1));
    orders.done(Order::Commission(Commission::Stop { bus: 1 }));
    guard.until("no more", |s| work(s) == BusWork::None);

    orders.done(Order::Measure { string: 1, block: 2 });
    // A battery that has just been met is not known to be full.
    let Answer::Refused(why) = orders.give(Order::Test { string: 1 }) else { panic!("begun") };
    assert!(why.contains("battery is not") || why.contains("too soon"), "{why}");
    orders.done(Order::StopTest { string: 2 });
    assert!(guard.stop().success());
    assert!(guard.log().contains("cycle thread: 0\n"), "{}", guard.log());
}

#[test]
fn clients_that_leave_while_they_wait_leave_nothing_behind() {
    let hardware = Hardware::start();
    let mut guard = Guard::start(&hardware, &[]);
    guard.until("it runs", |s| s.cycle.cycles >= 2);
    let before = guard.descriptors();
    for _ in 0..10 {
        // As many as may wait at once, and more than once around.
        let mut clients: Vec<_> = (0..4).map(|_| guard.client()).collect();
        clients.iter_mut().for_each(|client| client.hand_in(Order::Mute));
        drop(clients);
        eventually("they are forgotten", || guard.descriptors() == before);
    }
    let (answer, took) = guard.client().order(Order::Mute);
    assert_eq!(answer, Answer::Done);
    assert!(took <= PROMPT, "{took:?}");
    assert!(guard.stop().success());
    assert!(guard.log().contains("cycle thread: 0\n"), "{}", guard.log());
}

#[test]
fn a_bus_that_is_pulled_leaves_the_other_ones_strings_untouched() {
    let scenario = "[[strings]]\nblocks = 4\n";
    let settings = "[[string]]\nname = \"A\"\nmodule = \"C20\"\nbattery = \"NP7\"\n\
         first_address = 1\nblocks = 4\n[[string]]\nname = \"B\"\nbus = 2\nmodule = \"C20\"\n\
         battery = \"NP7\"\nfirst_address = 1\nblocks = 4\n";
    let hardware = Hardware::of(&[scenario, scenario], settings);
    let mut guard = Guard::start(&hardware, &[]);
    let equalized = |s: &Snapshot, string: usize| {
        s.strings[string].equalize.inhibits.is_empty()
            && s.blocks_of(string).iter().any(|b| b.duty.0 > 0)
    };
    guard.until("both are equalized", |s| equalized(s, 0) && equalized(s, 1));
    hardware.order_at(1, "bus unplug");
    guard.until("the second bus is lost", |s| {
        s.has(Condition::PortLost)
            && s.buses.iter().map(|b| b.lost).eq([false, true])
            && s.blocks_of(1).iter().all(|b| b.quality == Quality::Stale)
    });
    for _ in 0..4 {
        let last = guard.snapshot();
        let next = guard.until("the next cycle", |s| s.cycle.cycles > last.cycle.cycles);
        assert!(equalized(&next, 0) && !equalized(&next, 1), "{:?}", next.strings[0].equalize);
        assert!(next.blocks_of(0).iter().all(|b| b.quality == Quality::Good));
        // The simulated modules share our processors: now and then a scan is
        // too late for them. A bus that suffered would be lost, its values old.
        assert!(!next.buses[0].lost, "{:?}", next.buses[0]);
    }
    hardware.order_at(1, "bus plug");
    guard.until("both are equalized again", |s| {
        !s.has(Condition::PortLost) && equalized(s, 0) && equalized(s, 1)
    });
    assert!(guard.stop().success());
    assert!(guard.log().contains("cycle thread: 0\n"), "{}", guard.log());
}
