//! The one thread that writes: takes what waits in the queue, commits it as
//! one group, acknowledges.
//!
//! ```text
//!            commit fails: tell callers, keep events in memory
//!   Well ───────────────────────────────────────────────────▶ Failing
//!    ▲                                                            │
//!    └──── reopened, commit works: write what was kept ◀──────────┘
//!                      (tried with every job and every few seconds)
//! ```

use super::{
    Documents, EVENTS, Health, Job, Limits, SAMPLES, Shared, StoreError, StoredEvent, lock,
};
use evenkeel_core::events::Event;
use evenkeel_core::history::Sample;
use redb::{Database, DatabaseError, Durability, ReadableTableMetadata as _, WriteTransaction};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Opens the file again after a disk error.
pub type Reopen = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// Jobs in one commit.
const GROUP_MAX: usize = 256;
/// Time between two attempts while the disk fails.
const RETRY: Duration = Duration::from_secs(5);
/// Events kept in memory while the disk fails; then the oldest go.
const UNSAVED_MAX: usize = 2_000;

/// The writing side of the store.
pub struct Writer {
    shared: Arc<Shared>,
    limits: Limits,
    next_id: u64,
    reopen: Reopen,
    samples_lost: u64,
}

/// What one commit writes.
#[derive(Default)]
struct Group {
    events: VecDeque<StoredEvent>,
    samples: Vec<(u64, u16, Sample)>,
    documents: Vec<(Documents, String, Vec<u8>)>,
    event_acks: Vec<(u64, oneshot::Sender<Result<u64, StoreError>>)>,
    put_acks: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, limits: Limits, next_id: u64, reopen: Reopen) -> Self {
        Self { shared, limits, next_id, reopen, samples_lost: 0 }
    }

    /// Until every sender is gone and everything is written.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match jobs.recv_timeout(RETRY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) if lock(&self.shared.unsaved).is_empty() => continue,
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut group = Group::default();
            for job in first.into_iter().chain(jobs.try_iter()).take(GROUP_MAX) {
                self.take(job, &mut group);
            }
            self.report_dropped(&mut group);
            self.write(group);
        }
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        match job {
            Job::Event { event, unix_ms, ack } => {
                let id = self.add(event, unix_ms, group);
                group.event_acks.extend(ack.map(|ack| (id, ack)));
            }
            Job::Samples { unix_ms, samples } => {
                group.samples.extend(samples.into_iter().map(|(s, sample)| (unix_ms, s, sample)));
            }
            Job::Put { table, key, value, ack } => {
                group.documents.push((table, key, value));
                group.put_acks.push(ack);
            }
        }
    }

    /// Number an event and show it to the readers; it is on the disk later.
    fn add(&mut self, event: Event, unix_ms: u64, group: &mut Group) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let stored = StoredEvent { id, unix_ms, event };
        lock(&self.shared.latest).push(stored.clone());
        self.shared.changed.send_modify(|n| *n = id);
        group.events.push_back(stored);
        id
    }

    fn report_dropped(&mut self, group: &mut Group) {
        let count = std::mem::take(&mut *lock(&self.shared.dropped));
        if count > 0 {
            self.add(Event::EventsDropped { count }, crate::clock::unix_ms(), group);
        }
    }

    fn write(&mut self, mut group: Group) {
        let kept = std::mem::take(&mut *lock(&self.shared.unsaved));
        let was_failing = lock(&self.shared.health).error.is_some();
        let fresh = std::mem::replace(&mut group.events, kept);
        group.events.extend(fresh);
        let outcome = self.database().and_then(|database| {
            commit(&database, &group, &self.limits).map_err(|e| e.to_string())
        });
        match outcome {
            Ok(()) => {
                for (id, ack) in group.event_acks {
                    let _ = ack.send(Ok(id));
                }
                for ack in group.put_acks {
                    let _ = ack.send(Ok(()));
                }
                if was_failing {
                    self.recovered();
                }
            }
            Err(reason) => self.failed(group, &reason, was_failing),
        }
    }

    fn recovered(&mut self) {
        *lock(&self.shared.health) = Health::default();
        let samples_lost = std::mem::take(&mut self.samples_lost);
        tracing::warn!("store can be written again; {samples_lost} history samples were lost");
        let mut group = Group::default();
        self.add(Event::StoreRecovered { samples_lost }, crate::clock::unix_ms(), &mut group);
        self.write(group);
    }

    fn failed(&mut self, mut group: Group, reason: &str, was_failing: bool) {
        // redb refuses everything after a disk error; only reopening helps.
        *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        let told: Arc<str> = reason.into();
        for (_, ack) in std::mem::take(&mut group.event_acks) {
            let _ = ack.send(Err(StoreError::Write(told.clone())));
        }
        for ack in std::mem::take(&mut group.put_acks) {
            let _ = ack.send(Err(StoreError::Write(told.clone())));
        }
        self.samples_lost += group.samples.len() as u64;
        if !was_failing {
            tracing::error!("store cannot be written: {reason}");
            let event = Event::StoreFailed { reason: reason.to_owned() };
            self.add(event, crate::clock::unix_ms(), &mut group);
        }
        while group.events.len() > UNSAVED_MAX {
            group.events.pop_front();
            *lock(&self.shared.dropped) += 1;
        }
        let unsaved = group.events.len();
        *lock(&self.shared.unsaved) = group.events;
        *lock(&self.shared.health) = Health { error: Some(reason.to_owned()), unsaved };
    }

    /// The database, opened again when a disk error closed it.
    fn database(&self) -> Result<Arc<Database>, String> {
        if let Ok(database) = self.shared.database() {
            return Ok(database);
        }
        let database = Arc::new((self.reopen)().map_err(|e| e.to_string())?);
        let mut place = self.shared.database.write().unwrap_or_else(PoisonError::into_inner);
        Ok(place.insert(database).clone())
    }
}

fn commit(database: &Database, group: &Group, limits: &Limits) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    write_events(&write, group, limits.events)?;
    write_samples(&write, group, limits.samples)?;
    for (table, key, value) in &group.documents {
        write.open_table(table.table())?.insert(key.as_str(), value.as_slice())?;
    }
    write.commit()?;
    Ok(())
}

fn write_events(write: &WriteTransaction, group: &Group, most: u64) -> Result<(), redb::Error> {
    if group.events.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(EVENTS)?;
    for event in &group.events {
        let json = serde_json::to_vec(event).map_err(|e| redb::Error::Io(e.into()))?;
        table.insert(event.id, json.as_slice())?;
    }
    while table.len()? > most {
        table.pop_first()?;
    }
    Ok(())
}

fn write_samples(write: &WriteTransaction, group: &Group, most: u64) -> Result<(), redb::Error> {
    if group.samples.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(SAMPLES)?;
    for (unix_ms, string, sample) in &group.samples {
        table.insert((*unix_ms, *string), sample.as_bytes())?;
    }
    while table.len()? > most {
        table.pop_first()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{FILE, Store};
    use super::*;
    use redb::StorageBackend;
    use redb::backends::FileBackend;
    use std::io;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A disk that can be full.
    #[derive(Debug)]
    struct Disk {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Disk {
        fn check(&self) -> io::Result<()> {
            match self.full.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check()?;
            self.file.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.check()?;
            self.file.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check()?;
            self.file.write(offset, data)
        }
        fn close(&self) -> io::Result<()> {
            self.file.close()
        }
    }

    fn open_disk(path: &PathBuf, full: &Arc<AtomicBool>) -> Result<Database, DatabaseError> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let disk = Disk { file: FileBackend::new(file)?, full: full.clone() };
        Database::builder().create_with_backend(disk)
    }

    #[test]
    fn a_full_disk_stops_nothing_and_loses_no_event() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let full = Arc::new(AtomicBool::new(false));
        let database = open_disk(&path, &full).expect("a database");
        let reopen: Reopen = {
            let (path, full) = (path.clone(), full.clone());
            Box::new(move || open_disk(&path, &full))
        };
        let store = Store::start(database, Limits::default(), reopen).expect("a store");
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");

        full.store(true, Ordering::Relaxed);
        let refused = store.record_acknowledged(Event::GuardLost).wait();
        assert!(matches!(refused, Err(StoreError::Write(_))), "{refused:?}");
        assert!(store.put_user("a", vec![]).wait().is_err());
        assert!(store.health().error.is_some() && store.health().unsaved >= 2);
        assert!(store.latest(9).iter().any(|e| e.event == Event::GuardLost), "shown anyway");

        full.store(false, Ordering::Relaxed);
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk again");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let events = store.events(None, 99).expect("readable");
        let ids: Vec<_> = events.iter().map(|e| e.id).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        assert_eq!(events[1].event, Event::GuardLost);
        assert!(matches!(events[2].event, Event::StoreFailed { .. }));
        let last = &events.last().expect("events").event;
        assert!(matches!(last, Event::StoreRecovered { .. }), "{last:?}");
    }
}
