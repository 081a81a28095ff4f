//! The Megatec family as a table (facts/ups-serial-protocols.md §1.1–§1.3).
//! A number has its first byte and its layout, a text its range of bytes.

use evenkeel_sdk::host::ReplyEnd;
use evenkeel_sdk::table::{Request, Row};

use crate::wire;

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
    ..ASKED_NICELY
};

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

/// What all three have in common: a reply ends with CR and begins within a
/// second; 47 bytes at 2400 baud take another 0.2 s.
const ASKED_NICELY: Request = Request {
    name: "",
    send: b"",
    end: ReplyEnd::Terminator(b'\r'),
    max: 64,
    timeout_ms: 1500,
    tries: 3,
    frame: wire::STATUS,
    rows: &[],
};
