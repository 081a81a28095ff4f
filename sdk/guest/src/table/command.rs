//! What can be told to a device, as rows: instant commands and writable
//! variables under NUT's names (facts/nut-protocol.md §12), what they send, and
//! what the device answers when it obeys.
//!
//! A command is sent once. Asking again may help a question; a command that was
//! obeyed and whose acknowledgement was lost would be obeyed twice.

use std::fmt;

use super::checksum::{Checksum, hex_digit};
use super::raw::Order;
use crate::host::ReplyEnd;

/// Something that can be told to the device.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// NUT's name: `test.battery.start.quick`, `ups.delay.shutdown`.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// What it takes.
    pub parameter: Parameter,
    /// What it does.
    pub action: Action,
    /// It takes power from the load, or may.
    pub dangerous: bool,
}

/// What a command takes.
#[derive(Clone, Copy, Debug)]
pub enum Parameter {
    /// Nothing.
    None,
    /// A whole number.
    Number {
        /// Least.
        low: i64,
        /// Greatest.
        high: i64,
        /// Taken when none is given; without it a number must be given.
        default: Option<i64>,
    },
    /// One of these words, each with the bytes that [`Piece::Word`] sends.
    Word(&'static [(&'static str, &'static [u8])]),
    /// Printable text of at most so many bytes.
    Text(u32),
}

/// What a command does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Send these, one after the other; the first that is not acknowledged
    /// ends it.
    Send(&'static [Step]),
    /// Keep the number for [`Piece::Kept`]; nothing is sent. Until it is given,
    /// the default of the parameter counts.
    Keep,
}

/// One thing that is sent, and what is expected back.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What is sent, piece by piece, without the checksum.
    pub send: &'static [Piece],
    /// Checksum of what is sent.
    pub seal: Option<Checksum>,
    /// The acknowledgement.
    pub ack: Ack,
    /// Quiet time afterwards, in milliseconds, at most 30,000; what arrives in
    /// it is dropped.
    pub pause_ms: u32,
}

/// A piece of what is sent.
#[derive(Clone, Copy, Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(&'static [u8]),
    /// The number that the command was given.
    Number(Encoding),
    /// The number kept under this name.
    Kept(&'static str, Encoding),
    /// The bytes of the word that the command was given.
    Word,
    /// The text that the command was given, filled up to this width with
    /// spaces; 0 for as long as it is.
    Text(usize),
}

/// How a whole number is sent.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// Decimal digits with leading zeros, after division by `per`, rounded up.
    Digits {
        /// How many digits; 0 for as many as it takes.
        width: u8,
        /// 60 turns seconds into minutes.
        per: u32,
    },
    /// Seconds as Megatec's delay: below 60 tenths of a minute, `.2` … `.9`,
    /// rounded up, above whole minutes, two digits.
    Delay,
    /// Upper-case hexadecimal digits with leading zeros, 1 … 8.
    Hex(u8),
    /// Half-bytes coded as 0x30 + n, high one first, 1 … 8.
    Nibbles(u8),
    /// A byte.
    Byte,
    /// Two bytes.
    Word(Order),
    /// Four bytes.
    Double(Order),
}

/// The acknowledgement of a command.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// A reply that begins with one of these says "obeyed".
    pub replies: &'static [&'static [u8]],
    /// No reply at all says "obeyed".
    pub silence: bool,
    /// When the reply is complete.
    pub end: ReplyEnd,
    /// How long it may take to come, in milliseconds.
    pub timeout_ms: u32,
}

/// Numbers kept by [`Action::Keep`], by name.
#[derive(Clone, Debug, Default)]
pub struct Kept(Vec<(&'static str, i64)>);

/// Why a command was not carried out. The variants are the codes of
/// `evenkeel:driver/device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// There is no such command.
    Unknown,
    /// The value does not fit; a sentence.
    Invalid(String),
    /// The device said no, or something that is neither yes nor no.
    Refused(String),
    /// The device does not answer, or was never identified.
    Lost(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such command"),
            Self::Invalid(what) | Self::Refused(what) | Self::Lost(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CommandError {}

impl Command {
    /// A command that sends `steps`.
    #[must_use]
    pub const fn send(
        name: &'static str,
        description: &'static str,
        steps: &'static [Step],
    ) -> Self {
        let action = Action::Send(steps);
        Self { name, description, parameter: Parameter::None, action, dangerous: false }
    }

    /// A number from `low` to `high` that commands use and the device is not told.
    #[must_use]
    pub const fn keep(
        name: &'static str,
        description: &'static str,
        (low, high): (i64, i64),
        default: i64,
    ) -> Self {
        let parameter = Parameter::Number { low, high, default: Some(default) };
        Self { name, description, parameter, action: Action::Keep, dangerous: false }
    }

    /// With a whole number from `low` to `high`.
    #[must_use]
    pub const fn number(mut self, (low, high): (i64, i64), default: Option<i64>) -> Self {
        self.parameter = Parameter::Number { low, high, default };
        self
    }

    /// With one of these words.
    #[must_use]
    pub const fn word(mut self, words: &'static [(&'static str, &'static [u8])]) -> Self {
        self.parameter = Parameter::Word(words);
        self
    }

    /// With a text of at most `max` bytes.
    #[must_use]
    pub const fn text(mut self, max: u32) -> Self {
        self.parameter = Parameter::Text(max);
        self
    }

    /// It takes power from the load, or may.
    #[must_use]
    pub const fn dangerous(mut self) -> Self {
        self.dangerous = true;
        self
    }

    /// The number that is meant by `value`; 0 where the command takes none.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] when `value` does not fit the parameter.
    pub fn check(&self, value: Option<&str>) -> Result<i64, CommandError> {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let invalid = |wanted: String| Err(CommandError::Invalid(wanted));
        match (self.parameter, value) {
            (Parameter::None, None) => Ok(0),
            (Parameter::None, Some(_)) => invalid(format!("{} takes no value", self.name)),
            (Parameter::Number { default: Some(default), .. }, None) => Ok(default),
            (Parameter::Number { low, high, .. }, value) => {
                let number = value.and_then(|value| value.parse().ok());
                match number.filter(|number| (low..=high).contains(number)) {
                    Some(number) => Ok(number),
                    None => invalid(format!(
                        "{} takes a whole number from {low} to {high}, not {:?}",
                        self.name,
                        value.unwrap_or_default()
                    )),
                }
            }
            (Parameter::Word(words), value) => {
                let known = words.iter().any(|(word, _)| value == Some(word));
                let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
                if known {
                    Ok(0)
                } else {
                    invalid(format!("{} takes one of {}", self.name, list()))
                }
            }
            (Parameter::Text(max), value) => {
                let fits = value.is_some_and(|text| {
                    text.len() <= max as usize && text.bytes().all(|b| matches!(b, b' '..=b'~'))
                });
                let wanted = "characters without accents or controls";
                if fits {
                    Ok(0)
                } else {
                    invalid(format!("{} takes 1 to {max} {wanted}", self.name))
                }
            }
        }
    }

    /// The bytes of `step`. `number` is what [`Self::check`] made of `value`.
    #[must_use]
    pub fn bytes(&self, step: &Step, number: i64, value: Option<&str>, kept: &Kept) -> Vec<u8> {
        let value = value.map_or("", str::trim);
        let mut out = Vec::new();
        for piece in step.send {
            match *piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Number(encoding) => encoding.write(number, &mut out),
                Piece::Kept(name, encoding) => encoding.write(kept.get(name), &mut out),
                Piece::Word => {
                    let Parameter::Word(words) = self.parameter else { continue };
                    let known = words.iter().find(|(word, _)| *word == value);
                    out.extend_from_slice(known.map_or(b"".as_slice(), |(_, bytes)| bytes));
                }
                Piece::Text(width) => {
                    let end = out.len() + width.max(value.len());
                    out.extend_from_slice(value.as_bytes());
                    out.resize(end, b' ');
                }
            }
        }
        step.seal.map_or(out.clone(), |checksum| checksum.seal(&out))
    }
}

impl Step {
    /// Send `pieces` and expect `ack`.
    #[must_use]
    pub const fn new(send: &'static [Piece], ack: Ack) -> Self {
        Self { send, seal: None, ack, pause_ms: 0 }
    }

    /// With this checksum.
    #[must_use]
    pub const fn sealed(mut self, checksum: Checksum) -> Self {
        self.seal = Some(checksum);
        self
    }

    /// And be quiet for so long.
    #[must_use]
    pub const fn then_wait(mut self, ms: u32) -> Self {
        self.pause_ms = ms;
        self
    }
}

impl Ack {
    /// Whatever comes within `timeout_ms`, and also nothing: for commands that
    /// the device never answers, and for wake-up calls.
    #[must_use]
    pub const fn anything(timeout_ms: u32) -> Self {
        let end = ReplyEnd::IdleUs(50_000);
        Self { replies: &[b""], silence: true, end, timeout_ms }
    }

    /// True when `reply` says "obeyed".
    #[must_use]
    pub fn is_yes(&self, reply: &[u8]) -> bool {
        self.replies.iter().any(|yes| reply.starts_with(yes))
    }
}

impl Kept {
    /// The defaults of all commands that keep a number.
    #[must_use]
    pub fn new(commands: &[Command]) -> Self {
        Self(
            commands
                .iter()
                .filter_map(|command| match (command.action, command.parameter) {
                    (Action::Keep, Parameter::Number { default, low, .. }) => {
                        Some((command.name, default.unwrap_or(low)))
                    }
                    _ => None,
                })
                .collect(),
        )
    }

    /// The number kept under `name`; 0 when no command keeps it.
    #[must_use]
    pub fn get(&self, name: &str) -> i64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
    }

    /// Keep another number.
    pub fn set(&mut self, name: &str, number: i64) {
        if let Some((_, kept)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            *kept = number;
        }
    }
}

impl Encoding {
    fn write(self, number: i64, out: &mut Vec<u8>) {
        let magnitude = number.unsigned_abs();
        match self {
            Self::Digits { width, per } => {
                let digits = magnitude.div_ceil(u64::from(per.max(1)));
                out.extend_from_slice(padded(digits, width.into()).as_bytes());
            }
            Self::Delay if magnitude < 60 => {
                let tenths = magnitude.div_ceil(6).clamp(2, 9) as u8;
                out.extend_from_slice(&[b'.', b'0' + tenths]);
            }
            Self::Delay => {
                out.extend_from_slice(padded(magnitude.div_ceil(60), 2).as_bytes());
            }
            Self::Hex(width) => halves(number, width, hex_digit, out),
            Self::Nibbles(width) => halves(number, width, |nibble| 0x30 + nibble, out),
            Self::Byte => out.push(number as u8),
            Self::Word(order) => {
                let bytes = (number as u16).to_be_bytes();
                match order {
                    Order::Big => out.extend_from_slice(&bytes),
                    Order::Little | Order::LowWordFirst => out.extend(bytes.iter().rev()),
                }
            }
            Self::Double(order) => {
                let bytes = (number as u32).to_be_bytes();
                match order {
                    Order::Big => out.extend_from_slice(&bytes),
                    Order::Little => out.extend(bytes.iter().rev()),
                    Order::LowWordFirst => out.extend(bytes.chunks(2).rev().flatten()),
                }
            }
        }
    }
}

fn padded(number: u64, width: usize) -> String {
    let digits = number.to_string();
    "0".repeat(width.saturating_sub(digits.len())) + &digits
}

fn halves(number: i64, width: u8, digit: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
    let nibbles = (0..u32::from(width.min(8))).rev().map(|at| (number >> (4 * at)) as u8 & 15);
    out.extend(nibbles.map(digit));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Sum;

    const NO_ACK: Ack = Ack::anything(100);
    const COMMANDS: &[Command] = &[
        Command::keep("ups.delay.shutdown", "wait before switching off, s", (12, 600), 30),
        Command::keep("ups.delay.start", "wait before switching on, s", (60, 599_940), 180),
        Command::send(
            "shutdown.return",
            "off, and on again with the mains",
            &[Step::new(
                &[
                    Piece::Bytes(b"S"),
                    Piece::Kept("ups.delay.shutdown", Encoding::Delay),
                    Piece::Bytes(b"R"),
                    Piece::Kept("ups.delay.start", Encoding::Digits { width: 4, per: 60 }),
                    Piece::Bytes(b"\r"),
                ],
                NO_ACK,
            )],
        )
        .dangerous(),
        Command::send(
            "test.battery.start",
            "test the battery for so many seconds",
            &[Step::new(
                &[
                    Piece::Bytes(b"T"),
                    Piece::Number(Encoding::Digits { width: 2, per: 60 }),
                    Piece::Bytes(b"\r"),
                ],
                NO_ACK,
            )],
        )
        .number((60, 5940), Some(600)),
        Command::send(
            "ups.beeper.status",
            "the beeper",
            &[Step::new(&[Piece::Bytes(b"C7:"), Piece::Word, Piece::Bytes(b"\r")], NO_ACK)],
        )
        .word(&[("enabled", b"1"), ("disabled", b"0")]),
        Command::send(
            "ups.id",
            "name of the unit",
            &[Step::new(&[Piece::Bytes(b"c-"), Piece::Text(8)], NO_ACK)],
        )
        .text(8),
    ];

    fn bytes(name: &str, value: Option<&str>, kept: &Kept) -> Result<Vec<u8>, CommandError> {
        let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
        let number = command.check(value)?;
        let Action::Send(steps) = command.action else { return Ok(Vec::new()) };
        Ok(command.bytes(&steps[0], number, value, kept))
    }

    #[test]
    fn numbers_words_and_texts_find_their_places() {
        let mut kept = Kept::new(COMMANDS);
        assert_eq!(bytes("shutdown.return", None, &kept).unwrap(), b"S.5R0003\r");
        kept.set("ups.delay.shutdown", 600);
        kept.set("ups.delay.start", 599_940);
        assert_eq!(bytes("shutdown.return", None, &kept).unwrap(), b"S10R9999\r");
        assert_eq!(bytes("test.battery.start", Some("61"), &kept).unwrap(), b"T02\r");
        assert_eq!(bytes("test.battery.start", None, &kept).unwrap(), b"T10\r");
        assert_eq!(bytes("ups.beeper.status", Some("disabled"), &kept).unwrap(), b"C7:0\r");
        assert_eq!(bytes("ups.id", Some("RACK 1"), &kept).unwrap(), b"c-RACK 1  ");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let kept = Kept::new(COMMANDS);
        let cases = [
            ("shutdown.return", Some("5"), "takes no value"),
            ("test.battery.start", Some("59"), "from 60 to 5940"),
            ("test.battery.start", Some("soon"), "\"soon\""),
            ("ups.beeper.status", Some("loud"), "enabled, disabled"),
            ("ups.beeper.status", None, "enabled, disabled"),
            ("ups.id", Some("a much longer name"), "1 to 8"),
            ("ups.id", Some("\r"), "1 to 8"),
        ];
        for (name, value, words) in cases {
            let error = bytes(name, value, &kept).unwrap_err();
            assert!(matches!(error, CommandError::Invalid(_)), "{name} {value:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn encodings_spell_as_the_facts_print_them() {
        let write = |encoding: Encoding, number| {
            let mut out = Vec::new();
            encoding.write(number, &mut out);
            out
        };
        assert_eq!(write(Encoding::Delay, 12), b".2");
        assert_eq!(write(Encoding::Delay, 59), b".9");
        assert_eq!(write(Encoding::Delay, 61), b"02");
        assert_eq!(write(Encoding::Hex(2), 0x1F), b"1F");
        assert_eq!(write(Encoding::Nibbles(4), 0x19A), b"\x30\x31\x39\x3A");
        assert_eq!(write(Encoding::Word(Order::Little), 0x1234), b"\x34\x12");
        assert_eq!(write(Encoding::Double(Order::Little), 30), b"\x1E\0\0\0");
        assert_eq!(write(Encoding::Double(Order::LowWordFirst), 1), b"\0\x01\0\0");
        assert_eq!(write(Encoding::Byte, -1), b"\xFF");
    }

    #[test]
    fn steps_are_sealed() {
        let step = Step::new(&[Piece::Bytes(b"\x8A"), Piece::Number(Encoding::Byte)], NO_ACK)
            .sealed(Checksum::last(Sum::Negated8));
        let command = Command::send("load.off", "off", &[]).number((0, 255), None);
        assert_eq!(command.bytes(&step, 10, None, &Kept::default()), b"\x8A\x0A\x6C");
    }

    proptest! {
        #[test]
        fn any_value_is_checked_and_what_passes_is_sent(value in ".{0,20}") {
            for command in COMMANDS {
                let Ok(number) = command.check(Some(&value)) else { continue };
                let Action::Send(steps) = command.action else { continue };
                let sent = command.bytes(&steps[0], number, Some(&value), &Kept::new(COMMANDS));
                prop_assert!(sent.is_ascii() && sent.len() < 20);
            }
        }

        #[test]
        fn any_number_is_encoded(number in any::<i64>(), width in any::<u8>()) {
            let mut out = Vec::new();
            for encoding in [
                Encoding::Digits { width, per: 0 }, Encoding::Delay, Encoding::Hex(width),
                Encoding::Nibbles(width), Encoding::Word(Order::Big), Encoding::Byte,
            ] {
                encoding.write(number, &mut out);
            }
            prop_assert!(out.len() < 400);
        }
    }
}
