//! Opening the store's file, and what to do when it is damaged: carry what can
//! be had into a new one ([`super::salvage`]), keep the damaged one beside it
//! for those who want to know why, and tell it in an event.
//!
//! At every start each page is held against its checksum before redb sees the
//! file: redb does so only when it was not closed, and by itself it would hand
//! out what a worn flash made of a page, or panic over it. A file that redb
//! opens with a panic nevertheless is taken for damaged, and one that it
//! panicked over in use is walked by redb, too ([`super::fault`]). A file that
//! was never begun, because the disk was full or the power failed, holds nothing
//! and is begun again.

use super::StoreError;
use super::fault::{self, Stage};
use super::relief;
use super::salvage::pages::Pages;
use super::salvage::{self, Salvaged};
use super::wear::{Meter, Metered};
use evenkeel_core::events::Event;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageError};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pages kept in memory; the default of redb is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// Behind the name of the store: what was damaged …
const DAMAGED: &str = ".damaged";
/// … and what is made of it, until it is the store.
const SALVAGED: &str = ".salvaged";

/// An open file.
pub struct Opened {
    pub database: Database,
    /// Tells that another file was there, damaged.
    pub damaged: Option<Event>,
}

/// Open or begin the store at `path`.
pub fn open(path: &Path, meter: &Arc<Meter>) -> Result<Opened, StoreError> {
    let begun = holds_something(path).map_err(|e| error(path, StorageError::Io(e).into()))?;
    if !begun {
        // There may be no file at all.
        let _ = std::fs::remove_file(path);
    }
    let checked = match fault::last(path) {
        Some(Stage::Opening) => {
            Err(StorageError::Corrupted("opening it stopped the daemon".to_owned()).into())
        }
        Some(Stage::Using) => guarded(path, meter, true),
        None => guarded(path, meter, false),
    };
    let damage = match checked {
        Ok(database) => {
            fault::forget(path);
            // Half a file of a salvage that nobody needs any more: the disk was full or
            // could not be read, and can now.
            let _ = std::fs::remove_file(with_suffix(path, SALVAGED));
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
    let opened = rescue(path, meter, damage).map_err(|e| match e {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        e => StoreError::Open { path: path.to_owned(), source: Box::new(e) },
    })?;
    fault::forget(path);
    Ok(opened)
}

/// A new file with what can be had from the damaged one, in its place. Until
/// then the damaged one stays where it is, and the next start tries again.
fn rescue(path: &Path, meter: &Arc<Meter>, reason: String) -> Result<Opened, redb::Error> {
    let (aside, fresh) = (with_suffix(path, DAMAGED), with_suffix(path, SALVAGED));
    // Of an earlier damage; one is enough, and its room is needed.
    let _ = std::fs::remove_file(&aside);
    relief::release(path);
    let file = locked(path)?;
    let pages = Pages::of(&file)?;
    let attempt = |all| {
        // Half a file of an attempt that was cut off, or of the one before.
        let _ = std::fs::remove_file(&fresh);
        let database = create(&fresh, meter)?;
        let salvaged = salvage::salvage(&pages, &database, all)?;
        Ok::<_, redb::Error>((database, salvaged))
    };
    let (database, Salvaged { tables, audit_gaps }) = match attempt(true) {
        Err(e) if relief::is_full(&e) => attempt(false)?,
        other => other?,
    };
    // Two names for the damaged file, and then one name for the new one: at no
    // time is there no store.
    std::fs::hard_link(path, &aside)?;
    std::fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    let moved_to = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let event = match tables.iter().any(|table| table.kept > 0) {
        true => {
            let audit_gaps = audit_gaps.iter().map(|(from, to)| format!("{from} to {to}"));
            Event::StoreSalvaged { moved_to, reason, tables, audit_gaps: audit_gaps.collect() }
        }
        false => Event::StoreDamaged { moved_to, reason },
    };
    tracing::error!("{event}");
    Ok(Opened { database, damaged: Some(event) })
}

/// The file, when nobody else has it: redb takes this lock, too.
fn locked(path: &Path) -> Result<File, DatabaseError> {
    let file = File::options().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::DatabaseAlreadyOpen),
        Err(TryLockError::Error(e)) => Err(e.into()),
    }
}

/// Hold every page against its checksum. Whoever opens the file between this
/// and redb's own opening is found there.
fn check(path: &Path) -> Result<(), DatabaseError> {
    let file = match locked(path) {
        Err(DatabaseError::Storage(StorageError::Io(e))) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(());
        }
        file => file?,
    };
    Pages::of(&file)?.check().map_err(|damage| StorageError::Corrupted(damage).into())
}

fn create(path: &Path, meter: &Arc<Meter>) -> Result<Database, DatabaseError> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    let disk = Metered::new(FileBackend::new(file)?, meter.clone());
    Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(disk)
}

/// Open, and read every page when asked to. Where panics unwind, one of redb's
/// is damage; where they do not, the next start finds the note of it.
fn guarded(path: &Path, meter: &Arc<Meter>, every_page: bool) -> Result<Database, DatabaseError> {
    let work = || {
        let _doing = fault::doing(path, Stage::Opening);
        check(path)?;
        let mut database = create(path, meter)?;
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

    /// Files in the directory that are or were the store.
    fn files(dir: &Path) -> usize {
        let names = std::fs::read_dir(dir).expect("readable").map(|e| e.expect("an entry"));
        names.filter(|e| e.file_name().to_string_lossy().starts_with(FILE)).count()
    }

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
    fn a_file_of_which_nothing_is_left_is_kept_aside_and_told() {
        let (dir, file) = filled();
        std::fs::write(&file, b"this is no database, it is a line of text").expect("written");
        let mut last = 200;
        for _ in 0..2 {
            let store = Store::open(dir.path(), Limits::default()).expect("a new store");
            let told = store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
            assert!(told > last, "ids are never used twice: {told}, {last}");
            last = told;
            let events = store.events(None, 9);
            let Event::StoreDamaged { moved_to, .. } = &events[0].event else {
                panic!("{:?} tells nothing", events[0]);
            };
            assert_eq!(moved_to, &format!("{FILE}.damaged"));
            assert_eq!(files(dir.path()), 2, "one is kept");
            assert!(dir.path().join(moved_to).exists());
            drop(store);
            std::fs::write(&file, [0xff; 9_000]).expect("written");
        }
    }

    #[test]
    fn a_panic_in_use_has_the_file_checked_and_one_in_opening_written_anew() {
        let (dir, file) = filled();
        for (stage, names) in [(Stage::Using, 1), (Stage::Opening, 2)] {
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
            assert!(store.events(None, 300).len() >= 200);
            assert_eq!(fault::last(&file), None);
            assert_eq!(files(dir.path()), names);
        }
    }

    #[test]
    fn a_file_in_use_is_not_judged() {
        let (dir, file) = filled();
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        // In the middle of a commit it would look damaged.
        assert!(matches!(check(&file), Err(DatabaseError::DatabaseAlreadyOpen)));
        drop(store);
        check(&file).expect("whole");
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
            assert_eq!(files(dir.path()), 1);
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
        assert_eq!(files(dir.path()), 1);
    }

    /// Ids of the events that were written before the damage.
    fn told(dir: &Path) -> Vec<u64> {
        let store = Store::open(dir, Limits::default()).expect("a store");
        let events = store.events(None, usize::MAX).into_iter();
        let old = events.filter(|e| matches!(e.event, Event::DaemonStarted { .. }));
        old.map(|stored| stored.id).collect()
    }

    /// The bytes of a store of which a page that is in use went bad.
    fn gone_bad() -> Vec<u8> {
        let (_dir, file) = filled();
        let good = std::fs::read(&file).expect("readable");
        let pages = 1..good.len() / 4_096;
        let mut bad = pages.map(|page| {
            let mut bytes = good.clone();
            bytes[page * 4_096 + 1_000..page * 4_096 + 1_040].iter_mut().for_each(|b| *b ^= 0x55);
            bytes
        });
        let is_noticed = |bytes: &Vec<u8>| {
            std::fs::write(&file, bytes).expect("written");
            check(&file).is_err()
        };
        bad.find(is_noticed).expect("some page is in use")
    }

    /// Power fails while a damaged store is written anew, and before it has its name.
    #[test]
    fn a_salvage_that_is_cut_off_loses_nothing_and_leaves_nothing_about() {
        let bad = gone_bad();
        let undisturbed = tempfile::tempdir().expect("a directory");
        let file = undisturbed.path().join(FILE);
        std::fs::write(&file, &bad).expect("written");
        drop(rescue(&file, &Arc::default(), "a page went bad".into()).expect("salvaged"));
        let whole = std::fs::read(&file).expect("readable");
        let wanted = told(undisturbed.path());
        assert!(!wanted.is_empty(), "something is left");
        let halves: [&[u8]; 5] =
            [&[], &[0; 9_000], &whole[..whole.len() / 2], b"no database", &whole];
        for (n, half) in halves.into_iter().enumerate() {
            for linked in [false, true] {
                let dir = tempfile::tempdir().expect("a directory");
                let file = dir.path().join(FILE);
                std::fs::write(&file, &bad).expect("written");
                std::fs::write(with_suffix(&file, SALVAGED), half).expect("written");
                if linked {
                    std::fs::hard_link(&file, with_suffix(&file, DAMAGED)).expect("linked");
                }
                assert_eq!(told(dir.path()), wanted, "half {n}, linked: {linked}");
                let aside = std::fs::read(with_suffix(&file, DAMAGED)).expect("kept");
                assert!(aside == bad, "what was damaged is kept as it was");
                assert_eq!(files(dir.path()), 2, "half {n}, linked: {linked}");
                // And it is a store like any other.
                assert_eq!(told(dir.path()), wanted, "once more");
            }
        }
        // Behind the rename nothing is to be done again.
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        std::fs::write(&file, &whole).expect("written");
        std::fs::write(with_suffix(&file, DAMAGED), &bad).expect("written");
        assert_eq!(told(dir.path()), wanted);
        assert!(std::fs::read(with_suffix(&file, DAMAGED)).expect("kept") == bad);
        assert_eq!(files(dir.path()), 2);
    }

    #[test]
    fn half_a_salvage_beside_a_good_store_goes() {
        let (dir, file) = filled();
        std::fs::write(with_suffix(&file, SALVAGED), [0; 9_000]).expect("written");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert!(store.events(None, 300).len() >= 200);
        assert_eq!(files(dir.path()), 1);
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
            let aside = files(dir.path()) - 1;
            assert!(events >= 200 || aside > 0, "step {step}: {events} events, nothing told");
            for entry in std::fs::read_dir(dir.path()).expect("readable") {
                std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
            }
        }
    }
}
