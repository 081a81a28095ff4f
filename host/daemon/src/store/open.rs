//! Opening the store's file, and what to do when it is damaged: move it aside
//! under a name that says so, begin a new one, and tell it in an event.
//!
//! redb panics on some damage. Where panics unwind it is caught here; where
//! they abort (release), `<file>.opening` counts the openings that never
//! ended, and the third one is taken for damage. A power cut while opening
//! counts as one, so one alone proves nothing.

use super::StoreError;
use evenkeel_core::events::Event;
use redb::{Database, DatabaseError, StorageError};
use std::io;
use std::path::{Path, PathBuf};

/// Pages kept in memory; the default of redb is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// Openings that may die before the file is taken for damaged.
const ATTEMPTS_MAX: u8 = 2;

/// Open or begin the store at `path`. The event tells when the file there was
/// damaged.
pub fn open(path: &Path) -> Result<(Database, Option<Event>), StoreError> {
    let attempts = Attempts::begin(path);
    let checked = if attempts.failed >= ATTEMPTS_MAX {
        Err(StorageError::Corrupted("opening it kills the daemon".to_owned()).into())
    } else {
        checked(path)
    };
    attempts.end();
    let damage = match checked {
        Ok(database) => return Ok((database, None)),
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            return Err(StoreError::InUse { path: path.to_owned() });
        }
        Err(e) if !is_damage(&e) => return Err(error(path, e)),
        Err(e) => e.to_string(),
    };
    let aside = free_name(path);
    tracing::error!("store {} is damaged: {damage}; moved to {}", path.display(), aside.display());
    std::fs::rename(path, &aside).map_err(|e| error(path, StorageError::Io(e).into()))?;
    let database = reopen(path).map_err(|e| error(path, e))?;
    let moved_to = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((database, Some(Event::StoreDamaged { moved_to, reason: damage })))
}

/// Open a file that was good before.
pub fn reopen(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// Open and read every page: damage shows now and not in a month.
fn checked(path: &Path) -> Result<Database, DatabaseError> {
    let check = || {
        let mut database = reopen(path)?;
        if !database.check_integrity()? {
            tracing::warn!("store {} was repaired after an interrupted write", path.display());
        }
        Ok(database)
    };
    // Nothing of a half-opened database outlives the panic.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or_else(|_| {
        Err(StorageError::Corrupted("its pages contradict each other".to_owned()).into())
    })
}

/// Counts openings that did not come to an end, in a file of its own.
struct Attempts {
    file: PathBuf,
    failed: u8,
}

impl Attempts {
    fn begin(path: &Path) -> Self {
        let file = with_suffix(path, ".opening");
        let failed = std::fs::read(&file).ok().and_then(|b| b.first().copied()).unwrap_or(0);
        // A disk that cannot take one byte shows when the store is opened.
        let _ = std::fs::write(&file, [failed.saturating_add(1)]);
        Self { file, failed }
    }

    fn end(self) {
        let _ = std::fs::remove_file(self.file);
    }
}

/// True when the file's content is at fault, not the disk or a permission.
fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Io(e)) => {
            matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        DatabaseError::Storage(StorageError::Corrupted(_))
        | DatabaseError::RepairAborted
        | DatabaseError::UpgradeRequired(_) => true,
        _ => false,
    }
}

/// `<path>.damaged-<n>` for the first free n.
fn free_name(path: &Path) -> PathBuf {
    let name = |n: u32| with_suffix(path, &format!(".damaged-{n}"));
    (1..u32::MAX).map(name).find(|p| !p.exists()).unwrap_or_else(|| name(u32::MAX))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn error(path: &Path, source: DatabaseError) -> StoreError {
    StoreError::Open { path: path.to_owned(), source: Box::new(source.into()) }
}

#[cfg(test)]
mod tests {
    use super::super::{FILE, Limits, Store};
    use super::*;

    fn filled() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        for n in 0..200 {
            let event = Event::DaemonStarted { version: "x".repeat(n) };
            store.record_acknowledged(event).wait().expect("on the disk");
        }
        drop(store);
        let file = dir.path().join(FILE);
        (dir, file)
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_told() {
        let (dir, file) = filled();
        std::fs::write(&file, b"this is no database, it is a line of text").expect("written");
        for n in 1..=2 {
            let store = Store::open(dir.path(), Limits::default()).expect("a new store");
            let told = store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
            assert_eq!(told, 2);
            let events = store.events(None, 9).expect("readable");
            let Event::StoreDamaged { moved_to, .. } = &events[0].event else {
                panic!("{:?} tells nothing", events[0]);
            };
            assert_eq!(moved_to, &format!("{FILE}.damaged-{n}"));
            assert!(dir.path().join(moved_to).exists());
            drop(store);
            std::fs::write(&file, [0xff; 9_000]).expect("written");
        }
    }

    #[test]
    fn an_opening_that_keeps_dying_is_damage() {
        let (dir, file) = filled();
        for (died, kept) in [(1, true), (2, false)] {
            std::fs::write(with_suffix(&file, ".opening"), [died]).expect("written");
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            assert_eq!(store.events(None, 300).expect("readable").len() >= 200, kept);
            assert!(!with_suffix(&file, ".opening").exists());
        }
    }

    #[test]
    fn no_damage_makes_it_panic_or_vanish() {
        let (dir, file) = filled();
        let good = std::fs::read(&file).expect("readable");
        for step in 0..64 {
            let mut bytes = good.clone();
            let at = step * bytes.len() / 64 + step;
            if step % 4 == 0 {
                bytes.truncate(at.max(1));
            } else {
                let end = (at + 40).min(bytes.len());
                bytes[at..end].iter_mut().for_each(|b| *b ^= 0x55);
            }
            std::fs::write(&file, bytes).expect("written");
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            let events = store.events(None, 300).expect("readable").len();
            let aside = std::fs::read_dir(dir.path()).expect("readable").count() - 1;
            assert!(events >= 200 || aside > 0, "step {step}: {events} events, nothing told");
            drop(store);
            for entry in std::fs::read_dir(dir.path()).expect("readable") {
                std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
            }
        }
    }
}
