//! Plants for tests.

use super::Plant;
use evenkeel_core::bus::topology::Cable;
use evenkeel_core::equalize::BlockReport;
use evenkeel_core::image::{BlockRecord, BusRecord, BusWork, Fault, Snapshot, StringRecord};
use evenkeel_core::points::Quality;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::time::Nanos;

/// Target of every block, V.
pub const TARGET_V: f64 = 13.6;

/// A block that was read at 90 s; 0 V is a silent module.
pub fn block(volts: f64) -> BlockRecord {
    let read = volts > 0.0;
    let quality = if read { Quality::Good } else { Quality::Bad };
    BlockRecord {
        voltage_mv: (volts * 1e3).round() as u16,
        temperature_dc: 253,
        quality,
        temperature_quality: quality,
        fault: if read { Fault::None } else { Fault::Silent },
        read: Nanos::from_secs(90),
        serial: 77,
        equalize: BlockReport {
            target_v: TARGET_V,
            deviation_v: if read { volts - TARGET_V } else { f64::NAN },
            ..BlockReport::default()
        },
        ..BlockRecord::default()
    }
}

/// A string of such blocks.
pub fn string(volts: &[f64]) -> StringRecord {
    let mut string = StringRecord::new(volts.iter().copied().map(block).collect());
    let deviations = string.blocks.iter().map(|b| b.equalize.deviation_v);
    let worst_v = deviations
        .filter(|d| d.is_finite())
        .fold(0.0, |a: f64, d| if d.abs() > a.abs() { d } else { a });
    (string.equalize.target_v, string.equalize.worst_v) = (TARGET_V, worst_v);
    string.equalize.members = volts.len() as u16;
    string
}

/// A plant of one string on one bus.
pub fn plant(volts: &[f64]) -> Plant {
    let strings = vec![string(volts)];
    let snapshot = Snapshot { strings, buses: vec![bus(false)], ..Snapshot::default() };
    Plant {
        snapshot,
        strings: vec!["A".into()],
        devices: Vec::new(),
        connected: true,
        over: Vec::new(),
    }
}

/// A bus.
pub fn bus(lost: bool) -> BusRecord {
    BusRecord {
        lost,
        utilisation: 0.25,
        bad_frames: 0,
        unexpected_frames: 0,
        missed_replies: 0,
        strangers: [0; 4],
        cable: Cable::Whole,
        work: BusWork::None,
        found: Vec::new(),
    }
}

/// Something is wrong with a block.
pub fn mark(string: &mut StringRecord, block: usize, condition: Condition, level: Level) {
    string.protect.blocks[block].insert(condition, level);
    string.protect.all.insert(condition, level);
    string.protect.level = string.protect.level.max(level);
}
