//! `evenkeeld`: plugins, store and console of the appliance.
//!
//! Everything here may crash, be updated or be starved without a block of a
//! battery noticing: the guard neither waits for the daemon nor shares memory
//! that the daemon can write.

pub mod accounts;
pub mod alarms;
pub mod caps;
pub mod certificate;
pub mod clock;
pub mod commands;
pub mod config;
pub mod console;
pub mod discharges;
pub mod failure;
pub mod files;
pub mod firmware;
pub mod grants;
pub mod guard;
pub mod guard_settings;
pub mod hub;
pub mod jobs;
pub mod licence;
pub mod login;
pub mod network;
pub mod notify;
pub mod plant;
pub mod plugin;
pub mod plugin_admin;
pub mod plugin_status;
pub mod site;
pub mod store;
pub mod telemetry;
pub mod trail;
pub mod upses;
pub mod watch;
pub mod words;
