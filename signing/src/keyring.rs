//! The keys that are trusted at one moment, and on whose word each one is.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{KeyError, KeyId, PublicKey, Role};

/// On whose word a key is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The maker of the appliance: the platform's roots vouch for it as their
    /// own. Only such a key may sign a licence gate.
    Platform,
    /// Another maker, for whom the platform's roots vouch.
    Vendor,
    /// Another maker, whose key the administrator of this device added.
    Administrator,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "a key of the platform",
            Self::Vendor => "a vendor's key, trusted by the platform",
            Self::Administrator => "a vendor's key, added by the administrator",
        })
    }
}

/// A trusted key, and on whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    key: PublicKey,
    origin: Origin,
}

impl Signer {
    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Name of the key, for people; it proves nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// What the key may sign.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.key.role()
    }

    /// How bundles name the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    /// The key's fingerprint, for people.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// On whose word it is trusted.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// True for a key of the appliance's maker.
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.origin == Origin::Platform
    }
}

/// `"acme" (fingerprint 21fe 31df …)`
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (fingerprint {})", self.name(), self.fingerprint())
    }
}

/// Trusted keys. Empty means that nothing is accepted.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    signers: Vec<Signer>,
}

impl Keyring {
    /// A keyring that trusts nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self { signers: Vec::new() }
    }

    /// Trust `key` on the administrator's word.
    ///
    /// # Errors
    /// As [`Keyring::insert_from`].
    pub fn insert(&mut self, key: PublicKey) -> Result<(), KeyError> {
        self.insert_from(key, Origin::Administrator)
    }

    /// Trust `key` on the word of `origin`.
    ///
    /// # Errors
    /// [`KeyError::Duplicate`] when the same key is already trusted, be it in
    /// another role or under another name: a key has one role.
    pub fn insert_from(&mut self, key: PublicKey, origin: Origin) -> Result<(), KeyError> {
        if let Some(known) = self.find(&key.id()) {
            return Err(KeyError::Duplicate {
                name: key.name().to_owned(),
                known: known.name().to_owned(),
            });
        }
        self.signers.push(Signer { key, origin });
        Ok(())
    }

    /// The trusted key with this id.
    #[must_use]
    pub fn find(&self, id: &KeyId) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.id() == *id)
    }

    /// Every trusted key, in the order of insertion.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.signers.iter().map(Signer::key)
    }

    /// Every trusted key with its origin, in the order of insertion.
    pub fn signers(&self) -> impl Iterator<Item = &Signer> {
        self.signers.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    #[test]
    fn a_key_has_one_role_and_one_origin() {
        let secret = SecretKey::generate(Role::Plugin, "one").unwrap();
        let other = PublicKey::new(Role::Root, "other", secret.public().bytes()).unwrap();
        let mut ring = Keyring::new();
        ring.insert_from(secret.public(), Origin::Vendor).unwrap();
        for origin in [Origin::Platform, Origin::Vendor, Origin::Administrator] {
            let again = ring.insert_from(other.clone(), origin);
            assert!(matches!(again, Err(KeyError::Duplicate { .. })));
        }
        assert_eq!(ring.keys().count(), 1);
        assert_eq!(ring.find(&secret.public().id()).unwrap().origin(), Origin::Vendor);
    }

    #[test]
    fn only_the_platform_is_the_platform() {
        let mut ring = Keyring::new();
        let key = |name| SecretKey::generate(Role::Plugin, name).unwrap().public();
        ring.insert_from(key("a"), Origin::Platform).unwrap();
        ring.insert_from(key("b"), Origin::Vendor).unwrap();
        ring.insert(key("c")).unwrap();
        let platform: Vec<bool> = ring.signers().map(Signer::is_platform).collect();
        assert_eq!(platform, [true, false, false]);
    }
}
