//! What can be wrong with a block: the table of facts/battery-science.md §2.9.
//!
//! A *severity* runs from 0, the mild end of the table's range, to 1, its bad
//! end.

use super::ageing::Ageing;
use super::block::BlockParams;
use core::f64::consts::LN_10;

/// Resistance of an open cell or link, Ω.
const OPEN_OHM: f64 = 1e6;
/// What a shorted cell leaves behind, in units of the ohms it had: the block's
/// resistance hardly changes.
const SHORT_SHARE: f64 = 1.2;
/// A cell under current in reverse, V.
const REVERSED_V: f64 = 0.4;
/// Voltage of a cell in a discharge, V.
const CELL_V: f64 = 2.0;
/// Voltage of a cell on float and at rest, V.
const FLOAT_V: f64 = 2.27;
const REST_V: f64 = 2.158;
/// From rest to empty a cell falls this much, V.
const EMPTY_FALL_V: f64 = 0.192;

/// A fault of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockFault {
    /// So many cells are shorted.
    ShortedCells(u8),
    /// A cell or a link inside the block is open.
    Open,
    /// One cell has only this share of the others' capacity: it reverses when
    /// the others still deliver.
    WeakCell(f64),
    /// Water is lost; severity.
    DryOut(f64),
    /// Severity.
    Sulphation(f64),
    /// Of the positive grid; severity.
    Corrosion(f64),
    /// A link outside the measuring points has this much too much, Ω.
    LooseLink(f64),
    /// A dendrite shunts one cell, Ω.
    SoftShort(f64),
    /// Of the electrolyte, severity; a deep cycle clears it.
    Stratification(f64),
    /// Only this share of the heat gets away.
    PoorCooling(f64),
}

impl BlockFault {
    /// Two faults of one kind; a block has at most one of each.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }

    pub(super) fn is_stratification(&self) -> bool {
        matches!(self, Self::Stratification(_))
    }

    /// Do to a condition what the fault does.
    fn act(self, now: &mut Condition) {
        let p = &mut now.params;
        match self {
            Self::ShortedCells(count) => {
                let left = p.cells.saturating_sub(count).max(1);
                let share = f64::from(left) / f64::from(p.cells);
                now.extra_ohm += SHORT_SHARE * (1.0 - share) * p.r0_ohm;
                p.r0_ohm *= share;
                p.polarisation_f /= share;
                p.cells = left;
            }
            Self::Open => {
                now.open = true;
                now.extra_ohm += OPEN_OHM;
            }
            Self::WeakCell(share) => now.weak_share = Some(share.clamp(0.01, 1.0)),
            Self::DryOut(severity) => {
                p.r0_ohm *= between(severity, 1.2, 2.0);
                p.capacity_ah *= between(severity, 0.9, 0.5);
                p.i0_a_per_ah *= between(severity, 2.0, 5.0);
                p.heat_j_per_k *= 0.9;
            }
            Self::Sulphation(severity) => {
                p.capacity_ah *= between(severity, 0.9, 0.5);
                p.r0_ohm *= between(severity, 1.1, 1.5);
                now.acceptance *= 2.0;
                now.dip *= between(severity, 1.2, 2.0);
                now.rest_v -= f64::from(p.cells) * between(severity, 0.01, 0.03);
            }
            Self::Corrosion(severity) => {
                p.r0_ohm *= between(severity, 1.3, 2.0);
                p.capacity_ah *= between(severity, 0.9, 0.6);
            }
            Self::LooseLink(ohm) => now.link_ohm += ohm,
            Self::SoftShort(ohm) => now.soft_ohm = Some(ohm.max(0.1)),
            Self::Stratification(severity) => {
                now.rest_v += between(severity, 0.020, 0.050);
                p.capacity_ah *= 0.9;
                p.r0_ohm *= between(severity, 1.02, 1.08);
            }
            Self::PoorCooling(share) => p.cooling_w_per_k *= share.clamp(0.01, 1.0),
        }
    }
}

fn between(severity: f64, mild: f64, bad: f64) -> f64 {
    mild + (bad - mild) * severity.clamp(0.0, 1.0)
}

/// What age and faults have made of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The parameters that hold now.
    pub params: BlockParams,
    /// In series with r0, independent of temperature, Ω.
    pub extra_ohm: f64,
    /// Outside the measuring points, Ω.
    pub link_ohm: f64,
    /// Nothing flows.
    pub open: bool,
    /// Resistance against charge, 1 = healthy.
    pub acceptance: f64,
    /// Depth of the coup de fouet, 1 = healthy.
    pub dip: f64,
    /// Added to the open-circuit voltage, V.
    pub rest_v: f64,
    /// Capacity of the weakest cell, share of the others'.
    pub weak_share: Option<f64>,
    /// Shunt across one cell, Ω.
    pub soft_ohm: Option<f64>,
}

impl Condition {
    pub(super) fn of(built: &BlockParams, ageing: &Ageing, faults: &[BlockFault]) -> Self {
        let formed = Ageing::default().capacity();
        let params = BlockParams {
            capacity_ah: built.capacity_ah * ageing.capacity() / formed,
            r0_ohm: built.r0_ohm * ageing.resistance(),
            i0_a_per_ah: built.i0_a_per_ah * ageing.leakage(),
            ..*built
        };
        let mut now = Self {
            params,
            extra_ohm: 0.0,
            link_ohm: 0.0,
            open: false,
            acceptance: 1.0,
            dip: 1.0,
            rest_v: 0.0,
            weak_share: None,
            soft_ohm: None,
        };
        faults.iter().for_each(|fault| fault.act(&mut now));
        now
    }
}

/// The weak cell of a block: what is left in it.
#[derive(Clone, Debug)]
pub(super) struct WeakCell {
    share: f64,
    capacity_ah: f64,
    left_ah: f64,
}

impl WeakCell {
    pub(super) fn new(share: f64, block_ah: f64, drawn_ah: f64) -> Self {
        let capacity_ah = share * block_ah;
        Self { share, capacity_ah, left_ah: (capacity_ah - drawn_ah).max(0.0) }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    pub(super) fn step(&mut self, stored_a: f64, dt_s: f64) {
        let left_ah = self.left_ah + stored_a * dt_s / 3600.0;
        self.left_ah = left_ah.clamp(0.0, self.capacity_ah);
    }

    /// What it adds to the block's voltage, V: nothing while full, less than
    /// nothing of a cell once it has reversed.
    pub(super) fn volts(&self) -> f64 {
        let full = self.left_ah / self.capacity_ah;
        -(CELL_V + REVERSED_V) * (-full / 0.01).exp() - 0.1 * (1.0 - full)
    }

    /// Heat of a reversed cell, W.
    pub(super) fn watts(&self, amps: f64) -> f64 {
        let empty = (-self.left_ah / self.capacity_ah / 0.01).exp();
        (-amps).max(0.0) * (CELL_V + REVERSED_V) * empty
    }
}

/// A cell with a shunt: how far it has fallen below its neighbours.
#[derive(Clone, Debug)]
pub(super) struct SoftShort {
    ohm: f64,
    volts: f64,
    /// Per volt: e-folds of the float current, V.
    fold_v: f64,
    /// Of the cell: polarisation above rest, charge below it, F.
    polarisation_f: f64,
    charge_f: f64,
}

impl SoftShort {
    pub(super) fn new(ohm: f64, cells: u8, params: &BlockParams) -> Self {
        Self {
            ohm,
            volts: 0.0,
            fold_v: params.tafel_v / LN_10,
            polarisation_f: params.polarisation_f * f64::from(cells),
            charge_f: 3600.0 * params.capacity_ah / EMPTY_FALL_V,
        }
    }

    pub(super) fn ohm(&self) -> f64 {
        self.ohm
    }

    /// Added to the block's voltage, V; never positive.
    pub(super) fn volts(&self) -> f64 {
        self.volts
    }

    /// The block's healthy cells take `float_a`; this one takes less, the
    /// lower it is, and the shunt takes its part.
    pub(super) fn step(&mut self, float_a: f64, dt_s: f64) {
        let shunt_a = (FLOAT_V + self.volts).max(0.0) / self.ohm;
        let spare_a = float_a * (1.0 - (self.volts / self.fold_v).exp());
        let farad = if FLOAT_V + self.volts > REST_V { self.polarisation_f } else { self.charge_f };
        // Down to an empty cell; a full one never stands above the others.
        let volts = self.volts + (spare_a - shunt_a) * dt_s / farad;
        self.volts = volts.clamp(-FLOAT_V, 0.0);
    }
}
