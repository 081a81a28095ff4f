//! History: what is kept of the past, and how it is written down.
//!
//! Two records of a string. The *float sample*, every 20 minutes, goes to the
//! store as one [`Sample`] per string: fixed-size, so that a block is found by
//! its index. The *fast ring* keeps the [`Spread`] of the last half hour in
//! memory.
//!
//! # Sample, version 1 (little-endian)
//! | byte | meaning |
//! |-----:|---------|
//! | 0 | version, 1 |
//! | 1 | reserved, 0 |
//! | 2 … 3 | inhibits, low 16 bits |
//! | 4 … 7 | target, mV; `u32::MAX` when there was none |
//! | 8 … | one block after the other, 8 bytes each |
//!
//! | byte of a block | meaning |
//! |-----:|---------|
//! | 0 … 1 | voltage, mV |
//! | 2 … 3 | temperature, 0.1 °C, signed |
//! | 4 … 5 | commanded duty, 65535 = fully on |
//! | 6 | quality: 0 good, 1 estimated, 2 stale, 3 bad |
//! | 7 | fault code of the process image |

use crate::image::{BlockRecord, StringRecord};
use crate::points::Quality;
use std::collections::VecDeque;

/// Bytes in front of the blocks.
const HEADER: usize = 8;
/// Bytes of a block.
const BLOCK: usize = 8;
const VERSION: u8 = 1;
const NO_TARGET: u32 = u32::MAX;

/// What is kept of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSample {
    /// Voltage, mV; meaningful when `quality` is not bad.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C.
    pub temperature_dc: i16,
    /// Commanded duty, 65535 = fully on.
    pub duty: u16,
    /// Quality of the reading.
    pub quality: Quality,
    /// Fault code of the process image.
    pub fault: u8,
}

/// One string at one instant, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample(Vec<u8>);

/// The bytes of a sample, where they lie: reading one block of a string does
/// not copy the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleView<'a>(&'a [u8]);

/// Why bytes are no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// Written by another version.
    #[error("history sample of version {0}; this program reads {VERSION}")]
    Version(u8),
    /// Cut or garbled.
    #[error("history sample of {0} bytes is cut or garbled")]
    Length(usize),
}

impl Sample {
    /// Write a string down. `quality` is the quality as a reader sees it.
    pub fn of(
        string: &StringRecord,
        blocks: &[BlockRecord],
        quality: impl Fn(&BlockRecord) -> Quality,
    ) -> Self {
        let target = match string.equalize.target_v {
            v if v.is_finite() => (v * 1e3).round() as u32,
            _ => NO_TARGET,
        };
        let mut bytes = Vec::with_capacity(HEADER + blocks.len() * BLOCK);
        bytes.extend([VERSION, 0]);
        bytes.extend((string.equalize.inhibits.bits() as u16).to_le_bytes());
        bytes.extend(target.to_le_bytes());
        for block in blocks {
            bytes.extend(block.voltage_mv.to_le_bytes());
            bytes.extend(block.temperature_dc.to_le_bytes());
            bytes.extend(block.duty.0.to_le_bytes());
            bytes.extend([quality_code(quality(block)), block.fault as u8]);
        }
        Self(bytes)
    }

    /// The bytes for the store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// To read in.
    #[must_use]
    pub fn view(&self) -> SampleView<'_> {
        SampleView(&self.0)
    }
}

impl<'a> SampleView<'a> {
    /// Take bytes back from the store.
    ///
    /// # Errors
    /// [`SampleError`] when they are no sample.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SampleError> {
        match bytes {
            [VERSION, ..]
                if bytes.len() >= HEADER && (bytes.len() - HEADER).is_multiple_of(BLOCK) =>
            {
                Ok(Self(bytes))
            }
            [version, ..] if *version != VERSION => Err(SampleError::Version(*version)),
            _ => Err(SampleError::Length(bytes.len())),
        }
    }

    /// Target of the string, mV.
    #[must_use]
    pub fn target_mv(self) -> Option<u32> {
        let bytes = self.0.get(4..HEADER)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes)).filter(|mv| *mv != NO_TARGET)
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(self) -> usize {
        self.0.len().saturating_sub(HEADER) / BLOCK
    }

    /// Block `index`, from 0.
    #[must_use]
    pub fn block(self, index: usize) -> Option<BlockSample> {
        let at = HEADER.checked_add(index.checked_mul(BLOCK)?)?;
        let b: [u8; BLOCK] = self.0.get(at..at + BLOCK)?.try_into().ok()?;
        Some(BlockSample {
            voltage_mv: u16::from_le_bytes([b[0], b[1]]),
            temperature_dc: i16::from_le_bytes([b[2], b[3]]),
            duty: u16::from_le_bytes([b[4], b[5]]),
            quality: quality_from(b[6]),
            fault: b[7],
        })
    }
}

/// How far the blocks of a string lay apart at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Lowest usable block voltage, mV.
    pub min_mv: u16,
    /// Highest usable block voltage, mV.
    pub max_mv: u16,
    /// Worst deviation from target, mV.
    pub worst_mv: i32,
}

impl Spread {
    /// Highest less lowest, mV.
    #[must_use]
    pub const fn width_mv(&self) -> u16 {
        self.max_mv.saturating_sub(self.min_mv)
    }
}

/// The newest so many of something.
#[derive(Clone, Debug)]
pub struct Ring<T> {
    items: VecDeque<T>,
    room: usize,
}

impl<T> Ring<T> {
    /// Room for `room` items; at least one.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self { items: VecDeque::new(), room: if room == 0 { 1 } else { room } }
    }

    /// Append; returns the oldest item when it had to go.
    pub fn push(&mut self, item: T) -> Option<T> {
        let dropped = if self.items.len() >= self.room { self.items.pop_front() } else { None };
        self.items.push_back(item);
        dropped
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// The oldest item, taken out.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }
}

const fn quality_code(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Estimated => 1,
        Quality::Stale => 2,
        Quality::Bad => 3,
    }
}

/// An unknown code is bad: a value is never made better by damage.
const fn quality_from(code: u8) -> Quality {
    match code {
        0 => Quality::Good,
        1 => Quality::Estimated,
        2 => Quality::Stale,
        _ => Quality::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::Duty;
    use proptest::prelude::*;

    fn block(voltage_mv: u16, temperature_dc: i16, duty: u16) -> BlockRecord {
        let quality = Quality::Good;
        BlockRecord { voltage_mv, temperature_dc, duty: Duty(duty), quality, ..Default::default() }
    }

    fn string(target_v: f64) -> StringRecord {
        let mut string = StringRecord::new(Vec::new());
        string.equalize.target_v = target_v;
        string
    }

    #[test]
    fn a_sample_comes_back() {
        let string = string(13.62);
        let blocks = [block(13_615, 254, 0), block(14_100, -101, u16::MAX)];
        let sample = Sample::of(&string, &blocks, |b| b.quality);
        assert_eq!(sample.as_bytes().len(), 8 + 2 * 8);
        let sample = SampleView::parse(sample.as_bytes()).expect("what was written");
        assert_eq!(sample.target_mv(), Some(13_620));
        let second = sample.block(1).expect("two blocks");
        assert_eq!((second.voltage_mv, second.temperature_dc, second.duty), (14_100, -101, 65_535));
        assert_eq!(second.quality, Quality::Good);
        assert_eq!(sample.block(2), None);
    }

    #[test]
    fn no_target_is_not_a_number() {
        let string = string(f64::NAN);
        assert_eq!(Sample::of(&string, &[], |b| b.quality).view().target_mv(), None);
    }

    #[test]
    fn a_full_ring_drops_the_oldest() {
        let mut ring = Ring::new(2);
        assert_eq!((ring.push(1), ring.push(2), ring.push(3)), (None, None, Some(1)));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>()) {
            match SampleView::parse(&bytes) {
                Ok(sample) => prop_assert_eq!(sample.block(at).is_some(), at < sample.blocks()),
                Err(SampleError::Version(v)) => prop_assert_ne!(v, VERSION),
                Err(SampleError::Length(n)) => prop_assert_eq!(n, bytes.len()),
            }
        }
    }
}
