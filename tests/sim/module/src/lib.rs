//! The module's side of the battery bus: a reference implementation for
//! hardware makers, and what the simulated modules run.
//!
//! No `std`, no allocator, no floating point, no unsafe code. It follows the
//! rules of [`evenkeel_wire`] by their numbers. [`Module`] is a block module,
//! [`Device`] a current sensor, I/O device or panel; both are a [`Station`]
//! with an identity, an address and a button.
//!
//! # How to port it
//! 1. Implement [`ModuleHardware`] (or [`DeviceHardware`]) for your board. Each
//!    method says what it has to do; none may block.
//! 2. Main loop: call `tick(now, hardware)` at least every millisecond, then set
//!    the bypass to [`Module::duty`] (or the relays to [`Device::outputs`]).
//! 3. UART receive interrupt or queue: call `hear(now, byte, hardware)` for each
//!    byte. An [`Answer`] has to start `after_chars` character times (10 bits
//!    each) after that byte's stop bit: set a timer, enable the driver, send,
//!    disable the driver. The timer must be within ±0.1 %.
//! 4. Bytes of other stations' answers pass through `hear` as well: their kinds
//!    are no requests and are ignored.
//!
//! Time is microseconds since power-up ([`Micros`]) and may stand still, but
//! never goes back. RAM: about 600 bytes, two frames of them.
#![no_std]
#![forbid(unsafe_code)]

mod device;
mod module;
mod station;

pub use device::{Device, DeviceHardware};
pub use module::{Measured, Module, ModuleConfig, ModuleHardware};
pub use station::{Answer, Micros, Station, StationHardware};
