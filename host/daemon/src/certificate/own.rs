//! The appliance's own certificate (facts/appliance-security.md SEC-070,
//! SEC-073): P-256, made at the first start, the key never leaves. With less than
//! a month left, or on a clock before the certificate's time, a new certificate is
//! made for the same key.

use super::about::About;
use crate::clock;
use crate::files::write_private;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Name of the certificate's file in the data directory.
pub(super) const CERTIFICATE: &str = "console-certificate.pem";
/// The same of its key.
const KEY: &str = "console-key.pem";
const VALID_DAYS: u64 = 398;
/// A certificate with less time than this is made anew.
const RENEW_DAYS: u64 = 30;
const DAY_MS: u64 = 86_400_000;

/// The appliance's own certificate.
pub(super) struct Own {
    /// With its key.
    pub certified: CertifiedKey,
    /// For people.
    pub about: About,
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
    /// The certificate says nothing that can be shown.
    #[error("{} is no certificate; remove it to have a new one made", .0.display())]
    Unreadable(PathBuf),
}

/// Load the certificate from `dir`, or make it. `unix_ms` is the present time.
///
/// # Errors
/// [`TlsError`].
pub(super) fn identity(dir: &Path, host_name: &str, unix_ms: u64) -> Result<Own, TlsError> {
    let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
    if !key.exists() {
        write(&key, &new_key()?.serialize_pem())?;
        make(&certificate, &pair(&key)?, host_name, unix_ms)?;
    }
    if !certificate.exists() {
        make(&certificate, &pair(&key)?, host_name, unix_ms)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut own = load(&certificate)?;
    let read = |own: &_| About::alone(own).ok_or_else(|| TlsError::Unreadable(certificate.clone()));
    let mut about = read(&own)?;
    let renewed = is_over(&own, &provider, unix_ms) || !names(&about, host_name);
    if renewed {
        make(&certificate, &pair(&key)?, host_name, unix_ms)?;
        own = load(&certificate)?;
        about = read(&own)?;
    }
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|source| TlsError::Damaged { path: key, source })?;
    let certified =
        CertifiedKey::from_der(vec![own], key, &provider).map_err(TlsError::Mismatch)?;
    Ok(Own { certified, about, renewed })
}

/// A key of the kind that small processors are quick with.
pub(super) fn new_key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Make)
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

pub(super) fn write(path: &Path, text: &str) -> Result<(), TlsError> {
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

/// Whether it names this host, if that has a name.
pub(super) fn names(about: &About, host_name: &str) -> bool {
    !is_host_name(host_name) || about.names.iter().any(|name| name == host_name)
}

pub(super) fn is_host_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: u64 = 1_795_247_521_000;

    fn of(dir: &Path, name: &str, unix_ms: u64) -> Own {
        identity(dir, name, unix_ms).expect("an identity")
    }

    #[test]
    fn made_once_and_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = of(dir.path(), "rack-7.example", NOW);
        let again = of(dir.path(), "rack-7.example", NOW);
        assert_eq!(first.about.fingerprint, again.about.fingerprint);
        assert_eq!((first.renewed, again.renewed), (false, false));
        assert_eq!(first.about.fingerprint.len(), 32 * 3 - 1);
        for file in [KEY, CERTIFICATE] {
            let mode = std::fs::metadata(dir.path().join(file)).expect("a file").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
        }
        let other = tempfile::tempdir().expect("a directory");
        let other = of(other.path(), "bad name/", NOW);
        assert_ne!(first.about.fingerprint, other.about.fingerprint);
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
        assert_ne!(back.about.fingerprint, first.about.fingerprint);
        assert_eq!(key(), first_key);
        assert!(!of(dir.path(), "a", NOW + 300 * DAY_MS).renewed, "once");
    }

    #[test]
    fn another_host_name_is_in_another_certificate_with_the_same_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = || std::fs::read_to_string(dir.path().join(KEY)).expect("a key");
        let first = of(dir.path(), "(none)", NOW);
        let first_key = key();
        assert!(!of(dir.path(), "localhost", NOW).renewed, "that is in it anyway");
        let named = of(dir.path(), "rack-7", NOW);
        assert_eq!((named.renewed, named.about.names[0].as_str()), (true, "rack-7"));
        assert_ne!(named.about.fingerprint, first.about.fingerprint);
        assert_eq!(key(), first_key);
        for name in ["rack-7", "(none)"] {
            assert!(!of(dir.path(), name, NOW).renewed, "{name}: once, and not for no name");
        }
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
