//! What users add of their own — rules, jobs, run orders, the calendar — at
//! work in the daemon. The decisions are core's
//! (`evenkeel_core::{automation, rules, jobs, schedule}`); here is what feeds
//! them and what they have done.
//!
//! ```text
//!   hub ──points──▶ engine ──events──▶ store ──the log──▶ engine ──▶ kept ──▶ executor
//!    ▲                │ rule.<name>                          ▲                   │
//!    └────────────────┘                                      └──── outcome ──────┘
//! ```
//!
//! [`runner`] is that circle, [`execute`] does what a job says, [`webhook`] is
//! the largest part of it, [`receivers`] are those whom it may tell, [`inherited`]
//! what stood before a restart, [`past`] the history that a dry run goes through, [`zone`] the
//! time zones. What is kept, and why a crash loses nothing, is said in
//! `store::jobs`.
//!
//! The document is a settings document of the store ([`DOCUMENT`]): every one
//! that was in force is a revision.

pub mod execute;
mod inherited;
mod memory;
mod past;
pub mod receivers;
pub mod runner;
pub mod status;
mod texts;
pub mod webhook;
mod zone;

pub use execute::{Executor, Messenger, NoNotifiers};
pub use receivers::Receivers;
pub use runner::{Automation, NotTaken, Ready};
pub use zone::Named;

use crate::notify::tell_one;
use crate::plugin::supervisor::Supervisor;
use crate::store::StoredEvent;
use evenkeel_core::jobs::Outcome;
use evenkeel_core::settings::forms::Kind;
use std::time::Duration;

/// The document among the settings in the store.
pub const DOCUMENT: Kind = Kind::first("automation");

impl Messenger for Supervisor {
    fn notify(&self, plugin: &str, event: &StoredEvent, text: &str, time: Duration) -> Outcome {
        match self.slot(plugin) {
            Some(slot) => tell_one(&slot, event, text, time),
            None => Outcome::Never(format!("no plugin {plugin:?} is installed")),
        }
    }
}
