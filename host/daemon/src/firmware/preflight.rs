//! When an update may not happen: measuring, alarms and protection outrank it
//! (facts/firmware-trust.md, FW-5). Pure.

use crate::plant::Plant;
use evenkeel_core::battery_test::State;
use evenkeel_core::points::{Point, Quality, Value};
use evenkeel_core::protect::Level;
use evenkeel_core::scan::Phase;
use serde::Serialize;

/// Least charge of a UPS's battery, %.
pub const CHARGE_MIN: f64 = 60.0;

/// Something that speaks against an update now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Hindrance {
    /// Nobody knows how the batteries are.
    #[error("the guard does not answer")]
    NoGuard {},
    /// Mains failed.
    #[error("{what} feeds its load from the battery")]
    OnBattery {
        /// A string or a UPS.
        what: String,
    },
    /// The battery was used and is not full again.
    #[error("{what} is not charged yet")]
    NotCharged {
        /// A string or a UPS.
        what: String,
    },
    /// A battery test.
    #[error("battery test {test} is under way")]
    Test {
        /// Counted from 1.
        test: usize,
    },
    /// Something must be seen to first.
    #[error("{what} has an alarm")]
    Alarm {
        /// A string, or the plant.
        what: String,
    },
}

/// What speaks against an update of the appliance that watches `plant` and the
/// UPSes with these points.
#[must_use]
pub fn hindrances(plant: Option<&Plant>, ups: &[(String, Point)]) -> Vec<Hindrance> {
    let Some(plant) = plant.filter(|plant| plant.connected) else {
        return vec![Hindrance::NoGuard {}];
    };
    let mut found = Vec::new();
    for (name, string) in plant.strings.iter().zip(&plant.snapshot.strings) {
        let what = || format!("string {name}");
        match string.phase {
            Phase::Discharge => found.push(Hindrance::OnBattery { what: what() }),
            Phase::Recharge => found.push(Hindrance::NotCharged { what: what() }),
            Phase::Unknown | Phase::Float | Phase::Boost => {}
        }
        if string.protect.level >= Level::Alarm {
            found.push(Hindrance::Alarm { what: what() });
        }
    }
    for (at, test) in plant.snapshot.tests.iter().enumerate() {
        if matches!(test.state, State::Starting | State::Running | State::Stopping(_)) {
            found.push(Hindrance::Test { test: at + 1 });
        }
    }
    for (name, point) in ups.iter().filter(|(_, point)| point.quality == Quality::Good) {
        let root = name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        if is_discharging(name, point) {
            found.push(Hindrance::OnBattery { what: root });
        } else if name.ends_with(".battery.charge")
            && matches!(point.value, Value::Number(charge) if charge < CHARGE_MIN)
        {
            found.push(Hindrance::NotCharged { what: root });
        }
    }
    found
}

/// Nothing is known to run on its battery.
#[must_use]
pub fn is_on_mains(plant: Option<&Plant>, ups: &[(String, Point)]) -> bool {
    let strings = plant.iter().flat_map(|plant| &plant.snapshot.strings);
    let mut upses = ups.iter().filter(|(_, point)| point.quality == Quality::Good);
    strings.into_iter().all(|string| string.phase != Phase::Discharge)
        && !upses.any(|(name, point)| is_discharging(name, point))
}

fn is_discharging(name: &str, point: &Point) -> bool {
    name.ends_with(".ups.status")
        && matches!(&point.value, Value::Text(words) if words.split(' ').any(|w| w == "OB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing::plant;
    use evenkeel_core::battery_test::Report;
    use evenkeel_core::points::Unit;
    use evenkeel_core::time::Nanos;

    fn point(name: &str, value: Value, quality: Quality) -> (String, Point) {
        (name.to_owned(), Point { value, unit: Unit::None, quality, at: Nanos::default() })
    }

    fn status(words: &str) -> (String, Point) {
        point("ups.0.ups.status", Value::Text(words.to_owned()), Quality::Good)
    }

    #[test]
    fn a_quiet_plant_hinders_nothing() {
        let ups =
            [status("OL CHRG"), point("ups.0.battery.charge", Value::Number(60.0), Quality::Good)];
        assert_eq!(hindrances(Some(&plant(&[13.6; 4])), &ups), []);
        assert!(is_on_mains(Some(&plant(&[13.6; 4])), &ups));
    }

    #[test]
    fn everything_that_hinders_is_named() {
        let mut plant = plant(&[13.6; 4]);
        plant.snapshot.strings[0].phase = Phase::Discharge;
        plant.snapshot.strings[0].protect.level = Level::Alarm;
        plant.snapshot.tests = vec![
            Report { state: State::Done, ..Report::default() },
            Report { state: State::Running, ..Report::default() },
        ];
        let ups =
            [status("OB LB"), point("ups.0.battery.charge", Value::Number(59.0), Quality::Good)];
        let words: Vec<String> =
            hindrances(Some(&plant), &ups).iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "string A feeds its load from the battery",
                "string A has an alarm",
                "battery test 2 is under way",
                "ups.0 feeds its load from the battery",
                "ups.0 is not charged yet",
            ]
        );
        assert!(!is_on_mains(Some(&plant), &[]));
        plant.snapshot.strings[0].phase = Phase::Recharge;
        assert!(hindrances(Some(&plant), &[])[0].to_string().contains("not charged"));
    }

    #[test]
    fn what_is_not_known_hinders() {
        assert_eq!(hindrances(None, &[]), [Hindrance::NoGuard {}]);
        let mut plant = plant(&[13.6]);
        plant.connected = false;
        assert_eq!(hindrances(Some(&plant), &[]), [Hindrance::NoGuard {}]);
        let stale = point("ups.0.ups.status", Value::Text("OB".into()), Quality::Stale);
        assert!(is_on_mains(None, &[stale]), "a UPS that fell silent says nothing");
    }
}
