//! Can the modules bring this string into the band at all?
//!
//! The string must carry its hungriest block, and everybody else sheds the
//! difference: feasible if and only if the largest float current less the
//! smallest is within a bypass (facts/battery-science.md §2.10). The law itself
//! is the experiment: a bypass that is fully on for hours beside a deviation
//! that does not shrink any more says that it is not.
//!
//! # What is needed
//! At rest two blocks of one string take the same current: the hungriest block
//! j leaks what the saturated block k leaks and bypasses, L_j + I_j = L_k + I_k.
//! Both leaks follow Tafel with the slope s = cells·b/ln 10, so at the target
//! ```text
//! needs = (L_k + I_k − I_j)·exp(−e_j/s_j) − L_k·exp(−e_k/s_k)
//! ```
//! I and e are known; L_k, the smallest leak of the string, is taken as half of
//! the leak of a new block, which matters little beside I_k.
//!
//! # What is done about it
//! With the plain law every other block would burn up to its full bypass for
//! ever, and still neither they nor the hungry one would be in the band. So the
//! string *concedes*: the target of the hungry block is lowered, slowly, just
//! until the most loaded bypass has some authority left. All others then rest
//! in the band around the mean, with less heat; the hungry one stays as low as
//! the modules must leave it, is reported with its full deviation and by name,
//! and raises the equalizing-error alarm. More than a maker's usual window
//! (±0.05 V per lead cell, §4) is never conceded: below that every bit of
//! lifting is worth its heat. A concession is taken back as soon as the
//! bypasses have authority to spare, or the block itself begins to shed.

use super::config::BlockConfig;
use serde::{Deserialize, Serialize};

/// Every block of a feasible string gets this near, V.
const BAND_V: f64 = 0.010;
/// Averages of errors and duties, s.
const AVERAGE_S: f64 = 900.0;
/// A deviation that shrank by less than this share in a window, with a bypass
/// saturated, is stuck; this many windows in a row are a verdict.
/// Lithium has no float current and no such rest: blocks meet by the charge
/// that is shed, 5 Ah in 33 h, and are given a day.
const WINDOW_S: f64 = 3_600.0;
const WINDOW_LITHIUM_S: f64 = 24.0 * 3_600.0;
const STUCK_SHARE: f64 = 0.1;
const STUCK_WINDOWS: u8 = 2;
/// Time in the band after which a string is feasible, s.
const GOOD_S: f64 = 1_800.0;
/// Mean duty above which a bypass is saturated, and below which it has
/// authority to spare.
const SATURATED: f64 = 0.95;
const SPARE: f64 = 0.80;
/// Mean duty below which a block sheds nothing.
const IDLE: f64 = 0.02;
/// Most that is conceded, as a share of the nominal voltage (0.05 V per lead cell).
const CONCEDED_SHARE_MAX: f64 = 0.025;
/// The whole of it is conceded in this time, and taken back in twice of it, s.
const CONCEDE_S: f64 = 4.0 * 3_600.0;
/// Tafel slope, V per decade, and float current of a new block at its
/// reference, A/Ah (§2.1).
const TAFEL_V: f64 = 0.100;
const TAFEL_REF_V: f64 = 2.27;
const LEAK_A_PER_AH: f64 = 0.5e-3;
/// The least leaky block over a new one.
const LEAST_LEAK: f64 = 0.5;

/// Whether the string can be equalized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Feasibility {
    /// Still converging, or not equalizing for long enough.
    #[default]
    Unknown,
    /// Every block that makes the target rests within ±10 mV of it.
    Feasible,
    /// Not with these modules: the equalizing-error alarm.
    Infeasible {
        /// The hungriest block, from 0.
        block: u16,
        /// What the others would have to shed so that it rises to the target, A.
        needs_a: f64,
        /// What a module can shed, A.
        gives_a: f64,
    },
}

/// What the law found at a block in a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observed {
    /// Block voltage − the target before any concession, V.
    pub error_v: f64,
    /// Bypassed, A.
    pub bypass_a: f64,
    /// The most that the bypass can, A.
    pub full_a: f64,
    /// The module does not give what it is asked for.
    pub limited: bool,
}

/// Averages of a block, and what is conceded to it.
#[derive(Clone, Debug)]
struct Track {
    /// Tafel slope, V; infinite where there is no float current.
    slope_v: f64,
    /// Least leak at the reference voltage, A.
    leak_a: f64,
    cells: f64,
    most_v: f64,
    average: Option<Observed>,
    /// Share of the full bypass, averaged.
    duty: f64,
    conceded_v: f64,
}

/// Watches one string. A step allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    tracks: Vec<Track>,
    /// Length of a window, and how much of this one has passed, s.
    window_of_s: f64,
    window_s: f64,
    window_worst_v: f64,
    stuck_windows: u8,
    good_s: f64,
    verdict: Feasibility,
}

impl Watch {
    pub fn new(blocks: &[BlockConfig]) -> Self {
        let lithium = blocks.iter().any(|b| b.battery.chemistry_data().lithium);
        Self {
            window_of_s: if lithium { WINDOW_LITHIUM_S } else { WINDOW_S },
            tracks: blocks.iter().map(Track::new).collect(),
            window_s: 0.0,
            window_worst_v: f64::NAN,
            stuck_windows: 0,
            good_s: 0.0,
            verdict: Feasibility::Unknown,
        }
    }

    /// How much lower the block's target is because of its appetite, V.
    pub fn conceded_v(&self, block: usize) -> f64 {
        self.tracks.get(block).map_or(0.0, |t| t.conceded_v)
    }

    /// The last verdict.
    pub fn verdict(&self) -> Feasibility {
        self.verdict
    }

    /// The string does not equalize: the verdict stands, its proof starts anew.
    pub fn interrupt(&mut self) {
        (self.window_s, self.stuck_windows, self.good_s) = (0.0, 0, 0.0);
        self.window_worst_v = f64::NAN;
        self.tracks.iter_mut().for_each(|t| t.average = None);
    }

    /// One block in a cycle of equalizing; `None`: it takes no part.
    pub fn observe(&mut self, block: usize, observed: Option<Observed>, dt_s: f64) {
        if let Some(track) = self.tracks.get_mut(block) {
            track.observe(observed, dt_s / (dt_s + AVERAGE_S));
        }
    }

    /// After all blocks of a cycle were observed; `target_v` per cell.
    pub fn step(&mut self, target_v: f64, dt_s: f64) {
        let worst_v = self.parts().map(|(_, _, o)| o.error_v.abs()).fold(0.0, f64::max);
        let duty = self.parts().map(|(_, t, _)| t.duty).fold(0.0, f64::max);
        self.window(worst_v, duty, dt_s);
        let good = worst_v <= BAND_V && duty <= SATURATED;
        self.good_s = if good { self.good_s + dt_s } else { 0.0 };
        let conceded = self.tracks.iter().any(|t| t.conceded_v > 0.0);
        if self.good_s >= GOOD_S && !conceded {
            self.verdict = Feasibility::Feasible;
        }
        let infeasible = matches!(self.verdict, Feasibility::Infeasible { .. });
        if infeasible || self.stuck_windows >= STUCK_WINDOWS {
            if let Some(verdict) = self.infeasible(target_v) {
                self.verdict = verdict;
            }
            self.concede(duty, dt_s);
        }
    }

    /// The blocks that take part, with their averages.
    fn parts(&self) -> impl Iterator<Item = (usize, &Track, &Observed)> {
        self.tracks.iter().enumerate().filter_map(|(i, t)| Some((i, t, t.average.as_ref()?)))
    }

    fn window(&mut self, worst_v: f64, duty: f64, dt_s: f64) {
        if self.window_worst_v.is_nan() {
            self.window_worst_v = worst_v;
        }
        self.window_s += dt_s;
        if self.window_s < self.window_of_s {
            return;
        }
        let shrank = worst_v < (1.0 - STUCK_SHARE) * self.window_worst_v;
        let stuck = duty > SATURATED && worst_v > BAND_V && !shrank;
        self.stuck_windows = if stuck { self.stuck_windows.saturating_add(1) } else { 0 };
        (self.window_s, self.window_worst_v) = (0.0, worst_v);
    }

    fn infeasible(&self, target_v: f64) -> Option<Feasibility> {
        let low = |a: &(usize, &Track, &Observed), b: &(usize, &Track, &Observed)| {
            (a.2.error_v / a.1.cells).total_cmp(&(b.2.error_v / b.1.cells))
        };
        let loaded = |a: &(usize, &Track, &Observed), b: &(usize, &Track, &Observed)| {
            a.1.duty.total_cmp(&b.1.duty)
        };
        let (block, hungry, j) = self.parts().min_by(low)?;
        let (_, shedding, k) = self.parts().max_by(loaded)?;
        let decades = (target_v + k.error_v / shedding.cells - TAFEL_REF_V) / TAFEL_V;
        let leak_a = shedding.leak_a * 10f64.powf(decades.clamp(-3.0, 2.0));
        let carried_a = leak_a + (k.bypass_a - j.bypass_a).max(0.0);
        let at_target = |slope_v: f64, error_v: f64| (-error_v / slope_v).clamp(-5.0, 5.0).exp();
        let needs_a = carried_a * at_target(hungry.slope_v, j.error_v)
            - leak_a * at_target(shedding.slope_v, k.error_v);
        Some(Feasibility::Infeasible { block: block as u16, needs_a, gives_a: k.full_a })
    }

    fn concede(&mut self, duty: f64, dt_s: f64) {
        for track in &mut self.tracks {
            let Some(average) = track.average else { continue };
            let step_v = track.most_v * dt_s / CONCEDE_S;
            let deficit_v = (-average.error_v).max(0.0);
            let hungry = track.duty < IDLE && deficit_v > BAND_V / 2.0;
            if duty > SATURATED && hungry {
                // Never below where the block is: it would shed what it lacks.
                let most_v = track.most_v.min(deficit_v).max(track.conceded_v);
                track.conceded_v = (track.conceded_v + step_v).min(most_v);
            } else if duty < SPARE || track.duty > IDLE {
                track.conceded_v = (track.conceded_v - 0.5 * step_v).max(0.0);
            }
        }
    }
}

impl Track {
    fn new(block: &BlockConfig) -> Self {
        let battery = &block.battery;
        let lead = battery.chemistry_data().lead;
        let slope_v = battery.cells_f64() * TAFEL_V / core::f64::consts::LN_10;
        Self {
            slope_v: if lead { slope_v } else { f64::INFINITY },
            leak_a: if lead { LEAST_LEAK * LEAK_A_PER_AH * battery.capacity_ah } else { 0.0 },
            cells: battery.cells_f64(),
            most_v: CONCEDED_SHARE_MAX * battery.nominal_v(),
            average: None,
            duty: 0.0,
            conceded_v: 0.0,
        }
    }

    fn observe(&mut self, observed: Option<Observed>, share: f64) {
        let Some(now) = observed else {
            self.average = None;
            return;
        };
        let duty = if now.limited { 1.0 } else { now.bypass_a / now.full_a.max(1e-9) };
        let Some(average) = &mut self.average else {
            (self.average, self.duty) = (observed, duty);
            return;
        };
        let toward = |average: &mut f64, now: f64| *average += share * (now - *average);
        toward(&mut average.error_v, now.error_v);
        toward(&mut average.bypass_a, now.bypass_a);
        toward(&mut average.full_a, now.full_a);
        toward(&mut self.duty, duty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{BatteryType, Chemistry, ModuleKind};

    fn watch(ah: f64) -> Watch {
        watch_of(BatteryType::new(Chemistry::Agm, 6, ah))
    }

    fn watch_of(battery: BatteryType) -> Watch {
        let block = BlockConfig { module: ModuleKind::C20, battery, internal_sensor: false };
        Watch::new(&vec![block; 3])
    }

    /// Minutes of three blocks at these errors, V, and duties.
    fn minutes(watch: &mut Watch, minutes: u32, blocks: [(f64, f64); 3]) {
        for _ in 0..minutes * 6 {
            for (i, (error_v, duty)) in blocks.into_iter().enumerate() {
                let observed =
                    Observed { error_v, bypass_a: duty * 0.15, full_a: 0.15, limited: false };
                watch.observe(i, Some(observed), 10.0);
            }
            watch.step(2.27, 10.0);
        }
    }

    const STUCK: [(f64, f64); 3] = [(0.06, 1.0), (0.0, 0.7), (-0.06, 0.0)];

    #[test]
    fn in_the_band_for_half_an_hour_is_feasible() {
        let mut w = watch(100.0);
        minutes(&mut w, 20, [(0.005, 0.4), (0.0, 0.2), (-0.005, 0.0)]);
        assert_eq!(w.verdict(), Feasibility::Unknown);
        minutes(&mut w, 20, [(0.005, 0.4), (0.0, 0.2), (-0.005, 0.0)]);
        assert_eq!(w.verdict(), Feasibility::Feasible);
    }

    #[test]
    fn stuck_for_two_windows_names_block_and_current() {
        let mut w = watch(100.0);
        minutes(&mut w, 115, STUCK);
        assert_eq!(w.verdict(), Feasibility::Unknown);
        minutes(&mut w, 10, STUCK);
        let Feasibility::Infeasible { block, needs_a, gives_a } = w.verdict() else {
            panic!("{:?}", w.verdict());
        };
        assert_eq!((block, gives_a), (2, 0.15));
        // L_k = 31 mA at +10 mV per cell; (31 + 150)·e^0.23 − 31·e^−0.23 = 203 mA.
        assert!((needs_a - 0.203).abs() < 0.003, "{needs_a}");
    }

    #[test]
    fn progress_is_no_verdict_and_an_interruption_starts_the_proof_anew() {
        let mut w = watch(100.0);
        for k in 0..8 {
            let left = 0.3 * 0.8f64.powi(k);
            minutes(&mut w, 60, [(left, 1.0), (0.0, 0.5), (-left, 0.0)]);
        }
        assert_eq!(w.verdict(), Feasibility::Unknown);
        let mut w = watch(100.0);
        for _ in 0..5 {
            minutes(&mut w, 100, STUCK);
            w.interrupt();
        }
        assert_eq!(w.verdict(), Feasibility::Unknown);
    }

    #[test]
    fn lithium_is_given_days() {
        let mut w = watch_of(BatteryType::new(Chemistry::Lfp, 4, 100.0));
        minutes(&mut w, 47 * 60, STUCK);
        assert_eq!(w.verdict(), Feasibility::Unknown);
        minutes(&mut w, 2 * 60, STUCK);
        assert!(matches!(w.verdict(), Feasibility::Infeasible { block: 2, .. }));
    }

    #[test]
    fn concedes_to_the_hungry_alone_never_more_than_it_lacks_and_takes_it_back() {
        let mut w = watch(100.0);
        minutes(&mut w, 10 * 60, STUCK);
        assert_eq!((w.conceded_v(0), w.conceded_v(1)), (0.0, 0.0));
        assert!((w.conceded_v(2) - 0.06).abs() < 1e-3, "{}", w.conceded_v(2));
        minutes(&mut w, 10 * 60, [(0.3, 1.0), (0.3, 1.0), (-0.9, 0.0)]);
        assert!((w.conceded_v(2) - 0.3).abs() < 1e-3, "0.05 V per cell at most");
        let kept = w.conceded_v(2);
        minutes(&mut w, 120, [(0.0, 0.85), (0.0, 0.5), (-0.3, 0.0)]);
        assert!((w.conceded_v(2) - kept).abs() < 0.02, "authority left, none to spare: it stays");
        minutes(&mut w, 14 * 60, [(0.0, 0.3), (0.0, 0.2), (0.0, 0.0)]);
        assert_eq!(w.conceded_v(2), 0.0);
        assert_eq!(w.verdict(), Feasibility::Feasible);
    }

    #[test]
    fn a_module_that_does_not_follow_is_no_authority() {
        let mut w = watch(100.0);
        for _ in 0..3 * 360 {
            for (i, error_v) in [0.06, 0.0, -0.06].into_iter().enumerate() {
                let limited = i == 0;
                let bypass_a = if limited { 0.03 } else { 0.0 };
                w.observe(i, Some(Observed { error_v, bypass_a, full_a: 0.15, limited }), 10.0);
            }
            w.step(2.27, 10.0);
        }
        assert!(matches!(w.verdict(), Feasibility::Infeasible { block: 2, .. }));
    }
}
