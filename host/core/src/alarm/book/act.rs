//! What people do with an alarm: four separate acts (UX-061). Silencing the
//! buzzer is a fifth, and the guard's.

use super::alarm::{Alarm, Change, Mark, Shelf, State, What};
use super::{Book, Key};

/// Longest note or reason, characters.
pub const NOTE_MAX: usize = 500;
/// Longest name of a user, characters.
const USER_MAX: usize = 256;
/// Shortest time on the shelf, s.
pub const SHELF_MIN_S: u64 = 60;
/// Longest time on the shelf, s: 24 h (UX-060).
pub const SHELF_MAX_S: u64 = 24 * 3_600;

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// I know. An alarm that is over leaves the book by it.
    Acknowledge {
        /// May be empty.
        note: String,
    },
    /// Put it aside; it comes back by itself.
    Shelve {
        /// For how long, s.
        seconds: u64,
        /// Must say something.
        reason: String,
    },
    /// Take it back.
    Unshelve,
    /// The cause of a latched alarm is dealt with.
    Reset {
        /// May be empty.
        note: String,
    },
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such alarm.
    #[error("there is no alarm {0}; it is over, or belongs to another alarm now")]
    NoAlarm(u64),
    /// It changed since they looked.
    #[error("the alarm changed since you looked: it came again, got worse or larger; look again")]
    Changed,
    /// Somebody has.
    #[error("{0} has acknowledged it already")]
    Known(String),
    /// It is not shelved.
    #[error("it is not shelved")]
    NotShelved,
    /// It is shelved.
    #[error("it is shelved; take it back first")]
    Shelved,
    /// Dangers are not put aside.
    #[error("this alarm is about danger and cannot be shelved; acknowledge it")]
    Danger,
    /// There is nothing to put aside.
    #[error("it is over; acknowledge it instead of shelving it")]
    Over,
    /// It needs no reset, or is still true.
    #[error("{0}")]
    NoReset(&'static str),
    /// A text is too long, or not one line of printable characters.
    #[error("{what} has 1 to {max} printable characters{}", if *.optional { ", or none" } else { "" })]
    Text {
        /// Which.
        what: &'static str,
        /// Most characters.
        max: usize,
        /// It may be empty.
        optional: bool,
    },
    /// Too short or too long.
    #[error("an alarm is shelved for {SHELF_MIN_S} to {SHELF_MAX_S} s, not {0}")]
    Time(u64),
}

impl Book {
    /// Do something with alarm `id`, as `user`. `round`: which round of it they
    /// saw ([`Alarm::round`]); `None` takes it as it is.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn act(
        &mut self,
        id: u64,
        round: Option<u32>,
        act: &Act,
        user: &str,
        unix_ms: u64,
    ) -> Result<Change, Refusal> {
        text("user", user, USER_MAX, false)?;
        let alarm = self.alarms.values_mut().find(|alarm| alarm.id == id);
        let alarm = alarm.ok_or(Refusal::NoAlarm(id))?;
        if round.is_some_and(|round| round != alarm.round) {
            return Err(Refusal::Changed);
        }
        let mark = |note: &str| Mark { user: user.to_owned(), unix_ms, note: note.to_owned() };
        let what = match act {
            Act::Acknowledge { note } => alarm.acknowledge(mark(note))?,
            Act::Shelve { seconds, reason } => alarm.put_aside(mark(reason), *seconds)?,
            Act::Unshelve => {
                if alarm.shelf.is_none() {
                    return Err(Refusal::NotShelved);
                }
                alarm.unshelve();
                What::Unshelved(mark(""))
            }
            Act::Reset { note } => alarm.reset(mark(note))?,
        };
        let (key, change): (Key, _) = (alarm.key(), Change::of(what, alarm));
        if alarm.is_gone() {
            self.leave(&key);
        }
        Ok(change)
    }
}

impl Alarm {
    fn acknowledge(&mut self, mark: Mark) -> Result<What, Refusal> {
        text("the note", &mark.note, NOTE_MAX, true)?;
        if let Some(by) = &self.acknowledged {
            return Err(Refusal::Known(by.user.clone()));
        }
        self.acknowledged = Some(mark.clone());
        Ok(What::Acknowledged(mark))
    }

    fn put_aside(&mut self, by: Mark, seconds: u64) -> Result<What, Refusal> {
        text("the reason", &by.note, NOTE_MAX, false)?;
        if !(SHELF_MIN_S..=SHELF_MAX_S).contains(&seconds) {
            return Err(Refusal::Time(seconds));
        }
        match self.state() {
            State::Shelved => return Err(Refusal::Shelved),
            State::Returned | State::Latched => return Err(Refusal::Over),
            State::Raised | State::Acknowledged => {}
        }
        if self.kind.is_safety() {
            return Err(Refusal::Danger);
        }
        let until_ms = by.unix_ms.saturating_add(seconds * 1_000);
        let shelf = Shelf { by, until_ms };
        self.shelf = Some(shelf.clone());
        Ok(What::Shelved(shelf))
    }

    fn reset(&mut self, mark: Mark) -> Result<What, Refusal> {
        text("the note", &mark.note, NOTE_MAX, true)?;
        if !self.latching {
            return Err(Refusal::NoReset("it ends by itself; there is nothing to reset"));
        }
        if self.is_active() {
            return Err(Refusal::NoReset("it is still true; it can be reset when it is over"));
        }
        if self.shelf.is_some() {
            return Err(Refusal::Shelved);
        }
        self.latching = false;
        self.acknowledged.get_or_insert_with(|| mark.clone());
        Ok(What::Reset(mark))
    }
}

fn text(what: &'static str, text: &str, max: usize, optional: bool) -> Result<(), Refusal> {
    let characters = text.chars().count();
    let empty = text.trim().is_empty();
    let printable = !text.chars().any(char::is_control);
    match characters <= max && printable && (optional || !empty) {
        true => Ok(()),
        false => Err(Refusal::Text { what, max, optional }),
    }
}
