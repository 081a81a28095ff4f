//! Evenkeel's decisions, and nothing else: every function here is a function
//! of (state, input, now).
//!
//! # Invariants
//! - No I/O, no clock, no thread, no async runtime, no wasm: time comes in as
//!   [`time::Nanos`], bytes come in as slices. `xtask/tests/tidy.rs` holds the
//!   manifest to it.
//! - No unsafe code.
//! - Nothing in [`bus`], [`phase`], [`equalize`] or [`image`] allocates after it was
//!   built: the guard calls them on its real-time thread.
//! - Nothing here waits for a plugin, a disk or a person.
//!
//! # Reading order
//! [`bus`] turns bytes into readings, [`battery`] says which readings are
//! possible, [`phase`] what the string is doing, [`equalize`] turns a [`scan`]
//! into bypass duties, [`control`] does all of it for all strings of a bus, [`image`] is the
//! page on which the guard publishes all of it, [`points`] is how everybody
//! else names it, [`health`] judges the blocks over years, [`events`] decides
//! what is worth telling, [`alarm`] what stays until somebody dealt with it,
//! [`history`] what is kept, [`licence`] how much of it is shown, [`settings`]
//! and [`command`] are the two ways in, [`network`] how the world gets there. What users add of their own is
//! [`rules`] over points, [`jobs`] that events start, and a calendar
//! ([`schedule`]); [`automation`] is all of it, [`rehearsal`] its dry run.
#![forbid(unsafe_code)]

pub mod alarm;
pub mod automation;
pub mod battery;
pub mod battery_test;
pub mod bus;
pub mod command;
pub mod control;
pub mod danger;
pub mod discharge;
pub mod equalize;
pub mod estimate;
pub mod events;
pub mod health;
pub mod history;
pub mod image;
pub mod jobs;
pub mod licence;
pub mod network;
pub mod phase;
pub mod points;
pub mod protect;
pub mod rehearsal;
pub mod rules;
pub mod scan;
pub mod schedule;
pub mod settings;
pub mod time;
