//! The audit log as text: entries chained by hash, sealed by the device's key,
//! verified by anybody who has the public half
//! (facts/appliance-security.md SEC-110, SEC-111).
//!
//! Each line is one JSON object, and its exact bytes count:
//!
//! ```text
//! {"evenkeel_audit":1,"key":"<public key>","first":1,"before":"<hash>"}
//! {"seq":1,"unix_ms":…,"who":"admin","from":"::1","what":"…","result":"done","hash":"<hash>"}
//! {"seq":2,"unix_ms":…,"seal":"<signature>","hash":"<hash>"}
//! {"end":2,"unix_ms":…,"signature":"<signature>"}
//! ```
//!
//! An entry's hash is SHA-256 over the hash before it (32 bytes; zeros before
//! the first) and the bytes of its line in front of `,"hash":`. A *seal* is an
//! entry of its own: the device's ed25519 signature over the number and the
//! hash of the entry before it. Whoever changes the store without the key can
//! therefore alter only what came after the last seal, and cannot take a seal
//! away from the middle. The store keeps entries and seals; the first line and
//! the last one are made for each export, and the last one is signed: an
//! export without it was cut off.
//!
//! A store that was damaged and salvaged may lack entries in the middle. Its
//! export has several *parts* then, each with a first and a last line, all of the
//! same time, and an entry of the appliance behind the gap names it
//! ([`lost_entries`]). Entries that are missing without that were removed.

mod chain;
mod verify;

pub use chain::{Entry, Head, SealKey};
pub use verify::{Fault, LOG_MAX, Report, verify};

use crate::Digest;
use ed25519_dalek::{Signature, VerifyingKey};
use std::fmt;

use crate::hex;

/// What the appliance did in an entry that names gaps.
pub const SALVAGE: &str = "salvage the damaged store";
const LOST: (&str, &str) = ("entries ", " of this log are lost");

/// The result of that entry, for gaps as `<from> to <to>`.
#[must_use]
pub fn lost_entries(gaps: &[String]) -> String {
    format!("{}{}{}", LOST.0, gaps.join(", "), LOST.1)
}

/// Whether that result names this gap.
fn names_gap(result: &str, (from, to): (u64, u64)) -> bool {
    let gaps = result.strip_prefix(LOST.0).and_then(|rest| rest.strip_suffix(LOST.1));
    gaps.is_some_and(|gaps| gaps.split(", ").any(|gap| gap == format!("{from} to {to}")))
}

/// What stands between an entry and its hash.
const HASH: &str = ",\"hash\":\"";
/// Bytes from there to the end of the line.
const HASH_LEN: usize = HASH.len() + 64 + "\"}".len();

/// The public half of the key that seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKey(VerifyingKey);

/// A text that is no public key of an audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of an audit log is 64 lower-case hexadecimal digits")]
pub struct AuditKeyError;

impl AuditKey {
    /// From the text that the appliance shows.
    ///
    /// # Errors
    /// [`AuditKeyError`], also for a key under which anybody can sign.
    pub fn parse(text: &str) -> Result<Self, AuditKeyError> {
        let bytes = hex::decode(text.trim()).ok_or(AuditKeyError)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| AuditKeyError)?;
        if key.is_weak() { Err(AuditKeyError) } else { Ok(Self(key)) }
    }

    fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let (Some(r), Some(s)) = (signature.get(..64), signature.get(64..)) else { return false };
        let (Some(r), Some(s)) = (hex::decode(r), hex::decode(s)) else { return false };
        self.0.verify_strict(message, &Signature::from_components(r, s)).is_ok()
    }
}

impl fmt::Display for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

/// What a seal signs: the entry before it, and when.
fn seal_message(before: &Head, unix_ms: u64) -> Vec<u8> {
    let numbers = [before.seq.to_le_bytes(), unix_ms.to_le_bytes()].concat();
    [&b"evenkeel audit seal 1\n"[..], &numbers, &before.hash.0].concat()
}

/// What the end of an export signs: where it begins, where it ends, and when.
fn end_message(first: u64, last: &Head, unix_ms: u64) -> Vec<u8> {
    let numbers = [first.to_le_bytes(), last.seq.to_le_bytes(), unix_ms.to_le_bytes()].concat();
    [&b"evenkeel audit export 1\n"[..], &numbers, &last.hash.0].concat()
}

/// The hash of an entry behind `before`.
fn hash(before: &Digest, entry: &[u8]) -> Digest {
    Digest::of(&[&before.0, entry].concat())
}
