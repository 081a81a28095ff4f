//! One string under test: its limits while the test runs, its blocks after.

use super::config::TestConfig;
use super::machine::Cause;
use super::verdict::{RESISTANCE_RATIO, Suspect, Suspects, Verdict};
use crate::battery::BatteryType;
use crate::discharge::signature::{finite, median};
use crate::discharge::{DrawMeter, Signature};
use crate::scan::StringScan;
use crate::time::Nanos;

/// A limit must be passed in so many readings one after the other.
const LIMIT_READINGS: u8 = 2;
/// Readings over which a block's lag is averaged.
const LAG_READINGS: f64 = 10.0;
/// A current beyond this share of the capacity per hour is no sensor noise.
const FEEDING_SHARE: f64 = 0.005;
/// Available well of a lead block: at worst a short discharge draws on this
/// share of the capacity alone (facts/battery-science.md §2.4).
const AVAILABLE_SHARE: f64 = 0.385;

/// A string.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    battery: BatteryType,
    signature: Signature,
    abort_v: f64,
    abort_string_v: f64,
    abort_c: f64,
    check_v: f64,
    lost: Nanos,
    began: Nanos,
    meter: DrawMeter,
    blocks: Vec<Block>,
    string_low: u8,
    /// Median under load and the current with it, at the last judged scan.
    loaded: Option<(f64, Option<f64>)>,
    scratch: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    resistance_mohm: Option<f64>,
    lag_before_v: f64,
    /// Mean lag under load, and readings in it.
    lag_v: f64,
    readings: f64,
    low: u8,
    read: Nanos,
}

impl Watch {
    pub(super) fn new(config: &TestConfig, battery: &BatteryType, blocks: usize) -> Self {
        let cells = f64::from(battery.cells);
        Self {
            signature: Signature::of(battery),
            abort_v: config.abort_v(battery) * cells,
            abort_string_v: config.abort_string_v(battery) * cells * blocks as f64,
            abort_c: config.abort_c,
            check_v: config.check_v_per_cell * cells,
            lost: Nanos::from_secs(config.lost_s.into()),
            began: Nanos(0),
            meter: DrawMeter::default(),
            blocks: vec![Block::default(); blocks],
            string_low: 0,
            loaded: None,
            scratch: Vec::with_capacity(blocks),
            battery: battery.clone(),
        }
    }

    /// The string feeds the load, by its current or else by its phase.
    pub(super) fn feeds(&self, scan: &StringScan<'_>, discharge: bool) -> bool {
        finite(scan.current_a).map_or(discharge, |a| a < -FEEDING_SHARE * self.battery.capacity_ah)
    }

    /// Every block has a good reading.
    pub(super) fn is_read(&self, scan: &StringScan<'_>) -> bool {
        let read = scan.blocks.iter().filter(|b| finite(b.voltage_v).is_some()).count();
        read == scan.blocks.len() && read == self.blocks.len()
    }

    pub(super) fn drawn_share(&self) -> Option<f64> {
        self.meter.ah().map(|ah| ah / self.battery.capacity_ah)
    }

    /// A scan without a test: how the blocks stand at float.
    pub(super) fn rest(&mut self, scan: &StringScan<'_>) {
        let median_v = self.median_v(scan);
        for (block, now) in self.blocks.iter_mut().zip(scan.blocks) {
            block.resistance_mohm = finite(now.resistance_mohm).or(block.resistance_mohm);
            if let Some((median_v, v)) = median_v.zip(finite(now.voltage_v)) {
                block.lag_before_v = (median_v - v).max(0.0);
            }
        }
    }

    /// The battery begins to carry the load.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.began = now;
        self.meter = DrawMeter::default();
        (self.string_low, self.loaded) = (0, None);
        for block in &mut self.blocks {
            let Block { resistance_mohm, lag_before_v, .. } = *block;
            *block = Block { resistance_mohm, lag_before_v, read: now, ..Block::default() };
        }
    }

    /// A scan under load: the first limit that is passed, and by which block.
    pub(super) fn step(
        &mut self,
        now: Nanos,
        scan: &StringScan<'_>,
    ) -> Option<(Cause, Option<usize>)> {
        let string_v = finite(scan.string_v).or(finite(scan.sum_v()));
        self.meter.step(now, scan.current_a, string_v);
        let elapsed_s = now.since(self.began).as_secs_f64();
        let allowance_v = self.signature.allowance_now_v(self.meter.ah(), elapsed_s);
        let median_v = self.median_v(scan);
        if allowance_v == 0.0 {
            self.loaded = median_v.map(|v| (v, finite(scan.current_a))).or(self.loaded);
        }
        let string_low = string_v
            .is_some_and(|v| v < self.abort_string_v - allowance_v * self.blocks.len() as f64);
        self.string_low = if string_low { self.string_low.saturating_add(1) } else { 0 };
        let mut passed =
            (self.string_low >= LIMIT_READINGS).then_some((Cause::StringVoltage, None));
        for (place, block) in self.blocks.iter_mut().enumerate() {
            let found = scan.blocks.get(place).copied().unwrap_or_default();
            if finite(found.temperature_c).is_some_and(|c| c > self.abort_c) {
                passed = passed.or(Some((Cause::Temperature, Some(place))));
            }
            let Some(v) = finite(found.voltage_v) else {
                if now.since(block.read) > self.lost {
                    passed = passed.or(Some((Cause::Lost, Some(place))));
                }
                continue;
            };
            block.read = now;
            let reversed = self.signature.judge(v, median_v, block.lag_before_v, allowance_v);
            let low = reversed.is_some() || v < self.abort_v - allowance_v;
            block.low = if low { block.low.saturating_add(1) } else { 0 };
            if block.low >= LIMIT_READINGS {
                passed = passed.or(Some((Cause::BlockVoltage, Some(place))));
            }
            if let Some(median_v) = median_v.filter(|_| allowance_v == 0.0) {
                block.readings = (block.readings + 1.0).min(LAG_READINGS);
                block.lag_v += (median_v - v - block.lag_v) / block.readings;
            }
        }
        passed
    }

    /// The blocks to be checked, and what to say of the string.
    pub(super) fn judge(&mut self, string: usize, suspects: &mut Suspects) -> Verdict {
        let Some((median_v, current_a)) = self.loaded else { return Verdict::Inconclusive };
        let known = self.blocks.iter().filter_map(|b| b.resistance_mohm);
        self.scratch.clear();
        self.scratch.extend(known);
        let resistance_mohm = median(&mut self.scratch).filter(|r| *r > 0.0);
        let before = suspects.count;
        for (place, block) in self.blocks.iter().enumerate().filter(|(_, b)| b.readings > 0.0) {
            let ratio = block.resistance_mohm.zip(resistance_mohm).map(|(r, median)| r / median);
            let lag_v = block.lag_v - block.lag_before_v;
            let by_lag = lag_v / self.check_v;
            let by_resistance = ratio.map_or(0.0, |r| (r - 1.0) / (RESISTANCE_RATIO - 1.0));
            if by_lag.max(by_resistance) >= 1.0 {
                suspects.add(Suspect {
                    string: string as u16,
                    block: place as u16,
                    lag_v: block.lag_v as f32,
                    resistance_ratio: ratio.map(|r| r as f32),
                    severity: (by_lag.max(0.0) + by_resistance.max(0.0)) as f32,
                });
            }
        }
        let weak = self.least_v(current_a).is_some_and(|least| median_v < least - self.check_v);
        if suspects.count > before || weak { Verdict::Check } else { Verdict::Pass }
    }

    /// The least that a sound lead block of this type shows at this current
    /// and depth, V: open circuit less the drop in its resistance, from the
    /// discharge model of facts/battery-science.md §2.4.
    fn least_v(&self, current_a: Option<f64>) -> Option<f64> {
        let data = self.battery.chemistry.data();
        let amps = -current_a.filter(|_| data.lead)?;
        let ohm = self.battery.resistance_mohm? / 1e3;
        let empty = (self.drawn_share()? / AVAILABLE_SHARE).min(1.0);
        let rest_v = data.rest_full_v - empty * (data.rest_full_v - data.rest_empty_v);
        Some(rest_v * f64::from(self.battery.cells) - amps * ohm * (1.5 + empty))
    }

    fn median_v(&mut self, scan: &StringScan<'_>) -> Option<f64> {
        let known = scan.blocks.iter().take(self.blocks.len());
        self.scratch.clear();
        self.scratch.extend(known.filter_map(|b| finite(b.voltage_v)));
        median(&mut self.scratch)
    }
}
