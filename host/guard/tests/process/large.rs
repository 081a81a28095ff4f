//! As many modules as there can be, on two ports: the cycle is kept, nothing
//! is allocated, and the guard stays small.

use crate::common::{Guard, Hardware};
use evenkeel_core::image::Snapshot;
use evenkeel_core::points::Quality;
use std::fmt::Write;

/// Memory of its own, kB: the least, and for each two modules; 4,000 with the 512
/// modules of one bus. All that is resident also counts the program, which is
/// several times as long with what debugging needs.
const ANONYMOUS_KB: (u64, u64) = (2_208, 7);

/// `strings` strings of 32 blocks on each of `buses` buses; what the guard
/// takes with it, after some cycles in which all was read.
fn run(buses: usize, strings: usize) {
    let mut scenario = String::new();
    let mut settings = String::new();
    for string in 0..strings {
        let first = 1 + 32 * string;
        write!(scenario, "[[strings]]\nblocks = 32\nfirst_address = {first}\n").expect("text");
    }
    for (number, (bus, string)) in
        (1..=buses).flat_map(|b| (0..strings).map(move |s| (b, s))).enumerate()
    {
        write!(
            settings,
            "[[string]]\nname = \"S{number}\"\nbus = {bus}\nmodule = \"C20\"\nbattery = \"NP7\"\n\
             first_address = {}\nblocks = 32\n",
            1 + 32 * string
        )
        .expect("text");
    }
    let cycle_ms = if strings > 4 { 1_500 } else { 500 };
    let hardware = Hardware::with_cycle(cycle_ms, &vec![scenario.as_str(); buses], &settings);
    let modules = 32 * buses * strings;
    // A guard that finds what another has left is no larger.
    look(&mut Guard::start(&hardware, &[]), buses, modules);
    look(&mut Guard::start(&hardware, &[]), buses, modules);
}

fn look(guard: &mut Guard, buses: usize, modules: usize) {
    let good = |s: &Snapshot| {
        s.strings.iter().flat_map(|s| &s.blocks).filter(|b| b.quality == Quality::Good).count()
    };
    guard.until("all blocks are good", |s| good(s) == modules);
    let before = guard.snapshot().cycle;
    let after = guard.until("some cycles", |s| s.cycle.cycles >= before.cycles + 4);
    let [resident, anonymous, shared] =
        ["VmRSS", "RssAnon", "RssShmem"].map(|f| guard.memory_kb(f));
    println!(
        "{modules} modules on {buses} buses: resident {resident} kB, of it anonymous {anonymous} \
         and the image {shared}; scan {:.0} ms, work {:.2} ms, {} deadlines missed",
        after.cycle.scan.as_secs_f64() * 1e3,
        after.cycle.work.as_secs_f64() * 1e3,
        after.cycle.deadline_misses - before.deadline_misses
    );
    assert_eq!(good(&after), modules);
    assert!(anonymous < ANONYMOUS_KB.0 + ANONYMOUS_KB.1 * modules as u64 / 2, "{anonymous} kB");
    assert!(guard.stop().success());
    assert!(guard.log().contains("cycle thread: 0\n"), "{}", guard.log());
}

#[test]
fn sixty_four_modules_on_one_bus() {
    run(1, 2);
}

#[test]
fn five_hundred_and_twelve_modules_on_one_bus() {
    run(1, 16);
}

#[test]
fn a_thousand_and_twenty_four_modules_on_two_buses() {
    run(2, 16);
}
