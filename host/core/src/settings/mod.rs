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
//!
//! ```toml
//! cycle_ms = 1000                  # every cycle scans all modules
//!
//! [[bus]]                          # one or two
//! port = "/dev/ttyS2"
//!
//! [[battery]]                      # types of block, see `battery::BatteryType`
//! name = "NP7-12"
//! chemistry = "agm"
//! cells = 6
//! capacity_ah = 7.0
//!
//! [[device]]                       # everything on a bus that is no block module
//! name = "I1"
//! kind = "current-200"             # see `settings::kind_name`
//! address = 1025
//!
//! [[string]]                       # in the order in which people count them
//! name = "A"
//! module = "C20"
//! battery = "NP7-12"
//! first_address = 1
//! blocks = 32
//! current_sensor = "I1"
//! ```

mod device;
pub mod forms;
pub mod network;
mod string;

pub use device::{
    AnalogSettings, Channel, ChannelIndex, DeviceSettings, Signal, Use, find, kind_name,
};
pub use string::{Run, StringBreaker, StringSettings};

use crate::battery::BatteryType;
use crate::battery_test::TestConfig;
use crate::bus::master::Timing;
use crate::bus::plan::WiringPlan;
use crate::bus::wire::DeviceKind;
use crate::discharge;
use crate::image::{BLOCKS_MAX, STRINGS_MAX};
use crate::protect::{AnnunciatorSettings, Limits};
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
/// Most bytes of a settings file.
pub const TEXT_MAX: usize = 128 * 1024;
const SEAL: &str = "# evenkeel guard settings, crc32 ";
/// Most buses of an appliance, and most devices on all of them.
pub const BUSES_MAX: usize = 2;
/// See [`BUSES_MAX`].
pub const DEVICES_MAX: usize = 64;

/// Everything the guard needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSettings {
    /// Length of a cycle, ms: 500 … 8,000 (three cycles are the longest hold
    /// time that a DUTIES frame can say). Every cycle scans all modules.
    #[serde(default = "default_cycle_ms")]
    pub cycle_ms: u32,
    /// The battery buses.
    #[serde(rename = "bus")]
    pub buses: Vec<BusSettings>,
    /// Types of block.
    #[serde(rename = "battery")]
    pub batteries: Vec<BatteryType>,
    /// Limits of every string that has none of its own.
    #[serde(default)]
    pub limits: Limits,
    /// How the box tells people at it.
    #[serde(default)]
    pub annunciator: AnnunciatorSettings,
    /// How discharges are recorded.
    #[serde(default)]
    pub recorder: discharge::Config,
    /// Battery tests, one per UPS.
    #[serde(default, rename = "test", skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestSettings>,
    /// What else is on the buses.
    #[serde(default, rename = "device", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSettings>,
    /// The strings, in the order in which people count them.
    #[serde(rename = "string")]
    pub strings: Vec<StringSettings>,
}

/// The battery test of one UPS, which is started and stopped by a relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSettings {
    /// Its strings, counted from 1.
    pub strings: Vec<u16>,
    /// Relay that tells the UPS to carry the load from its battery while it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Channel>,
    /// Input that is closed while mains are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mains: Option<Channel>,
    /// Its rules.
    #[serde(default)]
    pub rules: TestConfig,
}

/// A battery bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSettings {
    /// Serial port, e.g. `/dev/ttyS2`.
    pub port: PathBuf,
    /// Line speed, bit/s: 9,600 … 921,600.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// The line comes back to the appliance, so that a break separates nobody.
    #[serde(default)]
    pub ring: bool,
    /// How it is wired and supplied; a plan that cannot work is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wiring: Option<WiringPlan>,
}

fn default_baud() -> u32 {
    115_200
}

fn default_cycle_ms() -> u32 {
    1_000
}

/// Buses and numbers of people begin with 1.
pub(crate) fn first() -> u8 {
    1
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
        Ok(format!("{SEAL}{:08x}\n{body}", Self::number(body)))
    }

    /// The number that the seal of this text has.
    #[must_use]
    pub fn number(body: &str) -> u32 {
        CRC32.checksum(body.as_bytes())
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
        Nanos::from_millis(self.cycle_ms as u64)
    }

    /// Addresses of the modules on a bus (from 0), ascending.
    #[must_use]
    pub fn modules_of(&self, bus: usize) -> Vec<u16> {
        let strings = self.strings.iter().filter(|s| usize::from(s.bus) == bus + 1);
        let runs = strings.map(|s| s.first_address..=s.last_address());
        let mut addresses: Vec<u16> = runs.flatten().collect();
        addresses.sort_unstable();
        addresses
    }

    /// Addresses and kinds of the devices on a bus (from 0), ascending.
    #[must_use]
    pub fn devices_of(&self, bus: usize) -> Vec<(u16, DeviceKind)> {
        let devices = self.devices.iter().filter(|d| usize::from(d.bus) == bus + 1);
        let mut devices: Vec<_> = devices.map(|d| (d.address, d.kind)).collect();
        devices.sort_unstable();
        devices
    }

    /// The battery type of that name; settings that were checked have it.
    #[must_use]
    pub fn battery(&self, name: &str) -> Option<&BatteryType> {
        self.batteries.iter().find(|b| b.name == name)
    }

    /// How the master of a bus (from 0) talks to its modules.
    #[must_use]
    pub fn timing(&self, bus: usize) -> Timing {
        let least = self.least_timing(bus);
        // Half of the time that the line is free in a cycle may be waited away
        // for modules that do not answer, in equal parts per burst.
        let (busy, bursts) = self.busy(&least, bus);
        let free = self.cycle().since(busy);
        let slack = Nanos(free.0 / (2 * u64::from(bursts)));
        Timing { slack: slack.clamp(SLACK_MIN, SLACK_MAX), ..least }
    }

    /// Line time of a cycle of that bus in which everybody answers, and its bursts.
    #[must_use]
    pub fn busy(&self, timing: &Timing, bus: usize) -> (Nanos, u32) {
        let strings = self.strings.iter().filter(|s| usize::from(s.bus) == bus + 1);
        let runs: Vec<usize> = strings.map(|s| s.blocks().into()).collect();
        let (modules, reads) = timing.load(&runs);
        let (devices, asks) = timing.device_load(&self.devices_of(bus));
        (modules + devices, reads + asks)
    }

    fn least_timing(&self, bus: usize) -> Timing {
        Timing {
            baud: self.buses.get(bus).map_or_else(default_baud, |b| b.baud),
            window_ms: WINDOW_MS,
            slack: SLACK_MIN,
            // Three cycles, in tenths of a second, rounded up.
            hold_ds: (3 * self.cycle_ms).div_ceil(100).min(255) as u8,
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        let bad = |place: &str, problem: String| {
            Err(SettingsError::Value { place: place.to_owned(), problem })
        };
        if !(500..=8_000).contains(&self.cycle_ms) {
            return bad("cycle_ms", format!("{} is not in 500 … 8000", self.cycle_ms));
        }
        let buses = self.buses.len();
        if buses == 0 || buses > BUSES_MAX {
            return bad("bus", format!("{buses} buses; 1 … {BUSES_MAX} are possible"));
        }
        for (i, bus) in self.buses.iter().enumerate() {
            if !(9_600..=921_600).contains(&bus.baud) {
                let place = format!("bus {}, baud", i + 1);
                return bad(&place, format!("{} is not in 9600 … 921600", bus.baud));
            }
            if self.buses[..i].iter().any(|other| other.port == bus.port) {
                let place = format!("bus {}, port", i + 1);
                return bad(&place, format!("{} is in use already", bus.port.display()));
            }
        }
        self.check_batteries()?;
        self.check_devices()?;
        self.check_strings()?;
        self.check_tests()?;
        let value = |place: &str, problem: String| SettingsError::Value {
            place: place.to_owned(),
            problem,
        };
        self.recorder.check().map_err(|e| value("recorder", e.to_string()))?;
        self.annunciator.check().map_err(|(field, right)| {
            value(&format!("annunciator, {field}"), format!("must be {right}"))
        })?;
        (0..buses).try_for_each(|bus| self.check_wiring(bus).and_then(|()| self.check_time(bus)))
    }

    fn check_batteries(&self) -> Result<(), SettingsError> {
        for (i, battery) in self.batteries.iter().enumerate() {
            let place = format!("battery {}", i + 1);
            let value = |place: String, problem: String| SettingsError::Value { place, problem };
            battery.check().map_err(|e| value(format!("{place}, {}", e.field), e.problem))?;
            let characters = battery.name.chars().count();
            if characters == 0 || characters > 60 || battery.name.chars().any(char::is_control) {
                let problem = "1 to 60 printable characters".to_owned();
                return Err(value(format!("{place}, name"), problem));
            }
            if self.batteries[..i].iter().any(|other| other.name == battery.name) {
                let problem = format!("there are two types \"{}\"", battery.name);
                return Err(value(format!("{place}, name"), problem));
            }
        }
        Ok(())
    }

    fn check_devices(&self) -> Result<(), SettingsError> {
        let bad = |place: String, problem: String| Err(SettingsError::Value { place, problem });
        if self.devices.len() > DEVICES_MAX {
            let problem = format!("{} devices; {DEVICES_MAX} are possible", self.devices.len());
            return bad("device".to_owned(), problem);
        }
        for (i, device) in self.devices.iter().enumerate() {
            let place = format!("device {}", i + 1);
            device.check(&place, self.buses.len())?;
            for other in &self.devices[..i] {
                if other.name == device.name {
                    let problem = format!("there are two devices \"{}\"", device.name);
                    return bad(format!("{place}, name"), problem);
                }
                if (other.bus, other.address) == (device.bus, device.address) {
                    let problem = format!("{} is that of \"{}\"", device.address, other.name);
                    return bad(format!("{place}, address"), problem);
                }
            }
        }
        Ok(())
    }

    fn check_strings(&self) -> Result<(), SettingsError> {
        let bad = |place: &str, problem: String| {
            Err(SettingsError::Value { place: place.to_owned(), problem })
        };
        let strings = self.strings.len();
        if strings == 0 || strings > STRINGS_MAX {
            return bad("string", format!("{strings} strings; 1 … {STRINGS_MAX} are possible"));
        }
        for (i, string) in self.strings.iter().enumerate() {
            string.check(&format!("string {}", i + 1), self)?;
        }
        self.check_addresses()?;
        let blocks: usize = self.strings.iter().map(|s| usize::from(s.blocks())).sum();
        if blocks > BLOCKS_MAX {
            return bad("string", format!("{blocks} blocks in all; {BLOCKS_MAX} are possible"));
        }
        Ok(())
    }

    /// Each string belongs to one UPS at most; relays do one thing each.
    fn check_tests(&self) -> Result<(), SettingsError> {
        let mut taken = Vec::new();
        for (i, test) in self.tests.iter().enumerate() {
            let place = format!("test {}", i + 1);
            let bad = |field: &str, problem: String| SettingsError::Value {
                place: format!("{place}, {field}"),
                problem,
            };
            if test.strings.is_empty() {
                return Err(bad("strings", "at least one".to_owned()));
            }
            for number in &test.strings {
                let string = usize::from(*number).checked_sub(1).and_then(|s| self.strings.get(s));
                let Some(string) = string.filter(|_| !taken.contains(number)) else {
                    let problem = format!("there is no string {number}, or it has a test already");
                    return Err(bad("strings", problem));
                };
                taken.push(*number);
                for battery in string.runs().iter().filter_map(|r| self.battery(&r.battery)) {
                    test.rules.check(battery).map_err(|e| bad("rules", e.to_string()))?;
                }
            }
            if let Some(relay) = &test.relay {
                find(&self.devices, &format!("{place}, relay"), relay, Use::Output)?;
            }
            if let Some(mains) = &test.mains {
                find(&self.devices, &format!("{place}, mains"), mains, Use::Input)?;
            }
        }
        let mut relays = Vec::new();
        for (place, relay) in self.relays_in_use() {
            if relays.contains(&relay) {
                let problem = format!("{relay} does something else already");
                return Err(SettingsError::Value { place, problem });
            }
            relays.push(relay);
        }
        Ok(())
    }

    /// Relays that protection and tests use, and where that is said.
    pub(crate) fn relays_in_use(&self) -> Vec<(String, &Channel)> {
        let mut relays = Vec::new();
        for (i, string) in self.strings.iter().enumerate() {
            let Some(breaker) = &string.breaker else { continue };
            let place = format!("string {}, breaker", i + 1);
            relays.push((place.clone(), &breaker.relay));
            relays.extend(breaker.escalation_relay.iter().map(|relay| (place.clone(), relay)));
        }
        for (i, test) in self.tests.iter().enumerate() {
            relays.extend(test.relay.iter().map(|relay| (format!("test {}, relay", i + 1), relay)));
        }
        relays
    }

    /// Every bus must be able to scan all its stations in a cycle.
    fn check_time(&self, bus: usize) -> Result<(), SettingsError> {
        let (busy, bursts) = self.busy(&self.least_timing(bus), bus);
        let needed = busy + Nanos(SLACK_MIN.0 * u64::from(bursts));
        if needed <= self.cycle() {
            return Ok(());
        }
        let stations = self.modules_of(bus).len() + self.devices_of(bus).len();
        let ms = needed.as_millis() + 1;
        let baud = self.buses.get(bus).map_or_else(default_baud, |b| b.baud);
        Err(SettingsError::Value {
            place: "cycle_ms".to_owned(),
            problem: format!(
                "scanning {stations} stations on bus {} at {baud} bit/s takes {ms} ms; set it to \
                 that or more",
                bus + 1
            ),
        })
    }

    /// The wiring plan of a bus has to be possible and to be about this bus.
    fn check_wiring(&self, bus: usize) -> Result<(), SettingsError> {
        let Some(plan) = self.buses.get(bus).and_then(|b| b.wiring.as_ref()) else {
            return Ok(());
        };
        let (planned, configured) = (plan.modules(), self.modules_of(bus).len());
        let mut problems: Vec<String> = plan.check().iter().map(ToString::to_string).collect();
        if planned as usize != configured {
            problems.push(format!("{planned} modules are planned, {configured} configured"));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let place = format!("bus {}, wiring", bus + 1);
        Err(SettingsError::Value { place, problem: problems.join("; ") })
    }

    /// Strings may stand in any order on a bus but may not share modules.
    fn check_addresses(&self) -> Result<(), SettingsError> {
        for (i, a) in self.strings.iter().enumerate() {
            for (j, b) in self.strings.iter().enumerate().skip(i + 1) {
                let apart =
                    a.first_address > b.last_address() || b.first_address > a.last_address();
                if a.bus == b.bus && !apart {
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

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"
[[bus]]
port = "/dev/ttyS2"

[[battery]]
name = "NP7"
chemistry = "agm"
cells = 6
capacity_ah = 7.0

[[battery]]
name = "NP4 6 V"
chemistry = "agm"
cells = 3
capacity_ah = 4.0

[[battery]]
name = "LFP"
chemistry = "lfp"
cells = 4
capacity_ah = 7.0

[[device]]
name = "I1"
kind = "current-200"
address = 1025

[[device]]
name = "AUX1"
kind = "aux"
address = 1026

[[device]]
name = "S1"
kind = "site"
address = 1027
[[device.channel]]
number = 1
name = "string A"
signal = "0-10V"
low = 0.0
high = 600.0
unit = "V"

[[string]]
name = "A"
module = "C20"
battery = "NP7"
first_address = 1
blocks = 32
current_sensor = "I1"
voltage = "S1.1"
breaker = { relay = "AUX1.1", input = "AUX1.1", contact = "normally_closed" }

[[string]]
name = "B"
first_address = 33
[[string.part]]
module = "C20"
battery = "NP7"
blocks = 9
[[string.part]]
module = "C30"
battery = "NP4 6 V"
blocks = 2

[[test]]
strings = [1, 2]
relay = "AUX1.2"
"#;

    #[test]
    fn sealed_settings_come_back() {
        let sealed = GuardSettings::seal(BODY).expect("valid settings");
        let (settings, _) = GuardSettings::load(&sealed).expect("valid settings");
        assert_eq!(settings.buses[0].baud, 115_200);
        assert_eq!(settings.strings[1].last_address(), 43);
        assert_eq!(settings.modules_of(0).len(), 43);
        assert_eq!(GuardSettings::unsealed(&sealed), BODY);
        let text = toml::to_string(&settings).expect("text");
        assert_eq!(GuardSettings::parse(&text), Ok(settings), "what is written can be read");
    }

    #[test]
    fn the_slack_is_what_the_line_has_left() {
        let slack = |blocks: u16, cycle_ms: u32| {
            let body = BODY.replacen("blocks = 32", &format!("blocks = {blocks}"), 1);
            let body = body.replace("first_address = 33", "first_address = 900");
            let settings = GuardSettings::parse(&format!("cycle_ms = {cycle_ms}\n{body}"));
            settings.expect("valid").timing(0).slack
        };
        let small = slack(32, 1_000);
        assert!((Nanos::from_millis(30)..Nanos::from_millis(100)).contains(&small), "{small:?}");
        assert!(slack(490, 1_000) < small);
        assert_eq!(slack(32, 8_000), SLACK_MAX);
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
            ("blocks = 32", "blocks = 0", "string 1, blocks"),
            ("first_address = 33", "first_address = 1020", "string 2, first_address"),
            ("capacity_ah = 7.0", "capacity_ah = nan", "battery 1, capacity_ah"),
            ("module = \"C20\"", "module = \"C99\"", "C99"),
            ("[[bus]]", "[[bus]]\nparity = 1", "parity"),
            ("name = \"A\"", "name = \"\"", "string 1, name"),
            ("blocks = 32", "blocks = 700", "overlap"),
            ("[[bus]]", "cycle_ms = 10\n[[bus]]", "cycle_ms"),
            ("blocks = 32\n", "", "string 1, module: say module, battery and blocks"),
            (
                "module = \"C20\"\n",
                "module = \"C30\"\n",
                "12.0 V nominal, a C30 module measures 6 V",
            ),
            ("battery = \"NP7\"", "battery = \"NP8\"", "there is no [[battery]] \"NP8\""),
            ("\"NP4 6 V\"\nblocks", "\"NP7\"\nblocks", "string 2, battery"),
            (
                "\"C30\"\nbattery = \"NP4 6 V\"",
                "\"C20\"\nbattery = \"LFP\"",
                "different chemistries",
            ),
            ("name = \"LFP\"", "name = \"NP7\"", "there are two types \"NP7\""),
            ("current_sensor = \"I1\"", "current_sensor = \"AUX1\"", "no current sensor \"AUX1\""),
            ("voltage = \"S1.1\"", "voltage = \"S1.2\"", "no [[device.channel]]"),
            ("relay = \"AUX1.1\"", "relay = \"AUX1.5\"", "a aux has 4 relays"),
            ("relay = \"AUX1.2\"", "relay = \"AUX1.1\"", "AUX1.1 does something else already"),
            ("strings = [1, 2]", "strings = [1, 3]", "there is no string 3"),
            ("address = 1026", "address = 1025", "1025 is that of \"I1\""),
            ("kind = \"aux\"", "kind = \"aux7\"", "\"aux7\" is not one of"),
            ("high = 600.0", "high = 0.0", "low and high must differ"),
        ] {
            let body = BODY.replacen(from, to, 1);
            assert_ne!(body, BODY, "{from}");
            let error = GuardSettings::seal(&body).expect_err(place);
            assert!(error.to_string().contains(place), "{place}: {error}");
        }
    }

    #[test]
    fn an_impossible_wiring_plan_is_refused_with_its_sum() {
        let plan = |supply_ma: u32, modules: u16| {
            let wiring = format!(
                "[[bus]]\nport = \"/dev/ttyS2\"\n[bus.wiring]\nsupply_ma = {supply_ma}\n\
                 strings = 2\nmanager_to_converter_m = 1.0\n[[bus.wiring.loop]]\n\
                 modules = {modules}\npatch_m = 0.3\nlength_m = 20.0\n"
            );
            GuardSettings::parse(&BODY.replace("[[bus]]\nport = \"/dev/ttyS2\"\n", &wiring))
        };
        assert!(plan(2_000, 43).is_ok());
        let error = plan(400, 43).expect_err("too weak").to_string();
        assert!(error.contains("bus 1, wiring: ") && error.contains("5·43"), "{error}");
        let error = plan(2_000, 40).expect_err("another bus").to_string();
        assert!(error.contains("40 modules are planned, 43 configured"), "{error}");
    }

    #[test]
    fn a_cycle_too_short_for_the_bus_says_what_it_takes() {
        let body = BODY.replacen("blocks = 32", "blocks = 800", 1);
        let body = body.replace("first_address = 33", "first_address = 900");
        let error = GuardSettings::parse(&body).expect_err("too many").to_string();
        assert!(error.contains("814 stations on bus 1 at 115200 bit/s takes"), "{error}");
    }
}
