//! The process image: everything the guard knows, on one page set of shared
//! memory, published once per cycle under a sequence lock.
//!
//! The image is a fixed array of 64-bit words, each stored as two atomic
//! halves, low one first: readers map the memory read-only, and there only
//! relaxed loads of at most the pointer's width are sure to work on every
//! processor that we run on. The guard alone writes; any number of readers
//! copy a whole snapshot and can tell when they were disturbed. How the words
//! come to be shared memory is the business of the guard and of the daemon.
//!
//! # Layout (version 1)
//! | 64-bit word | meaning |
//! |-----:|---------|
//! | 0 | magic `EVKIMAGE` |
//! | 1 | layout version |
//! | 2 | sequence: odd while the guard writes |
//! | 3 … 31 | [`Cycle`]: counters and times |
//! | 32 … 95 | jitter histogram, see [`Jitter`] |
//! | 96 … | [`STRINGS_MAX`] × [`StringRecord`], 8 words each |
//! | then | [`BLOCKS_MAX`] × [`BlockRecord`], 4 words each |

use crate::bus::wire::{Duty, Flags};
use crate::equalize::Inhibits;
use crate::points::Quality;
use crate::time::Nanos;
use core::sync::atomic::{AtomicU32, Ordering, fence};

/// Most strings in an image.
pub const STRINGS_MAX: usize = 32;
/// Most blocks in an image.
pub const BLOCKS_MAX: usize = 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"EVKIMAGE");
const VERSION: u64 = 1;
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 1;
/// The low half of word 2.
const SEQUENCE_AT: usize = 2 * 2;
const CYCLE_AT: usize = 3;
const CYCLE_WORDS: usize = 29;
const JITTER_AT: usize = CYCLE_AT + CYCLE_WORDS;
const STRINGS_AT: usize = JITTER_AT + Jitter::BUCKETS;
const STRING_WORDS: usize = 8;
const BLOCKS_AT: usize = STRINGS_AT + STRINGS_MAX * STRING_WORDS;
const BLOCK_WORDS: usize = 4;
/// Half words (32 bits) of the whole image.
pub const HALVES: usize = 2 * (BLOCKS_AT + BLOCKS_MAX * BLOCK_WORDS);
/// Bytes of the whole image.
pub const BYTES: usize = HALVES * 4;

/// Counters and times of the guard's cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Cycles completed since the guard started.
    pub cycles: u64,
    /// Cycles whose commands left after the cycle's end.
    pub deadline_misses: u64,
    /// Length of a cycle.
    pub period: Nanos,
    /// When this image was published.
    pub published: Nanos,
    /// When the guard started.
    pub started: Nanos,
    /// Duration of the last scan: start of the cycle to end of the last burst.
    pub scan: Nanos,
    /// Time the guard worked in the last cycle, waiting not counted.
    pub work: Nanos,
    /// Frames received with a wrong check sum or broken framing.
    pub bad_frames: u64,
    /// Good frames that nobody had asked for.
    pub unexpected_frames: u64,
    /// Replies that did not come.
    pub missed_replies: u64,
    /// See [`Condition`].
    pub conditions: u64,
    /// Times the bus port was lost and opened again.
    pub port_reopens: u64,
    /// Number of the settings in force (their CRC-32).
    pub settings_crc: u64,
}

/// Conditions of the guard that a person should know about, as bits of
/// [`Cycle::conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Condition {
    /// The bus port is closed or gone.
    PortLost = 1,
    /// The settings file was refused; the last good one is in force.
    SettingsFallback = 2,
    /// No real-time priority: the operating system refused it.
    NotRealTime = 4,
    /// Memory is not locked: the operating system refused it.
    NotLocked = 8,
    /// The guard could not give up all rights that it does not need.
    NotConfined = 16,
    /// The watchdog cannot be opened or fed.
    WatchdogLost = 32,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 6] = [
        Self::PortLost,
        Self::SettingsFallback,
        Self::NotRealTime,
        Self::NotLocked,
        Self::NotConfined,
        Self::WatchdogLost,
    ];

    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PortLost => "battery bus port is closed or gone",
            Self::SettingsFallback => "settings file refused, last good settings in force",
            Self::NotRealTime => "no real-time priority",
            Self::NotLocked => "memory not locked",
            Self::NotConfined => "guard not fully confined",
            Self::WatchdogLost => "watchdog not armed or not taking its feed",
        }
    }
}

/// How late the guard woke up at the start of its cycles: bucket 0 counts
/// below 1 µs, bucket `i` from 2^((i−1)/2) µs on (half octaves, √2 apart), the
/// last one everything from 2^31 µs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jitter {
    /// Counts per bucket.
    pub buckets: [u64; Self::BUCKETS],
    /// Largest lateness ever.
    pub max: Nanos,
}

impl Default for Jitter {
    fn default() -> Self {
        Self { buckets: [0; Self::BUCKETS], max: Nanos(0) }
    }
}

impl Jitter {
    /// Number of buckets.
    pub const BUCKETS: usize = 64;

    /// Count one wake-up.
    pub fn record(&mut self, late: Nanos) {
        self.max = self.max.max(late);
        let micros = late.0 as f64 / 1e3;
        let index = if micros < 1.0 { 0 } else { (2.0 * micros.log2()) as usize + 1 };
        self.buckets[index.min(Self::BUCKETS - 1)] += 1;
    }

    /// Upper edge, in µs, of the bucket below which a share `q` (0 … 1) of
    /// the wake-ups lie; 0 when nothing was counted.
    #[must_use]
    pub fn quantile_us(&self, q: f64) -> f64 {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= wanted && seen > 0 {
                return (2f64.powf(i as f64 / 2.0)).min(self.max.0 as f64 / 1e3);
            }
        }
        0.0
    }
}

/// One string.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StringRecord {
    /// Index of its first block in the image.
    pub first_block: u16,
    /// Number of its blocks.
    pub blocks: u16,
    /// Target voltage of its blocks, V; NaN when there is none.
    pub target_v: f64,
    /// Sum of the block voltages, V; NaN when a block is missing.
    pub sum_v: f64,
    /// Signed deviation of the usable block farthest from the target, V,
    /// whether it takes part in the target or not; NaN without target.
    pub worst_v: f64,
    /// Why bypasses are off, if they are.
    pub inhibits: Inhibits,
    /// Blocks that take part in the target.
    pub members: u16,
    /// Blocks for which a bypass that is fully on does not suffice.
    pub saturated: u16,
    /// Mean duty of all blocks, 0 … 1.
    pub mean_duty: f64,
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockRecord {
    /// Bus address of its module.
    pub address: u16,
    /// Voltage, mV; meaningful when `quality` is not bad.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C.
    pub temperature_dc: i16,
    /// Duty that was sent last.
    pub duty: Duty,
    /// Flags of the module.
    pub flags: Flags,
    /// Quality of the voltage and of the temperature.
    pub quality: Quality,
    /// What is wrong, if anything.
    pub fault: Fault,
    /// When the reading was taken; zero when there never was one.
    pub read: Nanos,
    /// Serial number of the module; zero while unknown.
    pub serial: u32,
}

impl Default for BlockRecord {
    fn default() -> Self {
        Self {
            address: 0,
            voltage_mv: 0,
            temperature_dc: 0,
            duty: Duty::OFF,
            flags: Flags::default(),
            quality: Quality::Bad,
            fault: Fault::NeverSeen,
            read: Nanos(0),
            serial: 0,
        }
    }
}

/// Why a block's reading is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing is wrong.
    None = 0,
    /// No reading since the guard started.
    NeverSeen = 1,
    /// The module stopped answering.
    Silent = 2,
    /// Voltage outside the module type's range.
    VoltageOutOfRange = 3,
    /// Temperature sensor broken or out of range.
    TemperatureInvalid = 4,
    /// The module is of another type than the settings say.
    WrongType = 5,
    /// The module answers but has not said yet who it is.
    Unidentified = 6,
}

impl Fault {
    const ALL: [Self; 7] = [
        Self::None,
        Self::NeverSeen,
        Self::Silent,
        Self::VoltageOutOfRange,
        Self::TemperatureInvalid,
        Self::WrongType,
        Self::Unidentified,
    ];

    /// For people; empty when nothing is wrong.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::NeverSeen => "module has never answered",
            Self::Silent => "module stopped answering",
            Self::VoltageOutOfRange => "voltage outside the module's range",
            Self::TemperatureInvalid => "temperature sensor broken",
            Self::WrongType => "module of another type than configured",
            Self::Unidentified => "module has not said who it is",
        }
    }
}

/// All that an image says, at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Counters and times.
    pub cycle: Cycle,
    /// Wake-up lateness.
    pub jitter: Jitter,
    /// The strings, at most [`STRINGS_MAX`].
    pub strings: Vec<StringRecord>,
    /// The blocks of all strings, at most [`BLOCKS_MAX`].
    pub blocks: Vec<BlockRecord>,
}

impl Snapshot {
    /// The blocks of string `index` (from 0); empty when there is no such string.
    #[must_use]
    pub fn blocks_of(&self, index: usize) -> &[BlockRecord] {
        let range = self.strings.get(index).map_or(0..0, |s| {
            let first = usize::from(s.first_block);
            first..first + usize::from(s.blocks)
        });
        self.blocks.get(range).unwrap_or(&[])
    }

    /// True when `condition` holds.
    #[must_use]
    pub fn has(&self, condition: Condition) -> bool {
        self.cycle.conditions & condition as u64 != 0
    }
}

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
        found: u64,
    },
    /// The guard wrote during every attempt.
    #[error("process image changed during {READ_ATTEMPTS} attempts to read it")]
    Busy,
    /// Counts beyond the layout.
    #[error("process image is inconsistent")]
    Inconsistent,
}

const READ_ATTEMPTS: usize = 100;

/// Publish `snapshot`. Allocates nothing. Strings and blocks beyond the
/// layout's room are left out.
///
/// # Panics
/// When `image` is not [`HALVES`] long: the caller mapped the wrong size.
pub fn publish(image: &[AtomicU32], snapshot: &Snapshot) {
    assert_eq!(image.len(), HALVES, "process image of the wrong size");
    let sequence = image[SEQUENCE_AT].load(Ordering::Relaxed) | 1;
    image[SEQUENCE_AT].store(sequence, Ordering::Relaxed);
    // No word below may be seen before the odd number.
    fence(Ordering::Release);
    put(image, MAGIC_AT, &[MAGIC]);
    put(image, VERSION_AT, &[VERSION]);
    put(image, CYCLE_AT, &cycle_words(snapshot));
    put(image, JITTER_AT, &snapshot.jitter.buckets);
    for (i, string) in snapshot.strings.iter().take(STRINGS_MAX).enumerate() {
        put(image, STRINGS_AT + i * STRING_WORDS, &string_words(string));
    }
    for (i, block) in snapshot.blocks.iter().take(BLOCKS_MAX).enumerate() {
        put(image, BLOCKS_AT + i * BLOCK_WORDS, &block_words(block));
    }
    image[SEQUENCE_AT].store(sequence.wrapping_add(1), Ordering::Release);
}

/// A number that changes with every publication: a cheap look before
/// [`read`]. `None` while the guard writes.
#[must_use]
pub fn sequence(image: &[AtomicU32]) -> Option<u32> {
    let sequence = image.get(SEQUENCE_AT)?.load(Ordering::Relaxed);
    (sequence & 1 == 0).then_some(sequence)
}

/// Copy the image into `snapshot`, whole or not at all.
///
/// # Errors
/// [`ReadError`] when there is no consistent image. [`ReadError::Busy`] is a
/// collision with the guard: try again later.
pub fn read(image: &[AtomicU32], snapshot: &mut Snapshot) -> Result<(), ReadError> {
    if image.len() != HALVES {
        return Err(ReadError::NotAnImage);
    }
    for _ in 0..READ_ATTEMPTS {
        if let Some(before) = sequence(image) {
            // Loads below come after the one above, and before the one after
            // them; relaxed loads and fences, as the memory is read-only.
            fence(Ordering::Acquire);
            let copied = copy(image, snapshot);
            fence(Ordering::Acquire);
            if sequence(image) == Some(before) {
                return copied;
            }
        }
        core::hint::spin_loop();
    }
    Err(ReadError::Busy)
}

fn copy(image: &[AtomicU32], snapshot: &mut Snapshot) -> Result<(), ReadError> {
    let [magic, version] = get(image, MAGIC_AT);
    if magic != MAGIC {
        return Err(ReadError::NotAnImage);
    }
    if version != VERSION {
        return Err(ReadError::Version { found: version });
    }
    let cycle: [u64; CYCLE_WORDS] = get(image, CYCLE_AT);
    snapshot.jitter.max = Nanos(cycle[15]);
    snapshot.cycle = cycle_from(&cycle);
    snapshot.jitter.buckets = get(image, JITTER_AT);
    let (strings, blocks) = (cycle[10] as usize, cycle[11] as usize);
    if strings > STRINGS_MAX || blocks > BLOCKS_MAX {
        return Err(ReadError::Inconsistent);
    }
    let string = |i| string_from(get(image, STRINGS_AT + i * STRING_WORDS));
    snapshot.strings.clear();
    snapshot.strings.extend((0..strings).map(string));
    let block = |i| block_from(get(image, BLOCKS_AT + i * BLOCK_WORDS));
    snapshot.blocks.clear();
    snapshot.blocks.extend((0..blocks).map(block));
    Ok(())
}

fn put(image: &[AtomicU32], at: usize, words: &[u64]) {
    for (halves, word) in image[2 * at..].as_chunks::<2>().0.iter().zip(words) {
        halves[0].store(*word as u32, Ordering::Relaxed);
        halves[1].store((*word >> 32) as u32, Ordering::Relaxed);
    }
}

fn get<const N: usize>(image: &[AtomicU32], at: usize) -> [u64; N] {
    let half = |i: usize| u64::from(image[i].load(Ordering::Relaxed));
    core::array::from_fn(|i| half(2 * (at + i)) | half(2 * (at + i) + 1) << 32)
}

fn cycle_words(snapshot: &Snapshot) -> [u64; CYCLE_WORDS] {
    let c = &snapshot.cycle;
    let mut words = [0; CYCLE_WORDS];
    words[..16].copy_from_slice(&[
        c.cycles,
        c.deadline_misses,
        c.period.0,
        c.published.0,
        c.started.0,
        c.scan.0,
        c.work.0,
        c.bad_frames,
        c.unexpected_frames,
        c.missed_replies,
        snapshot.strings.len().min(STRINGS_MAX) as u64,
        snapshot.blocks.len().min(BLOCKS_MAX) as u64,
        c.conditions,
        c.port_reopens,
        c.settings_crc,
        snapshot.jitter.max.0,
    ]);
    words
}

fn cycle_from(w: &[u64; CYCLE_WORDS]) -> Cycle {
    Cycle {
        cycles: w[0],
        deadline_misses: w[1],
        period: Nanos(w[2]),
        published: Nanos(w[3]),
        started: Nanos(w[4]),
        scan: Nanos(w[5]),
        work: Nanos(w[6]),
        bad_frames: w[7],
        unexpected_frames: w[8],
        missed_replies: w[9],
        conditions: w[12],
        port_reopens: w[13],
        settings_crc: w[14],
    }
}

fn string_words(s: &StringRecord) -> [u64; STRING_WORDS] {
    let counts = [s.first_block, s.blocks, s.members, s.saturated];
    [
        counts.iter().rev().fold(0, |word, c| word << 16 | u64::from(*c)),
        s.target_v.to_bits(),
        s.sum_v.to_bits(),
        s.worst_v.to_bits(),
        s.mean_duty.to_bits(),
        u64::from(s.inhibits.bits()),
        0,
        0,
    ]
}

fn string_from(w: [u64; STRING_WORDS]) -> StringRecord {
    let count = |i: u32| (w[0] >> (16 * i)) as u16;
    StringRecord {
        first_block: count(0),
        blocks: count(1),
        members: count(2),
        saturated: count(3),
        target_v: f64::from_bits(w[1]),
        sum_v: f64::from_bits(w[2]),
        worst_v: f64::from_bits(w[3]),
        mean_duty: f64::from_bits(w[4]),
        inhibits: Inhibits::from_bits(w[5] as u32),
    }
}

const QUALITIES: [Quality; 4] = [Quality::Good, Quality::Estimated, Quality::Stale, Quality::Bad];

fn block_words(b: &BlockRecord) -> [u64; BLOCK_WORDS] {
    let quality = QUALITIES.iter().position(|q| *q == b.quality).unwrap_or(3) as u64;
    [
        u64::from(b.address)
            | u64::from(b.voltage_mv) << 16
            | u64::from(b.temperature_dc as u16) << 32
            | u64::from(b.duty.0) << 48,
        u64::from(b.flags.0) | quality << 8 | (b.fault as u64) << 16 | u64::from(b.serial) << 32,
        b.read.0,
        0,
    ]
}

fn block_from(w: [u64; BLOCK_WORDS]) -> BlockRecord {
    BlockRecord {
        address: w[0] as u16,
        voltage_mv: (w[0] >> 16) as u16,
        temperature_dc: (w[0] >> 32) as u16 as i16,
        duty: Duty((w[0] >> 48) as u16),
        flags: Flags(w[1] as u8),
        quality: QUALITIES.get((w[1] >> 8) as u8 as usize).copied().unwrap_or(Quality::Bad),
        fault: Fault::ALL.get((w[1] >> 16) as u8 as usize).copied().unwrap_or(Fault::NeverSeen),
        read: Nanos(w[2]),
        serial: (w[1] >> 32) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn words() -> Vec<AtomicU32> {
        (0..HALVES).map(|_| AtomicU32::new(0)).collect()
    }

    fn full(n: u64) -> Snapshot {
        let block = |i: usize| BlockRecord {
            address: i as u16 + 1,
            voltage_mv: n as u16,
            temperature_dc: -(i as i16),
            duty: Duty(n as u16),
            flags: Flags(Flags::DERATED),
            quality: QUALITIES[i % 4],
            fault: Fault::ALL[i % 7],
            read: Nanos(n),
            serial: u32::MAX - i as u32,
        };
        let string = |i: usize| StringRecord {
            first_block: 32 * i as u16,
            blocks: 32,
            target_v: n as f64,
            sum_v: 32.0 * n as f64,
            worst_v: -0.25,
            inhibits: Inhibits::PAUSED,
            members: 31,
            saturated: 2,
            mean_duty: 0.5,
        };
        Snapshot {
            cycle: Cycle { cycles: n, conditions: 3, ..Cycle::default() },
            jitter: Jitter::default(),
            strings: (0..STRINGS_MAX).map(string).collect(),
            blocks: (0..BLOCKS_MAX).map(block).collect(),
        }
    }

    #[test]
    fn a_full_image_comes_back() {
        let (words, snapshot) = (words(), full(77));
        publish(&words, &snapshot);
        let mut got = Snapshot::default();
        assert_eq!(read(&words, &mut got), Ok(()));
        assert_eq!(got, snapshot);
        assert_eq!(got.blocks_of(3).len(), 32);
        assert!(got.blocks_of(99).is_empty());
    }

    #[test]
    fn empty_memory_and_foreign_versions_are_refused() {
        let words = words();
        let mut got = Snapshot::default();
        assert_eq!(read(&words, &mut got), Err(ReadError::NotAnImage));
        publish(&words, &full(1));
        words[2].store(9, Ordering::Relaxed);
        assert_eq!(read(&words, &mut got), Err(ReadError::Version { found: 9 }));
        words[2].store(VERSION as u32, Ordering::Relaxed);
        words[SEQUENCE_AT].store(3, Ordering::Relaxed);
        assert_eq!(read(&words, &mut got), Err(ReadError::Busy));
    }

    #[test]
    fn a_reader_never_sees_half_a_cycle() {
        let words: Arc<Vec<AtomicU32>> = Arc::new(words());
        publish(&words, &full(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (words, stop) = (words.clone(), stop.clone());
            move || {
                let snapshots = [full(1), full(2), full(3)];
                for i in (0..3).cycle() {
                    publish(&words, &snapshots[i]);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A real guard publishes once a second; without a pause
                    // the reader would starve, which `Busy` covers.
                    std::thread::yield_now();
                }
            }
        });
        let mut got = Snapshot::default();
        let mut whole = 0;
        while whole < 300 {
            if read(&words, &mut got).is_ok() {
                let n = got.cycle.cycles;
                assert!(got.blocks.iter().all(|b| b.read.0 == n && u64::from(b.voltage_mv) == n));
                whole += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("writer ends");
    }

    #[test]
    fn jitter_quantiles_bound_what_was_counted() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.quantile_us(0.5), 0.0);
        for _ in 0..999 {
            jitter.record(Nanos(50_000));
        }
        jitter.record(Nanos(3_000_000));
        assert!((50.0..=71.0).contains(&jitter.quantile_us(0.5)), "{}", jitter.quantile_us(0.5));
        assert!(jitter.quantile_us(1.0) >= 2_999.0);
        jitter.record(Nanos(u64::MAX));
        assert_eq!(jitter.buckets[Jitter::BUCKETS - 1], 1);
    }
}
