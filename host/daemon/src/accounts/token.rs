//! Tokens of the API (UX-102, SEC-048): `ek1_<id>_<secret>` in `Authorization:
//! Bearer`, for programs. Only the hash of the 256-bit secret is kept
//! (SEC-022); the token itself is shown once.

use super::rights::{Area, Level};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PREFIX: &str = "ek1";
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;
/// Most characters of a token's name.
pub const NAME_MAX: usize = 64;

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// What it is for, in somebody's words.
    pub name: String,
    /// The local user in whose name it acts: never more than they may.
    pub owner: String,
    /// SHA-256 of the secret, hexadecimal.
    pub sha256: String,
    /// What it may do.
    pub scopes: BTreeMap<Area, Level>,
    /// When it was made.
    pub created_unix_ms: u64,
    /// From when it counts no more.
    pub expires_unix_ms: Option<u64>,
}

/// A token as its holder sends it.
#[derive(PartialEq, Eq)]
pub struct Presented {
    /// Finds the record.
    pub id: String,
    /// SHA-256 of the secret.
    sha256: [u8; 32],
}

/// A new token: its text for the holder, its id, and the hash to keep.
pub struct Fresh {
    /// What the holder sends; shown once.
    pub text: String,
    /// Its id.
    pub id: String,
    /// SHA-256 of the secret, hexadecimal.
    pub sha256: String,
}

impl Fresh {
    /// From the system's random numbers.
    ///
    /// # Errors
    /// When there are none.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ID_BYTES + SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        let (id, secret) = (hex(id), hex(secret));
        let sha256 = hex(&Sha256::digest(&secret));
        Ok(Self { text: format!("{PREFIX}_{id}_{secret}"), id, sha256 })
    }
}

impl Presented {
    /// From an `Authorization` header; `None`: it is no token of ours.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, text) = header.split_once(' ')?;
        let mut parts = text.split('_');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let good = scheme.eq_ignore_ascii_case("bearer")
            && prefix == PREFIX
            && is_hex(id, ID_BYTES)
            && is_hex(secret, SECRET_BYTES)
            && parts.next().is_none();
        good.then(|| Self { id: id.to_owned(), sha256: Sha256::digest(secret).into() })
    }

    /// True when it is the token of this record.
    #[must_use]
    pub fn is(&self, record: &TokenRecord) -> bool {
        // The hash of 256 random bits: nobody comes nearer by timing.
        record.sha256 == hex(&self.sha256)
    }
}

impl TokenRecord {
    /// True until its time is over.
    #[must_use]
    pub fn is_alive(&self, now_unix_ms: u64) -> bool {
        self.expires_unix_ms.is_none_or(|end| now_unix_ms < end)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fresh: &Fresh) -> TokenRecord {
        TokenRecord {
            name: "scada".into(),
            owner: "admin".into(),
            sha256: fresh.sha256.clone(),
            scopes: BTreeMap::new(),
            created_unix_ms: 0,
            expires_unix_ms: Some(1_000),
        }
    }

    #[test]
    fn only_the_whole_token_in_its_time_counts() {
        let (fresh, other) = (Fresh::random().expect("random"), Fresh::random().expect("random"));
        let kept = record(&fresh);
        let sent = |text: &str| Presented::parse(&format!("Bearer {text}"));
        let good = sent(&fresh.text).expect("a token");
        assert_eq!(good.id, fresh.id);
        assert!(good.is(&kept) && kept.is_alive(999) && !kept.is_alive(1_000));
        assert!(!sent(&other.text).expect("a token").is(&kept));
        assert!(!fresh.text.contains(&fresh.sha256), "the hash is not the secret");
        let long = format!("{}0", fresh.text);
        let more = format!("{}_0", fresh.text);
        for bad in ["", "ek1", "ek1__", &fresh.text[1..], &long, &more, &fresh.text.to_uppercase()]
        {
            assert!(sent(bad).is_none(), "{bad}");
        }
        assert!(Presented::parse(&fresh.text).is_none(), "without a scheme");
        assert!(Presented::parse(&format!("Basic {}", fresh.text)).is_none());
        assert!(Presented::parse(&format!("bearer {}", fresh.text)).is_some());
    }
}
