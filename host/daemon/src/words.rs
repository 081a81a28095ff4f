//! Words in the user's language: events, alarms and what to do about them, and
//! texts of the user's own making.
//!
//! Messages are Project Fluent files, `words/<language>.ftl`, one per language of
//! row N6. English has every message; what another language does not have yet
//! is said in English, message by message. [`Words::missing`] counts; a test
//! holds English and German to all of them.
//!
//! # Names of messages
//! | name | says | values |
//! |---|---|---|
//! | `event-<kind>` | an event of the log | its fields |
//! | `alarm-<change>` | what became of an alarm | the fields of `AlarmEvent` |
//! | `<code of the kind>` | what an alarm is about | `$quantity` for limits |
//! | `quantity-<quantity>` | what has a threshold | |
//! | `guide-<topic>` `.causes` `.action` | what to do | |
//! | `urgency-…`, `level-…`, `state-…`, `place-…` | single words | `$n`, `$name` |
//! | `page-…` | the console's pages; all but the alarms' in `words/pages` | |
//!
//! # Functions in messages
//! `VALUE($x, unit: "V", scale: 3, digits: 2, sign: 1, abs: 1)` writes $x · 10^−scale
//! with its unit as the language does; `SPAN($seconds)` and `TIME($unix_ms)` write
//! times, the latter as clocks show it where the appliance is
//! ([`Words::set_zone`]).

mod action;
mod field;
pub mod message;
pub mod number;
pub mod template;

use crate::jobs::Named;
use evenkeel_core::alarm::guidance::{self, Urgency};
use evenkeel_core::alarm::{Alarm, Kind, Place, Quantity};
use evenkeel_core::events::{Event, Ranges, Severity};
use evenkeel_core::jobs::Action;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use std::borrow::Cow;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
pub use template::{Template, TemplateError, Values};

macro_rules! languages {
    ($($name:ident = $tag:literal, $own:literal;)*) => {
        /// A language of the product (N6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Lang { $(#[doc = $own] $name,)* }

        impl Lang {
            /// All, the language of last resort first.
            pub const ALL: [Self; [$($tag),*].len()] = [$(Self::$name),*];

            /// Its tag (BCP 47).
            #[must_use]
            pub const fn tag(self) -> &'static str {
                match self { $(Self::$name => $tag,)* }
            }

            /// Its name in itself.
            #[must_use]
            pub const fn own_name(self) -> &'static str {
                match self { $(Self::$name => $own,)* }
            }

            const fn file(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("words/", $tag, ".ftl")),)* }
            }
        }
    };
}

impl Lang {
    /// The words of the console's pages, where they are translated.
    const fn pages(self) -> &'static str {
        match self {
            Self::En => include_str!("words/pages/en.ftl"),
            Self::De => include_str!("words/pages/de.ftl"),
            _ => "",
        }
    }
}

languages! {
    En = "en", "English";
    De = "de", "Deutsch";
    Fr = "fr", "Français";
    Es = "es", "Español";
    It = "it", "Italiano";
    PtBr = "pt-BR", "Português (Brasil)";
    Nl = "nl", "Nederlands";
    Pl = "pl", "Polski";
    Cs = "cs", "Čeština";
    Sk = "sk", "Slovenčina";
    ZhHans = "zh-Hans", "简体中文";
    ZhHant = "zh-Hant", "繁體中文";
}

impl FromStr for Lang {
    type Err = ();
    fn from_str(tag: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|lang| lang.tag().eq_ignore_ascii_case(tag)).ok_or(())
    }
}

impl Lang {
    /// The language that a browser's `Accept-Language` asks for first among
    /// ours; English when it asks for none of them.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let mut wanted: Vec<(u32, &str)> = Vec::new();
        for range in header.split(',').take(32) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
            let weight = weight.unwrap_or(1.0).clamp(0.0, 1.0);
            wanted.push(((weight * 1e3) as u32, tag));
        }
        // Stable: of equal weight, the first.
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let found = wanted.iter().filter(|(weight, _)| *weight > 0);
        found.into_iter().find_map(|(_, tag)| Self::matching(tag)).unwrap_or(Self::En)
    }

    fn matching(tag: &str) -> Option<Self> {
        let lower = tag.to_ascii_lowercase();
        let base = lower.split('-').next().unwrap_or_default();
        match base {
            "pt" => Some(Self::PtBr),
            "zh" if ["hant", "tw", "hk", "mo"].iter().any(|part| lower.contains(part)) => {
                Some(Self::ZhHant)
            }
            "zh" => Some(Self::ZhHans),
            base => base.parse().ok(),
        }
    }
}

/// What there is to say about an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmWords {
    /// What is wrong.
    pub title: String,
    /// Where, with the blocks.
    pub place: String,
    /// What was measured at the worst place and the limit there, if anything.
    pub value: String,
    /// Likely causes.
    pub causes: String,
    /// What to do.
    pub action: String,
    /// How soon.
    pub urgency: String,
    /// Where it is in its life.
    pub state: String,
}

/// All messages. Cheap until a language is used.
#[derive(Default)]
pub struct Words {
    bundles: [OnceLock<FluentBundle<FluentResource>>; Lang::ALL.len()],
    /// Where the appliance is.
    zone: Arc<RwLock<Named>>,
}

/// The messages of this program.
pub fn words() -> &'static Words {
    static WORDS: OnceLock<Words> = OnceLock::new();
    WORDS.get_or_init(Words::default)
}

impl Words {
    /// Times are those of this zone from now on.
    pub fn set_zone(&self, zone: Named) {
        // One assignment: whole whatever panicked.
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// A time, ms since 1970, as clocks show it where the appliance is.
    #[must_use]
    pub fn time(&self, unix_ms: u64) -> String {
        self.zone.read().unwrap_or_else(PoisonError::into_inner).written(unix_ms)
    }

    /// A field of an event by its name in the API, for people: numbers with their
    /// unit, times of the appliance's zone, words of the program in the language.
    /// `None` when the event has none of that name, or does not know it.
    #[must_use]
    pub fn field(&self, lang: Lang, event: &Event, name: &str) -> Option<template::Value> {
        field::field(self, lang, event, name)
    }

    /// How bad an event is.
    #[must_use]
    pub fn severity(&self, lang: Lang, severity: Severity) -> String {
        self.word(lang, &format!("level-{severity:?}").to_lowercase())
    }

    /// An event in words.
    #[must_use]
    pub fn event(&self, lang: Lang, event: &Event) -> String {
        message::event(self, lang, event)
    }

    /// An alarm in words.
    #[must_use]
    pub fn alarm(&self, lang: Lang, alarm: &Alarm) -> AlarmWords {
        let topic = format!("guide-{}", guidance::topic(alarm.kind));
        let none = FluentArgs::new();
        let urgency = guidance::urgency(alarm.kind, alarm.severity);
        AlarmWords {
            title: self.kind(lang, alarm.kind),
            place: self.place_of(lang, alarm),
            value: self.value_of(lang, alarm),
            causes: self.attribute(lang, &topic, Some("causes"), &none),
            action: self.attribute(lang, &topic, Some("action"), &none),
            urgency: self.word(lang, &urgency_word(urgency)),
            state: self.word(lang, &format!("state-{}", alarm.state().as_str())),
        }
    }

    /// A text of the user's, with values put in.
    ///
    /// # Errors
    /// [`TemplateError`] names the place and what is wrong there.
    pub fn template(
        &self,
        lang: Lang,
        text: &str,
        values: &Values,
    ) -> Result<String, TemplateError> {
        Template::parse(text)?.fill(lang, values)
    }

    /// What an alarm is about.
    #[must_use]
    pub fn kind(&self, lang: Lang, kind: Kind) -> String {
        let mut args = FluentArgs::new();
        if let Kind::Limit(quantity, _) = kind {
            args.set("quantity", self.quantity(lang, quantity));
        }
        self.message(lang, &kind.message(), &args)
    }

    /// What has a threshold; a UPS variable without a message by its NUT name.
    #[must_use]
    pub fn quantity(&self, lang: Lang, quantity: Quantity) -> String {
        let name = format!("quantity-{}", quantity.as_str().replace('.', "-"));
        match (quantity, self.has(Lang::En, &name, None)) {
            (Quantity::Ups(name), false) => name.to_owned(),
            _ => self.word(lang, &name),
        }
    }

    /// What a job does.
    #[must_use]
    pub fn action(&self, lang: Lang, action: &Action) -> String {
        action::action(self, lang, action)
    }

    /// A place.
    #[must_use]
    pub fn place(&self, lang: Lang, place: &Place) -> String {
        let mut args = FluentArgs::new();
        let name = match place {
            Place::Appliance => "place-appliance",
            Place::Guard => "place-guard",
            Place::Bus(n) => {
                args.set("n", *n);
                "place-bus"
            }
            Place::Device(n) => {
                args.set("n", *n);
                "place-device"
            }
            Place::String(n) => {
                args.set("n", *n);
                "place-string"
            }
            Place::Block(string, block) => {
                args.set("n", *string);
                args.set("block", *block);
                "place-block"
            }
            Place::Source(name) | Place::Point(name) => return name.clone(),
            Place::Plugin(name) => {
                args.set("name", name.clone());
                "place-plugin"
            }
        };
        self.message(lang, name, &args)
    }

    /// A message without values.
    #[must_use]
    pub fn word(&self, lang: Lang, name: &str) -> String {
        self.message(lang, name, &FluentArgs::new())
    }

    /// A message.
    #[must_use]
    pub fn message(&self, lang: Lang, name: &str, args: &FluentArgs<'_>) -> String {
        self.attribute(lang, name, None, args)
    }

    /// Whether there is a message of this name.
    #[must_use]
    pub fn has_word(&self, name: &str) -> bool {
        self.has(Lang::En, name, None)
    }

    /// The kinds of events that there are, as rules of jobs name them.
    #[must_use]
    pub fn event_kinds(&self) -> Vec<String> {
        let names = names(Lang::En).into_iter();
        let kinds =
            names.filter_map(|(name, _)| Some(name.strip_prefix("event-")?.replace('-', "_")));
        // What became of an alarm has messages of its own.
        kinds.filter(|kind| kind != "unknown").chain(["alarm".to_owned()]).collect()
    }

    /// The messages that English has and `lang` has not.
    #[must_use]
    pub fn missing(&self, lang: Lang) -> Vec<String> {
        let all = names(Lang::En).into_iter();
        all.filter(|(name, attribute)| !self.has(lang, name, attribute.as_deref()))
            .map(|(name, attribute)| match attribute {
                Some(attribute) => format!("{name}.{attribute}"),
                None => name,
            })
            .collect()
    }

    fn place_of(&self, lang: Lang, alarm: &Alarm) -> String {
        let blocks = alarm.blocks();
        let (mut args, mut parts) = (FluentArgs::new(), Vec::new());
        if !matches!(alarm.place, Place::String(_)) || blocks.is_empty() {
            parts.push(self.place(lang, &alarm.place));
        }
        for (string, blocks) in &blocks {
            args.set("n", *string);
            args.set("count", blocks.len() as u32);
            args.set("blocks", Ranges(blocks).to_string());
            parts.push(self.message(lang, "place-blocks", &args));
        }
        parts.join("; ")
    }

    fn value_of(&self, lang: Lang, alarm: &Alarm) -> String {
        let Some((_, member)) = alarm.worst() else { return String::new() };
        let show = |value: f64| number::measured(lang, value, alarm.kind.unit());
        match (member.value, member.limit) {
            (Some(value), Some(limit)) => {
                let mut args = FluentArgs::new();
                args.set("value", show(value));
                args.set("limit", show(limit));
                self.message(lang, "value-and-limit", &args)
            }
            (Some(value), None) => show(value),
            _ => String::new(),
        }
    }

    /// A message or one of its attributes; what `lang` has not, in English.
    fn attribute(
        &self,
        lang: Lang,
        name: &str,
        attribute: Option<&str>,
        args: &FluentArgs<'_>,
    ) -> String {
        for lang in [lang, Lang::En] {
            let bundle = self.bundle(lang);
            let Some(message) = bundle.get_message(name) else { continue };
            let pattern = match attribute {
                None => message.value(),
                Some(attribute) => message.get_attribute(attribute).map(|found| found.value()),
            };
            if let Some(pattern) = pattern {
                // A value that is missing shows by its name; a test looks for that.
                let text = bundle.format_pattern(pattern, Some(args), &mut Vec::new());
                return text.into_owned();
            }
        }
        name.to_owned()
    }

    fn has(&self, lang: Lang, name: &str, attribute: Option<&str>) -> bool {
        self.bundle(lang).get_message(name).is_some_and(|message| match attribute {
            None => message.value().is_some(),
            Some(attribute) => message.get_attribute(attribute).is_some(),
        })
    }

    fn bundle(&self, lang: Lang) -> &FluentBundle<FluentResource> {
        self.bundles[lang as usize].get_or_init(|| bundle(lang, Arc::clone(&self.zone)))
    }
}

fn urgency_word(urgency: Urgency) -> String {
    format!("urgency-{}", urgency.as_str())
}

fn bundle(lang: Lang, zone: Arc<RwLock<Named>>) -> FluentBundle<FluentResource> {
    // A file with an error has its other messages; a test finds the error.
    let resources = [lang.file(), lang.pages()].map(|text| {
        FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource)
    });
    let locale = lang.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![locale]);
    // Texts go into mails, logs and short messages, which know no marks of direction.
    bundle.set_use_isolating(false);
    resources.into_iter().for_each(|resource| bundle.add_resource_overriding(resource));
    // They fail only when a name is taken, and the bundle is new.
    let _ = bundle.add_function("VALUE", move |positional, named| {
        let number = |name: &str| match named.get(name) {
            Some(FluentValue::Number(number)) => Some(number.value),
            _ => None,
        };
        let unit = match named.get("unit") {
            Some(FluentValue::String(unit)) => &**unit,
            _ => "",
        };
        let Some(FluentValue::Number(value)) = positional.first() else {
            return positional.first().map_or(FluentValue::Error, owned);
        };
        let scale = number("scale").unwrap_or(0.0).clamp(0.0, 9.0) as i32;
        let style = number::Style {
            digits: number("digits").unwrap_or(0.0).clamp(0.0, 6.0) as usize,
            sign: number("sign").is_some(),
        };
        let value = value.value / 10f64.powi(scale);
        let value = if number("abs").is_some() { value.abs() } else { value };
        FluentValue::String(Cow::Owned(number::with_unit(lang, value, style, unit)))
    });
    let _ = bundle.add_function("SPAN", move |positional, _| match positional.first() {
        Some(FluentValue::Number(seconds)) => {
            FluentValue::String(Cow::Owned(number::span(lang, seconds.value)))
        }
        other => other.map_or(FluentValue::Error, owned),
    });
    let _ = bundle.add_function("TIME", move |positional, _| match positional.first() {
        Some(FluentValue::Number(ms)) => {
            let zone = zone.read().unwrap_or_else(PoisonError::into_inner);
            FluentValue::String(Cow::Owned(zone.written(ms.value.max(0.0) as u64)))
        }
        other => other.map_or(FluentValue::Error, owned),
    });
    bundle
}

fn owned<'a>(value: &FluentValue<'_>) -> FluentValue<'a> {
    match value {
        FluentValue::String(text) => FluentValue::String(Cow::Owned(text.clone().into_owned())),
        FluentValue::Number(number) => FluentValue::Number(number.clone()),
        _ => FluentValue::Error,
    }
}

/// Messages of a file, and their attributes.
fn names(lang: Lang) -> Vec<(String, Option<String>)> {
    let mut names = Vec::new();
    let mut message = String::new();
    // Identifiers stand at the beginning of a line, attributes behind a dot in an indented one.
    for line in lang.file().lines().chain(lang.pages().lines()) {
        let Some((left, value)) = line.split_once('=') else { continue };
        let left = left.trim_end();
        let identifier = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if let Some(attribute) = left.trim_start().strip_prefix('.').filter(|a| identifier(a)) {
            names.push((message.clone(), Some(attribute.to_owned())));
        } else if identifier(left) {
            message = left.to_owned();
            if !value.trim().is_empty() || !left.starts_with("guide-") {
                names.push((message.clone(), None));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
