//! A protocol family as data: requests, the frame of their replies, and rows
//! that say which bytes are which point. Decoding is a pure function.
//!
//! * [`Request`] what is sent, when its reply is complete, how it is checked
//! * [`Frame`] the skeleton of a reply: length, fixed bytes, [`Checksum`],
//!   [`Split`] into fields, keys or registers
//! * [`Row`] a field ([`Place`]) read as a number ([`Raw`]), text, bit or code
//!   and published under a name
//! * [`Flag`] bits that become words of `ups.status` and alarms ([`Status`])
//! * [`Command`] what can be told to the device
//!
//! Leniency ends where damage begins. A field that a device fills with `@`,
//! `-`, `#` or spaces is *unavailable*: its point is published empty and with
//! quality bad (facts/ups-serial-protocols.md §1), so that no earlier value of
//! it stays good. A field that is neither a number nor
//! filler means that the line garbled the reply: then the whole reply is
//! refused and asked for again, because its neighbours are no better.

mod checksum;
mod command;
mod place;
mod raw;
mod row;
mod status;

use std::borrow::Cow;
use std::fmt;

use crate::host::{ReplyEnd, Update};

pub use checksum::{Checksum, Spelling, Sum};
pub use command::{Ack, Action, Command, CommandError, Encoding, Kept, Parameter, Piece, Step};
pub use place::{Place, Split};
pub(crate) use raw::plain_decimal;
pub use raw::{Int, Order, Raw};
pub use row::{Flag, Parse, Row, Unknown};
pub use status::{Status, Word};

/// A question to the device and what is known about its answer.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What it asks for, for messages: `status`.
    pub name: &'static str,
    /// Bytes to send, without their checksum.
    pub send: &'static [u8],
    /// Checksum of what is sent.
    pub seal: Option<Checksum>,
    /// When the reply is complete.
    pub end: ReplyEnd,
    /// What belongs to the reply besides its first part.
    pub more: More,
    /// Longest reply in bytes, all parts together.
    pub max: u32,
    /// Time for writing and reading, in milliseconds; for each part anew.
    pub timeout_ms: u32,
    /// How often to ask before giving up, at least 1.
    pub tries: u8,
    /// What a sound reply looks like.
    pub frame: Frame,
    /// Points in the reply.
    pub rows: &'static [Row],
    /// What the reply says about the device's condition.
    pub flags: &'static [Flag],
}

/// Several replies to one request; they are joined and decoded as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// One reply is all.
    None,
    /// So many further ones.
    Parts(u8),
    /// Further ones up to the one that begins with this.
    Until(&'static [u8]),
}

/// The skeleton of a reply: everything that can be checked before a field is
/// read.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Shortest and longest reply in bytes, terminator included.
    pub length: (usize, usize),
    /// Bytes that stand at fixed places.
    pub fixed: &'static [(usize, u8)],
    /// First place and the one after the last of those that hold `0` or `1`;
    /// equal when there are none.
    pub bits: (usize, usize),
    /// A field that counts bytes of the reply.
    pub count: Option<Count>,
    /// The checksum of the reply.
    pub checksum: Option<Checksum>,
    /// How it is divided into fields.
    pub split: Split,
    /// Characters that stand where the device has no value.
    pub filler: &'static [u8],
}

/// A field that says how long the reply is.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// First byte of the field and the one after the last.
    pub at: (usize, usize),
    /// How it is written.
    pub raw: Raw,
    /// Bytes of the reply that it does not count.
    pub uncounted: usize,
}

/// What a reply says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// One update for each row.
    pub updates: Vec<Update>,
    /// What the flags say.
    pub status: Status,
}

/// What is wrong with a reply. All of these mean "ask again".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// Too short or too long.
    Length {
        /// Bytes received.
        found: usize,
    },
    /// A byte that must stand at a fixed place does not.
    Skeleton {
        /// Its place.
        at: usize,
    },
    /// The checksum is wrong.
    Checksum,
    /// A field is neither a value nor filler.
    Field {
        /// The point that it would have become.
        point: &'static str,
    },
    /// A number that no such device reports.
    Implausible {
        /// The point that it would have become.
        point: &'static str,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found } => write!(f, "the reply has {found} bytes"),
            Self::Skeleton { at } => write!(f, "byte {at} of the reply is out of place"),
            Self::Checksum => f.write_str("the checksum of the reply is wrong"),
            Self::Field { point } => write!(f, "the field of {point} is garbled"),
            Self::Implausible { point } => write!(f, "the value of {point} is impossible"),
        }
    }
}

impl std::error::Error for ReplyError {}

impl Request {
    /// A question that ends with CR, is answered within a second and a half
    /// and asked three times; a base for `..Request::DEFAULT`.
    pub const DEFAULT: Self = Self {
        name: "",
        send: b"",
        seal: None,
        end: ReplyEnd::Terminator(b'\r'),
        more: More::None,
        max: 256,
        timeout_ms: 1500,
        tries: 3,
        frame: Frame::DEFAULT,
        rows: &[],
        flags: &[],
    };

    /// The bytes to send, checksum included.
    #[must_use]
    pub fn bytes(&self) -> Cow<'static, [u8]> {
        sealed(Cow::Borrowed(self.send), self.seal)
    }
}

impl Frame {
    /// A reply of any length without a skeleton; a base for `..Frame::DEFAULT`.
    pub const DEFAULT: Self = Self {
        length: (1, 4096),
        fixed: &[],
        bits: (0, 0),
        count: None,
        checksum: None,
        split: Split::None,
        filler: b"@-# ",
    };

    /// The reply of a Modbus device (RTU) that was asked for `count` registers
    /// from `first` on; `fixed` holds unit, function and number of bytes.
    #[must_use]
    pub const fn registers(first: u16, count: u8, fixed: &'static [(usize, u8)]) -> Self {
        let length = 5 + 2 * count as usize;
        Self {
            length: (length, length),
            fixed,
            checksum: Some(Checksum::MODBUS),
            split: Split::Registers { skip: 3, first },
            ..Self::DEFAULT
        }
    }

    /// Check the skeleton of `reply`.
    ///
    /// # Errors
    /// The first [`ReplyError`] found.
    pub fn check(&self, reply: &[u8]) -> Result<(), ReplyError> {
        let wrong_length = Err(ReplyError::Length { found: reply.len() });
        if !(self.length.0..=self.length.1).contains(&reply.len()) {
            return wrong_length;
        }
        let out_of_place = |at: usize| Err(ReplyError::Skeleton { at });
        if let Some((at, _)) = self.fixed.iter().find(|(at, byte)| reply.get(*at) != Some(byte)) {
            return out_of_place(*at);
        }
        let is_bit = |at: usize| matches!(reply.get(at), Some(b'0' | b'1'));
        if let Some(at) = (self.bits.0..self.bits.1).find(|at| !is_bit(*at)) {
            return out_of_place(at);
        }
        if let Some(count) = self.count {
            let said = reply.get(count.at.0..count.at.1).and_then(|field| count.raw.code(field));
            let said = said.and_then(|said| usize::try_from(said).ok());
            if said.and_then(|said| said.checked_add(count.uncounted)) != Some(reply.len()) {
                return wrong_length;
            }
        }
        match self.checksum {
            Some(checksum) if !checksum.holds(reply) => Err(ReplyError::Checksum),
            _ => Ok(()),
        }
    }

    /// The reply up to its checksum or terminator. Places are counted from
    /// the first byte of the reply, so the beginning stays.
    fn body<'a>(&self, reply: &'a [u8], end: ReplyEnd) -> &'a [u8] {
        match (self.checksum, end) {
            (Some(checksum), _) => &reply[..reply.len().saturating_sub(checksum.len_with_tail())],
            (None, ReplyEnd::Terminator(byte)) => reply.strip_suffix(&[byte]).unwrap_or(reply),
            (None, ReplyEnd::Length(_) | ReplyEnd::IdleUs(_)) => reply,
        }
    }
}

/// Check a reply and read every row and flag of the request from it: one update
/// for each row. Where the device left the field unavailable, the value is 0 or
/// an empty text, with quality bad.
///
/// # Errors
/// The first [`ReplyError`] found; then nothing of the reply may be used.
pub fn decode(request: &Request, reply: &[u8]) -> Result<Reading, ReplyError> {
    let frame = &request.frame;
    frame.check(reply)?;
    let body = frame.body(reply, request.end);
    let mut reading = Reading::default();
    reading.updates.reserve_exact(request.rows.len());
    for row in request.rows {
        reading.updates.push(row.read(body, &frame.split, frame.filler)?);
    }
    for flag in request.flags {
        flag.read(body, &frame.split, &mut reading.status)?;
    }
    Ok(reading)
}

fn sealed(bytes: Cow<'static, [u8]>, seal: Option<Checksum>) -> Cow<'static, [u8]> {
    match seal {
        Some(checksum) => Cow::Owned(checksum.seal(&bytes)),
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::{Quality, Value};

    const REQUEST: Request = Request {
        name: "test",
        send: b"?\r",
        frame: Frame {
            length: (14, 15),
            fixed: &[(0, b'('), (6, b' '), (8, b' ')],
            bits: (7, 8),
            ..Frame::DEFAULT
        },
        rows: &[
            Row::number("input.voltage", "V", 1, &["000.0"], 0.0..=500.0),
            Row::bit("ups.beeper.status", 7, "disabled", "enabled"),
            Row::text("ups.firmware", 9..14),
        ],
        ..Request::DEFAULT
    };

    fn texts(reply: &[u8]) -> Result<Vec<String>, ReplyError> {
        decode(&REQUEST, reply).map(|reading| {
            reading.updates.iter().map(|u| format!("{}={:?}{}", u.name, u.value, u.unit)).collect()
        })
    }

    #[test]
    fn rows_become_points() {
        assert_eq!(
            texts(b"(208.4 1 V1.2 \r").unwrap(),
            [
                "input.voltage=Number(208.4)V",
                "ups.beeper.status=Text(\"enabled\")",
                "ups.firmware=Text(\"V1.2\")"
            ]
        );
    }

    #[test]
    fn a_short_last_field_ends_with_the_reply() {
        assert_eq!(texts(b"(208.4 0 V1.2\r").unwrap()[2], "ups.firmware=Text(\"V1.2\")");
    }

    #[test]
    fn filler_is_bad_and_nothing_else_is() {
        for filler in ["@@@.@", "-----", "###.#", "     "] {
            let reply = format!("({filler} 0 V1.2 \r");
            let updates = decode(&REQUEST, reply.as_bytes()).unwrap().updates;
            assert_eq!(updates.len(), 3, "{filler}");
            let voltage = &updates[0];
            assert_eq!((&voltage.value, voltage.unit), (&Value::Number(0.0), "V"), "{filler}");
            assert_eq!(voltage.quality, Quality::Bad, "{filler}");
            assert_eq!(updates[1].quality, Quality::Good, "{filler}");
        }
        for garbage in [
            "2@8.4", "20?.4", ".....", "2 8.4", "208. ", "208.4\0", "1e2.0", "-08.4", "20814",
            "20.84",
        ] {
            let reply = format!("({garbage} 0 V1.2 \r");
            assert!(texts(reply.as_bytes()).is_err(), "{garbage:?} passed");
        }
    }

    #[test]
    fn damage_is_located() {
        assert_eq!(texts(b"(208.4 1 V\r"), Err(ReplyError::Length { found: 11 }));
        assert_eq!(texts(b"#208.4 1 V1.2 \r"), Err(ReplyError::Skeleton { at: 0 }));
        assert_eq!(
            texts(b"(908.4 1 V1.2 \r"),
            Err(ReplyError::Implausible { point: "input.voltage" })
        );
        assert_eq!(texts(b"(208.4 2 V1.2 \r"), Err(ReplyError::Skeleton { at: 7 }));
        assert_eq!(texts(b"(208.4 1 V\x07.2 \r"), Err(ReplyError::Field { point: "ups.firmware" }));
    }

    fn shown(request: &Request, reply: &[u8]) -> Result<Vec<String>, ReplyError> {
        let reading = decode(request, reply)?;
        let updates = reading.updates.iter();
        let spell = |u: &Update| match (&u.value, u.quality) {
            (_, Quality::Bad) => format!("{} bad", u.name),
            (Value::Number(number), _) => format!("{} {number} {}", u.name, u.unit),
            (Value::Text(text), _) => format!("{} {text}", u.name),
            (Value::Flag(flag), _) => format!("{} {flag}", u.name),
        };
        Ok(updates.chain(&reading.status.updates()).map(spell).collect())
    }

    /// Meta System status (facts §17): binary, little-endian, summed.
    const BINARY: Request = Request {
        send: b"\x02\x02\x03",
        seal: Some(Checksum { skip: 1, ..Checksum::last(Sum::Sum8) }),
        end: ReplyEnd::Length(7),
        frame: Frame {
            length: (7, 7),
            fixed: &[(0, 2), (2, 3)],
            count: Some(Count { at: (1, 2), raw: Raw::Int(Int::U8), uncounted: 2 }),
            checksum: Some(Checksum { skip: 1, ..Checksum::last(Sum::Sum8) }),
            ..Frame::DEFAULT
        },
        rows: &[
            Row::int("ups.temperature", "°C", 5, Int::U8, -40.0..=99.0).plus(-128.0).absent(&[0]),
            Row::code("ups.mode", (Place::byte(3), Raw::Int(Int::U8)), MODES, Unknown::Bad),
        ],
        flags: &[
            Flag::code(Place::byte(3), Raw::Int(Int::U8), 0).says(Word::Ol),
            Flag::code(Place::byte(3), Raw::Int(Int::U8), 1).says(Word::Ob),
            Flag::code(Place::byte(4), Raw::Int(Int::U8), 5).says(Word::Rb).alarm("Old battery!"),
        ],
        ..Request::DEFAULT
    };
    const MODES: &[(i64, &str)] = &[(0, "mains"), (1, "battery")];

    #[test]
    fn binary_replies_are_summed_counted_scaled_and_worded() {
        assert_eq!(*BINARY.bytes(), *b"\x02\x02\x03\x05");
        let seal = |frame: &[u8]| BINARY.frame.checksum.unwrap().seal(frame);
        assert_eq!(
            shown(&BINARY, b"\x02\x05\x03\0\0\x96\x9E").unwrap(),
            ["ups.temperature 22 °C", "ups.mode mains", "ups.status OL", "ups.alarm "]
        );
        assert_eq!(
            shown(&BINARY, &seal(b"\x02\x05\x03\x01\x05\0")).unwrap(),
            [
                "ups.temperature bad",
                "ups.mode battery",
                "ups.status ALARM OB RB",
                "ups.alarm Old battery!"
            ]
        );
        let strange = shown(&BINARY, &seal(b"\x02\x05\x03\x07\0\x96")).unwrap();
        assert_eq!(strange[1..3], ["ups.mode bad", "ups.status bad"], "an unknown mode");
        let wrong = |frame: &[u8]| decode(&BINARY, frame).unwrap_err();
        assert_eq!(wrong(b"\x02\x05\x03\0\0\x96\x9F"), ReplyError::Checksum);
        assert_eq!(wrong(&seal(b"\x02\x06\x03\0\0\x96")), ReplyError::Length { found: 7 });
        assert_eq!(
            wrong(&seal(b"\x02\x05\x03\0\0\xFF")),
            ReplyError::Implausible { point: "ups.temperature" }
        );
    }

    /// SEC regular format (facts §15.1): fields, empty ones unavailable.
    const FIELDS: Request = Request {
        send: b"~00P003STB",
        end: ReplyEnd::IdleUs(50_000),
        frame: Frame {
            fixed: &[(0, b'~'), (3, b'D')],
            count: Some(Count { at: (4, 7), raw: Raw::Layout(&["000"]), uncounted: 7 }),
            split: Split::Fields { skip: 7, separators: b";" },
            ..Frame::DEFAULT
        },
        rows: &[
            Row::code("battery.state", (Place::Field(0), Raw::Decimal), STATES, Unknown::Garbled),
            Row::decimal("battery.runtime", "s", Place::Field(1), 0.0..=1e6).times(60.0),
            Row::decimal("battery.voltage", "V", Place::Field(2), 0.0..=999.0).divided_by(10.0),
            Row::decimal("ups.temperature", "°C", Place::Field(3), -40.0..=99.0).optional(),
        ],
        ..Request::DEFAULT
    };
    const STATES: &[(i64, &str)] = &[(0, "good"), (1, "weak"), (2, "replace")];

    #[test]
    fn fields_may_be_empty_or_left_out_where_the_row_says_so() {
        let reply = shown(&FIELDS, b"~00D0091;45;2731").unwrap();
        assert_eq!(
            reply[..4],
            [
                "battery.state weak",
                "battery.runtime 2700 s",
                "battery.voltage 273.1 V",
                "ups.temperature bad"
            ]
        );
        let cold = shown(&FIELDS, b"~00D0080;;1;-12").unwrap();
        assert_eq!(cold[1], "battery.runtime bad");
        assert_eq!(cold[3], "ups.temperature -12 °C");
        let garbled = |point| Err(ReplyError::Field { point });
        assert_eq!(shown(&FIELDS, b"~00D0053;4;5"), garbled("battery.state"));
        assert_eq!(shown(&FIELDS, b"~00D0031;4"), garbled("battery.voltage"));
        assert_eq!(shown(&FIELDS, b"~00D0041;4;5"), Err(ReplyError::Length { found: 12 }));
    }

    /// APC over Modbus (facts §19.1).
    const REGISTERS: Request = Request {
        send: &[1, 3, 0, 128, 0, 4],
        seal: Some(Checksum::MODBUS),
        end: ReplyEnd::IdleUs(20_000),
        frame: Frame::registers(128, 4, &[(0, 1), (1, 3), (2, 8)]),
        rows: &[
            Row::register("battery.runtime", "s", 128, Int::U32_BE, 0.0..=1e7),
            Row::register("battery.charge", "%", 130, Int::U16_BE, 0.0..=100.0).divided_by(512.0),
            Row::register("battery.voltage", "V", 131, Int::I16_BE, 0.0..=999.0).divided_by(32.0),
        ],
        flags: &[Flag::bits_of(Place::register(130, Int::U16_BE), Raw::Int(Int::U16_BE), 0x8000)
            .says(Word::Lb)
            .otherwise(Word::Ol)],
        ..Request::DEFAULT
    };

    #[test]
    fn registers_are_found_by_number() {
        assert_eq!(*REGISTERS.bytes(), [1, 3, 0, 128, 0, 4, 0x45, 0xE1]);
        let reply = Checksum::MODBUS.seal(&[1, 3, 8, 0, 0, 0x0A, 0x8C, 0xC8, 0, 3, 0x6A]);
        assert_eq!(
            shown(&REGISTERS, &reply).unwrap()[..3],
            ["battery.runtime 2700 s", "battery.charge 100 %", "battery.voltage 27.3125 V"]
        );
    }

    proptest! {
        #[test]
        fn any_reply_is_survived_and_gives_finite_numbers(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            seal in any::<bool>(),
        ) {
            for request in [&REQUEST, &BINARY, &FIELDS, &REGISTERS] {
                let mut reply = bytes.clone();
                for (at, byte) in request.frame.fixed {
                    if let Some(place) = reply.get_mut(*at) {
                        *place = *byte;
                    }
                }
                reply.truncate(request.frame.length.1);
                if let (true, Some(checksum)) = (seal, request.frame.checksum) {
                    let len = checksum.seal(&reply).len() - reply.len();
                    reply.truncate(reply.len().saturating_sub(len));
                    reply = checksum.seal(&reply);
                }
                let Ok(reading) = decode(request, &reply) else { continue };
                prop_assert_eq!(reading.updates.len(), request.rows.len());
                for update in reading.updates {
                    if let Value::Number(number) = update.value {
                        prop_assert!(number.is_finite());
                    }
                }
            }
        }
    }
}
