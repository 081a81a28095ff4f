//! Shapes of discharge curves: what the voltage of a cell may do between full
//! and empty at a constant load.
//!
//! # Terms
//! *Depth* x is the charge drawn over the charge Q at which the curve
//! collapses, 0 … 1. A curve is
//!
//! `v(x) = level + open(x) − slope·x − knee·k(x) − drop·(I/I_ref − 1)`
//!
//! with `open` a fixed open-circuit curve (zero for lead, whose open-circuit
//! voltage is a straight line, facts/battery-science.md §2.4) and `k` the kind
//! of collapse. Nobody knows which of the published models a given battery
//! resembles, so a chemistry has several shapes, and the fit weighs them by
//! how well they explain what was measured ([`super::fit`]).

use crate::battery::{BatteryType, Chemistry};

use super::open_circuit::{
    LFP_PLAIN, LFP_POWER, LFP_PRINTED, LFP_STAGED, LFP_ZONE, NMC_ALUMINIUM, NMC_COBALT, NMC_ENERGY,
    NMC_FIVE, NMC_MIXED, NMC_POLYMER, NMC_POUCH, NMC_POWER, NMC_PRINTED, NMC_RICH, NMC_SILICON,
    NMC_ZONE,
};

/// How a curve collapses towards its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Knee {
    /// exp(−(1 − x)/w): the available charge runs out at once.
    Exponential(f64),
    /// x/(1 − x): Shepherd's pole.
    Pole,
    /// (1 − x)^−1.5 − 1: a resistance that grows without bound (CIEMAT).
    Power,
    /// −ln(1 − x): Nernst's law.
    Logarithm,
}

/// A shape and what is likely of its coefficients, per cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Open-circuit voltage by state of charge, V; empty: a straight line.
    pub open: &'static [(f64, f64)],
    pub knee: Knee,
    /// Level when full over that of the chemistry, V.
    pub level_v: f64,
    /// How far the level when empty may be off, V.
    pub level_sigma_v: f64,
    /// Fall from full to empty besides `open` and the knee, V, and how far
    /// it may be off.
    pub slope_v: (f64, f64),
    /// Amplitude of the knee, V, and how far it may be off.
    pub knee_v: (f64, f64),
    /// The same as a multiple of the ohmic drop.
    pub knee_drops: f64,
    /// Rise of the resistance towards empty, as a multiple of the ohmic drop.
    pub slope_drops: f64,
    /// How far the two wells may bend it, share of what the model says.
    pub sag: f64,
    /// How likely the shape is before anything was seen.
    pub weight: f64,
}

/// What is likely of a cell's level and resistance.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellPrior {
    /// Voltage of a full cell at rest, V.
    pub full_v: f64,
    /// Resistance of a cell, with what follows within minutes, Ω.
    pub ohm: f64,
    /// Change of the capacity per K below 25 °C and above.
    pub per_k: (f64, f64),
    /// Error of the best shape near the present depth, V.
    pub shape_v: f64,
    /// Disturbance in the first per cents of a discharge (coup de fouet,
    /// surface charge, relaxation), V, and the share of the rated capacity and
    /// the time within which it decays, the later of them.
    pub start_v: f64,
    pub start_depth: f64,
    pub start_s: f64,
}

impl Knee {
    /// k(x); 0 at x = 0 but for what an exponential has there.
    #[inline]
    pub(super) fn at(self, x: f64) -> f64 {
        let left = (1.0 - x).max(1e-4);
        match self {
            Self::Exponential(width) => ((x - 1.0) / width).exp(),
            Self::Pole => x / left,
            Self::Power => 1.0 / (left * left.sqrt()) - 1.0,
            Self::Logarithm => -left.ln(),
        }
    }

    /// The depth at which nothing is left.
    pub(super) const fn end(self) -> f64 {
        match self {
            Self::Exponential(_) => 1.06,
            Self::Pole | Self::Power | Self::Logarithm => 0.9999,
        }
    }
}

impl Shape {
    /// The fixed part of the curve relative to its level, V.
    #[inline]
    pub(super) fn open_v(&self, x: f64) -> f64 {
        match self.open {
            [] => 0.0,
            table => interpolate(table, 1.0 - x) - table[table.len() - 1].1,
        }
    }
}

/// The shapes of a chemistry.
pub(super) const fn shapes(chemistry: Chemistry) -> &'static [Shape] {
    match chemistry {
        Chemistry::Flooded | Chemistry::Agm | Chemistry::Gel => &LEAD,
        Chemistry::NiCd | Chemistry::NiMh => &NICKEL,
        Chemistry::Lfp => &LFP,
        Chemistry::Nmc => &NMC,
    }
}

/// What is likely of a cell of this type.
pub(super) fn cell_prior(battery: &BatteryType) -> CellPrior {
    let data = battery.chemistry_data();
    let stated = battery.resistance_mohm.map(|mohm| mohm / 1e3 / battery.cells_f64());
    let ah = battery.capacity_ah;
    if data.lead {
        // facts §2.4: 75 mΩ·Ah^0.62 for six cells, and half as much again
        // from the storage branch.
        let ohm = stated.unwrap_or(0.075 / 6.0 * ah.powf(-0.62)) * 1.5;
        CellPrior {
            full_v: data.rest_full_v - 0.008,
            ohm,
            per_k: (0.008, 0.006),
            shape_v: 0.0015,
            start_v: 0.04,
            start_depth: 0.02,
            start_s: 60.0,
        }
    } else if data.lithium {
        CellPrior {
            full_v: if matches!(battery.chemistry, Chemistry::Lfp) { 3.38 } else { 4.17 },
            ohm: stated.unwrap_or(0.06 / ah) * 1.3,
            per_k: (0.005, 0.0),
            shape_v: 0.004,
            start_v: 0.03,
            start_depth: 0.02,
            start_s: 400.0,
        }
    } else {
        CellPrior {
            full_v: data.rest_full_v + 0.03,
            ohm: stated.unwrap_or(0.10 / ah),
            per_k: (0.006, 0.0),
            shape_v: 0.002,
            start_v: 0.05,
            start_depth: 0.04,
            start_s: 60.0,
        }
    }
}

/// Linear interpolation in an ascending table, its last pieces continued.
pub(super) fn interpolate(table: &[(f64, f64)], x: f64) -> f64 {
    let above = table.partition_point(|(at, _)| *at < x).clamp(1, table.len() - 1);
    let ((x0, y0), (x1, y1)) = (table[above - 1], table[above]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

/// Rest voltage 1.96 V when empty, 2.11 (vented) to 2.16 V (dense acid) when full.
const LINE: Shape = Shape {
    open: &[],
    knee: Knee::Exponential(0.03),
    level_v: -0.015,
    level_sigma_v: 0.013,
    slope_v: (0.175, 0.025),
    knee_v: (0.15, 0.10),
    knee_drops: 0.3,
    slope_drops: 0.6,
    sag: 0.5,
    weight: 1.0,
};
const LEAD: [Shape; 7] = [
    LINE,
    Shape { knee: Knee::Exponential(0.08), ..LINE },
    Shape {
        knee: Knee::Pole,
        level_v: -0.045,
        level_sigma_v: 0.03,
        slope_v: (0.005, 0.012),
        knee_v: (0.055, 0.015),
        knee_drops: 0.2,
        slope_drops: 0.3,
        sag: 0.05,
        ..LINE
    },
    Shape {
        knee: Knee::Pole,
        level_v: -0.03,
        level_sigma_v: 0.02,
        slope_v: (0.14, 0.025),
        knee_v: (0.015, 0.008),
        knee_drops: 0.1,
        slope_drops: 0.4,
        sag: 0.2,
        ..LINE
    },
    Shape {
        knee: Knee::Power,
        level_v: -0.05,
        level_sigma_v: 0.02,
        slope_v: (0.12, 0.02),
        knee_v: (0.003, 0.003),
        knee_drops: 0.35,
        slope_drops: 0.2,
        sag: 0.05,
        ..LINE
    },
    Shape {
        knee: Knee::Logarithm,
        level_v: -0.02,
        level_sigma_v: 0.02,
        slope_v: (0.12, 0.03),
        knee_v: (0.04, 0.02),
        knee_drops: 0.3,
        slope_drops: 0.3,
        sag: 0.05,
        weight: 0.5,
        ..LINE
    },
    // Porous electrodes that run out of acid (Sulzer and others 2019).
    Shape {
        knee: Knee::Logarithm,
        level_v: 0.01,
        level_sigma_v: 0.02,
        slope_v: (0.20, 0.03),
        knee_v: (0.06, 0.02),
        knee_drops: 0.2,
        slope_drops: 1.0,
        sag: 0.05,
        weight: 0.5,
        ..LINE
    },
];

const FLAT: Shape = Shape {
    open: &[],
    knee: Knee::Exponential(0.05),
    level_v: 0.0,
    level_sigma_v: 0.03,
    slope_v: (0.10, 0.04),
    knee_v: (0.12, 0.07),
    knee_drops: 0.5,
    slope_drops: 0.2,
    sag: 0.05,
    weight: 1.0,
};
const NICKEL: [Shape; 3] = [
    FLAT,
    Shape { knee: Knee::Pole, slope_v: (0.05, 0.03), knee_v: (0.012, 0.008), ..FLAT },
    Shape { knee: Knee::Logarithm, slope_v: (0.04, 0.03), knee_v: (0.03, 0.02), ..FLAT },
];

const LITHIUM: Shape = Shape {
    open: LFP_STAGED,
    knee: Knee::Exponential(0.06),
    level_v: 0.0,
    level_sigma_v: 0.03,
    slope_v: (0.0, 0.015),
    knee_v: (0.0, 0.04),
    knee_drops: 0.5,
    slope_drops: 0.2,
    sag: 0.05,
    weight: 1.0,
};
const LFP: [Shape; 5] = [
    LITHIUM,
    Shape { open: LFP_PRINTED, ..LITHIUM },
    Shape { open: LFP_PLAIN, ..LITHIUM },
    Shape { open: LFP_POWER, level_v: 0.0, knee_v: (0.0, 0.02), ..LITHIUM },
    Shape { open: LFP_ZONE, knee: Knee::Pole, knee_v: (0.015, 0.006), knee_drops: 0.1, ..LITHIUM },
];

const LAYERED: Shape =
    Shape { open: NMC_MIXED, slope_v: (0.0, 0.04), knee_v: (0.0, 0.06), ..LITHIUM };
const NMC: [Shape; 13] = [
    LAYERED,
    Shape { open: NMC_POWER, ..LAYERED },
    Shape { open: NMC_ALUMINIUM, ..LAYERED },
    Shape { open: NMC_ENERGY, ..LAYERED },
    Shape { open: NMC_FIVE, ..LAYERED },
    Shape { open: NMC_POUCH, ..LAYERED },
    Shape { open: NMC_SILICON, ..LAYERED },
    Shape { open: NMC_COBALT, level_v: -0.07, ..LAYERED },
    Shape { open: NMC_PRINTED, ..LAYERED },
    Shape { open: NMC_POLYMER, ..LAYERED },
    Shape { open: NMC_RICH, ..LAYERED },
    Shape { open: NMC_ZONE, knee: Knee::Pole, knee_v: (0.010, 0.007), knee_drops: 0.1, ..LAYERED },
    Shape {
        open: &[],
        knee: Knee::Pole,
        slope_v: (0.55, 0.15),
        knee_v: (0.012, 0.010),
        knee_drops: 0.1,
        ..LITHIUM
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_falls_and_reaches_its_end_voltage() {
        for chemistry in Chemistry::ALL {
            let battery = BatteryType::new(chemistry, 1, 100.0);
            let prior = cell_prior(&battery);
            for shape in shapes(chemistry) {
                let at = |x: f64| {
                    prior.full_v + shape.level_v + shape.open_v(x)
                        - shape.slope_v.0 * x
                        - (shape.knee_v.0 + 0.02 * shape.knee_drops) * shape.knee.at(x)
                };
                let end = shape.knee.end();
                let steps = (0..50).map(|i| end * f64::from(i) / 49.0);
                let volts: Vec<f64> = steps.map(at).collect();
                assert!(volts.windows(2).all(|v| v[1] < v[0]), "{chemistry:?} {shape:?}");
                assert!(volts[49] < battery.cutoff_v() + 0.15, "{chemistry:?} {}", volts[49]);
            }
        }
    }

    #[test]
    fn tables_are_continued_beyond_their_ends() {
        let table = [(0.0, 2.0), (0.5, 3.0), (1.0, 4.0)];
        for (x, y) in [(-0.5, 1.0), (0.0, 2.0), (0.25, 2.5), (1.5, 5.0)] {
            assert!((interpolate(&table, x) - y).abs() < 1e-12);
        }
    }
}
