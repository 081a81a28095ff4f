//! An adaptive binary range coder: the bits of a column, each at the cost of
//! its surprise.
//!
//! A [`Bit`] holds how often a bit was set so far; a [`Coder`] takes bits with
//! their models. Encoder and decoder are one trait, so that what describes a
//! column is written once and the two directions cannot differ: the decoder
//! is given any bit, and returns the one that was written.
//!
//! # The stream
//! 32-bit range, carries propagated (G. Nigel N. Martin, *Range encoding*,
//! 1979, in bits). `low` = 0 and `range` = 2³²−1 at the beginning. For a bit
//! with probability p/65536 of being set, `bound` = ⌊range/65536⌋ · p: a set bit
//! takes the interval below `bound`, a clear one the rest. While `range` < 2²⁴ a
//! byte goes out and both are multiplied by 256. At the end the number inside
//! the interval with the most zeros at its end is written; those zero bytes
//! are left out, and a reader who is at the end reads zeros. A bit without a
//! model halves the range (`range` / 2, rounded down) and a set one takes the upper
//! half.
//!
//! # A model
//! `p` begins at its prior, even when nothing is known (32768, no bits seen); after each
//! bit it moves towards 65535 or 0 by the distance over `n` + 1.5 (twice the distance
//! over 2`n` + 3, towards zero), `n` the bits seen, at most 48, and stays in 48 … 65488.
//!
//! # Reading
//! The first four bytes are the `code`, highest first. A set bit is `code` < `bound`;
//! otherwise `bound` is taken from `code` and `range`. With each byte that the writer put
//! out the next one is pulled into `code` from below.

/// The smallest range before a byte goes out.
const RANGE_MIN: u32 = 1 << 24;
/// Certainty ends here.
const ODDS_MIN: i32 = 48;
/// A model remembers about so many bits.
const MEMORY: u8 = 48;

/// A model of one bit.
#[derive(Clone, Copy, Debug)]
pub struct Bit {
    /// Probability that it is set, of 65536.
    odds: u16,
    seen: u8,
}

impl Bit {
    /// Nothing is known.
    pub const EVEN: Self = Self { odds: 1 << 15, seen: 0 };

    /// Expected to be set `odds` times of 65536, as if `seen` bits had said so.
    #[must_use]
    pub const fn prior(odds: u16, seen: u8) -> Self {
        Self { odds, seen }
    }

    fn learn(&mut self, bit: bool) {
        let odds = i32::from(self.odds);
        let target = if bit { 65_535 } else { 0 };
        let step = 2 * (target - odds) / (2 * i32::from(self.seen) + 3);
        // Between the two bounds it fits.
        self.odds = (odds + step).clamp(ODDS_MIN, 65_536 - ODDS_MIN) as u16;
        self.seen = (self.seen + 1).min(MEMORY);
    }
}

/// Either direction.
pub trait Coder {
    /// A bit with its model.
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool;
    /// A bit that nobody can foretell.
    fn even(&mut self, bit: bool) -> bool;
}

/// Writes.
#[derive(Debug)]
pub struct Encoder {
    low: u64,
    range: u32,
    /// The last byte, which a carry may still change, and the 0xff behind it.
    cache: u8,
    pending: u32,
    begun: bool,
    out: Vec<u8>,
}

impl Encoder {
    /// Appends to `out`.
    #[must_use]
    pub const fn new(out: Vec<u8>) -> Self {
        Self { low: 0, range: u32::MAX, cache: 0, pending: 0, begun: false, out }
    }

    /// The bytes, those in front of the stream included.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let front = self.out.len();
        for zeros in [32u32, 24, 16, 8, 0] {
            let below = (1u64 << zeros) - 1;
            let rounded = (self.low + below) & !below;
            if rounded < self.low + u64::from(self.range) {
                self.low = rounded;
                break;
            }
        }
        for _ in 0..5 {
            self.shift();
        }
        while self.out.len() > front && self.out.last() == Some(&0) {
            self.out.pop();
        }
        self.out
    }

    fn shift(&mut self) {
        let carry = (self.low >> 32) as u8;
        if self.low < 0xff00_0000 || carry != 0 {
            // The very first byte is always 0 and not written.
            if self.begun {
                self.out.push(self.cache.wrapping_add(carry));
            }
            self.begun = true;
            for _ in 0..self.pending {
                self.out.push(0xffu8.wrapping_add(carry));
            }
            self.pending = 0;
            self.cache = (self.low >> 24) as u8;
        } else {
            self.pending += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn narrow(&mut self, below: u32, skip: bool) {
        if skip {
            self.low += u64::from(below);
            self.range -= below;
        } else {
            self.range = below;
        }
        while self.range < RANGE_MIN {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Coder for Encoder {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(model.odds);
        model.learn(bit);
        self.narrow(bound, !bit);
        bit
    }

    fn even(&mut self, bit: bool) -> bool {
        let half = self.range >> 1;
        self.narrow(half, bit);
        bit
    }
}

/// Reads. Total: any bytes give some bits, for ever.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    code: u32,
    range: u32,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Of a stream.
    #[must_use]
    pub fn new(stream: &'a [u8]) -> Self {
        let mut decoder = Self { code: 0, range: u32::MAX, rest: stream };
        for _ in 0..4 {
            decoder.pull();
        }
        decoder
    }

    fn pull(&mut self) {
        let byte = match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                *first
            }
            [] => 0,
        };
        self.code = self.code << 8 | u32::from(byte);
    }

    fn narrow(&mut self, below: u32) -> bool {
        let skipped = self.code >= below;
        if skipped {
            self.code -= below;
            self.range -= below;
        } else {
            self.range = below;
        }
        while self.range < RANGE_MIN {
            self.range <<= 8;
            self.pull();
        }
        skipped
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(model.odds);
        let bit = !self.narrow(bound);
        model.learn(bit);
        bit
    }

    fn even(&mut self, _: bool) -> bool {
        let half = self.range >> 1;
        self.narrow(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_certain_costs_nothing() {
        let mut encoder = Encoder::new(Vec::new());
        let mut model = Bit::EVEN;
        for n in 0..10_000 {
            encoder.bit(&mut model, n == 5_000);
        }
        let bytes = encoder.finish().len();
        assert!(bytes < 24, "{bytes} bytes for 10,000 bits of which one is set");
    }

    #[test]
    fn nothing_costs_nothing() {
        assert_eq!(Encoder::new(vec![7]).finish(), [7]);
    }

    proptest! {
        #[test]
        fn bits_come_back(bits in proptest::collection::vec((0usize..4, any::<bool>()), 0..2_000)) {
            let mut models = [Bit::EVEN, Bit::prior(60_000, 9), Bit::prior(48, 48)];
            let mut encoder = Encoder::new(Vec::new());
            for (model, bit) in &bits {
                match models.get_mut(*model) {
                    Some(model) => encoder.bit(model, *bit),
                    None => encoder.even(*bit),
                };
            }
            let bytes = encoder.finish();
            let mut models = [Bit::EVEN, Bit::prior(60_000, 9), Bit::prior(48, 48)];
            let mut decoder = Decoder::new(&bytes);
            for (model, bit) in &bits {
                let got = match models.get_mut(*model) {
                    Some(model) => decoder.bit(model, false),
                    None => decoder.even(false),
                };
                prop_assert_eq!(got, *bit);
            }
        }

        #[test]
        fn any_bytes_give_bits(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut decoder = Decoder::new(&bytes);
            let mut model = Bit::EVEN;
            for _ in 0..2_000 {
                decoder.bit(&mut model, false);
                decoder.even(false);
            }
        }
    }
}
