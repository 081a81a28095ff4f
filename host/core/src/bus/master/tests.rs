//! The master against answers made by hand: what is asked, in which order and
//! in what time.

use super::*;
use crate::bus::wire::{Flags, Frame, READING_SLOT_CHARS};
use proptest::prelude::*;

const TIMING: Timing =
    Timing { baud: 115_200, window_ms: 100, slack: Nanos(5_000_000), hold_ds: 30 };

fn request_of(step: Step<'_>) -> (u8, u16, Vec<u8>) {
    let Step::Send(bytes) = step else { panic!("expected a request, got {step:?}") };
    let mut decoder = Decoder::default();
    bytes
        .iter()
        .find_map(|b| match decoder.push(*b) {
            Some(Ok(Frame { kind, address, payload })) => Some((kind, address, payload.to_vec())),
            Some(Err(e)) => panic!("{e}"),
            None => None,
        })
        .expect("a frame")
}

fn reading(address: u16, sample: u8, voltage_mv: u16) -> Vec<u8> {
    let reading =
        Reading { sample, voltage_mv, temperature_dc: 250, duty: 0, flags: Flags::default() };
    encoded(&Reply::Reading { address, reading })
}

fn identity(address: u16) -> Vec<u8> {
    let identity =
        Identity { type_code: 20, hardware: 1, firmware: (1, 0), serial: u32::from(address) };
    encoded(&Reply::Identity { address, identity })
}

fn encoded(reply: &Reply) -> Vec<u8> {
    let mut out = [0; FRAME_MAX];
    let n = reply.encode(&mut out);
    out[..n].to_vec()
}

/// Run one cycle; `answer` says what comes back to each request.
fn cycle(
    master: &mut Master,
    now: &mut Nanos,
    mut answer: impl FnMut(u8, u16, &[u8]) -> Vec<u8>,
) -> Vec<(u8, u16)> {
    let mut seen = Vec::new();
    master.start_cycle(*now + Nanos::from_secs(1));
    loop {
        match master.poll(*now) {
            Step::Send(bytes) => {
                let (kind, address, payload) = request_of(Step::Send(bytes));
                seen.push((kind, address));
                master.receive(&answer(kind, address, &payload));
            }
            Step::Wait(until) => *now = until,
            Step::Scanned => {
                let duties = vec![Duty(7); master.modules().len()];
                master.command(&duties);
            }
            Step::Idle => return seen,
        }
    }
}

fn all_answer(kind: u8, address: u16, payload: &[u8], sample: u8) -> Vec<u8> {
    let count = payload.first().copied().unwrap_or(0).into();
    let run = address..address.saturating_add(count);
    match kind {
        2 => run.flat_map(|a| reading(a, sample, 13_600)).collect(),
        3 => run.flat_map(identity).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_cycle_identifies_reads_and_commands() {
    let mut master = Master::new(TIMING, 1..=100, []).expect("addresses are fine");
    let mut now = Nanos(0);
    let seen = cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 1));
    assert_eq!(seen, [(1, 0xFFFF), (3, 1), (3, 65), (2, 1), (2, 65), (4, 1)]);
    assert!(master.modules().iter().all(|m| m.reading.is_some() && m.identity.is_some()));
    assert_eq!(master.counters(), Counters { good_frames: 200, ..Counters::default() });
    let seen = cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 2));
    assert_eq!(seen, [(1, 0xFFFF), (2, 1), (2, 65), (4, 1)], "identity is asked once");
}

#[test]
fn the_load_is_what_a_cycle_takes() {
    for run in [100, 512] {
        let (load, bursts) = TIMING.load(&[run]);
        assert_eq!(bursts as usize, run.div_ceil(64) + IDENTIFY_PER_CYCLE);
        let slots = TIMING.chars(run as u32 * READING_SLOT_CHARS);
        assert!(load > slots + Nanos::from_millis(100), "{load:?}");
        // DESIGN's budget: 512 modules within a second, duties included.
        assert!(load < Nanos::from_secs(1), "{load:?}");
    }
}

#[test]
fn gaps_in_the_addresses_split_the_runs() {
    let mut master = Master::new(TIMING, [1, 2, 5, 6], []).expect("addresses are fine");
    let seen = cycle(&mut master, &mut Nanos(0), |k, a, p| all_answer(k, a, p, 1));
    assert_eq!(seen, [(1, 0xFFFF), (3, 1), (3, 5), (2, 1), (2, 5), (4, 1), (4, 5)]);
}

#[test]
fn a_silent_module_is_missed_and_asked_again_who_it_is() {
    let mut master = Master::new(TIMING, 1..=3, []).expect("addresses are fine");
    let mut now = Nanos(0);
    cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 1));
    for sample in 2..=5 {
        cycle(&mut master, &mut now, |kind, _, _| match kind {
            2 => [reading(1, sample, 13_600), reading(3, sample, 13_600)].concat(),
            _ => Vec::new(),
        });
    }
    assert_eq!(master.modules()[1].missed, 4);
    assert_eq!(master.modules()[1].identity, None);
    assert_eq!(master.counters().missed, 4);
    assert_eq!(master.modules()[0].missed, 0);
}

#[test]
fn replies_of_an_old_sample_or_a_stranger_are_not_readings() {
    let mut master = Master::new(TIMING, 1..=2, []).expect("addresses are fine");
    cycle(&mut master, &mut Nanos(0), |kind, _, _| match kind {
        2 => [reading(1, 99, 1), reading(40, 1, 2)].concat(),
        _ => Vec::new(),
    });
    assert_eq!(master.counters().unexpected, 2);
    assert!(master.modules().iter().all(|m| m.reading.is_none()));
}

#[test]
fn dead_modules_keep_nobody_from_being_met() {
    let dead = [5, 10, 15, 20];
    let mut master = Master::new(TIMING, 1..=200, []).expect("addresses are fine");
    let mut now = Nanos(0);
    for sample in 1..=4 {
        cycle(&mut master, &mut now, |kind, first, payload| {
            let count = payload.first().copied().unwrap_or(0).into();
            let alive = (first..first.saturating_add(count)).filter(|a| !dead.contains(a));
            match kind {
                2 => alive.flat_map(|a| reading(a, sample, 13_600)).collect(),
                3 => alive.flat_map(identity).collect(),
                _ => Vec::new(),
            }
        });
    }
    let strangers: Vec<u16> =
        master.modules().iter().filter(|m| m.identity.is_none()).map(|m| m.address).collect();
    assert_eq!(strangers, dead);
}

#[test]
fn a_cycle_ends_in_time_with_its_duties_sent_however_many_are_silent() {
    // 512 modules fill a second; every burst has silent ones.
    let mut master = Master::new(TIMING, 1..=512, []).expect("addresses are fine");
    let mut now = Nanos(0);
    for sample in 1..=5 {
        let start = now;
        let seen = cycle(&mut master, &mut now, |kind, first, payload| {
            let count = payload.first().copied().unwrap_or(0).into();
            let alive = (first..first.saturating_add(count)).filter(|a| a % 32 != 0);
            match kind {
                2 => alive.flat_map(|a| reading(a, sample, 13_600)).collect(),
                3 => alive.flat_map(identity).collect(),
                _ => Vec::new(),
            }
        });
        assert!(now.since(start) <= Nanos::from_secs(1), "{:?}", now.since(start));
        let duties = seen.iter().filter(|(kind, _)| *kind == 4).count();
        assert_eq!(duties, 512usize.div_ceil(DUTIES_MAX));
        now = start + Nanos::from_secs(1);
    }
    let unread = master.modules().iter().filter(|m| m.reading.is_none()).count();
    assert_eq!(unread, 16, "only the silent ones are unread");
}

#[test]
fn a_late_reading_is_still_a_reading() {
    let mut master = Master::new(TIMING, 1..=2, []).expect("addresses are fine");
    let mut now = Nanos(0);
    for sample in 1..=5 {
        cycle(&mut master, &mut now, |kind, a, p| match kind {
            3 => all_answer(kind, a, p, sample),
            // Nothing in time; everything while the duties are sent.
            4 => [reading(1, sample, 13_600), reading(2, sample, 13_700)].concat(),
            _ => Vec::new(),
        });
    }
    assert_eq!((master.counters().missed, master.counters().unexpected), (10, 0));
    for module in master.modules() {
        assert!(module.reading.is_some() && module.identity.is_some());
        assert_eq!(module.missed, 0);
    }
}

#[test]
fn a_cut_cycle_leaves_nothing_behind() {
    let mut master = Master::new(TIMING, 1..=2, []).expect("addresses are fine");
    master.start_cycle(Nanos::from_secs(1));
    let _ = master.poll(Nanos(0));
    master.receive(&reading(1, 1, 13_600)[..5]);
    let mut now = Nanos::from_secs(1);
    cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 2));
    assert!(master.modules().iter().all(|m| m.reading.is_some()));
}

#[test]
fn impossible_address_lists_are_refused() {
    assert_eq!(Master::new(TIMING, [0], []).err(), Some(BuildError::Address(0)));
    assert_eq!(Master::new(TIMING, [1025], []).err(), Some(BuildError::Address(1025)));
    assert_eq!(Master::new(TIMING, [3, 3], []).err(), Some(BuildError::Order(3)));
}

proptest! {
    /// Whatever the line brings, a cycle ends within its time and the
    /// master goes on.
    #[test]
    fn noise_never_hangs_a_cycle(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut master = Master::new(TIMING, 1..=70, []).expect("addresses are fine");
        let mut now = Nanos(0);
        cycle(&mut master, &mut now, |_, _, _| noise.clone());
        prop_assert!(now <= Nanos::from_secs(1), "{now:?}");
        let sample = 2;
        cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, sample));
        prop_assert!(master.modules().iter().all(|m| m.reading.is_some()));
    }
}
