//! Opening a string's breaker through a relay, and knowing that it opened.
//!
//! ```text
//!            trip                    input: open
//!  Closed ─────────▶ Tripping(1…n) ──────────────▶ Open ─┐ input: closed
//!    ▲ ▲                │      ▲   ▲──────────────────────┘ (closed by hand)
//!    │ │ no input at all│      │every minute again
//!    │ │                ▼      │
//!    │ └─────── Unconfirmed   Failed: escalation relay, alarm ──▶ Open
//!    └── a person's reset, refused while the cause persists, from all of these
//! ```
//! An attempt counts as failed when the feedback input has not said "open"
//! [`BreakerSettings::confirm_ms`] after its relay was energised (2 s, facts/battery-science.md §4);
//! an input that is configured and cannot be read confirms nothing. The
//! escalation relay (a second coil, the charger's or the upstream breaker)
//! stays energised until the breaker is open.

use super::report::Relays;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// After a failed last attempt it is tried again so often.
const AGAIN: Nanos = Nanos::from_secs(60);
/// Between two attempts the relay is released for so long.
const PAUSE: Nanos = Nanos::from_millis(500);
/// After a restart with a latched trip, an input may take so long to be read.
const INPUT_WAIT: Nanos = Nanos::from_secs(10);

/// The breaker of a string, as wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerSettings {
    /// Relay that trips it: its number among the guard's outputs.
    pub relay: u16,
    /// How the relay drives it.
    #[serde(default)]
    pub drive: Drive,
    /// Input that reads its auxiliary contact, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u16>,
    /// Which auxiliary contact that is.
    #[serde(default)]
    pub contact: Contact,
    /// An attempt has to be confirmed within, ms: 100 … 10,000.
    #[serde(default = "default_confirm_ms")]
    pub confirm_ms: u32,
    /// Attempts before it counts as failed, 1 … 10.
    #[serde(default = "default_attempts")]
    pub attempts: u8,
    /// Relay for when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation_relay: Option<u16>,
}

fn default_confirm_ms() -> u32 {
    2_000
}

fn default_attempts() -> u8 {
    3
}

/// How a relay drives the breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// Shunt trip: energised until confirmed, or until the attempt is over.
    #[default]
    Pulse,
    /// Contactor or undervoltage release: energised as long as it is tripped.
    Hold,
}

/// What the auxiliary contact does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// Normally open (a): made while the breaker is closed.
    #[default]
    NormallyOpen,
    /// Normally closed (b): made while the breaker is open.
    NormallyClosed,
}

impl Contact {
    /// Whether the breaker is open when its input is (not) made.
    #[must_use]
    pub const fn is_open(self, made: bool) -> bool {
        match self {
            Self::NormallyOpen => !made,
            Self::NormallyClosed => made,
        }
    }
}

impl BreakerSettings {
    /// Say what is impossible.
    ///
    /// # Errors
    /// The name of the field and what is right.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !(100..=10_000).contains(&self.confirm_ms) {
            return Err(("confirm_ms", "100 … 10000"));
        }
        if !(1..=10).contains(&self.attempts) {
            return Err(("attempts", "1 … 10"));
        }
        if self.escalation_relay == Some(self.relay) {
            return Err(("escalation_relay", "another relay than the breaker's own"));
        }
        Ok(())
    }
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BreakerState {
    /// Not tripped from here, and as far as known closed.
    #[default]
    Closed,
    /// Not tripped from here, but open.
    OpenElsewhere,
    /// Latched over a restart; its input was not read yet.
    Restored,
    /// Told to open: the attempt, from 1.
    Tripping(u8),
    /// Opened, confirmed by its input.
    Open,
    /// Told to open; it has no input to confirm that.
    Unconfirmed,
    /// Told to open, and it did not.
    Failed,
}

impl BreakerState {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::OpenElsewhere => "open, not opened from here",
            Self::Restored => "tripped before the restart",
            Self::Tripping(_) => "opening",
            Self::Open => "open",
            Self::Unconfirmed => "told to open, not confirmed",
            Self::Failed => "did not open",
        }
    }
}

/// The state machine above.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// When the state, or its attempt, began.
    since: Option<Nanos>,
    /// When the relay was energised in this attempt.
    pulled: Option<Nanos>,
    /// All attempts failed, and it is not open yet.
    escalating: bool,
}

impl Breaker {
    /// A breaker; `latched` when it was tripped before the restart.
    #[must_use]
    pub const fn new(settings: BreakerSettings, latched: bool) -> Self {
        let state = if latched { BreakerState::Restored } else { BreakerState::Closed };
        Self { settings, state, since: None, pulled: None, escalating: false }
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// It was told to open as often as set, and has not.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.escalating
    }

    /// One scan: whether it shall be open (`tripped` is latched by the
    /// caller), and what its input says (`None`: none, or not readable).
    pub fn step(&mut self, now: Nanos, tripped: bool, open: Option<bool>) -> Relays {
        if tripped {
            self.open_it(now, open);
        } else {
            self.escalating = false;
            let elsewhere = match open {
                Some(open) => open,
                // An input that fell silent changes nothing that was known.
                None => self.state == BreakerState::OpenElsewhere,
            };
            let state = if elsewhere { BreakerState::OpenElsewhere } else { BreakerState::Closed };
            self.enter(state, now);
        }
        self.relays(now)
    }

    fn open_it(&mut self, now: Nanos, open: Option<bool>) {
        use BreakerState::{Closed, Failed, Open, OpenElsewhere, Restored, Tripping, Unconfirmed};
        let passed = now.since(*self.since.get_or_insert(now));
        if open == Some(true) {
            self.escalating = false;
            return self.enter(Open, now);
        }
        match self.state {
            Closed | OpenElsewhere => self.enter(Tripping(1), now),
            // Closed by hand although nobody reset it.
            Open if open == Some(false) => self.enter(Tripping(1), now),
            Restored if open == Some(false) || self.settings.input.is_none() => {
                self.enter(Tripping(1), now);
            }
            Restored if passed >= INPUT_WAIT => self.enter(Tripping(1), now),
            Tripping(attempt) if self.attempt_is_over(now) => {
                if attempt < self.settings.attempts {
                    self.enter(Tripping(attempt + 1), now);
                } else if self.settings.input.is_none() {
                    self.enter(Unconfirmed, now);
                } else {
                    self.escalating = true;
                    self.enter(Failed, now);
                }
            }
            Failed if passed >= AGAIN => self.enter(Tripping(self.settings.attempts), now),
            Open | Restored | Tripping(_) | Failed | Unconfirmed => {}
        }
    }

    fn enter(&mut self, state: BreakerState, now: Nanos) {
        if self.state != state {
            (self.state, self.since, self.pulled) = (state, Some(now), None);
        }
    }

    /// The relay was energised, and the time to confirm is over. However long a
    /// scan is, no attempt ends before its relay was energised for one.
    fn attempt_is_over(&self, now: Nanos) -> bool {
        let confirm = Nanos::from_millis(self.settings.confirm_ms.into());
        self.pulled.is_some_and(|pulled| now.since(pulled) >= confirm)
    }

    fn relays(&mut self, now: Nanos) -> Relays {
        use BreakerState::{Closed, Failed, Open, OpenElsewhere, Restored, Tripping, Unconfirmed};
        let hold = self.settings.drive == Drive::Hold;
        let passed = now.since(self.since.unwrap_or(now));
        let trip = match self.state {
            Closed | OpenElsewhere => false,
            Open | Restored | Failed | Unconfirmed => hold,
            // The pause lets a mechanism return and a coil pull again.
            Tripping(attempt) => attempt == 1 || passed >= PAUSE,
        };
        if trip {
            self.pulled.get_or_insert(now);
        }
        Relays { trip, escalation: self.escalating && self.settings.escalation_relay.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BreakerState::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        relay: 3,
        drive: Drive::Pulse,
        input: Some(1),
        contact: Contact::NormallyOpen,
        confirm_ms: 2_000,
        attempts: 3,
        escalation_relay: Some(4),
    };

    /// A scripted run: time (ms), tripped, input → state, trip relay, escalation.
    type Row = (u64, bool, Option<bool>, BreakerState, bool, bool);

    fn run(breaker: &mut Breaker, script: &[Row]) {
        for (at_ms, tripped, open, state, trip, escalation) in script {
            let relays = breaker.step(Nanos::from_millis(*at_ms), *tripped, *open);
            assert_eq!(breaker.state(), *state, "at {at_ms} ms");
            assert_eq!(relays, Relays { trip: *trip, escalation: *escalation }, "at {at_ms} ms");
        }
    }

    #[test]
    fn opens_is_confirmed_and_stays_open_until_reset() {
        let script = [
            (0, false, Some(false), Closed, false, false),
            (1_000, true, Some(false), Tripping(1), true, false),
            (2_000, true, Some(true), Open, false, false),
            (900_000, true, None, Open, false, false),
            (901_000, true, Some(true), Open, false, false),
            (902_000, false, Some(true), OpenElsewhere, false, false),
            (903_000, false, Some(false), Closed, false, false),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn a_breaker_that_sticks_is_tried_again_and_then_escalated() {
        let script = [
            (0, true, Some(false), Tripping(1), true, false),
            (1_999, true, Some(false), Tripping(1), true, false),
            (2_000, true, Some(false), Tripping(2), false, false),
            (2_500, true, Some(false), Tripping(2), true, false),
            (4_500, true, None, Tripping(3), false, false),
            (5_500, true, Some(false), Tripping(3), true, false),
            (7_499, true, Some(false), Tripping(3), true, false),
            (7_500, true, Some(false), Failed, false, true),
            (67_499, true, Some(false), Failed, false, true),
            (67_500, true, Some(false), Tripping(3), false, true),
            (68_000, true, Some(false), Tripping(3), true, true),
            (70_000, true, Some(false), Failed, false, true),
            (71_000, true, Some(true), Open, false, false),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn each_attempt_energises_the_relay_however_long_the_scans_are() {
        let script = [
            (0, true, Some(false), Tripping(1), true, false),
            (8_000, true, Some(false), Tripping(2), false, false),
            (16_000, true, Some(false), Tripping(2), true, false),
            (24_000, true, Some(false), Tripping(3), false, false),
            (32_000, true, Some(false), Tripping(3), true, false),
            (40_000, true, Some(false), Failed, false, true),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn an_unreadable_input_confirms_nothing() {
        let script = [
            (0, true, None, Tripping(1), true, false),
            (2_000, true, None, Tripping(2), false, false),
            (3_000, true, None, Tripping(2), true, false),
            (5_000, true, None, Tripping(3), false, false),
            (6_000, true, None, Tripping(3), true, false),
            (8_000, true, None, Failed, false, true),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn without_an_input_it_says_unconfirmed() {
        let settings = BreakerSettings { input: None, drive: Drive::Hold, attempts: 1, ..SETTINGS };
        let script = [
            (0, true, None, Tripping(1), true, false),
            (2_000, true, None, Unconfirmed, true, false),
            (600_000, true, None, Unconfirmed, true, false),
            (601_000, false, None, Closed, false, false),
        ];
        run(&mut Breaker::new(settings, false), &script);
    }

    #[test]
    fn opened_by_somebody_else() {
        let script = [
            (0, false, Some(true), OpenElsewhere, false, false),
            (1_000, false, None, OpenElsewhere, false, false),
            (2_000, true, Some(true), Open, false, false),
            (3_000, true, Some(false), Tripping(1), true, false),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn closed_by_hand_while_latched_it_trips_again() {
        let script = [
            (0, true, Some(true), Open, false, false),
            (60_000, true, Some(false), Tripping(1), true, false),
            (61_000, true, Some(true), Open, false, false),
        ];
        run(&mut Breaker::new(SETTINGS, false), &script);
    }

    #[test]
    fn a_latched_trip_survives_a_restart() {
        let open = [
            (0, true, None, Restored, false, false),
            (1_000, true, Some(true), Open, false, false),
        ];
        run(&mut Breaker::new(SETTINGS, true), &open);
        let closed = [
            (0, true, None, Restored, false, false),
            (1_000, true, Some(false), Tripping(1), true, false),
        ];
        run(&mut Breaker::new(SETTINGS, true), &closed);
        let silent = [
            (0, true, None, Restored, false, false),
            (9_999, true, None, Restored, false, false),
            (10_000, true, None, Tripping(1), true, false),
        ];
        run(&mut Breaker::new(SETTINGS, true), &silent);
        let held = [(0, true, None, Restored, true, false)];
        run(&mut Breaker::new(BreakerSettings { drive: Drive::Hold, ..SETTINGS }, true), &held);
    }

    #[test]
    fn contacts_and_settings() {
        assert!(Contact::NormallyOpen.is_open(false) && !Contact::NormallyOpen.is_open(true));
        assert!(Contact::NormallyClosed.is_open(true) && !Contact::NormallyClosed.is_open(false));
        let least: BreakerSettings = toml::from_str("relay = 2").expect("valid");
        assert_eq!((least.check(), least.confirm_ms, least.attempts), (Ok(()), 2_000, 3));
        let field = |s: BreakerSettings| s.check().map_err(|(field, _)| field);
        assert_eq!(field(BreakerSettings { attempts: 0, ..SETTINGS }), Err("attempts"));
        assert_eq!(field(BreakerSettings { confirm_ms: 99, ..SETTINGS }), Err("confirm_ms"));
        let same = BreakerSettings { escalation_relay: Some(3), ..SETTINGS };
        assert_eq!(field(same), Err("escalation_relay"));
    }
}
