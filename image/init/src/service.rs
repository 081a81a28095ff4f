//! One program that runs as long as the appliance does: when it starts again
//! after it ended. Pure; the supervisor starts and waits.

use std::time::Duration;

/// Time between the end of a service and its next start, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time between an end and a start.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A service that ran for so long begins with the short pause again.
const LASTED: Duration = Duration::from_secs(60);

/// What a service is doing. Times are since the start of the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It starts at this time.
    Waiting(Duration),
    /// It has been running since then.
    Running(Duration),
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    doing: Doing,
    pause: Duration,
    ends: u32,
}

impl Service {
    /// One that starts at once.
    #[must_use]
    pub const fn new() -> Self {
        Self { doing: Doing::Waiting(Duration::ZERO), pause: PAUSE, ends: 0 }
    }

    /// True when it is time to start it.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        matches!(self.doing, Doing::Waiting(at) if now >= at)
    }

    /// When to look at it again; `None` while it runs.
    #[must_use]
    pub const fn wakes(&self) -> Option<Duration> {
        match self.doing {
            Doing::Waiting(at) => Some(at),
            Doing::Running(_) => None,
        }
    }

    /// It was started.
    pub const fn started(&mut self, now: Duration) {
        self.doing = Doing::Running(now);
    }

    /// It ended, or could not be started; gives the time until its next start.
    pub fn ended(&mut self, now: Duration) -> Duration {
        let lasted = match self.doing {
            Doing::Running(since) => now.saturating_sub(since),
            Doing::Waiting(_) => Duration::ZERO,
        };
        if lasted >= LASTED {
            self.pause = PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        self.doing = Doing::Waiting(now + pause);
        self.ends = self.ends.saturating_add(1);
        pause
    }

    /// How often it ended.
    #[must_use]
    pub const fn ends(&self) -> u32 {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_that_keeps_ending_is_started_less_and_less_often() {
        let (mut service, mut now) = (Service::new(), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            assert!(service.is_due(now));
            service.started(now);
            assert_eq!(service.wakes(), None);
            let pause = service.ended(now);
            assert!(!service.is_due(now + pause - Duration::from_millis(1)));
            now += pause;
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        service.started(now);
        assert_eq!(service.ended(now + LASTED), PAUSE, "one that lasted begins afresh");
        assert_eq!(service.ends(), 11);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_starts_again_in_time(runs in prop::collection::vec(0u64..200, 1..50)) {
            let (mut service, mut now) = (Service::new(), Duration::ZERO);
            for run in runs {
                service.started(now);
                now += Duration::from_secs(run);
                let pause = service.ended(now);
                prop_assert!((PAUSE..=PAUSE_MAX).contains(&pause));
                prop_assert_eq!(service.wakes(), Some(now + pause));
                now += pause;
                prop_assert!(service.is_due(now));
            }
        }
    }
}
