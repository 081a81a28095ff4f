//! The steps that a boot loader takes, and with the feature `firmware` the
//! loader of boards with UEFI.
//!
//! ```text
//! state record, twice ── both lost: made anew from the signed headers
//!   └▶ Event::Start, written and read back before anything starts
//!        └▶ the slot's header: signed by a firmware key, for this product and
//!           board, not older than the loader
//!             └▶ the boot image, by the header's SHA-256
//!                  └▶ Board::start: UEFI judges the kernel's own signature
//! ```
//!
//! Which keys those are says [`trust`]. Whatever is refused is written into the record, and the other slot's turn
//! comes; with nothing left the board is switched off. Rules, record and header
//! are those of [`evenkeel_signing::slot`]. What a board must be able to do is
//! [`Board`]: a disk of UEFI (`firmware`), or a file, where the tests play the
//! loader. The boot image's format is [`boot`].

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod boot;
#[cfg(feature = "firmware")]
pub mod firmware;
mod refusal;
mod steps;
pub mod trust;

pub use refusal::{Note, Refusal};
pub use steps::{Board, Judge, Unusable, image, run};
