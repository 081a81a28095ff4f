//! The part of the install form that is a plugin's settings: drawn from the
//! schema in its signed manifest, and read back by it. Needs no script; what
//! does not fit is said beside its field, with what is allowed.
//!
//! A secret goes one way: the page says that it is set, never what it is.

use crate::plugin_admin::MASK;
use crate::words::{Lang, words};
use evenkeel_signing::{SettingError, SettingKind, SettingSpec, SettingValue};
use fluent_bundle::FluentArgs;
use std::collections::BTreeMap;

/// Beginning of the fields' names.
const FIELD: &str = "setting.";
/// The same of the boxes that take a secret back.
const FORGET: &str = "forget.";

/// Texts by the names of their fields.
pub type Texts = BTreeMap<String, String>;

/// A setting, as the page shows it.
#[derive(Debug)]
pub struct SettingField {
    /// Name of the field.
    pub name: String,
    /// What stands beside it.
    pub label: String,
    /// What stands below it: the vendor's words, and what is allowed.
    pub help: String,
    /// How it is entered.
    pub input: Input,
    /// What is entered now; empty for a secret.
    pub value: String,
    /// It cannot be left out.
    pub required: bool,
    /// What is wrong with it; empty when nothing is.
    pub error: String,
}

/// How a setting is entered.
#[derive(Debug, PartialEq)]
pub enum Input {
    /// One line.
    Text {
        /// Most characters.
        max_len: u32,
    },
    /// A number with its unit.
    Number {
        /// The unit; may be empty.
        unit: String,
        /// Whole numbers have no decimal point.
        whole: bool,
    },
    /// On or off.
    Switch,
    /// One of these: value and label.
    Choice(Vec<(String, String)>),
    /// One line that is never shown.
    Secret {
        /// Most characters.
        max_len: u32,
        /// Name of the box that takes it back; empty while there is none, and
        /// for one that the plugin cannot be without.
        forget: String,
        /// There is one.
        is_set: bool,
    },
}

/// The fields of a schema. `settings` is what is in force or was entered, by
/// the plugin's names; `errors` by the fields'.
#[must_use]
pub fn fields(
    lang: Lang,
    specs: &[SettingSpec],
    settings: &Texts,
    errors: &Texts,
) -> Vec<SettingField> {
    let field = |spec: &SettingSpec| {
        let name = format!("{FIELD}{}", spec.name);
        let given = settings.get(&spec.name).cloned().unwrap_or_default();
        let is_set = given == MASK;
        let forget =
            if is_set && !spec.required { format!("{FORGET}{}", spec.name) } else { String::new() };
        let (input, value) = match &spec.kind {
            SettingKind::Text { max_len, .. } => (Input::Text { max_len: *max_len }, given),
            SettingKind::Number { unit, .. } => {
                (Input::Number { unit: unit.clone(), whole: false }, given)
            }
            SettingKind::Integer { unit, .. } => {
                (Input::Number { unit: unit.clone(), whole: true }, given)
            }
            SettingKind::Switch { default } => {
                let on = given.parse().unwrap_or(*default);
                (Input::Switch, if on { "true".to_owned() } else { String::new() })
            }
            SettingKind::Choice { choices, .. } => {
                let pair = |c: &evenkeel_signing::Choice| (c.value.clone(), c.label.clone());
                (Input::Choice(choices.iter().map(pair).collect()), given)
            }
            SettingKind::Secret { max_len } => {
                (Input::Secret { max_len: *max_len, forget, is_set }, String::new())
            }
        };
        let error = errors.get(&name).cloned().unwrap_or_default();
        let (label, required, help) = (spec.label.clone(), spec.required, help(lang, spec));
        SettingField { name, label, help, input, value, required, error }
    };
    specs.iter().map(field).collect()
}

/// What a form means for the settings of a schema, where `before` is in force:
/// the settings by the plugin's names, and what is wrong by the fields'. A
/// secret that stays as it is, is [`MASK`].
#[must_use]
pub fn read(specs: &[SettingSpec], form: &Texts, before: &Texts) -> (Texts, Texts) {
    let (mut settings, mut errors) = (Texts::new(), Texts::new());
    for spec in specs {
        let field = format!("{FIELD}{}", spec.name);
        let text = form.get(&field).map(String::as_str).unwrap_or_default();
        let text = match &spec.kind {
            // A box that is not ticked is not sent.
            SettingKind::Switch { default } => {
                let on = text == "true";
                if on == *default { String::new() } else { on.to_string() }
            }
            SettingKind::Secret { .. } if text.is_empty() => {
                let forget = form.contains_key(&format!("{FORGET}{}", spec.name));
                let stays = before.contains_key(&spec.name) && !forget;
                if stays { MASK.to_owned() } else { String::new() }
            }
            SettingKind::Secret { .. } => text.to_owned(),
            _ => text.trim().to_owned(),
        };
        let wrong = match text.as_str() {
            "" if spec.required => Some(SettingError::Missing { name: spec.name.clone() }),
            "" | MASK => None,
            text => spec.parse(text).err(),
        };
        if let Some(wrong) = wrong {
            errors.insert(field, wrong.to_string());
        }
        if !text.is_empty() {
            settings.insert(spec.name.clone(), text);
        }
    }
    (settings, errors)
}

/// Whether a field of a form belongs to the settings.
#[must_use]
pub fn is_ours(field: &str) -> bool {
    field.starts_with(FIELD) || field.starts_with(FORGET)
}

/// The vendor's words, what is allowed, and what holds when nothing is given.
fn help(lang: Lang, spec: &SettingSpec) -> String {
    let say = |name: &str, value: String| {
        words().message(lang, name, &FluentArgs::from_iter([("value", value)]))
    };
    let range = |low: String, high: String| {
        let args = FluentArgs::from_iter([("low", low), ("high", high)]);
        words().message(lang, "page-setting-range", &args)
    };
    let with_unit = |text: String, unit: &str| format!("{text} {unit}").trim_end().to_owned();
    let allowed = match &spec.kind {
        SettingKind::Number { min, max, step, unit, .. } => {
            let steps = step.map_or_else(String::new, |step| {
                format!(" {}", say("page-setting-steps", step.to_string()))
            });
            with_unit(range(min.to_string(), max.to_string()), unit) + &steps
        }
        SettingKind::Integer { min, max, unit, .. } => {
            with_unit(range(min.to_string(), max.to_string()), unit)
        }
        _ => String::new(),
    };
    let default = match (&spec.kind, spec.default_value()) {
        // The box shows it, and the list names it.
        (SettingKind::Switch { .. }, _) | (_, None) => String::new(),
        (SettingKind::Choice { choices, .. }, Some(SettingValue::Text(value))) => {
            let label = choices.iter().find(|choice| choice.value == value);
            let label = label.map_or(value.as_str(), |c| &c.label);
            say("page-setting-unchosen", label.to_owned())
        }
        (_, Some(value)) => say("page-setting-empty", value.to_string()),
    };
    let allowed = [allowed, default].into_iter().filter(|text| !text.is_empty());
    let mut allowed = allowed.collect::<Vec<_>>().join("; ");
    if !allowed.is_empty() {
        allowed.push('.');
    }
    [spec.help.as_str(), &allowed].join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Vec<SettingSpec> {
        serde_json::from_value(serde_json::json!([
            {"name": "text", "label": "Text", "kind": {"text": {"max_len": 5}}},
            {"name": "volts", "label": "Low", "help": "Of the battery.", "kind":
                {"number": {"min": 1.0, "max": 9.5, "step": 0.5, "unit": "V", "default": 2.0}}},
            {"name": "unit", "label": "Unit", "required": true, "kind":
                {"integer": {"min": 1, "max": 247}}},
            {"name": "off", "label": "Off", "kind": {"switch": {"default": true}}},
            {"name": "way", "label": "Way", "kind": {"choice": {"choices":
                [{"value": "a", "label": "One"}, {"value": "b", "label": "Two"}], "default": "b"}}},
            {"name": "key", "label": "Key", "kind": {"secret": {"max_len": 8}}},
        ]))
        .expect("a schema")
    }

    fn texts(pairs: &[(&str, &str)]) -> Texts {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_schema_becomes_fields_that_say_what_is_allowed() {
        let given = texts(&[("volts", "3.5"), ("key", MASK)]);
        let fields = fields(Lang::En, &schema(), &given, &texts(&[("setting.unit", "missing")]));
        let by = |name: &str| fields.iter().find(|f| f.name == name).expect(name);
        assert_eq!(
            by("setting.volts").help,
            "Of the battery. 1 to 9.5 V in steps of 0.5; 2 when empty."
        );
        assert_eq!(by("setting.volts").value, "3.5");
        assert_eq!(by("setting.unit").help, "1 to 247.");
        assert_eq!(
            (by("setting.unit").error.as_str(), by("setting.unit").required),
            ("missing", true)
        );
        assert_eq!(
            (&by("setting.off").input, by("setting.off").value.as_str()),
            (&Input::Switch, "true")
        );
        assert_eq!(by("setting.way").help, "Two when nothing is chosen.");
        let secret = by("setting.key");
        assert_eq!(secret.value, "", "never sent");
        let forget = "forget.key".to_owned();
        assert_eq!(secret.input, Input::Secret { max_len: 8, forget, is_set: true });
    }

    #[test]
    fn what_was_entered_is_read_by_the_schema() {
        let form = texts(&[
            ("setting.text", " ab "),
            ("setting.volts", "1.5"),
            ("setting.unit", "7"),
            ("setting.off", "true"),
            ("setting.key", ""),
        ]);
        let before = texts(&[("key", "s3cret")]);
        let (settings, errors) = read(&schema(), &form, &before);
        assert!(errors.is_empty(), "{errors:?}");
        let wanted = texts(&[("text", "ab"), ("volts", "1.5"), ("unit", "7"), ("key", MASK)]);
        assert_eq!(settings, wanted, "a default needs no word, a secret stays");
        let form = texts(&[("setting.unit", "7"), ("setting.key", " new "), ("forget.key", "on")]);
        let (settings, _) = read(&schema(), &form, &before);
        assert_eq!(settings, texts(&[("unit", "7"), ("off", "false"), ("key", " new ")]));
        let form = texts(&[("setting.unit", "7"), ("forget.key", "on"), ("setting.off", "true")]);
        assert_eq!(read(&schema(), &form, &before).0, texts(&[("unit", "7")]));
    }

    #[test]
    fn mistakes_are_said_beside_their_fields() {
        let form = texts(&[
            ("setting.text", "too long"),
            ("setting.volts", "1.7"),
            ("setting.way", "c"),
            ("setting.key", "much too long"),
        ]);
        let (_, errors) = read(&schema(), &form, &Texts::new());
        for (field, word) in [
            ("setting.text", "1 to 5"),
            ("setting.volts", "steps of 0.5"),
            ("setting.unit", "missing"),
            ("setting.way", "a, b"),
            ("setting.key", "1 to 8"),
        ] {
            let error = errors.get(field).expect(field);
            assert!(error.contains(word), "{field}: {error}");
        }
        assert!(!errors["setting.key"].contains("much"), "no secret is repeated");
    }
}
