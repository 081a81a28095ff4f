//! What people at the box see and hear: the general alarm relay, the buzzer
//! and the alarm LED (facts/battery-science.md §1.5).
//!
//! **The relay is fail-safe**: energised means healthy. It picks up some
//! seconds after the start, drops in the scan in which an alarm begins, and
//! also when power or the guard is gone, because nobody energises it then.
//! Opened by hand it stays open until a restart, until an alarm clears, or
//! until it is closed by hand; closing it by hand hides no alarm.
//!
//! **A signal** is what people want to hear besides: buzzer and lamp for some
//! time, ordered by a job. Buzzer and lamp are protection's while an alarm stands,
//! sounding or muted; a signal is heard before and after it, never instead. The
//! mute button silences a signal, and it ends by itself.

use super::condition::Level;
use super::report::Report;
use crate::command::{SIGNAL_MAX_S, Tone};
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

/// A signal that begins, or with 0 seconds ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// How the buzzer sounds.
    pub tone: Tone,
    /// The lamp blinks.
    pub lamp: bool,
    /// For so long, at most [`SIGNAL_MAX_S`].
    pub seconds: u16,
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
    /// A signal was ordered.
    pub signal: Option<Signal>,
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
    signal: Option<Sounding>,
}

/// A signal under way.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    signal: Signal,
    began: Nanos,
    muted: bool,
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
            signal: None,
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
        let pressed = hands.mute && !self.mute_was_down;
        self.muted |= pressed;
        self.mute_was_down = hands.mute;
        let (tone, lit) = self.signal(now, hands.signal, pressed);
        if !alarm || general.raised != self.last.raised {
            self.muted = false;
        }
        self.last = general;
        Annunciation {
            relay: self.picked_up && !alarm && !self.opened_by_hand,
            buzzer: if alarm { self.settings.buzzer && !self.muted } else { tone },
            red: alarm || general.level == Level::Warning && lit,
            green: !alarm && lit,
        }
    }

    /// Whether a signal sounds now, and whether the lamp is lit.
    fn signal(&mut self, now: Nanos, ordered: Option<Signal>, pressed: bool) -> (bool, bool) {
        if let Some(sounding) = &mut self.signal {
            sounding.muted |= pressed;
        }
        if let Some(signal) = ordered {
            // Who mutes in the same scan meant what they heard.
            self.signal = Some(Sounding { signal, began: now, muted: false });
        }
        let lasts = |s: &Sounding| {
            let seconds = s.signal.seconds.min(SIGNAL_MAX_S);
            now.since(s.began) < Nanos::from_secs(seconds.into())
        };
        self.signal = self.signal.filter(lasts);
        let Some(Sounding { signal, began, muted }) = self.signal else { return (false, true) };
        let second = now.since(began).as_millis() / 1_000;
        let on = match signal.tone {
            Tone::Silent => false,
            Tone::Slow => second % 4 < 2,
            Tone::Rare => second % 10 < 1,
            Tone::Steady => true,
        };
        (on && !muted, !signal.lamp || second.is_multiple_of(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Hands = Hands { mute: false, open_relay: false, close_relay: false, signal: None };
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

    fn signal(tone: Tone, lamp: bool, seconds: u16) -> Hands {
        Hands { signal: Some(Signal { tone, lamp, seconds }), ..CALM }
    }

    #[test]
    fn a_signal_sounds_blinks_and_ends_by_itself() {
        let mut it = Box::started();
        let mut heard = vec![it.step(Level::Ok, 0, signal(Tone::Slow, true, 8))];
        heard.extend((0..10).map(|_| it.step(Level::Ok, 0, CALM)));
        let sounds: Vec<_> = heard.iter().map(|now| u8::from(now.buzzer)).collect();
        assert_eq!(sounds, [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
        let lit: Vec<_> = heard.iter().map(|now| u8::from(now.green)).collect();
        assert_eq!(lit, [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1]);
        assert!(heard.iter().all(|now| now.relay && !now.red), "it is no alarm");
        assert!(it.step(Level::Warning, 0, signal(Tone::Steady, false, 9)).buzzer);
        assert!(!it.step(Level::Warning, 0, signal(Tone::Steady, false, 0)).buzzer, "ended");
        // Whatever is ordered, the guard ends it.
        it.step(Level::Ok, 0, signal(Tone::Steady, false, u16::MAX));
        let long = (0..4_000).filter(|_| it.step(Level::Ok, 0, CALM).buzzer).count();
        assert_eq!(long, usize::from(SIGNAL_MAX_S) - 1);
    }

    #[test]
    fn a_signal_is_muted_and_another_one_is_heard() {
        let mut it = Box::started();
        assert!(it.step(Level::Ok, 0, signal(Tone::Steady, true, 60)).buzzer);
        assert!(!it.step(Level::Ok, 0, MUTE).buzzer);
        assert!(!it.step(Level::Ok, 0, CALM).buzzer, "it stays muted");
        assert!(it.step(Level::Ok, 0, signal(Tone::Steady, true, 60)).buzzer);
    }

    #[test]
    fn protection_wins_over_a_signal() {
        let mut it = Box::started();
        it.step(Level::Ok, 0, signal(Tone::Rare, true, 60));
        let alarm: Vec<_> = (0..12).map(|_| it.step(Level::Alarm, 1, CALM)).collect();
        assert!(alarm.iter().all(|now| now.buzzer && now.red && !now.green && !now.relay));
        // Muted: a signal does not sound through it, nor ends what is muted.
        assert!(!it.step(Level::Alarm, 1, MUTE).buzzer);
        assert!(!it.step(Level::Alarm, 1, signal(Tone::Steady, true, 60)).buzzer);
        assert!(!it.step(Level::Alarm, 1, signal(Tone::Steady, true, 0)).buzzer);
        assert!(it.step(Level::Alarm, 2, CALM).buzzer, "a new alarm is heard");
        it.step(Level::Alarm, 2, signal(Tone::Steady, true, 60));
        assert!(it.step(Level::Ok, 2, CALM).buzzer, "what was ordered meanwhile is heard after it");
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
