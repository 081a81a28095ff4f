//! What long observation says about the blocks of a string: resistance
//! baseline and trend, state of health, remaining life, outliers, hints at
//! causes, and what to do about it. [`StringHealth::step`] is the only entry,
//! called once per scan.
//!
//! - [`schedule`]: when which block's resistance is measured.
//! - [`resistance`]: baseline, rise and trend of a block.
//! - [`outlier`]: who differs from the string, who drifts.
//! - [`soh`]: state of health, ageing, remaining life.
//! - [`hints`]: what may be wrong inside.
//! - [`advice`]: what to do, in words.
//! - [`string`]: all of it together, over days and restarts.
//!
//! No value without its confidence: each comes with a standard deviation, an
//! interval, its origin, or as NaN where nothing is known. What each estimate
//! assumes stands at the top of its file. Nothing here trips or controls
//! anything. Theory: facts/battery-science.md §2.8, §2.9, §4, §5.3, §5.5.

pub mod advice;
mod bits;
mod course;
pub mod hints;
#[cfg(test)]
mod noise;
pub mod outlier;
pub mod resistance;
pub mod schedule;
pub mod soh;
mod stats;
pub mod string;
#[cfg(test)]
mod years;

pub use advice::{Action, Advice, AdviceText, Reasons, StringText};
pub use hints::{Hint, HintKind, Hints, Signs};
pub use outlier::Outliers;
pub use resistance::{Baseline, BaselineKind, Trend};
pub use schedule::{Orders, ResistanceSchedule};
pub use soh::{Basis, Capacity, LifeYears, Soh};
pub use string::{BlockHealthState, StringHealth};

use crate::battery::BatteryType;
use serde::{Deserialize, Serialize};

/// Settings of a string's health.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// When the blocks went into service, seconds since 1970 UTC. Without it
    /// they are taken as new when first seen, and a baseline as learned late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_service_since_s: Option<u64>,
    /// Days in service before a baseline is learned, 0 … 730.
    pub settle_days: f64,
    /// Hours between two resistance measurements of a block, 1 … 720.
    pub resistance_interval_h: f64,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { in_service_since_s: None, settle_days: 180.0, resistance_interval_h: 24.0 }
    }
}

/// Why health settings make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {value} is not in {low} … {high}")]
pub struct HealthSettingsError {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: f64,
    /// Least right value.
    pub low: f64,
    /// Greatest right value.
    pub high: f64,
}

impl HealthSettings {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`HealthSettingsError`] names the field.
    pub fn check(&self) -> Result<(), HealthSettingsError> {
        for (field, value, low, high) in [
            ("settle_days", self.settle_days, 0.0, 730.0),
            ("resistance_interval_h", self.resistance_interval_h, 1.0, 720.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(HealthSettingsError { field, value, low, high });
            }
        }
        Ok(())
    }
}

/// The string that is judged.
#[derive(Clone, Debug)]
pub struct HealthConfig {
    /// Number of blocks.
    pub blocks: usize,
    /// Their type; [`BatteryType::check`] has passed.
    pub battery: BatteryType,
    /// Settings; [`HealthSettings::check`] has passed.
    pub settings: HealthSettings,
}

/// What others know about the blocks. A slice that is too short knows nothing
/// about the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// Bypass duty of each block in this scan, 0 … 1; empty while not equalizing.
    pub duties: &'a [f32],
    /// Latest capacity estimate of each block.
    pub capacities: &'a [Option<CapacityEstimate>],
    /// The block whose resistance is being measured: its voltage is not judged.
    pub measuring: Option<usize>,
}

/// A capacity learned from a discharge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityEstimate {
    /// Of the rated capacity.
    pub ratio: f32,
    /// Standard deviation of it.
    pub sigma: f32,
    /// Depth of the discharge, 0 … 1.
    pub depth: f32,
    /// When, seconds since 1970 UTC; `None` when the clock was not set: then
    /// it counts from when it is first seen here.
    pub wall_s: Option<u64>,
}

/// All that is known about the health of a block. NaN: not known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockHealth {
    /// State of health with its uncertainty and what it rests on.
    pub soh: Soh,
    /// Capacity measured by a discharge.
    pub capacity: Option<Capacity>,
    /// Internal resistance at 25 °C (median of the last readings), mΩ.
    pub resistance_mohm: f32,
    /// Standard deviation of it, as a share of it; NaN under three readings.
    pub resistance_sigma: f32,
    /// What it is compared with.
    pub baseline: Baseline,
    /// Its growth.
    pub trend: Trend,
    /// Remaining life.
    pub life: LifeYears,
    /// Years at 20 °C that would have aged the block as much.
    pub equivalent_years: f32,
    /// In what it stands out of the string.
    pub outliers: Outliers,
    /// It drifts away from the string, in voltage, temperature or duty.
    pub drifts: bool,
    /// What may be wrong inside.
    pub hints: Hints,
    /// What to do.
    pub advice: Advice,
}

impl BlockHealth {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        soh: Soh::UNKNOWN,
        capacity: None,
        resistance_mohm: f32::NAN,
        resistance_sigma: f32::NAN,
        baseline: Baseline { mohm: f32::NAN, kind: BaselineKind::None },
        trend: Trend::UNKNOWN,
        life: LifeYears::UNKNOWN,
        equivalent_years: f32::NAN,
        outliers: Outliers::NONE,
        drifts: false,
        hints: Hints::NONE,
        advice: Advice { action: Action::None, reasons: Reasons::NONE, confidence: 0.0 },
    };
}

/// Health of a string.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// One per block, in the string's order.
    pub blocks: Vec<BlockHealth>,
    /// What to do about the string as a whole.
    pub advice: Advice,
    /// Whether the clock is set: without it there are no dates.
    pub dated: bool,
    /// Whether it is known since when the blocks are in service; otherwise
    /// they are taken as new when first seen.
    pub age_known: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_what_is_wrong() {
        let settings: HealthSettings = toml::from_str("").expect("all have a default");
        assert_eq!(settings, HealthSettings::default());
        assert_eq!(settings.check(), Ok(()));
        let wrong = HealthSettings { settle_days: f64::NAN, ..settings };
        assert_eq!(wrong.check().map_err(|e| e.field), Err("settle_days"));
        let wrong = HealthSettings { resistance_interval_h: 0.5, ..settings };
        let said = wrong.check().map_err(|e| e.to_string());
        assert_eq!(said, Err("resistance_interval_h: 0.5 is not in 1 … 720".to_owned()));
        assert!(toml::from_str::<HealthSettings>("settled_days = 3.0").is_err());
    }
}
