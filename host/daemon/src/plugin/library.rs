//! Bundles on the disk: those that came with the firmware, and those that an
//! administrator uploaded.
//!
//! Uploaded ones lie in the data directory under the SHA-256 of their bytes;
//! their own names are never used as file names.

use crate::plugin::load::{self, FILE_EXTENSION, Refusal};
use crate::plugin::roster::{Entry, Source};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Most uploaded bundles.
pub const UPLOADS_MAX: usize = 64;

/// Where bundles lie.
#[derive(Clone, Debug)]
pub struct Library {
    shipped: PathBuf,
    uploaded: PathBuf,
}

/// Why a bundle cannot be kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Too many.
    #[error("{UPLOADS_MAX} bundles are kept already; delete one that is not in use")]
    Full,
    /// No such bundle.
    #[error("there is no uploaded bundle {digest}")]
    Unknown {
        /// Its hash.
        digest: String,
    },
    /// The disk.
    #[error("the bundle cannot be kept or removed; check the disk")]
    Disk(#[from] io::Error),
}

impl Library {
    /// The firmware's bundles in `shipped`, uploads below `data_dir`.
    #[must_use]
    pub fn new(shipped: &Path, data_dir: &Path) -> Self {
        Self { shipped: shipped.to_owned(), uploaded: data_dir.join("plugins") }
    }

    /// The file of an entry's code.
    ///
    /// # Errors
    /// [`Refusal`] when there is none, or it is not clear which.
    pub fn find(&self, entry: &Entry) -> Result<PathBuf, Refusal> {
        match &entry.source {
            Source::Shipped => load::find(&self.shipped, &entry.plugin.name),
            Source::Uploaded(digest) => Ok(self.path(digest)),
        }
    }

    /// Keep an upload, and return its hash once it is on the disk.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn keep(&self, raw: &[u8]) -> Result<String, LibraryError> {
        crate::files::private_dir(&self.uploaded)?;
        let digest = hash(raw);
        let path = self.path(&digest);
        if path.exists() {
            return Ok(digest);
        }
        if self.uploads()?.len() >= UPLOADS_MAX {
            return Err(LibraryError::Full);
        }
        crate::files::write_private(&path, raw)?;
        Ok(digest)
    }

    /// Remove an upload.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn remove(&self, digest: &str) -> Result<(), LibraryError> {
        if !self.has(digest) {
            return Err(LibraryError::Unknown { digest: digest.to_owned() });
        }
        Ok(std::fs::remove_file(self.path(digest))?)
    }

    /// Whether this upload is here.
    #[must_use]
    pub fn has(&self, digest: &str) -> bool {
        is_hash(digest) && self.path(digest).exists()
    }

    /// Hashes of the uploads, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn uploads(&self) -> io::Result<Vec<String>> {
        let mut found = stems(&self.uploaded)?;
        found.retain(|stem| is_hash(stem));
        Ok(found)
    }

    /// Files that came with the firmware, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn shipped(&self) -> io::Result<Vec<PathBuf>> {
        let stems = stems(&self.shipped)?;
        Ok(stems.iter().map(|stem| self.shipped.join(format!("{stem}.{FILE_EXTENSION}"))).collect())
    }

    /// The file of an upload.
    #[must_use]
    pub fn path(&self, digest: &str) -> PathBuf {
        self.uploaded.join(format!("{digest}.{FILE_EXTENSION}"))
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn hash(raw: &[u8]) -> String {
    Sha256::digest(raw).iter().map(|b| format!("{b:02x}")).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names of bundles in a directory, without their ending; a directory that is
/// not there yet has none.
fn stems(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let ending = format!(".{FILE_EXTENSION}");
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|n| n.strip_suffix(&ending)).map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_kept_under_its_hash_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let library = Library::new(&dir.path().join("shipped"), dir.path());
        assert!(library.uploads().expect("none yet").is_empty());
        assert!(library.shipped().expect("none yet").is_empty());
        let digest = library.keep(b"a bundle").expect("kept");
        assert_eq!(library.keep(b"a bundle").expect("the same again"), digest);
        assert_eq!(library.uploads().expect("read"), std::slice::from_ref(&digest));
        assert_eq!(std::fs::read(library.path(&digest)).expect("read"), b"a bundle");
        library.remove(&digest).expect("removed");
        assert!(!library.has(&digest));
        for name in [digest.as_str(), "../evenkeel", "", "A"] {
            assert!(matches!(library.remove(name), Err(LibraryError::Unknown { .. })), "{name}");
        }
    }

    #[test]
    fn uploads_are_limited() {
        let dir = tempfile::tempdir().expect("a directory");
        let library = Library::new(dir.path(), dir.path());
        for i in 0..UPLOADS_MAX {
            library.keep(&i.to_le_bytes()).expect("room");
        }
        assert!(matches!(library.keep(b"one more"), Err(LibraryError::Full)));
    }
}
