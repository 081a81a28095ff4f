//! An input, output or analogue input of one of the guard's devices, as an
//! administrator grants it.
//!
//! ```toml
//! grant.contacts.door = "AUX1.input.2"
//! grant.contacts.humidity = "SITE.analog.1"
//! grant.contacts.fan = "AUX1.output.3"                        # to be read
//! grant.contacts.fan = { at = "AUX1.output.3", switch = true }  # and switched
//! ```
//!
//! Devices are named as in the guard's settings, their channels counted from 1
//! as there.

use super::{GrantTextError, wrong};
use core::fmt;
use core::str::FromStr;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name of a device (`evenkeel_core::settings`).
const DEVICE_LEN_MAX: usize = 20;

/// What kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// A digital input.
    Input,
    /// A relay or another output.
    Output,
    /// An analogue input.
    Analog,
}

impl Side {
    const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Analog];

    /// The word, as in the names of points.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Analog => "analog",
        }
    }
}

/// A channel of a device: `AUX1.output.3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the device.
    pub device: String,
    /// What kind of channel.
    pub side: Side,
    /// Which, counted from 1; 1 … 16.
    pub number: u8,
}

impl FromStr for Place {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "like \"AUX1.input.2\", \"AUX1.output.3\" or \"SITE.analog.1\"");
        let mut parts = text.split('.');
        let (Some(device), Some(side), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=DEVICE_LEN_MAX).contains(&device.len()) || !device.bytes().all(good) {
            return Err(bad());
        }
        let side = Side::ALL.into_iter().find(|known| known.as_str() == side).ok_or_else(bad)?;
        let number = number.parse().ok().filter(|n| (1..=16).contains(n)).ok_or_else(bad)?;
        Ok(Self { device: device.to_owned(), side, number })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.device, self.side.as_str(), self.number)
    }
}

/// A channel, and whether it may be switched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContactGrant {
    /// Where it is.
    pub at: Place,
    /// It may be switched, not only read; an output then.
    pub switch: bool,
}

impl Serialize for ContactGrant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table {
            at: String,
            switch: bool,
        }
        let at = self.at.to_string();
        match self.switch {
            false => to.serialize_str(&at),
            true => Table { at, switch: true }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for ContactGrant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrTable)
    }
}

/// By hand, because an untagged enum would swallow what is wrong.
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = ContactGrant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"AUX1.input.2\" or { at = \"AUX1.output.3\", switch = true }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ContactGrant, E> {
        Ok(ContactGrant { at: text.parse().map_err(E::custom)?, switch: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ContactGrant, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            at: String,
            #[serde(default)]
            switch: bool,
        }
        let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let at: Place = table.at.parse().map_err(A::Error::custom)?;
        if table.switch && at.side != Side::Output {
            let text = "is no output and cannot be switched; remove `switch`";
            return Err(A::Error::custom(format_args!("{at} {text}")));
        }
        Ok(ContactGrant { at, switch: table.switch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Result<ContactGrant, toml::de::Error> {
        #[derive(Deserialize)]
        struct Document {
            contact: ContactGrant,
        }
        toml::from_str(&format!("contact = {value}")).map(|document: Document| document.contact)
    }

    #[test]
    fn what_is_written_is_read_back() {
        for good in [
            "\"AUX1.input.2\"",
            "\"SITE.analog.8\"",
            "\"a-1.output.16\"",
            "{ at = \"AUX1.output.3\", switch = true }",
        ] {
            let grant = read(good).expect(good);
            let json = serde_json::to_string(&grant).expect("serializes");
            assert_eq!(serde_json::from_str::<ContactGrant>(&json).expect(&json), grant);
        }
        assert!(!read("\"AUX1.output.3\"").expect("good").switch, "only read");
    }

    #[test]
    fn what_is_no_contact_is_refused_with_the_way_to_write_it() {
        for bad in [
            "\"AUX1\"",
            "\"AUX1.3\"",
            "\"AUX1.relay.3\"",
            "\"AUX1.output.0\"",
            "\"AUX1.output.17\"",
            "\"AUX1.output.3.x\"",
            "\".output.3\"",
            "{ at = \"AUX1.output.3\", swicth = true }",
            "{ at = \"AUX1.input.3\", switch = true }",
            "7",
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.message().len() > 20, "{error}");
        }
        let error = read("{ at = \"AUX1.input.3\", switch = true }").expect_err("an input");
        assert!(error.message().contains("AUX1.input.3 is no output"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
            }
        }
    }
}
