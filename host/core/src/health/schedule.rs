//! When which block's internal resistance is measured.
//!
//! A measurement loads the block with pulses, so it wants a string at rest:
//! at float, no discharge within 24 h, no battery test, no alarm, and one
//! block of a string at a time (facts/battery-science.md §3.6). The blocks
//! take turns, spread evenly over the interval; while one is measured, and for
//! a while after, its bypass is off and its voltage says nothing.
//!
//! The 24 h run on the monotonic clock when the discharge was seen since the
//! start, otherwise on the wall clock from the remembered time. When neither
//! is known the string waits 24 h: a discharge just before the start cannot
//! be ruled out.

use crate::scan::Phase;
use crate::time::Nanos;

/// Rest after a discharge.
const REST_S: u64 = 24 * 3600;
/// The pulses of one measurement.
const PULSES_S: u64 = 30;
/// The block's voltage settles for this long after them.
const BLANK_S: u64 = 60;

/// What forbids measuring, beside the phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// A battery test runs or is about to.
    pub battery_test: bool,
    /// Protection has raised an alarm on this string.
    pub alarm: bool,
    /// A person paused the string.
    pub paused: bool,
}

impl Orders {
    const fn forbid(self) -> bool {
        self.battery_test || self.alarm || self.paused
    }
}

/// Turns of the blocks of one string.
#[derive(Clone, Debug)]
pub struct ResistanceSchedule {
    blocks: usize,
    spacing: Nanos,
    next: usize,
    /// Block under measurement or in its blank, and when it began.
    current: Option<(usize, Nanos)>,
    last_start: Option<Nanos>,
    /// First step: from here an unknown past is waited out.
    began: Option<Nanos>,
    discharge: Option<Nanos>,
    discharge_wall_s: Option<u64>,
}

impl ResistanceSchedule {
    /// For a string of `blocks`, each measured once per `interval_h` hours
    /// (more slowly when there are too many for that). `discharge_wall_s`:
    /// the remembered end of the last discharge, seconds since 1970 UTC.
    #[must_use]
    pub fn new(blocks: usize, interval_h: f64, discharge_wall_s: Option<u64>) -> Self {
        // A conversion saturates, so that NaN and negative hours become the least spacing.
        let share_s = (interval_h * 3600.0 / blocks.max(1) as f64) as u64;
        Self {
            blocks,
            spacing: Nanos::from_secs(share_s.max(PULSES_S + BLANK_S)),
            next: 0,
            current: None,
            last_start: None,
            began: None,
            discharge: None,
            discharge_wall_s,
        }
    }

    /// The block whose measurement begins now, if any. Call once per scan.
    pub fn step(
        &mut self,
        now: Nanos,
        wall_s: Option<u64>,
        phase: Phase,
        orders: Orders,
    ) -> Option<usize> {
        let began = *self.began.get_or_insert(now);
        // A recharge whose discharge nobody saw: it ended just before at best.
        let unseen = phase == Phase::Recharge && self.discharge.is_none();
        if phase == Phase::Discharge || unseen {
            self.discharge = Some(now);
            self.discharge_wall_s = wall_s.or(self.discharge_wall_s);
        }
        if phase != Phase::Float || orders.forbid() {
            // What runs is aborted; its block takes the first turn afterwards.
            if let Some((block, start)) = self.current.take()
                && now.since(start) < Nanos::from_secs(PULSES_S)
            {
                self.next = block;
            }
            return None;
        }
        if self.current.is_some_and(|(_, start)| now.since(start).0 >= busy().0) {
            self.current = None;
        }
        let due = self.last_start.is_none_or(|start| now.since(start) >= self.spacing);
        if self.current.is_some() || !due || self.blocks == 0 {
            return None;
        }
        if !self.rested(now, wall_s, began) {
            return None;
        }
        let block = self.next % self.blocks;
        self.next = (block + 1) % self.blocks;
        self.current = Some((block, now));
        self.last_start = Some(now);
        Some(block)
    }

    /// Take this block's turn next, and as soon as measuring is allowed.
    pub fn prefer(&mut self, block: usize) {
        self.next = block;
        self.last_start = None;
    }

    /// The block that is being measured or settles afterwards: its bypass is
    /// to be off, its voltage not to be judged.
    #[must_use]
    pub const fn measuring(&self) -> Option<usize> {
        match self.current {
            Some((block, _)) => Some(block),
            None => None,
        }
    }

    /// End of the last discharge, seconds since 1970 UTC, to be remembered
    /// over a restart.
    #[must_use]
    pub const fn discharge_wall_s(&self) -> Option<u64> {
        self.discharge_wall_s
    }

    fn rested(&self, now: Nanos, wall_s: Option<u64>, began: Nanos) -> bool {
        let long_ago = |since: Nanos| now.since(since) >= Nanos::from_secs(REST_S);
        match (self.discharge, wall_s, self.discharge_wall_s) {
            (Some(seen), _, _) => long_ago(seen),
            (None, Some(wall_s), Some(end)) if wall_s >= end => {
                wall_s - end >= REST_S || long_ago(began)
            }
            _ => long_ago(began),
        }
    }
}

const fn busy() -> Nanos {
    Nanos::from_secs(PULSES_S + BLANK_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: Orders = Orders { battery_test: false, alarm: false, paused: false };

    fn rested(blocks: usize) -> ResistanceSchedule {
        ResistanceSchedule::new(blocks, 24.0, Some(1_000))
    }

    const LATER: Option<u64> = Some(1_000 + REST_S);

    #[test]
    fn every_block_has_one_turn_a_day_and_alone() {
        let mut schedule = rested(32);
        let mut turns = [0; 32];
        for s in 0..24 * 3600 {
            let start = schedule.step(Nanos::from_secs(s), LATER, Phase::Float, NONE);
            if let Some(block) = start {
                turns[block] += 1;
                assert_eq!(schedule.measuring(), Some(block));
            }
        }
        assert_eq!(turns, [1; 32]);
    }

    #[test]
    fn a_discharge_is_rested_for_a_day_whatever_the_wall_clock_says() {
        let mut schedule = rested(4);
        let at = Nanos::from_secs;
        assert_eq!(schedule.step(at(0), LATER, Phase::Float, NONE), Some(0));
        assert_eq!(schedule.step(at(10), LATER, Phase::Discharge, NONE), None);
        assert_eq!(schedule.measuring(), None, "aborted");
        assert_eq!(schedule.step(at(20), LATER, Phase::Recharge, NONE), None);
        let jumped = Some(u64::MAX);
        assert_eq!(schedule.step(at(10 + REST_S - 1), jumped, Phase::Float, NONE), None);
        assert_eq!(
            schedule.step(at(10 + REST_S), None, Phase::Float, NONE),
            Some(0),
            "the aborted block first"
        );
        assert_eq!(schedule.discharge_wall_s(), LATER);
    }

    #[test]
    fn an_unknown_past_is_waited_out() {
        let at = Nanos::from_secs;
        for (remembered, wall_s) in [(None, LATER), (Some(5_000_000), LATER), (Some(0), None)] {
            let mut schedule = ResistanceSchedule::new(4, 24.0, remembered);
            assert_eq!(schedule.step(at(7), wall_s, Phase::Float, NONE), None);
            assert_eq!(schedule.step(at(7 + REST_S - 1), wall_s, Phase::Float, NONE), None);
            assert_eq!(schedule.step(at(7 + REST_S), wall_s, Phase::Float, NONE), Some(0));
        }
    }

    #[test]
    fn orders_and_phases_forbid() {
        for orders in [
            Orders { battery_test: true, ..NONE },
            Orders { alarm: true, ..NONE },
            Orders { paused: true, ..NONE },
        ] {
            assert_eq!(rested(4).step(Nanos(0), LATER, Phase::Float, orders), None);
        }
        for phase in [Phase::Unknown, Phase::Boost, Phase::Discharge, Phase::Recharge] {
            assert_eq!(rested(4).step(Nanos(0), LATER, phase, NONE), None);
        }
        assert_eq!(rested(4).step(Nanos(0), LATER, Phase::Float, NONE), Some(0));
        assert_eq!(rested(0).step(Nanos(0), LATER, Phase::Float, NONE), None);
    }

    proptest! {
        #[test]
        fn never_two_blocks_and_never_out_of_range(
            blocks in 0usize..40,
            interval_h in any::<f64>(),
            steps in proptest::collection::vec(
                (any::<u64>(), proptest::option::of(any::<u64>()), 0u8..5), 1..200),
        ) {
            let mut schedule = ResistanceSchedule::new(blocks, interval_h, None);
            for (now, wall_s, phase) in steps {
                let phases =
                    [Phase::Unknown, Phase::Float, Phase::Boost, Phase::Discharge, Phase::Recharge];
                let phase = phases[usize::from(phase)];
                let before = schedule.measuring();
                let start = schedule.step(Nanos(now), wall_s, phase, NONE);
                if let Some(block) = start {
                    prop_assert!(block < blocks && phase == Phase::Float);
                    prop_assert!(before.is_none() || schedule.measuring() == Some(block));
                }
            }
        }
    }
}
