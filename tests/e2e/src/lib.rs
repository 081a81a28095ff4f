//! The whole appliance as a user, a test or the demo sees it: simulated
//! hardware, guard and daemon as processes in one folder ([`Stack`]), and an
//! HTTPS client for its API ([`Client`]).

pub mod bundle;
mod client;
mod program;
mod stack;

pub use client::{Client, ClientError};
pub use program::{Program, ProgramError};
pub use stack::{Options, Stack, StackError};
