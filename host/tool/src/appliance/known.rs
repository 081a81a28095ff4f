//! The appliances whose certificates a person accepted: one line each in
//! `$XDG_CONFIG_HOME/evenkeel/known-appliances` (`~/.config` without it),
//!
//! ```text
//! https://ups.example:8443 A1:B2:…
//! ```

use super::Address;
use super::pin::Fingerprint;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// Longest file that is read, bytes.
const LEN_MAX: u64 = 1 << 20;

/// The file with the known appliances.
#[derive(Clone, Debug)]
pub struct Known {
    path: PathBuf,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// No home.
    #[error("there is no place for known appliances: set HOME, or give --fingerprint")]
    NoHome,
    /// The file.
    #[error("{} cannot be used; check its permissions, or give --fingerprint", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line of it.
    #[error("{}, line {line}: it should be an address and a fingerprint", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl Known {
    /// In the configuration of whoever runs this.
    ///
    /// # Errors
    /// [`KnownError::NoHome`].
    pub fn of_user() -> Result<Self, KnownError> {
        let absolute = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let config = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")))
            .ok_or(KnownError::NoHome)?;
        Ok(Self { path: config.join("evenkeel/known-appliances") })
    }

    /// In this file.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is kept.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The certificate that was accepted for `address`.
    ///
    /// # Errors
    /// [`KnownError`].
    pub fn find(&self, address: &Address) -> Result<Option<Fingerprint>, KnownError> {
        Ok(self.read()?.into_iter().rev().find(|(at, _)| at == address).map(|(_, print)| print))
    }

    /// Keep the certificate of an appliance of which none is kept.
    ///
    /// # Errors
    /// [`KnownError`].
    pub fn keep(&self, address: &Address, fingerprint: Fingerprint) -> Result<(), KnownError> {
        let failed = |source| KnownError::File { path: self.path.clone(), source };
        if let Some(dir) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.append(true).create(true).mode(0o600).open(&self.path).map_err(failed)?;
        // One write: two that keep at the same time do not mix.
        file.write_all(format!("{address} {fingerprint}\n").as_bytes()).map_err(failed)
    }

    fn read(&self) -> Result<Vec<(Address, Fingerprint)>, KnownError> {
        let mut text = String::new();
        let read = fs::File::open(&self.path)
            .and_then(|file| file.take(LEN_MAX).read_to_string(&mut text));
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(KnownError::File { path: self.path.clone(), source }),
            Ok(_) => {}
        }
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, l)| !l.trim().is_empty() && !l.trim().starts_with('#'));
        let parse = |(i, line): (usize, &str)| {
            let pair = line.trim().split_once(' ');
            let pair =
                pair.and_then(|(at, print)| Some((at.parse().ok()?, print.trim().parse().ok()?)));
            pair.ok_or_else(|| KnownError::Line { path: self.path.clone(), line: i + 1 })
        };
        lines.map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_found_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let known = Known::at(dir.path().join("deep/known"));
        let (one, two) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        let address: Address = "https://ups.example".parse().expect("good");
        let other: Address = "https://ups.example:8443".parse().expect("good");
        assert_eq!(known.find(&address).expect("none yet"), None);
        known.keep(&address, one).expect("kept");
        known.keep(&other, two).expect("kept");
        assert_eq!(known.find(&address).expect("read"), Some(one));
        assert_eq!(known.find(&other).expect("read"), Some(two));
    }

    #[test]
    fn a_damaged_line_is_named_and_never_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("known");
        fs::write(&path, "# mine\n\nhttps://ups.example A1:B2\n").expect("written");
        let address = "https://ups.example".parse().expect("good");
        let error = Known::at(path).find(&address).expect_err("refused").to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
