//! A family at work on one device: open, wake, identify, poll, retry, tell,
//! lose, reconnect.
//!
//! The rules are those of facts/ups-serial-protocols.md §0: a request is asked
//! up to its number of tries; after [`MISSED_MAX`] missed polls in a row the
//! device is lost, the line is closed, and the next poll opens it and
//! identifies again. Between polls the host decides the time.
//!
//! What is asked is the family's [`plan`](Family::PLAN); what rows cannot say
//! is [`Family::complete`].

mod ask;
mod plan;

pub use ask::{AskError, Asker};
pub use plan::{Ask, Every, Only};

use crate::host::{self, Level, Line, Port, SerialHost, Update, Value};
use crate::table::{Action, Command, CommandError, Kept, Reading, Request, Status, Step};

/// Missed polls in a row after which the device counts as lost.
pub const MISSED_MAX: u32 = 3;

/// What a driver adds to the engine: the line, the plan, the commands, and the
/// oddities of its devices.
pub trait Family {
    /// Logical name of the line in the grant, e.g. `ups`.
    const PORT: &'static str;
    /// How that line is set.
    const LINE: Line;
    /// Time between polls in milliseconds.
    const PERIOD_MS: u32;
    /// What is sent before the first request of a connection.
    const WAKE: &'static [Step] = &[];
    /// What is asked, in this order. The first request claims the device: as
    /// long as its reply is not sound, nothing else is sent, because a device
    /// of another family could act on it.
    const PLAN: &'static [Ask];
    /// What the device can be told.
    const COMMANDS: &'static [Command] = &[];

    /// True when `reply` to `request` says that the device does not know the
    /// question.
    #[must_use]
    fn is_refusal(_request: &Request, _reply: &[u8]) -> bool {
        false
    }

    /// False for a request that a setting forbids.
    #[must_use]
    fn wants(&self, _request: &Request) -> bool {
        true
    }

    /// Add to a poll what rows cannot say, and correct what they say wrongly.
    /// What was learnt about an earlier device must be forgotten when
    /// [`Poll::is_first`].
    ///
    /// # Errors
    /// [`AskError`] when the poll is no good.
    fn complete(&mut self, _line: &mut Asker<'_>, _poll: &mut Poll) -> Result<(), AskError> {
        Ok(())
    }
}

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Poll {
    /// The first one of a connection: everything in the plan was asked.
    pub is_first: bool,
    /// Points to be published.
    pub updates: Vec<Update>,
    /// Published as `ups.status` and `ups.alarm` if the plan has flags.
    pub status: Status,
}

impl Poll {
    /// The number read under `name`, if it may be used.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        host::number(&self.updates, name)
    }
}

/// A family at work on one device.
pub struct Session<F> {
    family: F,
    port: Option<Box<dyn Port>>,
    identified: bool,
    missed: u32,
    polls: u32,
    /// One for each line of the plan.
    asked: Vec<Asked>,
    /// Texts of points that conditions of the plan name.
    texts: Vec<(&'static str, String)>,
    kept: Kept,
}

/// What is known about a line of the plan.
#[derive(Clone, Default)]
struct Asked {
    refused: bool,
    answered: bool,
    status: Status,
}

impl<F: Family> Session<F> {
    /// A session that has not yet opened its line.
    #[must_use]
    pub fn new(family: F) -> Self {
        Self {
            family,
            port: None,
            identified: false,
            missed: 0,
            polls: 0,
            asked: Vec::new(),
            texts: Vec::new(),
            kept: Kept::new(F::COMMANDS),
        }
    }

    /// Read the device once and publish. Returns the milliseconds to wait.
    /// Values that the host refuses are a missed poll like no values: what
    /// nobody renews must not stay good.
    pub fn poll<H: SerialHost>(&mut self, host: &mut H) -> u32 {
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

    /// Tell the device one of [`Family::COMMANDS`].
    ///
    /// Nothing is sent to a device that is not identified or missed its last
    /// poll: on most families silence means "obeyed", and a dead line is silent.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn command(&mut self, name: &str, value: Option<&str>) -> Result<(), CommandError> {
        let command = F::COMMANDS.iter().find(|command| command.name == name);
        let command = command.ok_or(CommandError::Unknown)?;
        let number = command.check(value)?;
        let steps = match command.action {
            Action::Send(steps) => steps,
            Action::Keep => {
                self.kept.set(name, number);
                return Ok(());
            }
        };
        match &mut self.port {
            Some(port) if self.identified && self.missed == 0 => {
                ask::carry_out(port.as_mut(), command, steps, value, &self.kept)
            }
            _ => Err(CommandError::Lost("the device does not answer at present".to_owned())),
        }
    }

    fn read<H: SerialHost>(&mut self, host: &mut H) -> Result<Vec<Update>, AskError> {
        let mut port = match self.port.take() {
            Some(port) => port,
            None => host
                .open_line(F::PORT, F::LINE)
                .map_err(|source| AskError::Open { name: F::PORT, source })?,
        };
        let mut line = Asker { port: port.as_mut(), is_refusal: F::is_refusal, notes: Vec::new() };
        let result = self.reading(&mut line);
        for (level, message) in line.notes {
            host.log(level, &message);
        }
        self.port = Some(port);
        self.identified |= result.is_ok();
        result
    }

    /// One round through the plan.
    fn reading(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError> {
        let mut poll = Poll { is_first: !self.identified, ..Poll::default() };
        if poll.is_first {
            self.polls = 0;
            self.asked = vec![Asked::default(); F::PLAN.len()];
            self.texts.clear();
            ask::wake(line.port(), F::WAKE)?;
        }
        for (at, ask) in F::PLAN.iter().enumerate() {
            self.take(at, ask, line, &mut poll)?;
        }
        self.polls = self.polls.wrapping_add(1);
        self.family.complete(line, &mut poll)?;
        if F::PLAN.iter().any(|ask| !ask.request.flags.is_empty()) {
            poll.updates.extend(poll.status.updates());
        }
        Ok(poll.updates)
    }

    /// One line of the plan.
    fn take(
        &mut self,
        at: usize,
        ask: &Ask,
        line: &mut Asker<'_>,
        poll: &mut Poll,
    ) -> Result<(), AskError> {
        let holds = self.holds(ask.only, poll);
        let Some(asked) = self.asked.get_mut(at) else { return Ok(()) };
        let is_due = match ask.every {
            Every::Poll => true,
            Every::Nth(nth) => self.polls.is_multiple_of(nth.max(1)),
            Every::Connection => poll.is_first,
        };
        if !holds {
            withdraw(asked, ask.request, poll);
        } else if is_due && !asked.refused && self.family.wants(ask.request) {
            match line.ask(ask.request) {
                Ok((_, reading)) => {
                    *asked =
                        Asked { refused: false, answered: true, status: reading.status.clone() };
                    remember::<F>(&mut self.texts, &reading);
                    poll.updates.extend(reading.updates);
                }
                Err(error) if ask.optional && !is_fatal(&error) => {
                    if poll.is_first || asked.answered {
                        line.note_absence(&error);
                    }
                    asked.refused = matches!(error, AskError::Refused { .. });
                    withdraw(asked, ask.request, poll);
                }
                Err(error) => return Err(error),
            }
        }
        poll.status.merge(&asked.status);
        Ok(())
    }

    fn holds(&self, only: Only, poll: &Poll) -> bool {
        match only {
            Only::Always => true,
            Only::Status(word) => poll.status.has(word),
            Only::Text(point, wanted) => {
                self.texts.iter().any(|(name, text)| *name == point && text == wanted)
            }
        }
    }

    /// Count a miss. The third in a row is reported, once; after each third the
    /// line is closed, so that the next poll opens it and identifies again.
    fn miss<H: SerialHost>(&mut self, host: &mut H, error: &AskError) {
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

/// What was published from an earlier reply must not stay good.
fn withdraw(asked: &mut Asked, request: &Request, poll: &mut Poll) {
    asked.status = Status::default();
    if std::mem::take(&mut asked.answered) {
        poll.updates.extend(request.rows.iter().map(crate::table::Row::withdrawn));
    }
}

/// True when the fault is neither the line's nor the device's.
fn is_fatal(error: &AskError) -> bool {
    matches!(error, AskError::Port { source, .. } if !source.is_line_fault())
}

/// Keep the texts that conditions of the plan ask for.
fn remember<F: Family>(texts: &mut Vec<(&'static str, String)>, reading: &Reading) {
    for ask in F::PLAN {
        let Only::Text(point, _) = ask.only else { continue };
        let Some(update) = reading.updates.iter().find(|update| update.name == point) else {
            continue;
        };
        let text = match &update.value {
            Value::Text(text) => text.clone().into_owned(),
            Value::Number(_) | Value::Flag(_) => String::new(),
        };
        texts.retain(|(name, _)| *name != point);
        texts.push((point, text));
    }
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
    use crate::host::{Parity, PortError, ReplyEnd};
    use crate::table::{Ack, Encoding, Flag, Frame, More, Piece, Place, Raw, Row, Unknown, Word};
    use crate::testkit::{Bench, Device};

    const STATUS: Request = Request {
        name: "status",
        send: b"?",
        end: ReplyEnd::Length(1),
        frame: Frame { length: (1, 1), bits: (0, 1), ..Frame::DEFAULT },
        rows: &[Row::bit("ups.type", 0, "a", "b")],
        ..Request::DEFAULT
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
        const PLAN: &'static [Ask] = &[Ask::always(&STATUS)];

        fn is_refusal(_request: &Request, reply: &[u8]) -> bool {
            reply == b"!"
        }

        fn complete(&mut self, _line: &mut Asker<'_>, poll: &mut Poll) -> Result<(), AskError> {
            self.identified += u32::from(poll.is_first);
            Ok(())
        }
    }

    /// Answers every request with the same thing and counts.
    struct World {
        answer: Result<Vec<u8>, u32>,
        asked: u32,
    }

    impl Device for World {
        fn hear(&mut self, _request: &[u8]) -> Result<Vec<u8>, u32> {
            self.asked += 1;
            self.answer.clone()
        }
    }

    struct Rig {
        bench: Bench,
        world: Rc<RefCell<World>>,
        session: Session<Probe>,
    }

    impl Rig {
        fn new(answer: Result<&[u8], u32>) -> Self {
            let mut bench = Bench::default();
            let answer = answer.map(<[u8]>::to_vec);
            let world = bench.connect_device(World { answer, asked: 0 });
            Self { bench, world, session: Session::new(Probe::default()) }
        }

        fn answer(&self, answer: Result<&[u8], u32>) {
            self.world.borrow_mut().answer = answer.map(<[u8]>::to_vec);
        }

        fn poll(&mut self) {
            self.session.poll(&mut self.bench);
        }
    }

    #[test]
    fn values_that_the_host_refuses_are_missed_polls() {
        let mut rig = Rig::new(Ok(b"1"));
        rig.poll();
        rig.bench.refuses_points = Some("no such point".into());
        for (polls, lost) in [(1, 0), (2, 0), (3, 1), (7, 1)] {
            while rig.session.missed < polls {
                rig.poll();
            }
            assert_eq!(rig.bench.lost.len(), lost, "after {polls} refusals");
        }
        let words = "the host refuses the values: no such point";
        assert_eq!(rig.bench.lost[0], words);
        let errors = rig.bench.logged.iter().filter(|(level, _)| *level == Level::Error);
        assert_eq!(errors.map(|(_, text)| text).collect::<Vec<_>>(), [words]);
        let identified = rig.session.family.identified;
        rig.bench.refuses_points = None;
        rig.poll();
        assert_eq!(rig.session.missed, 0);
        assert_eq!(rig.session.family.identified, identified + 1, "its values come again");
        assert_eq!(rig.bench.published.len(), 2);
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
            let mut rig = Rig::new(answer);
            rig.poll();
            assert_eq!(rig.world.borrow().asked, asked, "{answer:?}");
        }
    }

    #[test]
    fn the_third_missed_poll_loses_and_the_next_identifies_again() {
        let mut rig = Rig::new(Ok(b"1"));
        rig.poll();
        rig.answer(Err(PortError::TIMEOUT));
        for (polls, lost) in [(1, 0), (2, 0), (3, 1), (4, 1), (9, 1)] {
            while rig.session.missed < polls {
                rig.poll();
            }
            assert_eq!(rig.bench.lost.len(), lost, "after {polls} missed polls");
        }
        assert_eq!(rig.bench.lost[0], "no reply to the status request: no");
        let identified = rig.session.family.identified;
        rig.answer(Ok(b"0"));
        rig.poll();
        rig.poll();
        assert_eq!(rig.session.family.identified, identified + 1);
        assert_eq!((rig.bench.published.len(), rig.bench.opened), (3, 4));
    }

    #[test]
    fn two_missed_polls_are_forgiven() {
        let mut rig = Rig::new(Ok(b"1"));
        for _ in 0..5 {
            rig.answer(Err(PortError::TIMEOUT));
            rig.poll();
            rig.poll();
            rig.answer(Ok(b"1"));
            rig.poll();
        }
        assert!(rig.bench.lost.is_empty());
        assert_eq!(rig.bench.opened, 1);
    }

    /// A family that uses all that a plan can say.
    struct Planned;

    const MODE: Request = Request {
        name: "mode",
        send: b"M\r",
        rows: &[Row::name("ups.mode", Place::Bytes(0, 9), MODES, Unknown::Bad)],
        flags: &[Flag::code(Place::byte(0), Raw::Int(crate::table::Int::U8), b'F' as u32)
            .says(Word::Ob)
            .otherwise(Word::Ol)],
        ..Request::DEFAULT
    };
    const MODES: &[(&str, &str)] = &[("L", "line"), ("F", "fault"), ("B", "battery")];
    const CAUSE: Request = Request {
        name: "cause",
        send: b"C\r",
        rows: &[Row::text("ups.cause", 0..9)],
        ..Request::DEFAULT
    };
    const SLOW: Request = Request {
        name: "slow",
        send: b"S\r",
        rows: &[Row::text("ups.slow", 0..9)],
        ..Request::DEFAULT
    };
    const DUMP: Request = Request {
        name: "dump",
        send: b"D\r",
        more: More::Until(b"END"),
        frame: Frame {
            split: crate::table::Split::Lines { ends: b"\r", between: b' ' },
            ..Frame::DEFAULT
        },
        rows: &[Row::text_at("ups.serial", Place::Key("SER"))],
        ..Request::DEFAULT
    };

    const YES: Ack = Ack {
        replies: &[b"ACK"],
        silence: false,
        end: ReplyEnd::Terminator(b'\r'),
        timeout_ms: 1000,
    };

    impl Family for Planned {
        const PORT: &'static str = "ups";
        const LINE: Line = Probe::LINE;
        const PERIOD_MS: u32 = 2000;
        const WAKE: &'static [Step] =
            &[Step::new(&[Piece::Bytes(b"\x1B")], Ack::anything(100)).then_wait(250)];
        const PLAN: &'static [Ask] = &[
            Ask::always(&MODE),
            Ask::always(&CAUSE).only(Only::Text("ups.mode", "fault")),
            Ask::each(&SLOW, 3).optional(),
            Ask::once(&DUMP),
        ];
        const COMMANDS: &'static [Command] = &[
            Command::keep("ups.delay.shutdown", "seconds until off", (0, 99), 20),
            Command::send(
                "load.off",
                "off",
                &[Step::new(
                    &[
                        Piece::Bytes(b"O"),
                        Piece::Kept("ups.delay.shutdown", Encoding::Digits { width: 2, per: 1 }),
                        Piece::Bytes(b"\r"),
                    ],
                    YES,
                )],
            )
            .dangerous(),
            Command::send(
                "load.on",
                "on in two steps",
                &[
                    Step::new(&[Piece::Bytes(b"K\r")], YES).then_wait(1500),
                    Step::new(&[Piece::Bytes(b"K2\r")], Ack { silence: true, ..YES }),
                ],
            ),
        ];
    }

    /// Knows each request by its words; counts them.
    #[derive(Default)]
    struct Script {
        replies: std::collections::BTreeMap<&'static str, &'static str>,
        heard: Vec<String>,
    }

    impl Device for Script {
        fn hear(&mut self, request: &[u8]) -> Result<Vec<u8>, u32> {
            let request = String::from_utf8(request.to_vec()).expect("text");
            let reply = self.replies.get(request.as_str()).copied().unwrap_or_default();
            self.heard.push(request);
            Ok(reply.as_bytes().to_vec())
        }
    }

    fn planned() -> (Bench, Rc<RefCell<Script>>, Session<Planned>) {
        let mut bench = Bench::default();
        let replies =
            [("M\r", "L\r"), ("C\r", "fan\r"), ("S\r", "fine\r"), ("D\r", "MOD X1\rSER 42\rEND\r")];
        let script = Script { replies: replies.into_iter().collect(), heard: Vec::new() };
        let device = bench.connect_device(script);
        (bench, device, Session::new(Planned))
    }

    fn text(bench: &Bench, name: &str) -> String {
        match bench.last(name) {
            Some(Update { quality: crate::Quality::Bad, .. }) => "bad".to_owned(),
            Some(Update { value: Value::Text(text), .. }) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_plan_says_what_is_asked_when() {
        let (mut bench, device, mut session) = planned();
        for _ in 0..4 {
            session.poll(&mut bench);
        }
        let heard = device.borrow().heard.join(" ").replace('\r', "");
        assert_eq!(heard, "\u{1b} M S D M M M S", "wake, then by class");
        assert_eq!(text(&bench, "ups.serial"), "42", "three parts are one reply");
        device.borrow_mut().replies.insert("M\r", "F\r");
        session.poll(&mut bench);
        assert_eq!(text(&bench, "ups.cause"), "fan", "asked when the mode is fault");
        assert_eq!(text(&bench, "ups.status"), "OB");
        device.borrow_mut().replies.insert("M\r", "L\r");
        session.poll(&mut bench);
        assert_eq!(text(&bench, "ups.cause"), "bad", "no longer true");
        assert_eq!(text(&bench, "ups.status"), "OL");
        device.borrow_mut().replies.remove("S\r");
        session.poll(&mut bench);
        assert_eq!(text(&bench, "ups.slow"), "bad", "an optional reply that stays away");
        assert!(bench.lost.is_empty());
    }

    #[test]
    fn commands_are_acknowledged_and_never_sent_into_the_dark() {
        let (mut bench, device, mut session) = planned();
        let unidentified = session.command("load.off", None);
        assert!(matches!(unidentified, Err(CommandError::Lost(_))), "{unidentified:?}");
        session.poll(&mut bench);
        device.borrow_mut().heard.clear();
        session.command("ups.delay.shutdown", Some("7")).unwrap();
        assert!(device.borrow().heard.is_empty(), "kept, not sent");
        let mut tell = |reply: &'static str, name| {
            let mut device = device.borrow_mut();
            device.heard.clear();
            device.replies.insert("O07\r", reply);
            device.replies.insert("K\r", reply);
            drop(device);
            session.command(name, None)
        };
        assert_eq!(tell("ACK\r", "load.off"), Ok(()));
        assert!(
            matches!(tell("NAK\r", "load.off"), Err(CommandError::Refused(t)) if t.contains("NAK"))
        );
        assert!(matches!(tell("AC", "load.off"), Err(CommandError::Refused(_))), "cut");
        assert!(matches!(tell("", "load.off"), Err(CommandError::Lost(_))), "silence is no yes");
        assert_eq!(tell("ACK\r", "load.on"), Ok(()), "its second step may be silent");
        assert_eq!(device.borrow().heard, ["K\r", "K2\r"]);
        assert!(session.command("load.on", None).is_ok());
        device.borrow_mut().replies.insert("K\r", "NAK\r");
        device.borrow_mut().heard.clear();
        assert!(session.command("load.on", None).is_err());
        assert_eq!(device.borrow().heard, ["K\r"], "the first refusal ends it");
        assert_eq!(session.command("load.burn", None), Err(CommandError::Unknown));
        device.borrow_mut().replies.clear();
        session.poll(&mut bench);
        device.borrow_mut().heard.clear();
        assert!(matches!(session.command("load.on", None), Err(CommandError::Lost(_))));
        assert!(device.borrow().heard.is_empty(), "nothing is sent to a device that missed a poll");
    }
}
