//! Replays the exchanges in `testcases/`: whole, and byte by byte.
//!
//! `points` has a line per point: name, state, age in ms, and a number or a
//! text in quotes. `exchange` has what a client sends (`>`), the command that
//! this means (`!`), and what comes back (`<`), in hex.

use evenkeel_plugin_modbus_server::map::{Appliance, Command, Unread, WordOrder};
use evenkeel_plugin_modbus_server::pdu::Exception;
use evenkeel_plugin_modbus_server::server::serve;
use evenkeel_plugin_modbus_server::value::{Reading, State, Value};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Default)]
struct Recorded {
    points: BTreeMap<String, Reading>,
    commands: Vec<String>,
}

impl Appliance for Recorded {
    fn seconds(&mut self) -> u64 {
        0
    }

    fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread> {
        Ok(names.iter().map(|name| self.points.get(name).cloned()).collect())
    }

    fn command(&mut self, command: &Command) -> Result<(), Exception> {
        let value = command.value.as_deref().unwrap_or_default();
        let text = format!("{} {} {value}", command.target, command.name);
        self.commands.push(text.trim_end().to_owned());
        Ok(())
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a file of the case");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn points(path: &Path) -> BTreeMap<String, Reading> {
    let point = |line: String| {
        let [name, state, age, value] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let state = match state {
            "good" => State::Good,
            "estimated" => State::Estimated,
            "stale" => State::Stale,
            "bad" => State::Bad,
            _ => panic!("{line}"),
        };
        let value = match value.strip_prefix('"') {
            Some(text) => Value::Text(text.trim_end_matches('"').to_owned()),
            None => Value::Number(value.parse().expect("a number")),
        };
        (name.to_owned(), Reading { value, state, age_ms: age.parse().expect("ms") })
    };
    lines(path).into_iter().map(point).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// What comes back for `bytes`, given in pieces of this many.
fn answer(recorded: &mut Recorded, bytes: &[u8], piece: usize) -> Vec<u8> {
    let (mut waiting, mut reply) = (Vec::new(), Vec::new());
    for more in bytes.chunks(piece) {
        waiting.extend_from_slice(more);
        let served = serve(&waiting, recorded, WordOrder::HighFirst);
        assert!(!served.close);
        waiting.drain(..served.consumed);
        reply.extend_from_slice(&served.reply);
    }
    assert!(waiting.is_empty(), "what was sent is whole");
    reply
}

fn replay(case: &Path, piece: usize) {
    let mut recorded = Recorded { points: points(&case.join("points")), commands: Vec::new() };
    let (mut reply, mut answers) = (Vec::new(), 0);
    for line in lines(&case.join("exchange")) {
        let (kind, text) = line.split_at(2);
        match kind {
            "> " => {
                assert!(recorded.commands.is_empty(), "{}: before {line}", case.display());
                reply = answer(&mut recorded, &hex(text), piece);
            }
            "! " => assert_eq!(recorded.commands.remove(0), text, "{}", case.display()),
            "< " => {
                let wanted = hex(text);
                assert_eq!(reply, wanted, "{} in pieces of {piece}: {line}", case.display());
                answers += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert!(answers > 0, "{} has no answers", case.display());
}

#[test]
fn recorded_exchanges_are_answered_whole_and_cut() {
    let cases = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
    for case in std::fs::read_dir(cases).expect("cases") {
        let case = case.expect("readable").path();
        for piece in [1, 5, 1_000] {
            replay(&case, piece);
        }
    }
}
