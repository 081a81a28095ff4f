//! `evenkeel:events`: the event log, for those who may read it, and events of a
//! plugin's own.
//!
//! A plugin reads from a position that it keeps itself. It does not wait in a
//! call: while it rests, [`crate::notify::nudge`] has its inbox wake it when
//! there is something new. Notifiers need none of this; they are told
//! ([`crate::notify`]).
//!
//! What a plugin adds is [`Event::PluginSaid`]: it bears the plugin's name, its
//! length and its rate are bounded, and how bad it may be is granted. From
//! there on it is an event like all others: kept, shown, and told to notifiers.

use super::bucket::Bucket;
use super::meter::{Beyond, Meter, Way};
use super::rates::{Rate, Rates};
use super::{Site, one_line};
use crate::clock;
use crate::grants::event_log::{EventGrant, RAISE_ALWAYS};
use crate::notify::record;
use crate::plugin::bindings::events::{events as wit, types};
use crate::store::Store;
use evenkeel_core::events::{Event, Severity};
use evenkeel_core::time::Nanos;
use evenkeel_signing::is_printable;
use std::sync::Arc;

/// The interface.
pub const INTERFACE: &str = "evenkeel:events/events@0.1.0";
/// Events that one call returns at most.
pub const EVENTS_MAX: usize = 64;
/// Longest kind in bytes.
pub const KIND_MAX: usize = 40;
/// Longest text in bytes; what is longer is cut.
pub const TEXT_MAX: usize = 300;
/// Events that a plugin may add.
pub const RAISES: Rate = Rate { most: 10, every: Nanos::from_secs(60) };
/// Calls that are answered at once.
pub const BURST: u32 = 20;
/// Afterwards, one per this time: each reads the disk.
pub const INTERVAL: Nanos = Nanos::from_millis(200);
/// Events that one call looks at. A plugin that may see few of many comes to
/// the end of the log by calling again.
const LOOKED_AT_MAX: usize = 512;

/// One plugin's share of the event log.
#[derive(Debug)]
pub struct Events {
    name: String,
    meter: Arc<Meter>,
    store: Option<Arc<Store>>,
    least: Option<Severity>,
    raise: Severity,
    rates: Arc<Rates>,
    reads: Bucket,
    /// Behind the first and up to the second there is nothing for it.
    empty: (u64, u64),
}

/// Why a call failed. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Nothing is to be read.
    #[error("the event log is not granted to this plugin for reading")]
    Denied,
    /// Worse than it may be.
    #[error(
        "this plugin may add events up to {limit:?}; its grant may say `raise = \"…\"` for more"
    )]
    Severity {
        /// The worst that it may add.
        limit: Severity,
    },
    /// No such severity.
    #[error("{0} is no severity: 0 information, 1 warning, 2 alarm")]
    NoSeverity(u32),
    /// The kind.
    #[error("a kind is 1 to {KIND_MAX} bytes of a-z, 0-9 and '_'")]
    Kind,
    /// Nothing for people.
    #[error("the text has nothing visible in it")]
    Text,
    /// Added too often.
    #[error("more than {} events at once and one a minute", RAISES.most)]
    Raises,
    /// Read too often.
    #[error("the log is read more often than {BURST} times at once and 5 times a second")]
    Reads,
    /// There is none.
    #[error("this host keeps no events")]
    NoStore,
}

impl EventsError {
    /// The code in `events.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied | Self::Severity { .. } => 1,
            Self::NoSeverity(_) | Self::Kind | Self::Text => 2,
            Self::Raises | Self::Reads => 3,
            Self::NoStore => 4,
        }
    }
}

impl Beyond for EventsError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied => Some("event log not granted"),
            Self::Severity { .. } => Some("severity of events not granted"),
            Self::Raises | Self::Reads => Some("quota of events"),
            Self::NoSeverity(_) | Self::Kind | Self::Text | Self::NoStore => None,
        }
    }
}

impl From<EventsError> for wit::Error {
    fn from(error: EventsError) -> Self {
        Self { code: error.code(), detail: error.to_string() }
    }
}

impl Events {
    /// What is granted to this plugin.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let granted = || site.grants.events.values();
        let raise = granted().map(|grant: &EventGrant| grant.raise).max();
        Self {
            name: site.who.name.clone(),
            meter: Arc::clone(site.meter),
            store: site.services.store.clone(),
            least: granted().filter_map(|grant| grant.least).min(),
            raise: raise.unwrap_or(RAISE_ALWAYS),
            rates: Arc::clone(&site.services.rates),
            reads: Bucket::new(BURST, INTERVAL, clock::now()),
            empty: (0, 0),
        }
    }

    fn since_at(
        &mut self,
        sequence: u64,
        max: u32,
        now: Nanos,
    ) -> Result<Vec<types::Event>, EventsError> {
        let least = self.least.ok_or(EventsError::Denied)?;
        if !self.reads.admit(now) {
            return Err(EventsError::Reads);
        }
        let store = self.store.as_ref().ok_or(EventsError::NoStore)?;
        let max = EVENTS_MAX.min(max as usize);
        let (from, to) = self.empty;
        let mut after = if (from..=to).contains(&sequence) { to } else { sequence };
        let (mut found, mut looked_at) = (Vec::new(), 0);
        while found.len() < max && looked_at < LOOKED_AT_MAX {
            let batch = store.events(Some(after), EVENTS_MAX);
            let Some(last) = batch.last() else { break };
            (after, looked_at) = (last.id, looked_at + batch.len());
            let severe = batch.iter().filter(|stored| stored.event.severity() >= least);
            found.extend(severe.take(max - found.len()).map(record::record));
        }
        if found.is_empty() && max > 0 {
            self.empty = (sequence, after);
        }
        Ok(found)
    }

    fn raise_at(
        &mut self,
        severity: u32,
        kind: &str,
        text: &str,
        now: Nanos,
    ) -> Result<(), EventsError> {
        let known = [Severity::Info, Severity::Warning, Severity::Alarm];
        let found = usize::try_from(severity).ok().and_then(|index| known.get(index));
        let severity = *found.ok_or(EventsError::NoSeverity(severity))?;
        let good = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if !(1..=KIND_MAX).contains(&kind.len()) || !kind.bytes().all(good) {
            return Err(EventsError::Kind);
        }
        if !text.chars().any(|c| is_printable(c) && !c.is_whitespace()) {
            return Err(EventsError::Text);
        }
        if severity > self.raise {
            return Err(EventsError::Severity { limit: self.raise });
        }
        let store = self.store.as_ref().ok_or(EventsError::NoStore)?;
        let raises = self.rates.spend(&format!("events of {}", self.name), RAISES, now);
        if !(raises && self.rates.write(&self.name, now)) {
            return Err(EventsError::Raises);
        }
        store.record(Event::PluginSaid {
            name: self.name.clone(),
            severity,
            what: kind.to_owned(),
            text: one_line(text.trim(), TEXT_MAX),
        });
        Ok(())
    }
}

impl wit::Host for Events {
    fn since(&mut self, sequence: u64, max: u32) -> Result<Vec<types::Event>, wit::Error> {
        let found = self.since_at(sequence, max, clock::now());
        let found = self.meter.noted(found)?;
        self.meter.received(Way::Host, found.iter().map(|event| event.text.len()).sum());
        Ok(found)
    }

    fn raise(&mut self, severity: u32, kind: String, text: String) -> Result<(), wit::Error> {
        self.meter.sent(Way::Host, kind.len() + text.len());
        let raised = self.raise_at(severity, &kind, &text, clock::now());
        Ok(self.meter.noted(raised)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::testing::Place;
    use crate::plugin::fixture::Fixture;
    use crate::plugin::fixture::probe::{DRIVER, FALL, RESULT, manifest, probe};
    use crate::store::Limits;

    struct Bench {
        here: Place,
        store: Arc<Store>,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let store = Arc::new(Store::open(dir.path(), Limits::default()).expect("a store"));
            let mut here = Place::default();
            here.services.store = Some(Arc::clone(&store));
            Self { here, store, _dir: dir }
        }

        fn events(&mut self, granted: &[EventGrant]) -> Events {
            let named = granted.iter().enumerate().map(|(i, grant)| (format!("log{i}"), *grant));
            self.here.grants.events = named.collect();
            Events::new(&self.here.site())
        }

        /// Happened, and on the disk; its number.
        fn happened(&self, event: Event) -> u64 {
            self.store.record_acknowledged(event).wait().expect("kept")
        }
    }

    fn info(n: u64) -> Event {
        Event::SettingsInForce { what: "test".into(), revision: n }
    }

    fn warning() -> Event {
        Event::UpsOnBattery { ups: "ups.0".into() }
    }

    const READ_ALL: EventGrant = EventGrant::reading(Severity::Info);

    fn code<T>(result: Result<T, EventsError>) -> Result<(), u32> {
        result.map(|_| ()).map_err(|error| error.code())
    }

    #[test]
    fn events_are_read_from_a_position_in_order_and_in_pieces() {
        let mut bench = Bench::new();
        let ids: Vec<u64> = (0..100).map(|n| bench.happened(info(n))).collect();
        let mut events = bench.events(&[READ_ALL]);
        let mut seen = Vec::new();
        loop {
            let after = seen.last().copied().unwrap_or(0);
            let piece = events.since_at(after, 30, clock::now()).expect("granted");
            assert!(piece.len() <= 30);
            if piece.is_empty() {
                break;
            }
            seen.extend(piece.iter().map(|event| event.sequence));
        }
        assert_eq!(seen, ids);
        let many = events.since_at(0, u32::MAX, clock::now()).expect("granted");
        assert_eq!((many.len(), many[0].kind.as_str()), (EVENTS_MAX, "settings_in_force"));
        let new = bench.happened(warning());
        let last = events.since_at(ids[99], 9, clock::now()).expect("granted");
        assert_eq!((last.len(), last[0].sequence, last[0].severity), (1, new, 1));
    }

    #[test]
    fn what_is_not_severe_enough_is_passed_over_once() {
        let mut bench = Bench::new();
        for n in 1..=2 * LOOKED_AT_MAX as u64 {
            // Never more than the store's queue takes.
            match n % 256 {
                0 => assert_eq!(bench.happened(info(n)), n),
                _ => bench.store.record(info(n)),
            }
        }
        let severe = bench.happened(warning());
        let mut events = bench.events(&[EventGrant::reading(Severity::Warning)]);
        let calls = (1..10).find(|_| {
            let found = events.since_at(0, 5, clock::now()).expect("granted");
            found.first().is_some_and(|event| event.sequence == severe)
        });
        assert_eq!(calls, Some(3), "each call looks at so many");
        let again = events.since_at(0, 5, clock::now()).expect("granted");
        assert_eq!(again.len(), 1, "found at once, now that the others are known");
    }

    #[test]
    fn without_a_grant_nothing_is_read_and_only_information_is_added() {
        let mut bench = Bench::new();
        bench.happened(warning());
        let now = clock::now();
        let mut nothing = bench.events(&[]);
        assert_eq!(code(nothing.since_at(0, 9, now)), Err(1));
        assert_eq!(code(nothing.raise_at(1, "door_open", "The door is open", now)), Err(1));
        assert_eq!(code(nothing.raise_at(0, "door_open", "The door is open", now)), Ok(()));
        let speaks = EventGrant { least: None, raise: Severity::Warning };
        let mut speaker = bench.events(&[speaks]);
        assert_eq!(code(speaker.since_at(0, 9, now)), Err(1));
        assert_eq!(code(speaker.raise_at(2, "fire", "It burns", now)), Err(1));
        assert_eq!(code(speaker.raise_at(1, "smoke", "It smells", now)), Ok(()));
        let mut reader = bench.events(&[EventGrant::reading(Severity::Alarm)]);
        assert_eq!(code(reader.raise_at(2, "fire", "It burns", now)), Err(1), "only reads");
    }

    #[test]
    fn who_reaches_beyond_its_grant_is_named() {
        use wit::Host as _;

        let mut bench = Bench::new();
        bench.happened(warning());
        let mut nothing = bench.events(&[]);
        assert!(nothing.raise(7, "k".into(), "a mistake, and no attempt".into()).is_err());
        assert_eq!(bench.here.meter.refusals(), (0, None));
        assert!(nothing.since(0, 9).is_err());
        assert!(nothing.raise(2, "fire".into(), "It burns".into()).is_err());
        assert!((0..100).any(|_| nothing.raise(0, "k".into(), "text".into()).is_err()));
        let news = bench.here.meter.take_news();
        let begin = [
            "event log not granted: ",
            "quota of events: more than 10 events",
            "severity of events not granted: this plugin may add events up to Info",
        ];
        assert_eq!(news.len(), begin.len(), "{news:?}");
        assert!(news.iter().zip(begin).all(|(said, begin)| said.starts_with(begin)), "{news:?}");
        assert_eq!(bench.here.meter.refusals().0, 3);
        assert!(bench.here.meter.traffic().host_sent > 0);
    }

    #[test]
    fn what_a_plugin_adds_bears_its_name_and_is_bounded() {
        let mut bench = Bench::new();
        let mut events = bench.events(&[EventGrant { least: None, raise: Severity::Alarm }]);
        let text = format!("The door\n\u{1b}[2J is {}", "open ".repeat(200));
        events.raise_at(2, "door_open", &text, clock::now()).expect("added");
        bench.happened(info(1));
        let stored = bench.store.latest(2).pop().expect("kept");
        assert_eq!(stored.event.severity(), Severity::Alarm);
        let told = record::record(&stored);
        assert_eq!((told.kind.as_str(), told.category.as_str()), ("plugin_said", "plugin"));
        assert!(told.text.starts_with("plugin megatec: The door��[2J is open"), "{}", told.text);
        assert!(told.text.len() <= TEXT_MAX + 20 && !told.text.contains('\u{1b}'));
        let detail = |name: &str| told.details.iter().find(|(n, _)| n == name).map(|(_, v)| v);
        assert_eq!(detail("what").map(String::as_str), Some("door_open"));
        assert_eq!(detail("name").map(String::as_str), Some("megatec"));
    }

    #[test]
    fn malformed_events_are_not_added() {
        let mut bench = Bench::new();
        let mut events = bench.events(&[EventGrant { least: None, raise: Severity::Alarm }]);
        let long = "k".repeat(KIND_MAX + 1);
        for (severity, kind, text) in [
            (3, "kind", "text"),
            (u32::MAX, "kind", "text"),
            (0, "", "text"),
            (0, "Kind", "text"),
            (0, "kind-of", "text"),
            (0, &long, "text"),
            (0, "kind", ""),
            (0, "kind", " \n\u{202e}"),
        ] {
            let added = code(events.raise_at(severity, kind, text, clock::now()));
            assert_eq!(added, Err(2), "{severity} {kind:?} {text:?}");
        }
        bench.happened(info(0));
        assert_eq!(bench.store.latest(9).len(), 1);
    }

    #[test]
    fn floods_end_and_a_restart_gives_nothing_back() {
        let mut bench = Bench::new();
        let now = clock::now();
        let mut added = 0;
        for _ in 0..5 {
            let mut events = bench.events(&[READ_ALL]);
            added += (0..5).filter(|_| events.raise_at(0, "k", "text", now).is_ok()).count();
        }
        assert_eq!(added, RAISES.most as usize);
        let mut events = bench.events(&[READ_ALL]);
        assert_eq!(code(events.raise_at(0, "k", "text", now)), Err(3));
        assert_eq!(code(events.raise_at(0, "k", "text", now + RAISES.every)), Ok(()));
        bench.here.who.name = "other".into();
        assert_eq!(code(bench.events(&[]).raise_at(0, "k", "text", now)), Ok(()));
        let read = (0..1_000).filter(|_| events.since_at(0, 1, now).is_ok()).count();
        assert!(read <= BURST as usize + 1, "{read}");
        assert_eq!(code(events.since_at(0, 1, now)), Err(3));
        let mut nowhere = Events::new(&Place::default().site());
        assert_eq!(code(nowhere.raise_at(0, "k", "text", now)), Err(4));
    }

    /// The whole way: manifest, grant, linker, call.
    #[test]
    fn a_component_needs_declaration_permission_and_grant() {
        let mut bench = Bench::new();
        bench.happened(warning());
        bench.here.services.store = Some(Arc::clone(&bench.store));
        let imports = format!("(import {INTERFACE:?} \"since\" (func $since (param i64 i32 i32)))");
        let wake = format!("(call $since (i64.const 0) (i32.const 5) {RESULT}) {FALL}");
        let component = probe(&imports, &wake, &DRIVER);
        let fixture = Fixture::new();
        const TYPES: &str = "evenkeel:events/types@0.1.0";
        let run = |declared: &[&str], asked: &[&str], granted: bool| {
            let raw = fixture.seal(&manifest(declared, asked, &DRIVER), &component);
            let mut grants = crate::grants::Grants::default();
            if granted {
                grants.events.insert("probe".into(), READ_ALL);
            }
            let mut instance = fixture.start(&raw, bench.here.services.clone(), grants)?;
            Ok::<_, String>(instance.wake().expect_err("falls").to_string())
        };
        let text = run(&[TYPES], &[], true).expect_err("refused");
        assert!(text.contains("imports evenkeel:events/events@0.1.0, which its"), "{text}");
        let text = run(&[TYPES, INTERFACE], &[INTERFACE], false).expect_err("refused");
        assert!(text.contains("add `grant.events.probe = \"warning\"`"), "{text}");
        let text = run(&[TYPES, INTERFACE], &[], true).expect("runs");
        assert!(text.contains("in refused"), "granted, and not asked for: {text}");
        let text = run(&[TYPES, INTERFACE], &[INTERFACE], true).expect("runs");
        assert!(text.contains("in answered"), "{text}");
    }
}
