//! What jobs say and send: the event in words of the document's language, or a
//! text of the user's own with values put in (`crate::words::template`).
//!
//! | name | value |
//! |---|---|
//! | `text` | the event in words |
//! | `job` | the job |
//! | `severity` | how bad the event is: information, warning, alarm |
//! | another name without a dot | a field of the event, by its name in the API: `string`, `block`, `deviation_mv`, …; of alarms `value` and `limit`, too |
//! | a name with dots | the present value of that point |
//!
//! Numbers have their unit and are written as the language does, whatever unit the
//! API has: `{temperature_dc}` is `61,2 °C`. Times are those of the document's zone.
//!
//! A field that the event does not have, and a point that is not there or not
//! fresh, is written as [`UNKNOWN`]: a message with a gap is better than none.

use crate::hub::Hub;
use crate::words::template::Value as Filling;
use crate::words::{Lang, Template, TemplateError, Values, words};
use evenkeel_core::jobs::Task;
use evenkeel_core::points::{Name, Point, Quality, Value};

/// Stands for a value that is not known.
pub const UNKNOWN: &str = "?";

/// What `task` says or sends.
///
/// # Errors
/// When its text is no template, or its values make it too long.
pub fn of(task: &Task, lang: Lang, hub: &Hub) -> Result<String, TemplateError> {
    let event = words().event(lang, &task.event);
    let Some(text) = task.action.text() else { return Ok(event) };
    let template = Template::parse(text)?;
    let mut values = Values::default();
    for name in template.names() {
        let value = match name {
            "text" => Filling::Text(event.clone()),
            "job" => Filling::Text(task.job.clone()),
            "severity" => Filling::Text(words().severity(lang, task.event.severity())),
            name if name.contains('.') => point(hub, name).unwrap_or_else(unknown),
            name => words().field(lang, &task.event, name).unwrap_or_else(unknown),
        };
        values.0.insert(name.to_owned(), value);
    }
    template.fill(lang, &values)
}

fn unknown() -> Filling {
    Filling::Text(UNKNOWN.to_owned())
}

fn point(hub: &Hub, name: &str) -> Option<Filling> {
    let name = Name::parse(name).ok()?;
    let Point { value, unit, quality, .. } = hub.get(&[name]).pop().flatten()?;
    if !matches!(quality, Quality::Good | Quality::Estimated) {
        return None;
    }
    Some(match value {
        Value::Number(value) => Filling::Number { value, unit: unit.symbol().to_owned() },
        Value::Text(text) => Filling::Text(text),
        Value::Flag(yes) => Filling::Text(if yes { "1" } else { "0" }.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use evenkeel_core::events::{Event, Severity};
    use evenkeel_core::jobs::Action;
    use evenkeel_core::points::Unit;

    fn task(text: &str, event: Event) -> Task {
        Task {
            instance: "7.tell.0".into(),
            job: "tell".into(),
            action: Action::Log { text: text.into(), severity: Severity::Info },
            undo: false,
            event,
            event_id: 7,
            event_unix_ms: 1,
            words: None,
        }
    }

    #[test]
    fn values_are_put_in_as_the_language_writes_them() {
        let hub = Hub::default();
        let point =
            |value, quality| Point { value, unit: Unit::Percent, quality, at: clock::now() };
        let name = |text| Name::parse(text).expect("a name");
        let load = point(Value::Number(34.56), Quality::Good);
        let old = point(Value::Number(1.0), Quality::Stale);
        hub.publish(
            "ups.0",
            clock::now(),
            [(name("ups.0.ups.load"), load), (name("ups.0.battery.charge"), old)],
        );
        let lost = || Event::ModulesLost { string: 2, blocks: vec![17, 18] };
        let text = "{job}: {string}/{blocks} {severity} {ups.0.ups.load:1} \
                    {ups.0.battery.charge} {ups.1.ups.load} {nothing} {{}}";
        for (lang, filled) in [
            (Lang::En, "tell: 2/17, 18 Warning 34.6% ? ? ? {}"),
            (Lang::De, "tell: 2/17, 18 Warnung 34,6\u{a0}% ? ? ? {}"),
        ] {
            assert_eq!(of(&task(text, lost()), lang, &hub).as_deref(), Ok(filled), "{lang:?}");
        }
        let german = of(&task("{text}", lost()), Lang::De, &hub).expect("filled");
        assert_eq!(german, words().event(Lang::De, &lost()));
        assert_ne!(german, words().event(Lang::En, &lost()));
        assert!(of(&task("{", lost()), Lang::En, &hub).is_err());
    }
}
