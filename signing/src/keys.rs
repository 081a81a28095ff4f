//! Keys, their roles, their fingerprints and the text that holds them
//! (facts/firmware-trust.md §7).
//!
//! A key file is one line, plus comments that start with `#`:
//!
//! ```text
//! evenkeel-public-key-1 plugin acme-release 3b6a…
//! evenkeel-secret-key-1 plugin acme-release 9d61…
//! ```
//!
//! The words are: format and version, role, name (lower case, for people), and
//! 32 bytes in hexadecimal (the ed25519 public key, or the secret seed).

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::{Digest, Kind};

/// What a key may sign. A key has exactly one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keyrings, and nothing else.
    Root,
    /// Firmware.
    Firmware,
    /// Plugins.
    Plugin,
    /// Licences.
    Licence,
}

impl Role {
    /// The kind of bundle that this role signs.
    #[must_use]
    pub const fn signs(self) -> Kind {
        match self {
            Self::Root => Kind::Keyring,
            Self::Firmware => Kind::Firmware,
            Self::Plugin => Kind::Plugin,
            Self::Licence => Kind::Licence,
        }
    }

    /// The word used in key files and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Firmware => "firmware",
            Self::Plugin => "plugin",
            Self::Licence => "licence",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Root, Self::Firmware, Self::Plugin, Self::Licence]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// SHA-256 of a public key: how a bundle names its signers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub Digest);

impl KeyId {
    /// The id as two people compare it, aloud or on paper: sixteen groups of
    /// four hexadecimal digits. It is the whole SHA-256, because a shorter
    /// text could be hit by trying keys.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digits = hex::encode(&self.0.0);
        let mut text = String::with_capacity(FINGERPRINT_LEN);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && at.is_multiple_of(4) {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The public half of a signing key, with its role and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    role: Role,
    key: VerifyingKey,
}

impl PublicKey {
    /// Parse the text of a public key file.
    ///
    /// # Errors
    /// [`KeyError`] when the text is not one public key, or the key is one
    /// under which anybody can sign.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (role, name, bytes) = parse_line(text, PUBLIC_WORD)?;
        Self::new(role, &name, &bytes)
    }

    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`KeyError`] when the name does not fit, the bytes are no public key, or
    /// the key is one under which anybody can sign.
    pub fn new(role: Role, name: &str, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotACurvePoint)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self { name: name.to_owned(), role, key })
    }

    /// The text of the key file, newline included.
    #[must_use]
    pub fn to_text(&self) -> String {
        let digits = hex::encode(self.key.as_bytes());
        format!("{PUBLIC_WORD} {} {} {digits}\n", self.role, self.name)
    }

    /// Name given at generation, for people; it proves nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What this key may sign.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How bundles name this key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(self.key.as_bytes()))
    }

    /// The text that is compared with the one the owner of the key publishes.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.id().fingerprint()
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// True when the name says so: one of its words, between hyphens, is `dev`
    /// or `development`. Such keys lie unprotected on many machines.
    #[must_use]
    pub fn is_development(&self) -> bool {
        is_development_name(&self.name)
    }

    /// True when `signature` over `message` is by this key; strict, so that
    /// small-order points and non-canonical encodings do not pass.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// A signing key. Wiped from memory when dropped; `Debug` shows no secret.
pub struct SecretKey {
    name: String,
    role: Role,
    key: SigningKey,
}

impl SecretKey {
    /// Parse the text of a secret key file.
    ///
    /// # Errors
    /// [`KeyError`] when the text is not one secret key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (role, name, seed) = parse_line(text, SECRET_WORD)?;
        Ok(Self { name, role, key: SigningKey::from_bytes(&seed) })
    }

    /// The text of the key file, newline included. It is the secret itself.
    #[must_use]
    pub fn to_text(&self) -> String {
        let digits = hex::encode(self.key.as_bytes());
        format!("{SECRET_WORD} {} {} {digits}\n", self.role, self.name)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), role: self.role, key: self.key.verifying_key() }
    }

    /// A key from its 32 secret bytes, under a name that [`check_name`] let pass.
    #[cfg(feature = "std")]
    pub(crate) fn from_seed(role: Role, name: &str, seed: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), role, key: SigningKey::from_bytes(seed) }
    }

    /// What this key may sign.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} {})", self.role, self.name)
    }
}

/// Why a key or key file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system refused.
    #[cfg(feature = "std")]
    #[error("cannot {action} the key file {}", path.display())]
    File {
        /// `read`, `create` or `write`.
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A secret that is no secret.
    #[cfg(feature = "std")]
    #[error("the secret key file {} can be read by others; run `chmod 600` on it", path.display())]
    OpenToOthers {
        /// The file.
        path: std::path::PathBuf,
    },
    /// Not the one line that was expected.
    #[error(
        "this is not a key file: expected one line `{expected} <role> <name> <64 hexadecimal digits>`"
    )]
    Format {
        /// First word of the expected line.
        expected: &'static str,
    },
    /// A secret key where a public one is wanted, or the reverse.
    #[error(
        "this file holds `{found}`, but `{expected}` is wanted here; \
        give the other file of the pair"
    )]
    WrongHalf {
        /// First word of the expected line.
        expected: &'static str,
        /// First word found.
        found: &'static str,
    },
    /// A role that does not exist.
    #[error("{found:?} is no role; use root, firmware, plugin or licence")]
    Role {
        /// The word found.
        found: String,
    },
    /// A name that does not fit.
    #[error(
        "{found:?} is no key name; use 1 to {NAME_LEN_MAX} characters \
        of a-z, 0-9 and '-'"
    )]
    Name {
        /// The word found.
        found: String,
    },
    /// Bytes that are no ed25519 public key.
    #[error("the 64 digits are not an ed25519 public key; copy the file again")]
    NotACurvePoint,
    /// A key of small order.
    #[error(
        "this public key is of small order, anybody can sign under it; \
        refuse it and ask where it came from"
    )]
    Weak,
    /// Trusted already.
    #[error("the key {name:?} is already trusted as {known:?}; remove one of the two")]
    Duplicate {
        /// The key to be added.
        name: String,
        /// The same key in the keyring.
        known: String,
    },
    /// No random numbers.
    #[cfg(feature = "std")]
    #[error("the operating system gave no random numbers for a new key")]
    Random {
        /// What it said.
        source: getrandom::Error,
    },
}

const PUBLIC_WORD: &str = "evenkeel-public-key-1";
const SECRET_WORD: &str = "evenkeel-secret-key-1";
const NAME_LEN_MAX: usize = 40;
/// 64 digits and a space between groups of four.
const FINGERPRINT_LEN: usize = 64 + 15;

fn parse_line(text: &str, expected: &'static str) -> Result<(Role, String, [u8; 32]), KeyError> {
    let format = || KeyError::Format { expected };
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(format());
    };
    let words: Vec<&str> = line.split(' ').collect();
    let [format_word, role, name, digits] = words[..] else {
        return Err(format());
    };
    if format_word != expected {
        return Err([PUBLIC_WORD, SECRET_WORD]
            .into_iter()
            .find(|known| *known == format_word)
            .map_or_else(format, |found| KeyError::WrongHalf { expected, found }));
    }
    let role = Role::from_word(role).ok_or_else(|| KeyError::Role { found: role.to_owned() })?;
    check_name(name)?;
    let bytes = hex::decode(digits).ok_or_else(format)?;
    Ok((role, name.to_owned(), bytes))
}

pub(crate) fn is_development_name(name: &str) -> bool {
    name.split('-').any(|word| matches!(word, "dev" | "development"))
}

pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let fits = (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if fits { Ok(()) } else { Err(KeyError::Name { found: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, test 1.
    const RFC_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const RFC_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const RFC_SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
        5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

    #[test]
    fn the_published_vector_holds() {
        let secret = SecretKey::parse(&format!("{SECRET_WORD} plugin rfc {RFC_SEED}\n")).unwrap();
        assert_eq!(secret.public().to_text(), format!("{PUBLIC_WORD} plugin rfc {RFC_PUBLIC}\n"));
        let signature = secret.sign(b"");
        assert_eq!(hex::encode(&signature), RFC_SIGNATURE);
        assert!(secret.public().verifies(b"", &signature));
        assert!(!secret.public().verifies(b"x", &signature));
    }

    #[test]
    fn comments_are_allowed_and_a_second_key_is_not() {
        let line = format!("{PUBLIC_WORD} plugin a {RFC_PUBLIC}\n");
        assert!(PublicKey::parse(&format!("# from acme\n\n{line}")).is_ok());
        assert!(matches!(PublicKey::parse(&line.repeat(2)), Err(KeyError::Format { .. })));
        assert!(matches!(PublicKey::parse(""), Err(KeyError::Format { .. })));
    }

    #[test]
    fn each_mistake_has_its_own_answer() {
        let case = |text: String| PublicKey::parse(&text).unwrap_err();
        assert!(matches!(
            case(format!("{SECRET_WORD} plugin a {RFC_SEED}")),
            KeyError::WrongHalf { .. }
        ));
        assert!(matches!(
            case(format!("{PUBLIC_WORD} boss a {RFC_PUBLIC}")),
            KeyError::Role { .. }
        ));
        assert!(matches!(
            case(format!("{PUBLIC_WORD} plugin A {RFC_PUBLIC}")),
            KeyError::Name { .. }
        ));
        assert!(matches!(case(format!("{PUBLIC_WORD} plugin a 00")), KeyError::Format { .. }));
        // The neutral element: every signature with R = B·s verifies under it.
        let neutral = format!("01{}", "0".repeat(62));
        assert!(matches!(case(format!("{PUBLIC_WORD} plugin a {neutral}")), KeyError::Weak));
    }

    #[test]
    fn a_fingerprint_is_the_sha256_in_groups_of_four() {
        let key = PublicKey::parse(&format!("{PUBLIC_WORD} plugin rfc {RFC_PUBLIC}\n")).unwrap();
        assert_eq!(
            key.fingerprint(),
            "21fe 31df a154 a261 626b f854 046f d227 1b7b ed4b 6abe 45aa 5887 7ef4 7f97 21b9"
        );
        assert_eq!(key.fingerprint().replace(' ', ""), key.id().to_string());
        assert_eq!(key.fingerprint().len(), FINGERPRINT_LEN);
    }

    #[test]
    fn a_development_key_is_known_by_a_word_of_its_name() {
        let is = |name| SecretKey::generate(Role::Plugin, name).unwrap().public().is_development();
        assert!(is("dev") && is("development") && is("acme-dev") && is("dev-2027-acme"));
        assert!(!is("acme") && !is("devices-acme") && !is("acme-developers"));
    }
}
