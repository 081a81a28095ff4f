//! Which discharge curve the battery is on: Bayesian weighing of hypotheses.
//!
//! A *hypothesis* is a shape ([`super::shape`]), a charge Q at which the curve
//! collapses, and the charge that was missing at the start. Given these the
//! curve is linear in six coefficients (level, slope, knee, disturbance at the
//! start, resistance, sag of the wells), each with a normal prior, so the best coefficients
//! and the evidence for the hypothesis have closed forms. What is reported are
//! weighted quantiles over all hypotheses: where the voltage says nothing yet,
//! the prior speaks and the spread is wide; when the knee begins, few
//! hypotheses are left.
//!
//! No real battery follows any of the shapes exactly. Two things keep the
//! weighing honest: the error of the shape grows with the distance from the
//! present depth, so that the recent curve counts most; and all points together
//! count as a few independent ones.

use crate::battery::BatteryType;

use super::curve::{POINTS, Point};
use super::rate::Rate;
use super::shape::{CellPrior, Shape, cell_prior, shapes};
use super::solve::{N, Normal};

/// Bound over available charge and rate of exchange, 1/h: facts §2.4.
const WELL_RATIO: f64 = 1.6;
const WELL_RATE_PER_H: f64 = 2.1;
/// Values of Q that are tried: over the whole range, and around the last result.
const WIDE: usize = 20;
const NEAR: usize = 16;
/// Charge missing at the start that is tried at most.
pub(super) const STARTS_MAX: usize = 3;
/// Shapes of a chemistry at most.
const SHAPES_MAX: usize = 8;
/// As how many independent measurements the points count.
const INDEPENDENT: f64 = 20.0;
/// Charge before now, share of what is expected, over which the error of a
/// shape grows by √2. The same for all hypotheses: one that takes the past for
/// nearer must not look better for it.
const SHAPE_DEPTH: f64 = 0.15;
/// Voltages say nothing within this multiple of the disturbance at the start,
/// or before this share of what is expected was drawn.
const SILENT: (f64, f64) = (1.2, 0.10);
/// Hypotheses this much worse than the best (natural logarithm) are dropped.
const HOPELESS: f64 = 8.0;
/// How much the rate counts: shares of the table's effect, and how likely.
const STRENGTHS: [(f64, f64); 3] = [(0.0, 0.25), (0.5, 0.35), (1.0, 0.40)];
const STATED_STRENGTHS: [(f64, f64); 3] = [(0.0, 0.02), (0.5, 0.13), (1.0, 0.85)];

/// How far the shown runtime moves from the median to the lower quartile, and
/// between which shares of the discharge; the limit is 10 % optimism in the
/// last quarter.
const CAUTION: f64 = 0.65;
const CAUTION_PASSED: (f64, f64) = (0.45, 0.75);
/// How far it begins towards the upper quartile, and until which share.
const HOPE: f64 = 0.8;
const HOPE_PASSED: f64 = 0.15;
/// Weight of a battery that is unlike what was expected of it.
const OUTLIER: f64 = 0.03;

/// What the battery feeds, per cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Load {
    /// Constant current, A.
    Amps(f64),
    /// Constant power, W per cell.
    Watts(f64),
}

/// A quantity and its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normal1 {
    pub mean: f64,
    pub sigma: f64,
}

/// What is known for a fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub points: &'a [Point],
    /// Charge drawn now, Ah.
    pub drawn_ah: f64,
    pub load: Load,
    /// Current out of the battery now, A.
    pub amps: f64,
    pub celsius: f64,
    /// End of the discharge, V per cell.
    pub cutoff_v: f64,
    /// Noise of a sample, V per cell.
    pub noise_v: f64,
    /// Rated capacity at 25 °C as believed before this discharge, Ah.
    pub capacity: CapacityPrior,
    /// Shares of Q that may have been missing at the start, with ln weight.
    pub starts: &'a [(f64, f64)],
}

/// Belief about the capacity: a two-sided log-normal, and with the weight
/// [`OUTLIER`] one three times as wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CapacityPrior {
    /// Most likely value, Ah.
    pub ah: f64,
    /// Relative deviation towards less and towards more.
    pub below: f64,
    pub above: f64,
}

impl CapacityPrior {
    fn ln(&self, ah: f64) -> f64 {
        let away = (ah / self.ah).ln();
        let scale = if away < 0.0 { self.below } else { self.above };
        let near = (-0.5 * (away / scale) * (away / scale)).exp();
        let far = (-0.5 * (away / (3.0 * scale)) * (away / (3.0 * scale))).exp();
        (near + OUTLIER * far).max(1e-30).ln()
    }
}

/// What the hypotheses say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posterior {
    /// Time to the cut-off: 10, 25, 50, 75 and 90 % of the belief lie below, s.
    pub runtime_s: [f64; 5],
    /// Rated capacity at 25 °C, Ah.
    pub capacity: Normal1,
    /// What this discharge delivers from full to the cut-off, Ah.
    pub delivers: Normal1,
    /// Charge missing at the start, share.
    pub missing: f64,
}

impl Posterior {
    /// The runtime to be shown `elapsed_s` after the start. At first, when the
    /// shown value can only be lowered later, a hopeful one; then what is as
    /// likely too much as too little; from there on it moves
    /// towards what is exceeded three times in four.
    pub(super) fn cautious_s(&self, elapsed_s: f64) -> f64 {
        let [_, low, middle, high, _] = self.runtime_s;
        let passed = elapsed_s / (elapsed_s + middle).max(1e-9);
        let (from, to) = CAUTION_PASSED;
        let caution = CAUTION * ((passed - from) / (to - from)).clamp(0.0, 1.0);
        let hope = HOPE * (1.0 - passed / HOPE_PASSED).max(0.0);
        middle + caution * (low - middle) + hope * (high - middle)
    }
}

/// Quantiles in [`Posterior::runtime_s`].
const QUANTILES: [f64; 5] = [0.10, 0.25, 0.50, 0.75, 0.90];
/// Median, and what is one standard deviation away.
const ONE_SIGMA: [f64; 3] = [0.159, 0.5, 0.841];

#[derive(Clone, Copy, Debug)]
struct Outcome {
    ln_weight: f64,
    /// Width of its cell of the grid in ln Q.
    width: f64,
    shape: usize,
    start: usize,
    collapse_ah: f64,
    theta: [f64; N],
    runtime_s: f64,
    delivers_ah: f64,
}

/// What all hypotheses have in common about a point.
#[derive(Clone, Copy, Debug, Default)]
struct Features {
    /// Charge drawn as the present current would have counted it, Ah.
    drawn_ah: f64,
    /// What is left of the disturbance at the start, 1 … 0.
    start: f64,
    /// What is left of the difference that the wells began with, 1 … 0.
    wells: f64,
    /// Variance of the noise and of the disturbance's own shape, V².
    variance: f64,
}

/// Fits curves of one type of block; reused for all blocks of it.
#[derive(Clone, Debug)]
pub(super) struct Fitter {
    battery: BatteryType,
    shapes: &'static [Shape],
    cell: CellPrior,
    rate: Rate,
    outcomes: Vec<Outcome>,
    features: [Features; POINTS],
    /// What the block was expected to give at this load, Ah.
    expected_ah: f64,
}

impl Fitter {
    pub(super) fn new(battery: &BatteryType) -> Self {
        let shapes = shapes(battery.chemistry);
        debug_assert!(shapes.len() <= SHAPES_MAX);
        Self {
            battery: battery.clone(),
            shapes,
            cell: cell_prior(battery),
            rate: Rate::new(battery),
            outcomes: Vec::with_capacity((WIDE + NEAR) * SHAPES_MAX * STARTS_MAX),
            features: [Features::default(); POINTS],
            expected_ah: 1.0,
        }
    }

    /// Weigh all hypotheses. `focus` is the collapse charge found last time
    /// (mean and relative deviation); it is updated. `None` when nothing can
    /// be said: no load, or numbers that are none.
    pub(super) fn fit(
        &mut self,
        task: &Task<'_>,
        focus: &mut Option<Normal1>,
    ) -> Option<Posterior> {
        if !(task.amps > 0.0 && task.amps.is_finite() && task.drawn_ah.is_finite()) {
            return None;
        }
        self.expected_ah =
            self.rate.drawn_ah(task.capacity.ah, task.amps, task.celsius, 0.5).max(1e-6);
        let now_ah = self.prepare(task);
        let task = &Task {
            points: if now_ah < self.silent_ah(task.amps) { &[] } else { task.points },
            ..*task
        };
        let (grid, count) = self.grid(task, now_ah, *focus);
        self.outcomes.clear();
        let mut best = f64::NEG_INFINITY;
        for start in 0..task.starts.len().min(STARTS_MAX) {
            for shape in 0..self.shapes.len() {
                for node in 0..count {
                    let width =
                        0.5 * (grid[(node + 1).min(count - 1)] / grid[node.saturating_sub(1)]).ln();
                    let Some((theta, evidence)) =
                        self.explain(task, start, shape, grid[node], now_ah)
                    else {
                        continue;
                    };
                    best = best.max(evidence);
                    self.outcomes.push(Outcome {
                        ln_weight: evidence,
                        width,
                        shape,
                        start,
                        collapse_ah: grid[node],
                        theta,
                        runtime_s: 0.0,
                        delivers_ah: 0.0,
                    });
                }
            }
        }
        self.outcomes.retain(|o| o.ln_weight > best - HOPELESS);
        self.conclude(task, now_ah, focus)
    }

    /// Prepare the points; returns the charge drawn as the present current
    /// would have counted it: a stronger current uses up more than it draws.
    fn prepare(&mut self, task: &Task<'_>) -> f64 {
        let strength = if self.battery.chemistry_data().lead { 0.12 } else { 0.02 };
        let start_ah = self.start_ah(task.amps);
        let (mut equivalent_ah, mut last_ah) = (0.0, 0.0);
        let weigh = |ah: f64, amps: f64| {
            let ratio = (amps / task.amps).clamp(0.02, 50.0);
            if (ratio - 1.0).abs() < 1e-3 { ah } else { ah * ratio.powf(strength) }
        };
        for (point, slot) in task.points.iter().zip(&mut self.features) {
            equivalent_ah += weigh(point.drawn_ah - last_ah, point.amps);
            last_ah = point.drawn_ah;
            let start = (-equivalent_ah / start_ah).exp();
            let early_v = 1.5 * self.cell.start_v * start * start.sqrt();
            *slot = Features {
                drawn_ah: equivalent_ah,
                start,
                wells: (-WELL_RATE_PER_H * equivalent_ah / task.amps).exp(),
                variance: task.noise_v * task.noise_v / point.samples + early_v * early_v,
            };
        }
        let now_ah = equivalent_ah + (task.drawn_ah - last_ah).max(0.0);
        let shape_v2 = self.cell.shape_v * self.cell.shape_v;
        for features in &mut self.features[..task.points.len().min(POINTS)] {
            let away = (now_ah - features.drawn_ah) / (SHAPE_DEPTH * self.expected_ah);
            features.variance += shape_v2 * (1.0 + away * away);
        }
        now_ah
    }

    /// Values of Q to try, ascending.
    fn grid(
        &self,
        task: &Task<'_>,
        now_ah: f64,
        focus: Option<Normal1>,
    ) -> ([f64; WIDE + NEAR], usize) {
        let mut grid = [0.0; WIDE + NEAR];
        let expected =
            |strength| self.rate.drawn_ah(task.capacity.ah, task.amps, task.celsius, strength);
        let low = (0.2 * expected(1.0)).max(now_ah * 0.95).max(1e-6);
        let high = (1.7 * expected(0.0)).max(low * 2.0);
        for (i, node) in grid[..WIDE].iter_mut().enumerate() {
            *node = low * (high / low).powf(i as f64 / (WIDE - 1) as f64);
        }
        let Some(focus) = focus else { return (grid, WIDE) };
        let reach = 3.0 * focus.sigma.clamp(0.004, 0.3);
        for (i, node) in grid[WIDE..].iter_mut().enumerate() {
            let away = 2.0 * i as f64 / (NEAR - 1) as f64 - 1.0;
            *node = (focus.mean * (away * reach).exp()).clamp(low, high);
        }
        grid.sort_unstable_by(f64::total_cmp);
        (grid, WIDE + NEAR)
    }

    /// Charge within which the disturbance at the start decays, Ah.
    fn start_ah(&self, amps: f64) -> f64 {
        let rated_ah = self.battery.capacity_ah;
        (self.cell.start_depth * rated_ah).max(self.cell.start_s * amps / 3600.0)
    }

    /// Charge before which the voltage tells of the past, Ah.
    fn silent_ah(&self, amps: f64) -> f64 {
        (SILENT.0 * self.start_ah(amps)).min(SILENT.1 * self.expected_ah)
    }

    /// Ohmic drop at `amps` and `celsius`, V per cell.
    fn drop_v(&self, amps: f64, celsius: f64) -> f64 {
        let kelvin = celsius.clamp(-20.0, 60.0) - 25.0;
        let factor = if self.battery.chemistry_data().lithium {
            (-0.02 * kelvin).exp()
        } else {
            1.0 - 0.008 * kelvin
        };
        amps * self.cell.ohm * factor
    }

    /// Prior of the coefficients of a shape under this load.
    fn coefficients(&self, shape: &Shape, drop_v: f64, kappa: f64) -> [(f64, f64); N] {
        // What the bound well holds back, if it is one half as real as in
        // the two-well model.
        let held = WELL_RATIO / (kappa + WELL_RATIO * (1.0 - (-kappa).exp()));
        let wells_v = if self.battery.chemistry_data().lead { shape.slope_v.0 * held } else { 0.0 };
        [
            (self.cell.full_v + shape.level_v - shape.slope_v.0, shape.level_sigma_v),
            (
                shape.slope_v.0 + shape.slope_drops * drop_v,
                (shape.slope_v.1).hypot(0.4 * shape.slope_drops * drop_v),
            ),
            (
                shape.knee_v.0 + shape.knee_drops * drop_v,
                (shape.knee_v.1).hypot(0.5 * shape.knee_drops * drop_v),
            ),
            (0.0, self.cell.start_v.hypot(0.3 * drop_v)),
            (1.0, 0.5),
            (0.4 * shape.sag * wells_v, (shape.sag * wells_v).max(1e-5)),
        ]
    }

    /// The best coefficients under a hypothesis, and its evidence.
    fn explain(
        &self,
        task: &Task<'_>,
        start: usize,
        shape: usize,
        collapse_ah: f64,
        now_ah: f64,
    ) -> Option<([f64; N], f64)> {
        let (missing, ln_start) = task.starts[start];
        let shape = &self.shapes[shape];
        let now_x = missing + now_ah / collapse_ah;
        if now_x >= shape.knee.end() {
            return None;
        }
        let drop_v = self.drop_v(task.amps, task.celsius);
        let kappa = WELL_RATE_PER_H * collapse_ah / task.amps;
        let prior = self.coefficients(shape, drop_v, kappa);
        let mut normal = Normal::new(prior.map(|(_, sigma)| sigma));
        let share = (INDEPENDENT / task.points.len().max(1) as f64).min(1.0);
        let (began, ends) = ((-kappa * missing).exp(), 1.0 - (-kappa).exp());
        for (point, features) in task.points.iter().zip(&self.features) {
            let x = missing + features.drawn_ah / collapse_ah;
            let row = [
                1.0,
                1.0 - x,
                -shape.knee.at(x),
                features.start,
                -drop_v * point.amps / task.amps,
                x * ends - (1.0 - began * features.wells),
            ];
            let expected: f64 = shape.open_v(x)
                + row.iter().zip(&prior).map(|(a, (mean, _))| a * mean).sum::<f64>();
            normal.add(&row, point.volts - expected, features.variance, share);
        }
        let mut solution = normal.solve()?;
        // A curve does not rise, and it ends.
        for (index, least) in [(1, 0.2), (2, 0.2)] {
            let bound = (least - 1.0) * prior[index].0;
            solution.bound(index, bound);
        }
        let mut theta = solution.theta;
        theta.iter_mut().zip(&prior).for_each(|(t, (mean, _))| *t += mean);
        Some((theta, solution.evidence + ln_start + shape.weight.ln()))
    }

    /// Terminal voltage of a cell at a depth, and the current, under a load.
    fn loaded(&self, task: &Task<'_>, o: &Outcome, drop_v: f64, x: f64, load: Load) -> (f64, f64) {
        let shape = &self.shapes[o.shape];
        let t = &o.theta;
        let kappa = WELL_RATE_PER_H * o.collapse_ah / task.amps;
        let open = t[0] + shape.open_v(x) + t[1] * (1.0 - x)
            - t[2] * shape.knee.at(x)
            - t[5] * sag(kappa, x);
        let at = |amps: f64| open - t[4].max(0.0) * drop_v * amps / task.amps;
        match load {
            Load::Amps(amps) => (at(amps), amps),
            Load::Watts(watts) => {
                let mut amps = task.amps;
                for _ in 0..2 {
                    amps = (watts / at(amps).max(0.3 * task.cutoff_v)).min(4.0 * task.amps);
                }
                (at(amps), amps)
            }
        }
    }

    /// Depth at which the cut-off is met; at least `from`.
    fn end(&self, task: &Task<'_>, o: &Outcome, from: f64, load: Load, cutoff_v: f64) -> f64 {
        let drop_v = self.drop_v(task.amps, task.celsius);
        let (mut low, mut high) = (from, self.shapes[o.shape].knee.end());
        if self.loaded(task, o, drop_v, low, load).0 <= cutoff_v {
            return low;
        }
        for _ in 0..18 {
            let middle = 0.5 * (low + high);
            if self.loaded(task, o, drop_v, middle, load).0 > cutoff_v {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }

    /// Time from the present depth to `end`, s.
    fn runtime_s(&self, task: &Task<'_>, o: &Outcome, from: f64, end: f64) -> f64 {
        let drop_v = self.drop_v(task.amps, task.celsius);
        let span = (end - from).max(0.0);
        let slowness = |share: f64| {
            1.0 / self.loaded(task, o, drop_v, from + share * span, task.load).1.max(1e-6)
        };
        let mean = (slowness(0.0) + 4.0 * slowness(0.5) + slowness(0.98)) / 6.0;
        span * o.collapse_ah * mean * 3600.0
    }

    /// From the hypotheses that are left to what is reported.
    fn conclude(
        &mut self,
        task: &Task<'_>,
        now_ah: f64,
        focus: &mut Option<Normal1>,
    ) -> Option<Posterior> {
        let mut outcomes = core::mem::take(&mut self.outcomes);
        let rated_amps = self.battery.capacity_ah / self.battery.rated_hours;
        let rated_cut_v = self.battery.cutoff_v() / self.battery.cells_f64();
        let strengths = if self.rate.stated { &STATED_STRENGTHS } else { &STRENGTHS };
        let (mut best, mut sums) = (f64::NEG_INFINITY, Sums::default());
        for o in &mut outcomes {
            let missing = task.starts[o.start].0;
            let from = missing + now_ah / o.collapse_ah;
            let end = self.end(task, o, from, task.load, task.cutoff_v);
            o.runtime_s = self.runtime_s(task, o, from, end);
            o.delivers_ah = o.collapse_ah * end;
            let slow = self.end(task, o, missing, Load::Amps(rated_amps), rated_cut_v);
            let (mut prior, mut ah, mut square) = (0.0, 0.0, 0.0);
            for (strength, likely) in strengths {
                let drawn = o.collapse_ah * slow.powf(1.0 - strength) * end.powf(*strength);
                let rated = self.rate.rated_ah(drawn, task.amps, task.celsius, *strength);
                let weight = likely * task.capacity.ln(rated).max(-60.0).exp();
                prior += weight;
                ah += weight * rated;
                square += weight * rated * rated;
            }
            o.ln_weight += prior.max(1e-30).ln() + o.width.max(1e-12).ln();
            // Weights relative to the best so far: nothing overflows.
            if o.ln_weight > best {
                sums.scale((best - o.ln_weight).exp());
                best = o.ln_weight;
            }
            let weight = (o.ln_weight - best).exp();
            sums.add(weight, o.collapse_ah, ah / prior, square / prior, missing);
        }
        let posterior = sums.finish(focus).map(|(capacity, missing)| Posterior {
            runtime_s: quantiles(&mut outcomes, best, QUANTILES, |o| o.runtime_s),
            capacity,
            delivers: {
                let of = |o: &Outcome| o.delivers_ah;
                let [low, mean, high] = quantiles(&mut outcomes, best, ONE_SIGMA, of);
                Normal1 { mean, sigma: 0.5 * (high - low) }
            },
            missing,
        });
        self.outcomes = outcomes;
        posterior
    }
}

/// How the two wells bend a discharge: the available one falls first, then the
/// bound one keeps up. 0 at both ends.
fn sag(kappa: f64, x: f64) -> f64 {
    (1.0 - (-kappa * x).exp()) - x * (1.0 - (-kappa).exp())
}

/// Weighted sums over the hypotheses.
#[derive(Default)]
struct Sums {
    weight: f64,
    collapse: f64,
    collapse2: f64,
    capacity: f64,
    capacity2: f64,
    missing: f64,
}

impl Sums {
    fn scale(&mut self, by: f64) {
        for sum in [
            &mut self.weight,
            &mut self.collapse,
            &mut self.collapse2,
            &mut self.capacity,
            &mut self.capacity2,
            &mut self.missing,
        ] {
            *sum *= by;
        }
    }

    fn add(&mut self, weight: f64, collapse_ah: f64, ah: f64, square: f64, missing: f64) {
        if !(weight * collapse_ah * ah * square).is_finite() {
            return;
        }
        self.weight += weight;
        self.collapse += weight * collapse_ah;
        self.collapse2 += weight * collapse_ah * collapse_ah;
        self.capacity += weight * ah;
        self.capacity2 += weight * square;
        self.missing += weight * missing;
    }

    fn finish(self, focus: &mut Option<Normal1>) -> Option<(Normal1, f64)> {
        if self.weight.is_nan() || self.weight <= 0.0 {
            return None;
        }
        let normal = |sum: f64, square: f64| {
            let mean = sum / self.weight;
            Normal1 { mean, sigma: (square / self.weight - mean * mean).max(0.0).sqrt() }
        };
        let collapse = normal(self.collapse, self.collapse2);
        *focus = Some(Normal1 { mean: collapse.mean, sigma: collapse.sigma / collapse.mean });
        Some((normal(self.capacity, self.capacity2), self.missing / self.weight))
    }
}

/// Quantiles of a value over weighted hypotheses.
fn quantiles<const K: usize>(
    outcomes: &mut [Outcome],
    best: f64,
    quantiles: [f64; K],
    value: impl Fn(&Outcome) -> f64,
) -> [f64; K] {
    outcomes.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)));
    let weight = |o: &Outcome| (o.ln_weight - best).exp();
    let total: f64 = outcomes.iter().map(weight).sum();
    quantiles.map(|quantile| {
        let (mut below, mut last) = (0.0, (0.0, 0.0));
        for o in outcomes.iter() {
            // The middle of a hypothesis' weight stands at its value.
            let at = below + 0.5 * weight(o);
            below += weight(o);
            if at >= quantile * total {
                let (last_at, last_value) = last;
                let step =
                    if at > last_at { (quantile * total - last_at) / (at - last_at) } else { 1.0 };
                return if last_at > 0.0 {
                    last_value + step * (value(o) - last_value)
                } else {
                    value(o)
                };
            }
            last = (at, value(o));
        }
        last.1
    })
}
