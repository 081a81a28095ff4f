//! Simulated UPSes of the Megatec family: facts/ups-serial-protocols.md §1.
//!
//! [`Unit`] is the machine, [`megatec`] its words, [`Port`] its wire.

pub mod megatec;
mod port;
mod unit;

pub use port::{Port, UpsFaults};
pub use unit::{Return, Status, TestLength, Unit, UpsKind, UpsSpec};
