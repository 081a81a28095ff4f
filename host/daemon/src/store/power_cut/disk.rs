//! A disk that records what is done to it, and what may be on it after power
//! failed at any point of that record.
//!
//! Terms: a *barrier* is a sync; what was written before it stays. Of what was
//! written since, each *sector* holds any of the contents that it had since the
//! barrier: a cache may write sectors back in any order, or not at all. The
//! write in progress is torn at any byte.

use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What a flash writes as a whole, or not; bytes.
const SECTOR: usize = 512;

/// One thing done to the disk.
#[derive(Clone, Debug)]
pub enum Op {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// A new length.
    Length(u64),
    /// The barrier.
    Sync,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Tape>>);

#[derive(Debug, Default)]
struct Tape {
    now: Vec<u8>,
    ops: Vec<Op>,
}

impl Disk {
    /// A disk with this on it, all of it durable.
    pub fn holding(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Tape { now: content, ops: Vec::new() })))
    }

    /// Operations so far.
    pub fn count(&self) -> usize {
        self.tape(|tape| tape.ops.len())
    }

    /// What is on it now.
    pub fn content(&self) -> Vec<u8> {
        self.tape(|tape| tape.now.clone())
    }

    /// The record so far.
    pub fn ops(&self) -> Vec<Op> {
        self.tape(|tape| tape.ops.clone())
    }

    fn tape<T>(&self, look: impl FnOnce(&mut Tape) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, op: Op) -> io::Result<()> {
        self.tape(|tape| {
            apply(&mut tape.now, &op);
            tape.ops.push(op);
        });
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.tape(|tape| tape.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.tape(|tape| {
            let at = offset as usize;
            let from = tape.now.get(at..at + out.len());
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(Op::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.record(Op::Write(offset, data.to_vec()))
    }
}

/// Follows a record and knows what is certain at each of its points.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    /// As of the last barrier.
    durable: Vec<u8>,
    /// Done since.
    pending: Vec<Op>,
}

impl Medium {
    /// A medium with this on it.
    pub fn holding(content: Vec<u8>) -> Self {
        Self { durable: content, pending: Vec::new() }
    }

    /// The next operation came to its end.
    pub fn done(&mut self, op: &Op) {
        match op {
            Op::Sync => self.pending.drain(..).for_each(|op| apply(&mut self.durable, &op)),
            op => self.pending.push(op.clone()),
        }
    }

    /// What may be on it when power fails during `next`.
    pub fn cut(&self, next: &Op, chance: &mut Chance) -> Vec<u8> {
        let torn = match next {
            Op::Write(at, data) => {
                let kept = chance.below(data.len() + 1);
                Some(Op::Write(*at, data[..kept].to_vec()))
            }
            // A length is set or not; a barrier adds nothing.
            Op::Length(_) => chance.coin().then(|| next.clone()),
            Op::Sync => None,
        };
        let ops = || self.pending.iter().chain(&torn);
        match chance.below(4) {
            // As after a kill: the system writes it all back.
            0 => replayed(&self.durable, ops()),
            // As written through, up to some point.
            1 => {
                let some = chance.below(self.pending.len() + 1);
                replayed(&self.durable, ops().take(some))
            }
            // Some whole operations are lost.
            2 => {
                let kept: Vec<_> = ops().filter(|_| chance.coin()).collect();
                replayed(&self.durable, kept.into_iter())
            }
            _ => self.scattered(ops(), chance),
        }
    }

    /// Every sector as it was at some point since the barrier.
    fn scattered<'a>(&self, ops: impl Iterator<Item = &'a Op>, chance: &mut Chance) -> Vec<u8> {
        let mut disk = self.durable.clone();
        let mut lengths = vec![disk.len()];
        for op in ops {
            match op {
                Op::Length(len) => {
                    lengths.push(*len as usize);
                    let longest = disk.len().max(*len as usize);
                    disk.resize(longest, 0);
                }
                Op::Write(at, data) => {
                    let (mut from, end) = (*at as usize, *at as usize + data.len());
                    disk.resize(disk.len().max(end), 0);
                    while from < end {
                        let to = end.min((from / SECTOR + 1) * SECTOR);
                        if chance.coin() {
                            let piece = &data[from - *at as usize..to - *at as usize];
                            disk[from..to].copy_from_slice(piece);
                        }
                        from = to;
                    }
                }
                Op::Sync => {}
            }
        }
        disk.resize(lengths[chance.below(lengths.len())], 0);
        disk
    }
}

fn replayed<'a>(durable: &[u8], ops: impl Iterator<Item = &'a Op>) -> Vec<u8> {
    let mut disk = durable.to_vec();
    ops.for_each(|op| apply(&mut disk, op));
    disk
}

fn apply(disk: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(at, data) => {
            let (from, end) = (*at as usize, *at as usize + data.len());
            disk.resize(disk.len().max(end), 0);
            disk[from..end].copy_from_slice(data);
        }
        Op::Length(len) => disk.resize(*len as usize, 0),
        Op::Sync => {}
    }
}

/// Random numbers that are the same every time (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 … `end` − 1; `end` is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Yes or no.
    pub fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}

#[test]
fn what_was_synced_stays_and_what_was_not_may_go() {
    let write = |byte: u8| Op::Write(100, vec![byte; 2_000]);
    let mut medium = Medium::default();
    [write(1), Op::Sync, write(2)].iter().for_each(|op| medium.done(op));
    let (mut chance, mut whole, mut lost, mut mixed) = (Chance(1), 0, 0, 0);
    for _ in 0..200 {
        let disk = medium.cut(&write(3), &mut chance);
        assert_eq!((disk.len(), &disk[..100]), (2_100, &[0; 100][..]));
        let content = &disk[100..];
        assert!(content.iter().all(|byte| (1..=3).contains(byte)));
        match content.iter().all(|byte| *byte == content[0]) {
            true if content[0] == 1 => lost += 1,
            true => whole += 1,
            false => mixed += 1,
        }
    }
    assert!(whole > 0 && lost > 0 && mixed > 0, "{whole} {lost} {mixed}");
}
