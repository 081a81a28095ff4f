//! What a keyring bundle says: the keys that the platform's roots vouch for,
//! and what they take back (facts/firmware-trust.md §7). It is the whole
//! manifest of a bundle of [`Kind::Keyring`](crate::Kind::Keyring), without
//! parts, as JSON.
//!
//! A keyring replaces the one before it as a whole; `sequence` keeps an older
//! one from coming back. Roots are not in it: they are built into the
//! appliance, and a new set of roots arrives with new firmware.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::keys::is_development_name;
use crate::manifest::{LINE_200, NAME, is_line, is_name};
use crate::{Digest, KeyError, KeyId, Origin, PublicKey, Role};

/// What the roots sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyringManifest {
    /// Version of this format, [`KeyringManifest::FORMAT`].
    pub format: u32,
    /// Always `keyring`.
    pub kind: String,
    /// 1 for the first keyring, higher for each later one.
    pub sequence: u32,
    /// When it was made, in seconds since 1970 UTC; for people.
    pub issued_unix_s: u64,
    /// A device that knows the date takes no keyring after this, in seconds
    /// since 1970 UTC. One that was taken before stays in force.
    pub expires_unix_s: u64,
    /// Trusted keys, at most 64.
    #[serde(default)]
    pub keys: Vec<KeyEntry>,
    /// Keys that are trusted no more, also when an administrator added them;
    /// at most 128.
    #[serde(default)]
    pub revoked_keys: Vec<RevokedKey>,
    /// Bundles that are refused although their signature holds; at most 128.
    #[serde(default)]
    pub revoked_bundles: Vec<RevokedBundle>,
    /// The least security versions accepted; at most 128, each plugin once.
    #[serde(default)]
    pub floors: Vec<Floor>,
}

/// A key that the roots vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// `plugin`, `firmware` or `licence`.
    pub role: Role,
    /// Name for people, `a-z`, `0-9`, `-`; 1 … 40 bytes.
    pub name: String,
    /// The ed25519 public key: 64 lower-case hexadecimal digits.
    pub key: String,
    /// True for the key of another maker. It may sign plugins, but no licence
    /// gate.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub vendor: bool,
    /// True for a key that production devices refuse.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub development: bool,
}

/// A key that is trusted no more. Bundles carry no date that could be
/// believed, so everything that it ever signed is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    /// SHA-256 of the public key.
    pub id: Digest,
    /// Name of the key, for people.
    pub name: String,
    /// Why, for people: one line of 1 … 200 bytes.
    pub reason: String,
    /// When it was lost, in seconds since 1970 UTC; for people.
    pub since_unix_s: u64,
}

/// A bundle that is refused although its signature holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedBundle {
    /// SHA-256 of its manifest.
    pub sha256: Digest,
    /// Name of the plugin.
    pub name: String,
    /// Why, for people: one line of 1 … 200 bytes.
    pub reason: String,
}

/// The least security version of a plugin that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Name of the plugin.
    pub plugin: String,
    /// The least security version, 1 or more.
    pub security_version: u32,
    /// Why, for people: one line of 1 … 200 bytes.
    pub reason: String,
}

impl KeyringManifest {
    /// The version of this format.
    pub const FORMAT: u32 = 1;
    /// The value of [`KeyringManifest::kind`].
    pub const KIND: &'static str = "keyring";

    /// A keyring that takes nothing back; made and expiring at these times, in
    /// seconds since 1970 UTC.
    #[must_use]
    pub fn new(sequence: u32, [issued, expires]: [u64; 2], keys: Vec<KeyEntry>) -> Self {
        Self {
            format: Self::FORMAT,
            kind: Self::KIND.to_owned(),
            sequence,
            issued_unix_s: issued,
            expires_unix_s: expires,
            keys,
            revoked_keys: Vec::new(),
            revoked_bundles: Vec::new(),
            floors: Vec::new(),
        }
    }

    /// Parse and check a keyring. Give it signed bytes only.
    ///
    /// # Errors
    /// [`KeyringError`] names the field and the rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyringError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| KeyringError::Json { source })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Check every rule that the field documentation states.
    ///
    /// # Errors
    /// [`KeyringError`] names the field and the rule that it breaks.
    pub fn check(&self) -> Result<(), KeyringError> {
        let format = "1 is the only format that this version knows";
        rule(self.format == Self::FORMAT, "format", format)?;
        rule(self.kind == Self::KIND, "kind", "must be \"keyring\"")?;
        rule(self.sequence > 0, "sequence", "1 or more")?;
        let dates = self.issued_unix_s < self.expires_unix_s && self.expires_unix_s <= YEAR_9999;
        rule(dates, "expires_unix_s", "after issued_unix_s, before the year 9999")?;
        self.check_keys()?;
        self.check_revoked()?;
        self.check_floors()
    }

    /// The row that takes the key with this id back.
    pub(crate) fn revoked_key(&self, id: &KeyId) -> Option<&RevokedKey> {
        self.revoked_keys.iter().find(|key| key.id == id.0)
    }

    fn check_keys(&self) -> Result<(), KeyringError> {
        rule(self.keys.len() <= KEYS_MAX, "keys", "at most 64")?;
        let mut ids = BTreeSet::new();
        for entry in &self.keys {
            let key = entry.public()?;
            rule(key.role() != Role::Root, "keys.role", "plugin, firmware or licence")?;
            let vendor = !entry.vendor || key.role() == Role::Plugin;
            rule(vendor, "keys.vendor", "a vendor's key signs plugins and nothing else")?;
            rule(ids.insert(key.id()), "keys", "each key once")?;
            let revoked = self.revoked_key(&key.id()).is_some();
            rule(!revoked, "keys", "a revoked key must not be in the list of keys")?;
        }
        let names: BTreeSet<_> = self.keys.iter().map(|entry| &entry.name).collect();
        rule(names.len() == self.keys.len(), "keys.name", "each name once")
    }

    fn check_revoked(&self) -> Result<(), KeyringError> {
        let (keys, bundles) = (&self.revoked_keys, &self.revoked_bundles);
        rule(keys.len() <= ROWS_MAX, "revoked_keys", "at most 128")?;
        rule(bundles.len() <= ROWS_MAX, "revoked_bundles", "at most 128")?;
        for key in keys {
            rule(is_name(&key.name), "revoked_keys.name", NAME)?;
            rule(is_line(&key.reason, 200), "revoked_keys.reason", LINE_200)?;
        }
        for bundle in bundles {
            rule(is_name(&bundle.name), "revoked_bundles.name", NAME)?;
            rule(is_line(&bundle.reason, 200), "revoked_bundles.reason", LINE_200)?;
        }
        let ids: BTreeSet<_> = keys.iter().map(|key| key.id).collect();
        rule(ids.len() == keys.len(), "revoked_keys", "each key once")?;
        let hashes: BTreeSet<_> = bundles.iter().map(|bundle| bundle.sha256).collect();
        rule(hashes.len() == bundles.len(), "revoked_bundles", "each bundle once")
    }

    fn check_floors(&self) -> Result<(), KeyringError> {
        rule(self.floors.len() <= ROWS_MAX, "floors", "at most 128")?;
        for floor in &self.floors {
            rule(is_name(&floor.plugin), "floors.plugin", NAME)?;
            rule(floor.security_version > 0, "floors.security_version", "1 or more")?;
            rule(is_line(&floor.reason, 200), "floors.reason", LINE_200)?;
        }
        let plugins: BTreeSet<_> = self.floors.iter().map(|floor| &floor.plugin).collect();
        rule(plugins.len() == self.floors.len(), "floors", "each plugin once")
    }
}

impl KeyEntry {
    /// An entry for `key`; a vendor's when `vendor`.
    #[must_use]
    pub fn of(key: &PublicKey, vendor: bool) -> Self {
        Self {
            role: key.role(),
            name: key.name().to_owned(),
            key: crate::hex::encode(key.bytes()),
            vendor,
            development: key.is_development(),
        }
    }

    /// The key.
    ///
    /// # Errors
    /// [`KeyringError`] when name or digits are no key.
    pub fn public(&self) -> Result<PublicKey, KeyringError> {
        let bytes = crate::hex::decode(&self.key).ok_or(KeyringError::Field {
            field: "keys.key",
            rule: "64 lower-case hexadecimal digits",
        })?;
        PublicKey::new(self.role, &self.name, &bytes)
            .map_err(|source| KeyringError::Key { name: self.name.clone(), source })
    }

    /// True when the flag or the name says so.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.development || is_development_name(&self.name)
    }

    /// On whose word the key is trusted.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        if self.vendor { Origin::Vendor } else { Origin::Platform }
    }
}

/// Why the content of a keyring is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Not JSON, or not these fields.
    #[error("it is not a keyring of format 1; update the appliance first")]
    Json {
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field breaks its rule.
    #[error("field `{field}`: {rule}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// An entry that is no key.
    #[error("the entry {name:?} is no key to be trusted")]
    Key {
        /// Name in the entry.
        name: String,
        /// Why.
        source: KeyError,
    },
}

const KEYS_MAX: usize = 64;
const ROWS_MAX: usize = 128;
/// The last second of the year 9999, beyond which no date is written.
const YEAR_9999: u64 = 253_402_300_799;

fn rule(holds: bool, field: &'static str, rule: &'static str) -> Result<(), KeyringError> {
    if holds { Ok(()) } else { Err(KeyringError::Field { field, rule }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn key(role: Role, name: &str) -> PublicKey {
        SecretKey::generate(role, name).unwrap().public()
    }

    fn sample() -> KeyringManifest {
        let lost = key(Role::Plugin, "lost");
        KeyringManifest {
            format: 1,
            kind: "keyring".into(),
            sequence: 3,
            issued_unix_s: 1_750_000_000,
            expires_unix_s: 1_850_000_000,
            keys: vec![
                KeyEntry::of(&key(Role::Plugin, "evenkeel-plugins"), false),
                KeyEntry::of(&key(Role::Licence, "evenkeel-licences"), false),
                KeyEntry::of(&key(Role::Plugin, "acme"), true),
            ],
            revoked_keys: vec![RevokedKey {
                id: lost.id().0,
                name: "lost".into(),
                reason: "a laptop was stolen".into(),
                since_unix_s: 1_740_000_000,
            }],
            revoked_bundles: vec![RevokedBundle {
                sha256: Digest::of(b"manifest"),
                name: "megatec".into(),
                reason: "switches outlets off at start".into(),
            }],
            floors: vec![Floor {
                plugin: "megatec".into(),
                security_version: 2,
                reason: "a forged reply could crash it".into(),
            }],
        }
    }

    #[test]
    fn a_keyring_goes_both_ways_and_unknown_fields_are_refused() {
        let manifest = sample();
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(KeyringManifest::parse(text.as_bytes()).unwrap(), manifest);
        let text = text.replacen('{', "{\"roots\":[],", 1);
        let error = KeyringManifest::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, KeyringError::Json { .. }));
    }

    #[test]
    fn each_broken_field_is_named() {
        type Break = fn(&mut KeyringManifest);
        let cases: [(&str, Break); 21] = [
            ("format", |m| m.format = 2),
            ("kind", |m| m.kind = "plugin".into()),
            ("sequence", |m| m.sequence = 0),
            ("expires_unix_s", |m| m.expires_unix_s = m.issued_unix_s),
            ("expires_unix_s", |m| m.expires_unix_s = u64::MAX),
            ("keys", |m| m.keys.push(KeyEntry { name: "again".into(), ..m.keys[0].clone() })),
            ("keys", |m| m.revoked_keys[0].id = m.keys[0].public().unwrap().id().0),
            ("keys", |m| m.keys = vec![m.keys[0].clone(); 65]),
            ("keys.key", |m| m.keys[0].key.make_ascii_uppercase()),
            ("keys.role", |m| m.keys[0].role = Role::Root),
            ("keys.vendor", |m| m.keys[1].vendor = true),
            ("keys.name", |m| m.keys[0].name = "acme".into()),
            ("revoked_keys", |m| m.revoked_keys.push(m.revoked_keys[0].clone())),
            ("revoked_keys.reason", |m| m.revoked_keys[0].reason.clear()),
            ("revoked_keys.name", |m| m.revoked_keys[0].name = "a b".into()),
            ("revoked_bundles", |m| m.revoked_bundles = vec![m.revoked_bundles[0].clone(); 129]),
            ("revoked_bundles.reason", |m| m.revoked_bundles[0].reason = "a\nb".into()),
            ("revoked_bundles.name", |m| m.revoked_bundles[0].name.clear()),
            ("floors", |m| m.floors.push(m.floors[0].clone())),
            ("floors.security_version", |m| m.floors[0].security_version = 0),
            ("floors.plugin", |m| m.floors[0].plugin = "../a".into()),
        ];
        sample().check().unwrap();
        for (at, (name, breaks)) in cases.into_iter().enumerate() {
            let mut manifest = sample();
            breaks(&mut manifest);
            match manifest.check() {
                Err(KeyringError::Field { field, .. }) => assert_eq!(field, name, "case {at}"),
                other => panic!("case {at}, {name}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_entry_that_is_no_key_is_named() {
        // A key of small order, and bytes that are no point of the curve.
        for digits in [format!("01{}", "0".repeat(62)), format!("02{}", "0".repeat(62))] {
            let mut manifest = sample();
            manifest.keys[2].key = digits;
            let error = manifest.check().unwrap_err();
            assert!(matches!(error, KeyringError::Key { name, .. } if name == "acme"));
        }
    }

    #[test]
    fn development_is_said_by_flag_or_name() {
        let mut entry = KeyEntry::of(&key(Role::Plugin, "acme"), true);
        assert!(!entry.is_development());
        entry.development = true;
        assert!(entry.is_development());
        assert!(KeyEntry::of(&key(Role::Plugin, "acme-dev"), true).development);
        let unflagged =
            KeyEntry { development: false, ..KeyEntry::of(&key(Role::Plugin, "dev"), false) };
        assert!(unflagged.is_development());
    }
}
