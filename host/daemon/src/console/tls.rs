//! The appliance's own certificate (facts/appliance-security.md SEC-070,
//! SEC-073): P-256, made at the first start, the key never leaves. A start
//! with less than a month left, or on a clock before the certificate's time,
//! makes a new certificate for the same key.

use crate::clock;
use crate::files::write_private;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Name of the certificate's file in the data directory.
pub const CERTIFICATE: &str = "console-certificate.pem";
/// The same of its key.
const KEY: &str = "console-key.pem";
const VALID_DAYS: u64 = 398;
/// A certificate with less time than this is made anew.
const RENEW_DAYS: u64 = 30;
const DAY_MS: u64 = 86_400_000;

/// What the console shows to browsers.
pub struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
    /// It was made anew now, in place of one whose time was over.
    pub renewed: bool,
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
    /// The certificate cannot be made for the key.
    #[error(
        "the certificate cannot be made; remove {KEY} from the data directory to have a new key made"
    )]
    Make(#[source] rcgen::Error),
    /// Certificate and key do not belong together.
    #[error("{CERTIFICATE} and {KEY} do not fit; remove both to have new ones made")]
    Mismatch(#[source] rustls::Error),
}

/// Load the certificate from `dir`, or make it. `unix_ms` is the present time.
///
/// # Errors
/// [`TlsError`].
pub fn identity(dir: &Path, host_name: &str, unix_ms: u64) -> Result<Identity, TlsError> {
    let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
    if !key.exists() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Make)?;
        write(&key, &pair.serialize_pem())?;
        make(&certificate, &pair, host_name, unix_ms)?;
    }
    if !certificate.exists() {
        make(&certificate, &pair(&key)?, host_name, unix_ms)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut own = load(&certificate)?;
    let renewed = is_over(&own, &provider, unix_ms);
    if renewed {
        make(&certificate, &pair(&key)?, host_name, unix_ms)?;
        own = load(&certificate)?;
    }
    let fingerprint = fingerprint(&own);
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|source| TlsError::Damaged { path: key, source })?;
    let mut config = server_config(own, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), fingerprint, renewed })
}

/// The certificate of the console for another listener of the appliance;
/// `None` while there is none. It is only the console that makes it.
///
/// # Errors
/// [`TlsError`].
pub fn present(dir: &Path) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    let own = load(&certificate)?;
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|source| TlsError::Damaged { path: key, source })?;
    server_config(own, key).map(|config| Some(Arc::new(config)))
}

fn server_config(
    own: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(vec![own], key)
        .map_err(TlsError::Mismatch)
}

fn load(path: &Path) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_file(path)
        .map_err(|source| TlsError::Damaged { path: path.to_owned(), source })
}

fn pair(key: &Path) -> Result<KeyPair, TlsError> {
    let text = std::fs::read_to_string(key)
        .map_err(|source| TlsError::File { path: key.to_owned(), source })?;
    KeyPair::from_pem(&text).map_err(TlsError::Make)
}

fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    write_private(path, text).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

/// True when a browser that trusts this very certificate would refuse it for
/// its time, now or within [`RENEW_DAYS`].
fn is_over(certificate: &CertificateDer<'_>, provider: &Arc<CryptoProvider>, unix_ms: u64) -> bool {
    let mut roots = RootCertStore::empty();
    let (Ok(()), Ok(name)) = (roots.add(certificate.clone()), ServerName::try_from("localhost"))
    else {
        return false;
    };
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let Ok(verifier) = verifier else { return false };
    [unix_ms, unix_ms + RENEW_DAYS * DAY_MS].into_iter().any(|ms| {
        let at = UnixTime::since_unix_epoch(Duration::from_millis(ms));
        let outcome = verifier.verify_server_cert(certificate, &[], &name, &[], at);
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        matches!(
            outcome,
            Err(rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
            ))
        )
    })
}

/// Make the certificate for a key.
fn make(certificate: &Path, key: &KeyPair, host_name: &str, unix_ms: u64) -> Result<(), TlsError> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if is_host_name(host_name) && host_name != "localhost" {
        names.insert(0, host_name.to_owned());
    }
    let mut params = CertificateParams::new(names.clone()).map_err(TlsError::Make)?;
    params.distinguished_name.push(DnType::CommonName, format!("Evenkeel {}", names[0]));
    params.not_before = clock::date(unix_ms.saturating_sub(DAY_MS));
    params.not_after = clock::date(unix_ms + (VALID_DAYS - 1) * DAY_MS);
    let made = params.self_signed(key).map_err(TlsError::Make)?;
    write(certificate, &made.pem())
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

    const NOW: u64 = 1_795_247_521_000;

    fn of(dir: &Path, name: &str, unix_ms: u64) -> Identity {
        identity(dir, name, unix_ms).expect("an identity")
    }

    #[test]
    fn made_once_and_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = of(dir.path(), "rack-7.example", NOW);
        let again = of(dir.path(), "other", NOW);
        assert_eq!(first.fingerprint, again.fingerprint);
        assert_eq!((first.renewed, again.renewed), (false, false));
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        for file in [KEY, CERTIFICATE] {
            let mode = std::fs::metadata(dir.path().join(file)).expect("a file").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
        }
        let other = tempfile::tempdir().expect("a directory");
        let other = of(other.path(), "bad name/", NOW);
        assert_ne!(first.fingerprint, other.fingerprint);
    }

    #[test]
    fn renewed_in_time_with_the_same_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = || std::fs::read_to_string(dir.path().join(KEY)).expect("a key");
        let first = of(dir.path(), "a", NOW);
        let first_key = key();
        for (days, renewed) in [(0, false), (366, false), (368, true), (369, false)] {
            let identity = of(dir.path(), "a", NOW + days * DAY_MS);
            assert_eq!(identity.renewed, renewed, "after {days} days");
        }
        let back = of(dir.path(), "a", NOW + 300 * DAY_MS);
        assert!(back.renewed, "the clock was wrong before");
        assert_ne!(back.fingerprint, first.fingerprint);
        assert_eq!(key(), first_key);
        assert!(!of(dir.path(), "a", NOW + 300 * DAY_MS).renewed, "once");
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        of(dir.path(), "a", NOW);
        std::fs::write(dir.path().join(KEY), "x").expect("written");
        let error = identity(dir.path(), "a", NOW).err().expect("refused");
        assert!(error.to_string().contains(KEY), "{error}");
    }
}
