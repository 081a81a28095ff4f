//! Simulated hardware for Evenkeel: the batteries, the modules on their bus
//! and the UPSes that a developer's desk lacks.
//!
//! # Invariants
//! - Everything outside [`live`] is pure: state and [`Nanos`] in, state and
//!   bytes out. Hours of plant time run in a test in seconds.
//! - Everything random comes from a seed through [`noise::Noise`]; the same
//!   seed and the same traffic give the same bytes for ever.
//! - The simulator never calls the appliance's decisions, but for [`campaign`],
//!   which judges them. It shares one thing with the appliance, the
//!   protocol's codec, because both ends must speak one protocol.
//!
//! # Reading order
//! [`plant`] is the chemistry (facts/battery-science.md §2), [`module`] the board
//! of one bus module under the reference implementation [`evenkeel_module`],
//! [`device`] the same for current sensors, relays and the panel, [`mod@line`] the
//! wire between them, [`bus`] all modules on one wire, [`virtual_bus`] bus and plant moving
//! together in any clock, [`ups`] a Megatec UPS (facts/ups-serial-protocols.md
//! §1), [`scenario`] what is built, [`control`] the words that break it,
//! [`world`] all of it, [`table`] its life as CSV, [`live`] the same on
//! pseudo-terminals in real time, [`campaign`] random worlds against the
//! guard's pure core.
//!
//! [`Nanos`]: evenkeel_core::time::Nanos

pub mod bus;
pub mod campaign;
pub mod control;
pub mod device;
pub mod line;
pub mod live;
pub mod module;
pub mod noise;
pub mod plant;
pub mod recorded;
pub mod scenario;
pub mod table;
pub mod ups;
pub mod virtual_bus;
pub mod world;
