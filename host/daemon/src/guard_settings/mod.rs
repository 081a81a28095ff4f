//! The settings by which the guard protects, as people look at them and change
//! them: what differs between two of them ([`changes`]), and what speaks against other
//! ones now. The guard judges them, keeps them and has the last word; kept here are
//! their revisions.

pub mod changes;

use crate::firmware::preflight::{self, Hindrance};
use crate::plant::Plant;
use evenkeel_core::points::Point;
use evenkeel_core::protect::Level;
use evenkeel_core::settings::forms::Kind;

/// Name of the document in the store.
pub const DOCUMENT: Kind = Kind::first("guard");

/// What speaks against other settings now: what speaks against an update, but
/// that a battery is not full again, and that modules do not answer — which may
/// be what the settings are to mend.
#[must_use]
pub fn hindrances(plant: Option<&Plant>, ups: &[(String, Point)]) -> Vec<Hindrance> {
    let mut found = preflight::hindrances(plant, ups);
    found.retain(|hindrance| match hindrance {
        Hindrance::NotCharged { .. } => false,
        Hindrance::Alarm { what } => plant.is_none_or(|plant| of_a_battery(plant, what)),
        Hindrance::NoGuard {} | Hindrance::OnBattery { .. } | Hindrance::Test { .. } => true,
    });
    found
}

/// Whether the alarm of a string that a hindrance names is one of its batteries.
fn of_a_battery(plant: &Plant, what: &str) -> bool {
    let strings = plant.strings.iter().zip(&plant.snapshot.strings);
    let mut named = strings.filter(|(name, _)| what == format!("string {name}"));
    named.any(|(_, string)| {
        let report = &string.protect;
        report.level >= Level::Alarm && !report.all.alarm.of_batteries().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing::{mark, plant};
    use evenkeel_core::protect::Condition;
    use evenkeel_core::scan::Phase;

    #[test]
    fn modules_that_do_not_answer_hinder_nothing() {
        let mut plant = plant(&[13.6, 13.6]);
        assert_eq!(hindrances(Some(&plant), &[]), []);
        let string = &mut plant.snapshot.strings[0];
        string.phase = Phase::Recharge;
        mark(string, 0, Condition::ModuleLost, Level::Alarm);
        string.protect.level = Level::Alarm;
        assert_eq!(hindrances(Some(&plant), &[]), []);
        mark(&mut plant.snapshot.strings[0], 1, Condition::VoltageHigh, Level::Alarm);
        let alarm = Hindrance::Alarm { what: "string A".into() };
        assert_eq!(hindrances(Some(&plant), &[]), [alarm]);
        plant.snapshot.strings[0].phase = Phase::Discharge;
        assert_eq!(hindrances(Some(&plant), &[]).len(), 2);
        assert_eq!(hindrances(None, &[]), [Hindrance::NoGuard {}]);
    }
}
