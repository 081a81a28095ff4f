//! The user's tool.
//!
//! Offline, what the appliance would have said about a recorded discharge:
//! [`battery_file`] reads what the battery is, [`trace`] the recording line by
//! line, [`replay`] runs the appliance's own estimator over it and [`summary`]
//! compares what it said with what happened.
//!
//! Over the network, the plugins of an appliance: [`appliance`] is the way to
//! it, [`manage`] the commands.

pub mod appliance;
pub mod audit;
pub mod battery_file;
pub mod history;
pub mod manage;
pub mod replay;
pub mod summary;
pub mod trace;
