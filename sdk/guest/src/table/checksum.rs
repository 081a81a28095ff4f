//! Checksums of serial protocols: how they are computed, how they are spelt,
//! and where they stand (facts/ups-serial-protocols.md §2, §8–§19).
//!
//! The same row serves both directions: it seals a request and verifies a reply.

/// How the checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Sum of the bytes modulo 256.
    Sum8,
    /// What brings the sum of the bytes to 0 modulo 256.
    Negated8,
    /// Exclusive or of the bytes.
    Xor8,
    /// Sum of the bytes modulo 65,536.
    Sum16,
    /// What brings the sum of the bytes to 0 modulo 65,536.
    Negated16,
    /// Cyclic redundancy check of 16 bits, without inversion at the end.
    Crc16 {
        /// Generator polynomial, bit-reversed when `reflected`.
        polynomial: u16,
        /// Register before the first byte.
        start: u16,
        /// Least significant bit first.
        reflected: bool,
    },
}

impl Sum {
    /// Modbus RTU; spelt [`Spelling::Little`].
    pub const MODBUS: Self = Self::Crc16 { polynomial: 0xA001, start: 0xFFFF, reflected: true };
    /// CRC-CCITT with all ones at the start (also called CCITT-FALSE).
    pub const CCITT: Self = Self::Crc16 { polynomial: 0x1021, start: 0xFFFF, reflected: false };
    /// CRC-CCITT with zeros at the start, as in XMODEM.
    pub const XMODEM: Self = Self::Crc16 { polynomial: 0x1021, start: 0, reflected: false };

    /// The checksum of `bytes`; for the sums of 8 bits the upper byte is 0.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u16 {
        let add = |sum: u16, byte: &u8| sum.wrapping_add(u16::from(*byte));
        match self {
            Self::Sum8 => bytes.iter().fold(0, add) & 0xFF,
            Self::Negated8 => bytes.iter().fold(0, add).wrapping_neg() & 0xFF,
            Self::Xor8 => u16::from(bytes.iter().fold(0, |xor, byte| xor ^ byte)),
            Self::Sum16 => bytes.iter().fold(0, add),
            Self::Negated16 => bytes.iter().fold(0, add).wrapping_neg(),
            Self::Crc16 { polynomial, start, reflected } => {
                bytes.iter().fold(start, |crc, byte| crc_step(crc, *byte, polynomial, reflected))
            }
        }
    }

    const fn is_wide(self) -> bool {
        !matches!(self, Self::Sum8 | Self::Negated8 | Self::Xor8)
    }
}

fn crc_step(mut crc: u16, byte: u8, polynomial: u16, reflected: bool) -> u16 {
    crc ^= if reflected { u16::from(byte) } else { u16::from(byte) << 8 };
    for _ in 0..8 {
        crc = match (reflected, crc & 1 == 1, crc & 0x8000 == 0x8000) {
            (true, true, _) => (crc >> 1) ^ polynomial,
            (true, false, _) => crc >> 1,
            (false, _, true) => (crc << 1) ^ polynomial,
            (false, _, false) => crc << 1,
        };
    }
    crc
}

/// How the checksum is written. A sum of 8 bits is one byte or two characters,
/// one of 16 bits two bytes or four characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Binary, low byte first.
    Little,
    /// Binary, high byte first.
    Big,
    /// Upper-case hexadecimal digits.
    Hex,
    /// Half-bytes coded as 0x30 + n, high one first.
    Nibbles,
}

/// A checksum and where it stands in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is computed.
    pub sum: Sum,
    /// How it is written.
    pub spelling: Spelling,
    /// Bytes at the beginning of the frame that it does not cover.
    pub skip: usize,
    /// Bytes that stand behind it, such as a terminator; not covered either.
    pub tail: usize,
}

impl Checksum {
    /// A binary checksum over the whole frame before it, which it ends; high
    /// byte first.
    #[must_use]
    pub const fn last(sum: Sum) -> Self {
        Self { sum, spelling: Spelling::Big, skip: 0, tail: 0 }
    }

    /// The CRC of Modbus RTU.
    pub const MODBUS: Self =
        Self { sum: Sum::MODBUS, spelling: Spelling::Little, skip: 0, tail: 0 };

    /// Bytes that it takes, with those behind it.
    pub(super) const fn len_with_tail(&self) -> usize {
        self.len() + self.tail
    }

    /// True when the checksum in `frame` is right.
    #[must_use]
    pub fn holds(&self, frame: &[u8]) -> bool {
        let Some(end) = frame.len().checked_sub(self.len_with_tail()) else { return false };
        let Some(covered) = frame.get(self.skip..end) else { return false };
        let (spelt, len) = self.spell(covered);
        frame[end..].starts_with(&spelt[..len])
    }

    /// `frame`, written without its checksum, with it. Where `frame` is
    /// shorter than [`Self::skip`] and [`Self::tail`], nothing is covered.
    #[must_use]
    pub fn seal(&self, frame: &[u8]) -> Vec<u8> {
        let end = frame.len().saturating_sub(self.tail);
        let covered = frame.get(self.skip..end).unwrap_or_default();
        let (spelt, len) = self.spell(covered);
        [&frame[..end], &spelt[..len], &frame[end..]].concat()
    }

    const fn len(&self) -> usize {
        let bytes = if self.sum.is_wide() { 2 } else { 1 };
        match self.spelling {
            Spelling::Little | Spelling::Big => bytes,
            Spelling::Hex | Spelling::Nibbles => 2 * bytes,
        }
    }

    /// The characters of the checksum, and how many there are.
    fn spell(&self, covered: &[u8]) -> ([u8; 4], usize) {
        let sum = self.sum.of(covered);
        let len = self.len();
        let mut spelt = [0; 4];
        for (at, byte) in spelt[..len].iter_mut().enumerate() {
            let from_end = len - 1 - at;
            *byte = match self.spelling {
                Spelling::Little => sum.to_le_bytes()[at],
                Spelling::Big => sum.to_le_bytes()[from_end],
                Spelling::Hex => hex_digit((sum >> (4 * from_end)) as u8 & 15),
                Spelling::Nibbles => 0x30 + ((sum >> (4 * from_end)) as u8 & 15),
            };
        }
        (spelt, len)
    }
}

/// The upper-case digit of a half-byte.
pub(super) const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        let digits = b"123456789";
        assert_eq!(Sum::MODBUS.of(digits), 0x4B37);
        assert_eq!(Sum::CCITT.of(digits), 0x29B1);
        assert_eq!(Sum::XMODEM.of(digits), 0x31C3);
        let kermit = Sum::Crc16 { polynomial: 0x8408, start: 0, reflected: true };
        assert_eq!(kermit.of(digits), 0x2189);
    }

    /// Frames as the facts sheet prints them.
    #[test]
    fn worked_examples() {
        let xcp = Checksum::last(Sum::Negated8);
        assert_eq!(xcp.seal(b"\xAB\x01\x33"), b"\xAB\x01\x33\x21");
        let liebert = Checksum::last(Sum::Sum8);
        assert_eq!(liebert.seal(b"\x01\x95\x02\x01\x02"), b"\x01\x95\x02\x01\x02\x9B");
        let meta = Checksum { skip: 1, ..Checksum::last(Sum::Sum8) };
        assert!(meta.holds(b"\x02\x05\x03\x00\x00\x96\x9E"));
        let nhs = Checksum { skip: 1, tail: 1, ..Checksum::last(Sum::Sum8) };
        assert_eq!(nhs.seal(b"\xFF\x09\x53\x03\0\0\0\xFE"), b"\xFF\x09\x53\x03\0\0\0\x5F\xFE");
        let riello = Checksum { sum: Sum::Sum16, spelling: Spelling::Nibbles, skip: 1, tail: 1 };
        assert_eq!(riello.seal(b"\x02\x20\x22GI00\x03"), b"\x02\x20\x22GI000132\x03");
        assert!(Checksum::MODBUS.holds(&Checksum::MODBUS.seal(b"\x01\x03\0\x80\0\x2C")));
        let shut = Checksum { skip: 2, ..Checksum::last(Sum::Xor8) };
        assert_eq!(shut.seal(b"\x81\x88\x80\x06\0\x01\0\0\x12\0").last(), Some(&0x95));
    }

    fn checksums() -> impl Strategy<Value = Checksum> {
        let sums = prop::sample::select(vec![
            Sum::Sum8,
            Sum::Negated8,
            Sum::Xor8,
            Sum::Sum16,
            Sum::Negated16,
            Sum::MODBUS,
            Sum::CCITT,
        ]);
        let spellings = prop::sample::select(vec![
            Spelling::Little,
            Spelling::Big,
            Spelling::Hex,
            Spelling::Nibbles,
        ]);
        (sums, spellings, 0_usize..4, 0_usize..3).prop_map(|(sum, spelling, skip, tail)| Checksum {
            sum,
            spelling,
            skip,
            tail,
        })
    }

    proptest! {
        #[test]
        fn a_sealed_frame_holds_and_a_changed_one_does_not(
            check in checksums(),
            frame in prop::collection::vec(any::<u8>(), 8..40),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let sealed = check.seal(&frame);
            prop_assert!(check.holds(&sealed));
            let covered = check.skip..frame.len() - check.tail;
            let at = covered.start + at.index(covered.len());
            let mut changed = sealed;
            changed[at] ^= 1_u8 << bit;
            prop_assert!(!check.holds(&changed), "a single bit is always seen");
        }

        #[test]
        fn any_bytes_and_any_place_are_survived(
            check in checksums(),
            bytes in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            prop_assert!(!check.holds(&bytes) || bytes.len() > check.tail);
            prop_assert!(check.seal(&bytes).len() > bytes.len());
        }
    }
}
