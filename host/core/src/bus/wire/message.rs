//! Messages: the payloads of frames as types, parsed and emitted in one place.

use super::{ADDRESS_MAX, BROADCAST, Frame};
use super::{FRAME_MAX, PAYLOAD_MAX, frame};

/// Most modules that one READ or IDENTIFY may ask.
pub const BURST_MAX: u8 = 64;
/// Most duties that fit one DUTIES frame.
pub const DUTIES_MAX: usize = (PAYLOAD_MAX - 1) / 2;

const SAMPLE: u8 = 0x01;
const READ: u8 = 0x02;
const IDENTIFY: u8 = 0x03;
const DUTIES: u8 = 0x04;
const READING: u8 = 0x82;
const IDENTITY: u8 = 0x83;

/// Share of time that a bypass is on: 0 off … 65,535 fully on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty(pub u16);

impl Duty {
    /// Bypass off.
    pub const OFF: Self = Self(0);
    /// Bypass fully on.
    pub const FULL: Self = Self(u16::MAX);

    /// From a fraction; outside 0 … 1 it is clamped, NaN is off.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Self {
        // `as` saturates and maps NaN to 0.
        Self((fraction * f64::from(u16::MAX)).round() as u16)
    }

    /// As a fraction 0 … 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }
}

/// What a module says about itself in a READING.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Own voltage below the floor: duty refused.
    pub const FLOOR: u8 = 0x01;
    /// Duty reduced because the heat sink is hot.
    pub const DERATED: u8 = 0x02;
    /// The last duty was too old: bypass dropped.
    pub const HOLD_EXPIRED: u8 = 0x04;
    /// Restarted since the last DUTIES.
    pub const RESET: u8 = 0x08;
    /// The temperature comes from the external sensor.
    pub const EXTERNAL_SENSOR: u8 = 0x10;
    /// The temperature sensor is broken.
    pub const SENSOR_FAULT: u8 = 0x20;
    /// The address button is pressed.
    pub const BUTTON: u8 = 0x40;

    /// These flags with `flag` set.
    #[must_use]
    pub const fn with(self, flag: u8) -> Self {
        Self(self.0 | flag)
    }

    /// True when every bit of `flag` is set.
    #[must_use]
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag == flag
    }

    /// The temperature sensor is broken.
    #[must_use]
    pub const fn sensor_fault(self) -> bool {
        self.has(Self::SENSOR_FAULT)
    }
}

/// A module's measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Number of the SAMPLE that it belongs to.
    pub sample: u8,
    /// Block voltage, mV.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C.
    pub temperature_dc: i16,
    /// Duty that was applied before the sample, 255 = fully on.
    pub duty: u8,
    /// State of the module.
    pub flags: Flags,
}

/// Who a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Module type code, see [`crate::battery::ModuleType::code`].
    pub type_code: u8,
    /// Hardware revision.
    pub hardware: u8,
    /// Firmware version, major and minor.
    pub firmware: (u8, u8),
    /// Serial number.
    pub serial: u32,
}

/// A message from the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Everybody: measure now.
    Sample {
        /// Number that the readings will carry.
        sample: u8,
        /// Integration time, ms.
        window_ms: u8,
    },
    /// `count` modules from `first`: send what you measured.
    Read {
        /// First address, 1 … 1,024.
        first: u16,
        /// 1 … [`BURST_MAX`].
        count: u8,
    },
    /// `count` modules from `first`: say who you are.
    Identify {
        /// First address, 1 … 1,024.
        first: u16,
        /// 1 … [`BURST_MAX`].
        count: u8,
    },
    /// One duty per module from `first` on.
    Duties {
        /// First address, 1 … 1,024.
        first: u16,
        /// Tenths of a second until the duties lapse.
        hold_ds: u8,
        /// 1 … [`DUTIES_MAX`] duties as little-endian pairs.
        duties: DutyList<'a>,
    },
}

/// The duties of a DUTIES message, as they stand in the frame or in the
/// master's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DutyList<'a> {
    /// From memory.
    Owned(&'a [Duty]),
    /// From a frame: an even number of bytes.
    Wire(&'a [u8]),
}

impl DutyList<'_> {
    /// Number of duties.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Owned(duties) => duties.len(),
            Self::Wire(bytes) => bytes.len() / 2,
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The duty at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Duty> {
        match self {
            Self::Owned(duties) => duties.get(index).copied(),
            Self::Wire(bytes) => {
                bytes.as_chunks::<2>().0.get(index).map(|pair| Duty(u16::from_le_bytes(*pair)))
            }
        }
    }
}

/// A message from a module.
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
}

/// Why a frame with a right check sum is still not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not of this protocol version, or the other direction.
    #[error("unknown message kind {0:#04x}")]
    Kind(u8),
    /// Payload length does not fit the kind.
    #[error("message kind {kind:#04x} with a payload of {len} bytes")]
    Length {
        /// Its kind.
        kind: u8,
        /// Its payload length.
        len: usize,
    },
    /// Address or count out of range.
    #[error("message kind {kind:#04x} for address {address} is out of range")]
    Range {
        /// Its kind.
        kind: u8,
        /// Its address.
        address: u16,
    },
}

impl<'a> Request<'a> {
    /// Emit as an encoded frame; returns its length.
    #[must_use]
    pub fn encode(&self, out: &mut [u8; FRAME_MAX]) -> usize {
        let mut payload = [0u8; PAYLOAD_MAX];
        let (kind, address, len) = match self {
            Self::Sample { sample, window_ms } => {
                payload[..2].copy_from_slice(&[*sample, *window_ms]);
                (SAMPLE, BROADCAST, 2)
            }
            Self::Read { first, count } => {
                payload[0] = *count;
                (READ, *first, 1)
            }
            Self::Identify { first, count } => {
                payload[0] = *count;
                (IDENTIFY, *first, 1)
            }
            Self::Duties { first, hold_ds, duties } => {
                payload[0] = *hold_ds;
                let count = duties.len().min(DUTIES_MAX);
                for (i, pair) in
                    payload[1..].as_chunks_mut::<2>().0.iter_mut().take(count).enumerate()
                {
                    *pair = duties.get(i).unwrap_or(Duty::OFF).0.to_le_bytes();
                }
                (DUTIES, *first, 1 + 2 * count)
            }
        };
        frame::encode(&Frame { kind, address, payload: &payload[..len] }, out)
    }

    /// Parse a frame that a module received.
    ///
    /// # Errors
    /// [`MessageError`] when it is not a valid request.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, MessageError> {
        let Frame { kind, address, payload } = *frame;
        let length = MessageError::Length { kind, len: payload.len() };
        let run = |count: usize, max: usize| {
            let last = usize::from(address) + count;
            if address == 0 || count == 0 || count > max || last > usize::from(ADDRESS_MAX) + 1 {
                Err(MessageError::Range { kind, address })
            } else {
                Ok(())
            }
        };
        match (kind, payload) {
            (SAMPLE, &[sample, window_ms]) if address == BROADCAST => {
                Ok(Self::Sample { sample, window_ms })
            }
            (SAMPLE, [_, _]) => Err(MessageError::Range { kind, address }),
            (READ, &[count]) => {
                run(count.into(), BURST_MAX.into())?;
                Ok(Self::Read { first: address, count })
            }
            (IDENTIFY, &[count]) => {
                run(count.into(), BURST_MAX.into())?;
                Ok(Self::Identify { first: address, count })
            }
            (DUTIES, [hold_ds, pairs @ ..]) if pairs.len() % 2 == 0 => {
                let duties = DutyList::Wire(pairs);
                run(duties.len(), DUTIES_MAX)?;
                Ok(Self::Duties { first: address, hold_ds: *hold_ds, duties })
            }
            (SAMPLE | READ | IDENTIFY | DUTIES, _) => Err(length),
            _ => Err(MessageError::Kind(kind)),
        }
    }
}

impl Reply {
    /// Emit as an encoded frame; returns its length.
    #[must_use]
    pub fn encode(&self, out: &mut [u8; FRAME_MAX]) -> usize {
        match self {
            Self::Reading { address, reading: r } => {
                let [v0, v1] = r.voltage_mv.to_le_bytes();
                let [t0, t1] = r.temperature_dc.to_le_bytes();
                let payload = [r.sample, v0, v1, t0, t1, r.duty, r.flags.0];
                frame::encode(&Frame { kind: READING, address: *address, payload: &payload }, out)
            }
            Self::Identity { address, identity: i } => {
                let [s0, s1, s2, s3] = i.serial.to_le_bytes();
                let payload = [i.type_code, i.hardware, i.firmware.0, i.firmware.1, s0, s1, s2, s3];
                frame::encode(&Frame { kind: IDENTITY, address: *address, payload: &payload }, out)
            }
        }
    }

    /// Parse a frame that the master received.
    ///
    /// # Errors
    /// [`MessageError`] when it is not a valid reply.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, MessageError> {
        let Frame { kind, address, payload } = *frame;
        let reply = match (kind, payload) {
            (READING, &[sample, v0, v1, t0, t1, duty, flags]) => Self::Reading {
                address,
                reading: Reading {
                    sample,
                    voltage_mv: u16::from_le_bytes([v0, v1]),
                    temperature_dc: i16::from_le_bytes([t0, t1]),
                    duty,
                    flags: Flags(flags),
                },
            },
            (IDENTITY, &[type_code, hardware, major, minor, s0, s1, s2, s3]) => Self::Identity {
                address,
                identity: Identity {
                    type_code,
                    hardware,
                    firmware: (major, minor),
                    serial: u32::from_le_bytes([s0, s1, s2, s3]),
                },
            },
            (READING | IDENTITY, _) => {
                return Err(MessageError::Length { kind, len: payload.len() });
            }
            _ => return Err(MessageError::Kind(kind)),
        };
        if address == 0 || address > ADDRESS_MAX {
            return Err(MessageError::Range { kind, address });
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use proptest::prelude::*;

    fn wire(request: &Request<'_>) -> Vec<u8> {
        let mut out = [0; FRAME_MAX];
        let n = request.encode(&mut out);
        out[..n].to_vec()
    }

    fn wire_reply(reply: &Reply) -> Vec<u8> {
        let mut out = [0; FRAME_MAX];
        let n = reply.encode(&mut out);
        out[..n].to_vec()
    }

    fn with_frame<T>(bytes: &[u8], f: impl FnOnce(&Frame<'_>) -> T) -> T {
        let mut decoder = Decoder::default();
        let (last, head) = bytes.split_last().expect("a frame has bytes");
        for b in head {
            assert!(decoder.push(*b).is_none());
        }
        f(&decoder.push(*last).expect("a frame ends").expect("a good frame"))
    }

    /// The worked examples of the protocol description: independent of the
    /// encoder, computed by hand with a CRC-16/IBM-3740 table.
    #[test]
    fn worked_examples() {
        assert_eq!(
            wire(&Request::Sample { sample: 7, window_ms: 100 }),
            [0x08, 0x01, 0xFF, 0xFF, 0x07, 0x64, 0x28, 0x8A, 0x00]
        );
        assert_eq!(
            wire(&Request::Read { first: 1, count: 3 }),
            [0x03, 0x02, 0x01, 0x04, 0x03, 0xFB, 0x6E, 0x00]
        );
    }

    #[test]
    fn worked_examples_of_a_reading_and_of_duties() {
        let reading = Reading {
            sample: 7,
            voltage_mv: 13_620,
            temperature_dc: 251,
            duty: 128,
            flags: Flags::default(),
        };
        assert_eq!(
            wire_reply(&Reply::Reading { address: 2, reading }),
            [0x03, 0x82, 0x02, 0x05, 0x07, 0x34, 0x35, 0xFB, 0x02, 0x80, 0x03, 0xFA, 0x98, 0x00]
        );
        let duties = DutyList::Owned(&[Duty::FULL, Duty::OFF]);
        assert_eq!(
            wire(&Request::Duties { first: 1, hold_ds: 30, duties }),
            [0x03, 0x04, 0x01, 0x04, 0x1E, 0xFF, 0xFF, 0x01, 0x01, 0x02, 0xC9, 0x00]
        );
    }

    #[test]
    fn reading_fits_its_slot_and_comes_back() {
        let reply = Reply::Reading {
            address: 512,
            reading: Reading {
                sample: 200,
                voltage_mv: 13_620,
                temperature_dc: -105,
                duty: 128,
                flags: Flags(Flags::DERATED),
            },
        };
        let bytes = wire_reply(&reply);
        assert!(bytes.len() + 2 <= super::super::READING_SLOT_CHARS as usize);
        assert_eq!(with_frame(&bytes, Reply::parse), Ok(reply));
    }

    #[test]
    fn identity_fits_its_slot_and_comes_back() {
        let identity =
            Identity { type_code: 20, hardware: 3, firmware: (1, 4), serial: 0xDEAD_BEEF };
        let reply = Reply::Identity { address: 17, identity };
        let bytes = wire_reply(&reply);
        assert!(bytes.len() + 2 <= super::super::IDENTITY_SLOT_CHARS as usize);
        assert_eq!(with_frame(&bytes, Reply::parse), Ok(reply));
    }

    #[test]
    fn duties_come_back_one_by_one() {
        let duties: Vec<Duty> = (0..DUTIES_MAX as u16).map(|i| Duty(i * 500)).collect();
        let bytes =
            wire(&Request::Duties { first: 33, hold_ds: 30, duties: DutyList::Owned(&duties) });
        with_frame(&bytes, |f| match Request::parse(f) {
            Ok(Request::Duties { first: 33, hold_ds: 30, duties: got }) => {
                let got: Vec<Duty> = (0..got.len()).filter_map(|i| got.get(i)).collect();
                assert_eq!(got, duties);
            }
            other => panic!("parsed as {other:?}"),
        });
    }

    #[test]
    fn runs_stay_inside_the_address_space() {
        for (first, count, ok) in [
            (1, 64, true),
            (961, 64, true),
            (962, 64, false),
            (0, 1, false),
            (5, 0, false),
            (5, 65, false),
        ] {
            let payload = [count];
            let got = Request::parse(&Frame { kind: READ, address: first, payload: &payload });
            assert_eq!(got.is_ok(), ok, "{first}+{count}: {got:?}");
        }
    }

    #[test]
    fn duty_clamps() {
        assert_eq!(Duty::from_fraction(f64::NAN), Duty::OFF);
        assert_eq!(Duty::from_fraction(-3.0), Duty::OFF);
        assert_eq!(Duty::from_fraction(7.0), Duty::FULL);
        assert!((Duty::from_fraction(0.25).fraction() - 0.25).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn any_frame_parses_or_says_why(kind: u8, address: u16, payload in proptest::collection::vec(any::<u8>(), 0..PAYLOAD_MAX)) {
            let frame = Frame { kind, address, payload: &payload };
            let _ = Request::parse(&frame);
            let _ = Reply::parse(&frame);
        }

        #[test]
        fn parsed_requests_encode_to_the_same_bytes(kind in 1u8..5, address: u16, payload in proptest::collection::vec(any::<u8>(), 1..20)) {
            let frame = Frame { kind, address, payload: &payload };
            if let Ok(request) = Request::parse(&frame) {
                let bytes = wire(&request);
                with_frame(&bytes, |f| assert_eq!(*f, frame));
            }
        }
    }
}
