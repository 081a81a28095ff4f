//! What the licence lets be shown and kept; a pure function of limits and plant.
//!
//! **Nothing that keeps a battery safe is here.** Scanning, equalizing,
//! protection, alarms and the events about them know nothing of licences
//! (`xtask/tests/tidy.rs` holds them to it). What is limited, by whoever shows
//! or keeps them, are *values*: of a block over the licence its voltage,
//! temperature, resistance, estimates, history and discharge details; of a UPS
//! over the licence what it measures. Status and alarms of both stay.
//!
//! Which blocks are within is decided by their place alone: strings in the
//! order of the settings, blocks in the order of their string. A module that
//! falls silent, or comes back, moves nobody else over the edge.
//!
//! [`edition`] says which [`Limits`] are in force, and how that changes.

pub mod edition;

pub use edition::{Answer, Edition, GRACE_S, Verdict};

use serde::{Deserialize, Serialize};

/// Said of whatever is over the licence.
pub const OVER: &str = "over the licence: watched for safety only";

/// How much may be shown and kept. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Blocks, counted over all strings.
    pub blocks: Option<u32>,
    /// Rating of the largest UPS, VA.
    pub ups_va: Option<u32>,
}

impl Limits {
    /// The LC edition: what needs no licence, and what nobody can take away.
    pub const LC: Self = Self { blocks: Some(24), ups_va: Some(6_000) };

    /// The same, but never less than [`Self::LC`].
    #[must_use]
    pub fn at_least_lc(self) -> Self {
        let most = |limit: Option<u32>, least: Option<u32>| match (limit, least) {
            (Some(limit), Some(least)) => Some(limit.max(least)),
            _ => None,
        };
        Self {
            blocks: most(self.blocks, Self::LC.blocks),
            ups_va: most(self.ups_va, Self::LC.ups_va),
        }
    }

    /// True when something that `other` lets be shown is over these limits.
    #[must_use]
    pub fn is_less_than(self, other: Self) -> bool {
        let less = |here: Option<u32>, there: Option<u32>| match (here, there) {
            (Some(here), Some(there)) => here < there,
            (Some(_), None) => true,
            (None, _) => false,
        };
        less(self.blocks, other.blocks) || less(self.ups_va, other.ups_va)
    }

    /// Of strings with so many blocks, in the settings' order: how many blocks
    /// of each, its first ones, are within.
    #[must_use]
    pub fn within(self, strings: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut left = self.blocks.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let take = |blocks: usize| {
            let within = blocks.min(left);
            left -= within;
            within
        };
        strings.into_iter().map(take).collect()
    }

    /// True when a UPS of this rating is within. One that does not say how
    /// large it is is taken to be: a driver that reports no rating must not
    /// blind a small site, and a rating comes with the first good poll.
    #[must_use]
    pub fn covers_ups(self, rating: Rating) -> bool {
        match (self.ups_va, rating.least_va()) {
            (Some(limit), Some(va)) => va <= f64::from(limit),
            _ => true,
        }
    }
}

/// What a UPS says of its own size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rating {
    /// `ups.power.nominal`, VA.
    pub va: Option<f64>,
    /// `ups.realpower.nominal`, W.
    pub w: Option<f64>,
}

impl Rating {
    /// It is at least this large, VA: apparent power is never less than real
    /// power. `None`: it does not say, or nothing that can be.
    #[must_use]
    pub fn least_va(self) -> Option<f64> {
        let said = [self.va, self.w].into_iter().flatten();
        said.filter(|power| power.is_finite() && *power > 0.0).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Limits = Limits { blocks: None, ups_va: None };

    fn blocks(blocks: u32) -> Limits {
        Limits { blocks: Some(blocks), ups_va: None }
    }

    #[test]
    fn blocks_are_within_by_their_place() {
        assert_eq!(Limits::LC.within([32, 32]), [24, 0]);
        assert_eq!(Limits::LC.within([8, 8, 8, 1]), [8, 8, 8, 0]);
        assert_eq!(Limits::LC.within([10, 20, 20]), [10, 14, 0]);
        assert_eq!(Limits::LC.within([0, 24]), [0, 24]);
        assert_eq!(blocks(0).within([3]), [0]);
        assert_eq!(FULL.within([512, 512]), [512, 512]);
        assert_eq!(Limits::LC.within([]), [0_usize; 0]);
    }

    #[test]
    fn a_ups_is_as_large_as_it_says_and_unknown_is_within() {
        let covers = |va, w| Limits::LC.covers_ups(Rating { va, w });
        assert!(covers(None, None), "it does not say");
        assert!(covers(Some(6_000.0), Some(5_400.0)));
        assert!(!covers(Some(6_001.0), None));
        assert!(!covers(None, Some(8_000.0)), "8 kW are at least 8 kVA");
        assert!(!covers(Some(5_000.0), Some(8_000.0)), "the larger of two that contradict");
        assert!(covers(Some(f64::NAN), Some(-1.0)), "nothing that can be");
        assert!(FULL.covers_ups(Rating { va: Some(2e6), w: None }));
    }

    #[test]
    fn lc_is_the_floor_and_less_is_less() {
        assert_eq!(blocks(0).at_least_lc(), Limits { blocks: Some(24), ups_va: None });
        let tiny = Limits { blocks: Some(1), ups_va: Some(1) };
        assert_eq!(tiny.at_least_lc(), Limits::LC);
        assert_eq!(FULL.at_least_lc(), FULL);
        assert!(Limits::LC.is_less_than(FULL) && !FULL.is_less_than(Limits::LC));
        assert!(!Limits::LC.is_less_than(Limits::LC));
        let other = Limits { blocks: Some(512), ups_va: Some(3_000) };
        assert!(other.is_less_than(Limits::LC) && Limits::LC.is_less_than(other));
    }
}
