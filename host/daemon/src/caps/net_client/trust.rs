//! By what the host knows a peer within TLS (facts/appliance-security.md
//! SEC-070 to SEC-072): TLS 1.2 and 1.3, the chain, the name and the time, or
//! one pinned certificate. There is no way to skip it.

use super::error::Fault;
use crate::grants::{Authorities, Endpoint, Pin};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

/// Where systems keep the authorities that they trust.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];
/// Longest file of authorities in bytes; the usual one has 0.2 MB.
const ROOTS_BYTES_MAX: u64 = 1 << 20;

/// How to connect to `endpoint`. The files are read each time, so that a
/// renewed one is in force without a restart.
///
/// # Errors
/// [`Fault::NoRoots`] and [`Fault::Roots`].
pub fn client_config(endpoint: &Endpoint) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(ring::default_provider());
    let trust = &endpoint.trust;
    let roots = match (&trust.ca, trust.pin_sha256) {
        (Some(Authorities::File(path)), _) => Some(file_roots(path)?),
        (Some(Authorities::Pem(text)), _) => Some(roots(text.as_bytes(), "the grant")?),
        (None, Some(_)) => None,
        (None, None) => Some(system_roots()?),
    };
    let chain = match roots {
        Some(roots) => {
            let made =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build();
            // It has at least one root and asks for no revocation list.
            Some(made.map_err(|_| Fault::NoRoots)?)
        }
        None => None,
    };
    Ok(verified_by(Verifier { chain, pin: trust.pin_sha256, provider }))
}

/// How to connect to whoever has this very certificate, whatever its name and
/// time.
#[must_use]
pub fn pinned(pin: Pin) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    verified_by(Verifier { chain: None, pin: Some(pin), provider })
}

fn verified_by(verifier: Verifier) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// The name that the certificate of `endpoint` must be for.
#[must_use]
pub fn server_name(endpoint: &Endpoint) -> ServerName<'static> {
    match &endpoint.trust.server_name {
        Some(name) => name.as_server_name(),
        None => ServerName::try_from(endpoint.host.clone())
            .expect("looked at when the endpoint was parsed"),
    }
}

/// What a failed handshake means for an administrator.
#[must_use]
pub fn explain(source: rustls::Error) -> Fault {
    use CertificateError as Bad;
    use rustls::Error;
    let advice = match &source {
        Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "its certificate has expired; renew it, or set the appliance's clock"
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet; set the appliance's clock"
            }
            Bad::UnknownIssuer => {
                "its certificate is from an unknown authority; name that authority's file by \
                `ca` in the grant"
            }
            Bad::BadSignature => {
                "its certificate is from an unknown authority that bears a known one's name; name \
                that authority's file by `ca` in the grant"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name; correct the host, or set `server_name` \
                in the grant"
            }
            Bad::ApplicationVerificationFailure => {
                "its certificate is not the pinned one; if it was renewed on purpose, correct \
                `pin_sha256` in the grant"
            }
            _ => "its certificate cannot be accepted",
        },
        Error::AlertReceived(_) => "it broke off the handshake",
        Error::InvalidMessage(_) => "what answers does not speak TLS; check the port",
        Error::PeerIncompatible(_) => "it has no protocol version or cipher in common with us",
        _ => "the handshake failed",
    };
    Fault::Tls { advice, source: Box::new(source) }
}

fn system_roots() -> Result<RootCertStore, Fault> {
    let file = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
    file_roots(file.ok_or(Fault::NoRoots)?)
}

fn file_roots(path: &Path) -> Result<RootCertStore, Fault> {
    let place = path.display().to_string();
    let bad = |source| Fault::Roots { place: place.clone(), source };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(bad)?;
    file.take(ROOTS_BYTES_MAX + 1).read_to_end(&mut pem).map_err(bad)?;
    if pem.len() as u64 > ROOTS_BYTES_MAX {
        return Err(bad(io::Error::other(format!("more than {ROOTS_BYTES_MAX} bytes"))));
    }
    roots(&pem, &place)
}

fn roots(pem: &[u8], place: &str) -> Result<RootCertStore, Fault> {
    let bad = |source| Fault::Roots { place: place.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| bad(io::Error::other(e)))?;
    let mut roots = RootCertStore::empty();
    // The system's file holds many, and some are odd; one good one is enough.
    let (good, _) = roots.add_parsable_certificates(certificates);
    match good {
        0 => Err(bad(io::Error::other("there is no certificate in it"))),
        _ => Ok(roots),
    }
}

/// The chain, or the pin, or both.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pin: Option<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(Pin(pin)) = self.pin
            && Sha256::digest(end_entity)[..] != pin
        {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(file: &str, text: &[u8]) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(file);
        std::fs::write(&path, text).expect("written");
        let mut endpoint: Endpoint = "tls://192.0.2.7:6514".parse().expect("good");
        endpoint.trust.ca = Some(Authorities::File(path));
        let fault = client_config(&endpoint).map(|_| ()).expect_err(file);
        crate::failure::chain(&fault)
    }

    #[test]
    fn a_useless_file_of_authorities_is_named() {
        assert!(fault("empty.pem", b"").contains("empty.pem cannot be used"));
        assert!(fault("text.pem", b"hello").contains("no certificate in it"));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA";
        assert!(fault("cut.pem", cut).contains("cut.pem cannot be used"));
        assert!(fault("long.pem", &vec![b'x'; 2 << 20]).contains("more than 1048576 bytes"));
        let mut endpoint: Endpoint = "tls://192.0.2.7:6514".parse().expect("good");
        endpoint.trust.ca = Some("/nonexistent/ca.pem".parse().expect("a path"));
        let fault = client_config(&endpoint).map(|_| ()).expect_err("absent");
        assert!(crate::failure::chain(&fault).contains("/nonexistent/ca.pem"));
    }
}
