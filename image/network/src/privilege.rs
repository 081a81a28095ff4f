//! From root to a user of its own, with the rights to keep the network and the
//! clock and no other: a hole in here is none in the guard, in the slots or in
//! what the daemon keeps.

use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::io;

/// The user, and the group that all programs of the appliance share, as in the
/// root's `/etc/passwd`.
const USER: u32 = 1_002;
const GROUP: u32 = 1_000;

/// Become that user. Before any thread is started: rights are a thread's.
///
/// # Errors
/// When it was not started as root.
pub fn drop_the_rest() -> io::Result<()> {
    // Addresses and routes, sockets at one interface, the port of DHCP, the clock.
    let kept = CapabilitySet::NET_ADMIN
        | CapabilitySet::NET_RAW
        | CapabilitySet::NET_BIND_SERVICE
        | CapabilitySet::SYS_TIME;
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(GROUP));
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    Ok(set_no_new_privs(true)?)
}
