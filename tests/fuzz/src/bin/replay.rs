//! What the user's tool takes: a battery file, and behind a zero byte a
//! recording of it.
#![no_main]

use evenkeel::battery_file::ReplayBattery;
use evenkeel::replay::Replay;
use evenkeel::trace::{Sample, Trace};
use libfuzzer_sys::fuzz_target;

/// Lines per input: an hour of fits would find nothing more.
const LINES_MAX: usize = 40;
/// A battery that every recording can be of.
const BATTERY: &str = "chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n";

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or(BATTERY);
    let default = || ReplayBattery::parse(BATTERY).expect("valid");
    let battery = ReplayBattery::parse(text).unwrap_or_else(|_| default());
    let Ok(mut trace) = Trace::new(parts.next().unwrap_or(data)) else { return };
    if trace.blocks() > 64 {
        return;
    }
    let Ok(mut replay) = Replay::new(&battery, trace.blocks()) else { return };
    let mut sample = Sample::default();
    for _ in 0..LINES_MAX {
        match trace.read(&mut sample) {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        let Ok(estimate) = replay.step(&sample) else { return };
        assert!(estimate.runtime_s.is_none_or(|s| s >= 0.0), "{estimate:?}");
    }
});
