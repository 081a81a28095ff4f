//! Room on a full disk: the oldest history goes first, then the oldest
//! discharge records; events, the audit log and settings stay.
//!
//! Dropping something needs a little room itself, because redb never writes
//! over what is in force. So a *reserve* lies beside the store: a file of
//! [`RESERVE_BYTES`] that is good for nothing, given up when the disk is full
//! and made again when there is room.

use super::table;
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
    /// History samples.
    pub samples: u64,
    /// Discharge records.
    pub discharges: u64,
}

impl Dropped {
    /// True when there was nothing to drop.
    pub const fn is_nothing(&self) -> bool {
        self.samples == 0 && self.discharges == 0
    }
}

/// Drop the oldest part of what may go.
pub fn drop_oldest(database: &Database) -> Result<Dropped, redb::Error> {
    let mut dropped = Dropped::default();
    let write = database.begin_write()?;
    {
        let mut samples = write.open_table(table::SAMPLES)?;
        for _ in 0..samples.len()?.div_ceil(SHARE) {
            dropped.samples += u64::from(samples.pop_first()?.is_some());
        }
        if dropped.samples == 0 {
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
    use evenkeel_core::history::Sample;
    use evenkeel_core::image::{BlockRecord, StringRecord};
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

    #[test]
    fn on_a_full_disk_history_goes_and_events_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        let store = start(&file, 8 << 20);
        let string = StringRecord::new(vec![BlockRecord::default(); 400]);
        let sample = Sample::of(&string, &string.blocks, |block| block.quality);
        let mut ids = Vec::new();
        for n in 0..300 {
            store.append(n, (1..=16).map(|string| (string, sample.clone())).collect());
            let order = format!("{n}");
            let (user, from) = ("admin".to_owned(), "::1".to_owned());
            let event = Event::Ordered { user, from, order, refused: None };
            ids.push(store.record_acknowledged(event).wait().expect("never refused"));
        }
        let past = store.history(1, 0, 0..=u64::MAX, usize::MAX).expect("readable");
        assert!(past.first().is_some_and(|oldest| oldest.unix_ms > 0), "the oldest went");
        assert_eq!(past.last().map(|newest| newest.unix_ms), Some(299), "the newest is there");
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
