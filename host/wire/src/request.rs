//! Requests: what the master says.

use crate::device::{CHANNELS_MAX, Ends, Led, Outputs};
use crate::frame::{self, FRAME_MAX, Frame, PAYLOAD_MAX};
use crate::message::{Duty, MessageError};
use crate::{ADDRESS_MAX, BROADCAST, DEVICE_MAX, DEVICE_MIN};

/// Most stations that one READ, IDENTIFY or READ_IO may ask.
pub const BURST_MAX: u8 = 64;
/// Most duties that fit one DUTIES frame.
pub const DUTIES_MAX: usize = (PAYLOAD_MAX - 1) / 2;
/// Slots of a SEARCH: the next four bits of the serial number.
pub const SEARCH_SLOTS: u8 = 16;

const SAMPLE: u8 = 0x01;
const READ: u8 = 0x02;
const IDENTIFY: u8 = 0x03;
const DUTIES: u8 = 0x04;
const READ_IO: u8 = 0x05;
const OUTPUTS: u8 = 0x06;
const SEARCH: u8 = 0x07;
const OFFER: u8 = 0x08;
const ASSIGN: u8 = 0x09;
const MEASURE: u8 = 0x0A;
const LED: u8 = 0x0B;
const FEED: u8 = 0x0C;

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
    /// `count` stations from `first`: say who you are. A run is of modules or
    /// of devices.
    Identify {
        /// First address, 1 … 1,279.
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
    /// `count` devices from `first`: send inputs, outputs and analog channels.
    ReadIo {
        /// First address, 1,025 … 1,279.
        first: u16,
        /// 1 … [`BURST_MAX`].
        count: u8,
        /// Most analog channels in a reply, 0 … [`CHANNELS_MAX`].
        channels: u8,
    },
    /// A device: switch your outputs.
    Outputs {
        /// 1,025 … 1,279.
        address: u16,
        /// What they shall be.
        outputs: Outputs,
        /// Tenths of a second until those not kept are released.
        hold_ds: u8,
    },
    /// Everybody whose serial number begins so: say that you are there.
    Search {
        /// The upper `bits` bits; the others are 0.
        prefix: u32,
        /// 0, 4, 8 … 28.
        bits: u8,
    },
    /// Everybody whose button was pressed: say so.
    Offer {
        /// The address that would be given, 1 … 1,279.
        address: u16,
    },
    /// The station with this serial number: this is your address.
    Assign {
        /// Serial number.
        serial: u32,
        /// 1 … 1,279, or 0: be as from the factory.
        address: u16,
    },
    /// A module: measure the block's resistance, or say how it stands.
    Measure {
        /// 1 … 1,024.
        address: u16,
        /// Begin; otherwise only tell.
        start: bool,
    },
    /// A station or everybody: show this.
    Led {
        /// 1 … 1,279 or [`BROADCAST`].
        address: u16,
        /// What to show.
        pattern: Led,
        /// For so many seconds.
        hold_s: u8,
    },
    /// A panel: feed these ends of the ring.
    Feed {
        /// 1,025 … 1,279.
        address: u16,
        /// Ends to feed.
        ends: Ends,
        /// Tenths of a second until both are fed again.
        hold_ds: u8,
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

/// The slot in which the station with this serial number answers a SEARCH;
/// `None` when it is not meant.
#[must_use]
pub fn search_slot(serial: u32, prefix: u32, bits: u8) -> Option<u8> {
    let bits = u32::from(bits.min(28));
    let differing = (serial ^ prefix).checked_shr(32 - bits).unwrap_or(0);
    (differing == 0).then_some(((serial >> (28 - bits)) & 0xF) as u8)
}

/// Bytes of a payload, written one field after the other.
struct Payload {
    bytes: [u8; PAYLOAD_MAX],
    len: usize,
}

impl Payload {
    fn put(&mut self, field: &[u8]) {
        // The fields of every request fit: the longest is DUTIES, cut to size.
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
    }
}

impl<'a> Request<'a> {
    /// Emit as an encoded frame; returns its length.
    #[must_use]
    pub fn encode(&self, out: &mut [u8; FRAME_MAX]) -> usize {
        let mut payload = Payload { bytes: [0; PAYLOAD_MAX], len: 0 };
        let (kind, address) = self.emit(&mut payload);
        frame::encode(&Frame { kind, address, payload: &payload.bytes[..payload.len] }, out)
    }

    fn emit(&self, payload: &mut Payload) -> (u8, u16) {
        match *self {
            Self::Sample { sample, window_ms } => {
                payload.put(&[sample, window_ms]);
                (SAMPLE, BROADCAST)
            }
            Self::Read { first, count } => {
                payload.put(&[count]);
                (READ, first)
            }
            Self::Identify { first, count } => {
                payload.put(&[count]);
                (IDENTIFY, first)
            }
            Self::Duties { first, hold_ds, ref duties } => {
                payload.put(&[hold_ds]);
                for duty in (0..duties.len().min(DUTIES_MAX)).filter_map(|i| duties.get(i)) {
                    payload.put(&duty.0.to_le_bytes());
                }
                (DUTIES, first)
            }
            Self::ReadIo { first, count, channels } => {
                payload.put(&[count, channels]);
                (READ_IO, first)
            }
            Self::Outputs { address, outputs, hold_ds } => {
                payload.put(&outputs.on.to_le_bytes());
                payload.put(&outputs.keep.to_le_bytes());
                payload.put(&[hold_ds]);
                (OUTPUTS, address)
            }
            Self::Search { prefix, bits } => {
                payload.put(&prefix.to_le_bytes());
                payload.put(&[bits]);
                (SEARCH, BROADCAST)
            }
            Self::Offer { address } => {
                payload.put(&address.to_le_bytes());
                (OFFER, BROADCAST)
            }
            Self::Assign { serial, address } => {
                payload.put(&serial.to_le_bytes());
                payload.put(&address.to_le_bytes());
                (ASSIGN, BROADCAST)
            }
            Self::Measure { address, start } => {
                payload.put(&[start.into()]);
                (MEASURE, address)
            }
            Self::Led { address, pattern, hold_s } => {
                payload.put(&[pattern.code(), hold_s]);
                (LED, address)
            }
            Self::Feed { address, ends, hold_ds } => {
                payload.put(&[ends.code(), hold_ds]);
                (FEED, address)
            }
        }
    }

    /// Parse a frame that a station received.
    ///
    /// # Errors
    /// [`MessageError`] when it is not a valid request.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, MessageError> {
        match frame.kind {
            SAMPLE | SEARCH | OFFER | ASSIGN => parse_to_all(frame),
            READ | IDENTIFY | DUTIES | READ_IO => parse_to_run(frame),
            OUTPUTS | MEASURE | LED | FEED => parse_to_one(frame),
            kind => Err(MessageError::Kind(kind)),
        }
    }
}

/// Requests that go to everybody.
fn parse_to_all<'a>(frame: &Frame<'a>) -> Result<Request<'a>, MessageError> {
    let Frame { kind, address, payload } = *frame;
    let wrong = MessageError::Value { kind };
    let request = match (kind, payload) {
        (SAMPLE, &[sample, window_ms]) => Request::Sample { sample, window_ms },
        (SEARCH, &[p0, p1, p2, p3, bits]) => {
            let prefix = u32::from_le_bytes([p0, p1, p2, p3]);
            let rest = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            if bits > 28 || bits % 4 != 0 || prefix & rest != 0 {
                return Err(wrong);
            }
            Request::Search { prefix, bits }
        }
        (OFFER, &[low, high]) => {
            let offered = u16::from_le_bytes([low, high]);
            if !(1..=DEVICE_MAX).contains(&offered) {
                return Err(wrong);
            }
            Request::Offer { address: offered }
        }
        (ASSIGN, &[s0, s1, s2, s3, low, high]) => {
            let assigned = u16::from_le_bytes([low, high]);
            if assigned > DEVICE_MAX {
                return Err(wrong);
            }
            Request::Assign { serial: u32::from_le_bytes([s0, s1, s2, s3]), address: assigned }
        }
        _ => return Err(MessageError::Length { kind, len: payload.len() }),
    };
    if address == BROADCAST { Ok(request) } else { Err(MessageError::Range { kind, address }) }
}

/// Requests that go to a run of addresses.
fn parse_to_run<'a>(frame: &Frame<'a>) -> Result<Request<'a>, MessageError> {
    let Frame { kind, address: first, payload } = *frame;
    let burst = usize::from(BURST_MAX);
    let (request, count, most, from, to) = match (kind, payload) {
        (READ, &[count]) => {
            (Request::Read { first, count }, usize::from(count), burst, 1, ADDRESS_MAX)
        }
        (IDENTIFY, &[count]) => {
            let to = if first < DEVICE_MIN { ADDRESS_MAX } else { DEVICE_MAX };
            (Request::Identify { first, count }, usize::from(count), burst, 1, to)
        }
        (DUTIES, [hold_ds, pairs @ ..]) if pairs.len() % 2 == 0 => {
            let duties = DutyList::Wire(pairs);
            let count = duties.len();
            let request = Request::Duties { first, hold_ds: *hold_ds, duties };
            (request, count, DUTIES_MAX, 1, ADDRESS_MAX)
        }
        (READ_IO, &[count, channels]) => {
            if usize::from(channels) > CHANNELS_MAX {
                return Err(MessageError::Value { kind });
            }
            let request = Request::ReadIo { first, count, channels };
            (request, usize::from(count), burst, DEVICE_MIN, DEVICE_MAX)
        }
        _ => return Err(MessageError::Length { kind, len: payload.len() }),
    };
    let end = usize::from(first) + count;
    if first < from || count == 0 || count > most || end > usize::from(to) + 1 {
        return Err(MessageError::Range { kind, address: first });
    }
    Ok(request)
}

/// Requests that go to one station.
fn parse_to_one<'a>(frame: &Frame<'a>) -> Result<Request<'a>, MessageError> {
    let Frame { kind, address, payload } = *frame;
    let wrong = MessageError::Value { kind };
    let (request, allowed) = match (kind, payload) {
        (OUTPUTS, &[o0, o1, k0, k1, hold_ds]) => {
            let on = u16::from_le_bytes([o0, o1]);
            let keep = u16::from_le_bytes([k0, k1]);
            let request = Request::Outputs { address, outputs: Outputs { on, keep }, hold_ds };
            (request, is_device(address))
        }
        (MEASURE, &[start @ (0 | 1)]) => {
            (Request::Measure { address, start: start == 1 }, is_module(address))
        }
        (MEASURE, &[_]) => return Err(wrong),
        (LED, &[pattern, hold_s]) => {
            let pattern = Led::from_code(pattern).ok_or(wrong)?;
            let allowed = is_module(address) || is_device(address) || address == BROADCAST;
            (Request::Led { address, pattern, hold_s }, allowed)
        }
        (FEED, &[ends, hold_ds]) => {
            let ends = Ends::from_code(ends).ok_or(wrong)?;
            (Request::Feed { address, ends, hold_ds }, is_device(address))
        }
        _ => return Err(MessageError::Length { kind, len: payload.len() }),
    };
    if allowed { Ok(request) } else { Err(MessageError::Range { kind, address }) }
}

/// An address of a block module.
pub(crate) fn is_module(address: u16) -> bool {
    (1..=ADDRESS_MAX).contains(&address)
}

/// An address of a device that is no block module.
pub(crate) fn is_device(address: u16) -> bool {
    (DEVICE_MIN..=DEVICE_MAX).contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::{wire, with_frame};
    use proptest::prelude::*;

    fn frame(request: &Request<'_>) -> Vec<u8> {
        wire(|out| request.encode(out))
    }

    /// The worked examples of the protocol description: independent of the
    /// encoder, computed by hand with a CRC-16/IBM-3740 table.
    #[test]
    fn worked_examples() {
        assert_eq!(
            frame(&Request::Sample { sample: 7, window_ms: 100 }),
            [0x08, 0x01, 0xFF, 0xFF, 0x07, 0x64, 0x28, 0x8A, 0x00]
        );
        assert_eq!(
            frame(&Request::Read { first: 1, count: 3 }),
            [0x03, 0x02, 0x01, 0x04, 0x03, 0xFB, 0x6E, 0x00]
        );
        let duties = DutyList::Owned(&[Duty::FULL, Duty::OFF]);
        assert_eq!(
            frame(&Request::Duties { first: 1, hold_ds: 30, duties }),
            [0x03, 0x04, 0x01, 0x04, 0x1E, 0xFF, 0xFF, 0x01, 0x01, 0x02, 0xC9, 0x00]
        );
        let outputs = Outputs { on: 0b101, keep: 0b100 };
        assert_eq!(
            frame(&Request::Outputs { address: 1_034, outputs, hold_ds: 30 }),
            [0x05, 0x06, 0x0A, 0x04, 0x05, 0x02, 0x04, 0x04, 0x1E, 0x72, 0x48, 0x00]
        );
        assert_eq!(
            frame(&Request::Search { prefix: 0x0001_0000, bits: 16 }),
            [0x04, 0x07, 0xFF, 0xFF, 0x01, 0x02, 0x01, 0x04, 0x10, 0xE9, 0x22, 0x00]
        );
        assert_eq!(search_slot(100_001, 0x0001_0000, 16), Some(8));
        assert_eq!(
            frame(&Request::Assign { serial: 100_001, address: 17 }),
            [0x07, 0x09, 0xFF, 0xFF, 0xA1, 0x86, 0x01, 0x02, 0x11, 0x03, 0xBB, 0xE6, 0x00]
        );
    }

    #[test]
    fn duties_come_back_one_by_one() {
        let duties: Vec<Duty> = (0..DUTIES_MAX as u16).map(|i| Duty(i * 500)).collect();
        let bytes =
            frame(&Request::Duties { first: 33, hold_ds: 30, duties: DutyList::Owned(&duties) });
        with_frame(&bytes, |f| match Request::parse(f) {
            Ok(Request::Duties { first: 33, hold_ds: 30, duties: got }) => {
                let got: Vec<Duty> = (0..got.len()).filter_map(|i| got.get(i)).collect();
                assert_eq!(got, duties);
            }
            other => panic!("parsed as {other:?}"),
        });
    }

    #[test]
    fn every_short_request_comes_back() {
        let outputs = Outputs { on: 0x0102, keep: 0x8000 };
        for request in [
            Request::Identify { first: 1_025, count: 64 },
            Request::ReadIo { first: 1_216, count: 64, channels: 8 },
            Request::Outputs { address: 1_030, outputs, hold_ds: 30 },
            Request::Search { prefix: 0xABC0_0000, bits: 12 },
            Request::Offer { address: 17 },
            Request::Assign { serial: 0xDEAD_BEEF, address: 0 },
            Request::Measure { address: 1_024, start: true },
            Request::Led { address: BROADCAST, pattern: Led::Locate, hold_s: 60 },
            Request::Feed { address: 1_279, ends: Ends::B, hold_ds: 5 },
        ] {
            with_frame(&frame(&request), |f| assert_eq!(Request::parse(f), Ok(request.clone())));
        }
    }

    #[test]
    fn runs_stay_inside_their_addresses() {
        for (kind, first, count, ok) in [
            (READ, 1, 64, true),
            (READ, 961, 64, true),
            (READ, 962, 64, false),
            (READ, 0, 1, false),
            (READ, 5, 0, false),
            (READ, 5, 65, false),
            (READ, 1_025, 1, false),
            (IDENTIFY, 1_024, 2, false),
            (IDENTIFY, 1_279, 1, true),
            (IDENTIFY, 1_279, 2, false),
        ] {
            let payload = [count];
            let got = Request::parse(&Frame { kind, address: first, payload: &payload });
            assert_eq!(got.is_ok(), ok, "{kind} {first}+{count}: {got:?}");
        }
        let read_io = |address, channels| {
            Request::parse(&Frame { kind: READ_IO, address, payload: &[1, channels] }).is_ok()
        };
        assert!(read_io(1_025, 8) && !read_io(1_024, 0) && !read_io(1_025, 9));
    }

    #[test]
    fn slots_of_a_search_are_the_next_four_bits() {
        assert_eq!(search_slot(0xABCD_EF01, 0, 0), Some(0xA));
        assert_eq!(search_slot(0xABCD_EF01, 0xABC0_0000, 12), Some(0xD));
        assert_eq!(search_slot(0xABCD_EF01, 0xABCD_EF00, 28), Some(1));
        assert_eq!(search_slot(0xABCD_EF01, 0xABCD_EE00, 28), None);
    }

    proptest! {
        #[test]
        fn any_frame_parses_or_says_why(kind: u8, address: u16, payload in proptest::collection::vec(any::<u8>(), 0..PAYLOAD_MAX)) {
            let _ = Request::parse(&Frame { kind, address, payload: &payload });
        }

        #[test]
        fn parsed_requests_encode_to_the_same_bytes(
            kind in 1u8..=FEED,
            address in prop_oneof![any::<u16>(), Just(BROADCAST), 1u16..=DEVICE_MAX],
            payload in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..4], 1..20),
        ) {
            let given = Frame { kind, address, payload: &payload };
            if let Ok(request) = Request::parse(&given) {
                with_frame(&frame(&request), |f| assert_eq!(*f, given));
            }
        }
    }
}
