//! What to do about an alarm: a topic, whose messages say the likely causes and
//! what to do (UX-063), and how soon.
//!
//! Kinds with the same causes share a topic. The messages are
//! `guide-<topic>` with the attributes `causes` and `action`.

use super::kind::Kind;
use super::quantity::{Quantity, Side};
use crate::events::Severity;
use crate::image;
use crate::protect::Condition;
use serde::Serialize;

/// How soon somebody must do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Within the week.
    Soon,
    /// Today.
    Today,
    /// At once, whatever the hour.
    Now,
}

impl Urgency {
    /// The word in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soon => "soon",
            Self::Today => "today",
            Self::Now => "now",
        }
    }
}

/// How soon, for an alarm of this kind and severity.
#[must_use]
pub const fn urgency(kind: Kind, severity: Severity) -> Urgency {
    let at_once =
        matches!(kind, Kind::GuardLost | Kind::BusLost | Kind::UpsBatteryLow | Kind::UpsOverload);
    match severity {
        _ if kind.is_safety() || at_once => Urgency::Now,
        Severity::Alarm => Urgency::Today,
        Severity::Warning if matches!(kind, Kind::UpsOnBattery | Kind::UpsOnBypass) => {
            Urgency::Today
        }
        Severity::Warning | Severity::Info => Urgency::Soon,
    }
}

/// Name of the topic.
#[must_use]
pub fn topic(kind: Kind) -> &'static str {
    match kind {
        Kind::GuardLost => "guard-lost",
        Kind::BusLost => "bus-lost",
        Kind::CableBroken => "cable",
        Kind::DeviceLost => "device-lost",
        Kind::UpsLost => "ups-lost",
        Kind::UpsOnBattery => "on-battery",
        Kind::UpsBatteryLow => "battery-low",
        Kind::UpsReplaceBattery => "replace-battery",
        Kind::UpsOverload => "overload",
        Kind::UpsOnBypass => "bypass",
        Kind::ChargerWrong => "charger",
        Kind::StoreFailed => "store",
        Kind::PluginOff => "plugin",
        Kind::CertificateExpires => "certificate",
        Kind::Guard(condition) => match condition {
            image::Condition::SettingsFallback => "guard-settings",
            image::Condition::WatchdogLost => "watchdog",
            _ => "guard-rights",
        },
        Kind::Finding(condition) => of_finding(condition),
        Kind::Limit(quantity, side) => of_limit(quantity, side),
    }
}

/// All topics, each once.
#[must_use]
pub fn topics() -> Vec<&'static str> {
    let mut topics: Vec<_> = Kind::all().map(topic).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

const fn of_finding(condition: Condition) -> &'static str {
    use Condition as C;
    match condition {
        C::VoltageHigh | C::StringVoltageHigh => "voltage-high",
        C::VoltageLow | C::StringVoltageLow => "voltage-low",
        C::VoltageDeviation => "deviation",
        C::VoltageInvalid | C::VoltageStuck | C::TemperatureInvalid | C::TemperatureSuspect => {
            "sensor"
        }
        C::TemperatureHigh => "temperature-high",
        C::TemperatureLow => "temperature-low",
        C::TemperatureRise | C::Heating | C::FloatCurrentHigh => "heating",
        C::Runaway | C::Tripped => "runaway",
        C::ResistanceHigh | C::ResistanceCritical => "resistance",
        C::ResistanceLow => "sensor",
        C::ModuleLost => "module-lost",
        C::OpenLink | C::LooseLink => "link",
        C::ShortedCell | C::ReversedCell => "cell",
        C::ChargeCurrentHigh => "charge-current",
        C::DischargeCurrentHigh => "discharge-current",
        C::SumMismatch => "sum",
        C::GroundFault => "ground",
        C::EqualizingError => "equalizing",
        C::BreakerFailed | C::BreakerUnconfirmed | C::BreakerOpen => "breaker",
    }
}

fn of_limit(quantity: Quantity, side: Side) -> &'static str {
    match (quantity, side) {
        (Quantity::BlockVoltage | Quantity::StringVoltage, Side::High) => "voltage-high",
        (Quantity::BlockVoltage | Quantity::StringVoltage, Side::Low) => "voltage-low",
        (Quantity::BlockDeviation, _) => "deviation",
        (Quantity::BlockTemperature, Side::High) => "temperature-high",
        (Quantity::BlockTemperature, Side::Low) => "temperature-low",
        (Quantity::BlockResistance, Side::High) => "resistance",
        (Quantity::BlockResistance, Side::Low) => "sensor",
        (Quantity::BlockCharge | Quantity::StringCharge | Quantity::StringRuntime, _) => "charge",
        (Quantity::BlockHealth, _) => "health",
        (Quantity::StringCurrent, Side::High) => "charge-current",
        (Quantity::StringCurrent, Side::Low) => "discharge-current",
        (Quantity::Ups("ups.load"), Side::High) => "overload",
        (Quantity::Ups("battery.charge" | "battery.runtime"), Side::Low) => "charge",
        (Quantity::Ups("input.voltage"), _) => "input-voltage",
        (Quantity::Ups("ups.temperature" | "battery.temperature"), Side::High) => {
            "temperature-high"
        }
        (Quantity::Ups(_) | Quantity::Point, _) => "limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_topic_and_dangers_are_for_now() {
        assert!(topics().len() > 30);
        for kind in Kind::all() {
            assert!(!topic(kind).is_empty());
            let danger = urgency(kind, Severity::Warning) == Urgency::Now;
            assert!(danger || !kind.is_safety(), "{kind}");
            assert!(urgency(kind, Severity::Alarm) >= urgency(kind, Severity::Warning));
        }
    }
}
