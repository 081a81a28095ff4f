//! Which events start a job: class and fields, compared as text.

use super::conditions::LASTING;
use crate::alarm::Kind;
use crate::alarm::event::has_events;
use crate::events::{Category, Event, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most fields of a pattern, and values of a field.
const PARTS_MAX: usize = 64;

/// Changes of an alarm by which it says that it is so.
const CHANGES: [&str; 7] =
    ["raised", "again", "worse", "joined", "flapping", "shelf_over", "unshelved"];

/// The fields of an event by name, each with its values as text.
pub type Fields = BTreeMap<String, Vec<String>>;

/// What an event must be. At least one of kind, category and severity; all
/// that are given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Its kind, as in the API: `ups_on_battery`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// At least so bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Its fields, as in the API: `{ string = 2, condition = ["a", "b"] }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Pattern>,
}

/// What a field must be. Of a list of numbers one must fit; a text may end in
/// `*` for whatever follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pattern {
    /// This number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// This text.
    Text(String),
    /// One of these.
    Any(Vec<Pattern>),
}

impl Pattern {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Number(number) => value == number.to_string(),
            Self::Flag(flag) => value == flag.to_string(),
            Self::Text(text) => match text.strip_suffix('*') {
                Some(head) => value.starts_with(head),
                None => value == text,
            },
            Self::Any(patterns) => patterns.iter().any(|pattern| pattern.fits(value)),
        }
    }

    /// A code of an alarm among these, when all of them are told by events of
    /// their own.
    fn told_elsewhere(&self) -> Option<&str> {
        match self {
            Self::Text(code) => {
                code.parse().is_ok_and(|kind: Kind| has_events(kind)).then_some(code.as_str())
            }
            Self::Any(patterns) => {
                let codes: Option<Vec<_>> = patterns.iter().map(Self::told_elsewhere).collect();
                codes?.first().copied()
            }
            Self::Number(_) | Self::Flag(_) => None,
        }
    }
}

impl When {
    /// Say what is impossible.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        if self.kind.is_none() && self.category.is_none() && self.severity.is_none() {
            return Err("when names none of kind, category and severity".into());
        }
        let simple = |pattern: &Pattern| !matches!(pattern, Pattern::Any(_));
        let good = |pattern: &Pattern| match pattern {
            Pattern::Any(many) => many.len() <= PARTS_MAX && many.iter().all(simple),
            _ => true,
        };
        if self.fields.len() > PARTS_MAX || !self.fields.values().all(good) {
            return Err(format!("fields are at most {PARTS_MAX}, each a value or a plain list"));
        }
        // Of the kinds only their form is known here: newer events have newer ones.
        let kind = self.kind.as_deref().unwrap_or("x");
        match kind.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_')) && !kind.is_empty() {
            true => Ok(()),
            false => Err(format!("kind {kind:?} is not made of a-z and '_'")),
        }
    }

    /// Say why no event that fits can say that something is so.
    ///
    /// # Errors
    /// In words, to follow "and".
    pub(super) fn check_lasting(&self) -> Result<(), String> {
        let Some(kind) = self.kind.as_deref() else { return Ok(()) };
        if !LASTING.contains(&kind) {
            return Err(format!(
                "{kind} only happens; what lasts is told by {}",
                LASTING.join(", ")
            ));
        }
        if kind != "alarm" {
            return Ok(());
        }
        if self.fields.get("change").is_some_and(|p| !CHANGES.iter().any(|change| p.fits(change))) {
            return Err(format!(
                "none of these changes of an alarm says that it is so; leave change out, or take \
                 some of {}",
                CHANGES.join(", ")
            ));
        }
        match self.fields.get("what").and_then(Pattern::told_elsewhere) {
            Some(code) => Err(format!(
                "the alarm {code} is begun and ended by events of its own; take the kind of those"
            )),
            None => Ok(()),
        }
    }

    /// Whether a field may be one of `values`; one that is not named may be
    /// anything.
    pub(crate) fn allows<'a>(
        &self,
        field: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let any = |pattern: &Pattern| values.into_iter().any(|value| pattern.fits(value));
        self.fields.get(field).is_none_or(any)
    }

    /// Whether this event, whose [`fields`] are `known`, starts job `job`.
    /// Events about jobs start only others that name their kind.
    #[must_use]
    pub fn fits(&self, event: &Event, known: &Fields, job: &str) -> bool {
        let about = match event {
            Event::JobSaid { job, .. }
            | Event::JobDone { job, .. }
            | Event::JobFailed { job, .. }
            | Event::JobWithdrawn { job }
            | Event::JobsDropped { job, .. } => Some(job.as_str()),
            _ => None,
        };
        if about == Some(job) || about.is_some() && self.kind.is_none() {
            return false;
        }
        if self.category.is_some_and(|category| category != event.category())
            || self.severity.is_some_and(|least| event.severity() < least)
        {
            return false;
        }
        let has = |name: &str, fits: &dyn Fn(&str) -> bool| {
            known.get(name).is_some_and(|values| values.iter().any(|value| fits(value)))
        };
        self.kind.as_ref().is_none_or(|kind| has("kind", &|value| value == kind))
            && self.fields.iter().all(|(name, pattern)| has(name, &|value| pattern.fits(value)))
    }
}

/// The fields of an event, `kind` among them, each with its values as text.
#[must_use]
pub fn fields(event: &Event) -> Fields {
    // Every event is a table; what is not known is left out of it.
    let Ok(toml::Value::Table(table)) = toml::Value::try_from(event) else {
        return BTreeMap::new();
    };
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let values = |value: &toml::Value| match value {
        toml::Value::Array(many) => many.iter().map(text).collect(),
        one => vec![text(one)],
    };
    table.iter().map(|(name, value)| (name.clone(), values(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(when: &str, event: &Event) -> bool {
        let when: When = toml::from_str(when).expect(when);
        when.check().expect("a good pattern");
        when.fits(event, &fields(event), "x")
    }

    #[test]
    fn class_and_fields_must_fit() {
        let lost = Event::ModulesLost { string: 2, blocks: vec![3, 17] };
        for good in [
            "kind = 'modules_lost'",
            "category = 'battery'",
            "severity = 'info'",
            "kind = 'modules_lost'\nseverity = 'warning'\nfields = { string = 2, blocks = 17 }",
            "category = 'battery'\nfields = { string = [1, 2] }",
            "category = 'battery'\nfields = { kind = 'modules_*' }",
        ] {
            assert!(fits(good, &lost), "{good}");
        }
        for bad in [
            "kind = 'modules_back'",
            "category = 'ups'",
            "severity = 'alarm'",
            "kind = 'modules_lost'\nfields = { string = 1 }",
            "kind = 'modules_lost'\nfields = { blocks = 1 }",
            "kind = 'modules_lost'\nfields = { block = 3 }",
        ] {
            assert!(!fits(bad, &lost), "{bad}");
        }
    }

    #[test]
    fn every_kind_has_fields_even_where_something_is_not_known() {
        let event = Event::TestEnded { test: 1, verdict: None, cause: None };
        let fields = fields(&event);
        assert_eq!(fields["kind"], ["test_ended"]);
        assert_eq!(
            (&fields["test"][..], fields.contains_key("verdict")),
            (&["1".to_owned()][..], false)
        );
    }

    #[test]
    fn a_failing_job_does_not_feed_on_itself() {
        let failed = |job: &str| Event::JobFailed {
            job: job.into(),
            instance: String::new(),
            action: String::new(),
            act: None,
            reason: String::new(),
        };
        assert!(!fits("severity = 'warning'", &failed("y")), "not by its class");
        assert!(fits("kind = 'job_failed'", &failed("y")));
        assert!(!fits("kind = 'job_failed'", &failed("x")), "not by itself");
    }

    #[test]
    fn a_pattern_that_says_nothing_is_refused() {
        for bad in [
            "",
            "fields = { string = 1 }",
            "kind = ''",
            "kind = 'A'",
            "kind = 'a'\nfields = { a = [[1]] }",
        ] {
            assert!(toml::from_str::<When>(bad).expect(bad).check().is_err(), "{bad}");
        }
        assert!(toml::from_str::<When>("kinds = 'a'").is_err());
    }
}
