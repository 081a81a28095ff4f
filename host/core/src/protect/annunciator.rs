//! What people at the box see and hear: the general alarm relay, the buzzer
//! and the alarm LED (facts/battery-science.md §1.5).
//!
//! **The relay is fail-safe**: energised means healthy. It picks up some
//! seconds after the start, drops in the scan in which an alarm begins, and
//! also when power or the guard is gone, because nobody energises it then.
//! Opened by hand it stays open until a restart, until an alarm clears, or
//! until it is closed by hand; closing it by hand hides no alarm.

use super::condition::Level;
use super::report::Report;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// How the box tells people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnnunciatorSettings {
    /// The relay picks up so long after the start, s: 0 … 120.
    pub pick_up_s: f64,
    /// The buzzer sounds on alarms.
    pub buzzer: bool,
}

impl Default for AnnunciatorSettings {
    fn default() -> Self {
        Self { pick_up_s: 15.0, buzzer: true }
    }
}

impl AnnunciatorSettings {
    /// Say what is impossible.
    ///
    /// # Errors
    /// The name of the field and what is right.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if (0.0..=120.0).contains(&self.pick_up_s) {
            return Ok(());
        }
        Err(("pick_up_s", "0 … 120"))
    }
}

/// What is told: the whole box in one scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct General {
    /// The worst level of all strings and of the system.
    pub level: Level,
    /// Counts alarms as they begin (wraps).
    pub raised: u32,
}

impl General {
    /// Of all strings, and of what the caller found of the system (a dead bus,
    /// a lost I/O module, a refused settings file): its level and its own
    /// count of alarms begun.
    pub fn of<'a>(
        strings: impl Iterator<Item = &'a Report>,
        system: Level,
        system_raised: u32,
    ) -> Self {
        strings.fold(Self { level: system, raised: system_raised }, |general, string| Self {
            level: general.level.max(string.level),
            raised: general.raised.wrapping_add(string.raised),
        })
    }
}

/// What people did to it since the last scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hands {
    /// The mute button is down, or muting was commanded in this scan.
    pub mute: bool,
    /// The relay was opened by hand.
    pub open_relay: bool,
    /// The relay was closed by hand.
    pub close_relay: bool,
}

/// What the outputs shall be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annunciation {
    /// General alarm relay energised: healthy.
    pub relay: bool,
    /// Buzzer sounding.
    pub buzzer: bool,
    /// Red half of the alarm LED: alarm, or both halves: warning.
    pub red: bool,
    /// Green half: healthy, or warning together with red.
    pub green: bool,
}

/// The state behind the outputs. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct Annunciator {
    settings: AnnunciatorSettings,
    started: Option<Nanos>,
    picked_up: bool,
    opened_by_hand: bool,
    muted: bool,
    mute_was_down: bool,
    last: General,
}

impl Annunciator {
    /// With everything dropped, as without power.
    #[must_use]
    pub fn new(settings: AnnunciatorSettings) -> Self {
        Self {
            settings,
            started: None,
            picked_up: false,
            opened_by_hand: false,
            muted: false,
            mute_was_down: false,
            last: General::default(),
        }
    }

    /// One scan.
    pub fn step(&mut self, now: Nanos, general: General, hands: Hands) -> Annunciation {
        let started = *self.started.get_or_insert(now);
        self.picked_up |= now.since(started).as_secs_f64() >= self.settings.pick_up_s;
        let alarm = general.level == Level::Alarm;
        let cleared = self.last.level == Level::Alarm && !alarm;
        self.opened_by_hand |= hands.open_relay;
        self.opened_by_hand &= !(cleared || hands.close_relay);
        // Only the press mutes: a button that is held or stuck silences no
        // alarm that begins later.
        self.muted |= hands.mute && !self.mute_was_down;
        self.mute_was_down = hands.mute;
        if !alarm || general.raised != self.last.raised {
            self.muted = false;
        }
        self.last = general;
        Annunciation {
            relay: self.picked_up && !alarm && !self.opened_by_hand,
            buzzer: self.settings.buzzer && alarm && !self.muted,
            red: matches!(general.level, Level::Warning | Level::Alarm),
            green: general.level < Level::Alarm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Hands = Hands { mute: false, open_relay: false, close_relay: false };
    const MUTE: Hands = Hands { mute: true, ..CALM };
    const OPEN: Hands = Hands { open_relay: true, ..CALM };
    const CLOSE: Hands = Hands { close_relay: true, ..CALM };

    struct Box(Annunciator, u64);

    impl Box {
        fn new() -> Self {
            Self(Annunciator::new(AnnunciatorSettings::default()), 0)
        }

        fn started() -> Self {
            let mut it = Self::new();
            it.step(Level::Ok, 0, CALM);
            it.1 = 15;
            assert!(it.step(Level::Ok, 0, CALM).relay);
            it
        }

        fn step(&mut self, level: Level, raised: u32, hands: Hands) -> Annunciation {
            self.1 += 1;
            self.0.step(Nanos::from_secs(self.1), General { level, raised }, hands)
        }
    }

    #[test]
    fn the_relay_picks_up_late_and_drops_at_once() {
        let mut it = Box::new();
        let on: Vec<bool> = (0..20).map(|_| it.step(Level::Ok, 0, CALM).relay).collect();
        assert_eq!(on.iter().position(|on| *on), Some(15));
        assert!(it.step(Level::Warning, 0, CALM).relay);
        assert!(!it.step(Level::Alarm, 1, CALM).relay);
        assert!(it.step(Level::Ok, 1, CALM).relay, "it picks up again when the alarm is over");
        let mut it = Box::new();
        let with_alarm = (0..60).any(|_| it.step(Level::Alarm, 1, CALM).relay);
        assert!(!with_alarm, "never while an alarm stands");
    }

    #[test]
    fn opened_by_hand_stays_open_until_an_alarm_clears_or_it_is_closed() {
        let mut it = Box::started();
        assert!(!it.step(Level::Ok, 0, OPEN).relay);
        assert!(!it.step(Level::Ok, 0, CALM).relay);
        assert!(it.step(Level::Ok, 0, CLOSE).relay);
        assert!(!it.step(Level::Alarm, 1, OPEN).relay);
        assert!(!it.step(Level::Alarm, 1, CLOSE).relay, "closing hides no alarm");
        assert!(!it.step(Level::Alarm, 1, OPEN).relay);
        assert!(it.step(Level::Ok, 1, CALM).relay);
    }

    #[test]
    fn mute_lasts_until_the_next_alarm() {
        let mut it = Box::started();
        assert!(it.step(Level::Alarm, 1, CALM).buzzer);
        assert!(!it.step(Level::Alarm, 1, MUTE).buzzer);
        assert!(!it.step(Level::Alarm, 1, MUTE).buzzer);
        assert!(it.step(Level::Alarm, 2, MUTE).buzzer, "a held button mutes nothing new");
        assert!(it.step(Level::Alarm, 2, CALM).buzzer);
        assert!(!it.step(Level::Alarm, 2, MUTE).buzzer);
        assert!(!it.step(Level::Ok, 2, CALM).buzzer);
        assert!(it.step(Level::Alarm, 3, CALM).buzzer);
        assert!(!it.step(Level::Warning, 3, CALM).buzzer, "warnings are silent");
    }

    #[test]
    fn the_led_has_three_colours() {
        let mut it = Box::started();
        let mut colour = |level| {
            let now = it.step(level, 0, CALM);
            (now.red, now.green)
        };
        assert_eq!(colour(Level::Notice), (false, true));
        assert_eq!(colour(Level::Warning), (true, true));
        assert_eq!(colour(Level::Alarm), (true, false));
    }

    #[test]
    fn the_worst_string_speaks_for_all() {
        let mut reports = [Report::new(1), Report::new(1)];
        reports[1].level = Level::Alarm;
        reports[1].raised = 2;
        let general = General::of(reports.iter(), Level::Warning, 1);
        assert_eq!(general, General { level: Level::Alarm, raised: 3 });
        assert_eq!(General::of([].iter(), Level::Warning, 0).level, Level::Warning);
    }
}
