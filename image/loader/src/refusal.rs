//! What a loader says: to the person at the serial console, and by a
//! [`Reason`] in the state record to everybody after it.

use alloc::string::String;
use core::fmt;
use evenkeel_signing::slot::{HeaderError, Reason, RecordError, Slot};

/// Why a slot does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The disk.
    #[error("its header cannot be read")]
    Unreadable,
    /// The header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A header for something else.
    #[error("it is for {0:?}")]
    WrongBoard(String),
    /// A release with a hole that was closed when this loader was made.
    #[error("its epoch is {epoch}, and this loader starts none below {least}")]
    Epoch {
        /// Of the header.
        epoch: u32,
        /// The least.
        least: u32,
    },
    /// Another boot image than the one that the header names.
    #[error("its boot image is not the one that its header names")]
    BootImage,
    /// The board did not start it.
    #[error("{0}")]
    NotStarted(Reason),
}

impl Refusal {
    /// As the state record keeps it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unreadable | Self::Header(_) => Reason::Signature,
            Self::WrongBoard(_) => Reason::WrongBoard,
            Self::Epoch { .. } => Reason::BelowFloor,
            Self::BootImage => Reason::BootImage,
            Self::NotStarted(reason) => *reason,
        }
    }
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Neither copy of the state record holds.
    Lost([RecordError; 2]),
    /// A slot's turn.
    Slot(Slot),
    /// It does not start.
    Refused(Slot, Refusal),
    /// The disk did not keep the record. Rather a system that starts without
    /// being counted than none.
    NotKept,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost([a, b]) => {
                write!(f, "both copies of the state record are damaged: {a}; {b}")
            }
            Self::Slot(slot) => write!(f, "slot {}", slot.letter()),
            Self::Refused(slot, refusal) => {
                let (slot, reason) = (slot.letter(), refusal.reason() as u8);
                write!(f, "slot {slot} is refused, reason {reason}: {refusal}")
            }
            Self::NotKept => f.write_str("the state record is not kept"),
        }
    }
}
