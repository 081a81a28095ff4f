//! The test kit: [`Bench`], a host for tests of any plugin, and the conformance
//! kit, which replays recorded exchanges to a driver, whole and damaged, and
//! looks at what it publishes. Native only.
//!
//! A case is a folder:
//!
//! ```text
//! exchange.txt      # comment
//!                   set no-ratings = true
//!                   > "Q1\r"
//!                   < "(208.4 140.0 …\r"      reply to the first asking
//!                   < silence                 second asking; the last repeats
//!                   > 51 31 0d                bytes may be hexadecimal
//! expected.points   input.voltage = 208.4 V
//!                   battery.charge = 73 % estimated
//!                   ups.status = "OL BYPASS"
//! expected.err      start: … | lost: …        instead of points; a part of the text
//! expected.commands test.battery.start 600 = accepted
//!                   load.off = refused (NAK    or invalid, lost, unknown; a part of the text
//! ```
//!
//! Commands are given in order after the polls. A setting that the plugin does
//! not ask for is refused at the start, as the appliance does.
//!
//! What can be promised about damage depends on the protocol. One without a
//! checksum cannot tell a digit that became another digit. So the rule is:
//! damage that changes the *shape* of a reply (its length, a separator, a digit
//! into something else) must never lead to a wrong value; damage that keeps the
//! shape must not lead to a panic, an unknown point or a number that is not
//! finite. [`shape_is_kept`] is where this line is drawn.

mod bench;
mod case;
mod line;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

pub use bench::{Answer, Bench, BenchHid, Objects, OpenLine, Peer};
pub use case::{Case, CaseError, Expected, Telling, spell, write_bytes};
pub use line::{Device, Fault, Recorded};

use crate::{CommandError, Driver, Value};

/// Run every case in `folder` against `D`, whole and damaged in every way.
/// `free_text` lists the requests whose replies are prose, where one printable
/// character is as good as another.
///
/// # Panics
/// When a case cannot be read or the driver does not behave; the message names
/// the case and the damage.
pub fn conformance<D: Driver<Bench>>(folder: &Path, free_text: &[&[u8]]) {
    let cases = Case::load_all(folder).unwrap_or_else(|error| panic!("{error}"));
    assert!(!cases.is_empty(), "{} holds no case", folder.display());
    for case in &cases {
        conforms::<D>(case, free_text);
    }
    if let Some(notes) = std::env::var_os("EVENKEEL_REPLAYED") {
        // `evenkeel-plugin test` wants to see that a driver was put to it.
        let note = format!("{}: {} cases\n", folder.display(), cases.len());
        let noted = OpenOptions::new().append(true).create(true).open(&notes);
        noted.and_then(|mut file| file.write_all(note.as_bytes())).unwrap_or_else(|error| {
            panic!("cannot note what was replayed in {}: {error}", notes.display())
        });
    }
}

fn conforms<D: Driver<Bench>>(case: &Case, free_text: &[&[u8]]) {
    whole::<D>(case);
    if let Expected::Points(_) = case.expected {
        silent::<D>(case);
        late::<D>(case);
        damaged::<D>(case, free_text);
        told_damaged::<D>(case);
    }
}

/// A driver at work on the device of a case.
pub struct Replay<D> {
    /// What it did.
    pub bench: Bench,
    /// What it talks to.
    pub device: Rc<RefCell<Recorded>>,
    /// Itself.
    pub driver: D,
}

impl<D: Driver<Bench>> Replay<D> {
    /// Start `D` with the settings of `case`.
    ///
    /// # Errors
    /// What the driver says about its settings, or that there is no such
    /// setting.
    pub fn start(case: &Case, fault: Fault) -> Result<Self, String> {
        let mut bench = Bench::default();
        for (name, value) in &case.settings {
            bench.set(name, value);
        }
        let device = bench.connect_device(Recorded::new(case, fault));
        let driver = D::start(&mut bench)?;
        match bench.settings.keys().find(|name| !bench.settings_read.contains(*name)) {
            Some(name) => Err(format!("there is no setting {name:?}; correct or remove it")),
            None => Ok(Self { bench, device, driver }),
        }
    }

    /// Poll so many times.
    pub fn poll(&mut self, polls: u32) {
        for _ in 0..polls {
            self.driver.wake(&mut self.bench);
        }
    }

    /// Give a command.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tell(&mut self, name: &str, value: Option<&str>) -> Result<(), CommandError> {
        self.driver.command(&mut self.bench, name, value)
    }
}

/// Start `D` with the settings of `case` and poll it `polls` times while
/// `fault` lasts.
///
/// # Errors
/// What the driver says about its settings.
pub fn replay<D: Driver<Bench>>(
    case: &Case,
    fault: Fault,
    polls: u32,
) -> Result<Replay<D>, String> {
    let mut replay = Replay::start(case, fault)?;
    replay.poll(polls);
    Ok(replay)
}

/// True when nothing but a checksum could tell `damaged` from `sound`: same
/// length, and digits changed into digits only; in free text, printable
/// characters up to the terminator.
#[must_use]
pub fn shape_is_kept(sound: &[u8], damaged: &[u8], free_text: bool) -> bool {
    let Some((_, damaged_text)) = damaged.split_last() else { return false };
    if free_text {
        return damaged_text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    }
    let class_kept = |a: &u8, b: &u8| a == b || (a.is_ascii_digit() && b.is_ascii_digit());
    sound.len() == damaged.len() && sound.iter().zip(damaged).all(|(a, b)| class_kept(a, b))
}

const POLLS: u32 = 4;

fn whole<D: Driver<Bench>>(case: &Case) {
    let outcome = replay::<D>(case, Fault::None, POLLS);
    match (&case.expected, outcome) {
        (Expected::Points(expected), Ok(mut replay)) => {
            assert_eq!(&shown(&replay.bench), expected, "{}: whole", case.name);
            let lost = &replay.bench.lost;
            assert!(lost.is_empty(), "{}: lost: {lost:?}", case.name);
            told(case, &mut replay);
            let unrecorded = &replay.device.borrow().unrecorded;
            let none = unrecorded.is_empty();
            assert!(none, "{}: sent what the recording lacks: {unrecorded:?}", case.name);
        }
        (Expected::Refused(part), Err(text)) => {
            assert!(text.contains(part), "{}: start said {text:?}", case.name);
        }
        (Expected::Lost(part), Ok(Replay { bench, .. })) => {
            assert!(bench.published.is_empty(), "{}: values of a lost device", case.name);
            let [reason] = &bench.lost[..] else {
                panic!("{}: lost {} times, wanted once", case.name, bench.lost.len());
            };
            assert!(reason.contains(part), "{}: lost because {reason:?}", case.name);
        }
        (expected, Err(text)) => panic!("{}: wanted {expected:?}, start said {text:?}", case.name),
        (expected, Ok(_)) => panic!("{}: wanted {expected:?}, but it started", case.name),
    }
}

/// Each command of the case has its outcome.
fn told<D: Driver<Bench>>(case: &Case, replay: &mut Replay<D>) {
    for Telling { name, value, outcome } in &case.tellings {
        let result = replay.tell(name, value.as_deref());
        assert!(outcome.is(&result), "{}: {name}: wanted {outcome:?}, is {result:?}", case.name);
    }
}

/// An acknowledgement that is rubbish, or of which a part is missing, is none.
/// Where it is missing whole the protocol decides: many units say nothing.
fn told_damaged<D: Driver<Bench>>(case: &Case) {
    for (request, reply) in case.sound_replies() {
        let cut = (1..reply.len()).map(|len| &reply[..len]);
        for damage in cut.chain([&b"\0rubbish\r\n"[..]]) {
            let mut replay = replayed::<D>(case, Fault::None);
            replay.device.borrow_mut().fault = Fault::replace(request, damage);
            for Telling { name, value, .. } in &case.tellings {
                let before = replay.device.borrow().replaced;
                let result = replay.tell(name, value.as_deref());
                let hit = replay.device.borrow().replaced > before;
                let text = damage.escape_ascii();
                assert!(!hit || result.is_err(), "{}: {name} accepted by \"{text}\"", case.name);
            }
        }
    }
}

/// A mute device is lost once; when it speaks again, everything comes back.
fn silent<D: Driver<Bench>>(case: &Case) {
    let Replay { mut bench, device, mut driver } = started::<D>(case, Fault::Silent);
    let mut poll = |bench: &mut Bench, polls| {
        for _ in 0..polls {
            driver.wake(bench);
        }
    };
    poll(&mut bench, 7);
    assert!(bench.published.is_empty(), "{}: values out of silence", case.name);
    assert_eq!(bench.lost.len(), 1, "{}: lost is said once", case.name);
    device.borrow_mut().fault = Fault::None;
    poll(&mut bench, 1);
    let Expected::Points(expected) = &case.expected else { return };
    assert_eq!(&shown(&bench), expected, "{}: after silence", case.name);
    device.borrow_mut().fault = Fault::Silent;
    poll(&mut bench, POLLS);
    assert_eq!(bench.lost.len(), 2, "{}: lost again is said again", case.name);
}

fn late<D: Driver<Bench>>(case: &Case) {
    nothing_wrong::<D>(case, Fault::Late);
}

fn damaged<D: Driver<Bench>>(case: &Case, free_text: &[&[u8]]) {
    for (request, reply) in case.sound_replies() {
        let free = free_text.contains(&request);
        for len in 0..reply.len() {
            nothing_wrong::<D>(case, Fault::replace(request, &reply[..len]));
        }
        let mut damages: Vec<Vec<u8>> = Vec::new();
        for at in 0..reply.len() {
            for bit in 0..8 {
                let mut flipped = reply.to_vec();
                flipped[at] ^= 1 << bit;
                damages.push(flipped);
            }
            let mut lossy = reply.to_vec();
            lossy.remove(at);
            damages.push(lossy);
        }
        damages.extend((0..200).map(|seed| burst(reply, seed)));
        for damage in damages {
            let fault = Fault::replace(request, &damage);
            if shape_is_kept(reply, &damage, free) {
                nothing_mad::<D>(case, fault);
            } else {
                nothing_wrong::<D>(case, fault);
            }
        }
    }
}

/// Whatever is published must be what the sound exchange gives.
fn nothing_wrong<D: Driver<Bench>>(case: &Case, fault: Fault) {
    let replay = replayed::<D>(case, fault.clone());
    let Expected::Points(expected) = &case.expected else { return };
    for (name, text) in shown(&replay.bench) {
        assert_eq!(Some(&text), expected.get(&name), "{}: {name} under {fault:?}", case.name);
    }
}

/// Only known points, only finite numbers.
fn nothing_mad<D: Driver<Bench>>(case: &Case, fault: Fault) {
    let replay = replayed::<D>(case, fault.clone());
    for update in replay.bench.published.iter().flatten() {
        if let Value::Number(number) = update.value {
            assert!(number.is_finite(), "{}: {} under {fault:?}", case.name, update.name);
        }
    }
}

fn replayed<D: Driver<Bench>>(case: &Case, fault: Fault) -> Replay<D> {
    let mut replay = started(case, fault);
    replay.poll(POLLS);
    replay
}

fn started<D: Driver<Bench>>(case: &Case, fault: Fault) -> Replay<D> {
    Replay::start(case, fault).unwrap_or_else(|text| panic!("{}: start: {text}", case.name))
}

/// The last value of each point, as an expected.points file spells it.
#[must_use]
pub fn shown(bench: &Bench) -> BTreeMap<String, String> {
    bench.published.iter().flatten().map(|u| (u.name.to_string(), case::spell(u))).collect()
}

/// `reply` with a few neighbouring bytes replaced, as a spike on the line does.
fn burst(reply: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut random = move || split_mix(&mut state);
    let mut out = reply.to_vec();
    let start = random() as usize % out.len();
    let end = (start + 1 + random() as usize % 6).min(out.len());
    out[start..end].iter_mut().for_each(|byte| *byte = random() as u8);
    out
}

/// SplitMix64: reproducible noise.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
