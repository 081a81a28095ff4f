//! Bytes as a case folder has them: text in quotation marks, hexadecimal
//! digits, and what a recording leaves open or cannot vouch for.

use std::fmt;
use std::str::Chars;

/// Bytes of which some are open: `xx` in a case. An open byte of a request may
/// be anything, a number that counts up; those of a reply are the open bytes of
/// the request, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Option<u8>>);

impl Pattern {
    /// These bytes, none of them open.
    #[must_use]
    pub fn exactly(bytes: &[u8]) -> Self {
        Self(bytes.iter().copied().map(Some).collect())
    }

    /// From a line of a case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        match quoted(text) {
            Some(inner) => Ok(Self::exactly(&unescape(inner)?)),
            None => text.split_whitespace().map(open_or_hex).collect::<Result<_, _>>().map(Self),
        }
    }

    /// True when `bytes` could be meant.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let fits = |(wanted, byte): (&Option<u8>, &u8)| wanted.is_none_or(|wanted| wanted == *byte);
        self.0.len() == bytes.len() && self.0.iter().zip(bytes).all(fits)
    }

    /// The bytes of `heard` at the open places.
    pub(super) fn opened(&self, heard: &[u8]) -> Vec<u8> {
        let open = self.0.iter().zip(heard).filter(|(wanted, _)| wanted.is_none());
        open.map(|(_, byte)| *byte).collect()
    }

    /// These bytes with `opened` at the open places; what is missing is 0.
    pub(super) fn filled(&self, opened: &[u8]) -> Vec<u8> {
        let mut opened = opened.iter().copied();
        self.0.iter().map(|byte| byte.unwrap_or_else(|| opened.next().unwrap_or(0))).collect()
    }

    fn open(&self) -> usize {
        self.0.iter().filter(|byte| byte.is_none()).count()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.open() == 0 {
            return f.write_str(&write_bytes(&self.filled(&[])));
        }
        for (at, byte) in self.0.iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            match byte {
                Some(byte) => write!(f, "{blank}{byte:02x}")?,
                None => write!(f, "{blank}xx")?,
            }
        }
        Ok(())
    }
}

/// What a device answered. Of bytes between `[` and `]` nothing in the protocol
/// tells one from another: no length, no checksum, no fixed place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    bytes: Pattern,
    is_value: Vec<bool>,
}

impl Reply {
    /// From a line of a case, to a request with so many open bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str, request: Option<&Pattern>) -> Result<Self, &'static str> {
        let reply = match quoted(text) {
            Some(_) => {
                let bytes = Pattern::read(text)?;
                Self { is_value: vec![false; bytes.0.len()], bytes }
            }
            None => Self::read_digits(text)?,
        };
        match reply.bytes.open() > request.map_or(0, Pattern::open) {
            true => Err("a reply has an xx for each of its request, and no more"),
            false => Ok(reply),
        }
    }

    fn read_digits(text: &str) -> Result<Self, &'static str> {
        let (mut bytes, mut is_value, mut inside) = (Vec::new(), Vec::new(), false);
        let spaced = text.replace('[', " [ ").replace(']', " ] ");
        for word in spaced.split_whitespace() {
            match (word, inside) {
                ("[", false) => inside = true,
                ("]", true) => inside = false,
                ("[" | "]", _) => return Err("values stand between [ and ]"),
                _ => {
                    bytes.push(open_or_hex(word)?);
                    is_value.push(inside);
                }
            }
        }
        match inside {
            true => Err("a ] is missing"),
            false => Ok(Self { bytes: Pattern(bytes), is_value }),
        }
    }

    /// The bytes, to a request in which the open ones are `opened`.
    pub(super) fn filled(&self, opened: &[u8]) -> Vec<u8> {
        self.bytes.filled(opened)
    }

    /// True when nothing but a checksum could tell `damaged` from the reply:
    /// see [`shape_is_kept`](super::shape_is_kept), and values may be anything.
    pub(super) fn keeps_shape(&self, damaged: &[u8], free_text: bool) -> bool {
        let mut sound = self.filled(&[]);
        if sound.len() == damaged.len() {
            let values = sound.iter_mut().zip(damaged).zip(&self.is_value);
            values.filter(|(_, is_value)| **is_value).for_each(|((sound, byte), _)| *sound = *byte);
        }
        super::shape_is_kept(&sound, damaged, free_text)
    }
}

/// `bytes` as a line of exchange.txt has them.
#[must_use]
pub fn write_bytes(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    if bytes.iter().filter(|byte| is_text(byte)).count() * 2 < bytes.len() || bytes.is_empty() {
        return write_digits(bytes);
    }
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// `bytes` as digits, whatever they are.
pub(super) fn write_digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Bytes from `"text\r"` (escapes `\r`, `\n`, `\\`, `\"`, `\xHH`) or `51 31 0d`,
/// none of them open.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let pattern = Pattern::read(text)?;
    match pattern.open() {
        0 => Ok(pattern.filled(&[])),
        _ => Err("no byte can be open here"),
    }
}

fn quoted(text: &str) -> Option<&str> {
    text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => escape(&mut chars)?,
            c if c.is_ascii() => c as u8,
            _ => return Err("write bytes above 7f as \\xHH"),
        });
    }
    Ok(out)
}

/// The byte that stands behind a backslash.
fn escape(chars: &mut Chars<'_>) -> Result<u8, &'static str> {
    match chars.next() {
        Some('r') => Ok(b'\r'),
        Some('n') => Ok(b'\n'),
        Some(c @ ('\\' | '"')) => Ok(c as u8),
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            hex(&digits)
        }
        _ => Err("unknown escape"),
    }
}

fn open_or_hex(word: &str) -> Result<Option<u8>, &'static str> {
    if word == "xx" { Ok(None) } else { hex(word).map(Some) }
}

pub(super) fn hex(digits: &str) -> Result<u8, &'static str> {
    if digits.len() != 2 {
        return Err("a byte has two hexadecimal digits");
    }
    u8::from_str_radix(digits, 16).map_err(|_| "not a hexadecimal byte")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_can_be_text_or_digits() {
        assert_eq!(bytes(r#""Q1\r""#).unwrap(), bytes("51 31 0d").unwrap());
        assert_eq!(bytes(r#""\x80a\"\\""#).unwrap(), b"\x80a\"\\");
        for wrong in [r#""\q""#, r#""\x8""#, "5g", "\"é\"", "511", "xx"] {
            assert!(bytes(wrong).is_err(), "{wrong} passed");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_were_written_are_read_back(sent in prop::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(bytes(&write_bytes(&sent)).unwrap(), sent);
        }
    }

    #[test]
    fn open_bytes_of_a_reply_are_those_of_its_request() {
        let request = Pattern::read("xx xx 00 06").unwrap();
        assert!(request.matches(&[1, 2, 0, 6]) && !request.matches(&[1, 2, 0, 7]));
        assert!(!request.matches(&[1, 2, 0]));
        let reply = Reply::read("00 xx xx", Some(&request)).unwrap();
        assert_eq!(reply.filled(&request.opened(&[8, 9, 0, 6])), [0, 8, 9]);
        assert_eq!(request.to_string(), "xx xx 00 06");
        assert!(Reply::read("xx xx xx", Some(&request)).is_err(), "more than the request has");
        assert!(Reply::read("xx", None).is_err());
    }

    #[test]
    fn only_values_may_change_unseen() {
        let reply = Reply::read("01 [30 ff] 41", None).unwrap();
        for (damaged, kept) in [
            (&[1, 0x00, 0x12, 0x41][..], true),
            (&[1, 0x30, 0xff, 0x42], false),
            (&[2, 0x30, 0xff, 0x41], false),
            (&[1, 0x30, 0xff], false),
        ] {
            assert_eq!(reply.keeps_shape(damaged, false), kept, "{damaged:?}");
        }
        for wrong in ["01 [02", "01 02]", "[01 [02]]", "01 ]02["] {
            assert!(Reply::read(wrong, None).is_err(), "{wrong} passed");
        }
    }
}
