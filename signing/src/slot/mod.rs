//! The two slots of the appliance's own software: what is known of each, which
//! one starts, and when the other takes over (facts/firmware-trust.md §4).
//!
//! ```text
//!  empty ──begin──▶ writing ──written──▶ ready ──activate──▶ trial ──confirm──▶ good
//!    ▲                 │                                       │                 │
//!    └──── abandon ────┘          tries used up, refused, hung │     refused,    │
//!    ▲                                                         ▼     worn out    │
//!    └──────────── begin ─────────────────────────────────── bad ◀───────────────┘
//! ```
//!
//! Everything that may change is one [`Record`] of 512 bytes, kept twice
//! ([`record`]); [`Record::step`] is the only way to change it, and each step
//! is one write ([`rules`]). What a slot holds is said by its signed [`Header`]
//! ([`header`]): nothing in a record can make a slot start that the platform
//! has not signed, or whose epoch is below the floor.
//!
//! Works without the standard library and without memory of its own: a boot
//! loader, the first stage, the updater, the image builder and the tests share
//! it.

pub mod header;
pub mod kept;
pub mod record;
pub mod ring;
pub mod rules;
pub mod talk;

pub use header::{Header, HeaderError};
pub use kept::{Kept, Order};
pub use record::{Copies, Record, RecordError, SlotState};
pub use rules::{Event, Forbidden, TRIES};

use core::fmt;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both, in their order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 or 1, as in the record.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// `a` or `b`, as in the names of partitions.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// What became of a slot, or why the last start happened. Kept over a restart,
/// for the person who asks why the appliance went back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Nothing to tell.
    #[default]
    None = 0,
    /// The signature of its header does not hold, or no key of the platform
    /// made it.
    Signature = 1,
    /// Its header is for another product or hardware.
    WrongBoard = 2,
    /// Its epoch is below the floor.
    BelowFloor = 3,
    /// Its boot image is not the one that the header names.
    BootImage = 4,
    /// Its root could not be opened or read under its hash tree.
    Root = 5,
    /// The kernel panicked.
    Panic = 6,
    /// The watchdog bit: nothing made progress any more.
    Watchdog = 7,
    /// The guard did not run as it must.
    Guard = 8,
    /// The daemon did not answer.
    Daemon = 9,
    /// A plugin that ran before did not run.
    Plugins = 10,
    /// It was not confirmed in time.
    NotConfirmed = 11,
    /// It started often without ever running for long.
    CrashLoop = 12,
    /// A person went back.
    Person = 13,
    /// The installation was not finished.
    Unfinished = 14,
    /// A revoked key signed it.
    Revoked = 15,
    /// Power came back, or nobody knows.
    Power = 16,
    /// A restart in good order.
    Restart = 17,
    /// It never came as far as a running guard.
    NotUp = 18,
    /// Its data partition was made anew.
    Reset = 19,
}

impl Reason {
    const ALL: [Self; 20] = [
        Self::None,
        Self::Signature,
        Self::WrongBoard,
        Self::BelowFloor,
        Self::BootImage,
        Self::Root,
        Self::Panic,
        Self::Watchdog,
        Self::Guard,
        Self::Daemon,
        Self::Plugins,
        Self::NotConfirmed,
        Self::CrashLoop,
        Self::Person,
        Self::Unfinished,
        Self::Revoked,
        Self::Power,
        Self::Restart,
        Self::NotUp,
        Self::Reset,
    ];

    /// True when something went wrong: what ran before was given up for it.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::None | Self::Power | Self::Restart | Self::Person | Self::Reset)
    }

    /// The reason with this number; an unknown one is none.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|reason| *reason as u8 == number).unwrap_or_default()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "nothing to tell",
            Self::Signature => "no key of the platform vouches for it",
            Self::WrongBoard => "it was made for another device",
            Self::BelowFloor => "it has a hole that is known, and a later release closed it",
            Self::BootImage => "its kernel was altered or damaged",
            Self::Root => "its file system was altered or damaged",
            Self::Panic => "its kernel panicked",
            Self::Watchdog => "it hung, and the watchdog reset it",
            Self::Guard => "the guard did not run as it must",
            Self::Daemon => "the daemon did not answer",
            Self::Plugins => "a plugin that ran before did not run",
            Self::NotConfirmed => "it did not prove healthy in time",
            Self::CrashLoop => "it restarted again and again",
            Self::Person => "a person went back",
            Self::Unfinished => "its installation was not finished",
            Self::Revoked => "the key that signed it was revoked",
            Self::Power => "power was off, or the device was reset",
            Self::Restart => "a restart in good order",
            Self::NotUp => "it stopped or hung before its guard ran",
            Self::Reset => "it was set back to how it left the factory",
        })
    }
}
