//! Where something is wrong. A place is written as the subtree of the points
//! that belong to it: `string.2.block.17`, `bus.1`, `ups.0`.

use crate::points::names::{Name, within};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A place. Numbers count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// The appliance itself: `appliance`.
    Appliance,
    /// The guard: `guard`.
    Guard,
    /// A battery bus: `bus.1`.
    Bus(u16),
    /// A device on a bus: `device.3`.
    Device(u16),
    /// A string: `string.2`.
    String(u16),
    /// A block of a string: `string.2.block.17`.
    Block(u16, u16),
    /// What a driver reads: `ups.0`; a subtree that does not begin with `ups`
    /// is written `source.<subtree>`.
    Source(String),
    /// One point: `point.device.3.analog.1`.
    Point(String),
    /// A plugin: `plugin.megatec`.
    Plugin(String),
}

/// A text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no place; places are appliance, guard, bus.1, device.1, string.1, \
     string.1.block.1, ups.0, source.<subtree>, point.<name> and plugin.<name>"
)]
pub struct PlaceError(pub String);

impl Place {
    /// The place whose alarm this one's are members of: a block's string.
    #[must_use]
    pub fn group(&self) -> Self {
        match self {
            Self::Block(string, _) => Self::String(*string),
            place => place.clone(),
        }
    }

    /// Whether `self` is `other` or a part of it: what is known about `self`
    /// comes through `other`. Everything on a bus comes through the guard.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (a, b) if a == b => true,
            (Self::Bus(_) | Self::Device(_) | Self::String(_) | Self::Block(..), Self::Guard) => {
                true
            }
            (Self::Block(string, _), Self::String(other)) => string == other,
            (Self::Point(name), Self::Source(root)) => within(name, root),
            (Self::Point(name), Self::Guard) => crate::points::battery::variable(name).is_some(),
            (Self::Point(name), Self::Device(n)) => within(name, &format!("device.{n}")),
            (Self::Point(name), Self::Bus(n)) => within(name, &format!("bus.{n}")),
            (Self::Point(name), Self::String(n)) => within(name, &format!("string.{n}")),
            (Self::Point(name), Self::Block(..)) => within(name, &other.to_string()),
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appliance => f.write_str("appliance"),
            Self::Guard => f.write_str("guard"),
            Self::Bus(n) => write!(f, "bus.{n}"),
            Self::Device(n) => write!(f, "device.{n}"),
            Self::String(n) => write!(f, "string.{n}"),
            Self::Block(string, block) => write!(f, "string.{string}.block.{block}"),
            Self::Source(root) if within(root, "ups") => f.write_str(root),
            Self::Source(root) => write!(f, "source.{root}"),
            Self::Point(name) => write!(f, "point.{name}"),
            Self::Plugin(name) => write!(f, "plugin.{name}"),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let bad = || PlaceError(text.chars().take(Name::LEN_MAX).collect());
        let number = |part: &str| match part.parse::<u16>() {
            Ok(n) if n > 0 && !part.starts_with(['0', '+']) => Ok(n),
            _ => Err(bad()),
        };
        let name = |rest: &str| Name::parse(rest).map(|n| n.to_string()).map_err(|_| bad());
        let (root, rest) = text.split_once('.').unwrap_or((text, ""));
        match (root, rest) {
            ("appliance", "") => Ok(Self::Appliance),
            ("guard", "") => Ok(Self::Guard),
            ("bus", n) => Ok(Self::Bus(number(n)?)),
            ("device", n) => Ok(Self::Device(number(n)?)),
            ("string", rest) => match rest.split_once(".block.") {
                Some((string, block)) => Ok(Self::Block(number(string)?, number(block)?)),
                None => Ok(Self::String(number(rest)?)),
            },
            ("ups", _) => Ok(Self::Source(name(text)?)),
            ("source", rest) if !within(rest, "ups") => Ok(Self::Source(name(rest)?)),
            ("point", rest) => Ok(Self::Point(name(rest)?)),
            ("plugin", rest) => Ok(Self::Plugin(name(rest)?)),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;
    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_place_is_its_text() {
        for text in [
            "appliance",
            "guard",
            "bus.1",
            "device.3",
            "string.2",
            "string.2.block.17",
            "ups.0",
            "source.generator.1",
            "point.device.3.analog.1",
            "plugin.snmp-ups",
        ] {
            let place: Place = text.parse().expect("a place");
            assert_eq!(place.to_string(), text);
        }
        for wrong in ["", "bus", "bus.0", "bus.+1", "string.1.block.", "cellar.1", "source.ups.0"] {
            let refused = wrong.parse::<Place>().expect_err(wrong);
            assert!(refused.to_string().contains("string.1.block.1"), "{refused}");
        }
    }

    #[test]
    fn what_is_known_about_a_block_comes_through_its_string_and_the_guard() {
        let place = |text: &str| text.parse::<Place>().expect("a place");
        let block = place("string.2.block.1");
        assert!(block.is_within(&place("string.2")) && block.is_within(&place("guard")));
        assert!(!block.is_within(&place("string.1")) && !place("ups.0").is_within(&place("guard")));
        assert!(place("point.ups.0.ups.load").is_within(&place("ups.0")));
        assert!(!place("point.ups.10.ups.load").is_within(&place("ups.1")));
        assert!(place("point.device.3.analog.1").is_within(&place("device.3")));
        let point = place("point.string.2.block.1.voltage");
        assert!(point.is_within(&block) && !point.is_within(&place("string.2.block.10")));
    }

    proptest! {
        #[test]
        fn any_text_is_a_place_or_refused(text in "\\PC{0,120}") {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
            }
        }
    }
}
