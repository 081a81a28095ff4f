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
//! Writing goes the other way: [`seal_plugin`] takes a manifest, the parts and
//! the keys, and returns the bundle. [`SecretKey`] and [`PublicKey`] are kept
//! in one-line text files.

mod envelope;
mod hex;
mod keys;
mod manifest;
mod plugin;
mod seal;
mod serial;
mod text;

pub use envelope::{BundleError, Envelope, Ids, Kind, Verified};
pub use hex::Digest;
pub use keys::{KeyError, KeyId, Keyring, PublicKey, Role, SecretKey};
pub use manifest::{Limits, ManifestError, Model, Part, Permission, PluginManifest, Support};
pub use plugin::PluginBundle;
pub use seal::{SealError, seal, seal_plugin};
pub use serial::{Serial, SerialError};
pub use text::is_printable;
