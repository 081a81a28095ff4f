//! The alarms of a script: what the points of a script say of UPSes, and those
//! points that have a threshold, go through the same survey, watcher and book
//! as live. Nobody acknowledges anything here, and a script has no guard: what
//! protection would find, and thresholds of strings and blocks, which are
//! compared with its measurements, are beyond a script. [`Alarms::may_begin`]
//! tells the jobs that wait for such a thing from the others.

use super::STATUS;
use crate::alarm::survey::{Seen, Survey, Ups, add_limits};
use crate::alarm::{AlarmEvent, Book, Kind, Place, Quantity, Reading, Side, Thresholds, Watcher};
use crate::events::{Category, Event};
use crate::jobs::When;
use crate::points::{Name, Value};
use crate::scan::Phase;
use crate::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// First parts of names under which no driver of a UPS publishes.
const NO_UPS: [&str; 4] = ["string", "device", "guard", "rule"];
/// Kinds of events about UPSes that follow from their status words.
const OF_UPSES: [&str; 5] =
    ["ups_on_battery", "ups_on_mains", "ups_battery_low", "ups_lost", "ups_back"];
/// Kinds of events that rules, calendar and jobs make. A rehearsed job never
/// fails.
const OWN: [&str; 8] = [
    "rule_raised",
    "rule_cleared",
    "schedule_due",
    "schedule_missed",
    "job_said",
    "job_done",
    "jobs_dropped",
    "sequence_ended",
];
/// Alarms that follow from the status words of a UPS and that the book tells;
/// the others have events of their own.
const OF_STATUS: [Kind; 3] = [Kind::UpsReplaceBattery, Kind::UpsOverload, Kind::UpsOnBypass];

/// The alarm book of a rehearsal, and what it looks at.
pub struct Alarms<'t> {
    thresholds: &'t Thresholds,
    /// Points with a threshold of their own.
    with_threshold: BTreeSet<&'t str>,
    /// Roots of UPSes that told their status, and the name by which they do.
    upses: BTreeMap<String, Name>,
    /// Points of the script that thresholds are compared with.
    watched: Vec<(Name, Place, Quantity)>,
    known: BTreeSet<Name>,
    survey: Survey,
    watcher: Watcher,
    book: Book,
}

impl<'t> Alarms<'t> {
    /// Nothing seen yet, with these thresholds in force.
    pub fn new(thresholds: &'t Thresholds) -> Self {
        Self {
            thresholds,
            with_threshold: thresholds.points().collect(),
            upses: BTreeMap::new(),
            watched: Vec::new(),
            known: BTreeSet::new(),
            survey: Survey::default(),
            watcher: Watcher::default(),
            book: Book::default(),
        }
    }

    /// The script speaks of this point.
    pub fn hear(&mut self, name: &Name) {
        if !self.known.insert(name.clone()) {
            return;
        }
        let text = name.as_str();
        if let Some(root) = text.strip_suffix(STATUS) {
            self.upses.insert(root.to_owned(), name.clone());
        }
        if let Some((root, quantity)) = variable(text) {
            self.watched.push((name.clone(), Place::Source(root.to_owned()), quantity));
        }
        if self.with_threshold.contains(text) {
            self.watched.push((name.clone(), Place::Point(text.to_owned()), Quantity::Point));
        }
    }

    /// One look at the points; what the book tells.
    pub fn step(&mut self, points: &BTreeMap<Name, Value>, now: Nanos, unix_ms: u64) -> Vec<Event> {
        let status = |name: &Name| match points.get(name) {
            Some(Value::Text(words)) => Some(words.as_str()),
            _ => None,
        };
        // One that told its status once is missed when it tells none.
        let upses = self.upses.iter();
        let upses: Vec<Ups<'_>> =
            upses.map(|(root, name)| Ups { root, missed: true, status: status(name) }).collect();
        let seen = Seen { connected: true, upses: &upses, ..Seen::default() };
        let book = &self.book;
        let before = |kind, place: &Place| book.standing(kind, place);
        let mut standing = self.survey.step(&seen, before, now);
        // What a script says of points of the guard is known, without a guard.
        standing.blind.retain(|place| *place != Place::Guard);
        let readings = self.watched.iter().map(|(name, place, quantity)| Reading {
            place: place.clone(),
            quantity: *quantity,
            value: points.get(name).and_then(number),
            battery: None,
            phase: Phase::Unknown,
        });
        let limits = self.watcher.step(self.thresholds, readings, before, now);
        add_limits(&mut standing, limits);
        let changes = self.book.step(&standing, unix_ms);
        changes.iter().filter_map(AlarmEvent::of).map(Event::Alarm).collect()
    }

    /// Whether some event that follows from the points of this script could fit.
    pub fn may_begin(&self, when: &When) -> bool {
        let roots = || self.upses.keys().map(String::as_str);
        match when.kind.as_deref() {
            Some("alarm") => self.has_alarm(when),
            Some(kind) if OF_UPSES.contains(&kind) => when.allows("ups", roots()),
            Some(kind) => OWN.contains(&kind),
            None => match when.category {
                None | Some(Category::System) => true,
                Some(Category::Ups) => roots().next().is_some() || self.has_alarm(when),
                Some(Category::Battery | Category::Plugin | Category::Access) => false,
            },
        }
    }

    /// Whether an alarm of a kind and at a place of this script could fit.
    fn has_alarm(&self, when: &When) -> bool {
        let fits = |kind: Kind, place: &Place| {
            let (kind, place) = (kind.to_string(), place.to_string());
            when.allows("what", [kind.as_str()]) && when.allows("place", [place.as_str()])
        };
        let of_status = self.upses.keys().any(|root| {
            let place = Place::Source(root.clone());
            OF_STATUS.into_iter().any(|kind| fits(kind, &place))
        });
        of_status
            || self.watched.iter().any(|(_, place, quantity)| {
                [Side::High, Side::Low].into_iter().any(|side| {
                    quantity.has(side)
                        && self.thresholds.watches(*quantity, side)
                        && fits(Kind::Limit(*quantity, side), place)
                })
            })
    }
}

/// `ups.0.battery.charge`: the root of the UPS, and what of it.
fn variable(name: &str) -> Option<(&str, Quantity)> {
    if NO_UPS.contains(&name.split('.').next()?) {
        return None;
    }
    let dots = name.match_indices('.').map(|(at, _)| at);
    dots.map(|at| (&name[..at], &name[at + 1..]))
        .find_map(|(root, variable)| Some((root, Quantity::of_ups(variable)?)))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Flag(on) => Some(f64::from(u8::from(*on))),
        Value::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Script, Table, Telling, rehearse};
    use super::*;
    use crate::alarm::threshold::{Level, Rule, Scope};
    use crate::automation::Document;
    use crate::schedule::Utc;

    const PLAN: &str = r#"
confirm = ["device.3:output.2"]
[[job]]
name = "generator"
when = { kind = "alarm", fields = { what = "limit.battery.charge.low", place = "ups.0" } }
action = { do = "output", device = 3, output = 2, on = true }
undo = { do = "output", device = 3, output = 2, on = false }
[[job]]
name = "less-load"
when = { kind = "alarm", fields = { what = "ups-overload" } }
action = { do = "webhook", to = "hosts" }
[[job]]
name = "oil"
when = { kind = "alarm", fields = { place = "point.device.1.analog.2" } }
action = { do = "log", text = "oil" }
[[job]]
name = "module"
when = { kind = "module_lost" }
action = { do = "log", text = "module" }
[[job]]
name = "other-ups"
when = { kind = "ups_on_battery", fields = { ups = "ups.1" } }
action = { do = "log", text = "other" }
[[job]]
name = "hot"
when = { kind = "alarm", fields = { what = "limit.block-temperature.high" } }
action = { do = "log", text = "hot" }
"#;

    fn table(script: &str, thresholds: &Thresholds) -> Table {
        let plan = Document::parse(PLAN).and_then(Document::plan).expect("a plan");
        let (script, frames) = Script::parse(script).expect("a script");
        let begin_ms = u64::from(script.begin_unix_s) * 1_000;
        let for_ms = u64::from(script.for_s) * 1_000;
        let telling = Telling::Words(thresholds);
        rehearse(&plan, frames.into_iter(), telling, begin_ms, for_ms, &Utc)
    }

    const OUTAGE: &str = r#"
for_s = 1200
[[at]]
s = 0
points = { "ups.0.ups.status" = "OL", "ups.0.battery.charge" = 100 }
[[at]]
s = 60
points = { "ups.0.ups.status" = "OB" }
[[at]]
s = 300
points = { "ups.0.battery.charge" = 40 }
[[at]]
s = 600
points = { "ups.0.ups.status" = "OL CHRG" }
[[at]]
s = 900
points = { "ups.0.battery.charge" = 80 }
"#;

    #[test]
    fn a_charge_below_its_threshold_raises_an_alarm_that_jobs_follow() {
        let found = table(OUTAGE, &Thresholds::default());
        let text = found.to_string();
        // Beyond for 30 s, and within for 10 s, as the built-in threshold has it.
        for row in [
            "     330.0 s  event   alarm 2 (limit.battery.charge.low at ups.0): raised, 40 %, limit 50 %\n",
            "     330.0 s  action  job generator: switch output 2 of device 3 on\n",
            "     910.0 s  event   alarm 2 (limit.battery.charge.low at ups.0): over",
            "     910.0 s  action  job generator: switch output 2 of device 3 off, to take it back\n",
        ] {
            assert!(text.contains(row), "{row}in\n{text}");
        }
        assert!(!text.contains("job less-load:"), "{text}");
        assert_eq!(found.not_simulated, ["oil", "module", "other-ups", "hot"]);
        assert!(text.ends_with("never begun by it: oil, module, other-ups, hot\n"), "{text}");
    }

    #[test]
    fn the_thresholds_are_those_that_are_given() {
        let later = Rule {
            warning: Some(Level::At(30.0)),
            ..Rule::new(Scope::System, Quantity::Ups("battery.charge"), Side::Low)
        };
        let oil = Rule {
            alarm: Some(Level::At(5.0)),
            ..Rule::new(
                Scope::Place(Place::Point("device.1.analog.2".into())),
                Quantity::Point,
                Side::Low,
            )
        };
        let thresholds = Thresholds::new(vec![later, oil]).expect("good rules");
        let script = format!("{OUTAGE}[[at]]\ns = 1000\npoints = {{ 'device.1.analog.2' = 4 }}\n");
        let found = table(&script, &thresholds);
        let text = found.to_string();
        assert!(!text.contains("generator"), "40 % is no news any more: {text}");
        assert!(text.contains("limit.point.low at point.device.1.analog.2"), "{text}");
        assert!(text.contains("job oil: log"), "{text}");
        assert_eq!(found.not_simulated, ["module", "other-ups", "hot"]);
    }

    #[test]
    fn status_words_raise_alarms_and_what_the_script_tells_begins_jobs() {
        let script = r#"
for_s = 60
[[at]]
s = 0
points = { "ups.0.ups.status" = "OL OVER" }
[[at]]
s = 20
points = { "ups.0.ups.status" = "OL" }
events = [{ kind = "module_lost", string = 1, block = 2 }]
"#;
        let found = table(script, &Thresholds::default());
        let text = found.to_string();
        for said in [
            "alarm 1 (ups-overload at ups.0): raised",
            "job less-load: send it to hosts",
            "alarm 1 (ups-overload at ups.0): over",
            "job module: log",
        ] {
            assert!(text.contains(said), "{said} in\n{text}");
        }
        assert_eq!(found.not_simulated, ["generator", "oil", "other-ups", "hot"]);
    }

    #[test]
    fn variables_of_a_ups_are_known_by_their_names() {
        assert_eq!(variable("ups.0.ups.load"), Some(("ups.0", Quantity::Ups("ups.load"))));
        for none in ["ups.0.ups.status", "string.1.battery.charge", "ups.load.x", "battery"] {
            assert_eq!(variable(none), None, "{none}");
        }
    }
}
