//! Modbus TCP server: shows strings, blocks and UPSes as registers and bits,
//! and lets clients give the commands that the administrator granted.
//!
//! Reading order: [`adu`] frames, [`pdu`] requests, [`table`] the map as data,
//! [`value`] how a point becomes registers, [`map`] addresses to points and
//! commands, [`server`] all of it, [`gateway`] the plugin. [`manual`] makes the README's tables.
//!
//! Follows facts/modbus-bacnet.md §1.

pub mod adu;
pub mod gateway;
pub mod manual;
pub mod map;
pub mod pdu;
pub mod server;
pub mod table;
pub mod value;
