//! Giving up what the guard no longer needs: its user, its right to gain
//! others, and the system calls and files that it never uses.
//!
//! The order matters. While there is one thread: the user is changed, keeping
//! the rights to real-time priority and locked memory alone; Landlock is put in force, which later threads inherit.
//! Once the cycle thread has its priority: the right to it goes too, and
//! seccomp is installed for all threads.

use crate::{landlock, seccomp, sys};
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use std::io;
use std::path::{Path, PathBuf};

/// File descriptors that the guard may ever have. It needs about twenty; the
/// same limit counts images on their way to clients that never fetch them.
const FILES_MAX: u64 = 1024;

/// A user to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// Further groups: a serial port usually belongs to one.
    pub groups: Vec<u32>,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not in the list of users, and not a number.
    #[error("there is no user {0:?}; say a name from /etc/passwd or a number")]
    Unknown(String),
    /// Becoming root gives nothing up.
    #[error("user {0:?} is root; say an unprivileged one")]
    Root(String),
    /// The list cannot be read.
    #[error("the list of users cannot be read")]
    Read(#[source] io::Error),
}

impl User {
    /// The user of this name or number, with its groups.
    ///
    /// # Errors
    /// [`UserError`] when there is none, or it is root.
    pub fn find(wanted: &str) -> Result<Self, UserError> {
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(UserError::Read)?;
        let group = std::fs::read_to_string("/etc/group").map_err(UserError::Read)?;
        Self::look_up(wanted, &passwd, &group)
    }

    /// In the text of `/etc/passwd` and `/etc/group`: an appliance has no
    /// other directory of users.
    fn look_up(wanted: &str, passwd: &str, group: &str) -> Result<Self, UserError> {
        let number: Option<u32> = wanted.parse().ok();
        // name:password:uid:gid:…
        let entry = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, uid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
            let gid = fields.next()?.parse().ok()?;
            (name == wanted || Some(uid) == number).then_some((name, uid, gid))
        });
        let (name, uid, gid) = match (entry, number) {
            (Some(entry), _) => entry,
            // A number need not have a name.
            (None, Some(number)) => ("", number, number),
            (None, None) => return Err(UserError::Unknown(wanted.to_owned())),
        };
        if uid == 0 || gid == 0 {
            return Err(UserError::Root(wanted.to_owned()));
        }
        // name:password:gid:member,member
        let groups = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse().ok()?;
            let member = fields.next()?.split(',').any(|m| !name.is_empty() && m == name);
            (member && gid != 0).then_some(gid)
        });
        Ok(Self { uid, gid, groups: groups.collect() })
    }

    /// Become this user for good, keeping the right to real-time priority and
    /// locked memory. Only while the process has one thread.
    ///
    /// # Errors
    /// The operating system's refusal: usually not started as root.
    pub fn assume(&self) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.iter().map(|g| Gid::from_raw(*g)).collect();
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        // Leaving root takes all capabilities away but what is asked for here.
        set_keep_capabilities(true)?;
        set_thread_res_uid(uid, uid, uid)?;
        set_keep_capabilities(false)?;
        keep_only(CapabilitySet::SYS_NICE | CapabilitySet::IPC_LOCK)?;
        if set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
            return Err(io::Error::other("root can be regained"));
        }
        Ok(())
    }
}

/// What confining needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Serial ports.
    pub ports: &'a [PathBuf],
    /// The settings file.
    pub settings: &'a Path,
    /// Kept state.
    pub state: &'a Path,
    /// The socket.
    pub socket: &'a Path,
}

/// Limit what the calling thread, and those that it starts, can gain and open.
///
/// # Errors
/// What the operating system refused, for people.
pub fn confine_files(folders: Folders<'_>) -> Result<(), String> {
    let refused = |what: &str, error: io::Error| format!("{what}: {error}");
    // Where the limit is lower already, it cannot be raised and need not be.
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(FILES_MAX).min(FILES_MAX);
    let files = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Nofile, files).map_err(|e| refused("limit of open files", e.into()))?;
    set_no_new_privs(true).map_err(|e| refused("no new privileges", e.into()))?;
    // A port's path is often a link: to a device, wherever the link lies.
    let mut allowed = vec![
        (Path::new("/dev"), landlock::Use::Devices),
        (folders.state, landlock::Use::State),
        // Settings that come over the socket replace the file.
        (folder_of(folders.settings), landlock::Use::State),
        (folder_of(folders.socket), landlock::Use::Socket),
    ];
    allowed.extend(folders.ports.iter().map(|p| (folder_of(p), landlock::Use::Devices)));
    landlock::restrict(&allowed).map_err(|e| refused("limited files (Landlock)", e))
}

/// Give up the calling thread's capabilities: it has used them. Kept, where
/// there, are the one that locked memory goes on to need, and the one by which
/// a guard that stays root opens a port of somebody else.
///
/// # Errors
/// The operating system's refusal.
pub fn drop_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    keep_only(CapabilitySet::IPC_LOCK | CapabilitySet::DAC_OVERRIDE)
}

/// Limit the system calls of all threads.
///
/// # Errors
/// What the operating system refused, for people.
pub fn confine_calls() -> Result<(), String> {
    sys::install_filter(&seccomp::filter(), true)
        .map_err(|e| format!("limited system calls (seccomp): {e}"))
}

/// Keep these capabilities of the calling thread, where it has them.
fn keep_only(wanted: CapabilitySet) -> io::Result<()> {
    let kept = capabilities(None)?.permitted & wanted;
    let inheritable = CapabilitySet::empty();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    set_capabilities(None, sets).map_err(Into::into)
}

/// The folder in which a path lies.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nguard:x:811:812:battery:/:/bin/false\n";
    const GROUP: &str =
        "root:x:0:guard\ndialout:x:20:other,guard\nguard:x:812:\nnone:x:9:guardian\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let guard = User { uid: 811, gid: 812, groups: vec![20] };
        for wanted in ["guard", "811"] {
            assert_eq!(User::look_up(wanted, PASSWD, GROUP).expect("known"), guard, "{wanted}");
        }
        let stranger = User::look_up("4711", PASSWD, GROUP).expect("a number will do");
        assert_eq!(stranger, User { uid: 4711, gid: 4711, groups: vec![] });
        assert!(matches!(User::look_up("nobody", PASSWD, GROUP), Err(UserError::Unknown(_))));
        for root in ["root", "0"] {
            assert!(matches!(User::look_up(root, PASSWD, GROUP), Err(UserError::Root(_))));
        }
        assert!(User::look_up("", ":x:y\n\n:", "::\n").is_err(), "broken lists are no users");
    }
}
