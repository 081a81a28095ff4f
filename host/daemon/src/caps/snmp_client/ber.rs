//! The part of BER that SNMP uses (RFC 3417 §8): definite lengths, one-byte
//! tags, primitive strings.
//!
//! Reading is total: any bytes give a value or [`Garbled`], nothing is
//! allocated beyond what the datagram holds. Length forms that are longer than
//! need be are accepted, as agents send them; indefinite lengths are not.

/// INTEGER
pub const INTEGER: u8 = 0x02;
/// OCTET STRING
pub const OCTETS: u8 = 0x04;
/// NULL
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER
pub const OID: u8 = 0x06;
/// SEQUENCE
pub const SEQUENCE: u8 = 0x30;

/// Most sub-identifiers of an object identifier (RFC 2578 §3.5).
pub const OID_LEN_MAX: usize = 128;

/// An object identifier.
pub type Oid = Vec<u32>;

/// The datagram is no SNMP message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Garbled {
    /// What is wrong.
    pub what: &'static str,
    /// Offset in the datagram.
    pub at: usize,
}

/// Takes one element after the other from a part of a datagram.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Where `bytes` begins in the datagram.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of a whole datagram.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether everything was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Offset in the datagram.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// An error here.
    #[must_use]
    pub const fn garbled(&self, what: &'static str) -> Garbled {
        Garbled { what, at: self.at }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(self.garbled("cut short"))?;
        (self.bytes, self.at) = (rest, self.at + len);
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        Ok(self.take(1)?[0])
    }

    /// The next element: its tag and its content.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn any(&mut self) -> Result<(u8, Self), Garbled> {
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return Err(self.garbled("a tag of several bytes"));
        }
        let first = self.byte()?;
        let len = match first {
            0x80 => return Err(self.garbled("an indefinite length")),
            0..0x80 => usize::from(first),
            _ => {
                let digits = self.take(usize::from(first & 0x7f))?;
                let significant = digits.iter().position(|b| *b != 0).unwrap_or(digits.len());
                let digits = &digits[significant..];
                if digits.len() > 3 {
                    return Err(self.garbled("an absurd length"));
                }
                digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit))
            }
        };
        let at = self.at;
        Ok((tag, Self { bytes: self.take(len)?, at }))
    }

    /// The content of the next element, which must have `tag`.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn tagged(&mut self, tag: u8) -> Result<Self, Garbled> {
        let at = self.garbled("another type than expected");
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(at),
        }
    }

    /// An OCTET STRING.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn octets(&mut self) -> Result<&'a [u8], Garbled> {
        Ok(self.tagged(OCTETS)?.bytes)
    }

    /// An INTEGER.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn integer(&mut self) -> Result<i64, Garbled> {
        self.tagged(INTEGER)?.as_integer()
    }

    /// An INTEGER of 32 bits.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn integer32(&mut self) -> Result<i32, Garbled> {
        let large = self.garbled("an integer of more than 32 bits");
        i32::try_from(self.integer()?).map_err(|_| large)
    }

    /// This content as a signed number.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn as_integer(&self) -> Result<i64, Garbled> {
        match self.bytes {
            [] => Err(self.garbled("an integer without digits")),
            [first, ..] if self.bytes.len() <= 8 => {
                let sign = if first & 0x80 == 0 { 0 } else { -1 };
                Ok(self.bytes.iter().fold(sign, |n, byte| n << 8 | i64::from(*byte)))
            }
            _ => Err(self.garbled("an integer of more than 64 bits")),
        }
    }

    /// This content as an unsigned number. Agents that forget the leading
    /// zero of a large one mean the large one.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn as_unsigned(&self) -> Result<u64, Garbled> {
        match self.bytes {
            [] => Err(self.garbled("an integer without digits")),
            [0, digits @ ..] | digits if digits.len() <= 8 => {
                Ok(digits.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
            }
            _ => Err(self.garbled("an integer of more than 64 bits")),
        }
    }

    /// This content as an object identifier.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn as_oid(&self) -> Result<Oid, Garbled> {
        let mut oid = Oid::new();
        let mut sub = 0_u64;
        let mut open = true;
        for byte in self.bytes {
            sub = sub << 7 | u64::from(byte & 0x7f);
            // The first one carries two, hence up to 80 more.
            let max = u64::from(u32::MAX) + if oid.is_empty() { 80 } else { 0 };
            if sub > max {
                return Err(self.garbled("a sub-identifier of more than 32 bits"));
            }
            open = byte & 0x80 != 0;
            if open {
                continue;
            }
            let whole = std::mem::take(&mut sub);
            if oid.is_empty() {
                let root = (whole / 40).min(2);
                oid.push(root as u32);
                oid.push((whole - 40 * root) as u32);
            } else {
                oid.push(whole as u32);
            }
            if oid.len() > OID_LEN_MAX {
                return Err(self.garbled("an object identifier of more than 128 parts"));
            }
        }
        if open { Err(self.garbled("an object identifier cut short")) } else { Ok(oid) }
    }
}

/// An element around `content`.
#[must_use]
pub fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let len: usize = content.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(len + 5);
    out.push(tag);
    match len {
        0..0x80 => out.push(len as u8),
        0x80..0x1_0000 => {
            out.push(0x82);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x84);
            out.extend((len as u32).to_be_bytes());
        }
    }
    content.iter().for_each(|part| out.extend(*part));
    out
}

/// An INTEGER.
#[must_use]
pub fn integer(n: i64) -> Vec<u8> {
    let bytes = n.to_be_bytes();
    // A leading byte that only repeats the sign is left out.
    let spare = bytes.windows(2).take_while(|pair| {
        (pair[0] == 0 && pair[1] & 0x80 == 0) || (pair[0] == 0xff && pair[1] & 0x80 != 0)
    });
    element(INTEGER, &[&bytes[spare.count()..]])
}

/// An unsigned number under `tag`.
#[must_use]
pub fn unsigned(tag: u8, n: u64) -> Vec<u8> {
    let mut bytes = [0; 9];
    bytes[1..].copy_from_slice(&n.to_be_bytes());
    let spare = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0);
    element(tag, &[&bytes[spare.count()..]])
}

/// An OCTET STRING.
#[must_use]
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    element(OCTETS, &[bytes])
}

/// An OBJECT IDENTIFIER that [`is_oid`].
#[must_use]
pub fn oid(oid: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(oid.len() + 4);
    if let [root, second, rest @ ..] = oid {
        push_sub(&mut bytes, u64::from(*root) * 40 + u64::from(*second));
        rest.iter().for_each(|sub| push_sub(&mut bytes, u64::from(*sub)));
    }
    element(OID, &[&bytes])
}

/// Whether `oid` can be sent: 2 to 128 parts, the first two as ASN.1 wants.
#[must_use]
pub fn is_oid(oid: &[u32]) -> bool {
    match oid {
        [0 | 1, second, ..] => *second < 40 && oid.len() <= OID_LEN_MAX,
        [2, _, ..] => oid.len() <= OID_LEN_MAX,
        _ => false,
    }
}

fn push_sub(bytes: &mut Vec<u8>, sub: u64) {
    let groups = (64 - sub.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        bytes.push((sub >> (7 * group)) as u8 & 0x7f | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_encodings() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(-1), [2, 1, 0xff]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(unsigned(0x42, 0xffff_ffff), [0x42, 5, 0, 255, 255, 255, 255]);
        assert_eq!(oid(&[1, 3, 6, 1, 4, 1, 8072]), [6, 7, 0x2b, 6, 1, 4, 1, 0xbf, 0x08]);
        assert_eq!(element(OCTETS, &[&[7; 200]])[..4], [4, 0x82, 0, 200]);
    }

    #[test]
    fn what_agents_get_wrong_is_read_and_what_cannot_be_meant_is_not() {
        let read = |bytes: &[u8]| Reader::new(bytes).any().map(|(_, content)| content.rest().len());
        assert_eq!(read(&[4, 0x84, 0, 0, 0, 1, b'x']), Ok(1), "a long form for a short length");
        assert_eq!(read(&[4, 0x80, 0, 0]).map_err(|e| e.what), Err("an indefinite length"));
        assert_eq!(read(&[0x1f, 1, 0]).map_err(|e| e.what), Err("a tag of several bytes"));
        assert_eq!(read(&[4, 5, 0]).map_err(|e| e.what), Err("cut short"));
        let gauge = Reader::new(&[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(gauge.as_unsigned(), Ok(u64::from(u32::MAX)));
        assert!(Reader::new(&[0xff; 10]).as_oid().is_err());
        assert!(Reader::new(&[0x2b, 0x86]).as_oid().is_err());
    }

    proptest! {
        #[test]
        fn numbers_and_names_come_back(n: i64, u: u64, tail in prop::collection::vec(any::<u32>(), 0..126)) {
            prop_assert_eq!(Reader::new(&integer(n)).integer(), Ok(n));
            let encoded = unsigned(0x46, u);
            prop_assert_eq!(Reader::new(&encoded).tagged(0x46).and_then(|r| r.as_unsigned()), Ok(u));
            let name = [vec![1, 3], tail.clone()].concat();
            prop_assert_eq!(Reader::new(&oid(&name)).tagged(OID).and_then(|r| r.as_oid()), Ok(name));
            let high = [vec![2, u32::MAX], tail].concat();
            prop_assert_eq!(Reader::new(&oid(&high)).tagged(OID).and_then(|r| r.as_oid()), Ok(high));
        }
    }
}
