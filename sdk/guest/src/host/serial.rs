//! Serial lines (`evenkeel:serial`). All timing is the host's: a plugin never
//! measures gaps between characters.

use std::fmt;

/// Serial lines under the logical names of the manifest.
pub trait Serial {
    /// Open the line that the administrator granted under `name`. Dropping the
    /// port closes it.
    ///
    /// # Errors
    /// [`PortError`] when the name is not granted or a parameter is out of range.
    fn open_line(&mut self, name: &str, line: Line) -> Result<Box<dyn Port>, PortError>;
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

    /// Send without expecting a reply.
    ///
    /// # Errors
    /// [`PortError`].
    fn send(&mut self, bytes: &[u8], timeout_ms: u32) -> Result<(), PortError>;

    /// Wait for a frame that the device sends by itself, and read it. What
    /// arrived since the last call counts.
    ///
    /// # Errors
    /// [`PortError`], with the bytes that did arrive.
    fn read_frame(
        &mut self,
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError>;

    /// Set DTR and RTS: contact units and some UPSes act on their edges.
    ///
    /// # Errors
    /// [`PortError`].
    fn set_lines(&mut self, dtr: bool, rts: bool) -> Result<(), PortError>;

    /// The control lines as they are now.
    ///
    /// # Errors
    /// [`PortError`].
    fn lines(&mut self) -> Result<Lines, PortError>;

    /// Hold the line at space for 1 … 1,000 ms.
    ///
    /// # Errors
    /// [`PortError`].
    fn send_break(&mut self, ms: u32) -> Result<(), PortError>;
}

/// Control lines that a device drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the pins
pub struct Lines {
    pub cts: bool,
    pub dsr: bool,
    pub dcd: bool,
    pub ri: bool,
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
