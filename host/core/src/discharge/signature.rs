//! When a block has collapsed, and when its voltage must not be judged yet.
//!
//! A block has collapsed when it is below its end voltage, or when it fell
//! behind the string's median by about one cell: an empty cell is driven into
//! reversal by its neighbours' current, and the block drops 2.0 … 2.6 V (lead)
//! and stays there. During the *coup de fouet*, the dip in the first 2 % of
//! capacity after long float, a healthy block may look worse than it is by up
//! to 80 mV per cell; there every limit is lower by [`Signature::allowance_v`].
//!
//! Numbers: facts/battery-science.md §2.6.

use crate::battery::BatteryType;
use serde::{Deserialize, Serialize};

/// Share of the capacity within which the coup de fouet lies.
pub const COUP_SHARE: f64 = 0.02;
/// Without a current sensor: 2 % of capacity at the one-hour rate, s.
const COUP_S: f64 = 72.0;
/// The deepest coup de fouet (80 mV per cell at 1C) and a little more, V per cell.
const COUP_V_PER_CELL: f64 = 0.10;
/// Share of a cell's nominal voltage by which a block with a reversed cell
/// falls back at least: lead 1.6 V, where 2.0 … 2.6 V are expected.
const REVERSAL_SHARE: f64 = 0.8;
/// With fewer readings a median says nothing about a neighbour.
const MEDIAN_READINGS: usize = 3;

/// Why a block counts as collapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollapseCause {
    /// Below its end voltage.
    Cutoff,
    /// Fell behind the median by about a cell.
    Reversal,
}

impl CollapseCause {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Cutoff => "below its end voltage",
            Self::Reversal => "a cell reversed",
        }
    }
}

/// Limits of one type of block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature {
    /// End voltage of a block, V.
    pub cutoff_v: f64,
    /// Fall behind the median that means a reversed cell, V.
    pub reversal_v: f64,
    /// What the coup de fouet may take from a healthy block, V; 0 where there is none.
    pub allowance_v: f64,
    /// Charge within which the coup de fouet lies, Ah.
    pub window_ah: f64,
}

impl Signature {
    /// Of this type; its rated capacity stands in until a learned one is known.
    #[must_use]
    pub fn of(battery: &BatteryType) -> Self {
        let data = battery.chemistry.data();
        let cells = f64::from(battery.cells);
        Self {
            cutoff_v: battery.cutoff_v(),
            reversal_v: REVERSAL_SHARE * data.nominal_v,
            allowance_v: if data.lead { COUP_V_PER_CELL * cells } else { 0.0 },
            window_ah: COUP_SHARE * battery.capacity_ah,
        }
    }

    /// What to take off every limit now: [`Self::allowance_v`] while the coup
    /// de fouet may last, else 0. `drawn_ah` is `None` without a current sensor.
    #[must_use]
    pub fn allowance_now_v(&self, drawn_ah: Option<f64>, elapsed_s: f64) -> f64 {
        let inside = match drawn_ah {
            Some(ah) => ah < self.window_ah,
            None => elapsed_s < COUP_S,
        };
        if inside { self.allowance_v } else { 0.0 }
    }

    /// The verdict on one block at one instant. `lag_before_v` is how far it
    /// already stood behind the median at float (a cell shorted long ago is no
    /// collapse of this discharge).
    #[must_use]
    pub fn judge(
        &self,
        block_v: f64,
        median_v: Option<f64>,
        lag_before_v: f64,
        allowance_v: f64,
    ) -> Option<CollapseCause> {
        let lag_v = median_v.map_or(0.0, |m| m - block_v) - lag_before_v.max(0.0);
        if lag_v >= self.reversal_v + allowance_v {
            Some(CollapseCause::Reversal)
        } else if block_v < self.cutoff_v - allowance_v {
            Some(CollapseCause::Cutoff)
        } else {
            None
        }
    }
}

/// Median of finite values, which are put in another order; `None` when there
/// are too few of them to stand for a string.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.len() < MEDIAN_READINGS {
        return None;
    }
    let (middle, odd) = (values.len() / 2, !values.len().is_multiple_of(2));
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::MIN, f64::max);
    Some(f64::midpoint(lower, upper))
}

/// A measurement that can be counted with.
pub(crate) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;

    fn agm() -> Signature {
        Signature::of(&BatteryType::new(Chemistry::Agm, 6, 100.0))
    }

    #[test]
    fn reversal_and_cutoff_are_told_apart() {
        let s = agm();
        assert_eq!(s.judge(12.0, Some(12.1), 0.0, 0.0), None);
        assert_eq!(s.judge(10.1, Some(12.1), 0.0, 0.0), Some(CollapseCause::Reversal));
        assert_eq!(s.judge(10.1, Some(10.3), 0.0, 0.0), Some(CollapseCause::Cutoff));
        assert_eq!(s.judge(10.1, None, 0.0, 0.0), Some(CollapseCause::Cutoff));
        assert_eq!(s.judge(10.3, Some(12.4), 2.1, 0.0), None, "was a cell short before");
    }

    #[test]
    fn coup_de_fouet_is_forgiven_unless_far_below() {
        let s = agm();
        let early = s.allowance_now_v(Some(1.9), 600.0);
        assert!((early - 0.6).abs() < 1e-9);
        assert_eq!(s.judge(9.8, Some(10.4), 0.0, early), None);
        assert_eq!(s.judge(9.5, Some(10.4), 0.0, early), Some(CollapseCause::Cutoff));
        assert_eq!(s.allowance_now_v(Some(2.0), 1.0), 0.0);
        assert!(s.allowance_now_v(None, 71.0) > 0.0 && s.allowance_now_v(None, 72.0) == 0.0);
        let lithium = Signature::of(&BatteryType::new(Chemistry::Lfp, 4, 100.0));
        assert_eq!(lithium.allowance_now_v(Some(0.0), 0.0), 0.0);
    }

    #[test]
    fn median_of_odd_even_and_too_few() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut [1.0, 2.0]), None);
    }
}
