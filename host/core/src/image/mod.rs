//! The process image: everything the guard knows, on one page set of shared
//! memory, published once per cycle under a sequence lock.
//!
//! The image is a fixed array of atomic 32-bit words: readers map the memory
//! read-only, and there only relaxed loads of at most the pointer's width are
//! sure to work on every processor that we run on. The guard alone writes; any
//! number of readers copy it whole and can tell when they were disturbed. How
//! the words come to be shared memory is the business of the guard and of the
//! daemon.
//!
//! | word | meaning |
//! |-----:|---------|
//! | 0, 1 | magic `EVKIMAGE` |
//! | 2 | layout version |
//! | 3 | sequence: odd while the guard writes |
//! | 4 | length of the snapshot, bytes |
//! | 5 … | the [`Snapshot`] as `postcard` encodes it, four bytes a word, first one lowest |

mod record;

pub use record::{
    AddressNote, BlockRecord, BusRecord, BusWork, Condition, Cycle, DeviceRecord, Fault, Jitter,
    Snapshot, StationRecord, StringRecord,
};

use core::sync::atomic::{AtomicU32, Ordering, fence};
use serde::Serialize;

/// Most strings in an image.
pub const STRINGS_MAX: usize = 32;
/// Most blocks in an image.
pub const BLOCKS_MAX: usize = 1024;
/// Bytes of the whole image: room for [`STRINGS_MAX`] strings and
/// [`BLOCKS_MAX`] blocks whatever their values are (held by a test).
pub const BYTES: usize = 512 * 1024;
/// Words of the whole image.
pub const WORDS: usize = BYTES / 4;
/// Layout version: of the words above and of every type in the snapshot.
pub const VERSION: u32 = 2;

const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"EVKI"), u32::from_le_bytes(*b"MAGE")];
const VERSION_AT: usize = 2;
const SEQUENCE_AT: usize = 3;
const LENGTH_AT: usize = 4;
const SNAPSHOT_AT: usize = 5;
/// Longest snapshot, bytes.
const SNAPSHOT_MAX: usize = BYTES - 4 * SNAPSHOT_AT;
const READ_ATTEMPTS: usize = 100;

/// Why an image could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The shared memory is no process image.
    #[error("shared memory holds no process image")]
    NotAnImage,
    /// Guard and reader are of different versions.
    #[error("process image has layout version {found}, this program reads {VERSION}")]
    Version {
        /// Version found.
        found: u32,
    },
    /// The guard wrote during every attempt.
    #[error("process image changed during {READ_ATTEMPTS} attempts to read it")]
    Busy,
    /// Not a snapshot of this version.
    #[error("process image is inconsistent")]
    Inconsistent,
}

/// More strings or blocks than an image has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("snapshot is larger than the process image ({SNAPSHOT_MAX} bytes)")]
pub struct TooLarge;

/// The writing side: owns the memory in which a snapshot is encoded, so that
/// publishing allocates nothing.
pub struct Publisher {
    scratch: Vec<u8>,
}

impl Default for Publisher {
    fn default() -> Self {
        Self { scratch: vec![0; SNAPSHOT_MAX] }
    }
}

impl Publisher {
    /// Publish a [`Snapshot`], or what serializes as one; readers keep the last
    /// one when it is refused.
    ///
    /// # Errors
    /// [`TooLarge`]; never for [`STRINGS_MAX`] strings and [`BLOCKS_MAX`] blocks.
    ///
    /// # Panics
    /// When `image` is not [`WORDS`] long: the caller mapped the wrong size.
    pub fn publish(
        &mut self,
        image: &[AtomicU32],
        snapshot: &impl Serialize,
    ) -> Result<(), TooLarge> {
        assert_eq!(image.len(), WORDS, "process image of the wrong size");
        let bytes = postcard::to_slice(snapshot, &mut self.scratch).map_err(|_| TooLarge)?;
        let sequence = image[SEQUENCE_AT].load(Ordering::Relaxed) | 1;
        image[SEQUENCE_AT].store(sequence, Ordering::Relaxed);
        // No word below may be seen before the odd number.
        fence(Ordering::Release);
        image[0].store(MAGIC[0], Ordering::Relaxed);
        image[1].store(MAGIC[1], Ordering::Relaxed);
        image[VERSION_AT].store(VERSION, Ordering::Relaxed);
        image[LENGTH_AT].store(bytes.len() as u32, Ordering::Relaxed);
        for (word, bytes) in image[SNAPSHOT_AT..].iter().zip(bytes.chunks(4)) {
            let mut le = [0; 4];
            le[..bytes.len()].copy_from_slice(bytes);
            word.store(u32::from_le_bytes(le), Ordering::Relaxed);
        }
        image[SEQUENCE_AT].store(sequence.wrapping_add(1), Ordering::Release);
        Ok(())
    }
}

/// A number that changes with every publication: a cheap look before
/// [`Reader::read`]. `None` while the guard writes.
#[must_use]
pub fn sequence(image: &[AtomicU32]) -> Option<u32> {
    let sequence = image.get(SEQUENCE_AT)?.load(Ordering::Relaxed);
    (sequence & 1 == 0).then_some(sequence)
}

/// The reading side.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// The snapshot in `image`, whole or not at all.
    ///
    /// # Errors
    /// [`ReadError`] when there is no consistent image. [`ReadError::Busy`] is
    /// a collision with the guard: try again later.
    pub fn read(&mut self, image: &[AtomicU32]) -> Result<Snapshot, ReadError> {
        if image.len() != WORDS {
            return Err(ReadError::NotAnImage);
        }
        for _ in 0..READ_ATTEMPTS {
            if let Some(before) = sequence(image) {
                // Loads below come after the one above, and before the one
                // after them; relaxed loads and fences, as the memory is
                // read-only.
                fence(Ordering::Acquire);
                let copied = self.copy(image);
                fence(Ordering::Acquire);
                if sequence(image) == Some(before) {
                    copied?;
                    return postcard::from_bytes(&self.bytes).map_err(|_| ReadError::Inconsistent);
                }
            }
            core::hint::spin_loop();
        }
        Err(ReadError::Busy)
    }

    fn copy(&mut self, image: &[AtomicU32]) -> Result<(), ReadError> {
        let word = |at: usize| image[at].load(Ordering::Relaxed);
        if [word(0), word(1)] != MAGIC {
            return Err(ReadError::NotAnImage);
        }
        if word(VERSION_AT) != VERSION {
            return Err(ReadError::Version { found: word(VERSION_AT) });
        }
        let length = word(LENGTH_AT) as usize;
        if length > SNAPSHOT_MAX {
            return Err(ReadError::Inconsistent);
        }
        self.bytes.clear();
        for word in &image[SNAPSHOT_AT..SNAPSHOT_AT + length.div_ceil(4)] {
            self.bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        self.bytes.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::{Duty, Flags};
    use crate::discharge;
    use crate::points::Quality;
    use crate::time::Nanos;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn words() -> Vec<AtomicU32> {
        (0..WORDS).map(|_| AtomicU32::new(0)).collect()
    }

    fn publish(image: &[AtomicU32], snapshot: &Snapshot) {
        Publisher::default().publish(image, snapshot).expect("fits");
    }

    /// Not known is NaN, which no comparison calls equal.
    fn same(one: &Snapshot, other: &Snapshot) -> bool {
        postcard::to_allocvec(one) == postcard::to_allocvec(other)
    }

    /// As many strings and blocks as there can be, with values that take the
    /// most bytes.
    fn full(n: u64) -> Snapshot {
        let block = |i: usize| BlockRecord {
            address: u16::MAX - i as u16,
            voltage_mv: n as u16,
            temperature_dc: i16::MIN + i as i16,
            duty: Duty(u16::MAX),
            flags: Flags(Flags::DERATED),
            quality: Quality::Stale,
            fault: Fault::Unidentified,
            read: Nanos(n),
            serial: u32::MAX - i as u32,
            resistance: Some((4.0, Nanos(u64::MAX))),
            ..BlockRecord::default()
        };
        let string = |_| {
            let blocks: Vec<_> = (0..BLOCKS_MAX / STRINGS_MAX).map(block).collect();
            let reading = Some(discharge::Reading { v: 12.0, at_s: 60.0 });
            let row = discharge::BlockDischarge {
                before: reading,
                start: reading,
                end: reading,
                min: reading,
                after: reading,
                collapse: None,
                missing: u32::MAX,
            };
            let record = discharge::DischargeRecord {
                blocks: vec![row; blocks.len()],
                ..discharge::DischargeRecord::default()
            };
            let mut string = StringRecord::new(blocks);
            string.equalize.target_v = 0.5;
            string.equalize.sum_v = 0.5;
            string.equalize.worst_v = 0.5;
            string.discharge = Some(record);
            string
        };
        Snapshot {
            cycle: Cycle { cycles: n, conditions: 3, ..Cycle::default() },
            jitter: Jitter { buckets: vec![u64::MAX; Jitter::BUCKETS], max: Nanos(u64::MAX) },
            strings: (0..STRINGS_MAX).map(string).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_full_image_comes_back() {
        let (words, snapshot) = (words(), full(u64::MAX));
        publish(&words, &snapshot);
        let got = Reader::default().read(&words).expect("an image");
        assert!(same(&got, &snapshot));
        assert_eq!(got.blocks_of(3).len(), 32);
        assert!(got.blocks_of(99).is_empty());
    }

    #[test]
    fn empty_memory_and_foreign_versions_are_refused() {
        let (words, mut reader) = (words(), Reader::default());
        assert_eq!(reader.read(&words).err(), Some(ReadError::NotAnImage));
        publish(&words, &full(1));
        words[VERSION_AT].store(9, Ordering::Relaxed);
        assert_eq!(reader.read(&words).err(), Some(ReadError::Version { found: 9 }));
        words[VERSION_AT].store(VERSION, Ordering::Relaxed);
        words[LENGTH_AT].store(u32::MAX, Ordering::Relaxed);
        assert_eq!(reader.read(&words).err(), Some(ReadError::Inconsistent));
        words[LENGTH_AT].store(7, Ordering::Relaxed);
        assert_eq!(reader.read(&words).err(), Some(ReadError::Inconsistent));
        words[SEQUENCE_AT].store(3, Ordering::Relaxed);
        assert_eq!(reader.read(&words).err(), Some(ReadError::Busy));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_last_image_stays() {
        let (words, mut publisher) = (words(), Publisher::default());
        publisher.publish(&words, &full(1)).expect("fits");
        let mut snapshot = full(2);
        snapshot.strings[0].blocks = vec![BlockRecord::default(); 16 * BLOCKS_MAX];
        assert_eq!(publisher.publish(&words, &snapshot), Err(TooLarge));
        assert!(same(&Reader::default().read(&words).expect("an image"), &full(1)));
    }

    #[test]
    fn a_reader_never_sees_half_a_cycle() {
        let words: Arc<Vec<AtomicU32>> = Arc::new(words());
        publish(&words, &full(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (words, stop) = (words.clone(), stop.clone());
            move || {
                let (snapshots, mut publisher) =
                    ([full(1), full(2), full(3)], Publisher::default());
                for i in (0..3).cycle() {
                    publisher.publish(&words, &snapshots[i]).expect("fits");
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A real guard publishes once a second; without a pause
                    // the reader would starve, which `Busy` covers.
                    std::thread::yield_now();
                }
            }
        });
        let (mut reader, mut whole) = (Reader::default(), 0);
        while whole < 300 {
            if let Ok(got) = reader.read(&words) {
                let n = got.cycle.cycles;
                let blocks = || got.strings.iter().flat_map(|s| &s.blocks);
                assert!(blocks().all(|b| b.read.0 == n && u64::from(b.voltage_mv) == n));
                whole += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("writer ends");
    }
}
