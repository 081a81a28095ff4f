//! What people see of a certificate.

use crate::clock;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// Longest name that is shown, characters.
const NAME_MAX: usize = 120;
/// Most names that are shown.
const NAMES_MAX: usize = 50;

/// A certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Who it is for.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// Host names and addresses under which browsers believe it.
    pub names: Vec<String>,
    /// The certificates that come with it, from its issuer on.
    pub issuers: Vec<String>,
    /// Its key.
    pub key: KeyKind,
    /// Valid from, s since 1970.
    pub from_s: i64,
    /// Valid until, s since 1970.
    pub until_s: i64,
    /// SHA-256, as browsers show it.
    pub fingerprint: String,
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of so many bits.
    Rsa(u32),
    /// ECDSA of so many bits.
    Ecdsa(u32),
    /// Ed25519.
    Ed25519,
    /// Something else.
    Other,
}

impl KeyKind {
    /// Of a certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let key = certificate.public_key();
        let bits = |bits: usize| u32::try_from(bits).unwrap_or(u32::MAX);
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => Self::Rsa(bits(rsa.key_size())),
            Ok(PublicKey::EC(point)) => Self::Ecdsa(bits(point.key_size())),
            _ if key.algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519 => {
                Self::Ed25519
            }
            _ => Self::Other,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Ecdsa(bits) => write!(f, "ECDSA P-{bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other => f.write_str("?"),
        }
    }
}

impl About {
    /// Of a certificate and those that lead to its authority.
    pub(super) fn of<'a>(
        certificate: &X509Certificate<'a>,
        issuers: impl Iterator<Item = &'a X509Certificate<'a>>,
    ) -> Self {
        let validity = certificate.validity();
        Self {
            subject: one_name(certificate.subject()),
            issuer: one_name(certificate.issuer()),
            names: names(certificate),
            issuers: issuers.map(|issuer| one_name(issuer.subject())).collect(),
            key: KeyKind::of(certificate),
            from_s: validity.not_before.timestamp(),
            until_s: validity.not_after.timestamp(),
            fingerprint: fingerprint(certificate.as_raw()),
        }
    }

    /// Of a certificate that stands alone; `None`: it is none.
    pub(super) fn alone(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self::of(&certificate, std::iter::empty()))
    }
}

/// SHA-256, as browsers show it.
pub(super) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// The common name, or all of it when it has none.
pub(super) fn one_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().find_map(|cn| cn.as_str().ok());
    let text = common.map_or_else(|| name.to_string(), str::to_owned);
    crate::caps::one_line(&text, NAME_MAX)
}

/// Host names and addresses under which browsers believe it.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(crate::caps::one_line(name, NAME_MAX)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
        },
        _ => None,
    });
    names.take(NAMES_MAX).collect()
}

/// A day for people, of seconds since 1970.
pub(super) fn days(unix_s: i64) -> String {
    let ms = u64::try_from(unix_s).unwrap_or(0).saturating_mul(1_000);
    clock::utc(ms).split(' ').next().unwrap_or_default().to_owned()
}
