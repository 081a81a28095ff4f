//! Which files the guard may touch once it runs: devices (its ports come and
//! go), the folders of its ports, its settings, its state and its socket. Nothing else can
//! be opened, whoever the guard's user is.

use crate::sys;
use rustix::fs::{Mode, OFlags, open};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

// Rights of <linux/landlock.h>, version 1.
const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_FIRST: u64 = 1 << 6;
const MAKE_REG: u64 = 1 << 8;
const MAKE_LAST: u64 = 1 << 12;
// Version 3: cutting a file short, as replacing one does.
const TRUNCATE: u64 = 1 << 14;

/// What is done in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Open what lies there.
    Devices,
    /// Read, write, make, replace and remove files.
    State,
    /// Remove files: the socket at the end.
    Socket,
}

impl Use {
    const fn rights(self) -> u64 {
        match self {
            Self::Devices => READ_FILE | WRITE_FILE,
            Self::State => READ_FILE | WRITE_FILE | READ_DIR | MAKE_REG | REMOVE_FILE | TRUNCATE,
            Self::Socket => REMOVE_FILE,
        }
    }
}

/// From now on the calling thread, and every thread that it starts, can open
/// files in these folders and below only. A folder that is absent is left
/// out. `no_new_privs` has to be set.
///
/// # Errors
/// The operating system's refusal: usually no Landlock.
pub fn restrict(folders: &[(&Path, Use)]) -> io::Result<()> {
    let mut known = EXECUTE | WRITE_FILE | READ_FILE | READ_DIR | REMOVE_DIR | REMOVE_FILE;
    known |= (MAKE_LAST << 1) - MAKE_FIRST;
    if sys::landlock_version() >= 3 {
        known |= TRUNCATE;
    }
    let rules = sys::landlock_ruleset(known)?;
    for (folder, what) in folders {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = open(*folder, flags, Mode::empty()) else { continue };
        sys::landlock_allow(rules.as_fd(), folder, what.rights() & known)?;
    }
    sys::landlock_restrict(rules.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn other_folders_are_out_of_reach() {
        let dir = tempfile::tempdir().expect("a folder");
        let (state, other) = (dir.path().join("state"), dir.path().join("other"));
        fs::create_dir(&state).and_then(|()| fs::create_dir(&other)).expect("made");
        fs::write(other.join("secret"), "x").expect("written");
        let confined = move || {
            rustix::thread::set_no_new_privs(true).expect("permitted");
            let absent = Path::new("/absent");
            restrict(&[(&state, Use::State), (absent, Use::Devices)]).expect("restricted");
            for _ in 0..2 {
                fs::write(state.join("new"), "kept").expect("state is written");
                fs::rename(state.join("new"), state.join("kept")).expect("and replaced");
            }
            fs::File::open(&state).and_then(|d| d.sync_all()).expect("and made durable");
            for refused in [
                fs::read(other.join("secret")).err(),
                fs::write(other.join("new"), "x").err(),
                fs::remove_file(other.join("secret")).err(),
                fs::read("/etc/passwd").err(),
            ] {
                let kind = refused.expect("refused").kind();
                assert_eq!(kind, io::ErrorKind::PermissionDenied);
            }
        };
        // The rules stay with their thread, which ends here.
        std::thread::spawn(confined).join().expect("as wanted");
    }
}
