//! Plugins: loaded, granted, run and supervised (facts/wasm-host.md).
//!
//! A plugin is a WebAssembly component of which a trusted key signed the
//! bytes. It has no WASI: what it can reach are the interfaces in
//! [`crate::caps`], and of these only the ones that its signed manifest asks
//! for *and* the administrator granted.
//!
//! # Reading order
//! [`roster`] is what the administrator wants, [`library`] where bundles lie,
//! [`trusted`] whose signatures count.
//! [`load`] turns a file into something that may run, or a refusal that says
//! why not, with machine code from [`compile`]; [`grant`] is the intersection of asked and granted, [`permission`]
//! puts it in plain words; [`instance`] is one running copy, within [`limits`]
//! and [`budget`]; [`slot`] gives it a thread and restarts it as [`backoff`]
//! and [`pace`] decide, and lets it rest as [`surplus`] says; the [`supervisor`] makes what runs equal to the roster; [`inbox`] is
//! where others ask it something; [`world`] knows the calls; [`engine`] is the
//! configuration under which all are compiled and run, [`stop`] the way to wake a plugin that waits in
//! a host function, [`board`] what others see of it; [`tape`] records what it
//! does, [`report`] keeps that of a failure, and `replay` repeats it.
//!
//! # Invariants
//! - One store, one thread and one memory budget per plugin; a trap ends the
//!   store and nothing else.
//! - Unsigned bytes are never parsed, and an interface that is not granted is
//!   absent from the linker.
//! - Time is charged by the thread's CPU clock: a plugin that waits for its
//!   line, or is starved by the guard, is not killed for it.

mod authenticate;
pub mod backoff;
pub mod bindings;
pub mod board;
pub mod budget;
pub mod compile;
mod describe;
pub mod device_key;
pub mod engine;
pub mod floors;
pub mod grant;
mod heap;
pub mod inbox;
pub mod instance;
pub mod library;
pub mod limits;
pub mod load;
mod loader;
mod manager;
pub mod pace;
pub mod permission;
#[cfg(feature = "compiler")]
pub mod replay;
pub mod report;
pub mod roster;
pub mod slot;
pub mod stop;
pub mod supervisor;
pub mod surplus;
pub mod tape;
pub mod trusted;
pub mod vault;
pub mod world;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod museum;

pub use supervisor::Supervisor;

/// An error with its causes on one line, bounded because parts of it may come
/// from a plugin.
#[must_use]
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    crate::caps::one_line(&crate::failure::chain(error), REASON_LEN_MAX)
}

/// Longest reason in bytes.
pub(crate) const REASON_LEN_MAX: usize = 1_000;
