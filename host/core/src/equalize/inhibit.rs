//! When the bypasses of a whole string are off (facts/battery-science.md §3.4).
//!
//! ```text
//!             every block reported,        a tenth of the blocks, or the mean,
//!             or waited long enough        below 2.15 V/cell, or falling fast
//!  Awaiting ───────────────────▶ float ◀──────────────────────▶ discharge
//!                                  ▲                               │ above again
//!                                  └────────── recovery ◀──────────┘
//!                                     mean ≥ 2.20 V/cell
//! ```
//! Boost is a band of its own above the float window.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Reasons for which every bypass of a string is off. Empty: equalizing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inhibits(u32);

impl Inhibits {
    /// Not every block has reported since the guard started.
    pub const AWAITING: Self = Self(1);
    /// Too few blocks have usable readings.
    pub const TOO_FEW: Self = Self(2);
    /// The string is being discharged.
    pub const DISCHARGE: Self = Self(4);
    /// The string was discharged and is not back at float yet.
    pub const RECOVERY: Self = Self(8);
    /// The string is being boosted.
    pub const BOOST: Self = Self(16);
    /// A person paused it.
    pub const PAUSED: Self = Self(32);
    /// Equalization is switched off in the settings.
    pub const DISABLED: Self = Self(64);

    const TEXTS: [(Self, &'static str); 7] = [
        (Self::AWAITING, "waiting for every block to report"),
        (Self::TOO_FEW, "too few blocks have usable readings"),
        (Self::DISCHARGE, "discharge"),
        (Self::RECOVERY, "recovery after discharge"),
        (Self::BOOST, "boost charge"),
        (Self::PAUSED, "paused by a user"),
        (Self::DISABLED, "switched off in the settings"),
    ];

    /// As a number, for the process image.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From a number; unknown bits are kept and count as a reason.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// True when there is no reason to be off.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when every reason of `other` holds.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` added when `holds`.
    #[must_use]
    pub const fn with(self, other: Self, holds: bool) -> Self {
        if holds { Self(self.0 | other.0) } else { self }
    }

    /// The reasons, for people.
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        Self::TEXTS.into_iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, text)| text)
    }
}

impl fmt::Display for Inhibits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, text) in self.texts().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// Volts per lead cell below which a block is being discharged.
const DISCHARGE_V_PER_CELL: f64 = 2.15;
/// Fall of the mean, V per cell and second, that only a load explains: at C/2
/// the polarisation alone falls by 18 mV per cell and second.
const FALL_V_PER_CELL_S: f64 = 0.010;
/// Mean volts per cell from which a discharged string counts as back at float.
const RECOVERED_V_PER_CELL: f64 = 2.20;
/// Mean volts per cell above which a string is being boosted; back below
/// the same value less [`BOOST_HYSTERESIS_V_PER_CELL`].
const BOOST_V_PER_CELL: f64 = 2.335;
const BOOST_HYSTERESIS_V_PER_CELL: f64 = 0.01;
/// Share of the blocks that must have usable readings.
const USABLE_SHARE: f64 = 0.75;
/// Cycles to wait for blocks that never report.
const AWAIT_CYCLES: u32 = 30;

/// What the detector looks at in one scan.
#[derive(Clone, Copy, Debug)]
pub struct Survey {
    /// Blocks of the string.
    pub blocks: usize,
    /// Blocks with a usable reading.
    pub usable: usize,
    /// Usable blocks below [the discharge limit](survey_limit).
    pub low: usize,
    /// Mean of the usable blocks, V per cell; NaN when there is none.
    pub mean_v_per_cell: f64,
    /// Mean fall since the last scan of the blocks that were usable in both,
    /// V per cell and second; NaN when there is none.
    pub fall_v_per_cell_s: f64,
}

/// Block voltage, V, below which [`Survey::low`] counts a block of `cells` cells.
#[must_use]
pub fn survey_limit(cells: f64) -> f64 {
    DISCHARGE_V_PER_CELL * cells
}

/// The state machine above.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    cycles: u32,
    awaited: bool,
    discharged: bool,
    boosted: bool,
}

impl Detector {
    /// The inhibits after one more scan.
    pub fn step(&mut self, survey: &Survey) -> Inhibits {
        self.cycles = self.cycles.saturating_add(1);
        self.awaited |= survey.usable == survey.blocks || self.cycles > AWAIT_CYCLES;
        let mean = survey.mean_v_per_cell;
        let falling = survey.fall_v_per_cell_s > FALL_V_PER_CELL_S;
        // One low block is a low block, not a discharge, however short the string.
        let many_low = survey.low >= 2 && survey.low * 10 > survey.blocks;
        let low = mean < DISCHARGE_V_PER_CELL || many_low;
        let in_discharge = low || falling;
        self.discharged = in_discharge || (self.discharged && mean < RECOVERED_V_PER_CELL);
        let boost_limit =
            BOOST_V_PER_CELL - if self.boosted { BOOST_HYSTERESIS_V_PER_CELL } else { 0.0 };
        self.boosted = mean > boost_limit;
        let too_few = (survey.usable as f64) < USABLE_SHARE * survey.blocks as f64;
        Inhibits::default()
            .with(Inhibits::AWAITING, !self.awaited)
            .with(Inhibits::TOO_FEW, self.awaited && too_few)
            .with(Inhibits::DISCHARGE, in_discharge)
            .with(Inhibits::RECOVERY, self.discharged && !in_discharge)
            .with(Inhibits::BOOST, self.boosted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(usable: usize, low: usize, mean_v_per_cell: f64) -> Survey {
        Survey { blocks: 32, usable, low, mean_v_per_cell, fall_v_per_cell_s: 0.0 }
    }

    #[test]
    fn off_until_every_block_reported_but_not_for_ever() {
        let mut d = Detector::default();
        for _ in 0..AWAIT_CYCLES {
            assert_eq!(d.step(&survey(31, 0, 2.27)), Inhibits::AWAITING);
        }
        assert!(d.step(&survey(31, 0, 2.27)).is_empty());
        let mut d = Detector::default();
        assert!(d.step(&survey(32, 0, 2.27)).is_empty());
        assert!(
            d.step(&survey(30, 0, 2.27)).is_empty(),
            "a lost block later does not stop the rest"
        );
        assert_eq!(d.step(&survey(20, 0, 2.27)), Inhibits::TOO_FEW);
    }

    #[test]
    fn discharge_then_recovery_then_float() {
        let mut d = Detector::default();
        assert!(d.step(&survey(32, 3, 2.25)).is_empty(), "three of 32 are not a discharge");
        assert_eq!(d.step(&survey(32, 4, 2.25)), Inhibits::DISCHARGE);
        assert_eq!(d.step(&survey(32, 32, 2.05)), Inhibits::DISCHARGE);
        assert_eq!(d.step(&survey(32, 0, 2.19)), Inhibits::RECOVERY);
        assert!(d.step(&survey(32, 0, 2.21)).is_empty());
        assert!(
            d.step(&survey(32, 0, 2.18)).is_empty(),
            "2.18 is float unless a discharge came before"
        );
    }

    #[test]
    fn a_fast_fall_is_a_discharge_before_the_limit_is_reached() {
        let mut d = Detector::default();
        let falling = |fall_v_per_cell_s| Survey { fall_v_per_cell_s, ..survey(32, 0, 2.27) };
        assert!(d.step(&falling(f64::NAN)).is_empty());
        assert_eq!(d.step(&falling(0.018)), Inhibits::DISCHARGE);
        assert!(d.step(&falling(0.005)).is_empty(), "a small step of the charger is none");
    }

    #[test]
    fn one_low_block_of_four_is_no_discharge() {
        let mut d = Detector::default();
        let short = Survey { blocks: 4, usable: 4, low: 1, ..survey(4, 1, 2.25) };
        assert!(d.step(&short).is_empty());
        assert_eq!(d.step(&Survey { low: 2, ..short }), Inhibits::DISCHARGE);
    }

    #[test]
    fn boost_has_hysteresis() {
        let mut d = Detector::default();
        assert_eq!(d.step(&survey(32, 0, 2.40)), Inhibits::BOOST);
        assert_eq!(d.step(&survey(32, 0, 2.33)), Inhibits::BOOST);
        assert!(d.step(&survey(32, 0, 2.32)).is_empty());
        assert!(d.step(&survey(32, 0, 2.33)).is_empty());
    }

    #[test]
    fn no_usable_block_is_too_few_not_a_discharge() {
        let mut d = Detector::default();
        d.step(&survey(32, 0, 2.27));
        assert_eq!(d.step(&survey(0, 0, f64::NAN)), Inhibits::TOO_FEW);
    }

    #[test]
    fn texts_name_each_reason() {
        let both = Inhibits::PAUSED.with(Inhibits::BOOST, true);
        assert_eq!(both.to_string(), "boost charge, paused by a user");
    }
}
