//! What the guard keeps over its restarts, carried to the disk by the main
//! thread: how often and how long it ran, latched trips, what was learned.

use crate::desk::Desk;
use crate::port::now;
use crate::shared::Shared;
use crate::state_file::Keeper;
use evenkeel_core::battery_test::Memory;
use evenkeel_core::control;
use evenkeel_core::time::Nanos;
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Version of [`Kept`]: another one's copies are refused.
const VERSION: u16 = 3;
/// How often the cycle thread's papers are looked at.
const LOOK: Nanos = Nanos::from_secs(1);

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept<C> {
    /// Times that the guard was started.
    pub starts: u64,
    /// Its last run ended in order.
    pub ended_in_order: bool,
    /// Time in cycles completed, all runs together, s.
    pub operating_s: u64,
    /// Latches and what was learned.
    pub control: C,
}

/// A [`control::Kept`] as it lies on the desk, on its way to the disk: the same
/// fields in the same order. One string at a time is taken from the desk, so
/// that neither is everything there twice nor does the cycle thread find the
/// desk occupied while a disk takes its time. Strings know nothing of each
/// other; that one is a cycle younger than another does no harm.
#[derive(Serialize)]
struct OnDesk<'a> {
    strings: Strings<'a>,
    tests: Vec<Memory>,
}

struct Strings<'a>(&'a Desk);

impl Serialize for Strings<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let count = self.0.kept(|kept| kept.strings.len());
        let mut strings = to.serialize_seq(Some(count))?;
        for place in 0..count {
            strings.serialize_element(&self.0.kept(|kept| kept.strings[place].clone()))?;
        }
        strings.end()
    }
}

const _: fn(control::Kept) = |kept| {
    // A field more there is a field more here.
    let control::Kept { strings: _, tests: _ } = kept;
};

/// Carries [`Kept`] from the cycle thread to the disk.
pub struct Record {
    keeper: Keeper,
    starts: u64,
    /// Operating time before this run, s.
    before_s: u64,
    shared: Arc<Shared>,
    latches: u64,
    looked: Option<Nanos>,
    /// The disk refuses, and that has been said.
    refused: bool,
}

impl Record {
    /// Read what the last run left in `folder`, and say what is wrong with it;
    /// with what that run knew.
    pub fn open(folder: &Path, shared: Arc<Shared>) -> (Self, control::Kept) {
        let (keeper, found) = Keeper::open::<Kept<control::Kept>>(folder, VERSION);
        for (path, error) in found.refused {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}"));
            let cause = cause.unwrap_or_default();
            crate::say(&format!("kept state {} {error}{cause}; it is not used", path.display()));
        }
        if let Some(last) = found.value.as_ref().filter(|last| !last.ended_in_order) {
            crate::say(&format!("run {} did not end in order", last.starts));
        }
        let last = found.value.unwrap_or_default();
        let record = Self {
            keeper,
            starts: last.starts + 1,
            before_s: last.operating_s,
            shared,
            latches: u64::MAX,
            looked: None,
            refused: false,
        };
        (record, last.control)
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
        // Read before what is written: what latches meanwhile is seen next time.
        let urgent = desk.has_latched(&mut self.latches) || begun;
        let offered = self.keeper.offer(time, &self.kept(desk, false), urgent);
        self.tell(offered.err());
    }

    /// Other settings take over: what was learned so far goes on with them.
    pub fn take_over(&mut self, desk: &Desk) -> control::Kept {
        (self.before_s, self.latches) = (self.operating_s(), u64::MAX);
        desk.take_kept()
    }

    /// An orderly stop: the last word goes to the disk.
    pub fn close(self, desk: &Desk) {
        let kept = self.kept(desk, true);
        if let Err(error) = self.keeper.close(&kept) {
            crate::say(&format!("kept state cannot be written: {error}"));
        }
    }

    fn kept<'a>(&self, desk: &'a Desk, ended_in_order: bool) -> Kept<OnDesk<'a>> {
        let tests = desk.kept(|kept| kept.tests.clone());
        Kept {
            starts: self.starts,
            ended_in_order,
            operating_s: self.operating_s(),
            control: OnDesk { strings: Strings(desk), tests },
        }
    }

    fn operating_s(&self) -> u64 {
        self.before_s.saturating_add(self.shared.operated().as_millis() / 1_000)
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
        let desk = Desk::new(&control(), control::Kept::default());
        for (run, in_order) in [(1, true), (2, false), (3, true)] {
            let shared = Arc::new(Shared::default());
            let (mut record, _) = Record::open(dir.path(), shared.clone());
            assert_eq!(record.starts, run);
            record.look(&desk);
            shared.tell_operated(Nanos::from_secs(14));
            if in_order {
                record.close(&desk);
            }
        }
        let (_, found) = Keeper::open::<Kept<control::Kept>>(dir.path(), VERSION);
        // The second run crashed before anything but its start was written.
        let kept = found.value.expect("kept");
        assert_eq!((kept.starts, kept.ended_in_order, kept.operating_s), (3, true, 28));
        // As bytes: what is not known yet is NaN, which equals nothing.
        let bytes = |kept: &control::Kept| postcard::to_allocvec(kept).expect("encodes");
        assert_eq!(bytes(&kept.control), bytes(&desk.take_kept()), "as it lies on the desk");
        assert_eq!(kept.control.strings.len(), 1);
    }
}
