//! Alarms: what a person must know, from the moment it is true until somebody
//! has dealt with it. Follows ISA-18.2 / IEC 62682 and facts/console-ux.md §4.5.
//!
//! # Terms
//! - A *condition* is true or not, at a *place* ([`Place`]: a block, a string, a
//!   bus, a UPS …). What is true now is *standing* ([`Standing`]).
//! - An *alarm* ([`book::Alarm`]) is what people handle. It has one [`Kind`] and
//!   one place, and *members*: the places at which it is true. Forty blocks of
//!   a string that are too warm are one alarm with forty members.
//! - A *cause* absorbs its consequences: modules behind a broken cable are
//!   members of the cable's alarm, and a bus that lost its port has all its
//!   blocks and devices as members.
//! - A place is *blind* while nothing can be known about it (its bus is dead, the
//!   guard or the driver is silent). Blindness neither raises nor ends anything.
//!
//! # Three sources
//! | source | who decides | who sets the limits |
//! |---|---|---|
//! | findings of protection | the guard ([`crate::protect`]) | the guard's sealed settings |
//! | thresholds | [`threshold`], here | the daemon's settings, by the console |
//! | losses and status (guard, bus, cable, device, UPS, store, plugin) | [`survey`] | fixed |
//!
//! Protection and thresholds are apart on purpose. Protection keeps batteries
//! safe: it trips breakers and drops the alarm relay, needs no daemon, and
//! nothing set here reaches it. A threshold tells people, usually sooner, and
//! can neither loosen nor silence protection: where both find the same thing
//! at the same place, protection's finding is the alarm and the threshold is
//! not told beside it ([`Kind::is_told_by`]).
//!
//! # From a value to an event
//! ```text
//! image ─┬─▶ survey ───────────────┐ standing,
//!        └─▶ readings ─▶ watcher ──┤ blind      ┌──────┐ changes ─▶ events, jobs
//! UPS ────▶ survey, readings ──────┴───────────▶│ book │
//! people ── acknowledge, shelve, reset ────────▶│      │ ─▶ durable form
//!                                               └──────┘
//! ```
//! [`watcher`] holds hysteresis and delays, [`book`] the life cycle. Both are
//! functions of (state, input, now). [`preview`] runs the same judgement over
//! the past. [`guidance`] names the messages that say what to do.
//!
//! # Life of an alarm
//! ```text
//!            ┌──────── worse, again, joined late ────────┐
//!            ▼                                           │
//!  ──▶ raised ── acknowledge ──▶ acknowledged ───────────┤
//!        │ over                     │ over               │
//!        ▼                          ▼                    │
//!    returned ── acknowledge ──▶ (gone)                  │
//!        (latching alarms: latched ── reset ──▶ gone) ───┘
//!  any of them ── shelve ──▶ shelved ── time over, or worse ──▶ raised
//! ```

pub mod book;
pub mod event;
pub mod guidance;
pub mod kind;
pub mod place;
pub mod preview;
pub mod quantity;
pub mod survey;
pub mod threshold;
pub mod watcher;

pub use book::{Act, Alarm, Book, Change, Refusal, State};
pub use event::{AlarmChange, AlarmEvent};
pub use kind::Kind;
pub use place::Place;
pub use quantity::{Quantity, Side};
pub use threshold::{Rule, Scope, ThresholdError, Thresholds};
pub use watcher::{Reading, Watcher};

use crate::events::Severity;

/// A condition that is true now, at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What.
    pub kind: Kind,
    /// Where.
    pub at: Place,
    /// How bad.
    pub severity: Severity,
    /// What was measured, in the kind's unit, if anything.
    pub value: Option<f64>,
    /// The limit that it is beyond, in the same unit.
    pub limit: Option<f64>,
    /// It stays until a person resets it.
    pub latch: bool,
    /// What it is a consequence of, while that stands.
    pub because: Option<(Kind, Place)>,
}

impl Standing {
    /// Something without value, limit, latch and cause.
    #[must_use]
    pub const fn plain(kind: Kind, at: Place, severity: Severity) -> Self {
        Self { kind, at, severity, value: None, limit: None, latch: false, because: None }
    }
}

/// Everything that is true now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// The conditions.
    pub standing: Vec<Standing>,
    /// Places about which, and about all within, nothing is known.
    pub blind: Vec<Place>,
}

impl Now {
    /// Whether nothing is known about `place`.
    #[must_use]
    pub fn is_blind(&self, place: &Place) -> bool {
        self.blind.iter().any(|blind| place.is_within(blind))
    }
}
