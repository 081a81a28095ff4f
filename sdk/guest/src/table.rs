//! A protocol family as data: requests, the frame of their replies, and rows
//! that say which bytes are which point. Decoding is a pure function.
//!
//! Leniency ends where damage begins. A field that a device fills with `@`,
//! `-`, `#` or spaces is *unavailable*: its point is published empty and with
//! quality bad (facts/ups-serial-protocols.md §1), so that no earlier value of
//! it stays good. A field that is neither a number nor
//! filler means that the line garbled the reply: then the whole reply is
//! refused and asked for again, because its neighbours are no better.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use crate::host::{Quality, ReplyEnd, Update, Value};

/// A question to the device and what is known about its answer.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What it asks for, for messages: `status`.
    pub name: &'static str,
    /// Bytes to send.
    pub send: &'static [u8],
    /// When the reply is complete.
    pub end: ReplyEnd,
    /// Longest reply in bytes.
    pub max: u32,
    /// Time for writing and reading, in milliseconds.
    pub timeout_ms: u32,
    /// How often to ask before giving up, at least 1.
    pub tries: u8,
    /// What a sound reply looks like.
    pub frame: Frame,
    /// Points in the reply.
    pub rows: &'static [Row],
}

/// The skeleton of a reply: everything that can be checked without a checksum.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Shortest and longest reply in bytes, terminator included.
    pub length: (usize, usize),
    /// Bytes that stand at fixed places.
    pub fixed: &'static [(usize, u8)],
    /// First place and the one after the last of those that hold `0` or `1`;
    /// equal when there are none.
    pub bits: (usize, usize),
}

/// One point in a reply.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// NUT variable name.
    pub point: &'static str,
    /// Unit symbol; empty for text.
    pub unit: &'static str,
    /// First byte and the one after the last. A field that reaches beyond the
    /// reply ends with it.
    pub at: (usize, usize),
    /// How to read the bytes.
    pub parse: Parse,
    /// Quality of a value that was read.
    pub quality: Quality,
}

/// How to read a field.
#[derive(Clone, Copy, Debug)]
pub enum Parse {
    /// A decimal number in one of the `layouts`, multiplied by `scale`; refused
    /// when outside `low..=high` (after scaling).
    Number {
        /// How the field may look: `0` for a digit, `.` for the point, all of
        /// the same length. Leading digits may be spaces; where `low` is
        /// negative, a sign may stand before the first digit.
        layouts: &'static [&'static str],
        /// Factor, 1.0 when the field is in the unit of the row.
        scale: f64,
        /// Least plausible value.
        low: f64,
        /// Greatest plausible value.
        high: f64,
    },
    /// Printable text, trimmed.
    Text,
    /// One character, `0` or `1`, published as one of two words.
    Bit {
        /// Word for `0`.
        zero: &'static str,
        /// Word for `1`.
        one: &'static str,
    },
}

/// What is wrong with a reply. All of these mean "ask again".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// Too short or too long.
    Length {
        /// Bytes received.
        found: usize,
    },
    /// A byte that must stand at a fixed place does not.
    Skeleton {
        /// Its place.
        at: usize,
    },
    /// A field is neither a value nor filler.
    Field {
        /// The point that it would have become.
        point: &'static str,
    },
    /// A number that no such device reports.
    Implausible {
        /// The point that it would have become.
        point: &'static str,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found } => write!(f, "the reply has {found} bytes"),
            Self::Skeleton { at } => write!(f, "byte {at} of the reply is out of place"),
            Self::Field { point } => write!(f, "the field of {point} is garbled"),
            Self::Implausible { point } => write!(f, "the value of {point} is impossible"),
        }
    }
}

impl std::error::Error for ReplyError {}

impl Frame {
    /// Check the skeleton of `reply`.
    ///
    /// # Errors
    /// [`ReplyError::Length`] or [`ReplyError::Skeleton`].
    pub fn check(&self, reply: &[u8]) -> Result<(), ReplyError> {
        if !(self.length.0..=self.length.1).contains(&reply.len()) {
            return Err(ReplyError::Length { found: reply.len() });
        }
        let out_of_place = |at: usize| Err(ReplyError::Skeleton { at });
        if let Some((at, _)) = self.fixed.iter().find(|(at, byte)| reply.get(*at) != Some(byte)) {
            return out_of_place(*at);
        }
        let is_bit = |at: usize| matches!(reply.get(at), Some(b'0' | b'1'));
        (self.bits.0..self.bits.1).find(|at| !is_bit(*at)).map_or(Ok(()), out_of_place)
    }
}

/// Check a reply and read every row of the request from it: one update each.
/// Where the device left the field unavailable, the value is 0 or an empty
/// text, with quality bad.
///
/// # Errors
/// The first [`ReplyError`] found; then no value of the reply may be used.
pub fn decode(request: &Request, reply: &[u8]) -> Result<Vec<Update>, ReplyError> {
    request.frame.check(reply)?;
    let body = match request.end {
        ReplyEnd::Terminator(byte) => reply.strip_suffix(&[byte]).unwrap_or(reply),
        ReplyEnd::Length(_) | ReplyEnd::IdleUs(_) => reply,
    };
    let mut updates = Vec::with_capacity(request.rows.len());
    for row in request.rows {
        let update = Update {
            name: Cow::Borrowed(row.point),
            value: row.empty(),
            unit: row.unit,
            quality: row.quality,
        };
        updates.push(match row.read(body)? {
            Some(value) => Update { value, ..update },
            None => Update { quality: Quality::Bad, ..update },
        });
    }
    Ok(updates)
}

impl Row {
    /// A measured number in its own unit, beginning at byte `start`.
    #[must_use]
    pub const fn number(
        point: &'static str,
        unit: &'static str,
        start: usize,
        layouts: &'static [&'static str],
        plausible: RangeInclusive<f64>,
    ) -> Self {
        let (low, high) = (*plausible.start(), *plausible.end());
        let parse = Parse::Number { layouts, scale: 1.0, low, high };
        let at = (start, start + layouts[0].len());
        Self { point, unit, at, parse, quality: Quality::Good }
    }

    /// A text.
    #[must_use]
    pub const fn text(point: &'static str, at: Range<usize>) -> Self {
        let (at, parse) = ((at.start, at.end), Parse::Text);
        Self { point, unit: "", at, parse, quality: Quality::Good }
    }

    /// A status bit with a word for each state.
    #[must_use]
    pub const fn bit(
        point: &'static str,
        at: usize,
        zero: &'static str,
        one: &'static str,
    ) -> Self {
        let (at, parse) = ((at, at + 1), Parse::Bit { zero, one });
        Self { point, unit: "", at, parse, quality: Quality::Good }
    }

    /// What stands where there is no value: never to be used.
    fn empty(&self) -> Value {
        match self.parse {
            Parse::Number { .. } => Value::Number(0.0),
            Parse::Text | Parse::Bit { .. } => Value::Text(Cow::Borrowed("")),
        }
    }

    /// The value in `body`, or `None` when the device left it unavailable.
    fn read(&self, body: &[u8]) -> Result<Option<Value>, ReplyError> {
        let garbled = ReplyError::Field { point: self.point };
        let end = self.at.1.min(body.len());
        let field = body.get(self.at.0..end).ok_or(garbled)?;
        if is_filler(field) {
            return Ok(None);
        }
        match self.parse {
            Parse::Number { layouts, scale, low, high } => {
                let number = decimal(field, layouts, low < 0.0).ok_or(garbled)? * scale;
                if !(low..=high).contains(&number) {
                    return Err(ReplyError::Implausible { point: self.point });
                }
                Ok(Some(Value::Number(number)))
            }
            Parse::Text => {
                let text = printable(field).ok_or(garbled)?;
                Ok(Some(Value::Text(Cow::Owned(text.to_owned()))))
            }
            Parse::Bit { zero, one } => match field {
                b"0" => Ok(Some(Value::Text(Cow::Borrowed(zero)))),
                b"1" => Ok(Some(Value::Text(Cow::Borrowed(one)))),
                _ => Err(garbled),
            },
        }
    }
}

/// True for what devices write where they have nothing to say. A point may
/// keep its place between the filler: `@@@.@`.
fn is_filler(field: &[u8]) -> bool {
    let filler = |byte: &u8| matches!(byte, b'@' | b'-' | b'#' | b' ');
    !field.iter().any(|byte| !filler(byte) && *byte != b'.') && field.iter().any(filler)
        || field.is_empty()
}

/// Stricter than `f64::from_str`: with the layout known, a point that became a
/// digit or a lost last digit does not pass as another number.
fn decimal(field: &[u8], layouts: &[&str], signed: bool) -> Option<f64> {
    if !layouts.iter().any(|layout| has_layout(field, layout, signed)) {
        return None;
    }
    let (negative, digits) = match field.trim_ascii_start().strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, field.trim_ascii_start()),
    };
    let magnitude = plain_decimal(digits)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// Digits with at most one point between them, at most 15 bytes. It is here
/// because the standard library's parser of floats alone is a third of a small
/// plugin. The digits are read as an integer and divided once: both numbers are
/// exact below 2^53, so the result has the same bits as that parser's.
pub(crate) fn plain_decimal(text: &[u8]) -> Option<f64> {
    const LEN_MAX: usize = 15;
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, decimals) = match point {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"0"[..]),
    };
    let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if text.len() > LEN_MAX || !is_digits(whole) || !is_digits(decimals) {
        return None;
    }
    let digits = whole.iter().chain(decimals);
    let number = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(number as f64 / 10_u64.pow(decimals.len() as u32) as f64)
}

fn has_layout(field: &[u8], layout: &str, signed: bool) -> bool {
    let unpadded = field.trim_ascii_start();
    let number = if signed { unpadded.strip_prefix(b"-").unwrap_or(unpadded) } else { unpadded };
    let layout = layout.as_bytes();
    let Some(skipped) = layout.len().checked_sub(number.len()) else { return false };
    field.len() == layout.len()
        && number.first().is_some_and(u8::is_ascii_digit)
        && number.iter().zip(&layout[skipped..]).all(|(byte, place)| match place {
            b'0' => byte.is_ascii_digit(),
            place => byte == place,
        })
}

fn printable(field: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(field).ok()?;
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')).then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request = Request {
        name: "test",
        send: b"?\r",
        end: ReplyEnd::Terminator(b'\r'),
        max: 32,
        timeout_ms: 1000,
        tries: 3,
        frame: Frame { length: (14, 15), fixed: &[(0, b'('), (6, b' '), (8, b' ')], bits: (7, 8) },
        rows: &[
            Row::number("input.voltage", "V", 1, &["000.0"], 0.0..=500.0),
            Row::bit("ups.beeper.status", 7, "disabled", "enabled"),
            Row::text("ups.firmware", 9..14),
        ],
    };

    fn texts(reply: &[u8]) -> Result<Vec<String>, ReplyError> {
        decode(&REQUEST, reply).map(|updates| {
            updates.iter().map(|u| format!("{}={:?}{}", u.name, u.value, u.unit)).collect()
        })
    }

    #[test]
    fn rows_become_points() {
        assert_eq!(
            texts(b"(208.4 1 V1.2 \r").unwrap(),
            [
                "input.voltage=Number(208.4)V",
                "ups.beeper.status=Text(\"enabled\")",
                "ups.firmware=Text(\"V1.2\")"
            ]
        );
    }

    #[test]
    fn a_short_last_field_ends_with_the_reply() {
        assert_eq!(texts(b"(208.4 0 V1.2\r").unwrap()[2], "ups.firmware=Text(\"V1.2\")");
    }

    #[test]
    fn filler_is_bad_and_nothing_else_is() {
        for filler in ["@@@.@", "-----", "###.#", "     "] {
            let reply = format!("({filler} 0 V1.2 \r");
            let updates = decode(&REQUEST, reply.as_bytes()).unwrap();
            assert_eq!(updates.len(), 3, "{filler}");
            let voltage = &updates[0];
            assert_eq!((&voltage.value, voltage.unit), (&Value::Number(0.0), "V"), "{filler}");
            assert_eq!(voltage.quality, Quality::Bad, "{filler}");
            assert_eq!(updates[1].quality, Quality::Good, "{filler}");
        }
        for garbage in [
            "2@8.4", "20?.4", ".....", "2 8.4", "208. ", "208.4\0", "1e2.0", "-08.4", "20814",
            "20.84",
        ] {
            let reply = format!("({garbage} 0 V1.2 \r");
            assert!(texts(reply.as_bytes()).is_err(), "{garbage:?} passed");
        }
    }

    #[test]
    fn damage_is_located() {
        assert_eq!(texts(b"(208.4 1 V\r"), Err(ReplyError::Length { found: 11 }));
        assert_eq!(texts(b"#208.4 1 V1.2 \r"), Err(ReplyError::Skeleton { at: 0 }));
        assert_eq!(
            texts(b"(908.4 1 V1.2 \r"),
            Err(ReplyError::Implausible { point: "input.voltage" })
        );
        assert_eq!(texts(b"(208.4 2 V1.2 \r"), Err(ReplyError::Skeleton { at: 7 }));
        assert_eq!(texts(b"(208.4 1 V\x07.2 \r"), Err(ReplyError::Field { point: "ups.firmware" }));
    }

    #[test]
    fn decimals_equal_what_the_standard_library_reads() {
        let layouts = ["0", "000.0", "0.00", "00.00", "000000000.00000"];
        for text in ["7", "000.0", "208.4", "2.05", "59.95", "13.65", "123456789.12345"] {
            assert_eq!(decimal(text.as_bytes(), &layouts, false), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn a_number_keeps_its_layout() {
        let layouts = ["00.0", "0.00"];
        assert_eq!(decimal(b"12.5", &layouts, false), Some(12.5));
        assert_eq!(decimal(b"2.05", &layouts, false), Some(2.05));
        assert_eq!(decimal(b" 2.5", &layouts, false), Some(2.5));
        assert_eq!(decimal(b"-2.5", &layouts, true), Some(-2.5));
        for text in
            ["1205", "12.", "12.55", ".125", " .25", "1 .5", "125.", "-2.5", "+2.5", "", "2.5 "]
        {
            assert_eq!(decimal(text.as_bytes(), &layouts, false), None, "{text:?}");
        }
    }
}
