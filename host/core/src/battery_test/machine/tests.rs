//! Every transition of the battery test, its limits, its calendar, its memory.

use super::*;
use crate::battery::Chemistry;
use crate::battery_test::{Rhythm, Schedule};
use crate::scan::BlockScan;
use proptest::prelude::*;

const HOUR: u64 = 3600;
/// A Saturday noon.
const WALL_S: u64 = 1_795_262_400;

/// A UPS with one string of eight 100 Ah blocks. Everything a test changes is a field.
struct Rig {
    test: BatteryTest,
    blocks: Vec<BlockScan>,
    now_s: u64,
    wall_s: Option<u64>,
    phase: Phase,
    current_a: Option<f64>,
    mains: Option<bool>,
    full: Option<bool>,
    alarm: bool,
    measuring: bool,
    feedback: TestFeedback,
}

impl Rig {
    fn new(config: TestConfig, memory: Memory) -> Self {
        let battery = BatteryType::new(Chemistry::Agm, 6, 100.0);
        config.check(&battery).expect("valid");
        let block =
            BlockScan { voltage_v: Some(13.6), temperature_c: Some(25.0), ..BlockScan::default() };
        Self {
            test: BatteryTest::new(config, &[(&battery, 8)], memory),
            blocks: vec![block; 8],
            now_s: 0,
            wall_s: Some(WALL_S),
            phase: Phase::Float,
            current_a: Some(0.1),
            mains: Some(true),
            full: Some(true),
            alarm: false,
            measuring: false,
            feedback: TestFeedback::default(),
        }
    }

    fn ready() -> Self {
        let mut rig = Self::new(TestConfig::default(), Memory::default());
        rig.step();
        rig
    }

    /// With the battery carrying 60 A after a start by hand.
    fn running() -> Self {
        let mut rig = Self::ready();
        rig.start().expect("nothing is in the way");
        assert_eq!(rig.step(), Some(TestCommand::Start));
        rig.carry();
        assert_eq!((rig.step(), rig.state()), (None, State::Running));
        rig
    }

    fn carry(&mut self) {
        (self.phase, self.current_a) = (Phase::Discharge, Some(-60.0));
        self.blocks.iter_mut().for_each(|b| b.voltage_v = Some(12.2));
        self.feedback = TestFeedback { accepted: Some(true), on_test: Some(true) };
    }

    fn back(&mut self) {
        (self.phase, self.current_a) = (Phase::Recharge, Some(5.0));
        self.blocks.iter_mut().for_each(|b| b.voltage_v = Some(13.0));
        self.feedback.on_test = Some(false);
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut BatteryTest, &TestInput<'_>) -> T) -> T {
        let scan = StringScan {
            now: Nanos::from_secs(self.now_s),
            wall_s: self.wall_s,
            blocks: &self.blocks,
            current_a: self.current_a,
            string_v: None,
            ambient_c: None,
        };
        let input = TestInput {
            now: scan.now,
            wall_s: self.wall_s,
            strings: &[StringInput { scan, phase: self.phase }],
            mains: self.mains,
            full: self.full,
            alarm: self.alarm,
            measuring: self.measuring,
            feedback: self.feedback,
        };
        act(&mut self.test, &input)
    }

    fn start(&mut self) -> Result<(), Hold> {
        self.with(|test, input| test.start(input))
    }

    fn step(&mut self) -> Option<TestCommand> {
        self.now_s += 1;
        self.wall_s = self.wall_s.map(|w| w + 1);
        self.with(|test, input| test.step(input))
    }

    /// Step until a command, or for so many seconds; how many it took.
    fn until(&mut self, seconds: u64) -> (u64, Option<TestCommand>) {
        let found = (1..=seconds).find_map(|s| self.step().map(|command| (s, command)));
        found.map_or((seconds, None), |(s, command)| (s, Some(command)))
    }

    fn leap(&mut self, seconds: u64) {
        self.now_s += seconds;
        self.wall_s = self.wall_s.map(|w| w + seconds);
    }

    fn state(&self) -> State {
        self.test.report().state
    }
}

#[test]
fn six_minutes_or_ten_percent() {
    for (amps, seconds) in [(-60.0, 360), (-210.0, 172)] {
        let mut rig = Rig::ready();
        rig.start().expect("free");
        rig.step();
        rig.carry();
        rig.current_a = Some(amps);
        rig.step();
        assert_eq!(rig.until(1_000), (seconds, Some(TestCommand::Stop)));
        assert_eq!(rig.state(), State::Stopping(None));
        rig.back();
        assert_eq!((rig.step(), rig.state()), (None, State::Done));
        assert_eq!(rig.test.report().verdict, Some(Verdict::Pass));
        assert!(
            (f64::from(rig.test.report().drawn_share.expect("metered"))
                + amps * seconds as f64 / 360_000.0)
                .abs()
                < 1e-6
        );
        assert_eq!(rig.test.memory().test_wall_s, rig.wall_s);
        assert_eq!(rig.test.memory().outage_wall_s, None, "a test is no outage");
    }
}

#[test]
fn every_hold_says_why() {
    type Spoil = fn(&mut Rig);
    let cases: [(Spoil, HoldReason); 8] = [
        (|r| r.mains = Some(false), HoldReason::MainsAbsent),
        (|r| r.alarm = true, HoldReason::Alarm),
        (|r| r.measuring = true, HoldReason::Measuring),
        (|r| r.blocks[3].voltage_v = None, HoldReason::Unread),
        (|r| r.blocks[3].voltage_v = Some(f64::NAN), HoldReason::Unread),
        (|r| r.phase = Phase::Recharge, HoldReason::NotAtFloat),
        (|r| r.full = Some(false), HoldReason::NotFull),
        (|r| r.full = None, HoldReason::NotFull),
    ];
    for (spoil, reason) in cases {
        let mut rig = Rig::ready();
        spoil(&mut rig);
        assert_eq!(rig.start().map_err(|h| h.reason), Err(reason));
        assert_eq!(rig.step(), None);
        assert_eq!(rig.test.report().hold.map(|h| h.reason), Some(reason));
        assert_eq!(rig.state(), State::Idle);
    }
    let mut rig = Rig::running();
    assert_eq!(rig.start().map_err(|h| h.reason), Err(HoldReason::Busy));
}

#[test]
fn twenty_four_hours_after_an_outage_even_across_a_restart() {
    let mut rig = Rig::ready();
    (rig.phase, rig.current_a) = (Phase::Discharge, Some(-60.0));
    rig.step();
    (rig.phase, rig.current_a) = (Phase::Float, Some(0.1));
    rig.leap(HOUR - 1);
    rig.step();
    let hold = Hold { reason: HoldReason::RecentOutage, for_s: Some(23 * HOUR) };
    assert_eq!(rig.start(), Err(hold));
    let mut later = Rig::new(TestConfig::default(), *rig.test.memory());
    later.wall_s = rig.wall_s;
    later.step();
    assert_eq!(later.start(), Err(Hold { for_s: Some(23 * HOUR - 1), ..hold }));
    later.leap(23 * HOUR - 1);
    assert_eq!(later.start(), Ok(()));
}

#[test]
fn float_stands_in_for_full() {
    let mut rig = Rig::ready();
    rig.full = None;
    assert_eq!(rig.start(), Err(Hold { reason: HoldReason::NotFull, for_s: Some(8 * HOUR) }));
    rig.leap(8 * HOUR);
    rig.step();
    assert_eq!(rig.start(), Ok(()));
}

#[test]
fn every_limit_aborts() {
    type Spoil = fn(&mut Rig);
    let cases: [(Spoil, Cause, Option<Verdict>, u64); 9] = [
        (|r| r.blocks[5].voltage_v = Some(10.4), Cause::BlockVoltage, Some(Verdict::Fail), 2),
        (|r| r.blocks[5].voltage_v = Some(10.55), Cause::BlockVoltage, Some(Verdict::Fail), 2),
        (
            |r| r.blocks.iter_mut().for_each(|b| b.voltage_v = Some(10.7)),
            Cause::StringVoltage,
            Some(Verdict::Fail),
            2,
        ),
        (|r| r.blocks[5].temperature_c = Some(46.0), Cause::Temperature, None, 1),
        (|r| r.blocks[5].voltage_v = None, Cause::Lost, None, 16),
        (|r| r.leap(60), Cause::Lost, None, 1),
        (|r| r.mains = Some(false), Cause::MainsFailed, None, 1),
        (|r| r.feedback.on_test = Some(false), Cause::EndedByUps, None, 1),
        (|r| r.test.stop(), Cause::ByHand, None, 1),
    ];
    for (spoil, cause, verdict, seconds) in cases {
        let mut rig = Rig::running();
        assert_eq!(rig.until(200), (200, None));
        spoil(&mut rig);
        assert_eq!(rig.until(60), (seconds, Some(TestCommand::Stop)), "{cause:?}");
        assert_eq!(rig.state(), State::Stopping(Some(cause)));
        assert_eq!(rig.test.report().verdict, verdict);
        rig.back();
        assert_eq!((rig.step(), rig.state()), (None, State::Aborted(cause)));
    }
}

#[test]
fn one_low_reading_and_the_coup_de_fouet_abort_nothing() {
    let mut rig = Rig::running();
    rig.blocks.iter_mut().for_each(|b| b.voltage_v = Some(10.3));
    assert_eq!(rig.until(60), (60, None), "in the first 2 %");
    rig.blocks[2].voltage_v = Some(9.8);
    assert_eq!(rig.until(60), (2, Some(TestCommand::Stop)), "unless far below");
    let mut rig = Rig::running();
    rig.until(200);
    rig.blocks[2].voltage_v = Some(10.0);
    rig.step();
    rig.carry();
    assert_eq!(rig.until(100), (100, None));
}

#[test]
fn ups_that_does_not_follow_is_an_alarm() {
    let mut rig = Rig::ready();
    rig.start().expect("free");
    rig.step();
    assert_eq!(rig.until(100), (30, Some(TestCommand::Stop)));
    assert!(rig.test.report().not_started);
    rig.step();
    assert_eq!(rig.state(), State::Aborted(Cause::NotStarted));

    let mut rig = Rig::ready();
    rig.start().expect("free");
    rig.step();
    rig.feedback.accepted = Some(false);
    assert_eq!((rig.step(), rig.state()), (None, State::Aborted(Cause::Refused)));
    assert!(rig.test.report().not_started);

    let mut rig = Rig::running();
    rig.until(1_000);
    for _ in 0..3 {
        assert!(!rig.test.report().not_stopped);
        assert_eq!(rig.until(100), (10, Some(TestCommand::Stop)), "again and again");
    }
    assert!(rig.test.report().not_stopped);
    rig.back();
    rig.step();
    assert!(rig.state() == State::Done && !rig.test.report().not_stopped);
}

#[test]
fn relay_without_feedback_is_followed_by_the_current() {
    let mut rig = Rig::ready();
    rig.mains = None;
    rig.start().expect("free");
    rig.step();
    rig.carry();
    rig.feedback = TestFeedback::default();
    rig.step();
    assert_eq!(rig.state(), State::Running);
    rig.until(300);
    rig.current_a = Some(1.0);
    rig.until(3);
    assert_eq!(rig.state(), State::Running, "a short dip of the load is no end");
    assert_eq!(rig.until(60).0, 7);
    rig.step();
    assert_eq!(rig.state(), State::Aborted(Cause::EndedByUps));
}

#[test]
fn mains_failure_in_a_test_is_an_outage() {
    let mut rig = Rig::running();
    rig.mains = Some(false);
    assert_eq!(rig.step(), Some(TestCommand::Stop));
    rig.feedback.on_test = None;
    rig.step();
    assert_eq!(rig.state(), State::Aborted(Cause::MainsFailed));
    assert_eq!(rig.test.memory().outage_wall_s, Some(rig.wall_s.expect("set") - 1));
    (rig.mains, rig.phase, rig.full) = (Some(true), Phase::Float, Some(true));
    rig.step();
    assert_eq!(rig.start().map_err(|h| h.reason), Err(HoldReason::RecentOutage));
}

#[test]
fn restart_in_a_test_stops_the_ups_first() {
    let memory = *Rig::running().test.memory();
    assert!(memory.under_way);
    let mut rig = Rig::new(TestConfig::default(), memory);
    rig.carry();
    assert_eq!(rig.step(), Some(TestCommand::Stop));
    rig.back();
    rig.step();
    assert_eq!(rig.state(), State::Aborted(Cause::Restarted));
    assert!(!rig.test.memory().under_way);
}

#[test]
fn weak_blocks_are_ranked() {
    let mut rig = Rig::ready();
    for (i, block) in rig.blocks.iter_mut().enumerate() {
        block.resistance_mohm = Some(if i == 6 { 7.0 } else { 4.0 });
    }
    rig.step();
    rig.blocks.iter_mut().for_each(|b| b.resistance_mohm = None);
    rig.start().expect("free");
    rig.step();
    rig.carry();
    rig.blocks[1].voltage_v = Some(11.7);
    rig.blocks[4].voltage_v = Some(11.85);
    rig.blocks[3].voltage_v = Some(12.0);
    rig.until(1_000);
    let report = rig.test.report();
    assert_eq!(report.verdict, Some(Verdict::Check));
    let ranked: Vec<_> = report.suspects.iter().map(|s| s.block).collect();
    assert_eq!(ranked, [1, 6, 4]);
    let worst = report.suspects.iter().next().expect("three");
    assert!((worst.lag_v - 0.5).abs() < 1e-3 && worst.resistance_ratio == Some(1.0));
}

#[test]
fn little_load_is_no_verdict() {
    let mut rig = Rig::ready();
    rig.start().expect("free");
    rig.step();
    rig.carry();
    rig.current_a = Some(-5.0);
    assert_eq!(rig.until(1_000).0, 361);
    assert_eq!(rig.test.report().verdict, Some(Verdict::Inconclusive));
}

#[test]
fn capacity_test_passes_at_eighty_percent() {
    for (share, state) in
        [(0.85, State::Stopping(None)), (0.7, State::Stopping(Some(Cause::BlockVoltage)))]
    {
        let config = TestConfig { share: 1.0, minutes: 1_440.0, ..TestConfig::default() };
        let mut rig = Rig::new(config, Memory::default());
        rig.step();
        rig.start().expect("free");
        rig.step();
        rig.carry();
        assert_eq!(rig.until((share * 6_000.0) as u64), ((share * 6_000.0) as u64, None));
        rig.blocks[0].voltage_v = Some(10.4);
        rig.until(10);
        assert_eq!(rig.state(), state);
    }
}

fn nightly(window_hours: u8) -> TestConfig {
    let rhythm = Rhythm::Days { days: 1 };
    let schedule = Schedule { hour: 3, minute: 0, rhythm, window_hours };
    TestConfig { schedule: Some(schedule), ..TestConfig::default() }
}

#[test]
fn scheduled_test_waits_for_the_rules() {
    let mut rig = Rig::new(nightly(24), Memory::default());
    rig.step();
    let due = WALL_S + 15 * HOUR;
    assert_eq!((rig.state(), rig.test.report().next_due_s), (State::Idle, Some(due)));
    rig.alarm = true;
    rig.leap(15 * HOUR);
    assert_eq!((rig.step(), rig.state()), (None, State::Waiting));
    assert_eq!(rig.test.report().hold, Some(Hold::from(HoldReason::Alarm)));
    let stored = *rig.test.memory();
    assert!(stored.pending);
    rig.alarm = false;
    assert_eq!(rig.step(), Some(TestCommand::Start));
    assert!(!rig.test.memory().pending);
    // The same after a restart while it waited; and a person may let it go.
    let mut again = Rig::new(nightly(24), stored);
    again.wall_s = rig.wall_s;
    again.test.stop();
    assert_eq!((again.step(), again.state()), (None, State::Idle));
}

#[test]
fn test_cut_short_by_an_outage_is_made_up_for() {
    let mut rig = Rig::new(nightly(24), Memory::default());
    rig.step();
    rig.leap(15 * HOUR);
    assert_eq!(rig.step(), Some(TestCommand::Start));
    rig.carry();
    rig.step();
    rig.mains = Some(false);
    rig.step();
    rig.feedback.on_test = None;
    rig.step();
    rig.back();
    (rig.mains, rig.phase) = (Some(true), Phase::Float);
    rig.step();
    assert_eq!(rig.state(), State::Waiting);
    assert_eq!(rig.test.report().hold.map(|h| h.reason), Some(HoldReason::RecentOutage));
    rig.leap(24 * HOUR);
    assert_eq!(rig.step(), Some(TestCommand::Start));
}

#[test]
fn clock_that_leaps_is_one_test_in_its_hours() {
    let mut rig = Rig::new(nightly(3), Memory::default());
    rig.step();
    rig.leap(10 * 24 * HOUR);
    assert_eq!(rig.step(), None);
    let hold = rig.test.report().hold.expect("noon is not the hour");
    assert_eq!((hold.reason, hold.for_s), (HoldReason::Window, Some(15 * HOUR - 2)));
    rig.leap(15 * HOUR - 2);
    assert_eq!(rig.step(), Some(TestCommand::Start));
    // Set back by years: the calendar goes on from there.
    let mut rig = Rig::new(nightly(24), Memory::default());
    rig.step();
    rig.wall_s = Some(WALL_S - 365 * 24 * HOUR);
    assert_eq!(rig.until(15 * HOUR), (15 * HOUR, Some(TestCommand::Start)));
}

#[test]
fn waiting_writes_the_memory_rarely() {
    let mut rig = Rig::new(nightly(24), Memory::default());
    rig.alarm = true;
    let (mut before, mut writes) = (*rig.test.memory(), 0);
    for _ in 0..10 * 24 * 60 {
        rig.leap(59);
        rig.step();
        writes += u32::from(before != *rig.test.memory());
        before = *rig.test.memory();
    }
    assert!(writes <= 12, "{writes} in ten days");
}

fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(f64::NEG_INFINITY)),
        (-1e3..1e3).prop_map(Some),
        (9.0..15.0).prop_map(Some),
    ]
}

proptest! {
    #[test]
    fn nothing_panics_and_a_start_is_always_followed_by_a_stop(
        steps in proptest::collection::vec(
            (any_value(), any_value(), any::<(u64, bool, bool, bool)>(), 0u8..5,
             any::<(Option<bool>, Option<bool>, Option<bool>, Option<bool>)>()), 1..300),
        leaps: bool, wall: Option<u64>,
    ) {
        let mut rig = Rig::new(nightly(5), Memory { outage_wall_s: wall, ..Memory::default() });
        let mut on = false;
        for (i, (v, a, (time, alarm, start, stop), phase, known)) in steps.into_iter().enumerate() {
            let block = i % rig.blocks.len();
            rig.blocks[block] = BlockScan { voltage_v: v, temperature_c: a, resistance_mohm: v, ..Default::default() };
            (rig.current_a, rig.alarm) = (a, alarm);
            rig.phase = [Phase::Unknown, Phase::Float, Phase::Boost, Phase::Discharge, Phase::Recharge][usize::from(phase)];
            (rig.mains, rig.full) = (known.0, known.1);
            rig.feedback = TestFeedback { accepted: known.2, on_test: known.3 };
            if leaps {
                (rig.now_s, rig.wall_s) = (time / 2, Some(time / 2));
            }
            if start {
                let _ = rig.start();
            }
            if stop {
                rig.test.stop();
            }
            match rig.step() {
                Some(TestCommand::Start) => {
                    prop_assert!(!on);
                    on = true;
                }
                Some(TestCommand::Stop) => on = false,
                None => {}
            }
            // Told to start and neither refused nor told to stop: still under way.
            let refused = rig.state() == State::Aborted(Cause::Refused);
            on &= !refused;
            prop_assert!(!on || rig.test.is_under_way());
            prop_assert_eq!(rig.test.memory().under_way, rig.test.is_under_way());
        }
    }
}
