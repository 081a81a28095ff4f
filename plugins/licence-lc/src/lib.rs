//! The licence gate: which edition is this appliance? A pure function
//! ([`judge`]) of licences that the appliance has verified ([`payload`] says
//! what is in them), its serial number and the date.
//!
//! It gates values only; the appliance asks nobody before it protects a
//! battery or raises an alarm.

pub mod judge;
pub mod payload;
#[cfg(target_arch = "wasm32")]
mod wasm;
