//! `evenkeel:serial`: serial lines under logical names.
//!
//! The guest names a line as its manifest does (`ups`); which device that is,
//! only the grant knows. The device is opened at the first use and again
//! after it vanished; [`line`] has the system's side of it.

pub mod line;

use super::Site;
use super::log::{Level, Log};
use super::meter::{Beyond, Meter, Way};
use super::rates::{Rate, Rates};
use crate::clock;
use crate::grants::{DevicePath, Named};
use crate::plugin::bindings::serial::serial as wit;
use crate::plugin::limits::HANDLES_MAX;
use crate::plugin::stop::Stop;
use evenkeel_core::time::Nanos;
use line::{Line, LineError, ReplyEnd, Settings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// The interface.
pub const INTERFACE: &str = "evenkeel:serial/serial@0.1.1";
/// Longest request and longest reply in bytes.
pub const BYTES_MAX: usize = 4_096;
/// Longest time for one transaction, in ms.
pub const TIMEOUT_MS_MAX: u32 = 30_000;
/// Longest break, in ms.
pub const BREAK_MS_MAX: u32 = 1_000;
/// Lowest and highest speed in baud.
pub const BAUD: core::ops::RangeInclusive<u32> = 50..=921_600;

/// Times that a plugin may open devices. Opening sets DTR and RTS.
pub const OPENS: Rate = Rate { most: 10, every: Nanos::from_secs(1) };

/// The serial lines of one plugin.
#[derive(Debug)]
pub struct Serial {
    log: Log,
    meter: Arc<Meter>,
    name: String,
    rates: Arc<Rates>,
    lines: Named<DevicePath>,
    table: ResourceTable,
    stop: Arc<Stop>,
}

/// A line that a guest holds; the device behind it comes and goes.
#[derive(Debug)]
pub struct Port {
    path: PathBuf,
    settings: Settings,
    line: Option<Line>,
}

/// Why a call failed. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum SerialError {
    /// Not granted.
    #[error("the line {name:?} is not granted to this plugin")]
    Denied {
        /// Logical name.
        name: String,
    },
    /// A parameter out of range.
    #[error("{parameter} {found} is not in {low} … {high}")]
    Range {
        /// Which one.
        parameter: &'static str,
        /// Its value.
        found: u64,
        /// Least.
        low: u64,
        /// Most.
        high: u64,
    },
    /// Too many handles.
    #[error("more than {HANDLES_MAX} ports are open; drop one first")]
    Handles,
    /// Opened again and again.
    #[error(
        "the device was opened more often than {} times at once and once a second; \
        keep the port open, or poll less often",
        OPENS.most
    )]
    Opens,
    /// The line itself.
    #[error(transparent)]
    Line(#[from] LineError),
}

impl SerialError {
    /// The code in `serial.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } => 1,
            Self::Line(
                LineError::Absent { .. } | LineError::InUse | LineError::Vanished { .. },
            ) => 2,
            Self::Line(LineError::Timeout { .. }) => 3,
            Self::Line(LineError::TooLong { .. }) => 4,
            Self::Range { .. } => 5,
            Self::Line(_) => 6,
            Self::Handles | Self::Opens => 7,
        }
    }
}

impl Beyond for SerialError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some("serial line not granted"),
            Self::Handles | Self::Opens => Some("quota of serial lines"),
            Self::Range { .. } | Self::Line(_) => None,
        }
    }
}

impl From<SerialError> for wit::Error {
    fn from(error: SerialError) -> Self {
        let (code, detail) = (error.code(), crate::plugin::reason(&error));
        let partial = match error {
            SerialError::Line(error) => error.into_partial(),
            _ => Vec::new(),
        };
        Self { code, detail, partial }
    }
}

impl Serial {
    /// The lines that are granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let (log, stop) = (site.log.clone(), Arc::clone(site.stop));
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let (name, rates) = (site.who.name.clone(), Arc::clone(&site.services.rates));
        let meter = Arc::clone(site.meter);
        Self { log, meter, name, rates, lines: site.grants.serial.clone(), table, stop }
    }

    fn port(&self, name: &str, line: &wit::Line) -> Result<Port, SerialError> {
        let denied = || SerialError::Denied { name: super::one_line(name, 80) };
        let path = self.lines.get(name).ok_or_else(denied)?.as_path().to_owned();
        Ok(Port { path, settings: settings(line)?, line: None })
    }

    /// Do `call` on the line behind a handle, which is opened first when need
    /// be. What is `asked` was checked before the line is touched.
    fn use_line<A, T>(
        &mut self,
        port: &Resource<Port>,
        asked: Result<A, SerialError>,
        call: impl FnOnce(A, &mut Line, &Stop) -> Result<T, LineError>,
    ) -> wasmtime::Result<Result<T, wit::Error>> {
        let port = self.table.get_mut(port)?;
        let opening = Opening { plugin: &self.name, rates: &self.rates, log: &self.log };
        let stop = &self.stop;
        let done = asked.and_then(|asked| port.with_line(&opening, |line| call(asked, line, stop)));
        Ok(self.meter.noted(done).map_err(Into::into))
    }

    /// [`Self::use_line`] for what sends `tx` and may bring an answer.
    fn exchange<A, T: AsRef<[u8]>>(
        &mut self,
        port: &Resource<Port>,
        tx: &[u8],
        asked: Result<A, SerialError>,
        call: impl FnOnce(A, &mut Line, &Stop) -> Result<T, LineError>,
    ) -> wasmtime::Result<Result<T, wit::Error>> {
        let done = self.use_line(port, asked, call)?;
        let received = match &done {
            Ok(rx) => rx.as_ref().len(),
            Err(error) => error.partial.len(),
        };
        // What was refused never went out; what failed may have.
        let went_out = done.as_ref().err().is_none_or(|e| matches!(e.code, 3 | 4 | 6));
        self.meter.sent(Way::Serial, if went_out { tx.len() } else { 0 });
        self.meter.received(Way::Serial, received);
        Ok(done)
    }
}

impl wit::Host for Serial {}

impl wit::HostPort for Serial {
    fn open(
        &mut self,
        name: String,
        line: wit::Line,
    ) -> wasmtime::Result<Result<Resource<Port>, wit::Error>> {
        let port = self.port(&name, &line);
        let port = match self.meter.noted(port) {
            Ok(port) => port,
            Err(error) => return Ok(Err(error.into())),
        };
        match self.table.push(port) {
            Ok(port) => Ok(Ok(port)),
            Err(ResourceTableError::Full) => {
                Ok(self.meter.noted(Err(SerialError::Handles)).map_err(Into::into))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn transact(
        &mut self,
        port: Resource<Port>,
        tx: Vec<u8>,
        end: wit::ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let asked = check(&tx, timeout_ms).and_then(|until| Ok((until, frame_end(&end, max)?)));
        self.exchange(&port, &tx, asked, |(until, (end, max)), line, stop| {
            line.transact(&tx, end, max, until, stop)
        })
    }

    fn send(
        &mut self,
        port: Resource<Port>,
        tx: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        let asked = check(&tx, timeout_ms);
        let sent = self.exchange(&port, &tx, asked, |until, line, stop| {
            line.send(&tx, until, stop).map(|()| [])
        })?;
        Ok(sent.map(|_| ()))
    }

    fn read_frame(
        &mut self,
        port: Resource<Port>,
        end: wit::ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let asked = check(&[], timeout_ms).and_then(|until| Ok((until, frame_end(&end, max)?)));
        self.exchange(&port, &[], asked, |(until, (end, max)), line, stop| {
            line.frame(end, max, until, stop)
        })
    }

    fn set_lines(
        &mut self,
        port: Resource<Port>,
        dtr: bool,
        rts: bool,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.use_line(&port, Ok(()), |(), line, _| line.set_modem_lines(dtr, rts))
    }

    fn lines(
        &mut self,
        port: Resource<Port>,
    ) -> wasmtime::Result<Result<(bool, bool, bool, bool), wit::Error>> {
        self.use_line(&port, Ok(()), |(), line, _| line.modem_lines())
    }

    fn send_break(
        &mut self,
        port: Resource<Port>,
        ms: u32,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        let asked = range("break", ms.into(), 1, BREAK_MS_MAX.into());
        self.use_line(&port, asked, |(), line, stop| {
            line.send_break(Duration::from_millis(ms.into()), stop)
        })
    }

    fn drop(&mut self, port: Resource<Port>) -> wasmtime::Result<()> {
        self.table.delete(port)?;
        Ok(())
    }
}

/// What opening a device draws on.
struct Opening<'a> {
    plugin: &'a str,
    rates: &'a Rates,
    log: &'a Log,
}

impl Opening<'_> {
    fn open(&self, path: &Path, settings: &Settings) -> Result<Line, SerialError> {
        if !self.rates.spend(&format!("serial lines of {}", self.plugin), OPENS, clock::now()) {
            return Err(SerialError::Opens);
        }
        let line = Line::open(path, settings)?;
        self.log.say(Level::Info, &format!("serial line {} opened", path.display()));
        Ok(line)
    }
}

impl Port {
    /// Use the line, opening it first when need be; a line that vanished is
    /// closed, so that the next call opens whatever is there then.
    fn with_line<T>(
        &mut self,
        opening: &Opening<'_>,
        call: impl FnOnce(&mut Line) -> Result<T, LineError>,
    ) -> Result<T, SerialError> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => opening.open(&self.path, &self.settings)?,
        };
        let result = call(&mut line);
        if !matches!(result, Err(LineError::Vanished { .. })) {
            self.line = Some(line);
        }
        Ok(result?)
    }
}

fn settings(line: &wit::Line) -> Result<Settings, SerialError> {
    range("baud", line.baud.into(), (*BAUD.start()).into(), (*BAUD.end()).into())?;
    range("data-bits", line.data_bits.into(), 7, 8)?;
    Ok(Settings {
        baud: line.baud,
        seven_bits: line.data_bits == 7,
        parity: match line.parity {
            wit::Parity::None => line::Parity::None,
            wit::Parity::Even => line::Parity::Even,
            wit::Parity::Odd => line::Parity::Odd,
        },
        two_stop_bits: line.stop_bits == wit::StopBits::Two,
        dtr: line.dtr,
        rts: line.rts,
    })
}

/// Checks what both kinds of transaction have, and turns the timeout into a
/// point in time, so that no retry below stretches it.
fn check(tx: &[u8], timeout_ms: u32) -> Result<Nanos, SerialError> {
    range("length of tx", tx.len() as u64, 0, BYTES_MAX as u64)?;
    let timeout_ms = timeout_ms.min(TIMEOUT_MS_MAX);
    range("timeout", timeout_ms.into(), 1, TIMEOUT_MS_MAX.into())?;
    Ok(clock::now() + Nanos::from_millis(timeout_ms.into()))
}

/// When a frame is complete, and how long it may be.
fn frame_end(end: &wit::ReplyEnd, max: u32) -> Result<(ReplyEnd, usize), SerialError> {
    let max = max.min(BYTES_MAX as u32);
    range("max", max.into(), 1, BYTES_MAX as u64)?;
    let end = match *end {
        wit::ReplyEnd::Terminator(byte) => ReplyEnd::Terminator(byte),
        wit::ReplyEnd::Length(length) => {
            range("reply length", length.into(), 1, max.into())?;
            ReplyEnd::Length(length as usize)
        }
        wit::ReplyEnd::IdleUs(us) => {
            range("idle time", us.into(), 1, u64::from(TIMEOUT_MS_MAX) * 1_000)?;
            ReplyEnd::Idle(Nanos(u64::from(us) * 1_000))
        }
    };
    Ok((end, max as usize))
}

fn range(parameter: &'static str, found: u64, low: u64, high: u64) -> Result<(), SerialError> {
    match (low..=high).contains(&found) {
        true => Ok(()),
        false => Err(SerialError::Range { parameter, found, low, high }),
    }
}

#[cfg(test)]
mod tests {
    use super::line::tests::{Far, Pty};
    use super::wit::HostPort as _;
    use super::*;
    use crate::caps::testing::Place;

    const LINE: wit::Line = wit::Line {
        baud: 2_400,
        data_bits: 8,
        parity: wit::Parity::None,
        stop_bits: wit::StopBits::One,
        dtr: true,
        rts: false,
    };

    fn serial(path: &std::path::Path) -> Serial {
        let mut here = Place::default();
        here.grants
            .serial
            .insert("ups".into(), path.display().to_string().parse().expect("a path"));
        Serial::new(&here.site())
    }

    fn open(serial: &mut Serial) -> Resource<Port> {
        serial.open("ups".into(), LINE).expect("no trap").expect("granted")
    }

    fn ask(serial: &mut Serial, port: &Resource<Port>) -> Result<Vec<u8>, wit::Error> {
        let port = Resource::new_borrow(port.rep());
        serial
            .transact(port, b"Q1\r".to_vec(), wit::ReplyEnd::Terminator(b'\r'), 64, 500)
            .expect("no trap")
    }

    #[test]
    fn only_granted_names_open_and_only_with_good_parameters() {
        let pty = Pty::new();
        let mut serial = serial(&pty.path);
        let mut code = |name: &str, line| {
            serial.open(name.into(), line).expect("no trap").map(|_| ()).map_err(|e| e.code)
        };
        assert_eq!(code("ups", LINE), Ok(()));
        for name in ["", "UPS", "other", "/dev/ttyS0", "../ups"] {
            assert_eq!(code(name, LINE), Err(1), "{name}");
        }
        assert_eq!(code("ups", wit::Line { baud: 49, ..LINE }), Err(5));
        assert_eq!(code("ups", wit::Line { baud: 921_601, ..LINE }), Err(5));
        assert_eq!(code("ups", wit::Line { data_bits: 9, ..LINE }), Err(5));
    }

    #[test]
    fn parameters_of_a_transaction_are_checked_before_the_line_is_touched() {
        let mut serial = serial(std::path::Path::new("/nonexistent/tty"));
        let port = open(&mut serial);
        let mut code = |tx: usize, end, max, timeout_ms| {
            let port = Resource::new_borrow(port.rep());
            let result = serial.transact(port, vec![0; tx], end, max, timeout_ms);
            result.expect("no trap").map_err(|e| e.code)
        };
        let end = wit::ReplyEnd::Terminator(13);
        assert_eq!(code(4_097, end, 64, 500), Err(5));
        assert_eq!(code(3, end, 0, 500), Err(5));
        assert_eq!(code(3, end, 64, 0), Err(5));
        assert_eq!(code(3, wit::ReplyEnd::Length(65), 64, 500), Err(5));
        assert_eq!(code(3, wit::ReplyEnd::IdleUs(0), 64, 500), Err(5));
        assert_eq!(code(3, end, u32::MAX, u32::MAX), Err(2), "clamped, then no port");
    }

    #[test]
    fn a_port_that_vanished_is_opened_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("ups");
        let first = Pty::linked(&link);
        let mut serial = serial(&link);
        let port = open(&mut serial);
        let far = Far::answer(first, |_| b"(208.4\r".to_vec());
        assert_eq!(ask(&mut serial, &port).expect("a reply"), b"(208.4\r");
        drop(far);
        assert_eq!(ask(&mut serial, &port).map_err(|e| e.code), Err(2));
        std::fs::remove_file(&link).expect("removed");
        assert_eq!(ask(&mut serial, &port).map_err(|e| e.code), Err(2), "absent");
        let _far = Far::answer(Pty::linked(&link), |_| b"(230.0\r".to_vec());
        assert_eq!(ask(&mut serial, &port).expect("a reply"), b"(230.0\r");
    }

    #[test]
    fn frames_that_come_unasked_are_read_one_by_one() {
        let pty = Pty::new();
        let mut serial = serial(&pty.path);
        let port = open(&mut serial);
        let borrowed = || Resource::new_borrow(port.rep());
        let end = wit::ReplyEnd::Terminator(b'\n');
        let mut next = || serial.read_frame(borrowed(), end, 16, 300).expect("no trap");
        assert_eq!(next().map_err(|e| e.code), Err(3), "silent; now it is open");
        pty.send(b"1 OK\n2 O");
        assert_eq!(next().expect("a frame"), b"1 OK\n");
        pty.send(b"K\n3 ");
        assert_eq!(next().expect("a frame"), b"2 OK\n");
        let partial = next().map_err(|e| (e.code, e.partial));
        assert_eq!(partial, Err((3, b"3 ".to_vec())));
        // Pseudo-terminals have no such lines, and say so.
        assert_eq!(
            serial.set_lines(borrowed(), true, true).expect("no trap").map_err(|e| e.code),
            Err(6)
        );
        assert_eq!(
            serial.send_break(borrowed(), 1_001).expect("no trap").map_err(|e| e.code),
            Err(5)
        );
    }

    #[test]
    fn opening_in_a_loop_is_quota() {
        let far = Far::answer(Pty::new(), |_| b"(208.4\r".to_vec());
        let mut serial = serial(&far.path);
        for _ in 0..OPENS.most {
            let port = open(&mut serial);
            ask(&mut serial, &port).expect("a reply");
            serial.drop(port).expect("known");
        }
        let port = open(&mut serial);
        assert_eq!(ask(&mut serial, &port).map_err(|e| e.code), Err(7));
        // What it opened once, it may use as often as it likes.
        let mut serial = super::tests::serial(&far.path);
        let port = open(&mut serial);
        for _ in 0..3 * OPENS.most {
            ask(&mut serial, &port).expect("a reply");
        }
    }

    #[test]
    fn a_new_instance_opens_no_more_than_the_one_before_left() {
        let far = Far::answer(Pty::new(), |_| b"(208.4\r".to_vec());
        let mut here = Place::default();
        let path = far.path.display().to_string().parse().expect("a path");
        here.grants.serial.insert("ups".into(), path);
        let opened = (0..2 * OPENS.most).filter(|_| {
            let mut serial = Serial::new(&here.site());
            let port = open(&mut serial);
            ask(&mut serial, &port).is_ok()
        });
        // A second may pass meanwhile.
        let opened = opened.count() as u32;
        assert!((OPENS.most..2 * OPENS.most).contains(&opened), "{opened}");
    }

    #[test]
    fn handles_are_limited_and_given_back() {
        let pty = Pty::new();
        let mut serial = serial(&pty.path);
        let mut ports: Vec<_> = (0..HANDLES_MAX).map(|_| open(&mut serial)).collect();
        let full = serial.open("ups".into(), LINE).expect("no trap").map(|_| ());
        assert_eq!(full.map_err(|e| e.code), Err(7));
        let port = ports.pop().expect("64 ports");
        serial.drop(port).expect("known");
        open(&mut serial);
    }
}
