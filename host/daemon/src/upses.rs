//! The UPSes: where one is looked for, what it says of itself, and whether its
//! silence is news. Events ([`crate::watch`]) and alarms ([`crate::alarms`])
//! both look here, so that they agree.
//!
//! A UPS is looked for at the root of every subtree under which a plugin that is
//! installed and switched on may publish. Which those are is asked at every
//! look ([`Sources`]): installed by the configuration file or from the console,
//! moved, switched off, removed — it holds from the next look on.
//!
//! | the source | its silence |
//! |---|---|
//! | has published `ups.status` since this daemon runs | is news at once |
//! | has published nothing at all | is news [`AWAIT`] after its driver should run |
//! | has published something else | is none: it reads no UPS |
//!
//! A driver that is loaded for the first time is waited for; the time of one
//! that fails and is started again goes on.

use crate::hub::{self, Hub};
use evenkeel_core::points::{Point, Quality, Value};
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A UPS that has said nothing for so long since its driver should run is
/// missed: as long as one that spoke may be silent until its values are stale.
/// A driver has tried every speed and dialect of its line well before.
pub const AWAIT: Nanos = hub::SILENCE_MAX;

/// A subtree under which a plugin that is switched on may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The subtree, e.g. `ups.0`.
    pub subtree: String,
    /// It is a driver that runs, or should: one that is loaded or refused,
    /// fails or stays off. Not one that is being loaded, and no other plugin.
    pub due: bool,
}

/// Asked at every look for the sources of that moment; must return at once.
pub type Sources = Arc<dyn Fn() -> Vec<Source> + Send + Sync>;

/// A UPS at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ups {
    /// Its subtree.
    pub root: String,
    /// Its silence is news.
    pub missed: bool,
    /// Its status words, while they are fresh.
    pub status: Option<String>,
}

/// What was heard so far. One for each who looks.
#[derive(Clone, Debug, Default)]
pub struct Upses(BTreeMap<String, Heard>);

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// It has told its status.
    of: bool,
    /// When its driver was seen due for the first time.
    due: Option<Nanos>,
}

impl Upses {
    /// Look at every source; what is none any more is forgotten.
    pub fn look(&mut self, sources: &[Source], hub: &Hub, now: Nanos) -> Vec<Ups> {
        self.0.retain(|root, _| sources.iter().any(|source| source.subtree == *root));
        sources.iter().map(|source| self.one(source, hub, now)).collect()
    }

    fn one(&mut self, source: &Source, hub: &Hub, now: Nanos) -> Ups {
        let root = &source.subtree;
        let heard = self.0.entry(root.clone()).or_default();
        let status = hub.device(&format!("{root}.ups.status"));
        heard.of |= status.is_some();
        if source.due {
            heard.due.get_or_insert(now);
        }
        let is_late = heard.due.is_some_and(|since| now.since(since) >= AWAIT);
        let missed = heard.of || (is_late && hub.query(root).is_empty());
        let status = status.filter(is_fresh).and_then(|point| match point.value {
            Value::Text(words) => Some(words),
            _ => None,
        });
        Ups { root: root.clone(), missed, status }
    }
}

/// Whether a value is of now.
#[must_use]
pub const fn is_fresh(point: &Point) -> bool {
    matches!(point.quality, Quality::Good | Quality::Estimated)
}

#[cfg(test)]
pub mod testing {
    //! Sources that a test can change.

    use super::{Source, Sources};
    use std::sync::{Arc, Mutex};

    /// Whatever is in there is a source.
    pub type Held = Arc<Mutex<Vec<Source>>>;

    /// One driver that runs, at `subtree`.
    #[must_use]
    pub fn driver(subtree: &str) -> Source {
        Source { subtree: subtree.to_owned(), due: true }
    }

    /// Sources that are these until the test changes them.
    #[must_use]
    pub fn sources(from: Vec<Source>) -> (Held, Sources) {
        let held = Arc::new(Mutex::new(from));
        let read = Arc::clone(&held);
        (held, Arc::new(move || read.lock().expect("whole").clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::driver;
    use super::*;
    use evenkeel_core::points::{Name, Unit};

    fn publish(hub: &Hub, name: &str, words: &str) {
        let name = Name::parse(name).expect("a good name");
        let value = Value::Text(words.to_owned());
        let point = Point { value, unit: Unit::None, quality: Quality::Good, at: Nanos(1) };
        hub.publish("ups.0", Nanos(0), [(name, point)]);
    }

    fn missed(upses: &mut Upses, source: &Source, hub: &Hub, second: u64) -> bool {
        let seen = upses.look(core::slice::from_ref(source), hub, Nanos::from_secs(second));
        assert_eq!((seen.len(), &seen[0].root), (1, &source.subtree));
        seen[0].missed
    }

    #[test]
    fn one_that_never_answered_is_missed_when_its_driver_should_have_read_it() {
        let (hub, mut upses) = (Hub::default(), Upses::default());
        let loading = Source { due: false, ..driver("ups.0") };
        let wait = AWAIT.as_millis() / 1_000;
        assert!(!missed(&mut upses, &loading, &hub, 0));
        assert!(!missed(&mut upses, &loading, &hub, 10 * wait), "it is being loaded");
        assert!(!missed(&mut upses, &driver("ups.0"), &hub, 1_000));
        assert!(!missed(&mut upses, &driver("ups.0"), &hub, 999 + wait));
        // It failed and is started again: the time goes on.
        assert!(missed(&mut upses, &loading, &hub, 1_000 + wait));
        assert!(missed(&mut upses, &driver("ups.0"), &hub, 1_001 + wait));
        // Taken away and put back, it is new.
        assert!(upses.look(&[], &hub, Nanos::from_secs(1_002 + wait)).is_empty());
        assert!(!missed(&mut upses, &driver("ups.0"), &hub, 1_003 + wait));
    }

    #[test]
    fn one_that_was_heard_of_is_missed_at_once_and_what_is_no_ups_never() {
        let (hub, mut upses) = (Hub::default(), Upses::default());
        publish(&hub, "ups.0.ups.status", "OL");
        let seen = upses.look(&[driver("ups.0")], &hub, Nanos(0));
        let status = Some("OL".to_owned());
        assert_eq!(seen, [Ups { root: "ups.0".into(), missed: true, status }]);
        hub.mark_stale("ups.0");
        let seen = upses.look(&[driver("ups.0")], &hub, Nanos(1));
        assert_eq!((seen[0].missed, &seen[0].status), (true, &None));
        publish(&hub, "ups.1.ambient.temperature", "21");
        assert!(!missed(&mut upses, &driver("ups.1"), &hub, 0));
        assert!(!missed(&mut upses, &driver("ups.1"), &hub, 10_000));
    }
}
