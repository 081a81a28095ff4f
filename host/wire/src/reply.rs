//! Replies: what modules and devices say.

use crate::device::{CHANNELS_MAX, Io, IoFlags};
use crate::frame::{self, FRAME_MAX, Frame};
use crate::message::{Flags, Found, Identity, MessageError, Reading, Resistance};
use crate::request::{is_device, is_module};

const READING: u8 = 0x82;
const IDENTITY: u8 = 0x83;
const IO: u8 = 0x85;
const FOUND: u8 = 0x87;
const RESISTANCE: u8 = 0x8A;

/// Bytes of an IO before its channels.
const IO_HEAD: usize = 6;

/// A message from a module or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answer to READ.
    Reading {
        /// Sender.
        address: u16,
        /// What it measured.
        reading: Reading,
    },
    /// Answer to IDENTIFY.
    Identity {
        /// Sender.
        address: u16,
        /// Who it is.
        identity: Identity,
    },
    /// Answer to READ_IO.
    Io {
        /// Sender.
        address: u16,
        /// Its inputs and outputs.
        io: Io,
    },
    /// Answer to SEARCH, OFFER and ASSIGN.
    Found(Found),
    /// Answer to MEASURE.
    Resistance {
        /// Sender.
        address: u16,
        /// How its measurement stands.
        resistance: Resistance,
    },
}

impl Reply {
    /// The sender's address; 0 for a station that has none.
    #[must_use]
    pub const fn address(&self) -> u16 {
        match self {
            Self::Reading { address, .. }
            | Self::Identity { address, .. }
            | Self::Io { address, .. }
            | Self::Resistance { address, .. } => *address,
            Self::Found(found) => found.address,
        }
    }

    /// Emit as an encoded frame; returns its length. The zero byte in front of
    /// a FOUND is the sender's to put.
    #[must_use]
    pub fn encode(&self, out: &mut [u8; FRAME_MAX]) -> usize {
        let address = self.address();
        let mut send = |kind, payload: &[u8]| frame::encode(&Frame { kind, address, payload }, out);
        match self {
            Self::Reading { reading: r, .. } => {
                let [v0, v1] = r.voltage_mv.to_le_bytes();
                let [t0, t1] = r.temperature_dc.to_le_bytes();
                send(READING, &[r.sample, v0, v1, t0, t1, r.duty, r.flags.0])
            }
            Self::Identity { identity: i, .. } => {
                let [s0, s1, s2, s3] = i.serial.to_le_bytes();
                let (major, minor) = i.firmware;
                send(IDENTITY, &[i.type_code, i.hardware, major, minor, s0, s1, s2, s3])
            }
            Self::Io { io, .. } => {
                let mut payload = [0; IO_HEAD + 2 * CHANNELS_MAX];
                payload[0] = io.sample;
                payload[1..3].copy_from_slice(&io.inputs.to_le_bytes());
                payload[3..5].copy_from_slice(&io.outputs.to_le_bytes());
                payload[5] = io.flags.0;
                let channels = usize::from(io.channels).min(CHANNELS_MAX);
                let pairs = payload[IO_HEAD..].as_chunks_mut::<2>().0;
                for (pair, value) in pairs.iter_mut().zip(io.analog) {
                    *pair = value.to_le_bytes();
                }
                send(IO, &payload[..IO_HEAD + 2 * channels])
            }
            Self::Found(f) => {
                let [s0, s1, s2, s3] = f.serial.to_le_bytes();
                send(FOUND, &[s0, s1, s2, s3, f.type_code, f.hardware])
            }
            Self::Resistance { resistance, .. } => {
                let (state, micro_ohm) = match *resistance {
                    Resistance::None => (0, 0),
                    Resistance::Measuring => (1, 0),
                    Resistance::Done(micro_ohm) => (2, micro_ohm),
                    Resistance::Failed => (3, 0),
                };
                let [r0, r1, r2, r3] = u32::to_le_bytes(micro_ohm);
                send(RESISTANCE, &[state, r0, r1, r2, r3])
            }
        }
    }

    /// Parse a frame that the master received.
    ///
    /// # Errors
    /// [`MessageError`] when it is not a valid reply.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, MessageError> {
        let Frame { kind, address, payload } = *frame;
        let length = MessageError::Length { kind, len: payload.len() };
        let (reply, allowed) = match (kind, payload) {
            (READING, &[sample, v0, v1, t0, t1, duty, flags]) => {
                let reading = Reading {
                    sample,
                    voltage_mv: u16::from_le_bytes([v0, v1]),
                    temperature_dc: i16::from_le_bytes([t0, t1]),
                    duty,
                    flags: Flags(flags),
                };
                (Self::Reading { address, reading }, is_module(address))
            }
            (IDENTITY, &[type_code, hardware, major, minor, s0, s1, s2, s3]) => {
                let serial = u32::from_le_bytes([s0, s1, s2, s3]);
                let identity = Identity { type_code, hardware, firmware: (major, minor), serial };
                (Self::Identity { address, identity }, is_module(address) || is_device(address))
            }
            (IO, payload) => {
                let io = parse_io(payload).ok_or(length)?;
                (Self::Io { address, io }, is_device(address))
            }
            (FOUND, &[s0, s1, s2, s3, type_code, hardware]) => {
                let serial = u32::from_le_bytes([s0, s1, s2, s3]);
                let allowed = address == 0 || is_module(address) || is_device(address);
                (Self::Found(Found { serial, address, type_code, hardware }), allowed)
            }
            (RESISTANCE, &[state, r0, r1, r2, r3]) => {
                let resistance = match (state, u32::from_le_bytes([r0, r1, r2, r3])) {
                    (0, 0) => Resistance::None,
                    (1, 0) => Resistance::Measuring,
                    (2, micro_ohm) => Resistance::Done(micro_ohm),
                    (3, 0) => Resistance::Failed,
                    _ => return Err(MessageError::Value { kind }),
                };
                (Self::Resistance { address, resistance }, is_module(address))
            }
            (READING | IDENTITY | FOUND | RESISTANCE, _) => return Err(length),
            _ => return Err(MessageError::Kind(kind)),
        };
        if allowed { Ok(reply) } else { Err(MessageError::Range { kind, address }) }
    }
}

fn parse_io(payload: &[u8]) -> Option<Io> {
    let (&[sample, i0, i1, o0, o1, flags], channels) = payload.split_first_chunk::<IO_HEAD>()?;
    let (pairs, []) = channels.as_chunks::<2>() else { return None };
    let mut analog = [0; CHANNELS_MAX];
    for (value, pair) in analog.get_mut(..pairs.len())?.iter_mut().zip(pairs) {
        *value = i16::from_le_bytes(*pair);
    }
    Some(Io {
        sample,
        inputs: u16::from_le_bytes([i0, i1]),
        outputs: u16::from_le_bytes([o0, o1]),
        flags: IoFlags(flags),
        // At most CHANNELS_MAX, or the slice above would not exist.
        channels: pairs.len() as u8,
        analog,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::{wire, with_frame};
    use crate::{
        FOUND_SLOT_CHARS, IDENTITY_SLOT_CHARS, PAYLOAD_MAX, READING_SLOT_CHARS,
        RESISTANCE_SLOT_CHARS, io_slot_chars,
    };
    use proptest::prelude::*;

    fn frame(reply: &Reply) -> Vec<u8> {
        wire(|out| reply.encode(out))
    }

    fn io(channels: u8) -> Io {
        let mut analog = [0; CHANNELS_MAX];
        analog[..channels.into()].fill(-1_234);
        Io { sample: 9, inputs: 5, outputs: 0x102, flags: IoFlags(1), channels, analog }
    }

    #[test]
    fn worked_examples() {
        let reading = Reading {
            sample: 7,
            voltage_mv: 13_620,
            temperature_dc: 251,
            duty: 128,
            flags: Flags::default(),
        };
        assert_eq!(
            frame(&Reply::Reading { address: 2, reading }),
            [0x03, 0x82, 0x02, 0x05, 0x07, 0x34, 0x35, 0xFB, 0x02, 0x80, 0x03, 0xFA, 0x98, 0x00]
        );
        let mut io = Io { sample: 7, inputs: 0, outputs: 0, flags: IoFlags(0), ..io(1) };
        io.analog[0] = 400;
        assert_eq!(
            frame(&Reply::Io { address: 1_025, io }),
            [
                0x05, 0x85, 0x01, 0x04, 0x07, 0x01, 0x01, 0x01, 0x01, 0x05, 0x90, 0x01, 0xD3, 0xE8,
                0x00
            ]
        );
        let found = Found { serial: 100_001, address: 0, type_code: 20, hardware: 3 };
        assert_eq!(
            frame(&Reply::Found(found)),
            [0x02, 0x87, 0x01, 0x04, 0xA1, 0x86, 0x01, 0x05, 0x14, 0x03, 0xD6, 0xD4, 0x00]
        );
        let resistance = Resistance::Done(4_300);
        assert_eq!(
            frame(&Reply::Resistance { address: 17, resistance }),
            [0x03, 0x8A, 0x11, 0x04, 0x02, 0xCC, 0x10, 0x01, 0x03, 0xAF, 0x29, 0x00]
        );
    }

    #[test]
    fn every_reply_fits_its_slot_and_comes_back() {
        let reading = Reading {
            sample: 200,
            voltage_mv: 13_620,
            temperature_dc: -105,
            duty: 128,
            flags: Flags(Flags::DERATED),
        };
        let identity =
            Identity { type_code: 20, hardware: 3, firmware: (1, 4), serial: 0xDEAD_BEEF };
        let found = Found { serial: 1, address: 0, type_code: 20, hardware: 3 };
        let resistance = Resistance::Done(4_300);
        let mut cases = vec![
            (Reply::Reading { address: 512, reading }, READING_SLOT_CHARS),
            (Reply::Identity { address: 1_279, identity }, IDENTITY_SLOT_CHARS),
            (Reply::Resistance { address: 7, resistance }, RESISTANCE_SLOT_CHARS),
            (Reply::Found(found), FOUND_SLOT_CHARS - 1),
        ];
        cases.extend((0..=8).map(|n| (Reply::Io { address: 1_025, io: io(n) }, io_slot_chars(n))));
        for (reply, slot) in cases {
            let bytes = frame(&reply);
            assert_eq!(bytes.len() + 2, slot as usize, "{reply:?}");
            with_frame(&bytes, |f| assert_eq!(Reply::parse(f), Ok(reply)));
        }
    }

    #[test]
    fn replies_from_nowhere_are_refused() {
        for (kind, address, len) in [
            (READING, 0, 7),
            (READING, 1_025, 7),
            (IDENTITY, 0, 8),
            (IDENTITY, 1_280, 8),
            (IO, 1_024, 6),
            (FOUND, 1_280, 6),
            (RESISTANCE, 1_025, 5),
        ] {
            let got = Reply::parse(&Frame { kind, address, payload: &[0; 8][..len] });
            assert_eq!(got, Err(MessageError::Range { kind, address }));
        }
        let io = Reply::parse(&Frame { kind: IO, address: 1_025, payload: &[0; 24] });
        assert_eq!(io, Err(MessageError::Length { kind: IO, len: 24 }), "nine channels");
    }

    proptest! {
        #[test]
        fn parsed_replies_encode_to_the_same_bytes(
            kind in prop_oneof![any::<u8>(), 0x82u8..=0x8A],
            address in prop_oneof![any::<u16>(), 0u16..1_300],
            payload in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..4], 0..PAYLOAD_MAX.min(30)),
        ) {
            let given = Frame { kind, address, payload: &payload };
            if let Ok(reply) = Reply::parse(&given) {
                with_frame(&frame(&reply), |f| assert_eq!(*f, given));
            }
        }
    }
}
