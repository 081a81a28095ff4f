//! What must hold for a driver, whole and under each fault: the trials of a
//! case, and how each is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Asked, Case, Expected, Telling, Way};
use super::fault::{At, Damage, Fault, Owes};
use super::notation::Reply;
use super::replay::{Replay, replay, shown};
use super::{Bench, POLLS};
use crate::host::{Quality, Value};
use crate::{CommandError, Driver};

/// Polls within which a device that does not answer must be called lost.
const LOST_POLLS: u32 = 7;

/// A fault, and what the driver owes while it lasts.
struct Trial {
    fault: Fault,
    owes: Owes,
}

pub(super) fn conforms<D: Driver<Bench>>(case: &Case, free_text: &[&[u8]]) {
    whole::<D>(case);
    if let Expected::Points(_) = case.expected {
        for trial in trials(case, free_text) {
            tried::<D>(case, &trial);
        }
        acknowledged_by_rubbish::<D>(case);
        told_in_vain::<D>(case);
    }
}

/// Drivers of contacts follow what changes: from each case to each other one
/// with the same settings.
pub(super) fn follows<D: Driver<Bench>>(cases: &[Case]) {
    let by_contacts = |case: &&Case| {
        matches!((&case.way, &case.expected), (Way::Contacts { .. }, Expected::Points(_)))
    };
    for before in cases.iter().filter(by_contacts) {
        let is_other = |case: &&Case| case.name != before.name && case.settings == before.settings;
        for after in cases.iter().filter(by_contacts).filter(is_other) {
            let mut replay = replayed::<D>(before, Fault::None);
            replay.move_contacts(after);
            replay.poll(POLLS);
            let (found, wanted) = (shown(&replay.bench), points(after));
            assert_eq!(&found, wanted, "{}: then {}", before.name, after.name);
        }
    }
}

/// Every fault that can befall the way of `case`.
fn trials(case: &Case, free_text: &[&[u8]]) -> Vec<Trial> {
    let trial = |fault, owes| Trial { fault, owes };
    let mut trials = vec![trial(Fault::Silent, Owes::Loss)];
    match &case.way {
        Way::Serial => trials.push(trial(Fault::Late, Owes::Truth)),
        Way::Peer { .. } => {
            trials.push(trial(Fault::Late, Owes::Truth));
            trials.push(trial(Fault::Refused, Owes::Loss));
        }
        Way::Hid { .. } => {
            trials.push(trial(Fault::Late, Owes::Truth));
            trials.push(trial(Fault::Unplugged, Owes::Loss));
        }
        Way::Contacts { levels, signals, .. } => {
            for name in levels.keys().chain(signals.keys()) {
                trials.push(trial(Fault::Unknown(name.clone()), Owes::Doubt));
                trials.push(trial(Fault::Stale(name.clone()), Owes::Doubt));
            }
            let bouncing = |name: &String| trial(Fault::Bounces(name.clone()), Owes::Values);
            trials.extend(levels.keys().map(bouncing));
        }
    }
    if case.way.is_stream() {
        trials.push(trial(Fault::Closed(At::Every, 0), Owes::Loss));
        trials.push(trial(Fault::Pieces, Owes::Values));
    }
    for (asked, reply) in case.sound_replies() {
        trials.extend(damages(&case.way, asked, reply, free_text));
    }
    trials
}

/// Every damage to one reply.
fn damages(way: &Way, asked: &Asked, reply: &Reply, free_text: &[&[u8]]) -> Vec<Trial> {
    let sound = reply.filled(&[]);
    let (at, is_free) = match asked {
        Asked::Bytes(request) => {
            let is_free = free_text.iter().any(|free| request.matches(free));
            (At::Request(request.clone()), is_free)
        }
        _ => (At::Report(sound.clone()), false),
    };
    let damaged = |damage: Damage| {
        let left = damage.of(Some(sound.clone())).unwrap_or_default();
        let owes = match reply.keeps_shape(&left, is_free) {
            // Whatever is cut off is seen, in prose as well.
            true if !matches!(damage, Damage::Cut(_)) => Owes::Sanity,
            _ => Owes::Truth,
        };
        Trial { fault: Fault::Damaged(at.clone(), damage), owes }
    };
    let ended = |after| Trial { fault: Fault::Closed(at.clone(), after), owes: Owes::Truth };
    let ends = if way.is_stream() { sound.len() } else { 0 };
    // A report has its id at least.
    let is_empty = |damage: &Damage| {
        matches!(at, At::Report(_)) && damage.of(Some(sound.clone())).is_some_and(|r| r.is_empty())
    };
    let all = Damage::all(sound.len()).filter(|damage| !is_empty(damage));
    all.map(damaged).chain((0..ends).map(ended)).collect()
}

fn tried<D: Driver<Bench>>(case: &Case, trial: &Trial) {
    match trial.owes {
        Owes::Values => unmoved::<D>(case, &trial.fault),
        Owes::Loss => lost::<D>(case, &trial.fault),
        Owes::Doubt => doubted::<D>(case, &trial.fault),
        Owes::Truth => nothing_wrong::<D>(case, &trial.fault),
        Owes::Sanity => nothing_mad::<D>(case, &trial.fault),
    }
}

fn whole<D: Driver<Bench>>(case: &Case) {
    let outcome = replay::<D>(case, Fault::None, POLLS);
    match (&case.expected, outcome) {
        (Expected::Points(expected), Ok(mut replay)) => {
            assert_eq!(&shown(&replay.bench), expected, "{}: whole", case.name);
            let lost = &replay.bench.lost;
            assert!(lost.is_empty(), "{}: lost: {lost:?}", case.name);
            told(case, &mut replay, "whole");
            let unrecorded = replay.unrecorded();
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

/// Each command of the case has its outcome. Returns which of them reached the
/// device.
fn told<D: Driver<Bench>>(case: &Case, replay: &mut Replay<D>, under: &str) -> Vec<bool> {
    let mut reached = Vec::new();
    for Telling { name, value, outcome } in &case.tellings {
        let before = replay.heard();
        let result = replay.tell(name, value.as_deref());
        reached.push(replay.heard() > before);
        let case = &case.name;
        assert!(outcome.is(&result), "{case}: {under}: {name}: wanted {outcome:?}, is {result:?}");
    }
    reached
}

/// [`Owes::Values`].
fn unmoved<D: Driver<Bench>>(case: &Case, fault: &Fault) {
    // What bounces was at rest before.
    let before = matches!(fault, Fault::Bounces(_));
    let mut replay = started::<D>(case, if before { Fault::None } else { fault.clone() });
    replay.poll(if before { POLLS } else { 0 });
    replay.set(fault.clone());
    for _ in 0..LOST_POLLS {
        replay.poll(1);
        assert!(replay.bench.lost.is_empty(), "{}: lost under {fault}", case.name);
        truth(case, fault, &replay.bench, 0);
    }
    assert_eq!(&shown(&replay.bench), points(case), "{}: under {fault}", case.name);
    told(case, &mut replay, &fault.to_string());
}

/// [`Owes::Loss`]: from the start, and again when the device had come back.
fn lost<D: Driver<Bench>>(case: &Case, fault: &Fault) {
    let mut replay = started::<D>(case, fault.clone());
    replay.poll(LOST_POLLS);
    assert!(replay.bench.published.is_empty(), "{}: values out of {fault}", case.name);
    lost_times(case, fault, &replay.bench, 1);
    for times in 2..=3 {
        replay.set(Fault::None);
        let published = replay.bench.published.len();
        replay.poll(POLLS);
        back(case, fault, &replay.bench, published);
        let published = replay.bench.published.len();
        replay.set(fault.clone());
        replay.poll(LOST_POLLS);
        let good = good_since(&replay.bench, published);
        assert!(good.is_empty(), "{}: {good:?} out of {fault}", case.name);
        lost_times(case, fault, &replay.bench, times);
    }
}

fn lost_times(case: &Case, fault: &Fault, bench: &Bench, times: usize) {
    let (name, said) = (&case.name, &bench.lost);
    assert_eq!(said.len(), times, "{name}: lost is said once under {fault}, not {said:?}");
    if let (Some(address), Some(reason)) = (case.way.address(), said.last()) {
        let words = "hand on the host's words, which name who does not answer";
        assert!(reason.contains(&address), "{name}: lost under {fault}: {reason:?}; {words}");
    }
}

/// [`Owes::Doubt`]: from the start, and when all was well before.
fn doubted<D: Driver<Bench>>(case: &Case, fault: &Fault) {
    for polls_before in [0, POLLS] {
        let mut replay = started::<D>(case, Fault::None);
        replay.poll(polls_before);
        let published = replay.bench.published.len();
        replay.set(fault.clone());
        replay.poll(LOST_POLLS);
        truth(case, fault, &replay.bench, 0);
        let mut since = replay.bench.published[published..].iter().flatten();
        let doubt = since.any(|update| update.quality == Quality::Bad);
        let lost = !replay.bench.lost.is_empty();
        assert!(doubt || lost, "{}: nothing is said of {fault}", case.name);
        let published = if lost { replay.bench.published.len() } else { 0 };
        replay.set(Fault::None);
        replay.poll(POLLS);
        back(case, fault, &replay.bench, published);
    }
}

/// [`Owes::Truth`].
fn nothing_wrong<D: Driver<Bench>>(case: &Case, fault: &Fault) {
    let mut replay = replayed::<D>(case, fault.clone());
    truth(case, fault, &replay.bench, 0);
    // Sound answers are answers again.
    let published = replay.bench.published.len();
    replay.set(Fault::None);
    replay.poll(POLLS);
    let bench = &replay.bench;
    assert!(bench.published.len() > published, "{}: nothing more after {fault}", case.name);
    truth(case, fault, bench, published);
}

/// [`Owes::Sanity`].
fn nothing_mad<D: Driver<Bench>>(case: &Case, fault: &Fault) {
    let replay = replayed::<D>(case, fault.clone());
    for update in replay.bench.published.iter().flatten() {
        if let Value::Number(number) = update.value {
            assert!(number.is_finite(), "{}: {} under {fault}", case.name, update.name);
        }
    }
}

/// What was published from the `since`-th time on is what the sound exchange
/// gives, or bad.
fn truth(case: &Case, fault: &Fault, bench: &Bench, since: usize) {
    let expected = points(case);
    for update in bench.published[since..].iter().flatten() {
        let (name, text) = (update.name.as_ref(), super::spell(update));
        let is_right = update.quality == Quality::Bad || expected.get(name) == Some(&text);
        let wanted = expected.get(name);
        assert!(is_right, "{}: {name} = {text} under {fault}, wanted {wanted:?}", case.name);
    }
}

/// Everything that the case expects was published from the `since`-th time on.
fn back(case: &Case, fault: &Fault, bench: &Bench, since: usize) {
    let updates = bench.published[since..].iter().flatten();
    let found = updates.map(|update| (update.name.to_string(), super::spell(update))).collect();
    assert_eq!(points(case), &found, "{}: back after {fault}", case.name);
}

fn good_since(bench: &Bench, since: usize) -> BTreeSet<String> {
    let updates = bench.published[since..].iter().flatten();
    let good = updates.filter(|update| update.quality != Quality::Bad);
    good.map(|update| update.name.to_string()).collect()
}

/// An acknowledgement that is rubbish, or of which a part is missing, is none.
/// Where it is missing whole the protocol decides: many units say nothing.
fn acknowledged_by_rubbish<D: Driver<Bench>>(case: &Case) {
    if case.tellings.is_empty() {
        return;
    }
    for (asked, reply) in case.sound_replies() {
        let Asked::Bytes(request) = asked else { continue };
        let (at, len) = (At::Request(request.clone()), reply.filled(&[]).len());
        let instead = Damage::Instead(b"\0rubbish\r\n".to_vec());
        for damage in (1..len).map(Damage::Cut).chain([instead]) {
            let fault = Fault::Damaged(at.clone(), damage);
            let mut replay = replayed::<D>(case, Fault::None);
            replay.set(fault.clone());
            for Telling { name, value, .. } in &case.tellings {
                let before = replay.struck();
                let result = replay.tell(name, value.as_deref());
                let hit = replay.struck() > before;
                assert!(!hit || result.is_err(), "{}: {name} accepted by {fault}", case.name);
            }
        }
    }
}

/// What reaches a device in good times is not done when nobody is there.
fn told_in_vain<D: Driver<Bench>>(case: &Case) {
    // On a line, and with datagrams, silence may be consent.
    let faults: &[Fault] = match &case.way {
        Way::Hid { .. } => &[Fault::Unplugged],
        Way::Contacts { .. } => &[Fault::Refused, Fault::Silent],
        way if way.is_stream() => &[Fault::Refused],
        Way::Serial | Way::Peer { .. } => return,
    };
    let reached = told(case, &mut replayed::<D>(case, Fault::None), "whole");
    let is_done = |(telling, reached): &(&Telling, bool)| telling.outcome.is_accepted() && *reached;
    for fault in faults {
        for (telling, _) in case.tellings.iter().zip(reached.iter().copied()).filter(is_done) {
            let mut replay = replayed::<D>(case, Fault::None);
            replay.set(fault.clone());
            let result = replay.tell(&telling.name, telling.value.as_deref());
            let (case, name) = (&case.name, &telling.name);
            let is_no = matches!(result, Err(CommandError::Lost(_) | CommandError::Refused(_)));
            assert!(is_no, "{case}: {name} under {fault}: lost or refused wanted, is {result:?}");
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

fn points(case: &Case) -> &BTreeMap<String, String> {
    match &case.expected {
        Expected::Points(points) => points,
        Expected::Refused(_) | Expected::Lost(_) => panic!("{}: it has no points", case.name),
    }
}
