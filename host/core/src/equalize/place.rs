//! One block with its state: what was read of it, and what keeps it off.

use super::config::BlockConfig;
use super::law::Law;
use super::report::Activity;
use super::warmth::{Warmth, lowered_k};
use crate::scan::BlockScan;

/// A hot block takes part again this far below the limit, K.
const COOL_K: f64 = 2.0;
/// A block this far below the discharge voltage, as a share of its nominal
/// voltage, is never bypassed (2.10 V per AGM cell; the module refuses too).
const FLOOR_SHARE: f64 = 0.025;

/// A block with its state.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub cells: f64,
    floor_v: f64,
    /// By how much a warm block's target is lowered, V/K.
    compensation_v_per_k: f64,
    pub law: Law,
    pub warmth: Warmth,
    hot: bool,
    /// Of this scan, V.
    pub voltage_v: Option<f64>,
    pub bypass_a: f64,
    /// By how much the target is lowered now, V.
    pub lowered_v: f64,
    /// What keeps this block off, if anything does.
    pub rest: Option<Activity>,
}

impl Place {
    /// For a block as configured.
    pub fn new(block: &BlockConfig, cycle_s: f64) -> Self {
        let battery = &block.battery;
        let data = battery.chemistry_data();
        let cells = battery.cells_f64();
        Self {
            cells,
            floor_v: cells * (data.discharge_v - FLOOR_SHARE * data.nominal_v),
            compensation_v_per_k: -battery.float_v_per_cell_k() * cells,
            law: Law::new(battery, block.module.data(), cycle_s),
            warmth: Warmth::new(block.internal_sensor),
            hot: false,
            voltage_v: None,
            bypass_a: 0.0,
            lowered_v: 0.0,
            rest: Some(Activity::NoReading),
        }
    }

    /// Take a scan of it.
    pub fn read(&mut self, scan: &BlockScan, hot_c: f64, measuring: bool, dt_s: f64) {
        self.voltage_v = scan.voltage_v.filter(|v| v.is_finite());
        self.bypass_a = if scan.bypass_a.is_finite() { scan.bypass_a.max(0.0) } else { 0.0 };
        let watts = self.bypass_a * self.voltage_v.unwrap_or(0.0);
        self.warmth.step(scan.temperature_c, watts, dt_s);
        let limit_c = if self.hot { hot_c - COOL_K } else { hot_c };
        // Without a temperature a block stays what it was.
        if let Some(celsius) = scan.temperature_c.filter(|c| c.is_finite()) {
            self.hot = celsius > limit_c;
        }
        self.rest = match self.voltage_v {
            _ if self.hot => Some(Activity::Hot),
            Some(v) if self.warmth.celsius().is_some() => match v {
                v if v < self.floor_v => Some(Activity::LowVoltage),
                _ if measuring => Some(Activity::Measuring),
                _ => None,
            },
            _ => Some(Activity::NoReading),
        };
    }

    /// Lower the target of a block that is warmer than the string's median.
    pub fn lower(&mut self, median_c: Option<f64>) {
        let warmer_k = self.warmth.celsius().zip(median_c).map_or(0.0, |(c, median)| c - median);
        self.lowered_v = self.compensation_v_per_k * lowered_k(warmer_k);
    }

    /// May make the target: who cannot shed would keep the others apart.
    pub fn counts(&self) -> bool {
        !matches!(self.rest, Some(Activity::Hot | Activity::NoReading))
    }
}
