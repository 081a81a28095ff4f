//! What differs between two settings of the guard, thing by thing and field by
//! field, as a person would say it. What nobody wrote has its default in both, so
//! that writing a default is no change.

use evenkeel_core::settings::{GuardSettings, StringSettings};
use toml::{Table, Value};

/// Most changes that are told; a longer list is read by nobody.
pub const CHANGES_MAX: usize = 200;
/// Most characters of a value.
const VALUE_MAX: usize = 60;

/// Things of which there are several, by the name of their list, and the word for
/// one of them.
const LISTS: [(&str, &str); 5] = [
    ("bus", "bus"),
    ("battery", "battery"),
    ("device", "device"),
    ("string", "string"),
    ("test", "test"),
];

/// Something in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// `bus`, `battery`, `device`, `string`, `test`; or `general`.
    pub kind: &'static str,
    /// Its name, or its number where it has none; empty: the whole.
    pub name: String,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(Thing),
    /// It goes away.
    Removed(Thing),
    /// A field has another value; `None`: it is not set.
    Set {
        /// Of what.
        thing: Thing,
        /// Its name in the file, with dots.
        field: String,
        /// What it was.
        from: Option<String>,
        /// What it will be.
        to: Option<String>,
    },
    /// What was learned of a string begins anew: another name, type of battery or
    /// number of blocks make it another string.
    Forgotten(Thing),
}

/// What differs, at most [`CHANGES_MAX`].
#[must_use]
pub fn between(before: &GuardSettings, after: &GuardSettings) -> Vec<Change> {
    let (old, new) = (table(before), table(after));
    let mut changes = Vec::new();
    for (list, kind) in LISTS {
        let (old, new) = (things(&old, list, kind), things(&new, list, kind));
        for (thing, fields) in &old {
            match new.iter().find(|(other, _)| other == thing) {
                Some((_, now)) => fields_between(thing, fields, now, &mut changes),
                None => changes.push(Change::Removed(thing.clone())),
            }
        }
        let is_new = |thing: &Thing| old.iter().all(|(other, _)| other != thing);
        let added = new.iter().filter(|(thing, _)| is_new(thing));
        changes.extend(added.map(|(thing, _)| Change::Added(thing.clone())));
    }
    let rest = |whole: &Table| {
        let others = whole.iter().filter(|(name, _)| LISTS.iter().all(|(list, _)| list != name));
        others.map(|(name, value)| (name.clone(), value.clone())).collect::<Table>()
    };
    let general = Thing { kind: "general", name: String::new() };
    fields_between(&general, &rest(&old), &rest(&new), &mut changes);
    for string in &before.strings {
        let same = after.strings.iter().find(|other| other.name == string.name);
        if same.is_some_and(|other| identity(other) != identity(string)) {
            let thing = Thing { kind: "string", name: string.name.clone() };
            changes.push(Change::Forgotten(thing));
        }
    }
    changes.truncate(CHANGES_MAX);
    changes
}

/// What makes a string the same for the guard's memory.
fn identity(string: &StringSettings) -> (Option<String>, u16) {
    (string.runs().first().map(|run| run.battery.clone()), string.blocks())
}

fn table(settings: &GuardSettings) -> Table {
    // Settings that were read can be written.
    Table::try_from(settings).unwrap_or_default()
}

fn things(whole: &Table, list: &str, kind: &'static str) -> Vec<(Thing, Table)> {
    let all = whole.get(list).and_then(Value::as_array).into_iter().flatten();
    let all = all.filter_map(Value::as_table).zip(1..);
    let named = all.map(|(fields, number)| {
        let name = fields.get("name").and_then(Value::as_str).map(str::to_owned);
        let name = name.unwrap_or_else(|| number.to_string());
        (Thing { kind, name }, fields.clone())
    });
    named.collect()
}

fn fields_between(thing: &Thing, old: &Table, new: &Table, changes: &mut Vec<Change>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    flatten("", &Value::Table(old.clone()), &mut before);
    flatten("", &Value::Table(new.clone()), &mut after);
    let find = |all: &[(String, String)], name: &str| {
        all.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(field, _)| find(&after, field).is_none());
    let names = after.iter().chain(gone).map(|(field, _)| field.clone());
    for field in names.collect::<Vec<_>>() {
        let (from, to) = (find(&before, &field), find(&after, &field));
        if from != to {
            changes.push(Change::Set { thing: thing.clone(), field, from, to });
        }
    }
}

/// The values of a table by their dotted names.
fn flatten(name: &str, value: &Value, all: &mut Vec<(String, String)>) {
    let below = |own: &str| if name.is_empty() { own.to_owned() } else { format!("{name}.{own}") };
    match value {
        Value::Table(fields) => {
            fields.iter().for_each(|(own, value)| flatten(&below(own), value, all));
        }
        Value::Array(values) if values.iter().any(Value::is_table) => {
            for (value, number) in values.iter().zip(1..) {
                flatten(&below(&number.to_string()), value, all);
            }
        }
        Value::String(text) => all.push((name.to_owned(), short(text))),
        other => all.push((name.to_owned(), short(&other.to_string()))),
    }
}

fn short(text: &str) -> String {
    crate::caps::one_line(text, VALUE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::SETTINGS;

    fn after(from: &str, to: &str) -> Vec<Change> {
        let changed = SETTINGS.replace(from, to);
        assert_ne!(changed, SETTINGS, "{from}");
        let parse = |text: &str| GuardSettings::parse(text).expect("valid");
        between(&parse(SETTINGS), &parse(&changed))
    }

    fn thing(kind: &'static str, name: &str) -> Thing {
        Thing { kind, name: name.to_owned() }
    }

    #[test]
    fn a_difference_is_told_with_both_values() {
        let set = Change::Set {
            thing: thing("battery", "12 V"),
            field: "capacity_ah".into(),
            from: Some("7.0".into()),
            to: Some("9.0".into()),
        };
        assert_eq!(after("7.0", "9.0"), [set]);
        let set = Change::Set {
            thing: thing("general", ""),
            field: "limits.lost_alarm_s".into(),
            from: after("blocks = 4\n", "blocks = 4\n[limits]\nlost_alarm_s = 33.0\n")
                .iter()
                .find_map(|change| match change {
                    Change::Set { from, .. } => from.clone(),
                    _ => None,
                }),
            to: Some("33.0".into()),
        };
        assert_eq!(after("blocks = 4\n", "blocks = 4\n[limits]\nlost_alarm_s = 33.0\n"), [set]);
        assert_eq!(after("[[bus]]", "cycle_ms = 1000\n[[bus]]"), [], "the default is no change");
    }

    #[test]
    fn strings_come_go_and_begin_anew() {
        let more = "blocks = 4\n[[string]]\nname = \"B\"\nmodule = \"C20\"\nbattery = \"12 V\"\n\
                    first_address = 9\nblocks = 2\n";
        assert_eq!(after("blocks = 4\n", more), [Change::Added(thing("string", "B"))]);
        let renamed = after("name = \"A\"", "name = \"Z\"");
        let told = [Change::Removed(thing("string", "A")), Change::Added(thing("string", "Z"))];
        assert_eq!(renamed, told);
        let fewer = after("blocks = 4", "blocks = 3");
        assert!(fewer.contains(&Change::Forgotten(thing("string", "A"))), "{fewer:?}");
        assert_eq!(fewer.len(), 2);
    }
}
