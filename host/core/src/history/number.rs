//! Numbers over a [`Coder`], and what they are expected to be.
//!
//! # A number
//! `n` ≥ 0 is written as n + 1 in Elias' gamma form: the length of n + 1 in bits
//! less one (`L`, 0 … 62) in unary, a bit "longer" per step, each with the model
//! of its step; then the L bits below the leading one, from the highest: the
//! first with a model by L, the others without. Steps from 24 on share the
//! models of step 23. A signed number is its magnitude, and unless that is 0 a
//! bit with a model: set when negative.
//!
//! *Near* numbers begin with the steps' odds 44500, 7000, 3000 as if 5 bits had been
//! seen, and 18000 (4 bits) for the first bit below of L = 1; *wide* ones with 60000,
//! 46000, 30000, 10000, 4000 and 30000; everything else, and *plain* numbers, with
//! nothing known.
//!
//! # An expectation
//! A [`Track`] foretells the next value from those before it. Two guesses run
//! beside each other, the last value and a mean whose weight sinks to 1/8; the
//! one that erred less lately is used, of equal ones the mean. In whole numbers,
//! divisions towards zero: all begin at 0. After a value *v*, unless it is the first,
//! each guess's error becomes e − e/16 + min(16·|v − guess|, 2⁴⁰); then *seen* counts up
//! to 8, the mean (in 1/256) grows by (256·v − mean)/seen, and the last value is v. The
//! mean as a guess is ⌊(mean + 128)/256⌋.

use super::range::{Bit, Coder};

/// Steps with models of their own.
const STEPS: usize = 24;
/// The longest number, bits.
const LENGTH_MAX: usize = 62;
/// The mean follows by 1/8 of the difference at last.
const MEAN_OVER: i64 = 8;
/// Fixed point of the mean.
const POINT: u32 = 8;
/// An older error counts 1/16 less with every value.
const ERROR_OVER: u64 = 16;

/// A model of numbers.
#[derive(Clone, Debug)]
pub struct Number {
    longer: [Bit; STEPS],
    first: [Bit; STEPS],
    negative: Bit,
}

impl Default for Number {
    fn default() -> Self {
        Self { longer: [Bit::EVEN; STEPS], first: [Bit::EVEN; STEPS], negative: Bit::EVEN }
    }
}

impl Number {
    /// Usually 0, ±1 or ±2: the noise of a voltage or a temperature around its
    /// mean.
    #[must_use]
    pub fn near() -> Self {
        Self::expecting(&[44_500, 7_000, 3_000], 18_000)
    }

    /// Usually up to ±10: the noise of a duty.
    #[must_use]
    pub fn wide() -> Self {
        Self::expecting(&[60_000, 46_000, 30_000, 10_000, 4_000], 30_000)
    }

    /// `longer` are the first steps' odds of 65536, as if a few numbers had been
    /// seen; `first` those of a 2 rather than a 1.
    fn expecting(longer: &[u16], first: u16) -> Self {
        let mut number = Self::default();
        for (step, odds) in number.longer.iter_mut().zip(longer) {
            *step = Bit::prior(*odds, 5);
        }
        number.first[1] = Bit::prior(first, 4);
        number
    }

    /// A number from 0 to 2⁶² − 2.
    pub fn unsigned<C: Coder>(&mut self, coder: &mut C, value: u64) -> u64 {
        let whole = value.min((1 << LENGTH_MAX) - 2) + 1;
        let wanted = 63 - whole.leading_zeros() as usize;
        let mut length = 0;
        while length < LENGTH_MAX - 1
            && coder.bit(&mut self.longer[length.min(STEPS - 1)], length < wanted)
        {
            length += 1;
        }
        let mut got = 1;
        for bit in (0..length).rev() {
            let set = whole >> bit & 1 != 0;
            let set = match bit + 1 == length {
                true => coder.bit(&mut self.first[length.min(STEPS - 1)], set),
                false => coder.even(set),
            };
            got = got << 1 | u64::from(set);
        }
        got - 1
    }

    /// A number from −2⁶² + 2 to 2⁶² − 2.
    pub fn signed<C: Coder>(&mut self, coder: &mut C, value: i64) -> i64 {
        let size = self.unsigned(coder, value.unsigned_abs()) as i64;
        if size != 0 && coder.bit(&mut self.negative, value < 0) { -size } else { size }
    }
}

/// Foretells a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Track {
    last: i64,
    /// In 1/256.
    mean: i64,
    seen: i64,
    last_erred: u64,
    mean_erred: u64,
}

impl Track {
    /// What comes next, probably; 0 at first.
    #[must_use]
    pub const fn guess(&self) -> i64 {
        if self.last_erred < self.mean_erred { self.last } else { self.rounded() }
    }

    /// What came.
    pub fn learn(&mut self, value: i64) {
        if self.seen > 0 {
            let erred = |before: u64, guess: i64| {
                before - before / ERROR_OVER + (value.abs_diff(guess) << 4).min(1 << 40)
            };
            self.last_erred = erred(self.last_erred, self.last);
            self.mean_erred = erred(self.mean_erred, self.rounded());
        }
        self.seen = (self.seen + 1).min(MEAN_OVER);
        self.mean += ((value << POINT) - self.mean) / self.seen;
        self.last = value;
    }

    const fn rounded(&self) -> i64 {
        (self.mean + (1 << (POINT - 1))) >> POINT
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::{Decoder, Encoder};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(
            prop_oneof![-3i64..4, -1_000i64..1_000, (-(1i64 << 61))..(1i64 << 61)], 0..300)) {
            let mut encoder = Encoder::new(Vec::new());
            let mut model = Number::near();
            for value in &values {
                model.signed(&mut encoder, *value);
            }
            let bytes = encoder.finish();
            let (mut decoder, mut model) = (Decoder::new(&bytes), Number::near());
            for value in &values {
                prop_assert_eq!(model.signed(&mut decoder, 0), *value);
            }
        }

        #[test]
        fn any_bytes_give_numbers_in_range(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (mut decoder, mut model) = (Decoder::new(&bytes), Number::default());
            for _ in 0..200 {
                prop_assert!(model.unsigned(&mut decoder, 0) < 1 << 62);
            }
        }
    }

    #[test]
    fn a_steady_value_is_foretold_and_a_ramp_is_followed() {
        let mut track = Track::default();
        (0..50).for_each(|n| track.learn(100 + n % 2));
        assert!((100..=101).contains(&track.guess()));
        (0..50).for_each(|n| track.learn(100 + 10 * n));
        assert_eq!(track.guess(), 590, "the last value");
    }
}
