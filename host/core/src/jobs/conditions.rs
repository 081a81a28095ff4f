//! What an event says to be so, or to be over, as keys; and what the present
//! values say about a key.

use crate::events::Event;
use crate::points::{Point, Quality, Value};

/// The keys that an event raises (true) or clears (false). Empty for what
/// only happens and does not last.
#[must_use]
pub fn conditions(event: &Event) -> Vec<(String, bool)> {
    let one = |key: String, raised| vec![(key, raised)];
    let many = |string: &u16, blocks: &[u16], raised| {
        let key = |block| (format!("module_lost/{string}/{block}"), raised);
        blocks.iter().map(key).collect()
    };
    match event {
        Event::StringOutOfBand { string, .. } => one(format!("out_of_band/{string}"), true),
        Event::StringInBand { string } => one(format!("out_of_band/{string}"), false),
        Event::ModuleLost { string, block } => many(string, &[*block], true),
        Event::ModuleBack { string, block } => many(string, &[*block], false),
        Event::ModulesLost { string, blocks } => many(string, blocks, true),
        Event::ModulesBack { string, blocks } => many(string, blocks, false),
        Event::AlarmRaised { string, condition, .. } => {
            one(format!("alarm/{string}/{condition:?}"), true)
        }
        Event::AlarmOver { string, condition } => {
            one(format!("alarm/{string}/{condition:?}"), false)
        }
        Event::Tripped { string, .. } => one(format!("tripped/{string}"), true),
        Event::TripReset { string } => one(format!("tripped/{string}"), false),
        Event::DischargeBegan { string } => one(format!("discharge/{string}"), true),
        Event::DischargeEnded { string, .. } => one(format!("discharge/{string}"), false),
        Event::TestBegan { test } => one(format!("test/{test}"), true),
        Event::TestEnded { test, .. } => one(format!("test/{test}"), false),
        Event::EqualizingInfeasible { string, .. } => one(format!("infeasible/{string}"), true),
        Event::EqualizingFeasible { string } => one(format!("infeasible/{string}"), false),
        Event::ChargerWrong { string, .. } => one(format!("charger/{string}"), true),
        Event::ChargerRight { string } => one(format!("charger/{string}"), false),
        Event::CableBroken { bus, .. } => one(format!("cable/{bus}"), true),
        Event::CableWhole { bus } => one(format!("cable/{bus}"), false),
        Event::DeviceLost { device, .. } => one(format!("device/{device}"), true),
        Event::DeviceBack { device, .. } => one(format!("device/{device}"), false),
        Event::UpsOnBattery { ups } => one(format!("{ON_BATTERY}/{ups}"), true),
        Event::UpsBatteryLow { ups } => one(format!("{LOW}/{ups}"), true),
        Event::UpsOnMains { ups } => {
            vec![(format!("{ON_BATTERY}/{ups}"), false), (format!("{LOW}/{ups}"), false)]
        }
        Event::UpsLost { ups } => one(format!("ups_lost/{ups}"), true),
        Event::UpsBack { ups } => one(format!("ups_lost/{ups}"), false),
        Event::GuardLost => one("guard_lost".into(), true),
        Event::GuardBack => one("guard_lost".into(), false),
        Event::GuardCondition { condition } => one(format!("guard/{condition}"), true),
        Event::GuardConditionOver { condition } => one(format!("guard/{condition}"), false),
        Event::StoreFailed { .. } => one("store_failed".into(), true),
        Event::StoreRecovered { .. } => one("store_failed".into(), false),
        Event::AuthenticatorUnavailable { name, .. } => one(format!("authenticator/{name}"), true),
        Event::AuthenticatorBack { name } => one(format!("authenticator/{name}"), false),
        Event::RuleRaised { rule, .. } => one(format!("{RULE}/{rule}"), true),
        Event::RuleCleared { rule, .. } => one(format!("{RULE}/{rule}"), false),
        _ => Vec::new(),
    }
}

const ON_BATTERY: &str = "ups_on_battery";
const LOW: &str = "ups_battery_low";
const RULE: &str = "rule";

/// Whether what a key says is so now, as far as the present values tell: after
/// a restart nobody tells of what ended while the daemon was away. `point`
/// gives a point by its name.
pub fn still(key: &str, point: impl Fn(&str) -> Option<Point>) -> Option<bool> {
    let (what, of) = key.split_once('/')?;
    let fresh = |name: String| point(&name).filter(|point| point.quality <= Quality::Estimated);
    let word = |wanted: &str| match fresh(format!("{of}.ups.status"))?.value {
        Value::Text(words) => Some(words.split_ascii_whitespace().any(|word| word == wanted)),
        _ => None,
    };
    match what {
        // Neither word (a UPS that is off, or calibrating) says nothing.
        ON_BATTERY if word("OB") == Some(true) => Some(true),
        ON_BATTERY if word("OL") == Some(true) => Some(false),
        LOW if word("LB") == Some(true) => Some(true),
        LOW if word("OL") == Some(true) => Some(false),
        RULE => match fresh(format!("rule.{of}"))?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Unit;
    use crate::time::Nanos;

    #[test]
    fn mains_end_what_battery_began() {
        let ups = || "ups.0".to_owned();
        let raised = conditions(&Event::UpsOnBattery { ups: ups() });
        let over = conditions(&Event::UpsOnMains { ups: ups() });
        assert!(raised[0].1 && over.contains(&(raised[0].0.clone(), false)));
        let low = conditions(&Event::UpsBatteryLow { ups: ups() });
        assert!(over.contains(&(low[0].0.clone(), false)));
        assert!(conditions(&Event::Unknown).is_empty());
    }

    #[test]
    fn present_values_say_what_ended_meanwhile() {
        let status = |words: &'static str, quality| {
            move |name: &str| {
                let value = Value::Text(words.to_owned());
                (name == "ups.0.ups.status").then_some(Point {
                    value,
                    unit: Unit::None,
                    quality,
                    at: Nanos(1),
                })
            }
        };
        assert_eq!(still("ups_on_battery/ups.0", status("OL CHRG", Quality::Good)), Some(false));
        assert_eq!(still("ups_on_battery/ups.0", status("OB LB", Quality::Good)), Some(true));
        assert_eq!(still("ups_battery_low/ups.0", status("OB", Quality::Good)), None);
        assert_eq!(still("ups_on_battery/ups.0", status("OL", Quality::Stale)), None);
        assert_eq!(still("ups_on_battery/ups.1", status("OL", Quality::Good)), None);
        assert_eq!(still("tripped/1", status("OL", Quality::Good)), None);
    }
}
