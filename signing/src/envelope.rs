//! The container: fixed header, signatures, manifest, payload
//! (facts/firmware-trust.md §5).
//!
//! ```text
//! 0   8  magic "EVKBDL1\n"
//! 8   4  kind                1 firmware, 2 keyring, 3 plugin, 4 licence
//! 12  4  manifest length     1 … 65,536
//! 16  4  signature count     1 … 8
//! 20  4  reserved            0
//! 24  96 × count             key id (SHA-256 of the public key), signature
//! ..     manifest
//! ..     parts in manifest order, each padded with zeros to 4,096
//! ```
//!
//! Integers are little-endian. What is signed, by plain ed25519, is
//! `"evenkeel-bundle-v1\0" ‖ kind ‖ SHA-512(manifest)`; the manifest carries
//! the hashes of the parts and the length of the whole file.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use sha2::{Digest as _, Sha512};

use crate::{Digest, KeyId, Keyring, ManifestError, Part, Role, Signer};

/// What a bundle contains. Each kind has its own signing role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// The appliance's own software.
    Firmware = 1,
    /// A new set of trusted keys.
    Keyring = 2,
    /// A plugin.
    Plugin = 3,
    /// A licence.
    Licence = 4,
}

impl Kind {
    /// Longest bundle of this kind, in bytes.
    #[must_use]
    pub const fn len_max(self) -> usize {
        match self {
            Self::Firmware => 512 << 20,
            Self::Plugin => 8 << 20,
            Self::Keyring | Self::Licence => 1 << 20,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Firmware, Self::Keyring, Self::Plugin, Self::Licence]
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Firmware => "firmware",
            Self::Keyring => "keyring",
            Self::Plugin => "plugin",
            Self::Licence => "licence",
        })
    }
}

/// A bundle of which only the lengths are known. Nothing in it is trusted.
///
/// Of firmware, which no device holds in memory, the head is enough: what
/// stands in front of the payload, at most [`Envelope::HEAD_LEN_MAX`] bytes.
#[derive(Debug)]
pub struct Envelope<'a> {
    raw: &'a [u8],
    kind: Kind,
    signatures: Vec<(KeyId, [u8; 64])>,
    manifest: Range<usize>,
}

impl<'a> Envelope<'a> {
    /// The longest head, in bytes.
    pub const HEAD_LEN_MAX: usize = HEADER_LEN + SIGNATURES_MAX * SIGNATURE_LEN + MANIFEST_LEN_MAX;

    /// Read the header and the table of signatures.
    ///
    /// # Errors
    /// [`BundleError`] when `raw` is no bundle, breaks a limit, or ends before
    /// the manifest does.
    pub fn read(raw: &'a [u8]) -> Result<Self, BundleError> {
        if !raw.starts_with(&MAGIC[..raw.len().min(MAGIC.len())]) || raw.is_empty() {
            return Err(BundleError::NotABundle);
        }
        if raw.len() < HEADER_LEN {
            return Err(BundleError::Truncated { needed: HEADER_LEN, found: raw.len() });
        }
        let number = word(raw, 8);
        let kind = Kind::from_number(number).ok_or(BundleError::UnknownKind { number })?;
        if raw.len() > kind.len_max() {
            return Err(BundleError::Oversized { kind, found: raw.len() });
        }
        let manifest_len = word(raw, 12) as usize;
        if manifest_len == 0 || manifest_len > MANIFEST_LEN_MAX {
            return Err(BundleError::ManifestLength { found: manifest_len });
        }
        let count = word(raw, 16) as usize;
        match count {
            0 => return Err(BundleError::Unsigned),
            1..=SIGNATURES_MAX => {}
            found => return Err(BundleError::TooManySignatures { found }),
        }
        if word(raw, 20) != 0 {
            return Err(BundleError::Reserved);
        }
        let start = HEADER_LEN + count * SIGNATURE_LEN;
        let manifest = start..start + manifest_len;
        if raw.len() < manifest.end {
            return Err(BundleError::Truncated { needed: manifest.end, found: raw.len() });
        }
        let signatures =
            raw[HEADER_LEN..start].chunks_exact(SIGNATURE_LEN).map(signature).collect();
        Ok(Self { raw, kind, signatures, manifest })
    }

    /// What the bundle claims to contain.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The keys that are said to have signed it; nothing is checked yet.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(id, _)| *id)
    }

    /// The signatures, in the order of the file; nothing is checked yet.
    pub(crate) fn signatures(&self) -> &[(KeyId, [u8; 64])] {
        &self.signatures
    }

    /// Where the manifest ends and the payload begins, in bytes.
    #[must_use]
    pub const fn head_len(&self) -> usize {
        self.manifest.end
    }

    /// The manifest before anybody vouched for it: for tests.
    #[cfg(test)]
    pub(crate) fn unverified_manifest(&self) -> &'a [u8] {
        &self.raw[self.manifest.clone()]
    }

    /// Size of the whole file in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.raw.len()
    }

    /// Check that a trusted key whose role is to sign `kind` signed this bundle.
    ///
    /// Signatures by unknown keys are ignored. Every signature by a known key
    /// of the right role must hold, and a key counts once however often it
    /// signed. One key is enough here; who needs more counts
    /// [`Verified::signers`].
    ///
    /// # Errors
    /// [`BundleError`] names what is missing: the kind, a known key, its role,
    /// or a signature that holds.
    pub fn verify(&self, keyring: &Keyring, kind: Kind) -> Result<Verified<'a>, BundleError> {
        if self.kind != kind {
            return Err(BundleError::WrongKind { wanted: kind, found: self.kind });
        }
        let manifest = &self.raw[self.manifest.clone()];
        let message = signed_message(kind, manifest);
        let mut signers: Vec<Signer> = Vec::new();
        let mut other_role = None;
        for (id, signature) in &self.signatures {
            let Some(key) = keyring.find(id) else { continue };
            if key.role().signs() != kind {
                other_role = other_role.or(Some(key));
                continue;
            }
            if !key.key().verifies(&message, signature) {
                return Err(BundleError::BadSignature { name: key.name().to_owned(), id: *id });
            }
            if !signers.contains(key) {
                signers.push(key.clone());
            }
        }
        if signers.is_empty() {
            return Err(match other_role {
                Some(key) => {
                    BundleError::WrongRole { name: key.name().to_owned(), role: key.role(), kind }
                }
                None => BundleError::UnknownSigners { ids: Ids(self.signers().collect()) },
            });
        }
        let payload = &self.raw[self.manifest.end..];
        let head_len = self.head_len();
        Ok(Verified { manifest, payload, head_len, len: self.raw.len(), signers })
    }
}

/// A bundle whose manifest a trusted key has signed.
#[derive(Debug)]
pub struct Verified<'a> {
    manifest: &'a [u8],
    payload: &'a [u8],
    head_len: usize,
    len: usize,
    signers: Vec<Signer>,
}

impl<'a> Verified<'a> {
    /// The signed bytes. Of plugins, [`Verified::plugin`] makes more.
    #[must_use]
    pub const fn manifest(&self) -> &'a [u8] {
        self.manifest
    }

    /// Where the payload begins, in bytes.
    #[must_use]
    pub const fn head_len(&self) -> usize {
        self.head_len
    }

    /// The signed bytes of a bundle that is a manifest and nothing else: a
    /// keyring, a licence.
    ///
    /// # Errors
    /// [`BundleError::TrailingBytes`] when anything follows the manifest.
    pub fn manifest_alone(&self) -> Result<&'a [u8], BundleError> {
        match self.payload.len() {
            0 => Ok(self.manifest),
            extra => Err(BundleError::TrailingBytes { extra }),
        }
    }

    /// The trusted keys that signed, each once, at least one.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Take the payload apart as the signed manifest says.
    ///
    /// # Errors
    /// [`BundleError`] when the file is longer or shorter than `total_length`
    /// or than its parts, when padding is not zero, or a hash does not match.
    pub fn parts(&self, list: &[Part], total_length: u64) -> Result<Vec<&'a [u8]>, BundleError> {
        let wanted = usize::try_from(total_length).unwrap_or(usize::MAX);
        self.compare_length(wanted)?;
        let mut rest = self.payload;
        let mut parts = Vec::with_capacity(list.len());
        for part in list {
            parts.push(take_part(part, &mut rest, self.len)?);
        }
        if !rest.is_empty() {
            return Err(BundleError::TrailingBytes { extra: rest.len() });
        }
        Ok(parts)
    }

    fn compare_length(&self, wanted: usize) -> Result<(), BundleError> {
        if self.len < wanted {
            return Err(BundleError::Truncated { needed: wanted, found: self.len });
        }
        if self.len > wanted {
            return Err(BundleError::TrailingBytes { extra: self.len - wanted });
        }
        Ok(())
    }
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Another kind of file.
    #[error("this file is not an Evenkeel bundle; choose the file that the vendor published")]
    NotABundle,
    /// Cut off.
    #[error("the bundle is cut off: {found} of {needed} bytes are there; download it again")]
    Truncated {
        /// Least number of bytes it must have.
        needed: usize,
        /// Bytes present.
        found: usize,
    },
    /// Longer than it says.
    #[error("{extra} bytes follow the end of the bundle; download it again")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// Longer than allowed.
    #[error("a {kind} bundle has at most {max} bytes, this one has {found}", max = kind.len_max())]
    Oversized {
        /// Kind stated in the header.
        kind: Kind,
        /// Bytes present.
        found: usize,
    },
    /// A kind from the future, or damage.
    #[error(
        "the bundle is of kind {number}, which this version does not know; \
        update the appliance first"
    )]
    UnknownKind {
        /// Kind stated in the header.
        number: u32,
    },
    /// A bundle in the wrong place.
    #[error("this is a {found} bundle, a {wanted} bundle is wanted here")]
    WrongKind {
        /// What was asked for.
        wanted: Kind,
        /// Kind stated in the header.
        found: Kind,
    },
    /// Manifest length out of range.
    #[error("the header states a manifest of {found} bytes, allowed are 1 to {MANIFEST_LEN_MAX}")]
    ManifestLength {
        /// Length stated in the header.
        found: usize,
    },
    /// No signature.
    #[error("the bundle is not signed; only signed bundles are accepted")]
    Unsigned,
    /// Signature count out of range.
    #[error("the header states {found} signatures, allowed are 1 to {SIGNATURES_MAX}")]
    TooManySignatures {
        /// Count stated in the header.
        found: usize,
    },
    /// Reserved bytes in use.
    #[error("reserved header bytes are in use; the bundle is damaged or made for a later version")]
    Reserved,
    /// No known signer.
    #[error(
        "the bundle is signed only by keys that are not trusted here ({ids}); \
        add the vendor's public key if you trust it"
    )]
    UnknownSigners {
        /// Their ids.
        ids: Ids,
    },
    /// A known signer that may not sign this.
    #[error("the key {name:?} signed this {kind} bundle, but its role is to sign {role} bundles")]
    WrongRole {
        /// Name of the key.
        name: String,
        /// What it may sign.
        role: Role,
        /// What it signed.
        kind: Kind,
    },
    /// Changed after signing, or forged.
    #[error(
        "the signature by {name:?} does not hold: the bundle was changed after signing; \
        do not use it (key {id})"
    )]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Its id.
        id: KeyId,
    },
    /// Signed but unusable.
    #[error("the bundle's manifest is refused, ask the vendor for a correct one")]
    Manifest {
        /// Why.
        source: ManifestError,
    },
    /// A part was changed.
    #[error(
        "the part {part:?} was changed after signing, download the bundle again: its SHA-256 is \
        {found}"
    )]
    PartHash {
        /// Name of the part.
        part: String,
        /// Hash of the bytes present.
        found: Digest,
    },
    /// Padding was changed.
    #[error("the padding after the part {part:?} is not zero; download the bundle again")]
    Padding {
        /// Name of the part.
        part: String,
    },
}

/// Key ids for a message, separated by commas.
#[derive(Debug)]
pub struct Ids(pub Vec<KeyId>);

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

pub(crate) const MAGIC: &[u8; 8] = b"EVKBDL1\n";
pub(crate) const HEADER_LEN: usize = 24;
pub(crate) const SIGNATURE_LEN: usize = 32 + 64;
pub(crate) const SIGNATURES_MAX: usize = 8;
pub(crate) const MANIFEST_LEN_MAX: usize = 64 << 10;
pub(crate) const ALIGNMENT: usize = 4096;

/// The bytes that are signed: the domain keeps a signature from being used
/// elsewhere, the kind keeps a plugin from being passed off as firmware.
pub(crate) fn signed_message(kind: Kind, manifest: &[u8]) -> Vec<u8> {
    let mut message = b"evenkeel-bundle-v1\0".to_vec();
    message.extend_from_slice(&(kind as u32).to_le_bytes());
    message.extend_from_slice(&Sha512::digest(manifest));
    message
}

/// The little-endian integer at `at`; the caller has checked the length.
fn word(raw: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&raw[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// One row of the signature table, `SIGNATURE_LEN` bytes.
fn signature(row: &[u8]) -> (KeyId, [u8; 64]) {
    let (mut id, mut signature) = ([0; 32], [0; 64]);
    id.copy_from_slice(&row[..32]);
    signature.copy_from_slice(&row[32..]);
    (KeyId(Digest(id)), signature)
}

fn take_part<'a>(part: &Part, rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], BundleError> {
    let cut_off = |needed: usize| BundleError::Truncated { needed, found: len };
    let size = usize::try_from(part.size).map_err(|_| cut_off(usize::MAX))?;
    let padded = size.checked_next_multiple_of(ALIGNMENT).ok_or_else(|| cut_off(usize::MAX))?;
    let Some((slot, after)) = rest.split_at_checked(padded) else {
        return Err(cut_off((len - rest.len()).saturating_add(padded)));
    };
    let (bytes, padding) = slot.split_at(size);
    let found = Digest::of(bytes);
    if found != part.sha256 {
        return Err(BundleError::PartHash { part: part.name.clone(), found });
    }
    if padding.iter().any(|byte| *byte != 0) {
        return Err(BundleError::Padding { part: part.name.clone() });
    }
    *rest = after;
    Ok(bytes)
}
