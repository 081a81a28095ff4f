//! The bus master against arbitrary line noise and against good frames of any
//! contents, with an errand under way: it must neither panic nor hang, and a
//! cycle must end within its bounded time.
#![no_main]

use evenkeel_core::bus::discover::Discovery;
use evenkeel_core::bus::errand::Errand;
use evenkeel_core::bus::master::{Master, Step, Timing};
use evenkeel_core::bus::wire::{DeviceKind, Duty, Ends, FRAME_MAX, Frame, Outputs, encode};
use evenkeel_core::time::Nanos;
use libfuzzer_sys::fuzz_target;

const TIMING: Timing =
    Timing { baud: 115_200, window_ms: 100, slack: Nanos(10_000_000), hold_ds: 30 };
const DEVICES: [(u16, DeviceKind); 3] =
    [(1_025, DeviceKind::Current200), (1_026, DeviceKind::Site), (1_279, DeviceKind::Panel)];

fuzz_target!(|data: &[u8]| {
    let modules = (1..=40).chain(100..=140);
    let mut master = Master::new(TIMING, modules, DEVICES).expect("fixed addresses");
    master.set_outputs(1, Outputs { on: 3, keep: 1 });
    let mut discovery = Discovery::default();
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let mut noise = data.chunks(31);
    let mut now = Nanos(0);
    for _ in 0..3 {
        let began = now;
        let errand = errand(*choice).or_else(|| discovery.errand());
        // Busy with the last one is as good.
        let _ = errand.map(|errand| master.errand(errand));
        master.start_cycle(began + Nanos::from_secs(1));
        loop {
            match master.poll(now) {
                Step::Send(_) => {}
                Step::Wait(until) => {
                    assert!(until > now);
                    let bytes = noise.next().unwrap_or(&[]);
                    master.receive(bytes);
                    framed(bytes, |frame| master.receive(frame));
                    now = until;
                }
                Step::Scanned => master.command(&[Duty::FULL; 81]),
                Step::Idle => break,
            }
        }
        assert!(now.since(began) <= Nanos::from_secs(1));
        if let Some(outcome) = master.take_outcome() {
            discovery.take(&outcome);
        }
        now = began + Nanos::from_secs(1);
    }
});

/// An errand of any sort; `None` leaves it to the discovery.
fn errand(choice: u8) -> Option<Errand> {
    Some(match choice % 6 {
        0 => Errand::Measure { address: 7 },
        1 => Errand::Offer { address: 3 },
        2 => Errand::Assign { serial: 0, address: 3 },
        3 => Errand::Probe { feed: Some((1_279, Ends::A)), first: 30, count: choice },
        4 => Errand::Probe { feed: None, first: 1, count: choice },
        _ => return None,
    })
}

/// The bytes as a frame with a right check sum.
fn framed(bytes: &[u8], f: impl FnOnce(&[u8])) {
    if let Some((&[kind, low, high], payload)) = bytes.split_first_chunk::<3>() {
        let mut out = [0; FRAME_MAX];
        let len =
            encode(&Frame { kind, address: u16::from_le_bytes([low, high]), payload }, &mut out);
        f(&out[..len]);
    }
}
