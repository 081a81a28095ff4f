//! Blocks that differ from their string, and blocks that drift.
//!
//! All blocks of a string share current, age and room, so the string itself is
//! the reference (facts/battery-science.md §5.5): z = 0.6745·(x − median) /
//! max(MAD, floor) with the reading noise as floor, and an outlier is one with
//! |z| > 3.5 in three of the last four samples. It ends when none of the last
//! four is. Drift is a CUSUM over daily means of the deviation from the median,
//! against what that deviation was in the block's first four weeks.
//!
//! Assumes: at least four blocks that mostly are alike, and noise that is
//! independent from sample to sample. A string of which half is bad has no
//! outliers; then the resistance and the capacity speak.

use super::bits::bitset;
use super::stats;
use serde::{Deserialize, Serialize};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Block voltage at float, V.
    FloatVoltage,
    /// Block voltage in discharge, V; all blocks have given the same Ah.
    DischargeVoltage,
    /// Internal resistance at 25 °C, mΩ.
    Resistance,
    /// Block temperature, °C.
    Temperature,
    /// Share of the time for which the bypass is on, 0 … 1.
    BypassDuty,
    /// Block voltage while recharging, V.
    RechargeVoltage,
}

bitset! {
    /// In what a block stands out, and to which side.
    Outliers {
        /// Float voltage above the others.
        FLOAT_HIGH = 0, "float voltage above the others";
        /// Float voltage below the others.
        FLOAT_LOW = 1, "float voltage below the others";
        /// Voltage in discharge above the others.
        DISCHARGE_HIGH = 2, "voltage in discharge above the others";
        /// Voltage in discharge below the others.
        DISCHARGE_LOW = 3, "voltage in discharge below the others";
        /// Internal resistance above the others.
        RESISTANCE_HIGH = 4, "resistance above the others";
        /// Internal resistance below the others.
        RESISTANCE_LOW = 5, "resistance below the others";
        /// Warmer than the others.
        WARM = 6, "warmer than the others";
        /// Cooler than the others.
        COOL = 7, "cooler than the others";
        /// Bypassed more than the others.
        DUTY_HIGH = 8, "needs more bypass than the others";
        /// Bypassed less than the others.
        DUTY_LOW = 9, "needs less bypass than the others";
        /// Voltage in recharge above the others.
        RECHARGE_HIGH = 10, "rises early in recharge";
        /// Voltage in recharge below the others.
        RECHARGE_LOW = 11, "lags in recharge";
    }
}

impl Outliers {
    /// Without what makes no block suspicious by itself: being better than
    /// the others, and how much bypass it needs, which is how equalization
    /// looks when it works.
    #[must_use]
    pub const fn suspicious(self) -> Self {
        let harmless = Self::RESISTANCE_LOW.0
            | Self::COOL.0
            | Self::DISCHARGE_HIGH.0
            | Self::DUTY_HIGH.0
            | Self::DUTY_LOW.0;
        Self(self.0 & !harmless)
    }
}

/// |z| from which a sample stands out.
const Z: f64 = 3.5;
/// Fewer blocks than this have no crowd to stand out of.
const CROWD: usize = 4;

impl Quantity {
    const COUNT: usize = 6;

    const fn index(self) -> usize {
        self as usize
    }

    /// Least spread that counts: the noise of a reading, in its unit; as a
    /// share of the median for the resistance.
    fn floor(self, median: f64) -> f64 {
        match self {
            Self::FloatVoltage | Self::DischargeVoltage | Self::RechargeVoltage => 0.002,
            Self::Resistance => 0.02 * median.abs(),
            Self::Temperature => 0.5,
            Self::BypassDuty => 0.02,
        }
    }
}

/// Robust z of every block of a string, with memory of four samples.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Per block and quantity: the last four samples, high in the upper half.
    memory: Vec<[u8; Quantity::COUNT]>,
    flags: Vec<Outliers>,
    scratch: Vec<f64>,
}

impl Crowd {
    /// For a string of `blocks`.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self {
            memory: vec![[0; Quantity::COUNT]; blocks],
            flags: vec![Outliers::default(); blocks],
            scratch: Vec::with_capacity(blocks),
        }
    }

    /// One sample of the whole string; a block without a good value keeps its
    /// memory. Gives the median; `None`, and no sample, in too small a crowd.
    pub fn sample(
        &mut self,
        quantity: Quantity,
        values: impl Iterator<Item = Option<f64>> + Clone,
    ) -> Option<f64> {
        let usable = |v: Option<f64>| v.filter(|v| v.is_finite());
        self.scratch.clear();
        self.scratch.extend(values.clone().take(self.flags.len()).filter_map(usable));
        if self.scratch.len() < CROWD {
            return None;
        }
        let (median, mad) = stats::median_and_mad(&mut self.scratch)?;
        let spread = mad.max(quantity.floor(median));
        for ((memory, flags), value) in self.memory.iter_mut().zip(&mut self.flags).zip(values) {
            let Some(value) = usable(value) else { continue };
            let z = stats::MAD_PER_SIGMA * (value - median) / spread;
            let memory = &mut memory[quantity.index()];
            *memory = (*memory << 1) & 0b1110_1110 | u8::from(z > Z) << 4 | u8::from(z < -Z);
            flags.judge(2 * quantity.index(), *memory >> 4);
            flags.judge(2 * quantity.index() + 1, *memory & 0b1111);
        }
        Some(median)
    }

    /// In what this block stands out.
    #[must_use]
    pub fn outliers(&self, block: usize) -> Outliers {
        self.flags.get(block).copied().unwrap_or_default()
    }

    /// Another block stands in this place.
    pub fn forget(&mut self, block: usize) {
        if let (Some(memory), Some(flags)) = (self.memory.get_mut(block), self.flags.get_mut(block))
        {
            (*memory, *flags) = Default::default();
        }
    }
}

impl Outliers {
    fn judge(&mut self, place: usize, samples: u8) {
        let bit = 1 << place;
        match samples.count_ones() {
            0 => self.0 &= !bit,
            3.. => self.0 |= bit,
            _ => {}
        }
    }
}

/// Days in which a block's own deviation is learned.
const LEARN_DAYS: u8 = 28;
/// Drift below this many standard deviations is never found.
const SLACK: f32 = 1.0;
/// Sum at which drift is told, in standard deviations.
const LIMIT: f32 = 10.0;
/// One wild day counts this much at most.
const DAY_MAX: f32 = 4.0;

/// Two-sided CUSUM of daily deviations from the string's median.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    reference: f32,
    spread: f32,
    up: f32,
    down: f32,
    days: u8,
}

impl Drift {
    /// The mean deviation of one day; `floor` is the least standard deviation
    /// that counts, in the same unit.
    pub fn push(&mut self, deviation: f64, floor: f64) {
        let deviation = deviation as f32;
        if !deviation.is_finite() {
            return;
        }
        if self.days < LEARN_DAYS {
            self.days += 1;
            let weight = 1.0 / f32::from(self.days);
            let off = deviation - self.reference;
            self.reference += weight * off;
            // The first day is its own mean and tells nothing of the spread.
            let weight = 1.0 / f32::from(self.days.saturating_sub(1).max(1));
            if self.days > 1 {
                self.spread += weight * (off.abs() - self.spread);
            }
            return;
        }
        // Mean absolute deviation → standard deviation.
        let sigma = (1.25 * self.spread).max(floor as f32);
        let z = ((deviation - self.reference) / sigma).clamp(-DAY_MAX, DAY_MAX);
        // The sum is bounded, so that drift that ended is forgotten again.
        self.up = (self.up + z - SLACK).clamp(0.0, 2.0 * LIMIT);
        self.down = (self.down - z - SLACK).clamp(0.0, 2.0 * LIMIT);
    }

    /// Above what it used to be.
    #[must_use]
    pub fn rises(&self) -> bool {
        self.up >= LIMIT
    }

    /// Below what it used to be.
    #[must_use]
    pub fn falls(&self) -> bool {
        self.down >= LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;
    use proptest::prelude::*;

    fn sample(crowd: &mut Crowd, values: &[f64]) -> Option<f64> {
        crowd.sample(Quantity::FloatVoltage, values.iter().map(|v| Some(*v)))
    }

    const ALIKE: [f64; 5] = [13.600, 13.601, 13.599, 13.600, 13.600];
    const LOW: [f64; 5] = [13.600, 13.601, 13.599, 13.600, 13.580];

    #[test]
    fn three_of_four_samples_make_an_outlier_and_four_good_ones_end_it() {
        let mut crowd = Crowd::new(5);
        let flagged = |crowd: &Crowd| crowd.outliers(4) == Outliers::FLOAT_LOW;
        for (values, expected) in [
            (LOW, false),
            (ALIKE, false),
            (LOW, false),
            (LOW, true),
            (ALIKE, true),
            (ALIKE, true),
            (ALIKE, true),
            (ALIKE, false),
        ] {
            assert!(sample(&mut crowd, &values).is_some());
            assert_eq!(flagged(&crowd), expected, "{values:?}");
        }
        assert!(crowd.outliers(0).is_empty());
    }

    #[test]
    fn reading_noise_is_no_outlier_and_three_blocks_no_crowd() {
        let mut crowd = Crowd::new(5);
        for _ in 0..8 {
            sample(&mut crowd, &[13.600, 13.600, 13.600, 13.600, 13.610]);
            assert!(crowd.outliers(4).is_empty(), "z is 3.4 over the noise floor");
            assert_eq!(sample(&mut crowd, &LOW[2..]), None);
        }
    }

    #[test]
    fn silence_neither_makes_nor_ends_an_outlier() {
        let mut crowd = Crowd::new(5);
        for _ in 0..4 {
            sample(&mut crowd, &LOW);
        }
        for _ in 0..9 {
            let silent = ALIKE[..4].iter().map(|v| Some(*v)).chain([None]);
            crowd.sample(Quantity::FloatVoltage, silent);
        }
        assert_eq!(crowd.outliers(4), Outliers::FLOAT_LOW);
        crowd.forget(4);
        assert!(crowd.outliers(4).is_empty());
    }

    #[test]
    fn every_quantity_has_its_two_bits() {
        for (quantity, high) in [
            (Quantity::FloatVoltage, Outliers::FLOAT_HIGH),
            (Quantity::DischargeVoltage, Outliers::DISCHARGE_HIGH),
            (Quantity::Resistance, Outliers::RESISTANCE_HIGH),
            (Quantity::Temperature, Outliers::WARM),
            (Quantity::BypassDuty, Outliers::DUTY_HIGH),
            (Quantity::RechargeVoltage, Outliers::RECHARGE_HIGH),
        ] {
            let mut crowd = Crowd::new(4);
            for _ in 0..4 {
                crowd.sample(quantity, [1.0, 1.0, 1.0, 9.0].map(Some).into_iter());
            }
            assert_eq!(crowd.outliers(3), high);
        }
    }

    #[test]
    fn slow_drift_is_found_and_noise_is_not() {
        let mut alarms = 0;
        for seed in 0..512 {
            let (mut drift, mut noise) = (Drift::default(), Noise::new(seed));
            for _ in 0..365 {
                drift.push(0.1 + 0.003 * noise.normal(), 0.002);
                alarms += u32::from(drift.rises() || drift.falls());
            }
            assert!(alarms == 0, "seed {seed}");
            // 0.1 mV a day is a hundredth of what a single sample shows.
            let days = (0..365).position(|day| {
                drift.push(0.1 - 0.0001 * f64::from(day) + 0.003 * noise.normal(), 0.002);
                drift.falls()
            });
            assert!(days.is_some_and(|d| d < 150), "seed {seed}: {days:?}");
            assert!(!drift.rises());
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(values in proptest::collection::vec(
            proptest::option::of(any::<f64>()), 0..64)) {
            let mut crowd = Crowd::new(8);
            let mut drift = Drift::default();
            for value in &values {
                crowd.sample(Quantity::Resistance, values.iter().copied());
                drift.push(value.unwrap_or(f64::NAN), 0.0);
            }
            prop_assert!(drift.up >= 0.0 && drift.down >= 0.0);
        }
    }
}
