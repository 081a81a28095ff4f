//! What the maker of a block states: the battery type.
//!
//! A battery file is TOML. Three fields are enough, the chemistry's values
//! stand in for the others:
//! ```toml
//! chemistry = "agm"        # flooded agm gel nicd nimh lfp nmc
//! cells = 6                # in series in a block
//! capacity_ah = 65.0       # rated, new
//! ```

use super::chemistry::{Chemistry, ChemistryData};
use serde::{Deserialize, Serialize};

/// A type of block, from its data sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatteryType {
    /// Maker and model, for people.
    #[serde(default)]
    pub name: String,
    /// What its cells are made of.
    pub chemistry: Chemistry,
    /// Cells in series in a block, 1 … 24.
    pub cells: u8,
    /// Rated capacity of a new block, Ah: 1 … 10,000.
    pub capacity_ah: f64,
    /// Discharge time to which the capacity is rated, hours.
    #[serde(default = "default_rated_hours")]
    pub rated_hours: f64,
    /// Float voltage that the maker states, V per cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_v_per_cell: Option<f64>,
    /// Its change with temperature, mV per cell and K (negative).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_mv_per_cell_k: Option<f64>,
    /// Temperature to which the float voltage is stated, °C.
    #[serde(default = "default_reference_c")]
    pub reference_c: f64,
    /// End of a discharge, V per cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff_v_per_cell: Option<f64>,
    /// Internal resistance of a new block, mΩ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resistance_mohm: Option<f64>,
    /// Design life at 20 °C, years.
    #[serde(default = "default_design_life_years")]
    pub design_life_years: f64,
    /// Discharge times at constant power or current, in any order.
    #[serde(default, rename = "discharge", skip_serializing_if = "Vec::is_empty")]
    pub discharges: Vec<DischargePoint>,
}

/// A line of the data sheet's discharge tables, for one new block at 25 °C.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DischargePoint {
    /// Time to the end voltage, minutes.
    pub minutes: f64,
    /// Constant power, W per block. Either this or `amps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    /// Constant current, A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amps: Option<f64>,
    /// End voltage of this line, V per cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff_v_per_cell: Option<f64>,
}

fn default_rated_hours() -> f64 {
    20.0
}

fn default_reference_c() -> f64 {
    25.0
}

fn default_design_life_years() -> f64 {
    10.0
}

/// Why a battery type makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BatteryTypeError {
    /// The field.
    pub field: &'static str,
    /// What is wrong and what is right.
    pub problem: String,
}

impl BatteryType {
    /// A type of which only this much is known.
    #[must_use]
    pub fn new(chemistry: Chemistry, cells: u8, capacity_ah: f64) -> Self {
        Self {
            name: String::new(),
            chemistry,
            cells,
            capacity_ah,
            rated_hours: default_rated_hours(),
            float_v_per_cell: None,
            float_mv_per_cell_k: None,
            reference_c: default_reference_c(),
            cutoff_v_per_cell: None,
            resistance_mohm: None,
            design_life_years: default_design_life_years(),
            discharges: Vec::new(),
        }
    }

    /// The chemistry's voltages.
    #[must_use]
    pub const fn chemistry_data(&self) -> &'static ChemistryData {
        self.chemistry.data()
    }

    /// Cells of a block, for arithmetic.
    #[must_use]
    pub fn cells_f64(&self) -> f64 {
        f64::from(self.cells)
    }

    /// Nominal voltage of a block, V.
    #[must_use]
    pub fn nominal_v(&self) -> f64 {
        self.chemistry_data().nominal_v * self.cells_f64()
    }

    /// Float voltage that the maker wants at `celsius`, V per block; `None`
    /// where there is no float. Compensated within 5 … 40 °C, held beyond
    /// (facts/battery-science.md §4, the maker's table).
    #[must_use]
    pub fn float_v(&self, celsius: f64) -> Option<f64> {
        let data = self.chemistry_data();
        let per_cell = self.float_v_per_cell.or(data.float_v)?;
        let kelvin = celsius.clamp(5.0, 40.0) - self.reference_c;
        Some((per_cell + self.float_v_per_cell_k() * kelvin) * self.cells_f64())
    }

    /// Change of the float voltage with temperature, V per cell and K.
    #[must_use]
    pub fn float_v_per_cell_k(&self) -> f64 {
        self.float_mv_per_cell_k.map_or(self.chemistry_data().float_v_per_k, |mv| mv / 1e3)
    }

    /// End of a discharge, V per block.
    #[must_use]
    pub fn cutoff_v(&self) -> f64 {
        self.cutoff_v_per_cell.unwrap_or(self.chemistry_data().cutoff_v) * self.cells_f64()
    }

    /// Say what is impossible.
    ///
    /// # Errors
    /// [`BatteryTypeError`] names the field.
    pub fn check(&self) -> Result<(), BatteryTypeError> {
        let data = self.chemistry_data();
        let range = |field, value: f64, low: f64, high: f64| {
            let problem = || format!("{value} is not in {low} … {high}");
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(BatteryTypeError { field, problem: problem() })
            }
        };
        range("cells", self.cells.into(), 1.0, 24.0)?;
        range("capacity_ah", self.capacity_ah, 1.0, 10_000.0)?;
        range("rated_hours", self.rated_hours, 0.05, 240.0)?;
        range("reference_c", self.reference_c, 0.0, 40.0)?;
        range("design_life_years", self.design_life_years, 1.0, 50.0)?;
        range("resistance_mohm", self.resistance_mohm.unwrap_or(1.0), 0.01, 1_000.0)?;
        range("float_mv_per_cell_k", self.float_v_per_cell_k() * 1e3, -6.0, 0.0)?;
        if let Some(float_v) = data.float_v
            && !(0.85 * float_v..=1.15 * float_v)
                .contains(&self.float_v_per_cell.unwrap_or(float_v))
        {
            let problem = format!(
                "{} V is no float voltage of a {} cell ({float_v} V)",
                self.float_v_per_cell.unwrap_or_default(),
                data.name
            );
            return Err(BatteryTypeError { field: "float_v_per_cell", problem });
        }
        let (low_v, high_v) = data.cutoff_range_v;
        if let Some(volts) = self.cutoff_v_per_cell
            && !(low_v..=high_v).contains(&volts)
        {
            let problem = format!(
                "{volts:.3} V is no end voltage of a {} cell: {low_v:.2} … {high_v:.2} V, usually {} V",
                data.name, data.cutoff_v
            );
            return Err(BatteryTypeError { field: "cutoff_v_per_cell", problem });
        }
        for point in &self.discharges {
            range("discharge, minutes", point.minutes, 0.5, 100_000.0)?;
            let rate = match (point.watts, point.amps) {
                (Some(rate), None) | (None, Some(rate)) => rate,
                _ => f64::NAN,
            };
            if !(rate > 0.0 && rate < 1e6) {
                let problem = "each needs either watts or amps, above 0".to_owned();
                return Err(BatteryTypeError { field: "discharge", problem });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_fields_are_a_battery() {
        let battery: BatteryType =
            toml::from_str("chemistry = \"lead-acid\"\ncells = 6\ncapacity_ah = 65.0\n")
                .expect("a battery");
        assert_eq!(battery, BatteryType::new(Chemistry::Agm, 6, 65.0));
        assert_eq!(battery.check(), Ok(()));
        assert_eq!(battery.nominal_v(), 12.0);
    }

    #[test]
    fn float_voltage_follows_the_makers_table() {
        // facts/battery-science.md §4: 13.50 V at 25 °C, −18 mV/K, held beyond 5 and 40 °C.
        let battery = BatteryType {
            float_v_per_cell: Some(2.25),
            ..BatteryType::new(Chemistry::Agm, 6, 100.0)
        };
        for (celsius, volts) in [
            (-10.0, 13.86),
            (5.0, 13.86),
            (20.0, 13.59),
            (25.0, 13.50),
            (35.0, 13.32),
            (60.0, 13.23),
        ] {
            let got = battery.float_v(celsius).expect("floats");
            assert!((got - volts).abs() < 0.005, "{celsius} °C: {got}");
        }
        assert_eq!(BatteryType::new(Chemistry::NiMh, 10, 7.0).float_v(25.0), None);
    }

    #[test]
    fn impossible_types_name_the_field() {
        let good = BatteryType::new(Chemistry::Agm, 6, 65.0);
        let point =
            DischargePoint { minutes: 10.0, watts: None, amps: None, cutoff_v_per_cell: None };
        for (bad, field) in [
            (BatteryType { cells: 0, ..good.clone() }, "cells"),
            (BatteryType { capacity_ah: f64::NAN, ..good.clone() }, "capacity_ah"),
            (BatteryType { float_v_per_cell: Some(13.6), ..good.clone() }, "float_v_per_cell"),
            (BatteryType { cutoff_v_per_cell: Some(10.5), ..good.clone() }, "cutoff_v_per_cell"),
            (BatteryType { discharges: vec![point], ..good.clone() }, "discharge"),
        ] {
            assert_eq!(bad.check().map_err(|e| e.field), Err(field));
        }
        for chemistry in Chemistry::ALL {
            let (low_v, high_v) = chemistry.data().cutoff_range_v;
            let to = |volts: f64| {
                let cutoff_v_per_cell = Some(volts);
                BatteryType { cutoff_v_per_cell, ..BatteryType::new(chemistry, 1, 50.0) }.check()
            };
            assert_eq!((to(low_v), to(high_v)), (Ok(()), Ok(())), "{chemistry:?}");
            for volts in [low_v - 0.01, high_v + 0.01, f64::NAN] {
                let error = to(volts).expect_err("no end voltage");
                assert!(error.to_string().contains("usually"), "{error}");
            }
        }
    }
}
