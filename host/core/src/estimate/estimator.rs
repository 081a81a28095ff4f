//! The estimator of a string: from scans to [`StringEstimate`].
//!
//! The string is fitted as a whole whenever its load has changed or two per
//! cent of the time left have passed, its blocks likewise, the most overdue
//! first. A fit is worked off in pieces over several scans, so that no scan
//! takes long. Between fits the runtime counts down.

use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;

use super::belief::{LEARN_DEPTH, lesson, prior, soc, starts};
use super::charge::{ChargeCounter, Missing};
use super::curve::{Curve, POINTS, Point};
use super::fit::{Fitter, Load, Posterior, Task};
use super::load::LoadMeter;
use super::promise::Promise;
use super::report::{BlockEstimate, Learned, LearnedCapacity, StringEstimate};

/// Width of a curve's first points, share of the rated capacity.
const POINT_WIDTH: f64 = 0.001;
/// Loads closer than this are the same load.
const SAME_LOAD: f64 = 0.05;
/// The belief's span, stretched by this, holds nine of ten batteries to either
/// side: none is quite like one of the shapes.
const STRETCH: f32 = 2.0;
/// Share of the time left after which a string or block is fitted again.
const REFIT: f64 = 0.02;
/// Work that all strings of a guard together may do in a scan, in comparisons
/// of a point with a hypothesis: a few milliseconds.
pub const WORK: usize = 30_000;

/// What a string is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its blocks, all of this type.
    pub battery: BatteryType,
    /// How many in series.
    pub blocks: usize,
    /// End of the discharge, V of the whole string; `None`: the type's.
    pub cutoff_v: Option<f64>,
    /// Work done in a step, in comparisons of a point with a hypothesis: the
    /// string's share of [`WORK`].
    pub work: usize,
}

impl Config {
    /// A string of so many blocks that ends at the type's cut-off.
    #[must_use]
    pub fn new(battery: BatteryType, blocks: usize) -> Self {
        Self { battery, blocks, cutoff_v: None, work: WORK }
    }

    fn cutoff_v_per_cell(&self) -> f64 {
        let cells = self.battery.cells_f64() * self.blocks.max(1) as f64;
        self.cutoff_v.map_or(self.battery.cutoff_v() / self.battery.cells_f64(), |v| v / cells)
    }
}

/// Estimates a string.
#[derive(Clone, Debug)]
pub struct StringEstimator {
    config: Config,
    fitter: Fitter,
    counter: ChargeCounter,
    learned: Learned,
    last: Option<Nanos>,
    discharge: Discharge,
    blocks: Vec<BlockState>,
    job: Option<Job>,
    /// The last fit was the string's: a block may be next.
    blocks_next: bool,
    estimate: StringEstimate,
}

/// The discharge under way.
#[derive(Clone, Debug)]
struct Discharge {
    active: bool,
    curve: Curve,
    load: LoadMeter,
    drawn_ah: f64,
    elapsed_s: f64,
    /// Charge that was missing when it began.
    before: Missing,
    celsius: f64,
    noise: Noise,
    /// The last fit of the string, counted down since.
    fit: Option<Posterior>,
    since_fit_s: f64,
    /// Load for which that was, A and W per cell.
    fitted: (f64, f64),
    /// The load has changed since.
    changed: bool,
    /// Load for which the shown runtime was promised, A and W per cell.
    promised: (f64, f64),
    promise: Promise,
}

/// A block during a discharge.
#[derive(Clone, Copy, Debug)]
struct BlockState {
    fit: Option<Posterior>,
    since_fit_s: f32,
    /// The load has changed since.
    changed: bool,
}

/// A fit under way.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// The block; `None`: the string.
    block: Option<usize>,
    /// Time since its points were taken, s.
    age_s: f64,
    /// Load for which it is, A and W per cell.
    load: (f64, f64),
}

/// Noise of the string's voltage, from what follows one another.
#[derive(Clone, Copy, Debug, Default)]
struct Noise {
    last_v: f64,
    step_v: f64,
    square: f64,
    samples: f64,
}

impl Noise {
    /// Deviation of a sample, V per cell.
    fn sigma(&self) -> f64 {
        // A second difference of white noise has six times its variance.
        if self.samples < 3.0 { 0.004 } else { (self.square / 6.0).sqrt().clamp(0.0003, 0.05) }
    }

    fn push(&mut self, volts: f64) {
        let step_v = volts - self.last_v;
        if self.samples >= 2.0 {
            let bend = (step_v - self.step_v).clamp(-0.1, 0.1);
            self.square += (bend * bend - self.square) / (self.samples - 1.0).min(60.0);
        }
        (self.last_v, self.step_v) = (volts, step_v);
        self.samples += 1.0;
    }
}

impl StringEstimator {
    /// With what was learned before; what cannot be is ignored.
    #[must_use]
    pub fn new(config: Config, learned: &Learned) -> Self {
        let rated_ah = config.battery.capacity_ah;
        let keep = |l: Option<LearnedCapacity>| l.filter(|l| l.plausible(rated_ah));
        let mut blocks = learned.blocks.clone();
        blocks.resize(config.blocks, None);
        let learned =
            Learned { whole: keep(learned.whole), blocks: blocks.into_iter().map(keep).collect() };
        Self {
            fitter: Fitter::new(&config.battery),
            counter: ChargeCounter::new(),
            last: None,
            discharge: Discharge::new(rated_ah, config.blocks),
            blocks: vec![BlockState::NEW; config.blocks],
            job: None,
            blocks_next: false,
            estimate: StringEstimate {
                runtime_s: None,
                runtime_low_s: f32::NAN,
                runtime_high_s: f32::NAN,
                runtime_confidence: 0.0,
                limiting_block: None,
                load_w: f32::NAN,
                whole: BlockEstimate::UNKNOWN,
                blocks: vec![BlockEstimate::UNKNOWN; config.blocks],
            },
            learned,
            config,
        }
    }

    /// What discharges have taught: to be kept over a restart.
    #[must_use]
    pub const fn learned(&self) -> &Learned {
        &self.learned
    }

    /// The estimate of the last step.
    #[must_use]
    pub const fn estimate(&self) -> &StringEstimate {
        &self.estimate
    }

    /// One scan.
    pub fn step(&mut self, scan: &StringScan<'_>, phase: Phase) -> &StringEstimate {
        let dt_s = self.last.map_or(0.0, |last| scan.now.since(last).as_secs_f64());
        self.last = Some(scan.now);
        let cells = self.config.battery.cells_f64() * self.config.blocks as f64;
        let string_v = scan.sum_v().or(scan.string_v).filter(|v| v.is_finite());
        let cell_v = string_v.map(|v| v / cells);
        let current_a = scan.current_a.filter(|a| a.is_finite());
        let drawn_ah = match current_a {
            Some(amps) => self.counter.push(&self.config.battery, phase, amps, cell_v, dt_s),
            None => {
                self.counter.interrupt();
                0.0
            }
        };
        let amps = current_a.map_or(f64::NAN, |a| -self.counter.corrected_a(a));
        self.estimate.load_w = string_v.map_or(f64::NAN, |v| (v * amps).max(0.0)) as f32;
        if phase == Phase::Discharge {
            if !self.discharge.active {
                self.begin();
            }
            self.discharge(scan, cell_v, amps, drawn_ah, dt_s);
        } else if self.discharge.active {
            self.learn(scan.wall_s);
            (self.discharge.active, self.job) = (false, None);
        }
        self.report(scan.wall_s, dt_s);
        &self.estimate
    }

    fn begin(&mut self) {
        // The counter has already counted this scan; what it counted is small.
        let before = self.counter.missing;
        let rated_ah = self.config.battery.capacity_ah;
        self.discharge.begin(rated_ah, before);
        self.blocks.fill(BlockState::NEW);
        (self.job, self.blocks_next) = (None, false);
    }

    fn discharge(
        &mut self,
        scan: &StringScan<'_>,
        cell_v: Option<f64>,
        amps: f64,
        drawn_ah: f64,
        dt_s: f64,
    ) {
        let d = &mut self.discharge;
        d.celsius = mean_c(scan).unwrap_or(d.celsius);
        d.drawn_ah += drawn_ah.max(0.0);
        d.since_fit_s += dt_s;
        d.elapsed_s += dt_s;
        self.blocks.iter_mut().for_each(|b| b.since_fit_s += dt_s as f32);
        self.job.iter_mut().for_each(|job| job.age_s += dt_s);
        let (Some(volts), true) = (cell_v, amps > 0.0) else { return };
        d.noise.push(volts);
        let cells = self.config.battery.cells_f64();
        let blocks = scan.blocks.iter().map(|b| b.voltage_v.map(|v| v / cells));
        d.curve.push(d.drawn_ah, volts, amps, blocks);
        if d.load.push(d.drawn_ah, amps, amps * volts, dt_s) {
            // What is being fitted is of the past.
            (d.changed, self.job) = (true, None);
            self.blocks.iter_mut().for_each(|b| b.changed = true);
        }
        self.work(scan.wall_s);
    }

    /// Go on fitting, as far as the work of a step goes.
    fn work(&mut self, wall_s: Option<u64>) {
        let mut work = self.config.work;
        // Nothing is fitted twice in a step.
        for _ in 0..=self.blocks.len() {
            let job = match self.job {
                Some(job) => job,
                None => {
                    let Some(block) = self.due() else { return };
                    self.begin_fit(block, wall_s)
                }
            };
            let done = self.fitter.work(&mut work);
            self.job = if done.is_some() { None } else { Some(job) };
            let Some(fit) = done else { return };
            match job.block {
                Some(index) => self.finish_block(index, &job, fit),
                None => self.finish_string(&job, fit),
            }
            if work == 0 {
                return;
            }
        }
    }

    /// What is to be fitted next: the string (`None`) or the block that is
    /// most overdue for what it has left.
    fn due(&mut self) -> Option<Option<usize>> {
        let d = &self.discharge;
        let overdue = |fit: Option<Posterior>, since_s: f64, changed: bool| match fit {
            Some(fit) if !changed => since_s / (REFIT * f64::from(fit.runtime_s[2])).max(1e-3),
            _ => 1e6 + since_s,
        };
        let mut most = (1.0, None);
        for (index, block) in self.blocks.iter().enumerate() {
            let overdue = overdue(block.fit, f64::from(block.since_fit_s), block.changed);
            if overdue > most.0 && d.curve.measures(index) {
                most = (overdue, Some(index));
            }
        }
        // Near the end all are always due: the string gets every second turn.
        let whole = overdue(d.fit, d.since_fit_s, d.changed) > 1.0;
        self.blocks_next = whole && !(self.blocks_next && most.1.is_some());
        if self.blocks_next { Some(None) } else { most.1.map(Some) }
    }

    fn begin_fit(&mut self, block: Option<usize>, wall_s: Option<u64>) -> Job {
        let d = &self.discharge;
        let battery = &self.config.battery;
        let (starts, starts_count) = starts(&d.before);
        let mut task = Task {
            drawn_ah: d.drawn_ah,
            load: d.load.load(d.curve.points()),
            amps: d.load.amps(),
            celsius: d.celsius,
            cutoff_v: self.config.cutoff_v_per_cell(),
            noise_v: d.noise.sigma(),
            capacity: prior(battery, self.learned.whole, wall_s),
            starts,
            starts_count,
        };
        if let Some(index) = block {
            let mut points = [Point::default(); POINTS];
            let count = d.curve.block(index, &mut points);
            let points = &points[..count];
            if let (Load::Watts(watts), Some(last)) = (&mut task.load, points.last()) {
                // The string's load, as this block feels it.
                *watts = d.load.amps() * last.volts;
            }
            task.cutoff_v = battery.cutoff_v() / battery.cells_f64();
            task.noise_v *= (self.config.blocks as f64).sqrt();
            task.capacity = prior(battery, self.learned.blocks[index], wall_s);
            let focus = self.blocks[index].fit.map(|fit| fit.collapse);
            self.fitter.begin(&task, points, focus);
        } else {
            self.fitter.begin(&task, d.curve.points(), d.fit.map(|fit| fit.collapse));
        }
        Job { block, age_s: 0.0, load: (d.load.amps(), d.load.watts()) }
    }

    fn finish_block(&mut self, index: usize, job: &Job, fit: Option<Posterior>) {
        let block = &mut self.blocks[index];
        block.fit = fit.or(block.fit);
        (block.since_fit_s, block.changed) = (job.age_s as f32, false);
    }

    fn finish_string(&mut self, job: &Job, fit: Option<Posterior>) {
        let d = &mut self.discharge;
        let Some(fit) = fit else { return };
        let left_s = |fit: &Posterior, since_s: f64| f64::from(fit.runtime_s[2]) - since_s;
        if let (Some(old), true) = (&d.fit, d.changed) {
            // Until a block's turn comes, its runtime changes as the string's.
            let change = left_s(&fit, job.age_s) / left_s(old, d.since_fit_s).max(1.0);
            let change = change.clamp(0.01, 100.0) as f32;
            for block in self.blocks.iter_mut().filter(|block| block.changed) {
                let Some(fit) = &mut block.fit else { continue };
                let since_s = core::mem::take(&mut block.since_fit_s);
                fit.runtime_s = fit.runtime_s.map(|s| (s - since_s).max(0.0) * change);
            }
        }
        (d.fit, d.fitted) = (Some(fit), job.load);
        (d.since_fit_s, d.changed) = (job.age_s, false);
    }

    /// The discharge has ended: keep what it taught.
    fn learn(&mut self, wall_s: Option<u64>) {
        let drawn_ah = self.discharge.drawn_ah;
        if let (Missing::Unknown, Some(fit)) = (self.counter.missing, self.discharge.fit) {
            // From here on it is counted.
            let missing_ah = drawn_ah + f64::from(fit.missing * fit.capacity.mean);
            self.counter.missing = Missing::Counted(missing_ah);
        }
        let (whole, before) = (&mut self.learned.whole, self.discharge.before);
        *whole = lesson(self.discharge.fit, *whole, before, drawn_ah, wall_s);
        for (block, learned) in self.blocks.iter().zip(&mut self.learned.blocks) {
            *learned = lesson(block.fit, *learned, before, drawn_ah, wall_s);
        }
    }

    fn report(&mut self, wall_s: Option<u64>, dt_s: f64) {
        let battery = &self.config.battery;
        let active = self.discharge.active;
        let missing = self.counter.missing;
        let describe = |fit: Option<Posterior>, learned: Option<LearnedCapacity>, late_s: f64| {
            let delivers = fit.map(|f| f.delivers);
            let fit = fit.filter(|_| active);
            let capacity =
                fit.map_or_else(|| prior(battery, learned, wall_s).normal(), |f| f.capacity);
            let depth =
                fit.map_or(0.0, |f| self.discharge.drawn_ah / f64::from(f.capacity.mean)) as f32;
            let depth = if f64::from(depth) < LEARN_DEPTH { 0.0 } else { depth };
            let (soc, soc_sigma) = soc(battery, missing, self.discharge.drawn_ah, capacity, fit);
            BlockEstimate {
                soc: soc as f32,
                soc_sigma: soc_sigma as f32,
                capacity_ah: capacity.mean,
                capacity_sigma_ah: capacity.sigma,
                delivers_ah: delivers.map_or(f32::NAN, |d| d.mean),
                delivers_sigma_ah: delivers.map_or(f32::NAN, |d| d.sigma),
                learned_depth: learned.map_or(0.0, |l| l.depth).max(depth),
                learned_wall_s: learned.map_or(0, |l| l.wall_s),
                runtime_s: fit.map_or(f64::NAN, |f| {
                    (f.cautious_s(self.discharge.elapsed_s) - late_s).max(0.0)
                }) as f32,
            }
        };
        let d = &self.discharge;
        self.estimate.whole = describe(d.fit, self.learned.whole, d.since_fit_s);
        let blocks = self.blocks.iter().zip(&self.learned.blocks);
        for ((state, learned), slot) in blocks.zip(&mut self.estimate.blocks) {
            *slot = match state.fit {
                Some(_) => describe(state.fit, *learned, f64::from(state.since_fit_s)),
                None if active => self.estimate.whole,
                None => BlockEstimate {
                    delivers_ah: self.estimate.whole.delivers_ah,
                    delivers_sigma_ah: self.estimate.whole.delivers_sigma_ah,
                    ..describe(None, learned.or(self.learned.whole), 0.0)
                },
            };
        }
        self.report_runtime(dt_s);
    }

    /// The first to end decides; under a constant load nothing rises.
    fn report_runtime(&mut self, dt_s: f64) {
        let (d, e) = (&mut self.discharge, &mut self.estimate);
        let fit = d.fit.filter(|_| d.active);
        let Some(fit) = fit else {
            (e.runtime_s, e.runtime_low_s, e.runtime_high_s) = (None, f32::NAN, f32::NAN);
            (e.runtime_confidence, e.limiting_block) = (0.0, None);
            return;
        };
        let (mut first, mut late_s, mut limiting) = (fit, d.since_fit_s, None);
        for (index, block) in self.blocks.iter().enumerate() {
            let Some(fit) = block.fit else { continue };
            let left_s = |fit: &Posterior| fit.cautious_s(d.elapsed_s);
            let since_s = f64::from(block.since_fit_s);
            if left_s(&fit) - since_s < left_s(&first) - late_s {
                (first, late_s, limiting) = (fit, since_s, Some(index as u16));
            }
        }
        let shown = |s: f64| (s - late_s).max(0.0) as f32;
        let [low, _, _, _, high] = first.runtime_s.map(|s| shown(f64::from(s)));
        let value = shown(first.cautious_s(d.elapsed_s));
        let (amps, watts) = d.fitted;
        let alike = |now: f64, then: f64| (now / then - 1.0).abs() < SAME_LOAD;
        let same = alike(amps, d.promised.0) || alike(watts, d.promised.1);
        let value = match e.runtime_s {
            Some(before) if same => {
                d.promise.keep(d.elapsed_s, dt_s, f64::from(before), f64::from(value)) as f32
            }
            _ => {
                let steps = self.config.battery.chemistry_data().lithium;
                (d.promised, d.promise) = ((amps, watts), Promise::new(steps));
                value
            }
        };
        e.runtime_s = Some(value);
        e.runtime_low_s = (value - STRETCH * (value - low).max(0.0)).max(0.0);
        e.runtime_high_s = value + STRETCH * (high - value).max(0.0);
        let span = e.runtime_high_s - e.runtime_low_s;
        e.runtime_confidence = (1.0 - 0.5 * span / value.max(1.0)).clamp(0.0, 1.0);
        e.limiting_block = limiting;
    }
}

impl Discharge {
    fn new(rated_ah: f64, blocks: usize) -> Self {
        Self {
            active: false,
            curve: Curve::new(POINT_WIDTH * rated_ah, blocks),
            load: LoadMeter::default(),
            drawn_ah: 0.0,
            elapsed_s: 0.0,
            before: Missing::Unknown,
            celsius: 25.0,
            noise: Noise::default(),
            fit: None,
            since_fit_s: 0.0,
            fitted: (f64::NAN, f64::NAN),
            changed: false,
            promised: (f64::NAN, f64::NAN),
            promise: Promise::new(false),
        }
    }

    fn begin(&mut self, rated_ah: f64, before: Missing) {
        self.curve.clear(POINT_WIDTH * rated_ah);
        self.load = LoadMeter::default();
        (self.active, self.drawn_ah, self.before) = (true, 0.0, before);
        (self.noise, self.fit) = (Noise::default(), None);
        (self.since_fit_s, self.elapsed_s, self.changed) = (0.0, 0.0, false);
        self.promised = (f64::NAN, f64::NAN);
    }
}

impl BlockState {
    const NEW: Self = Self { fit: None, since_fit_s: 0.0, changed: false };
}

/// Mean temperature of the blocks, else of the air, °C.
fn mean_c(scan: &StringScan<'_>) -> Option<f64> {
    let (sum, count) = scan.temperatures().fold((0.0, 0.0), |(s, n), (_, c)| (s + c, n + 1.0));
    let mean = if count > 0.0 { Some(sum / count) } else { scan.ambient_c };
    mean.filter(|c| (-40.0..=90.0).contains(c))
}

#[cfg(test)]
mod tests;
