//! What an action or a rhythm needs, as fields of a form: which ones depends on
//! what was chosen, so a form is shown anew when somebody chooses another. What
//! was entered becomes the same JSON as over the API.

use super::fields::Fields;
use super::reader::Reader;
use askama::Template;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How something is entered.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One line.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// One of these words; each has a message `page-word-…`.
    Choice(&'static [&'static str]),
    /// Some of these.
    Several(&'static [&'static str]),
    /// A time of day.
    Time,
    /// A date.
    Date,
}

/// A field: its name in the API, how it is entered, and whether it may be left
/// out.
pub struct Param(pub &'static str, pub Kind, pub bool);

/// One of the things that can be chosen, and what it needs.
pub struct Choosable(pub &'static str, pub &'static [Param]);

const SEVERITIES: Kind = Kind::Choice(&["info", "warning", "alarm"]);
const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const AT: Param = Param("at", Kind::Time, false);

/// What a job can do (`evenkeel_core::jobs::Action`).
pub const ACTIONS: &[Choosable] = &[
    Choosable("log", &[Param("text", Kind::Text, false), Param("severity", SEVERITIES, true)]),
    Choosable(
        "output",
        &[
            Param("device", Kind::Number, false),
            Param("output", Kind::Number, false),
            Param("on", Kind::Flag, false),
        ],
    ),
    Choosable("alarm-relay", &[Param("healthy", Kind::Flag, false)]),
    Choosable("mute", &[]),
    Choosable(
        "signal",
        &[
            Param("tone", Kind::Choice(&["slow", "rare", "steady", "silent"]), true),
            Param("lamp", Kind::Flag, true),
            Param("seconds", Kind::Number, false),
        ],
    ),
    Choosable(
        "lamp",
        &[
            Param("bus", Kind::Number, false),
            Param("address", Kind::Number, false),
            Param("seconds", Kind::Number, false),
        ],
    ),
    Choosable(
        "command",
        &[
            Param("target", Kind::Text, false),
            Param("command", Kind::Text, false),
            Param("value", Kind::Text, true),
        ],
    ),
    Choosable("notify", &[Param("plugin", Kind::Text, false)]),
    Choosable("webhook", &[Param("to", Kind::Text, false)]),
    Choosable(
        "wake-on-lan",
        &[
            Param("mac", Kind::Text, false),
            Param("to", Kind::Text, true),
            Param("secure_on", Kind::Text, true),
        ],
    ),
    Choosable("sequence", &[Param("sequence", Kind::Text, false)]),
];

/// How often something is due (`evenkeel_core::schedule::Rhythm`).
pub const RHYTHMS: &[Choosable] = &[
    Choosable("day", &[AT, Param("days", Kind::Number, true)]),
    Choosable("week", &[AT, Param("weekdays", Kind::Several(DAYS), false)]),
    Choosable("month", &[AT, Param("day", Kind::Number, false)]),
    Choosable(
        "month-weekday",
        &[AT, Param("nth", Kind::Number, false), Param("weekday", Kind::Choice(DAYS), false)],
    ),
    Choosable(
        "year",
        &[AT, Param("month", Kind::Number, false), Param("day", Kind::Number, false)],
    ),
    Choosable(
        "minutes",
        &[Param("minutes", Kind::Number, false), Param("window", Kind::Text, true)],
    ),
    Choosable("once", &[AT, Param("on", Kind::Date, false)]),
];

/// The fields of what was chosen.
#[derive(Template)]
#[template(path = "pages/params.html")]
pub struct Group {
    inputs: Vec<Input>,
}

struct Input {
    name: String,
    label: String,
    /// `text`, `number`, `time`, `date`, `select` or `boxes`.
    kind: &'static str,
    value: String,
    optional: bool,
    /// Value, text, and whether it is chosen.
    choices: Vec<(String, String, bool)>,
    error: String,
}

/// What a form says about one of `options`, as the API has it. `tag` is the
/// field that says which; errors go to the names of fields.
pub fn read(
    reader: &Reader,
    options: &[Choosable],
    (tag, prefix): (&str, &str),
    fields: &Fields,
    errors: &mut BTreeMap<String, String>,
) -> Value {
    let chosen = fields.one(&format!("{prefix}{tag}")).to_owned();
    let mut map = Map::from_iter([(tag.to_owned(), Value::from(chosen.as_str()))]);
    for Param(param, kind, optional) in params(options, &chosen) {
        let name = format!("{prefix}{param}");
        let text = fields.one(&name);
        if text.is_empty() {
            if !optional {
                errors.insert(name, reader.word("page-needed"));
            }
            continue;
        }
        let value = match kind {
            Kind::Number => match text.parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => {
                    errors.insert(name, reader.word("page-whole-number"));
                    continue;
                }
            },
            Kind::Flag => Value::from(text == "yes"),
            Kind::Several(words) => {
                let chosen = fields.all(&name);
                words.iter().filter(|word| chosen.contains(**word)).copied().collect()
            }
            _ => Value::from(text),
        };
        map.insert((*param).to_owned(), value);
    }
    Value::Object(map)
}

/// The fields of a form for what is in force.
pub fn write(value: &Value, prefix: &str, fields: &mut Fields) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        match value {
            Value::Bool(flag) => fields.set(&name, if *flag { "yes" } else { "no" }),
            Value::Array(many) => {
                let words =
                    many.iter().filter_map(|word| Some((name.clone(), word.as_str()?.into())));
                fields.0.extend(words);
            }
            Value::String(text) => fields.set(&name, text.as_str()),
            other => fields.set(&name, other.to_string()),
        }
    }
}

/// The fields that `chosen` needs.
pub fn group(
    reader: &Reader,
    options: &[Choosable],
    chosen: &str,
    prefix: &str,
    fields: &Fields,
    errors: &BTreeMap<String, String>,
) -> Group {
    let input = |Param(param, kind, optional): &Param| {
        let name = format!("{prefix}{param}");
        let given = fields.one(&name).to_owned();
        let all = fields.all(&name);
        let words = |words: &[&str]| -> Vec<(String, String, bool)> {
            let word = |word: &&str| {
                let text = reader.word(&format!("page-word-{word}"));
                ((*word).to_owned(), text, all.contains(*word))
            };
            words.iter().map(word).collect()
        };
        let (kind, choices) = match kind {
            Kind::Text => ("text", Vec::new()),
            Kind::Number => ("number", Vec::new()),
            Kind::Time => ("time", Vec::new()),
            Kind::Date => ("date", Vec::new()),
            Kind::Flag => ("select", words(&["yes", "no"])),
            Kind::Choice(all) => ("select", words(all)),
            Kind::Several(all) => ("boxes", words(all)),
        };
        Input {
            label: reader.word(&format!("page-param-{}", param.replace('_', "-"))),
            error: errors.get(&name).cloned().unwrap_or_default(),
            value: given,
            optional: *optional,
            name,
            kind,
            choices,
        }
    };
    Group { inputs: params(options, chosen).iter().map(input).collect() }
}

/// What can be chosen, with its words; `chosen` is marked.
pub fn choices(
    reader: &Reader,
    options: &[Choosable],
    chosen: &str,
) -> Vec<(String, String, bool)> {
    let one = |Choosable(word, _): &Choosable| {
        ((*word).to_owned(), reader.word(&format!("page-do-{word}")), *word == chosen)
    };
    options.iter().map(one).collect()
}

fn params(options: &[Choosable], chosen: &str) -> &'static [Param] {
    options.iter().find(|Choosable(word, _)| *word == chosen).map_or(&[], |Choosable(_, p)| *p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;
    use evenkeel_core::jobs::Action;
    use evenkeel_core::schedule::Rhythm;

    /// Whatever can be chosen has its words, and so has what it needs.
    #[test]
    fn everything_that_can_be_chosen_has_words() {
        let said = |name: &str| {
            let text = words().word(crate::words::Lang::De, name);
            assert_ne!(text, name, "no message");
        };
        for Choosable(word, params) in ACTIONS.iter().chain(RHYTHMS) {
            said(&format!("page-do-{word}"));
            for Param(param, kind, _) in *params {
                said(&format!("page-param-{}", param.replace('_', "-")));
                if let Kind::Choice(all) | Kind::Several(all) = kind {
                    all.iter().for_each(|word| said(&format!("page-word-{word}")));
                }
            }
        }
    }

    /// The fields are those that the core reads: of every action and rhythm.
    #[test]
    fn what_a_form_writes_the_core_reads() {
        for text in [
            r#"{"do":"log","text":"x","severity":"alarm"}"#,
            r#"{"do":"output","device":3,"output":2,"on":true}"#,
            r#"{"do":"alarm-relay","healthy":false}"#,
            r#"{"do":"mute"}"#,
            r#"{"do":"signal","tone":"rare","lamp":false,"seconds":5}"#,
            r#"{"do":"lamp","bus":1,"address":7,"seconds":9}"#,
            r#"{"do":"command","target":"ups.0","command":"beeper.mute","value":"x"}"#,
            r#"{"do":"notify","plugin":"syslog"}"#,
            r#"{"do":"webhook","to":"hosts"}"#,
            r#"{"do":"wake-on-lan","mac":"00:11:22:33:44:55","to":"10.0.0.255:9"}"#,
            r#"{"do":"sequence","sequence":"servers"}"#,
        ] {
            known(ACTIONS, "do", text);
            serde_json::from_str::<Action>(text).expect(text);
        }
        for text in [
            r#"{"every":"day","at":"03:00","days":2}"#,
            r#"{"every":"week","at":"03:00","weekdays":["mon","sun"]}"#,
            r#"{"every":"month","at":"03:00","day":-1}"#,
            r#"{"every":"month-weekday","at":"03:00","nth":2,"weekday":"tue"}"#,
            r#"{"every":"year","at":"03:00","month":2,"day":29}"#,
            r#"{"every":"minutes","minutes":20,"window":"08:00-18:00 mon,tue"}"#,
            r#"{"every":"once","at":"03:00","on":"2027-01-31"}"#,
        ] {
            known(RHYTHMS, "every", text);
            serde_json::from_str::<Rhythm>(text).expect(text);
        }
    }

    fn known(options: &[Choosable], tag: &str, text: &str) {
        let value: Value = serde_json::from_str(text).expect(text);
        let map = value.as_object().expect("an object");
        let params = params(options, map[tag].as_str().expect("a word"));
        for name in map.keys().filter(|name| *name != tag) {
            assert!(params.iter().any(|Param(param, ..)| param == name), "{name} in {text}");
        }
    }
}
