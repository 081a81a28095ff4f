//! An event of the store as a notifier is told it. Pure.

use crate::plugin::bindings::sink;
use crate::store::StoredEvent;
use evenkeel_core::events::Severity;
use serde::Serialize as _;
use serde_json::Value;

/// `stored` in the form of `evenkeel:events/types`.
#[must_use]
pub fn record(stored: &StoredEvent) -> sink::Event {
    let event = &stored.event;
    let (kind, details) = parts(event);
    sink::Event {
        sequence: stored.id,
        utc_ms: stored.unix_ms,
        severity: match event.severity() {
            Severity::Info => 0,
            Severity::Warning => 1,
            Severity::Alarm => 2,
        },
        category: word(&event.category().serialize(serde_json::value::Serializer)),
        kind,
        text: event.to_string(),
        details,
    }
}

/// The kind and the fields, named as in the API.
fn parts(event: &evenkeel_core::events::Event) -> (String, Vec<(String, String)>) {
    // Every event is an object with a tag; one that is not has no parts.
    let Ok(Value::Object(mut fields)) = serde_json::to_value(event) else {
        return (String::new(), Vec::new());
    };
    let kind = fields.remove("kind").map(|kind| text(&kind)).unwrap_or_default();
    let known = fields.iter().filter(|(_, value)| !value.is_null());
    (kind, known.map(|(name, value)| (name.clone(), text(value))).collect())
}

fn word(value: &Result<Value, serde_json::Error>) -> String {
    value.as_ref().map(text).unwrap_or_default()
}

/// A value as people write it; several are parted by commas.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::events::Event;

    fn told(event: Event) -> sink::Event {
        record(&StoredEvent { id: 7, unix_ms: 1_795_282_672_123, event })
    }

    #[test]
    fn an_event_in_words_and_in_parts() {
        let told = told(Event::ModulesLost { string: 2, blocks: vec![17, 18] });
        assert_eq!((told.sequence, told.utc_ms), (7, 1_795_282_672_123));
        assert_eq!((told.severity, told.category.as_str()), (1, "battery"));
        assert_eq!(told.kind, "modules_lost");
        assert_eq!(told.text, Event::ModulesLost { string: 2, blocks: vec![17, 18] }.to_string());
        let details: Vec<_> =
            told.details.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(details, [("blocks", "17,18"), ("string", "2")]);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_every_kind_has_a_name() {
        let ended = Event::DischargeEnded {
            string: 1,
            duration_s: 60,
            drawn_mah: None,
            first_collapsed: None,
        };
        let told_ended = told(ended);
        let names: Vec<_> = told_ended.details.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["duration_s", "string"]);
        let lost = told(Event::GuardLost);
        assert_eq!((lost.severity, lost.kind.as_str(), lost.details.len()), (2, "guard_lost", 0));
        assert_eq!(told(Event::Unknown).kind, "unknown");
    }
}
