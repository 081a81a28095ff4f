//! Which point somebody may have meant, and what unit a point has.

use crate::points::names::{self, Unit};
use crate::points::{Name, battery};

/// Suggestions for one wrong name.
const SUGGESTIONS_MAX: usize = 3;

/// What is known of a point by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has this unit; [`Unit::None`] is text, a flag or a plain number.
    Unit(Unit),
    /// It is a driver's own, with a unit of its own.
    Any,
}

/// What `name` is; `None` when no point can be called so.
pub(super) fn known(name: &Name) -> Option<Known> {
    let name = name.as_str();
    let root = name.split('.').next().unwrap_or_default();
    if root == super::ROOT {
        return Some(Known::Unit(Unit::None));
    }
    if battery::ROOTS.contains(&root) {
        return battery::variable(name).map(|row| Known::Unit(row.unit));
    }
    suffixes(name).find_map(|(_, variable)| match names::unit_of_ups_variable(variable)? {
        Some(unit) => Some(Known::Unit(unit)),
        None => Some(Known::Any),
    })
}

/// Names that may have been meant by `name`, the most likely first.
pub(super) fn near(name: &str) -> Vec<String> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut offer = |wrong: &str, head: &str, right: &str| {
        let distance = distance(wrong, right);
        if distance <= 2 + right.len() / 5 {
            all.push((distance, format!("{head}{right}")));
        }
    };
    for (head, rest) in suffixes(name) {
        names::UPS.iter().for_each(|row| offer(rest, head, row.name));
        for list in [battery::STRING, battery::BLOCK, battery::DEVICE, battery::BUS, battery::GUARD]
        {
            for row in list.iter().filter(|row| !row.name.contains('#')) {
                let whole = format!("{head}{}", row.name);
                if battery::variable(&whole).is_some() {
                    offer(rest, head, row.name);
                }
            }
        }
    }
    all.sort();
    let best = all.first().map_or(0, |(distance, _)| *distance);
    all.retain(|(distance, _)| *distance == best);
    let mut names: Vec<String> = all.into_iter().map(|(_, name)| name).collect();
    names.dedup();
    names.truncate(SUGGESTIONS_MAX);
    names
}

/// Every split of a name at a dot: what is before, with the dot, and after.
fn suffixes(name: &str) -> impl Iterator<Item = (&str, &str)> {
    name.match_indices('.').map(|(at, _)| name.split_at(at + 1))
}

/// Levenshtein's distance of two short texts, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Option<Known> {
        known(&Name::parse(name).expect("a name"))
    }

    #[test]
    fn a_name_has_its_unit() {
        assert_eq!(of("ups.0.battery.charge"), Some(Known::Unit(Unit::Percent)));
        assert_eq!(of("hall.ups.3.battery.runtime"), Some(Known::Unit(Unit::Second)));
        assert_eq!(of("string.2.block.7.voltage"), Some(Known::Unit(Unit::Volt)));
        assert_eq!(of("ups.0.experimental.fan"), Some(Known::Any));
        assert_eq!(of("ups.0.batery.charge"), None);
        assert_eq!(of("string.2.block.7.volts"), None);
        assert_eq!(of("load"), None);
    }

    #[test]
    fn what_was_meant_is_named() {
        assert_eq!(near("ups.0.batery.charge")[0], "ups.0.battery.charge");
        assert_eq!(near("string.2.block.7.voltag")[0], "string.2.block.7.voltage");
        assert_eq!(near("guard.alarmrelay")[0], "guard.alarm-relay");
        assert!(near("x.yyyyyyyyyyyyyyyyyyyyyyyyy").is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
