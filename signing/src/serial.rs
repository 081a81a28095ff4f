//! Serial numbers of appliances: what a licence is bound to.
//!
//! `7QK4-M2ZD-9XWB-U`: twelve random characters without those that look like
//! others, and a check character by ISO/IEC 7064, MOD 37-36, which catches
//! every wrong character and every two that changed places. Whoever types one
//! wrong is told so, instead of getting a licence for an appliance that does
//! not exist.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Characters before the check character.
const LEN: usize = 12;
/// What they are made of: 5 bits each.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// What the check character is made of.
const CHECKS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A serial number that is one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Serial([u8; LEN]);

/// Why a text is no serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Not of its form.
    #[error("{text:?} is no serial number; one looks like 7QK4-M2ZD-9XWB-U")]
    Form {
        /// The text, shortened.
        text: String,
    },
    /// The check character says that something was typed wrong.
    #[error("the serial number {text} is mistyped: its last character should not be {found:?}")]
    Check {
        /// The text.
        text: String,
        /// The check character given.
        found: char,
    },
}

impl Serial {
    /// The serial number made of 60 of these bits, which must be random.
    #[must_use]
    pub fn from_random(bits: u64) -> Self {
        let letter = |n: usize| LETTERS[(bits >> (5 * n)) as usize & 31];
        Self(core::array::from_fn(letter))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for four in self.0.chunks(4) {
            four.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))?;
            f.write_str("-")?;
        }
        write!(f, "{}", char::from(check_of(&self.0)))
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    /// Hyphens and case do not matter.
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let form = || SerialError::Form { text: text.chars().take(32).collect() };
        let letters: Vec<u8> =
            text.bytes().filter(|b| *b != b'-').map(|b| b.to_ascii_uppercase()).collect();
        let (Some(body), [check]) =
            (letters.first_chunk::<LEN>(), &letters[LEN.min(letters.len())..])
        else {
            return Err(form());
        };
        if !body.iter().all(|letter| LETTERS.contains(letter)) || !CHECKS.contains(check) {
            return Err(form());
        }
        let serial = Self(*body);
        if check_of(&serial.0) != *check {
            return Err(SerialError::Check { text: text.to_owned(), found: char::from(*check) });
        }
        Ok(serial)
    }
}

/// The check character of these letters (ISO/IEC 7064, MOD 37-36).
fn check_of(letters: &[u8]) -> u8 {
    let mut product = 36;
    for value in letters.iter().map(|letter| value_of(*letter)) {
        let sum = (product + value) % 36;
        product = if sum == 0 { 36 } else { sum } * 2 % 37;
    }
    CHECKS[(37 - product) % 36]
}

/// Its place among digits and letters; a letter of [`LETTERS`] is one of them.
fn value_of(letter: u8) -> usize {
    CHECKS.iter().position(|known| *known == letter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_however_it_is_typed() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let serial = Serial::from_random(bits);
            let text = serial.to_string();
            assert_eq!(text.len(), 16, "{text}");
            assert_eq!(text.parse(), Ok(serial.clone()));
            assert_eq!(text.to_lowercase().replace('-', "").parse(), Ok(serial));
        }
    }

    /// The example of the standard's common explanations: A12425GABC1234002 ↦ M.
    #[test]
    fn the_check_character_is_the_standard_s() {
        assert_eq!(check_of(b"A12425GABC1234002"), b'M');
    }

    #[test]
    fn every_wrong_character_and_every_swap_is_caught() {
        let text = Serial::from_random(0x0fed_cba9_8765_4321).to_string().replace('-', "");
        let good: Vec<u8> = text.into_bytes();
        let parse = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<Serial>();
        for at in 0..good.len() {
            for other in CHECKS.iter().filter(|other| **other != good[at]) {
                let mut wrong = good.clone();
                wrong[at] = *other;
                assert!(parse(&wrong).is_err(), "{wrong:?}");
            }
            if at > 0 && good[at] != good[at - 1] {
                let mut swapped = good.clone();
                swapped.swap(at, at - 1);
                assert!(parse(&swapped).is_err(), "{swapped:?}");
            }
        }
    }

    #[test]
    fn what_is_none_is_said_to_be_none() {
        for text in ["", "-", "7QK4", "7QK4-M2ZD-9XWB-UT", "äöü4-M2ZD-9XWB-T", "O000-0000-0000-0"]
        {
            assert!(matches!(text.parse::<Serial>(), Err(SerialError::Form { .. })), "{text:?}");
        }
        let long = "9".repeat(10_000);
        assert!(long.parse::<Serial>().expect_err("too long").to_string().len() < 200);
    }
}
