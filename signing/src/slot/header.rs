//! The signed header of a slot: what it holds, in a fixed layout that the
//! first stage reads without a parser (facts/firmware-trust.md §5).
//!
//! | byte | | |
//! |-----:|---|---|
//! | 0 | 8 bytes | magic, "EVKSLOT1" |
//! | 8 | `u32` | epoch |
//! | 12 | `u32` | 1: a development image |
//! | 16 | 32 bytes | product, text |
//! | 48 | 32 bytes | board, text |
//! | 80 | 32 bytes | version, text |
//! | 112 | 32 bytes | SHA-256 of the boot image (kernel and first stage) |
//! | 144 | `u64` | length of the boot image |
//! | 152 | 32 bytes | root of the hash tree over the root file system |
//! | 184 | 32 bytes | salt of the hash tree |
//! | 216 | `u64` | data blocks under the hash tree, of 4,096 bytes |
//! | 224 | `u32` | version of the data that this release writes |
//! | 228 | `u32` | least version of data that it reads |
//! | 232 … 3967 | | 0 |
//! | 3968 | 32 bytes | id of the key that signed |
//! | 4000 | 64 bytes | ed25519 over `"evenkeel-slot-v1\0" ‖ SHA-512(bytes 0 … 3967)` |
//! | 4064 … 4095 | | 0 |
//!
//! Numbers are little-endian; a text is ASCII, filled with zeros. The hash
//! tree lies behind the data: one superblock, then the tree
//! (facts/image-recipe.md §4.1).

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha512};

use crate::{Digest, KeyId, Keyring, Kind, Role, SecretKey};

/// Length of a header, in bytes.
pub const HEADER_LEN: usize = 4096;
/// Bytes in a block of a slot.
pub const BLOCK: u64 = 4096;

const MAGIC: &[u8; 8] = b"EVKSLOT1";
const TEXT: usize = 32;
const USED: usize = 232;
const SIGNED: usize = 3968;
const SIGNATURE: usize = 4000;
const END: usize = 4064;

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Raised by releases that close a hole; 1 or more.
    pub epoch: u32,
    /// Made with development keys, for a workshop.
    pub development: bool,
    /// What it is for, e.g. `evenkeel`.
    pub product: String,
    /// Hardware that it runs on, e.g. `qemu-x86_64`.
    pub board: String,
    /// Semantic version, for people.
    pub version: String,
    /// SHA-256 of the boot image.
    pub boot: Digest,
    /// Its length in bytes.
    pub boot_len: u64,
    /// Root of the hash tree over the root file system.
    pub root: Digest,
    /// Salt of the hash tree.
    pub salt: [u8; 32],
    /// Data blocks under the hash tree, of [`BLOCK`] bytes.
    pub data_blocks: u64,
    /// Version of the data that it writes.
    pub schema: u32,
    /// Least version of data that it reads.
    pub readable_from: u32,
}

/// Why a slot must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a header.
    #[error("the slot holds no system")]
    Empty,
    /// Signed by a stranger.
    #[error("no firmware key of the platform signed the slot's header, but {0}")]
    UnknownKey(KeyId),
    /// Signed by a key that signs something else.
    #[error("the key {name:?} signed the slot's header, but its role is to sign {role} bundles")]
    WrongRole {
        /// Name of the key.
        name: String,
        /// What it may sign.
        role: Role,
    },
    /// Altered or damaged.
    #[error("the signature of the slot's header by {name:?} does not hold")]
    Signature {
        /// Name of the key.
        name: String,
    },
    /// A field without a meaning.
    #[error("the field `{0}` of the slot's header has no meaning")]
    Field(&'static str),
}

impl Header {
    /// Sign the header.
    ///
    /// # Errors
    /// [`HeaderError::WrongRole`] for a key that does not sign firmware,
    /// [`HeaderError::Field`] for a text that does not fit.
    pub fn seal(&self, key: &SecretKey) -> Result<[u8; HEADER_LEN], HeaderError> {
        let public = key.public();
        if key.role().signs() != Kind::Firmware {
            return Err(HeaderError::WrongRole {
                name: public.name().to_owned(),
                role: key.role(),
            });
        }
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[12] = u8::from(self.development);
        for (field, text, at) in [
            ("product", &self.product, 16),
            ("board", &self.board, 48),
            ("version", &self.version, 80),
        ] {
            if !is_text(text.as_bytes()) {
                return Err(HeaderError::Field(field));
            }
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        bytes[112..144].copy_from_slice(&self.boot.0);
        bytes[144..152].copy_from_slice(&self.boot_len.to_le_bytes());
        bytes[152..184].copy_from_slice(&self.root.0);
        bytes[184..216].copy_from_slice(&self.salt);
        bytes[216..224].copy_from_slice(&self.data_blocks.to_le_bytes());
        bytes[224..228].copy_from_slice(&self.schema.to_le_bytes());
        bytes[228..232].copy_from_slice(&self.readable_from.to_le_bytes());
        self.check()?;
        bytes[SIGNED..SIGNATURE].copy_from_slice(&public.id().0.0);
        let signature = key.sign(&message(&bytes));
        bytes[SIGNATURE..END].copy_from_slice(&signature);
        Ok(bytes)
    }

    /// Check who signed, then read.
    ///
    /// # Errors
    /// [`HeaderError`] when the slot must not start.
    pub fn verify(bytes: &[u8; HEADER_LEN], trusted: &Keyring) -> Result<Self, HeaderError> {
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderError::Empty);
        }
        let id = KeyId(Digest(array(bytes, SIGNED)));
        let key = trusted.find(&id).ok_or(HeaderError::UnknownKey(id))?;
        let name = || key.name().to_owned();
        if key.role().signs() != Kind::Firmware {
            return Err(HeaderError::WrongRole { name: name(), role: key.role() });
        }
        if !key.key().verifies(&message(bytes), &array(bytes, SIGNATURE)) {
            return Err(HeaderError::Signature { name: name() });
        }
        Self::parse(bytes)
    }

    /// The first 8 bytes of the SHA-256 of a header: how the state record
    /// names it.
    #[must_use]
    pub fn tag(bytes: &[u8; HEADER_LEN]) -> [u8; 8] {
        let mut tag = [0; 8];
        tag.copy_from_slice(&Digest::of(bytes).0[..8]);
        tag
    }

    /// Where the hash tree begins behind its superblock, in blocks.
    #[must_use]
    pub const fn tree_block(&self) -> u64 {
        self.data_blocks + 1
    }

    fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        if bytes[USED..SIGNED].iter().chain(&bytes[END..]).any(|byte| *byte != 0) {
            return Err(HeaderError::Field("reserved"));
        }
        let header = Self {
            epoch: u32::from_le_bytes(array(bytes, 8)),
            development: match u32::from_le_bytes(array(bytes, 12)) {
                0 => false,
                1 => true,
                _ => return Err(HeaderError::Field("development")),
            },
            product: text(bytes, 16).ok_or(HeaderError::Field("product"))?,
            board: text(bytes, 48).ok_or(HeaderError::Field("board"))?,
            version: text(bytes, 80).ok_or(HeaderError::Field("version"))?,
            boot: Digest(array(bytes, 112)),
            boot_len: u64::from_le_bytes(array(bytes, 144)),
            root: Digest(array(bytes, 152)),
            salt: array(bytes, 184),
            data_blocks: u64::from_le_bytes(array(bytes, 216)),
            schema: u32::from_le_bytes(array(bytes, 224)),
            readable_from: u32::from_le_bytes(array(bytes, 228)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), HeaderError> {
        let rule = |holds, field| if holds { Ok(()) } else { Err(HeaderError::Field(field)) };
        rule(self.epoch > 0, "epoch")?;
        rule((1..=LEN_MAX).contains(&self.boot_len), "boot_len")?;
        rule((1..=LEN_MAX / BLOCK).contains(&self.data_blocks), "data_blocks")?;
        rule(self.readable_from <= self.schema, "readable_from")
    }
}

/// Longest boot image or root, in bytes: no slot is near it.
const LEN_MAX: u64 = 1 << 30;

fn message(bytes: &[u8; HEADER_LEN]) -> Vec<u8> {
    let mut message = b"evenkeel-slot-v1\0".to_vec();
    message.extend_from_slice(&Sha512::digest(&bytes[..SIGNED]));
    message
}

/// `N` bytes at `at`, which the layout says are there.
fn array<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// 1 … 31 bytes of visible ASCII.
fn is_text(bytes: &[u8]) -> bool {
    (1..TEXT).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

fn text(bytes: &[u8; HEADER_LEN], at: usize) -> Option<String> {
    let field = &bytes[at..at + TEXT];
    let len = field.iter().position(|byte| *byte == 0)?;
    let (text, rest) = field.split_at(len);
    let whole = is_text(text) && rest.iter().all(|byte| *byte == 0);
    whole.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, SecretKey};

    fn key(role: Role, name: &str, seed: u8) -> SecretKey {
        SecretKey::parse(&alloc::format!(
            "evenkeel-secret-key-1 {role} {name} {}",
            alloc::format!("{seed:02x}").repeat(32)
        ))
        .unwrap()
    }

    fn sample() -> Header {
        Header {
            epoch: 3,
            development: false,
            product: "evenkeel".into(),
            board: "qemu-x86_64".into(),
            version: "1.2.3".into(),
            boot: Digest([1; 32]),
            boot_len: 4_000_000,
            root: Digest([2; 32]),
            salt: [3; 32],
            data_blocks: 3_000,
            schema: 2,
            readable_from: 1,
        }
    }

    fn ring() -> Keyring {
        let mut ring = Keyring::new();
        for key in [key(Role::Firmware, "release", 1), key(Role::Plugin, "plugins", 2)] {
            ring.insert_from(key.public(), Origin::Platform).unwrap();
        }
        ring
    }

    #[test]
    fn a_header_goes_both_ways() {
        let bytes = sample().seal(&key(Role::Firmware, "release", 1)).unwrap();
        assert_eq!(Header::verify(&bytes, &ring()).unwrap(), sample());
        assert_eq!(sample().tree_block(), 3_001);
    }

    #[test]
    fn any_change_is_refused() {
        let bytes = sample().seal(&key(Role::Firmware, "release", 1)).unwrap();
        for at in (0..HEADER_LEN).filter(|at| *at < 240 || *at % 64 == 0 || *at > SIGNED - 8) {
            let mut changed = bytes;
            changed[at] ^= 1;
            let error = Header::verify(&changed, &ring()).unwrap_err();
            match at {
                0..8 => assert_eq!(error, HeaderError::Empty, "{at}"),
                SIGNED..SIGNATURE => assert!(matches!(error, HeaderError::UnknownKey(_)), "{at}"),
                END.. => assert_eq!(error, HeaderError::Field("reserved"), "{at}"),
                _ => assert!(matches!(error, HeaderError::Signature { .. }), "{at}"),
            }
        }
    }

    #[test]
    fn only_a_firmware_key_of_the_platform_counts() {
        let wrong = sample().seal(&key(Role::Plugin, "plugins", 2));
        assert!(matches!(wrong, Err(HeaderError::WrongRole { .. })));
        let foreign = sample().seal(&key(Role::Firmware, "foreign", 9)).unwrap();
        assert!(matches!(Header::verify(&foreign, &ring()), Err(HeaderError::UnknownKey(_))));
        let mut posing = foreign;
        posing[SIGNED..SIGNATURE]
            .copy_from_slice(&key(Role::Plugin, "plugins", 2).public().id().0.0);
        assert!(matches!(Header::verify(&posing, &ring()), Err(HeaderError::WrongRole { .. })));
    }

    #[test]
    fn what_means_nothing_is_not_signed() {
        type Break = fn(&mut Header);
        let cases: [(&str, Break); 6] = [
            ("epoch", |h| h.epoch = 0),
            ("product", |h| h.product.clear()),
            ("board", |h| h.board = "x".repeat(32)),
            ("version", |h| h.version = "1 2".into()),
            ("data_blocks", |h| h.data_blocks = 0),
            ("readable_from", |h| h.readable_from = 3),
        ];
        for (field, breaks) in cases {
            let mut header = sample();
            breaks(&mut header);
            let error = header.seal(&key(Role::Firmware, "release", 1)).unwrap_err();
            assert_eq!(error, HeaderError::Field(field));
        }
    }
}
