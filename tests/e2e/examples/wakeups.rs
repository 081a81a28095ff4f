//! How late threads wake up that sleep as the guard's cycle does: to the
//! absolute time of a monotonic clock, every millisecond instead of every
//! second, so that rare delays show within a minute; one on each processor.
//! Started by `cargo xtask bench` under the guard's own priority:
//!
//! ```text
//! chrt --fifo 40 target/release/examples/wakeups 30
//! ```
//!
//! A virtual machine is stopped as a whole now and then, for some milliseconds:
//! all processors wake up late at the same instant, whatever their priority.
//! Nothing inside it can cause or prevent that, so that part is also told, and
//! taken off, by itself.
//!
//! Prints one `name: value unit` a line.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{ClockId, CpuSet, Timespec, clock_nanosleep_absolute, sched_setaffinity};
use rustix::time::clock_gettime;
use std::thread;

const PERIOD_NS: u64 = 1_000_000;
/// All processors so late at once is a stop of the machine.
const STOPPED_NS: u64 = 1_000_000;

fn main() {
    let seconds: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(30);
    // As the guard does; without it a page fault would show as jitter.
    if let Err(errno) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        eprintln!("memory is not locked: {errno}");
    }
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // Every thread is there before the first is due.
    let first = now() + 100 * PERIOD_NS;
    let meters: Vec<_> = (0..processors)
        .map(|processor| thread::spawn(move || wake(processor, first, seconds * 1_000)))
        .collect();
    let late: Vec<Vec<u64>> =
        meters.into_iter().map(|meter| meter.join().expect("a meter does not panic")).collect();
    tell("wake-up jitter", late.concat());
    println!("wake-ups: {} times", late.iter().map(Vec::len).sum::<usize>());
    if processors > 1 {
        without_stops(&late);
    }
}

/// Wake up `times` times, a period apart from `first` on; how late each was, ns.
fn wake(processor: usize, first: u64, times: u64) -> Vec<u64> {
    if let Err(errno) = pin(processor) {
        eprintln!("a meter is not kept on processor {processor}: {errno}");
    }
    let wake_at = |due: u64| {
        let until = Timespec {
            tv_sec: (due / 1_000_000_000) as i64,
            tv_nsec: (due % 1_000_000_000) as i64,
        };
        // A signal would only wake it early, and there is none.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
        now().saturating_sub(due)
    };
    (0..times).map(|n| wake_at(first + n * PERIOD_NS)).collect()
}

fn pin(processor: usize) -> Result<(), Errno> {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only)
}

/// The same without what all processors were late together.
fn without_stops(late: &[Vec<u64>]) {
    let at_once: Vec<u64> = (0..late[0].len())
        .map(|n| late.iter().map(|one| one[n]).min().unwrap_or(0))
        .map(|least| if least < STOPPED_NS { 0 } else { least })
        .collect();
    // A stop makes every wake-up late that was due in it.
    let begun = |n: &usize| at_once[*n] > 0 && n.checked_sub(1).is_none_or(|p| at_once[p] == 0);
    println!("stops of the whole machine: {} times", (0..at_once.len()).filter(begun).count());
    let longest = at_once.iter().max().copied().unwrap_or(0);
    println!("stops of the whole machine, longest: {:.1} µs", longest as f64 / 1e3);
    let rest = |one: &Vec<u64>| one.iter().zip(&at_once).map(|(l, s)| l - s).collect::<Vec<_>>();
    tell("wake-up jitter without stops", late.iter().flat_map(rest).collect());
}

fn tell(name: &str, mut late_ns: Vec<u64>) {
    late_ns.sort_unstable();
    for (of, of_10_000) in [("p50", 5_000), ("p99", 9_900), ("p99.9", 9_990), ("p99.99", 9_999)] {
        let at = (late_ns.len() * of_10_000 / 10_000).min(late_ns.len() - 1);
        println!("{name} {of}: {:.1} µs", late_ns[at] as f64 / 1e3);
    }
    println!("{name} max: {:.1} µs", late_ns[late_ns.len() - 1] as f64 / 1e3);
}

fn now() -> u64 {
    let t = clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}
