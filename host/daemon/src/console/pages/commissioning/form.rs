//! Strings and batteries by a form: rows of fields made from the settings in
//! force, and put back into their text. What the form does not ask for (breakers,
//! limits, devices, parts of a string) stays as it was; remarks do not.
//!
//! Fields are called `battery.1.name`, `string.2.blocks` …; rows count from 1, and
//! behind the rows of what there is lie empty ones for what is new.

use crate::console::pages::fields::number;
use evenkeel_core::battery::{Chemistry, catalogue};
use evenkeel_core::settings::{GuardSettings, SettingsError};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Empty rows behind those of what there is.
const NEW_BATTERIES: usize = 1;
const NEW_STRINGS: usize = 2;
/// Most rows of a form.
const ROWS_MAX: usize = 64;
/// Before the name of a type of the catalogue, where a string names its own.
const CATALOGUE: &str = "catalogue:";

/// Fields of a battery type with a number, and whether it is needed.
const BATTERY_NUMBERS: [(&str, bool); 4] = [
    ("cells", true),
    ("capacity_ah", true),
    ("float_v_per_cell", false),
    ("resistance_mohm", false),
];
/// Fields of a string with a whole number.
const STRING_NUMBERS: [&str; 3] = ["bus", "first_address", "blocks"];

/// A name and a value, as forms send them.
pub type Field = (String, String);

/// Why a form cannot be made settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// By field: the name of a message.
    pub words: BTreeMap<String, &'static str>,
    /// By field: what the settings' own check says there.
    pub said: BTreeMap<String, String>,
    /// What is wrong with no one field.
    pub whole: Option<String>,
}

/// How many rows of batteries and of strings the form of these settings has.
#[must_use]
pub fn rows(settings: &GuardSettings) -> (usize, usize) {
    (settings.batteries.len() + NEW_BATTERIES, settings.strings.len() + NEW_STRINGS)
}

/// The form of these settings.
#[must_use]
pub fn fields_of(settings: &GuardSettings) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut set = |name: String, value: String| fields.push((name, value));
    for (battery, row) in settings.batteries.iter().zip(1..) {
        let own = |field: &str| format!("battery.{row}.{field}");
        set(own("was"), battery.name.clone());
        set(own("name"), battery.name.clone());
        set(own("chemistry"), word_of(battery.chemistry));
        set(own("cells"), battery.cells.to_string());
        set(own("capacity_ah"), battery.capacity_ah.to_string());
        let optional = [
            ("float_v_per_cell", battery.float_v_per_cell),
            ("resistance_mohm", battery.resistance_mohm),
        ];
        for (field, value) in optional {
            set(own(field), value.map_or_else(String::new, |value| value.to_string()));
        }
    }
    for (string, row) in settings.strings.iter().zip(1..) {
        let own = |field: &str| format!("string.{row}.{field}");
        set(own("was"), row.to_string());
        set(own("name"), string.name.clone());
        set(own("bus"), string.bus.to_string());
        set(own("first_address"), string.first_address.to_string());
        set(own("module"), string.module.map_or_else(String::new, |m| m.data().name.to_owned()));
        set(own("battery"), string.battery.clone().unwrap_or_default());
        set(own("blocks"), string.blocks.map_or_else(String::new, |n| n.to_string()));
        set(own("equalize"), if string.equalize { "yes" } else { "" }.to_owned());
    }
    fields
}

/// The word of a chemistry in settings.
#[must_use]
pub fn word_of(chemistry: Chemistry) -> String {
    let word = Value::try_from(chemistry).ok();
    word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Names of the catalogue as a string's form sends them, and for people.
pub fn offered(settings: &GuardSettings) -> impl Iterator<Item = (String, String)> {
    let known: Vec<String> = settings.batteries.iter().map(|b| b.name.clone()).collect();
    let others = catalogue().filter(move |battery| !known.contains(&battery.name));
    others.map(|battery| (format!("{CATALOGUE}{}", battery.name), battery.name))
}

/// The text in force with what the form wants put in.
///
/// # Errors
/// [`Wrong`] says at which fields something is wrong.
pub fn apply<'a>(text: &str, sent: impl Fn(&str) -> &'a str) -> Result<String, Wrong> {
    let mut wrong = Wrong::default();
    let mut whole: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return Err(Wrong { whole: Some(error.to_string()), ..wrong }),
    };
    let (mut batteries, renamed) = batteries(&whole, &sent, &mut wrong);
    let (strings, places) = strings(&whole, &sent, &mut batteries, &renamed, &mut wrong);
    let rows = [rows_of(&batteries), places];
    let tables = |all: Vec<(usize, Table)>| {
        Value::Array(all.into_iter().map(|(_, table)| Value::Table(table)).collect())
    };
    whole.insert("battery".to_owned(), tables(batteries));
    whole
        .insert("string".to_owned(), Value::Array(strings.into_iter().map(Value::Table).collect()));
    if !wrong.words.is_empty() {
        return Err(wrong);
    }
    let text = whole.to_string();
    match GuardSettings::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            at_its_field(&error, &rows, &mut wrong);
            Err(wrong)
        }
    }
}

fn rows_of(all: &[(usize, Table)]) -> Vec<usize> {
    all.iter().map(|(row, _)| *row).collect()
}

fn listed(whole: &Table, name: &str) -> Vec<Table> {
    let all = whole.get(name).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_table).cloned().collect()
}

/// The battery types, each with its row, and those with another name than before.
fn batteries<'a>(
    whole: &Table,
    sent: &impl Fn(&str) -> &'a str,
    wrong: &mut Wrong,
) -> (Vec<(usize, Table)>, BTreeMap<String, String>) {
    let known = listed(whole, "battery");
    let (mut all, mut renamed) = (Vec::new(), BTreeMap::new());
    for row in 1..=(known.len() + NEW_BATTERIES).min(ROWS_MAX) {
        let field = |name: &str| format!("battery.{row}.{name}");
        let value = |name: &str| sent(&field(name));
        let (name, was) = (value("name"), value("was"));
        if name.is_empty() && was.is_empty() || !value("remove").is_empty() {
            continue;
        }
        let old = known.iter().find(|t| t.get("name").and_then(Value::as_str) == Some(was));
        let mut table = old.filter(|_| !was.is_empty()).cloned().unwrap_or_default();
        if !was.is_empty() && was != name {
            renamed.insert(was.to_owned(), name.to_owned());
        }
        put(&mut table, "name", Some(Value::String(name.to_owned())));
        put(&mut table, "chemistry", Some(Value::String(value("chemistry").to_owned())));
        for (own, needed) in BATTERY_NUMBERS {
            match (value(own), number(value(own))) {
                ("", _) if !needed => put(&mut table, own, None),
                (_, Some(number)) if own == "cells" && number.fract() == 0.0 => {
                    put(&mut table, own, Some(Value::Integer(number as i64)));
                }
                (_, Some(number)) if own != "cells" => {
                    put(&mut table, own, Some(Value::Float(number)));
                }
                _ => drop(wrong.words.insert(field(own), "page-battery-number")),
            }
        }
        all.push((row, table));
    }
    (all, renamed)
}

/// The strings, and the row of each. A type that a string takes from the catalogue
/// is added to `batteries`.
fn strings<'a>(
    whole: &Table,
    sent: &impl Fn(&str) -> &'a str,
    batteries: &mut Vec<(usize, Table)>,
    renamed: &BTreeMap<String, String>,
    wrong: &mut Wrong,
) -> (Vec<Table>, Vec<usize>) {
    let known = listed(whole, "string");
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for row in 1..=(known.len() + NEW_STRINGS).min(ROWS_MAX) {
        let field = |name: &str| format!("string.{row}.{name}");
        let value = |name: &str| sent(&field(name));
        let was = value("was").parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if value("name").is_empty() && was.is_none() || !value("remove").is_empty() {
            continue;
        }
        let mut table = was.and_then(|n| known.get(n)).cloned().unwrap_or_default();
        put(&mut table, "name", Some(Value::String(value("name").to_owned())));
        put(&mut table, "equalize", Some(Value::Boolean(!value("equalize").is_empty())));
        let in_parts = table.contains_key("part");
        for own in STRING_NUMBERS.iter().filter(|own| !(in_parts && **own == "blocks")) {
            match value(own).parse::<u16>() {
                Ok(number) => put(&mut table, own, Some(Value::Integer(number.into()))),
                Err(_) => drop(wrong.words.insert(field(own), "page-whole-number")),
            }
        }
        if in_parts {
            rename_parts(&mut table, renamed);
        } else {
            put(&mut table, "module", Some(Value::String(value("module").to_owned())));
            let battery = value("battery");
            let name = match battery.strip_prefix(CATALOGUE) {
                Some(name) => from_catalogue(name, batteries),
                None => renamed.get(battery).cloned().unwrap_or_else(|| battery.to_owned()),
            };
            put(&mut table, "battery", Some(Value::String(name)));
        }
        all.push(table);
        rows.push(row);
    }
    (all, rows)
}

/// A type of the catalogue becomes one of the settings'; its name.
fn from_catalogue(name: &str, batteries: &mut Vec<(usize, Table)>) -> String {
    let is = |table: &Table| table.get("name").and_then(Value::as_str) == Some(name);
    if !batteries.iter().any(|(_, table)| is(table))
        && let Some(battery) = catalogue().find(|battery| battery.name == name)
        && let Ok(table) = Table::try_from(&battery)
    {
        // It has no row of its own yet.
        batteries.push((0, table));
    }
    name.to_owned()
}

fn rename_parts(table: &mut Table, renamed: &BTreeMap<String, String>) {
    let parts = table.get_mut("part").and_then(Value::as_array_mut).into_iter().flatten();
    for part in parts.filter_map(Value::as_table_mut) {
        let now = part.get("battery").and_then(Value::as_str).and_then(|was| renamed.get(was));
        if let Some(now) = now.cloned() {
            put(part, "battery", Some(Value::String(now)));
        }
    }
}

fn put(table: &mut Table, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(table.insert(name.to_owned(), value)),
        None => drop(table.remove(name)),
    }
}

/// Say what the settings' check found at the field that it names, if there is one.
fn at_its_field(error: &SettingsError, [batteries, strings]: &[Vec<usize>; 2], wrong: &mut Wrong) {
    let SettingsError::Value { place, problem } = error else {
        wrong.whole = Some(error.to_string());
        return;
    };
    let (thing, field) = place.split_once(", ").unwrap_or((place, "name"));
    let row = |list: &str, rows: &[usize]| {
        let number = thing.strip_prefix(list)?.trim_start().parse::<usize>().ok()?;
        rows.get(number.checked_sub(1)?).copied().filter(|row| *row > 0)
    };
    let asked = |list: &str| match list {
        "battery" => field == "name" || BATTERY_NUMBERS.iter().any(|(own, _)| *own == field),
        _ => ["name", "module", "battery"].contains(&field) || STRING_NUMBERS.contains(&field),
    };
    for (list, rows) in [("battery", batteries), ("string", strings)] {
        if let Some(row) = row(list, rows).filter(|_| asked(list)) {
            wrong.said.insert(format!("{list}.{row}.{field}"), problem.clone());
            return;
        }
    }
    wrong.whole = Some(error.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::SETTINGS;

    /// The form of `SETTINGS` with some fields as given.
    fn sent(text: &str, other: &[(&str, &str)]) -> Result<GuardSettings, Wrong> {
        let mut fields = fields_of(&GuardSettings::parse(text).expect("valid"));
        for (name, value) in other {
            fields.retain(|(field, _)| field != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let one = |name: &str| {
            fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
        };
        apply(text, one).map(|text| GuardSettings::parse(&text).expect("it was checked"))
    }

    #[test]
    fn a_form_that_nobody_touched_changes_nothing() {
        let more = format!(
            "{SETTINGS}equalize = false\n[[string]]\nname = \"B\"\nfirst_address = 9\n\
             [[string.part]]\nmodule = \"C20\"\nbattery = \"12 V\"\nblocks = 3\n\
             [[device]]\nname = \"I1\"\nkind = \"current-50\"\naddress = 1025\n\
             [limits]\nlost_alarm_s = 77.0\n"
        );
        for text in [SETTINGS, &more] {
            assert_eq!(sent(text, &[]), Ok(GuardSettings::parse(text).expect("valid")));
        }
    }

    #[test]
    fn strings_and_types_are_added_renamed_and_removed() {
        let new = [
            ("battery.1.name", "Block"),
            ("battery.1.capacity_ah", "9,5"),
            ("battery.1.resistance_mohm", "21"),
            ("string.2.name", "B"),
            ("string.2.bus", "1"),
            ("string.2.first_address", "5"),
            ("string.2.blocks", "6"),
            ("string.2.module", "C40"),
            ("string.2.battery", "catalogue:Gel OPzV 2 V 420 Ah"),
        ];
        let settings = sent(SETTINGS, &new).expect("good");
        assert_eq!(settings.strings[0].battery.as_deref(), Some("Block"), "renamed with its type");
        assert_eq!(
            (settings.batteries[0].capacity_ah, settings.batteries[0].resistance_mohm),
            (9.5, Some(21.0))
        );
        assert_eq!(settings.strings[1].battery.as_deref(), Some("Gel OPzV 2 V 420 Ah"));
        assert_eq!((settings.batteries.len(), settings.strings[1].equalize), (2, false));
        let text = toml::to_string(&settings).expect("written");
        let fewer = sent(&text, &[("string.1.remove", "yes"), ("battery.1.remove", "yes")]);
        let fewer = fewer.expect("good");
        assert_eq!((fewer.strings.len(), fewer.batteries.len()), (1, 1));
        assert_eq!(fewer.strings[0].name, "B");
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field() {
        let words = sent(SETTINGS, &[("string.1.blocks", "four"), ("battery.1.cells", "2.5")]);
        let words = words.expect_err("no numbers").words;
        assert_eq!(words["string.1.blocks"], "page-whole-number");
        assert_eq!(words["battery.1.cells"], "page-battery-number");
        let said = |fields: &[(&str, &str)]| sent(SETTINGS, fields).expect_err("refused").said;
        let mixed = said(&[("string.1.module", "C30")]);
        assert!(mixed["string.1.battery"].contains("12.0 V nominal"), "{mixed:?}");
        let high = said(&[("string.1.first_address", "1023")]);
        assert!(high["string.1.first_address"].contains("1 … 1024"), "{high:?}");
        let none = said(&[("battery.1.capacity_ah", "-1")]);
        assert!(none.contains_key("battery.1.capacity_ah"), "{none:?}");
        let twice = [
            ("string.2.name", "B"),
            ("string.2.bus", "1"),
            ("string.2.first_address", "4"),
            ("string.2.blocks", "6"),
            ("string.2.module", "C20"),
            ("string.2.battery", "12 V"),
        ];
        let twice = said(&twice);
        assert!(twice["string.2.name"].contains("overlap those of string 1"), "{twice:?}");
        let none = sent(SETTINGS, &[("string.1.remove", "yes")]).expect_err("refused");
        assert!(none.whole.is_some_and(|why| why.contains("0 strings")));
    }
}
