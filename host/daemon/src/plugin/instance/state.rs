//! Everything that one plugin's calls can reach, made from what it is granted.

use super::Surroundings;
use crate::caps::Site;
use crate::caps::clock::Clock;
use crate::caps::commands::{Commands, Offers};
use crate::caps::config::Config;
use crate::caps::contacts::Contacts;
use crate::caps::crypto::Crypto;
use crate::caps::events::Events;
use crate::caps::hid::Hid;
use crate::caps::kv::Kv;
use crate::caps::log::Log;
use crate::caps::net_client::NetClient;
use crate::caps::net_server::NetServer;
use crate::caps::points::Points;
use crate::caps::random::Random;
use crate::caps::reader::Reader;
use crate::caps::serial::Serial;
use crate::caps::snmp_client::Snmp;
use crate::plugin::budget::Budget;
use crate::plugin::limits::MemoryLimiter;
use crate::plugin::load::Package;
use crate::plugin::tape::Tape;
use std::sync::Arc;

/// Everything that one plugin's calls can reach.
pub struct State {
    /// `evenkeel:log`
    pub log: Log,
    /// `evenkeel:clock`
    pub clock: Clock,
    /// `evenkeel:config`
    pub config: Config,
    /// `evenkeel:random`
    pub random: Random,
    /// `evenkeel:kv`
    pub kv: Kv,
    /// `evenkeel:crypto`
    pub crypto: Crypto,
    /// `evenkeel:points/points`
    pub points: Points,
    /// `evenkeel:net-server`
    pub net_server: NetServer,
    /// `evenkeel:commands/offers`
    pub offers: Offers,
    /// `evenkeel:commands/commands`
    pub commands: Commands,
    /// `evenkeel:hid`
    pub hid: Hid,
    /// `evenkeel:contacts`
    pub contacts: Contacts,
    /// `evenkeel:events`
    pub events: Events,
    /// `evenkeel:points/reader`
    pub reader: Reader,
    /// `evenkeel:serial`
    pub serial: Serial,
    /// `evenkeel:net-client`
    pub net: NetClient,
    /// `evenkeel:snmp-client`
    pub snmp: Snmp,
    /// What hears all of them.
    pub tape: Tape,
    pub(super) limiter: MemoryLimiter,
    pub(super) budget: Budget,
}

/// The state of a new instance of `package`.
pub(super) fn state(package: &Package, around: &Surroundings, tape: Tape) -> State {
    let site = Site {
        who: &around.who,
        grants: &package.granted.grants,
        kv_bytes: package.granted.kv_bytes,
        log: &around.log,
        meter: &around.meter,
        stop: &around.stop,
        inbox: &around.inbox,
        services: &around.services,
    };
    let memory_bytes = package.manifest.limits.memory_bytes as usize;
    State {
        clock: Clock::new(&site),
        config: package.config.clone(),
        random: Random,
        kv: Kv::new(&site),
        crypto: Crypto::new(&site),
        points: Points::new(&site),
        net_server: NetServer::new(&site),
        offers: Offers::new(&site),
        commands: Commands::new(&site),
        hid: Hid::new(&site),
        contacts: Contacts::new(&site),
        events: Events::new(&site),
        reader: Reader::new(&site),
        serial: Serial::new(&site),
        net: NetClient::new(&site),
        snmp: Snmp::new(&site),
        limiter: MemoryLimiter::new(memory_bytes, Arc::clone(&around.memory)),
        budget: Budget::new(Arc::clone(&around.stop), around.call_max),
        log: around.log.clone(),
        tape,
    }
}
