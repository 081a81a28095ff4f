//! What the equalizer tells: of each block and of the string.

use super::charger::ChargerVerdict;
use super::feasibility::Feasibility;
use super::inhibit::Inhibits;
use super::truth::Truth;
use serde::{Deserialize, Serialize};

/// What the equalizer does at a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// Off: no good voltage or no good temperature.
    #[default]
    NoReading,
    /// Off: the whole string is, see [`Report::inhibits`].
    Inhibited,
    /// Off: too hot.
    Hot,
    /// Off: voltage below what may be bypassed.
    LowVoltage,
    /// Off: its internal resistance is being measured.
    Measuring,
    /// Under control.
    Controlled,
    /// Under control, fully on, and that does not suffice.
    Saturated,
    /// Under control, but its module bypasses less than commanded: it derates.
    Derated,
}

impl Activity {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoReading => "off: no good reading",
            Self::Inhibited => "off with its string",
            Self::Hot => "off: too hot",
            Self::LowVoltage => "off: voltage too low",
            Self::Measuring => "off: resistance is being measured",
            Self::Controlled => "equalizing",
            Self::Saturated => "bypass fully on and not enough",
            Self::Derated => "module reduces its bypass",
        }
    }
}

/// What a step found and did at a block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockReport {
    /// The block's target, V: lower where it is warmer than the others; NaN
    /// when the string has none.
    pub target_v: f64,
    /// Voltage − target, V; NaN without either.
    pub deviation_v: f64,
    /// Part of the deviation that is tolerated because these modules cannot
    /// lift the block, V (see [`Feasibility`]).
    pub conceded_v: f64,
    /// It makes the target.
    pub member: bool,
    /// What is done.
    pub activity: Activity,
}

impl Default for BlockReport {
    fn default() -> Self {
        Self {
            target_v: f64::NAN,
            deviation_v: f64::NAN,
            conceded_v: 0.0,
            member: false,
            activity: Activity::NoReading,
        }
    }
}

/// What a step found and did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Mean of the blocks' targets, V; NaN when no block is usable.
    pub target_v: f64,
    /// Target before any temperature, V per cell; NaN when no block is usable.
    pub target_v_per_cell: f64,
    /// Sum of all block voltages, V; NaN unless every block is usable.
    pub sum_v: f64,
    /// Signed deviation of the block farthest from its target, V, among all
    /// usable blocks; NaN without target.
    pub worst_v: f64,
    /// That block, from 0.
    pub worst_block: Option<u16>,
    /// Why every bypass is off, if so.
    pub inhibits: Inhibits,
    /// Blocks that made the target.
    pub members: u16,
    /// Blocks with a good voltage that did not: far away, or unable to shed.
    pub excluded: u16,
    /// Blocks whose bypass is fully on, or derated, and does not suffice.
    pub saturated: u16,
    /// Mean duty of the string, 0 … 1.
    pub mean_duty: f64,
    /// Whether these modules can equalize this string.
    pub feasibility: Feasibility,
    /// Excluded blocks have pushed the others out of the maker's float window.
    pub pushed_out: bool,
    /// Indicated against true deviation.
    pub truth: Truth,
    /// Whether the charger is set right.
    pub charger: ChargerVerdict,
}

impl Default for Report {
    /// Nothing is known yet.
    fn default() -> Self {
        Self {
            target_v: f64::NAN,
            target_v_per_cell: f64::NAN,
            sum_v: f64::NAN,
            worst_v: f64::NAN,
            worst_block: None,
            inhibits: Inhibits::default(),
            members: 0,
            excluded: 0,
            saturated: 0,
            mean_duty: 0.0,
            feasibility: Feasibility::default(),
            pushed_out: false,
            truth: Truth::default(),
            charger: ChargerVerdict::default(),
        }
    }
}

impl Report {
    /// The equalizing-error alarm: blocks that these modules cannot bring into
    /// the band, or whose exclusion costs the others their float voltage.
    #[must_use]
    pub fn equalizing_error(&self) -> bool {
        self.pushed_out || matches!(self.feasibility, Feasibility::Infeasible { .. })
    }
}
