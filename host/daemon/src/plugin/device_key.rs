//! The secret of this device, from which each purpose has a key of its own: the
//! [compiled code](super::compile) of plugins, and their [secrets](super::vault).
//!
//! 32 random bytes in `<data_dir>/plugin-cache.key`, made at the first start; a
//! purpose's key is HMAC-SHA-256 (RFC 2104) of its name under them.

use crate::files;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tracing::warn;

/// The secret's file in the data directory.
pub const SECRET_FILE: &str = "plugin-cache.key";
/// Bytes of the secret, and of each key.
pub const LEN: usize = 32;

/// The secret.
pub struct DeviceKey([u8; LEN]);

/// It can be neither read nor made.
#[derive(Debug, thiserror::Error)]
#[error("the device's secret in {} can be neither read nor made", path.display())]
pub struct NoDeviceKey {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl DeviceKey {
    /// The secret in `data_dir`, made at the first call. One that is damaged is
    /// replaced: what was made under it is then foreign.
    ///
    /// # Errors
    /// [`NoDeviceKey`].
    pub fn open(data_dir: &Path) -> Result<Self, NoDeviceKey> {
        let path = data_dir.join(SECRET_FILE);
        secret(&path).map(Self).map_err(|source| NoDeviceKey { path, source })
    }

    /// The key for a purpose.
    #[must_use]
    pub fn of(&self, purpose: &str) -> [u8; LEN] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any length");
        mac.chain_update(purpose).finalize().into_bytes().into()
    }
}

impl core::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DeviceKey(…)")
    }
}

fn secret(path: &Path) -> io::Result<[u8; LEN]> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LEN as u64 + 1).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if let Ok(secret) = bytes.as_slice().try_into() {
        return Ok(secret);
    }
    if !bytes.is_empty() {
        warn!(
            "{} is damaged and replaced; plugins are compiled again, and their secrets must be \
            entered again",
            path.display()
        );
    }
    let mut secret = [0; LEN];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    files::write_private(path, secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_a_key_of_its_own_and_keeps_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = DeviceKey::open(dir.path()).expect("made");
        let again = DeviceKey::open(dir.path()).expect("read");
        assert_eq!(key.of("a"), again.of("a"));
        assert_ne!(key.of("a"), key.of("b"));
        let other = tempfile::tempdir().expect("a directory");
        assert_ne!(DeviceKey::open(other.path()).expect("made").of("a"), key.of("a"));
        let nowhere = DeviceKey::open(&dir.path().join("none")).expect_err("no directory");
        assert!(nowhere.to_string().contains(SECRET_FILE));
    }
}
