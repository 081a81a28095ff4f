//! What the cycle thread and the socket thread share: plain numbers, each
//! written by one side and read by the other. Neither ever waits.

use evenkeel_core::image::{Condition, STRINGS_MAX};
use evenkeel_core::time::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Numbers between the two threads.
#[derive(Debug, Default)]
pub struct Shared {
    /// Set by a signal: leave in order.
    pub stop: Arc<AtomicBool>,
    /// Per string: paused until then on the monotonic clock; 0 is not paused.
    paused_until: [AtomicU64; STRINGS_MAX],
    /// Conditions as in the process image.
    conditions: AtomicU64,
    /// Why the port is lost, as the operating system's number; 0 is a hang-up.
    port_errno: AtomicI32,
}

impl Shared {
    /// Pause a string, counted from 0.
    pub fn pause(&self, string: usize, until: Nanos) {
        self.paused_until[string].store(until.0, Ordering::Relaxed);
    }

    /// When the pause of a string, counted from 0, ends.
    pub fn paused_until(&self, string: usize) -> Nanos {
        Nanos(self.paused_until[string].load(Ordering::Relaxed))
    }

    /// The cycle thread's conditions, and why the port is lost.
    pub fn tell(&self, conditions: u64, port_errno: i32) {
        self.port_errno.store(port_errno, Ordering::Relaxed);
        self.conditions.store(conditions, Ordering::Release);
    }
}

/// Says on standard error what the cycle thread must not say itself: writing
/// may block or fail, and there it may do neither.
#[derive(Debug, Default)]
pub struct Reporter {
    told: u64,
}

impl Reporter {
    /// Say what has changed since the last look.
    pub fn look(&mut self, shared: &Shared) {
        let conditions = shared.conditions.load(Ordering::Acquire);
        for condition in Condition::ALL {
            let bit = condition as u64;
            let cause = match shared.port_errno.load(Ordering::Relaxed) {
                _ if condition != Condition::PortLost => String::new(),
                0 => ": hung up; tried again every cycle".to_owned(),
                errno => {
                    let error = std::io::Error::from_raw_os_error(errno);
                    format!(": {error}; tried again every cycle")
                }
            };
            match (self.told & bit != 0, conditions & bit != 0) {
                (false, true) => crate::say(&format!("{}{cause}", condition.text())),
                (true, false) => crate::say(&format!("over: {}", condition.text())),
                _ => {}
            }
        }
        self.told = conditions;
    }
}
