//! One hypothesis about a discharge: what it makes of the measured points, and
//! when it ends.
//!
//! A *hypothesis* is a shape ([`super::shape`]), a charge Q at which the curve
//! collapses, and the charge that was missing at the start. Given these the
//! curve is linear in six coefficients (level, slope, knee, disturbance at the
//! start, resistance, sag of the wells), each with a normal prior, so the best
//! coefficients and the evidence for the hypothesis have closed forms.
//!
//! No real battery follows any of the shapes exactly. Two things keep the
//! weighing honest: the error of the shape grows with the distance from the
//! present depth, so that the recent curve counts most; and all points together
//! count as a few independent ones.

use crate::battery::BatteryType;

use super::curve::{POINTS, Point};
use super::fit::{Load, Task};
use super::rate::Rate;
use super::shape::{CellPrior, Shape, cell_prior, shapes};
use super::solve::{N, Normal};

/// Bound over available charge and rate of exchange, 1/h: facts §2.4.
const WELL_RATIO: f64 = 1.6;
const WELL_RATE_PER_H: f64 = 2.1;
/// As how many independent measurements the points count.
const INDEPENDENT: f64 = 20.0;
/// Charge before now, share of what is expected, over which the error of a
/// shape grows by √2. The same for all hypotheses: one that takes the past for
/// nearer must not look better for it.
const SHAPE_DEPTH: f64 = 0.15;
/// Voltages say nothing within this multiple of the disturbance at the start,
/// or before this share of what is expected was drawn.
const SILENT: (f64, f64) = (1.2, 0.10);

/// What is known of a type of block before any discharge.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub shapes: &'static [Shape],
    pub rate: Rate,
    /// Current that discharges it in the rated time, A.
    pub rated_amps: f64,
    /// End voltage to which it is rated, V per cell.
    pub rated_cut_v: f64,
    cell: CellPrior,
    rated_ah: f64,
    lead: bool,
    lithium: bool,
}

impl Kind {
    pub(super) fn new(battery: &BatteryType) -> Self {
        let data = battery.chemistry_data();
        Self {
            shapes: shapes(battery.chemistry),
            rate: Rate::new(battery),
            rated_amps: battery.capacity_ah / battery.rated_hours,
            rated_cut_v: battery.cutoff_v() / battery.cells_f64(),
            cell: cell_prior(battery),
            rated_ah: battery.capacity_ah,
            lead: data.lead,
            lithium: data.lithium,
        }
    }

    /// Charge within which the disturbance at the start decays, Ah.
    fn start_ah(&self, amps: f64) -> f64 {
        (self.cell.start_depth * self.rated_ah).max(self.cell.start_s * amps / 3600.0)
    }

    /// Ohmic drop at `amps` and `celsius`, V per cell.
    fn drop_v(&self, amps: f64, celsius: f64) -> f64 {
        let kelvin = celsius.clamp(-20.0, 60.0) - 25.0;
        let factor = if self.lithium { (-0.02 * kelvin).exp() } else { 1.0 - 0.008 * kelvin };
        amps * self.cell.ohm * factor
    }
}

/// A hypothesis with its best coefficients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hypothesis {
    /// Index of its shape.
    pub shape: u8,
    /// Index of the charge missing at the start.
    pub start: u8,
    /// Q, Ah.
    pub collapse_ah: f32,
    pub theta: [f32; N],
}

/// What all hypotheses have in common about a point.
#[derive(Clone, Copy, Debug, Default)]
struct Features {
    /// Charge drawn as the present current would have counted it, Ah.
    drawn_ah: f64,
    volts: f64,
    /// Ohmic drop at its current, V.
    drop_v: f64,
    /// What is left of the disturbance at the start, 1 … 0.
    start: f64,
    /// What is left of the difference that the wells began with, 1 … 0.
    wells: f64,
    /// Share of an independent measurement over the variance of the noise, of
    /// the disturbance's own shape and of the curve's, 1/V².
    weight: f64,
}

/// A discharge so far, made ready for the comparison with hypotheses.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub task: Task,
    /// Charge drawn as the present current would have counted it, Ah.
    pub now_ah: f64,
    features: [Features; POINTS],
    count: usize,
    /// Ohmic drop at the present current, V.
    drop_v: f64,
}

impl Observation {
    pub(super) const fn new(task: Task) -> Self {
        let nothing = Features {
            drawn_ah: 0.0,
            volts: 0.0,
            drop_v: 0.0,
            start: 0.0,
            wells: 0.0,
            weight: 0.0,
        };
        Self { task, now_ah: 0.0, features: [nothing; POINTS], count: 0, drop_v: 0.0 }
    }

    /// Points that count.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Take over a task and its points. A stronger current uses up more than
    /// it draws: the charge is counted as the present current would have.
    pub(super) fn prepare(&mut self, kind: &Kind, task: &Task, points: &[Point]) {
        self.task = *task;
        self.drop_v = kind.drop_v(task.amps, task.celsius);
        let strength = if kind.lead { 0.12 } else { 0.02 };
        let expected_ah =
            kind.rate.drawn_ah(task.capacity.by_strength_ah[1], task.amps, task.celsius, 0.5);
        let expected_ah = expected_ah.max(1e-6);
        let start_ah = kind.start_ah(task.amps);
        let (mut equivalent_ah, mut last_ah) = (0.0, 0.0);
        for (point, slot) in points.iter().zip(&mut self.features) {
            let ratio = (point.amps / task.amps).clamp(0.02, 50.0);
            let counts = if (ratio - 1.0).abs() < 1e-3 { 1.0 } else { ratio.powf(strength) };
            equivalent_ah += (point.drawn_ah - last_ah) * counts;
            last_ah = point.drawn_ah;
            let start = (-equivalent_ah / start_ah).exp();
            let early_v = 1.5 * kind.cell.start_v * start * start.sqrt();
            *slot = Features {
                drawn_ah: equivalent_ah,
                volts: point.volts,
                drop_v: self.drop_v * point.amps / task.amps,
                start,
                wells: (-WELL_RATE_PER_H * equivalent_ah / task.amps).exp(),
                weight: task.noise_v * task.noise_v / point.samples + early_v * early_v,
            };
        }
        self.now_ah = equivalent_ah + (task.drawn_ah - last_ah).max(0.0);
        let silent_ah = (SILENT.0 * start_ah).min(SILENT.1 * expected_ah);
        self.count = if self.now_ah < silent_ah { 0 } else { points.len().min(POINTS) };
        let share = (INDEPENDENT / self.count.max(1) as f64).min(1.0);
        let shape_v2 = kind.cell.shape_v * kind.cell.shape_v;
        for features in &mut self.features[..self.count] {
            let away = (self.now_ah - features.drawn_ah) / (SHAPE_DEPTH * expected_ah);
            features.weight = share / (features.weight + shape_v2 * (1.0 + away * away));
        }
    }

    /// The best coefficients under a hypothesis, its evidence and how far it
    /// misses the points, in squares of what is expected of one.
    pub(super) fn explain(
        &self,
        kind: &Kind,
        start: u8,
        shape_index: u8,
        collapse_ah: f64,
    ) -> Option<(Hypothesis, f64, f64)> {
        let missing = self.missing(start, collapse_ah);
        let shape = &kind.shapes[usize::from(shape_index)];
        if missing + self.now_ah / collapse_ah >= shape.knee.end() {
            return None;
        }
        let kappa = WELL_RATE_PER_H * collapse_ah / self.task.amps;
        let prior = self.coefficients(kind, shape, kappa);
        let mut normal = Normal::new(prior.map(|(_, sigma)| sigma));
        let (began, ends) = ((-kappa * missing).exp(), 1.0 - (-kappa).exp());
        for features in &self.features[..self.count] {
            let x = missing + features.drawn_ah / collapse_ah;
            let row = [
                1.0,
                1.0 - x,
                -shape.knee.at(x),
                features.start,
                -features.drop_v,
                x * ends - (1.0 - began * features.wells),
            ];
            let expected: f64 = shape.open_v(x)
                + row.iter().zip(&prior).map(|(a, (mean, _))| a * mean).sum::<f64>();
            normal.add(&row, features.volts - expected, features.weight);
        }
        let mut solution = normal.solve()?;
        // A curve does not rise, and it ends.
        for (index, least) in [(1, 0.2), (2, 0.2)] {
            let bound = (least - 1.0) * prior[index].0;
            solution.bound(index, bound);
        }
        let mut theta = [0.0; N];
        for ((theta, solved), (mean, _)) in theta.iter_mut().zip(solution.theta).zip(&prior) {
            *theta = (solved + mean) as f32;
        }
        let hypothesis =
            Hypothesis { shape: shape_index, start, collapse_ah: collapse_ah as f32, theta };
        Some((hypothesis, solution.evidence, solution.misfit / INDEPENDENT))
    }

    /// Share of Q that was missing at the start.
    pub(super) fn missing(&self, start: u8, collapse_ah: f64) -> f64 {
        let start = &self.task.starts[usize::from(start)];
        start.share + start.ah / collapse_ah
    }

    /// Depth at which a cut-off is met; at least `from`.
    pub(super) fn end(
        &self,
        kind: &Kind,
        h: &Hypothesis,
        from: f64,
        load: Load,
        cutoff_v: f64,
    ) -> f64 {
        let (mut low, mut high) = (from, kind.shapes[usize::from(h.shape)].knee.end());
        if self.loaded(kind, h, low, load).0 <= cutoff_v {
            return low;
        }
        for _ in 0..18 {
            let middle = 0.5 * (low + high);
            if self.loaded(kind, h, middle, load).0 > cutoff_v {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }

    /// Time at the present load from one depth to another, s.
    pub(super) fn runtime_s(&self, kind: &Kind, h: &Hypothesis, from: f64, end: f64) -> f64 {
        let span = (end - from).max(0.0);
        let slowness = |share: f64| {
            1.0 / self.loaded(kind, h, from + share * span, self.task.load).1.max(1e-6)
        };
        let mean = (slowness(0.0) + 4.0 * slowness(0.5) + slowness(0.98)) / 6.0;
        span * f64::from(h.collapse_ah) * mean * 3600.0
    }

    /// Prior of the coefficients of a shape under this load.
    fn coefficients(&self, kind: &Kind, shape: &Shape, kappa: f64) -> [(f64, f64); N] {
        let (cell, drop_v) = (&kind.cell, self.drop_v);
        // What the bound well holds back, if it is one half as real as in
        // the two-well model.
        let held = WELL_RATIO / (kappa + WELL_RATIO * (1.0 - (-kappa).exp()));
        let wells_v = if kind.lead { shape.slope_v.0 * held } else { 0.0 };
        [
            (cell.full_v + shape.level_v - shape.slope_v.0, shape.level_sigma_v),
            (
                shape.slope_v.0 + shape.slope_drops * drop_v,
                (shape.slope_v.1).hypot(0.4 * shape.slope_drops * drop_v),
            ),
            (
                shape.knee_v.0 + shape.knee_drops * drop_v,
                (shape.knee_v.1).hypot(0.5 * shape.knee_drops * drop_v),
            ),
            (0.0, cell.start_v.hypot(0.3 * drop_v)),
            (1.0, 0.5),
            (0.4 * shape.sag * wells_v, (shape.sag * wells_v).max(1e-5)),
        ]
    }

    /// Terminal voltage of a cell at a depth, and the current, under a load.
    fn loaded(&self, kind: &Kind, h: &Hypothesis, x: f64, load: Load) -> (f64, f64) {
        let shape = &kind.shapes[usize::from(h.shape)];
        let t = h.theta.map(f64::from);
        let (amps, cutoff_v) = (self.task.amps, self.task.cutoff_v);
        let kappa = WELL_RATE_PER_H * f64::from(h.collapse_ah) / amps;
        let open = t[0] + shape.open_v(x) + t[1] * (1.0 - x)
            - t[2] * shape.knee.at(x)
            - t[5] * sag(kappa, x);
        let at = |now: f64| open - t[4].max(0.0) * self.drop_v * now / amps;
        match load {
            Load::Amps(amps) => (at(amps), amps),
            Load::Watts(watts) => {
                let mut now = amps;
                for _ in 0..2 {
                    now = (watts / at(now).max(0.3 * cutoff_v)).min(4.0 * amps);
                }
                (at(now), now)
            }
        }
    }
}

/// How the two wells bend a discharge: the available one falls first, then the
/// bound one keeps up. 0 at both ends.
fn sag(kappa: f64, x: f64) -> f64 {
    (1.0 - (-kappa * x).exp()) - x * (1.0 - (-kappa).exp())
}
