//! Each limit by itself: who goes beyond it is stopped, and the words say which
//! limit it was.

use super::*;
use crate::plugin::fixture::probe::{self, probe};

/// The function `$call` of an interface.
fn import(interface: &str, function: &str, parameters: &str) -> String {
    format!("(import {interface:?} {function:?} (func $call (param {parameters})))")
}

/// How the first wake of a probe that imports `interface` ends.
fn wakes(interface: &str, imports: &str, wake: &str) -> Result<Running, String> {
    let component = probe(imports, wake, &probe::DRIVER);
    let fixture = Fixture::new();
    let manifest = probe::manifest(&[interface], &[], &probe::DRIVER);
    std::fs::write(fixture.file(), fixture.seal(&manifest, &component)).expect("written");
    let package = load(&fixture, &fixture::grant("/dev/ttyS1")).unwrap_or_else(|e| panic!("{e}"));
    let store = Store::open(fixture.dir.path(), Limits::default()).expect("a store");
    let services = Services { store: Some(Arc::new(store)), ..Services::default() };
    let (instance, around) = start(&package, CALL_MAX, services).map_err(|e| e.to_string())?;
    let mut running = Running { instance, around, _fixture: fixture };
    running.instance.wake().map_err(|failure| failure.to_string())?;
    Ok(running)
}

/// What these call is done by the host, where no clock of the guest ticks: each
/// call is short, and between two of them the budget is looked at.
#[test]
fn a_flood_of_costly_calls_of_the_host_is_cut_like_any_other() {
    const CRYPTO: &str = "evenkeel:crypto/crypto@0.1.0";
    const RANDOM: &str = "evenkeel:random/random@0.1.0";
    let again =
        |call: &str| format!("(loop $l (global.set $heap (i32.const 8192)) {call} (br $l))");
    for (what, interface, function, parameters, call) in [
        (
            // SHA-512 of all that one call may carry.
            "digests",
            CRYPTO,
            "digest",
            "i32 i32 i32 i32",
            "(call $call (i32.const 5) (i32.const 65536) (i32.const 65536) (i32.const 4000))",
        ),
        (
            "random numbers",
            RANDOM,
            "bytes",
            "i32 i32",
            "(call $call (i32.const -1) (i32.const 4000))",
        ),
        (
            "stored values that are not there",
            fixture::KV,
            "get",
            "i32 i32 i32",
            "(call $call (i32.const 3000) (i32.const 5) (i32.const 4000))",
        ),
        (
            "stored values that are too long",
            fixture::KV,
            "set",
            "i32 i32 i32 i32 i32",
            "(call $call (i32.const 3000) (i32.const 5) (i32.const 0) (i32.const 65536)
                (i32.const 4000))",
        ),
    ] {
        let before = budget::thread_cpu();
        let imports = import(interface, function, parameters);
        let Err(text) = wakes(interface, &imports, &again(call)) else { panic!("{what}: it ends") };
        assert_eq!(text, "wake used more than its 50 ms of processor time", "{what}");
        // Loading it is in it, too; processor time, so load does not matter.
        let used = budget::thread_cpu().since(before);
        println!("{what}: {} ms", used.as_millis());
        assert!(used < Nanos::from_millis(1_500), "{what}: {used:?}");
    }
}

/// A result of the guest is data that goes to the host as well.
#[test]
fn giant_results_are_refused_by_their_length() {
    let mut manifest = fixture::manifest(&[fixture::POINTS_0_2]);
    manifest.world = DRIVER.into();
    let saved = |len: u32| {
        // The list that `save` leaves is so long; memory has 640 KiB.
        let wake = format!(
            "(drop (memory.grow (i32.const 9))) (i32.store (i32.const 652) (i32.const {len}))
            (i32.const 1000)"
        );
        let fixture = Fixture::new();
        let raw = fixture.seal(&manifest, &fixture::driver_0_2(1, &wake));
        let started = fixture.start(&raw, Services::default(), Default::default());
        let mut instance = started.unwrap_or_else(|e| panic!("{e}"));
        instance.wake().expect("wakes");
        instance.save().map(|_| ()).map_err(|failure| failure.to_string())
    };
    assert_eq!(saved(200_000), Ok(()), "too much to be handed over, and no trap");
    let text = saved(300_000).expect_err("refused");
    assert!(text.starts_with("save trapped: more than 262144 bytes were to go"), "{text}");
    let text = saved(2_000_000_000).expect_err("refused");
    assert!(text.starts_with("save trapped: ") && text.contains("out of bounds"), "{text}");
}

/// Where the host is to leave its answer is the guest's word.
#[test]
fn an_answer_that_belongs_where_no_memory_is_is_not_written() {
    const RANDOM: &str = "evenkeel:random/random@0.1.0";
    let imports = import(RANDOM, "bytes", "i32 i32");
    for (heap, retptr) in [("0x7fffff00", 4_000), ("-8", 4_000), ("131064", 4_000), ("8192", -4)] {
        let wake = format!(
            "(global.set $heap (i32.const {heap}))
            (call $call (i32.const 1024) (i32.const {retptr}))"
        );
        let Err(text) = wakes(RANDOM, &imports, &wake) else { panic!("{heap}: it is written") };
        assert!(text.starts_with("wake trapped: "), "{heap}: {text}");
    }
}

/// Handles that a guest makes for itself cost the host a row each.
#[test]
fn whoever_makes_handles_without_end_has_so_many_and_no_more() {
    const THINGS: &str = "things: interface { resource thing { constructor(); } } export ";
    let functions = format!(
        r#"{} (func (export "things#[constructor]thing") (result i32) (call $new (i32.const 1)))"#,
        probe::DRIVER.functions
    );
    let interface = format!("{THINGS}{}", probe::DRIVER.interface);
    let maker = probe::Task { interface: &interface, functions: &functions, ..probe::DRIVER };
    let imports = r#"(import "[export]things" "[resource-new]thing"
        (func $new (param i32) (result i32)))"#;
    let component = probe(imports, "(loop $l (drop (call $new (i32.const 1))) (br $l))", &maker);
    let fixture = Fixture::new();
    let manifest = probe::manifest(&[LOG], &[], &maker);
    std::fs::write(fixture.file(), fixture.seal(&manifest, &component)).expect("written");
    let package = load(&fixture, &fixture::grant("/dev/ttyS1")).unwrap_or_else(|e| panic!("{e}"));
    let started = start(&package, CALL_MAX, Services::default());
    let (mut instance, _) = started.unwrap_or_else(|e| panic!("{e}"));
    let text = instance.wake().expect_err("stopped").to_string();
    assert!(text.starts_with("wake trapped: it has 128 handles and may have no more"), "{text}");
}

/// Five seconds of one processor: the longest that a start may take of it.
#[test]
fn whoever_computes_at_its_start_is_cut_after_five_seconds() {
    let before = budget::thread_cpu();
    let begun = run(&Guest { start: "(loop $l (br $l)) (i32.const 16)", ..IDLE });
    let text = begun.map(|_| ()).expect_err("cut").to_string();
    assert_eq!(text, "start used more than its 5000 ms of processor time");
    let used = budget::thread_cpu().since(before);
    assert!(used >= budget::START_CPU && used < Nanos::from_secs(7), "{used:?}");
}
