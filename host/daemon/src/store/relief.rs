//! Room on a full disk: the oldest history goes first, then the oldest
//! discharge records; events, the audit log and settings stay.
//!
//! Dropping something needs a little room itself, because redb never writes
//! over what is in force. So a *reserve* lies beside the store: a file of
//! [`RESERVE_BYTES`] that is good for nothing, given up when the disk is full
//! and made again when there is room.

use super::{history, table};
use redb::{Database, ReadableTableMetadata as _};
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
            let mut records = write.open_table(table::DISCHARGES)?;
            let mut rows = write.open_table(table::DISCHARGE_ROWS)?;
            for _ in 0..records.len()?.div_ceil(SHARE) {
                let Some((key, _)) = records.pop_first()? else { break };
                rows.remove(key.value())?;
                dropped.discharges += 1;
            }
        }
    }
    write.commit()?;
    // What the commit before it freed can be used from the next one on.
    database.begin_write()?.commit()?;
    Ok(dropped)
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
    use super::super::open::Opened;
    use super::super::{FILE, Limits, Store, StoreError, lock};
    use super::*;
    use evenkeel_core::events::Event;
    use evenkeel_core::history::level::HOUR_MS;
    use evenkeel_core::history::{Head, Record, Row, Span};
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
