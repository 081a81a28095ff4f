//! Whom an image trusts with its slots, and what it is an image for: files
//! that came under the image's own signature, with the boot image for the first
//! stage and on the verified root for the keeper.
//!
//! ```text
//! product, board      one word each
//! threshold           how many roots must sign a keyring
//! roots/*.pub         the platform's root keys
//! keyring.evkk        what they signed; may be absent
//! development/*.pub   keys of a development image, which no other has
//! ```

use crate::log;
use evenkeel_signing::{KeyError, PublicKey, Roots, Trust, TrustError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Largest of the files, in bytes.
const LEN_MAX: u64 = 1 << 20;

/// What an image is, and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    /// What it is for, e.g. `evenkeel`.
    pub product: String,
    /// Hardware that it runs on.
    pub board: String,
    /// Whose firmware may start.
    pub trust: Trust,
}

/// Why the keys of an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is missing or too long.
    #[error("{} of the image cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("the keys of the image cannot be used: {0}")]
    Keys(String),
}

impl Identity {
    /// Read the files of `folder`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let word = |name: &str| Ok(text(&folder.join(name))?.trim().to_owned());
        Ok(Self { product: word("product")?, board: word("board")?, trust: trust(folder)? })
    }
}

fn trust(folder: &Path) -> Result<Trust, IdentityError> {
    let wrong = |e: &dyn std::error::Error| IdentityError::Keys(log::chain(e));
    let keys = |name: &str| -> Result<Vec<PublicKey>, IdentityError> {
        let Ok(entries) = fs::read_dir(folder.join(name)) else { return Ok(Vec::new()) };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        let read = |path: &PathBuf| PublicKey::read(path);
        paths.iter().map(read).collect::<Result<_, KeyError>>().map_err(|e| wrong(&e))
    };
    let roots = keys("roots")?;
    let threshold = text(&folder.join("threshold"))?;
    let threshold = threshold.trim().parse().map_err(|e: std::num::ParseIntError| wrong(&e))?;
    let roots = if roots.is_empty() {
        Roots::none()
    } else {
        Roots::new(roots, threshold).map_err(|e: TrustError| wrong(&e))?
    };
    let development = keys("development")?;
    let mut trust = Trust::new(roots, development.is_empty()).map_err(|e| wrong(&e))?;
    for key in development {
        trust.add_development_key(key).map_err(|e| wrong(&e))?;
    }
    if let Ok(keyring) = fs::read(folder.join("keyring.evkk")) {
        // The date is not known before the network is.
        trust.accept_keyring(&keyring, None).map_err(|e| wrong(&e))?;
    }
    Ok(trust)
}

fn text(path: &Path) -> Result<String, IdentityError> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "it is too long");
    let text = fs::metadata(path).and_then(|metadata| match metadata.len() {
        0..=LEN_MAX => fs::read_to_string(path),
        _ => Err(too_long()),
    });
    text.map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::{Role, SecretKey};

    #[test]
    fn an_image_says_what_it_is_and_whom_it_trusts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("product", "evenkeel\n");
        write("board", "qemu-x86_64");
        assert!(matches!(Identity::load(dir.path()), Err(IdentityError::Read { .. })));
        write("threshold", "1");
        fs::create_dir(dir.path().join("development")).unwrap();
        let key = SecretKey::generate(Role::Firmware, "development").unwrap().public();
        write("development/firmware.pub", &key.to_text());
        let identity = Identity::load(dir.path()).unwrap();
        assert_eq!((&*identity.product, &*identity.board), ("evenkeel", "qemu-x86_64"));
        assert!(identity.trust.trusted().find(&key.id()).is_some());
        write("development/firmware.pub", "no key");
        assert!(matches!(Identity::load(dir.path()), Err(IdentityError::Keys(_))));
    }
}
