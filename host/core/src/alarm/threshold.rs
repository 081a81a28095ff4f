//! Thresholds: a flat list of rules, each for one quantity and side at one
//! scope, and what follows from all of them for one place.
//!
//! ```toml
//! [[threshold]]
//! at = "system"
//! quantity = "block-temperature"
//! side = "high"
//! warning = 32.0
//! alarm = 38.0
//! delay_s = 120.0
//!
//! [[threshold]]
//! at = "string.2.block.17"
//! quantity = "block-temperature"
//! side = "high"
//! alarm = "off"
//! ```
//! # Inheritance
//! `system` → `type.<battery type>` → `string.<n>` → `string.<n>.block.<m>` for
//! batteries, `system` → `ups.<n>` for UPS variables; a single point has only its
//! own scope, `point.<name>`. Each scope overrides single fields; what nobody
//! sets is built in ([`Quantity::built_in`]). [`Effective`] says for each field
//! where it came from.
//!
//! # What is refused
//! Every rule is checked as it works at its own scope, with what it inherits:
//! a warning beyond its alarm, a hysteresis that reaches from the alarm over the
//! warning, values and delays out of range, a rule that sets nothing, and two
//! rules for the same. Where a battery type and a string meet, only the plant
//! knows which do: [`Thresholds::check`] looks at each place of it.

use super::place::Place;
use super::quantity::{OFF_DELAY_S, Quantity, Side};
use crate::scan::Phase;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rules.
pub const RULES_MAX: usize = 2_048;
/// Longest delay, s: a day.
pub const DELAY_MAX_S: f64 = 86_400.0;
/// Longest name of a battery type, characters.
const TYPE_MAX: usize = 60;

/// What a rule is for. Ordered from the weakest: what comes later wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything: `system`.
    System,
    /// Blocks of a battery type: `type.<name in the guard's settings>`.
    Type(String),
    /// A place: a string, a block, a UPS, a point.
    Place(Place),
}

/// A text that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no scope; scopes are system, type.<battery type>, string.1, string.1.block.1, \
     ups.0 and point.<name>"
)]
pub struct ScopeError(pub String);

/// A level of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Level {
    /// From this value on.
    At(f64),
    /// Never: ends what is inherited.
    Off(Off),
}

/// The word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// Off.
    Off,
}

impl Level {
    /// The value, if there is one.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::At(value) => Some(value),
            Self::Off(_) => None,
        }
    }
}

/// What somebody set for one quantity and side at one scope. What is left out
/// is inherited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where it holds.
    pub at: Scope,
    /// What is compared.
    pub quantity: Quantity,
    /// On which side trouble is.
    pub side: Side,
    /// Warning from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Level>,
    /// Alarm from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Level>,
    /// Over when back by this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<f64>,
    /// Begins when beyond for so long, s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<f64>,
    /// Ends when back for so long, s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_delay_s: Option<f64>,
    /// Stays until a person resets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latch: Option<bool>,
    /// Only while the string does one of these; empty: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Vec<During>>,
}

/// What a string does, as settings say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum During {
    /// At float voltage.
    Float,
    /// Boost charge.
    Boost,
    /// Feeding the load.
    Discharge,
    /// Being charged after that.
    Recharge,
}

impl During {
    /// Whether `phase` is this.
    #[must_use]
    pub const fn is(self, phase: Phase) -> bool {
        matches!(
            (self, phase),
            (Self::Float, Phase::Float)
                | (Self::Boost, Phase::Boost)
                | (Self::Discharge, Phase::Discharge)
                | (Self::Recharge, Phase::Recharge)
        )
    }
}

/// A value in force and the scope that set it; `None`: built in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who set it.
    pub from: Option<Scope>,
}

/// What holds for one quantity and side at one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Warning from here on.
    pub warning: Sourced<Option<f64>>,
    /// Alarm from here on.
    pub alarm: Sourced<Option<f64>>,
    /// Over when back by this much.
    pub hysteresis: Sourced<f64>,
    /// Begins when beyond for so long, s.
    pub delay_s: Sourced<f64>,
    /// Ends when back for so long, s.
    pub off_delay_s: Sourced<f64>,
    /// Stays until a person resets it.
    pub latch: Sourced<bool>,
    /// Only while the string does one of these; empty: always.
    pub during: Sourced<Vec<During>>,
}

/// Why thresholds are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// Not the format.
    #[error("{0}")]
    Syntax(String),
    /// More than there can be.
    #[error("{0} thresholds are too many; {RULES_MAX} are possible")]
    TooMany(usize),
    /// A rule makes no sense.
    #[error("threshold {number} ({what}): {problem}")]
    Rule {
        /// Its number in the list, from 1.
        number: usize,
        /// Its scope, quantity and side.
        what: String,
        /// What is wrong, and what is right.
        problem: String,
    },
    /// Where several rules meet, they do not go together.
    #[error("at {what}: {problem}")]
    Place {
        /// The place, quantity and side.
        what: String,
        /// What is wrong, and what is right.
        problem: String,
    },
}

/// Rules that make sense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    rules: Vec<Rule>,
    /// Where the rules are, by what they are for.
    index: BTreeMap<(Quantity, Side), BTreeMap<Scope, usize>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "threshold", skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
}

impl Thresholds {
    /// Read the TOML form.
    ///
    /// # Errors
    /// [`ThresholdError`] names the rule and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let document: Document =
            toml::from_str(text).map_err(|e| ThresholdError::Syntax(e.to_string()))?;
        Self::new(document.rules)
    }

    /// The TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Numbers, words and names: there is nothing TOML cannot say.
        toml::to_string(&Document { rules: self.rules.clone() })
            .expect("rules are tables of plain values")
    }

    /// Check rules.
    ///
    /// # Errors
    /// [`ThresholdError`] names the rule and what is wrong with it.
    pub fn new(rules: Vec<Rule>) -> Result<Self, ThresholdError> {
        if rules.len() > RULES_MAX {
            return Err(ThresholdError::TooMany(rules.len()));
        }
        let mut index: BTreeMap<_, BTreeMap<Scope, usize>> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let refuse = |problem: String| ThresholdError::Rule {
                number: at + 1,
                what: rule.to_string(),
                problem,
            };
            rule.check().map_err(refuse)?;
            let scopes = index.entry((rule.quantity, rule.side)).or_default();
            if let Some(first) = scopes.insert(rule.at.clone(), at) {
                return Err(refuse(format!(
                    "threshold {} is for the same; make one of the two",
                    first + 1
                )));
            }
        }
        let thresholds = Self { rules, index };
        for (at, rule) in thresholds.rules.iter().enumerate() {
            let chain = rule.at.chain();
            thresholds
                .along(&chain, rule.quantity, rule.side)
                .check(rule.quantity, rule.side)
                .map_err(|problem| ThresholdError::Rule {
                    number: at + 1,
                    what: rule.to_string(),
                    problem,
                })?;
        }
        Ok(thresholds)
    }

    /// Check what comes of the rules at the places of a plant, each with the
    /// name of its battery type.
    ///
    /// # Errors
    /// The first place at which a type and a string do not go together.
    pub fn check<'a>(
        &self,
        places: impl Iterator<Item = (&'a Place, Option<&'a str>)>,
    ) -> Result<(), ThresholdError> {
        for (place, battery) in places {
            for (quantity, side) in self.index.keys() {
                let effective = self.effective(place, battery, *quantity, *side);
                effective.check(*quantity, *side).map_err(|problem| ThresholdError::Place {
                    what: format!("{place}, {quantity} {}", side.as_str()),
                    problem,
                })?;
            }
        }
        Ok(())
    }

    /// The rules, as they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether anything can be beyond a threshold of this quantity at all.
    #[must_use]
    pub fn watches(&self, quantity: Quantity, side: Side) -> bool {
        let built_in = quantity.built_in(side);
        built_in.warning.or(built_in.alarm).is_some() || self.index.contains_key(&(quantity, side))
    }

    /// What holds at `place`, whose blocks are of the type `battery`.
    #[must_use]
    pub fn effective(
        &self,
        place: &Place,
        battery: Option<&str>,
        quantity: Quantity,
        side: Side,
    ) -> Effective {
        let mut chain = vec![Scope::System];
        chain.extend(battery.map(|name| Scope::Type(name.to_owned())));
        if let Place::Block(string, _) = place {
            chain.push(Scope::Place(Place::String(*string)));
        }
        chain.push(Scope::Place(place.clone()));
        self.along(&chain, quantity, side)
    }

    /// The points that have rules of their own.
    pub fn points(&self) -> impl Iterator<Item = &str> {
        let scopes = self.index.iter().filter(|((q, _), _)| *q == Quantity::Point);
        scopes.flat_map(|(_, scopes)| scopes.keys()).filter_map(|scope| match scope {
            Scope::Place(Place::Point(name)) => Some(name.as_str()),
            _ => None,
        })
    }

    fn along(&self, chain: &[Scope], quantity: Quantity, side: Side) -> Effective {
        let mut effective = Effective::built_in(quantity, side);
        if let Some(scopes) = self.index.get(&(quantity, side)) {
            for scope in chain {
                if let Some(rule) = scopes.get(scope).and_then(|at| self.rules.get(*at)) {
                    effective.override_by(rule);
                }
            }
        }
        effective
    }
}

impl Effective {
    fn built_in(quantity: Quantity, side: Side) -> Self {
        fn of<T>(value: T) -> Sourced<T> {
            Sourced { value, from: None }
        }
        let built_in = quantity.built_in(side);
        Self {
            warning: of(built_in.warning),
            alarm: of(built_in.alarm),
            hysteresis: of(built_in.hysteresis),
            delay_s: of(built_in.delay_s),
            off_delay_s: of(OFF_DELAY_S),
            latch: of(false),
            during: of(Vec::new()),
        }
    }

    fn override_by(&mut self, rule: &Rule) {
        fn set<T>(field: &mut Sourced<T>, value: Option<T>, scope: &Scope) {
            if let Some(value) = value {
                *field = Sourced { value, from: Some(scope.clone()) };
            }
        }
        set(&mut self.warning, rule.warning.map(Level::value), &rule.at);
        set(&mut self.alarm, rule.alarm.map(Level::value), &rule.at);
        set(&mut self.hysteresis, rule.hysteresis, &rule.at);
        set(&mut self.delay_s, rule.delay_s, &rule.at);
        set(&mut self.off_delay_s, rule.off_delay_s, &rule.at);
        set(&mut self.latch, rule.latch, &rule.at);
        set(&mut self.during, rule.during.clone(), &rule.at);
    }

    /// Warning and alarm in order, and a hysteresis that fits between them.
    fn check(&self, quantity: Quantity, side: Side) -> Result<(), String> {
        let (Some(warning), Some(alarm)) = (self.warning.value, self.alarm.value) else {
            return Ok(());
        };
        let unit = quantity.unit();
        let from = |from: &Option<Scope>| {
            from.as_ref().map_or("built in".to_owned(), |scope| format!("from {scope}"))
        };
        let (w, a) = (from(&self.warning.from), from(&self.alarm.from));
        if !side.beyond(alarm, warning) || alarm == warning {
            let word = if side == Side::High { "below" } else { "above" };
            return Err(format!(
                "the warning at {warning} {unit} ({w}) must be {word} the alarm at {alarm} {unit} \
                 ({a})"
            ));
        }
        let (hysteresis, distance) = (self.hysteresis.value, (alarm - warning).abs());
        if hysteresis > distance {
            let h = from(&self.hysteresis.from);
            return Err(format!(
                "the hysteresis of {hysteresis} {unit} ({h}) is larger than the {distance:.4} \
                 {unit} between warning ({w}) and alarm ({a}): an alarm would last after its \
                 warning is over; make it smaller"
            ));
        }
        Ok(())
    }
}

impl Rule {
    /// A rule that sets nothing yet.
    #[must_use]
    pub const fn new(at: Scope, quantity: Quantity, side: Side) -> Self {
        let (warning, alarm, hysteresis, latch, during) = (None, None, None, None, None);
        let (delay_s, off_delay_s) = (None, None);
        Self { at, quantity, side, warning, alarm, hysteresis, delay_s, off_delay_s, latch, during }
    }

    fn check(&self) -> Result<(), String> {
        if !self.quantity.has(self.side) {
            return Err(format!("{} is never too high; use side = \"low\"", self.quantity));
        }
        if !self.at.suits(self.quantity) {
            return Err(format!(
                "{} is not something of {}; use {}",
                self.quantity,
                self.at,
                Scope::suiting(self.quantity)
            ));
        }
        let (low, high) = self.quantity.range();
        let unit = self.quantity.unit();
        for (name, level) in [("warning", self.warning), ("alarm", self.alarm)] {
            if let Some(value) = level.and_then(Level::value)
                && !(low..=high).contains(&value)
            {
                return Err(format!("{name} is {low} to {high} {unit}, not {value}"));
            }
        }
        let span = high - low;
        if let Some(value) = self.hysteresis
            && !(0.0..=span).contains(&value)
        {
            return Err(format!("hysteresis is 0 to {span} {unit}, not {value}"));
        }
        for (name, value) in [("delay_s", self.delay_s), ("off_delay_s", self.off_delay_s)] {
            if let Some(value) = value
                && !(0.0..=DELAY_MAX_S).contains(&value)
            {
                return Err(format!("{name} is 0 to {DELAY_MAX_S} s, not {value}"));
            }
        }
        let of_batteries = !matches!(self.quantity, Quantity::Ups(_) | Quantity::Point);
        if self.during.as_ref().is_some_and(|during| !during.is_empty()) && !of_batteries {
            return Err(format!("during is for strings and blocks; {} has none", self.quantity));
        }
        if *self == Self::new(self.at.clone(), self.quantity, self.side) {
            return Err("it sets nothing; give warning, alarm, hysteresis, delay_s, off_delay_s, \
                        latch or during"
                .to_owned());
        }
        Ok(())
    }
}

impl Scope {
    /// What is inherited by a rule here, itself last; battery types not
    /// counted, since they are the plant's.
    fn chain(&self) -> Vec<Self> {
        let mut chain = vec![Self::System];
        if let Self::Place(Place::Block(string, _)) = self {
            chain.push(Self::Place(Place::String(*string)));
        }
        if *self != Self::System {
            chain.push(self.clone());
        }
        chain
    }

    fn suits(&self, quantity: Quantity) -> bool {
        let of_block = Quantity::OF_BLOCKS.contains(&quantity);
        let of_string = Quantity::OF_STRINGS.contains(&quantity);
        match self {
            Self::System => quantity != Quantity::Point,
            Self::Type(_) | Self::Place(Place::Block(..)) => of_block,
            Self::Place(Place::String(_)) => of_block || of_string,
            Self::Place(Place::Source(_)) => matches!(quantity, Quantity::Ups(_)),
            Self::Place(Place::Point(_)) => quantity == Quantity::Point,
            Self::Place(_) => false,
        }
    }

    fn suiting(quantity: Quantity) -> &'static str {
        match quantity {
            Quantity::Point => "point.<name>",
            Quantity::Ups(_) => "system or a UPS such as ups.0",
            of if Quantity::OF_STRINGS.contains(&of) => "system or a string such as string.1",
            _ => "system, type.<battery type>, a string or a block",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Type(name) => write!(f, "type.{name}"),
            Self::Place(place) => place.fmt(f),
        }
    }
}

/// For error texts: scope, quantity, side.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} {}", self.at, self.quantity, self.side.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let bad = || ScopeError(text.chars().take(100).collect());
        if text == "system" {
            return Ok(Self::System);
        }
        if let Some(name) = text.strip_prefix("type.") {
            let characters = name.chars().count();
            let good = (1..=TYPE_MAX).contains(&characters) && !name.chars().any(char::is_control);
            return good.then(|| Self::Type(name.to_owned())).ok_or_else(bad);
        }
        match text.parse().map_err(|_| bad())? {
            place @ (Place::String(_) | Place::Block(..) | Place::Source(_) | Place::Point(_)) => {
                Ok(Self::Place(place))
            }
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HIGH: &str = "quantity = \"block-temperature\"\nside = \"high\"\n";

    fn parse(rules: &[&str]) -> Result<Thresholds, ThresholdError> {
        let text: String = rules.iter().map(|rule| format!("[[threshold]]\n{rule}\n")).collect();
        Thresholds::parse(&text)
    }

    fn high(at: &str, fields: &str) -> String {
        format!("at = \"{at}\"\n{HIGH}{fields}")
    }

    fn block(n: u16) -> Place {
        Place::Block(2, n)
    }

    #[test]
    fn the_form_has_the_names_that_it_had() {
        let names = crate::settings::forms::names_at::<Document>;
        assert_eq!(names("\"?\" = 1"), ["threshold"]);
        assert_eq!(
            names("[[threshold]]\n\"?\" = 1"),
            [
                "at",
                "quantity",
                "side",
                "warning",
                "alarm",
                "hysteresis",
                "delay_s",
                "off_delay_s",
                "latch",
                "during"
            ]
        );
    }

    #[test]
    fn each_scope_overrides_single_fields_and_says_so() {
        let rules = [
            high("system", "warning = 32\nalarm = 38.5\ndelay_s = 120"),
            high("type.12 V AGM", "alarm = 40"),
            high("string.2", "hysteresis = 2.5\nlatch = true"),
            high("string.2.block.17", "alarm = \"off\"\nduring = [\"float\"]"),
        ];
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let thresholds = parse(&rules).expect("good rules");
        let of = |n, battery| {
            thresholds.effective(&block(n), battery, Quantity::BlockTemperature, Side::High)
        };
        let first = of(1, Some("12 V AGM"));
        let scope = |text: &str| Some(text.parse::<Scope>().expect("a scope"));
        assert_eq!((first.warning.value, first.warning.from), (Some(32.0), scope("system")));
        assert_eq!((first.alarm.value, first.alarm.from), (Some(40.0), scope("type.12 V AGM")));
        assert_eq!((first.hysteresis.value, first.hysteresis.from), (2.5, scope("string.2")));
        assert_eq!((first.off_delay_s.value, first.off_delay_s.from), (OFF_DELAY_S, None));
        assert_eq!(of(1, None).alarm.value, Some(38.5));
        let last = of(17, Some("12 V AGM"));
        assert_eq!((last.alarm.value, last.alarm.from), (None, scope("string.2.block.17")));
        assert!(last.latch.value && last.during.value == [During::Float]);
        let elsewhere = Place::Block(1, 17);
        let far = thresholds.effective(&elsewhere, None, Quantity::BlockTemperature, Side::High);
        assert_eq!((far.latch.value, far.hysteresis.value), (false, 1.0));
        assert_eq!(Thresholds::parse(&thresholds.to_toml()), Ok(thresholds));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_rule_and_the_reason() {
        for (fields, words) in [
            ("warning = 50\nalarm = 45", "must be below the alarm at 45 °C"),
            ("warning = 45\nalarm = 45", "must be below"),
            ("warning = 40\nalarm = 41\nhysteresis = 3", "larger than the 1.0000 °C"),
            ("warning = 400", "warning is -40 to 100 °C, not 400"),
            ("alarm = nan", "alarm is -40 to 100"),
            ("alarm = \"on\"", "alarm"),
            ("delay_s = -1", "delay_s is 0 to 86400 s, not -1"),
            ("off_delay_s = 1e9", "off_delay_s is 0 to 86400"),
            ("hysteresis = -1", "hysteresis is 0 to 140"),
            ("", "sets nothing"),
            ("colour = 1", "colour"),
        ] {
            let refused = parse(&[&high("system", fields)]).expect_err(fields).to_string();
            assert!(refused.contains(words), "{fields}: {refused}");
        }
        for (rule, words) in [
            (
                "at = \"system\"\nquantity = \"block-health\"\nside = \"high\"\nalarm = 1",
                "never too",
            ),
            (
                "at = \"ups.0\"\nquantity = \"block-health\"\nside = \"low\"\nalarm = 1",
                "use system",
            ),
            ("at = \"system\"\nquantity = \"point\"\nside = \"low\"\nalarm = 1", "point.<name>"),
            ("at = \"bus.1\"\nquantity = \"point\"\nside = \"low\"\nalarm = 1", "is no scope"),
            ("at = \"system\"\nquantity = \"colour\"\nside = \"low\"\nalarm = 1", "no quantity"),
            (
                "at = \"system\"\nquantity = \"ups.load\"\nside = \"low\"\nduring = [\"float\"]",
                "during is for strings",
            ),
        ] {
            let refused = parse(&[rule]).expect_err(rule).to_string();
            assert!(refused.contains(words), "{rule}: {refused}");
        }
        let twice = high("system", "alarm = 50");
        let refused = parse(&[&twice, &twice]).expect_err("twice").to_string();
        assert!(refused.contains("threshold 2") && refused.contains("threshold 1 is for the same"));
    }

    #[test]
    fn what_is_inherited_counts_too() {
        let rules = [high("system", "alarm = 40"), high("string.2", "warning = 41")];
        let refused = parse(&[&rules[0], &rules[1]]).expect_err("beyond").to_string();
        assert!(
            refused.contains("threshold 2 (string.2") && refused.contains("from system"),
            "{refused}"
        );
        // A type and a string that never meet do not have to go together.
        let rules = [high("type.A", "alarm = 40"), high("string.2", "warning = 41")];
        let thresholds = parse(&[&rules[0], &rules[1]]).expect("apart");
        let here = block(1);
        assert_eq!(thresholds.check([(&here, Some("B"))].into_iter()), Ok(()));
        let refused = thresholds.check([(&here, Some("A"))].into_iter()).expect_err("meet");
        assert!(refused.to_string().contains("string.2.block.1"), "{refused}");
    }

    #[test]
    fn built_in_levels_hold_where_nobody_set_any() {
        let none = Thresholds::default();
        let of = |q, side| none.effective(&Place::Source("ups.0".into()), None, q, side);
        assert_eq!(of(Quantity::Ups("ups.load"), Side::High).alarm.value, Some(95.0));
        assert!(none.watches(Quantity::Ups("ups.load"), Side::High));
        assert!(!none.watches(Quantity::BlockTemperature, Side::High));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,400}") {
            let _ = Thresholds::parse(&text);
        }

        /// Whatever is accepted has warning and alarm in order everywhere.
        #[test]
        fn what_is_accepted_is_in_order(
            rules in proptest::collection::vec(
                (0u16..4, -5.0f64..5.0, proptest::option::of(-5.0f64..5.0), 0.0f64..2.0), 1..6),
        ) {
            let rules = rules.into_iter().map(|(n, warning, alarm, hysteresis)| Rule {
                warning: Some(Level::At(warning)),
                alarm: alarm.map(Level::At),
                hysteresis: Some(hysteresis),
                ..Rule::new(
                    if n == 0 { Scope::System } else { Scope::Place(block(n)) },
                    Quantity::BlockTemperature,
                    Side::Low,
                )
            });
            if let Ok(thresholds) = Thresholds::new(rules.collect()) {
                for n in 1..5 {
                    let all =
                        thresholds.effective(&block(n), None, Quantity::BlockTemperature, Side::Low);
                    if let (Some(warning), Some(alarm)) = (all.warning.value, all.alarm.value) {
                        prop_assert!(alarm < warning);
                        prop_assert!(all.hysteresis.value <= warning - alarm);
                    }
                }
            }
        }
    }
}
