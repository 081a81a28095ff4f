//! How long a call into a plugin may compute (facts/wasm-host.md §6.3).
//!
//! The engine's clock interrupts a running guest every few milliseconds; the
//! question is then put to the *thread's CPU clock*. Waiting for a line costs
//! nothing, and a plugin that other programs starve is not blamed. Because a
//! guest could also wait for ever, in short waits, there is a generous limit
//! on the clock on the wall.

use crate::clock;
use crate::plugin::stop::Stop;
use core::fmt;
use evenkeel_core::time::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::UpdateDeadline;

/// CPU time for `start`.
pub const START_CPU: Nanos = Nanos::from_secs(5);
/// Most CPU time for one `poll`, whatever the manifest says.
pub const POLL_CPU_MAX: Nanos = Nanos::from_secs(1);
/// Longest call, waits included. Four times the longest wait of a host
/// function, so that no single transaction comes near it.
pub const CALL_MAX: Nanos = Nanos::from_secs(120);

/// Where plugins want more than there is for them ([`super::surplus`]), calls
/// that compute are followed by a pause of this many times what they used, so
/// that a plugin gets a fifth of a core and no more.
pub const REST_FACTOR: u64 = 4;

/// How long a plugin rests after a call that used `cpu`, if it has to.
#[must_use]
pub const fn rest(cpu: Nanos) -> Duration {
    Duration::from_nanos(cpu.0.saturating_mul(REST_FACTOR))
}

/// Why a call was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The plugin was told to stop and did not.
    Killed,
    /// It computed longer than this.
    Cpu(Nanos),
    /// It did not return within this time.
    Wall(Nanos),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("did not stop when told to"),
            Self::Cpu(limit) => {
                write!(f, "used more than its {} ms of processor time", limit.as_millis())
            }
            Self::Wall(limit) => write!(f, "did not return within {} ms", limit.as_millis()),
        }
    }
}

/// The budget of the call that runs. Lives in the store, used by its thread.
#[derive(Debug)]
pub struct Budget {
    stop: Arc<Stop>,
    wall_max: Nanos,
    cpu_max: Nanos,
    cpu_at_start: Nanos,
    wall_at_start: Nanos,
    /// Counted once per call.
    slow: bool,
    slow_calls: u64,
    cut: Option<Cut>,
}

impl Budget {
    /// A budget that is ended by `stop` being killed, and in which no call
    /// takes longer than `wall_max`, waits included.
    #[must_use]
    pub const fn new(stop: Arc<Stop>, wall_max: Nanos) -> Self {
        Self {
            stop,
            wall_max,
            cpu_max: Nanos(0),
            cpu_at_start: Nanos(0),
            wall_at_start: Nanos(0),
            slow: false,
            slow_calls: 0,
            cut: None,
        }
    }

    /// A call begins, now and on this thread.
    pub fn begin(&mut self, cpu_max: Nanos) {
        self.cpu_max = cpu_max;
        self.cpu_at_start = thread_cpu();
        self.wall_at_start = clock::now();
        self.slow = false;
        self.cut = None;
    }

    /// CPU time since the call began; on the same thread.
    #[must_use]
    pub fn cpu_used(&self) -> Nanos {
        thread_cpu().since(self.cpu_at_start)
    }

    /// Calls that used more than half of their budget.
    #[must_use]
    pub const fn slow_calls(&self) -> u64 {
        self.slow_calls
    }

    /// Whether the last call did.
    #[must_use]
    pub const fn was_slow(&self) -> bool {
        self.slow
    }

    /// Why the last call was ended, if it was.
    #[must_use]
    pub const fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// The engine's clock ticked while the guest ran.
    pub fn tick(&mut self) -> UpdateDeadline {
        let wall = clock::now().since(self.wall_at_start);
        self.cut = self.judge(self.cpu_used(), wall, self.stop.is_killed());
        match self.cut {
            Some(_) => UpdateDeadline::Interrupt,
            None => UpdateDeadline::Continue(1),
        }
    }

    fn judge(&mut self, cpu: Nanos, wall: Nanos, killed: bool) -> Option<Cut> {
        if cpu.0 > self.cpu_max.0 / 2 && !self.slow {
            self.slow = true;
            self.slow_calls += 1;
        }
        match () {
            () if killed => Some(Cut::Killed),
            () if cpu > self.cpu_max => Some(Cut::Cpu(self.cpu_max)),
            () if wall > self.wall_max => Some(Cut::Wall(self.wall_max)),
            () => None,
        }
    }
}

/// CPU time of this thread since it was started.
#[must_use]
pub fn thread_cpu() -> Nanos {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Nanos::from_secs(t.tv_sec.unsigned_abs()) + Nanos(t.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        let mut budget = Budget::new(Arc::new(Stop::new().expect("a descriptor")), CALL_MAX);
        budget.begin(Nanos::from_millis(100));
        budget
    }

    #[test]
    fn only_computing_counts_until_the_wall_does() {
        let mut budget = budget();
        let ms = Nanos::from_millis;
        assert_eq!(budget.judge(ms(1), Nanos::from_secs(119), false), None);
        assert_eq!(budget.judge(ms(100), ms(100), false), None);
        assert_eq!(budget.judge(ms(101), ms(101), false), Some(Cut::Cpu(ms(100))));
        assert_eq!(budget.judge(ms(1), Nanos::from_secs(121), false), Some(Cut::Wall(CALL_MAX)));
        assert_eq!(budget.judge(ms(0), ms(0), true), Some(Cut::Killed));
    }

    #[test]
    fn a_plugin_that_rests_gets_a_fifth_of_a_core() {
        assert_eq!(rest(Nanos::from_millis(200)), Duration::from_millis(800));
        assert_eq!(rest(POLL_CPU_MAX), Duration::from_secs(4));
        assert!(rest(Nanos(u64::MAX)) > Duration::from_secs(4), "no overflow");
    }

    #[test]
    fn a_slow_call_is_counted_once() {
        let mut budget = budget();
        for ms in [10, 51, 60, 99] {
            assert_eq!(budget.judge(Nanos::from_millis(ms), Nanos(0), false), None);
        }
        assert_eq!(budget.slow_calls(), 1);
        budget.begin(Nanos::from_millis(100));
        assert_eq!(budget.judge(Nanos::from_millis(80), Nanos(0), false), None);
        assert_eq!(budget.slow_calls(), 2);
    }

    #[test]
    fn sleeping_uses_no_processor_time() {
        let mut budget = budget();
        std::thread::sleep(std::time::Duration::from_millis(150));
        assert!(matches!(budget.tick(), UpdateDeadline::Continue(1)));
        assert!(budget.cpu_used() < Nanos::from_millis(50));
    }
}
