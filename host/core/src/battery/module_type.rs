//! Types of bus modules and what a reading of each may be.
//!
//! Ranges and bypass currents: PRODUCT row B2, facts/battery-science.md §1.1.

use serde::{Deserialize, Serialize};

/// Where readings end and nonsense begins, and what the bypass can do, for one
/// type of bus module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModuleType {
    /// Name on the data sheet.
    pub name: &'static str,
    /// Code in an identity reply.
    pub code: u8,
    /// Nominal block voltage, V.
    pub nominal_v: f64,
    /// Lead-acid cells in a block of that voltage.
    pub lead_cells: u8,
    /// Readings below are invalid, mV.
    pub min_mv: u16,
    /// Readings above are invalid, mV.
    pub max_mv: u16,
    /// Internal resistances that it can measure, mΩ.
    pub min_mohm: f64,
    /// See [`Self::min_mohm`].
    pub max_mohm: f64,
    /// Resistance of the bypass, Ω: the current is `duty · V / R`.
    pub bypass_ohm: f64,
    /// Bypass current at float, A.
    pub bypass_a: f64,
}

/// The module types on the market, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleKind {
    /// 16 V, 0.12 A
    C23,
    /// 12 V, 0.15 A
    C20,
    /// 6 V, 0.30 A
    C30,
    /// 4 V, 0.30 A
    C41,
    /// 2 V, 0.90 A
    C40,
}

impl ModuleKind {
    /// All kinds, for tables and tests.
    pub const ALL: [Self; 5] = [Self::C23, Self::C20, Self::C30, Self::C41, Self::C40];

    /// The data of this kind.
    #[must_use]
    pub const fn data(self) -> &'static ModuleType {
        match self {
            Self::C23 => &C23,
            Self::C20 => &C20,
            Self::C30 => &C30,
            Self::C41 => &C41,
            Self::C40 => &C40,
        }
    }
}

const C23: ModuleType = ModuleType {
    name: "C23",
    code: 23,
    nominal_v: 16.0,
    lead_cells: 8,
    min_mv: 9_700,
    max_mv: 21_000,
    min_mohm: 0.5,
    max_mohm: 60.0,
    bypass_ohm: 151.0,
    bypass_a: 0.12,
};
const C20: ModuleType = ModuleType {
    name: "C20",
    code: 20,
    nominal_v: 12.0,
    lead_cells: 6,
    min_mv: 9_700,
    max_mv: 17_000,
    min_mohm: 0.5,
    max_mohm: 60.0,
    bypass_ohm: 90.7,
    bypass_a: 0.15,
};
const C30: ModuleType = ModuleType {
    name: "C30",
    code: 30,
    nominal_v: 6.0,
    lead_cells: 3,
    min_mv: 4_800,
    max_mv: 8_000,
    min_mohm: 0.5,
    max_mohm: 60.0,
    bypass_ohm: 22.7,
    bypass_a: 0.30,
};
const C41: ModuleType = ModuleType {
    name: "C41",
    code: 41,
    nominal_v: 4.0,
    lead_cells: 2,
    min_mv: 2_400,
    max_mv: 5_000,
    min_mohm: 0.5,
    max_mohm: 30.0,
    bypass_ohm: 15.1,
    bypass_a: 0.30,
};
const C40: ModuleType = ModuleType {
    name: "C40",
    code: 40,
    nominal_v: 2.0,
    lead_cells: 1,
    min_mv: 1_250,
    max_mv: 3_200,
    min_mohm: 0.02,
    max_mohm: 6.0,
    bypass_ohm: 2.52,
    bypass_a: 0.90,
};

/// Module temperature sensors read −35.0 … +90.0 °C (the external one reaches
/// 90 °C); outside is a broken sensor.
pub const TEMPERATURE_DC: core::ops::RangeInclusive<i16> = -350..=900;

impl ModuleType {
    /// Whether a module of this type can have measured this resistance, mΩ.
    #[must_use]
    pub fn measures(&self, mohm: f64) -> bool {
        (self.min_mohm..=self.max_mohm).contains(&mohm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bypass_current_matches_the_sheet_at_float() {
        for kind in ModuleKind::ALL {
            let d = kind.data();
            let amps = 2.27 * f64::from(d.lead_cells) / d.bypass_ohm;
            assert!((amps - d.bypass_a).abs() / d.bypass_a < 0.01, "{}: {amps}", d.name);
        }
    }
}
