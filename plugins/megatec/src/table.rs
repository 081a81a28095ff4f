//! The Megatec family as a table (facts/ups-serial-protocols.md §1.1–§1.4).
//! A number has its first byte and its layout, a text its range of bytes.

use evenkeel_sdk::session::Ask;
use evenkeel_sdk::table::Encoding::{Delay, Digits};
use evenkeel_sdk::table::Piece::{Bytes, Kept, Number};
use evenkeel_sdk::table::{Command, Encoding, Flag, Piece, Request, Row, Step, Word};

use crate::wire;

/// One line to the unit, and its acknowledgement.
macro_rules! say {
    ($word:literal $(, $piece:expr)*) => {
        &[Step::new(&[Bytes($word), $($piece,)* Bytes(b"\r")], wire::ACK)]
    };
}

/// The status claims the device. Only then it is asked for what it may not
/// know: a unit of another family could act on `I` or `F`.
pub(crate) const PLAN: &[Ask] =
    &[Ask::always(&STATUS), Ask::once(&RATINGS).optional(), Ask::once(&IDENTITY).optional()];

/// ```text
/// > Q1\r
/// < (208.4 140.0 208.4 034 59.9 2.05 35.0 00110000\r
///   01234567890123456789012345678901234567890123456
///   0         1         2         3         4
/// ```
pub(crate) const STATUS: Request = Request {
    name: "status",
    send: b"Q1\r",
    frame: wire::STATUS,
    rows: &[
        Row::number("input.voltage", "V", 1, &["000.0"], 0.0..=600.0),
        Row::number("input.voltage.fault", "V", 7, &["000.0"], 0.0..=600.0),
        Row::number("output.voltage", "V", 13, &["000.0"], 0.0..=600.0),
        Row::number("ups.load", "%", 19, &["000"], 0.0..=250.0),
        Row::number("input.frequency", "Hz", 23, &["00.0"], 0.0..=80.0),
        Row::number("battery.voltage", "V", 28, &["00.0", "0.00"], 0.0..=999.0),
        Row::number("ups.temperature", "°C", 33, &["00.0"], -40.0..=99.9),
        Row::bit("ups.type", 42, "online", "offline / line interactive"),
        Row::bit("ups.beeper.status", 45, "disabled", "enabled"),
    ],
    flags: &[
        Flag::char(38).says(Word::Ob).otherwise(Word::Ol),
        Flag::char(39).says(Word::Lb),
        Flag::char(40).says(Word::Bypass), // or boost or buck: the voltages tell
        Flag::char(41).alarm("UPS selftest failed!"),
        Flag::char(43).says(Word::Cal),
        Flag::char(44).says(Word::Fsd).alarm(SHUTDOWN),
    ],
    ..ASKED_NICELY
};

/// Alarm of the bit that some units never take back.
pub(crate) const SHUTDOWN: &str = "Shutdown imminent!";

/// ```text
/// > F\r
/// < #220.0 000 024.0 50.0\r
///   0123456789012345678901
///   0         1         2
/// ```
pub(crate) const RATINGS: Request = Request {
    name: "ratings",
    send: b"F\r",
    frame: wire::RATINGS,
    rows: &[
        Row::number("input.voltage.nominal", "V", 1, &["000.0"], 0.0..=600.0),
        Row::number("input.current.nominal", "A", 7, &["000", "0.0"], 0.0..=999.0),
        Row::number("battery.voltage.nominal", "V", 11, &["00.00", "000.0"], 0.0..=999.9),
        Row::number("input.frequency.nominal", "Hz", 17, &["00.0"], 0.0..=80.0),
    ],
    ..ASKED_NICELY
};

/// ```text
/// > I\r
/// < #-------------   ------     VT12046Q  \r
///   012345678901234567890123456789012345678
///   0         1         2         3
/// ```
pub(crate) const IDENTITY: Request = Request {
    name: "identity",
    send: b"I\r",
    frame: wire::IDENTITY,
    rows: &[
        Row::text("device.mfr", 1..16),
        Row::text("ups.mfr", 1..16),
        Row::text("device.model", 17..27),
        Row::text("ups.model", 17..27),
        Row::text("ups.firmware", 28..38),
    ],
    ..ASKED_NICELY
};

/// What the unit can be told. `S<n>` counts `.2` … `.9` minutes or whole ones up
/// to 10, `R<m>` minutes up to 9999; `R0000` is "stay off".
pub(crate) const COMMANDS: &[Command] = &[
    Command::keep("ups.delay.shutdown", "seconds from the order until off", (12, 600), 30),
    Command::keep("ups.delay.start", "seconds off before the load returns", (60, 599_940), 180),
    Command::send("test.battery.start.quick", "test the battery for 10 seconds", say!(b"T")),
    Command::send("test.battery.start.deep", "test the battery until it is low", say!(b"TL")),
    Command::send("test.battery.start", "test the battery, seconds", say!(b"T", Number(MINUTES)))
        .number((60, 5940), Some(600)),
    Command::send("test.battery.stop", "end the battery test", say!(b"CT")),
    Command::send("beeper.toggle", "beeper on or off", say!(b"Q")),
    Command::send("load.off", "switch the load off at once", say!(b"S00R0000")).dangerous(),
    Command::send("load.on", "switch the load on", say!(b"C")),
    Command::send("shutdown.return", "off, and on when mains is back", say!(b"S", OFF, R, BACK))
        .dangerous(),
    Command::send("shutdown.stayoff", "off, and stay off", say!(b"S", OFF, STAY)).dangerous(),
    Command::send("shutdown.default", "off, back by the unit's own rule", say!(b"S", OFF))
        .dangerous(),
    Command::send("shutdown.stop", "take a shutdown back", say!(b"C")),
];

const MINUTES: Encoding = Digits { width: 2, per: 60 };
const OFF: Piece = Kept("ups.delay.shutdown", Delay);
const BACK: Piece = Kept("ups.delay.start", Digits { width: 4, per: 60 });
const R: Piece = Bytes(b"R");
const STAY: Piece = Bytes(b"R0000");

/// What the questions have in common: a reply ends with CR and begins within a
/// second; 47 bytes at 2400 baud take another 0.2 s.
const ASKED_NICELY: Request = Request { max: 64, ..Request::DEFAULT };
