//! A verified plugin: manifest and parts, ready to be used.

use crate::{BundleError, Digest, PluginManifest, Signer, Verified};
use alloc::vec::Vec;

/// A plugin bundle of which everything has been checked: signature, manifest
/// and the hash of every part. It borrows the bytes of the bundle.
#[derive(Debug)]
pub struct PluginBundle<'a> {
    manifest: PluginManifest,
    manifest_sha256: Digest,
    parts: Vec<&'a [u8]>,
    component: &'a [u8],
    signers: Vec<Signer>,
}

impl<'a> Verified<'a> {
    /// Parse the plugin manifest and check every part against it.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] for a manifest that breaks a rule, and what
    /// [`Verified::parts`] refuses.
    pub fn plugin(&self) -> Result<PluginBundle<'a>, BundleError> {
        let refused = |source| BundleError::Manifest { source };
        let manifest = PluginManifest::parse(self.manifest()).map_err(refused)?;
        self.unpack(manifest)
    }

    /// Check every part against the manifest that was parsed from these bytes.
    pub(crate) fn unpack(&self, manifest: PluginManifest) -> Result<PluginBundle<'a>, BundleError> {
        let parts = self.parts(&manifest.parts, manifest.total_length)?;
        let component = find(&manifest, &parts, PluginManifest::COMPONENT).unwrap_or_default();
        let manifest_sha256 = Digest::of(self.manifest());
        let signers = self.signers().to_vec();
        Ok(PluginBundle { manifest, manifest_sha256, parts, component, signers })
    }
}

impl<'a> PluginBundle<'a> {
    /// What the plugin says about itself.
    #[must_use]
    pub const fn manifest(&self) -> &PluginManifest {
        &self.manifest
    }

    /// Hash of the signed manifest: it stands for the whole bundle, and a
    /// keyring takes a bundle back by it.
    #[must_use]
    pub const fn manifest_sha256(&self) -> Digest {
        self.manifest_sha256
    }

    /// The WebAssembly component.
    #[must_use]
    pub const fn component(&self) -> &'a [u8] {
        self.component
    }

    /// The part with this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&'a [u8]> {
        find(&self.manifest, &self.parts, name)
    }

    /// The trusted keys that signed, at least one, and on whose word each is
    /// trusted.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// True when a key of the appliance's maker signed.
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.signers.iter().any(Signer::is_platform)
    }
}

fn find<'a>(manifest: &PluginManifest, parts: &[&'a [u8]], name: &str) -> Option<&'a [u8]> {
    let at = manifest.parts.iter().position(|part| part.name == name)?;
    parts.get(at).copied()
}
