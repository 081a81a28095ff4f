//! What the status words of UPSes were, by the events that told of them: a
//! history keeps no words, the log keeps these events.
//!
//! Before the first event that says that a UPS went to its battery it was on
//! mains. A restart tells again what stands, within [`AGAIN_MS`]; what is not
//! told again by then ended while nobody looked.

use crate::events::Event;
use std::collections::BTreeMap;

/// What stands is told again within so long after a start, ms.
const AGAIN_MS: u64 = 60_000;

/// The UPSes of a log.
#[derive(Clone, Debug, Default)]
pub struct Upses(BTreeMap<String, Life>);

/// The status words of a UPS from this time on, ms since 1970; `None`: nobody
/// knows them.
pub type Words = (u64, Option<&'static str>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Life {
    now: Now,
    /// What it was before a restart that did not tell it again yet, and when
    /// that was.
    doubt: Option<(u64, Now)>,
    /// What it was before the first event.
    before: Option<&'static str>,
    words: Vec<Words>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Now {
    on_battery: bool,
    low: bool,
    lost: bool,
}

impl Upses {
    /// The next event of the log.
    pub fn happened(&mut self, unix_ms: u64, event: &Event) {
        let (ups, change): (_, fn(&mut Now)) = match event {
            Event::DaemonStarted { .. } => {
                self.0.values_mut().for_each(|life| life.restart(unix_ms));
                return;
            }
            Event::UpsOnBattery { ups } => (ups, |now| (now.on_battery, now.lost) = (true, false)),
            Event::UpsOnMains { ups } => (ups, |now| *now = Now::default()),
            Event::UpsBatteryLow { ups } => {
                (ups, |now| *now = Now { on_battery: true, low: true, lost: false })
            }
            Event::UpsLost { ups } => (ups, |now| now.lost = true),
            Event::UpsBack { ups } => (ups, |now| now.lost = false),
            // Nobody reads it any more.
            Event::UpsUnwatched { ups } => (ups, |now| *now = Now { lost: true, ..Now::default() }),
            _ => return,
        };
        let life = self.0.entry(ups.clone()).or_insert_with(|| Life {
            before: matches!(event, Event::UpsOnBattery { .. }).then_some("OL"),
            ..Life::default()
        });
        life.step(unix_ms, change);
    }

    /// What the words of `ups` were at `from_ms`, and how they changed until
    /// `to_ms`; `None` when no event tells of it.
    #[must_use]
    pub fn words(&self, ups: &str, from_ms: u64, to_ms: u64) -> Option<Vec<Words>> {
        let life = self.0.get(ups)?;
        let first = life.words.iter().rev().find(|(at, _)| *at <= from_ms);
        let first = (from_ms, first.map_or(life.before, |(_, words)| *words));
        let later = life.words.iter().filter(|(at, _)| *at > from_ms && *at <= to_ms);
        Some(std::iter::once(first).chain(later.copied()).collect())
    }
}

impl Life {
    fn step(&mut self, unix_ms: u64, change: fn(&mut Now)) {
        if let Some((since, before)) = self.doubt.take()
            && unix_ms.saturating_sub(since) <= AGAIN_MS
        {
            let mut again = before;
            change(&mut again);
            if again == before {
                // It was so all the time.
                self.now = before;
                self.words.pop();
                return;
            }
        }
        change(&mut self.now);
        self.note(unix_ms);
    }

    fn restart(&mut self, unix_ms: u64) {
        let on_mains = Now { on_battery: false, low: false, ..self.now };
        if self.now != on_mains && self.doubt.is_none() {
            self.doubt = Some((unix_ms, self.now));
            self.now = on_mains;
            self.note(unix_ms);
        }
    }

    fn note(&mut self, unix_ms: u64) {
        let words = match self.now {
            Now { lost: true, .. } => None,
            Now { on_battery: true, low: true, .. } => Some("OB LB"),
            Now { on_battery: true, .. } => Some("OB"),
            Now { .. } => Some("OL"),
        };
        if self.words.last().is_none_or(|(_, last)| *last != words) {
            self.words.push((unix_ms, words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: (u64, u64) = (0, u64::MAX);

    fn ups() -> String {
        "ups.0".into()
    }

    fn words(log: &[(u64, Event)], (from_ms, to_ms): (u64, u64)) -> Vec<Words> {
        let mut upses = Upses::default();
        log.iter().for_each(|(at, event)| upses.happened(*at, event));
        upses.words("ups.0", from_ms, to_ms).expect("told of")
    }

    fn outage() -> Vec<(u64, Event)> {
        vec![
            (1_000, Event::UpsOnBattery { ups: ups() }),
            (2_000, Event::UpsBatteryLow { ups: ups() }),
            (3_000, Event::UpsLost { ups: ups() }),
            (4_000, Event::UpsBack { ups: ups() }),
            (5_000, Event::UpsOnMains { ups: ups() }),
            (6_000, Event::UpsUnwatched { ups: ups() }),
        ]
    }

    #[test]
    fn events_are_words_again() {
        let wanted = [
            (0, Some("OL")),
            (1_000, Some("OB")),
            (2_000, Some("OB LB")),
            (3_000, None),
            (4_000, Some("OB LB")),
            (5_000, Some("OL")),
            (6_000, None),
        ];
        assert_eq!(words(&outage(), ALL), wanted);
        assert_eq!(words(&outage(), (2_500, 3_500)), [(2_500, Some("OB LB")), (3_000, None)]);
        assert_eq!(words(&outage()[4..], ALL)[0], (0, None), "the log begins later");
        assert_eq!(Upses::default().words("ups.0", 0, 9), None);
    }

    #[test]
    fn a_restart_that_tells_it_again_ends_nothing_and_another_does() {
        let start = |at| (at, Event::DaemonStarted { version: "1".into() });
        let on_battery = |at| (at, Event::UpsOnBattery { ups: ups() });
        let again = [on_battery(1_000), start(5_000), on_battery(8_000)];
        assert_eq!(words(&again, ALL), [(0, Some("OL")), (1_000, Some("OB"))]);
        let ended = [on_battery(1_000), start(5_000)];
        assert_eq!(words(&ended, ALL), [(0, Some("OL")), (1_000, Some("OB")), (5_000, Some("OL"))]);
        let later = [on_battery(1_000), start(5_000), start(6_000), on_battery(900_000)];
        let told = words(&later, ALL);
        assert_eq!(told[2..], [(5_000, Some("OL")), (900_000, Some("OB"))]);
    }
}
