//! State that outlives the guard: two copies of a small value, each whole or
//! refused, written in turn so that a power cut or a bad sector costs at most
//! the newer one.
//!
//! # Format of a copy
//! | bytes | meaning |
//! |------:|---------|
//! | 4 | `EVKS` |
//! | 2 | version of the content, little-endian |
//! | 2 | zero |
//! | 8 | generation, little-endian: the greater one is newer |
//! | n | the value, `postcard` |
//! | 4 | CRC-32 (ISO-HDLC) of all the above, little-endian |
//!
//! A value is encoded straight into its file: it is nowhere in memory a second
//! time. Only the main thread comes here; the cycle thread never touches a disk.

use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use evenkeel_core::time::Nanos;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const MAGIC: &[u8; 4] = b"EVKS";
const HEAD: usize = 16;
/// Longest copy, bytes.
const COPY_MAX: usize = 1 << 20;
const NAMES: [&str; 2] = ["guard-kept.a", "guard-kept.b"];

/// How often changed values are written when nothing is urgent.
const EVERY: Nanos = Nanos::from_secs(3_600);
/// How often urgent ones are, at most, whatever flutters. A latch stays until a
/// person resets it, so that this cannot wear the flash out; and a guard that
/// dies within this time of two trips forgets the second at worst, whose
/// breaker is open all the same.
const URGENT_EVERY: Nanos = Nanos::from_secs(1);

/// Why a copy is not used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// Its check sum does not fit, or it is none of ours.
    #[error("is damaged")]
    Damaged,
    /// Another version of the guard wrote it.
    #[error("is of version {found}, not {expected}")]
    Version {
        /// Version found.
        found: u16,
        /// Version of this guard.
        expected: u16,
    },
}

/// Keeps a value in a folder.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    version: u16,
    /// Of the newest copy, and which of the two it is.
    generation: u64,
    newest: usize,
    /// When was last written, or tried.
    tried: Option<Nanos>,
    /// Something urgent is not on the disk yet.
    urgent: bool,
}

/// What was found at the start.
#[derive(Debug)]
pub struct Found<T> {
    /// The newest whole value.
    pub value: Option<T>,
    /// Copies that are there but not used: place and reason.
    pub refused: Vec<(PathBuf, CopyError)>,
}

impl Keeper {
    /// Open the state in `folder`: the newest whole copy counts, a damaged one
    /// is reported and will be written over first.
    pub fn open<T: DeserializeOwned>(folder: &Path, version: u16) -> (Self, Found<T>) {
        let mut found = Found { value: None, refused: Vec::new() };
        let mut keeper = Self {
            folder: folder.to_owned(),
            version,
            generation: 0,
            newest: 1,
            tried: None,
            urgent: false,
        };
        for (place, name) in NAMES.iter().enumerate() {
            let path = folder.join(name);
            match read(&path).and_then(|copy| take_apart::<T>(&copy, version)) {
                Ok((generation, value)) if generation > keeper.generation => {
                    (keeper.generation, keeper.newest) = (generation, place);
                    found.value = Some(value);
                }
                Ok(_) => {}
                Err(CopyError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => found.refused.push((path, error)),
            }
        }
        (keeper, found)
    }

    /// Offer the present value: it is written when the time has come. True when
    /// it was. What was urgent once stays urgent until it is written. Whether
    /// it differs from what lies on the disk is not asked: the time that the
    /// guard has run is part of it, and always does.
    ///
    /// # Errors
    /// When it cannot be encoded or written; it is tried again in its time,
    /// and the other copy stays.
    pub fn offer(&mut self, now: Nanos, value: &impl Serialize, urgent: bool) -> io::Result<bool> {
        self.urgent |= urgent;
        let pause = if self.urgent { URGENT_EVERY } else { EVERY };
        if self.tried.is_some_and(|tried| now.since(tried) < pause) {
            return Ok(false);
        }
        self.tried = Some(now);
        self.write(value)?;
        Ok(true)
    }

    /// Write the value now, before an orderly stop.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub fn close(mut self, value: &impl Serialize) -> io::Result<()> {
        self.write(value)
    }

    /// Replace the older copy, whole or not at all, whatever happens in between.
    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        let (generation, place) = (self.generation + 1, 1 - self.newest);
        let fresh = self.folder.join("guard-kept.new");
        let mut copy = FreshCopy::new(fs::File::create(&fresh)?);
        copy.put(MAGIC)?;
        copy.put(&self.version.to_le_bytes())?;
        copy.put(&[0; 2])?;
        copy.put(&generation.to_le_bytes())?;
        copy.put_value(value)?;
        copy.finish()?.sync_all()?;
        fs::rename(&fresh, self.folder.join(NAMES[place]))?;
        fs::File::open(&self.folder)?.sync_all()?;
        (self.generation, self.newest, self.urgent) = (generation, place, false);
        Ok(())
    }
}

/// A copy that is being written.
struct FreshCopy {
    file: BufWriter<fs::File>,
    sum: Digest<'static, u32>,
    len: usize,
    /// Why the value could not be written; the encoder has no word for it.
    failed: Option<io::Error>,
}

impl FreshCopy {
    fn new(file: fs::File) -> Self {
        Self { file: BufWriter::new(file), sum: CRC32.digest(), len: 0, failed: None }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len();
        if self.len + 4 > COPY_MAX {
            return Err(io::Error::other(format!("state of more than {COPY_MAX} bytes")));
        }
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }

    fn put_value(&mut self, value: &impl Serialize) -> io::Result<()> {
        postcard::serialize_with_flavor(value, Encoded(self))
            .map_err(|error| self.failed.take().unwrap_or_else(|| io::Error::other(error)))
    }

    /// The check sum behind it.
    fn finish(mut self) -> io::Result<fs::File> {
        self.file.write_all(&self.sum.finalize().to_le_bytes())?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// What `postcard` encodes goes into a copy as it comes.
struct Encoded<'a>(&'a mut FreshCopy);

impl Flavor for Encoded<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put(bytes).map_err(|error| {
            self.0.failed = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CopyError> {
    let mut copy = Vec::new();
    let file = fs::File::open(path).map_err(CopyError::Read)?;
    file.take(COPY_MAX as u64 + 1).read_to_end(&mut copy).map_err(CopyError::Read)?;
    Ok(copy)
}

/// Generation and value.
fn take_apart<T: DeserializeOwned>(copy: &[u8], expected: u16) -> Result<(u64, T), CopyError> {
    let (content, crc) = copy.split_last_chunk::<4>().ok_or(CopyError::Damaged)?;
    let (head, body) = content.split_first_chunk::<HEAD>().ok_or(CopyError::Damaged)?;
    if copy.len() > COPY_MAX || CRC32.checksum(content) != u32::from_le_bytes(*crc) {
        return Err(CopyError::Damaged);
    }
    let [m0, m1, m2, m3, v0, v1, _, _, generation @ ..] = *head;
    if [m0, m1, m2, m3] != *MAGIC {
        return Err(CopyError::Damaged);
    }
    let found = u16::from_le_bytes([v0, v1]);
    if found != expected {
        return Err(CopyError::Version { found, expected });
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok((u64::from_le_bytes(generation), value)),
        _ => Err(CopyError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type State = (u64, Vec<Option<f32>>);

    fn state(n: u64) -> State {
        (n, vec![Some(n as f32), None])
    }

    fn open(folder: &Path) -> (Keeper, Found<State>) {
        Keeper::open(folder, 3)
    }

    /// A folder with generations 1 (copy a) … n, the last one newest.
    fn folder(generations: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut keeper, found) = open(dir.path());
        assert!(found.value.is_none() && found.refused.is_empty());
        for n in 1..=generations {
            assert!(keeper.offer(Nanos(n * EVERY.0), &state(n), false).expect("written"));
        }
        dir
    }

    #[test]
    fn the_newest_value_comes_back() {
        for generations in 1..=4 {
            let dir = folder(generations);
            let (_, found) = open(dir.path());
            assert_eq!(found.value, Some(state(generations)));
            assert!(found.refused.is_empty());
        }
    }

    #[test]
    fn every_damage_to_the_newer_copy_falls_back_to_the_other_and_is_said() {
        let dir = folder(2);
        let newer = dir.path().join(NAMES[1]);
        let good = fs::read(&newer).expect("readable");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&newer, &bad).expect("written");
            let (_, found) = open(dir.path());
            assert_eq!(found.value, Some(state(1)), "byte {at}");
            assert_eq!(found.refused.len(), 1);
            fs::write(&newer, &good[..at]).expect("written");
            assert_eq!(open(dir.path()).1.value, Some(state(1)), "cut at {at}");
        }
        fs::write(dir.path().join(NAMES[0]), "").expect("written");
        let (mut keeper, found) = open(dir.path());
        assert!(found.value.is_none() && found.refused.len() == 2);
        keeper.offer(Nanos(0), &state(9), false).expect("written");
        assert_eq!(open(dir.path()).1.value, Some(state(9)), "a new start");
    }

    #[test]
    fn a_damaged_copy_is_the_next_to_be_written_over() {
        let dir = folder(2);
        fs::write(dir.path().join(NAMES[1]), "x").expect("written");
        let (mut keeper, _) = open(dir.path());
        keeper.offer(Nanos(0), &state(7), true).expect("written");
        let (_, found) = open(dir.path());
        assert!(found.refused.is_empty());
        assert_eq!(found.value, Some(state(7)));
    }

    #[test]
    fn writes_are_rare_unless_urgent_and_then_bounded() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut keeper, _) = open(dir.path());
        let second = |n| Nanos::from_secs(1_000 + n);
        let mut writes = 0;
        for n in 0..7_200 {
            writes += u32::from(keeper.offer(second(n), &state(n), false).expect("tried"));
        }
        assert_eq!(writes, 2, "one an hour");
        assert!(!keeper.offer(second(7_199), &state(1), false).expect("not yet"));
        assert!(keeper.offer(second(7_199), &state(1), true).expect("a latch goes at once"));
        assert!(keeper.offer(second(7_300), &state(2), true).expect("so does the next"));
        assert!(!keeper.offer(second(7_300), &state(3), true).expect("a flutter waits"));
        assert!(keeper.offer(second(7_301), &state(3), true).expect("not for ever"));
        keeper.close(&state(4)).expect("written");
        assert_eq!(open(dir.path()).1.value, Some(state(4)));
    }

    #[test]
    fn what_is_urgent_stays_so_until_it_is_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let gone = dir.path().join("absent");
        let (mut keeper, _) = open(&gone);
        let tenth = |n: u64| Nanos::from_millis(1_000_000 + 100 * n);
        assert!(keeper.offer(tenth(0), &state(1), true).is_err(), "the disk is not there");
        assert!(!keeper.offer(tenth(9), &state(1), false).expect("not yet"));
        fs::create_dir(&gone).expect("made");
        assert!(keeper.offer(tenth(10), &state(1), false).expect("written"));
        assert!(!keeper.offer(tenth(11), &state(2), true).expect("too soon"));
        assert!(keeper.offer(tenth(20), &state(2), false).expect("but not forgotten"));
        assert!(!keeper.offer(tenth(30), &state(3), false).expect("no longer urgent"));
    }

    #[test]
    fn a_copy_is_as_described_and_no_longer_than_it_may_be() {
        let dir = folder(1);
        let copy = fs::read(dir.path().join(NAMES[0])).expect("readable");
        let (content, crc) = copy.split_last_chunk::<4>().expect("long enough");
        let value = postcard::to_allocvec(&state(1)).expect("encodes");
        assert_eq!(content, [&b"EVKS\x03\0\0\0\x01\0\0\0\0\0\0\0"[..], &value].concat());
        assert_eq!(CRC32.checksum(content).to_le_bytes(), *crc);
        let (mut keeper, _) = open(dir.path());
        let long: State = (2, vec![None; COPY_MAX]);
        let error = keeper.offer(Nanos(0), &long, true).expect_err("too long");
        assert_eq!(error.to_string(), "state of more than 1048576 bytes");
        assert_eq!(open(dir.path()).1.value, Some(state(1)), "the other stays");
    }

    #[test]
    fn other_versions_and_full_disks_are_reported() {
        let dir = folder(1);
        let (_, found) = Keeper::open::<State>(dir.path(), 4);
        assert!(matches!(found.refused[..], [(_, CopyError::Version { found: 3, expected: 4 })]));
        let (mut keeper, _) = open(&dir.path().join("absent"));
        assert!(keeper.offer(Nanos(0), &state(1), true).is_err());
        assert!(!keeper.offer(Nanos(1), &state(1), true).expect("not tried every time"));
    }
}
