//! The packages that a plugin in Rust is made of, as cargo knows them.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// One of them.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    manifest_path: PathBuf,
    /// Registry or repository; none for a folder.
    source: Option<String>,
}

impl Package {
    /// Where its sources are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }

    /// Whether it is a folder of this machine, not something downloaded.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.source.is_none()
    }
}

/// All packages of the workspace at `folder`, the plugin's own included.
///
/// # Errors
/// [`PackagesError`].
pub fn list(folder: &Path) -> Result<Vec<Package>, PackagesError> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(folder)
        .args(["metadata", "--format-version", "1"])
        .output()
        .map_err(|source| PackagesError::Start { source })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(PackagesError::Cargo { message });
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|source| PackagesError::Metadata { source })?;
    Ok(metadata.packages)
}

/// Why they are not known.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// cargo is not there.
    #[error("cannot run cargo; is Rust installed?")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// cargo failed.
    #[error("`cargo metadata` failed: {message}")]
    Cargo {
        /// What it wrote.
        message: String,
    },
    /// Not what this tool understands.
    #[error("`cargo metadata` wrote something unexpected; is this cargo too new?")]
    Metadata {
        /// Where and why.
        source: serde_json::Error,
    },
}
