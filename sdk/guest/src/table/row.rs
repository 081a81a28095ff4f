//! Rows: which field is which point, and which bits are which status word.
//! Each is one line: a constructor says the usual case, adjectives the rest.
//!
//! ```text
//! Row::int("battery.voltage", "V", 7, Int::U16_BE, 0.0..=99.9).divided_by(10.0)
//! Flag::bits(Place::byte(9), 0x01).says(Word::Ob).otherwise(Word::Ol)
//! ```

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use super::place::{Place, Split};
use super::raw::{Int, Raw};
use super::status::{Status, Word};
use super::{ReplyError, Update};
use crate::host::{Quality, Value};

/// One point in a reply.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// NUT variable name.
    pub point: &'static str,
    /// Unit symbol; empty for text.
    pub unit: &'static str,
    /// Where its field stands.
    pub at: Place,
    /// How to read the field.
    pub parse: Parse,
    /// Quality of a value that was read.
    pub quality: Quality,
    /// A reply without this field is sound; the point is then bad.
    pub optional: bool,
    /// Numbers that stand for "no value", before scaling: `0xFFFF`.
    pub absent: &'static [i64],
}

/// How to read a field.
#[derive(Clone, Copy, Debug)]
pub enum Parse {
    /// A number, published as `raw · scale / divisor + offset`; refused when
    /// that is outside `low..=high`.
    Number {
        /// How it is written.
        raw: Raw,
        /// Factor.
        scale: f64,
        /// Divisor: 2301 / 10 is 230.1, and 2301 · 0.1 is not.
        divisor: f64,
        /// Added at the end.
        offset: f64,
        /// Least plausible value. A sign is understood only when it is negative.
        low: f64,
        /// Greatest plausible value.
        high: f64,
    },
    /// Printable text, trimmed.
    Text,
    /// One of two words: whether all bits of `mask` are set.
    Bits {
        /// How the number is written.
        raw: Raw,
        /// The bits.
        mask: u32,
        /// Word when one of them is 0.
        zero: &'static str,
        /// Word when all are 1.
        one: &'static str,
    },
    /// A code, published as its word.
    Code {
        /// How the code is written.
        raw: Raw,
        /// Codes and their words.
        words: &'static [(i64, &'static str)],
        /// What to make of a code that is not among them.
        unknown: Unknown,
    },
    /// A text out of a list, published as its word.
    Name {
        /// What the device says, trimmed, and the word for it.
        words: &'static [(&'static str, &'static str)],
        /// What to make of a text that is not among them.
        unknown: Unknown,
    },
}

/// What to make of a code that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The line garbled the reply: ask again. For lists known to be complete.
    Garbled,
    /// Quality bad.
    Bad,
    /// This word.
    Word(&'static str),
}

impl Row {
    const fn new(point: &'static str, unit: &'static str, at: Place, parse: Parse) -> Self {
        let quality = Quality::Good;
        Self { point, unit, at, parse, quality, optional: false, absent: &[] }
    }

    const fn measured(
        point: &'static str,
        unit: &'static str,
        at: Place,
        raw: Raw,
        plausible: RangeInclusive<f64>,
    ) -> Self {
        let (low, high) = (*plausible.start(), *plausible.end());
        let parse = Parse::Number { raw, scale: 1.0, divisor: 1.0, offset: 0.0, low, high };
        Self::new(point, unit, at, parse)
    }

    /// A decimal number of fixed layout that begins at byte `start`.
    #[must_use]
    pub const fn number(
        point: &'static str,
        unit: &'static str,
        start: usize,
        layouts: &'static [&'static str],
        plausible: RangeInclusive<f64>,
    ) -> Self {
        let at = Place::Bytes(start, start + layouts[0].len());
        Self::measured(point, unit, at, Raw::Layout(layouts), plausible)
    }

    /// A decimal number of any length in a separated field or behind a key.
    #[must_use]
    pub const fn decimal(
        point: &'static str,
        unit: &'static str,
        at: Place,
        plausible: RangeInclusive<f64>,
    ) -> Self {
        Self::measured(point, unit, at, Raw::Decimal, plausible)
    }

    /// A binary integer that begins at byte `start`.
    #[must_use]
    pub const fn int(
        point: &'static str,
        unit: &'static str,
        start: usize,
        int: Int,
        plausible: RangeInclusive<f64>,
    ) -> Self {
        Self::measured(point, unit, Place::int(start, int), Raw::Int(int), plausible)
    }

    /// A binary integer in Modbus registers.
    #[must_use]
    pub const fn register(
        point: &'static str,
        unit: &'static str,
        number: u16,
        int: Int,
        plausible: RangeInclusive<f64>,
    ) -> Self {
        Self::measured(point, unit, Place::register(number, int), Raw::Int(int), plausible)
    }

    /// A number that is written in any other way.
    #[must_use]
    pub const fn raw(
        point: &'static str,
        unit: &'static str,
        at: Place,
        raw: Raw,
        plausible: RangeInclusive<f64>,
    ) -> Self {
        Self::measured(point, unit, at, raw, plausible)
    }

    /// A text.
    #[must_use]
    pub const fn text(point: &'static str, at: Range<usize>) -> Self {
        Self::text_at(point, Place::Bytes(at.start, at.end))
    }

    /// A text in a separated field or behind a key.
    #[must_use]
    pub const fn text_at(point: &'static str, at: Place) -> Self {
        Self::new(point, "", at, Parse::Text)
    }

    /// A character, `0` or `1`, with a word for each.
    #[must_use]
    pub const fn bit(
        point: &'static str,
        at: usize,
        zero: &'static str,
        one: &'static str,
    ) -> Self {
        let parse = Parse::Bits { raw: Raw::Layout(&["0"]), mask: 1, zero, one };
        Self::new(point, "", Place::byte(at), parse)
    }

    /// Bits of a byte or of another number, with a word for set and one for not.
    #[must_use]
    pub const fn bits(
        point: &'static str,
        (at, raw, mask): (Place, Raw, u32),
        zero: &'static str,
        one: &'static str,
    ) -> Self {
        Self::new(point, "", at, Parse::Bits { raw, mask, zero, one })
    }

    /// A code with a word for each of its values.
    #[must_use]
    pub const fn code(
        point: &'static str,
        (at, raw): (Place, Raw),
        words: &'static [(i64, &'static str)],
        unknown: Unknown,
    ) -> Self {
        Self::new(point, "", at, Parse::Code { raw, words, unknown })
    }

    /// A text out of a list, with a word for each.
    #[must_use]
    pub const fn name(
        point: &'static str,
        at: Place,
        words: &'static [(&'static str, &'static str)],
        unknown: Unknown,
    ) -> Self {
        Self::new(point, "", at, Parse::Name { words, unknown })
    }

    /// The number times `factor`.
    #[must_use]
    pub const fn times(mut self, factor: f64) -> Self {
        if let Parse::Number { scale, .. } = &mut self.parse {
            *scale = factor;
        }
        self
    }

    /// The number divided by `by`, which is exact for tenths and hundredths.
    #[must_use]
    pub const fn divided_by(mut self, by: f64) -> Self {
        if let Parse::Number { divisor, .. } = &mut self.parse {
            *divisor = by;
        }
        self
    }

    /// `amount` is added, after scaling.
    #[must_use]
    pub const fn plus(mut self, amount: f64) -> Self {
        if let Parse::Number { offset, .. } = &mut self.parse {
            *offset = amount;
        }
        self
    }

    /// These numbers stand for "no value", before scaling.
    #[must_use]
    pub const fn absent(mut self, numbers: &'static [i64]) -> Self {
        self.absent = numbers;
        self
    }

    /// A reply without this field is sound.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The device computes it and does not measure it.
    #[must_use]
    pub const fn estimated(mut self) -> Self {
        self.quality = Quality::Estimated;
        self
    }

    /// The point without a value: quality bad.
    #[must_use]
    pub const fn withdrawn(&self) -> Update {
        let value = match self.parse {
            Parse::Number { .. } => Value::Number(0.0),
            _ => Value::Text(Cow::Borrowed("")),
        };
        let name = Cow::Borrowed(self.point);
        Update { name, value, unit: self.unit, quality: Quality::Bad }
    }

    /// The point as `body` has it.
    pub(super) fn read(
        &self,
        body: &[u8],
        split: &Split,
        filler: &[u8],
    ) -> Result<Update, ReplyError> {
        let value = match split.find(body, self.at) {
            Some(field) => self.value(field, filler)?,
            None if self.optional => None,
            None => return Err(self.garbled()),
        };
        Ok(match value {
            Some(value) => Update { value, quality: self.quality, ..self.withdrawn() },
            None => self.withdrawn(),
        })
    }

    /// The value of `field`, or `None` when the device left it unavailable.
    fn value(&self, field: &[u8], filler: &[u8]) -> Result<Option<Value>, ReplyError> {
        let is_empty = is_filler(field, filler);
        let empty = |raw: Raw| is_empty && raw.is_text();
        let word = |word: &'static str| Ok(Some(Value::Text(Cow::Borrowed(word))));
        let unknown = |unknown: Unknown| match unknown {
            Unknown::Garbled => Err(self.garbled()),
            Unknown::Bad => Ok(None),
            Unknown::Word(other) => word(other),
        };
        match self.parse {
            Parse::Number { raw, .. } if empty(raw) => Ok(None),
            Parse::Bits { raw, .. } | Parse::Code { raw, .. } if empty(raw) => Ok(None),
            Parse::Text | Parse::Name { .. } if is_empty => Ok(None),
            Parse::Number { raw, scale, divisor, offset, low, high } => {
                let number = raw.read(field, low < 0.0).ok_or_else(|| self.garbled())?;
                if self.absent.iter().any(|absent| *absent as f64 == number) {
                    return Ok(None);
                }
                let number = number * scale / divisor + offset;
                if !(low..=high).contains(&number) {
                    return Err(ReplyError::Implausible { point: self.point });
                }
                Ok(Some(Value::Number(number)))
            }
            Parse::Text => {
                let text = printable(field).ok_or_else(|| self.garbled())?;
                Ok(Some(Value::Text(Cow::Owned(text.to_owned()))))
            }
            Parse::Bits { raw, mask, zero, one } => {
                let code = raw.code(field).ok_or_else(|| self.garbled())?;
                word(if code as u32 & mask == mask { one } else { zero })
            }
            Parse::Code { raw, words, unknown: other } => {
                let code = raw.code(field).ok_or_else(|| self.garbled())?;
                let known = words.iter().find(|(known, _)| *known == code);
                known.map_or_else(|| unknown(other), |(_, text)| word(text))
            }
            Parse::Name { words, unknown: other } => {
                let text = printable(field).ok_or_else(|| self.garbled())?;
                let known = words.iter().find(|(known, _)| *known == text);
                known.map_or_else(|| unknown(other), |(_, text)| word(text))
            }
        }
    }

    const fn garbled(&self) -> ReplyError {
        ReplyError::Field { point: self.point }
    }
}

/// Bits or a code in a reply that say something about the device's condition.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Where the field stands.
    pub at: Place,
    /// How it is written.
    pub raw: Raw,
    /// The bits that are looked at.
    pub mask: u32,
    /// What these bits must be.
    pub value: u32,
    /// Word when they are.
    pub word: Option<Word>,
    /// Alarm when they are.
    pub alarm: Option<&'static str>,
    /// Word when they are not.
    pub otherwise: Option<Word>,
}

impl Flag {
    const fn new(at: Place, raw: Raw, mask: u32, value: u32) -> Self {
        Self { at, raw, mask, value, word: None, alarm: None, otherwise: None }
    }

    /// The character `1` at byte `at`; `0` is the other one.
    #[must_use]
    pub const fn char(at: usize) -> Self {
        Self::new(Place::byte(at), Raw::Layout(&["0"]), u32::MAX, 1)
    }

    /// All bits of `mask` in one byte.
    #[must_use]
    pub const fn bits(at: Place, mask: u32) -> Self {
        Self::bits_of(at, Raw::Int(Int::U8), mask)
    }

    /// All bits of `mask` in a number.
    #[must_use]
    pub const fn bits_of(at: Place, raw: Raw, mask: u32) -> Self {
        Self::new(at, raw, mask, mask)
    }

    /// A code that is exactly `code`.
    #[must_use]
    pub const fn code(at: Place, raw: Raw, code: u32) -> Self {
        Self::new(at, raw, u32::MAX, code)
    }

    /// Then the status has this word.
    #[must_use]
    pub const fn says(mut self, word: Word) -> Self {
        self.word = Some(word);
        self
    }

    /// Then there is this alarm.
    #[must_use]
    pub const fn alarm(mut self, text: &'static str) -> Self {
        self.alarm = Some(text);
        self
    }

    /// If not, the status has this word.
    #[must_use]
    pub const fn otherwise(mut self, word: Word) -> Self {
        self.otherwise = Some(word);
        self
    }

    /// Add what `body` says to `status`.
    pub(super) fn read(
        &self,
        body: &[u8],
        split: &Split,
        status: &mut Status,
    ) -> Result<(), ReplyError> {
        let code = split.find(body, self.at).and_then(|field| self.raw.code(field));
        let code = code.ok_or(ReplyError::Field { point: "ups.status" })?;
        let is_set = code as u32 & self.mask == self.value;
        let word = if is_set { self.word } else { self.otherwise };
        if let Some(word) = word {
            status.add(word);
        }
        if let (true, Some(alarm)) = (is_set, self.alarm) {
            status.add_alarm(alarm);
        }
        Ok(())
    }
}

/// True for what devices write where they have nothing to say. A point may
/// keep its place between the filler: `@@@.@`.
fn is_filler(field: &[u8], filler: &[u8]) -> bool {
    let is_filler = |byte: &u8| filler.contains(byte);
    field.is_empty()
        || field.iter().any(is_filler) && field.iter().all(|byte| is_filler(byte) || *byte == b'.')
}

fn printable(field: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(field).ok()?;
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')).then(|| text.trim())
}
