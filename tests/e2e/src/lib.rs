//! The whole appliance as a user, a test or the demo sees it: simulated
//! hardware, guard and daemon as processes in one folder ([`Stack`]), and an
//! HTTPS client for its API ([`Client`]). A [`Witness`] remembers what was on
//! the disk; a [`machine::Machine`] is the appliance's image in QEMU,
//! and a [`power_cut::Replay`] its disk after a power cut.

pub mod bundle;
mod certificates;
mod client;
pub mod fit;
pub mod machine;
mod plant;
pub mod power_cut;
mod program;
mod stack;
pub mod uefi;
mod witness;
pub mod write_log;

pub use certificates::{fingerprint, make_certificates, sign};
pub use client::{Client, ClientError, PATIENCE};
pub use plant::STRINGS;
pub use program::{Program, ProgramError};
pub use stack::{Options, Stack, StackError};
pub use witness::{Missing, Witness};
