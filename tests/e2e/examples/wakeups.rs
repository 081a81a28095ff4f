//! How late a thread wakes up that sleeps as the guard's cycle does: to the
//! absolute time of a monotonic clock, every millisecond instead of every
//! second, so that rare delays show within a minute. Started by
//! `cargo xtask bench` under the guard's own priority:
//!
//! ```text
//! chrt --fifo 40 target/release/examples/wakeups 30
//! ```
//!
//! Prints one `name: value unit` a line.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute};
use rustix::time::clock_gettime;

const PERIOD_NS: u64 = 1_000_000;

fn main() {
    let seconds: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(30);
    // As the guard does; without it a page fault would show as jitter.
    if let Err(errno) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        eprintln!("memory is not locked: {errno}");
    }
    let mut late_ns = Vec::with_capacity((seconds * 1_000) as usize);
    let mut due = now() + PERIOD_NS;
    for _ in 0..seconds * 1_000 {
        let until = Timespec {
            tv_sec: (due / 1_000_000_000) as i64,
            tv_nsec: (due % 1_000_000_000) as i64,
        };
        // A signal would only wake it early, and there is none.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
        late_ns.push(now().saturating_sub(due));
        due += PERIOD_NS;
    }
    late_ns.sort_unstable();
    for (name, of_10_000) in [("p50", 5_000), ("p99", 9_900), ("p99.9", 9_990), ("p99.99", 9_999)] {
        let at = (late_ns.len() * of_10_000 / 10_000).min(late_ns.len() - 1);
        println!("wake-up jitter {name}: {:.1} µs", late_ns[at] as f64 / 1e3);
    }
    println!("wake-up jitter max: {:.1} µs", late_ns[late_ns.len() - 1] as f64 / 1e3);
    println!("wake-ups: {} times", late_ns.len());
}

fn now() -> u64 {
    let t = clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}
