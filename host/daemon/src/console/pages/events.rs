//! The event log (facts/console-ux.md §5 page 12): newest first, filtered by
//! time, severity, category and what it is about; filter and place are in the
//! address.

use super::reader::Reader;
use super::{VERSION, moment, urlencoded};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::off_thread;
use crate::console::page;
use crate::console::who::Who;
use crate::store::{Store, StoredEvent};
use crate::words::{Lang, words};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use evenkeel_core::alarm::Place;
use evenkeel_core::events::{Category, Event, Severity};
use evenkeel_core::jobs::fields;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events on a page.
const PAGE: usize = 100;
/// Events that are read at once.
const BATCH: u64 = 1_000;
/// Batches that one answer looks through; the rest is behind "older".
const BATCHES: usize = 40;
/// Longest text to look for, characters.
const TEXT_MAX: usize = 96;

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("alarm", Severity::Alarm)];
const CATEGORIES: [(&str, Category); 5] = [
    ("battery", Category::Battery),
    ("ups", Category::Ups),
    ("plugin", Category::Plugin),
    ("system", Category::System),
    ("access", Category::Access),
];

#[derive(Template)]
#[template(path = "pages/events.html")]
struct EventsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    query: EventsQuery,
    from_problem: bool,
    to_problem: bool,
    rows: Vec<Row>,
    /// Where older ones are; empty: there are none.
    older: String,
    /// These are not the newest.
    newest: bool,
}

/// An event as a page shows it.
pub struct Row {
    /// When, UTC.
    pub at: String,
    /// Status as the style sheet knows it.
    pub status: &'static str,
    /// How bad, in words.
    pub level: String,
    /// What it is about, in words.
    pub category: String,
    /// What happened.
    pub text: String,
}

/// Which events.
#[derive(Clone, Default, Deserialize)]
pub struct EventsQuery {
    /// At least so bad.
    #[serde(default)]
    severity: String,
    #[serde(default)]
    category: String,
    /// A place, e.g. `string.1.block.17`, or words.
    #[serde(default)]
    about: String,
    /// From when, UTC.
    #[serde(default)]
    from: String,
    /// Until when, UTC.
    #[serde(default)]
    to: String,
    /// Only older than the event of this number.
    before: Option<u64>,
}

/// What a query means.
struct Filter {
    severity: Severity,
    category: Option<Category>,
    about: About,
    from_ms: u64,
    to_ms: u64,
    lang: Lang,
}

/// What an event is about.
pub enum About {
    /// Anything.
    Anything,
    /// A place.
    Place(Place),
    /// What has these words, in small letters.
    Words(String),
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(query): Query<EventsQuery>,
) -> page::Answer {
    let time = |text: &str| (!text.trim().is_empty()).then(|| moment::parse(text));
    let (from, to) = (time(&query.from), time(&query.to));
    let (from_problem, to_problem) = (from == Some(None), to == Some(None));
    let filter = Filter {
        severity: named(&SEVERITIES, &query.severity).unwrap_or(Severity::Info),
        category: named(&CATEGORIES, &query.category),
        about: About::of(&query.about),
        from_ms: from.flatten().unwrap_or(0),
        // The minute that was named is one of them.
        to_ms: to.flatten().map_or(u64::MAX, |ms| ms.saturating_add(59_999)),
        lang: reader.lang,
    };
    let (store, before) = (console.store.clone(), query.before);
    let found = off_thread(&console, move || find(&store, before, &filter)).await?;
    let page = EventsPage {
        version: &VERSION,
        who: reader.who(Area::Events, Level::View),
        rows: found.events.iter().map(|event| Row::of(&reader, event)).collect(),
        older: found.next.map_or_else(String::new, |id| query.address(id)),
        newest: query.before.is_some(),
        from_problem,
        to_problem,
        query,
    };
    let good = !from_problem && !to_problem;
    let status = if good { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(reader.show(status, &page))
}

impl EventsPage<'_> {
    fn severities(&self) -> Vec<(&'static str, String)> {
        SEVERITIES.map(|(name, _)| (name, self.who.word(&format!("level-{name}")))).to_vec()
    }

    fn categories(&self) -> Vec<(&'static str, String)> {
        CATEGORIES.map(|(name, _)| (name, self.who.word(&format!("page-category-{name}")))).to_vec()
    }
}

impl EventsQuery {
    /// The same, of what is older than the event `id`.
    fn address(&self, id: u64) -> String {
        let mut address = format!("/events?before={id}");
        for (name, value) in [
            ("severity", &self.severity),
            ("category", &self.category),
            ("about", &self.about),
            ("from", &self.from),
            ("to", &self.to),
        ] {
            if !value.is_empty() {
                address += &format!("&{name}={}", urlencoded(value));
            }
        }
        address
    }
}

impl Row {
    /// An event for a reader.
    pub fn of(reader: &Reader, stored: &StoredEvent) -> Self {
        let (severity, category) = (stored.event.severity(), stored.event.category());
        let word = |all: &[(&'static str, Severity)]| {
            all.iter().find(|(_, of)| *of == severity).map_or("info", |(name, _)| name)
        };
        let name = CATEGORIES.iter().find(|(_, of)| *of == category).map_or("system", |(n, _)| n);
        Self {
            at: clock::utc(stored.unix_ms),
            status: match severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Alarm => "alarm",
            },
            level: reader.word(&format!("level-{}", word(&SEVERITIES))),
            category: reader.word(&format!("page-category-{name}")),
            text: words().event(reader.lang, &stored.event),
        }
    }
}

impl About {
    /// What somebody wrote.
    pub fn of(text: &str) -> Self {
        let text: String = text.trim().chars().take(TEXT_MAX).collect();
        match text.parse::<Place>() {
            _ if text.is_empty() => Self::Anything,
            Ok(place @ (Place::String(_) | Place::Block(..))) => Self::Place(place),
            _ => Self::Words(text.to_lowercase()),
        }
    }

    /// Whether an event is about it.
    pub fn fits(&self, lang: Lang, event: &Event) -> bool {
        let of = |known: &BTreeMap<String, Vec<String>>, name: &str, number: u16| {
            let number = number.to_string();
            known.get(name).is_some_and(|values| values.contains(&number))
        };
        match self {
            Self::Anything => true,
            Self::Place(place) => {
                let known = fields(event);
                let mut places = known.get("place").into_iter().flatten();
                let there =
                    |text: &String| text.parse::<Place>().is_ok_and(|other| other.is_within(place));
                let string = |n: u16| {
                    of(&known, "string", n)
                        || known.get("place").is_some_and(|p| p.contains(&format!("string.{n}")))
                };
                places.any(there)
                    || match place {
                        Place::String(n) => of(&known, "string", *n),
                        Place::Block(n, block) => {
                            string(*n)
                                && (of(&known, "block", *block) || of(&known, "blocks", *block))
                        }
                        _ => false,
                    }
            }
            Self::Words(wanted) => {
                words().event(lang, event).to_lowercase().contains(wanted)
                    || fields(event).values().flatten().any(|v| v.to_lowercase().contains(wanted))
            }
        }
    }
}

/// What was found, and from where older ones are to be looked for.
struct Found {
    events: Vec<StoredEvent>,
    next: Option<u64>,
}

fn find(store: &Store, before: Option<u64>, filter: &Filter) -> Found {
    let fits = |stored: &StoredEvent| {
        let event = &stored.event;
        event.severity() >= filter.severity
            && filter.category.is_none_or(|category| category == event.category())
            && (filter.from_ms..=filter.to_ms).contains(&stored.unix_ms)
            && filter.about.fits(filter.lang, event)
    };
    newest(store, before, PAGE, fits)
}

/// The newest events that fit, newest first.
pub fn latest(store: &Store, most: usize, fits: impl Fn(&Event) -> bool) -> Vec<StoredEvent> {
    newest(store, None, most, |stored| fits(&stored.event)).events
}

fn newest(
    store: &Store,
    before: Option<u64>,
    most: usize,
    fits: impl Fn(&StoredEvent) -> bool,
) -> Found {
    let none = Found { events: Vec::new(), next: None };
    let Some(last) = store.events(None, 1).last().map(|event| event.id) else { return none };
    let oldest = store.events(Some(0), 1).first().map_or(last, |event| event.id);
    let mut below = before.unwrap_or(u64::MAX).min(last.saturating_add(1));
    let mut events: Vec<StoredEvent> = Vec::new();
    for _ in 0..BATCHES {
        if below <= oldest {
            return Found { events, next: None };
        }
        let after = below.saturating_sub(BATCH + 1);
        let batch = store.events(Some(after), BATCH as usize);
        for stored in batch.into_iter().rev().filter(|stored| stored.id < below) {
            if !fits(&stored) {
                continue;
            }
            if events.len() == most {
                return Found { next: events.last().map(|event| event.id), events };
            }
            events.push(stored);
        }
        below = after.saturating_add(1);
    }
    Found { events, next: Some(below) }
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(word, _)| *word == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_its_string_and_its_blocks() {
        let lost = Event::ModulesLost { string: 2, blocks: vec![3, 17] };
        for (text, wanted) in [
            ("", true),
            ("string.2", true),
            ("string.2.block.17", true),
            ("string.2.block.4", false),
            ("string.1", false),
            ("MODULES", true),
            ("ups.0", false),
        ] {
            assert_eq!(About::of(text).fits(Lang::En, &lost), wanted, "{text}");
        }
        let battery = Event::UpsOnBattery { ups: "ups.0".into() };
        assert!(About::of("ups.0").fits(Lang::De, &battery));
    }

    #[test]
    fn old_events_are_found_page_by_page() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        for string in 1..=5 {
            let event = Event::StringInBand { string };
            store.record_acknowledged(event).wait().expect("on the disk");
        }
        let of = |before| {
            newest(
                &store,
                before,
                2,
                |stored| matches!(stored.event, Event::StringInBand { string } if string != 4),
            )
        };
        let strings = |found: &Found| {
            let one = |e: &StoredEvent| match e.event {
                Event::StringInBand { string } => string,
                _ => 0,
            };
            found.events.iter().map(one).collect::<Vec<_>>()
        };
        let first = of(None);
        assert_eq!((strings(&first), first.next.is_some()), (vec![5, 3], true));
        let second = of(first.next);
        assert_eq!((strings(&second), second.next), (vec![2, 1], None));
    }
}
