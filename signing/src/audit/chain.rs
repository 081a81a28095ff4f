//! Writing: entries, seals, and the lines around an export.

use super::{AuditKey, HASH, HASH_LEN, end_message, hash, seal_message};
use crate::{Digest, hex};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use std::fmt;

/// Who did what from where, and with what result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// A user, a plugin, or a part of the appliance.
    pub who: String,
    /// An address, or empty for what happened in the appliance.
    pub from: String,
    /// What was to be done.
    pub what: String,
    /// `done`, or why not.
    pub result: String,
}

/// The last entry of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: Digest,
}

/// The device's key.
pub struct SealKey(SigningKey);

#[derive(Serialize)]
struct Numbered<'a> {
    seq: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: Digest([0; 32]) }
    }
}

impl Head {
    /// The head whose line this is: an entry or a seal.
    #[must_use]
    pub fn of_line(seq: u64, line: &[u8]) -> Option<Self> {
        let digits = line.len().checked_sub(HASH_LEN).map(|at| &line[at..])?;
        let digits = digits.strip_prefix(HASH.as_bytes())?.strip_suffix(b"\"}")?;
        let hash = hex::decode(std::str::from_utf8(digits).ok()?)?;
        Some(Self { seq, hash: Digest(hash) })
    }

    /// The line of one more entry, which is the head then.
    pub fn append(&mut self, entry: &Entry) -> String {
        let numbered = Numbered { seq: self.seq.saturating_add(1), entry };
        let text = serde_json::to_string(&numbered).expect("text and numbers are JSON");
        self.close(&text)
    }

    /// The line of a seal over everything up to here; it is the head then.
    pub fn seal(&mut self, key: &SealKey, unix_ms: u64) -> String {
        let seal = key.sign(&seal_message(self, unix_ms));
        let seq = self.seq.saturating_add(1);
        self.close(&format!("{{\"seq\":{seq},\"unix_ms\":{unix_ms},\"seal\":\"{seal}\"}}"))
    }

    /// Give an object its hash.
    fn close(&mut self, object: &str) -> String {
        let open = object.strip_suffix('}').unwrap_or(object);
        let hash = hash(&self.hash, open.as_bytes());
        *self = Self { seq: self.seq.saturating_add(1), hash };
        format!("{open}{HASH}{hash}\"}}")
    }

    /// First line of an export of what follows this head.
    #[must_use]
    pub fn opening(&self, key: &AuditKey) -> String {
        let first = self.seq.saturating_add(1);
        let before = self.hash;
        format!(
            "{{\"evenkeel_audit\":1,\"key\":\"{key}\",\"first\":{first},\"before\":\"{before}\"}}"
        )
    }

    /// Last line of an export from `first` to this head.
    #[must_use]
    pub fn ending(&self, first: u64, key: &SealKey, unix_ms: u64) -> String {
        let signature = key.sign(&end_message(first, self, unix_ms));
        let end = self.seq;
        format!("{{\"end\":{end},\"unix_ms\":{unix_ms},\"signature\":\"{signature}\"}}")
    }
}

impl SealKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// From its text; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text.trim()).map(|seed| Self(SigningKey::from_bytes(&seed)))
    }

    /// Its text. It is the secret itself.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AuditKey {
        AuditKey(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> String {
        hex::encode(&self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public())
    }
}
