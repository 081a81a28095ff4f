//! Opening the store's file, and what to do when it is damaged: move it aside
//! under a name that says so, begin a new one, and tell it in an event.
//!
//! After a kill or a power cut redb walks all pages by itself while it opens
//! the file. After a panic in the use of the file every page is read here;
//! after a panic in that, the file is taken for damaged ([`super::fault`]).
//! A file that was never begun, because the disk was full or the power failed,
//! holds nothing and is begun again.

use super::StoreError;
use super::fault::{self, Stage};
use evenkeel_core::events::Event;
use redb::{Database, DatabaseError, StorageError};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pages kept in memory; the default of redb is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;

/// An open file.
pub struct Opened {
    pub database: Database,
    /// Tells that another file was there, damaged.
    pub damaged: Option<Event>,
}

/// How long another process may still hold the file. A daemon that was killed
/// in the instant in which it started a helper lives on in that helper until
/// it has begun its own program, and so does the lock.
const IN_USE_MAX: Duration = Duration::from_secs(5);
/// Time between two looks at the lock, of whose end nobody tells.
const IN_USE_LOOK: Duration = Duration::from_millis(50);

/// Open or begin the store at `path`, which a daemon before may just leave.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let begun = Instant::now();
    loop {
        match open_now(path) {
            Err(StoreError::InUse { .. }) if begun.elapsed() < IN_USE_MAX => {
                std::thread::sleep(IN_USE_LOOK);
            }
            done => return done,
        }
    }
}

fn open_now(path: &Path) -> Result<Opened, StoreError> {
    let begun = holds_something(path).map_err(|e| error(path, StorageError::Io(e).into()))?;
    if !begun {
        // There may be no file at all.
        let _ = std::fs::remove_file(path);
    }
    let checked = match fault::last(path) {
        Some(Stage::Opening) => {
            Err(StorageError::Corrupted("opening it stopped the daemon".to_owned()).into())
        }
        Some(Stage::Using) => guarded(path, true),
        None => guarded(path, false),
    };
    let damage = match checked {
        Ok(database) => {
            fault::forget(path);
            return Ok(Opened { database, damaged: None });
        }
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            return Err(StoreError::InUse { path: path.to_owned() });
        }
        Err(e) if !begun => {
            // Half a new file; its own failure is what counts.
            let _ = std::fs::remove_file(path);
            return Err(error(path, e));
        }
        Err(e) if !is_damage(&e) => return Err(error(path, e)),
        Err(e) => e.to_string(),
    };
    let aside = free_name(path);
    tracing::error!("store {} is damaged: {damage}; moved to {}", path.display(), aside.display());
    std::fs::rename(path, &aside).map_err(|e| error(path, StorageError::Io(e).into()))?;
    fault::forget(path);
    let database = create(path).map_err(|e| error(path, e))?;
    let moved_to = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Opened { database, damaged: Some(Event::StoreDamaged { moved_to, reason: damage }) })
}

fn create(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// Open, and read every page when asked to. Where panics unwind, one of redb's
/// is damage; where they do not, the next start finds the note of it.
fn guarded(path: &Path, every_page: bool) -> Result<Database, DatabaseError> {
    let work = || {
        let _doing = fault::doing(path, Stage::Opening);
        let mut database = create(path)?;
        if every_page && !database.check_integrity()? {
            tracing::warn!("store {} was repaired", path.display());
        }
        Ok(database)
    };
    // Nothing of a half-opened database outlives the panic.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StorageError::Corrupted("its pages contradict each other".to_owned()).into())
    })
}

/// False when there is no file, or one in which nothing was ever written: the
/// first thing that redb does is to make it large.
fn holds_something(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let mut piece = [0; 4_096];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(false),
            n if piece[..n].iter().any(|byte| *byte != 0) => return Ok(true),
            _ => {}
        }
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
        let mut last = 200;
        for n in 1..=2 {
            let store = Store::open(dir.path(), Limits::default()).expect("a new store");
            let told = store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
            assert!(told > last, "ids are never used twice: {told}, {last}");
            last = told;
            let events = store.events(None, 9);
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
    fn a_panic_in_use_has_the_file_checked_and_one_in_opening_moved_aside() {
        let (dir, file) = filled();
        for (stage, kept) in [(Stage::Using, true), (Stage::Opening, false)] {
            let thread = std::thread::spawn({
                let file = file.clone();
                move || {
                    let _doing = fault::doing(&file, stage);
                    panic!("as redb does on damage");
                }
            });
            assert!(thread.join().is_err());
            assert_eq!(fault::last(&file), Some(stage));
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            assert_eq!(store.events(None, 300).len() >= 200, kept);
            assert_eq!(fault::last(&file), None);
        }
    }

    #[test]
    fn a_file_that_another_is_just_leaving_is_waited_for() {
        let (dir, file) = filled();
        let held = create(&file).expect("opened");
        let (opening, began) = std::sync::mpsc::channel();
        let next = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || {
                opening.send(()).expect("somebody waits");
                Store::open(&dir, Limits::default()).map(|store| store.events(None, 300).len())
            }
        });
        began.recv().expect("it began");
        std::thread::sleep(IN_USE_LOOK);
        drop(held);
        assert!(next.join().expect("no panic").expect("opened after all") >= 200);
    }

    #[test]
    fn a_file_that_was_never_begun_is_no_damage() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        for bytes in [&[][..], &[0; 1 << 20]] {
            std::fs::write(&file, bytes).expect("written");
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            assert_eq!(store.events(None, 9), [], "nothing to tell");
            drop(store);
            assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
        }
    }

    #[test]
    fn interrupted_openings_prove_nothing() {
        let (dir, file) = filled();
        for _ in 0..5 {
            // A file that was not closed: as after a power cut.
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            let bytes = std::fs::read(&file).expect("readable");
            drop(store);
            std::fs::write(&file, bytes).expect("written");
        }
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert!(store.events(None, 300).len() >= 200);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn no_damage_makes_it_vanish_silently_or_stop_for_good() {
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
            // A panic stops the daemon; the second start knows of the first,
            // the third of the second.
            let starts = (0..3).find_map(|_| {
                let start =
                    || Store::open(dir.path(), Limits::default()).map(|s| s.events(None, 300));
                std::panic::catch_unwind(start).ok()
            });
            let events = starts.expect("no endless crash").expect("a store").len();
            let aside = std::fs::read_dir(dir.path()).expect("readable").count() - 1;
            assert!(events >= 200 || aside > 0, "step {step}: {events} events, nothing told");
            for entry in std::fs::read_dir(dir.path()).expect("readable") {
                std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
            }
        }
    }
}
