//! The appliance's own certificate (facts/appliance-security.md SEC-070,
//! SEC-073): P-256, made at the first start, the key never leaves.

use crate::clock;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of the files in the data directory.
const CERTIFICATE: &str = "console-certificate.pem";
const KEY: &str = "console-key.pem";
const VALID_DAYS: u64 = 398;
const DAY_MS: u64 = 86_400_000;

/// What the console shows to browsers.
pub struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{} cannot be used; check the disk and the permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM.
    #[error("{} is damaged; remove it and its neighbour to have new ones made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate cannot be made.
    #[error("the certificate cannot be made")]
    Make(#[source] rcgen::Error),
    /// Certificate and key do not belong together.
    #[error("certificate and key do not fit; remove both to have new ones made")]
    Mismatch(#[source] rustls::Error),
}

/// Load the certificate from `dir`, or make it.
///
/// # Errors
/// [`TlsError`].
pub fn identity(dir: &Path, host_name: &str) -> Result<Identity, TlsError> {
    let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
    if !certificate.exists() || !key.exists() {
        make(&certificate, &key, host_name)?;
    }
    let chain = vec![
        CertificateDer::from_pem_file(&certificate)
            .map_err(|source| TlsError::Damaged { path: certificate, source })?,
    ];
    let fingerprint = fingerprint(&chain[0]);
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|source| TlsError::Damaged { path: key, source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), fingerprint })
}

fn make(certificate: &Path, key: &Path, host_name: &str) -> Result<(), TlsError> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if is_host_name(host_name) && host_name != "localhost" {
        names.insert(0, host_name.to_owned());
    }
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Make)?;
    let mut params = CertificateParams::new(names.clone()).map_err(TlsError::Make)?;
    params.distinguished_name.push(DnType::CommonName, format!("Evenkeel {}", names[0]));
    let now = clock::unix_ms();
    let day = |unix_ms| {
        let (year, month, day) = clock::date(unix_ms);
        date_time_ymd(year.into(), month, day)
    };
    params.not_before = day(now.saturating_sub(DAY_MS));
    params.not_after = day(now + (VALID_DAYS - 1) * DAY_MS);
    let made = params.self_signed(&pair).map_err(TlsError::Make)?;
    // The certificate last: with it, the pair is complete.
    for (path, text) in [(key, pair.serialize_pem()), (certificate, made.pem())] {
        write_private(path, &text)
            .map_err(|source| TlsError::File { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// Write a file that only this user may read, in one step.
///
/// # Errors
/// What the system says.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("fresh");
    let _ = std::fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = Sha256::digest(certificate);
    hash.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

fn is_host_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = identity(dir.path(), "rack-7.example").expect("an identity");
        let again = identity(dir.path(), "other").expect("an identity");
        assert_eq!(first.fingerprint, again.fingerprint);
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        for file in [KEY, CERTIFICATE] {
            let mode = std::fs::metadata(dir.path().join(file)).expect("a file").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
        }
        let other = tempfile::tempdir().expect("a directory");
        let other = identity(other.path(), "bad name/").expect("an identity");
        assert_ne!(first.fingerprint, other.fingerprint);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        identity(dir.path(), "a").expect("an identity");
        std::fs::write(dir.path().join(KEY), "x").expect("written");
        let error = identity(dir.path(), "a").err().expect("refused");
        assert!(error.to_string().contains(KEY), "{error}");
    }
}
