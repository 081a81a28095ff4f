//! The estimator of a string: from scans to [`StringEstimate`].
//!
//! The string is fitted as a whole whenever its load has changed or two per
//! cent of the time left have passed; otherwise blocks take turns, and so do
//! the strings of a guard, so that a scan's work is bounded. Between fits the runtime counts down.

use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;

use super::charge::{ChargeCounter, Missing};
use super::curve::{Curve, POINTS, Point};
use super::fit::{CapacityPrior, Fitter, Load, Normal1, Posterior, STARTS_MAX, Task};
use super::load::LoadMeter;
use super::report::{BlockEstimate, Learned, LearnedCapacity, StringEstimate};

/// A type's capacity before anything was learned, over the rated one: most
/// likely value, and deviations towards less and towards more.
const UNLEARNED: (f64, f64, f64) = (0.93, 0.16, 0.07);
/// Width of a curve's first points, share of the rated capacity.
const POINT_WIDTH: f64 = 0.001;
/// A discharge shallower than this teaches nothing.
const LEARN_DEPTH: f64 = 0.10;
/// A learned capacity loses certainty, relative deviation per root of a year.
const FORGET_PER_ROOT_YEAR: f64 = 0.08;
/// Loads closer than this are the same load.
const SAME_LOAD: f64 = 0.05;
/// Share of a discharge within which the shown runtime follows a lower one.
const LAG: f64 = 0.02;
/// Share of the time left after which the string is fitted again.
const REFIT: f64 = 0.02;

/// What a string is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its blocks, all of this type.
    pub battery: BatteryType,
    /// How many in series.
    pub blocks: usize,
    /// End of the discharge, V of the whole string; `None`: the type's.
    pub cutoff_v: Option<f64>,
    /// Blocks fitted in a turn at most.
    pub block_fits: usize,
    /// Scans from one turn to the next, at least 1. A turn fits the string, or
    /// blocks when that is not due: one to three milliseconds.
    pub turn_scans: u32,
    /// Which of these scans is this string's: so that many take turns.
    pub turn: u32,
}

impl Config {
    /// A string of so many blocks that ends at the type's cut-off.
    #[must_use]
    pub fn new(battery: BatteryType, blocks: usize) -> Self {
        Self { battery, blocks, cutoff_v: None, block_fits: 1, turn_scans: 8, turn: 0 }
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
    next_block: usize,
    scans: u32,
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
    focus: Option<Normal1>,
    /// The last fit of the string, counted down since.
    fit: Option<Posterior>,
    since_fit_s: f64,
    /// The load has changed since.
    changed: bool,
    /// The last turn was the string's.
    blocks_next: bool,
    /// Load for which the shown runtime was promised, A and W per cell.
    promised: (f64, f64),
}

/// A block during a discharge.
#[derive(Clone, Copy, Debug)]
struct BlockState {
    focus: Option<Normal1>,
    fit: Option<Posterior>,
    since_fit_s: f64,
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
            next_block: 0,
            scans: config.turn,
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
            self.discharge.active = false;
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
        self.next_block = 0;
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
        self.blocks.iter_mut().for_each(|b| b.since_fit_s += dt_s);
        let (Some(volts), true) = (cell_v, amps > 0.0) else { return };
        d.noise.push(volts);
        let cells = self.config.battery.cells_f64();
        let blocks = scan.blocks.iter().map(|b| b.voltage_v.map(|v| v / cells));
        d.curve.push(d.drawn_ah, volts, amps, blocks);
        d.changed |= d.load.push(d.drawn_ah, amps, amps * volts, dt_s);
        let old = d.fit.is_none_or(|fit| d.since_fit_s > REFIT * fit.runtime_s[2]);
        self.scans = self.scans.wrapping_add(1);
        let first = d.fit.is_none();
        if !first && !self.scans.is_multiple_of(self.config.turn_scans.max(1)) {
            return;
        }
        let alone = self.config.turn_scans > 1;
        // Near the end the string is always due: the blocks get every second turn.
        let due = (d.changed || old) && !(alone && core::mem::take(&mut d.blocks_next));
        if due {
            d.blocks_next = true;
            self.fit_string();
        }
        if !(due && alone) {
            self.fit_blocks();
        }
    }

    fn fit_string(&mut self) {
        let d = &mut self.discharge;
        let (starts, count) = starts(&d.before, self.config.battery.capacity_ah);
        let task = Task {
            points: d.curve.points(),
            drawn_ah: d.drawn_ah,
            load: d.load.load(d.curve.points()),
            amps: d.load.amps(),
            celsius: d.celsius,
            cutoff_v: self.config.cutoff_v_per_cell(),
            noise_v: d.noise.sigma(),
            capacity: prior(&self.config.battery, self.learned.whole, None),
            starts: &starts[..count],
        };
        if let Some(fit) = self.fitter.fit(&task, &mut d.focus) {
            d.fit = Some(fit);
            (d.since_fit_s, d.changed) = (0.0, false);
        }
    }

    /// Fit a few blocks, in turn.
    fn fit_blocks(&mut self) {
        let d = &self.discharge;
        let (starts, count) = starts(&d.before, self.config.battery.capacity_ah);
        let per_root_block = (self.config.blocks as f64).sqrt();
        let mut points = [Point::default(); POINTS];
        for _ in 0..self.config.block_fits.min(self.config.blocks) {
            let index = self.next_block;
            self.next_block = (index + 1) % self.config.blocks.max(1);
            let measured = d.curve.block(index, &mut points);
            let Some(last) = points[..measured].last() else { continue };
            // The string's load, as this block feels it.
            let watts = d.load.amps() * last.volts;
            let load = match d.load.load(d.curve.points()) {
                Load::Amps(amps) => Load::Amps(amps),
                Load::Watts(_) => Load::Watts(watts),
            };
            let task = Task {
                points: &points[..measured],
                drawn_ah: d.drawn_ah,
                load,
                amps: d.load.amps(),
                celsius: d.celsius,
                cutoff_v: self.config.battery.cutoff_v() / self.config.battery.cells_f64(),
                noise_v: d.noise.sigma() * per_root_block,
                capacity: prior(&self.config.battery, self.learned.blocks[index], None),
                starts: &starts[..count],
            };
            let state = &mut self.blocks[index];
            if let Some(fit) = self.fitter.fit(&task, &mut state.focus) {
                state.fit = Some(fit);
                state.since_fit_s = 0.0;
            }
        }
    }

    /// The discharge has ended: keep what it taught.
    fn learn(&mut self, wall_s: Option<u64>) {
        let drawn_ah = self.discharge.drawn_ah;
        if let (Missing::Unknown, Some(fit)) = (self.counter.missing, self.discharge.fit) {
            // From here on it is counted.
            let missing_ah = drawn_ah + fit.missing * fit.capacity.mean;
            self.counter.missing = Missing::Counted(missing_ah);
        }
        let lesson = |fit: Option<Posterior>, old: Option<LearnedCapacity>| {
            let Some(capacity) = fit.map(|fit| fit.capacity) else { return old };
            let depth = drawn_ah / capacity.mean;
            if depth.is_nan() || depth < LEARN_DEPTH {
                return old;
            }
            Some(LearnedCapacity {
                capacity_ah: capacity.mean as f32,
                sigma_ah: capacity.sigma as f32,
                depth: old.map_or(0.0, |old| old.depth).max(depth.min(1.5) as f32),
                wall_s: wall_s.unwrap_or(0),
            })
        };
        self.learned.whole = lesson(self.discharge.fit, self.learned.whole);
        for (block, learned) in self.blocks.iter().zip(&mut self.learned.blocks) {
            *learned = lesson(block.fit, *learned);
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
            let depth = fit.map_or(0.0, |f| self.discharge.drawn_ah / f.capacity.mean) as f32;
            let depth = if f64::from(depth) < LEARN_DEPTH { 0.0 } else { depth };
            let (soc, soc_sigma) = soc(battery, missing, self.discharge.drawn_ah, capacity, fit);
            BlockEstimate {
                soc: soc as f32,
                soc_sigma: soc_sigma as f32,
                capacity_ah: capacity.mean as f32,
                capacity_sigma_ah: capacity.sigma as f32,
                delivers_ah: delivers.map_or(f32::NAN, |d| d.mean as f32),
                delivers_sigma_ah: delivers.map_or(f32::NAN, |d| d.sigma as f32),
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
                Some(_) => describe(state.fit, *learned, state.since_fit_s),
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
            if left_s(&fit) - block.since_fit_s < left_s(&first) - late_s {
                (first, late_s, limiting) = (fit, block.since_fit_s, Some(index as u16));
            }
        }
        let shown = |s: f64| (s - late_s).max(0.0) as f32;
        let [low, _, _, _, high] = first.runtime_s.map(shown);
        let value = shown(first.cautious_s(d.elapsed_s));
        let (amps, watts) = (d.load.amps(), d.load.watts());
        let alike = |now: f64, then: f64| (now / then - 1.0).abs() < SAME_LOAD;
        let same = alike(amps, d.promised.0) || alike(watts, d.promised.1);
        let value = match e.runtime_s {
            Some(before) if same => {
                // A passing dip of the estimate must not hold for ever: down
                // to a lower one within a small part of what it says is left.
                let total_s = d.elapsed_s + f64::from(value);
                let lag_s = (LAG * total_s).min(0.25 * f64::from(value)).max(1.0);
                let expected = (f64::from(before) - dt_s).max(0.0) as f32;
                let share = (1.0 - (-dt_s / lag_s).exp()) as f32;
                if value < expected {
                    expected + share * (value - expected)
                } else {
                    value.min(before)
                }
            }
            _ => {
                d.promised = (amps, watts);
                value
            }
        };
        e.runtime_s = Some(value);
        (e.runtime_low_s, e.runtime_high_s) = (low.min(value), high.max(value));
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
            focus: None,
            fit: None,
            since_fit_s: 0.0,
            changed: false,
            blocks_next: false,
            promised: (f64::NAN, f64::NAN),
        }
    }

    fn begin(&mut self, rated_ah: f64, before: Missing) {
        self.curve.clear(POINT_WIDTH * rated_ah);
        self.load = LoadMeter::default();
        (self.active, self.drawn_ah, self.before) = (true, 0.0, before);
        (self.noise, self.focus, self.fit) = (Noise::default(), None, None);
        (self.since_fit_s, self.elapsed_s, self.changed) = (0.0, 0.0, false);
        self.promised = (f64::NAN, f64::NAN);
    }
}

impl BlockState {
    const NEW: Self = Self { focus: None, fit: None, since_fit_s: 0.0 };
}

impl CapacityPrior {
    fn normal(&self) -> Normal1 {
        let spread = 0.5 * (self.below + self.above);
        let mean = self.ah * (1.0 - 0.8 * (self.below - self.above));
        Normal1 { mean, sigma: spread * mean }
    }
}

/// What is believed of a capacity before a discharge.
fn prior(
    battery: &BatteryType,
    learned: Option<LearnedCapacity>,
    wall_s: Option<u64>,
) -> CapacityPrior {
    let Some(learned) = learned else {
        let (mode, below, above) = UNLEARNED;
        return CapacityPrior { ah: mode * battery.capacity_ah, below, above };
    };
    let ah = f64::from(learned.capacity_ah);
    let years = match wall_s {
        Some(now) if learned.wall_s > 0 => {
            now.saturating_sub(learned.wall_s) as f64 / (365.25 * 86_400.0)
        }
        _ => 0.5,
    };
    let own = (f64::from(learned.sigma_ah) / ah).max(0.03);
    let spread = own.hypot(FORGET_PER_ROOT_YEAR * years.sqrt()).min(0.25);
    CapacityPrior { ah, below: spread, above: spread.min(0.12) }
}

/// Shares of the charge that may have been missing when a discharge began,
/// with the logarithm of how likely.
fn starts(before: &Missing, rated_ah: f64) -> ([(f64, f64); STARTS_MAX], usize) {
    let mut starts = [(0.0, 0.0); STARTS_MAX];
    let around = |share: f64| [(share - 0.06).max(0.0), share, (share + 0.06).min(0.95)];
    match before {
        Missing::Counted(ah) if *ah < 0.02 * rated_ah => (starts, 1),
        Missing::Counted(ah) => {
            starts[0].0 = (ah / (0.9 * rated_ah)).min(0.95);
            (starts, 1)
        }
        Missing::Rest(share) if *share == 0.0 => (starts, 1),
        Missing::Rest(share) => {
            for (slot, share) in starts.iter_mut().zip(around(*share)) {
                *slot = (share, -0.5);
            }
            starts[1].1 = 0.0;
            (starts, 3)
        }
        Missing::Unknown => {
            // Whoever records a discharge usually begins with a full battery.
            ([(0.0, 0.0), (0.12, -3.0), (0.30, -3.7)], 3)
        }
    }
}

/// State of charge and its deviation.
fn soc(
    battery: &BatteryType,
    missing: Missing,
    drawn_ah: f64,
    capacity: Normal1,
    fit: Option<Posterior>,
) -> (f64, f64) {
    let relative = capacity.sigma / capacity.mean;
    match missing {
        Missing::Counted(ah) => {
            let share = (ah / capacity.mean).min(1.0);
            (1.0 - share, 0.01_f64.hypot(share * relative))
        }
        Missing::Rest(share) => {
            // Counted against the rated capacity.
            let share = (share * battery.capacity_ah / capacity.mean).min(1.0);
            (1.0 - share, 0.08_f64.hypot(share * relative))
        }
        Missing::Unknown => fit.map_or((f64::NAN, f64::NAN), |fit| {
            let share = (fit.missing + drawn_ah / capacity.mean).min(1.0);
            let doubt = (0.3 * fit.missing).sqrt().min(0.25);
            (1.0 - share, doubt.hypot(0.02).hypot(share * relative))
        }),
    }
}

/// Mean temperature of the blocks, else of the air, °C.
fn mean_c(scan: &StringScan<'_>) -> Option<f64> {
    let (sum, count) = scan.temperatures().fold((0.0, 0.0), |(s, n), (_, c)| (s + c, n + 1.0));
    let mean = if count > 0.0 { Some(sum / count) } else { scan.ambient_c };
    mean.filter(|c| (-40.0..=90.0).contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;
    use crate::scan::BlockScan;
    use proptest::prelude::*;

    fn estimator(blocks: usize) -> StringEstimator {
        let config = Config::new(BatteryType::new(Chemistry::Agm, 6, 100.0), blocks);
        StringEstimator::new(config, &Learned::default())
    }

    fn scan(blocks: &[BlockScan], seconds: u64, amps: Option<f64>) -> StringScan<'_> {
        StringScan {
            now: Nanos::from_secs(seconds),
            wall_s: Some(1_800_000_000 + seconds),
            blocks,
            current_a: amps,
            string_v: None,
            ambient_c: Some(25.0),
        }
    }

    /// Blocks after `hours` at 20 A; each gives its own capacity until its knee.
    fn blocks(hours: f64, capacities_ah: &[f64]) -> Vec<BlockScan> {
        let block = |ah: &f64| {
            let x = hours * 20.0 / (0.8 * ah);
            let cell_v = 2.12 - 0.17 * x - 0.2 * ((x - 1.0) / 0.05).exp();
            BlockScan { voltage_v: Some(6.0 * cell_v), ..BlockScan::default() }
        };
        capacities_ah.iter().map(block).collect()
    }

    #[test]
    fn the_weakest_block_decides_and_is_learned() {
        let mut estimator = estimator(3);
        let float = [BlockScan { voltage_v: Some(13.6), ..BlockScan::default() }; 3];
        estimator.step(&scan(&float, 0, Some(0.0)), Phase::Float);
        let capacities = [90.0, 90.0, 70.0];
        let mut last = None;
        for second in (10..9_900).step_by(10) {
            let now = blocks(second as f64 / 3600.0, &capacities);
            let estimate = estimator.step(&scan(&now, second, Some(-20.0)), Phase::Discharge);
            if let (Some(before), Some(after)) = (last, estimate.runtime_s) {
                assert!(after <= before, "{second} s: from {before} to {after}");
            }
            last = estimate.runtime_s;
        }
        assert_eq!(estimator.estimate.limiting_block, Some(2));
        assert!(last.is_some_and(|s| s < 300.0), "{last:?}");
        let after = estimator.step(&scan(&float, 9_920, Some(10.0)), Phase::Recharge).clone();
        assert_eq!(after.runtime_s, None);
        assert!(after.blocks[2].capacity_ah < 0.9 * after.blocks[0].capacity_ah, "{after:?}");
        assert!(after.blocks[2].learned_depth > 0.5 && after.blocks[2].learned_wall_s > 0);
        // It outlives a restart.
        let again = StringEstimator::new(estimator.config.clone(), estimator.learned());
        assert_eq!(again.learned(), estimator.learned());
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let mut estimator = estimator(2);
        let before = estimator.step(&scan(&[BlockScan::default(); 2], 0, None), Phase::Unknown);
        assert!(before.whole.soc.is_nan() && before.runtime_s.is_none() && before.load_w.is_nan());
        assert_eq!(before.whole.learned_depth, 0.0);
        assert!(before.whole.capacity_sigma_ah > 8.0, "a guess says that it is one");
        let now = blocks(0.5, &[90.0, 90.0]);
        let blind = estimator.step(&scan(&now, 10, None), Phase::Discharge);
        assert_eq!(blind.runtime_s, None, "no current, no charge");
    }

    #[test]
    fn nonsense_that_was_learned_is_ignored() {
        let nonsense = LearnedCapacity { capacity_ah: 9e9, sigma_ah: 1.0, depth: 0.5, wall_s: 0 };
        let config = Config::new(BatteryType::new(Chemistry::Agm, 6, 100.0), 1);
        let learned = Learned { whole: Some(nonsense), blocks: vec![Some(nonsense); 9] };
        let estimator = StringEstimator::new(config, &learned);
        assert_eq!(*estimator.learned(), Learned { whole: None, blocks: vec![None] });
    }

    #[test]
    #[ignore = "times the guard's share of a scan; in release"]
    fn cost_of_a_scan_with_sixteen_strings() {
        for chemistry in [Chemistry::Agm, Chemistry::Lfp, Chemistry::Nmc] {
            let config = Config::new(BatteryType::new(chemistry, 1, 100.0), 32);
            let one = StringEstimator::new(config, &Learned::default());
            let mut all: Vec<StringEstimator> = vec![one; 16];
            for (turn, string) in (0..).zip(&mut all) {
                string.scans = turn;
            }
            let full_v = all[0].config.battery.chemistry_data().rest_full_v;
            let (mut total_s, mut worst_s) = (0.0_f64, 0.0_f64);
            for second in 0..1_200_u64 {
                let cell_v = full_v - 0.1 - 1e-4 * second as f64;
                let now = [BlockScan { voltage_v: Some(cell_v), ..BlockScan::default() }; 32];
                let before = std::time::Instant::now();
                for string in &mut all {
                    string.step(&scan(&now, second, Some(-100.0)), Phase::Discharge);
                }
                let took_s = before.elapsed().as_secs_f64();
                (total_s, worst_s) = (total_s + took_s, worst_s.max(took_s));
            }
            let mean_ms = 1e3 * total_s / 1_200.0;
            println!("{chemistry:?}: {mean_ms:.2} ms a scan, at most {:.2} ms", 1e3 * worst_s);
            assert!(mean_ms < 5.0, "{chemistry:?}: {mean_ms} ms");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_input_harms(
            steps in proptest::collection::vec(
                (0u64..100_000, any::<f64>(), any::<f64>(), -300.0f64..300.0, 0.0f64..40.0, 0u8..8),
                1..40,
            ),
        ) {
            let mut estimator = estimator(2);
            for (seconds, wild_a, wild_v, amps, volts, kind) in steps {
                let pick = |wild: f64, tame: f64| if kind & 1 == 0 { wild } else { tame };
                let block = BlockScan {
                    voltage_v: (kind & 2 == 0).then_some(pick(wild_v, volts)),
                    temperature_c: Some(pick(wild_a, 25.0)),
                    ..BlockScan::default()
                };
                let phase = [Phase::Discharge, Phase::Float, Phase::Unknown, Phase::Recharge]
                    [usize::from(kind >> 1)];
                let amps = (kind & 4 == 0).then_some(pick(wild_a, amps));
                let estimate = estimator.step(&scan(&[block; 2], seconds, amps), phase);
                prop_assert!(estimate.runtime_s.is_none_or(|s| s >= 0.0));
                prop_assert!(!(estimate.whole.soc < 0.0 || estimate.whole.soc > 1.0));
            }
        }
    }
}
