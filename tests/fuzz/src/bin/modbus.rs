//! A Modbus TCP client that sends anything: every whole request has one whole
//! answer, and how the stream was cut changes nothing.
#![no_main]

use evenkeel_plugin_modbus_server::adu::{self, Next, PDU_MAX};
use evenkeel_plugin_modbus_server::map::{Appliance, Command, Unread, WordOrder};
use evenkeel_plugin_modbus_server::pdu::{self, Exception};
use evenkeel_plugin_modbus_server::server::serve;
use evenkeel_plugin_modbus_server::value::{Reading, State, Value};
use libfuzzer_sys::fuzz_target;

/// An appliance on which every other point exists and every command works.
struct Even;

impl Appliance for Even {
    fn seconds(&mut self) -> u64 {
        1_000
    }

    fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread> {
        let reading = |name: &String| Reading {
            value: Value::Number(name.len() as f64 * 1e3 - 20e3),
            state: State::Good,
            age_ms: 70_000_000,
        };
        Ok(names.iter().map(|name| (name.len() % 2 == 0).then(|| reading(name))).collect())
    }

    fn command(&mut self, _command: &Command) -> Result<(), Exception> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = pdu::parse(data);
    let (cut, data) = data.split_first().unwrap_or((&0, &[]));
    let whole = converse(&[data]);
    let (first, second) = data.split_at(usize::from(*cut).min(data.len()));
    assert_eq!(whole, converse(&[first, second]));
});

/// What is answered to pieces of a stream, and whether it was closed.
fn converse(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let (mut waiting, mut answers) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let served = serve(&waiting, &mut Even, WordOrder::HighFirst);
            assert!(served.consumed <= waiting.len());
            assert_eq!(frames(&served.reply), frames_in(&waiting[..served.consumed]));
            waiting.drain(..served.consumed);
            answers.extend(served.reply);
            if served.close {
                return (answers, true);
            }
            if served.consumed == 0 {
                break;
            }
        }
    }
    (answers, false)
}

/// How many frames an answer has; it has nothing else.
fn frames(mut reply: &[u8]) -> usize {
    let mut count = 0;
    while !reply.is_empty() {
        let Next::Frame { pdu, len, .. } = adu::next(reply) else { panic!("{reply:?}") };
        assert!((1..=PDU_MAX).contains(&pdu.len()));
        (reply, count) = (&reply[len..], count + 1);
    }
    count
}

/// How many frames a client sent before it was out of step.
fn frames_in(mut data: &[u8]) -> usize {
    let mut count = 0;
    while let Next::Frame { len, .. } = adu::next(data) {
        (data, count) = (&data[len..], count + 1);
    }
    count
}
