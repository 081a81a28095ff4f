//! The settings of a plugin: the schema in its manifest, from which the console
//! draws a form, and the check of what an administrator entered.
//!
//! Values travel as text, one spelling each: numbers with a decimal point and
//! without exponent (`-0.5`), switches as `true` or `false`. Empty text stands
//! for "not given". Whether a plugin with an empty schema may be given settings
//! all the same is the host's decision; here an unknown name is an error.

use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::manifest::{LINE_80, ManifestError, NAME, is_line, is_name, rule};
use crate::text::is_printable;

/// One setting: a row of the form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingSpec {
    /// How the plugin knows it: `a-z`, `0-9`, `-`; 1 … 40 bytes.
    pub name: String,
    /// What stands beside the field: one line of 1 … 80 bytes.
    pub label: String,
    /// Lines below the field, at most 1,000 bytes; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// True when the plugin cannot run without it. Such a setting has no default.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub required: bool,
    /// What may be entered.
    pub kind: SettingKind,
}

/// What may be entered for a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SettingKind {
    /// One line of text.
    Text {
        /// Longest text in bytes of UTF-8, 1 … 1,000.
        max_len: u32,
        /// Used when nothing is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<String>,
    },
    /// A number with a fraction.
    Number {
        /// Least value allowed.
        min: f64,
        /// Greatest value allowed.
        max: f64,
        /// Distance between values, counted from `min`; any value without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<f64>,
        /// Unit for people, such as `V`; at most 16 bytes, may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        unit: String,
        /// Used when nothing is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<f64>,
    },
    /// A whole number, exact within ±2⁵³.
    Integer {
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
        /// Unit for people; at most 16 bytes, may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        unit: String,
        /// Used when nothing is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<i64>,
    },
    /// On or off.
    Switch {
        /// Used when nothing is given.
        default: bool,
    },
    /// One of a list.
    Choice {
        /// The list, 1 … 64 entries.
        choices: Vec<Choice>,
        /// The value used when nothing is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<String>,
    },
    /// A password or key: never shown, sealed under a key of the device where it
    /// is kept, and never told to the plugin, which computes with it under the
    /// setting's name (`evenkeel:crypto`).
    Secret {
        /// Longest text in bytes of UTF-8, 1 … 1,000.
        max_len: u32,
    },
}

/// One entry of a [`SettingKind::Choice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the plugin is given: one line of 1 … 80 bytes.
    pub value: String,
    /// What people read: one line of 1 … 80 bytes.
    pub label: String,
}

/// A value that fits its [`SettingSpec`].
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// Of a text or a choice.
    Text(String),
    /// Of a number or an integer, in the unit of the schema.
    Number(f64),
    /// Of a switch.
    Flag(bool),
    /// A secret was given and fits; its text stays where it was.
    Secret,
}

/// The text that stands for the value; `(secret)` for a secret.
impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Secret => f.write_str("(secret)"),
        }
    }
}

/// Compare what was entered with the schema. The result has a value for every
/// setting that was given or has a default.
///
/// # Errors
/// [`SettingError`] names the first setting that is unknown, missing or does
/// not fit.
pub fn check_settings(
    specs: &[SettingSpec],
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, SettingValue>, SettingError> {
    if let Some(name) = given.keys().find(|name| !specs.iter().any(|spec| spec.name == **name)) {
        let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        return Err(SettingError::Unknown { name: shown(name), known: known.join(", ") });
    }
    let mut values = BTreeMap::new();
    for spec in specs {
        let text = given.get(&spec.name).filter(|text| !text.is_empty());
        let value = match text {
            Some(text) => Some(spec.parse(text)?),
            None => spec.default_value(),
        };
        match value {
            Some(value) => values.insert(spec.name.clone(), value),
            None if spec.required => return Err(SettingError::Missing { name: spec.name.clone() }),
            None => None,
        };
    }
    Ok(values)
}

/// Why a setting is refused. No message repeats what was entered for a secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Not in the schema.
    #[error("there is no setting {name:?}; the plugin has: {known}")]
    Unknown {
        /// What was given, shortened.
        name: String,
        /// Names in the schema.
        known: String,
    },
    /// Required and not given.
    #[error("the setting {name:?} is missing; the plugin cannot run without it")]
    Missing {
        /// Which.
        name: String,
    },
    /// Longer than allowed, or empty.
    #[error("the setting {name:?} has {found} bytes; 1 to {max} are allowed")]
    Length {
        /// Which.
        name: String,
        /// Bytes given.
        found: usize,
        /// Most bytes.
        max: u32,
    },
    /// More than one line, or characters that cannot be seen.
    #[error("the setting {name:?} must be one line of visible characters")]
    Characters {
        /// Which.
        name: String,
    },
    /// Not a number.
    #[error("the setting {name:?} must be a number such as {example}, not {found:?}")]
    NotANumber {
        /// Which.
        name: String,
        /// A number that would do.
        example: String,
        /// What was given, shortened.
        found: String,
    },
    /// Outside its limits.
    #[error("the setting {name:?} must be {range}, not {found}")]
    Range {
        /// Which.
        name: String,
        /// Limits with their unit.
        range: String,
        /// What was given.
        found: String,
    },
    /// Between two steps.
    #[error("the setting {name:?} goes in steps of {step} from {min}; {found} lies between two")]
    Step {
        /// Which.
        name: String,
        /// The step.
        step: f64,
        /// Where the steps begin.
        min: f64,
        /// What was given.
        found: f64,
    },
    /// Neither on nor off.
    #[error("the setting {name:?} must be true or false, not {found:?}")]
    NotASwitch {
        /// Which.
        name: String,
        /// What was given, shortened.
        found: String,
    },
    /// Not in the list.
    #[error("the setting {name:?} must be one of {choices}; not {found:?}")]
    NotAChoice {
        /// Which.
        name: String,
        /// The values of the list.
        choices: String,
        /// What was given, shortened.
        found: String,
    },
}

impl SettingSpec {
    /// Check `text` and give the value that it stands for.
    ///
    /// # Errors
    /// [`SettingError`] says what is allowed.
    pub fn parse(&self, text: &str) -> Result<SettingValue, SettingError> {
        match &self.kind {
            SettingKind::Text { max_len, .. } => {
                self.line(text, *max_len)?;
                Ok(SettingValue::Text(text.to_owned()))
            }
            SettingKind::Secret { max_len } => {
                self.line(text, *max_len)?;
                Ok(SettingValue::Secret)
            }
            SettingKind::Number { min, max, step, unit, .. } => {
                let number = self.number(text, *min)?;
                if !(*min..=*max).contains(&number) {
                    return Err(self.out_of_range(&format!("{min} to {max}"), unit, text));
                }
                self.on_step(number, *min, *step)?;
                Ok(SettingValue::Number(number))
            }
            SettingKind::Integer { min, max, unit, .. } => {
                let number = self.integer(text, *min)?;
                if !(*min..=*max).contains(&number) {
                    return Err(self.out_of_range(&format!("{min} to {max}"), unit, text));
                }
                Ok(SettingValue::Number(number as f64))
            }
            SettingKind::Switch { .. } => match text {
                "true" => Ok(SettingValue::Flag(true)),
                "false" => Ok(SettingValue::Flag(false)),
                _ => Err(SettingError::NotASwitch { name: self.name.clone(), found: shown(text) }),
            },
            SettingKind::Choice { choices, .. } => self.choice(text, choices),
        }
    }

    /// The value when nothing is given.
    #[must_use]
    pub fn default_value(&self) -> Option<SettingValue> {
        match &self.kind {
            SettingKind::Text { default, .. } | SettingKind::Choice { default, .. } => {
                default.clone().map(SettingValue::Text)
            }
            SettingKind::Number { default, .. } => default.map(SettingValue::Number),
            SettingKind::Integer { default, .. } => default.map(|n| SettingValue::Number(n as f64)),
            SettingKind::Switch { default } => Some(SettingValue::Flag(*default)),
            SettingKind::Secret { .. } => None,
        }
    }

    fn line(&self, text: &str, max: u32) -> Result<(), SettingError> {
        let name = || self.name.clone();
        if text.is_empty() || text.len() > max as usize {
            return Err(SettingError::Length { name: name(), found: text.len(), max });
        }
        if !text.chars().all(is_printable) {
            return Err(SettingError::Characters { name: name() });
        }
        Ok(())
    }

    fn number(&self, text: &str, example: f64) -> Result<f64, SettingError> {
        // Rust would also take `inf`, `nan`, `1e999` and `+1`.
        let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-'));
        let number = text.parse::<f64>().ok().filter(|n| plain && n.is_finite());
        number.ok_or_else(|| self.not_a_number(text, format!("{example:?}")))
    }

    fn integer(&self, text: &str, example: i64) -> Result<i64, SettingError> {
        let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-'));
        let number = text.parse::<i64>().ok().filter(|_| plain);
        number.ok_or_else(|| self.not_a_number(text, example.to_string()))
    }

    fn not_a_number(&self, text: &str, example: String) -> SettingError {
        SettingError::NotANumber { name: self.name.clone(), example, found: shown(text) }
    }

    fn out_of_range(&self, range: &str, unit: &str, text: &str) -> SettingError {
        let range = format!("{range} {unit}").trim_end().to_owned();
        SettingError::Range { name: self.name.clone(), range, found: shown(text) }
    }

    fn on_step(&self, found: f64, min: f64, step: Option<f64>) -> Result<(), SettingError> {
        let Some(step) = step else { return Ok(()) };
        let steps = (found - min) / step;
        // Decimal fractions are not exact in binary: 0.3 is not three times 0.1.
        // Rounded without the standard library; casts stop at the ends.
        let whole = (steps + 0.5f64.copysign(steps)) as i64 as f64;
        if (steps - whole).abs() <= 1e-6 {
            return Ok(());
        }
        Err(SettingError::Step { name: self.name.clone(), step, min, found })
    }

    fn choice(&self, text: &str, choices: &[Choice]) -> Result<SettingValue, SettingError> {
        if choices.iter().any(|choice| choice.value == text) {
            return Ok(SettingValue::Text(text.to_owned()));
        }
        let values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
        Err(SettingError::NotAChoice {
            name: self.name.clone(),
            choices: values.join(", "),
            found: shown(text),
        })
    }

    fn check(&self) -> Result<(), ManifestError> {
        rule(is_name(&self.name), "settings.name", NAME)?;
        rule(is_line(&self.label, 80), "settings.label", LINE_80)?;
        rule(is_help(&self.help), "settings.help", "at most 1000 bytes, all characters visible")?;
        let decided = !self.required || self.default_value().is_none();
        rule(decided, "settings.required", "a required setting has no default")?;
        self.check_kind()?;
        let fits = self.default_value().is_none_or(|value| self.parse(&value.to_string()).is_ok());
        rule(fits, "settings.default", "the default must be allowed by its own setting")
    }

    fn check_kind(&self) -> Result<(), ManifestError> {
        match &self.kind {
            SettingKind::Text { max_len, .. } | SettingKind::Secret { max_len } => {
                rule((1..=1000).contains(max_len), "settings.max_len", "1 to 1000")
            }
            SettingKind::Number { min, max, step, unit, .. } => {
                let finite = [min, max].into_iter().all(|n| n.abs() <= NUMBER_MAX);
                rule(finite && min <= max, "settings.min", "min to max, within ±1e12")?;
                let step = step.is_none_or(|step| step > 0.0 && step <= max - min);
                rule(step, "settings.step", "above 0, at most max - min")?;
                rule(is_unit(unit), "settings.unit", UNIT)
            }
            SettingKind::Integer { min, max, unit, .. } => {
                let exact = [min, max].into_iter().all(|n| n.unsigned_abs() <= 1 << 53);
                rule(exact && min <= max, "settings.min", "min to max, within ±2^53")?;
                rule(is_unit(unit), "settings.unit", UNIT)
            }
            SettingKind::Switch { .. } => Ok(()),
            SettingKind::Choice { choices, .. } => {
                rule((1..=64).contains(&choices.len()), "settings.choices", "1 to 64")?;
                let lines = choices.iter().all(|c| is_line(&c.value, 80) && is_line(&c.label, 80));
                rule(lines, "settings.choices", LINE_80)?;
                let values: BTreeSet<_> = choices.iter().map(|choice| &choice.value).collect();
                rule(values.len() == choices.len(), "settings.choices", "each value once")
            }
        }
    }
}

/// Check the rules of a whole schema.
pub(crate) fn check_schema(specs: &[SettingSpec]) -> Result<(), ManifestError> {
    rule(specs.len() <= 64, "settings", "at most 64")?;
    specs.iter().try_for_each(SettingSpec::check)?;
    let names: BTreeSet<_> = specs.iter().map(|spec| &spec.name).collect();
    rule(names.len() == specs.len(), "settings", "each name once")
}

/// Far beyond any quantity, and small enough that text of it stays short.
const NUMBER_MAX: f64 = 1e12;
const UNIT: &str = "at most 16 bytes, all characters visible";

fn is_help(text: &str) -> bool {
    text.len() <= 1000 && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_unit(text: &str) -> bool {
    text.is_empty() || is_line(text, 16)
}

/// What a person entered, short enough for a message.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
