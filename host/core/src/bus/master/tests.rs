//! The master against answers made by hand: what is asked, in which order and
//! in what time.

use super::*;
use crate::bus::wire::{Flags, Frame, READING_SLOT_CHARS};
use crate::bus::wire::{Identity, Io, Reading, Reply};
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
fn on_a_full_bus_with_dead_modules_everybody_else_is_met() {
    let mut master = Master::new(TIMING, 1..=512, []).expect("addresses are fine");
    let mut now = Nanos(0);
    for sample in 1..=60 {
        let start = now;
        cycle(&mut master, &mut now, |kind, first, payload| {
            let count = payload.first().copied().unwrap_or(0).into();
            let alive = (first..first.saturating_add(count)).filter(|a| a % 32 != 0);
            match kind {
                2 => alive.flat_map(|a| reading(a, sample, 13_600)).collect(),
                3 => alive.flat_map(identity).collect(),
                _ => Vec::new(),
            }
        });
        assert!(now.since(start) <= Nanos::from_secs(1));
        let unread = master.modules().iter().filter(|m| m.missed > 0).count();
        assert_eq!(unread, 16, "cycle {sample}: meeting strangers costs no reading");
        now = start + Nanos::from_secs(1);
    }
    let unmet = master.modules().iter().filter(|m| m.identity.is_none()).count();
    assert_eq!(unmet, 16, "only the dead are strangers");
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

const DEVICES: [(u16, DeviceKind); 4] = [
    (1_025, DeviceKind::Current200),
    (1_026, DeviceKind::Current200),
    (1_030, DeviceKind::Aux),
    (1_031, DeviceKind::Panel),
];

fn with_devices(modules: u16) -> Master {
    Master::new(TIMING, 1..=modules, DEVICES).expect("addresses are fine")
}

fn io(address: u16, sample: u8) -> Vec<u8> {
    let kind = DEVICES.iter().find(|(a, _)| *a == address).expect("a device").1;
    let io = Io {
        sample,
        inputs: 1,
        outputs: 0,
        flags: crate::bus::wire::IoFlags::default(),
        channels: kind.channels(),
        analog: [0; 8],
    };
    encoded(&Reply::Io { address, io })
}

fn all_answer_with_devices(kind: u8, address: u16, payload: &[u8], sample: u8) -> Vec<u8> {
    let count: u16 = payload.first().copied().unwrap_or(0).into();
    match (kind, address) {
        (5, _) => (address..address + count).flat_map(|a| io(a, sample)).collect(),
        _ => all_answer(kind, address, payload, sample),
    }
}

#[test]
fn devices_are_read_after_the_modules_and_outputs_leave_before_duties() {
    let mut master = with_devices(2);
    let mut now = Nanos(0);
    master.set_outputs(3, Outputs { on: 1, keep: 0 });
    master.set_outputs(99, Outputs::default());
    for sample in 1..=2 {
        let seen = cycle(&mut master, &mut now, |k, a, p| all_answer_with_devices(k, a, p, sample));
        let met: &[(u8, u16)] = if sample == 1 { &[(3, 1), (3, 1_025)] } else { &[(3, 1_030)] };
        let rest = [(2, 1), (5, 1_025), (5, 1_030), (6, 1_031), (4, 1)];
        assert_eq!(seen, [&[(1, 0xFFFF)], met, &rest].concat());
    }
    for device in master.devices() {
        assert!(device.io.is_some() && device.identity.is_some());
        assert!(device.is_wrong_kind(), "the answers above say 20");
    }
    let seen = cycle(&mut master, &mut now, |_, _, _| Vec::new());
    assert!(seen.contains(&(6, 1_031)), "outputs are sent whether or not anybody answers");
}

#[test]
fn a_reserved_time_keeps_devices_in_a_full_cycle() {
    let mut master = Master::new(TIMING, 1..=512, DEVICES).expect("addresses are fine");
    let (busy, _) = TIMING.load(&[512]);
    let (devices, bursts) = TIMING.device_load(&DEVICES);
    assert_eq!(bursts, 2);
    assert!(busy + devices < Nanos::from_secs(1));
    master.set_outputs(2, Outputs { on: 1, keep: 1 });
    let mut now = Nanos(0);
    for sample in 1..=3 {
        let start = now;
        // Every module is silent: every burst is waited out.
        let seen = cycle(&mut master, &mut now, |kind, a, p| match kind {
            5 => all_answer_with_devices(kind, a, p, sample),
            _ => Vec::new(),
        });
        assert!(now.since(start) <= Nanos::from_secs(1));
        assert!(seen.contains(&(6, 1_030)));
        assert!(master.devices().iter().all(|d| d.missed == 0), "cycle {sample}");
        now = start + Nanos::from_secs(1);
    }
}

/// Runs one errand to its outcome; `answer` gets kind, address, payload.
fn run_errand(
    errand: Errand,
    mut answer: impl FnMut(u8, u16, &[u8]) -> Vec<u8>,
) -> (Option<Outcome>, Master) {
    let mut master = with_devices(2);
    let mut now = Nanos(0);
    master.errand(errand).expect("nothing else");
    assert_eq!(master.errand(errand), Err(Busy));
    for sample in 1..=20 {
        cycle(&mut master, &mut now, |kind, a, p| {
            let scanned = all_answer_with_devices(kind, a, p, sample);
            if scanned.is_empty() { answer(kind, a, p) } else { scanned }
        });
        now = Nanos::from_secs(sample.into());
        if let Some(outcome) = master.take_outcome() {
            return (Some(outcome), master);
        }
    }
    (None, master)
}

#[test]
fn a_resistance_comes_when_the_module_is_done() {
    use crate::bus::wire::Resistance;
    let mut asked = 0;
    let errand = Errand::Measure { address: 2 };
    let (outcome, master) = run_errand(errand, |kind, address, payload| {
        if (kind, address) != (10, 2) {
            return Vec::new();
        }
        asked += 1;
        assert_eq!(payload, [u8::from(asked == 1)], "started once");
        let resistance = if asked < 4 { Resistance::Measuring } else { Resistance::Done(4_321) };
        encoded(&Reply::Resistance { address, resistance })
    });
    assert_eq!(outcome, Some(Outcome::Measured { address: 2, result: Ok(4_321) }));
    assert_eq!(master.modules()[1].resistance.map(|(r, _)| r), Some(4_321));
    assert_eq!(asked, 4, "once per cycle");
}

#[test]
fn a_module_that_never_answers_has_no_resistance() {
    let (outcome, _) = run_errand(Errand::Measure { address: 2 }, |_, _, _| Vec::new());
    let result = Err(crate::bus::errand::MeasureFault::Silent);
    assert_eq!(outcome, Some(Outcome::Measured { address: 2, result }));
}

#[test]
fn strangers_are_listed_and_bounded() {
    let mut master = Master::new(TIMING, 1..=2, []).expect("addresses are fine");
    master.receive(&reading(900, 3, 1));
    master.receive(&reading(900, 3, 1));
    for address in 100..200 {
        master.receive(&reading(address, 3, 1));
    }
    assert_eq!(master.strangers().len(), STRANGERS_MAX);
    assert_eq!(master.strangers()[0], Stranger { address: 900, frames: 2 });
    master.forget_strangers();
    assert!(master.strangers().is_empty());
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

    /// Good frames with hostile contents, at any time, whatever is under way.
    #[test]
    fn hostile_replies_never_panic_or_overrun(
        frames in proptest::collection::vec((0x80u8..0x8C, 0u16..1_300, proptest::collection::vec(any::<u8>(), 0..24)), 1..60),
        which in 0usize..6,
    ) {
        let panel = 1_031;
        let errand = [
            Errand::Measure { address: 1 },
            Errand::Search { prefix: 0, bits: 0 },
            Errand::Offer { address: 3 },
            Errand::Assign { serial: 1, address: 3 },
            Errand::Probe { feed: Some((panel, crate::bus::wire::Ends::A)), first: 1, count: 255 },
            Errand::Probe { feed: None, first: 1_279, count: 0 },
        ][which];
        let mut master = with_devices(70);
        let mut now = Nanos(0);
        let mut frames = frames.iter().cycle();
        for _ in 0..3 {
            let _ = master.errand(errand);
            let start = now;
            cycle(&mut master, &mut now, |_, _, _| {
                let (kind, address, payload) = frames.next().expect("a cycle has no end");
                let mut out = [0; FRAME_MAX];
                let frame = Frame { kind: *kind, address: *address, payload };
                let len = crate::bus::wire::encode(&frame, &mut out);
                out[..len].to_vec()
            });
            prop_assert!(now.since(start) <= Nanos::from_secs(1));
            now = start + Nanos::from_secs(1);
        }
    }
}
