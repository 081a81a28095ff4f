//! Battery models of the zoo, each a cell after a different publication than
//! the estimator's shapes: what they have in common is only that they end.

use evenkeel_core::battery::Chemistry;
use evenkeel_sim::plant::{Block, BlockParams};

/// A model, and whether the estimator's constants were chosen looking at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The simulator's plant: two wells, Tafel, coup de fouet.
    Wells,
    /// Shepherd's pole with an exponential zone (Tremblay's lead-acid).
    Shepherd,
    /// Straight open-circuit line, Peukert, resistance that grows.
    Thevenin,
    /// CIEMAT (Copetti): capacity by rate, power law of the resistance.
    Ciemat,
    /// KiBaM with Manwell's voltage (line and pole of the available well).
    Kibam,
    /// A printed table of rest voltages, two relaxations.
    Table,
    /// Lithium iron phosphate, staged plateau.
    LfpStaged,
    /// Lithium iron phosphate after Tremblay.
    LfpTremblay,
    /// Lithium iron phosphate, another maker's table.
    LfpOther,
    /// Mixed oxide by a table.
    NmcTable,
    /// Li-ion after Tremblay.
    NmcTremblay,
    /// A nickel-rich cathode, S-shaped.
    Nca,
}

impl Model {
    pub const TRAINING: [Self; 8] = [
        Self::Wells,
        Self::Shepherd,
        Self::Thevenin,
        Self::LfpStaged,
        Self::LfpTremblay,
        Self::NmcTable,
        Self::NmcTremblay,
        Self::Nca,
    ];
    /// No shape of the estimator was taken from these.
    pub const HELD_OUT: [Self; 4] = [Self::Ciemat, Self::Kibam, Self::Table, Self::LfpOther];

    pub fn chemistry(self) -> Chemistry {
        match self {
            Self::Wells
            | Self::Shepherd
            | Self::Thevenin
            | Self::Ciemat
            | Self::Kibam
            | Self::Table => Chemistry::Agm,
            Self::LfpStaged | Self::LfpTremblay | Self::LfpOther => Chemistry::Lfp,
            Self::NmcTable | Self::NmcTremblay | Self::Nca => Chemistry::Nmc,
        }
    }

    pub fn lead(self) -> bool {
        self.chemistry() == Chemistry::Agm
    }
}

/// What a cell is like.
#[derive(Clone, Copy, Debug)]
pub struct CellSpec {
    pub model: Model,
    /// Rated capacity when new, Ah.
    pub rated_ah: f64,
    /// Capacity left, share.
    pub health: f64,
    /// Resistance over that of a new cell.
    pub resistance: f64,
    pub celsius: f64,
    /// Spread of the model's own constants, 0.9 … 1.1.
    pub quirk: f64,
    /// State of charge at the start.
    pub charge: f64,
    /// Peukert's exponent where the model has one.
    pub peukert: f64,
}

/// A cell and its state.
#[derive(Clone, Debug)]
pub struct Cell {
    spec: CellSpec,
    /// Charge left, share (effective where rates count).
    charge: f64,
    /// Bound well (KiBaM).
    bound: f64,
    /// Relaxing voltages, V.
    relax: [f64; 2],
    block: Option<Block>,
}

const LFP_STAGED: &[(f64, f64)] = &[
    (0.0, 2.55),
    (0.03, 2.92),
    (0.06, 3.07),
    (0.10, 3.18),
    (0.16, 3.215),
    (0.22, 3.24),
    (0.33, 3.27),
    (0.45, 3.287),
    (0.58, 3.293),
    (0.66, 3.308),
    (0.72, 3.328),
    (0.9, 3.332),
    (0.97, 3.345),
    (1.0, 3.42),
];
const LFP_OTHER: &[(f64, f64)] = &[
    (0.0, 2.70),
    (0.05, 3.00),
    (0.10, 3.13),
    (0.20, 3.22),
    (0.30, 3.25),
    (0.40, 3.28),
    (0.50, 3.295),
    (0.60, 3.30),
    (0.70, 3.31),
    (0.80, 3.325),
    (0.90, 3.33),
    (0.95, 3.335),
    (1.0, 3.45),
];
const NMC_TABLE: &[(f64, f64)] = &[
    (0.0, 2.95),
    (0.05, 3.32),
    (0.12, 3.46),
    (0.22, 3.57),
    (0.35, 3.63),
    (0.45, 3.67),
    (0.55, 3.74),
    (0.65, 3.85),
    (0.75, 3.93),
    (0.85, 4.02),
    (0.95, 4.12),
    (1.0, 4.19),
];
const NCA: &[(f64, f64)] = &[
    (0.0, 2.80),
    (0.05, 3.20),
    (0.10, 3.36),
    (0.20, 3.50),
    (0.30, 3.59),
    (0.40, 3.65),
    (0.50, 3.73),
    (0.60, 3.82),
    (0.70, 3.91),
    (0.80, 4.00),
    (0.90, 4.06),
    (1.0, 4.17),
];
const LEAD_TABLE: &[(f64, f64)] = &[
    (-0.05, 1.60),
    (0.0, 1.88),
    (0.05, 1.925),
    (0.10, 1.95),
    (0.20, 1.975),
    (0.30, 1.995),
    (0.40, 2.015),
    (0.50, 2.035),
    (0.60, 2.055),
    (0.70, 2.075),
    (0.80, 2.09),
    (0.90, 2.105),
    (1.0, 2.12),
];

fn table(table: &[(f64, f64)], x: f64) -> f64 {
    let above = table.partition_point(|(at, _)| *at < x).clamp(1, table.len() - 1);
    let ((x0, y0), (x1, y1)) = (table[above - 1], table[above]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

impl Cell {
    pub fn new(spec: CellSpec) -> Self {
        let block = (spec.model == Model::Wells).then(|| {
            let capacity_ah = spec.rated_ah * spec.health;
            let r0_ohm = BlockParams::agm(6, spec.rated_ah).r0_ohm * spec.resistance;
            let params =
                BlockParams { r0_ohm, heat_j_per_k: 1e12, ..BlockParams::agm(6, capacity_ah) };
            if spec.charge >= 1.0 {
                Block::full(params, 13.6, spec.celsius)
            } else {
                Block::at_charge(params, spec.charge, spec.celsius)
            }
        });
        let surface = if spec.model.lead() && spec.charge >= 1.0 { 0.04 } else { 0.0 };
        Self { charge: spec.charge, bound: spec.charge, relax: [surface, 0.0], block, spec }
    }

    /// Capacity at this temperature, Ah.
    fn ah(&self) -> f64 {
        let kelvin = self.spec.celsius - 25.0;
        let per_k = if self.spec.model.lead() { 0.007 } else { 0.004 };
        let factor =
            if self.spec.model.lead() || kelvin < 0.0 { 1.0 + per_k * kelvin } else { 1.0 };
        self.spec.rated_ah * self.spec.health * factor
    }

    /// Ohmic resistance of the cell, Ω.
    fn ohm(&self) -> f64 {
        let kelvin = self.spec.celsius - 25.0;
        let (fresh, factor) = if self.spec.model.lead() {
            (0.075 / 6.0 * self.spec.rated_ah.powf(-0.62), 1.0 - 0.008 * kelvin)
        } else {
            (0.05 / self.spec.rated_ah, (-0.025 * kelvin).exp())
        };
        fresh * factor * self.spec.resistance * self.spec.quirk
    }

    /// Voltage while `amps` are drawn, V.
    pub fn volts(&self, amps: f64) -> f64 {
        let (s, q, ohm) = (self.charge, self.spec.quirk, self.ohm());
        let x = 1.0 - s;
        let relax: f64 = self.relax.iter().sum();
        match self.spec.model {
            Model::Wells => {
                self.block.as_ref().map_or(0.0, |b| (b.source_v() - amps * b.ohm()) / 6.0)
            }
            Model::Shepherd => {
                let left = (1.02 - x).max(1e-3);
                2.10 - 0.055 * q * x * 1.02 / left - 0.05 * amps / self.ah() * 1.02 / left * 0.3
                    + 0.05 * (-40.0 * x).exp()
                    - amps * ohm * 1.3
            }
            Model::Thevenin => {
                let knee = 0.25 * (-s.max(-0.05) / 0.035).exp();
                1.96 + 0.165 * q * s - knee - amps * ohm * (1.2 + 0.8 * x) + relax
            }
            Model::Ciemat => {
                let rate = amps / (0.92 * self.spec.rated_ah * self.spec.health);
                let left = s.max(1e-3);
                2.085
                    - 0.12 * q * x
                    - rate * (0.4 / (1.0 + amps.powf(1.3)) + 0.27 * q / left.powf(1.5) + 0.02) * 0.5
                    - 0.3 * amps * ohm
            }
            Model::Kibam => {
                let x = 1.0 - s;
                2.12 - 0.14 * q * x - 0.022 * x / (1.03 - x).max(1e-3) - amps * ohm * 1.3
            }
            Model::Table => {
                table(LEAD_TABLE, s) - amps * ohm * (1.0 + 0.25 / (s.max(0.0) + 0.15)) + relax
            }
            Model::LfpStaged => {
                table(LFP_STAGED, s) - amps * ohm * (1.0 + 0.1 / (s.max(0.0) + 0.05)) - relax
            }
            Model::LfpOther => table(LFP_OTHER, s) - amps * ohm * (1.0 + 0.6 * x) - relax,
            Model::LfpTremblay => {
                3.366 - 0.0175 * q * x * 1.05 / (1.05 - x).max(1e-3) + 0.08 * (-26.0 * x).exp()
                    - amps * ohm
                    - 0.0175 * amps / self.ah() / (1.05 - x).max(1e-3)
            }
            Model::NmcTable => {
                table(NMC_TABLE, s) - amps * ohm * (1.0 + 0.1 / (s.max(0.0) + 0.05)) - relax
            }
            Model::NmcTremblay => {
                3.70 - 0.0085 * q * x * 1.03 / (1.03 - x).max(1e-3) + 0.47 * (-3.53 * x).exp()
                    - amps * ohm
                    - 0.0085 * amps / self.ah() / (1.03 - x).max(1e-3)
            }
            Model::Nca => table(NCA, s) - amps * ohm * (1.0 + 0.5 * x * x) - relax,
        }
    }

    /// Draw `amps` for `dt_s`.
    pub fn step(&mut self, amps: f64, dt_s: f64) {
        let hours = dt_s / 3600.0;
        let ah = self.ah();
        if let Some(block) = &mut self.block {
            let steps = (dt_s / 0.5).ceil().max(1.0);
            (0..steps as u32).for_each(|_| block.step(-amps, dt_s / steps, self.spec.celsius));
            self.charge = block.charge();
            return;
        }
        let rated_a = self.spec.rated_ah * self.spec.health / 20.0;
        let effective = match self.spec.model {
            Model::Thevenin | Model::Table => {
                amps * (amps / rated_a).max(0.5).powf(self.spec.peukert - 1.0)
            }
            // C(I) = C10·1.67/(1 + 0.67 (I/I10)^0.9), C10 = 0.92 of the 20 h capacity.
            Model::Ciemat => {
                let over = amps / (0.92 * self.spec.rated_ah * self.spec.health / 10.0);
                amps * (1.0 + 0.67 * over.powf(0.9)) / (1.67 * 0.92) * 1.28
            }
            _ => amps,
        };
        if self.spec.model == Model::Kibam {
            let (share, per_h) = (0.45, 1.5);
            let flow = per_h * share * (1.0 - share) * (self.bound - self.charge) * hours;
            self.charge += (flow - amps * hours / ah) / share;
            self.bound -= flow / (1.0 - share);
        } else {
            self.charge -= effective * hours / ah;
        }
        let ohm = self.ohm();
        if self.spec.model.lead() {
            // Surface charge goes, a relaxation comes.
            self.relax[0] *= (-dt_s * (amps / self.spec.rated_ah) / 40.0).exp();
            self.relax[1] += (-0.4 * amps * ohm - self.relax[1]) * (1.0 - (-dt_s / 120.0).exp());
        } else {
            self.relax[0] += (0.4 * amps * ohm - self.relax[0]) * (1.0 - (-dt_s / 40.0).exp());
            self.relax[1] += (0.4 * amps * ohm - self.relax[1]) * (1.0 - (-dt_s / 900.0).exp());
        }
    }

    /// Ah that a full one gives at the 20 h rate and 25 °C to `cutoff_v`.
    pub fn true_capacity_ah(spec: CellSpec, cutoff_v: f64) -> f64 {
        let mut cell = Self::new(CellSpec { celsius: 25.0, charge: 1.0, ..spec });
        let amps = spec.rated_ah / 20.0;
        let (dt_s, mut seconds) = (30.0, 0.0);
        while cell.volts(amps) > cutoff_v && seconds < 60.0 * 3600.0 {
            cell.step(amps, dt_s);
            seconds += dt_s;
        }
        amps * seconds / 3600.0
    }
}
