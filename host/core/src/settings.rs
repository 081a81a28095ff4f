//! The guard's settings: a small sealed file, so that it protects before the
//! daemon is up and without it.
//!
//! The file is TOML below a first line that seals it:
//! ```text
//! # evenkeel guard settings, crc32 9ae0daaf
//! ```
//! The CRC-32 (ISO-HDLC) covers every byte after that line. A file whose seal
//! does not fit was damaged or edited by hand; [`GuardSettings::load`] refuses
//! it, and the guard goes on with the last good one. `evenkeel-guard seal FILE`
//! writes the seal.

use crate::battery::{BatteryType, Chemistry, ModuleKind};
use crate::bus::master::Timing;
use crate::bus::wire::ADDRESS_MAX;
use crate::equalize;
use crate::image::{BLOCKS_MAX, STRINGS_MAX};
use crate::time::Nanos;
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Integration time of a sample, ms: five periods of 50 Hz, six of 60 Hz.
const WINDOW_MS: u8 = 100;
/// Least and most time granted to drivers, adapters and a busy machine after
/// a burst's last slot.
const SLACK_MIN: Nanos = Nanos::from_millis(5);
const SLACK_MAX: Nanos = Nanos::from_millis(250);
const SEAL: &str = "# evenkeel guard settings, crc32 ";

/// Everything the guard needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSettings {
    /// The battery bus.
    pub bus: BusSettings,
    /// The strings, in the order in which people count them.
    #[serde(rename = "string")]
    pub strings: Vec<StringSettings>,
}

/// The battery bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSettings {
    /// Serial port, e.g. `/dev/ttyS2`.
    pub port: PathBuf,
    /// Line speed, bit/s: 9,600 … 921,600.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// Length of a cycle, ms: 500 … 8,000 (three cycles are the longest hold
    /// time that a DUTIES frame can say). Every cycle scans all modules.
    #[serde(default = "default_cycle_ms")]
    pub cycle_ms: u32,
}

/// A string of equal blocks, one module each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringSettings {
    /// For people, 1 … 60 characters.
    pub name: String,
    /// Module type on its blocks.
    pub module: ModuleKind,
    /// Bus address of its first module; the others follow one by one.
    pub first_address: u16,
    /// Number of blocks, 1 … 1,024.
    pub blocks: u16,
    /// Rated capacity at the 20 h rate, Ah: 1 … 10,000.
    pub capacity_ah: f64,
    /// Equalize this string.
    #[serde(default = "default_equalize")]
    pub equalize: bool,
}

fn default_baud() -> u32 {
    115_200
}

fn default_cycle_ms() -> u32 {
    1_000
}

fn default_equalize() -> bool {
    true
}

/// Why settings are refused: says where and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// First line is not a seal.
    #[error(
        "the first line is not a seal; settings written by hand are sealed with `evenkeel-guard seal FILE`"
    )]
    Unsealed,
    /// The seal does not fit the text.
    #[error(
        "damaged: the text has check sum {computed:08x}, its seal says {sealed}; restore it, or check it and seal it again"
    )]
    Damaged {
        /// What the seal says.
        sealed: String,
        /// What the text has.
        computed: u32,
    },
    /// Not the settings' TOML.
    #[error("cannot be read: {0}")]
    Syntax(String),
    /// A value that makes no sense.
    #[error("{place}: {problem}")]
    Value {
        /// Which setting.
        place: String,
        /// What is wrong and what is right.
        problem: String,
    },
}

impl GuardSettings {
    /// Parse and check a sealed file; also returns the number of its seal.
    ///
    /// # Errors
    /// [`SettingsError`] says what is wrong and where.
    pub fn load(text: &str) -> Result<(Self, u32), SettingsError> {
        let (first, body) = text.split_once('\n').ok_or(SettingsError::Unsealed)?;
        let sealed = first.trim_end().strip_prefix(SEAL).ok_or(SettingsError::Unsealed)?;
        let computed = CRC32.checksum(body.as_bytes());
        if u32::from_str_radix(sealed, 16) != Ok(computed) {
            return Err(SettingsError::Damaged { sealed: sealed.to_owned(), computed });
        }
        Ok((Self::parse(body)?, computed))
    }

    /// Parse and check settings without their seal.
    ///
    /// # Errors
    /// [`SettingsError`] says what is wrong and where.
    pub fn parse(body: &str) -> Result<Self, SettingsError> {
        let settings: Self =
            toml::from_str(body).map_err(|e| SettingsError::Syntax(e.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Settings as a sealed file.
    ///
    /// # Errors
    /// [`SettingsError`] when `body` is not valid: nothing invalid is ever sealed.
    pub fn seal(body: &str) -> Result<String, SettingsError> {
        Self::parse(body)?;
        let crc = CRC32.checksum(body.as_bytes());
        Ok(format!("{SEAL}{crc:08x}\n{body}"))
    }

    /// The text without its seal, if it has one.
    #[must_use]
    pub fn unsealed(text: &str) -> &str {
        match text.split_once('\n') {
            Some((first, body)) if first.starts_with(SEAL) => body,
            _ => text,
        }
    }

    /// Length of a cycle.
    #[must_use]
    pub const fn cycle(&self) -> Nanos {
        Nanos::from_millis(self.bus.cycle_ms as u64)
    }

    /// Addresses of all modules, ascending.
    #[must_use]
    pub fn addresses(&self) -> Vec<u16> {
        let runs = self.strings.iter().map(|s| s.first_address..=s.last_address());
        let mut addresses: Vec<u16> = runs.flatten().collect();
        addresses.sort_unstable();
        addresses
    }

    /// How the bus master talks to the modules.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let timing = Timing {
            baud: self.bus.baud,
            window_ms: WINDOW_MS,
            slack: SLACK_MIN,
            // Three cycles, in tenths of a second, rounded up.
            hold_ds: (3 * self.bus.cycle_ms).div_ceil(100).min(255) as u8,
        };
        // Half of the time that the line is free in a cycle may be waited away
        // for modules that do not answer, in equal parts per burst.
        let runs: Vec<usize> = self.strings.iter().map(|s| s.blocks.into()).collect();
        let (busy, bursts) = timing.load(&runs);
        let free = self.cycle().since(busy);
        let slack = Nanos(free.0 / (2 * u64::from(bursts)));
        Timing { slack: slack.clamp(SLACK_MIN, SLACK_MAX), ..timing }
    }

    fn check(&self) -> Result<(), SettingsError> {
        let bad = |place: &str, problem: String| {
            Err(SettingsError::Value { place: place.to_owned(), problem })
        };
        if !(9_600..=921_600).contains(&self.bus.baud) {
            return bad("bus.baud", format!("{} is not in 9600 … 921600", self.bus.baud));
        }
        if !(500..=8_000).contains(&self.bus.cycle_ms) {
            return bad("bus.cycle_ms", format!("{} is not in 500 … 8000", self.bus.cycle_ms));
        }
        if self.strings.is_empty() || self.strings.len() > STRINGS_MAX {
            let n = self.strings.len();
            return bad("string", format!("{n} strings; 1 … {STRINGS_MAX} are possible"));
        }
        for (i, string) in self.strings.iter().enumerate() {
            string.check(&format!("string {}", i + 1))?;
        }
        self.check_addresses()?;
        let blocks: usize = self.strings.iter().map(|s| usize::from(s.blocks)).sum();
        if blocks > BLOCKS_MAX {
            return bad("string", format!("{blocks} blocks in all; {BLOCKS_MAX} are possible"));
        }
        let needed = self.cycle_needed();
        if self.cycle() < needed {
            let (blocks, ms) = (blocks, needed.as_millis() + 1);
            let baud = self.bus.baud;
            return bad(
                "bus.cycle_ms",
                format!(
                    "scanning {blocks} blocks at {baud} bit/s takes {ms} ms; set it to that or more"
                ),
            );
        }
        Ok(())
    }

    /// The shortest cycle in which everybody can answer, with the least slack.
    fn cycle_needed(&self) -> Nanos {
        let runs: Vec<usize> = self.strings.iter().map(|s| s.blocks.into()).collect();
        let least =
            Timing { baud: self.bus.baud, window_ms: WINDOW_MS, slack: SLACK_MIN, hold_ds: 0 };
        let (busy, bursts) = least.load(&runs);
        busy + Nanos(SLACK_MIN.0 * u64::from(bursts))
    }

    /// Strings may stand in any order on the bus but may not share modules.
    fn check_addresses(&self) -> Result<(), SettingsError> {
        for (i, a) in self.strings.iter().enumerate() {
            for (j, b) in self.strings.iter().enumerate().skip(i + 1) {
                if a.first_address <= b.last_address() && b.first_address <= a.last_address() {
                    return Err(SettingsError::Value {
                        place: format!("string {}", j + 1),
                        problem: format!(
                            "addresses {} … {} overlap those of string {} ({} … {})",
                            b.first_address,
                            b.last_address(),
                            i + 1,
                            a.first_address,
                            a.last_address()
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

impl StringSettings {
    /// Address of the last module.
    #[must_use]
    pub const fn last_address(&self) -> u16 {
        self.first_address.saturating_add(self.blocks).saturating_sub(1)
    }

    /// What its blocks are, as far as these settings say.
    #[must_use]
    pub fn battery(&self) -> BatteryType {
        BatteryType::new(Chemistry::Agm, self.module.data().lead_cells, self.capacity_ah)
    }

    /// The equalizer's view of this string.
    #[must_use]
    pub fn equalizer(&self, cycle: Nanos) -> equalize::Config {
        let uniform =
            equalize::Config::uniform(self.blocks.into(), self.module, &self.battery(), cycle);
        equalize::Config { enabled: self.equalize, ..uniform }
    }

    fn check(&self, place: &str) -> Result<(), SettingsError> {
        let bad = |field: &str, problem: String| {
            Err(SettingsError::Value { place: format!("{place}, {field}"), problem })
        };
        let characters = self.name.chars().count();
        if characters == 0 || characters > 60 || self.name.chars().any(char::is_control) {
            return bad("name", "1 to 60 printable characters".to_owned());
        }
        if self.blocks == 0 || usize::from(self.blocks) > BLOCKS_MAX {
            return bad("blocks", format!("{} is not in 1 … {BLOCKS_MAX}", self.blocks));
        }
        if self.first_address == 0 || self.last_address() > ADDRESS_MAX {
            let (first, last) = (self.first_address, self.last_address());
            return bad("first_address", format!("{first} … {last} is not in 1 … {ADDRESS_MAX}"));
        }
        if !(1.0..=10_000.0).contains(&self.capacity_ah) {
            return bad("capacity_ah", format!("{} is not in 1 … 10000", self.capacity_ah));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"
[bus]
port = "/dev/ttyS2"

[[string]]
name = "A"
module = "C20"
first_address = 1
blocks = 32
capacity_ah = 7.0

[[string]]
name = "B"
module = "C20"
first_address = 33
blocks = 32
capacity_ah = 7.0
"#;

    #[test]
    fn sealed_settings_come_back() {
        let sealed = GuardSettings::seal(BODY).expect("valid settings");
        let (settings, _) = GuardSettings::load(&sealed).expect("valid settings");
        assert_eq!(settings.bus.baud, 115_200);
        assert_eq!(settings.strings[1].last_address(), 64);
        assert_eq!(GuardSettings::unsealed(&sealed), BODY);
    }

    #[test]
    fn the_slack_is_what_the_line_has_left() {
        let settings = |blocks: u16, cycle_ms: u32| {
            let body = BODY.replace("first_address = 33", "first_address = 513");
            let body = body.replace("blocks = 32", &format!("blocks = {blocks}"));
            let port = format!("port = \"/dev/ttyS2\"\ncycle_ms = {cycle_ms}");
            GuardSettings::parse(&body.replace("port = \"/dev/ttyS2\"", &port)).expect("valid")
        };
        let small = settings(32, 1_000).timing().slack;
        assert!((Nanos::from_millis(50)..Nanos::from_millis(100)).contains(&small), "{small:?}");
        assert_eq!(settings(256, 1_000).timing().slack, SLACK_MIN);
        assert_eq!(settings(32, 8_000).timing().slack, SLACK_MAX);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let sealed = GuardSettings::seal(BODY).expect("valid settings");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 0x01;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(GuardSettings::load(&text).is_err(), "byte {at}");
        }
        for at in 0..sealed.len() {
            assert!(GuardSettings::load(&sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn senseless_values_name_their_place() {
        for (from, to, place) in [
            ("first_address = 33", "first_address = 32", "overlap"),
            (
                "blocks = 32\ncapacity_ah = 7.0\n\n",
                "blocks = 0\ncapacity_ah = 7.0\n\n",
                "string 1, blocks",
            ),
            ("first_address = 33", "first_address = 1000", "string 2, first_address"),
            ("capacity_ah = 7.0", "capacity_ah = nan", "capacity_ah"),
            ("module = \"C20\"", "module = \"C99\"", "C99"),
            ("[bus]", "[bus]\nparity = 1", "parity"),
            ("name = \"A\"", "name = \"\"", "string 1, name"),
            (
                "blocks = 32\ncapacity_ah = 7.0\n\n",
                "blocks = 600\ncapacity_ah = 7.0\n\n",
                "addresses",
            ),
            (
                "blocks = 32\ncapacity_ah = 7.0\n\n[[string]]\nname = \"B\"\nmodule = \"C20\"\nfirst_address = 33",
                "blocks = 900\ncapacity_ah = 7.0\n\n[[string]]\nname = \"B\"\nmodule = \"C20\"\nfirst_address = 901",
                "scanning 932 blocks at 115200 bit/s takes",
            ),
            ("port = \"/dev/ttyS2\"", "port = \"x\"\ncycle_ms = 10", "bus.cycle_ms"),
        ] {
            let error = GuardSettings::seal(&BODY.replacen(from, to, 1)).expect_err(place);
            assert!(error.to_string().contains(place), "{place}: {error}");
        }
    }
}
