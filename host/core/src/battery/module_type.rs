//! Types of bus modules and what a reading of each may be.
//!
//! Ranges and bypass currents: PRODUCT row B2, facts/battery-science.md §1.1.

use crate::bus::wire::Reading;
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
    bypass_ohm: 2.52,
    bypass_a: 0.90,
};

/// Module temperature sensors read −35.0 … +90.0 °C (the external one reaches
/// 90 °C); outside is a broken sensor.
pub const TEMPERATURE_DC: core::ops::RangeInclusive<i16> = -350..=900;

/// What is wrong with a reading, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every value may be used.
    Valid,
    /// Voltage outside the module type's range.
    VoltageOutOfRange,
    /// Temperature outside the sensor's range, or the module reports a broken sensor.
    TemperatureInvalid,
}

/// Judge a reading by its module type (B2: "a reading outside its type's range
/// is invalid, never a value").
#[must_use]
pub fn judge(kind: ModuleKind, reading: &Reading) -> Verdict {
    let data = kind.data();
    if !(data.min_mv..=data.max_mv).contains(&reading.voltage_mv) {
        Verdict::VoltageOutOfRange
    } else if reading.flags.sensor_fault() || !TEMPERATURE_DC.contains(&reading.temperature_dc) {
        Verdict::TemperatureInvalid
    } else {
        Verdict::Valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::Flags;

    fn reading(voltage_mv: u16, temperature_dc: i16) -> Reading {
        Reading { sample: 1, voltage_mv, temperature_dc, duty: 0, flags: Flags::default() }
    }

    #[test]
    fn range_ends_belong_to_the_range() {
        for kind in ModuleKind::ALL {
            let d = kind.data();
            assert_eq!(judge(kind, &reading(d.min_mv, 200)), Verdict::Valid);
            assert_eq!(judge(kind, &reading(d.max_mv, 200)), Verdict::Valid);
            assert_eq!(judge(kind, &reading(d.min_mv - 1, 200)), Verdict::VoltageOutOfRange);
            assert_eq!(judge(kind, &reading(d.max_mv + 1, 200)), Verdict::VoltageOutOfRange);
        }
    }

    #[test]
    fn broken_sensor_is_not_a_temperature() {
        assert_eq!(judge(ModuleKind::C20, &reading(13_600, -351)), Verdict::TemperatureInvalid);
        assert_eq!(judge(ModuleKind::C20, &reading(13_600, 901)), Verdict::TemperatureInvalid);
        let mut r = reading(13_600, 250);
        r.flags = Flags::default().with(Flags::SENSOR_FAULT);
        assert_eq!(judge(ModuleKind::C20, &r), Verdict::TemperatureInvalid);
    }

    #[test]
    fn bypass_current_matches_the_sheet_at_float() {
        for kind in ModuleKind::ALL {
            let d = kind.data();
            let amps = 2.27 * f64::from(d.lead_cells) / d.bypass_ohm;
            assert!((amps - d.bypass_a).abs() / d.bypass_a < 0.01, "{}: {amps}", d.name);
        }
    }
}
