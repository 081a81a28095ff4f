//! The disk: a GUID partition table (UEFI 2.10 §5.3) and what each partition
//! begins with. Names are what the first stage looks for; identities follow
//! from the names, so that two builds are the same bytes.
//!
//! | partition | MiB | holds |
//! |---|---:|---|
//! | `boot_a`, `boot_b` | 24 | boot image; the slot's signed header in the last 4 KiB |
//! | `root_a`, `root_b` | 64 | root file system and its hash tree |
//! | `state` | 1 | the state record, twice |
//! | `data` | the rest | everything that is kept |

use crate::SECTOR;
use evenkeel_signing::Digest;
use evenkeel_signing::slot::Slot;

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name, ASCII, at most 36 characters.
    pub name: &'static str,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
}

const MIB: u64 = 1 << 20;
/// Partitions begin at whole MiB: no erase block of a card is shared.
const LAYOUT: [(&str, u64); 5] =
    [("boot_a", 24), ("boot_b", 24), ("root_a", 64), ("root_b", 64), ("state", 1)];
/// Smallest data partition, in bytes: a full store of 80 MiB, twice while a
/// damaged one is salvaged, and the code and reports of plugins.
const DATA_MIN: u64 = 256 * MIB;
const ENTRIES: u64 = 128;
const ENTRY_LEN: u64 = 128;
const TABLE_SECTORS: u64 = ENTRIES * ENTRY_LEN / SECTOR;
/// "Linux filesystem data", as its bytes stand on a disk.
const TYPE: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// Why a disk cannot be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a disk of {0} bytes is too small or not whole MiB; {min} bytes are needed", min = MIN_LEN)]
pub struct TooSmall(u64);

/// Least length of a disk, in bytes.
pub const MIN_LEN: u64 = (1 + 24 + 24 + 64 + 64 + 1 + 1) * MIB + DATA_MIN;

/// Where everything goes on a disk of `len` bytes.
///
/// # Errors
/// [`TooSmall`].
pub fn layout(len: u64) -> Result<Vec<Partition>, TooSmall> {
    if len < MIN_LEN || !len.is_multiple_of(MIB) {
        return Err(TooSmall(len));
    }
    let mut start = MIB;
    let mut partitions = Vec::new();
    for (name, mib) in LAYOUT {
        partitions.push(Partition { name, start, len: mib * MIB });
        start += mib * MIB;
    }
    // The last MiB holds the table's copy.
    partitions.push(Partition { name: "data", start, len: len - MIB - start });
    Ok(partitions)
}

/// Name of the partition with the boot image of `slot`.
#[must_use]
pub const fn boot(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "boot_a",
        Slot::B => "boot_b",
    }
}

/// Name of the partition with the root of `slot`.
#[must_use]
pub const fn root(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "root_a",
        Slot::B => "root_b",
    }
}

/// The partition table of a disk of `len` bytes: pairs of place and bytes.
#[must_use]
pub fn table(len: u64, partitions: &[Partition]) -> Vec<(u64, Vec<u8>)> {
    let sectors = len / SECTOR;
    let mut entries = vec![0; (ENTRIES * ENTRY_LEN) as usize];
    for (row, partition) in entries.chunks_exact_mut(ENTRY_LEN as usize).zip(partitions) {
        row[..16].copy_from_slice(&TYPE);
        row[16..32].copy_from_slice(&identity(partition.name));
        row[32..40].copy_from_slice(&(partition.start / SECTOR).to_le_bytes());
        let last = (partition.start + partition.len) / SECTOR - 1;
        row[40..48].copy_from_slice(&last.to_le_bytes());
        for (unit, place) in partition.name.encode_utf16().zip(row[56..].chunks_exact_mut(2)) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    let crc = crc32fast::hash(&entries);
    let first = header(1, sectors - 1, 2, sectors, crc);
    let backup = header(sectors - 1, 1, sectors - 1 - TABLE_SECTORS, sectors, crc);
    vec![
        (0, protective(sectors)),
        (SECTOR, first),
        (2 * SECTOR, entries.clone()),
        ((sectors - 1 - TABLE_SECTORS) * SECTOR, entries),
        ((sectors - 1) * SECTOR, backup),
    ]
}

fn header(here: u64, other: u64, entries: u64, sectors: u64, crc: u32) -> Vec<u8> {
    let mut bytes = vec![0; SECTOR as usize];
    bytes[..8].copy_from_slice(b"EFI PART");
    bytes[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
    bytes[12..16].copy_from_slice(&92u32.to_le_bytes());
    let usable = (2 + TABLE_SECTORS, sectors - 2 - TABLE_SECTORS);
    for (at, word) in [(24, here), (32, other), (40, usable.0), (48, usable.1), (72, entries)] {
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes[56..72].copy_from_slice(&identity("disk"));
    bytes[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
    bytes[84..88].copy_from_slice(&(ENTRY_LEN as u32).to_le_bytes());
    bytes[88..92].copy_from_slice(&crc.to_le_bytes());
    let own = crc32fast::hash(&bytes[..92]);
    bytes[16..20].copy_from_slice(&own.to_le_bytes());
    bytes
}

/// The old table that keeps old tools from taking the disk for empty.
fn protective(sectors: u64) -> Vec<u8> {
    let mut bytes = vec![0; SECTOR as usize];
    bytes[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]);
    let count = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    bytes[458..462].copy_from_slice(&count.to_le_bytes());
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// A version 8 UUID that follows from a name.
fn identity(name: &str) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(format!("evenkeel partition {name}").as_bytes()).0[..16]);
    // Stored with its first fields little-endian: version in byte 7.
    id[7] = (id[7] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    #[test]
    fn sfdisk_finds_every_partition_and_nothing_wrong() {
        let len = 512 * MIB;
        let partitions = layout(len).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(len).unwrap();
        for (at, bytes) in table(len, &partitions) {
            file.write_all_at(&bytes, at).unwrap();
        }
        let run = |arguments: &[&str]| {
            let done = Command::new("/sbin/sfdisk").args(arguments).arg(&path).output().unwrap();
            let said = [done.stdout, done.stderr].concat();
            (done.status.success(), String::from_utf8(said).unwrap())
        };
        let (sound, said) = run(&["--verify"]);
        assert!(sound && said.contains("No errors"), "{said}");
        let (_, dump) = run(&["--dump"]);
        for partition in &partitions {
            let (start, sectors) = (partition.start / SECTOR, partition.len / SECTOR);
            let row = dump.lines().find(|l| l.contains(&format!("name=\"{}\"", partition.name)));
            let row = row.unwrap_or_else(|| panic!("{} is missing: {dump}", partition.name));
            let row: String = row.chars().filter(|c| !c.is_whitespace()).collect();
            assert!(row.contains(&format!("start={start},size={sectors},")), "{row}");
        }
    }

    #[test]
    fn partitions_follow_each_other() {
        let partitions = layout(MIN_LEN).unwrap();
        assert_eq!(partitions.last().unwrap().len, DATA_MIN);
        assert!(partitions.windows(2).all(|p| p[0].start + p[0].len == p[1].start));
        assert_eq!(layout(MIN_LEN - MIB), Err(TooSmall(MIN_LEN - MIB)));
        assert_eq!(layout(MIN_LEN + 1), Err(TooSmall(MIN_LEN + 1)));
    }
}
