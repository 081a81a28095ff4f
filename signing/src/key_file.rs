//! Key files on a disk, and new keys: what needs an operating system.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::keys::check_name;
use crate::{KeyError, PublicKey, Role, SecretKey};

impl PublicKey {
    /// Read a public key file.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or is not a public key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let file = File::open(path).map_err(|source| cannot("read", path, source))?;
        Self::parse(&read_bounded(file, path)?)
    }

    /// Write the key to a new file. An existing file is never overwritten: it
    /// may be the public half of another key.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        write_new(path, 0o644, &self.to_text())
    }
}

impl SecretKey {
    /// Make a new key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Name`] for a name that does not fit a key file,
    /// [`KeyError::Random`] when the system gives no random numbers.
    pub fn generate(role: Role, name: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|source| KeyError::Random { source })?;
        Ok(Self::from_seed(role, name, &seed))
    }

    /// Read a secret key file. A file that others may read is refused.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read, is open to others, or is not
    /// a secret key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let file = File::open(path).map_err(|source| cannot("read", path, source))?;
        let metadata = file.metadata().map_err(|source| cannot("read", path, source))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::OpenToOthers { path: path.to_owned() });
        }
        Self::parse(&read_bounded(file, path)?)
    }

    /// Write the key to a new file that only its owner may read. An existing
    /// file is never overwritten: losing a key cannot be undone.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        write_new(path, 0o600, &self.to_text())
    }
}

/// Room for the line and a page of comments.
const FILE_LEN_MAX: u64 = 4096;

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), KeyError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|source| cannot("create", path, source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| cannot("write", path, source))
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::File { action, path: path.to_owned(), source }
}

fn read_bounded(file: File, path: &Path) -> Result<String, KeyError> {
    let mut text = String::new();
    file.take(FILE_LEN_MAX)
        .read_to_string(&mut text)
        .map_err(|source| cannot("read", path, source))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_both_ways_and_secrets_stay_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin.key");
        let secret = SecretKey::generate(Role::Plugin, "acme").unwrap();
        secret.write_new(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::read(&path).unwrap().public(), secret.public());
        assert!(matches!(secret.write_new(&path), Err(KeyError::File { action: "create", .. })));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SecretKey::read(&path), Err(KeyError::OpenToOthers { .. })));
        let text = secret.to_text();
        let digits = text.split_whitespace().last().unwrap();
        assert!(!format!("{secret:?}").contains(digits));
    }
}
