//! A USB-HID device, as an administrator grants it: by vendor and product, with
//! a serial number where there are several, or by its file.
//!
//! ```toml
//! grant.hid.ups = "051d:0002"                          # to be read
//! grant.hid.ups = "051d:0002:QB1234567890"
//! grant.hid.ups = "/dev/hidraw0"
//! grant.hid.ups = { at = "051d:0002", write = true }   # and told what to do
//! ```
//!
//! What is written to a UPS can cut the load: a report is a number to set, such as
//! the seconds until it switches off, and the host does not know which is which.

use super::{DevicePath, GrantTextError, wrong};
use core::fmt;
use core::str::FromStr;
use evenkeel_signing::is_printable;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest serial number, as the kernel keeps it.
pub const SERIAL_LEN_MAX: usize = 63;

/// Which device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HidPlace {
    /// Whatever is behind this file.
    Path(DevicePath),
    /// The one with these ids, wherever it is plugged in.
    Usb {
        /// Vendor id.
        vendor: u16,
        /// Product id.
        product: u16,
        /// Serial number; `None`: there is only one.
        serial: Option<String>,
    },
}

impl FromStr for HidPlace {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return text.parse().map(Self::Path);
        }
        let wanted = "like \"051d:0002\", \"051d:0002:SERIAL\" or \"/dev/hidraw0\"";
        let bad = || wrong(text, wanted);
        let mut parts = text.splitn(3, ':');
        let mut id = || {
            let digits = parts.next().filter(|part| part.len() == 4)?;
            let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
            is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
        };
        let (vendor, product) = id().zip(id()).ok_or_else(bad)?;
        let serial = parts.next().map(str::to_owned);
        let fits = |serial: &String| {
            (1..=SERIAL_LEN_MAX).contains(&serial.len()) && serial.chars().all(is_printable)
        };
        match serial.as_ref().is_none_or(fits) {
            true => Ok(Self::Usb { vendor, product, serial }),
            false => Err(bad()),
        }
    }
}

impl fmt::Display for HidPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Usb { vendor, product, serial: None } => write!(f, "{vendor:04x}:{product:04x}"),
            Self::Usb { vendor, product, serial: Some(serial) } => {
                write!(f, "{vendor:04x}:{product:04x}:{serial}")
            }
        }
    }
}

impl TryFrom<String> for HidPlace {
    type Error = GrantTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HidPlace> for String {
    fn from(place: HidPlace) -> Self {
        place.to_string()
    }
}

/// A device, and whether it may be written to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HidGrant {
    /// Which device.
    pub at: HidPlace,
    /// It may be sent output and feature reports, not only read.
    pub write: bool,
}

impl Serialize for HidGrant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.write {
            false => self.at.serialize(to),
            true => Table { at: self.at.clone(), write: true }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for HidGrant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrTable)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    at: HidPlace,
    #[serde(default)]
    write: bool,
}

/// By hand, because an untagged enum would swallow what is wrong.
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = HidGrant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"051d:0002\" or { at = \"051d:0002\", write = true }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HidGrant, E> {
        Ok(HidGrant { at: text.parse().map_err(E::custom)?, write: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HidGrant, A::Error> {
        let Table { at, write } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(HidGrant { at, write })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grant_is_to_read_unless_it_says_more() {
        let read = |value: &str| {
            #[derive(Deserialize)]
            struct Document {
                hid: HidGrant,
            }
            toml::from_str(&format!("hid = {value}")).map(|document: Document| document.hid)
        };
        for (value, write) in [
            ("\"051d:0002\"", false),
            ("{ at = \"/dev/hidraw0\" }", false),
            ("{ at = \"051d:0002:QB1\", write = true }", true),
        ] {
            let grant = read(value).expect(value);
            assert_eq!(grant.write, write, "{value}");
            let json = serde_json::to_string(&grant).expect("serializes");
            assert_eq!(serde_json::from_str::<HidGrant>(&json).expect(&json), grant);
        }
        for (bad, named) in [
            ("\"ups\"", "like \"051d:0002\""),
            ("{ at = \"051d:0002\", wirte = true }", "`wirte`"),
            ("{ write = true }", "`at`"),
            ("7", "051d:0002"),
        ] {
            let refused = read(bad).expect_err(bad);
            assert!(refused.message().contains(named), "{bad}: {}", refused.message());
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for good in ["051d:0002", "051d:0002:QB 1:2", "/dev/hidraw0", "ffff:ABCD"] {
            let place: HidPlace = good.parse().expect(good);
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", "051d", "51d:2", "051d:0002:", "051d:000g", "+51d:0002", "dev/hidraw0"] {
            assert!(bad.parse::<HidPlace>().is_err(), "{bad}");
        }
        assert!(format!("051d:0002:{}", "s".repeat(64)).parse::<HidPlace>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(place) = text.parse::<HidPlace>() {
                prop_assert_eq!(place.to_string().parse::<HidPlace>(), Ok(place));
            }
        }
    }
}
