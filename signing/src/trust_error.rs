//! Why a key or a keyring is not taken into trust.

use crate::{BundleError, KeyError, KeyLabel, KeyringError, Role, date_utc};
use alloc::string::String;

/// Why trust does not change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Roots that make no sense.
    #[error(
        "{count} roots with a threshold of {threshold}: 1 to 8 roots, and no more must sign than there are"
    )]
    Roots {
        /// Number of roots.
        count: usize,
        /// How many must sign.
        threshold: usize,
    },
    /// A key that is there already.
    #[error("the key is not added")]
    Key {
        /// Why.
        source: KeyError,
    },
    /// A key that signs something else.
    #[error(
        "the key {label} is of the role {role}, which cannot be trusted in this way; give the \
        key that the vendor signs plugins with"
    )]
    Role {
        /// The key.
        label: KeyLabel,
        /// Its role.
        role: Role,
    },
    /// A development key on a device in production.
    #[error("the key {label} is a development key; a device in production never trusts it")]
    Development {
        /// The key.
        label: KeyLabel,
    },
    /// An ordinary key where a development key is wanted, or production.
    #[error(
        "the key {label} is trusted without a keyring only where its name says `dev` and the \
        device is not in production"
    )]
    NotDevelopment {
        /// The key.
        label: KeyLabel,
    },
    /// The roots took it back.
    #[error("the platform revoked the key {label}: {reason}; ask the vendor for its new key")]
    Revoked {
        /// The key.
        label: KeyLabel,
        /// Why it was taken back.
        reason: String,
    },
    /// The administrator took it back.
    #[error("the trust in the key {label} was withdrawn here: {reason}; restore it first")]
    Withdrawn {
        /// The key.
        label: KeyLabel,
        /// Why.
        reason: String,
    },
    /// Text that cannot be shown.
    #[error("name and reason must be one line each, of at most 40 and 200 visible bytes")]
    Line,
    /// A bound.
    #[error("a device keeps at most {max} {what}; remove some first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// No bundle, damaged, or forged.
    #[error("the keyring is refused")]
    Bundle {
        /// Why.
        source: BundleError,
    },
    /// Too few signatures.
    #[error(
        "the keyring is signed by {found} of the platform's roots, {needed} different ones are \
        needed; get the one that was published"
    )]
    TooFewRoots {
        /// Different roots whose signature holds.
        found: usize,
        /// How many must sign.
        needed: usize,
    },
    /// Signed, but unusable.
    #[error("what the keyring says is refused")]
    Keyring {
        /// Why.
        source: KeyringError,
    },
    /// An older one.
    #[error(
        "the keyring has the sequence number {found}, this device has already seen {least}; get \
        the latest one"
    )]
    Older {
        /// Its number.
        found: u32,
        /// The least accepted.
        least: u32,
    },
    /// Two keyrings with one number.
    #[error(
        "a different keyring with the sequence number {sequence} is in force; two such must not \
        exist: ask the platform's maker which one is right"
    )]
    Fork {
        /// The number.
        sequence: u32,
    },
    /// Out of date.
    #[error(
        "the keyring {sequence} expired on {}, and the clock of this device says {}; get the \
        latest one, or correct the clock", date_utc(*expires_unix_s), date_utc(*now_unix_s)
    )]
    Expired {
        /// Its number.
        sequence: u32,
        /// When, in seconds since 1970 UTC.
        expires_unix_s: u64,
        /// The date, in seconds since 1970 UTC.
        now_unix_s: u64,
    },
}
