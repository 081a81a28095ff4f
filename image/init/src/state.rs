//! The state record on its partition: both copies read, one written, flushed
//! and read back (`evenkeel_signing::slot`).

use crate::log;
use crate::partition;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Copies, Event, Forbidden, Reason, Record, RecordError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Name of the partition.
pub const PARTITION: &str = "state";

/// Why the state record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk.
    #[error("the state record cannot be {0}")]
    Disk(&'static str, #[source] io::Error),
    /// Both copies are damaged.
    #[error("both copies of the state record are damaged: {0}; {1}")]
    Damaged(RecordError, RecordError),
    /// Not now.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The disk forgets.
    #[error("the state record was written and reads differently; the flash is worn out")]
    NotKept,
}

/// The record, where it is kept.
#[derive(Debug)]
pub struct State {
    file: File,
    copies: Copies,
}

impl State {
    /// Read it.
    ///
    /// # Errors
    /// [`StateError::Disk`] and [`StateError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| StateError::Disk("opened", e))?;
        let copies = [0, COPY_DISTANCE].map(|at| read(&file, at));
        let copies = Copies::judge(copies.each_ref().map(Option::as_ref))
            .map_err(|[a, b]| StateError::Damaged(a, b))?;
        Ok(Self { file, copies })
    }

    /// The record that counts.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.copies.record
    }

    /// Change it as `event` says; on the disk when this returns.
    ///
    /// # Errors
    /// [`StateError`]; then the record before counts.
    pub fn step(&mut self, event: Event) -> Result<(), StateError> {
        let next = self.copies.record.step(event)?;
        let at = self.copies.write_to as u64 * COPY_DISTANCE;
        let bytes = next.encode();
        self.file
            .write_all_at(&bytes, at)
            .and_then(|()| self.file.sync_all())
            .map_err(|e| StateError::Disk("written", e))?;
        if read(&self.file, at) != Some(bytes) {
            return Err(StateError::NotKept);
        }
        self.copies = Copies { record: next, write_to: 1 - self.copies.write_to };
        Ok(())
    }
}

/// Keep why the appliance restarts, as well as that is possible. Who asked for
/// a restart in good order may have said why already.
pub fn remember(reason: Reason) {
    let kept =
        partition::find(PARTITION).map_err(|e| StateError::Disk("found", e)).and_then(|path| {
            let mut state = State::open(&path)?;
            let known = !matches!(state.record().boot_reason, Reason::None | Reason::Power);
            if reason == Reason::Restart && known {
                return Ok(());
            }
            state.step(Event::Because(reason))
        });
    if let Err(error) = kept {
        log::say(&format!("the reason of the restart is not kept: {}", log::chain(&error)));
    }
}

/// A copy that cannot be read is none.
fn read(file: &File, at: u64) -> Option<[u8; RECORD_LEN]> {
    let mut bytes = [0; RECORD_LEN];
    file.read_exact_at(&mut bytes, at).is_ok().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::slot::Slot;

    fn disk() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut bytes = vec![0; 1 << 20];
        bytes[..RECORD_LEN].copy_from_slice(&Record::factory(Slot::A, [1; 8], 1).encode());
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn each_step_is_kept_and_the_copies_take_turns() {
        let (_dir, path) = disk();
        for turn in 0..5 {
            let mut state = State::open(&path).unwrap();
            assert_eq!(state.record().sequence, 1 + turn);
            state.step(Event::Settled).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        let copy = |at: usize| Record::decode(bytes[at..at + RECORD_LEN].try_into().unwrap());
        assert_eq!(copy(0).unwrap().sequence.abs_diff(copy(4096).unwrap().sequence), 1);
    }

    #[test]
    fn a_torn_copy_leaves_the_other_and_two_are_told() {
        let (_dir, path) = disk();
        State::open(&path).unwrap().step(Event::Steady).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096 + 300] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(State::open(&path).unwrap().record().sequence, 1);
        bytes[300] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(State::open(&path), Err(StateError::Damaged(..))));
    }

    #[test]
    fn what_is_forbidden_writes_nothing() {
        let (_dir, path) = disk();
        let before = std::fs::read(&path).unwrap();
        let refused = State::open(&path).unwrap().step(Event::Activate);
        assert!(matches!(refused, Err(StateError::Forbidden(Forbidden::NotReady))));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
