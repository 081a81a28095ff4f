//! Why a signed plugin or licence is refused: what it is, whose key, the
//! reason, and what to do about it.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString as _;
use core::error::Error;
use core::fmt;

use crate::{BundleError, KeyId, Kind, Origin, Signer};

/// A bundle that is refused. Nothing in it is known before a trusted key
/// vouches for it, its name included; the caller adds the name of the file.
#[derive(Debug, thiserror::Error)]
#[error("{}{} is refused", subject(*kind, plugin.as_deref()), with_key(key.as_ref()))]
pub struct Refusal {
    /// What was asked for.
    pub kind: Kind,
    /// Name and version of the plugin, or the version of the firmware, once a
    /// trusted key vouches for them.
    pub plugin: Option<String>,
    /// The key that decided, once there is one that this device knows.
    pub key: Option<KeyLabel>,
    /// Why.
    #[source]
    pub reason: Box<Reason>,
}

impl Refusal {
    /// The whole sentence: what, whose key, why, and what to do.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// How a message names a key: the name is for people, the fingerprint is what
/// they compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLabel {
    /// Name of the key.
    pub name: String,
    /// Its id.
    pub id: KeyId,
}

impl KeyLabel {
    /// The label of a trusted key.
    #[must_use]
    pub fn of(signer: &Signer) -> Self {
        Self { name: signer.name().to_owned(), id: signer.id() }
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (fingerprint {})", self.name, self.id.fingerprint())
    }
}

/// Why a bundle is refused, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No bundle, damaged, or forged.
    #[error(transparent)]
    Bundle(BundleError),
    /// Signed by strangers.
    #[error(
        "no key that signed it is trusted here; ask the vendor for the fingerprint of its key, \
        compare it with {fingerprints}, and add the key only if they are the same"
    )]
    UnknownKey {
        /// Fingerprints of the keys that are said to have signed.
        fingerprints: String,
    },
    /// A licence by strangers.
    #[error(
        "no key of the platform that may grant licences signed it, but {fingerprints}; ask the \
        one who sold it for a licence that the platform's maker signed"
    )]
    UnknownLicensor {
        /// Fingerprints of the keys that are said to have signed.
        fingerprints: String,
    },
    /// Firmware by strangers.
    #[error(
        "no key of the platform that may sign firmware signed it, but {fingerprints}; take the \
        file from the maker of this appliance"
    )]
    UnknownMaker {
        /// Fingerprints of the keys that are said to have signed.
        fingerprints: String,
    },
    /// Firmware of something else.
    #[error("it is for {found:?}, and this is {wanted:?}; choose the file for this product")]
    WrongProduct {
        /// Product in the manifest.
        found: String,
        /// This device's.
        wanted: String,
    },
    /// Firmware for other hardware.
    #[error("it is for the board {found}, and this is {wanted:?}; choose the file for this board")]
    WrongBoard {
        /// Boards in the manifest.
        found: String,
        /// This device's.
        wanted: String,
    },
    /// Firmware with a hole that a later one closed.
    #[error(
        "its epoch is {found}, and this device accepts none below {least}, because later releases \
        closed a hole; install a later one"
    )]
    EpochBelowFloor {
        /// Epoch in the manifest.
        found: u32,
        /// The least accepted.
        least: u32,
    },
    /// An epoch that no release has.
    #[error(
        "its epoch is {found}, and the one that runs has {running}: no release skips so many; \
        ask the maker of this appliance"
    )]
    EpochTooFar {
        /// Epoch in the manifest.
        found: u32,
        /// Epoch of the running system.
        running: u32,
    },
    /// Firmware that cannot read what is kept here.
    #[error(
        "it reads data of version {readable_from} to {schema}, and this device keeps version \
        {here}; export the configuration, reset the device, and import it"
    )]
    Data {
        /// Least version of data that it reads.
        readable_from: u32,
        /// Version of data that it writes.
        schema: u32,
        /// Version of data on this device.
        here: u32,
    },
    /// The roots took the key back.
    #[error(
        "the platform revoked this key: {reason}; ask the vendor for a bundle that is signed \
        with its new key"
    )]
    RevokedKey {
        /// Why it was taken back.
        reason: String,
    },
    /// The administrator took the key back, or nobody knows what he decided.
    #[error(
        "the trust in this key was withdrawn on this device: {reason}; trust it again under \
        Keys, or remove the file"
    )]
    DistrustedKey {
        /// Why.
        reason: String,
    },
    /// A development key on a device in production.
    #[error(
        "this is a development key, which a device in production never trusts; ask the vendor \
        for a release"
    )]
    DevelopmentKey,
    /// This release was taken back.
    #[error("this release was recalled: {reason}; install a later one")]
    RevokedBundle {
        /// Why.
        reason: String,
    },
    /// A known hole.
    #[error(
        "its security version is {found}, the least that is accepted is {least}: {reason}; \
        install a later release"
    )]
    BelowFloor {
        /// Security version in the manifest.
        found: u32,
        /// The least accepted.
        least: u32,
        /// What was wrong with earlier ones.
        reason: String,
    },
    /// Older than what ran here.
    #[error(
        "its security version is {found}, and a release with {least} has proved itself on this \
        device; going back would open a hole again: install a later release"
    )]
    RolledBack {
        /// Security version in the manifest.
        found: u32,
        /// The highest that proved itself.
        least: u32,
    },
    /// A security version that no release has.
    #[error(
        "its security version is {found}, and {least} has proved itself on this device: no \
        release skips so many; ask the vendor, and if it is meant so, remove the plugin and \
        install it anew"
    )]
    SecurityTooFar {
        /// Security version in the manifest.
        found: u32,
        /// The highest that proved itself.
        least: u32,
    },
    /// A licence gate by somebody else.
    #[error(
        "it decides what the licence permits, and only a key of the platform may sign such a \
        plugin, but this is {origin}; use the gate that came with the appliance"
    )]
    ForeignGate {
        /// Whose key it is.
        origin: Origin,
    },
    /// Machine code by somebody else: nothing confines what it does.
    #[error(
        "it brings machine code along, which no sandbox can hold, so only a key of the platform \
        may sign it, but this is {origin}; ask the vendor for a bundle of the component alone, \
        which the appliance compiles itself"
    )]
    ForeignCode {
        /// Whose key it is.
        origin: Origin,
    },
}

fn subject(kind: Kind, plugin: Option<&str>) -> String {
    plugin.map_or_else(|| format!("this {kind} bundle"), |subject| format!("the {kind} {subject}"))
}

fn with_key(key: Option<&KeyLabel>) -> String {
    key.map_or_else(String::new, |key| format!(" with the key {key}"))
}
