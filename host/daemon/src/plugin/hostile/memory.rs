//! What a hostile plugin took is there again when it is gone: after each kind
//! of misdeed, ten copies of it one after the other leave next to nothing.

use super::*;
use std::sync::atomic::Ordering;

/// Takes all the memory that it may have, and writes to it.
const FILL: &str = "(loop $fill (br_if $fill (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
    (memory.fill (i32.const 65536) (i32.const 7)
        (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))";

/// Drivers of 0.1 that run, each with all its memory, and then do this.
const MISDEEDS: [(&str, &str, &str); 11] = [
    ("nothing more", "(i32.const 1000)", ""),
    ("traps", "unreachable", ""),
    ("computes", "(loop $l (br $l)) (i32.const 0)", ""),
    (
        "copies",
        "(loop $l (memory.copy (i32.const 0) (i32.const 8) (i32.const 60000)) (br $l))
        (i32.const 0)",
        "",
    ),
    (
        "floods the log",
        "(loop $l (call $log (i32.const 2) (i32.const 64) (i32.const 11)) (br $l)) (i32.const 0)",
        "",
    ),
    ("floods the host", "(loop $l (call $sleep (i32.const 0)) (br $l)) (i32.const 0)", ""),
    (
        "floods the points",
        "(loop $l (global.set $heap (i32.const 8192))
        (call $publish (i32.const 512) (i32.const 1) (i32.const 1024)) (br $l)) (i32.const 0)",
        "",
    ),
    (
        "grows a table",
        "(loop $l (br_if $l (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000))
        (i32.const 0)))) unreachable",
        "(table $t 1 funcref)",
    ),
    ("recurses", "(call $r) (i32.const 0)", "(func $r (call $r))"),
    (
        "sends giants",
        "(call $publish (i32.const 512) (i32.const 2000000000) (i32.const 1024)) (i32.const 0)",
        "",
    ),
    (
        "sends no text",
        "(i32.store (i32.const 2048) (i32.const 0xfffefdfc))
        (call $log (i32.const 0) (i32.const 2048) (i32.const 4)) (i32.const 0)",
        "",
    ),
];

/// Copies of one plugin, one after the other, and the bytes that each takes.
const COPIES: u64 = 10;
const TAKEN: u64 = 8 << 20;

/// Runs [`COPIES`] of a package, each of which takes [`TAKEN`] bytes.
fn assert_nothing_is_left(what: &str, package: &Package, services: &Services) {
    let mut after_first = None;
    for _ in 0..COPIES {
        // Some fail at their start.
        if let Ok((mut instance, around)) = start(package, CALL_MAX, services.clone()) {
            let _ = instance.wake();
            let taken = around.memory.load(Ordering::Relaxed);
            // What else it has counts towards the same limit.
            assert!(taken > TAKEN - (256 << 10), "{what}: {taken} bytes");
        }
        after_first.get_or_insert_with(resident_kb);
    }
    let left = resident_kb().saturating_sub(after_first.expect("measured"));
    assert!(left < COPIES * TAKEN / 4 / 1_024, "{what}: {left} kB are left");
}

#[test]
fn memory_returns_with_the_instance_of_every_hostile_plugin() {
    let fixture = Fixture::new();
    let mut manifest = fixture::manifest(&[LOG, CLOCK, POINTS]);
    manifest.limits.memory_bytes = TAKEN as u32;
    for (what, misdeed, extra) in MISDEEDS {
        let poll = format!("{FILL} {misdeed}");
        let guest = Guest { poll: &poll, extra, ..IDLE };
        let package = fixture.load(&fixture.seal(&manifest, &fixture::driver(&guest)));
        let package = package.unwrap_or_else(|e| panic!("{what}: {}", reason(&e)));
        assert_nothing_is_left(what, &package, &Services::default());
    }
}

/// Those whose misdeed is what they leave in the host: handles, values, calls.
#[test]
fn what_the_host_keeps_for_a_hostile_plugin_returns_too() {
    let commands = [fixture::COMMANDS, fixture::COMMAND_TYPES];
    for (world, interfaces, component) in [
        (DRIVER, &[fixture::KV, fixture::POINTS_0_2][..], fixture::wears(FILL)),
        (GATEWAY, &[fixture::READER][..], fixture::peeks(FILL)),
        (GATEWAY, &commands[..], fixture::meddles(FILL)),
        (DRIVER, &[fixture::CONTACTS][..], fixture::relays(FILL)),
    ] {
        let (_fixture, package, services) = reaching(world, interfaces, &component);
        assert_nothing_is_left(&format!("{interfaces:?}"), &package, &services);
    }
    let fixture = Fixture::new();
    let mut manifest = fixture::manifest(&DRIVER_IMPORTS);
    manifest.limits.memory_bytes = TAKEN as u32;
    let start = format!("{FILL} unreachable");
    let storm = fixture::driver(&Guest { start: &start, ..IDLE });
    for (what, component) in [("hoards", fixture::hoards(FILL)), ("falls at its start", storm)] {
        let package = fixture.load(&fixture.seal(&manifest, &component));
        let package = package.unwrap_or_else(|e| panic!("{what}: {}", reason(&e)));
        assert_nothing_is_left(what, &package, &Services::default());
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("there");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
