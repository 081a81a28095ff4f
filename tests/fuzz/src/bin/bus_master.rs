//! The bus master against arbitrary line noise: it must neither panic nor
//! hang, and a cycle must end within its bounded time.
#![no_main]

use evenkeel_core::bus::master::{Master, Step, Timing};
use evenkeel_core::bus::wire::Duty;
use evenkeel_core::time::Nanos;
use libfuzzer_sys::fuzz_target;

const TIMING: Timing =
    Timing { baud: 115_200, window_ms: 100, slack: Nanos(10_000_000), hold_ds: 30 };

fuzz_target!(|data: &[u8]| {
    let mut master = Master::new(TIMING, (1..=40).chain(100..=140), []).expect("fixed addresses");
    let mut noise = data.chunks(31);
    let mut now = Nanos(0);
    for _ in 0..3 {
        let began = now;
        master.start_cycle(began + Nanos::from_secs(1));
        loop {
            match master.poll(now) {
                Step::Send(_) => {}
                Step::Wait(until) => {
                    assert!(until > now);
                    master.receive(noise.next().unwrap_or(&[]));
                    now = until;
                }
                Step::Scanned => master.command(&[Duty::FULL; 81]),
                Step::Idle => break,
            }
        }
        assert!(now.since(began) <= Nanos::from_secs(1));
    }
});
