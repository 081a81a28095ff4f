//! The whole judgement of a device: what is trusted, and what is refused why
//! (facts/firmware-trust.md §6 and §7). Pure: no file, no clock; the host
//! stores what was accepted and says what date it is, if it knows.
//!
//! Three sources add keys, two take them away:
//!
//! | source | trusts | takes back |
//! |---|---|---|
//! | roots, built into the appliance | the keyring, and nothing else | – |
//! | keyring, signed by enough roots | keys of the platform and of vendors | keys, bundles, old security versions |
//! | administrator | vendors' keys for plugins | any key, on this device |
//!
//! Taking back wins, whoever it comes from. A plugin's security version never
//! goes below what the keyring demands or what the same signer proved here. A development key is known by its
//! name or flag and never counts in production.
//!
//! After a start the host gives the stored keyring and keys back in the same
//! way, with an unknown date: a keyring that was once accepted stays in force
//! when it expires, or a device left alone would one day lose its plugins.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::keys::is_development_name;
use crate::manifest::is_line;
use crate::trust_error::TrustError;
use crate::{
    BundleError, Digest, Envelope, FirmwareManifest, KeyError, KeyId, KeyLabel, Keyring,
    KeyringManifest, Kind, Origin, PluginBundle, PluginManifest, PublicKey, Reason, Refusal,
    RevokedBundle, Role, Signer, Verified,
};

/// The platform's root keys, and how many of them must sign a keyring.
#[derive(Clone, Debug)]
pub struct Roots {
    ring: Keyring,
    threshold: usize,
}

impl Roots {
    /// `keys` are 1 … 8 keys of role root, `threshold` of which must sign.
    ///
    /// # Errors
    /// [`TrustError::Roots`] for a number out of range,
    /// [`TrustError::Role`] for a key of another role,
    /// [`TrustError::Key`] for the same key twice.
    pub fn new(keys: Vec<PublicKey>, threshold: usize) -> Result<Self, TrustError> {
        let count = keys.len();
        if count > ROOTS_MAX || !(1..=count).contains(&threshold) {
            return Err(TrustError::Roots { count, threshold });
        }
        let mut ring = Keyring::new();
        for key in keys {
            if key.role() != Role::Root {
                return Err(TrustError::Role { label: label(&key), role: key.role() });
            }
            ring.insert_from(key, Origin::Platform).map_err(|source| TrustError::Key { source })?;
        }
        Ok(Self { ring, threshold })
    }

    /// No roots: no keyring is ever accepted, and only the administrator's and
    /// development keys count.
    #[must_use]
    pub const fn none() -> Self {
        Self { ring: Keyring::new(), threshold: 1 }
    }
}

/// What a device trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Roots,
    production: bool,
    sequence_min: u32,
    keyring: Option<InForce>,
    development: Vec<PublicKey>,
    vendors: Vec<PublicKey>,
    withdrawn: Vec<Withdrawn>,
    /// By plugin and signer: the security version that proved itself here.
    proven: BTreeMap<(String, KeyId), u32>,
    /// Follows from all of the above: the keys that count, and those that are
    /// known but do not.
    effective: Keyring,
    refused: Vec<RefusedKey>,
}

/// A keyring that was taken into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its sequence number, which the host stores for [`Trust::require_sequence`].
    pub sequence: u32,
    /// Sequence number of the one that it replaces.
    pub replaced: Option<u32>,
    /// Names of the roots that signed, each once.
    pub roots: Vec<String>,
    /// When it expires, in seconds since 1970 UTC.
    pub expires_unix_s: u64,
}

/// A key that this device knows and does not trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// Which.
    pub key: KeyLabel,
    /// Why.
    pub why: KeyRefusal,
}

/// Why a key that is known is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// The keyring takes it back.
    Revoked {
        /// Why, for people.
        reason: String,
    },
    /// The administrator takes it back.
    Withdrawn {
        /// Why, for people.
        reason: String,
    },
    /// It is a development key, and this is production.
    Development,
}

impl Trust {
    /// A device that knows its roots and nothing else yet. In production,
    /// development keys never count.
    ///
    /// # Errors
    /// [`TrustError::Development`] when a root is a development key and this
    /// is production: such an image must not start.
    pub fn new(roots: Roots, production: bool) -> Result<Self, TrustError> {
        if let Some(key) = roots.ring.keys().find(|key| production && key.is_development()) {
            return Err(TrustError::Development { label: label(key) });
        }
        Ok(Self {
            roots,
            production,
            sequence_min: 0,
            keyring: None,
            development: Vec::new(),
            vendors: Vec::new(),
            withdrawn: Vec::new(),
            proven: BTreeMap::new(),
            effective: Keyring::new(),
            refused: Vec::new(),
        })
    }

    /// Refuse keyrings below `least` from now on: the highest sequence that
    /// this device ever accepted, from its state record.
    pub fn require_sequence(&mut self, least: u32) {
        self.sequence_min = self.sequence_min.max(least);
    }

    /// Take a keyring into force. `now_unix_s` is the date in seconds since
    /// 1970 UTC, if the device knows it.
    ///
    /// # Errors
    /// [`TrustError`] for one that is no keyring, that too few roots signed,
    /// that is older than the one in force, or has expired. The one in force
    /// stays.
    pub fn accept_keyring(
        &mut self,
        raw: &[u8],
        now_unix_s: Option<u64>,
    ) -> Result<Accepted, TrustError> {
        let verified = self.signed_by_roots(raw)?;
        let bytes = verified.manifest_alone().map_err(|source| TrustError::Bundle { source })?;
        let manifest =
            KeyringManifest::parse(bytes).map_err(|source| TrustError::Keyring { source })?;
        // Roots that it takes back do not count towards itself. So enough roots
        // are always left to sign the next one.
        let roots = self.count(&verified, Some(&manifest))?;
        let digest = Digest::of(bytes);
        self.check_follows(&manifest, digest)?;
        let expires_unix_s = manifest.expires_unix_s;
        if let Some(now_unix_s) = now_unix_s.filter(|now| *now >= expires_unix_s) {
            let sequence = manifest.sequence;
            return Err(TrustError::Expired { sequence, expires_unix_s, now_unix_s });
        }
        let sequence = manifest.sequence;
        self.require_sequence(sequence);
        let replaced = self.keyring.replace(InForce::new(manifest, digest));
        self.settle();
        let replaced = replaced.map(|before| before.manifest.sequence);
        Ok(Accepted { sequence, replaced, roots, expires_unix_s })
    }

    /// The keyring in force.
    #[must_use]
    pub fn keyring(&self) -> Option<&KeyringManifest> {
        self.keyring.as_ref().map(|keyring| &keyring.manifest)
    }

    /// True when the keyring in force has expired: a reason to warn, not to
    /// stop anything.
    #[must_use]
    pub fn is_keyring_expired(&self, now_unix_s: u64) -> bool {
        self.keyring().is_some_and(|keyring| now_unix_s >= keyring.expires_unix_s)
    }

    /// Trust a vendor's key on the administrator's word, after he compared the
    /// fingerprint, which is returned.
    ///
    /// # Errors
    /// [`TrustError`] for a key that signs anything but plugins, that was taken
    /// back, that is a development key in production, or that is there already.
    pub fn add_vendor_key(&mut self, key: PublicKey) -> Result<String, TrustError> {
        if key.role() != Role::Plugin {
            return Err(TrustError::Role { label: label(&key), role: key.role() });
        }
        self.check_usable(&key)?;
        if let Some(known) = self.vendors.iter().find(|known| known.id() == key.id()) {
            let (name, known) = (key.name().to_owned(), known.name().to_owned());
            return Err(TrustError::Key { source: KeyError::Duplicate { name, known } });
        }
        if self.vendors.len() >= VENDORS_MAX {
            return Err(TrustError::TooMany { what: "vendors' keys", max: VENDORS_MAX });
        }
        let fingerprint = key.fingerprint();
        self.vendors.push(key);
        self.settle();
        Ok(fingerprint)
    }

    /// Undo [`Trust::add_vendor_key`]; false when there is no such key.
    pub fn remove_vendor_key(&mut self, id: &KeyId) -> bool {
        let before = self.vendors.len();
        self.vendors.retain(|key| key.id() != *id);
        self.settle();
        self.vendors.len() < before
    }

    /// Trust a development key as if it stood in the keyring, so that a
    /// workshop needs no roots.
    ///
    /// # Errors
    /// [`TrustError`] in production, and for a key that does not say that it
    /// is one for development or that was taken back.
    pub fn add_development_key(&mut self, key: PublicKey) -> Result<(), TrustError> {
        self.check_usable(&key)?;
        if self.production || !key.is_development() {
            return Err(TrustError::NotDevelopment { label: label(&key) });
        }
        if matches!(key.role(), Role::Root) {
            return Err(TrustError::Role { label: label(&key), role: key.role() });
        }
        if self.development.len() >= VENDORS_MAX {
            return Err(TrustError::TooMany { what: "development keys", max: VENDORS_MAX });
        }
        self.development.push(key);
        self.settle();
        Ok(())
    }

    /// Withdraw the trust in a key on this device, whoever vouches for it. The
    /// roots stay: without them no keyring could ever repair a mistake.
    /// `name` and `reason` are for people: lines of 1 … 40 and 1 … 200 bytes.
    ///
    /// # Errors
    /// [`TrustError::Line`] for text that does not fit, [`TrustError::TooMany`]
    /// beyond 256 keys.
    pub fn revoke_key(&mut self, id: KeyId, name: &str, reason: &str) -> Result<(), TrustError> {
        if !is_line(name, 40) || !is_line(reason, 200) {
            return Err(TrustError::Line);
        }
        if self.withdrawn.len() >= WITHDRAWN_MAX {
            return Err(TrustError::TooMany { what: "withdrawn keys", max: WITHDRAWN_MAX });
        }
        self.withdrawn.retain(|row| row.key.id != id);
        let key = KeyLabel { name: name.to_owned(), id };
        self.withdrawn.push(Withdrawn { key, reason: reason.to_owned() });
        self.settle();
        Ok(())
    }

    /// Undo [`Trust::revoke_key`]; false when there is no such key.
    pub fn restore_key(&mut self, id: &KeyId) -> bool {
        let before = self.withdrawn.len();
        self.withdrawn.retain(|row| row.key.id != *id);
        self.settle();
        self.withdrawn.len() < before
    }

    /// Refuse releases of `plugin` by `signer` below the security version
    /// `least` from now on, and those that skip more than
    /// [`SECURITY_STEP_MAX`]. The host calls this when a release has proved
    /// itself, not when it is installed: until then the one before must be able
    /// to come back. What others sign under the same name is not touched.
    ///
    /// # Errors
    /// [`TrustError::TooMany`] beyond 256 plugins and signers.
    pub fn raise_floor(
        &mut self,
        plugin: &str,
        signer: KeyId,
        least: u32,
    ) -> Result<(), TrustError> {
        let key = (plugin.to_owned(), signer);
        if !self.proven.contains_key(&key) && self.proven.len() >= PROVEN_MAX {
            return Err(TrustError::TooMany { what: "security versions", max: PROVEN_MAX });
        }
        let floor = self.proven.entry(key).or_default();
        *floor = least.max(*floor);
        Ok(())
    }

    /// The keys that count now.
    #[must_use]
    pub const fn trusted(&self) -> &Keyring {
        &self.effective
    }

    /// The keys that are known and do not count, with the reason.
    #[must_use]
    pub fn refused(&self) -> &[RefusedKey] {
        &self.refused
    }

    /// Judge a plugin bundle by every rule there is.
    ///
    /// # Errors
    /// [`Refusal`] names the plugin, the key, the reason and what to do.
    pub fn plugin<'a>(&self, raw: &'a [u8]) -> Result<PluginBundle<'a>, Refusal> {
        let verified = self.verify(raw, Kind::Plugin)?;
        let signer = verified.signers().first().map(KeyLabel::of);
        let refused = |plugin: &Option<String>, reason| Refusal {
            kind: Kind::Plugin,
            plugin: plugin.clone(),
            key: signer.clone(),
            reason: Box::new(reason),
        };
        // By its hash, before anything looks inside.
        if let Some(row) = self.revoked_bundle(&verified) {
            let reason = Reason::RevokedBundle { reason: row.reason.clone() };
            return Err(refused(&Some(format!("{:?}", row.name)), reason));
        }
        let manifest = PluginManifest::parse(verified.manifest())
            .map_err(|source| refused(&None, Reason::Bundle(BundleError::Manifest { source })))?;
        let plugin = Some(format!("{:?} {}", manifest.name, manifest.version));
        self.check_rules(&manifest, verified.signers())
            .map_err(|reason| refused(&plugin, reason))?;
        verified.unpack(manifest).map_err(|source| refused(&plugin, Reason::Bundle(source)))
    }

    /// Judge firmware by its head: everything in front of the payload, which
    /// an [`Intake`](crate::Intake) judges afterwards. Gives the manifest and
    /// the length of the head.
    ///
    /// # Errors
    /// [`Refusal`] names the version, the key, the reason and what to do.
    pub fn firmware(
        &self,
        head: &[u8],
        device: &Device<'_>,
    ) -> Result<(FirmwareManifest, usize), Refusal> {
        let verified = self.verify(head, Kind::Firmware)?;
        let key = verified.signers().first().map(KeyLabel::of);
        let refused = |subject: &Option<String>, reason| Refusal {
            kind: Kind::Firmware,
            plugin: subject.clone(),
            key: key.clone(),
            reason: Box::new(reason),
        };
        if let Some(row) = self.revoked_bundle(&verified) {
            let reason = Reason::RevokedBundle { reason: row.reason.clone() };
            return Err(refused(&None, reason));
        }
        let manifest = FirmwareManifest::parse(verified.manifest())
            .map_err(|source| refused(&None, Reason::Bundle(BundleError::Manifest { source })))?;
        let version = Some(manifest.version.clone());
        device.check(&manifest).map_err(|reason| refused(&version, reason))?;
        let head_len = verified.head_len();
        Ok((manifest, head_len))
    }

    /// Judge a licence bundle; gives the signed bytes, which the licence gate
    /// reads.
    ///
    /// # Errors
    /// [`Refusal`] names the key, the reason and what to do.
    pub fn licence(&self, raw: &[u8]) -> Result<Vec<u8>, Refusal> {
        let verified = self.verify(raw, Kind::Licence)?;
        verified.manifest_alone().map(<[u8]>::to_vec).map_err(|source| Refusal {
            kind: Kind::Licence,
            plugin: None,
            key: verified.signers().first().map(KeyLabel::of),
            reason: Box::new(Reason::Bundle(source)),
        })
    }

    /// Verified by enough roots that the keyring in force has not taken back.
    fn signed_by_roots<'a>(&self, raw: &'a [u8]) -> Result<Verified<'a>, TrustError> {
        let needed = self.roots.threshold;
        let verified = Envelope::read(raw)
            .and_then(|envelope| envelope.verify(&self.roots.ring, Kind::Keyring))
            .map_err(|source| match source {
                BundleError::UnknownSigners { .. } => TrustError::TooFewRoots { found: 0, needed },
                source => TrustError::Bundle { source },
            })?;
        self.count(&verified, self.keyring())?;
        Ok(verified)
    }

    /// The roots that signed and that `revoking` does not take back.
    fn count(
        &self,
        verified: &Verified<'_>,
        revoking: Option<&KeyringManifest>,
    ) -> Result<Vec<String>, TrustError> {
        let counts = |signer: &&Signer| {
            revoking.is_none_or(|keyring| keyring.revoked_key(&signer.id()).is_none())
        };
        let names = verified.signers().iter().filter(counts).map(|s| s.name().to_owned());
        let names: Vec<String> = names.collect();
        let (found, needed) = (names.len(), self.roots.threshold);
        if found < needed { Err(TrustError::TooFewRoots { found, needed }) } else { Ok(names) }
    }

    fn check_follows(&self, new: &KeyringManifest, digest: Digest) -> Result<(), TrustError> {
        let (found, least) = (new.sequence, self.sequence_min);
        if found < least {
            return Err(TrustError::Older { found, least });
        }
        let same = self.keyring.as_ref().filter(|known| known.manifest.sequence == found);
        if same.is_some_and(|known| known.digest != digest) {
            return Err(TrustError::Fork { sequence: found });
        }
        Ok(())
    }

    /// A key that was taken back, or may not be used here, is not added.
    fn check_usable(&self, key: &PublicKey) -> Result<(), TrustError> {
        let label = label(key);
        match self.why_refused(&key.id(), key.name()) {
            None => Ok(()),
            Some(KeyRefusal::Development) => Err(TrustError::Development { label }),
            Some(KeyRefusal::Revoked { reason }) => Err(TrustError::Revoked { label, reason }),
            Some(KeyRefusal::Withdrawn { reason }) => Err(TrustError::Withdrawn { label, reason }),
        }
    }

    fn why_refused(&self, id: &KeyId, name: &str) -> Option<KeyRefusal> {
        if let Some(row) = self.keyring().and_then(|keyring| keyring.revoked_key(id)) {
            return Some(KeyRefusal::Revoked { reason: row.reason.clone() });
        }
        if let Some(row) = self.withdrawn.iter().find(|row| row.key.id == *id) {
            return Some(KeyRefusal::Withdrawn { reason: row.reason.clone() });
        }
        // A key that the keyring flags stays one for development under any name.
        let mut listed = self.keyring.iter().flat_map(|keyring| &keyring.keys);
        let is_development = is_development_name(name)
            || listed.any(|listed| listed.is_development && listed.id == *id);
        (self.production && is_development).then_some(KeyRefusal::Development)
    }

    /// Work out `effective` and `refused` again.
    fn settle(&mut self) {
        let mut effective = Keyring::new();
        let mut refused: Vec<RefusedKey> = Vec::new();
        for (key, origin) in self.candidates() {
            if effective.find(&key.id()).is_some() {
                continue;
            }
            match self.why_refused(&key.id(), key.name()) {
                Some(why) => refused.push(RefusedKey { key: label(&key), why }),
                None => effective.insert_from(key, origin).expect("it was not there before"),
            }
        }
        // Keys that nobody vouches for any more still get their own message.
        let revoked = self.keyring().into_iter().flat_map(|keyring| &keyring.revoked_keys);
        let gone = revoked
            .map(|row| KeyLabel { name: row.name.clone(), id: KeyId(row.id) })
            .chain(self.withdrawn.iter().map(|row| row.key.clone()));
        for key in gone {
            if let Some(why) = self.why_refused(&key.id, &key.name) {
                refused.push(RefusedKey { key, why });
            }
        }
        refused.sort_by_key(|row| row.key.id);
        refused.dedup_by_key(|row| row.key.id);
        (self.effective, self.refused) = (effective, refused);
    }

    /// Every key that somebody vouches for; the platform's word goes first.
    fn candidates(&self) -> Vec<(PublicKey, Origin)> {
        let listed = self.keyring.iter().flat_map(|keyring| &keyring.keys);
        let development = self.development.iter().map(|key| (key.clone(), Origin::Platform));
        let vendors = self.vendors.iter().map(|key| (key.clone(), Origin::Administrator));
        let listed = listed.map(|listed| (listed.key.clone(), listed.origin));
        listed.chain(development).chain(vendors).collect()
    }

    fn verify<'a>(&self, raw: &'a [u8], kind: Kind) -> Result<Verified<'a>, Refusal> {
        let refused = |key, reason| Refusal { kind, plugin: None, key, reason: Box::new(reason) };
        let envelope =
            Envelope::read(raw).map_err(|source| refused(None, Reason::Bundle(source)))?;
        envelope.verify(&self.effective, kind).map_err(|source| match source {
            BundleError::UnknownSigners { .. } => self.explain_unknown(&envelope, kind),
            BundleError::BadSignature { id, .. } => {
                let key = self.effective.find(&id).map(KeyLabel::of);
                refused(key, Reason::Bundle(source))
            }
            BundleError::WrongRole { .. } => {
                let key = envelope.signers().find_map(|id| self.effective.find(&id));
                refused(key.map(KeyLabel::of), Reason::Bundle(source))
            }
            source => refused(None, Reason::Bundle(source)),
        })
    }

    /// No key that signed counts: is it one that was taken back, or a stranger?
    fn explain_unknown(&self, envelope: &Envelope<'_>, kind: Kind) -> Refusal {
        let known = self.refused.iter().find(|row| envelope.signers().any(|id| id == row.key.id));
        let reason = match known.map(|row| row.why.clone()) {
            Some(KeyRefusal::Revoked { reason }) => Reason::RevokedKey { reason },
            Some(KeyRefusal::Withdrawn { reason }) => Reason::DistrustedKey { reason },
            Some(KeyRefusal::Development) => Reason::DevelopmentKey,
            None => {
                let all: Vec<String> = envelope.signers().map(|id| id.fingerprint()).collect();
                let fingerprints = all.join(" and ");
                match kind {
                    Kind::Licence => Reason::UnknownLicensor { fingerprints },
                    Kind::Firmware => Reason::UnknownMaker { fingerprints },
                    _ => Reason::UnknownKey { fingerprints },
                }
            }
        };
        let key = known.map(|row| row.key.clone());
        Refusal { kind, plugin: None, key, reason: Box::new(reason) }
    }

    fn revoked_bundle(&self, verified: &Verified<'_>) -> Option<&RevokedBundle> {
        let sha256 = Digest::of(verified.manifest());
        self.keyring()?.revoked_bundles.iter().find(|row| row.sha256 == sha256)
    }

    fn check_rules(&self, manifest: &PluginManifest, signers: &[Signer]) -> Result<(), Reason> {
        let found = manifest.security_version;
        let floors = self.keyring().into_iter().flat_map(|keyring| &keyring.floors);
        for floor in floors.filter(|floor| floor.plugin == manifest.name) {
            let (least, reason) = (floor.security_version, floor.reason.clone());
            if found < least {
                return Err(Reason::BelowFloor { found, least, reason });
            }
        }
        for signer in signers {
            let Some(&least) = self.proven.get(&(manifest.name.clone(), signer.id())) else {
                continue;
            };
            if found < least {
                return Err(Reason::RolledBack { found, least });
            }
            if found > least.saturating_add(SECURITY_STEP_MAX) {
                return Err(Reason::SecurityTooFar { found, least });
            }
        }
        let foreign = signers.first().filter(|_| !signers.iter().any(Signer::is_platform));
        match foreign.map(Signer::origin) {
            Some(origin) if manifest.is_licence_gate() => Err(Reason::ForeignGate { origin }),
            Some(origin) if !manifest.code.is_empty() => Err(Reason::ForeignCode { origin }),
            _ => Ok(()),
        }
    }
}

/// What firmware must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The product.
    pub product: &'a str,
    /// The hardware.
    pub board: &'a str,
    /// Least epoch that may start here.
    pub floor: u32,
    /// Epoch of the running system.
    pub running: u32,
    /// Version of the data that is kept here.
    pub schema: u32,
}

/// Epochs that one release may skip: a stolen key cannot lock later releases
/// out for ever (facts/firmware-trust.md §3, T8).
const EPOCH_STEP_MAX: u32 = 16;

/// Security versions that one release of a plugin may skip, for the same
/// reason.
pub const SECURITY_STEP_MAX: u32 = 16;

impl Device<'_> {
    fn check(&self, manifest: &FirmwareManifest) -> Result<(), Reason> {
        if manifest.product != self.product {
            let (found, wanted) = (manifest.product.clone(), self.product.to_owned());
            return Err(Reason::WrongProduct { found, wanted });
        }
        if !manifest.boards.iter().any(|board| board == self.board) {
            let (found, wanted) = (manifest.boards.join(", "), self.board.to_owned());
            return Err(Reason::WrongBoard { found, wanted });
        }
        let (found, least, running) = (manifest.epoch, self.floor, self.running);
        if found < least {
            return Err(Reason::EpochBelowFloor { found, least });
        }
        if found > running.saturating_add(EPOCH_STEP_MAX) {
            return Err(Reason::EpochTooFar { found, running });
        }
        let (readable_from, schema, here) = (manifest.readable_from, manifest.schema, self.schema);
        if readable_from > here || here > schema {
            return Err(Reason::Data { readable_from, schema, here });
        }
        Ok(())
    }
}

/// A keyring, the hash of its bytes, and its keys.
#[derive(Clone, Debug)]
struct InForce {
    manifest: KeyringManifest,
    digest: Digest,
    keys: Vec<Listed>,
}

/// A key in the keyring.
#[derive(Clone, Debug)]
struct Listed {
    key: PublicKey,
    id: KeyId,
    origin: Origin,
    is_development: bool,
}

impl InForce {
    /// Of a manifest that was checked, so that every entry is a key.
    fn new(manifest: KeyringManifest, digest: Digest) -> Self {
        let listed = manifest.keys.iter().filter_map(|entry| {
            let key = entry.public().ok()?;
            let (origin, is_development) = (entry.origin(), entry.is_development());
            Some(Listed { id: key.id(), key, origin, is_development })
        });
        let keys = listed.collect();
        Self { manifest, digest, keys }
    }
}

/// A key that the administrator took back.
#[derive(Clone, Debug)]
struct Withdrawn {
    key: KeyLabel,
    reason: String,
}

const ROOTS_MAX: usize = 8;
const VENDORS_MAX: usize = 64;
const WITHDRAWN_MAX: usize = 256;
const PROVEN_MAX: usize = 256;

fn label(key: &PublicKey) -> KeyLabel {
    KeyLabel { name: key.name().to_owned(), id: key.id() }
}

#[cfg(test)]
mod tests;
