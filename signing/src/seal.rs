//! Making bundles: the writing half of the container.

use crate::envelope::{
    ALIGNMENT, HEADER_LEN, MAGIC, MANIFEST_LEN_MAX, SIGNATURE_LEN, SIGNATURES_MAX, signed_message,
};
use crate::{
    BundleError, Digest, Envelope, FirmwareManifest, FirmwarePart, KeyId, Keyring, KeyringError,
    KeyringManifest, Kind, ManifestError, Part, PluginManifest, Role, SecretKey,
};
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// Sign a plugin. `parts` are pairs of name and bytes in the order of the file;
/// `manifest.parts` and `manifest.total_length` are filled in here.
///
/// # Errors
/// [`SealError`] when the manifest breaks a rule, a key may not sign plugins,
/// or a limit is exceeded.
pub fn seal_plugin(
    mut manifest: PluginManifest,
    parts: &[(&str, &[u8])],
    keys: &[&SecretKey],
) -> Result<Vec<u8>, SealError> {
    manifest.parts = parts
        .iter()
        .map(|(name, bytes)| Part {
            name: (*name).to_owned(),
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
        })
        .collect();
    manifest.total_length = 0;
    manifest.check().map_err(|source| SealError::Manifest { source })?;
    let payload: Vec<&[u8]> = parts.iter().map(|(_, bytes)| *bytes).collect();
    seal_with_length(Kind::Plugin, &payload, keys, |length| {
        let settled = manifest.total_length == length;
        manifest.total_length = length;
        serde_json::to_vec(&manifest).map(|text| (text, settled))
    })
}

/// Sign firmware. `parts` are pairs of name and bytes in the order of the file,
/// the header last; `manifest.parts` and `manifest.total_length` are filled in
/// here.
///
/// # Errors
/// [`SealError`] when the manifest breaks a rule, a key may not sign firmware,
/// or a limit is exceeded.
pub fn seal_firmware(
    mut manifest: FirmwareManifest,
    parts: &[(&str, &[u8])],
    keys: &[&SecretKey],
) -> Result<Vec<u8>, SealError> {
    manifest.parts = parts.iter().map(|(name, bytes)| FirmwarePart::of(name, bytes)).collect();
    manifest.total_length = 0;
    manifest.check().map_err(|source| SealError::Manifest { source })?;
    let payload: Vec<&[u8]> = parts.iter().map(|(_, bytes)| *bytes).collect();
    seal_with_length(Kind::Firmware, &payload, keys, |length| {
        let settled = manifest.total_length == length;
        manifest.total_length = length;
        serde_json::to_vec(&manifest).map(|text| (text, settled))
    })
}

/// Sign a keyring. Further roots add their signature with [`countersign`].
///
/// # Errors
/// [`SealError`] when the keyring breaks a rule, a key is no root, or a limit
/// is exceeded.
pub fn seal_keyring(
    manifest: &KeyringManifest,
    roots: &[&SecretKey],
) -> Result<Vec<u8>, SealError> {
    manifest.check().map_err(|source| SealError::Keyring { source })?;
    let text = serde_json::to_vec(manifest).map_err(|source| SealError::Encode { source })?;
    seal(Kind::Keyring, &text, &[], roots)
}

/// Add the signature of `key` to a keyring or licence that a key of `trusted`
/// has signed: what nobody vouches for is not signed.
///
/// # Errors
/// [`SealError::Unverified`] when no key of `trusted` signed `raw`,
/// [`SealError::AlreadySigned`] when `key` has, [`SealError::KeyCount`] when
/// there is no room for another signature.
pub fn countersign(raw: &[u8], trusted: &Keyring, key: &SecretKey) -> Result<Vec<u8>, SealError> {
    let unverified = |source| SealError::Unverified { source };
    let kind = key.role().signs();
    let envelope = Envelope::read(raw).map_err(unverified)?;
    let verified = envelope.verify(trusted, kind).map_err(unverified)?;
    let manifest = verified.manifest_alone().map_err(unverified)?;
    let mut signatures = envelope.signatures().to_vec();
    let id = key.public().id();
    if signatures.iter().any(|(signer, _)| *signer == id) {
        return Err(SealError::AlreadySigned { name: key.public().name().to_owned() });
    }
    signatures.push((id, key.sign(&signed_message(kind, manifest))));
    match signatures.len() {
        ..=SIGNATURES_MAX => Ok(write(kind, manifest, &[], &signatures)),
        found => Err(SealError::KeyCount { found }),
    }
}

/// Sign a manifest of any kind, as it stands. The caller has put the hashes of
/// `parts` and the total length into it; [`seal_plugin`] does so for plugins.
///
/// # Errors
/// [`SealError`] when a key may not sign this kind or a limit is exceeded.
pub fn seal(
    kind: Kind,
    manifest: &[u8],
    parts: &[&[u8]],
    keys: &[&SecretKey],
) -> Result<Vec<u8>, SealError> {
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return Err(SealError::KeyCount { found: keys.len() });
    }
    if let Some(key) = keys.iter().find(|key| key.role().signs() != kind) {
        return Err(SealError::WrongRole {
            name: key.public().name().to_owned(),
            role: key.role(),
            kind,
        });
    }
    if manifest.is_empty() || manifest.len() > MANIFEST_LEN_MAX {
        return Err(SealError::ManifestLength { found: manifest.len() });
    }
    let length = total_length(manifest.len(), parts, keys.len());
    if length > kind.len_max() {
        return Err(SealError::Oversized { kind, found: length });
    }
    let message = signed_message(kind, manifest);
    let sign = |key: &&SecretKey| (key.public().id(), key.sign(&message));
    let signatures: Vec<_> = keys.iter().map(sign).collect();
    Ok(write(kind, manifest, parts, &signatures))
}

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A field of the manifest breaks a rule.
    #[error("the manifest would be refused; correct the plugin's description")]
    Manifest {
        /// Which field and rule.
        source: ManifestError,
    },
    /// A field of the keyring breaks a rule.
    #[error("the keyring would be refused; correct its description")]
    Keyring {
        /// Which field and rule.
        source: KeyringError,
    },
    /// Something that nobody vouches for.
    #[error("no signature is added to what no trusted key has signed")]
    Unverified {
        /// Why.
        source: BundleError,
    },
    /// A key counts once.
    #[error("the key {name:?} has signed this already; let another root sign")]
    AlreadySigned {
        /// Name of the key.
        name: String,
    },
    /// The manifest cannot be written as JSON.
    #[error("the manifest cannot be written")]
    Encode {
        /// Why.
        source: serde_json::Error,
    },
    /// No keys, or too many.
    #[error("{found} keys were given, 1 to {SIGNATURES_MAX} can sign a bundle")]
    KeyCount {
        /// How many.
        found: usize,
    },
    /// A key with another role.
    #[error("the key {name:?} signs {role} bundles; use a key made for {kind} bundles")]
    WrongRole {
        /// Name of the key.
        name: String,
        /// Its role.
        role: Role,
        /// What was to be signed.
        kind: Kind,
    },
    /// Manifest length out of range.
    #[error("the manifest has {found} bytes, allowed are 1 to {MANIFEST_LEN_MAX}")]
    ManifestLength {
        /// Its length.
        found: usize,
    },
    /// Longer than devices accept.
    #[error("the bundle would have {found} bytes, devices accept {max}", max = kind.len_max())]
    Oversized {
        /// Kind of the bundle.
        kind: Kind,
        /// Its length.
        found: usize,
    },
}

/// Sign a manifest that states the length of the file that it is part of.
/// `with` writes it with a length, and says whether it had that length before;
/// more digits only ever make it longer, so this settles after a few rounds.
fn seal_with_length(
    kind: Kind,
    payload: &[&[u8]],
    keys: &[&SecretKey],
    mut with: impl FnMut(u64) -> serde_json::Result<(Vec<u8>, bool)>,
) -> Result<Vec<u8>, SealError> {
    let mut length = 0;
    loop {
        let (text, settled) = with(length).map_err(|source| SealError::Encode { source })?;
        let found = total_length(text.len(), payload, keys.len()) as u64;
        if settled && found == length {
            return seal(kind, &text, payload, keys);
        }
        length = found;
    }
}

fn total_length(manifest_len: usize, parts: &[&[u8]], keys: usize) -> usize {
    let payload: usize = parts.iter().map(|part| part.len().next_multiple_of(ALIGNMENT)).sum();
    HEADER_LEN + keys * SIGNATURE_LEN + manifest_len + payload
}

fn write(
    kind: Kind,
    manifest: &[u8],
    parts: &[&[u8]],
    signatures: &[(KeyId, [u8; 64])],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(total_length(manifest.len(), parts, signatures.len()));
    out.extend_from_slice(MAGIC);
    for word in [kind as u32, manifest.len() as u32, signatures.len() as u32, 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for (id, signature) in signatures {
        out.extend_from_slice(&id.0.0);
        out.extend_from_slice(signature);
    }
    out.extend_from_slice(manifest);
    for part in parts {
        out.extend_from_slice(part);
        out.resize(out.len() + part.len().next_multiple_of(ALIGNMENT) - part.len(), 0);
    }
    out
}
