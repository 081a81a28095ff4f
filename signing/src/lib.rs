//! Signed bundles: the one container in which plugins, firmware, keyrings and
//! licences reach the appliance (facts/firmware-trust.md §5 and §7).
//!
//! The path through this crate has one direction, and each type is the proof
//! that the step before it succeeded:
//!
//! ```text
//! bytes ── Envelope::read ──▶ Envelope      lengths and key ids, nothing else
//!       ── Envelope::verify ─▶ Verified     a trusted key signed the manifest
//!       ── Verified::plugin ─▶ PluginBundle manifest parsed, every part hashed
//! ```
//!
//! **Invariant:** bytes that no trusted key has signed are never given to a
//! parser. An [`Envelope`] looks at a fixed 24-byte header and at the table of
//! signatures; the manifest is reachable only through [`Verified`].
//!
//! [`Trust`] is what a device asks: it knows the platform's roots, the keyring
//! that they signed and the keys that the administrator added, takes that path
//! with every rule in between, and answers with a bundle or a [`Refusal`].
//!
//! Writing goes the other way: [`seal_plugin`] takes a manifest, the parts and
//! the keys, and returns the bundle; [`seal_keyring`] and [`countersign`] do so
//! for keyrings. [`SecretKey`] and [`PublicKey`] are kept in one-line text
//! files. What an administrator enters for a plugin is judged by
//! [`check_settings`] against the schema in the manifest.
//!
//! [`slot`] is the other half of trusted firmware: which of two systems starts.
//!
//! Without the feature `std` the crate needs only memory, no operating system:
//! key files and new keys are left out. So a boot loader, the first stage, the
//! updater and the builder judge by the same lines.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod audit;
mod envelope;
pub mod firmware;
mod hex;
#[cfg(feature = "std")]
mod key_file;
mod keyring;
mod keyring_bundle;
mod keys;
mod manifest;
mod plugin;
mod refusal;
mod seal;
mod serial;
mod settings;
pub mod slot;
mod text;
mod trust;
mod trust_error;

pub use envelope::{BundleError, Envelope, Ids, Kind, Verified};
pub use firmware::{FirmwareManifest, FirmwarePart, Intake, IntakeError};
pub use hex::Digest;
pub use keyring::{Keyring, Origin, Signer};
pub use keyring_bundle::{
    Floor, KeyEntry, KeyringError, KeyringManifest, RevokedBundle, RevokedKey,
};
pub use keys::{KeyError, KeyId, PublicKey, Role, SecretKey};
pub use manifest::{
    CodePart, Limits, ManifestError, Model, Part, Permission, PluginManifest, Support,
};
pub use plugin::PluginBundle;
pub use refusal::{KeyLabel, Reason, Refusal};
pub use seal::{SealError, countersign, seal, seal_firmware, seal_keyring, seal_plugin};
pub use serial::{Serial, SerialError};
pub use settings::{Choice, SettingError, SettingKind, SettingSpec, SettingValue, check_settings};
pub use text::{date_utc, is_printable};
pub use trust::{Accepted, Device, KeyRefusal, RefusedKey, Roots, SECURITY_STEP_MAX, Trust};
pub use trust_error::TrustError;
