//! Files that only the daemon's user may read: the data directory holds
//! password hashes, the console's key and the first password.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Make the data directory and take from everybody else what an older version
/// or a copy left open in it.
///
/// # Errors
/// What the system says; as much as possible was done.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A link would lead elsewhere; a directory is closed by its own mode.
        if entry.file_type()?.is_file() {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Write a file that only this user may read, in one step.
///
/// # Errors
/// What the system says.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let fresh = path.with_extension("fresh");
    // Left by a power cut, if at all.
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(content.as_ref())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_lay_open_is_closed() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("a/b");
        private_dir(&dir).expect("made");
        assert_eq!(mode(&dir), 0o700);
        let (open, link, outside) =
            (dir.join("open"), dir.join("link"), parent.path().join("outside"));
        for file in [&open, &outside] {
            fs::write(file, "x").expect("written");
            fs::set_permissions(file, Permissions::from_mode(0o644)).expect("set");
        }
        std::os::unix::fs::symlink(&outside, &link).expect("linked");
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("set");
        private_dir(&dir).expect("closed");
        assert_eq!((mode(&dir), mode(&open), mode(&outside)), (0o700, 0o600, 0o644));
        write_private(&dir.join("key.pem"), "x").expect("written");
        assert_eq!(mode(&dir.join("key.pem")), 0o600);
    }
}
