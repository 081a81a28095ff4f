//! How a point becomes registers and bits, and what stands there when there is
//! no point: 0x8000 for signed numbers, all ones for others, NaN for floats.
//! A stale value stays, and its quality says so; a bad one is as if absent.

use std::borrow::Cow;

/// What a reading is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Measured and fresh.
    Good,
    /// Computed.
    Estimated,
    /// The last value of a source that fell silent.
    Stale,
    /// Not to be used.
    Bad,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number in the point's unit.
    Number(f64),
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The value.
    pub value: Value,
    /// What it is worth.
    pub state: State,
    /// How long ago it was measured, ms.
    pub age_ms: u64,
}

/// How a value is written into registers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Whole number times this, 0 … 65,534; 0xFFFF: none.
    U16(f64),
    /// Whole number times this, ±32,767; 0x8000: none.
    I16(f64),
    /// Whole number times this, 0 … 2³²−2; all ones: none.
    U32(f64),
    /// Whole number times this, ±(2³¹−1); 0x8000_0000: none.
    I32(f64),
    /// IEEE 754 single; NaN: none.
    F32,
    /// 0 good, 1 estimated, 2 stale, 3 bad, 4 no such point.
    Quality,
    /// Seconds, at most 65,534; 0xFFFF: no such point.
    Age,
    /// ok, notice, warning, alarm: 0 … 3; 0xFFFF: none.
    Level,
    /// 0 unknown, 1 float, 2 boost, 3 discharge, 4 recharge; 0xFFFF: none.
    Phase,
    /// 0 or 1; 0xFFFF: none.
    Flag,
    /// 1 unless the text is empty; 0xFFFF: none.
    NonEmpty,
    /// 1 when the text contains this; 0xFFFF: none.
    Says(&'static str),
    /// The words of `ups.status` as bits ([`UPS_BITS`]); 0xFFFF: none.
    UpsStatus,
    /// Always this.
    Constant(u16),
    /// Seconds since the start, modulo 65,536.
    Seconds,
    /// Nothing to read: 0xFFFF.
    Gap,
}

/// Bits of a UPS's status, the lowest first.
pub const UPS_BITS: [&str; 15] = [
    "OL", "OB", "LB", "HB", "RB", "CHRG", "DISCHRG", "BYPASS", "CAL", "OFF", "OVER", "TRIM",
    "BOOST", "FSD", "ALARM",
];

const LEVELS: [&str; 4] = ["ok", "notice", "warning", "alarm"];
const PHASES: [&str; 5] = ["unknown", "float", "boost", "discharge", "recharge"];
const NONE: u16 = 0xFFFF;

impl Kind {
    /// How many registers it takes.
    #[must_use]
    pub const fn registers(self) -> u16 {
        match self {
            Self::U32(_) | Self::I32(_) | Self::F32 => 2,
            _ => 1,
        }
    }

    /// Its name in the manual.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::I16(_) => "int16",
            Self::U32(_) => "uint32",
            Self::I32(_) => "int32",
            Self::F32 => "float32",
            Self::Quality => "quality",
            Self::UpsStatus => "bits",
            _ => "uint16",
        }
    }

    /// The registers of a reading, the first one first; the second is only
    /// there for two. `seconds` have passed since the start.
    #[must_use]
    pub fn encode(self, reading: Option<&Reading>, seconds: u64) -> [u16; 2] {
        let usable = reading.filter(|reading| reading.state != State::Bad);
        let number = usable.and_then(|reading| match reading.value {
            Value::Number(number) if number.is_finite() => Some(number),
            _ => None,
        });
        let text = usable.and_then(text);
        let one = |value: u16| [value, 0];
        let two = |value: u32| [(value >> 16) as u16, value as u16];
        let place = |words: &[&str]| {
            let found = text.as_deref().and_then(|t| words.iter().position(|word| *word == t));
            one(found.map_or(NONE, |at| at as u16))
        };
        let told = |yes: Option<bool>| one(yes.map_or(NONE, u16::from));
        // `as` saturates, and what is beyond is the nearest that can be said.
        match self {
            Self::U16(by) => one(number.map_or(NONE, |n| ((n * by).round() as u16).min(NONE - 1))),
            Self::I16(by) => {
                let value = number.map_or(i16::MIN, |n| ((n * by).round() as i16).max(-i16::MAX));
                one(value as u16)
            }
            Self::U32(by) => {
                two(number.map_or(u32::MAX, |n| ((n * by).round() as u32).min(u32::MAX - 1)))
            }
            Self::I32(by) => {
                let value = number.map_or(i32::MIN, |n| ((n * by).round() as i32).max(-i32::MAX));
                two(value as u32)
            }
            Self::F32 => two(number.map_or(f32::NAN, |n| n as f32).to_bits()),
            Self::Quality => one(reading.map_or(4, |reading| reading.state as u16)),
            Self::Age => {
                let age = |r: &Reading| (r.age_ms / 1_000).min(u64::from(NONE) - 1) as u16;
                one(reading.map_or(NONE, age))
            }
            Self::Level => place(&LEVELS),
            Self::Phase => place(&PHASES),
            Self::Flag => told(usable.and_then(flag)),
            Self::NonEmpty => told(text.map(|text| !text.is_empty())),
            Self::Says(words) => told(text.map(|text| text.contains(words))),
            Self::UpsStatus => one(text.map_or(NONE, |text| status_bits(&text))),
            Self::Constant(value) => one(value),
            Self::Seconds => one(seconds as u16),
            Self::Gap => one(NONE),
        }
    }
}

fn text(reading: &Reading) -> Option<Cow<'_, str>> {
    match &reading.value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

fn flag(reading: &Reading) -> Option<bool> {
    match reading.value {
        Value::Flag(flag) => Some(flag),
        _ => None,
    }
}

fn status_bits(text: &str) -> u16 {
    let bit = |word| UPS_BITS.iter().position(|known| *known == word).map_or(0, |at| 1 << at);
    text.split(' ').map(bit).fold(0, |bits, bit| bits | bit)
}

/// When a bit is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bit {
    /// The flag is set.
    True,
    /// The status is this bad: 0 ok … 3 alarm.
    AtLeast(u16),
    /// The text is not empty.
    NonEmpty,
    /// The text contains this.
    Says(&'static str),
    /// The text has this word.
    Word(&'static str),
    /// There is a value, and its source has not fallen silent.
    Fresh,
    /// Never.
    Never,
}

impl Bit {
    /// The bit of a reading; without one it is 0.
    #[must_use]
    pub fn encode(self, reading: Option<&Reading>) -> bool {
        let Some(reading) = reading.filter(|reading| reading.state != State::Bad) else {
            return false;
        };
        let text = text(reading).unwrap_or_default();
        match self {
            Self::True => flag(reading) == Some(true),
            Self::AtLeast(level) => {
                LEVELS.iter().position(|word| *word == text).is_some_and(|at| at as u16 >= level)
            }
            Self::NonEmpty => !text.is_empty(),
            Self::Says(words) => text.contains(words),
            Self::Word(wanted) => text.split(' ').any(|word| word == wanted),
            Self::Fresh => reading.state != State::Stale,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn number(number: f64) -> Reading {
        Reading { value: Value::Number(number), state: State::Good, age_ms: 1_900 }
    }

    pub(crate) fn words(text: &str) -> Reading {
        Reading { value: Value::Text(text.to_owned()), state: State::Good, age_ms: 0 }
    }

    fn one(kind: Kind, reading: &Reading) -> u16 {
        kind.encode(Some(reading), 0)[0]
    }

    #[test]
    fn numbers_are_scaled_rounded_and_kept_in_range() {
        assert_eq!(one(Kind::U16(1e3), &number(13.6124)), 13_612);
        assert_eq!(one(Kind::I16(10.0), &number(-5.25)), (-53_i16) as u16);
        assert_eq!(one(Kind::U16(10.0), &number(-1.0)), 0);
        assert_eq!(one(Kind::U16(10.0), &number(1e9)), 0xFFFE);
        assert_eq!(one(Kind::I16(1.0), &number(-1e9)), 0x8001);
        assert_eq!(Kind::U32(1e3).encode(Some(&number(435.678)), 0), [0x0006, 0xA5DE]);
        assert_eq!(Kind::I32(1e3).encode(Some(&number(-0.001)), 0), [0xFFFF, 0xFFFF]);
        assert_eq!(Kind::F32.encode(Some(&number(13.5)), 0), [0x4158, 0x0000]);
        assert_eq!(Kind::Seconds.encode(None, 65_537)[0], 1);
    }

    #[test]
    fn what_is_missing_or_bad_cannot_be_taken_for_a_value() {
        let bad = Reading { state: State::Bad, ..number(1.0) };
        for reading in [None, Some(&bad), Some(&words("x")), Some(&number(f64::NAN))] {
            assert_eq!(Kind::U16(1.0).encode(reading, 0)[0], 0xFFFF);
            assert_eq!(Kind::I16(1.0).encode(reading, 0)[0], 0x8000);
            assert_eq!(Kind::U32(1.0).encode(reading, 0), [0xFFFF, 0xFFFF]);
            assert_eq!(Kind::I32(1.0).encode(reading, 0), [0x8000, 0]);
            assert_eq!(Kind::F32.encode(reading, 0), [0x7FC0, 0]);
        }
        assert_eq!((Kind::Quality.encode(None, 0)[0], one(Kind::Quality, &bad)), (4, 3));
        assert_eq!((Kind::Age.encode(None, 0)[0], one(Kind::Age, &bad)), (0xFFFF, 1));
    }

    #[test]
    fn a_stale_value_stays_and_its_quality_says_so() {
        let stale = Reading { state: State::Stale, ..number(230.1) };
        assert_eq!((one(Kind::U16(10.0), &stale), one(Kind::Quality, &stale)), (2_301, 2));
        let status = Reading { state: State::Stale, ..words("OL CHRG") };
        assert_eq!(one(Kind::UpsStatus, &status), 0b10_0001);
        assert!(!Bit::Fresh.encode(Some(&status)) && Bit::Word("OL").encode(Some(&status)));
    }

    #[test]
    fn words_are_numbers_and_bits() {
        assert_eq!(one(Kind::Level, &words("warning")), 2);
        assert_eq!(one(Kind::Phase, &words("discharge")), 3);
        assert_eq!(one(Kind::Level, &words("?")), 0xFFFF);
        assert_eq!(one(Kind::NonEmpty, &words("")), 0);
        assert_eq!(one(Kind::UpsStatus, &words("OB LB")), 0b110);
        assert!(Bit::AtLeast(2).encode(Some(&words("alarm"))));
        assert!(!Bit::AtLeast(2).encode(Some(&words("notice"))));
        assert!(!Bit::Word("B").encode(Some(&words("OB"))) && !Bit::Fresh.encode(None));
    }

    proptest! {
        #[test]
        fn a_value_never_looks_like_none(n in -1e12_f64..1e12, by in 0.1_f64..1e4) {
            let reading = number(n);
            prop_assert!(one(Kind::U16(by), &reading) != 0xFFFF);
            prop_assert!(one(Kind::I16(by), &reading) != 0x8000);
            prop_assert!(Kind::U32(by).encode(Some(&reading), 0) != [0xFFFF, 0xFFFF]);
            prop_assert!(Kind::I32(by).encode(Some(&reading), 0) != [0x8000, 0]);
        }
    }
}
