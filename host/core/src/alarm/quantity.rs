//! What can have a threshold: names, units, possible values, and what holds
//! when nobody has set anything.
//!
//! | quantity | of | unit | sides |
//! |---|---|---|---|
//! | `block-voltage` | block | V per cell | both |
//! | `block-deviation` | block | V per cell, voltage less target | both |
//! | `block-temperature` | block | °C | both |
//! | `block-resistance` | block | % over its baseline | both |
//! | `block-charge`, `block-health` | block | % | low |
//! | `string-voltage` | string | V | both |
//! | `string-current` | string | A, positive into the batteries | both |
//! | `string-charge` | string | % | low |
//! | `string-runtime` | string | s | low |
//! | a NUT name, e.g. `ups.load` | UPS | as in `points::names` | both |
//! | `point` | any numeric point | its own | both |
//!
//! Voltages of blocks are per cell, as protection's limits are, so that one
//! value serves blocks of 2, 6 and 12 V. Built-in levels: facts/battery-science.md
//! §4 (capacity) and what UPS makers print; everything that protection watches
//! has none.

use crate::points::names::{UPS, Unit};
use core::fmt;
use core::str::FromStr;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

/// On which side of a threshold trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Above it.
    High,
    /// Below it.
    Low,
}

impl Side {
    /// The word in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }

    /// Whether `value` is at the threshold or beyond it.
    #[must_use]
    pub fn beyond(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::High => value >= threshold,
            Self::Low => value <= threshold,
        }
    }

    /// `threshold`, moved back towards normal by `by`.
    #[must_use]
    pub fn back(self, threshold: f64, by: f64) -> f64 {
        match self {
            Self::High => threshold - by,
            Self::Low => threshold + by,
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub enum Quantity {
    /// Block voltage, V per cell.
    BlockVoltage,
    /// Block voltage less its target, V per cell.
    BlockDeviation,
    /// Block temperature, °C.
    BlockTemperature,
    /// Internal resistance over its baseline, %.
    BlockResistance,
    /// State of charge of a block, %.
    BlockCharge,
    /// State of health of a block, %.
    BlockHealth,
    /// Voltage of a string, V.
    StringVoltage,
    /// Current of a string, A, positive into the batteries.
    StringCurrent,
    /// State of charge of a string, %.
    StringCharge,
    /// Runtime of a string at the present load, s.
    StringRuntime,
    /// A numeric variable of a UPS, by its NUT name.
    Ups(&'static str),
    /// A numeric point, in its own unit.
    Point,
}

/// What holds where no rule says anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BuiltIn {
    /// Warning from here on.
    pub warning: Option<f64>,
    /// Alarm from here on.
    pub alarm: Option<f64>,
    /// Over when back by this much.
    pub hysteresis: f64,
    /// Begins when held for so long, s.
    pub delay_s: f64,
}

/// Over when back for so long, s, unless a rule says otherwise.
pub const OFF_DELAY_S: f64 = 10.0;

/// A text that names no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no quantity {0:?}; quantities are {names}, point, and numeric UPS variables such \
     as ups.load", names = NAMED.map(|(name, _)| name).join(", ")
)]
pub struct QuantityError(pub String);

const NAMED: [(&str, Quantity); 10] = [
    ("block-voltage", Quantity::BlockVoltage),
    ("block-deviation", Quantity::BlockDeviation),
    ("block-temperature", Quantity::BlockTemperature),
    ("block-resistance", Quantity::BlockResistance),
    ("block-charge", Quantity::BlockCharge),
    ("block-health", Quantity::BlockHealth),
    ("string-voltage", Quantity::StringVoltage),
    ("string-current", Quantity::StringCurrent),
    ("string-charge", Quantity::StringCharge),
    ("string-runtime", Quantity::StringRuntime),
];

impl Quantity {
    /// Those of a block.
    pub const OF_BLOCKS: [Self; 6] = [
        Self::BlockVoltage,
        Self::BlockDeviation,
        Self::BlockTemperature,
        Self::BlockResistance,
        Self::BlockCharge,
        Self::BlockHealth,
    ];
    /// Those of a string.
    pub const OF_STRINGS: [Self; 4] =
        [Self::StringVoltage, Self::StringCurrent, Self::StringCharge, Self::StringRuntime];

    /// A variable of a UPS, by its NUT name; `None` when it has no unit and so
    /// is no measured number.
    #[must_use]
    pub fn of_ups(name: &str) -> Option<Self> {
        let at = UPS.binary_search_by(|v| v.name.cmp(name)).ok()?;
        (UPS[at].unit != Unit::None).then_some(Self::Ups(UPS[at].name))
    }

    /// The word in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ups(name) => name,
            Self::Point => "point",
            named => NAMED.iter().find(|(_, q)| *q == named).map_or("", |(name, _)| name),
        }
    }

    /// Unit of a value as it is compared; of a point, whatever it has.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::BlockVoltage | Self::BlockDeviation => "V/cell",
            Self::BlockTemperature => "°C",
            Self::BlockResistance => "%",
            Self::BlockCharge | Self::BlockHealth | Self::StringCharge => "%",
            Self::StringVoltage => "V",
            Self::StringCurrent => "A",
            Self::StringRuntime => "s",
            Self::Ups(name) => UPS.iter().find(|v| v.name == name).map_or("", |v| v.unit.symbol()),
            Self::Point => "",
        }
    }

    /// Whether it can be too high, or too low, and not only the other.
    #[must_use]
    pub const fn has(self, side: Side) -> bool {
        match self {
            Self::BlockCharge | Self::BlockHealth | Self::StringCharge | Self::StringRuntime => {
                matches!(side, Side::Low)
            }
            _ => true,
        }
    }

    /// Possible thresholds, lowest and highest.
    #[must_use]
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::BlockVoltage => (0.0, 5.0),
            Self::BlockDeviation => (-1.0, 1.0),
            Self::BlockTemperature => (-40.0, 100.0),
            Self::BlockResistance => (-100.0, 1_000.0),
            Self::BlockCharge | Self::BlockHealth | Self::StringCharge => (0.0, 100.0),
            Self::StringVoltage => (0.0, 1_500.0),
            Self::StringCurrent => (-5_000.0, 5_000.0),
            Self::StringRuntime => (0.0, 604_800.0),
            Self::Ups(_) | Self::Point => (-1e9, 1e9),
        }
    }

    /// What holds where no rule says anything.
    #[must_use]
    pub fn built_in(self, side: Side) -> BuiltIn {
        let off = |hysteresis, delay_s| BuiltIn { warning: None, alarm: None, hysteresis, delay_s };
        let on = |warning, alarm, hysteresis, delay_s| BuiltIn {
            warning: Some(warning),
            alarm: Some(alarm),
            hysteresis,
            delay_s,
        };
        match (self, side) {
            (Self::BlockVoltage, _) => off(0.01, 60.0),
            (Self::BlockDeviation, _) => off(0.005, 600.0),
            (Self::BlockTemperature, _) => off(1.0, 60.0),
            (Self::BlockResistance, _) => off(2.0, 0.0),
            (Self::BlockHealth, Side::Low) => on(90.0, 80.0, 1.0, 3_600.0),
            (Self::StringCharge, Side::Low) => on(50.0, 20.0, 5.0, 60.0),
            (Self::BlockCharge | Self::BlockHealth | Self::StringCharge, _) => off(2.0, 60.0),
            (Self::StringVoltage, _) => off(0.5, 60.0),
            (Self::StringCurrent, _) => off(0.5, 60.0),
            (Self::StringRuntime, _) => off(60.0, 30.0),
            (Self::Ups("ups.load"), Side::High) => on(80.0, 95.0, 5.0, 60.0),
            (Self::Ups("battery.charge"), Side::Low) => on(50.0, 20.0, 5.0, 30.0),
            (Self::Ups("battery.runtime"), _) => off(60.0, 30.0),
            (Self::Ups("input.voltage"), _) => off(2.0, 10.0),
            (Self::Ups(_), _) => off(0.0, 30.0),
            (Self::Point, _) => off(0.0, 0.0),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text == "point" {
            return Ok(Self::Point);
        }
        let named = NAMED.iter().find(|(name, _)| *name == text).map(|(_, quantity)| *quantity);
        named
            .or_else(|| Self::of_ups(text))
            .ok_or_else(|| QuantityError(text.chars().take(64).collect()))
    }
}

// By hand: a derived one would borrow the names of UPS variables from the text.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quantity_is_its_name_and_its_built_in_levels_are_possible() {
        let ups = UPS.iter().filter_map(|v| Quantity::of_ups(v.name));
        let all = Quantity::OF_BLOCKS.into_iter().chain(Quantity::OF_STRINGS).chain(ups);
        for quantity in all.chain([Quantity::Point]) {
            assert_eq!(quantity.as_str().parse(), Ok(quantity));
            let (low, high) = quantity.range();
            for side in [Side::High, Side::Low].into_iter().filter(|side| quantity.has(*side)) {
                let BuiltIn { warning, alarm, hysteresis, .. } = quantity.built_in(side);
                assert!(warning.iter().chain(&alarm).all(|v| (low..=high).contains(v)));
                if let (Some(warning), Some(alarm)) = (warning, alarm) {
                    assert!(side.beyond(alarm, warning), "{quantity}");
                    assert!(hysteresis < (alarm - warning).abs(), "{quantity}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_has_no_threshold() {
        for text in ["ups.status", "device.model", "battery.colour", "", "voltage"] {
            let refused = text.parse::<Quantity>().expect_err(text);
            assert!(refused.to_string().contains("block-voltage"), "{refused}");
        }
        assert_eq!("ups.load".parse(), Ok(Quantity::Ups("ups.load")));
        assert_eq!(Quantity::Ups("ups.load").unit(), "%");
    }
}
