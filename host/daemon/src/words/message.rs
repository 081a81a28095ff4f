//! From an event to its message: the event's kind names the message, its fields
//! are the values. Nothing has to be written twice: an event that is added
//! needs a message, and a test says so.
//!
//! A field that is a word of the program (a condition, a cause, a verdict) is
//! itself a message, so that it is translated; lists of blocks become ranges
//! with their count beside them (`$blocks`, `$blocks_count`). A field that is
//! not there is `none`.

use super::{Lang, Words, number};
use evenkeel_core::alarm::{AlarmEvent, Kind};
use evenkeel_core::events::{Event, IN_BAND_MV, Ranges, SalvagedTable};
use evenkeel_core::image;
use evenkeel_core::jobs::{Action, Reason};
use fluent_bundle::FluentArgs;
use serde_json::Value;

/// Fields that an event may lack.
const OPTIONAL: [&str; 11] = [
    "aborted",
    "drawn_mah",
    "first_collapsed",
    "via",
    "by",
    "refused",
    "value",
    "cause",
    "verdict",
    "user",
    "note",
];
/// Fields whose words are messages, and what stands before them in their names.
const WORDS: [(&str, &str); 4] =
    [("condition", "finding-"), ("level", "level-"), ("cause", "cause-"), ("verdict", "verdict-")];

/// See [`Words::event`].
pub fn event(words: &Words, lang: Lang, event: &Event) -> String {
    if let Event::Alarm(alarm) = event {
        return of_alarm(words, lang, alarm);
    }
    // Events are stored this way: all of them can be.
    let Ok(Value::Object(fields)) = serde_json::to_value(event) else { return event.to_string() };
    let mut args = FluentArgs::new();
    OPTIONAL.iter().for_each(|name| args.set(*name, "none"));
    args.set("in_band_mv", IN_BAND_MV);
    let mut kind = String::new();
    for (name, value) in fields {
        match value {
            Value::String(text) if name == "kind" => kind = text.replace('_', "-"),
            Value::String(text) => args.set(name.clone(), self::text(words, lang, &name, text)),
            Value::Number(number) => args.set(name, number.as_f64().unwrap_or_default()),
            Value::Bool(yes) => args.set(name, if yes { "yes" } else { "no" }),
            Value::Array(list) => set_list(&mut args, name, &list),
            Value::Null | Value::Object(_) => {}
        }
    }
    if let Some(action) = action_of(event) {
        args.set("action", words.action(lang, action));
    }
    if let Event::StoreSalvaged { tables, .. } = event {
        args.set("tables", salvaged(words, lang, tables));
    }
    words.message(lang, &format!("event-{kind}"), &args)
}

/// What a job did or was to do, as far as the event has more than words of the
/// log for it.
pub(super) fn action_of(event: &Event) -> Option<&Action> {
    match event {
        Event::JobDone { act, .. } | Event::JobFailed { act, .. } => act.as_deref(),
        _ => None,
    }
}

/// Tables with their rows; one that this version has no word for by its name.
fn salvaged(words: &Words, lang: Lang, tables: &[SalvagedTable]) -> String {
    let told = tables.iter().filter(|table| table.kept > 0 || table.lost > 0).map(|table| {
        let name = format!("table-{}", table.table.replace('_', "-"));
        let is_known = words.has(Lang::En, &name, None);
        let mut args = FluentArgs::new();
        args.set("what", if is_known { words.word(lang, &name) } else { table.table.clone() });
        args.set("kept", table.kept);
        args.set("lost", table.lost);
        words.message(lang, "salvaged-table", &args)
    });
    told.collect::<Vec<_>>().join(", ")
}

fn of_alarm(words: &Words, lang: Lang, event: &AlarmEvent) -> String {
    let mut args = FluentArgs::new();
    let AlarmEvent { what, place, .. } = event;
    args.set("alarm", event.alarm);
    args.set("what", what.map_or_else(String::new, |kind| words.kind(lang, kind)));
    args.set("place", place.as_ref().map_or_else(String::new, |place| words.place(lang, place)));
    args.set("level", words.word(lang, &format!("level-{:?}", event.level).to_lowercase()));
    args.set("members", event.members);
    args.set("blocks", Ranges(&event.blocks).to_string());
    args.set("blocks_count", event.blocks.len() as u32);
    let unit = what.map_or("", Kind::unit);
    let show = |milli: Option<i64>| match milli {
        Some(milli) => number::measured(lang, milli as f64 / 1e3, unit),
        None => "none".to_owned(),
    };
    args.set("value", show(event.value_milli));
    args.set("limit", show(event.limit_milli));
    args.set("user", event.user.clone().unwrap_or_default());
    args.set("note", event.note.clone().unwrap_or_else(|| "none".to_owned()));
    args.set("until_ms", event.until_ms.unwrap_or_default() as f64);
    let change = serde_json::to_value(event.change).ok();
    let change = change.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', "-");
    words.message(lang, &format!("alarm-{change}"), &args)
}

fn set_list(args: &mut FluentArgs<'_>, name: String, list: &[Value]) {
    let count = list.len() as u32;
    let numbers: Vec<u16> =
        list.iter().filter_map(|n| n.as_u64().and_then(|n| u16::try_from(n).ok())).collect();
    let text = if numbers.len() == list.len() {
        Ranges(&numbers).to_string()
    } else {
        list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    args.set(format!("{name}_count"), count);
    args.set(name, text);
}

/// A field's text: translated when it is a word of the program.
pub(super) fn text(words: &Words, lang: Lang, field: &str, text: String) -> String {
    if field == "condition"
        && let Some(condition) = image::Condition::ALL.into_iter().find(|c| c.text() == text)
    {
        return match condition {
            image::Condition::PortLost => words.word(lang, "bus-lost"),
            image::Condition::DeviceLost => words.word(lang, "device-lost"),
            condition => words.kind(lang, Kind::Guard(condition)),
        };
    }
    if matches!(field, "reason" | "aborted")
        && let Some(reason) = Reason::of(&text)
    {
        return words.word(lang, &format!("job-reason-{}", reason.code()));
    }
    let Some((_, prefix)) = WORDS.iter().find(|(name, _)| *name == field) else { return text };
    let name = format!("{prefix}{}", kebab(&text));
    if words.has(Lang::En, &name, None) { words.word(lang, &name) } else { text }
}

/// `TemperatureHigh`, `temperature_high` → `temperature-high`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    text
}
