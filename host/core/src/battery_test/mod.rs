//! Battery tests with the UPS (PRODUCT row B14): the rectifier steps back, the
//! battery carries the real load until 10 % of its capacity is drawn or six
//! minutes are over, and every block is watched meanwhile.
//!
//! ```text
//!           due or by hand          discharging            share or time,
//!  Idle ──▶ Waiting ──▶ Starting ─────────────▶ Running ── or a limit ──▶ Stopping
//!    ▲      (why, until    │ refused, or not                                 │ UPS is back
//!    │       when)         │ within 30 s                                     ▼
//!    └───────────────────  └────────────────────────────────────▶ Done / Aborted
//!           next due
//! ```
//! - [`config`]: limits. [`schedule`]: when the next one is due.
//! - [`hold`]: why a test must not start now, and until when.
//! - [`watch`]: a string under test. [`verdict`]: what its blocks are told.
//! - [`machine`]: [`BatteryTest`], one per UPS with all its strings, stepped
//!   once per scan.
//! - [`actuator`]: how a UPS is told; a relay is the guard's, a UPS plugin the
//!   daemon's.
//!
//! Rules: facts/battery-science.md §1.8, §2.6.

pub mod actuator;
pub mod config;
pub mod hold;
pub mod machine;
pub mod schedule;
pub mod verdict;
pub mod watch;

pub use actuator::{Refusal, TestActuator, TestCommand, TestFeedback};
pub use config::{ConfigError, TestConfig};
pub use hold::{Hold, HoldReason, Memory};
pub use machine::{BatteryTest, Cause, Report, State, StringInput, TestInput};
pub use schedule::{Rhythm, Schedule, Weekday};
pub use verdict::{Suspect, Verdict};
