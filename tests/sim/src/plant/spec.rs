//! From a few numbers and a seed to a string of unequal blocks.
//!
//! Spreads follow facts/battery-science.md §2.1 (float currents log-normal)
//! and §1.1 (a module's own draw).

use super::block::{Block, BlockParams};
use super::string::{Charger, Load, Place, PlantString};
use crate::noise::Noise;
use evenkeel_core::battery::ModuleKind;

/// Distance that a block keeps from its open-circuit voltage, V per 12 V: one
/// that starts below is pulled into the storage branch within a second.
const REST_MARGIN_V: f64 = 0.01;

/// A string as a buyer would order it.
#[derive(Clone, Debug, PartialEq)]
pub struct StringSpec {
    /// Number of blocks.
    pub blocks: usize,
    /// Module on every block; it fixes the number of cells.
    pub kind: ModuleKind,
    /// Rated capacity, Ah.
    pub capacity_ah: f64,
    /// Deviation of ln(float current) between blocks.
    pub sigma: f64,
    /// Relative deviation of polarisation capacitance and resistance.
    pub build_spread: f64,
    /// Relative deviation of the modules' own draw.
    pub draw_spread: f64,
    /// Block voltages start up to this far from their mean, V per 12 V. The
    /// low side ends 0.01 V above the open-circuit voltage.
    pub initial_spread_v: f64,
    /// Charger setpoint per cell, V.
    pub float_v_per_cell: f64,
    /// Load without mains, W.
    pub load_w: f64,
    /// Room temperature, °C.
    pub ambient_c: f64,
    /// Same seed, same string.
    pub seed: u64,
}

impl Default for StringSpec {
    fn default() -> Self {
        Self {
            blocks: 32,
            kind: ModuleKind::C20,
            capacity_ah: 7.0,
            sigma: 0.35,
            build_spread: 0.03,
            draw_spread: 0.01,
            initial_spread_v: 0.9,
            float_v_per_cell: 2.30,
            load_w: 1_500.0,
            ambient_c: 25.0,
            seed: 1,
        }
    }
}

impl StringSpec {
    /// Build the string: full, on float, its mean at the setpoint.
    #[must_use]
    pub fn build(&self) -> PlantString {
        let module = self.kind.data();
        let cells = f64::from(module.lead_cells);
        let nominal = BlockParams::agm(module.lead_cells, self.capacity_ah);
        let mean_v = cells * self.float_v_per_cell;
        let mut noise = Noise::new(self.seed, 0);
        let size = cells / 6.0;
        let high_v = size * self.initial_spread_v;
        let room_v = mean_v - nominal.full_v() - size * REST_MARGIN_V;
        let low_v = high_v.min(room_v.max(0.0));
        let offsets = offsets(self.blocks, low_v, high_v, &mut noise);
        let places = offsets
            .iter()
            .map(|offset_v| {
                let params = self.vary(&nominal, &mut noise);
                let block = Block::full(params, mean_v + offset_v, self.ambient_c);
                let draw_a = own_draw_a(self.kind) * (1.0 + self.draw_spread * noise.normal());
                Place::new(block, draw_a.max(0.0))
            })
            .collect();
        let count = self.blocks as f64;
        let charger = Charger {
            volts: count * mean_v,
            limit_a: 0.25 * self.capacity_ah,
            wiring_ohm: 0.2 * count * nominal.r0_ohm,
        };
        let load = Load { watts: self.load_w, cutoff_v: count * cells * 1.60 };
        PlantString::new(places, module.bypass_ohm, charger, load, self.ambient_c)
    }

    /// One block off the production line.
    fn vary(&self, nominal: &BlockParams, noise: &mut Noise) -> BlockParams {
        let mut near_one = || (1.0 + self.build_spread * noise.normal()).max(0.5);
        let (r0_ohm, polarisation_f) =
            (nominal.r0_ohm * near_one(), nominal.polarisation_f * near_one());
        BlockParams {
            r0_ohm,
            polarisation_f,
            i0_a_per_ah: nominal.i0_a_per_ah * (self.sigma * noise.normal()).exp(),
            ..*nominal
        }
    }
}

/// What a module draws from its block for itself, A: the middle of §1.1.
fn own_draw_a(kind: ModuleKind) -> f64 {
    match kind {
        ModuleKind::C23 | ModuleKind::C20 | ModuleKind::C30 => 0.0175,
        ModuleKind::C41 | ModuleKind::C40 => 0.0375,
    }
}

/// `count` offsets of zero sum, the lowest −`low`, the highest +`high`, in
/// random order. Fewer than four blocks get ±`low`: with nothing between the
/// extremes, unequal ones could not cancel.
fn offsets(count: usize, low: f64, high: f64, noise: &mut Noise) -> Vec<f64> {
    let high = if count < 4 { low } else { high };
    let mut offsets: Vec<f64> = (0..count).map(|_| noise.between(-low, high)).collect();
    match offsets.as_mut_slice() {
        [] => return offsets,
        [only] => *only = 0.0,
        [first, between @ .., last] => {
            (*first, *last) = (-low, high);
            pull_to_sum(between, low - high, -low, high);
        }
    }
    for i in (1..count).rev() {
        offsets.swap(i, noise.below(i + 1));
    }
    offsets
}

/// Move all values towards one end of their range until they sum to `sum`:
/// none leaves the range.
fn pull_to_sum(values: &mut [f64], sum: f64, low: f64, high: f64) {
    let excess = values.iter().sum::<f64>() - sum;
    let end = if excess > 0.0 { low } else { high };
    let room: f64 = values.iter().map(|x| x - end).sum();
    if room != 0.0 {
        for x in values {
            *x -= excess / room * (*x - end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread_v(string: &PlantString) -> f64 {
        let volts = string.places().iter().map(Place::volts);
        volts.clone().fold(f64::MIN, f64::max) - volts.fold(f64::MAX, f64::min)
    }

    #[test]
    fn default_string_starts_at_the_setpoint_with_the_ordered_extremes() {
        let string = StringSpec::default().build();
        let offsets: Vec<f64> =
            string.places().iter().map(|p| p.block().source_v() - 13.80).collect();
        let highest = offsets.iter().copied().fold(f64::MIN, f64::max);
        let lowest = offsets.iter().copied().fold(f64::MAX, f64::min);
        assert!(
            (highest - 0.9).abs() < 1e-9 && (lowest + 0.84).abs() < 1e-9,
            "{lowest} … {highest}"
        );
        assert!(offsets.iter().sum::<f64>().abs() < 1e-9);
    }

    #[test]
    fn mean_does_not_jump_and_nobody_falls_into_storage() {
        let mut string = StringSpec::default().build();
        string.step(5.0);
        let mean_v = string.volts() / 32.0;
        assert!((mean_v - 13.80).abs() < 0.002, "{mean_v}");
        let lowest = string.places().iter().map(Place::volts).fold(f64::MAX, f64::min);
        assert!(lowest > 12.95, "{lowest}");
    }

    #[test]
    fn natural_spread_matches_the_facts() {
        let spreads: Vec<f64> = (1..=3)
            .map(|seed| {
                let spec = StringSpec {
                    initial_spread_v: 0.0,
                    float_v_per_cell: 2.27,
                    build_spread: 0.0,
                    draw_spread: 0.0,
                    seed,
                    ..StringSpec::default()
                };
                let mut string = spec.build();
                string.step(5.0 * 3600.0);
                spread_v(&string)
            })
            .collect();
        let mean = spreads.iter().sum::<f64>() / 3.0;
        assert!((0.30..0.52).contains(&mean), "about 0.43 V at sigma 0.35: {spreads:?}");
    }

    #[test]
    fn unequal_modules_widen_the_spread() {
        let settled = |draw_spread| {
            let mut string = StringSpec {
                initial_spread_v: 0.0,
                float_v_per_cell: 2.27,
                draw_spread,
                ..StringSpec::default()
            }
            .build();
            string.step(5.0 * 3600.0);
            spread_v(&string)
        };
        let (equal_v, unequal_v) = (settled(0.0), settled(0.10));
        assert!(unequal_v > equal_v + 0.2, "{equal_v} then {unequal_v}");
    }

    #[test]
    fn seed_decides() {
        let volts = |seed| {
            let string = StringSpec { seed, ..StringSpec::default() }.build();
            string.places().iter().map(Place::volts).collect::<Vec<_>>()
        };
        assert_eq!(volts(5), volts(5));
        assert_ne!(volts(5), volts(6));
    }

    proptest! {
        #[test]
        fn offsets_cancel_inside_their_range(count in 0usize..70, low in 0.0f64..1.0, more in 0.0f64..0.3, seed: u64) {
            let high = low + more;
            let got = offsets(count, low, high, &mut Noise::new(seed, 0));
            prop_assert_eq!(got.len(), count);
            // Between the extremes of few blocks there may be too little room.
            prop_assume!(count < 4 || (count - 2) as f64 * low >= more);
            prop_assert!(got.iter().sum::<f64>().abs() < 1e-9);
            prop_assert!(got.iter().all(|x| (-low - 1e-9..=high + 1e-9).contains(x)));
        }
    }
}
