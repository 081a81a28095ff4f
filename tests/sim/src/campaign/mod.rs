//! Random worlds against the guard's pure core: every seed is a case, and in
//! every scan of it the invariants must hold. A seed replays exactly.
//!
//! This is the one place of the simulator that runs the appliance's decisions.
//!
//! [`case`] makes a world from a seed, [`rig`] runs it with a [`Guardian`],
//! [`guardian`] is the appliance as one, [`invariant`] is what must hold.

pub mod case;
pub mod guardian;
pub mod invariant;
pub mod rig;

pub use case::{Case, Kind};
pub use guardian::ControlGuardian;
pub use invariant::{Invariant, Tally, Violation};
pub use rig::{Around, Guardian, Opinion, Rig};

use crate::scenario::ScenarioError;
use evenkeel_core::settings::GuardSettings;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a case came to.
#[derive(Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// The counts.
    pub tally: Tally,
    /// What was violated first.
    pub violation: Option<Violation>,
}

/// Run a case to its end or to its first violation.
///
/// # Errors
/// [`ScenarioError`] when the case is none.
pub fn run<G: Guardian>(
    case: Case,
    guardian: impl FnOnce(&GuardSettings) -> G,
) -> Result<Outcome, ScenarioError> {
    let mut rig = Rig::new(&case, guardian)?;
    let mut watch = invariant::Watch::new(&case);
    let mut stalls = case.stalls.iter().peekable();
    let mut jumps = case.clock_jumps.iter().peekable();
    let mut orders = case.orders.iter().peekable();
    let mut restarts = case.restarts.iter().peekable();
    let mut violation = None;
    while violation.is_none() && (rig.now() < case.length || watch.waits(&rig)) {
        if let Some((_, time)) = stalls.next_if(|(at, _)| *at <= rig.now()) {
            rig.stall(*time);
        }
        if let Some((_, seconds)) = jumps.next_if(|(at, _)| *at <= rig.now()) {
            rig.shift_wall_clock(*seconds);
        }
        if restarts.next_if(|at| **at <= rig.now()).is_some() {
            rig.guardian.restart();
            watch.restarted();
        }
        while let Some((_, order)) = orders.next_if(|(at, _)| *at <= rig.now()) {
            if rig.order(*order) {
                watch.ordered(*order, rig.now());
            }
        }
        rig.step();
        violation = watch.scan(&rig).err();
    }
    let violation = violation.or_else(|| watch.end(&rig).err());
    watch.tally.simulated_s = rig.now().as_secs_f64();
    Ok(Outcome { case, tally: watch.tally, violation })
}

/// Sums over many cases.
#[derive(Debug, Default)]
pub struct Summary {
    /// Cases by kind.
    pub cases: BTreeMap<Kind, u64>,
    /// Counts of all.
    pub tally: Tally,
    /// Those that failed, by seed.
    pub failures: BTreeMap<u64, (Kind, Violation)>,
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        *self.cases.entry(outcome.case.kind).or_default() += 1;
        self.tally.add(&outcome.tally);
        if let Some(violation) = outcome.violation {
            self.failures.insert(outcome.case.seed, (outcome.case.kind, violation));
        }
    }
}

/// Run the seeds `from` … `from + count − 1` on so many threads. What comes out
/// does not depend on their number.
///
/// # Errors
/// [`ScenarioError`] when a case is none.
pub fn run_all<G: Guardian>(
    from: u64,
    count: u64,
    threads: usize,
    guardian: impl Fn(&GuardSettings) -> G + Sync,
) -> Result<Summary, ScenarioError> {
    run_each(from, count, threads, guardian, |_| ())
}

/// The same, and look at each outcome as soon as it is there.
///
/// # Errors
/// [`ScenarioError`] when a case is none.
pub fn run_each<G: Guardian>(
    from: u64,
    count: u64,
    threads: usize,
    guardian: impl Fn(&GuardSettings) -> G + Sync,
    look: impl Fn(&Outcome) + Sync,
) -> Result<Summary, ScenarioError> {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Ok(Summary::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let outcome = run(Case::of(from.wrapping_add(index)), &guardian);
                    if let Ok(outcome) = &outcome {
                        look(outcome);
                    }
                    // A thread that panicked has ended the process' work anyway.
                    let mut all = summary.lock().expect("no case panics");
                    match (outcome, all.as_mut()) {
                        (Ok(outcome), Ok(all)) => all.add(outcome),
                        (Err(error), Ok(_)) => *all = Err(error),
                        (_, Err(_)) => return,
                    }
                }
            });
        }
    });
    summary.into_inner().expect("no case panics")
}
