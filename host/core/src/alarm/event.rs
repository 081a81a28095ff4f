//! A change of the book as an event of the log.
//!
//! What an event of its own tells already (a finding of protection, a broken
//! cable, a UPS on battery) is not told a second time when it begins and ends;
//! what people do, and what only the book knows, always is
//! ([`AlarmEvent::of`]). Every alarm is told by exactly one event that is at
//! least as bad and names the place.

use super::book::{Alarm, Change, What};
use super::kind::Kind;
use super::place::Place;
use crate::events::{Category, Ranges, Severity};
use crate::protect::Condition;
use core::fmt;
use serde::{Deserialize, Serialize};

/// See [`What`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmChange {
    /// It began.
    Raised,
    /// It came again.
    Again,
    /// It got worse.
    Worse,
    /// More places.
    Joined,
    /// It comes and goes.
    Flapping,
    /// It is over.
    Over,
    /// Somebody acknowledged it.
    Acknowledged,
    /// Somebody put it aside.
    Shelved,
    /// Somebody took it back.
    Unshelved,
    /// Its time on the shelf is over.
    ShelfOver,
    /// Somebody reset it.
    Reset,
    /// There are more alarms than can be held.
    Full,
}

/// What became of an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmEvent {
    /// What became of it.
    pub change: AlarmChange,
    /// Its number; 0 when it is about the book itself.
    pub alarm: u64,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<Kind>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// How bad it is.
    pub level: Severity,
    /// At how many places.
    pub members: u32,
    /// Blocks among them, of its own string, from 1 and in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<u16>,
    /// Measured at the worst of them, in thousandths of the kind's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_milli: Option<i64>,
    /// The limit there, in thousandths of the kind's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_milli: Option<i64>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Until when it is shelved, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// It is not true any more.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub over: bool,
}

impl AlarmEvent {
    /// The event of a change; `None` when something else tells it.
    #[must_use]
    pub fn of(change: &Change) -> Option<Self> {
        let what = match &change.what {
            What::Raised => AlarmChange::Raised,
            What::Again => AlarmChange::Again,
            What::Worse => AlarmChange::Worse,
            What::Joined => AlarmChange::Joined,
            What::Over => AlarmChange::Over,
            What::Flapping => AlarmChange::Flapping,
            What::Acknowledged(_) => AlarmChange::Acknowledged,
            What::Shelved(_) => AlarmChange::Shelved,
            What::Unshelved(_) => AlarmChange::Unshelved,
            What::ShelfOver => AlarmChange::ShelfOver,
            What::Reset(_) => AlarmChange::Reset,
            What::Full => AlarmChange::Full,
            // Its cause is told, and stands for it now.
            What::Absorbed { .. } => AlarmChange::Over,
        };
        let Some(alarm) = &change.alarm else { return Some(Self::of_book(what)) };
        let by_itself = matches!(
            what,
            AlarmChange::Raised
                | AlarmChange::Again
                | AlarmChange::Worse
                | AlarmChange::Joined
                | AlarmChange::Over
        );
        // What fell to a warning after the book had told more is over for the
        // book, too.
        let was_told = alarm.round > 1 && matches!(what, AlarmChange::Over);
        if by_itself
            && is_told_elsewhere(alarm.kind, alarm.severity)
            && !(was_told && is_told_in_part(alarm.kind))
        {
            return None;
        }
        let mut event = Self::about(what, alarm);
        let mark = match &change.what {
            What::Acknowledged(mark) | What::Unshelved(mark) | What::Reset(mark) => Some(mark),
            What::Shelved(shelf) => {
                event.until_ms = Some(shelf.until_ms);
                Some(&shelf.by)
            }
            _ => None,
        };
        if let Some(mark) = mark {
            event.user = Some(mark.user.clone());
            event.note = Some(mark.note.clone()).filter(|note| !note.trim().is_empty());
        }
        Some(event)
    }

    fn of_book(change: AlarmChange) -> Self {
        Self {
            change,
            alarm: 0,
            what: None,
            place: None,
            level: Severity::Warning,
            members: 0,
            blocks: Vec::new(),
            value_milli: None,
            limit_milli: None,
            user: None,
            note: None,
            until_ms: None,
            over: false,
        }
    }

    fn about(change: AlarmChange, alarm: &Alarm) -> Self {
        let own = match alarm.place {
            Place::String(string) => alarm.blocks().remove(&string).unwrap_or_default(),
            _ => Vec::new(),
        };
        let worst = alarm.worst().map(|(_, member)| member);
        Self {
            alarm: alarm.id,
            what: Some(alarm.kind),
            place: Some(alarm.place.clone()),
            level: alarm.severity,
            members: u32::try_from(alarm.members.len()).unwrap_or(u32::MAX),
            blocks: own,
            value_milli: worst.and_then(|member| milli(member.value?)),
            limit_milli: worst.and_then(|member| milli(member.limit?)),
            over: !alarm.is_active(),
            ..Self::of_book(change)
        }
    }

    /// The same alarm, which is over.
    #[must_use]
    pub fn ended(self) -> Self {
        let (user, note, until_ms) = (None, None, None);
        Self { change: AlarmChange::Over, over: true, user, note, until_ms, ..self }
    }

    /// How bad the event is: what got better, or what somebody did, is for the
    /// record.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        use AlarmChange as C;
        match self.change {
            C::ShelfOver if self.over => Severity::Info,
            C::Raised | C::Again | C::Worse | C::Joined | C::Flapping | C::ShelfOver | C::Full => {
                self.level
            }
            C::Over | C::Acknowledged | C::Shelved | C::Unshelved | C::Reset => Severity::Info,
        }
    }

    /// Whether it says that the condition is so (true), or that it is over;
    /// `None`: it says neither, or events of its own do.
    #[must_use]
    pub fn stands(&self) -> Option<bool> {
        use AlarmChange as C;
        // Who told of a part of it is asked about the whole when it is over.
        let elsewhere = |kind| match self.change {
            C::Over => has_events(kind),
            _ => is_told_elsewhere(kind, self.level),
        };
        if self.what.is_none_or(elsewhere) {
            return None;
        }
        match self.change {
            C::Raised | C::Again | C::Worse | C::Joined | C::Flapping => Some(true),
            C::Over => Some(false),
            // Back among the others, as it is by then.
            C::ShelfOver | C::Unshelved => Some(!self.over),
            C::Acknowledged | C::Shelved | C::Reset | C::Full => None,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn category(&self) -> Category {
        match &self.place {
            Some(Place::String(_) | Place::Block(..) | Place::Bus(_) | Place::Device(_)) => {
                Category::Battery
            }
            Some(Place::Source(_)) => Category::Ups,
            Some(Place::Plugin(_)) => Category::Plugin,
            _ => Category::System,
        }
    }
}

/// For the log; people read messages.
impl fmt::Display for AlarmEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(what), Some(place)) = (self.what, &self.place) else {
            return f.write_str("there are more alarms than can be held; the least are left out");
        };
        let change = match self.change {
            AlarmChange::Raised => "raised",
            AlarmChange::Again => "again",
            AlarmChange::Worse => "worse",
            AlarmChange::Joined => "at more places",
            AlarmChange::Flapping => "comes and goes",
            AlarmChange::Over => "over",
            AlarmChange::Acknowledged => "acknowledged",
            AlarmChange::Shelved => "shelved",
            AlarmChange::Unshelved => "taken off the shelf",
            AlarmChange::ShelfOver if self.over => "its time on the shelf is over, and so is it",
            AlarmChange::ShelfOver => "its time on the shelf is over",
            AlarmChange::Reset => "reset",
            AlarmChange::Full => "left out",
        };
        write!(f, "alarm {} ({what} at {place}): {change}", self.alarm)?;
        if !self.blocks.is_empty() {
            write!(f, ", blocks {}", Ranges(&self.blocks))?;
        }
        if let Some(value) = self.value_milli {
            write!(f, ", {} {}", value as f64 / 1e3, what.unit())?;
        }
        if let Some(limit) = self.limit_milli {
            write!(f, ", limit {} {}", limit as f64 / 1e3, what.unit())?;
        }
        if let Some(user) = &self.user {
            write!(f, ", by {user}")?;
        }
        self.note.iter().try_for_each(|note| write!(f, ": {note}"))
    }
}

/// Whether the log has events of its own for the beginning and end of this,
/// however bad it is.
#[must_use]
pub const fn has_events(kind: Kind) -> bool {
    is_told_elsewhere(kind, Severity::Alarm)
}

/// Whether the log has events of its own for the beginning and end of this at
/// that severity.
const fn is_told_elsewhere(kind: Kind, level: Severity) -> bool {
    match kind {
        Kind::Limit(..)
        | Kind::UpsReplaceBattery
        | Kind::UpsOverload
        | Kind::UpsOnBypass
        | Kind::BusLost => false,
        kind if is_told_in_part(kind) => !matches!(level, Severity::Alarm),
        _ => true,
    }
}

/// Modules that went are told as a warning; that they stay away is not.
const fn is_told_in_part(kind: Kind) -> bool {
    matches!(kind, Kind::Finding(Condition::ModuleLost))
}

fn milli(value: f64) -> Option<i64> {
    // The cast saturates; the range of thresholds ends long before.
    value.is_finite().then(|| (value * 1e3).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Book, Now, Quantity, Side, Standing};
    use super::*;
    use crate::events::Event;

    fn raised(kind: Kind) -> Option<AlarmEvent> {
        let standing = Standing {
            value: Some(41.25),
            limit: Some(40.0),
            ..Standing::plain(kind, Place::Block(2, 7), Severity::Alarm)
        };
        let now = Now { standing: vec![standing], blind: vec![] };
        AlarmEvent::of(&Book::default().step(&now, 0)[0])
    }

    #[test]
    fn a_threshold_is_told_and_what_protection_tells_is_not() {
        let limit = Kind::Limit(Quantity::BlockTemperature, Side::High);
        let event = raised(limit).expect("told");
        assert_eq!((event.value_milli, event.limit_milli), (Some(41_250), Some(40_000)));
        let text = event.to_string();
        assert_eq!(
            text,
            "alarm 1 (limit.block-temperature.high at string.2): raised, blocks 7, 41.25 °C, \
             limit 40 °C"
        );
        let event = Event::Alarm(event);
        assert_eq!((event.severity(), event.category()), (Severity::Alarm, Category::Battery));
        let stored = toml::to_string(&event).expect("encodes");
        assert_eq!(toml::from_str(&stored), Ok(event));
        assert_eq!(raised(Kind::Finding(Condition::TemperatureHigh)), None);
    }

    #[test]
    fn what_somebody_did_is_always_told() {
        let mut book = Book::default();
        let standing = Standing::plain(Kind::GuardLost, Place::Guard, Severity::Alarm);
        book.step(&Now { standing: vec![standing], blind: vec![] }, 0);
        let act = Act::Acknowledge { note: "I see".into() };
        let change = book.act(1, None, &act, "ann", 5).expect("there");
        let event = AlarmEvent::of(&change).expect("told");
        assert_eq!((event.user.as_deref(), event.note.as_deref()), (Some("ann"), Some("I see")));
        assert_eq!(event.severity(), Severity::Info);
    }

    /// What the events of one step say of their conditions.
    fn stands(book: &mut Book, standing: &[Standing], ms: u64) -> Vec<Option<bool>> {
        let now = Now { standing: standing.to_vec(), blind: vec![] };
        let told = book.step(&now, ms);
        told.iter().filter_map(AlarmEvent::of).map(|event| event.stands()).collect()
    }

    #[test]
    fn what_nothing_else_tells_is_told_as_bad_as_it_is_and_with_its_place() {
        for kind in Kind::all().filter(|kind| !has_events(*kind)) {
            for level in [Severity::Warning, Severity::Alarm] {
                let standing = Standing::plain(kind, Place::Bus(2), level);
                let now = Now { standing: vec![standing], blind: vec![] };
                let told = AlarmEvent::of(&Book::default().step(&now, 0)[0]);
                if is_told_elsewhere(kind, level) {
                    assert_eq!((told, level), (None, Severity::Warning), "{kind}");
                    continue;
                }
                let told = told.expect("told");
                assert_eq!((told.severity(), &told.place), (level, &Some(Place::Bus(2))), "{kind}");
            }
        }
    }

    #[test]
    fn a_module_that_stays_away_is_an_alarm_that_begins_and_ends() {
        let kind = Kind::Finding(Condition::ModuleLost);
        let at = |level| vec![Standing::plain(kind, Place::Block(1, 3), level)];
        let mut book = Book::default();
        assert_eq!(stands(&mut book, &at(Severity::Warning), 0), []);
        assert_eq!(stands(&mut book, &at(Severity::Alarm), 120_000), [Some(true)]);
        assert_eq!(stands(&mut book, &at(Severity::Warning), 130_000), []);
        assert_eq!(stands(&mut book, &[], 140_000), [Some(false)], "whoever waits for it hears");
        // One that was a warning all the time is told by its own events alone.
        let mut book = Book::default();
        assert_eq!(stands(&mut book, &at(Severity::Warning), 0), []);
        assert_eq!(stands(&mut book, &[], 1_000), []);
        // One that its cause took in is over, too.
        let mut book = Book::default();
        assert_eq!(stands(&mut book, &at(Severity::Alarm), 0), [Some(true)]);
        let cause = Standing::plain(Kind::BusLost, Place::Bus(1), Severity::Alarm);
        let because = Some((Kind::BusLost, Place::Bus(1)));
        let taken = Standing { because, ..at(Severity::Alarm).remove(0) };
        let mut told = stands(&mut book, &[cause, taken], 1_000);
        told.sort();
        assert_eq!(told, [Some(false), Some(true)]);
    }
}
