//! The server: from the bytes of a connection to the bytes of its answers. It
//! keeps nothing between two calls.

use crate::adu::{self, Next};
use crate::map::{self, Appliance, Command, WordOrder};
use crate::pdu::{self, Exception, Request};
use crate::table::STRINGS;

/// Requests answered in one call; what follows comes again.
pub const REQUESTS_MAX: usize = 16;

/// Objects of function 43: vendor, product code, revision, product name.
const IDENTITY: [(u8, &str); 4] =
    [(0, "Evenkeel"), (1, "EK"), (2, env!("CARGO_PKG_VERSION")), (4, "Evenkeel battery monitor")];
/// Every object can be asked for alone, and all regular ones are there.
const CONFORMITY: u8 = 0x82;

/// What became of the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Bytes that are done with.
    pub consumed: usize,
    /// What is sent back.
    pub reply: Vec<u8>,
    /// Whether the connection is to be closed.
    pub close: bool,
}

/// Answer the whole requests at the beginning of `data`.
pub fn serve(data: &[u8], appliance: &mut dyn Appliance, order: WordOrder) -> Served {
    let mut served = Served::default();
    for _ in 0..REQUESTS_MAX {
        match adu::next(&data[served.consumed..]) {
            Next::Incomplete => break,
            Next::Garbled => {
                (served.consumed, served.close) = (data.len(), true);
                break;
            }
            Next::Frame { header, pdu, len } => {
                served.consumed += len;
                let answer = answer(header.unit, pdu, appliance, order)
                    .unwrap_or_else(|e| pdu::refusal(pdu[0], e));
                adu::append(&mut served.reply, header, &answer);
            }
        }
    }
    served
}

/// The PDU of the answer to a PDU of at least one byte.
fn answer(
    unit: u8,
    pdu: &[u8],
    appliance: &mut dyn Appliance,
    order: WordOrder,
) -> Result<Vec<u8>, Exception> {
    let unit = own(unit)?;
    match pdu::parse(pdu)? {
        Request::ReadCoils(span) => Ok(of_bits(pdu[0], &map::coils(appliance, unit, span)?)),
        Request::ReadInputs(span) => Ok(of_bits(pdu[0], &map::inputs(appliance, unit, span)?)),
        Request::ReadRegisters(span) => {
            Ok(of_words(pdu[0], &map::registers(appliance, unit, span, order)?))
        }
        Request::WriteCoils { span, values } => {
            carry_out(appliance, &map::coil_commands(span, &values)?)?;
            Ok(pdu[..5].to_vec())
        }
        Request::WriteRegisters { span, values } => {
            carry_out(appliance, &map::register_commands(span, &values)?)?;
            Ok(pdu[..5].to_vec())
        }
        Request::WriteAndRead { read, write, values } => {
            let commands = map::register_commands(write, &values)?;
            // Nothing is done when the reading could not work.
            map::registers(appliance, unit, read, order)?;
            carry_out(appliance, &commands)?;
            Ok(of_words(pdu[0], &map::registers(appliance, unit, read, order)?))
        }
        Request::Identify { code, object } => identify(code, object),
    }
}

/// The string whose blocks a unit shows: 0 and 255 mean this device, which is
/// unit 1 as well.
fn own(unit: u8) -> Result<u8, Exception> {
    match unit {
        0 | 255 => Ok(1),
        _ if u16::from(unit) <= STRINGS => Ok(unit),
        _ => Err(Exception::NoAnswer),
    }
}

/// One after the other; the first that fails ends it.
fn carry_out(appliance: &mut dyn Appliance, commands: &[Command]) -> Result<(), Exception> {
    commands.iter().try_for_each(|command| appliance.command(command))
}

fn of_bits(function: u8, bits: &[bool]) -> Vec<u8> {
    let packed = pdu::packed(bits);
    // At most 2,000 bits.
    [&[function, packed.len() as u8], packed.as_slice()].concat()
}

fn of_words(function: u8, words: &[u16]) -> Vec<u8> {
    let mut pdu = Vec::with_capacity(2 + 2 * words.len());
    // At most 125 registers.
    pdu.extend_from_slice(&[function, 2 * words.len() as u8]);
    words.iter().for_each(|word| pdu.extend_from_slice(&word.to_be_bytes()));
    pdu
}

fn identify(code: u8, object: u8) -> Result<Vec<u8>, Exception> {
    let objects: Vec<(u8, &str)> = match code {
        1..=3 => {
            let last = if code == 1 { 2 } else { 6 };
            // An object that is not there begins the list anew.
            let known = IDENTITY.iter().any(|(id, _)| *id == object);
            let first = if known { object } else { 0 };
            IDENTITY.into_iter().filter(|(id, _)| (first..=last).contains(id)).collect()
        }
        4 => IDENTITY.into_iter().filter(|(id, _)| *id == object).collect(),
        _ => return Err(Exception::Value),
    };
    if objects.is_empty() {
        return Err(Exception::Address);
    }
    // More does not follow: all objects together are far below a PDU.
    let mut pdu = vec![43, 14, code, CONFORMITY, 0, 0, objects.len() as u8];
    for (id, text) in objects {
        pdu.extend_from_slice(&[id, text.len() as u8]);
        pdu.extend_from_slice(text.as_bytes());
    }
    Ok(pdu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Unread;
    use crate::value::tests::{number, words};
    use crate::value::{Reading, State};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// An appliance with a few points.
    #[derive(Default)]
    struct Fake {
        points: BTreeMap<String, Reading>,
        done: Vec<Command>,
        refuse: Option<Exception>,
        looks: usize,
    }

    impl Appliance for Fake {
        fn seconds(&mut self) -> u64 {
            7
        }

        fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread> {
            assert!(names.len() <= map::NAMES_MAX);
            self.looks += 1;
            if names.iter().any(|name| name.starts_with("ups.1.")) {
                return Err(Unread::Denied);
            }
            Ok(names.iter().map(|name| self.points.get(name).cloned()).collect())
        }

        fn command(&mut self, command: &Command) -> Result<(), Exception> {
            self.done.push(command.clone());
            self.refuse.map_or(Ok(()), Err)
        }
    }

    fn fake() -> Fake {
        let stale = Reading { state: State::Stale, ..words("OB LB") };
        let points = [
            ("string.1.block.1.voltage", number(13.612)),
            ("string.2.block.512.voltage", number(13.5)),
            ("string.1.block.1.status", words("alarm")),
            ("guard.status", words("alarm")),
            ("ups.0.ups.status", stale),
            ("string.3.inhibit", words("paused by a user")),
        ];
        let points = points.map(|(name, reading)| (name.to_owned(), reading));
        Fake { points: points.into(), ..Fake::default() }
    }

    fn ask(fake: &mut Fake, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let mut frame = vec![];
        adu::append(&mut frame, adu::Header { transaction: 9, unit }, pdu);
        let served = serve(&frame, fake, WordOrder::HighFirst);
        assert!(served.consumed == frame.len() && !served.close);
        assert_eq!(served.reply[..2], [0, 9]);
        served.reply[7..].to_vec()
    }

    #[test]
    fn registers_bits_and_units_are_read() {
        let mut fake = fake();
        assert_eq!(ask(&mut fake, 255, &[3, 0x27, 0x10, 0, 1]), [3, 2, 0x35, 0x2C]);
        assert_eq!(ask(&mut fake, 0, &[4, 0x27, 0x10, 0, 1]), [4, 2, 0x35, 0x2C]);
        // 10,000 + 511 · 20 of unit 2, and the same in the list at 22,000.
        let [high, low] = 20_220_u16.to_be_bytes();
        assert_eq!(ask(&mut fake, 2, &[3, high, low, 0, 1]), [3, 2, 0x34, 0xBC]);
        let [high, low] = 22_511_u16.to_be_bytes();
        assert_eq!(ask(&mut fake, 2, &[3, high, low, 0, 1]), [3, 2, 0x34, 0xBC]);
        assert_eq!(ask(&mut fake, 33, &[3, high, low, 0, 1]), [0x83, 0x0B]);
        assert_eq!(ask(&mut fake, 1, &[2, 0, 0, 0, 5]), [2, 1, 0b1_0011]);
        assert_eq!(ask(&mut fake, 1, &[1, 0, 102, 0, 1]), [1, 1, 1], "paused");
        // On battery, low, and not fresh.
        assert_eq!(ask(&mut fake, 1, &[2, 1, 44, 0, 31]), [2, 4, 1, 4, 0, 0]);
    }

    #[test]
    fn a_read_is_one_look_and_has_no_holes() {
        let mut fake = fake();
        let answer = ask(&mut fake, 1, &[3, 0x27, 0x10, 0, 125]);
        assert_eq!((answer[1], answer.len(), fake.looks), (250, 252, 1));
        assert_eq!(answer[4..6], [0x80, 0x00], "no temperature");
        // The appliance's section: 7 values, then a gap.
        let answer = ask(&mut fake, 1, &[3, 0x07, 0xD0, 0, 50]);
        assert_eq!(answer[2..8], [0, 1, 0, 7, 0, 3]);
        assert_eq!(answer[100..], [0xFF, 0xFF]);
        let answer = ask(&mut fake, 1, &[2, 3, 0xE8, 2, 0]);
        assert_eq!((answer[1], answer[2]), (64, 1));
    }

    #[test]
    fn what_is_not_granted_looks_absent_and_hides_nothing_else() {
        let mut fake = fake();
        // UPS 0 and 1.
        let answer = ask(&mut fake, 1, &[3, 0x13, 0x88, 0, 100]);
        assert_eq!(answer[2..6], [0, 0b110, 0, 2], "stale");
        assert_eq!(answer[102..106], [0xFF, 0xFF, 0, 4], "no such point");
    }

    #[test]
    fn what_is_not_there_is_refused_with_its_code() {
        let mut fake = fake();
        assert_eq!(ask(&mut fake, 1, &[3, 0, 0, 0, 1]), [0x83, 2]);
        assert_eq!(ask(&mut fake, 1, &[3, 0x07, 0xD0, 0, 51]), [0x83, 2]);
        assert_eq!(ask(&mut fake, 1, &[2, 5, 0xE7, 0, 2]), [0x82, 2]);
        assert_eq!(ask(&mut fake, 1, &[3, 0x27, 0x10, 0, 126]), [0x83, 3]);
        assert_eq!(ask(&mut fake, 1, &[7]), [0x87, 1]);
        assert_eq!(ask(&mut fake, 1, &[22, 0, 0, 0, 0, 0, 0]), [0x96, 1]);
    }

    #[test]
    fn writes_are_commands_and_their_failures_exceptions() {
        let mut fake = fake();
        let on = [5, 0, 100, 0xFF, 0];
        assert_eq!(ask(&mut fake, 1, &on), on);
        assert_eq!(fake.done.pop().expect("done").name, "equalization.pause");
        let two = [16, 0x08, 0x34, 0, 2, 4, 0, 60, 0, 0];
        assert_eq!(ask(&mut fake, 1, &two), two[..5]);
        assert_eq!(fake.done.len(), 2);
        let both = [23, 0x07, 0xD0, 0, 1, 0x08, 0x34, 0, 1, 2, 0, 60];
        assert_eq!(ask(&mut fake, 1, &both), [23, 2, 0, 1]);
        assert_eq!(fake.done.len(), 3);
        let out_of_the_map = [23, 0, 0, 0, 1, 0x08, 0x34, 0, 1, 2, 0, 60];
        assert_eq!(ask(&mut fake, 1, &out_of_the_map), [0x97, 2]);
        assert_eq!(fake.done.len(), 3, "not done");
        fake.refuse = Some(Exception::Failure);
        assert_eq!(ask(&mut fake, 1, &on), [0x85, 4]);
        assert_eq!(ask(&mut fake, 1, &two), [0x90, 4]);
        assert_eq!(fake.done.len(), 5, "the second of two was not begun");
    }

    #[test]
    fn it_says_who_it_is() {
        let mut fake = fake();
        let answer = ask(&mut fake, 1, &[43, 14, 1, 0]);
        assert_eq!(answer[..9], [43, 14, 1, 0x82, 0, 0, 3, 0, 8]);
        assert_eq!(answer[9..17], *b"Evenkeel");
        assert_eq!(ask(&mut fake, 1, &[43, 14, 4, 1])[6..], [1, 1, 2, b'E', b'K']);
        assert_eq!(ask(&mut fake, 1, &[43, 14, 4, 9]), [0xAB, 2]);
        assert_eq!(ask(&mut fake, 1, &[43, 14, 5, 0]), [0xAB, 3]);
    }

    #[test]
    fn words_can_be_swapped() {
        let span = pdu::Span { start: 10_014, count: 2 };
        let mut fake = fake();
        let high = map::registers(&mut fake, 1, span, WordOrder::HighFirst).expect("there");
        let mut low = map::registers(&mut fake, 1, span, WordOrder::LowFirst).expect("there");
        low.reverse();
        assert_eq!((high.clone(), high[0]), (low, 0x4159));
    }

    const READ: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 3, 0x07, 0xD0, 0, 1];

    proptest! {
        #[test]
        fn any_bytes_are_served_within_bounds(
            data in proptest::collection::vec(any::<u8>(), 0..2_000)
        ) {
            let served = serve(&data, &mut fake(), WordOrder::HighFirst);
            prop_assert!(served.consumed <= data.len());
            prop_assert!(served.reply.len() <= REQUESTS_MAX * 260);
        }

        #[test]
        fn any_pdu_gets_one_answer(unit: u8, pdu in proptest::collection::vec(any::<u8>(), 1..253)) {
            let mut frame = vec![];
            adu::append(&mut frame, adu::Header { transaction: 1, unit }, &pdu);
            let served = serve(&frame, &mut fake(), WordOrder::HighFirst);
            prop_assert_eq!(served.consumed, frame.len());
            let Next::Frame { pdu: answer, len, .. } = adu::next(&served.reply) else {
                return Err(TestCaseError::fail("no frame"));
            };
            prop_assert_eq!(len, served.reply.len());
            prop_assert!(answer[0] & 0x7F == pdu[0] & 0x7F);
        }

        #[test]
        fn a_cut_stream_gets_the_same_answers(
            requests in 1_usize..40,
            cuts in proptest::collection::vec(1_usize..30, 1..30),
        ) {
            let stream = READ.repeat(requests);
            let whole = READ.len() * requests;
            let (mut waiting, mut replies, mut at) = (Vec::new(), Vec::new(), 0);
            let mut cuts = cuts.into_iter().cycle();
            while at < whole || !waiting.is_empty() {
                let next = (at + cuts.next().unwrap_or(1)).min(whole);
                waiting.extend_from_slice(&stream[at..next]);
                at = next;
                let served = serve(&waiting, &mut fake(), WordOrder::HighFirst);
                waiting.drain(..served.consumed);
                replies.extend_from_slice(&served.reply);
            }
            prop_assert_eq!(replies.len(), requests * 11);
        }
    }
}
