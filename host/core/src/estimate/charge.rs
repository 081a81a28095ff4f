//! Counting charge: what a string has given and not got back.
//!
//! facts/battery-science.md §5.1: the offset of a Hall sensor dominates, so it
//! is learned while the string floats, and only current that stands out of the
//! sensor's noise is counted.

use crate::battery::BatteryType;
use crate::scan::Phase;

use super::shape::{cell_prior, interpolate, shapes};

/// A current on float larger than this share of the capacity per hour is no offset.
const OFFSET_MAX: f64 = 0.02;
/// Samples over which offset and noise are averaged.
const OFFSET_SAMPLES: f64 = 60.0;
/// Longest time between two samples that is bridged, s.
const GAP_MAX_S: f64 = 900.0;
/// On float, what is left to go in goes in within this time at the present
/// current, h: lead takes its last per cents slowly.
const TAIL_H: (f64, f64) = (4.0, 1.0);
/// Below this share missing, the current on float is the sensor's offset.
const FULL: f64 = 0.005;
/// A voltage at rest tells the charge this long after a load or a charge, s.
const REST_S: f64 = 7200.0;
/// A string that floats this long is full whatever was counted, s.
const FULL_AFTER_S: f64 = 24.0 * 3600.0;
/// So is one that lacks less than this share after an hour.
const NEARLY_FULL: f64 = 0.05;
/// Share of the charge that goes in which comes out again.
const EFFICIENCY: f64 = 0.97;
const EFFICIENCY_LITHIUM: f64 = 0.995;

/// Charge that a string lacks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Missing {
    /// Nothing is known: monitoring began in the middle of something.
    Unknown,
    /// Counted from full, Ah.
    Counted(f64),
    /// Read from the voltage at rest, share of the capacity.
    Rest(f64),
}

/// The counter of a string.
#[derive(Clone, Debug)]
pub(super) struct ChargeCounter {
    offset_a: f64,
    offset_samples: f64,
    noise_a: f64,
    last_a: Option<f64>,
    float_s: f64,
    rest_s: f64,
    pub missing: Missing,
}

impl ChargeCounter {
    pub(super) const fn new() -> Self {
        Self {
            offset_a: 0.0,
            offset_samples: 0.0,
            noise_a: 0.0,
            last_a: None,
            float_s: 0.0,
            // Whoever switches monitoring on has not just moved charge.
            rest_s: REST_S,
            missing: Missing::Unknown,
        }
    }

    /// A current without the sensor's offset, A.
    pub(super) fn corrected_a(&self, amps: f64) -> f64 {
        amps - self.offset_a
    }

    /// Count a sample; `amps` as measured, `cell_v` the mean of the cells.
    /// Returns the charge drawn since the last sample, Ah (negative: put in).
    pub(super) fn push(
        &mut self,
        battery: &BatteryType,
        phase: Phase,
        amps: f64,
        cell_v: Option<f64>,
        dt_s: f64,
    ) -> f64 {
        let full = !matches!(self.missing, Missing::Counted(ah) if ah > FULL * battery.capacity_ah);
        if phase == Phase::Float && full {
            self.learn_offset(battery, amps);
        }
        let now_a = self.corrected_a(amps);
        let before_a = self.last_a.replace(now_a).unwrap_or(now_a);
        let dt_s = if dt_s > GAP_MAX_S { 0.0 } else { dt_s };
        let mean_a = 0.5 * (now_a + before_a);
        let drawn_ah = if mean_a.abs() > 3.0 * self.noise_a || phase == Phase::Discharge {
            -mean_a * dt_s / 3600.0
        } else {
            0.0
        };
        self.settle(battery, phase, cell_v, drawn_ah, dt_s);
        if let (Missing::Counted(ah), Phase::Float | Phase::Boost) = (self.missing, phase) {
            let lithium = battery.chemistry_data().lithium;
            let tail_h = if lithium { TAIL_H.1 } else { TAIL_H.0 };
            self.missing = Missing::Counted(ah.min(tail_h * now_a.max(0.0)));
        }
        drawn_ah
    }

    /// There was no current in this sample.
    pub(super) fn interrupt(&mut self) {
        self.last_a = None;
    }

    fn learn_offset(&mut self, battery: &BatteryType, amps: f64) {
        if amps.is_nan() || amps.abs() > OFFSET_MAX * battery.capacity_ah {
            return;
        }
        self.offset_samples = (self.offset_samples + 1.0).min(OFFSET_SAMPLES);
        let away = amps - self.offset_a;
        self.offset_a += away / self.offset_samples;
        if self.offset_samples > 1.0 {
            let square = self.noise_a * self.noise_a;
            self.noise_a = (square + (away * away - square) / self.offset_samples).sqrt();
        }
    }

    fn settle(
        &mut self,
        battery: &BatteryType,
        phase: Phase,
        cell_v: Option<f64>,
        drawn_ah: f64,
        dt_s: f64,
    ) {
        self.float_s = if phase == Phase::Float { self.float_s + dt_s } else { 0.0 };
        self.rest_s = match phase {
            Phase::Discharge | Phase::Recharge => 0.0,
            Phase::Unknown | Phase::Float | Phase::Boost => self.rest_s + dt_s,
        };
        let lithium = battery.chemistry_data().lithium;
        let efficiency = if lithium { EFFICIENCY_LITHIUM } else { EFFICIENCY };
        let counted = drawn_ah * if drawn_ah < 0.0 { efficiency } else { 1.0 };
        self.missing = match (self.missing, phase) {
            (Missing::Unknown, Phase::Float) => Missing::Counted(0.0),
            (Missing::Unknown | Missing::Rest(_), Phase::Unknown) if self.rest_s >= REST_S => {
                cell_v.map_or(self.missing, |v| Missing::Rest(missing_at_rest(battery, v)))
            }
            (Missing::Counted(_) | Missing::Rest(_), Phase::Float)
                if self.float_s > FULL_AFTER_S =>
            {
                Missing::Counted(0.0)
            }
            (Missing::Counted(ah), Phase::Float)
                if self.float_s > 3600.0 && ah < NEARLY_FULL * battery.capacity_ah =>
            {
                Missing::Counted(0.0)
            }
            (Missing::Counted(ah), _) => Missing::Counted((ah + counted).max(0.0)),
            (Missing::Rest(share), _) => {
                Missing::Rest((share + counted / battery.capacity_ah).clamp(0.0, 1.0))
            }
            (Missing::Unknown, _) => Missing::Unknown,
        };
    }
}

/// Share of the charge that a cell at rest lacks at this voltage.
fn missing_at_rest(battery: &BatteryType, cell_v: f64) -> f64 {
    let data = battery.chemistry_data();
    let missing = match shapes(battery.chemistry)[0].open {
        // Makers differ by what 12 % of the charge means: close to full is full.
        [] => (data.rest_full_v - 0.045 - cell_v) / (data.rest_full_v - 0.03 - data.rest_empty_v),
        table => {
            let full_v = cell_prior(battery).full_v;
            if cell_v > full_v - 0.06 {
                return 0.0;
            }
            // The first entry above this voltage, by bisection over the table.
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..12 {
                let middle = 0.5 * (low + high);
                if interpolate(table, middle) < cell_v { low = middle } else { high = middle }
            }
            1.0 - low
        }
    };
    if missing < 0.05 { 0.0 } else { missing.min(0.95) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;

    fn agm() -> BatteryType {
        BatteryType::new(Chemistry::Agm, 6, 100.0)
    }

    #[test]
    fn an_offset_is_learned_on_float_and_not_counted() {
        let (battery, mut counter) = (agm(), ChargeCounter::new());
        for i in 0..600 {
            let noise = if i % 2 == 0 { 0.1 } else { -0.1 };
            counter.push(&battery, Phase::Float, -1.0 + noise, Some(2.27), 10.0);
        }
        assert_eq!(counter.missing, Missing::Counted(0.0));
        let drawn: f64 = (0..361)
            .map(|_| counter.push(&battery, Phase::Discharge, -11.0, Some(2.0), 10.0))
            .sum();
        assert!((drawn - 10.0).abs() < 0.1, "{drawn}");
        assert!(matches!(counter.missing, Missing::Counted(ah) if (ah - drawn).abs() < 1e-9));
    }

    #[test]
    fn a_gap_is_not_counted_and_a_long_float_is_full() {
        let (battery, mut counter) = (agm(), ChargeCounter::new());
        counter.push(&battery, Phase::Float, 0.0, Some(2.27), 1.0);
        counter.push(&battery, Phase::Discharge, -50.0, Some(2.0), 60.0);
        assert_eq!(counter.push(&battery, Phase::Discharge, -50.0, Some(2.0), 5_000.0), 0.0);
        for _ in 0..30 {
            counter.push(&battery, Phase::Discharge, -50.0, Some(2.0), 600.0);
        }
        assert!(matches!(counter.missing, Missing::Counted(ah) if ah > 200.0));
        for _ in 0..150 {
            counter.push(&battery, Phase::Float, 0.05, Some(2.27), 600.0);
        }
        assert_eq!(counter.missing, Missing::Counted(0.0));
    }

    #[test]
    fn rest_voltage_is_read_where_it_tells_something() {
        for (chemistry, cell_v, missing) in [
            (Chemistry::Agm, 2.15, 0.0),
            (Chemistry::Agm, 2.05, 0.35),
            (Chemistry::Nmc, 4.17, 0.0),
            (Chemistry::Nmc, 3.70, 0.5),
            (Chemistry::Lfp, 3.35, 0.0),
        ] {
            let got = missing_at_rest(&BatteryType::new(chemistry, 1, 100.0), cell_v);
            assert!((got - missing).abs() < 0.05, "{chemistry:?} {cell_v} V: {got}");
        }
    }
}
