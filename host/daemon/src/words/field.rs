//! One field of an event, for people: what a text of the user's own puts in.
//!
//! The names are those of the API, whose numbers are whole and in small units that
//! their names end with. Here they have the unit that people read.

use super::template::Value;
use super::{Lang, Words, message};
use evenkeel_core::alarm::{AlarmEvent, Kind};
use evenkeel_core::events::Event;
use serde_json::Value as Json;

/// What a name ends with, the unit that is written, and the digits between the two.
const UNITS: [(&str, &str, i32); 5] =
    [("_mv", "V", 3), ("_ma", "A", 3), ("_mah", "Ah", 3), ("_dc", "°C", 1), ("_s", "s", 0)];
/// Fields that are instants, and milliseconds of one of their units.
const INSTANTS: [(&str, f64); 2] = [("planned_s", 1e3), ("until_ms", 1.0)];

/// See [`Words::field`].
pub fn field(words: &Words, lang: Lang, event: &Event, name: &str) -> Option<Value> {
    if let Event::Alarm(alarm) = event
        && let Some(value) = of_alarm(words, lang, alarm, name)
    {
        return value;
    }
    if let (Some(action), "action") = (message::action_of(event), name) {
        return Some(Value::Text(words.action(lang, action)));
    }
    // Events are stored this way: all of them can be.
    let fields = serde_json::to_value(event).ok()?;
    Some(match fields.get(name)? {
        Json::Null | Json::Object(_) => return None,
        Json::String(text) => Value::Text(message::text(words, lang, name, text.clone())),
        Json::Bool(yes) => Value::Text(words.word(lang, if *yes { "page-yes" } else { "page-no" })),
        Json::Number(number) => return number_of(words, name, number.as_f64()?),
        Json::Array(list) => {
            let parts = list.iter().map(|part| match part {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            });
            Value::Text(parts.collect::<Vec<_>>().join(", "))
        }
    })
}

fn number_of(words: &Words, name: &str, number: f64) -> Option<Value> {
    if let Some((_, ms)) = INSTANTS.iter().find(|(instant, _)| *instant == name) {
        // What is not known is kept as the beginning of time.
        return (number > 0.0).then(|| Value::Text(words.time((number * ms) as u64)));
    }
    let unit = UNITS.iter().find(|(ending, ..)| name.ends_with(ending));
    let (unit, digits) = unit.map_or(("", 0), |(_, unit, digits)| (*unit, *digits));
    Some(Value::Number { value: number / 10f64.powi(digits), unit: unit.to_owned() })
}

/// The fields of an alarm that are more than their JSON; `None`: it is another one.
fn of_alarm(words: &Words, lang: Lang, alarm: &AlarmEvent, name: &str) -> Option<Option<Value>> {
    let measured = |milli: Option<i64>| {
        let unit = alarm.what.map_or("", Kind::unit).to_owned();
        milli.map(|milli| Value::Number { value: milli as f64 / 1e3, unit })
    };
    Some(match name {
        "what" => alarm.what.map(|kind| Value::Text(words.kind(lang, kind))),
        "place" => alarm.place.as_ref().map(|place| Value::Text(words.place(lang, place))),
        "level" => Some(Value::Text(words.severity(lang, alarm.level))),
        "value" | "value_milli" => measured(alarm.value_milli),
        "limit" | "limit_milli" => measured(alarm.limit_milli),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;
    use crate::words::{Template, Values};
    use evenkeel_core::protect::TripCause;

    fn said(lang: Lang, event: &Event, text: &str) -> String {
        let template = Template::parse(text).expect("good");
        let mut values = Values::default();
        for name in template.names() {
            let value = field(words(), lang, event, name);
            values.0.insert(name.to_owned(), value.unwrap_or(Value::Text("?".into())));
        }
        template.fill(lang, &values).expect("filled").replace('\u{a0}', " ")
    }

    #[test]
    fn numbers_have_the_unit_that_people_read() {
        let off = Event::StringOutOfBand { string: 1, deviation_mv: -905 };
        assert_eq!(said(Lang::De, &off, "{string}: {deviation_mv:3}"), "1: \u{2212}0,905 V");
        let cause = TripCause::TwoTemperatures;
        let trip = Event::Tripped { string: 1, block: 3, cause, temperature_dc: 612 };
        assert_eq!(said(Lang::De, &trip, "{temperature_dc}"), "61,2 °C");
        assert_ne!(said(Lang::De, &trip, "{cause}"), "two_temperatures");
        let end = Event::DischargeEnded {
            string: 1,
            duration_s: 605,
            drawn_mah: Some(12_500),
            first_collapsed: None,
        };
        let text = "{duration_s} {drawn_mah} {first_collapsed} {nothing}";
        assert_eq!(said(Lang::De, &end, text), "10 min 5 s 12,5 Ah ? ?");
        let weak =
            Event::EqualizingInfeasible { string: 1, block: 2, needs_ma: 350, gives_ma: 150 };
        assert_eq!(said(Lang::En, &weak, "{needs_ma:2}/{gives_ma:2}"), "0.35 A/0.15 A");
        let due = |planned_s| Event::ScheduleMissed { entry: "x".into(), count: 2, planned_s };
        assert!(said(Lang::En, &due(1_795_345_200), "{planned_s}").starts_with("2026-11-22 "));
        assert_eq!(said(Lang::En, &due(0), "{planned_s}"), "?");
    }

    /// Whatever number an event has, its name says its unit, or it is a count.
    #[test]
    fn the_table_of_units_is_whole() {
        let source = include_str!("../../../core/src/events.rs");
        let variants =
            source.split("pub enum Event {").nth(1).and_then(|s| s.split("\n}\n").next());
        let field =
            |line: &'static str| line.strip_prefix("        ")?.strip_suffix(',')?.split_once(": ");
        let fields = variants.expect("the enum").lines().filter_map(field);
        let numbers = fields
            .filter(|(_, kind)| ["u64", "u32", "i64", "i32"].iter().any(|k| kind.contains(k)));
        let known = ["count", "attempts", "revision", "samples_lost", "floor"];
        let mut seen = 0;
        for (name, _) in numbers {
            let has_unit = UNITS.iter().any(|(ending, ..)| name.ends_with(ending));
            assert!(has_unit || known.contains(&name), "{name}: which unit?");
            seen += 1;
        }
        assert!(seen > 10, "{seen} numbers");
    }

    #[test]
    fn an_alarm_is_told_with_its_value_and_limit() {
        let text = "kind = 'alarm'\nchange = 'raised'\nalarm = 3\n\
            what = 'limit.block-temperature.high'\nplace = 'string.1'\nlevel = 'warning'\n\
            members = 2\nblocks = [4, 5]\nvalue_milli = 41500\nlimit_milli = 40000\nover = false";
        let event: Event = toml::from_str(text).expect("an event");
        let text = "{level}: {place} {blocks} {value} > {limit}";
        assert_eq!(said(Lang::De, &event, text), "Warnung: Strang 1 4, 5 41,5 °C > 40 °C");
        assert_ne!(said(Lang::De, &event, "{what}"), said(Lang::En, &event, "{what}"));
        assert_eq!(said(Lang::De, &event, "{until_ms}"), "?");
    }
}
