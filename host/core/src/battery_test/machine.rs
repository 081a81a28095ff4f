//! [`BatteryTest`]: the state machine of [`super`], one per UPS.

use super::actuator::{TestCommand, TestFeedback};
use super::config::{PASS_SHARE, TestConfig};
use super::hold::{Hold, HoldReason, Memory, Rest};
use super::verdict::{Suspects, Verdict};
use super::watch::Watch;
use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// The UPS has so long to start, and to stop.
const FOLLOW: Nanos = Nanos::from_secs(30);
/// A stop that is not obeyed is given again after so long.
const AGAIN: Nanos = Nanos::from_secs(10);
/// The end of a test is no outage, though the string may look discharged for so long.
const SETTLE: Nanos = Nanos::from_secs(120);
/// The battery must be seen without load for so long before a UPS that says
/// nothing counts as having ended the test.
const UNFED: Nanos = Nanos::from_secs(10);
/// A test this recent makes a due one superfluous (a clock set back over it), s.
const RECENT_TEST_S: u64 = 12 * 3600;
/// A clock set back by less is being disciplined, s.
const CLOCK_STEP_S: u64 = 3600;
/// The calendar's mark moves at least so often, s.
const MARK_S: u64 = 86_400;

/// Why a test did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A block fell below its limit.
    BlockVoltage,
    /// A string fell below its limit.
    StringVoltage,
    /// A block got too warm.
    Temperature,
    /// Readings were lost.
    Lost,
    /// Mains failed: now it is a real discharge.
    MainsFailed,
    /// The UPS refused.
    Refused,
    /// The battery did not carry the load within 30 s.
    NotStarted,
    /// The UPS went back to mains by itself.
    EndedByUps,
    /// A person stopped it.
    ByHand,
    /// The program was started anew during the test.
    Restarted,
}

impl Cause {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BlockVoltage => "a block fell below its limit",
            Self::StringVoltage => "the string fell below its limit",
            Self::Temperature => "a block got too warm",
            Self::Lost => "readings were lost",
            Self::MainsFailed => "mains failed",
            Self::Refused => "the UPS refused",
            Self::NotStarted => "the battery did not carry the load within 30 s",
            Self::EndedByUps => "the UPS ended it",
            Self::ByHand => "stopped by a user",
            Self::Restarted => "the appliance was restarted",
        }
    }
}

/// Where a test stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// No test so far, none waits.
    #[default]
    Idle,
    /// A scheduled test is due and must wait, see [`Report::hold`].
    Waiting,
    /// The UPS was told to start.
    Starting,
    /// The battery carries the load.
    Running,
    /// The UPS was told to stop: at the end of the test, or for a cause.
    Stopping(Option<Cause>),
    /// The last test came to its end, see [`Report::verdict`].
    Done,
    /// The last test did not.
    Aborted(Cause),
}

/// What there is to know of a battery test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it stands.
    pub state: State,
    /// Why a test must not start now; `None`: it may, or one is under way.
    pub hold: Option<Hold>,
    /// How long the battery carries, or carried, the load, s.
    pub elapsed_s: f32,
    /// Share of the capacity drawn; `None` without a current sensor.
    pub drawn_share: Option<f32>,
    /// When the next test is due, seconds since 1970 UTC.
    pub next_due_s: Option<u64>,
    /// What the last test says.
    pub verdict: Option<Verdict>,
    /// The blocks to be checked.
    pub suspects: Suspects,
    /// String and block, from 0, that passed a limit.
    pub culprit: Option<(u16, Option<u16>)>,
    /// Alarm: the UPS did not start when told to.
    pub not_started: bool,
    /// Alarm: the UPS does not go back to mains.
    pub not_stopped: bool,
}

/// A string of the UPS, at one instant.
#[derive(Clone, Copy, Debug)]
pub struct StringInput<'a> {
    /// What was measured.
    pub scan: StringScan<'a>,
    /// What it does.
    pub phase: Phase,
}

/// What a step is told.
#[derive(Clone, Copy, Debug)]
pub struct TestInput<'a> {
    /// Monotonic time.
    pub now: Nanos,
    /// Wall-clock time, seconds since 1970 UTC, if the clock is set.
    pub wall_s: Option<u64>,
    /// The UPS's strings, in the order of [`BatteryTest::new`].
    pub strings: &'a [StringInput<'a>],
    /// Mains are there; `None`: nobody knows.
    pub mains: Option<bool>,
    /// The battery is full; `None`: nobody knows, time at float decides.
    pub full: Option<bool>,
    /// An alarm is active that forbids tests.
    pub alarm: bool,
    /// A resistance measurement runs.
    pub measuring: bool,
    /// What the UPS says.
    pub feedback: TestFeedback,
}

/// The battery test of one UPS.
#[derive(Clone, Debug)]
pub struct BatteryTest {
    config: TestConfig,
    strings: Vec<Watch>,
    rest: Rest,
    memory: Memory,
    report: Report,
    last: Nanos,
    /// When the state was entered.
    since: Nanos,
    /// When the battery last carried the load.
    fed: Nanos,
    /// When the stop was last given.
    told: Option<Nanos>,
    /// The end of a test may look like an outage until then.
    settling: Option<Nanos>,
    asked: bool,
    asked_stop: bool,
    scheduled: bool,
}

impl BatteryTest {
    /// For a UPS with these strings: the type of their blocks, and how many.
    /// If a test was under way when the memory was stored, the UPS is stopped
    /// first.
    #[must_use]
    pub fn new(config: TestConfig, strings: &[(&BatteryType, usize)], memory: Memory) -> Self {
        let restarted = State::Stopping(Some(Cause::Restarted));
        let state = if memory.under_way { restarted } else { State::Idle };
        Self {
            strings: strings.iter().map(|(b, n)| Watch::new(&config, b, *n)).collect(),
            rest: Rest::default(),
            report: Report { state, ..Report::default() },
            last: Nanos(0),
            since: Nanos(0),
            fed: Nanos(0),
            told: None,
            settling: None,
            asked: false,
            asked_stop: false,
            scheduled: false,
            memory,
            config,
        }
    }

    /// What there is to know.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// What to store when it has changed.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A test by hand, begun in the next step: the same rules but for the
    /// calendar.
    ///
    /// # Errors
    /// The [`Hold`] says why not, and until when.
    pub fn start(&mut self, input: &TestInput<'_>) -> Result<(), Hold> {
        match self.hold(input) {
            Some(hold) => Err(hold),
            None => {
                self.asked = true;
                Ok(())
            }
        }
    }

    /// End the test, or let the waiting one go, in the next step.
    pub fn stop(&mut self) {
        self.asked_stop = true;
        self.asked = false;
    }

    /// One scan; the command for the UPS, if there is one.
    pub fn step(&mut self, input: &TestInput<'_>) -> Option<TestCommand> {
        let pause = input.now.since(self.last);
        self.last = self.last.max(input.now);
        let feeding = self.feeding(input);
        if feeding {
            self.fed = self.last;
        }
        self.watch_outages(input, feeding);
        self.calendar(input.wall_s);
        let asked_stop = core::mem::take(&mut self.asked_stop);
        let command = match self.report.state {
            State::Starting => self.starting(input, feeding, asked_stop),
            State::Running => self.running(input, pause, asked_stop),
            State::Stopping(cause) => self.stopping(input, feeding, cause),
            State::Idle | State::Waiting | State::Done | State::Aborted(_) => {
                self.memory.pending &= !asked_stop;
                self.resting(input)
            }
        };
        self.report.hold = if self.is_under_way() { None } else { self.scheduled_hold(input) };
        self.report.next_due_s = self.config.schedule.and_then(|s| s.next_due(input.wall_s?));
        command
    }

    /// Between the start command and the UPS's return to mains.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        matches!(self.report.state, State::Starting | State::Running | State::Stopping(_))
    }

    fn feeding(&self, input: &TestInput<'_>) -> bool {
        let strings = self.strings.iter().zip(input.strings);
        strings.into_iter().any(|(w, s)| w.feeds(&s.scan, s.phase == Phase::Discharge))
    }

    fn watch_outages(&mut self, input: &TestInput<'_>, feeding: bool) {
        let discharge = input.strings.iter().any(|s| s.phase == Phase::Discharge);
        if self.settling.is_some_and(|until| self.last >= until) || !(discharge || feeding) {
            self.settling = None;
        }
        let ours = self.is_under_way() || self.settling.is_some();
        let outage = discharge && (input.mains == Some(false) || !ours);
        let all_float = input.strings.iter().all(|s| s.phase == Phase::Float);
        let phase = if all_float { Phase::Float } else { Phase::Unknown };
        self.rest.step(self.last, input.wall_s, outage, phase, &mut self.memory);
    }

    /// Note due times. One that was slept through, or leapt over by the clock,
    /// is one test, not several.
    fn calendar(&mut self, wall_s: Option<u64>) {
        let Some(schedule) = self.config.schedule else {
            (self.memory.pending, self.memory.seen_wall_s) = (false, None);
            return;
        };
        let Some(wall_s) = wall_s else { return };
        let seen_s = self.memory.seen_wall_s.unwrap_or(wall_s);
        if schedule.next_due(seen_s).is_some_and(|due| due <= wall_s) {
            let tested_s = self.memory.test_wall_s.map(|t| wall_s.saturating_sub(t));
            self.memory.pending |= tested_s.is_none_or(|ago| ago >= RECENT_TEST_S);
            self.memory.seen_wall_s = Some(wall_s);
        } else if self.memory.seen_wall_s.is_none()
            || wall_s.saturating_sub(seen_s) >= MARK_S
            || seen_s.saturating_sub(wall_s) >= CLOCK_STEP_S
        {
            self.memory.seen_wall_s = Some(wall_s);
        }
    }

    /// Why a test must not start now.
    fn hold(&self, input: &TestInput<'_>) -> Option<Hold> {
        let strings = || self.strings.iter().zip(input.strings);
        let whole = self.strings.len() == input.strings.len() && !self.strings.is_empty();
        let for_s = |reason, s: u64| (s > 0).then_some(Hold { reason, for_s: Some(s) });
        let when = |holds: bool, reason: HoldReason| holds.then(|| Hold::from(reason));
        let outage_s =
            self.rest.outage_s(self.last, input.wall_s, &self.memory, self.config.outage_hours);
        let float_s = self.rest.float_s(self.last, self.config.float_hours);
        when(self.is_under_way() || self.asked, HoldReason::Busy)
            .or_else(|| when(input.mains == Some(false), HoldReason::MainsAbsent))
            .or_else(|| when(input.alarm, HoldReason::Alarm))
            .or_else(|| when(input.measuring, HoldReason::Measuring))
            .or_else(|| {
                when(!whole || !strings().all(|(w, s)| w.is_read(&s.scan)), HoldReason::Unread)
            })
            .or_else(|| for_s(HoldReason::RecentOutage, outage_s))
            .or_else(|| {
                when(input.strings.iter().any(|s| s.phase != Phase::Float), HoldReason::NotAtFloat)
            })
            .or_else(|| match input.full {
                Some(full) => when(!full, HoldReason::NotFull),
                None => for_s(HoldReason::NotFull, float_s),
            })
    }

    /// The same for a scheduled test, which keeps to its hours.
    fn scheduled_hold(&self, input: &TestInput<'_>) -> Option<Hold> {
        let wait_s = || {
            let (schedule, wall_s) = self.config.schedule.zip(input.wall_s)?;
            let for_s = schedule.opens(wall_s) - wall_s;
            (self.memory.pending && for_s > 0)
                .then_some(Hold { reason: HoldReason::Window, for_s: Some(for_s) })
        };
        self.hold(input).or_else(wait_s)
    }

    fn resting(&mut self, input: &TestInput<'_>) -> Option<TestCommand> {
        for (watch, string) in self.strings.iter_mut().zip(input.strings) {
            watch.rest(&string.scan);
        }
        let by_hand = core::mem::take(&mut self.asked);
        let free = if by_hand { self.hold(input) } else { self.scheduled_hold(input) }.is_none();
        if free && (by_hand || self.memory.pending) {
            self.scheduled = self.memory.pending;
            self.memory.pending = false;
            self.memory.under_way = true;
            self.report = Report::default();
            self.enter(State::Starting);
            return Some(TestCommand::Start);
        }
        match (self.memory.pending, self.report.state) {
            (true, _) => self.report.state = State::Waiting,
            (false, State::Waiting) => self.report.state = State::Idle,
            (false, _) => {}
        }
        None
    }

    fn starting(
        &mut self,
        input: &TestInput<'_>,
        feeding: bool,
        asked_stop: bool,
    ) -> Option<TestCommand> {
        if input.mains == Some(false) {
            return self.end(Some(Cause::MainsFailed));
        }
        if asked_stop {
            return self.end(Some(Cause::ByHand));
        }
        if input.feedback.accepted == Some(false) {
            self.report.not_started = true;
            self.finish(input, Some(Cause::Refused));
            return None;
        }
        if feeding && input.feedback.on_test != Some(false) {
            self.strings.iter_mut().for_each(|w| w.begin(self.last));
            self.enter(State::Running);
            return self.running(input, Nanos(0), false);
        }
        if self.last.since(self.since) >= FOLLOW {
            self.report.not_started = true;
            return self.end(Some(Cause::NotStarted));
        }
        None
    }

    fn running(
        &mut self,
        input: &TestInput<'_>,
        pause: Nanos,
        asked_stop: bool,
    ) -> Option<TestCommand> {
        let elapsed_s = self.last.since(self.since).as_secs_f64();
        let mut passed = None;
        for (i, (watch, string)) in self.strings.iter_mut().zip(input.strings).enumerate() {
            let found = watch.step(self.last, &string.scan);
            passed = passed.or(found.map(|(cause, block)| (cause, i, block)));
        }
        let drawn = self.strings.iter().filter_map(Watch::drawn_share).reduce(f64::max);
        self.report.elapsed_s = elapsed_s as f32;
        self.report.drawn_share = drawn.map(|d| d as f32);
        let lost = pause > Nanos::from_secs(self.config.lost_s.into())
            || input.strings.len() != self.strings.len();
        let ended = match input.feedback.on_test {
            Some(on_test) => !on_test,
            None => self.last.since(self.fed) >= UNFED,
        };
        if input.mains == Some(false) {
            return self.end(Some(Cause::MainsFailed));
        }
        if let Some((cause, string, block)) = passed {
            self.report.culprit = Some((string as u16, block.map(|b| b as u16)));
            let voltage = matches!(cause, Cause::BlockVoltage | Cause::StringVoltage);
            if voltage && drawn.is_some_and(|d| d >= PASS_SHARE) {
                return self.end(None);
            }
            self.report.verdict = voltage.then_some(Verdict::Fail);
            return self.end(Some(cause));
        }
        let complete = elapsed_s >= 60.0 * self.config.minutes
            || drawn.is_some_and(|d| d >= self.config.share);
        match () {
            () if lost => self.end(Some(Cause::Lost)),
            () if asked_stop => self.end(Some(Cause::ByHand)),
            () if complete => self.end(None),
            () if ended => self.end(Some(Cause::EndedByUps)),
            () => None,
        }
    }

    /// Tell the UPS to go back to mains; judge what came to its end, or to a limit.
    fn end(&mut self, cause: Option<Cause>) -> Option<TestCommand> {
        if cause.is_none() || self.report.verdict.is_some() {
            let mut suspects = Suspects::default();
            let strings = self.strings.iter_mut().enumerate();
            let judged = strings.map(|(i, watch)| watch.judge(i, &mut suspects)).max();
            self.report.verdict = self.report.verdict.max(judged);
            self.report.suspects = suspects;
        }
        self.enter(State::Stopping(cause));
        self.told = Some(self.last);
        Some(TestCommand::Stop)
    }

    fn stopping(
        &mut self,
        input: &TestInput<'_>,
        feeding: bool,
        cause: Option<Cause>,
    ) -> Option<TestCommand> {
        let Some(told) = self.told else {
            // Restarted in a test: the first step gives the command.
            self.enter(self.report.state);
            self.told = Some(self.last);
            return Some(TestCommand::Stop);
        };
        let back = match input.feedback.on_test {
            Some(on_test) => !on_test,
            // Without mains the battery goes on feeding, and rightly so.
            None => !feeding || input.mains == Some(false),
        };
        if back {
            self.finish(input, cause);
            return None;
        }
        self.report.not_stopped |= self.last.since(self.since) >= FOLLOW;
        if self.last.since(told) < AGAIN {
            return None;
        }
        self.told = Some(self.last);
        Some(TestCommand::Stop)
    }

    fn finish(&mut self, input: &TestInput<'_>, cause: Option<Cause>) {
        self.enter(cause.map_or(State::Done, State::Aborted));
        self.report.not_stopped = false;
        self.told = None;
        self.memory.under_way = false;
        // What mains interrupted is made up for, under the rules for outages.
        self.memory.pending |= self.scheduled && cause == Some(Cause::MainsFailed);
        self.memory.test_wall_s = input.wall_s.or(self.memory.test_wall_s);
        self.settling = (input.mains != Some(false)).then(|| self.last + SETTLE);
    }

    fn enter(&mut self, state: State) {
        self.report.state = state;
        self.since = self.last;
    }
}

#[cfg(test)]
mod tests;
