//! The kit itself: a sound driver passes, and of drivers that are careless in
//! one way each fails by the test that is there for it.

mod contacts;
mod hid;
mod peer;

use super::case::{points, tellings};
use super::conform::conforms;
use super::*;
use crate::host::{Line, Lines, Parity, Points, Port, Quality, ReplyEnd, Serial, Update, Value};
use crate::{Command, CommandError, Plugin};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The case `unit` of these three files.
fn case(exchange: &str, expected_points: &str, expected_commands: &str) -> Case {
    let file = Path::new("unit");
    let expected = points(file, expected_points).expect("expected.points");
    let mut case = Case::parse("unit", exchange, Expected::Points(expected)).expect("exchange.txt");
    case.tellings = tellings(file, expected_commands).expect("expected.commands");
    case
}

/// What the kit says about a driver.
fn verdict<D: Driver<Bench>>(case: &Case) -> Option<String> {
    said(|| conforms::<D>(case, &[]))
}

fn said(trial: impl FnOnce()) -> Option<String> {
    let said = catch_unwind(AssertUnwindSafe(trial)).err()?;
    Some(said.downcast_ref::<String>().expect("a formatted message").clone())
}

/// The kit said all these words.
fn is_found(verdict: Option<String>, words: &[&str]) {
    let said = verdict.unwrap_or_else(|| panic!("nobody found: {words:?}"));
    assert!(words.iter().all(|word| said.contains(word)), "wanted {words:?}, said: {said}");
}

#[test]
fn the_line_between_detectable_and_not() {
    let sound = b"(20.4 1\r";
    assert!(shape_is_kept(sound, b"(29.4 1\r", false));
    assert!(!shape_is_kept(sound, b"(2P.4 1\r", false));
    assert!(!shape_is_kept(sound, b"(20.41\r", false));
    assert!(!shape_is_kept(sound, b"(20.4_1\r", false));
    assert!(shape_is_kept(b"#ACME\r", b"#ACMF\r", true));
    assert!(!shape_is_kept(b"#ACME\r", b"#AC\x0dE\r", true));
}

/// What a driver does wrong.
const NOTHING: u8 = 0;
const TAKES_WHAT_THERE_IS: u8 = 1;
const SKIPS_WHAT_IT_DOES_NOT_KNOW: u8 = 2;
const DOES_NOT_ASK_WHOSE_REPLY: u8 = 3;
const PUBLISHES_NOTHING_AS_ZERO: u8 = 4;
const SAYS_LOST_AGAIN_AND_AGAIN: u8 = 5;
const GIVES_UP_FOR_EVER: u8 = 6;
const TAKES_ANY_ACKNOWLEDGEMENT: u8 = 7;
const TAKES_A_PART_OF_ONE: u8 = 8;
const DIVIDES_BY_ZERO: u8 = 9;
const MAKES_VALUES_UP: u8 = 10;

/// A driver of a unit that answers `A\r` by `A 208.4\r`, an input voltage, and
/// `B\r` by `B 050.0\r`, a load.
struct Careless<const WRONG: u8> {
    port: Box<dyn Port>,
    lost: bool,
}

const LINE: Line = Line {
    baud: 9600,
    data_bits: 8,
    parity: Parity::None,
    two_stop_bits: false,
    dtr: true,
    rts: false,
};

impl<const WRONG: u8> Careless<WRONG> {
    fn ask(&mut self, letter: u8) -> Option<f64> {
        let end = ReplyEnd::Terminator(b'\r');
        let reply = match self.port.transact(&[letter, b'\r'], end, 64, 1_000) {
            Ok(reply) => reply,
            Err(error) if WRONG == TAKES_WHAT_THERE_IS && !error.partial.is_empty() => {
                error.partial
            }
            Err(_) => return (WRONG == PUBLISHES_NOTHING_AS_ZERO).then_some(0.0),
        };
        let text = reply.strip_suffix(b"\r").unwrap_or(&reply);
        let (head, number) = text.split_at_checked(2)?;
        if WRONG == SKIPS_WHAT_IT_DOES_NOT_KNOW {
            let known = head
                .starts_with(&[letter])
                .then_some(text)?
                .iter()
                .filter(|byte| b"0123456789.".contains(byte));
            return String::from_utf8(known.copied().collect()).ok()?.parse().ok();
        }
        let is_mine = head == [letter, b' '] || WRONG == DOES_NOT_ASK_WHOSE_REPLY;
        let has_shape = number.len() == 5 && number[3] == b'.';
        let is_whole = has_shape || WRONG == TAKES_WHAT_THERE_IS;
        let digits = number.iter().enumerate().all(|(at, b)| at == 3 || b.is_ascii_digit());
        let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        let value = match WRONG {
            DIVIDES_BY_ZERO if letter == b'A' => 416.8 / (f64::from(number[0]) - 48.0),
            _ => value,
        };
        (is_mine && is_whole && digits).then_some(value)
    }
}

impl<const WRONG: u8> Plugin<Bench> for Careless<WRONG> {
    fn start(host: &mut Bench) -> Result<Self, String> {
        let port = host.open_line("ups", LINE).map_err(|error| error.to_string())?;
        Ok(Self { port, lost: false })
    }

    fn wake(&mut self, host: &mut Bench) -> u32 {
        if WRONG == GIVES_UP_FOR_EVER && self.lost {
            return 1_000;
        }
        let values = self.ask(b'A').and_then(|voltage| Some((voltage, self.ask(b'B')?)));
        let Some((voltage, load)) = values else {
            if !self.lost || WRONG == SAYS_LOST_AGAIN_AND_AGAIN {
                host.lost("no sound reply");
            }
            self.lost = true;
            return 1_000;
        };
        self.lost = false;
        let mut updates =
            vec![update("input.voltage", voltage, "V"), update("ups.load", load, "%")];
        if WRONG == MAKES_VALUES_UP {
            updates.push(update("ups.temperature", 20.0, "°C"));
        }
        host.publish(&updates).expect("a bench takes all");
        1_000
    }
}

fn update(name: &'static str, number: f64, unit: &'static str) -> Update {
    let (name, value) = (Cow::Borrowed(name), Value::Number(number));
    Update { name, value, unit, quality: Quality::Good }
}

impl<const WRONG: u8> Driver<Bench> for Careless<WRONG> {
    fn commands(&self) -> &[Command] {
        &[]
    }

    fn command(
        &mut self,
        _host: &mut Bench,
        _name: &str,
        _value: Option<&str>,
    ) -> Result<(), CommandError> {
        let reply = self.port.transact(b"C\r", ReplyEnd::Terminator(b'\r'), 64, 1_000);
        let lost = || CommandError::Lost("no acknowledgement".into());
        match reply {
            Ok(reply) if reply == b"ACK\r" || WRONG == TAKES_ANY_ACKNOWLEDGEMENT => Ok(()),
            Err(error) if WRONG == TAKES_A_PART_OF_ONE && b"ACK".starts_with(&error.partial) => {
                Ok(())
            }
            _ => Err(lost()),
        }
    }
}

fn serial() -> Case {
    case(
        "> \"A\\r\"\n< \"A 208.4\\r\"\n> \"B\\r\"\n< \"B 050.0\\r\"\n\
         > \"C\\r\"\n< \"ACK\\r\"\n",
        "input.voltage = 208.4 V\nups.load = 50 %\n",
        "beeper.disable = accepted\n",
    )
}

#[test]
fn a_sound_driver_passes() {
    assert_eq!(verdict::<Careless<NOTHING>>(&serial()), None);
}

#[test]
fn each_way_to_be_careless_is_found_by_the_test_for_it() {
    let case = serial();
    let wrong = "unit: input.voltage = ";
    is_found(verdict::<Careless<TAKES_WHAT_THERE_IS>>(&case), &[wrong, "\"A\\r\" cut after"]);
    is_found(verdict::<Careless<SKIPS_WHAT_IT_DOES_NOT_KNOW>>(&case), &[wrong, "with bit"]);
    is_found(verdict::<Careless<DOES_NOT_ASK_WHOSE_REPLY>>(&case), &["answers that come late"]);
    is_found(verdict::<Careless<PUBLISHES_NOTHING_AS_ZERO>>(&case), &["values out of silence"]);
    is_found(verdict::<Careless<SAYS_LOST_AGAIN_AND_AGAIN>>(&case), &["lost is said once"]);
    is_found(verdict::<Careless<GIVES_UP_FOR_EVER>>(&case), &["back after silence"]);
    let accepted = "beeper.disable accepted by the answer to \"C\\r\"";
    is_found(verdict::<Careless<TAKES_ANY_ACKNOWLEDGEMENT>>(&case), &[accepted, "rubbish"]);
    is_found(verdict::<Careless<TAKES_A_PART_OF_ONE>>(&case), &[accepted, "cut after 1"]);
    let not_finite = "unit: input.voltage under the answer to \"A\\r\"";
    is_found(verdict::<Careless<DIVIDES_BY_ZERO>>(&case), &[not_finite]);
    is_found(verdict::<Careless<MAKES_VALUES_UP>>(&case), &["unit: whole"]);
}

/// A UPS that says by contacts how it is: CTS when mains are off, DCD when its
/// battery is low; RTS switches it off.
#[derive(Default)]
struct ContactUps {
    on_battery: bool,
    off: bool,
    broken_ms: u32,
}

impl Device for ContactUps {
    fn hear(&mut self, _request: &[u8]) -> Result<Vec<u8>, u32> {
        Ok(Vec::new())
    }

    fn lines(&self) -> Lines {
        Lines { cts: self.on_battery, ..Lines::default() }
    }

    fn set_lines(&mut self, _dtr: bool, rts: bool) {
        self.off |= rts;
    }

    fn send_break(&mut self, ms: u32) {
        self.broken_ms += ms;
    }
}

#[test]
fn control_lines_are_seen_on_both_ends() {
    let mut bench = Bench::default();
    let ups = bench.connect_device(ContactUps::default());
    let mut port = bench.open_line("ups", LINE).expect("a line");
    assert!(!ups.borrow().off, "opening it sets what the driver said and nothing else");
    assert!(!port.lines().expect("levels").cts);
    ups.borrow_mut().on_battery = true;
    assert!(port.lines().expect("levels").cts);
    port.set_lines(true, true).expect("set");
    port.send_break(250).expect("sent");
    assert!(ups.borrow().off);
    assert_eq!(ups.borrow().broken_ms, 250);
    bench.open_line("ups", Line { rts: true, ..LINE }).expect("a line");
    assert!(port.send_break(1_001).is_err(), "as the appliance refuses it");
}
