//! What the appliance calls itself. The keeper of the network says it by a file;
//! to tell the kernel takes a right that would be far too much for it, so that
//! the supervisor does it, and takes nothing else for a name.

use crate::log;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// The folder of the keeper of the network.
const FOLDER: &str = "/run/network";
/// The name, within it; it comes there whole, under another name first.
const FILE: &str = "host-name";
/// Longest name: one label.
const LEN_MAX: usize = 63;
/// The kernel's word for nobody.
const NOBODY: &str = "(none)";

/// Follows the file.
pub struct HostName {
    watch: OwnedFd,
    told: Option<String>,
}

impl HostName {
    /// From now on, of the folder, which is there.
    pub fn watch() -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, FOLDER, WatchFlags::MOVED_TO)?;
        Ok(Self { watch, told: None })
    }

    /// Wakes when it may have changed.
    pub fn wakes(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Tell the kernel what is new.
    pub fn follow(&mut self) {
        // What came says no more than that something did.
        while !matches!(rustix::io::read(&self.watch, &mut [0; 4_096][..]), Ok(0) | Err(_)) {}
        let name = match read(&Path::new(FOLDER).join(FILE)) {
            Ok(Some(name)) => name,
            Ok(None) => return log::say("what shall be the host name is none; it stays"),
            // Nobody said one yet.
            Err(_) => return,
        };
        if self.told.as_ref() == Some(&name) {
            return;
        }
        match rustix::system::sethostname(name.as_bytes()) {
            Ok(()) => log::say(&format!("the host name is {name}")),
            Err(error) => return log::say(&format!("the host name {name} is not taken: {error}")),
        }
        self.told = Some(name);
    }
}

/// The name in the file; `None` where something else stands there.
fn read(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match File::open(path)?.take(LEN_MAX as u64 + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
        Ok(0) => Ok(Some(NOBODY.to_owned())),
        Ok(_) => Ok(Some(text).filter(|text| is_label(text))),
    }
}

fn is_label(text: &str) -> bool {
    (1..=LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_is_a_name_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert!(read(&path).is_err(), "nobody said one");
        let longest = "x".repeat(LEN_MAX);
        for (text, name) in [("", NOBODY), ("rack-7", "rack-7"), (&longest, &longest)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(name));
        }
        let too_long = "x".repeat(LEN_MAX + 1);
        for text in ["a.b", "-a", "a-", "A", "a\n", "a b", "\u{e4}", &too_long] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), None, "{text:?}");
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }
}
