//! Limits of a battery test.

use super::schedule::Schedule;
use crate::battery::BatteryType;
use serde::{Deserialize, Serialize};

/// From this share of the capacity on a test is a capacity test: a block that
/// reaches its limit ends it, and has passed (80 % is the end of life,
/// facts/battery-science.md §4).
pub const PASS_SHARE: f64 = 0.8;

/// Settings of the battery test of one UPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestConfig {
    /// Ends when this share of the capacity is drawn, 0.02 … 1.
    pub share: f64,
    /// Ends after so many minutes at the latest, 0.5 … 1,440.
    pub minutes: f64,
    /// Hours after an outage without a test, 1 … 168.
    pub outage_hours: u16,
    /// Hours at float that make a battery full where nobody else says so, 1 … 168.
    pub float_hours: u16,
    /// A block below this aborts, V per cell; 3 % above the end voltage
    /// without a value. No lower than the end voltage.
    pub abort_v_per_cell: Option<f64>,
    /// A string whose mean is below this aborts, V per cell; 6 % above the end
    /// voltage without a value. No lower than the end voltage.
    pub abort_string_v_per_cell: Option<f64>,
    /// A block warmer than this aborts, °C: 30 … 60.
    pub abort_c: f64,
    /// A block without a reading for so long aborts, s: 5 … 300.
    pub lost_s: u16,
    /// A block so far below the median is to be checked, V per cell: 0.01 … 0.5.
    pub check_v_per_cell: f64,
    /// When tests are due; none without.
    pub schedule: Option<Schedule>,
}

impl Default for TestConfig {
    fn default() -> Self {
        Self {
            share: 0.10,
            minutes: 6.0,
            outage_hours: 24,
            float_hours: 8,
            abort_v_per_cell: None,
            abort_string_v_per_cell: None,
            abort_c: 45.0,
            lost_s: 15,
            check_v_per_cell: 0.05,
            schedule: None,
        }
    }
}

/// Why settings of a battery test make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {value} is not in {low} … {high}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it says.
    pub value: f64,
    /// What it may say at least.
    pub low: f64,
    /// What it may say at most.
    pub high: f64,
}

impl ConfigError {
    pub(super) fn unless(
        field: &'static str,
        value: f64,
        low: f64,
        high: f64,
    ) -> Result<(), ConfigError> {
        if (low..=high).contains(&value) { Ok(()) } else { Err(Self { field, value, low, high }) }
    }
}

impl TestConfig {
    /// Say what is impossible with blocks of this type.
    ///
    /// # Errors
    /// [`ConfigError`] names the field and its range.
    pub fn check(&self, battery: &BatteryType) -> Result<(), ConfigError> {
        let range = ConfigError::unless;
        range("share", self.share, 0.02, 1.0)?;
        range("minutes", self.minutes, 0.5, 1_440.0)?;
        range("outage_hours", self.outage_hours.into(), 1.0, 168.0)?;
        range("float_hours", self.float_hours.into(), 1.0, 168.0)?;
        range("abort_c", self.abort_c, 30.0, 60.0)?;
        range("lost_s", self.lost_s.into(), 5.0, 300.0)?;
        range("check_v_per_cell", self.check_v_per_cell, 0.01, 0.5)?;
        let (low, high) = (end_v(battery), battery.chemistry.data().rest_full_v);
        range("abort_v_per_cell", self.abort_v(battery), low, high)?;
        range("abort_string_v_per_cell", self.abort_string_v(battery), low, high)?;
        self.schedule.as_ref().map_or(Ok(()), Schedule::check)
    }

    /// Voltage of a block, per cell, that aborts, V.
    #[must_use]
    pub fn abort_v(&self, battery: &BatteryType) -> f64 {
        self.abort_v_per_cell.unwrap_or(1.03 * end_v(battery))
    }

    /// Mean voltage of a string, per cell, that aborts, V.
    #[must_use]
    pub fn abort_string_v(&self, battery: &BatteryType) -> f64 {
        self.abort_string_v_per_cell.unwrap_or(1.06 * end_v(battery))
    }
}

fn end_v(battery: &BatteryType) -> f64 {
    battery.cutoff_v_per_cell.unwrap_or(battery.chemistry.data().cutoff_v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;

    #[test]
    fn defaults_fit_every_chemistry() {
        for chemistry in Chemistry::ALL {
            let battery = BatteryType::new(chemistry, 6, 100.0);
            assert_eq!(TestConfig::default().check(&battery), Ok(()), "{chemistry:?}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let battery = BatteryType::new(Chemistry::Agm, 6, 100.0);
        for (text, field) in [
            ("share = 0.0", "share"),
            ("minutes = nan", "minutes"),
            ("outage_hours = 0", "outage_hours"),
            ("abort_v_per_cell = 1.6", "abort_v_per_cell"),
            ("abort_string_v_per_cell = 12.0", "abort_string_v_per_cell"),
            ("lost_s = 1", "lost_s"),
            ("[schedule]\nhour = 24\nminute = 0\nrhythm = { every = \"days\", days = 1 }", "hour"),
        ] {
            let config: TestConfig = toml::from_str(text).expect(text);
            assert_eq!(config.check(&battery).map_err(|e| e.field), Err(field));
        }
        assert!(toml::from_str::<TestConfig>("shares = 0.1").is_err());
    }
}
