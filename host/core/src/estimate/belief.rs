//! What is believed of a string before a discharge, and what is kept from it.

use crate::battery::BatteryType;

use super::charge::Missing;
use super::fit::{CapacityPrior, Normal1, Posterior, STARTS_MAX, Start};
use super::report::LearnedCapacity;

/// A type's capacity before anything was learned, over the rated one: most
/// likely value, and deviations towards less and towards more.
const UNLEARNED: (f64, f64, f64) = (0.93, 0.16, 0.07);
/// A discharge shallower than this teaches nothing.
pub(super) const LEARN_DEPTH: f64 = 0.10;
/// A learned capacity loses certainty, relative deviation per root of a year.
const FORGET_PER_ROOT_YEAR: f64 = 0.08;
/// Least deviation of a learned capacity: no discharge is like the other.
const SURE: f64 = 0.02;
/// Years that may have passed since, where the clock was not set.
const UNKNOWN_YEARS: f64 = 0.5;

impl CapacityPrior {
    /// The same as a mean and its deviation, Ah.
    pub(super) fn normal(&self) -> Normal1 {
        let spread = 0.5 * (self.below + self.above);
        let mean = self.ah * (1.0 - 0.8 * (self.below - self.above));
        Normal1 { mean: mean as f32, sigma: (spread * mean) as f32 }
    }
}

/// What is believed of a capacity before a discharge at this time, in seconds
/// since 1970.
pub(super) fn prior(
    battery: &BatteryType,
    learned: Option<LearnedCapacity>,
    wall_s: Option<u64>,
) -> CapacityPrior {
    let Some(learned) = learned else {
        let (mode, below, above) = UNLEARNED;
        let ah = mode * battery.capacity_ah;
        return CapacityPrior { ah, by_strength_ah: [ah; 3], below, above };
    };
    let ah = f64::from(learned.capacity_ah);
    let years = match wall_s {
        Some(now) if learned.wall_s > 0 => {
            now.saturating_sub(learned.wall_s) as f64 / (365.25 * 86_400.0)
        }
        _ => UNKNOWN_YEARS,
    };
    let (by_strength_ah, sigma_ah) = match learned.by_strength_ah {
        [0.0, ..] => ([ah; 3], learned.sigma_ah),
        by_strength => (by_strength.map(f64::from), learned.within_ah),
    };
    let own = (f64::from(sigma_ah) / ah).max(SURE);
    let spread = own.hypot(FORGET_PER_ROOT_YEAR * years.sqrt()).min(0.25);
    CapacityPrior { ah, by_strength_ah, below: spread, above: spread.min(0.12) }
}

/// What a discharge of so many Ah, that began with so much missing, taught
/// beside what was known.
pub(super) fn lesson(
    fit: Option<Posterior>,
    old: Option<LearnedCapacity>,
    before: Missing,
    drawn_ah: f64,
    wall_s: Option<u64>,
) -> Option<LearnedCapacity> {
    let Some(fit) = fit else { return old };
    let depth = drawn_ah / f64::from(fit.capacity.mean);
    if depth.is_nan() || depth < LEARN_DEPTH {
        return old;
    }
    let guessed = if matches!(before, Missing::Counted(_)) { 0.0 } else { 1.0 };
    Some(LearnedCapacity {
        capacity_ah: fit.capacity.mean,
        sigma_ah: fit.capacity.sigma,
        depth: old.map_or(0.0, |old| old.depth).max(depth.min(1.5) as f32),
        wall_s: wall_s.unwrap_or(0),
        by_strength_ah: fit.by_strength_ah,
        // What was guessed to be missing at the start may have been there.
        within_ah: fit.within_ah.hypot(guessed * fit.missing * fit.capacity.mean),
    })
}

/// Charge that may have been missing when a discharge began; how many of
/// these there are.
pub(super) fn starts(before: &Missing) -> ([Start; STARTS_MAX], usize) {
    let mut starts = [Start::default(); STARTS_MAX];
    match before {
        Missing::Counted(ah) => starts[0].ah = *ah,
        Missing::Rest(share) if *share == 0.0 => {}
        Missing::Rest(share) => {
            let around = [*share, (share - 0.06).max(0.0), (share + 0.06).min(0.95)];
            for (slot, (share, ln_weight)) in
                starts.iter_mut().zip(around.into_iter().zip([0.0, -0.5, -0.5]))
            {
                *slot = Start { share, ah: 0.0, ln_weight };
            }
            return (starts, 3);
        }
        Missing::Unknown => {
            // Whoever records a discharge usually begins with a full battery.
            for (slot, (share, ln_weight)) in
                starts.iter_mut().zip([(0.0, 0.0), (0.12, -3.0), (0.30, -3.7)])
            {
                *slot = Start { share, ah: 0.0, ln_weight };
            }
            return (starts, 3);
        }
    }
    (starts, 1)
}

/// State of charge and its deviation.
pub(super) fn soc(
    battery: &BatteryType,
    missing: Missing,
    drawn_ah: f64,
    capacity: Normal1,
    fit: Option<Posterior>,
) -> (f64, f64) {
    let capacity_ah = f64::from(capacity.mean);
    let relative = f64::from(capacity.sigma) / capacity_ah;
    match missing {
        Missing::Counted(ah) => {
            let share = (ah / capacity_ah).min(1.0);
            (1.0 - share, 0.01_f64.hypot(share * relative))
        }
        Missing::Rest(share) => {
            // Counted against the rated capacity.
            let share = (share * battery.capacity_ah / capacity_ah).min(1.0);
            (1.0 - share, 0.08_f64.hypot(share * relative))
        }
        Missing::Unknown => fit.map_or((f64::NAN, f64::NAN), |fit| {
            let missing = f64::from(fit.missing);
            let share = (missing + drawn_ah / capacity_ah).min(1.0);
            let doubt = (0.3 * missing).sqrt().min(0.25);
            (1.0 - share, doubt.hypot(0.02).hypot(share * relative))
        }),
    }
}
