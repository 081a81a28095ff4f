//! The Megatec driver against a unit that answers anything: no panic, no
//! value that is not finite, no text with control characters.
#![no_main]

use evenkeel_plugin_megatec::Megatec;
use evenkeel_sdk::testkit::Bench;
use evenkeel_sdk::{Driver, Plugin, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bench = Bench::default();
    let mut left = data.to_vec();
    // What is left of the input, up to each CR, is the unit's next answer.
    bench.connect_device(move |_: &[u8]| {
        let end = left.iter().position(|b| *b == b'\r').map_or(left.len(), |at| at + 1);
        Ok::<Vec<u8>, u32>(left.drain(..end).collect())
    });
    let mut driver = Megatec::start(&mut bench).expect("no settings are fine");
    for _ in 0..8 {
        let wait_ms = driver.wake(&mut bench);
        assert!((100..=60_000).contains(&wait_ms));
        let _ = driver.command(&mut bench, "test.battery.start.quick", None);
    }
    for update in bench.published.iter().flatten() {
        match &update.value {
            Value::Number(n) => assert!(n.is_finite(), "{update:?}"),
            Value::Text(t) => assert!(!t.chars().any(char::is_control), "{update:?}"),
            Value::Flag(_) => {}
        }
    }
});
