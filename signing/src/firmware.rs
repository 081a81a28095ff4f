//! A firmware bundle: what its manifest says, and how its parts are taken in
//! piece by piece, each piece checked before it is written
//! (facts/firmware-trust.md §5 and §6).
//!
//! A device never holds a whole bundle. It reads the head (header, signatures,
//! manifest), asks [`Trust::firmware`](crate::Trust::firmware), and then feeds
//! the payload to an [`Intake`], which says where in the file the next chunk
//! is, how long it is, and — after it has seen it — whether it may be written.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::envelope::ALIGNMENT;
use crate::manifest::{LINE_80, LINE_200, NAME, is_line, is_name, rule};
use crate::{Digest, ManifestError};

/// Bytes of a part that are checked at once; the last chunk is shorter.
pub const CHUNK: u64 = 1 << 20;

/// What a signed firmware bundle says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmwareManifest {
    /// Version of this format, [`FirmwareManifest::FORMAT`].
    pub format: u32,
    /// Always `firmware`.
    pub kind: String,
    /// What it is for, e.g. `evenkeel`.
    pub product: String,
    /// Hardware that it runs on, 1 … 8 names such as `qemu-x86_64`.
    pub boards: Vec<String>,
    /// Semantic version, for people; it may go down.
    pub version: String,
    /// Raised by releases that close a hole; 1 or more.
    pub epoch: u32,
    /// When it was built, in seconds since 1970 UTC; for people.
    pub built_unix_s: u64,
    /// What it was built from, e.g. a commit: one line of 1 … 80 bytes.
    pub source: String,
    /// True when the release closes a hole.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub security: bool,
    /// Version of the data that it writes.
    pub schema: u32,
    /// Least version of data that it reads.
    pub readable_from: u32,
    /// What is new, for people: one line of 1 … 200 bytes each, at most 40.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Payload, in the order of the file: `boot`, `root`, `header`, and if the
    /// maker likes `sbom`. The header comes last, so that a slot is nothing
    /// before it is whole.
    pub parts: Vec<FirmwarePart>,
    /// Length of the whole bundle in bytes.
    pub total_length: u64,
}

/// One piece of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmwarePart {
    /// `boot`, `root`, `sbom` or `header`.
    pub name: String,
    /// Length in bytes, padding not counted; 1 or more.
    pub size: u64,
    /// Hash of those bytes.
    pub sha256: Digest,
    /// Hash of each [`CHUNK`] of them.
    pub chunks: Vec<Digest>,
}

impl FirmwarePart {
    /// Describe `bytes`.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
            chunks: bytes.chunks(CHUNK as usize).map(Digest::of).collect(),
        }
    }
}

impl FirmwareManifest {
    /// The version of this format.
    pub const FORMAT: u32 = 1;
    /// The value of [`FirmwareManifest::kind`].
    pub const KIND: &'static str = "firmware";
    /// The kernel with the first stage.
    pub const BOOT: &'static str = "boot";
    /// The root file system with its hash tree.
    pub const ROOT: &'static str = "root";
    /// The bill of materials (CycloneDX, JSON).
    pub const SBOM: &'static str = "sbom";
    /// The slot's signed header.
    pub const HEADER: &'static str = "header";

    /// Parse and check a manifest. Give it signed bytes only.
    ///
    /// # Errors
    /// [`ManifestError`] names the field and the rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| ManifestError::Json { source })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Check every rule that the field documentation states.
    ///
    /// # Errors
    /// [`ManifestError`] names the field and the rule that it breaks.
    pub fn check(&self) -> Result<(), ManifestError> {
        let format = "1 is the only format that this version knows";
        rule(self.format == Self::FORMAT, "format", format)?;
        rule(self.kind == Self::KIND, "kind", "must be \"firmware\"")?;
        rule(is_name(&self.product), "product", NAME)?;
        rule((1..=8).contains(&self.boards.len()), "boards", "1 to 8")?;
        rule(self.boards.iter().all(|board| is_board(board)), "boards", BOARD)?;
        rule(semver::Version::parse(&self.version).is_ok(), "version", "must be like 1.2.3")?;
        rule(self.epoch > 0, "epoch", "1 or more")?;
        rule(is_line(&self.source, 80), "source", LINE_80)?;
        rule(self.readable_from <= self.schema, "readable_from", "at most schema")?;
        rule(self.notes.len() <= 40, "notes", "at most 40")?;
        rule(self.notes.iter().all(|note| is_line(note, 200)), "notes", LINE_200)?;
        self.check_parts()
    }

    fn check_parts(&self) -> Result<(), ManifestError> {
        let known = [Self::BOOT, Self::ROOT, Self::SBOM, Self::HEADER];
        let names: BTreeSet<_> = self.parts.iter().map(|part| part.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(ManifestError::PartName { name: name.chars().take(40).collect() });
        }
        rule(names.len() == self.parts.len(), "parts", "each name once")?;
        let whole = [Self::BOOT, Self::ROOT].iter().all(|name| names.contains(name));
        rule(whole, "parts", "boot, root and header are needed")?;
        let last = self.parts.last().is_some_and(|part| part.name == Self::HEADER);
        rule(last, "parts", "the header comes last")?;
        for part in &self.parts {
            rule((1..=PART_MAX).contains(&part.size), "parts.size", "1 byte to 256 MiB")?;
            let chunks = part.size.div_ceil(CHUNK) == part.chunks.len() as u64;
            rule(chunks, "parts.chunks", "one hash for each 1 MiB")?;
        }
        let header = self.parts.last().map(|part| part.size);
        let fits = header == Some(crate::slot::header::HEADER_LEN as u64);
        rule(fits, "parts.size", "a header has 4096 bytes")
    }
}

/// Largest part, in bytes.
const PART_MAX: u64 = 256 << 20;
const BOARD: &str = "1 to 31 of a-z, 0-9, '-' and '_'";

fn is_board(text: &str) -> bool {
    (1..=31).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// The next piece of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Part that it belongs to.
    pub part: &'a str,
    /// Where it begins in that part, in bytes.
    pub at: u64,
    /// Where it begins in the file, in bytes.
    pub file_at: u64,
    /// Its length in bytes, at most [`CHUNK`].
    pub len: usize,
    /// Zeros that follow it in the file.
    pub padding: usize,
}

/// Takes the payload of a verified manifest piece by piece. Whoever feeds it
/// writes a piece only after [`Intake::take`] has said so.
#[derive(Clone, Debug)]
pub struct Intake {
    parts: Vec<FirmwarePart>,
    total_length: u64,
    part: usize,
    at: u64,
    file_at: u64,
    whole: Sha256,
}

/// Why a piece must not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Nothing more is wanted.
    #[error("{0} bytes follow the end of the bundle; download it again")]
    TrailingBytes(u64),
    /// Lengths that do not fit together.
    #[error("the bundle has {found} bytes and states {stated}; download it again")]
    Length {
        /// What the parts add up to.
        found: u64,
        /// What the manifest says.
        stated: u64,
    },
    /// Too short or too long a piece: a mistake of the caller or a file cut off.
    #[error("the bundle is cut off in the part {part:?}: {found} of {needed} bytes are there")]
    CutOff {
        /// The part.
        part: String,
        /// Bytes given.
        found: usize,
        /// Bytes wanted.
        needed: usize,
    },
    /// Altered or damaged.
    #[error(
        "the part {part:?} was changed after signing, at {at} bytes; download the bundle again"
    )]
    Hash {
        /// The part.
        part: String,
        /// Where, in bytes from its beginning.
        at: u64,
    },
    /// Something is hidden between the parts.
    #[error("the padding after the part {part:?} is not zero; download the bundle again")]
    Padding {
        /// The part.
        part: String,
    },
}

impl Intake {
    /// Begin behind a head of `head_len` bytes.
    ///
    /// # Errors
    /// [`IntakeError::Length`] when the parts do not add up to what the
    /// manifest states.
    pub fn new(manifest: &FirmwareManifest, head_len: usize) -> Result<Self, IntakeError> {
        let padded = |part: &FirmwarePart| part.size.next_multiple_of(ALIGNMENT as u64);
        let found = head_len as u64 + manifest.parts.iter().map(padded).sum::<u64>();
        let stated = manifest.total_length;
        if found != stated {
            return Err(IntakeError::Length { found, stated });
        }
        Ok(Self {
            parts: manifest.parts.clone(),
            total_length: stated,
            part: 0,
            at: 0,
            file_at: head_len as u64,
            whole: Sha256::new(),
        })
    }

    /// The piece that is wanted next; `None`: everything is in.
    #[must_use]
    pub fn next(&self) -> Option<Piece<'_>> {
        let part = self.parts.get(self.part)?;
        let len = (part.size - self.at).min(CHUNK);
        let end = self.at + len;
        let padding =
            if end == part.size { end.next_multiple_of(ALIGNMENT as u64) - end } else { 0 };
        Some(Piece {
            part: &part.name,
            at: self.at,
            file_at: self.file_at,
            len: len as usize,
            padding: padding as usize,
        })
    }

    /// How far it is: bytes of the file that were taken, and its length.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        (self.file_at, self.total_length)
    }

    /// Take the next piece with its padding. It may be written when this says
    /// `Ok`; after an error nothing more is taken.
    ///
    /// # Errors
    /// [`IntakeError`] says what is wrong with it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        let Some(piece) = self.next() else {
            return Err(IntakeError::TrailingBytes(bytes.len() as u64));
        };
        let (len, needed) = (piece.len, piece.len + piece.padding);
        let row = &self.parts[self.part];
        let part = || row.name.clone();
        let at = self.at;
        if bytes.len() != needed {
            return Err(IntakeError::CutOff { part: part(), found: bytes.len(), needed });
        }
        let (data, padding) = bytes.split_at(len);
        let wanted = row.chunks.get((at / CHUNK) as usize);
        if wanted != Some(&Digest::of(data)) {
            return Err(IntakeError::Hash { part: part(), at });
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Err(IntakeError::Padding { part: part() });
        }
        self.whole.update(data);
        let (end, size, sha256) = (at + len as u64, row.size, row.sha256);
        if end == size {
            // The chunks stand for the part only if somebody holds them to it.
            if Digest(core::mem::take(&mut self.whole).finalize().into()) != sha256 {
                return Err(IntakeError::Hash { part: part(), at: 0 });
            }
            (self.part, self.at) = (self.part + 1, 0);
        } else {
            self.at = end;
        }
        self.file_at += needed as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
