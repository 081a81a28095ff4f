//! Finds partitions by their names, which the builder gave them.

use crate::log;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a disk may take to appear.
const WAIT: Duration = Duration::from_secs(15);
/// Time between two looks: before there is a root nobody tells of new devices.
const LOOK: Duration = Duration::from_millis(20);

/// The device of the partition `name`, once the kernel has found it.
///
/// # Errors
/// When there is none in time.
pub fn find(name: &str) -> io::Result<PathBuf> {
    let begun = Instant::now();
    loop {
        if let Some(device) = look(Path::new("/sys/class/block"), name)? {
            return Ok(Path::new("/dev").join(device));
        }
        if begun.elapsed() > WAIT {
            let text = format!("no disk with a partition {name:?} appeared in {WAIT:?}");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        std::thread::sleep(LOOK);
    }
}

/// The name of the device whose partition is called `name`. Two of them are
/// none: a second disk must not slip its root in.
fn look(folder: &Path, name: &str) -> io::Result<Option<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A device that vanishes while it is looked at is none.
        let Ok(text) = fs::read_to_string(entry.path().join("uevent")) else { continue };
        if text.lines().any(|line| line.strip_prefix("PARTNAME=") == Some(name)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            found.sort();
            log::say(&format!("partition {name:?} is there more than once: {}", found.join(", ")));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_its_name_alone() {
        let dir = tempfile::tempdir().unwrap();
        for (device, text) in [
            ("vda", "MAJOR=254\nDEVTYPE=disk\n"),
            ("vda1", "DEVTYPE=partition\nPARTN=1\nPARTNAME=boot_a\n"),
            ("vda2", "DEVTYPE=partition\nPARTN=2\nPARTNAME=boot_ab\n"),
        ] {
            fs::create_dir(dir.path().join(device)).unwrap();
            fs::write(dir.path().join(device).join("uevent"), text).unwrap();
        }
        assert_eq!(look(dir.path(), "boot_a").unwrap().as_deref(), Some("vda1"));
        assert_eq!(look(dir.path(), "boot_b").unwrap(), None);
        fs::create_dir(dir.path().join("vdb1")).unwrap();
        fs::write(dir.path().join("vdb1/uevent"), "PARTNAME=boot_a\n").unwrap();
        assert_eq!(look(dir.path(), "boot_a").unwrap(), None, "a second one is suspect");
    }
}
