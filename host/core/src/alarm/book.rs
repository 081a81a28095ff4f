//! The alarm book: which alarms there are, and what has become of each.
//!
//! [`Book::step`] takes everything that is true now and returns what changed;
//! [`Book::act`] is what people do. Both take the wall clock, ms since 1970,
//! because an alarm outlives a boot. A clock that is set changes no state by
//! itself: it can only end a shelf, never make one longer than [`SHELF_MAX_S`].
//!
//! # Rules
//! - **Members join.** Who joins within [`JOIN_MS`] of the raising belongs to what
//!   was raised. Who joins later raises the alarm again, so that somebody looks.
//! - **Causes absorb.** What stands because of something that stands itself is a
//!   member there. An alarm of the consequences that is younger than [`JOIN_MS`]
//!   is taken in; an older one had a life of its own and keeps it.
//! - **Worse is new.** A higher severity takes an acknowledgement and a shelf away.
//! - **What was told is told to be over.** Also on the shelf, once: the log and
//!   whatever jobs began because of it need the end. What comes again there
//!   is told neither when it comes nor when it goes.
//! - **Flapping is one alarm.** What came back [`FLAPS`] times within [`FLAP_MS`] is
//!   marked, said once, and is over only when it was quiet for [`QUIET_MS`].
//! - **Bounded.** [`ALARMS_MAX`] alarms and [`MEMBERS_MAX`] members in all. When it
//!   is full, what nobody needs goes first: alarms that are over, then lesser
//!   ones; what finds no place is tried again at every step, and that it
//!   happens is told.

mod act;
mod alarm;
mod kept;
#[cfg(test)]
mod tests;

pub use act::{Act, NOTE_MAX, Refusal, SHELF_MAX_S, SHELF_MIN_S};
pub use alarm::{Alarm, Change, Mark, Member, Shelf, State, What};
pub use kept::{KeptError, Partly};

use super::kind::Kind;
use super::place::Place;
use super::{Now, Standing};
use crate::events::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// Who joins within this time belongs to what was raised, ms.
pub const JOIN_MS: u64 = 120_000;
/// So many returns …
pub const FLAPS: usize = 4;
/// … within this time are flapping, ms.
pub const FLAP_MS: u64 = 600_000;
/// Flapping is over when it was quiet for so long, ms.
pub const QUIET_MS: u64 = 300_000;
/// Most alarms.
pub const ALARMS_MAX: usize = 1_024;
/// Most members of all alarms together.
pub const MEMBERS_MAX: usize = 8_192;
/// Most alarms that are gone and whose returns are still counted.
const GONE_MAX: usize = 512;

/// What an alarm is about; there is one of each.
type Key = (Kind, Place);

/// The book.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    alarms: BTreeMap<Key, Alarm>,
    last_id: u64,
    /// When alarms that are gone came, newest last.
    gone: BTreeMap<Key, Vec<u64>>,
    /// Some alarms find no place.
    full: bool,
}

impl Book {
    /// The alarms, worst first: dangers, then by state, severity, and time.
    #[must_use]
    pub fn alarms(&self) -> Vec<&Alarm> {
        let mut alarms: Vec<_> = self.alarms.values().collect();
        alarms.sort_by_key(|alarm| alarm.rank());
        alarms
    }

    /// One alarm.
    #[must_use]
    pub fn alarm(&self, id: u64) -> Option<&Alarm> {
        self.alarms.values().find(|alarm| alarm.id == id)
    }

    /// How bad `kind` stands at `place`, as the book has it.
    #[must_use]
    pub fn standing(&self, kind: Kind, place: &Place) -> Option<Severity> {
        let alarm = self.alarms.get(&(kind, place.group())).filter(|alarm| alarm.is_active())?;
        alarm.members.get(place).map(|member| member.severity)
    }

    /// True while some alarms find no place.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Everything that is true at `unix_ms`; returns what changed, in no
    /// particular order.
    pub fn step(&mut self, now: &Now, unix_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let homes = self.homes(now, unix_ms);
        self.absorb(&homes, unix_ms, &mut changes);
        self.over(now, &homes, unix_ms, &mut changes);
        self.stand(now, homes, unix_ms, &mut changes);
        self.shelves(unix_ms, &mut changes);
        let gone: Vec<Key> =
            self.alarms.values().filter(|alarm| alarm.is_gone()).map(Alarm::key).collect();
        gone.iter().for_each(|key| self.leave(key));
        self.forget(unix_ms);
        changes
    }

    /// Which alarm each standing condition belongs to.
    fn homes<'a>(&self, now: &'a Now, unix_ms: u64) -> BTreeMap<Key, Vec<&'a Standing>> {
        let own = |standing: &Standing| (standing.kind, standing.at.group());
        let causes: BTreeSet<Key> = now.standing.iter().map(own).collect();
        let mut worst: Vec<&Standing> = now.standing.iter().collect();
        // The same at the same place twice counts once, as the worse of both.
        worst.sort_by_key(|standing| core::cmp::Reverse(standing.severity));
        let mut homes: BTreeMap<Key, Vec<&Standing>> = BTreeMap::new();
        for standing in worst.into_iter().take(MEMBERS_MAX) {
            let own = own(standing);
            let settled =
                self.alarms.get(&own).filter(|alarm| alarm.is_active()).is_some_and(|a| {
                    let member = a.members.get(&standing.at);
                    member.is_some_and(|m| unix_ms.saturating_sub(m.since_ms) > JOIN_MS)
                });
            let because = standing.because.clone().filter(|cause| {
                let stands = causes.contains(cause)
                    || self
                        .alarms
                        .get(cause)
                        .is_some_and(|a| a.is_active() && now.is_blind(&a.place));
                stands && !settled && *cause != own
            });
            homes.entry(because.unwrap_or(own)).or_default().push(standing);
        }
        homes
    }

    /// Alarms whose members have all moved to their cause are no alarms.
    fn absorb(
        &mut self,
        homes: &BTreeMap<Key, Vec<&Standing>>,
        unix_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let mut moved: BTreeMap<Key, (BTreeSet<&Place>, &Key)> = BTreeMap::new();
        for (home, standing) in homes {
            for standing in standing {
                let own = (standing.kind, standing.at.group());
                if own != *home {
                    moved.entry(own).or_insert((BTreeSet::new(), home)).0.insert(&standing.at);
                }
            }
        }
        for (key, (places, into)) in moved {
            let Some(alarm) = self.alarms.get_mut(&key) else { continue };
            if !alarm.is_active() || unix_ms.saturating_sub(alarm.raised_ms) > JOIN_MS {
                continue;
            }
            if alarm.members.keys().all(|at| places.contains(at)) {
                let change = Change::of(What::Absorbed { into: into.clone() }, alarm);
                self.alarms.remove(&key);
                changes.push(change);
            } else {
                alarm.members.retain(|at, _| !places.contains(at));
            }
        }
    }

    /// What does not stand any more, unless nothing can be known about it.
    fn over(
        &mut self,
        now: &Now,
        homes: &BTreeMap<Key, Vec<&Standing>>,
        unix_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let told: BTreeSet<(Kind, &Place)> =
            homes.values().flatten().map(|standing| (standing.kind, &standing.at)).collect();
        for (key, alarm) in self.alarms.iter_mut().filter(|(_, alarm)| alarm.is_active()) {
            let stands: BTreeSet<&Place> =
                homes.get(key).into_iter().flatten().map(|standing| &standing.at).collect();
            // What stands elsewhere is known, however blind its place.
            let unknown = |at: &Place, member: &Member| {
                now.is_blind(at) && !told.contains(&(member.kind, at))
            };
            let stays = |at: &Place, member: &Member| stands.contains(at) || unknown(at, member);
            if !stands.is_empty() || alarm.members.iter().any(|(at, member)| stays(at, member)) {
                alarm.quiet_ms = None;
                alarm.members.retain(|at, member| stays(at, member));
                continue;
            }
            let quiet = *alarm.quiet_ms.get_or_insert(unix_ms);
            if alarm.flapping && unix_ms.saturating_sub(quiet) < QUIET_MS {
                continue;
            }
            alarm.end(unix_ms);
            if alarm.is_told() {
                changes.push(Change::of(What::Over, alarm));
            }
        }
    }

    /// What stands: alarms begin, grow, get worse, or come again.
    fn stand(
        &mut self,
        now: &Now,
        homes: BTreeMap<Key, Vec<&Standing>>,
        unix_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let mut members: usize = self.alarms.values().map(|alarm| alarm.members.len()).sum();
        let (mut new, was_full) = (Vec::new(), self.full);
        self.full = now.standing.len() > MEMBERS_MAX;
        for (key, standing) in homes {
            match self.alarms.get_mut(&key) {
                Some(alarm) => {
                    let before = alarm.members.len();
                    let room = MEMBERS_MAX.saturating_sub(members);
                    self.full |= alarm.stand(&standing, room, unix_ms, changes);
                    members = members + alarm.members.len() - before;
                }
                None => new.push((key, standing)),
            }
        }
        // The worst find a place first.
        new.sort_by_key(|(_, standing)| std::cmp::Reverse(standing.first().map(|s| s.severity)));
        for (key, standing) in new {
            let severity = standing.first().map_or(Severity::Info, |s| s.severity);
            if members + standing.len() > MEMBERS_MAX || !self.make_room(severity) {
                self.full = true;
                continue;
            }
            self.last_id += 1;
            let came = self.gone.remove(&key).unwrap_or_default();
            let alarm = Alarm::raise(self.last_id, key.clone(), &standing, came, unix_ms, changes);
            members += alarm.members.len();
            self.alarms.insert(key, alarm);
        }
        if self.full && !was_full {
            changes.push(Change::full());
        }
    }

    /// Whether there is room for an alarm of this severity, or was made.
    fn make_room(&mut self, severity: Severity) -> bool {
        if self.alarms.len() < ALARMS_MAX {
            return true;
        }
        let least = self.alarms.values().max_by_key(|alarm| alarm.rank());
        let least = least.filter(|alarm| !alarm.is_active() || alarm.severity < severity);
        match least.map(Alarm::key) {
            Some(key) => self.alarms.remove(&key).is_some(),
            None => false,
        }
    }

    /// Shelves whose time is over.
    fn shelves(&mut self, unix_ms: u64, changes: &mut Vec<Change>) {
        for alarm in self.alarms.values_mut() {
            let Some(shelf) = &mut alarm.shelf else { continue };
            shelf.until_ms = shelf.until_ms.min(unix_ms.saturating_add(SHELF_MAX_S * 1_000));
            if shelf.until_ms <= unix_ms {
                alarm.unshelve();
                changes.push(Change::of(What::ShelfOver, alarm));
            }
        }
    }

    /// Alarms that left are remembered for as long as their returns count.
    fn forget(&mut self, unix_ms: u64) {
        self.gone.retain(|_, came| {
            came.last().is_some_and(|last| unix_ms.saturating_sub(*last) <= FLAP_MS)
        });
        while self.gone.len() > GONE_MAX {
            self.gone.pop_first();
        }
    }

    /// An alarm leaves the book.
    fn leave(&mut self, key: &Key) {
        if let Some(alarm) = self.alarms.remove(key) {
            self.gone.insert(key.clone(), alarm.came);
        }
    }
}
