//! What a row of the course says of the whole string, and how little room
//! that takes in the recorder's memory.

use serde::{Deserialize, Serialize, Serializer};

/// Which part of the record a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Before the discharge.
    Before,
    /// The string fed the load.
    Discharge,
    /// Mains were back.
    After,
}

/// What a row says of the whole string.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowHead {
    /// From the start of the discharge to the first scan of this row, ms.
    pub offset_ms: i64,
    /// Mean string current, A, positive into the batteries; NaN: not known.
    pub current_a: f32,
    /// Mean block temperature, °C; NaN: not known.
    pub temperature_c: f32,
    /// Scans in this row.
    pub scans: u32,
    /// Part of the record.
    pub part: Part,
}

/// A [`RowHead`] as it is kept, and on the wire the same as that.
///
/// Offset and current stay as they are. The temperature is rounded to 0.01 °C:
/// a module tells tenths, and its sensor is good for ±1 °C
/// (facts/battery-science.md §1.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredHead {
    /// The offset in the upper 48 bits, which is 4,459 years to either side;
    /// below it the temperature, 0.01 °C.
    offset_and_temperature: i64,
    current_a: f32,
    /// Scans, up to 34 years of one a second; in the lowest two bits the part.
    scans_and_part: u32,
}

const _: () = assert!(size_of::<StoredHead>() == 16, "there are sixteen thousand of them");

const OFFSET_MAX_MS: i64 = i64::MAX >> 16;
const SCANS_MAX: u32 = u32::MAX >> 2;
const UNKNOWN: i16 = i16::MIN;

impl From<RowHead> for StoredHead {
    #[inline(never)]
    fn from(head: RowHead) -> Self {
        let offset_ms = head.offset_ms.clamp(-OFFSET_MAX_MS, OFFSET_MAX_MS);
        let celsius = head.temperature_c;
        // Float to integer conversion saturates.
        let known = || ((celsius * 100.0).round() as i16).max(-i16::MAX);
        let hundredths = if celsius.is_nan() { UNKNOWN } else { known() };
        Self {
            offset_and_temperature: offset_ms << 16 | i64::from(hundredths.cast_unsigned()),
            current_a: head.current_a,
            scans_and_part: head.scans.min(SCANS_MAX) << 2 | head.part as u32,
        }
    }
}

impl From<StoredHead> for RowHead {
    fn from(stored: StoredHead) -> Self {
        let hundredths = stored.offset_and_temperature as i16;
        Self {
            offset_ms: stored.offset_and_temperature >> 16,
            current_a: stored.current_a,
            temperature_c: match hundredths {
                UNKNOWN => f32::NAN,
                known => f32::from(known) / 100.0,
            },
            scans: stored.scans_and_part >> 2,
            part: match stored.scans_and_part & 0b11 {
                0 => Part::Before,
                1 => Part::Discharge,
                _ => Part::After,
            },
        }
    }
}

impl Serialize for StoredHead {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RowHead::from(*self).serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_stored_comes_back_at_its_resolution(
            offset_ms in -OFFSET_MAX_MS..OFFSET_MAX_MS,
            current_a: f32,
            temperature_c in prop_oneof![-320f32..320.0, Just(f32::NAN)],
            scans in 0..SCANS_MAX,
            part in prop_oneof![Just(Part::Before), Just(Part::Discharge), Just(Part::After)],
        ) {
            let head = RowHead { offset_ms, current_a, temperature_c, scans, part };
            let back = RowHead::from(StoredHead::from(head));
            prop_assert_eq!((back.offset_ms, back.scans, back.part), (offset_ms, scans, part));
            prop_assert_eq!(back.current_a.to_bits(), current_a.to_bits());
            prop_assert_eq!(back.temperature_c.is_nan(), temperature_c.is_nan());
            let off_k = (back.temperature_c - temperature_c).abs();
            prop_assert!(temperature_c.is_nan() || off_k < 0.0051, "{} K", off_k);
            let wire = postcard::to_allocvec(&StoredHead::from(head)).expect("encodes");
            prop_assert_eq!(wire, postcard::to_allocvec(&back).expect("encodes"));
        }
    }

    #[test]
    fn what_cannot_be_is_the_nearest_that_can() {
        let head = |offset_ms, temperature_c, scans| {
            let part = Part::After;
            let head = RowHead { offset_ms, current_a: 0.0, temperature_c, scans, part };
            RowHead::from(StoredHead::from(head))
        };
        let high = head(i64::MAX, f32::INFINITY, u32::MAX);
        assert_eq!((high.offset_ms, high.scans), (OFFSET_MAX_MS, SCANS_MAX));
        assert_eq!(high.temperature_c, 327.67);
        let low = head(i64::MIN, f32::NEG_INFINITY, 0);
        assert_eq!((low.offset_ms, low.temperature_c), (-OFFSET_MAX_MS, -327.67));
    }
}
