//! What the appliance offers to a driver, as plain types and two traits.
//!
//! They mirror `wit/since-0.1/{serial,points,log}`; the `wasm` module converts.

use std::borrow::Cow;
use std::fmt;

/// The appliance as a driver sees it.
pub trait Host {
    /// Open the line that the administrator granted under `name`. Dropping the
    /// port closes it.
    ///
    /// # Errors
    /// [`PortError`] when the name is not granted or the device is absent.
    fn open(&mut self, name: &str, line: Line) -> Result<Box<dyn Port>, PortError>;

    /// Publish values: all of them, or none and a sentence that says why.
    ///
    /// # Errors
    /// The host's sentence.
    fn publish(&mut self, updates: &[Update]) -> Result<(), String>;

    /// The device no longer answers: every point of this plugin becomes stale.
    fn lost(&mut self, reason: &str);

    /// Tell a person. Over quota the message is dropped.
    fn log(&mut self, level: Level, message: &str);
}

/// An open serial line. All timing is the host's.
pub trait Port {
    /// Drop what was received so far, send `request`, read one reply of at most
    /// `max` bytes (≤ 4,096). `timeout_ms` (≤ 30,000) covers both.
    ///
    /// # Errors
    /// [`PortError`], with the bytes that did arrive.
    fn transact(
        &mut self,
        request: &[u8],
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError>;
}

/// How a line is set when it is opened. DTR and RTS are set at once and never
/// toggled afterwards: many UPSes switch the load on such an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bits per second, 50 … 921,600.
    pub baud: u32,
    /// 7 or 8.
    pub data_bits: u8,
    /// Parity bit.
    pub parity: Parity,
    /// Two stop bits instead of one.
    pub two_stop_bits: bool,
    /// Level of DTR.
    pub dtr: bool,
    /// Level of RTS.
    pub rts: bool,
}

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// When a reply is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyEnd {
    /// At this byte, which is part of the reply.
    Terminator(u8),
    /// After this many bytes.
    Length(u32),
    /// When the line was quiet for this many microseconds after a byte.
    IdleUs(u32),
}

/// Why the host did not return a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortError {
    /// One of the constants of this type; others may appear later.
    pub code: u32,
    /// The host's words, for people.
    pub detail: String,
    /// Bytes that did arrive.
    pub partial: Vec<u8>,
}

impl PortError {
    /// The name is not granted to this plugin.
    pub const DENIED: u32 = 1;
    /// The device behind the name is absent.
    pub const NO_PORT: u32 = 2;
    /// No complete reply before the deadline.
    pub const TIMEOUT: u32 = 3;
    /// The reply exceeds the stated maximum.
    pub const TOO_LONG: u32 = 4;
    /// A parameter is out of range.
    pub const INVALID: u32 = 5;
    /// The operating system reported an error.
    pub const IO: u32 = 6;
    /// The plugin's budget is used up.
    pub const QUOTA: u32 = 7;

    /// True when asking again may help: the fault lies on the line, not in the
    /// grant or the port.
    #[must_use]
    pub const fn is_line_fault(&self) -> bool {
        matches!(self.code, Self::TIMEOUT | Self::TOO_LONG)
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for PortError {}

/// A value of one point, ready to be published. The host stamps the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// NUT variable name below the device's subtree, e.g. `input.voltage`.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Value,
    /// Unit symbol, e.g. `V`; empty for text, flags and plain numbers.
    pub unit: &'static str,
    /// How far to trust it.
    pub quality: Quality,
}

/// What a point can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A finite number, in the unit of the update.
    Number(f64),
    /// Text for people or for scripts.
    Text(Cow<'static, str>),
    /// Yes or no.
    Flag(bool),
}

/// How far to trust a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Measured or stated by the device.
    Good,
    /// Computed.
    Estimated,
    /// Not to be used.
    Bad,
}

/// Urgency of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The plugin cannot do its work.
    Error,
    /// Somebody should look.
    Warn,
    /// Part of normal life.
    Info,
    /// For the author.
    Debug,
}

impl Update {
    /// A text that the device stated.
    #[must_use]
    pub fn text(name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let value = Value::Text(text.into());
        Self { name: Cow::Borrowed(name), value, unit: "", quality: Quality::Good }
    }

    /// A number that was computed, not measured.
    #[must_use]
    pub fn estimate(name: &'static str, number: f64, unit: &'static str) -> Self {
        let value = Value::Number(number);
        Self { name: Cow::Borrowed(name), value, unit, quality: Quality::Estimated }
    }
}

/// The number published under `name`, if `updates` hold one that may be used.
#[must_use]
pub fn number(updates: &[Update], name: &str) -> Option<f64> {
    updates.iter().find(|update| update.name == name).and_then(|update| match update.value {
        Value::Number(number) if update.quality != Quality::Bad => Some(number),
        _ => None,
    })
}
