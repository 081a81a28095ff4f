//! What a person may set: every limit of a string's protection, with defaults
//! from the chemistry (facts/battery-science.md §4).
//!
//! In TOML every field may be left out:
//! ```toml
//! temperature_high_c = { warning = 40.0, alarm = 50.0, hysteresis = 2.0, delay_s = 30.0 }
//! [runaway]
//! hold_s = 300.0
//! ```

use super::hold::{Limit, Side};
use crate::battery::BatteryType;
use serde::{Deserialize, Serialize};

/// Limits of a string and its blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Block voltage, V per cell; the chemistry's where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_high_v_per_cell: Option<Limit>,
    /// Block voltage, V per cell; the chemistry's where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_low_v_per_cell: Option<Limit>,
    /// Distance of a block from the string's median on float, V per cell.
    pub deviation_v_per_cell: Limit,
    /// Voltage of the string, V per cell; the chemistry's where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_high_v_per_cell: Option<Limit>,
    /// Voltage of the string, V per cell; the chemistry's where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_low_v_per_cell: Option<Limit>,
    /// Charge current, A per Ah of rated capacity.
    pub charge_a_per_ah: Limit,
    /// Discharge current, A per Ah; not watched where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharge_a_per_ah: Option<Limit>,
    /// Block temperature, °C.
    pub temperature_high_c: Limit,
    /// Block temperature, °C.
    pub temperature_low_c: Limit,
    /// Internal resistance against the block's baseline.
    pub resistance: ResistanceLimits,
    /// A module (or one of its sensors) without a value for so long: warning, s.
    pub lost_warning_s: f64,
    /// The same: alarm, s.
    pub lost_alarm_s: f64,
    /// Resistance of links beyond what the modules see, mΩ of the string.
    pub link_mohm: Limit,
    /// |Sum of the blocks − string voltage|, % of the string voltage.
    pub sum_mismatch_pct: Limit,
    /// Current to ground, A.
    pub ground_a: Limit,
    /// A voltage reading that stands still while the others move: s.
    pub stuck_s: f64,
    /// Thermal runaway.
    pub runaway: RunawayLimits,
}

/// Change of the internal resistance from the baseline, % (100 is twice the
/// baseline). Each needs two measurements in succession.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResistanceLimits {
    /// Notice.
    pub notice_pct: f64,
    /// Warning.
    pub warning_pct: f64,
    /// Alarm.
    pub alarm_pct: f64,
    /// To be replaced at once.
    pub critical_pct: f64,
    /// So far below the baseline it is a wrong measurement or wiring: warning.
    pub low_pct: f64,
}

/// The recommended thermal-runaway rule of facts/battery-science.md §4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunawayLimits {
    /// Trip at all. Off, everything but the trip is still told.
    pub trip: bool,
    /// Block over ambient or median on float, K.
    pub rise_k: Limit,
    /// Rate on float, K/h, beyond that of the ambient air.
    pub rate_k_per_h: f64,
    /// Held so long: alarm, s.
    pub rate_hold_s: f64,
    /// Float current over its learned value: times.
    pub current: Limit,
    /// Rise that belongs to a trip, K.
    pub trip_rise_k: f64,
    /// Temperature that belongs to a trip, °C.
    pub trip_c: f64,
    /// Float current that belongs to a trip: times its learned value.
    pub trip_current: f64,
    /// The trip's hold time, s.
    pub hold_s: f64,
    /// From here on one sensor may trip alone, and a discharge is no reason
    /// not to, °C.
    pub alone_c: f64,
    /// After a discharge the blocks are warm from it: for so long only
    /// `alone_c` trips, s.
    pub after_discharge_s: f64,
    /// Differences of the string current below this mean nothing, A: noise
    /// and offset of the current sensor.
    pub current_resolution_a: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            voltage_high_v_per_cell: None,
            voltage_low_v_per_cell: None,
            deviation_v_per_cell: Limit::new(0.05, 0.10, 0.01, 600.0),
            string_high_v_per_cell: None,
            string_low_v_per_cell: None,
            charge_a_per_ah: Limit::new(0.30, 0.40, 0.02, 60.0),
            discharge_a_per_ah: None,
            temperature_high_c: Limit::new(40.0, 50.0, 2.0, 30.0),
            temperature_low_c: Limit::new(5.0, 0.0, 1.0, 300.0),
            resistance: ResistanceLimits::default(),
            lost_warning_s: 30.0,
            lost_alarm_s: 120.0,
            link_mohm: Limit::new(5.0, 10.0, 1.0, 5.0),
            sum_mismatch_pct: Limit::new(1.0, 2.0, 0.2, 600.0),
            ground_a: Limit::new(0.010, 0.030, 0.002, 10.0),
            stuck_s: 300.0,
            runaway: RunawayLimits::default(),
        }
    }
}

impl Default for ResistanceLimits {
    fn default() -> Self {
        Self {
            notice_pct: 20.0,
            warning_pct: 30.0,
            alarm_pct: 50.0,
            critical_pct: 100.0,
            low_pct: -30.0,
        }
    }
}

impl Default for RunawayLimits {
    fn default() -> Self {
        Self {
            trip: true,
            rise_k: Limit::new(8.0, 10.0, 1.0, 60.0),
            rate_k_per_h: 1.5,
            rate_hold_s: 3_600.0,
            current: Limit::new(2.0, 3.0, 0.2, 300.0),
            trip_rise_k: 15.0,
            trip_c: 60.0,
            trip_current: 2.0,
            hold_s: 300.0,
            alone_c: 75.0,
            after_discharge_s: 1_800.0,
            current_resolution_a: 0.1,
        }
    }
}

/// Why limits are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct LimitsError {
    /// The field.
    pub field: &'static str,
    /// What is wrong and what is right.
    pub problem: String,
}

fn refuse(field: &'static str, problem: String) -> Result<(), LimitsError> {
    Err(LimitsError { field, problem })
}

fn range(field: &'static str, value: f64, low: f64, high: f64) -> Result<(), LimitsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    refuse(field, format!("{value} is not in {low} … {high}"))
}

/// Both thresholds within `low … high`, the alarm beyond the warning.
fn limit(
    field: &'static str,
    limit: &Limit,
    side: Side,
    (low, high): (f64, f64),
) -> Result<(), LimitsError> {
    let Limit { warning, alarm, hysteresis, delay_s } = *limit;
    range(field, warning, low, high)?;
    range(field, alarm, low, high)?;
    range(field, delay_s, 0.0, 86_400.0)?;
    let (crossed, word) = match side {
        Side::High => (alarm <= warning, "above"),
        Side::Low => (alarm >= warning, "below"),
    };
    if crossed {
        let problem = format!("the alarm ({alarm}) must be {word} the warning ({warning})");
        return refuse(field, problem);
    }
    if !(0.0..=high - low).contains(&hysteresis) {
        return refuse(field, format!("a hysteresis of {hysteresis} is not possible"));
    }
    Ok(())
}

impl Limits {
    /// Say what is impossible, or makes no sense for this battery.
    ///
    /// # Errors
    /// [`LimitsError`] names the field.
    pub fn check(&self, battery: &BatteryType) -> Result<(), LimitsError> {
        let d = battery.chemistry_data();
        let cell = (0.5 * d.cutoff_v, 1.3 * d.max_v);
        let v = self.per_cell(battery);
        limit("voltage_high_v_per_cell", &v.high, Side::High, cell)?;
        limit("voltage_low_v_per_cell", &v.low, Side::Low, cell)?;
        limit("string_high_v_per_cell", &v.string_high, Side::High, cell)?;
        limit("string_low_v_per_cell", &v.string_low, Side::Low, cell)?;
        for (field, low, high) in [
            ("voltage_low_v_per_cell", v.low.warning, v.high.warning),
            ("string_low_v_per_cell", v.string_low.warning, v.string_high.warning),
            ("temperature_low_c", self.temperature_low_c.warning, self.temperature_high_c.warning),
        ] {
            if low >= high {
                return refuse(field, format!("{low} is not below the upper limit, {high}"));
            }
        }
        limit("deviation_v_per_cell", &self.deviation_v_per_cell, Side::High, (0.005, 2.0))?;
        limit("charge_a_per_ah", &self.charge_a_per_ah, Side::High, (0.01, 10.0))?;
        if let Some(discharge) = &self.discharge_a_per_ah {
            limit("discharge_a_per_ah", discharge, Side::High, (0.01, 50.0))?;
        }
        limit("temperature_high_c", &self.temperature_high_c, Side::High, (20.0, 85.0))?;
        limit("temperature_low_c", &self.temperature_low_c, Side::Low, (-35.0, 30.0))?;
        range("lost_warning_s", self.lost_warning_s, 0.0, 3_600.0)?;
        range("lost_alarm_s", self.lost_alarm_s, self.lost_warning_s, 86_400.0)?;
        limit("link_mohm", &self.link_mohm, Side::High, (0.01, 10_000.0))?;
        limit("sum_mismatch_pct", &self.sum_mismatch_pct, Side::High, (0.1, 20.0))?;
        limit("ground_a", &self.ground_a, Side::High, (0.000_1, 100.0))?;
        range("stuck_s", self.stuck_s, 60.0, 86_400.0)?;
        self.resistance.check()?;
        self.runaway.check()
    }

    /// Voltage limits per cell, set or from the chemistry.
    pub(super) fn per_cell(&self, battery: &BatteryType) -> VoltageLimits {
        let d = battery.chemistry_data();
        // Boost may reach three quarters of the way from the boost window to
        // what harms; a discharge may reach the end voltage.
        let high = Limit::new(d.boost_v + 0.75 * (d.max_v - d.boost_v), d.max_v, 0.02, 10.0);
        let end_v = battery.cutoff_v() / battery.cells_f64();
        let low = Limit::new(end_v + 0.25 * (d.rest_empty_v - end_v).max(0.04), end_v, 0.02, 5.0);
        VoltageLimits {
            high: self.voltage_high_v_per_cell.unwrap_or(high),
            low: self.voltage_low_v_per_cell.unwrap_or(low),
            string_high: self.string_high_v_per_cell.unwrap_or(high),
            string_low: self.string_low_v_per_cell.unwrap_or(low),
        }
    }
}

impl ResistanceLimits {
    fn check(&self) -> Result<(), LimitsError> {
        range("resistance.low_pct", self.low_pct, -95.0, -5.0)?;
        let ladder = [
            ("resistance.notice_pct", self.notice_pct),
            ("resistance.warning_pct", self.warning_pct),
            ("resistance.alarm_pct", self.alarm_pct),
            ("resistance.critical_pct", self.critical_pct),
        ];
        let mut below = 5.0;
        for (field, step) in ladder {
            range(field, step, 5.0, 1_000.0)?;
            if step < below {
                return refuse(field, format!("{step} is below the step before it, {below}"));
            }
            below = step;
        }
        Ok(())
    }
}

impl RunawayLimits {
    fn check(&self) -> Result<(), LimitsError> {
        limit("runaway.rise_k", &self.rise_k, Side::High, (2.0, 30.0))?;
        limit("runaway.current", &self.current, Side::High, (1.2, 20.0))?;
        range("runaway.rate_k_per_h", self.rate_k_per_h, 0.5, 20.0)?;
        range("runaway.rate_hold_s", self.rate_hold_s, 600.0, 14_400.0)?;
        range("runaway.trip_rise_k", self.trip_rise_k, self.rise_k.alarm, 40.0)?;
        range("runaway.trip_c", self.trip_c, 45.0, 80.0)?;
        range("runaway.trip_current", self.trip_current, 1.2, 20.0)?;
        range("runaway.hold_s", self.hold_s, 30.0, 3_600.0)?;
        range("runaway.alone_c", self.alone_c, self.trip_c, 85.0)?;
        range("runaway.after_discharge_s", self.after_discharge_s, 0.0, 14_400.0)?;
        range("runaway.current_resolution_a", self.current_resolution_a, 0.0, 100.0)
    }
}

/// Voltage limits, V per cell or multiplied.
#[derive(Clone, Copy, Debug)]
pub(super) struct VoltageLimits {
    pub high: Limit,
    pub low: Limit,
    pub string_high: Limit,
    pub string_low: Limit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;

    #[test]
    fn every_chemistry_has_sensible_defaults() {
        for chemistry in Chemistry::ALL {
            let battery = BatteryType::new(chemistry, 6, 65.0);
            assert_eq!(Limits::default().check(&battery), Ok(()), "{chemistry:?}");
            let d = battery.chemistry_data();
            let v = Limits::default().per_cell(&battery);
            assert!(d.float_v.is_none_or(|f| v.low.warning < f && f < v.high.warning));
        }
        let agm = Limits::default().per_cell(&BatteryType::new(Chemistry::Agm, 6, 65.0));
        assert!((agm.high.alarm * 6.0 - 15.0).abs() < 1e-9, "2.50 V per cell");
        assert!((agm.low.alarm * 6.0 - 10.2).abs() < 1e-9, "1.70 V per cell");
    }

    #[test]
    fn nothing_need_be_set_and_nothing_misspelt() {
        assert_eq!(toml::from_str::<Limits>(""), Ok(Limits::default()));
        assert!(toml::from_str::<Limits>("temprature_high_c = 3").is_err());
        let text = toml::to_string(&Limits::default()).expect("limits are TOML");
        assert_eq!(toml::from_str::<Limits>(&text), Ok(Limits::default()));
        let some: Limits = toml::from_str("[runaway]\nhold_s = 60.0\n").expect("valid");
        assert_eq!(some.runaway, RunawayLimits { hold_s: 60.0, ..RunawayLimits::default() });
    }

    #[test]
    fn crossed_thresholds_are_refused_by_name() {
        let battery = BatteryType::new(Chemistry::Agm, 6, 65.0);
        let refused = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check(&battery).map_err(|e| e.field)
        };
        type Case = (&'static str, fn(&mut Limits));
        let cases: [Case; 12] = [
            ("temperature_high_c", |l| l.temperature_high_c.warning = 60.0),
            ("temperature_low_c", |l| l.temperature_low_c.alarm = 10.0),
            ("temperature_low_c", |l| {
                l.temperature_low_c.warning = 25.0;
                l.temperature_high_c.warning = 24.0;
            }),
            ("voltage_high_v_per_cell", |l| {
                l.voltage_high_v_per_cell = Some(Limit::new(2.5, 2.4, 0.01, 1.0));
            }),
            ("voltage_low_v_per_cell", |l| {
                l.voltage_low_v_per_cell = Some(Limit::new(2.6, 2.5, 0.01, 1.0));
            }),
            ("deviation_v_per_cell", |l| l.deviation_v_per_cell.delay_s = f64::NAN),
            ("charge_a_per_ah", |l| l.charge_a_per_ah.hysteresis = -1.0),
            ("lost_alarm_s", |l| l.lost_alarm_s = 1.0),
            ("resistance.alarm_pct", |l| l.resistance.alarm_pct = 25.0),
            ("runaway.trip_rise_k", |l| l.runaway.trip_rise_k = 9.0),
            ("runaway.alone_c", |l| l.runaway.alone_c = 55.0),
            ("runaway.rise_k", |l| l.runaway.rise_k.alarm = 8.0),
        ];
        for (field, change) in cases {
            assert_eq!(refused(change), Err(field));
        }
    }
}
