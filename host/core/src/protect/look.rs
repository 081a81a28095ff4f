//! A scan as the detectors see it: numbers that are numbers, the medians of
//! the string, and the time since the scan before.

use super::hold::Tick;
use crate::scan::{BlockScan, Phase, StringScan};

/// One scan of a string, with what every detector asks of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub tick: Tick,
    pub blocks: &'a [BlockScan],
    /// The phase in force: the last known one bridges a short doubt.
    pub phase: Phase,
    pub current_a: Option<f64>,
    pub string_v: Option<f64>,
    pub ambient_c: Option<f64>,
    pub median_v: Option<f64>,
    /// Sum of all blocks, V; `None` unless each has one.
    pub sum_v: Option<f64>,
    /// The breaker is open, whoever opened it.
    pub breaker_open: bool,
}

impl<'a> Look<'a> {
    pub fn new(tick: Tick, scan: &StringScan<'a>, phase: Phase, scratch: &mut Vec<f64>) -> Self {
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
        Self {
            tick,
            blocks: scan.blocks,
            phase,
            current_a: finite(scan.current_a),
            string_v: finite(scan.string_v),
            // Outside, no sensor measures the air of a battery room.
            ambient_c: scan.ambient_c.filter(|c| (-20.0..=60.0).contains(c)),
            median_v: median(scratch, scan.blocks.iter().filter_map(volts)),
            sum_v: finite(scan.sum_v()),
            breaker_open: false,
        }
    }

    /// On float, where a block's voltage can be compared with the others'.
    pub fn on_float(&self) -> bool {
        self.phase == Phase::Float && !self.breaker_open
    }
}

/// A block's voltage, if it is one.
pub(super) fn volts(block: &BlockScan) -> Option<f64> {
    block.voltage_v.filter(|v| v.is_finite())
}

/// What stands in for a voltage below the module's range.
pub(super) fn beneath(block: &BlockScan) -> Option<f64> {
    block.beneath_v.filter(|v| v.is_finite())
}

/// A block's temperature, if it is one.
pub(super) fn celsius(block: &BlockScan) -> Option<f64> {
    block.temperature_c.filter(|c| c.is_finite())
}

/// The module gave nothing at all.
pub(super) fn is_silent(block: &BlockScan) -> bool {
    volts(block).is_none() && celsius(block).is_none() && block.resistance_mohm.is_none()
}

/// Median, the lower one of two; at most the scratch's capacity of values, so
/// that nothing is allocated.
pub(super) fn median(scratch: &mut Vec<f64>, values: impl Iterator<Item = f64>) -> Option<f64> {
    scratch.clear();
    scratch.extend(values.take(scratch.capacity()));
    let middle = scratch.len().checked_sub(1)? / 2;
    Some(*scratch.select_nth_unstable_by(middle, f64::total_cmp).1)
}
