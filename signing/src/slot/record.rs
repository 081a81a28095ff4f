//! The state record: 512 bytes, two copies in different erase blocks; the
//! valid copy with the higher sequence counts, the other one is overwritten.
//!
//! | byte | | |
//! |-----:|---|---|
//! | 0 | `u32` | magic, "EVSL" |
//! | 4 | `u32` | sequence; counts up with each write |
//! | 8 | `u32` | active slot, 0 or 1 |
//! | 12 | `u32` | tries left, when the active slot is on trial |
//! | 16 | `u32` | 1: the active slot is good and starts without counting tries |
//! | 20 | `u8` | version of this format, 1 |
//! | 21 | `u8` | why the last start happened ([`Reason`]) |
//! | 22 | `u8` | starts of the good slot that came to nothing |
//! | 23 | `u8` | changes of slot because of such starts |
//! | 24 | `u32` | floor: least epoch that may start |
//! | 28 | `u32` | sequence of the newest keyring that was accepted |
//! | 32, 64 | 32 bytes | slot A, slot B: `u8` state, `u8` reason, `u16` 0, `u32` epoch, 8 bytes of the SHA-256 of its header, 16 bytes 0 |
//! | 96 | `u8` | 1: the data partition is to be made anew ([`Event::Erase`](super::Event::Erase)) |
//! | 97 … 507 | | 0 |
//! | 508 | `u32` | CRC-32 (IEEE) of bytes 0 … 507, **big-endian**: so U-Boot's `crc32` stores it |
//!
//! Numbers are little-endian but for the CRC. Bytes 0 … 19 are what a boot
//! loader's script needs (facts/image-recipe.md §5 and §6.2).

use super::{Reason, Slot};

/// Length of a record, in bytes: one sector.
pub const RECORD_LEN: usize = 512;
/// Where the second copy begins, in bytes from the first.
pub const COPY_DISTANCE: u64 = 4096;

const MAGIC: u32 = u32::from_le_bytes(*b"EVSL");
const FORMAT: u8 = 1;
const CRC_AT: usize = RECORD_LEN - 4;
const SLOTS_AT: usize = 32;
const SLOT_LEN: usize = 32;
const ERASE_AT: usize = SLOTS_AT + 2 * SLOT_LEN;
const USED: usize = ERASE_AT + 1;

/// What a slot is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotState {
    /// It holds nothing that may start.
    #[default]
    Empty = 0,
    /// It is being written.
    Writing = 1,
    /// It was written whole and read back; nobody started it yet.
    Ready = 2,
    /// It was chosen and has a few starts to prove itself.
    Trial = 3,
    /// It proved itself.
    Good = 4,
    /// It failed; the slot's reason says how.
    Bad = 5,
}

impl SlotState {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Empty, Self::Writing, Self::Ready, Self::Trial, Self::Good, Self::Bad]
            .into_iter()
            .find(|state| *state as u8 == number)
    }
}

/// What is known of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotRecord {
    /// What it is good for.
    pub state: SlotState,
    /// Why it is bad or empty.
    pub reason: Reason,
    /// Epoch in its header: raised by releases that close a hole.
    pub epoch: u32,
    /// The first 8 bytes of the SHA-256 of its header.
    pub header: [u8; 8],
}

/// Everything about the slots that may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Counts up with each write.
    pub sequence: u32,
    /// The slot that starts next.
    pub active: Slot,
    /// Starts that are left to the active slot, when it is on trial.
    pub tries_left: u8,
    /// Why the last start happened.
    pub boot_reason: Reason,
    /// Starts of the good slot in a row that came to nothing.
    pub failed_starts: u8,
    /// Changes of slot because of such starts, in a row.
    pub swaps: u8,
    /// Least epoch that may start.
    pub floor: u32,
    /// Sequence of the newest keyring that was accepted.
    pub keyring: u32,
    /// Slot A and slot B.
    pub slots: [SlotRecord; 2],
    /// The data partition is to be made anew before anything reads it.
    pub erase: bool,
}

/// Why 512 bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Never written, torn, or worn out.
    #[error("the checksum of the state record does not hold")]
    Checksum,
    /// Something else stands there.
    #[error("this is no state record")]
    Magic,
    /// Written by a later version.
    #[error("the state record has format {0}; this program reads {FORMAT}")]
    Format(u8),
    /// A field without a meaning.
    #[error("the field `{0}` of the state record has no meaning")]
    Field(&'static str),
}

impl Record {
    /// What is known of `slot`.
    #[must_use]
    pub const fn slot(&self, slot: Slot) -> &SlotRecord {
        &self.slots[slot.index()]
    }

    pub(super) const fn slot_mut(&mut self, slot: Slot) -> &mut SlotRecord {
        &mut self.slots[slot.index()]
    }

    /// The bytes for the disk.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        let good = self.slot(self.active).state == SlotState::Good;
        let words = [
            MAGIC,
            self.sequence,
            self.active.index() as u32,
            u32::from(self.tries_left),
            u32::from(good),
        ];
        for (at, word) in words.into_iter().enumerate() {
            put(&mut bytes, at * 4, word);
        }
        bytes[20] = FORMAT;
        bytes[21] = self.boot_reason as u8;
        bytes[22] = self.failed_starts;
        bytes[23] = self.swaps;
        put(&mut bytes, 24, self.floor);
        put(&mut bytes, 28, self.keyring);
        for (slot, at) in self.slots.iter().zip([SLOTS_AT, SLOTS_AT + SLOT_LEN]) {
            bytes[at] = slot.state as u8;
            bytes[at + 1] = slot.reason as u8;
            put(&mut bytes, at + 4, slot.epoch);
            bytes[at + 8..at + 16].copy_from_slice(&slot.header);
        }
        // A program from before there was this field takes the record for
        // damaged and goes by the other copy, which does not order it.
        bytes[ERASE_AT] = u8::from(self.erase);
        let crc = crc32(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Read a record.
    ///
    /// # Errors
    /// [`RecordError`] for bytes that no version of this program has written.
    pub fn decode(bytes: &[u8; RECORD_LEN]) -> Result<Self, RecordError> {
        if bytes[CRC_AT..] != crc32(&bytes[..CRC_AT]).to_be_bytes() {
            return Err(RecordError::Checksum);
        }
        if get(bytes, 0) != MAGIC {
            return Err(RecordError::Magic);
        }
        if bytes[20] != FORMAT {
            return Err(RecordError::Format(bytes[20]));
        }
        if bytes[USED..CRC_AT].iter().any(|byte| *byte != 0) {
            return Err(RecordError::Field("reserved"));
        }
        let active = match get(bytes, 8) {
            0 => Slot::A,
            1 => Slot::B,
            _ => return Err(RecordError::Field("active")),
        };
        let tries_left =
            u8::try_from(get(bytes, 12)).map_err(|_| RecordError::Field("tries_left"))?;
        let record = Self {
            sequence: get(bytes, 4),
            active,
            tries_left,
            boot_reason: Reason::from_number(bytes[21]),
            failed_starts: bytes[22],
            swaps: bytes[23],
            floor: get(bytes, 24),
            keyring: get(bytes, 28),
            slots: [slot(bytes, SLOTS_AT)?, slot(bytes, SLOTS_AT + SLOT_LEN)?],
            erase: match bytes[ERASE_AT] {
                0 => false,
                1 => true,
                _ => return Err(RecordError::Field("erase")),
            },
        };
        let good = record.slot(active).state == SlotState::Good;
        match get(bytes, 16) == u32::from(good) {
            true => Ok(record),
            false => Err(RecordError::Field("good")),
        }
    }
}

/// Both copies as they stand on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// What counts.
    pub record: Record,
    /// Which of the two is overwritten next: never the one that counts.
    pub write_to: usize,
}

impl Copies {
    /// Judge what was read from the two places. A copy that could not be read
    /// at all is `None`.
    ///
    /// # Errors
    /// Why neither copy is a record.
    pub fn judge(copies: [Option<&[u8; RECORD_LEN]>; 2]) -> Result<Self, [RecordError; 2]> {
        let [first, second] = copies.map(|copy| match copy {
            Some(bytes) => Record::decode(bytes),
            None => Err(RecordError::Checksum),
        });
        match (first, second) {
            // Counting on from the greatest number begins at 0 again.
            (Ok(a), Ok(b)) if (b.sequence.wrapping_sub(a.sequence) as i32) > 0 => {
                Ok(Self { record: b, write_to: 0 })
            }
            (Ok(record), _) => Ok(Self { record, write_to: 1 }),
            (_, Ok(record)) => Ok(Self { record, write_to: 0 }),
            (Err(a), Err(b)) => Err([a, b]),
        }
    }
}

fn slot(bytes: &[u8; RECORD_LEN], at: usize) -> Result<SlotRecord, RecordError> {
    let state = SlotState::from_number(bytes[at]).ok_or(RecordError::Field("slot state"))?;
    let mut header = [0; 8];
    header.copy_from_slice(&bytes[at + 8..at + 16]);
    let rest = bytes[at + 2..at + 4].iter().chain(&bytes[at + 16..at + SLOT_LEN]);
    match rest.copied().all(|byte| byte == 0) {
        true => {
            let reason = Reason::from_number(bytes[at + 1]);
            Ok(SlotRecord { state, reason, epoch: get(bytes, at + 4), header })
        }
        false => Err(RecordError::Field("slot")),
    }
}

fn put(bytes: &mut [u8; RECORD_LEN], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn get(bytes: &[u8; RECORD_LEN], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// CRC-32 as in Ethernet, zip and U-Boot. A table costs more room in a boot
/// loader than it saves time for 508 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Record {
        let slot =
            |state, epoch| SlotRecord { state, epoch, header: [7; 8], ..SlotRecord::default() };
        Record {
            sequence: 9,
            active: Slot::B,
            tries_left: 2,
            boot_reason: Reason::Restart,
            failed_starts: 1,
            swaps: 0,
            floor: 3,
            keyring: 5,
            slots: [slot(SlotState::Good, 3), slot(SlotState::Trial, 4)],
            erase: true,
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_u_boot() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_record_goes_both_ways_and_any_other_bit_is_refused() {
        let bytes = sample().encode();
        assert_eq!(Record::decode(&bytes), Ok(sample()));
        for bit in 0..RECORD_LEN * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&damaged), Err(RecordError::Checksum), "bit {bit}");
        }
    }

    #[test]
    fn the_newer_copy_counts_and_the_older_is_overwritten() {
        let at = |sequence| Record { sequence, ..sample() }.encode();
        let (old, new) = (at(9), at(10));
        for (copies, record, write_to) in [
            ([Some(&old), Some(&new)], 10, 0),
            ([Some(&new), Some(&old)], 10, 1),
            ([Some(&old), None], 9, 1),
            ([None, Some(&old)], 9, 0),
            ([Some(&at(0)), Some(&at(u32::MAX))], 0, 1),
        ] {
            let found = Copies::judge(copies).unwrap();
            assert_eq!((found.record.sequence, found.write_to), (record, write_to));
        }
        let torn = [0xff; RECORD_LEN];
        assert_eq!(Copies::judge([None, Some(&torn)]), Err([RecordError::Checksum; 2]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_what_is_accepted_is_written_the_same(
            mut bytes in prop::array::uniform32(any::<u8>()),
            slots in prop::array::uniform32(any::<u8>()),
        ) {
            bytes[..4].copy_from_slice(b"EVSL");
            bytes[8] %= 3;
            bytes[9..12].fill(0);
            bytes[13..16].fill(0);
            bytes[16] &= 1;
            bytes[17..20].fill(0);
            bytes[20] = bytes[20] % 2 + 1;
            let mut record = [0; RECORD_LEN];
            record[..32].copy_from_slice(&bytes);
            for at in [32, 64] {
                record[at] = slots[at / 32] % 7;
                record[at + 1] = slots[at / 16] % 24;
                record[at + 4..at + 16].copy_from_slice(&slots[at / 8..at / 8 + 12]);
            }
            record[ERASE_AT] = slots[0] % 3;
            let crc = crc32(&record[..CRC_AT]);
            record[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
            if let Ok(decoded) = Record::decode(&record) {
                let again = decoded.encode();
                prop_assert_eq!(Record::decode(&again), Ok(decoded));
            }
        }
    }
}
