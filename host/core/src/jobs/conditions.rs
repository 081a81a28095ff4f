//! What an event says to be so, or to be over, as keys; and what the present
//! values say about a key.

use crate::alarm::Kind;
use crate::events::Event;
use crate::points::{Point, Quality, Value};
use crate::protect::Condition;

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
        Event::AlarmRaised { string, condition, .. } => one(finding(*string, *condition), true),
        Event::AlarmOver { string, condition } => one(finding(*string, *condition), false),
        Event::Tripped { string, .. } => one(format!("tripped/{string}"), true),
        Event::TripReset { string } => one(format!("tripped/{string}"), false),
        Event::BreakerFailed { string } => one(format!("breaker_failed/{string}"), true),
        Event::BreakerFailureOver { string } => one(format!("breaker_failed/{string}"), false),
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
        Event::UpsLost { ups } => one(format!("{LOST}/{ups}"), true),
        Event::UpsBack { ups } => one(format!("{LOST}/{ups}"), false),
        Event::UpsUnwatched { ups } => {
            [ON_BATTERY, LOW, LOST].map(|what| (format!("{what}/{ups}"), false)).into()
        }
        Event::GuardLost => one("guard_lost".into(), true),
        Event::GuardBack => one("guard_lost".into(), false),
        Event::GuardCondition { condition } => one(format!("guard/{condition}"), true),
        Event::GuardConditionOver { condition } => one(format!("guard/{condition}"), false),
        Event::StoreFailed { .. } => one("store_failed".into(), true),
        Event::StoreRecovered { .. } => one("store_failed".into(), false),
        Event::AuthenticatorUnavailable { name, .. } => one(format!("authenticator/{name}"), true),
        Event::AuthenticatorBack { name } => one(format!("authenticator/{name}"), false),
        Event::Alarm(alarm) => match (alarm.what, &alarm.place, alarm.stands()) {
            (Some(what), Some(place), Some(raised)) => one(format!("alarm/{what}/{place}"), raised),
            _ => Vec::new(),
        },
        Event::PluginQuarantined { name, .. } => one(format!("plugin_off/{name}"), true),
        Event::PluginReleased { name } => one(format!("plugin_off/{name}"), false),
        Event::RuleRaised { rule, .. } => one(format!("{RULE}/{rule}"), true),
        Event::RuleCleared { rule, .. } => one(format!("{RULE}/{rule}"), false),
        _ => Vec::new(),
    }
}

/// The key of what protection found: by its code, which stays what it is.
fn finding(string: u16, condition: Condition) -> String {
    format!("alarm/{string}/{}", Kind::Finding(condition))
}

/// The kinds of events that say that something is so, and of whose end another
/// tells: jobs can wait for that.
pub const LASTING: [&str; 22] = [
    "alarm",
    "alarm_raised",
    "authenticator_unavailable",
    "breaker_failed",
    "cable_broken",
    "charger_wrong",
    "device_lost",
    "discharge_began",
    "equalizing_infeasible",
    "guard_condition",
    "guard_lost",
    "module_lost",
    "modules_lost",
    "plugin_quarantined",
    "rule_raised",
    "store_failed",
    "string_out_of_band",
    "test_began",
    "tripped",
    "ups_battery_low",
    "ups_lost",
    "ups_on_battery",
];

const ON_BATTERY: &str = "ups_on_battery";
const LOW: &str = "ups_battery_low";
const LOST: &str = "ups_lost";
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
        LOST => fresh(format!("{of}.ups.status")).map(|_| false),
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
    use std::collections::BTreeSet;

    #[test]
    fn mains_end_what_battery_began() {
        let ups = || "ups.0".to_owned();
        let raised = conditions(&Event::UpsOnBattery { ups: ups() });
        let over = conditions(&Event::UpsOnMains { ups: ups() });
        assert!(raised[0].1 && over.contains(&(raised[0].0.clone(), false)));
        let low = conditions(&Event::UpsBatteryLow { ups: ups() });
        assert!(over.contains(&(low[0].0.clone(), false)));
        let lost = conditions(&Event::UpsLost { ups: ups() });
        let unwatched = conditions(&Event::UpsUnwatched { ups: ups() });
        for (key, _) in [raised, low, lost].concat() {
            assert!(unwatched.contains(&(key, false)), "{unwatched:?}");
        }
        assert!(conditions(&Event::Unknown).is_empty());
    }

    #[test]
    fn a_breaker_and_a_plugin_have_an_end() {
        let pairs = [
            (Event::BreakerFailed { string: 2 }, Event::BreakerFailureOver { string: 2 }),
            (
                Event::PluginQuarantined { name: "a".into(), reason: String::new() },
                Event::PluginReleased { name: "a".into() },
            ),
        ];
        for (begins, ends) in pairs {
            let (begins, ends) = (conditions(&begins), conditions(&ends));
            assert_eq!(begins.len(), 1);
            assert_eq!(ends, [(begins[0].0.clone(), false)]);
            assert!(begins[0].1);
        }
    }

    #[test]
    fn a_finding_is_kept_by_its_code() {
        let raised = Event::AlarmRaised {
            string: 2,
            condition: Condition::TemperatureHigh,
            level: crate::protect::Level::Alarm,
            blocks: vec![3],
        };
        let over = Event::AlarmOver { string: 2, condition: Condition::TemperatureHigh };
        let key = "alarm/2/finding.temperature-high".to_owned();
        assert_eq!(conditions(&raised), [(key.clone(), true)]);
        assert_eq!(conditions(&over), [(key, false)]);
        let keys: BTreeSet<String> = Condition::ALL.map(|c| finding(1, c)).into();
        assert_eq!(keys.len(), Condition::ALL.len(), "each its own");
    }

    /// One of each kind of event, from one table of all their fields.
    fn events() -> BTreeSet<(String, bool)> {
        let source = include_str!("../events.rs");
        let variants = source.split("pub enum Event {").nth(1).expect("the enum");
        let variants = variants.split("\n}\n").next().expect("its end").lines();
        let names = variants.filter_map(|line| {
            let name =
                line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase));
            name?.split([' ', '(', ',']).next()
        });
        let kind = |name: &str| {
            let under = |c: char| if c.is_uppercase() { format!("_{c}") } else { c.to_string() };
            name.chars().map(under).collect::<String>()[1..].to_lowercase()
        };
        let event = |kind: &str| {
            let (what, level) = match kind {
                "alarm" => ("ups-overload", "alarm"),
                "alarm_raised" => ("x", "Alarm"),
                _ => ("x", "info"),
            };
            let text = format!(
                "kind = '{kind}'\nstring = 1\nblock = 1\nblocks = [1]\ndevice = 1\nbus = 1\n\
                 test = 1\nname = 'x'\nups = 'ups.0'\nplace = 'ups.0'\nrule = 'x'\n\
                 condition = 'VoltageHigh'\nlevel = '{level}'\nwhat = '{what}'\nreason = 'x'\n\
                 cause = 'two_temperatures'\ntemperature_dc = 1\nneeds_ma = 1\ngives_ma = 1\n\
                 by_mv = 1\ndeviation_mv = 1\nseverity = 'info'\ntext = 'x'\nfrom = 'x'\n\
                 user = 'x'\ncount = 1\nchange = 'raised'\nalarm = 1\nmembers = 1\n"
            );
            // What needs more than this lasts no longer for it.
            toml::from_str::<Event>(&text).ok()
        };
        let raises = |event: Event| conditions(&event).iter().any(|(_, raised)| *raised);
        names.map(kind).map(|kind| (kind.clone(), event(&kind).is_some_and(raises))).collect()
    }

    #[test]
    fn the_list_of_what_lasts_is_whole() {
        let events = events();
        assert!(events.len() > 60, "{events:?}");
        let lasting: Vec<&str> =
            events.iter().filter(|(_, lasts)| *lasts).map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(lasting, LASTING);
    }

    #[test]
    fn an_alarm_stands_from_its_raising_until_it_is_over() {
        let says = |change: &str, what: &str, over: bool| {
            let text = format!(
                "kind = 'alarm'\nchange = '{change}'\nalarm = 3\nwhat = '{what}'\n\
                 place = 'string.1'\nlevel = 'alarm'\nmembers = 1\nover = {over}"
            );
            conditions(&toml::from_str::<Event>(&text).expect(&text))
        };
        let key = |raised| vec![("alarm/limit.block-voltage.high/string.1".to_owned(), raised)];
        for change in ["raised", "again", "worse", "joined", "flapping", "shelf_over"] {
            assert_eq!(says(change, "limit.block-voltage.high", false), key(true), "{change}");
        }
        for change in ["over", "shelf_over", "unshelved"] {
            assert_eq!(says(change, "limit.block-voltage.high", true), key(false), "{change}");
        }
        for change in ["acknowledged", "shelved", "reset"] {
            assert_eq!(says(change, "limit.block-voltage.high", false), [], "{change}");
        }
        // Its end would be told by ups_on_mains alone.
        assert_eq!(says("flapping", "ups-on-battery", false), []);
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
        assert_eq!(still("ups_lost/ups.0", status("OFF", Quality::Good)), Some(false));
        assert_eq!(still("ups_lost/ups.0", status("OL", Quality::Stale)), None);
        assert_eq!(still("tripped/1", status("OL", Quality::Good)), None);
    }
}
