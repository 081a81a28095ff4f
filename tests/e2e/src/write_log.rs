//! The log that QEMU's `blklogwrites` keeps of everything a machine does to its
//! disk, in the kernel's format (dm-log-writes, `drivers/md/dm-log-writes.c`).
//!
//! | sector | | |
//! |---|---|---|
//! | 0 | `u64`, `u64`, `u64`, `u32` | magic, version 1, entries, bytes in a sector |
//! | then, per entry | `u64` × 4 | first sector on the disk, sectors, flags, bytes of a mark |
//! | behind it | | what was written; nothing of a flush or a discard |
//!
//! Flags: 1 flush, 2 kept at once (FUA), 4 discard, 8 mark. All little-endian.
//! While the machine runs, the number of entries is that of the last flush: what
//! comes behind it was promised to nobody.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const SURE: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// Most entries of a log.
const ENTRIES_MAX: u64 = 1 << 20;
/// Most bytes of one write.
const WRITE_MAX: u64 = 256 << 20;
/// Bytes of the head of the log, and of an entry.
const HEAD: usize = 28;
const ENTRY: usize = 32;

/// One thing that was done to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// These bytes were written.
    Write {
        /// Where on the disk, in bytes.
        at: u64,
        /// How many.
        len: u64,
        /// Where in the log they stand.
        data_at: u64,
        /// They are kept as soon as that is said (FUA).
        sure: bool,
    },
    /// Whatever was done before is kept from here on.
    Flush,
    /// Nothing that changes a byte: a mark, or what is not needed any more.
    Other,
}

/// Why a file is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be read, or ends early.
    #[error("the log of writes cannot be read at byte {at}")]
    Read {
        /// Where.
        at: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else.
    #[error("this is no log of writes, or one of another version")]
    Magic,
    /// A number without a meaning.
    #[error("entry {entry} of the log of writes has no meaning: {what}")]
    Meaning {
        /// Which, from 0; the head is none.
        entry: u64,
        /// What of it.
        what: &'static str,
    },
}

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    entries: u64,
    sector: u64,
}

/// How many entries are whole in the log of a machine that runs.
///
/// # Errors
/// [`LogError`].
pub fn count(path: &Path) -> Result<usize, LogError> {
    let mut file = File::open(path).map_err(|source| LogError::Read { at: 0, source })?;
    Ok(head(&mut file)?.entries as usize)
}

/// Everything that was done, in order.
///
/// # Errors
/// [`LogError`].
pub fn read(log: &mut (impl Read + Seek)) -> Result<Vec<Entry>, LogError> {
    let Head { entries, sector } = head(log)?;
    let mut at = sector;
    let mut all = Vec::new();
    for number in 0..entries {
        let bytes: [u8; ENTRY] = bytes(log, at)?;
        let (entry, data) = parse(&bytes, number, sector, at + sector)?;
        at += sector + data.next_multiple_of(sector);
        all.push(entry);
    }
    let end = log.seek(SeekFrom::End(0)).map_err(|source| LogError::Read { at, source })?;
    if at > end {
        let source = io::ErrorKind::UnexpectedEof.into();
        return Err(LogError::Read { at: end, source });
    }
    Ok(all)
}

fn head(log: &mut (impl Read + Seek)) -> Result<Head, LogError> {
    let bytes: [u8; HEAD] = bytes(log, 0)?;
    let (entries, sector) = (number(&bytes, 16), number(&bytes, 24) & u64::from(u32::MAX));
    if (number(&bytes, 0), number(&bytes, 8)) != (MAGIC, VERSION) {
        return Err(LogError::Magic);
    }
    if !sector.is_power_of_two() || !(512..=65_536).contains(&sector) {
        return Err(LogError::Meaning { entry: 0, what: "the length of a sector" });
    }
    if entries > ENTRIES_MAX {
        return Err(LogError::Meaning { entry: 0, what: "more entries than are ever made" });
    }
    Ok(Head { entries, sector })
}

/// The entry, and how many bytes of data are behind it, at `data_at`.
fn parse(
    bytes: &[u8; ENTRY],
    entry: u64,
    sector: u64,
    data_at: u64,
) -> Result<(Entry, u64), LogError> {
    let wrong = |what| LogError::Meaning { entry, what };
    let (first, count, flags) = (number(bytes, 0), number(bytes, 8), number(bytes, 16));
    if flags & !(FLUSH | SURE | DISCARD | MARK) != 0 {
        return Err(wrong("an unknown flag"));
    }
    if flags & MARK != 0 {
        let len = number(bytes, 24);
        return if len <= WRITE_MAX { Ok((Entry::Other, len)) } else { Err(wrong("a long mark")) };
    }
    if flags & DISCARD != 0 {
        return Ok((Entry::Other, 0));
    }
    if flags & FLUSH != 0 {
        // One that brings data along is never made here.
        return if count == 0 { Ok((Entry::Flush, 0)) } else { Err(wrong("a flush that writes")) };
    }
    let in_bytes = |sectors: u64| sectors.checked_mul(sector);
    let at = in_bytes(first).ok_or(wrong("a place that no disk has"))?;
    let len = in_bytes(count).filter(|len| *len <= WRITE_MAX).ok_or(wrong("a long write"))?;
    Ok((Entry::Write { at, len, data_at, sure: flags & SURE != 0 }, len))
}

fn bytes<const N: usize>(log: &mut (impl Read + Seek), at: u64) -> Result<[u8; N], LogError> {
    let mut bytes = [0; N];
    log.seek(SeekFrom::Start(at))
        .and_then(|_| log.read_exact(&mut bytes))
        .map_err(|source| LogError::Read { at, source })?;
    Ok(bytes)
}

/// A number at this place; what is behind the end is zero.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    for (to, from) in eight.iter_mut().zip(&bytes[at..]) {
        *to = *from;
    }
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn log(entries: &[([u64; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![];
        for word in [MAGIC, VERSION, entries.len() as u64] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(512u32.to_le_bytes());
        bytes.resize(512, 0);
        for (words, data) in entries {
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes
    }

    fn parsed(bytes: &[u8]) -> Result<Vec<Entry>, LogError> {
        read(&mut Cursor::new(bytes))
    }

    #[test]
    fn what_was_done_is_read_in_order() {
        let (one, mark) = ([7; 512], b"halfway");
        let bytes = log(&[
            ([3, 1, 0, 0], &one),
            ([0, 0, FLUSH, 0], &[]),
            ([0, 0, MARK, 7], mark),
            ([8, 4, DISCARD, 0], &[]),
            ([9, 2, SURE, 0], &[8; 1_024]),
        ]);
        let entries = parsed(&bytes).unwrap();
        let Entry::Write { at: 1_536, len: 512, data_at, sure: false } = entries[0] else {
            panic!("{entries:?}")
        };
        assert_eq!(bytes[data_at as usize..][..512], one);
        assert_eq!(entries[1..4], [Entry::Flush, Entry::Other, Entry::Other]);
        let Entry::Write { at: 4_608, len: 1_024, data_at, sure: true } = entries[4] else {
            panic!("{entries:?}")
        };
        assert_eq!(bytes[data_at as usize..], [8; 1_024]);
    }

    #[test]
    fn a_log_that_is_cut_off_or_nonsense_is_told() {
        let bytes = log(&[([3, 1, 0, 0], &[7; 512]), ([0, 0, FLUSH, 0], &[])]);
        for end in 0..bytes.len() - 480 {
            assert!(matches!(parsed(&bytes[..end]), Err(LogError::Read { .. })), "{end}");
        }
        let mut other = bytes.clone();
        other[0] ^= 1;
        assert!(matches!(parsed(&other), Err(LogError::Magic)));
        let mut endless = bytes.clone();
        endless[16..24].fill(0xff);
        assert!(matches!(parsed(&endless), Err(LogError::Meaning { .. })));
        let mut sector = bytes;
        sector[24] = 1;
        assert!(matches!(parsed(&sector), Err(LogError::Meaning { .. })));
        for words in [[3, 1, 64, 0], [u64::MAX, 1, 0, 0], [0, u64::MAX, 0, 0], [0, 1, FLUSH, 0]] {
            let found = parsed(&log(&[(words, &[])]));
            assert!(matches!(found, Err(LogError::Meaning { entry: 0, .. })), "{words:?}");
        }
    }
}
