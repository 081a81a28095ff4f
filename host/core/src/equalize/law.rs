//! The control law: PI per block, gain from the block's capacity, common mode
//! pinned (facts/battery-science.md §3.2, §3.3).
//!
//! | symbol | meaning | value |
//! |---|---|---|
//! | e | block voltage − target | V, positive: shed current |
//! | C_p | polarisation capacity of the block | 5 F/Ah · Ah · 6/cells |
//! | n | scans that the error is smoothed over | 1, 2, 3 …: see below |
//! | K | proportional gain | C_p / (4 n T_c): critically damped with a delay of n cycles |
//! | T_i | integration time | 4 C_p / K |
//! | I | integrator | A, within 0 … bypass current |
//!
//! The bypass current wanted is K·e + I; the duty is its share of V/R_bypass.
//! Noise: the bypass can only shed, so the law rectifies noise; K σ is kept to
//! a tenth of the bypass current. Where K for n = 1 is beyond that (large
//! blocks, short cycles), e is smoothed exponentially over n scans, which
//! divides σ by √(2n − 1) and costs n cycles of delay; the smallest n that
//! satisfies both is taken.
//!
//! The errors are relative to the mean, so a current common to all integrators
//! changes no error and would random-walk upward on noise: the smallest
//! integrator of the members is subtracted from all in every cycle.

use super::inhibit::{Detector, Inhibits, Survey, survey_limit};
use super::target::HealthyMean;
use crate::battery::ModuleKind;
use crate::bus::wire::Duty;
use crate::time::Nanos;

/// Polarisation capacity of a cell, F per Ah (5 F/Ah for six cells in series).
const CP_F_PER_AH_CELL: f64 = 30.0;
/// Noise of a reading that the gain is made for, V rms: white noise of the
/// module and 1 mV steps.
const READING_NOISE_V: f64 = 0.0015;
/// Share of the bypass current that noise may move.
const NOISE_SHARE: f64 = 0.1;
/// A block hotter than this is left alone, °C; below [`COOL_C`] it takes part again.
const HOT_C: f64 = 45.0;
const COOL_C: f64 = 43.0;
/// After an inhibit the duties come back by this share per cycle.
const RAMP_PER_CYCLE: f64 = 0.1;

/// What a string is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Number of blocks.
    pub blocks: usize,
    /// Module on each block.
    pub module: ModuleKind,
    /// Lead cells per block.
    pub cells: f64,
    /// Rated capacity, Ah (20 h rate).
    pub capacity_ah: f64,
    /// Time between two steps.
    pub cycle: Nanos,
    /// Equalize at all.
    pub enabled: bool,
}

/// One block's usable measurement in a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockInput {
    /// Block voltage, V.
    pub voltage_v: f64,
    /// Block temperature, °C.
    pub temperature_c: f64,
}

/// What a step found and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Target, V; NaN when no block is usable.
    pub target_v: f64,
    /// Sum of all block voltages, V; NaN unless every block is usable.
    pub sum_v: f64,
    /// Signed deviation of the block farthest from the target, V, among all
    /// usable blocks; NaN without target.
    pub worst_v: f64,
    /// Why every bypass is off, if so.
    pub inhibits: Inhibits,
    /// Blocks that made the target.
    pub members: u16,
    /// Blocks whose bypass is fully on and does not suffice.
    pub saturated: u16,
    /// Mean duty of the string, 0 … 1.
    pub mean_duty: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct BlockState {
    integrator_a: f64,
    /// Smoothed error, V.
    error_v: Option<f64>,
    hot: bool,
    /// Voltage in the last scan, if usable.
    last_v: Option<f64>,
}

impl BlockState {
    fn forget(&mut self) {
        (self.integrator_a, self.error_v) = (0.0, None);
    }

    fn smooth(&mut self, error_v: f64, share: f64) -> f64 {
        let smoothed = self.error_v.map_or(error_v, |last| last + share * (error_v - last));
        self.error_v = Some(smoothed);
        smoothed
    }
}

/// 1/n and K for a block, see the head of this file.
fn gain(cp_f: f64, cycle_s: f64, bypass_a: f64) -> (f64, f64) {
    let limit_a_per_v = NOISE_SHARE * bypass_a / READING_NOISE_V;
    let mut n = 1.0;
    // Ends: the left side falls and the right side rises with n.
    while cp_f / (4.0 * n * cycle_s) > limit_a_per_v * (2.0 * n - 1.0_f64).sqrt() {
        n += 1.0;
    }
    (1.0 / n, cp_f / (4.0 * n * cycle_s))
}

/// The equalizer of one string. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct Equalizer {
    config: Config,
    /// 1 / n.
    smoothing: f64,
    gain_a_per_v: f64,
    /// T_c / T_i.
    integral_share: f64,
    target: HealthyMean,
    detector: Detector,
    blocks: Vec<BlockState>,
    ramp: f64,
}

impl Equalizer {
    /// For a string as configured.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let cycle_s = config.cycle.as_secs_f64();
        let cp_f = CP_F_PER_AH_CELL * config.capacity_ah / config.cells;
        let (smoothing, gain_a_per_v) = gain(cp_f, cycle_s, config.module.data().bypass_a);
        Self {
            smoothing,
            gain_a_per_v,
            integral_share: cycle_s * gain_a_per_v / (4.0 * cp_f),
            target: HealthyMean::new(config.blocks, config.cells),
            detector: Detector::default(),
            blocks: vec![BlockState::default(); config.blocks],
            ramp: 0.0,
            config,
        }
    }

    /// One scan: `inputs` and `duties` have one entry per block; `None` is a
    /// block without a usable reading, whose bypass is off.
    ///
    /// # Panics
    /// When the slices are not one entry per block: a programming error.
    pub fn step(
        &mut self,
        inputs: &[Option<BlockInput>],
        paused: bool,
        duties: &mut [Duty],
    ) -> Report {
        assert_eq!(inputs.len(), self.config.blocks, "one input per block");
        assert_eq!(duties.len(), self.config.blocks, "one duty per block");
        let voltages = inputs.iter().map(|i| i.map(|b| b.voltage_v));
        let target = self.target.step(voltages);
        let survey = self.survey(inputs);
        for (block, input) in self.blocks.iter_mut().zip(inputs) {
            block.last_v = input.map(|b| b.voltage_v);
        }
        let inhibits = self
            .detector
            .step(&survey)
            .with(Inhibits::PAUSED, paused)
            .with(Inhibits::DISABLED, !self.config.enabled);
        duties.fill(Duty::OFF);
        let saturated = match target {
            Some(target_v) if inhibits.is_empty() => {
                self.ramp = (self.ramp + RAMP_PER_CYCLE).min(1.0);
                self.control(inputs, target_v, duties)
            }
            _ => {
                self.release();
                0
            }
        };
        self.report(inputs, target, inhibits, saturated, duties)
    }

    /// All bypasses off: forget the integrators, come back by the ramp.
    fn release(&mut self) {
        self.ramp = 0.0;
        self.blocks.iter_mut().for_each(BlockState::forget);
    }

    /// Duties by the law; returns the number of saturated blocks.
    fn control(
        &mut self,
        inputs: &[Option<BlockInput>],
        target_v: f64,
        duties: &mut [Duty],
    ) -> u16 {
        let mut saturated = 0;
        let bypass_ohm = self.config.module.data().bypass_ohm;
        for ((state, input), duty) in self.blocks.iter_mut().zip(inputs).zip(duties) {
            let Some(input) = input else {
                state.forget();
                continue;
            };
            state.hot = input.temperature_c > if state.hot { COOL_C } else { HOT_C };
            if state.hot {
                state.forget();
                continue;
            }
            let error_v = state.smooth(input.voltage_v - target_v, self.smoothing);
            let full_a = (input.voltage_v / bypass_ohm).max(0.0);
            let proportional_a = self.gain_a_per_v * error_v;
            let wanted_a = proportional_a + state.integrator_a;
            let pushes_out =
                (wanted_a >= full_a && error_v > 0.0) || (wanted_a <= 0.0 && error_v < 0.0);
            if !pushes_out {
                state.integrator_a =
                    (state.integrator_a + proportional_a * self.integral_share).clamp(0.0, full_a);
            }
            let fraction = (wanted_a / full_a).clamp(0.0, 1.0);
            saturated += u16::from(fraction >= 1.0);
            *duty = Duty::from_fraction(fraction * self.ramp);
        }
        self.pin_common_mode(inputs);
        saturated
    }

    fn pin_common_mode(&mut self, inputs: &[Option<BlockInput>]) {
        let members =
            || (0..self.blocks.len()).filter(|i| inputs[*i].is_some() && self.target.is_member(*i));
        let smallest = members().map(|i| self.blocks[i].integrator_a).fold(f64::INFINITY, f64::min);
        if smallest.is_finite() {
            for block in &mut self.blocks {
                block.integrator_a = (block.integrator_a - smallest).max(0.0);
            }
        }
    }

    fn survey(&self, inputs: &[Option<BlockInput>]) -> Survey {
        let limit = survey_limit(self.config.cells);
        let usable = inputs.iter().flatten();
        let count = usable.clone().count();
        let falls = self
            .blocks
            .iter()
            .zip(inputs)
            .filter_map(|(block, input)| Some(block.last_v? - input.as_ref()?.voltage_v));
        Survey {
            blocks: inputs.len(),
            usable: count,
            low: usable.clone().filter(|b| b.voltage_v < limit).count(),
            mean_v_per_cell: usable.map(|b| b.voltage_v).sum::<f64>()
                / (count as f64 * self.config.cells),
            fall_v_per_cell_s: falls.clone().sum::<f64>()
                / (falls.count() as f64 * self.config.cells * self.config.cycle.as_secs_f64()),
        }
    }

    fn report(
        &self,
        inputs: &[Option<BlockInput>],
        target: Option<f64>,
        inhibits: Inhibits,
        saturated: u16,
        duties: &[Duty],
    ) -> Report {
        let target_v = target.unwrap_or(f64::NAN);
        let worst = |worst: f64, e: f64| if e.abs() > worst.abs() { e } else { worst };
        let deviations = inputs.iter().flatten().map(|b| b.voltage_v - target_v);
        let complete = inputs.iter().all(Option::is_some);
        let sum: f64 = inputs.iter().flatten().map(|b| b.voltage_v).sum();
        Report {
            target_v,
            sum_v: if complete { sum } else { f64::NAN },
            worst_v: if target.is_some() { deviations.fold(0.0, worst) } else { f64::NAN },
            inhibits,
            members: (0..inputs.len())
                .filter(|i| inputs[*i].is_some() && self.target.is_member(*i))
                .count() as u16,
            saturated,
            mean_duty: duties.iter().map(|d| d.fraction()).sum::<f64>()
                / duties.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: Config = Config {
        blocks: 4,
        module: ModuleKind::C20,
        cells: 6.0,
        capacity_ah: 7.0,
        cycle: Nanos(1_000_000_000),
        enabled: true,
    };

    fn inputs(voltages: [f64; 4]) -> [Option<BlockInput>; 4] {
        voltages.map(|voltage_v| Some(BlockInput { voltage_v, temperature_c: 25.0 }))
    }

    fn run(eq: &mut Equalizer, voltages: [f64; 4], cycles: usize) -> (Report, [Duty; 4]) {
        let mut duties = [Duty::OFF; 4];
        let mut report = eq.step(&inputs(voltages), false, &mut duties);
        for _ in 1..cycles {
            report = eq.step(&inputs(voltages), false, &mut duties);
        }
        (report, duties)
    }

    #[test]
    fn only_blocks_above_the_target_shed_current() {
        let mut eq = Equalizer::new(CONFIG);
        let (report, duties) = run(&mut eq, [13.9, 13.7, 13.5, 13.7], 20);
        assert!((report.target_v - 13.7).abs() < 1e-9);
        assert_eq!(duties[0], Duty::FULL);
        assert_eq!(duties[2], Duty::OFF);
        assert_eq!(report.saturated, 1);
        assert!((report.worst_v.abs() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn duties_come_in_by_a_ramp() {
        let mut eq = Equalizer::new(CONFIG);
        let (_, duties) = run(&mut eq, [13.9, 13.7, 13.5, 13.7], 1);
        assert!((duties[0].fraction() - 0.1).abs() < 1e-3);
    }

    #[test]
    fn every_inhibit_is_off_and_forgets() {
        let mut eq = Equalizer::new(CONFIG);
        run(&mut eq, [13.9, 13.7, 13.5, 13.7], 20);
        let mut duties = [Duty::FULL; 4];
        let report = eq.step(&inputs([13.9, 13.7, 13.5, 13.7]), true, &mut duties);
        assert!(report.inhibits.contains(Inhibits::PAUSED));
        assert_eq!(duties, [Duty::OFF; 4]);
        let (_, duties) = run(&mut eq, [13.9, 13.7, 13.5, 13.7], 1);
        assert!(duties[0].fraction() < 0.11, "restarts with a ramp: {duties:?}");
        let (report, duties) = run(&mut eq, [12.0, 12.1, 12.0, 12.1], 1);
        assert!(report.inhibits.contains(Inhibits::DISCHARGE));
        assert_eq!(duties, [Duty::OFF; 4]);
    }

    #[test]
    fn a_lost_block_has_its_bypass_off_and_the_rest_goes_on() {
        let mut eq = Equalizer::new(CONFIG);
        run(&mut eq, [13.9, 13.7, 13.5, 13.7], 20);
        let mut lost = inputs([13.9, 13.7, 13.5, 13.7]);
        lost[0] = None;
        let mut duties = [Duty::FULL; 4];
        let report = eq.step(&lost, false, &mut duties);
        assert_eq!(duties[0], Duty::OFF);
        assert!(report.inhibits.is_empty());
        assert!(report.sum_v.is_nan());
    }

    #[test]
    fn a_hot_block_is_left_alone_until_it_is_cool() {
        let mut eq = Equalizer::new(CONFIG);
        let mut duty_at = |temperature_c: f64| {
            let mut duties = [Duty::OFF; 4];
            let mut hot = inputs([13.9, 13.7, 13.5, 13.7]);
            hot[0] = Some(BlockInput { voltage_v: 13.9, temperature_c });
            eq.step(&hot, false, &mut duties);
            duties[0]
        };
        assert!(duty_at(44.0) > Duty::OFF);
        assert_eq!(duty_at(45.1), Duty::OFF);
        assert_eq!(duty_at(44.0), Duty::OFF);
        assert!(duty_at(42.9) > Duty::OFF);
    }

    /// Noise alone must not make everybody burn current (§3.3).
    #[test]
    fn common_mode_stays_pinned() {
        let mut eq = Equalizer::new(CONFIG);
        let mut noise = 1u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            13.7 + (f64::from(noise >> 16) / 65_536.0 - 0.5) * 0.004
        };
        let mut duties = [Duty::OFF; 4];
        let mut smallest = f64::INFINITY;
        for cycle in 0..3_600 {
            eq.step(&inputs([next(), next(), next(), next()]), false, &mut duties);
            if cycle > 3_000 {
                let least = duties.iter().map(|d| d.fraction()).fold(1.0, f64::min);
                smallest = smallest.min(least);
            }
        }
        assert_eq!(smallest, 0.0);
        let mean: f64 = duties.iter().map(|d| d.fraction()).sum::<f64>() / 4.0;
        assert!(mean < 0.2, "mean duty {mean}");
    }

    /// Plausible blocks with a wild one now and then.
    fn reading() -> impl Strategy<Value = Option<BlockInput>> {
        let plausible = (13.0..14.0f64, -20.0..60.0f64);
        let wild = (any::<f64>(), any::<f64>());
        let block = prop_oneof![20 => plausible, 1 => wild]
            .prop_map(|(voltage_v, temperature_c)| BlockInput { voltage_v, temperature_c });
        proptest::option::weighted(0.9, block)
    }

    #[test]
    fn duties_are_possible_whatever_is_measured() {
        use proptest::test_runner::TestRunner;
        use std::cell::Cell;
        let (shed, scans) = (Cell::new(0), proptest::collection::vec(reading(), 4 * 50));
        let run = TestRunner::default().run(&scans, |readings| {
            let mut eq = Equalizer::new(CONFIG);
            for scan in readings.chunks_exact(4) {
                let mut duties = [Duty::FULL; 4];
                let report = eq.step(scan, false, &mut duties);
                for (input, duty) in scan.iter().zip(duties) {
                    prop_assert!(input.is_some() || duty == Duty::OFF);
                    shed.set(shed.get() + u32::from(duty > Duty::OFF));
                }
                prop_assert!(report.inhibits.is_empty() || duties == [Duty::OFF; 4]);
                prop_assert!(eq.blocks.iter().all(|b| b.integrator_a >= 0.0));
            }
            Ok(())
        });
        assert!(run.is_ok(), "{run:?}");
        assert!(shed.get() > 0, "the law was never asked");
    }
}
