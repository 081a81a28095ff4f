//! How the state record changes: one pure function, one write for each change
//! (facts/firmware-trust.md §4).
//!
//! Promises, proved by walking through every record that can come about:
//!
//! - Whatever is installed, activated or cut off, a good slot remains.
//! - A bad slot never starts while a good one exists, and nothing starts whose
//!   epoch is below the floor.
//! - Tries never rise but by an activation.
//! - Starting again and again changes the slot a bounded number of times.
//! - The floor is never above the epoch of a good slot.

use super::{Reason, Record, Slot, SlotState};

/// Starts that a new slot has to prove itself.
pub const TRIES: u8 = 3;
/// Starts of a good slot in a row, none of which lasted, before the other good
/// slot is tried.
pub const FAILED_STARTS_MAX: u8 = 5;
/// How often that may happen before the appliance stays where it is.
pub const SWAPS_MAX: u8 = 2;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An installation into the inactive slot begins; written before its first
    /// byte.
    Begin,
    /// It was given up.
    Abandon,
    /// The inactive slot was written, flushed, read back and verified.
    Written {
        /// The first 8 bytes of the SHA-256 of its header.
        header: [u8; 8],
        /// Epoch in its header.
        epoch: u32,
    },
    /// Start the inactive slot from now on.
    Activate,
    /// The appliance starts. The record that follows names the slot.
    Start,
    /// The active slot was found unfit before anything of it ran. The record
    /// that follows names the one that starts instead.
    Refused(Reason),
    /// The last start happened because of this.
    Because(Reason),
    /// The active slot proved healthy.
    Confirm,
    /// The active slot has been running for long enough not to be a crash loop
    /// (10 minutes).
    Settled,
    /// It has been running for an hour.
    Steady,
    /// What the running slot closed stays closed.
    CommitFloor,
    /// Back to the other slot, for this reason.
    GoBack(Reason),
    /// A keyring was accepted.
    Keyring {
        /// Its number.
        sequence: u32,
        /// It takes back the key that signed the inactive slot.
        revokes_other: bool,
    },
    /// The data partition is to be made anew at the next start, before anything
    /// reads it: back to how the appliance left the factory. Slots, floor and
    /// keyring stay.
    Erase,
    /// That was done. Until then each start begins it again.
    Erased,
}

/// Why something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The other slot is the only good one.
    #[error(
        "the running system is on trial and the other slot is the only good one; wait until it \
        has proved healthy, or go back"
    )]
    OnTrial,
    /// Nothing was begun.
    #[error("no installation has been begun")]
    NotBegun,
    /// There is nothing to activate.
    #[error("the other slot holds no system that is ready to start; install one first")]
    NotReady,
    /// It has a known hole.
    #[error("its epoch is {epoch}, and this device accepts none below {floor}")]
    BelowFloor {
        /// Epoch in its header.
        epoch: u32,
        /// The least.
        floor: u32,
    },
    /// There is nothing to go back to.
    #[error("the other slot holds no good system to go back to")]
    NoWayBack,
    /// The running system is not good yet.
    #[error("the running system has not proved healthy yet")]
    NotGood,
    /// Both slots are unfit.
    #[error("neither slot holds a system that may start; write the image anew (image/README.md)")]
    NothingToStart,
}

impl Record {
    /// A device as it leaves the factory: one good slot.
    #[must_use]
    pub fn factory(slot: Slot, header: [u8; 8], epoch: u32) -> Self {
        let mut record = Self {
            sequence: 1,
            active: slot,
            tries_left: 0,
            boot_reason: Reason::None,
            failed_starts: 0,
            swaps: 0,
            floor: epoch,
            keyring: 0,
            slots: [super::record::SlotRecord::default(); 2],
            erase: false,
        };
        let place = record.slot_mut(slot);
        (place.state, place.header, place.epoch) = (SlotState::Good, header, epoch);
        record
    }

    /// When neither copy can be read: what the signed headers of the slots say
    /// (epoch and the first 8 bytes of the header's SHA-256), `least` being
    /// the epoch of the program that asks, which is a lower bound of the floor.
    ///
    /// # Errors
    /// [`Forbidden::NothingToStart`] when no slot has a header that holds.
    pub fn rebuild(headers: [Option<(u32, [u8; 8])>; 2], least: u32) -> Result<Self, Forbidden> {
        let epoch = |slot: Slot| headers[slot.index()].map(|(epoch, _)| epoch);
        let found = Slot::BOTH.into_iter().filter(|slot| epoch(*slot).is_some_and(|e| e >= least));
        // Of two that are alike the first: max_by_key alone would take the last.
        let active =
            found.rev().max_by_key(|slot| epoch(*slot)).ok_or(Forbidden::NothingToStart)?;
        let mut record = Self::factory(active, [0; 8], least);
        for slot in Slot::BOTH {
            if let Some((epoch, header)) = headers[slot.index()].filter(|(e, _)| *e >= least) {
                let place = record.slot_mut(slot);
                (place.state, place.header, place.epoch) = (SlotState::Good, header, epoch);
            }
        }
        Ok(record)
    }

    /// The record after `event`; to be written before anything else is done.
    ///
    /// # Errors
    /// [`Forbidden`], and nothing has changed.
    pub fn step(&self, event: Event) -> Result<Self, Forbidden> {
        let mut next = *self;
        next.sequence = self.sequence.wrapping_add(1);
        let other = self.active.other();
        match event {
            Event::Begin => next.begin()?,
            Event::Abandon => {
                let place = next.slot_mut(other);
                if !matches!(place.state, SlotState::Writing | SlotState::Ready) {
                    return Err(Forbidden::NotBegun);
                }
                (place.state, place.reason) = (SlotState::Empty, Reason::Unfinished);
            }
            Event::Written { header, epoch } => {
                let place = next.slot_mut(other);
                if place.state != SlotState::Writing {
                    return Err(Forbidden::NotBegun);
                }
                (place.state, place.reason) = (SlotState::Ready, Reason::None);
                (place.header, place.epoch) = (header, epoch);
            }
            Event::Activate => next.activate()?,
            Event::Start => next.start()?,
            Event::Refused(reason) => {
                next.fail(reason);
                next.start_other()?;
            }
            Event::Because(reason) => next.boot_reason = reason,
            Event::Confirm => next.confirm()?,
            Event::Settled => next.failed_starts = 0,
            Event::Steady => (next.failed_starts, next.swaps) = (0, 0),
            Event::CommitFloor => next.commit_floor()?,
            Event::GoBack(reason) => {
                let (floor, epoch) = (self.floor, self.slot(other).epoch);
                if epoch > 0 && epoch < floor {
                    return Err(Forbidden::BelowFloor { epoch, floor });
                }
                if !self.is_good(other) {
                    return Err(Forbidden::NoWayBack);
                }
                if self.slot(self.active).state != SlotState::Good {
                    next.fail(reason);
                }
                (next.active, next.tries_left, next.failed_starts) = (other, 0, 0);
                next.boot_reason = reason;
            }
            Event::Keyring { sequence, revokes_other } => next.accept(sequence, revokes_other)?,
            Event::Erase => next.erase = true,
            Event::Erased => next.erase = false,
        }
        Ok(next)
    }

    fn accept(&mut self, sequence: u32, revokes_other: bool) -> Result<(), Forbidden> {
        self.keyring = self.keyring.max(sequence);
        let (active, other) = (self.active, self.active.other());
        if revokes_other && self.slot(other).state != SlotState::Empty {
            if !self.is_good(active) {
                return Err(Forbidden::NotGood);
            }
            let place = self.slot_mut(other);
            (place.state, place.reason) = (SlotState::Bad, Reason::Revoked);
        }
        Ok(())
    }

    /// True when `slot` proved itself and has no hole that is known.
    #[must_use]
    pub const fn is_good(&self, slot: Slot) -> bool {
        let slot = self.slot(slot);
        matches!(slot.state, SlotState::Good) && slot.epoch >= self.floor
    }

    fn begin(&mut self) -> Result<(), Forbidden> {
        if self.slot(self.active).state == SlotState::Trial {
            return Err(Forbidden::OnTrial);
        }
        let place = self.slot_mut(self.active.other());
        *place = super::record::SlotRecord {
            state: SlotState::Writing,
            reason: Reason::Unfinished,
            ..Default::default()
        };
        Ok(())
    }

    fn activate(&mut self) -> Result<(), Forbidden> {
        let (other, floor) = (self.active.other(), self.floor);
        let place = self.slot_mut(other);
        if place.state != SlotState::Ready {
            return Err(Forbidden::NotReady);
        }
        if place.epoch < floor {
            return Err(Forbidden::BelowFloor { epoch: place.epoch, floor });
        }
        place.state = SlotState::Trial;
        (self.active, self.tries_left) = (other, TRIES);
        (self.failed_starts, self.swaps) = (0, 0);
        Ok(())
    }

    fn start(&mut self) -> Result<(), Forbidden> {
        let active = self.slot(self.active);
        match active.state {
            SlotState::Good if active.epoch < self.floor => self.start_other(),
            SlotState::Good if self.failed_starts < FAILED_STARTS_MAX => {
                self.failed_starts += 1;
                Ok(())
            }
            SlotState::Good if self.swaps < SWAPS_MAX && self.is_good(self.active.other()) => {
                let active = self.active;
                self.slot_mut(active).reason = Reason::CrashLoop;
                self.swaps += 1;
                self.boot_reason = Reason::CrashLoop;
                self.start_other()
            }
            // Nothing better is there; it goes on, and the console says so.
            SlotState::Good => Ok(()),
            SlotState::Trial if self.tries_left > 0 => {
                self.tries_left -= 1;
                Ok(())
            }
            SlotState::Trial => {
                let why = match self.boot_reason {
                    Reason::None | Reason::Power => Reason::NotConfirmed,
                    // The first that runs beside the guard says that it is
                    // there, and nobody has.
                    Reason::Restart => Reason::NotUp,
                    known => known,
                };
                self.fail(why);
                self.start_other()
            }
            SlotState::Bad | SlotState::Empty | SlotState::Writing | SlotState::Ready => {
                self.start_other()
            }
        }
    }

    /// Start the other slot if it may; else, rather than nothing, one that is
    /// bad. Whoever starts it checks its header all the same.
    fn start_other(&mut self) -> Result<(), Forbidden> {
        let (active, other) = (self.active, self.active.other());
        let (floor, place) = (self.floor, *self.slot(other));
        if place.epoch >= floor && matches!(place.state, SlotState::Good | SlotState::Ready) {
            self.active = other;
            if place.state == SlotState::Ready {
                self.slot_mut(other).state = SlotState::Trial;
                self.tries_left = TRIES - 1;
            } else {
                self.tries_left = 0;
            }
            self.failed_starts = 1;
            return Ok(());
        }
        let last_resort = |slot: &super::record::SlotRecord| {
            slot.state == SlotState::Bad && slot.epoch >= floor && !slot.reason.is_final()
        };
        self.tries_left = 0;
        if last_resort(self.slot(active)) {
            return Ok(());
        }
        if last_resort(&place) {
            self.active = other;
            return Ok(());
        }
        Err(Forbidden::NothingToStart)
    }

    fn fail(&mut self, reason: Reason) {
        let active = self.active;
        let place = self.slot_mut(active);
        (place.state, place.reason) = (SlotState::Bad, reason);
        (self.tries_left, self.boot_reason) = (0, reason);
    }

    fn confirm(&mut self) -> Result<(), Forbidden> {
        let active = self.active;
        let place = self.slot_mut(active);
        match place.state {
            SlotState::Trial | SlotState::Good | SlotState::Bad => {
                (place.state, place.reason) = (SlotState::Good, Reason::None);
                (self.tries_left, self.failed_starts) = (0, 0);
                Ok(())
            }
            SlotState::Empty | SlotState::Writing | SlotState::Ready => Err(Forbidden::NotReady),
        }
    }

    fn commit_floor(&mut self) -> Result<(), Forbidden> {
        if self.slot(self.active).state != SlotState::Good {
            return Err(Forbidden::NotGood);
        }
        self.floor = self.floor.max(self.slot(self.active).epoch);
        let (floor, other) = (self.floor, self.active.other());
        let place = self.slot_mut(other);
        if place.epoch < floor && place.state != SlotState::Writing {
            (place.state, place.reason) = (SlotState::Empty, Reason::BelowFloor);
        }
        Ok(())
    }
}

impl Reason {
    /// True when a slot that failed for this cannot be made to start by trying
    /// again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Signature | Self::WrongBoard | Self::BelowFloor | Self::BootImage | Self::Revoked
        )
    }
}

#[cfg(test)]
mod tests;
