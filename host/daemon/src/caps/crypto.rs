//! `evenkeel:crypto`: digests and signatures, and secrets that stay here.
//!
//! A secret is named as in the manifest: what is granted under that name
//! (`grant.secrets.shared`), or else the setting of the kind `secret` that is
//! called so. Nothing that a guest can call gives its bytes back, and what is
//! computed with them is not recorded. A guest can have a digest
//! computed over them with bytes of its own around: at least
//! [`AROUND_BYTES_MIN`] of those, because the digest of a secret alone could
//! be looked up in a table made once for everybody.
//!
//! Algorithms: MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4), HMAC (RFC 2104),
//! ed25519 (RFC 8032, by the strict rules: no second encoding of a signature).

use super::Site;
use super::meter::{Beyond, Meter, Way};
use crate::grants::{Named, Secret as Granted};
use crate::plugin::bindings::crypto::crypto as wit;
use crate::plugin::limits::HANDLES_MAX;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::sync::Arc;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// The interface.
pub const INTERFACE: &str = "evenkeel:crypto/crypto@0.1.0";
/// Most bytes in one call.
pub const DATA_BYTES_MAX: usize = 65_536;
/// Least bytes of the guest's own in a digest over a secret.
pub const AROUND_BYTES_MIN: usize = 16;

/// The secrets of one plugin.
#[derive(Debug)]
pub struct Crypto {
    granted: Named<Granted>,
    table: ResourceTable,
    meter: Arc<Meter>,
}

/// A secret that a guest holds. It is not shown.
#[derive(Debug)]
pub struct Secret(Granted);

/// Why there is no result.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Not granted.
    #[error("the secret {0:?} is not granted to this plugin")]
    Denied(String),
    /// Not an algorithm.
    #[error("algorithm {0} is not 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384 or 5 SHA-512")]
    Algorithm(u32),
    /// Too much.
    #[error("{0} bytes are more than {DATA_BYTES_MAX}")]
    Long(usize),
    /// Too little around a secret.
    #[error("{0} bytes around the secret are less than {AROUND_BYTES_MIN}")]
    Short(usize),
    /// Too many handles.
    #[error("more than {HANDLES_MAX} secrets are open; drop one first")]
    Handles,
}

impl CryptoError {
    /// The code in `crypto.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied(_) => 1,
            Self::Algorithm(_) | Self::Long(_) | Self::Short(_) | Self::Handles => 2,
        }
    }
}

impl Beyond for CryptoError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied(_) => Some("secret not granted"),
            Self::Handles => Some("quota of secrets"),
            Self::Algorithm(_) | Self::Long(_) | Self::Short(_) => None,
        }
    }
}

impl From<CryptoError> for wit::Error {
    fn from(error: CryptoError) -> Self {
        Self { code: error.code(), detail: error.to_string() }
    }
}

/// Do the same with the type behind a number.
macro_rules! with_algorithm {
    ($number:expr, $type:ident => $work:expr) => {
        match $number {
            1 => {
                type $type = Md5;
                Ok($work)
            }
            2 => {
                type $type = Sha1;
                Ok($work)
            }
            3 => {
                type $type = Sha256;
                Ok($work)
            }
            4 => {
                type $type = Sha384;
                Ok($work)
            }
            5 => {
                type $type = Sha512;
                Ok($work)
            }
            other => Err(CryptoError::Algorithm(other)),
        }
    };
}

impl Crypto {
    /// The secrets that are granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self { granted: site.grants.secrets.clone(), table, meter: Arc::clone(site.meter) }
    }

    fn secret(&self, name: &str) -> Result<Secret, CryptoError> {
        let denied = || CryptoError::Denied(super::one_line(name, 80));
        self.granted.get(name).cloned().map(Secret).ok_or_else(denied)
    }
}

impl Secret {
    fn hmac(&self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        check_len(data.len())?;
        with_algorithm!(algorithm, D => {
            let mut mac =
                Hmac::<D>::new_from_slice(self.0.bytes()).expect("HMAC takes keys of any length");
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        })
    }

    fn digest(&self, algorithm: u32, before: &[u8], after: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let around = before.len().saturating_add(after.len());
        check_len(around)?;
        if around < AROUND_BYTES_MIN {
            return Err(CryptoError::Short(around));
        }
        with_algorithm!(algorithm, D => {
            let digest = D::new().chain_update(before).chain_update(self.0.bytes());
            digest.chain_update(after).finalize().to_vec()
        })
    }
}

impl wit::Host for Crypto {
    fn digest(
        &mut self,
        algorithm: u32,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        self.meter.sent(Way::Host, data.len());
        Ok(digest(algorithm, &data).map_err(Into::into))
    }

    fn ed25519_verify(
        &mut self,
        public_key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        Ok(verified(&public_key, &message, &signature).is_some())
    }
}

impl wit::HostSecret for Crypto {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Secret>, wit::Error>> {
        let secret = self.secret(&name);
        let secret = match self.meter.noted(secret) {
            Ok(secret) => secret,
            Err(error) => return Ok(Err(error.into())),
        };
        match self.table.push(secret) {
            Ok(secret) => Ok(Ok(secret)),
            Err(ResourceTableError::Full) => {
                Ok(self.meter.noted(Err(CryptoError::Handles)).map_err(Into::into))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn hmac(
        &mut self,
        secret: Resource<Secret>,
        algorithm: u32,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        Ok(self.table.get(&secret)?.hmac(algorithm, &data).map_err(Into::into))
    }

    fn digest(
        &mut self,
        secret: Resource<Secret>,
        algorithm: u32,
        before: Vec<u8>,
        after: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        Ok(self.table.get(&secret)?.digest(algorithm, &before, &after).map_err(Into::into))
    }

    fn drop(&mut self, secret: Resource<Secret>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

fn digest(algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    check_len(data.len())?;
    with_algorithm!(algorithm, D => D::digest(data).to_vec())
}

/// `None` when anything at all is wrong with it.
fn verified(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    check_len(message.len()).ok()?;
    let key = VerifyingKey::from_bytes(public_key.try_into().ok()?).ok()?;
    let signature = Signature::from_bytes(signature.try_into().ok()?);
    key.verify_strict(message, &signature).ok()
}

const fn check_len(len: usize) -> Result<(), CryptoError> {
    if len <= DATA_BYTES_MAX { Ok(()) } else { Err(CryptoError::Long(len)) }
}

#[cfg(test)]
mod tests {
    use super::wit::{Host as _, HostSecret as _};
    use super::*;
    use crate::caps::testing::Place;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    fn crypto(secrets: &[(&str, &str)]) -> Crypto {
        let mut here = Place::default();
        for (name, secret) in secrets {
            let secret = secret.parse().expect("a secret");
            here.grants.secrets.insert((*name).into(), secret);
        }
        Crypto::new(&here.site())
    }

    fn open(crypto: &mut Crypto, name: &str) -> Result<Resource<Secret>, u32> {
        crypto.open(name.into()).expect("no trap").map_err(|e| e.code)
    }

    #[test]
    fn digests_of_the_standards() {
        // RFC 1321 A.5, RFC 3174 §7.3, FIPS 180-4 examples: "abc".
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                      2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        for (algorithm, expected) in [
            (1, "900150983cd24fb0d6963f7d28e17f72"),
            (2, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                4,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (5, sha512),
        ] {
            assert_eq!(digest(algorithm, b"abc").map(|d| hex(&d)).as_deref(), Ok(expected));
        }
        for wrong in [0, 6, u32::MAX] {
            assert_eq!(digest(wrong, b"abc"), Err(CryptoError::Algorithm(wrong)));
        }
        assert!(digest(3, &vec![0; DATA_BYTES_MAX]).is_ok());
        assert_eq!(digest(3, &vec![0; DATA_BYTES_MAX + 1]).map_err(|e| e.code()), Err(2));
    }

    #[test]
    fn hmac_of_the_standards() {
        // RFC 2202 §2 and §3, RFC 4231 §4.3: key "Jefe".
        let mut crypto = crypto(&[("shared", "Jefe")]);
        let secret = open(&mut crypto, "shared").expect("granted");
        let data = b"what do ya want for nothing?".to_vec();
        for (algorithm, expected) in [
            (1, "750c783e6ab0b503eaa86e310a5db738"),
            (2, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (3, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                4,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                5,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let borrowed = Resource::new_borrow(secret.rep());
            let mac = crypto.hmac(borrowed, algorithm, data.clone()).expect("no trap");
            assert_eq!(mac.map(|m| hex(&m)).map_err(|e| e.code).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_digest_over_a_secret_needs_bytes_around_it() {
        let mut crypto = crypto(&[("shared", "xyzzy5461")]);
        let secret = open(&mut crypto, "shared").expect("granted");
        let mut over = |before: &[u8], after: &[u8]| {
            let borrowed = Resource::new_borrow(secret.rep());
            let digest =
                wit::HostSecret::digest(&mut crypto, borrowed, 1, before.to_vec(), after.to_vec());
            digest.expect("no trap").map(|d| hex(&d)).map_err(|e| e.code)
        };
        // RFC 2865 §7.1: the User-Password "arctangent" is hidden with
        // MD5(secret + Request Authenticator).
        let pad = over(b"", &unhex("0f403f9473978057bd83d5cb98f4227a")).expect("16 bytes");
        let password = b"arctangent\0\0\0\0\0\0";
        let hidden: Vec<u8> = unhex(&pad).iter().zip(password).map(|(a, b)| a ^ b).collect();
        assert_eq!(hex(&hidden), "0dbe708d93d413ce3196e43f782a0aee");

        let whole = hex(&Md5::digest(b"0123456789xyzzy5461abcdef"));
        assert_eq!(over(b"0123456789", b"abcdef"), Ok(whole));
        assert_eq!(over(b"0123456789", b"abcde"), Err(2));
        assert_eq!(over(b"", b""), Err(2));
        assert_eq!(over(&[0; DATA_BYTES_MAX], b"x"), Err(2));
    }

    #[test]
    fn ed25519_is_verified_strictly() {
        // RFC 8032 §7.1, test 3.
        let key = unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let message = unhex("af82");
        let signature = unhex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        );
        let mut crypto = crypto(&[]);
        let mut good = |key: &[u8], message: &[u8], signature: &[u8]| {
            crypto
                .ed25519_verify(key.to_vec(), message.to_vec(), signature.to_vec())
                .expect("no trap")
        };
        assert!(good(&key, &message, &signature));
        assert!(!good(&key, b"af83", &signature));
        assert!(!good(&key, &message, &signature[..63]) && !good(&key[..31], &message, &signature));
        for at in 0..64 {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!good(&key, &message, &other), "byte {at}");
        }
        // The key of order one would accept a signature of anything.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!good(&identity, b"anything", &forged));
        assert!(!good(&key, &vec![0; DATA_BYTES_MAX + 1], &signature));
    }

    #[test]
    fn only_granted_secrets_open_and_handles_are_limited() {
        let mut crypto = crypto(&[("shared", "hunter2")]);
        for name in ["", "Shared", "other", "hunter2", "\u{1b}[2J"] {
            assert_eq!(open(&mut crypto, name).map(|_| ()), Err(1), "{name:?}");
        }
        let mut held: Vec<_> =
            (0..HANDLES_MAX).map(|_| open(&mut crypto, "shared").expect("granted")).collect();
        assert_eq!(open(&mut crypto, "shared").map(|_| ()), Err(2));
        crypto.drop(held.pop().expect("one")).expect("known");
        let again = open(&mut crypto, "shared").expect("granted");
        assert!(!format!("{:?}", crypto.table.get(&again)).contains("hunter2"));
    }
}
