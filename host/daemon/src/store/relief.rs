//! Room on a full disk: the oldest history goes first, then the oldest
//! discharge records; events, the audit log and settings stay.
//!
//! Dropping something needs a little room itself, because redb never writes
//! over what is in force. So a *reserve* lies beside the store: a file of
//! [`RESERVE_BYTES`] that is good for nothing, given up when the disk is full
//! and made again when there is room.

use super::{history, table};
use redb::{Database, ReadableTable as _, WriteTransaction};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of the reserve.
pub const RESERVE_BYTES: usize = 1 << 20;
/// This part of the history goes at once.
const SHARE: u64 = 4;

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Of the history: records' rows, and bytes.
    pub history: history::Gone,
    /// Discharge records.
    pub discharges: u64,
}

impl Dropped {
    /// True when there was nothing to drop.
    pub const fn is_nothing(&self) -> bool {
        self.history.bytes == 0 && self.discharges == 0
    }
}

/// Drop the oldest part of what may go.
pub fn drop_oldest(database: &Database) -> Result<Dropped, redb::Error> {
    let mut dropped = Dropped::default();
    let write = database.begin_write()?;
    {
        dropped.history = history::drop_oldest(&write, SHARE)?;
        if dropped.history.bytes == 0 {
            dropped.discharges = drop_discharges(&write)?;
        }
    }
    write.commit()?;
    // What the commit before it freed can be used from the next one on.
    database.begin_write()?.commit()?;
    Ok(dropped)
}

/// Drop the oldest discharge records, whosesoever they are; how many went.
fn drop_discharges(write: &WriteTransaction) -> Result<u64, redb::Error> {
    let mut records = write.open_table(table::DISCHARGES)?;
    let mut rows = write.open_table(table::DISCHARGE_ROWS)?;
    let mut oldest = Vec::new();
    for record in records.iter()? {
        let (string, begun_unix_ms) = record?.0.value();
        oldest.push((begun_unix_ms, string));
    }
    oldest.sort_unstable();
    oldest.truncate(oldest.len().div_ceil(SHARE as usize));
    for (begun_unix_ms, string) in &oldest {
        records.remove((*string, *begun_unix_ms))?;
        rows.remove((*string, *begun_unix_ms))?;
    }
    Ok(oldest.len() as u64)
}

/// Make the reserve, unless it is there. Without room there is none.
pub fn reserve(store: &Path) {
    let path = path(store);
    if path.metadata().is_ok_and(|file| file.len() == RESERVE_BYTES as u64) {
        return;
    }
    if let Err(e) = make(&path) {
        // Half a reserve takes room and is worth little.
        let _ = fs::remove_file(&path);
        tracing::debug!("no reserve beside the store: {e}");
    }
}

/// Give the reserve up.
pub fn release(store: &Path) {
    // It may be given up already.
    let _ = fs::remove_file(path(store));
}

/// True for an error that says that the disk is full.
pub fn is_full(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(e)
        if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

fn make(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    // Not zeros: some file systems keep them for nothing.
    let piece: Vec<u8> =
        (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for _ in 0..RESERVE_BYTES / piece.len() {
        file.write_all(&piece)?;
    }
    file.sync_all()
}

/// Where the reserve of a store lies.
pub fn path(store: &Path) -> PathBuf {
    store.with_extension("reserve")
}

#[cfg(test)]
mod tests {
    use super::super::history::Whose;
    use super::super::open::Opened;
    use super::super::{FILE, Limits, PastDischarge, Store, StoreError, lock};
    use super::*;
    use crate::guard::RecordRows;
    use evenkeel_core::discharge::DischargeRecord;
    use evenkeel_core::events::Event;
    use evenkeel_core::history::level::{DAY_MS, HOUR_MS};
    use evenkeel_core::history::series::{self, Measure};
    use evenkeel_core::history::{Head, Level, Record, Row, Series, Span};
    use evenkeel_core::points::{Quality, Unit};
    use evenkeel_core::settings::forms::Kind;
    use redb::StorageBackend;
    use redb::backends::FileBackend;
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    /// Blocks of a disk.
    const BLOCK: u64 = 4_096;

    /// A disk with so much room, of which the reserve takes its part. As usual,
    /// a file takes room when it is written to, not when it is made longer.
    #[derive(Clone, Debug)]
    struct Small {
        file: Arc<FileBackend>,
        store: PathBuf,
        room: u64,
        taken: Arc<Mutex<BTreeSet<u64>>>,
    }

    impl StorageBackend for Small {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.file.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let reserve = path(&self.store).metadata().map_or(0, |file| file.len());
            let mut taken = lock(&self.taken);
            let blocks = offset / BLOCK..=(offset + data.len() as u64 - 1) / BLOCK;
            let more = blocks.clone().filter(|block| !taken.contains(block)).count() as u64;
            if more > 0 && (taken.len() as u64 + more) * BLOCK + reserve > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            taken.extend(blocks);
            self.file.write(offset, data)
        }
    }

    fn start(store: &Path, room: u64) -> Store {
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(store);
        let file = Arc::new(FileBackend::new(file.expect("a file")).expect("a backend"));
        let (store, taken) = (store.to_owned(), Arc::default());
        let disk = Small { file, store: store.clone(), room, taken };
        let path = store.clone();
        let opener = Box::new(move |_: &_| {
            let disk = disk.clone();
            let opened = Database::builder().set_cache_size(1 << 20).create_with_backend(disk);
            let failed = |e: redb::DatabaseError| StoreError::Open {
                path: path.clone(),
                source: Box::new(e.into()),
            };
            Ok(Opened { database: opened.map_err(failed)?, damaged: None })
        });
        Store::start(store, Limits::default(), opener).expect("a store")
    }

    /// Rows of each string.
    const ROWS: u64 = 150;

    /// A row every eight hours that hardly can be compressed.
    fn noisy(n: u64) -> Row {
        let mut seed = n;
        let mut noise = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as i32
        };
        let blocks = (0..200).map(|_| Record {
            voltage_mv: Some(Span::of(noise() % 16_000)),
            temperature_dc: Some(Span::of(noise() % 1_000)),
            ..Record::default()
        });
        let blocks = blocks.collect();
        Row { head: Head { unix_ms: 8 * HOUR_MS * n, ..Head::default() }, blocks }
    }

    #[test]
    fn on_a_full_disk_history_goes_and_events_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        let store = start(&file, 4 << 20);
        let mut ids = Vec::new();
        for n in 0..ROWS {
            let rows = (1..=16).map(|string| (string, (&noisy(n)).into()));
            // Whether there was room is seen below.
            drop(store.append(rows.collect()));
            let order = format!("{n}");
            let (user, from) = ("admin".to_owned(), "::1".to_owned());
            let event = Event::Ordered { user, from, order, refused: None };
            ids.push(store.record_acknowledged(event).wait().expect("never refused"));
        }
        let mut past = Vec::new();
        let visit = |head: &Head, record: &Record| past.push((head.unix_ms, *record));
        store.each_record(1, 0, 0..=u64::MAX, visit).expect("readable");
        let first = past.first().expect("some of it is left").0 / (8 * HOUR_MS);
        assert!(first > 0, "the oldest went");
        let whole = (first..ROWS).map(|n| (8 * HOUR_MS * n, noisy(n).blocks[0]));
        assert_eq!(past, whole.collect::<Vec<_>>(), "and nothing else");
        let events = store.events(None, usize::MAX);
        let kept: Vec<_> = events.iter().map(|event| event.id).collect();
        assert!(ids.iter().all(|id| kept.contains(id)), "no event went");
        let told = events.iter().any(|event| {
            matches!(event.event, Event::StoreRecovered { samples_lost } if samples_lost > 0)
        });
        assert!(told, "and it was told");
        let log = store.audit_export().expect("a log");
        evenkeel_signing::audit::verify(&log, store.audit_key()).expect("whole");
        assert!(String::from_utf8_lossy(&log).contains("drop the oldest history"));
    }

    const CONFIG: Kind = Kind::first("config");
    const POINT: &str = "ups.0.ups.load";

    /// Twenty days of a string and of a point, their last day not over; discharges of
    /// two strings in turn; an event, a user and settings.
    fn fill(store: &Store) {
        for day in 0..20 {
            store.append(vec![(1, (&noisy(3 * day)).into())]).wait().expect("on the disk");
            let row = series::Row {
                unix_s: day * DAY_MS / 1_000,
                value: Some(Span::of(day as i64)),
                quality: Quality::Good,
            };
            let measure = Measure::Number(Unit::Percent);
            let series = Series { name: POINT.into(), measure, rows: vec![row] };
            store.append_series(vec![series]).wait().expect("on the disk");
        }
        for begun_unix_ms in 1..=16 {
            let record = DischargeRecord::default();
            let string = 1 + (begun_unix_ms % 2) as u16;
            let past = PastDischarge { string, name: "A".into(), begun_unix_ms, rows: 0, record };
            let rows = RecordRows { mv: vec![12_345; 9], ..RecordRows::default() };
            store.keep_discharge(&past, &rows).wait().expect("on the disk");
        }
        store.keep_settings(&CONFIG, "a = 1").wait().expect("on the disk");
        store.put_user("ann", b"{}".to_vec()).wait().expect("on the disk");
        store.audit("ann", "::1", "change the configuration", "done");
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
    }

    /// What is left: times of the string's rows and of the point's, s, and when the
    /// discharges began.
    #[derive(Debug, PartialEq)]
    struct Left {
        rows: Vec<u64>,
        values: Vec<u64>,
        discharges: Vec<u64>,
    }

    fn left(store: &Store) -> Left {
        let (mut rows, mut discharges) = (Vec::new(), Vec::new());
        let whose = Whose { string: 1, block: Some(0) };
        let visit = |head: &Head, _: &Record| rows.push(head.unix_ms / 1_000);
        store.past(whose, Level::Raw, 0..=u64::MAX, visit).expect("readable");
        let values = store.series(POINT, Level::Raw, &(0..=u64::MAX)).expect("readable");
        let values = values.rows.iter().map(|row| row.unix_s).collect();
        discharges.extend(
            store.discharges(None).expect("readable").iter().map(|past| past.begun_unix_ms),
        );
        discharges.sort_unstable();
        Left { rows, values, discharges }
    }

    #[test]
    fn history_goes_first_then_what_is_not_folded_then_discharges_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        let open = || Store::open(dir.path(), Limits::default()).expect("a store");
        let store = open();
        fill(&store);
        let events: Vec<_> = store.events(None, usize::MAX).iter().map(|e| e.id).collect();
        let audit = store.audit_export().expect("a log");
        let mut before = left(&store);
        assert_eq!((before.rows.len(), before.values.len()), (20, 20));
        assert_eq!(before.discharges, (1..=16).collect::<Vec<_>>());
        drop(store);
        // The newest row of each is in a group; what a step may take is of its kind.
        let (mut columns, mut groups, mut records) = (0, 0, 0);
        loop {
            let database = Database::create(&file).expect("a database");
            let dropped = drop_oldest(&database).expect("room");
            drop(database);
            let store = open();
            let now = left(&store);
            assert!(before.rows.ends_with(&now.rows), "the oldest first: {now:?}");
            assert!(before.values.ends_with(&now.values), "the oldest first: {now:?}");
            assert!(before.discharges.ends_with(&now.discharges), "the oldest first: {now:?}");
            if dropped.is_nothing() {
                assert_eq!(now, before);
                break;
            }
            let nothing_left = before.rows.is_empty() && before.values.is_empty();
            if dropped.discharges > 0 {
                assert!(nothing_left, "history goes before discharges: {before:?}");
                records += 1;
            } else if before.rows.len() > 1 || before.values.len() > 1 {
                assert!(now.rows.len() + now.values.len() >= 2, "groups stay: {now:?}");
                columns += 1;
            } else {
                groups += 1;
            }
            assert_eq!(dropped.discharges, (before.discharges.len() - now.discharges.len()) as u64);
            before = now;
        }
        assert!(columns > 1 && groups > 0 && records > 1, "{columns}, {groups}, {records}");
        assert_eq!(before, Left { rows: vec![], values: vec![], discharges: vec![] });
        let store = open();
        let kept: Vec<_> = store.events(None, usize::MAX).iter().map(|e| e.id).collect();
        assert!(kept.starts_with(&events), "no event went: {kept:?}");
        let settings = store.settings(&CONFIG).expect("readable");
        assert_eq!(settings.first().map(|revision| revision.text.as_str()), Some("a = 1"));
        assert_eq!(store.user("ann").expect("readable").as_deref(), Some(&b"{}"[..]));
        let log = store.audit_export().expect("a log");
        evenkeel_signing::audit::verify(&log, store.audit_key()).expect("whole");
        let lines = |log: &[u8]| {
            String::from_utf8_lossy(log).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (old, new) = (lines(&audit), lines(&log));
        assert!(old.iter().any(|line| line.contains("change the configuration")));
        let mut entries = old.iter().filter(|line| line.contains("\"who\""));
        assert!(entries.all(|line| new.contains(line)), "no entry went");
    }

    #[test]
    fn a_reserve_is_made_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join(FILE);
        reserve(&store);
        reserve(&store);
        assert_eq!(path(&store).metadata().expect("there").len(), RESERVE_BYTES as u64);
        release(&store);
        release(&store);
        assert!(!path(&store).exists());
        reserve(&dir.path().join("nowhere").join(FILE));
    }
}
