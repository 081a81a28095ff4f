//! What an alarm is about, and its stable code: `finding.temperature-high`,
//! `limit.block-voltage.low`, `bus-lost`. The code stands in the API, in stored
//! alarms, and in the names of messages.

use super::quantity::{Quantity, Side};
use crate::image;
use crate::protect::Condition;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// The guard does not answer.
    GuardLost,
    /// The port of a battery bus is closed or gone.
    BusLost,
    /// A bus cable is broken.
    CableBroken,
    /// A sensor, contact or relay device does not answer.
    DeviceLost,
    /// A UPS does not answer.
    UpsLost,
    /// A UPS runs on its battery.
    UpsOnBattery,
    /// A UPS is nearly empty.
    UpsBatteryLow,
    /// A UPS wants its battery replaced.
    UpsReplaceBattery,
    /// A UPS is overloaded.
    UpsOverload,
    /// A UPS feeds the load past its inverter.
    UpsOnBypass,
    /// The charger's voltage is not what the batteries' maker wants.
    ChargerWrong,
    /// The store cannot be written.
    StoreFailed,
    /// A plugin failed too often and stays off.
    PluginOff,
    /// The certificate that an administrator installed runs out, or did.
    CertificateExpires,
    /// Something about the guard itself.
    Guard(image::Condition),
    /// A finding of protection.
    Finding(Condition),
    /// A value beyond a threshold.
    Limit(Quantity, Side),
}

/// A text that is no kind of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of alarm {0:?}")]
pub struct KindError(pub String);

const PLAIN: [(&str, Kind); 14] = [
    ("guard-lost", Kind::GuardLost),
    ("bus-lost", Kind::BusLost),
    ("cable-broken", Kind::CableBroken),
    ("device-lost", Kind::DeviceLost),
    ("ups-lost", Kind::UpsLost),
    ("ups-on-battery", Kind::UpsOnBattery),
    ("ups-battery-low", Kind::UpsBatteryLow),
    ("ups-replace-battery", Kind::UpsReplaceBattery),
    ("ups-overload", Kind::UpsOverload),
    ("ups-on-bypass", Kind::UpsOnBypass),
    ("charger-wrong", Kind::ChargerWrong),
    ("store-failed", Kind::StoreFailed),
    ("plugin-off", Kind::PluginOff),
    ("certificate-expires", Kind::CertificateExpires),
];

impl Kind {
    /// All kinds but the limits of points and of UPS variables, of which only
    /// those with built-in levels or common use are here.
    pub fn all() -> impl Iterator<Item = Self> {
        const UPS: [&str; 5] =
            ["battery.charge", "battery.runtime", "input.voltage", "ups.load", "ups.temperature"];
        let ups = UPS.into_iter().filter_map(Quantity::of_ups);
        let quantities = Quantity::OF_BLOCKS.into_iter().chain(Quantity::OF_STRINGS).chain(ups);
        let limits = quantities.chain([Quantity::Point]).flat_map(|quantity| {
            let sides = [Side::High, Side::Low].into_iter().filter(move |s| quantity.has(*s));
            sides.map(move |side| Self::Limit(quantity, side))
        });
        let plain = PLAIN.into_iter().map(|(_, kind)| kind);
        // Which device is lost has an alarm of its own.
        let guard = image::Condition::ALL.into_iter().filter(|c| Self::is_of_guard(*c));
        let findings = Condition::ALL.into_iter().map(Self::Finding);
        plain.chain(guard.map(Self::Guard)).chain(findings).chain(limits)
    }

    /// Whether this condition of the guard is an alarm of its own: what is
    /// told with its place (port, device) is not.
    #[must_use]
    pub const fn is_of_guard(condition: image::Condition) -> bool {
        !matches!(condition, image::Condition::PortLost | image::Condition::DeviceLost)
    }

    /// People or the plant are in danger: it cannot be shelved, and stands
    /// before everything else.
    #[must_use]
    pub const fn is_safety(self) -> bool {
        use Condition as C;
        matches!(
            self,
            Self::Finding(
                C::Runaway
                    | C::Tripped
                    | C::BreakerFailed
                    | C::BreakerUnconfirmed
                    | C::GroundFault
                    | C::Heating
            )
        )
    }

    /// Whether protection's finding `condition` says what this kind says, so
    /// that both at one place are one alarm, protection's.
    #[must_use]
    pub const fn is_told_by(self, condition: Condition) -> bool {
        use Condition as C;
        let Self::Limit(quantity, side) = self else { return false };
        match (quantity, side) {
            (Quantity::BlockVoltage, Side::High) => matches!(condition, C::VoltageHigh),
            (Quantity::BlockVoltage, Side::Low) => matches!(condition, C::VoltageLow),
            (Quantity::BlockDeviation, _) => matches!(condition, C::VoltageDeviation),
            (Quantity::BlockTemperature, Side::High) => matches!(condition, C::TemperatureHigh),
            (Quantity::BlockTemperature, Side::Low) => matches!(condition, C::TemperatureLow),
            (Quantity::BlockResistance, Side::High) => {
                matches!(condition, C::ResistanceHigh | C::ResistanceCritical)
            }
            (Quantity::BlockResistance, Side::Low) => matches!(condition, C::ResistanceLow),
            (Quantity::StringVoltage, Side::High) => matches!(condition, C::StringVoltageHigh),
            (Quantity::StringVoltage, Side::Low) => matches!(condition, C::StringVoltageLow),
            (Quantity::StringCurrent, Side::High) => matches!(condition, C::ChargeCurrentHigh),
            (Quantity::StringCurrent, Side::Low) => matches!(condition, C::DischargeCurrentHigh),
            _ => false,
        }
    }

    /// Name of the message that says it: the code without dots. Limits have one
    /// per side, into which the quantity's name goes.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::Limit(_, side) => format!("limit-{}", side.as_str()),
            kind => kind.to_string().replace('.', "-"),
        }
    }

    /// Unit of what is measured; empty when nothing is, or the point has its own.
    #[must_use]
    pub fn unit(self) -> &'static str {
        use Condition as C;
        match self {
            Self::Limit(quantity, _) => quantity.unit(),
            Self::ChargerWrong => "V",
            Self::Finding(condition) => match condition {
                C::VoltageHigh | C::VoltageLow | C::VoltageDeviation | C::VoltageStuck => "V",
                C::OpenLink | C::ShortedCell | C::ReversedCell => "V",
                C::TemperatureHigh | C::TemperatureLow => "°C",
                C::TemperatureRise => "K",
                C::Heating => "K/h",
                C::ResistanceHigh | C::ResistanceCritical | C::ResistanceLow => "%",
                _ => "",
            },
            _ => "",
        }
    }
}

/// The code.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guard(condition) => write!(f, "guard.{}", of_guard(*condition)),
            Self::Finding(condition) => write!(f, "finding.{}", of_finding(*condition)),
            Self::Limit(quantity, side) => write!(f, "limit.{quantity}.{}", side.as_str()),
            plain => {
                let code = PLAIN.iter().find(|(_, kind)| kind == plain).map(|(code, _)| *code);
                f.write_str(code.unwrap_or_default())
            }
        }
    }
}

impl FromStr for Kind {
    type Err = KindError;
    fn from_str(text: &str) -> Result<Self, KindError> {
        let bad = || KindError(text.chars().take(64).collect());
        if let Some((_, kind)) = PLAIN.iter().find(|(code, _)| *code == text) {
            return Ok(*kind);
        }
        let (group, rest) = text.split_once('.').ok_or_else(bad)?;
        let found = match group {
            "guard" => {
                let mut own = image::Condition::ALL.into_iter().filter(|c| Self::is_of_guard(*c));
                own.find(|c| of_guard(*c) == rest).map(Self::Guard)
            }
            "finding" => {
                Condition::ALL.into_iter().find(|c| of_finding(*c) == rest).map(Self::Finding)
            }
            "limit" => rest.rsplit_once('.').and_then(|(quantity, side)| {
                let side = match side {
                    "high" => Side::High,
                    "low" => Side::Low,
                    _ => return None,
                };
                Some(Self::Limit(quantity.parse().ok()?, side))
            }),
            _ => None,
        };
        found.ok_or_else(bad)
    }
}

impl TryFrom<String> for Kind {
    type Error = KindError;
    fn try_from(text: String) -> Result<Self, KindError> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.to_string()
    }
}

/// Code of a condition of the guard.
const fn of_guard(condition: image::Condition) -> &'static str {
    use image::Condition as C;
    match condition {
        C::PortLost => "port-lost",
        C::SettingsFallback => "settings-fallback",
        C::NotRealTime => "not-real-time",
        C::NotLocked => "not-locked",
        C::NotConfined => "not-confined",
        C::WatchdogLost => "watchdog-lost",
        C::DeviceLost => "device-lost",
    }
}

/// Code of a finding of protection.
const fn of_finding(condition: Condition) -> &'static str {
    use Condition as C;
    match condition {
        C::VoltageHigh => "voltage-high",
        C::VoltageLow => "voltage-low",
        C::VoltageDeviation => "voltage-deviation",
        C::VoltageInvalid => "voltage-invalid",
        C::VoltageStuck => "voltage-stuck",
        C::TemperatureHigh => "temperature-high",
        C::TemperatureLow => "temperature-low",
        C::TemperatureInvalid => "temperature-invalid",
        C::TemperatureSuspect => "temperature-suspect",
        C::TemperatureRise => "temperature-rise",
        C::Heating => "heating",
        C::ResistanceHigh => "resistance-high",
        C::ResistanceCritical => "resistance-critical",
        C::ResistanceLow => "resistance-low",
        C::ModuleLost => "module-lost",
        C::OpenLink => "open-link",
        C::ShortedCell => "shorted-cell",
        C::ReversedCell => "reversed-cell",
        C::StringVoltageHigh => "string-voltage-high",
        C::StringVoltageLow => "string-voltage-low",
        C::ChargeCurrentHigh => "charge-current-high",
        C::DischargeCurrentHigh => "discharge-current-high",
        C::FloatCurrentHigh => "float-current-high",
        C::LooseLink => "loose-link",
        C::SumMismatch => "sum-mismatch",
        C::GroundFault => "ground-fault",
        C::EqualizingError => "equalizing-error",
        C::Runaway => "runaway",
        C::Tripped => "tripped",
        C::BreakerFailed => "breaker-failed",
        C::BreakerUnconfirmed => "breaker-unconfirmed",
        C::BreakerOpen => "breaker-open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_its_code_and_codes_differ() {
        let codes: BTreeSet<String> = Kind::all().map(|kind| kind.to_string()).collect();
        assert_eq!(codes.len(), Kind::all().count());
        for code in &codes {
            let kind: Kind = code.parse().expect(code);
            assert_eq!(&kind.to_string(), code);
            let message = kind.message();
            assert!(message.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{message}");
        }
        assert_eq!(
            "limit.output.frequency.high".parse().map(Kind::message),
            Ok("limit-high".into())
        );
        assert!(codes.contains("finding.temperature-high") && codes.contains("guard.not-locked"));
        for wrong in ["", "finding.", "finding.cold", "limit.block-voltage", "guard.port-lost"] {
            assert!(wrong.parse::<Kind>().is_err(), "{wrong}");
        }
    }

    /// Stored alarms, jobs and other people's programs know these.
    const CODES: &str = "\
         bus-lost cable-broken certificate-expires charger-wrong \
         device-lost finding.breaker-failed finding.breaker-open \
         finding.breaker-unconfirmed finding.charge-current-high finding.discharge-current-high \
         finding.equalizing-error finding.float-current-high finding.ground-fault \
         finding.heating finding.loose-link finding.module-lost \
         finding.open-link finding.resistance-critical finding.resistance-high \
         finding.resistance-low finding.reversed-cell finding.runaway \
         finding.shorted-cell finding.string-voltage-high finding.string-voltage-low \
         finding.sum-mismatch finding.temperature-high finding.temperature-invalid \
         finding.temperature-low finding.temperature-rise finding.temperature-suspect \
         finding.tripped finding.voltage-deviation finding.voltage-high \
         finding.voltage-invalid finding.voltage-low finding.voltage-stuck \
         guard-lost guard.not-confined guard.not-locked \
         guard.not-real-time guard.settings-fallback guard.watchdog-lost \
         plugin-off store-failed ups-battery-low \
         ups-lost ups-on-battery ups-on-bypass \
         ups-overload ups-replace-battery";

    #[test]
    fn the_codes_are_those_of_ever() {
        let fixed = Kind::all().filter(|kind| !matches!(kind, Kind::Limit(..)));
        let mut codes: Vec<String> = fixed.map(|kind| kind.to_string()).collect();
        codes.sort();
        assert_eq!(codes, CODES.split_ascii_whitespace().collect::<Vec<_>>());
    }
}
