//! Requests and exceptions of the Modbus application protocol
//! (facts/modbus-bacnet.md §1, "Order of checks": function, quantity, address,
//! value).

/// Most bits in one read, registers in one read, and so on.
pub const READ_BITS_MAX: u16 = 2_000;
/// See [`READ_BITS_MAX`].
pub const READ_WORDS_MAX: u16 = 125;
const WRITE_BITS_MAX: u16 = 1_968;
const WRITE_WORDS_MAX: u16 = 123;
const WRITE_READ_WORDS_MAX: u16 = 121;

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// Not a function of this server, or not for this client.
    Function = 1,
    /// There is no such address.
    Address = 2,
    /// A quantity, length or value that cannot be.
    Value = 3,
    /// The device refused or failed.
    Failure = 4,
    /// Others are being served; ask again.
    Busy = 6,
    /// The device behind this gateway does not answer.
    NoAnswer = 0x0B,
}

/// A run of addresses; its end is at most 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: u16,
    /// How many, at least 1.
    pub count: u16,
}

impl Span {
    fn new(start: u16, count: u16, max: u16) -> Result<Self, Exception> {
        if !(1..=max).contains(&count) {
            return Err(Exception::Value);
        }
        match u32::from(start) + u32::from(count) <= 0x1_0000 {
            true => Ok(Self { start, count }),
            false => Err(Exception::Address),
        }
    }

    /// The addresses.
    pub fn addresses(self) -> impl Iterator<Item = u16> {
        (0..self.count).map(move |i| self.start.wrapping_add(i))
    }
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// 1
    ReadCoils(Span),
    /// 2
    ReadInputs(Span),
    /// 3 and 4: both show the same registers.
    ReadRegisters(Span),
    /// 5 and 15
    WriteCoils {
        /// Where.
        span: Span,
        /// One per coil.
        values: Vec<bool>,
    },
    /// 6 and 16
    WriteRegisters {
        /// Where.
        span: Span,
        /// One per register.
        values: Vec<u16>,
    },
    /// 23: the write comes first.
    WriteAndRead {
        /// What is read.
        read: Span,
        /// Where is written.
        write: Span,
        /// One per register.
        values: Vec<u16>,
    },
    /// 43 / 14
    Identify {
        /// 1 basic, 2 regular, 3 extended, 4 one object.
        code: u8,
        /// The first, or the only one.
        object: u8,
    },
}

/// The request in a PDU of 1 to 253 bytes.
///
/// # Errors
/// The exception to answer.
pub fn parse(pdu: &[u8]) -> Result<Request, Exception> {
    let (function, data) = pdu.split_first().ok_or(Exception::Function)?;
    match function {
        1 => Ok(Request::ReadCoils(span(data, READ_BITS_MAX)?)),
        2 => Ok(Request::ReadInputs(span(data, READ_BITS_MAX)?)),
        3 | 4 => Ok(Request::ReadRegisters(span(data, READ_WORDS_MAX)?)),
        5 => {
            let [start, value] = words(data)?;
            let values = match value {
                0 => vec![false],
                0xFF00 => vec![true],
                _ => return Err(Exception::Value),
            };
            Ok(Request::WriteCoils { span: Span { start, count: 1 }, values })
        }
        6 => {
            let [start, value] = words(data)?;
            Ok(Request::WriteRegisters { span: Span { start, count: 1 }, values: vec![value] })
        }
        15 => {
            let (head, values) = data.split_at_checked(5).ok_or(Exception::Value)?;
            let span = span(&head[..4], WRITE_BITS_MAX)?;
            exactly(head[4], values, usize::from(span.count).div_ceil(8))?;
            let bit = |i: usize| values[i / 8] >> (i % 8) & 1 == 1;
            Ok(Request::WriteCoils { span, values: (0..span.count.into()).map(bit).collect() })
        }
        16 => {
            let (head, values) = data.split_at_checked(5).ok_or(Exception::Value)?;
            let span = span(&head[..4], WRITE_WORDS_MAX)?;
            exactly(head[4], values, 2 * usize::from(span.count))?;
            Ok(Request::WriteRegisters { span, values: registers(values) })
        }
        23 => {
            let (head, values) = data.split_at_checked(9).ok_or(Exception::Value)?;
            let read = span(&head[..4], READ_WORDS_MAX)?;
            let write = span(&head[4..8], WRITE_READ_WORDS_MAX)?;
            exactly(head[8], values, 2 * usize::from(write.count))?;
            Ok(Request::WriteAndRead { read, write, values: registers(values) })
        }
        43 => match *data {
            [14, code, object] => Ok(Request::Identify { code, object }),
            _ => Err(Exception::Function),
        },
        _ => Err(Exception::Function),
    }
}

/// The answer that is an exception.
#[must_use]
pub fn refusal(function: u8, exception: Exception) -> Vec<u8> {
    vec![function | 0x80, exception as u8]
}

/// Bits as they are sent: the first in the lowest bit of the first byte.
#[must_use]
pub fn packed(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

fn words<const N: usize>(data: &[u8]) -> Result<[u16; N], Exception> {
    if data.len() != 2 * N {
        return Err(Exception::Value);
    }
    Ok(std::array::from_fn(|i| u16::from_be_bytes([data[2 * i], data[2 * i + 1]])))
}

fn span(data: &[u8], max: u16) -> Result<Span, Exception> {
    let [start, count] = words(data)?;
    Span::new(start, count, max)
}

/// As many bytes as were announced and are needed.
fn exactly(announced: u8, values: &[u8], wanted: usize) -> Result<(), Exception> {
    match usize::from(announced) == wanted && values.len() == wanted {
        true => Ok(()),
        false => Err(Exception::Value),
    }
}

fn registers(values: &[u8]) -> Vec<u16> {
    values.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_function_is_understood() {
        let span = |start, count| Span { start, count };
        for (pdu, request) in [
            (&[1, 0, 0, 0x07, 0xD0][..], Request::ReadCoils(span(0, 2_000))),
            (&[2, 0, 1, 0, 1], Request::ReadInputs(span(1, 1))),
            (&[3, 0xFF, 0xFF, 0, 1], Request::ReadRegisters(span(65_535, 1))),
            (&[4, 0x07, 0xD0, 0, 125], Request::ReadRegisters(span(2_000, 125))),
            (&[5, 0, 7, 0xFF, 0], Request::WriteCoils { span: span(7, 1), values: vec![true] }),
            (&[6, 0, 7, 1, 2], Request::WriteRegisters { span: span(7, 1), values: vec![258] }),
            (
                &[15, 0, 1, 0, 9, 2, 0b0000_0101, 1],
                Request::WriteCoils {
                    span: span(1, 9),
                    values: vec![true, false, true, false, false, false, false, false, true],
                },
            ),
            (
                &[16, 0, 1, 0, 2, 4, 0, 1, 0, 2],
                Request::WriteRegisters { span: span(1, 2), values: vec![1, 2] },
            ),
            (
                &[23, 0, 9, 0, 3, 0, 1, 0, 1, 2, 0, 5],
                Request::WriteAndRead { read: span(9, 3), write: span(1, 1), values: vec![5] },
            ),
            (&[43, 14, 1, 0], Request::Identify { code: 1, object: 0 }),
        ] {
            assert_eq!(parse(pdu), Ok(request), "{pdu:?}");
        }
    }

    #[test]
    fn refusals_follow_the_order_of_checks() {
        for (pdu, exception) in [
            (&[0][..], Exception::Function),
            (&[8, 0, 0, 0, 0], Exception::Function),
            (&[0x83, 0, 0, 0, 1], Exception::Function),
            (&[43, 13, 1, 0], Exception::Function),
            (&[3, 0, 0, 0, 0], Exception::Value),
            (&[3, 0, 0, 0, 126], Exception::Value),
            (&[3, 0xFF, 0xFF, 0, 126], Exception::Value),
            (&[1, 0, 0, 0x07, 0xD1], Exception::Value),
            (&[3, 0xFF, 0xFF, 0, 2], Exception::Address),
            (&[3, 0, 0, 0], Exception::Value),
            (&[3, 0, 0, 0, 1, 0], Exception::Value),
            (&[5, 0, 0, 0xFF, 1], Exception::Value),
            (&[15, 0, 0, 0, 9, 1, 0], Exception::Value),
            (&[15, 0, 0, 0x07, 0xB1, 1, 0], Exception::Value),
            (&[16, 0, 0, 0, 1, 2, 0], Exception::Value),
            (&[16, 0, 0, 0, 124, 248], Exception::Value),
        ] {
            assert_eq!(parse(pdu), Err(exception), "{pdu:?}");
        }
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        assert_eq!(packed(&[true, false, true]), [0b101]);
        assert_eq!(packed(&[false; 9]), [0, 0]);
        assert_eq!(packed(&[&[false; 8][..], &[true]].concat()), [0, 1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_exception(
            pdu in proptest::collection::vec(any::<u8>(), 0..260)
        ) {
            if let Ok(Request::ReadRegisters(span)) = parse(&pdu) {
                prop_assert!((1..=125).contains(&span.count));
                prop_assert!(u32::from(span.start) + u32::from(span.count) <= 65_536);
            }
        }
    }
}
