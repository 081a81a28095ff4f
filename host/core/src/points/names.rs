//! The list of point names and their units: the contract with gateways,
//! scripts and plugins.
//!
//! UPS names and their meaning are those of the Network UPS Tools
//! (RFC 9271, facts/nut-protocol.md); units are the ones NUT states.

use core::fmt;

/// A unit as it is shown and as plugins spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Text, flags, counts.
    None,
    /// V
    Volt,
    /// A
    Ampere,
    /// Hz
    Hertz,
    /// %
    Percent,
    /// °C
    Celsius,
    /// s
    Second,
    /// W
    Watt,
    /// VA
    VoltAmpere,
    /// Ah
    AmpereHour,
    /// mΩ
    Milliohm,
    /// years
    Year,
}

impl Unit {
    /// The symbol used everywhere: API, console, WIT.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Volt => "V",
            Self::Ampere => "A",
            Self::Hertz => "Hz",
            Self::Percent => "%",
            Self::Celsius => "°C",
            Self::Second => "s",
            Self::Watt => "W",
            Self::VoltAmpere => "VA",
            Self::AmpereHour => "Ah",
            Self::Milliohm => "mΩ",
            Self::Year => "years",
        }
    }

    /// All of them, each at its [`code`](Self::code): new ones go to the end.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Volt,
        Self::Ampere,
        Self::Hertz,
        Self::Percent,
        Self::Celsius,
        Self::Second,
        Self::Watt,
        Self::VoltAmpere,
        Self::AmpereHour,
        Self::Milliohm,
        Self::Year,
    ];

    /// The unit with this symbol.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.symbol() == symbol)
    }

    /// As the history writes it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The unit of this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// A row of a list of variables.
pub struct Variable {
    /// Name below the subtree, e.g. `battery.charge`.
    pub name: &'static str,
    /// The only unit that may be published under it.
    pub unit: Unit,
    /// What it means, for people.
    pub meaning: &'static str,
}

pub(super) const fn row(name: &'static str, unit: Unit, meaning: &'static str) -> Variable {
    Variable { name, unit, meaning }
}

/// UPS variables that the appliance knows, sorted by name. A plugin may also
/// publish `experimental.*`, with any unit.
pub const UPS: &[Variable] = &[
    row("battery.charge", Unit::Percent, "charge of the UPS battery"),
    row("battery.charge.restart", Unit::Percent, "charge from which the UPS switches on again"),
    row("battery.current", Unit::Ampere, "battery current; the sign is the UPS's own"),
    row("battery.date", Unit::None, "when the battery was installed"),
    row("battery.packs", Unit::None, "multiplier from the reported to the pack voltage"),
    row("battery.runtime", Unit::Second, "runtime left at the present load"),
    row("battery.runtime.low", Unit::Second, "runtime from which the battery counts as low"),
    row("battery.temperature", Unit::Celsius, "temperature at the battery"),
    row("battery.voltage", Unit::Volt, "battery voltage as the UPS reports it"),
    row("battery.voltage.high", Unit::Volt, "voltage taken as fully charged"),
    row("battery.voltage.low", Unit::Volt, "voltage taken as empty"),
    row("battery.voltage.nominal", Unit::Volt, "nominal battery voltage"),
    row("device.mfr", Unit::None, "manufacturer of the device"),
    row("device.model", Unit::None, "model of the device"),
    row("device.serial", Unit::None, "serial number of the device"),
    row("input.bypass.current", Unit::Ampere, "current of the bypass"),
    row("input.bypass.frequency", Unit::Hertz, "frequency of the bypass"),
    row("input.bypass.l1-n.voltage", Unit::Volt, "bypass voltage of phase 1"),
    row("input.bypass.l1.current", Unit::Ampere, "bypass current of phase 1"),
    row("input.bypass.l1.realpower", Unit::Watt, "bypass power of phase 1"),
    row("input.bypass.l2-n.voltage", Unit::Volt, "bypass voltage of phase 2"),
    row("input.bypass.l2.current", Unit::Ampere, "bypass current of phase 2"),
    row("input.bypass.l2.realpower", Unit::Watt, "bypass power of phase 2"),
    row("input.bypass.l3-n.voltage", Unit::Volt, "bypass voltage of phase 3"),
    row("input.bypass.l3.current", Unit::Ampere, "bypass current of phase 3"),
    row("input.bypass.l3.realpower", Unit::Watt, "bypass power of phase 3"),
    row("input.bypass.phases", Unit::None, "phases of the bypass"),
    row("input.bypass.realpower", Unit::Watt, "power of the bypass"),
    row("input.bypass.voltage", Unit::Volt, "voltage of the bypass"),
    row("input.current", Unit::Ampere, "input current"),
    row("input.current.nominal", Unit::Ampere, "nominal input current"),
    row("input.frequency", Unit::Hertz, "input line frequency"),
    row("input.frequency.nominal", Unit::Hertz, "nominal line frequency"),
    row("input.l1-n.voltage", Unit::Volt, "input voltage of phase 1"),
    row("input.l1.current", Unit::Ampere, "input current of phase 1"),
    row("input.l1.realpower", Unit::Watt, "input power of phase 1"),
    row("input.l2-n.voltage", Unit::Volt, "input voltage of phase 2"),
    row("input.l2.current", Unit::Ampere, "input current of phase 2"),
    row("input.l2.realpower", Unit::Watt, "input power of phase 2"),
    row("input.l3-n.voltage", Unit::Volt, "input voltage of phase 3"),
    row("input.l3.current", Unit::Ampere, "input current of phase 3"),
    row("input.l3.realpower", Unit::Watt, "input power of phase 3"),
    row("input.phases", Unit::None, "phases of the input"),
    row("input.realpower", Unit::Watt, "input power"),
    row("input.sensitivity", Unit::None, "how soon the UPS leaves the mains"),
    row("input.transfer.high", Unit::Volt, "input voltage above which the UPS leaves the mains"),
    row("input.transfer.low", Unit::Volt, "input voltage below which the UPS leaves the mains"),
    row("input.transfer.reason", Unit::None, "why the UPS left the mains last"),
    row("input.voltage", Unit::Volt, "input voltage"),
    row("input.voltage.fault", Unit::Volt, "input voltage that caused the last transfer"),
    row("input.voltage.maximum", Unit::Volt, "highest input voltage of late"),
    row("input.voltage.minimum", Unit::Volt, "lowest input voltage of late"),
    row("input.voltage.nominal", Unit::Volt, "nominal input voltage"),
    row("output.current", Unit::Ampere, "output current"),
    row("output.frequency", Unit::Hertz, "output frequency"),
    row("output.frequency.nominal", Unit::Hertz, "nominal output frequency"),
    row("output.l1-n.voltage", Unit::Volt, "output voltage of phase 1"),
    row("output.l1.current", Unit::Ampere, "output current of phase 1"),
    row("output.l1.power.percent", Unit::Percent, "load of phase 1 in per cent of its rating"),
    row("output.l1.realpower", Unit::Watt, "output power of phase 1"),
    row("output.l2-n.voltage", Unit::Volt, "output voltage of phase 2"),
    row("output.l2.current", Unit::Ampere, "output current of phase 2"),
    row("output.l2.power.percent", Unit::Percent, "load of phase 2 in per cent of its rating"),
    row("output.l2.realpower", Unit::Watt, "output power of phase 2"),
    row("output.l3-n.voltage", Unit::Volt, "output voltage of phase 3"),
    row("output.l3.current", Unit::Ampere, "output current of phase 3"),
    row("output.l3.power.percent", Unit::Percent, "load of phase 3 in per cent of its rating"),
    row("output.l3.realpower", Unit::Watt, "output power of phase 3"),
    row("output.phases", Unit::None, "phases of the output"),
    row("output.realpower", Unit::Watt, "output power"),
    row("output.voltage", Unit::Volt, "output voltage"),
    row("output.voltage.nominal", Unit::Volt, "nominal output voltage"),
    row("ups.alarm", Unit::None, "alarms that the UPS reports, as text"),
    row("ups.beeper.status", Unit::None, "enabled, disabled or muted"),
    row("ups.delay.shutdown", Unit::Second, "delay of a shutdown"),
    row("ups.delay.start", Unit::Second, "delay of a start"),
    row("ups.firmware", Unit::None, "firmware version of the UPS"),
    row("ups.firmware.aux", Unit::None, "firmware version of the card"),
    row("ups.id", Unit::None, "name that was given to the UPS"),
    row("ups.load", Unit::Percent, "load in per cent of the rating"),
    row("ups.mfr", Unit::None, "manufacturer of the UPS"),
    row("ups.mfr.date", Unit::None, "when the UPS was made"),
    row("ups.model", Unit::None, "model of the UPS"),
    row("ups.power", Unit::VoltAmpere, "apparent power of the load"),
    row("ups.power.nominal", Unit::VoltAmpere, "rated apparent power"),
    row("ups.realpower", Unit::Watt, "power of the load"),
    row("ups.realpower.nominal", Unit::Watt, "rated power"),
    row("ups.serial", Unit::None, "serial number of the UPS"),
    row("ups.start.auto", Unit::None, "yes when the UPS starts by itself with the mains"),
    row("ups.status", Unit::None, "status words of NUT: OL OB LB BYPASS TRIM BOOST CAL FSD …"),
    row("ups.temperature", Unit::Celsius, "temperature in the UPS"),
    row("ups.test.date", Unit::None, "when the last test was"),
    row("ups.test.result", Unit::None, "what the last test found"),
    row("ups.timer.reboot", Unit::Second, "time until a restart; -1 for none"),
    row("ups.timer.shutdown", Unit::Second, "time until the output goes off; -1 for none"),
    row("ups.timer.start", Unit::Second, "time until the output comes on; -1 for none"),
    row("ups.type", Unit::None, "topology of the UPS"),
];

/// The unit of a device variable: `Some(None)` means "any" (`experimental.*`),
/// `None` means that the name is not on the list.
#[must_use]
pub fn unit_of_ups_variable(name: &str) -> Option<Option<Unit>> {
    if name.starts_with("experimental.") {
        return Some(None);
    }
    UPS.binary_search_by(|v| v.name.cmp(name)).ok().map(|i| Some(UPS[i].unit))
}

/// A well-formed point name: 1…96 bytes of `a–z 0–9 -` in non-empty parts
/// separated by single dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is not a point name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("a point name has 1 to {max} bytes, this one has {len}", max = Name::LEN_MAX)]
    Length {
        /// Bytes given.
        len: usize,
    },
    /// A character outside the set.
    #[error("a point name is made of a-z, 0-9, '-' and single dots; {found:?} at byte {at} is not")]
    Character {
        /// The offending character.
        found: char,
        /// Its byte offset.
        at: usize,
    },
    /// Two dots in a row, or a dot at an end.
    #[error("a point name has no empty part; there is one at byte {at}")]
    EmptyPart {
        /// Byte offset of the offending dot or end.
        at: usize,
    },
}

impl Name {
    /// Longest name in bytes.
    pub const LEN_MAX: usize = 96;

    /// Parse a name.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > Self::LEN_MAX {
            return Err(NameError::Length { len: text.len() });
        }
        let mut part_empty = true;
        for (at, c) in text.char_indices() {
            match c {
                'a'..='z' | '0'..='9' | '-' => part_empty = false,
                '.' if part_empty => return Err(NameError::EmptyPart { at }),
                '.' => part_empty = true,
                found => return Err(NameError::Character { found, at }),
            }
        }
        if part_empty {
            return Err(NameError::EmptyPart { at: text.len() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when `self` is `prefix` or lies in its subtree: `ups.1` does not
    /// contain `ups.10.status`.
    #[must_use]
    pub fn is_within(&self, prefix: &str) -> bool {
        within(&self.0, prefix)
    }
}

/// [`Name::is_within`] for names that are known to be well formed. The empty
/// prefix contains everything.
#[must_use]
pub fn within(name: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_sorted_and_well_formed() {
        assert!(UPS.windows(2).all(|w| w[0].name < w[1].name));
        for v in UPS {
            assert_eq!(Name::parse(v.name).map(|n| n.to_string()), Ok(v.name.to_owned()));
            assert_eq!(unit_of_ups_variable(v.name), Some(Some(v.unit)));
        }
        assert_eq!(unit_of_ups_variable("battery.colour"), None);
        assert_eq!(unit_of_ups_variable("experimental.colour"), Some(None));
    }

    #[test]
    fn bad_names_say_where() {
        assert_eq!(Name::parse(""), Err(NameError::Length { len: 0 }));
        assert_eq!(Name::parse("ups..load"), Err(NameError::EmptyPart { at: 4 }));
        assert_eq!(Name::parse("ups."), Err(NameError::EmptyPart { at: 4 }));
        assert_eq!(Name::parse("ups.Load"), Err(NameError::Character { found: 'L', at: 4 }));
        assert!(Name::parse(&"a".repeat(97)).is_err());
    }

    #[test]
    fn subtree_ends_at_a_dot() {
        assert!(within("ups.1.load", "ups.1"));
        assert!(!within("ups.10.load", "ups.1"));
        assert!(within("ups.1", "ups.1"));
        assert!(within("ups.1", ""));
    }

    #[test]
    fn every_symbol_parses_back() {
        for v in UPS.iter().chain(super::super::battery::BLOCK) {
            assert_eq!(Unit::from_symbol(v.unit.symbol()), Some(v.unit));
        }
        assert_eq!(Unit::from_symbol("furlong"), None);
    }
}
