//! The battery bus, protocol version 1.
//!
//! Half-duplex serial, 115,200 baud 8N1 by default, one master (the guard),
//! up to 1,024 modules and 255 other devices. [`wire`] is the byte-exact
//! description with worked examples: a hardware maker can build a module from
//! it, and finds its reference implementation in `tests/sim/module`.
//!
//! [`master`] is the master's side as a state machine: bytes and `now` in,
//! bytes out; [`timing`] how long things take, [`errand`] the odd jobs in the
//! time that a cycle leaves. On errands live [`discover`] (who is there),
//! [`commission`] (addresses by button, swaps) and [`topology`] (where the
//! says what can be wired at all.
//!
//! # A cycle
//! ```text
//! master   SAMPLE ─┐            READ 1..64 ┐        READ_IO ┐       OUTPUTS DUTIES … errands
//! stations         └ bypass off,           └ slot slot slot… └ slot…        └ apply until
//!                    100 ms integration                                       hold runs out
//! ```
//! All modules measure in the same 100 ms with their bypass off: a string is
//! one instant, and no bypass current falsifies a reading
//! (facts/battery-science.md §3.6; 100 ms is five periods of 50 Hz and six of
//! 60 Hz). A module answers a READ in its own time slot, so one request brings
//! 64 replies. The duties are good for a hold time of three cycles; a module
//! that hears no newer ones drops its bypass by itself.

pub mod commission;
pub mod discover;
pub mod errand;
pub mod master;
pub mod plan;
pub mod timing;
pub mod topology;
pub use evenkeel_wire as wire;
