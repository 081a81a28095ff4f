//! What the guard keeps over its restarts, taken from the process image as
//! any reader would: the cycle thread knows nothing of it.

use crate::port::now;
use crate::state_file::Keeper;
use evenkeel_core::image::{self, Snapshot};
use evenkeel_core::time::Nanos;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicU32;

/// Version of [`Kept`]: another one's copies are refused.
const VERSION: u16 = 1;
/// How often the image is looked at.
const LOOK: Nanos = Nanos::from_secs(1);

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Times that the guard was started.
    pub starts: u64,
    /// Its last run ended in order.
    pub ended_in_order: bool,
    /// Time in cycles completed, all runs together, s.
    pub operating_s: u64,
}

/// Carries [`Kept`] from the image to the disk.
pub struct Record {
    keeper: Keeper<Kept>,
    kept: Kept,
    /// Operating time before this run, s.
    before_s: u64,
    image: &'static [AtomicU32],
    snapshot: Snapshot,
    looked: Option<Nanos>,
    /// The disk refuses, and that has been said.
    refused: bool,
}

impl Record {
    /// Read what the last run left in `folder`, and say what is wrong with it.
    pub fn open(folder: &Path, image: &'static [AtomicU32]) -> Self {
        let (keeper, found) = Keeper::open(folder, VERSION);
        for (path, error) in found.refused {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}"));
            let cause = cause.unwrap_or_default();
            crate::say(&format!("kept state {} {error}{cause}; it is not used", path.display()));
        }
        if let Some(last) = found.value.filter(|last: &Kept| !last.ended_in_order) {
            crate::say(&format!("run {} did not end in order", last.starts));
        }
        let last = found.value.unwrap_or_default();
        let kept = Kept { starts: last.starts + 1, ended_in_order: false, ..last };
        Self {
            keeper,
            kept,
            before_s: last.operating_s,
            image,
            snapshot: Snapshot::default(),
            looked: None,
            refused: false,
        }
    }

    /// Look at the image, and write what is due.
    pub fn look(&mut self) {
        let time = now();
        if self.looked.is_some_and(|looked| time.since(looked) < LOOK) {
            return;
        }
        // That a run has begun is worth knowing after a crash.
        let urgent = self.looked.is_none();
        self.looked = Some(time);
        self.update();
        let offered = self.keeper.offer(time, &self.kept, urgent);
        self.tell(offered.err());
    }

    /// An orderly stop: the last word goes to the disk.
    pub fn close(mut self) {
        self.update();
        self.kept.ended_in_order = true;
        if let Err(error) = self.keeper.close(&self.kept) {
            crate::say(&format!("kept state cannot be written: {error}"));
        }
    }

    fn update(&mut self) {
        // Disturbed by the guard's writing: the next look will do.
        if image::read(self.image, &mut self.snapshot).is_ok() {
            let cycle = &self.snapshot.cycle;
            let span = Nanos(cycle.cycles.saturating_mul(cycle.period.0));
            self.kept.operating_s = self.before_s.saturating_add(span.as_millis() / 1_000);
        }
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
    use evenkeel_core::image::Cycle;

    #[test]
    fn runs_and_their_time_add_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let image: &[AtomicU32] =
            (0..image::HALVES).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
        for (run, in_order) in [(1, true), (2, false), (3, true)] {
            image::publish(image, &Snapshot::default());
            let mut record = Record::open(dir.path(), image);
            assert_eq!(record.kept.starts, run);
            record.look();
            let cycle = Cycle { cycles: 7, period: Nanos::from_secs(2), ..Cycle::default() };
            image::publish(image, &Snapshot { cycle, ..Snapshot::default() });
            if in_order {
                record.close();
            }
        }
        let (_, found) = Keeper::<Kept>::open(dir.path(), VERSION);
        // The second run crashed before anything but its start was written.
        let kept = Kept { starts: 3, ended_in_order: true, operating_s: 28 };
        assert_eq!(found.value, Some(kept));
    }
}
