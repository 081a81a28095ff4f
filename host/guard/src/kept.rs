//! What the guard keeps over its restarts, carried to the disk by the main
//! thread: how often and how long it ran, latched trips, what was learned.

use crate::desk::Desk;
use crate::port::now;
use crate::shared::Shared;
use crate::state_file::Keeper;
use evenkeel_core::control;
use evenkeel_core::time::Nanos;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Version of [`Kept`]: another one's copies are refused.
const VERSION: u16 = 3;
/// How often the cycle thread's papers are looked at.
const LOOK: Nanos = Nanos::from_secs(1);

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Times that the guard was started.
    pub starts: u64,
    /// Its last run ended in order.
    pub ended_in_order: bool,
    /// Time in cycles completed, all runs together, s.
    pub operating_s: u64,
    /// Latches and what was learned.
    pub control: control::Kept,
}

/// Carries [`Kept`] from the cycle thread to the disk.
pub struct Record {
    keeper: Keeper<Kept>,
    kept: Kept,
    /// Operating time before this run, s.
    before_s: u64,
    shared: Arc<Shared>,
    latches: u64,
    looked: Option<Nanos>,
    /// The disk refuses, and that has been said.
    refused: bool,
}

impl Record {
    /// Read what the last run left in `folder`, and say what is wrong with it.
    pub fn open(folder: &Path, shared: Arc<Shared>) -> Self {
        let (keeper, found) = Keeper::open(folder, VERSION);
        for (path, error) in found.refused {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}"));
            let cause = cause.unwrap_or_default();
            crate::say(&format!("kept state {} {error}{cause}; it is not used", path.display()));
        }
        if let Some(last) = found.value.as_ref().filter(|last: &&Kept| !last.ended_in_order) {
            crate::say(&format!("run {} did not end in order", last.starts));
        }
        let last = found.value.unwrap_or_default();
        let kept = Kept { starts: last.starts + 1, ended_in_order: false, ..last };
        Self {
            keeper,
            kept,
            before_s: last.operating_s,
            shared,
            latches: u64::MAX,
            looked: None,
            refused: false,
        }
    }

    /// What the last run knew.
    pub fn control(&self) -> &control::Kept {
        &self.kept.control
    }

    /// Look at what there is, and write what is due; a latch at once.
    pub fn look(&mut self, desk: &Desk) {
        let time = now();
        if self.looked.is_some_and(|looked| time.since(looked) < LOOK) {
            return;
        }
        // That a run has begun is worth knowing after a crash.
        let begun = self.looked.is_none();
        self.looked = Some(time);
        let urgent = self.update(desk) || begun;
        let offered = self.keeper.offer(time, &self.kept, urgent);
        self.tell(offered.err());
    }

    /// Other settings take over: what was learned so far goes on with them.
    pub fn take_over(&mut self, desk: &Desk) {
        self.update(desk);
        (self.before_s, self.latches) = (self.kept.operating_s, u64::MAX);
    }

    /// An orderly stop: the last word goes to the disk.
    pub fn close(mut self, desk: &Desk) {
        self.update(desk);
        self.kept.ended_in_order = true;
        if let Err(error) = self.keeper.close(&self.kept) {
            crate::say(&format!("kept state cannot be written: {error}"));
        }
    }

    /// True when a latch changed.
    fn update(&mut self, desk: &Desk) -> bool {
        let (control, urgent) = desk.kept(&mut self.latches);
        self.kept.control = control;
        let operated_s = self.shared.operated().as_millis() / 1_000;
        self.kept.operating_s = self.before_s.saturating_add(operated_s);
        urgent
    }

    fn tell(&mut self, error: Option<std::io::Error>) {
        if let Some(error) = &error
            && !self.refused
        {
            crate::say(&format!("kept state cannot be written: {error}; tried again later"));
        }
        self.refused |= error.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::tests::control;

    #[test]
    fn runs_and_their_time_add_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let desk = Desk::new(&control());
        for (run, in_order) in [(1, true), (2, false), (3, true)] {
            let shared = Arc::new(Shared::default());
            let mut record = Record::open(dir.path(), shared.clone());
            assert_eq!(record.kept.starts, run);
            record.look(&desk);
            shared.tell_operated(Nanos::from_secs(14));
            if in_order {
                record.close(&desk);
            }
        }
        let (_, found) = Keeper::<Kept>::open(dir.path(), VERSION);
        // The second run crashed before anything but its start was written.
        let kept = found.value.expect("kept");
        assert_eq!((kept.starts, kept.ended_in_order, kept.operating_s), (3, true, 28));
        assert_eq!(kept.control.strings.len(), 1);
    }
}
