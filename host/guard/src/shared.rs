//! What the cycle thread and the socket thread share: plain numbers, each
//! written by one side and read by the other. Neither ever waits.

use crate::alloc_check;
use crate::port::{PORTS_MAX, PortError};
use evenkeel_core::image::Condition;
use evenkeel_core::time::Nanos;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Numbers between the two threads.
#[derive(Debug, Default)]
pub struct Shared {
    /// Set by a signal: leave in order.
    pub stop: Arc<AtomicBool>,
    /// Other settings are to take over.
    make_way: AtomicBool,
    /// Time in cycles completed, ns.
    operated: AtomicU64,
    /// Conditions as in the process image.
    conditions: AtomicU64,
    /// Per port: 0 while it is there, else one more than the operating
    /// system's number for why it is not (which is 0 for a hang-up).
    ports: [AtomicI32; PORTS_MAX],
}

impl Shared {
    /// Set by the main thread: let other settings take over, or no longer.
    pub fn set_make_way(&self, on: bool) {
        self.make_way.store(on, Ordering::Relaxed);
        if !on {
            self.tell_operated(Nanos(0));
        }
    }

    /// The present run ends.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.make_way.load(Ordering::Relaxed)
    }

    /// The cycle thread's conditions, and why its ports are lost, if they are.
    pub fn tell(&self, conditions: u64, lost: impl Iterator<Item = Option<PortError>>) {
        for (port, lost) in self.ports.iter().zip(lost) {
            port.store(lost.map_or(0, |error| error.errno() + 1), Ordering::Relaxed);
        }
        self.conditions.store(conditions, Ordering::Release);
    }

    /// The cycle thread's time in cycles completed.
    pub fn tell_operated(&self, time: Nanos) {
        self.operated.store(time.0, Ordering::Relaxed);
    }

    /// See [`Self::tell_operated`].
    pub fn operated(&self) -> Nanos {
        Nanos(self.operated.load(Ordering::Relaxed))
    }
}

/// Says on standard error what the cycle thread must not say itself: writing
/// may block or fail, and there it may do neither.
#[derive(Debug)]
pub struct Reporter {
    ports: Vec<PathBuf>,
    told: u64,
    told_ports: [i32; PORTS_MAX],
    told_allocations: u64,
}

impl Reporter {
    /// For a guard with these ports.
    pub fn new(ports: Vec<PathBuf>) -> Self {
        Self { ports, told: 0, told_ports: [0; PORTS_MAX], told_allocations: 0 }
    }

    /// Say what has changed since the last look.
    pub fn look(&mut self, shared: &Shared) {
        let conditions = shared.conditions.load(Ordering::Acquire);
        // Ports are told one by one, with their reasons.
        for condition in Condition::ALL.into_iter().filter(|c| *c != Condition::PortLost) {
            let bit = condition as u64;
            match (self.told & bit != 0, conditions & bit != 0) {
                (false, true) => crate::say(condition.text()),
                (true, false) => crate::say(&format!("over: {}", condition.text())),
                _ => {}
            }
        }
        self.told = conditions;
        self.look_at_ports(shared);
        let allocations = alloc_check::count().unwrap_or(0);
        if allocations != self.told_allocations {
            crate::say(&format!("the cycle thread has allocated: {allocations} times so far"));
            self.told_allocations = allocations;
        }
    }

    fn look_at_ports(&mut self, shared: &Shared) {
        let ports = self.ports.iter().zip(&shared.ports).zip(&mut self.told_ports);
        for ((path, port), told) in ports {
            let lost = port.load(Ordering::Relaxed);
            let path = path.display();
            match lost {
                _ if lost == *told => {}
                0 => crate::say(&format!("battery bus port {path} is back")),
                _ => {
                    let why = PortError::describe(lost - 1);
                    crate::say(&format!(
                        "battery bus port {path} is lost: {why}; tried again every cycle"
                    ));
                }
            }
            *told = lost;
        }
    }
}
