//! Why a battery test must not start now, and until when.
//!
//! The first rule is never to test a partly charged battery: not within 24 h
//! of an outage, not before the battery is full (facts/battery-science.md
//! §1.8). The rule outlives a restart through [`Memory`].

use crate::scan::Phase;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// What must survive a restart; store it whenever it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Wall-clock time at which the battery last fed the load in an outage,
    /// seconds since 1970 UTC, to the minute.
    pub outage_wall_s: Option<u64>,
    /// Wall-clock time at which the last test ended.
    pub test_wall_s: Option<u64>,
    /// A scheduled test is due and waits.
    pub pending: bool,
    /// A test was under way: after a restart the UPS must be stopped.
    pub under_way: bool,
    /// Due times up to this wall-clock time were seen to.
    pub seen_wall_s: Option<u64>,
}

/// Why not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldReason {
    /// A test is under way.
    Busy,
    /// There are no mains, or nothing says that there are.
    MainsAbsent,
    /// An alarm is active.
    Alarm,
    /// A resistance measurement runs.
    Measuring,
    /// A block has no good reading.
    Unread,
    /// The battery was discharged in an outage not long enough ago.
    RecentOutage,
    /// A string is not at float.
    NotAtFloat,
    /// The battery is not full.
    NotFull,
    /// It is not the time of day.
    Window,
}

impl HoldReason {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Busy => "a test is under way",
            Self::MainsAbsent => "mains are absent",
            Self::Alarm => "an alarm is active",
            Self::Measuring => "internal resistance is being measured",
            Self::Unread => "a block has no good reading",
            Self::RecentOutage => "too soon after an outage",
            Self::NotAtFloat => "the battery is not at float",
            Self::NotFull => "the battery is not full",
            Self::Window => "outside the hours for tests",
        }
    }
}

/// A reason, and how long it will hold where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// For so many seconds from now; `None`: nobody knows.
    pub for_s: Option<u64>,
}

impl From<HoldReason> for Hold {
    fn from(reason: HoldReason) -> Self {
        Self { reason, for_s: None }
    }
}

/// How long ago the battery was last used, and for how long it has floated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    first: Option<Nanos>,
    outage: Option<Nanos>,
    float: Option<Nanos>,
}

impl Rest {
    /// One scan. `outage`: the battery feeds the load and it is no test.
    pub(super) fn step(
        &mut self,
        now: Nanos,
        wall_s: Option<u64>,
        outage: bool,
        phase: Phase,
        memory: &mut Memory,
    ) {
        self.first = self.first.or(Some(now));
        self.float = if phase == Phase::Float { self.float.or(Some(now)) } else { None };
        if outage {
            self.outage = Some(now);
        }
        let Some(wall_s) = wall_s else { return };
        // A clock that was set back: what it calls the future was some time ago.
        for past in [&mut memory.outage_wall_s, &mut memory.test_wall_s] {
            *past = past.map(|p| p.min(wall_s));
        }
        let minute_over = memory.outage_wall_s.is_none_or(|p| wall_s - p >= 60);
        if outage && minute_over {
            memory.outage_wall_s = Some(wall_s);
        }
    }

    /// Seconds until an outage is long enough ago; 0: it is. Without a set
    /// clock only what was seen since the start counts.
    pub(super) fn outage_s(
        &self,
        now: Nanos,
        wall_s: Option<u64>,
        memory: &Memory,
        hours: u16,
    ) -> u64 {
        let span_s = u64::from(hours) * 3600;
        let ago_s = |then: Nanos| now.since(then).as_millis() / 1000;
        let seen_s = self.outage.map(ago_s);
        let stored_s = match (wall_s, memory.outage_wall_s) {
            (Some(wall), Some(outage)) => Some(wall.saturating_sub(outage)),
            (None, Some(_)) => self.first.map(ago_s),
            (_, None) => None,
        };
        let ago_s = seen_s.into_iter().chain(stored_s).min();
        ago_s.map_or(0, |ago| span_s.saturating_sub(ago))
    }

    /// Seconds until the battery has floated for so many hours.
    pub(super) fn float_s(&self, now: Nanos, hours: u16) -> u64 {
        let floated_s = self.float.map_or(0, |since| now.since(since).as_millis() / 1000);
        (u64::from(hours) * 3600).saturating_sub(floated_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn outage_s(rest: &Rest, now_s: u64, wall_s: Option<u64>, memory: &Memory) -> u64 {
        rest.outage_s(Nanos::from_secs(now_s), wall_s, memory, 24)
    }

    #[test]
    fn outage_is_remembered_across_a_restart() {
        let (mut rest, mut memory) = (Rest::default(), Memory::default());
        rest.step(Nanos::from_secs(9), Some(1_000_000), true, Phase::Discharge, &mut memory);
        rest.step(Nanos::from_secs(19), Some(1_000_010), true, Phase::Discharge, &mut memory);
        assert_eq!(memory.outage_wall_s, Some(1_000_000), "not stored every second");
        assert_eq!(outage_s(&rest, 19 + HOUR, Some(1_003_610), &memory), 23 * HOUR);
        let mut rest = Rest::default();
        rest.step(Nanos(0), Some(1_003_600), false, Phase::Float, &mut memory);
        assert_eq!(outage_s(&rest, 0, Some(1_003_600), &memory), 23 * HOUR);
        assert_eq!(outage_s(&rest, 0, Some(1_000_000 + 24 * HOUR), &memory), 0);
    }

    #[test]
    fn clock_not_set_or_set_back_is_on_the_safe_side() {
        let mut rest = Rest::default();
        let mut memory = Memory { outage_wall_s: Some(1_000_000), ..Memory::default() };
        rest.step(Nanos(0), None, false, Phase::Float, &mut memory);
        assert_eq!(outage_s(&rest, HOUR, None, &memory), 23 * HOUR, "counted from the start");
        rest.step(Nanos::from_secs(HOUR), Some(500_000), false, Phase::Float, &mut memory);
        assert_eq!(outage_s(&rest, HOUR, Some(500_000), &memory), 24 * HOUR);
    }

    #[test]
    fn float_must_not_be_broken() {
        let (mut rest, mut memory) = (Rest::default(), Memory::default());
        for (hour, phase) in [(0, Phase::Float), (5, Phase::Boost), (6, Phase::Float)] {
            rest.step(Nanos::from_secs(hour * HOUR), None, false, phase, &mut memory);
        }
        assert_eq!(rest.float_s(Nanos::from_secs(10 * HOUR), 8), 4 * HOUR);
    }
}
