//! Texts of the user's own making, for jobs and messages, with places for
//! values:
//!
//! ```text
//! {place}: {text}. Load {ups.0.ups.load:1}, call 0123.
//! ```
//! `{name}` puts a value in, as the reader's language writes it; `{name:2}` with so
//! many digits behind the decimal mark; `{{` and `}}` are the braces themselves.
//! Which names there are is up to whoever fills the template ([`Values`]).
//! A text is parsed whole before anything is done with it, and what is wrong
//! is said with its place.

use super::{Lang, number};
use std::collections::BTreeMap;

/// Longest text of a user, bytes.
pub const TEXT_MAX: usize = 2_000;
/// Most places for values in one.
pub const PLACES_MAX: usize = 64;
/// Longest filled text, bytes.
pub const FILLED_MAX: usize = 8_000;
/// Most digits behind the decimal mark.
const DIGITS_MAX: usize = 6;
/// Most names that an error lists.
const LISTED_MAX: usize = 20;

/// A value to be put in.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// As it is.
    Text(String),
    /// A number with its unit; empty for none.
    Number {
        /// The number.
        value: f64,
        /// Symbol of its unit.
        unit: String,
    },
}

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub BTreeMap<String, Value>);

impl Values {
    /// With a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value::Text(text.into()));
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.0.insert(name.to_owned(), Value::Number { value, unit: unit.to_owned() });
        self
    }
}

/// Why a text is no template, or cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Too long.
    #[error("the text has {0} bytes; {TEXT_MAX} are possible")]
    TooLong(usize),
    /// Too many places.
    #[error("the text has more than {PLACES_MAX} values")]
    TooMany,
    /// A brace that opens and never closes.
    #[error("character {at}: this {{ is not closed; write {{{{ for a brace itself")]
    Open {
        /// Where, counted from 1.
        at: usize,
    },
    /// A brace that closes nothing.
    #[error("character {at}: this }} closes nothing; write }}}} for a brace itself")]
    Close {
        /// Where, counted from 1.
        at: usize,
    },
    /// What stands between braces is no name.
    #[error(
        "character {at}: {found:?} is no name of a value; names are made of a-z, 0-9, '.', '-' \
         and '_'"
    )]
    Name {
        /// Where, counted from 1.
        at: usize,
        /// What stands there.
        found: String,
    },
    /// What stands behind the colon is no number of digits.
    #[error("character {at}: {found:?} is no number of digits, which is 0 to {DIGITS_MAX}")]
    Digits {
        /// Where, counted from 1.
        at: usize,
        /// What stands there.
        found: String,
    },
    /// Nobody knows this value.
    #[error("there is no value {name:?} here; there are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The values make it too long.
    #[error("with its values the text is longer than {FILLED_MAX} bytes")]
    FilledTooLong,
}

/// A parsed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value { name: String, digits: Option<usize> },
}

impl Template {
    /// Parse a text.
    ///
    /// # Errors
    /// [`TemplateError`] names the place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEXT_MAX {
            return Err(TemplateError::TooLong(text.len()));
        }
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        let at = |rest: &str| text[..text.len() - rest.len()].chars().count() + 1;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(brace);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else if from.starts_with('}') {
                return Err(TemplateError::Close { at: at(from) });
            } else {
                let (inside, after) =
                    from[1..].split_once('}').ok_or(TemplateError::Open { at: at(from) })?;
                if parts.len() >= 2 * PLACES_MAX {
                    return Err(TemplateError::TooMany);
                }
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(place(inside.trim(), at(from))?);
                rest = after;
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The names of the values that it wants.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Value { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Put values in.
    ///
    /// # Errors
    /// [`TemplateError::Unknown`] and [`TemplateError::FilledTooLong`].
    pub fn fill(&self, lang: Lang, values: &Values) -> Result<String, TemplateError> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value { name, digits } => match values.0.get(name) {
                    Some(Value::Text(text)) => filled.push_str(text),
                    Some(Value::Number { value, unit }) => {
                        filled.push_str(&written(lang, *value, unit, *digits));
                    }
                    None => return Err(unknown(name, values)),
                },
            }
            if filled.len() > FILLED_MAX {
                return Err(TemplateError::FilledTooLong);
            }
        }
        Ok(filled)
    }
}

fn written(lang: Lang, value: f64, unit: &str, digits: Option<usize>) -> String {
    match digits {
        None => number::measured(lang, value, unit),
        Some(digits) => number::with_unit(lang, value, number::Style { digits, sign: false }, unit),
    }
}

fn unknown(name: &str, values: &Values) -> TemplateError {
    let known: Vec<_> = values.0.keys().take(LISTED_MAX).map(String::as_str).collect();
    let more = if values.0.len() > LISTED_MAX { " and others" } else { "" };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") + more };
    TemplateError::Unknown { name: name.to_owned(), known }
}

fn place(inside: &str, at: usize) -> Result<Part, TemplateError> {
    let (name, digits) = match inside.split_once(':') {
        Some((name, digits)) => (name.trim(), Some(digits.trim())),
        None => (inside, None),
    };
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if name.is_empty() || name.len() > 96 || !name.chars().all(good) {
        let found = name.chars().take(40).collect();
        return Err(TemplateError::Name { at, found });
    }
    let digits = digits.map(|digits| {
        let number = digits.parse().ok().filter(|n| *n <= DIGITS_MAX);
        let found = || digits.chars().take(40).collect();
        number.ok_or_else(|| TemplateError::Digits { at, found: found() })
    });
    Ok(Part::Value { name: name.to_owned(), digits: digits.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> Values {
        Values::default().text("place", "string 2").number("ups.0.ups.load", 34.56, "%")
    }

    fn fill(lang: Lang, text: &str) -> Result<String, TemplateError> {
        Template::parse(text)?.fill(lang, &values())
    }

    #[test]
    fn values_are_written_as_the_reader_does() {
        let text = "{place}: {{load}} { ups.0.ups.load :2 }!";
        assert_eq!(fill(Lang::De, text).as_deref(), Ok("string 2: {load} 34,56\u{a0}%!"));
        assert_eq!(fill(Lang::En, "{ups.0.ups.load}").as_deref(), Ok("34.6%"));
        assert_eq!(fill(Lang::En, "").as_deref(), Ok(""));
        let names = Template::parse(text).expect("good");
        assert_eq!(names.names().collect::<Vec<_>>(), ["place", "ups.0.ups.load"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, words) in [
            ("Ü {place", "character 3: this { is not closed"),
            ("a } b", "character 3: this } closes nothing"),
            ("{Place}", "\"Place\" is no name"),
            ("{}", "\"\" is no name"),
            ("{place:9}", "\"9\" is no number of digits, which is 0 to 6"),
            ("{place:x}", "\"x\" is no number"),
            ("{colour}", "no value \"colour\" here; there are place, ups.0.ups.load"),
        ] {
            let refused = fill(Lang::En, text).expect_err(text).to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        let long = "x".repeat(TEXT_MAX + 1);
        assert_eq!(fill(Lang::En, &long), Err(TemplateError::TooLong(TEXT_MAX + 1)));
        assert_eq!(fill(Lang::En, &"{place}".repeat(65)), Err(TemplateError::TooMany));
        let values = Values::default().text("a", "x".repeat(FILLED_MAX));
        let filled = Template::parse("{a}{a}").and_then(|t| t.fill(Lang::En, &values));
        assert_eq!(filled, Err(TemplateError::FilledTooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_refused(text in "[a-z{}:.0-9 ü]{0,80}") {
            if let Ok(template) = Template::parse(&text) {
                let named = template.names().fold(Values::default(), |v, name| v.text(name, "x"));
                prop_assert!(template.fill(Lang::En, &named).is_ok());
            }
        }
    }
}
