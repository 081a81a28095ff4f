//! What outlives the data partition: the serial number, and who ordered that
//! the partition is made anew, until that was told. It stands on the partition
//! of the state record, in one block of its own.
//!
//! | byte | | |
//! |-----:|---|---|
//! | 0 | 8 bytes | magic, "EVKKEPT1" |
//! | 8 | `u32` | length of the text, little-endian |
//! | 12 | 32 bytes | SHA-256 of the text |
//! | 44 | | the text, JSON; then zeros |
//!
//! The checksum is against accidents. What is damaged is no worse than nothing:
//! the appliance gets a serial number as at its first start.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Digest, Serial};

/// Length of the block, in bytes.
pub const KEPT_LEN: usize = 4096;
/// Where it begins on the partition of the state record.
pub const KEPT_AT: u64 = 64 << 10;
/// Longest name and address in an [`Order`], in bytes.
pub const NAME_MAX: usize = 200;

const MAGIC: &[u8; 8] = b"EVKKEPT1";
const TEXT_AT: usize = 44;

/// What outlives the data partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The appliance's serial number, once it has one.
    serial: Option<String>,
    /// Who ordered that the data partition is made anew, until it was told.
    pub order: Option<Order>,
}

/// Whose word it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Somebody held the button while the appliance started.
    Button,
    /// A user.
    Person {
        /// Their name.
        user: String,
        /// From which address.
        from: String,
    },
}

impl Order {
    /// A user's word; names that are too long are cut.
    #[must_use]
    pub fn person(user: &str, from: &str) -> Self {
        let cut = |text: &str| {
            let mut end = text.len().min(NAME_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            String::from(&text[..end])
        };
        Self::Person { user: cut(user), from: cut(from) }
    }
}

impl Kept {
    /// What the block says; what is damaged or was never written says nothing.
    #[must_use]
    pub fn decode(bytes: &[u8; KEPT_LEN]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8; KEPT_LEN]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<32>()?;
        let text = rest.get(..u32::from_le_bytes(*len) as usize)?;
        if Digest::of(text).0 != *sum {
            return None;
        }
        let kept: Self = serde_json::from_slice(text).ok()?;
        // A number that is none is not handed on.
        let serial = kept.serial().map(|serial| alloc::format!("{serial}"));
        Some(Self { serial, ..kept })
    }

    /// The bytes for the disk; `None`: too long, which no [`Order::person`] is.
    #[must_use]
    pub fn encode(&self) -> Option<[u8; KEPT_LEN]> {
        let text: Vec<u8> = serde_json::to_vec(self).ok()?;
        let mut bytes = [0; KEPT_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&(text.len() as u32).to_le_bytes());
        bytes[12..TEXT_AT].copy_from_slice(&Digest::of(&text).0);
        bytes.get_mut(TEXT_AT..TEXT_AT + text.len())?.copy_from_slice(&text);
        Some(bytes)
    }

    /// The serial number.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        self.serial.as_ref()?.parse().ok()
    }

    /// Keep this serial number.
    pub fn set_serial(&mut self, serial: &Serial) {
        self.serial = Some(alloc::format!("{serial}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Kept {
        let mut kept = Kept { order: Some(Order::person("ada", "10.0.2.2")), ..Kept::default() };
        kept.set_serial(&Serial::from_random(0x0123_4567_89ab_cdef));
        kept
    }

    #[test]
    fn it_goes_both_ways_and_damage_is_as_nothing() {
        let bytes = sample().encode().unwrap();
        assert_eq!(Kept::decode(&bytes), sample());
        assert!(sample().serial().is_some());
        let used = TEXT_AT + serde_json::to_vec(&sample()).unwrap().len();
        for at in 0..used {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(Kept::decode(&damaged), Kept::default(), "{at}");
        }
        assert_eq!(Kept::decode(&[0; KEPT_LEN]), Kept::default());
    }

    #[test]
    fn a_number_that_is_none_is_not_handed_on() {
        let kept = Kept { serial: Some("../../etc/passwd".into()), order: Some(Order::Button) };
        let read = Kept::decode(&kept.encode().unwrap());
        assert_eq!(read, Kept { serial: None, order: Some(Order::Button) });
    }

    #[test]
    fn long_names_are_cut_and_fit() {
        let order = Order::person(&"ü\0\"".repeat(500), &"\u{1}".repeat(500));
        let kept = Kept { order: Some(order), ..sample() };
        assert_eq!(Kept::decode(&kept.encode().unwrap()), kept);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let mut block = [0; KEPT_LEN];
            let len = bytes.len().min(KEPT_LEN - 8);
            block[..8].copy_from_slice(MAGIC);
            block[8..8 + len].copy_from_slice(&bytes[..len]);
            prop_assert_eq!(Kept::decode(&block), Kept::default());
        }
    }
}
