//! A release: what goes into a slot, and the bundle that brings it there.

use crate::verity;
use evenkeel_signing::slot::header::{HEADER_LEN, Header, HeaderError};
use evenkeel_signing::{Digest, FirmwareManifest, SealError, SecretKey, seal_firmware};

/// What the images are for.
pub const PRODUCT: &str = "evenkeel";
/// Raised by the releases that close a hole.
pub const EPOCH: u32 = 1;
/// Largest root and bundle, so that slots keep room for years of releases.
const ROOT_MAX: usize = 24 << 20;
const BUNDLE_MAX: usize = 32 << 20;
/// Version of the data that this release writes, and the least that it reads.
const SCHEMA: (u32, u32) = (1, 1);

/// What the releases of the same programs share.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Kernel and first stage.
    pub boot: Vec<u8>,
    /// Root file system, without its hash tree.
    pub root: Vec<u8>,
    /// Which sources they were made from, e.g. a revision.
    pub source: String,
}

/// A release, for a slot and for a bundle.
#[derive(Clone, Debug)]
pub struct Release {
    /// Root file system with its hash tree.
    pub root: Vec<u8>,
    /// Signed header of the slot.
    pub header: [u8; HEADER_LEN],
    /// All of it, signed.
    pub bundle: Vec<u8>,
}

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It has grown too much.
    #[error("the {what} has {len} bytes, more than {max}")]
    TooLarge {
        /// Root or bundle.
        what: &'static str,
        /// Its length.
        len: usize,
        /// Most.
        max: usize,
    },
    /// The header.
    #[error("the slot's header cannot be sealed")]
    Header(#[from] HeaderError),
    /// The bundle.
    #[error("the bundle cannot be sealed")]
    Bundle(#[from] SealError),
}

impl Parts {
    /// Seal them as `version` with `epoch` for `board`. A development key makes
    /// a development image, and says so.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(
        &self,
        board: &str,
        version: &str,
        epoch: u32,
        key: &SecretKey,
    ) -> Result<Release, ReleaseError> {
        let salt = salt(version);
        let tree = verity::plant(self.root.clone(), salt, [0; 16]);
        at_most("root", tree.image.len(), ROOT_MAX)?;
        let header = Header {
            epoch,
            development: key.public().is_development(),
            product: PRODUCT.to_owned(),
            board: board.to_owned(),
            version: version.to_owned(),
            boot: Digest::of(&self.boot),
            boot_len: self.boot.len() as u64,
            root: tree.root,
            salt,
            data_blocks: tree.data_blocks,
            schema: SCHEMA.0,
            readable_from: SCHEMA.1,
        };
        let header = header.seal(key)?;
        let parts = [
            (FirmwareManifest::BOOT, self.boot.as_slice()),
            (FirmwareManifest::ROOT, tree.image.as_slice()),
            (FirmwareManifest::HEADER, &header[..]),
        ];
        let bundle = seal_firmware(manifest(board, version, epoch, &self.source), &parts, &[key])?;
        at_most("bundle", bundle.len(), BUNDLE_MAX)?;
        Ok(Release { root: tree.image, header, bundle })
    }
}

fn manifest(board: &str, version: &str, epoch: u32, source: &str) -> FirmwareManifest {
    FirmwareManifest {
        format: FirmwareManifest::FORMAT,
        kind: FirmwareManifest::KIND.to_owned(),
        product: PRODUCT.to_owned(),
        boards: vec![board.to_owned()],
        version: version.to_owned(),
        epoch,
        built_unix_s: 0,
        source: source.to_owned(),
        security: false,
        schema: SCHEMA.0,
        readable_from: SCHEMA.1,
        notes: Vec::new(),
        parts: Vec::new(),
        total_length: 0,
    }
}

/// Follows from the version, so that two builds have one.
fn salt(version: &str) -> [u8; 32] {
    Digest::of(format!("evenkeel root {version}").as_bytes()).0
}

fn at_most(what: &'static str, len: usize, max: usize) -> Result<(), ReleaseError> {
    if len <= max { Ok(()) } else { Err(ReleaseError::TooLarge { what, len, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::{Device, Role, Roots, Trust};

    #[test]
    fn a_release_is_the_same_each_time_and_is_trusted_where_its_key_is() {
        let key = SecretKey::generate(Role::Firmware, "development").unwrap();
        let parts = Parts { boot: vec![1; 9_000], root: vec![2; 70_000], source: "r1".into() };
        let release = || parts.release("test", "0.2.0", 3, &key).unwrap();
        let made = release();
        assert_eq!(made.bundle, release().bundle);
        let mut trust = Trust::new(Roots::none(), false).unwrap();
        trust.add_development_key(key.public()).unwrap();
        let device = Device { product: PRODUCT, board: "test", floor: 3, running: 3, schema: 1 };
        let (manifest, _) = trust.firmware(&made.bundle, &device).unwrap();
        let header = Header::verify(&made.header, trust.trusted()).unwrap();
        assert!(header.development);
        assert_eq!((manifest.version, manifest.epoch), (header.version, header.epoch));
        let platform = SecretKey::generate(Role::Firmware, "release-1").unwrap();
        let made = parts.release("test", "0.2.0", 3, &platform).unwrap();
        assert_eq!((made.header[12], made.header.len()), (0, HEADER_LEN), "for production");
    }

    #[test]
    fn what_has_grown_too_much_is_refused() {
        let key = SecretKey::generate(Role::Firmware, "development").unwrap();
        let large = Parts { boot: vec![1], root: vec![0; ROOT_MAX], source: "r1".into() };
        let refused = large.release("test", "0.2.0", 1, &key);
        assert!(matches!(refused, Err(ReleaseError::TooLarge { what: "root", .. })));
    }
}
