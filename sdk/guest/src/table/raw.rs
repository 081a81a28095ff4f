//! How the bytes of a field become a number: decimal and hexadecimal text,
//! binary integers, packed decimals, floats. Every reading is total: any bytes
//! give a number or nothing.

/// How a field is written.
#[derive(Clone, Copy, Debug)]
pub enum Raw {
    /// A decimal number in one of these layouts: `0` for a digit, `.` for the
    /// point, all of the same length. Leading digits may be spaces. Stricter
    /// than a free number: a point that became a digit or a lost last digit
    /// does not pass as another number.
    Layout(&'static [&'static str]),
    /// A decimal number of any length up to 15 characters, blanks around it.
    Decimal,
    /// Hexadecimal digits, at most 8.
    Hex,
    /// Half-bytes coded as 0x30 + n, high one first, at most 8.
    Nibbles,
    /// Packed decimal: two digits in a byte, high byte first, at most 7 bytes.
    Bcd,
    /// A binary integer.
    Int(Int),
    /// A number of IEEE 754 single precision.
    Float(Order),
}

/// A binary integer: one of the constants below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    bytes: u8,
    signed: bool,
    order: Order,
}

/// Order of the bytes of a binary number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// High byte first.
    Big,
    /// Low byte first.
    Little,
    /// Words of two bytes, low word first, high byte first in each: what some
    /// Modbus devices make of 32 bits.
    LowWordFirst,
}

#[allow(missing_docs)] // each name is the whole story
impl Int {
    pub const U8: Self = Self::new(1, false, Order::Big);
    pub const I8: Self = Self::new(1, true, Order::Big);
    pub const U16_BE: Self = Self::new(2, false, Order::Big);
    pub const I16_BE: Self = Self::new(2, true, Order::Big);
    pub const U16_LE: Self = Self::new(2, false, Order::Little);
    pub const I16_LE: Self = Self::new(2, true, Order::Little);
    pub const U32_BE: Self = Self::new(4, false, Order::Big);
    pub const I32_BE: Self = Self::new(4, true, Order::Big);
    pub const U32_LE: Self = Self::new(4, false, Order::Little);
    pub const I32_LE: Self = Self::new(4, true, Order::Little);
    pub const U32_LOW_WORD_FIRST: Self = Self::new(4, false, Order::LowWordFirst);
    pub const I32_LOW_WORD_FIRST: Self = Self::new(4, true, Order::LowWordFirst);

    const fn new(bytes: u8, signed: bool, order: Order) -> Self {
        Self { bytes, signed, order }
    }

    /// How many bytes it takes.
    #[must_use]
    pub const fn width(self) -> usize {
        self.bytes as usize
    }

    fn read(self, field: &[u8]) -> Option<i64> {
        if field.len() != self.width() {
            return None;
        }
        let unsigned = join(field, self.order);
        let bits = 8 * u32::from(self.bytes);
        let negative = self.signed && unsigned >> (bits - 1) == 1;
        Some(if negative { i64::from(unsigned) - (1 << bits) } else { i64::from(unsigned) })
    }
}

impl Raw {
    /// The number in `field`. Only [`Raw::Layout`], [`Raw::Decimal`] with
    /// `signed`, [`Raw::Int`] and [`Raw::Float`] give negative ones.
    #[must_use]
    pub fn read(self, field: &[u8], signed: bool) -> Option<f64> {
        match self {
            Self::Layout(layouts) => decimal(field, layouts, signed),
            Self::Decimal => free_decimal(field, signed),
            Self::Hex => digits(field, 16, hex_value),
            Self::Nibbles => digits(field, 16, |byte| byte.checked_sub(0x30).filter(|n| *n < 16)),
            Self::Bcd => bcd(field),
            Self::Int(int) => int.read(field).map(|number| number as f64),
            Self::Float(order) if field.len() == 4 => {
                Some(f64::from(f32::from_bits(join(field, order)))).filter(|f| f.is_finite())
            }
            Self::Float(_) => None,
        }
    }

    /// The number in `field` as a code or as bits: whole and of at most 32 bits.
    #[must_use]
    pub fn code(self, field: &[u8]) -> Option<i64> {
        let number = self.read(field, true)?;
        let code = number as i64;
        (code as f64 == number && code.unsigned_abs() <= u32::MAX.into()).then_some(code)
    }

    /// True for fields made of characters, in which a device can write filler.
    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Layout(_) | Self::Decimal | Self::Hex | Self::Nibbles)
    }
}

/// At most four bytes as one number.
fn join(field: &[u8], order: Order) -> u32 {
    let push = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
    match order {
        Order::Big => field.iter().fold(0, push),
        Order::Little => field.iter().rev().fold(0, push),
        Order::LowWordFirst => field.chunks(2).rev().flatten().fold(0, push),
    }
}

fn decimal(field: &[u8], layouts: &[&str], signed: bool) -> Option<f64> {
    if !layouts.iter().any(|layout| has_layout(field, layout, signed)) {
        return None;
    }
    free_decimal(field, signed)
}

fn free_decimal(field: &[u8], signed: bool) -> Option<f64> {
    let text = field.trim_ascii();
    match text.split_first() {
        Some((b'-', digits)) if signed => plain_decimal(digits).map(|number| -number),
        Some((b'+', digits)) if signed => plain_decimal(digits),
        _ => plain_decimal(text),
    }
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

/// At most eight digits of a number system.
fn digits(field: &[u8], base: u32, value: impl Fn(u8) -> Option<u8>) -> Option<f64> {
    if field.is_empty() || field.len() > 8 {
        return None;
    }
    let number = field
        .iter()
        .try_fold(0_u64, |number, byte| Some(number * u64::from(base) + u64::from(value(*byte)?)));
    number.map(|number| number as f64)
}

fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn bcd(field: &[u8]) -> Option<f64> {
    if field.is_empty() || field.len() > 7 {
        return None;
    }
    let number = field.iter().try_fold(0_u64, |number, byte| {
        let (high, low) = (byte >> 4, byte & 15);
        (high < 10 && low < 10).then(|| number * 100 + u64::from(high * 10 + low))
    });
    number.map(|number| number as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn each_kind_reads_its_spelling() {
        let cases: [(Raw, &[u8], Option<f64>); 19] = [
            (Raw::Decimal, b" 12.50 ", Some(12.5)),
            (Raw::Decimal, b"+22.5", Some(22.5)),
            (Raw::Decimal, b"-3", Some(-3.0)),
            (Raw::Decimal, b"1e3", None),
            (Raw::Decimal, b"", None),
            (Raw::Hex, b"1aF", Some(431.0)),
            (Raw::Hex, b"1g", None),
            (Raw::Nibbles, b"\x30\x3E\x36", Some(230.0)),
            (Raw::Nibbles, b"\x30\x31\x39\x3A", Some(410.0)),
            (Raw::Nibbles, b"\x40", None),
            (Raw::Bcd, b"\x12\x34", Some(1234.0)),
            (Raw::Bcd, b"\x1A", None),
            (Raw::Int(Int::I8), b"\xFF", Some(-1.0)),
            (Raw::Int(Int::U16_LE), b"\x01\x02", Some(513.0)),
            (Raw::Int(Int::I16_BE), b"\x80\x00", Some(-32768.0)),
            (Raw::Int(Int::I32_LE), b"\xFE\xFF\xFF\xFF", Some(-2.0)),
            (Raw::Int(Int::U32_LOW_WORD_FIRST), b"\x00\x02\x00\x01", Some(65538.0)),
            (Raw::Float(Order::Little), &230.5_f32.to_le_bytes(), Some(230.5)),
            (Raw::Float(Order::Big), &f32::NAN.to_be_bytes(), None),
        ];
        for (raw, field, number) in cases {
            assert_eq!(raw.read(field, true), number, "{raw:?} of {field:?}");
        }
        assert_eq!(Raw::Int(Int::U16_BE).read(b"\x01", true), None, "too short");
        assert_eq!(Raw::Decimal.code(b"1.5"), None, "no code");
        assert_eq!(Raw::Int(Int::U8).code(b"L"), Some(76));
    }

    proptest! {
        #[test]
        fn any_field_gives_a_finite_number_or_nothing(
            field in prop::collection::vec(any::<u8>(), 0..20),
            signed in any::<bool>(),
        ) {
            let all = [
                Raw::Layout(&["000.0", "00.00"]), Raw::Layout(&[]), Raw::Decimal, Raw::Hex,
                Raw::Nibbles, Raw::Bcd, Raw::Int(Int::I32_LOW_WORD_FIRST), Raw::Int(Int::U8),
                Raw::Int(Int::I16_LE), Raw::Float(Order::Big), Raw::Float(Order::LowWordFirst),
            ];
            for raw in all {
                prop_assert!(raw.read(&field, signed).is_none_or(f64::is_finite));
                let code = raw.code(&field);
                prop_assert!(code.is_none_or(|c| c.unsigned_abs() <= u32::MAX.into()));
            }
        }

        #[test]
        fn integers_come_back(number in any::<i32>()) {
            let read = |int, bytes: &[u8]| Raw::Int(int).read(bytes, true);
            prop_assert_eq!(read(Int::I32_BE, &number.to_be_bytes()), Some(number.into()));
            prop_assert_eq!(read(Int::I32_LE, &number.to_le_bytes()), Some(number.into()));
            let unsigned = number.cast_unsigned();
            prop_assert_eq!(read(Int::U32_LE, &unsigned.to_le_bytes()), Some(unsigned.into()));
            let short = number as i16;
            prop_assert_eq!(read(Int::I16_LE, &short.to_le_bytes()), Some(short.into()));
        }

        #[test]
        fn decimals_read_as_the_standard_library_does(text in "[0-9]{1,8}(\\.[0-9]{1,6})?") {
            prop_assert_eq!(Raw::Decimal.read(text.as_bytes(), false), text.parse().ok());
        }
    }
}
