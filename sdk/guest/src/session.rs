//! Running a protocol family: connect, identify, poll, retry, lose, reconnect.
//!
//! ```text
//!            open + identify ok
//!   Closed ─────────────────────▶ Connected ──┐ poll ok: publish
//!     ▲  │ fails: one missed poll    │   ▲────┘
//!     └──┘                           │ three missed polls: lost, close
//!     └──────────────────────────────┘
//! ```
//!
//! The numbers are those of facts/ups-serial-protocols.md §0: each request is
//! tried a few times, three missed polls in a row mean that communication is
//! lost; then the line is closed, opened again and the device identified again,
//! since it may be another one.

use crate::host::{Host, Level, Line, Port, PortError, Update};
use crate::table::{ReplyError, Request, decode};

/// Missed polls in a row after which the device counts as lost.
pub const MISSED_MAX: u32 = 3;

/// What a driver adds to its tables: the line, the order of the requests, and
/// the oddities of its devices.
pub trait Family {
    /// Logical name of the line in the grant, e.g. `ups`.
    const PORT: &'static str;
    /// How that line is set.
    const LINE: Line;
    /// Time between polls in milliseconds.
    const PERIOD_MS: u32;

    /// True when `reply` to `request` says that the device does not know the
    /// question. It is not asked again.
    fn is_refusal(request: &Request, reply: &[u8]) -> bool;

    /// Called after each opening of the line. Everything learnt about an
    /// earlier device must be forgotten here.
    ///
    /// # Errors
    /// [`AskError`] when no device of this family answers.
    fn identify(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError>;

    /// One reading.
    ///
    /// # Errors
    /// [`AskError`] when the device does not answer as it should.
    fn read(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError>;
}

/// Why a request brought no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The line cannot be opened.
    Open {
        /// Its logical name.
        name: &'static str,
        /// What the host said.
        source: PortError,
    },
    /// The line or the host failed.
    Port {
        /// [`Request::name`].
        request: &'static str,
        /// What the host said.
        source: PortError,
    },
    /// Every reply was damaged.
    Reply {
        /// [`Request::name`].
        request: &'static str,
        /// What was wrong with the last one.
        source: ReplyError,
    },
    /// The device does not know the question.
    Refused {
        /// [`Request::name`].
        request: &'static str,
    },
    /// The device answered, and the host did not take the values.
    Publish {
        /// The host's words.
        reason: String,
    },
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open { name, .. } => write!(f, "cannot open the serial line {name:?}"),
            Self::Port { request, .. } => write!(f, "no reply to the {request} request"),
            Self::Reply { request, .. } => write!(f, "no usable reply to the {request} request"),
            Self::Refused { request } => write!(f, "the device refuses the {request} request"),
            Self::Publish { reason } => write!(f, "the host refuses the values: {reason}"),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Port { source, .. } => Some(source),
            Self::Reply { source, .. } => Some(source),
            Self::Refused { .. } | Self::Publish { .. } => None,
        }
    }
}

/// Asks requests on an open line.
pub struct Asker<'a> {
    port: &'a mut dyn Port,
    is_refusal: fn(&Request, &[u8]) -> bool,
    notes: Vec<(Level, String)>,
}

impl Asker<'_> {
    /// Ask until a sound reply comes, at most [`Request::tries`] times.
    ///
    /// # Errors
    /// [`AskError`] of the last try. A refusal or a failure that is not the
    /// line's ends the tries at once.
    pub fn ask(&mut self, request: &Request) -> Result<(Vec<u8>, Vec<Update>), AskError> {
        let mut last = AskError::Refused { request: request.name };
        for _ in 0..request.tries.max(1) {
            match self.ask_once(request) {
                Err(AskError::Port { source, .. }) if source.is_line_fault() => {
                    last = AskError::Port { request: request.name, source };
                }
                Err(error @ AskError::Reply { .. }) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// Ask for something that the device may not know: a refusal, silence or
    /// rubbish gives no values and a note in the log.
    ///
    /// # Errors
    /// [`AskError`] when the port itself failed.
    pub fn ask_optional(&mut self, request: &Request) -> Result<Vec<Update>, AskError> {
        match self.ask(request) {
            Ok((_, updates)) => Ok(updates),
            Err(AskError::Port { request, source }) if !source.is_line_fault() => {
                Err(AskError::Port { request, source })
            }
            Err(error) => {
                self.note(Level::Info, format!("going on without it: {}", chain(&error)));
                Ok(Vec::new())
            }
        }
    }

    /// Remember a message for the log.
    pub fn note(&mut self, level: Level, message: String) {
        self.notes.push((level, message));
    }

    fn ask_once(&mut self, request: &Request) -> Result<(Vec<u8>, Vec<Update>), AskError> {
        let reply = self
            .port
            .transact(request.send, request.end, request.max, request.timeout_ms)
            .map_err(|source| AskError::Port { request: request.name, source })?;
        if (self.is_refusal)(request, &reply) {
            return Err(AskError::Refused { request: request.name });
        }
        match decode(request, &reply) {
            Ok(updates) => Ok((reply, updates)),
            Err(source) => Err(AskError::Reply { request: request.name, source }),
        }
    }
}

/// A family at work on one device.
pub struct Session<F> {
    family: F,
    port: Option<Box<dyn Port>>,
    identified: bool,
    missed: u32,
}

impl<F: Family> Session<F> {
    /// A session that has not yet opened its line.
    #[must_use]
    pub const fn new(family: F) -> Self {
        Self { family, port: None, identified: false, missed: 0 }
    }

    /// Read the device once and publish. Returns the milliseconds to wait.
    /// Values that the host refuses are a missed poll like no values: what
    /// nobody renews must not stay good.
    pub fn poll(&mut self, host: &mut dyn Host) -> u32 {
        let published = self.read(host).and_then(|updates| {
            host.publish(&updates).map_err(|reason| AskError::Publish { reason })
        });
        match published {
            Ok(()) => {
                if self.missed >= MISSED_MAX {
                    host.log(Level::Info, "the device answers again");
                }
                self.missed = 0;
            }
            Err(error) => self.miss(host, &error),
        }
        F::PERIOD_MS
    }

    fn read(&mut self, host: &mut dyn Host) -> Result<Vec<Update>, AskError> {
        let port = match &mut self.port {
            Some(port) => port,
            closed => closed.insert(
                host.open(F::PORT, F::LINE)
                    .map_err(|source| AskError::Open { name: F::PORT, source })?,
            ),
        };
        let mut line = Asker { port: port.as_mut(), is_refusal: F::is_refusal, notes: Vec::new() };
        let result = reading(&mut self.family, self.identified, &mut line);
        for (level, message) in line.notes {
            host.log(level, &message);
        }
        self.identified |= result.is_ok();
        result
    }

    /// Count a miss. The third in a row is reported, once; after each third the
    /// line is closed, so that the next poll opens it and identifies again.
    fn miss(&mut self, host: &mut dyn Host, error: &AskError) {
        self.missed = self.missed.saturating_add(1);
        let reason = chain(error);
        if matches!(error, AskError::Publish { .. }) {
            // What only the identification brings was refused with the rest.
            self.identified = false;
            if self.missed == 1 {
                host.log(Level::Error, &reason);
            }
        }
        match self.missed {
            MISSED_MAX => host.lost(&reason),
            1..MISSED_MAX => host.log(Level::Debug, &format!("missed a poll: {reason}")),
            _ => {}
        }
        if self.missed.is_multiple_of(MISSED_MAX) {
            self.port = None;
            self.identified = false;
        }
    }
}

/// One reading, after the identification of a device that is new.
fn reading<F: Family>(
    family: &mut F,
    identified: bool,
    line: &mut Asker<'_>,
) -> Result<Vec<Update>, AskError> {
    let mut updates = if identified { Vec::new() } else { family.identify(line)? };
    updates.extend(family.read(line)?);
    Ok(updates)
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::host::{Parity, ReplyEnd};
    use crate::table::{Frame, Row};

    const STATUS: Request = Request {
        name: "status",
        send: b"?",
        end: ReplyEnd::Length(1),
        max: 1,
        timeout_ms: 100,
        tries: 3,
        frame: Frame { length: (1, 1), fixed: &[], bits: (0, 1) },
        rows: &[Row::bit("ups.type", 0, "a", "b")],
    };

    #[derive(Default)]
    struct Probe {
        identified: u32,
    }

    impl Family for Probe {
        const PORT: &'static str = "ups";
        const LINE: Line = Line {
            baud: 2400,
            data_bits: 8,
            parity: Parity::None,
            two_stop_bits: false,
            dtr: true,
            rts: false,
        };
        const PERIOD_MS: u32 = 2000;

        fn is_refusal(_request: &Request, reply: &[u8]) -> bool {
            reply == b"!"
        }

        fn identify(&mut self, _line: &mut Asker<'_>) -> Result<Vec<Update>, AskError> {
            self.identified += 1;
            Ok(Vec::new())
        }

        fn read(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError> {
            line.ask(&STATUS).map(|(_, updates)| updates)
        }
    }

    /// Answers every request with the same thing and counts.
    #[derive(Default)]
    struct World {
        answer: Option<Result<Vec<u8>, u32>>,
        opened: u32,
        asked: u32,
        published: u32,
        refuses: bool,
        lost: Vec<String>,
        errors: Vec<String>,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<World>>);

    impl Fake {
        fn answer(&self, answer: Result<&[u8], u32>) {
            self.0.borrow_mut().answer = Some(answer.map(<[u8]>::to_vec));
        }
    }

    impl Port for Fake {
        fn transact(
            &mut self,
            _request: &[u8],
            _end: ReplyEnd,
            _max: u32,
            _timeout_ms: u32,
        ) -> Result<Vec<u8>, PortError> {
            let mut world = self.0.borrow_mut();
            world.asked += 1;
            let error = |code| PortError { code, detail: "no".into(), partial: Vec::new() };
            world.answer.clone().unwrap_or(Err(PortError::TIMEOUT)).map_err(error)
        }
    }

    impl Host for Fake {
        fn open(&mut self, _name: &str, _line: Line) -> Result<Box<dyn Port>, PortError> {
            self.0.borrow_mut().opened += 1;
            Ok(Box::new(self.clone()))
        }

        fn publish(&mut self, _updates: &[Update]) -> Result<(), String> {
            let mut world = self.0.borrow_mut();
            if world.refuses {
                return Err("no such point".into());
            }
            world.published += 1;
            Ok(())
        }

        fn lost(&mut self, reason: &str) {
            self.0.borrow_mut().lost.push(reason.to_owned());
        }

        fn log(&mut self, level: Level, message: &str) {
            if level == Level::Error {
                self.0.borrow_mut().errors.push(message.to_owned());
            }
        }
    }

    #[test]
    fn values_that_the_host_refuses_are_missed_polls() {
        let mut fake = Fake::default();
        let mut session = Session::new(Probe::default());
        fake.answer(Ok(b"1"));
        session.poll(&mut fake);
        fake.0.borrow_mut().refuses = true;
        for (polls, lost) in [(1, 0), (2, 0), (3, 1), (7, 1)] {
            while session.missed < polls {
                session.poll(&mut fake);
            }
            assert_eq!(fake.0.borrow().lost.len(), lost, "after {polls} refusals");
        }
        let words = "the host refuses the values: no such point";
        assert_eq!(
            (fake.0.borrow().lost[0].as_str(), &fake.0.borrow().errors[..]),
            (words, &[words.to_owned()][..])
        );
        let identified = session.family.identified;
        fake.0.borrow_mut().refuses = false;
        session.poll(&mut fake);
        assert_eq!(session.missed, 0);
        assert_eq!(session.family.identified, identified + 1, "its values come again");
        assert_eq!(fake.0.borrow().published, 2);
    }

    #[test]
    fn only_what_may_help_is_tried_again() {
        let cases: [(Result<&[u8], u32>, u32); 5] = [
            (Ok(b"1"), 1),
            (Ok(b"!"), 1),
            (Ok(b"x"), 3),
            (Err(PortError::TIMEOUT), 3),
            (Err(PortError::DENIED), 1),
        ];
        for (answer, asked) in cases {
            let mut fake = Fake::default();
            fake.answer(answer);
            Session::new(Probe::default()).poll(&mut fake);
            assert_eq!(fake.0.borrow().asked, asked, "{answer:?}");
        }
    }

    #[test]
    fn the_third_missed_poll_loses_and_the_next_identifies_again() {
        let mut fake = Fake::default();
        let mut session = Session::new(Probe::default());
        fake.answer(Ok(b"1"));
        session.poll(&mut fake);
        fake.answer(Err(PortError::TIMEOUT));
        for (polls, lost) in [(1, 0), (2, 0), (3, 1), (4, 1), (9, 1)] {
            while session.missed < polls {
                session.poll(&mut fake);
            }
            assert_eq!(fake.0.borrow().lost.len(), lost, "after {polls} missed polls");
        }
        assert_eq!(fake.0.borrow().lost[0], "no reply to the status request: no");
        let identified = session.family.identified;
        fake.answer(Ok(b"0"));
        session.poll(&mut fake);
        session.poll(&mut fake);
        assert_eq!(session.family.identified, identified + 1);
        let world = fake.0.borrow();
        assert_eq!((world.published, world.opened), (3, 4));
    }

    #[test]
    fn two_missed_polls_are_forgiven() {
        let mut fake = Fake::default();
        let mut session = Session::new(Probe::default());
        for _ in 0..5 {
            fake.answer(Err(PortError::TIMEOUT));
            session.poll(&mut fake);
            session.poll(&mut fake);
            fake.answer(Ok(b"1"));
            session.poll(&mut fake);
        }
        assert!(fake.0.borrow().lost.is_empty());
        assert_eq!(fake.0.borrow().opened, 1);
    }
}
