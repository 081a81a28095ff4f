//! What can be wrong with a string or a block, how bad it is, and the sets in
//! which a report carries it.

use core::fmt;
use serde::{Deserialize, Serialize};

/// How bad it is. Ordered: the worse is the greater.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Level {
    /// Nothing.
    #[default]
    Ok,
    /// Worth knowing, no lamp.
    Notice,
    /// Somebody should look (yellow).
    Warning,
    /// Somebody must look (red); drops the general alarm relay.
    Alarm,
}

impl Level {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One thing that can be wrong. The table in [`crate::protect`] says
        /// from which limit on, and what happens then.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[repr(u8)]
        pub enum Condition { $($(#[$doc])* $name,)* }

        impl Condition {
            /// All, in the order of their bits.
            pub const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];

            /// For people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

conditions! {
    /// Block: voltage above its limit.
    VoltageHigh = "block voltage high",
    /// Block: voltage below its limit.
    VoltageLow = "block voltage low",
    /// Block: far from the string's median on float.
    VoltageDeviation = "block voltage far from the others",
    /// Block: its module answers, but not with a possible voltage.
    VoltageInvalid = "block voltage not measurable",
    /// Block: its reading stands still while the others move.
    VoltageStuck = "block voltage reading stuck",
    /// Block: temperature above its limit.
    TemperatureHigh = "block temperature high",
    /// Block: temperature below its limit.
    TemperatureLow = "block temperature low",
    /// Block: its module answers, but not with a possible temperature.
    TemperatureInvalid = "block temperature not measurable",
    /// Block: its temperature jumped as no block can.
    TemperatureSuspect = "temperature sensor implausible",
    /// Block: warmer than the air or the other blocks on float.
    TemperatureRise = "block warmer than its surroundings",
    /// Block: keeps getting warmer on float.
    Heating = "block keeps heating on float",
    /// Block: resistance over its baseline.
    ResistanceHigh = "internal resistance high",
    /// Block: resistance so far over its baseline that it is to be replaced.
    ResistanceCritical = "internal resistance critical",
    /// Block: resistance below its baseline: measured or wired wrongly.
    ResistanceLow = "internal resistance implausibly low",
    /// Block: its module does not answer.
    ModuleLost = "module does not answer",
    /// Block or string: a cell or a link is interrupted.
    OpenLink = "open cell or link",
    /// Block: a cell fewer than it had.
    ShortedCell = "shorted cell",
    /// Block: an empty cell is driven backwards by the others.
    ReversedCell = "reversed cell",
    /// String: voltage above its limit.
    StringVoltageHigh = "string voltage high",
    /// String: voltage below its limit.
    StringVoltageLow = "string voltage low",
    /// String: charge current above its limit.
    ChargeCurrentHigh = "charge current high",
    /// String: discharge current above its limit.
    DischargeCurrentHigh = "discharge current high",
    /// String: float current above what it learned.
    FloatCurrentHigh = "float current above its learned value",
    /// String: voltage is lost between the blocks under load.
    LooseLink = "loose or corroded link",
    /// String: the blocks' sum is not the string's voltage.
    SumMismatch = "block voltages do not add up to the string voltage",
    /// String: current to ground.
    GroundFault = "ground fault",
    /// String: equalization cannot reach its target (told by the caller).
    EqualizingError = "equalizing error",
    /// String: the conditions of a runaway trip hold, or held until the trip.
    Runaway = "thermal runaway",
    /// String: tripped, and nobody has reset it.
    Tripped = "tripped; waiting for a reset",
    /// String: the breaker was told to open and did not.
    BreakerFailed = "breaker did not open",
    /// String: the breaker was told to open; nothing can confirm that it did.
    BreakerUnconfirmed = "breaker told to open, not confirmed",
    /// String: the breaker is open and was not opened from here.
    BreakerOpen = "breaker open",
}

/// Number of conditions.
pub const CONDITIONS: usize = Condition::ALL.len();
// A set is a `u32`.
const _: () = assert!(CONDITIONS <= 32);

/// A set of conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions(u32);

impl Conditions {
    /// As a number: bit n is `Condition::ALL[n]`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From a number; unknown bits are kept.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// True when nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when this condition is in it.
    #[must_use]
    pub const fn contains(self, condition: Condition) -> bool {
        self.0 & (1 << condition as u8) != 0
    }

    /// Add a condition.
    pub const fn insert(&mut self, condition: Condition) {
        self.0 |= 1 << condition as u8;
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of batteries: without those that tell of modules that do not answer,
    /// or not with possible values. These may mean that the settings are wrong.
    #[must_use]
    pub const fn of_batteries(self) -> Self {
        let unanswered = 1 << Condition::ModuleLost as u8
            | 1 << Condition::VoltageInvalid as u8
            | 1 << Condition::TemperatureInvalid as u8;
        Self(self.0 & !unanswered)
    }

    /// The conditions.
    pub fn iter(self) -> impl Iterator<Item = Condition> {
        Condition::ALL.into_iter().filter(move |c| self.contains(*c))
    }

    /// The conditions, for people.
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Condition::text)
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, text) in self.texts().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// What is wrong with something, by level. A condition stands in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Worth knowing.
    pub notice: Conditions,
    /// Warnings.
    pub warning: Conditions,
    /// Alarms.
    pub alarm: Conditions,
}

impl Findings {
    /// The worst level.
    #[must_use]
    pub const fn level(self) -> Level {
        if !self.alarm.is_empty() {
            Level::Alarm
        } else if !self.warning.is_empty() {
            Level::Warning
        } else if !self.notice.is_empty() {
            Level::Notice
        } else {
            Level::Ok
        }
    }

    /// The level of one condition.
    #[must_use]
    pub const fn level_of(self, condition: Condition) -> Level {
        if self.alarm.contains(condition) {
            Level::Alarm
        } else if self.warning.contains(condition) {
            Level::Warning
        } else if self.notice.contains(condition) {
            Level::Notice
        } else {
            Level::Ok
        }
    }

    /// Add a condition at a level; [`Level::Ok`] adds nothing.
    pub const fn insert(&mut self, condition: Condition, level: Level) {
        match level {
            Level::Ok => {}
            Level::Notice => self.notice.insert(condition),
            Level::Warning => self.warning.insert(condition),
            Level::Alarm => self.alarm.insert(condition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_what_was_put_in_it() {
        for condition in Condition::ALL {
            let mut set = Conditions::default();
            set.insert(condition);
            assert_eq!(set.iter().collect::<Vec<_>>(), [condition]);
            assert_eq!(Conditions::from_bits(set.bits()), set);
            assert_eq!(set.to_string(), condition.text());
        }
    }

    #[test]
    fn the_worst_level_counts() {
        let mut findings = Findings::default();
        assert_eq!(findings.level(), Level::Ok);
        findings.insert(Condition::VoltageHigh, Level::Ok);
        assert_eq!(findings, Findings::default());
        for level in [Level::Notice, Level::Warning, Level::Alarm] {
            findings.insert(Condition::Heating, level);
            assert_eq!(findings.level(), level);
            assert_eq!(findings.level_of(Condition::Heating), level);
        }
        assert_eq!(findings.level_of(Condition::VoltageHigh), Level::Ok);
    }
}
