//! Which discharge curve the battery is on: Bayesian weighing of hypotheses.
//!
//! A fit compares all hypotheses ([`super::hypothesis`]) with the discharge so
//! far, follows those that are not hopeless to the cut-off, and reports
//! weighted quantiles over them: where the voltage says nothing yet, the prior
//! speaks and the spread is wide; when the knee begins, few hypotheses are left.
//!
//! A fit takes a millisecond or more, too long for a scan with many strings:
//! it is a job that a [`Fitter`] works off in pieces, on a copy of the curve.

use crate::battery::BatteryType;

use super::curve::Point;
use super::hypothesis::{Hypothesis, Kind, Observation};

/// Values of Q that are tried: over the whole range, and around the last result.
const WIDE: usize = 20;
const NEAR: usize = 16;
/// Charge missing at the start that is tried at most.
pub(super) const STARTS_MAX: usize = 3;
/// Hypotheses this much worse than the best (natural logarithm) are dropped.
const HOPELESS: f64 = 8.0;
/// Hypotheses that are followed at most: of more, the best.
const FOLLOWED_MAX: usize = 288;
/// What it costs to solve for coefficients and to follow a hypothesis to its
/// end, in comparisons with a point.
const COST_SOLVE: usize = 8;
const COST_FOLLOW: usize = 40;
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
    pub mean: f32,
    pub sigma: f32,
}

/// Charge that may have been missing when a discharge began: a share of Q and
/// so many Ah.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Start {
    pub share: f64,
    pub ah: f64,
    /// How likely, natural logarithm.
    pub ln_weight: f64,
}

/// What is known for a fit beside the points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
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
    /// What may have been missing at the start, the first so many.
    pub starts: [Start; STARTS_MAX],
    pub starts_count: usize,
}

/// Belief about the capacity: a two-sided log-normal, and with the weight
/// [`OUTLIER`] one three times as wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CapacityPrior {
    /// Most likely value, Ah.
    pub ah: f64,
    /// The same for each of the strengths with which the rate may count: what
    /// was learned at the present rate is certain, what it means at another
    /// depends on them.
    pub by_strength_ah: [f64; 3],
    /// Relative deviation towards less and towards more.
    pub below: f64,
    pub above: f64,
}

impl CapacityPrior {
    /// How likely a capacity is if the rate counts with this strength.
    fn likely(&self, strength: usize, ah: f64) -> f64 {
        let away = (ah / self.by_strength_ah[strength]).ln();
        let scale = if away < 0.0 { self.below } else { self.above };
        let square = 0.5 * (away / scale) * (away / scale);
        let likely = (-square).exp() + OUTLIER * (-square / 9.0).exp();
        if likely.is_nan() { 0.0 } else { likely.max(1e-26) }
    }
}

/// What the hypotheses say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posterior {
    /// Time to the cut-off: 10, 25, 50, 75 and 90 % of the belief lie below, s.
    pub runtime_s: [f32; 5],
    /// Rated capacity at 25 °C, Ah.
    pub capacity: Normal1,
    /// Its mean for each strength with which the rate may count, Ah.
    pub by_strength_ah: [f32; 3],
    /// Its deviation if that strength were known, Ah.
    pub within_ah: f32,
    /// What this discharge delivers from full to the cut-off, Ah.
    pub delivers: Normal1,
    /// Charge missing at the start, share.
    pub missing: f32,
    /// Q and its relative deviation: where the next fit looks closely.
    pub collapse: Normal1,
}

impl Posterior {
    /// The runtime to be shown `elapsed_s` after the start. At first, when the
    /// shown value can only be lowered later, a hopeful one; then what is as
    /// likely too much as too little; from there on it moves
    /// towards what is exceeded three times in four.
    pub(super) fn cautious_s(&self, elapsed_s: f64) -> f64 {
        let [_, low, middle, high, _] = self.runtime_s.map(f64::from);
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

/// A hypothesis that is not hopeless, and where it leads.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    hypothesis: Hypothesis,
    /// Evidence; once followed, with the prior and its share of the grid.
    ln_weight: f32,
    /// Width of its cell of the grid in ln Q; once followed, the runtime, s.
    width_or_runtime: f32,
    delivers_ah: f32,
}

/// How far a fit has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Idle,
    /// Hypotheses compared.
    Compare(usize),
    /// Outcomes followed.
    Follow(usize),
}

/// Fits curves of one type of block, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fitter {
    kind: Kind,
    observation: Observation,
    stage: Stage,
    grid: [f64; WIDE + NEAR],
    nodes: usize,
    /// Best evidence, then the best weight.
    best: f64,
    /// By how much the best hypothesis misses the points more than expected,
    /// at least 1. If none explains them, the errors are larger than thought,
    /// and all evidence is worth less.
    doubt: f64,
    outcomes: Vec<Outcome>,
    sums: Sums,
}

impl Fitter {
    pub(super) fn new(battery: &BatteryType) -> Self {
        Self {
            kind: Kind::new(battery),
            observation: Observation::new(Task::NONE),
            stage: Stage::Idle,
            grid: [0.0; WIDE + NEAR],
            nodes: 0,
            best: f64::NEG_INFINITY,
            doubt: 1.0,
            outcomes: Vec::with_capacity(FOLLOWED_MAX),
            sums: Sums::default(),
        }
    }

    /// What it keeps beside itself, bytes.
    #[cfg(test)]
    pub(super) const fn heap_bytes() -> usize {
        FOLLOWED_MAX * size_of::<Outcome>()
    }

    /// Begin a fit, in place of one under way. `focus` is the collapse charge
    /// found last time. Without a load there is nothing to be said.
    pub(super) fn begin(&mut self, task: &Task, points: &[Point], focus: Option<Normal1>) {
        self.stage = Stage::Idle;
        if !(task.amps > 0.0 && task.amps.is_finite() && task.drawn_ah.is_finite()) {
            return;
        }
        self.observation.prepare(&self.kind, task, points);
        self.lay_grid(focus);
        self.outcomes.clear();
        (self.best, self.stage) = (f64::NEG_INFINITY, Stage::Compare(0));
    }

    /// Go on for at most `work` comparisons with a point and a few more, which
    /// are taken off it. When the fit is done, its outcome: `None` inside when
    /// nothing can be said.
    pub(super) fn work(&mut self, work: &mut usize) -> Option<Option<Posterior>> {
        if let Stage::Compare(done) = self.stage {
            self.compare(done, work);
        }
        if let Stage::Follow(done) = self.stage {
            self.follow(done, work);
        }
        match self.stage {
            Stage::Idle => Some(None),
            Stage::Follow(done) if done == self.outcomes.len() => {
                self.stage = Stage::Idle;
                Some(self.conclude())
            }
            Stage::Compare(_) | Stage::Follow(_) => None,
        }
    }

    /// Values of Q to try, ascending.
    fn lay_grid(&mut self, focus: Option<Normal1>) {
        let (task, now_ah) = (&self.observation.task, self.observation.now_ah);
        let expected = |which: usize, strength| {
            let rated_ah = task.capacity.by_strength_ah[which];
            self.kind.rate.drawn_ah(rated_ah, task.amps, task.celsius, strength)
        };
        let low = (0.2 * expected(2, 1.0)).max(now_ah * 0.95).max(1e-6);
        let high = (1.7 * expected(0, 0.0)).max(low * 2.0);
        for (i, node) in self.grid[..WIDE].iter_mut().enumerate() {
            *node = low * (high / low).powf(i as f64 / (WIDE - 1) as f64);
        }
        self.nodes = WIDE;
        let Some(focus) = focus else { return };
        let reach = 3.0 * f64::from(focus.sigma).clamp(0.004, 0.3);
        for (i, node) in self.grid[WIDE..].iter_mut().enumerate() {
            let away = 2.0 * i as f64 / (NEAR - 1) as f64 - 1.0;
            *node = (f64::from(focus.mean) * (away * reach).exp()).clamp(low, high);
        }
        self.nodes = WIDE + NEAR;
        self.grid.sort_unstable_by(f64::total_cmp);
    }

    fn compare(&mut self, mut done: usize, work: &mut usize) {
        let (shapes, nodes) = (self.kind.shapes.len(), self.nodes);
        let all = self.observation.task.starts_count.min(STARTS_MAX) * shapes * nodes;
        let cost = COST_SOLVE + self.observation.count();
        while done < all && *work > 0 {
            *work = work.saturating_sub(cost);
            let node = done % nodes;
            let (shape, start) = ((done / nodes % shapes) as u8, (done / nodes / shapes) as u8);
            done += 1;
            let above = self.grid[(node + 1).min(nodes - 1)];
            let width = 0.5 * (above / self.grid[node.saturating_sub(1)]).ln();
            let explained = self.observation.explain(&self.kind, start, shape, self.grid[node]);
            let Some((hypothesis, evidence, misfit)) = explained else { continue };
            if evidence > self.best {
                (self.best, self.doubt) = (evidence, misfit.max(1.0));
            }
            self.keep(Outcome {
                hypothesis,
                ln_weight: evidence as f32,
                width_or_runtime: width as f32,
                delivers_ah: 0.0,
            });
        }
        self.stage = Stage::Compare(done);
        if done == all {
            self.drop_hopeless();
            for o in &mut self.outcomes {
                let evidence = (f64::from(o.ln_weight) - self.best) / self.doubt;
                let shape = &self.kind.shapes[usize::from(o.hypothesis.shape)];
                let start = &self.observation.task.starts[usize::from(o.hypothesis.start)];
                o.ln_weight = (evidence + shape.weight.ln() + start.ln_weight) as f32;
            }
            (self.best, self.sums) = (f64::NEG_INFINITY, Sums::default());
            self.stage = Stage::Follow(0);
        }
    }

    fn drop_hopeless(&mut self) {
        let least = (self.best - HOPELESS * self.doubt) as f32;
        self.outcomes.retain(|o| o.ln_weight > least);
    }

    /// Keep a hypothesis if there is room, or in place of the worst.
    fn keep(&mut self, outcome: Outcome) {
        if self.outcomes.len() == FOLLOWED_MAX {
            self.drop_hopeless();
        }
        if self.outcomes.len() < FOLLOWED_MAX {
            self.outcomes.push(outcome);
            return;
        }
        let worst = self.outcomes.iter_mut().min_by(|a, b| a.ln_weight.total_cmp(&b.ln_weight));
        if let Some(worst) = worst.filter(|worst| worst.ln_weight < outcome.ln_weight) {
            *worst = outcome;
        }
    }

    fn follow(&mut self, mut done: usize, work: &mut usize) {
        let strengths = if self.kind.rate.stated { &STATED_STRENGTHS } else { &STRENGTHS };
        let task = self.observation.task;
        while done < self.outcomes.len() && *work > 0 {
            *work = work.saturating_sub(COST_FOLLOW);
            let o = &mut self.outcomes[done];
            done += 1;
            let (h, kind) = (o.hypothesis, &self.kind);
            let collapse_ah = f64::from(h.collapse_ah);
            let missing = self.observation.missing(h.start, collapse_ah);
            let from = missing + self.observation.now_ah / collapse_ah;
            let end = self.observation.end(kind, &h, from, task.load, task.cutoff_v);
            let rated_load = Load::Amps(kind.rated_amps);
            let slow = self.observation.end(kind, &h, missing, rated_load, kind.rated_cut_v);
            let width = f64::from(o.width_or_runtime);
            o.width_or_runtime = self.observation.runtime_s(kind, &h, from, end) as f32;
            o.delivers_ah = (collapse_ah * end) as f32;
            let mut rated = [(0.0, 0.0); 3];
            for (i, ((strength, likely), slot)) in strengths.iter().zip(&mut rated).enumerate() {
                let drawn = collapse_ah * slow.powf(1.0 - strength) * end.powf(*strength);
                let ah = kind.rate.rated_ah(drawn, task.amps, task.celsius, *strength);
                *slot = (likely * task.capacity.likely(i, ah), ah);
            }
            let prior: f64 = rated.iter().map(|(likely, _)| likely).sum();
            let ln_weight = f64::from(o.ln_weight) + prior.max(1e-30).ln() + width.max(1e-12).ln();
            o.ln_weight = ln_weight as f32;
            // Weights relative to the best so far: nothing overflows.
            if ln_weight > self.best {
                self.sums.scale((self.best - ln_weight).exp());
                self.best = ln_weight;
            }
            let weight = (ln_weight - self.best).exp() / prior;
            self.sums.add(weight, collapse_ah, missing, &rated);
        }
        self.stage = Stage::Follow(done);
    }

    /// From the hypotheses that are left to what is reported.
    fn conclude(&mut self) -> Option<Posterior> {
        let sums = &self.sums;
        if sums.weight.is_nan() || sums.weight <= 0.0 {
            return None;
        }
        let collapse = normal(sums.weight, sums.collapse, sums.collapse2);
        let (ah, square) = (sums.rated.iter()).fold((0.0, 0.0), |s, r| (s.0 + r.1, s.1 + r.2));
        let capacity = normal(sums.weight, ah, square);
        // Within a strength the belief spreads around its own mean.
        let within: f64 = sums.rated.iter().map(|(w, ah, sq)| sq - ah * ah / w.max(1e-30)).sum();
        let posterior = Posterior {
            capacity,
            by_strength_ah: sums.rated.map(|(w, ah, _)| {
                if w > 1e-6 * sums.weight { (ah / w) as f32 } else { capacity.mean }
            }),
            within_ah: (within.max(0.0) / sums.weight).sqrt() as f32,
            missing: (sums.missing / sums.weight) as f32,
            collapse: Normal1 { sigma: collapse.sigma / collapse.mean, ..collapse },
            runtime_s: quantiles(&mut self.outcomes, self.best, QUANTILES, |o| o.width_or_runtime),
            delivers: {
                let [low, mean, high] =
                    quantiles(&mut self.outcomes, self.best, ONE_SIGMA, |o| o.delivers_ah);
                Normal1 { mean, sigma: 0.5 * (high - low) }
            },
        };
        Some(posterior)
    }
}

impl Task {
    /// No load: nothing to fit.
    const NONE: Self = Self {
        drawn_ah: 0.0,
        load: Load::Amps(0.0),
        amps: 0.0,
        celsius: 25.0,
        cutoff_v: 0.0,
        noise_v: 0.0,
        capacity: CapacityPrior { ah: 1.0, by_strength_ah: [1.0; 3], below: 1.0, above: 1.0 },
        starts: [Start { share: 0.0, ah: 0.0, ln_weight: 0.0 }; STARTS_MAX],
        starts_count: 0,
    };
}

/// Weighted sums over the hypotheses.
#[derive(Clone, Debug, Default)]
struct Sums {
    weight: f64,
    collapse: f64,
    collapse2: f64,
    missing: f64,
    /// For each strength of the rate: weight, rated capacity and its square.
    rated: [(f64, f64, f64); 3],
}

impl Sums {
    fn scale(&mut self, by: f64) {
        for sum in [&mut self.weight, &mut self.collapse, &mut self.collapse2, &mut self.missing] {
            *sum *= by;
        }
        for (weight, ah, square) in &mut self.rated {
            (*weight, *ah, *square) = (*weight * by, *ah * by, *square * by);
        }
    }

    /// A hypothesis; `rated` are how likely and how large its rated capacity
    /// is, for each strength of the rate.
    fn add(&mut self, weight: f64, collapse_ah: f64, missing: f64, rated: &[(f64, f64); 3]) {
        let prior: f64 = rated.iter().map(|(likely, ah)| likely * ah).sum::<f64>();
        if !(weight * collapse_ah * prior).is_finite() {
            return;
        }
        for (sums, (likely, ah)) in self.rated.iter_mut().zip(rated) {
            let weight = weight * likely;
            self.weight += weight;
            self.collapse += weight * collapse_ah;
            self.collapse2 += weight * collapse_ah * collapse_ah;
            self.missing += weight * missing;
            sums.0 += weight;
            sums.1 += weight * ah;
            sums.2 += weight * ah * ah;
        }
    }
}

fn normal(weight: f64, sum: f64, square: f64) -> Normal1 {
    let mean = sum / weight;
    let sigma = (square / weight - mean * mean).max(0.0).sqrt();
    Normal1 { mean: mean as f32, sigma: sigma as f32 }
}

/// Quantiles of a value over weighted hypotheses.
fn quantiles<const K: usize>(
    outcomes: &mut [Outcome],
    best: f64,
    quantiles: [f64; K],
    value: impl Fn(&Outcome) -> f32,
) -> [f32; K] {
    outcomes.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)));
    let weight = |o: &Outcome| (f64::from(o.ln_weight) - best).exp();
    let total: f64 = outcomes.iter().map(weight).sum();
    let mut found = [f32::NAN; K];
    let (mut below, mut last, mut next) = (0.0, (0.0, 0.0), 0);
    for o in outcomes.iter() {
        // The middle of a hypothesis' weight stands at its value.
        let (own, value) = (weight(o), f64::from(value(o)));
        let at = below + 0.5 * own;
        below += own;
        while next < K && at >= quantiles[next] * total {
            let (last_at, last_value) = last;
            let wanted = quantiles[next] * total - last_at;
            let step = if at > last_at { wanted / (at - last_at) } else { 1.0 };
            let between: f64 = last_value + step * (value - last_value);
            found[next] = if last_at > 0.0 { between as f32 } else { value as f32 };
            next += 1;
        }
        last = (at, value);
    }
    found[next..].fill(last.1 as f32);
    found
}
