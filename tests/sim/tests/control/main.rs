//! The guard's whole control against the simulated world, in virtual time:
//! strings, devices, bus masters and everything that people order.

mod battery;
mod commission;
mod faults;
mod protect;
mod rig;
mod size;
