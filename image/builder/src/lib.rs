//! What an image is made of, as pure functions from bytes to bytes: the hash
//! tree over a root file system, the archive that a kernel unpacks at its
//! start, the partition table, the disk that holds them, and the release that is
//! sealed of them. The boot image is the loader's (`image/loader`).
//!
//! No clock, no random number, no name of the machine goes in, so that two
//! builds of one source are the same bytes (facts/firmware-trust.md §11).

pub mod archive;
pub mod board;
pub mod disk;
pub mod release;
pub mod verity;

/// Bytes in a sector.
pub const SECTOR: u64 = 512;
