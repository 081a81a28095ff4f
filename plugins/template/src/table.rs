//! The family as a table.
//!
//! Every line begins with `$` and ends with `*`, the sum of the bytes behind `$`
//! up to there as two hexadecimal digits, and CR. Fields are separated by commas; an
//! empty one is not known.

use evenkeel_sdk::ReplyEnd;
use evenkeel_sdk::session::Ask;
use evenkeel_sdk::table::Piece::{Bytes, Number};
use evenkeel_sdk::table::{
    Ack, Checksum, Command, Encoding, Flag, Frame, Int, Place, Raw, Request, Row, Spelling, Split,
    Step, Sum, Unknown, Word,
};

/// What is asked when. The first line claims the device.
pub(crate) const PLAN: &[Ask] =
    &[Ask::always(&STATUS), Ask::once(&IDENTITY), Ask::each(&BATTERY, 10).optional()];

/// ```text
/// > $ST*D1\r
/// < $ST,230.1,49.9,055,L,00*BB\r      Vin, Hz, load %, mode, alarm bits
///   0   0     1    2   3 4            fields from byte 4
/// ```
pub(crate) const STATUS: Request = Request {
    name: "status",
    send: b"$ST*\r",
    frame: frame(&[(0, b'$'), (1, b'S'), (2, b'T'), (3, b',')]),
    rows: &[
        Row::decimal("input.voltage", "V", Place::Field(0), 0.0..=600.0),
        Row::decimal("input.frequency", "Hz", Place::Field(1), 0.0..=80.0),
        Row::decimal("ups.load", "%", Place::Field(2), 0.0..=250.0),
    ],
    flags: &[
        Flag::code(MODE, CHAR, b'L' as u32).says(Word::Ol),
        Flag::code(MODE, CHAR, b'B' as u32).says(Word::Ob),
        Flag::code(MODE, CHAR, b'Y' as u32).says(Word::Bypass),
        Flag::bits_of(ALARMS, Raw::Hex, 0x01).says(Word::Lb),
        Flag::bits_of(ALARMS, Raw::Hex, 0x02).says(Word::Over),
        Flag::bits_of(ALARMS, Raw::Hex, 0x04).alarm("Fan failed!"),
    ],
    ..LINE
};

const MODE: Place = Place::Field(3);
const ALARMS: Place = Place::Field(4);
const CHAR: Raw = Raw::Int(Int::U8);

/// ```text
/// < $ID,EXAMPLE,EP-1000,1.07,I*05\r   maker, model, firmware, topology
/// ```
pub(crate) const IDENTITY: Request = Request {
    name: "identity",
    send: b"$ID*\r",
    frame: frame(&[(0, b'$'), (1, b'I'), (2, b'D'), (3, b',')]),
    rows: &[
        Row::text_at("device.mfr", Place::Field(0)),
        Row::text_at("device.model", Place::Field(1)),
        Row::text_at("ups.firmware", Place::Field(2)),
        Row::name("ups.type", Place::Field(3), TYPES, Unknown::Bad),
    ],
    ..LINE
};

const TYPES: &[(&str, &str)] = &[("O", "online"), ("I", "offline / line interactive")];

/// ```text
/// < $BA,273,087,45*D5\r               tenths of a volt, %, minutes left
/// ```
pub(crate) const BATTERY: Request = Request {
    name: "battery",
    send: b"$BA*\r",
    frame: frame(&[(0, b'$'), (1, b'B'), (2, b'A'), (3, b',')]),
    rows: &[
        Row::decimal("battery.voltage", "V", Place::Field(0), 0.0..=999.0).divided_by(10.0),
        Row::decimal("battery.charge", "%", Place::Field(1), 0.0..=100.0).estimated(),
        Row::decimal("battery.runtime", "s", Place::Field(2), 0.0..=1e6).times(60.0).estimated(),
    ],
    ..LINE
};

/// What the unit can be told; it answers `$OK` or `$NO`.
pub(crate) const COMMANDS: &[Command] = &[
    Command::send("test.battery.start.quick", "test the battery for 10 seconds", &[TEST]),
    Command::send("beeper.mute", "silence the present alarm", &[MUTE]),
    Command::send("shutdown.return", "off after so many seconds, back with the mains", &[OFF])
        .number((10, 600), Some(60))
        .dangerous(),
];

const TEST: Step = Step::new(&[Bytes(b"$TB*\r")], OK).sealed(CHECK);
const MUTE: Step = Step::new(&[Bytes(b"$MU*\r")], OK).sealed(CHECK);
const OFF: Step = Step::new(&[Bytes(b"$SD,"), Number(SECONDS), Bytes(b"*\r")], OK).sealed(CHECK);
const SECONDS: Encoding = Encoding::Digits { width: 3, per: 1 };
const OK: Ack =
    Ack { replies: &[b"$OK*"], silence: false, end: ReplyEnd::Terminator(b'\r'), timeout_ms: 1000 };

/// Between `$` and `*`; the check stands before CR.
const CHECK: Checksum = Checksum { sum: Sum::Sum8, spelling: Spelling::Hex, skip: 1, tail: 1 };

/// What all requests have in common.
const LINE: Request = Request { seal: Some(CHECK), ..Request::DEFAULT };

/// What all replies have in common. They name the request that they answer, so
/// that one that comes late is not taken for another.
const fn frame(fixed: &'static [(usize, u8)]) -> Frame {
    Frame {
        length: (8, 64),
        fixed,
        checksum: Some(CHECK),
        split: Split::Fields { skip: 4, separators: b",*" },
        ..Frame::DEFAULT
    }
}
