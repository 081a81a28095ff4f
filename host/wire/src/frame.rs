//! Frames: COBS, CRC and a decoder that survives any bytes.

use core::fmt;
use crc::{CRC_16_IBM_3740, Crc};

const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Longest payload in bytes.
pub const PAYLOAD_MAX: usize = 245;
/// Kind, address and CRC around the payload.
const OVERHEAD: usize = 5;
const PLAIN_MAX: usize = PAYLOAD_MAX + OVERHEAD;
/// Longest encoded frame, its zero byte included. At most 254 plain bytes
/// need exactly one COBS byte more.
pub const FRAME_MAX: usize = PLAIN_MAX + 2;

/// A checked frame: its CRC was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: u8,
    /// Receiver of a request, sender of a reply.
    pub address: u16,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: &'a [u8],
}

/// Encode a frame, zero byte included; returns its length.
///
/// # Panics
/// When the payload exceeds [`PAYLOAD_MAX`]: requests and replies are built
/// from bounded types, so that is a programming error.
#[must_use]
pub fn encode(frame: &Frame<'_>, out: &mut [u8; FRAME_MAX]) -> usize {
    assert!(frame.payload.len() <= PAYLOAD_MAX, "payload of {} bytes", frame.payload.len());
    let mut plain = [0u8; PLAIN_MAX];
    let crc_at = 3 + frame.payload.len();
    plain[0] = frame.kind;
    plain[1..3].copy_from_slice(&frame.address.to_le_bytes());
    plain[3..crc_at].copy_from_slice(frame.payload);
    let crc = CRC16.checksum(&plain[..crc_at]);
    plain[crc_at..crc_at + 2].copy_from_slice(&crc.to_le_bytes());
    let used = cobs::encode(&plain[..crc_at + 2], &mut out[..FRAME_MAX - 1]);
    out[used] = 0;
    used + 1
}

/// Why a run of bytes between two zero bytes is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Longer than any frame.
    TooLong,
    /// COBS code points beyond the end, or fewer bytes than a frame has.
    Framing,
    /// The check sum is wrong.
    Crc,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {FRAME_MAX} bytes without a frame end"),
            Self::Framing => f.write_str("broken framing"),
            Self::Crc => f.write_str("wrong check sum"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Cuts a byte stream into frames. Bounded: holds one frame and no more.
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: [u8; FRAME_MAX],
    len: usize,
    overrun: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { buffer: [0; FRAME_MAX], len: 0, overrun: false }
    }
}

impl Decoder {
    /// Forget a half-received frame (before a new request on a half-duplex line).
    pub fn reset(&mut self) {
        self.len = 0;
        self.overrun = false;
    }

    /// Bytes have come since the last frame's end.
    #[must_use]
    pub const fn is_inside_frame(&self) -> bool {
        self.len > 0
    }

    /// Take one byte. `Some` at a frame's end: the frame, or why it is none.
    /// Empty runs (two zero bytes) are idle line, not errors.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, DecodeError>> {
        if byte != 0 {
            if self.len == FRAME_MAX - 1 {
                self.overrun = true;
            } else {
                self.buffer[self.len] = byte;
                self.len += 1;
            }
            return None;
        }
        let (len, overrun) = (self.len, self.overrun);
        self.reset();
        if overrun {
            Some(Err(DecodeError::TooLong))
        } else if len == 0 {
            None
        } else {
            Some(check(&mut self.buffer[..len]))
        }
    }
}

/// Undo COBS in place and check the CRC.
fn check(encoded: &mut [u8]) -> Result<Frame<'_>, DecodeError> {
    let plain_len = cobs::decode_in_place(encoded).map_err(|_| DecodeError::Framing)?;
    let plain: &[u8] = &encoded[..plain_len];
    let (body, crc) = plain.split_last_chunk::<2>().ok_or(DecodeError::Framing)?;
    let [kind, low, high, payload @ ..] = body else {
        return Err(DecodeError::Framing);
    };
    if CRC16.checksum(body) != u16::from_le_bytes(*crc) {
        return Err(DecodeError::Crc);
    }
    Ok(Frame { kind: *kind, address: u16::from_le_bytes([*low, *high]), payload })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an encoder writes.
    pub(crate) fn wire(encode: impl FnOnce(&mut [u8; FRAME_MAX]) -> usize) -> Vec<u8> {
        let mut out = [0; FRAME_MAX];
        let len = encode(&mut out);
        out[..len].to_vec()
    }

    /// The one frame that these bytes are.
    pub(crate) fn with_frame<T>(bytes: &[u8], f: impl FnOnce(&Frame<'_>) -> T) -> T {
        let mut decoder = Decoder::default();
        let (last, head) = bytes.split_last().expect("a frame has bytes");
        for b in head {
            assert!(decoder.push(*b).is_none());
        }
        f(&decoder.push(*last).expect("a frame ends").expect("a good frame"))
    }

    type Owned = (u8, u16, Vec<u8>);

    fn decode_all(bytes: &[u8]) -> Vec<Result<Owned, DecodeError>> {
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .filter_map(|&b| {
                decoder.push(b).map(|r| r.map(|f| (f.kind, f.address, f.payload.to_vec())))
            })
            .collect()
    }

    #[test]
    fn too_long_run_is_reported_once_and_forgotten() {
        let mut bytes = vec![0x55; 4 * FRAME_MAX];
        bytes.push(0);
        let mut out = [0; FRAME_MAX];
        let n = encode(&Frame { kind: 1, address: 2, payload: &[3] }, &mut out);
        bytes.extend_from_slice(&out[..n]);
        assert_eq!(decode_all(&bytes), [Err(DecodeError::TooLong), Ok((1, 2, vec![3]))]);
    }

    #[test]
    fn short_runs_are_framing_errors() {
        for run in [&[1u8][..], &[2, 1], &[4, 1, 2, 3], &[9, 9]] {
            let mut bytes = run.to_vec();
            bytes.push(0);
            assert_eq!(decode_all(&bytes), [Err(DecodeError::Framing)], "{run:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(kind: u8, address: u16, payload in proptest::collection::vec(any::<u8>(), 0..=PAYLOAD_MAX)) {
            let mut out = [0; FRAME_MAX];
            let n = encode(&Frame { kind, address, payload: &payload }, &mut out);
            prop_assert_eq!(out[..n].iter().filter(|b| **b == 0).count(), 1);
            prop_assert_eq!(decode_all(&out[..n]), vec![Ok((kind, address, payload))]);
        }

        #[test]
        fn any_single_bit_error_is_noticed(
            kind: u8, address: u16,
            payload in proptest::collection::vec(any::<u8>(), 0..40),
            bit in 0usize..8, at in any::<prop::sample::Index>(),
        ) {
            let mut out = [0; FRAME_MAX];
            let n = encode(&Frame { kind, address, payload: &payload }, &mut out);
            // The zero byte itself may be hit: then the frame does not end.
            out[at.index(n)] ^= 1 << bit;
            prop_assert!(decode_all(&out[..n]).iter().all(Result::is_err));
        }

        #[test]
        fn any_bytes_leave_a_decoder_that_works(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut decoder = Decoder::default();
            for b in noise { let _ = decoder.push(b); }
            let _ = decoder.push(0);
            let mut out = [0; FRAME_MAX];
            let n = encode(&Frame { kind: 9, address: 10, payload: &[11] }, &mut out);
            let last = out[..n - 1].iter().all(|b| decoder.push(*b).is_none());
            prop_assert!(last);
            let got = decoder.push(0).map(|r| r.map(|f| (f.kind, f.address, f.payload.len())));
            prop_assert_eq!(got, Some(Ok((9, 10, 1))));
        }
    }
}
