//! What an administrator uploads in place of the appliance's own certificate
//! (facts/appliance-security.md SEC-074): PEM text with certificates in any
//! order and, if the key was not made here, the key. Nothing is taken that a
//! browser would refuse, and every refusal says what is wrong with which part.

use super::about::{About, KeyKind, days};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::oid_registry::{OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, Oid};
use x509_parser::prelude::FromDer as _;

/// Longest text that is looked at, bytes.
pub const LEN_MAX: usize = 64 << 10;
/// Most certificates in it.
const CERTIFICATES_MAX: usize = 10;
/// Shortest RSA key that is taken, bits.
const RSA_BITS_MIN: u32 = 2_048;

const ECDSA_WITH_SHA1: Oid<'_> = oid!(1.2.840.10045.4.1);

/// A certificate with its issuers and its key.
#[derive(Clone)]
pub struct Chain {
    /// For the listener.
    pub certified: Arc<CertifiedKey>,
    /// For people.
    pub about: About,
    /// Key and certificates, as they are kept.
    pub pem: String,
}

/// Why it is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not PEM, or damaged.
    #[error("this is no PEM text; convert PKCS#12 with `openssl pkcs12 -in FILE -nodes`")]
    NotPem,
    /// No certificate is in it.
    #[error("there is no certificate in it; the text has to begin with BEGIN CERTIFICATE")]
    NoCertificate,
    /// Too many.
    #[error("there are more than {CERTIFICATES_MAX} certificates in it; send one chain alone")]
    TooMany,
    /// A certificate that is none.
    #[error("certificate {0} of the text is damaged; export it again")]
    Damaged(usize),
    /// The key has a password.
    #[error("the key is encrypted; take its password off with `openssl pkey -in FILE`")]
    KeyEncrypted,
    /// A key that cannot be used.
    #[error(
        "the key cannot be used; ECDSA P-256 and P-384, Ed25519 and RSA from {RSA_BITS_MIN} bits can"
    )]
    KeyUnusable,
    /// More than one key.
    #[error("there is more than one key in it; send the one of the certificate alone")]
    Keys,
    /// Nobody has the key of any of the certificates.
    #[error(
        "no certificate in it is for {}", if *given { "the key beside it" } else {
        "the key of the last request; send the key along, or request a certificate first" }
    )]
    NoKey {
        /// A key came along.
        given: bool,
    },
    /// A certificate that signed none of the others.
    #[error(
        "the certificate of {0} belongs to another chain; send only the certificates between yours and its authority"
    )]
    Stray(String),
    /// The name of the issuer fits, its signature does not.
    #[error(
        "the certificate of {0} is not signed by the one of {1} beside it; export the chain again"
    )]
    BadSignature(String, String),
    /// Browsers take no signature of that kind any more.
    #[error(
        "the certificate of {0} is signed with a hash that browsers refuse; have it made anew with SHA-256"
    )]
    WeakSignature(String),
    /// A certificate of an authority.
    #[error("the certificate of {0} is an authority's own; the appliance needs one for a server")]
    Authority(String),
    /// Nothing that a browser compares with its address.
    #[error("the certificate of {0} has no names (subjectAltName); browsers refuse it")]
    NoNames(String),
    /// Its time is over.
    #[error("the certificate of {0} expired on {1}")]
    Expired(String, String),
    /// Its time has not begun, by the appliance's clock.
    #[error("the certificate of {0} is not valid before {1}; is the appliance's clock right?")]
    NotYet(String, String),
}

/// Read what was uploaded. `known` are keys of the appliance as PEM, tried when
/// none came along; `unix_s` is the present time, `None` while nobody set it.
///
/// # Errors
/// [`Refusal`].
pub fn read(text: &[u8], known: &[String], unix_s: Option<i64>) -> Result<Chain, Refusal> {
    let Parts { certificates, key } = split(text)?;
    let parsed = certificates.iter().enumerate().map(|(at, der)| parse(der, at));
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let given = key.is_some();
    let keys: Vec<PrivateKeyDer<'static>> = match key {
        Some(key) => vec![key],
        None => known
            .iter()
            .filter_map(|pem| PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok())
            .collect(),
    };
    let mut found = None;
    for key in keys {
        let signing = any_supported_type(&key).map_err(|_| Refusal::KeyUnusable)?;
        if let Some(at) = parsed.iter().position(|certificate| is_of(certificate, &*signing)) {
            found = Some((at, key, signing));
            break;
        }
    }
    let (leaf, key, signing) = found.ok_or(Refusal::NoKey { given })?;
    let order = order(&parsed, leaf)?;
    for (place, at) in order.iter().enumerate() {
        judge(&parsed[*at], place == 0, unix_s)?;
    }
    let about = About::of(&parsed[leaf], order[1..].iter().map(|at| &parsed[*at]));
    let chain: Vec<_> = order.iter().map(|at| certificates[*at].clone()).collect();
    let pem = written(&key, &chain);
    Ok(Chain { certified: Arc::new(CertifiedKey::new(chain, signing)), about, pem })
}

struct Parts {
    certificates: Vec<CertificateDer<'static>>,
    key: Option<PrivateKeyDer<'static>>,
}

fn split(text: &[u8]) -> Result<Parts, Refusal> {
    let mut parts = Parts { certificates: Vec::new(), key: None };
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|_| Refusal::NotPem)?;
        let key = match kind {
            SectionKind::Certificate if parts.certificates.len() == CERTIFICATES_MAX => {
                return Err(Refusal::TooMany);
            }
            SectionKind::Certificate => {
                parts.certificates.push(der.into());
                continue;
            }
            SectionKind::PrivateKey => PrivateKeyDer::Pkcs8(der.into()),
            SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
            SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        };
        if parts.key.replace(key).is_some() {
            return Err(Refusal::Keys);
        }
    }
    if parts.key.is_none() && is_encrypted(text) {
        return Err(Refusal::KeyEncrypted);
    }
    match (parts.certificates.is_empty(), text.starts_with(b"\x30")) {
        (true, true) => Err(Refusal::NotPem),
        (true, false) => Err(Refusal::NoCertificate),
        (false, _) => Ok(parts),
    }
}

/// Keys with a password: the modern form, and the one before it.
fn is_encrypted(text: &[u8]) -> bool {
    ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| text.windows(mark.len()).any(|at| at == mark.as_bytes()))
}

fn parse(der: &[u8], at: usize) -> Result<X509Certificate<'_>, Refusal> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Refusal::Damaged(at + 1)),
    }
}

fn is_of(certificate: &X509Certificate<'_>, key: &dyn SigningKey) -> bool {
    key.public_key().is_some_and(|public| public.as_ref() == certificate.public_key().raw)
}

/// The certificate and those that lead to its authority, which is left out: who
/// trusts it has it.
fn order(all: &[X509Certificate<'_>], leaf: usize) -> Result<Vec<usize>, Refusal> {
    let mut order = vec![leaf];
    let mut at = leaf;
    while let Some(next) = (0..all.len())
        .find(|next| !order.contains(next) && all[*next].subject() == all[at].issuer())
    {
        if all[at].verify_signature(Some(all[next].public_key())).is_err() {
            return Err(Refusal::BadSignature(name(&all[at]), name(&all[next])));
        }
        order.push(next);
        at = next;
    }
    if let Some(stray) = (0..all.len()).find(|at| !order.contains(at)) {
        return Err(Refusal::Stray(name(&all[stray])));
    }
    if order.len() > 1 && all[at].subject() == all[at].issuer() {
        order.pop();
    }
    Ok(order)
}

fn judge(
    certificate: &X509Certificate<'_>,
    is_leaf: bool,
    unix_s: Option<i64>,
) -> Result<(), Refusal> {
    let who = name(certificate);
    let weak = [OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, ECDSA_WITH_SHA1];
    if weak.contains(&certificate.signature_algorithm.algorithm) {
        return Err(Refusal::WeakSignature(who));
    }
    if matches!(KeyKind::of(certificate), KeyKind::Rsa(bits) if bits < RSA_BITS_MIN) {
        return Err(Refusal::KeyUnusable);
    }
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if unix_s.is_some_and(|now| now >= until) {
        return Err(Refusal::Expired(who, days(until)));
    }
    if unix_s.is_some_and(|now| now < from) {
        return Err(Refusal::NotYet(who, days(from)));
    }
    if is_leaf && certificate.is_ca() {
        return Err(Refusal::Authority(who));
    }
    if is_leaf && super::about::names(certificate).is_empty() {
        return Err(Refusal::NoNames(who));
    }
    Ok(())
}

/// Whether a key as PEM is the first of another text of PEM.
pub fn is_key_of(key: &str, text: &str) -> bool {
    let read = |text: &str| PrivateKeyDer::from_pem_slice(text.as_bytes()).ok();
    read(key).zip(read(text)).is_some_and(|(one, other)| one.secret_der() == other.secret_der())
}

/// What a certificate is called, bounded.
fn name(certificate: &X509Certificate<'_>) -> String {
    super::about::one_name(certificate.subject())
}

/// As it is kept: the key first, then its certificate, then the issuers.
fn written(key: &PrivateKeyDer<'_>, chain: &[CertificateDer<'_>]) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let mut text = section(label, key.secret_der());
    for certificate in chain {
        text.push_str(&section("CERTIFICATE", certificate));
    }
    text
}

fn section(label: &str, der: &[u8]) -> String {
    pem::encode_config(
        &pem::Pem::new(label, der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}
