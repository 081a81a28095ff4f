//! From a few numbers and a seed to a string of unequal blocks.
//!
//! Spreads follow facts/battery-science.md §2.1 (float currents log-normal),
//! §2.10 (gain errors) and §1.1 (a module's own draw).

use super::ageing::Ageing;
use super::block::{Block, BlockParams};
use super::string::{Place, PlantString, Surroundings};
use super::supply::{Charger, Load, Supply};
use crate::noise::Noise;
use evenkeel_core::battery::ModuleKind;

/// Distance that a block keeps from its open-circuit voltage, V per 12 V: one
/// that starts below is pulled into the storage branch within a second.
const REST_MARGIN_V: f64 = 0.01;
/// The inverter stops here, V per cell.
const CUTOFF_V_PER_CELL: f64 = 1.60;

/// A string as a buyer would order it.
#[derive(Clone, Debug, PartialEq)]
pub struct StringSpec {
    /// Number of blocks.
    pub blocks: usize,
    /// Module on every block; it fixes the number of cells.
    pub kind: ModuleKind,
    /// Rated capacity, Ah.
    pub capacity_ah: f64,
    /// Median float current at 2.27 V/cell and 25 °C, mA/Ah.
    pub i0_ma_per_ah: f64,
    /// Deviation of ln(float current) between blocks.
    pub sigma: f64,
    /// Relative deviation of polarisation capacitance and resistance.
    pub build_spread: f64,
    /// Relative deviation of the modules' own draw.
    pub draw_spread: f64,
    /// Block voltages start up to this far from their mean, V per 12 V. The
    /// low side ends 0.01 V above the open-circuit voltage.
    pub initial_spread_v: f64,
    /// Charge at the start, 0 … 1; below 1 the blocks start at rest.
    pub charge: f64,
    /// Charger setpoint per cell, V.
    pub float_v_per_cell: f64,
    /// Voltage of the charger in boost, V per cell.
    pub boost_v_per_cell: f64,
    /// What comes out of the charger is off by this, V per cell.
    pub setpoint_error_v_per_cell: f64,
    /// Temperature compensation of the charger, mV/K per cell; 0 or negative.
    pub compensation_mv_per_k: f64,
    /// Current limit of the charger, in units of the capacity per hour.
    pub limit_c: f64,
    /// Load without mains, W.
    pub load_w: f64,
    /// Room temperature, °C.
    pub ambient_c: f64,
    /// From the cabinet's air to the room, W/K; `None`: no cabinet.
    pub cabinet_w_per_k: Option<f64>,
    /// Between neighbouring blocks, W/K.
    pub neighbour_w_per_k: f64,
    /// How well blocks give off heat, 1 = typical.
    pub cooling: f64,
    /// Age of the blocks, 0 = new, 1 = end of life.
    pub age: f64,
    /// Speed of ageing, 1 = real.
    pub ageing_speed: f64,
    /// Same seed, same string.
    pub seed: u64,
}

impl Default for StringSpec {
    fn default() -> Self {
        Self {
            blocks: 32,
            kind: ModuleKind::C20,
            capacity_ah: 7.0,
            i0_ma_per_ah: 0.5,
            sigma: 0.35,
            build_spread: 0.03,
            draw_spread: 0.01,
            initial_spread_v: 0.9,
            charge: 1.0,
            float_v_per_cell: 2.30,
            boost_v_per_cell: 2.40,
            setpoint_error_v_per_cell: 0.0,
            compensation_mv_per_k: 0.0,
            limit_c: 0.25,
            load_w: 1_500.0,
            ambient_c: 25.0,
            cabinet_w_per_k: None,
            neighbour_w_per_k: 0.0,
            cooling: 1.0,
            age: 0.0,
            ageing_speed: 1.0,
            seed: 1,
        }
    }
}

impl StringSpec {
    /// Build the string: full, on float, its mean at the setpoint (or at rest
    /// with less charge).
    #[must_use]
    pub fn build(&self) -> PlantString {
        let nominal = self.nominal();
        let mean_v = f64::from(nominal.cells) * self.float_v_per_cell;
        let mut noise = Noise::new(self.seed, 0);
        let size = f64::from(nominal.cells) / 6.0;
        let high_v = size * self.initial_spread_v;
        let room_v = mean_v - nominal.full_v() - size * REST_MARGIN_V;
        let low_v = high_v.min(room_v.max(0.0));
        let offsets = offsets(self.blocks, low_v, high_v, &mut noise);
        let places = offsets
            .iter()
            .map(|offset_v| {
                let params = self.vary(&nominal, &mut noise);
                let block = if self.charge < 1.0 {
                    Block::at_charge(params, self.charge, self.ambient_c)
                } else {
                    Block::full(params, mean_v + offset_v, self.ambient_c)
                };
                let draw_a = own_draw_a(self.kind) * (1.0 + self.draw_spread * noise.normal());
                Place::new(block.aged(self.ageing()), draw_a.max(0.0))
            })
            .collect();
        let surroundings = Surroundings {
            cabinet_w_per_k: self.cabinet_w_per_k.unwrap_or(f64::INFINITY),
            neighbour_w_per_k: self.neighbour_w_per_k,
            ..Surroundings::open(self.ambient_c)
        };
        PlantString::new(places, self.kind.data().bypass_ohm, surroundings)
    }

    /// Charger and load for `parallel` strings like this one.
    #[must_use]
    pub fn supply(&self, parallel: usize) -> Supply {
        let nominal = self.nominal();
        let cells = self.blocks as f64 * f64::from(nominal.cells);
        let charger = Charger {
            boost_volts: cells * self.boost_v_per_cell,
            error_v: cells * self.setpoint_error_v_per_cell,
            compensation_v_per_k: cells * self.compensation_mv_per_k / 1e3,
            ..Charger::new(
                cells * self.float_v_per_cell,
                self.limit_c * self.capacity_ah * parallel as f64,
                0.2 * self.blocks as f64 * nominal.r0_ohm / parallel as f64,
            )
        };
        Supply::new(charger, Load { watts: self.load_w, cutoff_v: cells * CUTOFF_V_PER_CELL })
    }

    /// The block that all others are like.
    fn nominal(&self) -> BlockParams {
        let agm = BlockParams::agm(self.kind.data().lead_cells, self.capacity_ah);
        BlockParams {
            i0_a_per_ah: self.i0_ma_per_ah / 1e3,
            cooling_w_per_k: agm.cooling_w_per_k * self.cooling,
            ..agm
        }
    }

    fn ageing(&self) -> Ageing {
        Ageing { age: self.age, speed: self.ageing_speed, ..Ageing::default() }
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
    use super::super::Plant;
    use super::*;
    use proptest::prelude::*;

    fn plant(spec: &StringSpec) -> Plant {
        Plant::new(vec![(spec.supply(1), vec![spec.build()])])
    }

    fn spread_v(plant: &Plant) -> f64 {
        let volts = plant.volts(0);
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
        let mut plant = plant(&StringSpec::default());
        plant.step(5.0);
        let mean_v = plant.strings()[0].volts() / 32.0;
        assert!((mean_v - 13.80).abs() < 0.002, "{mean_v}");
        let lowest = plant.volts(0).fold(f64::MAX, f64::min);
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
                let mut plant = plant(&spec);
                plant.step(5.0 * 3600.0);
                spread_v(&plant)
            })
            .collect();
        let mean = spreads.iter().sum::<f64>() / 3.0;
        assert!((0.30..0.52).contains(&mean), "about 0.43 V at sigma 0.35: {spreads:?}");
    }

    #[test]
    fn unequal_modules_widen_the_spread() {
        let settled = |draw_spread| {
            let mut plant = plant(&StringSpec {
                initial_spread_v: 0.0,
                float_v_per_cell: 2.27,
                draw_spread,
                ..StringSpec::default()
            });
            plant.step(5.0 * 3600.0);
            spread_v(&plant)
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
