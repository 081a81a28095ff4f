//! One alarm, and what can change about it.

use super::{FLAP_MS, FLAPS, JOIN_MS, Key};
use crate::alarm::Standing;
use crate::alarm::kind::Kind;
use crate::alarm::place::Place;
use crate::events::Severity;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Where an alarm is in its life (ISA-18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is true, and nobody has acknowledged it.
    Raised,
    /// It is over, and waits for a reset.
    Latched,
    /// It is true, and somebody knows.
    Acknowledged,
    /// It is over, and nobody has acknowledged it.
    Returned,
    /// Put aside for a while.
    Shelved,
}

impl State {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Latched => "latched",
            Self::Acknowledged => "acknowledged",
            Self::Returned => "returned",
            Self::Shelved => "shelved",
        }
    }
}

/// Who did something, when, and what they said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who.
    pub user: String,
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Their words; may be empty.
    pub note: String,
}

/// Who put an alarm aside, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Who, when, why.
    pub by: Mark,
    /// Until when, ms since 1970.
    pub until_ms: u64,
}

/// A place at which an alarm is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What is true there: the alarm's kind, or a consequence of it.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// Since when, ms since 1970.
    pub since_ms: u64,
    /// What was measured at the last change or look, in the kind's unit.
    pub value: Option<f64>,
    /// The limit that it is beyond.
    pub limit: Option<f64>,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Counts up; never used twice.
    pub id: u64,
    /// What.
    pub kind: Kind,
    /// Where: the members' string, or the place itself.
    pub place: Place,
    /// The worst of its members, now or when it ended.
    pub severity: Severity,
    /// When it was raised, ms since 1970.
    pub raised_ms: u64,
    /// When it was last raised anew: again, worse, or because others joined.
    pub round_ms: u64,
    /// Counts these, from 1. Who acknowledges says which one they saw.
    pub round: u32,
    /// Where it is true; when it is over, where it was last.
    pub members: BTreeMap<Place, Member>,
    /// Since when it is over, ms since 1970; `None` while it is true.
    pub over_ms: Option<u64>,
    /// Who acknowledged it.
    pub acknowledged: Option<Mark>,
    /// Who put it aside.
    pub shelf: Option<Shelf>,
    /// It stays until a person resets it.
    pub latching: bool,
    /// It comes and goes too often to be told each time.
    pub flapping: bool,
    /// When it came, newest last, as long as that counts.
    pub(super) came: Vec<u64>,
    /// Since when it is not true, while it flaps.
    pub(super) quiet_ms: Option<u64>,
}

/// What became of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What.
    pub what: What,
    /// The alarm after it; `None`: of the book itself.
    pub alarm: Option<Box<Alarm>>,
}

/// See [`Change`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It began.
    Raised,
    /// It came again before it had left the book.
    Again,
    /// It is worse than it was.
    Worse,
    /// More members, some time after it was raised.
    Joined,
    /// It comes and goes; told once.
    Flapping,
    /// It is over.
    Over,
    /// It turned out to be a consequence of another alarm.
    Absorbed {
        /// That one.
        into: (Kind, Place),
    },
    /// Somebody acknowledged it.
    Acknowledged(Mark),
    /// Somebody put it aside.
    Shelved(Shelf),
    /// Somebody took it back.
    Unshelved(Mark),
    /// Its time on the shelf is over.
    ShelfOver,
    /// Somebody reset it.
    Reset(Mark),
    /// There are more alarms than the book can hold.
    Full,
}

impl Change {
    pub(super) fn of(what: What, alarm: &Alarm) -> Self {
        Self { what, alarm: Some(Box::new(alarm.clone())) }
    }

    pub(super) const fn full() -> Self {
        Self { what: What::Full, alarm: None }
    }
}

impl Alarm {
    /// Where it is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        match (&self.shelf, self.over_ms, &self.acknowledged) {
            (Some(_), ..) => State::Shelved,
            (_, Some(_), _) if self.latching => State::Latched,
            (_, None, None) => State::Raised,
            (_, None, Some(_)) => State::Acknowledged,
            (_, Some(_), _) => State::Returned,
        }
    }

    /// Whether it is true now, or nothing says that it is not.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.over_ms.is_none()
    }

    /// The members, worst first.
    #[must_use]
    pub fn worst(&self) -> Option<(&Place, &Member)> {
        let distance = |member: &Member| match (member.value, member.limit) {
            (Some(value), Some(limit)) => (value - limit).abs(),
            _ => 0.0,
        };
        self.members.iter().reduce(|a, b| {
            let order = b.1.severity.cmp(&a.1.severity);
            let order = order.then(distance(b.1).total_cmp(&distance(a.1)));
            if order.is_gt() { b } else { a }
        })
    }

    /// Blocks among its members, per string and in order.
    #[must_use]
    pub fn blocks(&self) -> BTreeMap<u16, Vec<u16>> {
        let mut blocks: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
        for place in self.members.keys() {
            if let Place::Block(string, block) = place {
                blocks.entry(*string).or_default().push(*block);
            }
        }
        blocks
    }

    /// Lists are sorted by this: what needs somebody most comes first.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let danger = self.kind.is_safety() && self.shelf.is_none();
        let aside = self.shelf.is_some();
        let over = !self.is_active() && !self.latching;
        let known = self.acknowledged.is_some();
        (!danger, aside, over, Reverse(self.severity), known, Reverse(self.round_ms), self.id)
    }

    pub(super) fn key(&self) -> Key {
        (self.kind, self.place.clone())
    }

    /// Nobody needs it any more.
    pub(super) const fn is_gone(&self) -> bool {
        let done = self.acknowledged.is_some() || matches!(self.severity, Severity::Info);
        !self.is_active() && !self.latching && self.shelf.is_none() && done
    }

    /// A new alarm of this, the worst first.
    pub(super) fn raise(
        id: u64,
        (kind, place): Key,
        standing: &[&Standing],
        came: Vec<u64>,
        unix_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Self {
        let mut alarm = Self {
            id,
            kind,
            place,
            severity: Severity::Info,
            raised_ms: unix_ms,
            round_ms: unix_ms,
            round: 1,
            members: BTreeMap::new(),
            over_ms: None,
            acknowledged: None,
            shelf: None,
            latching: false,
            flapping: false,
            came,
            quiet_ms: None,
        };
        for standing in standing {
            alarm.add(standing, unix_ms);
        }
        alarm.severity = alarm.worst_severity();
        alarm.tell_come(What::Raised, unix_ms, changes);
        alarm
    }

    /// What stands of it now, the worst first; at most `room` new members.
    /// True when some found no room.
    pub(super) fn stand(
        &mut self,
        standing: &[&Standing],
        room: usize,
        unix_ms: u64,
        changes: &mut Vec<Change>,
    ) -> bool {
        let again = !self.is_active();
        if again {
            self.members.clear();
            (self.over_ms, self.quiet_ms) = (None, None);
        }
        let (mut joined, mut full) = (0, false);
        for standing in standing {
            match self.members.get_mut(&standing.at) {
                Some(member) => member.look(standing),
                None if joined >= room => full = true,
                None => {
                    self.add(standing, unix_ms);
                    joined += 1;
                }
            }
        }
        let before = self.severity;
        self.severity = self.worst_severity();
        let late = joined > 0 && unix_ms.saturating_sub(self.round_ms) > JOIN_MS;
        if again {
            if self.severity > before {
                self.shelf = None;
            }
            self.begin_round(unix_ms);
            self.tell_come(What::Again, unix_ms, changes);
        } else if self.severity > before {
            self.shelf = None;
            self.begin_round(unix_ms);
            changes.push(Change::of(What::Worse, self));
        } else if late && !self.flapping {
            self.begin_round(unix_ms);
            if self.shelf.is_none() {
                changes.push(Change::of(What::Joined, self));
            }
        }
        full
    }

    /// It is not true any more.
    pub(super) fn end(&mut self, unix_ms: u64) {
        (self.over_ms, self.quiet_ms, self.flapping) = (Some(unix_ms), None, false);
    }

    /// Whether people know that it is true: what came again on the shelf was
    /// not told.
    pub(super) fn is_told(&self) -> bool {
        let since = |shelf: &Shelf| self.came.last().is_some_and(|at| *at > shelf.by.unix_ms);
        !self.shelf.as_ref().is_some_and(since)
    }

    /// Off the shelf; what is true needs somebody again.
    pub(super) fn unshelve(&mut self) {
        self.shelf = None;
        if self.is_active() {
            self.acknowledged = None;
            self.round = self.round.saturating_add(1);
        }
    }

    fn begin_round(&mut self, unix_ms: u64) {
        self.acknowledged = None;
        self.round_ms = unix_ms;
        self.round = self.round.saturating_add(1);
    }

    /// It came: say so, or that it flaps, or nothing while that is known.
    fn tell_come(&mut self, what: What, unix_ms: u64, changes: &mut Vec<Change>) {
        self.came.retain(|at| unix_ms.saturating_sub(*at) <= FLAP_MS);
        self.came.push(unix_ms);
        // The first time is no return.
        let flaps = self.came.len() > FLAPS;
        if flaps {
            self.came.remove(0);
        }
        let news = flaps && !self.flapping;
        self.flapping |= flaps;
        if self.shelf.is_none() {
            changes.push(Change::of(if news { What::Flapping } else { what }, self));
        }
    }

    fn add(&mut self, standing: &Standing, unix_ms: u64) {
        let Standing { kind, at, severity, value, limit, latch, .. } = standing;
        let (kind, severity, value, limit) = (*kind, *severity, *value, *limit);
        self.latching |= *latch;
        let member = Member { kind, severity, since_ms: unix_ms, value, limit };
        // The worst comes first and stays.
        self.members.entry(at.clone()).or_insert(member);
    }

    fn worst_severity(&self) -> Severity {
        self.members.values().map(|member| member.severity).max().unwrap_or(self.severity)
    }
}

impl Member {
    fn look(&mut self, standing: &Standing) {
        (self.kind, self.severity) = (standing.kind, standing.severity);
        (self.value, self.limit) = (standing.value, standing.limit);
    }
}
