//! What the daemon and the program that keeps the network say to each other,
//! over a local socket: one line of JSON each way. The daemon is the face to
//! the network and may not change it; the other is small, has the right to,
//! and judges again what it is told.
//!
//! A change is in force at once, and on trial: unless it is confirmed in time,
//! what was before comes back by itself (facts/console-ux.md UX-092). What is on
//! trial is written nowhere, so that a restart or a power cut ends it, too.

use crate::settings::network::Written;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// Where it listens.
pub const SOCKET: &str = "/run/network/network.sock";
/// A change must be confirmed within so many seconds, if nothing else is said.
pub const TRIAL_S: u64 = 120;
/// Least and most of what may be said.
pub const TRIAL_S_MIN: u64 = 10;
/// Most of what may be said.
pub const TRIAL_S_MAX: u64 = 600;

/// What the daemon asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// How it stands; answered by [`Answer::Status`].
    Status,
    /// Put this in force, on trial.
    TryOut {
        /// What is wanted.
        network: Written,
        /// For so long, s.
        within_s: u64,
    },
    /// Keep what is on trial: somebody came through it.
    Confirm,
    /// End the trial now.
    GiveUp,
    /// Trials that nobody confirmed since it was asked last; answered by
    /// [`Answer::Lapsed`].
    Lapsed,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// How it stands.
    Status(Box<Status>),
    /// Trials that nobody confirmed.
    Lapsed {
        /// So many.
        count: u32,
    },
}

/// How it stands with the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// What is in force.
    pub network: Written,
    /// It is on trial, for so many more seconds.
    pub trial_left_s: Option<u64>,
    /// What comes back when the trial ends.
    pub before: Option<Written>,
    /// Why the kept settings are not in force and the factory's are.
    pub problem: Option<String>,
    /// The interfaces of the settings.
    pub interfaces: Vec<InterfaceStatus>,
    /// Servers for names that are asked.
    pub dns: Vec<IpAddr>,
    /// The clock.
    pub time: TimeStatus,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Something is plugged in at the other end.
    pub carrier: bool,
    /// Addresses with their prefixes, those of the link left away.
    pub addresses: Vec<String>,
    /// The ways to other networks.
    pub gateways: Vec<IpAddr>,
    /// What a server lent.
    pub lease: Option<LeaseStatus>,
    /// What does not work, for people.
    pub problem: Option<String>,
}

/// What a server lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseStatus {
    /// The server.
    pub server: IpAddr,
    /// It ends in so many seconds, unless it is renewed.
    pub left_s: u64,
}

/// The clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeStatus {
    /// Who is asked.
    pub servers: Vec<String>,
    /// How far the clock was off when they last agreed, µs; positive: it was
    /// slow.
    pub offset_us: Option<i64>,
    /// That was so many seconds ago.
    pub synchronized_s_ago: Option<u64>,
    /// What does not work, for people.
    pub problem: Option<String>,
}
