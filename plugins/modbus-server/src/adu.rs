//! Frames of Modbus TCP: the MBAP header and what follows it
//! (facts/modbus-bacnet.md §1).
//!
//! ```text
//! 0    2    4    6      7
//! | transaction | protocol = 0 | length | unit | PDU: 1 … 253 bytes
//! ```
//! `length` counts unit and PDU. A stream has requests back to back, cut
//! anywhere.

/// Bytes before the PDU.
pub const HEADER_LEN: usize = 7;
/// Longest PDU.
pub const PDU_MAX: usize = 253;

/// What stands before a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Comes back in the answer.
    pub transaction: u16,
    /// Who is asked.
    pub unit: u8,
}

/// The beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Less than a frame so far.
    Incomplete,
    /// No Modbus, or out of step: there is no way to find the next frame.
    Garbled,
    /// A frame.
    Frame {
        /// Its header.
        header: Header,
        /// Function code and data.
        pdu: &'a [u8],
        /// Its length, header included.
        len: usize,
    },
}

/// The frame at the beginning of `data`.
#[must_use]
pub fn next(data: &[u8]) -> Next<'_> {
    let word = |at: usize| Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
    if word(2).is_some_and(|protocol| protocol != 0) {
        return Next::Garbled;
    }
    let Some(length) = word(4).map(usize::from) else { return Next::Incomplete };
    if !(2..=PDU_MAX + 1).contains(&length) {
        return Next::Garbled;
    }
    let len = HEADER_LEN - 1 + length;
    match (word(0), data.get(HEADER_LEN - 1), data.get(HEADER_LEN..len)) {
        (Some(transaction), Some(unit), Some(pdu)) => {
            Next::Frame { header: Header { transaction, unit: *unit }, pdu, len }
        }
        _ => Next::Incomplete,
    }
}

/// Append the frame of an answer; `pdu` has at most [`PDU_MAX`] bytes.
pub fn append(out: &mut Vec<u8>, header: Header, pdu: &[u8]) {
    let length = (pdu.len() + 1) as u16;
    out.extend_from_slice(&header.transaction.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(header.unit);
    out.extend_from_slice(pdu);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const READ: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 1, 3, 0x07, 0xD0, 0, 2];

    #[test]
    fn a_frame_is_whole_or_not_there_yet() {
        for len in 0..READ.len() {
            assert_eq!(next(&READ[..len]), Next::Incomplete, "{len}");
        }
        let header = Header { transaction: 0x1234, unit: 1 };
        let frame = Next::Frame { header, pdu: &READ[7..], len: 12 };
        assert_eq!(next(&READ), frame);
        let two = [READ, READ].concat();
        assert_eq!(next(&two), frame, "the second one waits");
    }

    #[test]
    fn what_is_no_frame_is_seen_as_soon_as_it_is_clear() {
        assert_eq!(next(b"GET "), Next::Garbled);
        for length in [0_u16, 1, 255, 0xFFFF] {
            let [high, low] = length.to_be_bytes();
            assert_eq!(next(&[0, 1, 0, 0, high, low]), Next::Garbled, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_and_never_beyond(
            data in proptest::collection::vec(any::<u8>(), 0..600)
        ) {
            if let Next::Frame { pdu, len, .. } = next(&data) {
                prop_assert!(len <= data.len() && pdu.len() == len - HEADER_LEN);
                prop_assert!((1..=PDU_MAX).contains(&pdu.len()));
            }
        }

        #[test]
        fn what_is_appended_is_read_back(
            transaction: u16,
            unit: u8,
            pdu in proptest::collection::vec(any::<u8>(), 1..=PDU_MAX),
        ) {
            let header = Header { transaction, unit };
            let mut out = vec![];
            append(&mut out, header, &pdu);
            prop_assert_eq!(next(&out), Next::Frame { header, pdu: &pdu, len: out.len() });
        }
    }
}
