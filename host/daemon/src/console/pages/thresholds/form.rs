//! The form of the thresholds of a scope, read into rules: what is not good is
//! said at its field.

use crate::console::pages::fields::{Fields, number, written};
use crate::console::pages::reader::Reader;
use crate::words::number::measured;
use evenkeel_core::alarm::threshold::{DELAY_MAX_S, Level as Limit, Off, Scope};
use evenkeel_core::alarm::{Quantity, Rule, Side, ThresholdError, Thresholds};
use fluent_bundle::FluentArgs;
use std::collections::BTreeMap;

/// The word of a level that never tells, in every language.
const OFF: &str = "off";

/// What a form says, and what is wrong with it, by the names of its fields.
#[derive(Default)]
pub(super) struct Entered {
    pub(super) texts: BTreeMap<String, String>,
    pub(super) errors: BTreeMap<String, String>,
}

/// Where the core's word about a rule belongs; what belongs nowhere is given back.
pub(super) fn place_error(
    rules: &[Rule],
    scope: &Scope,
    error: &ThresholdError,
    entered: &mut Entered,
) -> String {
    if let ThresholdError::Rule { number, problem, .. } = error
        && let Some(rule) = number.checked_sub(1).and_then(|at| rules.get(at))
        && rule.at == *scope
    {
        entered.errors.insert(key(rule.quantity, rule.side), problem.clone());
        return String::new();
    }
    error.to_string()
}

/// The rules that a form asks for: those of its scope, and all others as before.
pub(super) fn read(
    reader: &Reader,
    before: &Thresholds,
    scope: &Scope,
    rows: &[(Quantity, Side)],
    fields: &Fields,
) -> (Vec<Rule>, Entered) {
    let mut entered = Entered::default();
    let own = |quantity, side| {
        move |rule: &&Rule| rule.at == *scope && rule.quantity == quantity && rule.side == side
    };
    let mut rules: Vec<Rule> =
        before.rules().iter().filter(|rule| rule.at != *scope).cloned().collect();
    for &(quantity, side) in rows {
        let row = key(quantity, side);
        let mut form = RowForm { reader, fields, entered: &mut entered, row: &row };
        let (low, high) = quantity.range();
        let mut rule = Rule::new(scope.clone(), quantity, side);
        rule.warning = form.level("warning", low, high, quantity.unit());
        rule.alarm = form.level("alarm", low, high, quantity.unit());
        rule.hysteresis = form.number("hysteresis", 0.0, high - low, quantity.unit());
        rule.delay_s = form.number("delay_s", 0.0, DELAY_MAX_S, "s");
        rule.off_delay_s = form.number("off_delay_s", 0.0, DELAY_MAX_S, "s");
        rule.latch = form.latch();
        // The form only says that it stays.
        let kept = before.rules().iter().find(own(quantity, side));
        let kept = kept.filter(|_| fields.ticked(&format!("{row}.during")));
        rule.during = kept.and_then(|rule| rule.during.clone());
        if rule != Rule::new(scope.clone(), quantity, side) {
            rules.push(rule);
        }
    }
    (rules, entered)
}

/// The fields of one row.
pub(super) struct RowForm<'a> {
    reader: &'a Reader,
    fields: &'a Fields,
    entered: &'a mut Entered,
    row: &'a str,
}

impl RowForm<'_> {
    fn text(&mut self, field: &str) -> (String, String) {
        let name = format!("{}.{field}", self.row);
        let text = self.fields.one(&name).to_owned();
        self.entered.texts.insert(name.clone(), text.clone());
        (name, text)
    }

    fn number(&mut self, field: &str, low: f64, high: f64, unit: &str) -> Option<f64> {
        let (name, text) = self.text(field);
        if text.is_empty() {
            return None;
        }
        let found = number(&text).filter(|value| (low..=high).contains(value));
        if found.is_none() {
            let mut args = FluentArgs::new();
            args.set("low", measured(self.reader.lang, low, unit));
            args.set("high", measured(self.reader.lang, high, unit));
            self.entered.errors.insert(name, self.reader.say("page-number-wanted", &args));
        }
        found
    }

    fn level(&mut self, field: &str, low: f64, high: f64, unit: &str) -> Option<Limit> {
        let name = format!("{}.{field}", self.row);
        let word = self.fields.one(&name).to_lowercase();
        if word == OFF || word == self.reader.word("page-off").to_lowercase() {
            self.entered.texts.insert(name, word);
            return Some(Limit::Off(Off::Off));
        }
        self.number(field, low, high, unit).map(Limit::At)
    }

    fn latch(&mut self) -> Option<bool> {
        let (_, text) = self.text("latch");
        match text.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

/// What the form of a scope has before anybody changed it.
pub(super) fn entered_of(thresholds: &Thresholds, scope: &Scope) -> Entered {
    let mut texts = BTreeMap::new();
    for rule in thresholds.rules().iter().filter(|rule| rule.at == *scope) {
        let row = key(rule.quantity, rule.side);
        let mut set = |field: &str, text: Option<String>| {
            texts.extend(text.map(|text| (format!("{row}.{field}"), text)));
        };
        let level = |level: Option<Limit>| {
            level.map(|level| level.value().map_or_else(|| OFF.to_owned(), written))
        };
        set("warning", level(rule.warning));
        set("alarm", level(rule.alarm));
        set("hysteresis", rule.hysteresis.map(written));
        set("delay_s", rule.delay_s.map(written));
        set("off_delay_s", rule.off_delay_s.map(written));
        set("latch", rule.latch.map(|latch| if latch { "yes" } else { "no" }.to_owned()));
    }
    Entered { texts, ..Entered::default() }
}

pub(super) fn key(quantity: Quantity, side: Side) -> String {
    format!("{quantity}.{}", side.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_what_its_form_has() {
        let text = "[[threshold]]\nat = \"system\"\nquantity = \"block-temperature\"\nside = \"high\"\n\
                    warning = 32.5\nalarm = \"off\"\nlatch = true\nduring = [\"float\"]\n";
        let thresholds = Thresholds::parse(text).expect("good");
        let entered = entered_of(&thresholds, &Scope::System);
        let of = |field: &str| {
            entered.texts.get(&format!("block-temperature.high.{field}")).map(String::as_str)
        };
        assert_eq!(
            (of("warning"), of("alarm"), of("latch"), of("delay_s")),
            (Some("32.5"), Some("off"), Some("yes"), None)
        );
        assert!(entered_of(&thresholds, &Scope::Type("x".into())).texts.is_empty());
    }
}
