//! A string of the guard's settings: its blocks, modules, sensors and breaker.

use super::device::{Channel, ChannelIndex, DeviceSettings, Use, find};
use super::{GuardSettings, SettingsError};
use crate::battery::{BatteryType, ModuleKind};
use crate::bus::wire::ADDRESS_MAX;
use crate::equalize::schedule::Pause;
use crate::health::HealthSettings;
use crate::image::BLOCKS_MAX;
use crate::protect::{BreakerSettings, Contact, Drive, Limits};
use serde::{Deserialize, Serialize};

/// A string, one module per block.
///
/// Its blocks are alike and said by `module`, `battery` and `blocks`; a string
/// that is not says so by parts instead:
/// ```toml
/// [[string.part]]
/// module = "C20"
/// battery = "12 V"
/// blocks = 9
/// [[string.part]]
/// module = "C30"
/// battery = "6 V"
/// blocks = 2
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringSettings {
    /// For people, 1 … 60 characters.
    pub name: String,
    /// Bus of its modules, counted from 1.
    #[serde(default = "super::first")]
    pub bus: u8,
    /// Bus address of its first module; the others follow one by one.
    pub first_address: u16,
    /// Module type on its blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleKind>,
    /// Name of the blocks' battery type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<String>,
    /// Number of blocks, 1 … 1,024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u16>,
    /// The parts of a string whose blocks are not alike, in its order.
    #[serde(default, rename = "part", skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Run>,
    /// Equalize this string.
    #[serde(default = "default_equalize")]
    pub equalize: bool,
    /// Equalize it during boost charge too: modules get 8–17 % hotter.
    #[serde(default)]
    pub equalize_in_boost: bool,
    /// Device that measures its current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sensor: Option<String>,
    /// Analogue input that measures the voltage of the whole string, V.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voltage: Option<Channel>,
    /// Analogue input that measures the air near it, °C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Channel>,
    /// Analogue input that measures its current to ground, A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<Channel>,
    /// The breaker that protection opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<StringBreaker>,
    /// When equalization rests.
    #[serde(default, rename = "pause", skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// Its limits, instead of the general ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How its health is judged.
    #[serde(default)]
    pub health: HealthSettings,
}

/// The breaker of a string and how it is wired to auxiliary modules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringBreaker {
    /// Relay that trips it.
    pub relay: Channel,
    /// How the relay drives it.
    #[serde(default)]
    pub drive: Drive,
    /// Input that reads its auxiliary contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Channel>,
    /// Which auxiliary contact that is.
    #[serde(default)]
    pub contact: Contact,
    /// An attempt has to be confirmed within, ms: 100 … 10,000.
    #[serde(default = "default_confirm_ms")]
    pub confirm_ms: u32,
    /// Attempts before it counts as failed, 1 … 10.
    #[serde(default = "default_attempts")]
    pub attempts: u8,
    /// Relay for when it fails: a second coil, the charger's or the upstream breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation_relay: Option<Channel>,
}

fn default_confirm_ms() -> u32 {
    2_000
}

fn default_attempts() -> u8 {
    3
}

/// Blocks in a row that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Module type on the blocks.
    pub module: ModuleKind,
    /// Name of their battery type.
    pub battery: String,
    /// Number of blocks.
    pub blocks: u16,
}

fn default_equalize() -> bool {
    true
}

impl StringSettings {
    /// Its blocks as runs that are alike; empty when the settings do not say.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        match (self.module, &self.battery, self.blocks) {
            (Some(module), Some(battery), Some(blocks)) => {
                vec![Run { module, battery: battery.clone(), blocks }]
            }
            _ => self.parts.clone(),
        }
    }

    /// Number of its blocks.
    #[must_use]
    pub fn blocks(&self) -> u16 {
        match self.blocks {
            Some(blocks) => blocks,
            None => self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.blocks)),
        }
    }

    /// Address of the last module.
    #[must_use]
    pub fn last_address(&self) -> u16 {
        self.first_address.saturating_add(self.blocks()).saturating_sub(1)
    }

    /// Say what is impossible.
    pub(super) fn check(&self, place: &str, all: &GuardSettings) -> Result<(), SettingsError> {
        let bad = |field: &str, problem: String| {
            Err(SettingsError::Value { place: format!("{place}, {field}"), problem })
        };
        let characters = self.name.chars().count();
        if characters == 0 || characters > 60 || self.name.chars().any(char::is_control) {
            return bad("name", "1 to 60 printable characters".to_owned());
        }
        if self.bus == 0 || usize::from(self.bus) > all.buses.len() {
            return bad("bus", format!("there is no bus {}", self.bus));
        }
        let alike = [self.module.is_some(), self.battery.is_some(), self.blocks.is_some()];
        if alike.iter().any(|set| *set != self.parts.is_empty()) {
            return bad(
                "module",
                "say module, battery and blocks, or say [[string.part]] for each run of \
                 blocks that are alike"
                    .to_owned(),
            );
        }
        for run in self.runs() {
            self.check_run(place, &run, &all.batteries)?;
        }
        self.check_chemistries(place, all)?;
        self.check_wiring(place, all)?;
        self.check_rules(place, all)?;
        if self.first_address == 0 || self.last_address() > ADDRESS_MAX {
            let (first, last) = (self.first_address, self.last_address());
            return bad("first_address", format!("{first} … {last} is not in 1 … {ADDRESS_MAX}"));
        }
        Ok(())
    }

    fn check_run(
        &self,
        place: &str,
        run: &Run,
        batteries: &[BatteryType],
    ) -> Result<(), SettingsError> {
        let bad = |field: &str, problem: String| {
            Err(SettingsError::Value { place: format!("{place}, {field}"), problem })
        };
        if run.blocks == 0 || usize::from(run.blocks) > BLOCKS_MAX {
            return bad("blocks", format!("{} is not in 1 … {BLOCKS_MAX}", run.blocks));
        }
        let Some(battery) = batteries.iter().find(|b| b.name == run.battery) else {
            return bad("battery", format!("there is no [[battery]] \"{}\"", run.battery));
        };
        let module = run.module.data();
        let nominal_v = battery.nominal_v();
        if !(0.55..=1.2).contains(&(nominal_v / module.nominal_v)) {
            return bad(
                "battery",
                format!(
                    "\"{}\" has {nominal_v:.1} V nominal, a {} module measures {} V blocks",
                    battery.name, module.name, module.nominal_v
                ),
            );
        }
        Ok(())
    }

    /// One charger cannot float two chemistries.
    fn check_chemistries(&self, place: &str, all: &GuardSettings) -> Result<(), SettingsError> {
        let runs = self.runs();
        let mut chemistries = runs.iter().filter_map(|r| Some(all.battery(&r.battery)?.chemistry));
        let first = chemistries.next();
        if chemistries.any(|other| Some(other) != first) {
            let problem = "its blocks are of different chemistries".to_owned();
            return Err(SettingsError::Value { place: format!("{place}, part"), problem });
        }
        Ok(())
    }

    fn check_wiring(&self, place: &str, all: &GuardSettings) -> Result<(), SettingsError> {
        if let Some(name) = &self.current_sensor {
            let device = all.devices.iter().find(|d| d.name == *name);
            if device.is_none_or(|d| d.kind.full_scale_a().is_none()) {
                return Err(SettingsError::Value {
                    place: format!("{place}, current_sensor"),
                    problem: format!("there is no current sensor \"{name}\" among the devices"),
                });
            }
        }
        let analog =
            [("voltage", &self.voltage), ("ambient", &self.ambient), ("ground", &self.ground)];
        for (field, channel) in analog {
            if let Some(channel) = channel {
                find(&all.devices, &format!("{place}, {field}"), channel, Use::Analog)?;
            }
        }
        let Some(breaker) = &self.breaker else { return Ok(()) };
        let field = |field: &str| format!("{place}, breaker, {field}");
        find(&all.devices, &field("relay"), &breaker.relay, Use::Output)?;
        if let Some(input) = &breaker.input {
            find(&all.devices, &field("input"), input, Use::Input)?;
        }
        if let Some(relay) = &breaker.escalation_relay {
            find(&all.devices, &field("escalation_relay"), relay, Use::Output)?;
        }
        let wired = breaker.wired(&all.devices);
        wired.check().map_err(|(name, right)| SettingsError::Value {
            place: field(name),
            problem: format!("must be {right}"),
        })
    }

    fn check_rules(&self, place: &str, all: &GuardSettings) -> Result<(), SettingsError> {
        let value = |field: &str, problem: String| SettingsError::Value {
            place: format!("{place}, {field}"),
            problem,
        };
        for (i, pause) in self.pauses.iter().enumerate() {
            pause.check().map_err(|e| value(&format!("pause {}", i + 1), e.to_string()))?;
        }
        self.health.check().map_err(|e| value("health", e.to_string()))?;
        let limits = self.limits.as_ref().unwrap_or(&all.limits);
        for battery in self.runs().iter().filter_map(|run| all.battery(&run.battery)) {
            limits.check(battery).map_err(|e| value(&format!("limits, {}", e.field), e.problem))?;
        }
        Ok(())
    }
}

impl StringBreaker {
    /// As protection knows it: relays and inputs by their numbers, see
    /// [`ChannelIndex::number`]. The channels exist, settings were checked.
    #[must_use]
    pub fn wired(&self, devices: &[DeviceSettings]) -> BreakerSettings {
        let number = |channel: &Channel, usage| {
            find(devices, "", channel, usage).map_or(u16::MAX, ChannelIndex::number)
        };
        BreakerSettings {
            relay: number(&self.relay, Use::Output),
            drive: self.drive,
            input: self.input.as_ref().map(|c| number(c, Use::Input)),
            contact: self.contact,
            confirm_ms: self.confirm_ms,
            attempts: self.attempts,
            escalation_relay: self.escalation_relay.as_ref().map(|c| number(c, Use::Output)),
        }
    }
}
