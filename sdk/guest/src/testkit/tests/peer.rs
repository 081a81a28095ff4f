//! Drivers of a meter behind a connection or datagrams, sound and careless.

use super::*;
use crate::host::{Connection, Datagrams, Net, NetError, Transport};
use crate::testkit::fault::Damage;

/// What a driver does wrong.
const NOTHING: u8 = 0;
const READS_ONCE: u8 = 1;
const KEEPS_A_DEAD_CONNECTION: u8 = 2;
const NEVER_RESYNCHRONISES: u8 = 3;
const DOES_NOT_ASK_WHOSE_ANSWER: u8 = 4;
const FILLS_WITH_ZEROS: u8 = 5;
const TAKES_THE_END_FOR_THE_END_OF_THE_ANSWER: u8 = 6;
const NAMES_NOBODY: u8 = 7;
const PUBLISHES_NOTHING_AS_ZERO: u8 = 8;
const REPEATS_OLD_VALUES: u8 = 9;
const SAYS_LOST_AGAIN_AND_AGAIN: u8 = 10;
const GIVES_UP_FOR_EVER: u8 = 11;
const BELIEVES_EVERY_LENGTH: u8 = 12;
const TELLS_WITHOUT_LOOKING: u8 = 13;
const REPEATS_OLD_VALUES_WHEN_REFUSED: u8 = 14;
const TAKES_ANY_ACKNOWLEDGEMENT: u8 = 15;
const SAYS_NOTHING_OF_AN_END: u8 = 16;
const READS_ACKNOWLEDGEMENTS_ONCE: u8 = 17;

/// A driver of a meter that answers `id A` by `id A 2 value`, an input voltage
/// in tenths, `id B` by a load in the same way, and `id C` by `id C 0`.
struct Careless<const WRONG: u8> {
    way: Option<Way>,
    id: u8,
    is_lost: bool,
    last: Vec<Update>,
}

enum Way {
    Stream(Box<dyn Connection>),
    Socket(Box<dyn Datagrams>),
}

const WAIT_MS: u32 = 1_000;
/// Head of an answer: id, letter, length.
const HEAD: usize = 3;

impl<const WRONG: u8> Careless<WRONG> {
    /// The value in the answer to `letter`.
    fn ask(&mut self, host: &mut Bench, letter: u8) -> Result<Vec<u8>, NetError> {
        self.id = self.id.wrapping_add(1);
        let mut way = match self.way.take() {
            Some(way) => way,
            None if host.transport_of("meter")? == Transport::Udp => {
                Way::Socket(host.open_datagrams("meter")?)
            }
            None => Way::Stream(host.connect("meter", WAIT_MS)?),
        };
        let result = match &mut way {
            Way::Stream(stream) => self.by_stream(stream.as_mut(), letter),
            Way::Socket(socket) => self.by_datagram(socket.as_mut(), letter),
        };
        let is_kept = match (&result, &way) {
            (Ok(_), _) | (_, Way::Socket(_)) => true,
            (Err(error), _) if error.code == NetError::CLOSED => WRONG == KEEPS_A_DEAD_CONNECTION,
            _ => matches!(WRONG, NEVER_RESYNCHRONISES | DOES_NOT_ASK_WHOSE_ANSWER),
        };
        self.way = is_kept.then_some(way);
        result
    }

    fn by_stream(&self, stream: &mut dyn Connection, letter: u8) -> Result<Vec<u8>, NetError> {
        stream.write(&[self.id, letter], WAIT_MS)?;
        let mut answer = Vec::new();
        loop {
            let wanted = match answer.get(2) {
                None => HEAD,
                Some(len) => HEAD + usize::from(*len),
            };
            if answer.len() >= wanted {
                return self.value(&answer, letter);
            }
            let is_once =
                WRONG == READS_ONCE || (WRONG == READS_ACKNOWLEDGEMENTS_ONCE && letter == b'C');
            let missing = if is_once { 64 } else { wanted - answer.len() };
            match stream.read(missing as u32, WAIT_MS) {
                Ok(bytes) => answer.extend(bytes),
                Err(error) => {
                    let is_enough = match WRONG {
                        FILLS_WITH_ZEROS => answer.len() >= HEAD,
                        TAKES_THE_END_FOR_THE_END_OF_THE_ANSWER => {
                            answer.len() > HEAD && error.code == NetError::CLOSED
                        }
                        _ => false,
                    };
                    if !is_enough {
                        return Err(error);
                    }
                    answer.resize(HEAD + 2, 0);
                }
            }
            if WRONG == TAKES_ANY_ACKNOWLEDGEMENT && letter == b'C' {
                return Ok(Vec::new());
            }
            if is_once {
                return self.value(&answer, letter);
            }
        }
    }

    fn by_datagram(&self, socket: &mut dyn Datagrams, letter: u8) -> Result<Vec<u8>, NetError> {
        socket.send(&[self.id, letter])?;
        loop {
            let mut answer = socket.receive(WAIT_MS)?;
            if WRONG == FILLS_WITH_ZEROS && letter != b'C' {
                answer.resize(HEAD + 2, 0);
            }
            // What is not the answer may be an earlier one.
            if let Ok(value) = self.value(&answer, letter) {
                return Ok(value);
            }
        }
    }

    fn value(&self, answer: &[u8], letter: u8) -> Result<Vec<u8>, NetError> {
        let none = || NetError::new(NetError::IO, "tcp://meter.test: its answer is none");
        let (head, value) = answer.split_at_checked(HEAD).ok_or_else(none)?;
        let is_mine = head[..2] == [self.id, letter] || WRONG == DOES_NOT_ASK_WHOSE_ANSWER;
        let len = if letter == b'C' { 0 } else { 2 };
        if WRONG == BELIEVES_EVERY_LENGTH && is_mine {
            let mut value = value.to_vec();
            value.resize(2, 0);
            return Ok(value);
        }
        let is_whole = (usize::from(head[2]), value.len()) == (len, len)
            || (WRONG == FILLS_WITH_ZEROS && value.len() == len);
        (is_mine && is_whole).then(|| value.to_vec()).ok_or_else(none)
    }

    fn read(&mut self, host: &mut Bench) -> Result<Vec<Update>, NetError> {
        let mut number = |letter| {
            let value = self.ask(host, letter)?;
            Ok::<_, NetError>(f64::from(u16::from_be_bytes([value[0], value[1]])) / 10.0)
        };
        let (voltage, load) = (number(b'A')?, number(b'B')?);
        Ok(vec![update("input.voltage", voltage, "V"), update("ups.load", load, "%")])
    }
}

impl<const WRONG: u8> Plugin<Bench> for Careless<WRONG> {
    fn start(_host: &mut Bench) -> Result<Self, String> {
        Ok(Self { way: None, id: 0, is_lost: false, last: Vec::new() })
    }

    fn wake(&mut self, host: &mut Bench) -> u32 {
        if WRONG == GIVES_UP_FOR_EVER && self.is_lost {
            return 1_000;
        }
        match self.read(host) {
            Ok(updates) => {
                self.is_lost = false;
                self.last.clone_from(&updates);
                host.publish(&updates).expect("a bench takes all");
            }
            Err(_) if WRONG == PUBLISHES_NOTHING_AS_ZERO => {
                host.publish(&[update("input.voltage", 0.0, "V")]).expect("a bench takes all");
            }
            Err(error) if WRONG == SAYS_NOTHING_OF_AN_END && error.code == NetError::CLOSED => {}
            Err(error) => {
                if !self.is_lost || WRONG == SAYS_LOST_AGAIN_AND_AGAIN {
                    let words = if WRONG == NAMES_NOBODY { "no answer" } else { &error.detail };
                    host.lost(words);
                }
                self.is_lost = true;
                let repeats = WRONG == REPEATS_OLD_VALUES
                    || (WRONG == REPEATS_OLD_VALUES_WHEN_REFUSED
                        && error.code == NetError::REFUSED);
                if repeats && !self.last.is_empty() {
                    host.publish(&self.last).expect("a bench takes all");
                }
            }
        }
        1_000
    }
}

impl<const WRONG: u8> Driver<Bench> for Careless<WRONG> {
    fn command(
        &mut self,
        host: &mut Bench,
        _name: &str,
        _value: Option<&str>,
    ) -> Result<(), CommandError> {
        match self.ask(host, b'C') {
            Err(error) if WRONG == TELLS_WITHOUT_LOOKING && error.code == NetError::CLOSED => {
                Ok(())
            }
            told => told.map(drop).map_err(|error| CommandError::Lost(error.detail)),
        }
    }
}

fn meter(transport: &str) -> Case {
    let exchange = "> xx 41\n< xx 41 02 [08 24]\n> xx 42\n< xx 42 02 [01 f4]\n\
                    > xx 43\n< xx 43 00\n";
    case(
        &format!("over {transport} meter\n{exchange}"),
        "input.voltage = 208.4 V\nups.load = 50 %\n",
        "beeper.disable = accepted\n",
    )
}

#[test]
fn a_sound_driver_passes_on_every_transport() {
    for transport in ["tcp", "tls", "udp"] {
        assert_eq!(verdict::<Careless<NOTHING>>(&meter(transport)), None, "{transport}");
    }
}

#[test]
fn each_way_to_be_careless_with_a_connection_is_found_by_the_test_for_it() {
    let case = meter("tcp");
    let wrong = "unit: input.voltage = ";
    is_found(verdict::<Careless<READS_ONCE>>(&case), &["lost under answers in pieces"]);
    is_found(verdict::<Careless<KEEPS_A_DEAD_CONNECTION>>(&case), &["back after refusal"]);
    let late = "answers that come late";
    is_found(verdict::<Careless<NEVER_RESYNCHRONISES>>(&case), &["nothing more after", late]);
    is_found(verdict::<Careless<DOES_NOT_ASK_WHOSE_ANSWER>>(&case), &["unit: ", "under", late]);
    is_found(verdict::<Careless<FILLS_WITH_ZEROS>>(&case), &[wrong, "cut after"]);
    let end = verdict::<Careless<TAKES_THE_END_FOR_THE_END_OF_THE_ANSWER>>(&case);
    is_found(end, &["ups.load = 25.6 %", "the answer to xx 42 and the end after 4 bytes"]);
    is_found(verdict::<Careless<NAMES_NOBODY>>(&case), &["no answer", "hand on the host's words"]);
    is_found(verdict::<Careless<PUBLISHES_NOTHING_AS_ZERO>>(&case), &["values out of silence"]);
    is_found(verdict::<Careless<REPEATS_OLD_VALUES>>(&case), &["\"ups.load\"} out of silence"]);
    is_found(verdict::<Careless<SAYS_LOST_AGAIN_AND_AGAIN>>(&case), &["lost is said once"]);
    is_found(verdict::<Careless<GIVES_UP_FOR_EVER>>(&case), &["back after silence"]);
    is_found(verdict::<Careless<BELIEVES_EVERY_LENGTH>>(&case), &["ups.load = 0 %", "with bit"]);
    is_found(verdict::<Careless<TELLS_WITHOUT_LOOKING>>(&case), &["disable under refusal: lost"]);
    let nothing = verdict::<Careless<SAYS_NOTHING_OF_AN_END>>(&case);
    is_found(nothing, &["lost is said once under every answer and the end after 0 bytes, not []"]);
    let once = verdict::<Careless<READS_ACKNOWLEDGEMENTS_ONCE>>(&case);
    is_found(once, &["answers in pieces: beeper.disable: wanted"]);
    let rubbish = verdict::<Careless<TAKES_ANY_ACKNOWLEDGEMENT>>(&case);
    is_found(rubbish, &["beeper.disable accepted by the answer to xx 43"]);
}

#[test]
fn each_way_to_be_careless_with_datagrams_is_found_by_the_test_for_it() {
    let case = meter("udp");
    let late = "answers that come late";
    is_found(verdict::<Careless<DOES_NOT_ASK_WHOSE_ANSWER>>(&case), &["unit: ", "under", late]);
    is_found(verdict::<Careless<FILLS_WITH_ZEROS>>(&case), &["input.voltage = ", "cut after"]);
    is_found(verdict::<Careless<REPEATS_OLD_VALUES_WHEN_REFUSED>>(&case), &["out of refusal"]);
    is_found(verdict::<Careless<NAMES_NOBODY>>(&case), &["hand on the host's words"]);
}

/// What a plugin that asks a peer, and is no driver, does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Soundly,
    NamesNobody,
    TakesSilenceForNo,
    TakesAPart,
    ReadsOnce,
    KeepsADeadConnection,
    DoesNotLookAtTheSeal,
}

/// Asks `?` and takes `yes` + sum + line feed for an answer.
fn asked(
    how: Asks,
    kept: &mut Option<Box<dyn Connection>>,
    bench: &mut Bench,
) -> Result<String, String> {
    let mut exchange = || -> Result<Vec<u8>, NetError> {
        let stream = match &mut *kept {
            Some(stream) => stream,
            None => kept.insert(bench.connect("judge", WAIT_MS)?),
        };
        stream.write(b"?", WAIT_MS)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            match stream.read(64, WAIT_MS) {
                Ok(bytes) => answer.extend(bytes),
                Err(_) if how == Asks::TakesAPart && !answer.is_empty() => break,
                Err(error) => return Err(error),
            }
            if how == Asks::ReadsOnce {
                break;
            }
        }
        Ok(answer)
    };
    let outcome = exchange();
    if how != Asks::KeepsADeadConnection {
        *kept = None;
    }
    match outcome {
        Ok(answer) if answer == b"yes!\n" => Ok("yes".to_owned()),
        Ok(_) if how == Asks::TakesAPart => Ok("no".to_owned()),
        Ok(answer) if how == Asks::DoesNotLookAtTheSeal && answer.len() == 5 => {
            Ok(String::from_utf8_lossy(&answer).into_owned())
        }
        Ok(_) => Err("tcp://judge.test: its answer is none".to_owned()),
        Err(_) if how == Asks::TakesSilenceForNo => Ok("no".to_owned()),
        Err(_) if how == Asks::NamesNobody => Err("no answer".to_owned()),
        Err(error) => Err(error.detail),
    }
}

fn asking(how: Asks) -> Option<String> {
    let mut bench = Bench::default();
    bench.add_peer("judge", Transport::Tcp, |_| Some(b"yes!\n".to_vec()));
    let mut kept = None;
    said(|| {
        asks_a_failing_peer(&mut bench, "judge", true, |bench| asked(how, &mut kept, bench));
    })
}

#[test]
fn whoever_asks_carelessly_is_found_by_the_test_for_it() {
    assert_eq!(asking(Asks::Soundly), None);
    is_found(asking(Asks::NamesNobody), &["refusal does not name it"]);
    is_found(asking(Asks::TakesSilenceForNo), &["\"no\" out of refusal"]);
    is_found(asking(Asks::ReadsOnce), &["answers in pieces"]);
    is_found(asking(Asks::KeepsADeadConnection), &["after refusal"]);
    is_found(asking(Asks::TakesAPart), &["Ok(\"no\") under every answer and the end after"]);
    is_found(asking(Asks::DoesNotLookAtTheSeal), &["under every answer with bit"]);
}

#[test]
fn what_is_not_sealed_may_be_believed_and_what_is_cut_may_not() {
    let mut bench = Bench::default();
    let peer = bench.add_peer("judge", Transport::Tcp, |_| Some(b"yes!\n".to_vec()));
    let how = Asks::DoesNotLookAtTheSeal;
    asks_a_failing_peer(&mut bench, "judge", false, |bench| asked(how, &mut None, bench));
    let heard = peer.borrow().heard.len();
    assert!(heard > Damage::all(5).count(), "{heard} questions");
}
