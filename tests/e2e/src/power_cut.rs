//! Power that fails while something is written: what was done to a disk, in
//! order ([`Recording`]), and what may be left of it ([`Cut`]) put onto a copy
//! of the disk as it was before ([`Replay`]).
//!
//! What was flushed is there. Of what was written since the last flush any part
//! may be: all of it, nothing, some writes and not those before them, and of the
//! last one some sectors.

use crate::write_log::{self, Entry, LogError};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A disk keeps or loses whole ones.
const SECTOR: u64 = 512;
/// Most writes that a disk holds back at a time.
const HELD_MAX: usize = 4_096;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// These bytes were written.
    Write {
        /// Where on the disk.
        at: u64,
        /// How many.
        len: u64,
        /// What.
        bytes: Bytes,
        /// It is kept at once.
        sure: bool,
    },
    /// What was written before is kept.
    Flush,
    /// Nothing that counts.
    Nothing,
}

/// Where the bytes of a write are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// In a log, from this byte on.
    Log(usize, u64),
    /// Here.
    Here(Vec<u8>),
}

/// Everything that was done to a disk.
#[derive(Debug, Default)]
pub struct Recording {
    logs: Vec<File>,
    ops: Vec<Op>,
}

/// What is left of the writes since the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All.
    All,
    /// None.
    None,
    /// All but the last, of which some sectors are there, as of this number.
    Torn(u64),
    /// Some, as of this number.
    Some(u64),
}

/// Power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// So many things had been done, or begun.
    pub done: usize,
    /// What is left of those that are not sure.
    pub left: Left,
}

/// Numbers as if by chance, the same for the same beginning (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `end`, which is not 0.
    pub const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

impl Recording {
    /// The loader wrote this, and waited until it was kept.
    pub fn wrote(&mut self, at: u64, bytes: Vec<u8>) {
        let len = bytes.len() as u64;
        self.ops.push(Op::Write { at, len, bytes: Bytes::Here(bytes), sure: false });
        self.ops.push(Op::Flush);
    }

    /// A machine ran and kept this log. Gives where its first entry is among
    /// all that was done.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn ran(&mut self, log: &Path) -> Result<usize, LogError> {
        let mut file = File::open(log).map_err(|source| LogError::Read { at: 0, source })?;
        let (first, number) = (self.ops.len(), self.logs.len());
        self.ops.extend(write_log::read(&mut file)?.into_iter().map(|entry| match entry {
            Entry::Write { at, len, data_at, sure } => {
                Op::Write { at, len, bytes: Bytes::Log(number, data_at), sure }
            }
            Entry::Flush => Op::Flush,
            Entry::Other => Op::Nothing,
        }));
        self.logs.push(file);
        Ok(first)
    }

    /// All that was done.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Which of them wrote somewhere in `place`.
    pub fn writes_in(&self, place: Range<u64>) -> impl Iterator<Item = usize> {
        self.ops.iter().enumerate().filter_map(move |(number, op)| match op {
            Op::Write { at, len, .. } if *at < place.end && at + len > place.start => Some(number),
            _ => None,
        })
    }

    /// What a cut leaves for sure: everything before this.
    #[must_use]
    pub fn sure(&self, cut: Cut) -> usize {
        let done = &self.ops[..cut.done.min(self.ops.len())];
        done.iter().rposition(|op| *op == Op::Flush).map_or(0, |flush| flush + 1)
    }

    /// What a cut leaves besides, in the order in which it was written.
    fn left(&self, cut: Cut) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let held = self.sure(cut)..cut.done.min(self.ops.len());
        if held.len() > HELD_MAX {
            return Err(io::Error::other("more is written without a flush than a disk holds back"));
        }
        let mut chance = Chance(match cut.left {
            Left::All | Left::None => 0,
            Left::Torn(seed) | Left::Some(seed) => seed,
        });
        let mut left = Vec::new();
        for number in held.clone() {
            let Op::Write { at, len, sure, .. } = self.ops[number] else { continue };
            let is_last = number + 1 == held.end;
            let kept = match cut.left {
                _ if sure => true,
                Left::All => true,
                Left::None => false,
                Left::Some(_) => chance.next() & 1 == 0,
                Left::Torn(_) if is_last => {
                    let bytes = self.bytes(number)?;
                    let sectors =
                        bytes.chunks(SECTOR as usize).zip((at..).step_by(SECTOR as usize));
                    let kept = sectors.filter(|_| chance.next() & 1 == 0);
                    left.extend(kept.map(|(sector, at)| (at, sector.to_vec())));
                    false
                }
                Left::Torn(_) => true,
            };
            if kept && len > 0 {
                left.push((at, self.bytes(number)?));
            }
        }
        Ok(left)
    }

    fn bytes(&self, number: usize) -> io::Result<Vec<u8>> {
        match &self.ops[number] {
            Op::Write { bytes: Bytes::Here(bytes), .. } => Ok(bytes.clone()),
            Op::Write { len, bytes: Bytes::Log(log, at), .. } => {
                let mut bytes = vec![0; *len as usize];
                self.logs[*log].read_exact_at(&mut bytes, *at)?;
                Ok(bytes)
            }
            Op::Flush | Op::Nothing => Ok(Vec::new()),
        }
    }
}

/// A disk on which a recording is played.
#[derive(Debug)]
pub struct Replay<'a> {
    recording: &'a Recording,
    disk: File,
    done: usize,
}

impl<'a> Replay<'a> {
    /// On `disk`, which is as it was before everything.
    #[must_use]
    pub const fn new(recording: &'a Recording, disk: File) -> Self {
        Self { recording, disk, done: 0 }
    }

    /// Do everything up to there.
    ///
    /// # Errors
    /// When a file cannot be used.
    ///
    /// # Panics
    /// When that is in the past.
    pub fn go_on(&mut self, until: usize) -> io::Result<()> {
        assert!(until >= self.done, "a replay goes forward; sort the cuts by what is sure");
        for number in self.done..until {
            if let Op::Write { at, .. } = self.recording.ops[number] {
                self.disk.write_all_at(&self.recording.bytes(number)?, at)?;
            }
        }
        self.done = until;
        Ok(())
    }

    /// Cut the power, `look` at the disk, and have it again as if nothing had
    /// been cut.
    ///
    /// # Errors
    /// When a file cannot be used.
    ///
    /// # Panics
    /// As [`Self::go_on`].
    pub fn cut<T>(&mut self, cut: Cut, look: impl FnOnce() -> T) -> io::Result<T> {
        self.go_on(self.recording.sure(cut))?;
        let mut before = Vec::new();
        for (at, bytes) in self.recording.left(cut)? {
            let mut there = vec![0; bytes.len()];
            self.disk.read_exact_at(&mut there, at)?;
            self.disk.write_all_at(&bytes, at)?;
            before.push((at, there));
        }
        let seen = look();
        for (at, there) in before.iter().rev() {
            self.disk.write_all_at(there, *at)?;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Three sectors; a flush after the first two writes.
    fn recording() -> Recording {
        let mut recording = Recording::default();
        recording.wrote(0, vec![1; 512]);
        recording.wrote(512, vec![2; 512]);
        for (at, byte) in [(0, 3), (512, 4)] {
            let bytes = Bytes::Here(vec![byte; 1_024]);
            recording.ops.push(Op::Write { at, len: 1_024, bytes, sure: false });
        }
        recording
    }

    /// The first byte of each sector after `cut`.
    fn after(cut: Cut) -> Vec<u8> {
        let (recording, file) = (recording(), tempfile::tempfile().unwrap());
        file.set_len(1_536).unwrap();
        let look = file.try_clone().unwrap();
        let sectors = || {
            let mut bytes = vec![0; 1_536];
            look.read_exact_at(&mut bytes, 0).unwrap();
            bytes.into_iter().step_by(512).collect::<Vec<u8>>()
        };
        let mut replay = Replay::new(&recording, file);
        let seen = replay.cut(cut, sectors).unwrap();
        replay.go_on(recording.ops.len()).unwrap();
        assert_eq!(sectors(), [3, 4, 4], "as if nothing had been cut");
        seen
    }

    #[test]
    fn what_was_flushed_is_there_and_the_rest_may_be() {
        let at = |done, left| after(Cut { done, left });
        assert_eq!(at(1, Left::All), [1, 0, 0]);
        assert_eq!(at(1, Left::None), [0, 0, 0]);
        assert_eq!(at(2, Left::None), [1, 0, 0]);
        assert_eq!(at(6, Left::All), [3, 4, 4]);
        assert_eq!(at(6, Left::None), [1, 2, 0]);
        let some: BTreeSet<_> = (0..64).map(|seed| at(6, Left::Some(seed))).collect();
        let all = [[1, 2, 0], [3, 3, 0], [1, 4, 4], [3, 4, 4]];
        assert_eq!(some, all.into_iter().map(Vec::from).collect());
        let torn: BTreeSet<_> = (0..64).map(|seed| at(6, Left::Torn(seed))).collect();
        let all = [[3, 3, 0], [3, 4, 0], [3, 3, 4], [3, 4, 4]];
        assert_eq!(torn, all.into_iter().map(Vec::from).collect());
    }

    #[test]
    fn writes_are_found_by_their_place() {
        let recording = recording();
        assert_eq!(recording.writes_in(0..512).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(recording.writes_in(1_024..1_025).collect::<Vec<_>>(), [5]);
        assert_eq!(recording.writes_in(1_536..9_999).count(), 0);
    }
}
