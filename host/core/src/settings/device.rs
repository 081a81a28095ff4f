//! Bus devices that are not block modules: current sensors, contacts, relays,
//! analogue inputs — and how a string refers to one of their channels.

use super::SettingsError;
use crate::bus::wire::{DEVICE_MAX, DEVICE_MIN, DeviceKind};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A device on a bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// How strings refer to it: 1 … 20 characters of `A–Z a–z 0–9 -`.
    pub name: String,
    /// What it is, see [`kind_name`].
    #[serde(with = "kind")]
    pub kind: DeviceKind,
    /// Bus, counted from 1.
    #[serde(default = "super::first")]
    pub bus: u8,
    /// Its address, 1,025 … 1,279.
    pub address: u16,
    /// What its analogue inputs mean.
    #[serde(default, rename = "channel", skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<AnalogSettings>,
}

/// The word for a kind in settings, e.g. `current-200`.
#[must_use]
pub const fn kind_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Current50 => "current-50",
        DeviceKind::Current200 => "current-200",
        DeviceKind::Current400 => "current-400",
        DeviceKind::Current500 => "current-500",
        DeviceKind::Current1000 => "current-1000",
        DeviceKind::Current1500 => "current-1500",
        DeviceKind::Current2000 => "current-2000",
        DeviceKind::Aux => "aux",
        DeviceKind::Site => "site",
        DeviceKind::Sensor => "sensor",
        DeviceKind::Panel => "panel",
    }
}

/// The bus's own types know nothing of serde.
mod kind {
    use super::{Deserialize, Deserializer, DeviceKind, Serializer, kind_name};

    pub fn serialize<S: Serializer>(kind: &DeviceKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind_name(*kind))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DeviceKind, D::Error> {
        let word = String::deserialize(from)?;
        DeviceKind::ALL.into_iter().find(|kind| kind_name(*kind) == word).ok_or_else(|| {
            let words: Vec<_> = DeviceKind::ALL.into_iter().map(kind_name).collect();
            serde::de::Error::custom(format!("\"{word}\" is not one of {}", words.join(", ")))
        })
    }
}

/// An analogue input and its scale: the value is `low` at the lower end of
/// the signal and `high` at the upper one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalogSettings {
    /// Input, counted from 1.
    pub number: u8,
    /// For people, 1 … 60 characters.
    pub name: String,
    /// The electrical signal.
    pub signal: Signal,
    /// Value at the lower end.
    pub low: f64,
    /// Value at the upper end.
    pub high: f64,
    /// Unit of the value, e.g. `°C`.
    #[serde(default)]
    pub unit: String,
}

/// An electrical signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// 0 … 10 V
    #[serde(rename = "0-10V")]
    Volts,
    /// 0 … 20 mA
    #[serde(rename = "0-20mA")]
    Milliamperes,
    /// 4 … 20 mA: below 3.6 mA the wire is broken, above 21 mA the sensor is
    /// (NAMUR NE 43).
    #[serde(rename = "4-20mA")]
    LiveZero,
}

impl AnalogSettings {
    /// The value for a fraction of the input's full scale (10 V, 20 mA);
    /// `None` when it is none of the signal's (broken wire, broken sensor).
    #[must_use]
    pub fn value(&self, fraction: f32) -> Option<f64> {
        let fraction = f64::from(fraction);
        let (zero, least) = match self.signal {
            Signal::Volts | Signal::Milliamperes => (0.0, -0.01),
            Signal::LiveZero => (0.2, 0.18),
        };
        let share = (fraction - zero) / (1.0 - zero);
        (least..=1.05).contains(&fraction).then_some(self.low + share * (self.high - self.low))
    }
}

/// A channel of a device, written `NAME.NUMBER`: `AUX1.2` is relay, input or
/// analogue input 2 of the device AUX1, as the place where it stands says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Name of the device.
    pub device: String,
    /// Counted from 1.
    pub number: u8,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.device, self.number)
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.split_once('.').and_then(|(device, number)| {
            let number = number.parse().ok().filter(|n| *n > 0)?;
            Some(Self { device: device.to_owned(), number })
        });
        parsed.ok_or_else(|| {
            serde::de::Error::custom(format!(
                "\"{text}\" is no channel of a device; write NAME.NUMBER, as in \"AUX1.2\""
            ))
        })
    }
}

/// What a channel is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A relay or another output.
    Output,
    /// A digital input.
    Input,
    /// An analogue input.
    Analog,
}

impl Use {
    const fn text(self) -> &'static str {
        match self {
            Self::Output => "relays",
            Self::Input => "digital inputs",
            Self::Analog => "analogue inputs",
        }
    }

    fn count(self, kind: DeviceKind) -> u8 {
        match self {
            Self::Output => kind.outputs(),
            Self::Input => kind.inputs(),
            Self::Analog => kind.channels(),
        }
    }
}

/// A channel found among the devices: indices from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelIndex {
    /// The device, in the settings' order.
    pub device: usize,
    /// The channel.
    pub channel: u8,
}

impl ChannelIndex {
    /// One number for device and channel.
    #[must_use]
    pub fn number(self) -> u16 {
        (self.device as u16) << 4 | u16::from(self.channel & 0xF)
    }

    /// The channel of a number.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        Self { device: (number >> 4) as usize, channel: (number & 0xF) as u8 }
    }
}

/// Find a channel.
///
/// # Errors
/// [`SettingsError`] when there is no such device, or it has no such channel.
pub fn find(
    devices: &[DeviceSettings],
    place: &str,
    channel: &Channel,
    usage: Use,
) -> Result<ChannelIndex, SettingsError> {
    let bad = |problem: String| SettingsError::Value { place: place.to_owned(), problem };
    let device = devices
        .iter()
        .position(|d| d.name == channel.device)
        .ok_or_else(|| bad(format!("there is no device \"{}\"", channel.device)))?;
    let kind = devices[device].kind;
    let count = usage.count(kind);
    if channel.number > count {
        let what = usage.text();
        return Err(bad(format!("{channel}: a {} has {count} {what}", kind_name(kind))));
    }
    let settings = devices[device].channels.iter().find(|c| c.number == channel.number);
    if usage == Use::Analog && settings.is_none() {
        return Err(bad(format!("{channel} has no [[device.channel]] that states its scale")));
    }
    Ok(ChannelIndex { device, channel: channel.number - 1 })
}

impl DeviceSettings {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`SettingsError`] names the place.
    pub(super) fn check(&self, place: &str, buses: usize) -> Result<(), SettingsError> {
        let bad = |field: &str, problem: String| {
            Err(SettingsError::Value { place: format!("{place}, {field}"), problem })
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || self.name.len() > 20 || !self.name.chars().all(word) {
            return bad("name", "1 to 20 characters of A-Z a-z 0-9 -".to_owned());
        }
        if self.bus == 0 || usize::from(self.bus) > buses {
            return bad("bus", format!("there is no bus {}", self.bus));
        }
        if !(DEVICE_MIN..=DEVICE_MAX).contains(&self.address) {
            let problem = format!("{} is not in {DEVICE_MIN} … {DEVICE_MAX}", self.address);
            return bad("address", problem);
        }
        for channel in &self.channels {
            let is_current = self.kind.full_scale_a().is_some();
            let count = if is_current { 0 } else { self.kind.channels() };
            if channel.number == 0 || channel.number > count {
                let kind = kind_name(self.kind);
                return bad("channel", format!("{}: a {kind} has {count}", channel.number));
            }
            let scale = [channel.low, channel.high];
            if !scale.iter().all(|v| v.is_finite()) || channel.low == channel.high {
                return bad("channel", format!("{}: low and high must differ", channel.number));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analog(signal: Signal) -> AnalogSettings {
        let name = "hydrogen".to_owned();
        AnalogSettings { number: 1, name, signal, low: -20.0, high: 80.0, unit: "°C".into() }
    }

    #[test]
    fn signals_are_scaled_and_broken_wires_are_no_value() {
        let near = |got: Option<f64>, wanted: f64| (got.expect("a value") - wanted).abs() < 1e-4;
        assert!(near(analog(Signal::Volts).value(0.5), 30.0));
        assert!(near(analog(Signal::Milliamperes).value(1.0), 80.0));
        assert!(near(analog(Signal::LiveZero).value(0.2), -20.0));
        assert!(near(analog(Signal::LiveZero).value(0.6), 30.0));
        assert_eq!(analog(Signal::LiveZero).value(0.0), None);
        assert_eq!(analog(Signal::LiveZero).value(1.075), None);
        assert_eq!(analog(Signal::Volts).value(-1.0), None);
    }

    #[test]
    fn channels_are_written_with_a_dot() {
        #[derive(Deserialize, Serialize, PartialEq, Debug)]
        struct Wrapper {
            relay: Channel,
        }
        let parsed: Wrapper = toml::from_str("relay = \"AUX1.4\"").expect("a channel");
        assert_eq!(parsed.relay, Channel { device: "AUX1".into(), number: 4 });
        assert_eq!(toml::to_string(&parsed).expect("text").trim(), "relay = \"AUX1.4\"");
        for bad in ["AUX1", "AUX1.0", "AUX1.x", "AUX1.300"] {
            assert!(toml::from_str::<Wrapper>(&format!("relay = \"{bad}\"")).is_err(), "{bad}");
        }
    }
}
