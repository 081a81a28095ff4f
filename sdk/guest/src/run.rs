//! A driver at work on a PC: against real serial ports and real peers on the
//! network, with its points on the screen as they change. `evenkeel-plugin run`
//! builds a small program around [`main`]; native only, behind the feature `run`.
//!
//! The host is the test kit's [`Bench`] with real ports, peers and a real clock:
//! a driver that needs more than those, settings and store (a USB device,
//! contacts, an SNMP agent, TLS) meets what it meets in a test without
//! preparation, a refusal.

mod peer;
mod port;
mod record;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Driver;
use crate::testkit::{Bench, spell};

use peer::{Address, PcNet};
use port::PcPort;
use record::Record;

/// What is to be done; see `evenkeel-plugin run --help` for the words.
#[derive(Debug, Default)]
struct Arguments {
    /// Devices by logical name.
    ports: BTreeMap<String, PathBuf>,
    /// Peers by logical name.
    peers: BTreeMap<String, Address>,
    settings: Vec<(String, String)>,
    record: Option<PathBuf>,
    /// Stop after so many polls.
    polls: Option<u32>,
    /// Commands to be given after the first poll.
    tell: Vec<(String, Option<String>)>,
}

/// Run `D` until it is stopped. The words are those of the command line.
#[must_use]
pub fn main<D: Driver<Bench>>() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|arguments| run::<D>(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
        let pair = || {
            let (name, value) = value.split_once('=').ok_or("write name=value")?;
            Ok::<_, String>((name.to_owned(), value.to_owned()))
        };
        match option.as_str() {
            "--port" => {
                let (name, path) = pair()?;
                arguments.ports.insert(name, path.into());
            }
            "--peer" => {
                let (name, address) = pair()?;
                arguments.peers.insert(name, Address::parse(&address)?);
            }
            "--set" => arguments.settings.push(pair()?),
            "--record" => arguments.record = Some(value.into()),
            "--polls" => {
                let polls = value.parse().map_err(|_| "--polls takes a number")?;
                arguments.polls = Some(polls);
            }
            "--tell" => arguments.tell.push(match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value, None),
            }),
            _ => return Err(format!("there is no option {option}")),
        }
    }
    if arguments.record.is_some() && arguments.polls.is_none() {
        arguments.polls = Some(RECORD_POLLS);
    }
    Ok(arguments)
}

/// A recording that nobody bounds has so many polls.
const RECORD_POLLS: u32 = 3;

fn run<D: Driver<Bench>>(arguments: &Arguments) -> Result<(), String> {
    let record = Rc::new(RefCell::new(Record::default()));
    let mut bench = Bench::default();
    for (name, value) in &arguments.settings {
        bench.set(name, value);
    }
    let (ports, log) = (arguments.ports.clone(), Rc::clone(&record));
    bench.open = Some(Box::new(move |name, line| PcPort::open(&ports, name, line, &log)));
    let (peers, record) = (arguments.peers.clone(), Rc::clone(&record));
    bench.network = Some(Box::new(PcNet { peers, record: Rc::clone(&record) }));
    let mut driver = D::start(&mut bench)?;
    if let Some(name) = bench.settings.keys().find(|name| !bench.settings_read.contains(*name)) {
        return Err(format!("there is no setting {name:?}; correct or remove it"));
    }
    let start = Instant::now();
    let mut screen = Screen::default();
    let mut polls = 0;
    loop {
        bench.now_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        bench.utc_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_millis()).ok());
        let wait_ms = driver.wake(&mut bench).clamp(100, 60_000);
        screen.show(&mut bench);
        polls += 1;
        if polls == 1 {
            for (name, value) in &arguments.tell {
                let outcome = driver.command(&mut bench, name, value.as_deref());
                println!("{name}: {}", outcome.map_or_else(|e| e.to_string(), |()| "done".into()));
            }
        }
        if arguments.polls.is_some_and(|wanted| polls >= wanted) {
            break;
        }
        thread::sleep(Duration::from_millis(wait_ms.into()));
    }
    match &arguments.record {
        Some(folder) => record.borrow().write::<D>(folder, &arguments.settings),
        None => Ok(()),
    }
}

/// What is on the screen.
#[derive(Default)]
struct Screen(BTreeMap<String, String>);

impl Screen {
    /// Print what is new, and forget it.
    fn show(&mut self, bench: &mut Bench) {
        for (level, message) in bench.logged.drain(..) {
            println!("{level}: {message}");
        }
        for update in bench.published.drain(..).flatten() {
            let text = spell(&update);
            if self.0.get(update.name.as_ref()) != Some(&text) {
                println!("{} = {text}", update.name);
                self.0.insert(update.name.into_owned(), text);
            }
        }
        for reason in bench.lost.drain(..) {
            println!("LOST: {reason}");
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Arguments, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_words_are_understood_or_named() {
        let all = words("--port ups=/dev/ttyS0 --peer meter=tcp://192.0.2.7:502 --set a=b=c --tell load.off --tell x.y=5").unwrap();
        assert_eq!(all.ports["ups"], PathBuf::from("/dev/ttyS0"));
        assert_eq!(all.peers["meter"], Address::parse("tcp://192.0.2.7:502").unwrap());
        assert_eq!(all.settings, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(all.tell[1], ("x.y".to_owned(), Some("5".to_owned())));
        assert_eq!(words("--record here").unwrap().polls, Some(RECORD_POLLS));
        for wrong in ["--port ups", "--peer meter=192.0.2.7", "--polls many", "--fast 1", "--set"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
