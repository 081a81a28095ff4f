//! Where a field stands in a reply: at fixed bytes, between separators, behind
//! a key, or in a register.

use super::raw::Int;

/// How a reply is divided. Decided once for a frame; its rows then name fields
/// in these terms.
#[derive(Clone, Copy, Debug)]
pub enum Split {
    /// Not at all: fields have fixed places.
    None,
    /// Any of these bytes ends a field; fields are counted from 0 at byte `skip`.
    Fields {
        /// Bytes before the first field.
        skip: usize,
        /// Each of them ends a field.
        separators: &'static [u8],
    },
    /// Lines of a key and a value; where a key stands twice, the first counts.
    Lines {
        /// Each of them ends a line.
        ends: &'static [u8],
        /// Stands between key and value, once.
        between: u8,
    },
    /// Each value stands behind one capital letter, its key, and ends before
    /// the next: `I119.0O118.5L007`.
    Letters {
        /// Bytes before the first letter.
        skip: usize,
    },
    /// Modbus registers.
    Registers {
        /// Bytes before the first register.
        skip: usize,
        /// Number of that register.
        first: u16,
    },
}

/// A field in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// First byte and the one after the last, whatever the split. A field that
    /// reaches beyond the reply ends with it.
    Bytes(usize, usize),
    /// A field of [`Split::Fields`], counted from 0.
    Field(usize),
    /// The value behind a key of [`Split::Lines`] or [`Split::Letters`].
    Key(&'static str),
    /// So many bytes from a register of [`Split::Registers`] on.
    Register(u16, usize),
}

impl Place {
    /// The bytes of a binary integer that begins at byte `start`.
    #[must_use]
    pub const fn int(start: usize, int: Int) -> Self {
        Self::Bytes(start, start + int.width())
    }

    /// The registers of a binary integer.
    #[must_use]
    pub const fn register(number: u16, int: Int) -> Self {
        Self::Register(number, int.width())
    }

    /// One byte.
    #[must_use]
    pub const fn byte(at: usize) -> Self {
        Self::Bytes(at, at + 1)
    }
}

impl Split {
    /// The field at `place` of `body`, if there is one.
    #[must_use]
    pub fn find<'a>(&self, body: &'a [u8], place: Place) -> Option<&'a [u8]> {
        match (*self, place) {
            (_, Place::Bytes(start, end)) => body.get(start..end.min(body.len())),
            (Self::Fields { skip, separators }, Place::Field(index)) => {
                body.get(skip..)?.split(|byte| separators.contains(byte)).nth(index)
            }
            (Self::Lines { ends, between }, Place::Key(key)) => body
                .split(|byte| ends.contains(byte))
                .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(&[between])),
            (Self::Letters { skip }, Place::Key(key)) => {
                let body = body.get(skip..)?;
                let [key] = *key.as_bytes() else { return None };
                let start = body.iter().position(|byte| *byte == key)?;
                let value = body.get(start + 1..)?;
                let end = value.iter().position(u8::is_ascii_uppercase).unwrap_or(value.len());
                value.get(..end)
            }
            (Self::Registers { skip, first }, Place::Register(number, len)) => {
                let start = skip + 2 * usize::from(number.checked_sub(first)?);
                body.get(start..start.checked_add(len)?)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS: Split = Split::Fields { skip: 1, separators: b",;" };
    const LINES: Split = Split::Lines { ends: b"\r\n", between: b'\t' };
    const LETTERS: Split = Split::Letters { skip: 1 };
    const REGISTERS: Split = Split::Registers { skip: 3, first: 128 };

    #[test]
    fn fields_are_found() {
        type Case = (Split, &'static [u8], Place, Option<&'static [u8]>);
        let cases: [Case; 12] = [
            (Split::None, b"(208.4", Place::Bytes(1, 4), Some(b"208")),
            (Split::None, b"(208.4", Place::Bytes(4, 9), Some(b".4")),
            (Split::None, b"(2", Place::Bytes(4, 9), None),
            (FIELDS, b"#FOR,750;;120", Place::Field(1), Some(b"750")),
            (FIELDS, b"#FOR,750;;120", Place::Field(2), Some(b"")),
            (FIELDS, b"#FOR,750;;120", Place::Field(4), None),
            (LINES, b"\r\nV\t12800\r\nVPV\t3\r\nV\t1", Place::Key("V"), Some(b"12800")),
            (LINES, b"VPV\t3", Place::Key("V"), None),
            (LETTERS, b"#I119.0O118.5L007", Place::Key("O"), Some(b"118.5")),
            (LETTERS, b"#I119.0O118.5L007", Place::Key("L"), Some(b"007")),
            (REGISTERS, b"\x01\x03\x04\0\x01\0\x02crc", Place::Register(129, 2), Some(b"\0\x02")),
            (REGISTERS, b"\x01\x03\x04\0\x01", Place::Register(127, 2), None),
        ];
        for (split, body, place, field) in cases {
            assert_eq!(split.find(body, place), field, "{split:?} {place:?}");
        }
        assert_eq!(FIELDS.find(b"#1,2", Place::Key("1")), None, "not what this frame has");
    }

    proptest! {
        #[test]
        fn any_body_is_survived(
            body in prop::collection::vec(any::<u8>(), 0..40),
            number in any::<u16>(),
            a in any::<usize>(),
            b in any::<usize>(),
        ) {
            for split in [Split::None, FIELDS, LINES, LETTERS, REGISTERS] {
                for place in [
                    Place::Bytes(a, b), Place::Bytes(a % 40, b % 40), Place::Field(a % 10),
                    Place::Key("V"), Place::Key(""), Place::Register(number, a % 10),
                    Place::Register(number, a),
                ] {
                    let field = split.find(&body, place);
                    prop_assert!(field.is_none_or(|field| field.len() <= body.len()));
                }
            }
        }
    }
}
